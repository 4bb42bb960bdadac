//! Who takes part in a development network, and how it begins.
//!
//! Every key comes from a public name ([`client::wallet::Seed::dev`]), so the accounts can be used by anybody who reads this; the genesis file is what
//! differs between networks. A kept network keeps its genesis file and continues with it.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail};
use chain::Genesis;
use chain::genesis::{GenesisAccount, GenesisNode, GenesisValidator, TOTAL_SUPPLY};
use chain::parameters::Parameters;
use client::wallet::Seed;
use p2p::Secret;
use primitives::{AccountSecret, Address, Amount, Bytes, Hash, SecretKey, Time};
use state::Tuning;

use crate::cli::dev::Options;
use crate::cli::disk::replicas;
use crate::cli::genesis::check;

/// Resource nodes of a development network: enough for the profile 4+2.
pub const RESOURCE_NODES: usize = 6;
/// Accounts for people, with their stos and how many of them have bought ozone at genesis.
pub const PEOPLE: [(&str, u64, u64); 3] = [("alice", 100_000, 100), ("bob", 100_000, 100), ("carol", 100_000, 0)];
/// The gateway pays for what it serves.
const GATEWAY_STOS: (u64, u64) = (100_000, 1_000);
/// Coins of each operator, for fees.
const OPERATOR: Amount = Amount::stos(1_000);
const STAKE: Amount = Amount::stos(100_000);
/// What the operator of a node that stands by has to become a validator with.
const STANDBY: Amount = Amount::stos(200_000);
/// What the names of validators and of nodes that stand by begin with.
const VALIDATOR: &str = "validator";
/// Part of delegators' rewards that a validator of a development network keeps, in basis points.
const COMMISSION_BP: u32 = 500;
const META_DEPOSIT: Amount = Amount::stos(1_000);
const RESOURCE_DEPOSIT: Amount = Amount::stos(100);
const RESOURCE_CAPACITY: Bytes = Bytes(1 << 40);
const RESERVE: Amount = Amount::stos(40_000_000);
/// Holds what nobody else has.
const TREASURY: &str = "treasury";
const GENESIS_FILE: &str = "genesis.json";
/// The genesis file while it is written.
const GENESIS_PART: &str = "genesis.part";

/// Who a node of the network is, wherever its role needs a key.
pub struct Identity {
    /// `validator-1`, `resource-3`: its name everywhere.
    pub name: String,
    /// Account of its operator.
    pub operator: AccountSecret,
    /// What it signs with.
    pub key: SecretKey,
    /// Its identity on the control plane.
    pub control: Secret,
    /// Its identity on the data plane.
    pub data: Secret,
}

impl Identity {
    fn new(name: String) -> Self {
        Self {
            operator: Seed::dev(&name).secret(),
            key: consensus_key(&name),
            control: Secret::from_seed(node_seed(&name, "control")),
            data: Secret::from_seed(node_seed(&name, "data")),
            name,
        }
    }

    fn all(role: &str, count: usize) -> Vec<Self> {
        (1..=count).map(|number| Self::new(format!("{role}-{number}"))).collect()
    }
}

/// A development network that can be started.
pub struct Plan {
    /// Its beginning.
    pub genesis: Arc<Genesis>,
    /// Its directory.
    pub directory: PathBuf,
    /// Whether the directory is removed at the end.
    temporary: bool,
    /// Validators in the order of their votes at genesis, then the nodes that stand by.
    pub validators: Vec<Identity>,
    /// Meta nodes in the order of their votes.
    pub metas: Vec<Identity>,
    /// Resource nodes.
    pub resources: Vec<Identity>,
    /// The gateway.
    pub gateway: Identity,
    /// Memory and history of each tree.
    pub tuning: Tuning,
}

impl Plan {
    /// The network of these options: a kept one as it is, else a fresh one.
    ///
    /// # Errors
    /// An unreadable or foreign directory, options that contradict a kept network, a disk that cannot be written.
    pub fn load(options: &Options) -> Result<Self> {
        let (directory, temporary) = match &options.data {
            Some(directory) => (directory.clone(), false),
            None => (tempfile::Builder::new().prefix("stratos-dev-").tempdir().context("cannot make a temporary directory")?.keep(), true),
        };
        fs::create_dir_all(&directory).with_context(|| format!("cannot create the data directory {}; choose another with --data", directory.display()))?;
        let path = directory.join(GENESIS_FILE);
        let genesis = match fs::read_to_string(&path) {
            Ok(text) => Some(check::check(&text).map_err(|wrong| anyhow!("{}:{wrong}; mend it, or choose another directory with --data", path.display()))?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let genesis = match genesis {
            Some(genesis) => {
                agree(&genesis, options)?;
                genesis
            }
            None => {
                refuse_foreign(&directory)?;
                let genesis = make(options)?;
                write(&path, &serde_json::to_vec_pretty(&genesis)?).with_context(|| format!("cannot write {}", path.display()))?;
                genesis
            }
        };
        genesis.execute(&state::Memory::new()).with_context(|| format!("{} is invalid", path.display()))?;
        Ok(Self {
            validators: Identity::all(VALIDATOR, genesis.validators.len() + standby(&genesis)),
            metas: Identity::all("meta", genesis.meta_nodes.len()),
            resources: Identity::all("resource", genesis.resource_nodes.len()),
            gateway: Identity::new("gateway".into()),
            tuning: tuning(options, &genesis),
            genesis: Arc::new(genesis),
            directory,
            temporary,
        })
    }

    /// The directories of the replicas that have something on disk.
    pub fn replicas(&self) -> Vec<PathBuf> {
        let nodes = self.validators.iter().chain(&self.metas).chain([&self.gateway]);
        nodes.flat_map(|identity| replicas(&self.directory.join(&identity.name)).collect::<Vec<_>>()).collect()
    }

    /// Removes the directory of a network that is not kept.
    pub fn clean_up(&self) {
        if self.temporary {
            // It is in the system's temporary directory; what cannot be removed now is removed with it.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// The consensus key of a validator or a node that stands by, for whoever makes it a validator: it is as public as its name.
pub fn consensus_key(name: &str) -> SecretKey {
    SecretKey::from_seed(&node_seed(name, "sign"))
}

fn node_seed(name: &str, purpose: &str) -> [u8; 32] {
    Hash::of("dev node key", &[name.as_bytes(), purpose.as_bytes()]).0
}

/// The nodes of a network that are to become validators: their operators have an account at genesis and no validator.
fn standby(genesis: &Genesis) -> usize {
    let operator = |number: usize| Seed::dev(&format!("{VALIDATOR}-{number}")).secret().address();
    let has_account = |number: &usize| genesis.accounts.iter().any(|account| account.address == operator(*number));
    (genesis.validators.len().saturating_add(1)..).take_while(has_account).count()
}

/// A kept network has its own numbers; other ones on the command line are a mistake.
fn agree(genesis: &Genesis, options: &Options) -> Result<()> {
    let differs = |given: Option<u64>, kept: u64| given.filter(|given| *given != kept);
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let numbers = [
        ("--validators", differs(options.validators.map(u64::from), count(genesis.validators.len())), count(genesis.validators.len())),
        ("--standby", differs(options.standby.map(u64::from), count(standby(genesis))), count(standby(genesis))),
        ("--meta-nodes", differs(options.meta_nodes.map(u64::from), count(genesis.meta_nodes.len())), count(genesis.meta_nodes.len())),
        ("--epoch-ms", differs(options.epoch_ms, genesis.parameters.epoch_ms), genesis.parameters.epoch_ms),
    ];
    for (flag, given, kept) in numbers {
        if let Some(given) = given {
            bail!("the network in this directory was made with {flag} {kept}, not {given}; leave the flag out, or choose another directory with --data");
        }
    }
    Ok(())
}

/// What each tree of the network may use: one for each validator and meta node, two in the gateway.
fn tuning(options: &Options, genesis: &Genesis) -> Tuning {
    let stores = (genesis.validators.len() + standby(genesis) + genesis.meta_nodes.len() + 2) as u64;
    let shared = Tuning::shared_by(stores);
    let tuning = Tuning { history: options.states.unwrap_or(shared.history), ..shared };
    options.cache_bytes.map_or(tuning, |bytes| Tuning { cache_bytes: bytes / stores, ..tuning })
}

/// A directory with something in it that is not a network's is not written to.
fn refuse_foreign(directory: &Path) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read the data directory {}", directory.display()))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).unwrap_or_default());
    // A start that was cut off in the middle leaves a part of its genesis file, which is written anew.
    match names.into_iter().find(|name| *name != GENESIS_PART) {
        None => Ok(()),
        Some(name) => {
            bail!(
                "{} is not empty and holds no network (there is no {GENESIS_FILE}, but there is `{name}`); choose an empty directory with --data",
                directory.display()
            )
        }
    }
}

/// Written whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let file = fs::File::create(&part)?;
    std::io::Write::write_all(&mut &file, bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// The genesis of a fresh network.
fn make(options: &Options) -> Result<Genesis> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let count = usize::from(options.validators.unwrap_or(1));
    let mut validators = Identity::all(VALIDATOR, count + usize::from(options.standby.unwrap_or(0)));
    let standby = validators.split_off(count);
    let metas = Identity::all("meta", usize::from(options.meta_nodes.unwrap_or(1)));
    let resources = Identity::all("resource", RESOURCE_NODES);
    // All ports are held at once, so that none is given out twice; they are free again when the nodes start.
    let held = (0..metas.len() + resources.len())
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .collect::<std::io::Result<Vec<TcpListener>>>()
        .context("cannot listen on 127.0.0.1")?;
    let mut ports = held.iter().map(|listener| listener.local_addr().map(|address| address.port()));
    let mut node = |identity: &Identity, deposit, capacity| -> Result<GenesisNode> {
        let port = ports.next().context("one port for each node")??;
        Ok(GenesisNode {
            operator: identity.operator.address(),
            key: identity.key.public(),
            peer: identity.data.peer().to_bytes(),
            addresses: vec![crate::roles::loopback(port).to_string()],
            deposit,
            capacity,
        })
    };
    let meta_nodes = metas.iter().map(|identity| node(identity, META_DEPOSIT, Bytes::ZERO)).collect::<Result<Vec<_>>>()?;
    let resource_nodes = resources.iter().map(|identity| node(identity, RESOURCE_DEPOSIT, RESOURCE_CAPACITY)).collect::<Result<Vec<_>>>()?;
    let account = |address: Address, balance: Amount, ozone_for: Amount| GenesisAccount { address, balance, ozone_for };
    let person = |name: &str, stos: u64, ozone: u64| account(Seed::dev(name).secret().address(), Amount::stos(stos), Amount::stos(ozone));
    let mut accounts: Vec<GenesisAccount> = PEOPLE.iter().map(|(name, stos, ozone)| person(name, *stos, *ozone)).collect();
    accounts.push(person("gateway", GATEWAY_STOS.0, GATEWAY_STOS.1));
    for identity in validators.iter().chain(&metas).chain(&resources) {
        accounts.push(account(identity.operator.address(), OPERATOR, Amount::ZERO));
    }
    for identity in &standby {
        accounts.push(account(identity.operator.address(), OPERATOR.saturating_add(STANDBY), Amount::ZERO));
    }
    let validators: Vec<GenesisValidator> = validators
        .iter()
        .map(|identity| GenesisValidator {
            operator: identity.operator.address(),
            key: identity.key.public(),
            stake: STAKE,
            commission: chain::staking::Commission::unlimited(COMMISSION_BP),
        })
        .collect();
    let given = accounts.iter().map(|entry| entry.balance);
    let given = given.chain(validators.iter().map(|entry| entry.stake));
    let given = given.chain(meta_nodes.iter().chain(&resource_nodes).map(|entry| entry.deposit));
    let given = given.fold(RESERVE, Amount::saturating_add);
    let rest = TOTAL_SUPPLY.checked_sub(given).context("a development network gives away more than there is")?;
    accounts.push(account(Seed::dev(TREASURY).secret().address(), rest, Amount::ZERO));
    Ok(Genesis {
        name: "stratos-dev".into(),
        time: Time(u64::try_from(time.as_millis()).context("the clock is too far ahead")?),
        parameters: Parameters { epoch_ms: options.epoch_ms_or_default(), ..Parameters::dev() },
        reserve: RESERVE,
        accounts,
        validators,
        meta_nodes,
        resource_nodes,
        continued: None,
    })
}
