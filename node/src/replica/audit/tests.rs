//! A replica whose rules make a wei from nowhere: it stops. This test runs itself once more, in a process that is to end.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use chain::genesis::{GenesisAccount, GenesisNode, GenesisValidator, TOTAL_SUPPLY};
use chain::ledger::rules::Place;
use chain::ledger::{BlockInfo, Electorate, End, Log, Receipt, Refusal, Rules, Terms, Usage};
use chain::metering::Work;
use chain::parameters::Parameters;
use chain::pools::Pools;
use chain::{Genesis, ValueLedger, keys};
use consensus::Times;
use consensus::evidence::Evidence;
use p2p::{Config, Endpoint, Plane, Secret};
use primitives::{AccountSecret, Amount, Bytes, Epoch, Hash, SecretKey, Time};
use state::{Overlay, Sealed};
use tokio::time::timeout;

use super::super::{Options, Replica, Running, VALUE};
use super::EXIT_SUMS;

/// Longest wait for anything: far above what it takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Set for the process that is to end: how many wei an epoch makes, and where its replica is.
const LEAK: &str = "STRATOS_TEST_LEAK";

/// The rules of the value ledger, with a mistake: an epoch's end makes some wei.
struct Leaky {
    rules: ValueLedger,
    wei: u128,
}

impl Rules for Leaky {
    type Transaction = <ValueLedger as Rules>::Transaction;

    fn verify(&self, transactions: &[Vec<u8>]) -> Vec<Result<Self::Transaction, Refusal>> {
        self.rules.verify(transactions)
    }

    fn work(&self, transaction: &Self::Transaction) -> Work {
        self.rules.work(transaction)
    }

    fn place(&self, state: &Sealed, transaction: &Self::Transaction) -> Result<Place, Refusal> {
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

    fn admits(&self, state: &Sealed, evidence: &Evidence) -> Result<(), Refusal> {
        self.rules.admits(state, evidence)
    }

    fn evidence(&self, state: &mut Overlay, block: &BlockInfo, evidence: &Evidence) -> Result<Vec<Log>, Refusal> {
        self.rules.evidence(state, block, evidence)
    }

    fn apply(&self, state: &mut Overlay, block: &BlockInfo, terms: &Terms, transaction: &Self::Transaction) -> Result<Receipt, Refusal> {
        self.rules.apply(state, block, terms, transaction)
    }

    fn end(&self, state: &mut Overlay, block: &BlockInfo, terms: &Terms, usage: &Usage) -> (End, Vec<Log>) {
        let ended = self.rules.end(state, block, terms, usage);
        if ended.0.closes_epoch {
            let mut pools = Pools::read(state);
            pools.community = pools.community.saturating_add(Amount(self.wei));
            keys::write(state, &keys::pools(), &pools);
        }
        ended
    }

    fn audit(&self, state: &Sealed, is_wanted: &dyn Fn() -> bool) -> Result<bool, String> {
        self.rules.audit(state, is_wanted)
    }
}

fn genesis() -> Genesis {
    let person = |seed: u8| AccountSecret::from_seed(&[seed; 32]).address();
    let key = |seed: u8| SecretKey::from_seed(&[seed; 32]).public();
    let given = Amount::stos(1_100);
    Genesis {
        name: "leak".into(),
        time: Time(1_000_000),
        parameters: Parameters { epoch_ms: 500, ..Parameters::dev() },
        reserve: Amount::ZERO,
        accounts: vec![GenesisAccount { address: person(1), balance: TOTAL_SUPPLY.saturating_sub(given), ozone_for: Amount::ZERO }],
        validators: vec![GenesisValidator {
            operator: person(10),
            key: key(10),
            stake: Amount::stos(1_000),
            commission: chain::staking::Commission::unlimited(0),
        }],
        meta_nodes: vec![GenesisNode {
            operator: person(20),
            key: key(20),
            peer: Secret::from_seed([20; 32]).peer().to_bytes(),
            addresses: vec!["/ip4/127.0.0.1/tcp/1".into()],
            deposit: Amount::stos(100),
            capacity: Bytes::ZERO,
        }],
        resource_nodes: vec![],
        continued: None,
    }
}

/// A replica that is the only voter.
async fn start(directory: &std::path::Path, wei: u128) -> (Replica<Leaky>, Running) {
    let genesis = genesis();
    let (endpoint, _) = Endpoint::start(Config::client(Secret::random(), genesis.network(), Plane::Control)).await.expect("an endpoint");
    let options = Options {
        name: "leaky".into(),
        rules: Arc::new(Leaky { rules: ValueLedger::new(genesis.hash()), wei }),
        chain: genesis.hash(),
        secret: Some(SecretKey::from_seed(&[10; 32])),
        directory: directory.to_owned(),
        times: Times { idle_ms: 20, ..Times::DEV },
        tuning: state::Tuning::shared_by(16),
        channels: VALUE,
        endpoint,
    };
    Replica::start(options, move |empty| genesis.execute(empty).expect("a genesis")).expect("a replica")
}

/// Rules that are right go on, and every epoch is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn sums_that_hold_are_compared_after_every_epoch() {
    let directory = tempfile::tempdir().expect("a directory");
    let (replica, running) = start(directory.path(), 0).await;
    let seen = async {
        let mut epochs = std::collections::BTreeSet::new();
        while epochs.len() < 3 {
            epochs.extend(replica.audited().map(|audited| audited.epoch));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        epochs
    };
    let epochs = timeout(PATIENCE, seen).await.expect("epochs end");
    assert!(epochs.iter().any(|epoch| *epoch > Epoch(0)), "{epochs:?}");
    tokio::task::spawn_blocking(move || running.stop()).await.expect("it stops");
}

/// What is made of nothing stops the process: not with the next block, but before another epoch ends; and it does not start again with that state.
#[tokio::test(flavor = "multi_thread")]
async fn a_wei_from_nowhere_stops_the_node() {
    if let Ok(leak) = std::env::var(LEAK) {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::ERROR).init();
        let (wei, directory) = leak.split_once(' ').expect("how much, and where");
        let (_replica, _running) = start(directory.as_ref(), wei.parse().expect("a number")).await;
        tokio::time::sleep(PATIENCE).await;
        panic!("it goes on with a wei from nowhere");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let run = |wei: u128| {
        let test = std::env::current_exe().expect("a test knows where it is");
        let mut command = Command::new(test);
        command.args(["--exact", "replica::audit::tests::a_wei_from_nowhere_stops_the_node", "--nocapture"]);
        command.env(LEAK, format!("{wei} {}", directory.path().display())).env("NO_COLOR", "1").output().expect("it runs")
    };
    // The second time with rules that are right: the state is not.
    for wei in [3, 0] {
        let ended = run(wei);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(EXIT_SUMS), "{said}");
        for word in ["the sums of the state do not hold", "CHAIN-1 does not hold: all accounts and pools come to ", "not 100000000000000000000000000", "epoch="]
        {
            assert!(said.contains(word), "{word} is not in\n{said}");
        }
    }
}
