//! The value ledger alone, without network and consensus: transfers among many accounts, the settlement of a large epoch, and the end of an epoch with many
//! delegations, each beside what it is compared with in the same run. `make bench-ledger` binds it to one core; give another number of accounts as argument.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chain::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisValidator, TOTAL_SUPPLY};
use chain::ledger::execute::build;
use chain::ledger::rules::Place;
use chain::ledger::{BlockInfo, Electorate, End, Executed, Log, Parent, Receipt, Refusal, Rules, Status, Terms, Usage};
use chain::metering::Work;
use chain::parameters::Parameters;
use chain::settlement::{Progress, Reported};
use chain::staking::{Commission, delegation};
use chain::transaction::{Message, TRANSACTION_VERSION, Transaction, VALIDATOR_POSSESSION_ROLE, Verified};
use chain::{ValueLedger, accounts, invariants, keys, market, settlement, staking};
use consensus::evidence::Evidence;
use primitives::{AccountSecret, Address, Amount, Bytes, Context, Epoch, Hash, Height, Noz, SecretKey, Time};
use state::{Memory, Overlay, Sealed, Store};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// As the node has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Accounts of the first part.
const ACCOUNTS: usize = 1_000_000;
/// Of these, those that send.
const SENDERS: usize = 50_000;
/// Transfers in a block: what half of its units holds twice.
const TRANSFERS: usize = 10_000;
/// Blocks that are measured; those before only fill caches.
const BLOCKS: usize = 20;
const BLOCKS_BEFORE: usize = 3;
/// Carriers and payers of the settlement, and the channels between them.
const CARRIERS: usize = 10_000;
const PAYERS: usize = 100_000;
/// Validators of the last part.
const VALIDATORS: usize = 128;
/// Changes sealed at once while a state is made.
const FILL: usize = 50_000;

fn main() -> Result<()> {
    if cfg!(debug_assertions) {
        eprintln!("note: this is not a release build; the numbers are lower than they could be");
    }
    let accounts = std::env::args().nth(1).map_or(Ok(ACCOUNTS), |text| text.parse())?;
    println!("cores that this process may use            {:>9}", std::thread::available_parallelism()?);
    transfers(accounts)?;
    for channels in [PAYERS, 10 * PAYERS] {
        settle(channels)?;
    }
    let (few, many) = (epoch_end(1_000)?, epoch_end(1_000_000)?);
    println!(
        "end of an epoch, 1,000,000 delegations     {:>9.2} ms   {:.2} ms with 1,000: {:.2} times, for reading in a tree a thousand times as large",
        ms(many.execution),
        ms(few.execution),
        ms(many.execution) / ms(few.execution)
    );
    println!(
        "  its tree                                 {:>9.2} ms   {:.2} ms with 1,000: {:.2} times",
        ms(many.tree),
        ms(few.tree),
        ms(many.tree) / ms(few.tree)
    );
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn seed(what: &str, number: usize) -> [u8; 32] {
    Hash::of(what, &[&number.to_le_bytes()]).0
}

fn address(what: &str, number: usize) -> Address {
    let hash = seed(what, number);
    Address(*hash.first_chunk().expect("32 bytes"))
}

/// The rules, and when they were last asked to end a block: what comes after is the tree.
struct Timed {
    rules: ValueLedger,
    ended: Mutex<Instant>,
}

impl Rules for Timed {
    type Transaction = Verified;

    fn verify(&self, transactions: &[Vec<u8>]) -> Vec<std::result::Result<Verified, Refusal>> {
        self.rules.verify(transactions)
    }

    fn work(&self, transaction: &Verified) -> Work {
        self.rules.work(transaction)
    }

    fn place(&self, state: &Sealed, transaction: &Verified) -> std::result::Result<Place, Refusal> {
        self.rules.place(state, transaction)
    }

    fn terms(&self, state: &Overlay, block: &BlockInfo) -> Terms {
        self.rules.terms(state, block)
    }

    fn topics(&self, state: &Sealed, log: &Log) -> Vec<Hash> {
        self.rules.topics(state, log)
    }

    fn electorate(&self, state: &Sealed) -> Electorate {
        self.rules.electorate(state)
    }

    fn begin(&self, state: &mut Overlay, block: &BlockInfo) -> Vec<Log> {
        self.rules.begin(state, block)
    }

    fn admits(&self, state: &Sealed, evidence: &Evidence) -> std::result::Result<(), Refusal> {
        self.rules.admits(state, evidence)
    }

    fn evidence(&self, state: &mut Overlay, block: &BlockInfo, evidence: &Evidence) -> std::result::Result<Vec<Log>, Refusal> {
        self.rules.evidence(state, block, evidence)
    }

    fn apply(&self, state: &mut Overlay, block: &BlockInfo, terms: &Terms, transaction: &Verified) -> std::result::Result<Receipt, Refusal> {
        self.rules.apply(state, block, terms, transaction)
    }

    fn end(&self, state: &mut Overlay, block: &BlockInfo, terms: &Terms, usage: &Usage) -> (End, Vec<Log>) {
        let ended = self.rules.end(state, block, terms, usage);
        if let Ok(mut instant) = self.ended.lock() {
            *instant = Instant::now();
        }
        ended
    }
}

/// What a block took.
#[derive(Clone, Copy, Default)]
struct Times {
    signatures: Duration,
    execution: Duration,
    tree: Duration,
    disk: Duration,
}

impl std::ops::AddAssign for Times {
    fn add_assign(&mut self, other: Self) {
        self.signatures += other.signatures;
        self.execution += other.execution;
        self.tree += other.tree;
        self.disk += other.disk;
    }
}

/// A chain of one proposer.
struct Chain {
    rules: Timed,
    chain: Hash,
    parent: Parent,
    height: Height,
    time: Time,
}

impl Chain {
    fn new(genesis: &Genesis, empty: &Sealed) -> Result<Self> {
        let (_, executed) = genesis.execute(empty)?;
        let rules = Timed { rules: ValueLedger::new(genesis.hash()), ended: Mutex::new(Instant::now()) };
        Ok(Self { rules, chain: genesis.hash(), parent: executed.as_parent(), height: Height(0), time: genesis.time })
    }

    /// Changes the state by other means than blocks.
    fn fill(&mut self, change: impl FnOnce(&mut Overlay)) {
        let mut state = self.parent.state.child();
        change(&mut state);
        self.parent.state = state.seal();
    }

    /// A block of these transactions, and what it took; `store` keeps it.
    fn block(&mut self, after_ms: u64, transactions: Vec<Vec<u8>>, store: Option<&Store>) -> Result<(Executed, Times)> {
        let (height, time) = (self.height.next(), self.time.saturating_add(Time(after_ms)));
        let info = BlockInfo {
            chain: self.chain,
            height,
            time,
            parent: Hash::of("header", &[&height.0.to_le_bytes()]),
            proposer: 0,
            voters: Vec::new(),
            absent: Vec::new(),
        };
        let began = Instant::now();
        let verified = self.rules.verify(&transactions);
        let candidates =
            verified.into_iter().zip(transactions).map(|(verdict, bytes)| Ok((bytes, verdict?))).collect::<std::result::Result<Vec<_>, Refusal>>()?;
        let signatures = began.elapsed();
        let began = Instant::now();
        let executed = build(&self.rules, &self.parent, &info, &[], candidates);
        let ended = *self.rules.ended.lock().map_err(|_| "a panic")?;
        let mut times = Times { signatures, execution: ended - began, tree: ended.elapsed(), disk: Duration::ZERO };
        if let Some(store) = store {
            let began = Instant::now();
            store.commit(&executed.state, vec![state::Record { table: 1, key: height.0.to_be_bytes().to_vec(), value: Some(executed.body.to_payload()) }])?;
            times.disk = began.elapsed();
        }
        (self.parent, self.height, self.time) = (executed.as_parent(), height, time);
        Ok((executed, times))
    }
}

fn rich() -> Address {
    address("rich", 0)
}

/// A genesis whose coins not named otherwise are one account's.
fn genesis(accounts: Vec<GenesisAccount>) -> Genesis {
    let key = SecretKey::from_seed(&seed("node", 0)).public();
    let node = |number: usize, deposit: u64, capacity: u64| GenesisNode {
        operator: address("operator", number),
        key: SecretKey::from_seed(&seed("node", number)).public(),
        peer: vec![1; 38],
        addresses: vec!["/ip4/127.0.0.1/tcp/1".into()],
        deposit: Amount::stos(deposit),
        capacity: Bytes(capacity),
    };
    let mut genesis = Genesis {
        name: "bench".into(),
        time: Time(1_000_000),
        parameters: Parameters { epoch_ms: 600_000, ..Parameters::dev() },
        reserve: Amount::stos(40_000_000),
        accounts,
        validators: vec![GenesisValidator { operator: address("operator", 0), key, stake: Amount::stos(10), commission: Commission::unlimited(500) }],
        meta_nodes: vec![node(1, 100, 0)],
        resource_nodes: vec![node(2, 1_000_000, 1 << 40)],
        continued: None,
    };
    let used = genesis.accounts.iter().fold(Amount::stos(40_000_000 + 10 + 100 + 1_000_000), |sum, account| sum.saturating_add(account.balance));
    genesis.accounts.push(GenesisAccount { address: rich(), balance: TOTAL_SUPPLY.saturating_sub(used), ozone_for: Amount::ZERO });
    genesis
}

/// Transfers among so many accounts: verified, executed, hashed and synced.
fn transfers(count: usize) -> Result<()> {
    let senders: Vec<AccountSecret> = (0..SENDERS.min(count)).map(|number| AccountSecret::from_seed(&seed("sender", number))).collect();
    let own = senders.iter().map(AccountSecret::address).chain((senders.len()..count).map(|number| address("account", number)));
    let list: Vec<Address> = own.collect();
    let accounts = list.iter().map(|address| GenesisAccount { address: *address, balance: Amount::stos(10), ozone_for: Amount::ZERO }).collect();
    let genesis = genesis(accounts);
    let directory = tempfile::tempdir()?;
    let store = Store::open(directory.path(), genesis.hash())?;
    let mut chain = Chain::new(&genesis, &store.head())?;
    store.commit(&chain.parent.state, Vec::new())?;
    let mut number = 0usize;
    let mut next = || {
        let (sender, nonce) = (&senders[number % senders.len()], number / senders.len());
        let to = list[usize::from_le_bytes(*seed("to", number).first_chunk().expect("32 bytes")) % list.len()];
        number += 1;
        let body = Transaction {
            version: TRANSACTION_VERSION,
            chain: chain.chain,
            authority: sender.key().into(),
            nonce: nonce as u64,
            fee_max: Amount::stos(1),
            tip: Amount(0),
            messages: vec![Message::Send { to, amount: Amount(1) }],
            memo: Vec::new(),
        };
        body.sign(sender)
    };
    let blocks: Vec<Vec<Vec<u8>>> = (0..BLOCKS_BEFORE + BLOCKS).map(|_| (0..TRANSFERS).map(|_| next()).collect()).collect();
    let mut sum = Times::default();
    for (number, transactions) in blocks.into_iter().enumerate() {
        let (executed, times) = chain.block(100, transactions, Some(&store))?;
        let is_done = executed.receipts.iter().all(|receipt| receipt.status == Status::Done);
        if !is_done || executed.receipts.len() != TRANSFERS {
            return Err(format!("{} of {TRANSFERS} transfers are in the block", executed.receipts.len()).into());
        }
        if number >= BLOCKS_BEFORE {
            sum += times;
        }
    }
    let began = Instant::now();
    invariants::check(&store.head())?;
    let walk = began.elapsed();
    let rate = |time: Duration| (BLOCKS * TRANSFERS) as f64 / time.as_secs_f64();
    let Times { signatures, execution, tree, disk } = sum;
    let all = signatures + execution + tree + disk;
    println!("transfers among {count:>7} accounts             {:>9.0} /s    verified, executed, hashed, synced; 20,000 is the aim", rate(all));
    println!("  without signatures                       {:>9.0} /s    {:.2} times", rate(all - signatures), rate(all - signatures) / rate(all));
    println!("  without the tree                         {:>9.0} /s    {:.2} times", rate(all - tree), rate(all - tree) / rate(all));
    let part = |time: Duration| time.as_secs_f64() * 1e6 / (BLOCKS * TRANSFERS) as f64;
    println!(
        "  of each transfer: signature {:.1} us, execution {:.1} us, tree {:.1} us, disk {:.1} us",
        part(signatures),
        part(execution),
        part(tree),
        part(disk)
    );
    println!("sums over all of these accounts            {:>9.2} s     once in each epoch, beside the blocks", walk.as_secs_f64());
    Ok(())
}

/// Writes an epoch whose challenge is over: this many channels, each payer with its share of the carriers.
fn report(chain: &mut Chain, channels: usize, payers: usize, carriers: usize) {
    let epoch = settlement::progress(&chain.parent.state).unsettled;
    let mut parts: Vec<Vec<((Address, Address), Noz)>> = Vec::new();
    let each = channels / payers;
    let pair = |number: usize| {
        let (payer, nth) = (number / each, number % each);
        ((address("payer", payer), address("carrier", (payer * 7 + nth * 131) % carriers)), Noz(1_000_000))
    };
    let all: BTreeMap<(Address, Address), Noz> = (0..channels).map(pair).collect();
    let mut charged: BTreeMap<Address, Noz> = BTreeMap::new();
    for ((payer, _), noz) in &all {
        let sum = charged.entry(*payer).or_default();
        *sum = sum.saturating_add(*noz);
    }
    let mut all: Vec<_> = all.into_iter().collect();
    // Parts are by carriers, as reports are.
    all.sort_by_key(|((payer, carrier), _)| (*carrier, *payer));
    for rows in all.chunks(2_500) {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        parts.push(rows);
    }
    chain.fill(|state| {
        let heights = vec![Height(1); parts.len()];
        let reported = Reported {
            report: Some(Hash::ZERO),
            receipts: channels as u64,
            height: Height(1),
            parts: heights,
            liveness: vec![(address("operator", 1), 10)],
            until: Epoch::ZERO,
            direct: Vec::new(),
        };
        for (number, rows) in (0u32..).zip(&parts) {
            keys::write(state, &keys::settlement_part(epoch, number), &(Height(1), rows));
        }
        for (payer, noz) in &charged {
            keys::write(state, &keys::charged(epoch, payer), noz);
        }
        keys::write(state, &keys::reported(epoch), &reported);
        let progress = settlement::progress(state);
        keys::write(state, &keys::settlement(), &Progress { epoch: epoch.next(), ..progress });
    });
}

/// The block that settles a large epoch.
fn settle(channels: usize) -> Result<()> {
    let mut chain = Chain::new(&genesis(Vec::new()), &Memory::new())?;
    for first in (0..PAYERS).step_by(FILL) {
        chain.fill(|state| {
            for number in first..(first + FILL).min(PAYERS) {
                let payer = address("payer", number);
                market::buy(state, Height(1), &rich(), Amount(1 << 50), Noz(1), Height(1), &payer).expect("rich");
            }
        });
    }
    report(&mut chain, channels, PAYERS, CARRIERS);
    invariants::check(&chain.parent.state)?;
    let (_, times) = chain.block(100, Vec::new(), None)?;
    invariants::check(&chain.parent.state)?;
    let result = settlement::settled(&chain.parent.state, Epoch::ZERO).ok_or("not settled")?;
    if result.noz != Noz(channels as u128 * 1_000_000) || result.carriers.len() != CARRIERS || result.unpaid != Noz::ZERO {
        return Err(format!("{} noz of {} carriers are settled", result.noz, result.carriers.len()).into());
    }
    println!(
        "settlement, {CARRIERS} carriers, {PAYERS} payers   {:>9.0} ms   1,000 ms is the limit; {channels} channels, charged and paid in {:.0} ms, hashed in {:.0} ms",
        ms(times.execution + times.tree),
        ms(times.execution),
        ms(times.tree)
    );
    Ok(())
}

/// The block that ends an epoch and settles one whose rewards so many delegations share.
fn epoch_end(delegations: usize) -> Result<Times> {
    let mut chain = Chain::new(&genesis(Vec::new()), &Memory::new())?;
    let id = chain.chain;
    let operators: Vec<Address> = (0..VALIDATORS).map(|number| address("validator", number)).collect();
    chain.fill(|state| {
        for (number, operator) in operators.iter().enumerate() {
            let secret = SecretKey::from_seed(&seed("validator", number));
            let possession = secret.sign(&Context::new(VALIDATOR_POSSESSION_ROLE, id), &operator.0);
            accounts::send(state, &rich(), operator, Amount::stos(1_000)).expect("rich");
            staking::create(state, id, operator, &secret.public(), &possession, Amount::stos(1_000), Commission::unlimited(500)).expect("new");
        }
        market::buy(state, Height(1), &rich(), Amount::stos(100_000), Noz(1), Height(1), &address("payer", 0)).expect("rich");
    });
    for first in (0..delegations).step_by(FILL) {
        chain.fill(|state| {
            for number in first..(first + FILL).min(delegations) {
                let (delegator, amount) = (address("delegator", number), Amount::stos(1));
                accounts::send(state, &rich(), &delegator, amount).expect("rich");
                delegation::delegate(state, &delegator, &operators[number % VALIDATORS], amount).expect("it has it");
            }
        });
    }
    // The set changes with the end of this epoch, is paid with that of the next.
    chain.block(600_000, Vec::new(), None)?;
    let mut least = Times { execution: Duration::MAX, tree: Duration::MAX, ..Times::default() };
    for _ in 0..5 {
        report(&mut chain, 1, 1, 1);
        let settled = settlement::progress(&chain.parent.state).unsettled;
        let (executed, times) = chain.block(600_000, Vec::new(), None)?;
        let record = settlement::settled(&chain.parent.state, settled).ok_or("not settled")?;
        let paid: BTreeSet<Address> = record.validators.iter().map(|share| share.address).collect();
        if !executed.body.summary.closes_epoch || paid != operators.iter().copied().collect() {
            return Err(format!("{} validators of {VALIDATORS} are paid", paid.len()).into());
        }
        least = Times { execution: least.execution.min(times.execution), tree: least.tree.min(times.tree), ..least };
    }
    Ok(least)
}
