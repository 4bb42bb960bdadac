//! Money planted where none belongs, and evidence where nobody lied: each is found.

use std::sync::Arc;

use chain::accounts::Account;
use chain::epochs::Current;
use chain::governance::Agenda;
use chain::keys;
use chain::ledger::EvidencePool;
use chain::parameters::Parameters;
use chain::pools::Pools;
use chain::profiles::Profile;
use chain::staking::Validator;
use chain::staking::redelegation::Moved;
use consensus::evidence::Evidence;
use consensus::justification::Base;
use consensus::vote::{Kind, Vote};
use consensus::{Header, Justification, Proposal, SignedVote};
use primitives::{Time, View};
use state::Overlay;

use super::*;
use crate::ledger::value::{self, Value, operator};
use crate::ledger::{Ledger, Order};
use crate::node::Effect;
use crate::observer::progress::Calm;
use crate::observer::{Observer, Terms};
use crate::queue::MILLI;
use crate::world::secret;

const EPOCH_MS: u64 = 1000;

/// Four validators at genesis, and their first block.
struct Stage {
    ledger: Value,
    genesis: Header,
    opening: Opening,
}

impl Stage {
    fn new() -> Self {
        let nodes: Vec<_> = (0..4).map(|node| (secret(node).public(), 10)).collect();
        let ledger = Value::new(&value::genesis(&nodes, EPOCH_MS));
        Self { genesis: ledger.header(), opening: ledger.opening(), ledger }
    }

    /// Two votes of node `node` that it may not both sign.
    fn evidence(&self, node: usize) -> Evidence {
        let members = &self.opening.members;
        let signer = members.index_of(&secret(node).public()).expect("a member");
        let sign = |kind| {
            let vote = Vote { epoch: Epoch(0), view: View(3), kind };
            let signature = secret(node).sign_deterministic(&Vote::context(self.genesis.chain), &vote.sign_bytes(members.hash()));
            SignedVote { vote, signer, signature }
        };
        Evidence::new(sign(Kind::Nullify), sign(Kind::Finalize(Hash([1; 32])))).expect("they conflict")
    }

    /// The first block, so long after genesis.
    fn block(&mut self, after_ms: u64) -> Block {
        let time = Time(self.genesis.time.0 + after_ms);
        let order = Order { parent: self.genesis.clone(), undecided: vec![], time, bytes_max: 1 << 20, proposer: 0, attendance: Attendance::default() };
        let (payload, next_members) = self.ledger.build(&order).expect("the genesis is there");
        let justification = Justification { epoch: Epoch(0), base: Base::Start, skips: vec![] };
        let digest = (self.ledger.digest())(&payload).expect("a payload");
        let (parent, height) = (self.genesis.hash(), self.genesis.height.next());
        let header =
            Header { view: View(1), height, parent, justification: justification.digest(), time, payload: digest, next_members, ..self.genesis.clone() };
        Block { header, justification, payload }
    }

    /// What is said of the block if the state after it is changed so.
    fn follow(mut self, after_ms: u64, liars: &[usize], change: impl FnOnce(&mut Overlay)) -> Result<Stakes, String> {
        let liars = liars.iter().map(|node| secret(*node).public()).collect();
        let mut stakes = Stakes::new(self.genesis.chain, self.ledger.state().expect("there is one"), liars);
        let block = self.block(after_ms);
        assert!(self.ledger.execute(&block, &Attendance::default()));
        self.ledger.commit(&[Arc::new(block.clone())]);
        let mut after = self.ledger.state().expect("there is one").child();
        change(&mut after);
        match stakes.follow(&block, &Attendance::default(), &after.seal(), &[(Epoch(0), self.opening)].into()) {
            Ok(()) => Ok(stakes),
            Err(Violation::Stake { cause, .. }) => Err(cause),
            Err(other) => panic!("{other}"),
        }
    }
}

fn found(after_ms: u64, cause: &str, change: impl FnOnce(&mut Overlay)) {
    let result = Stage::new().follow(after_ms, &[], change).map(|_| ());
    assert!(result.as_ref().is_err_and(|found| found.contains(cause)), "{result:?} instead of {cause:?}");
}

fn account(state: &mut Overlay, node: usize, change: impl FnOnce(&mut Account)) {
    let key = keys::account(&operator(node).address());
    let mut account = keys::read(state, &key).expect("it is there");
    change(&mut account);
    keys::write(state, &key, &account);
}

fn validator(state: &mut Overlay, node: usize, change: impl FnOnce(&mut Validator)) {
    let key = keys::validator(&operator(node).address());
    let mut validator = keys::read(state, &key).expect("it is there");
    change(&mut validator);
    keys::write(state, &key, &validator);
}

fn pools(state: &mut Overlay, change: impl FnOnce(&mut Pools)) {
    let mut pools = keys::read(state, &keys::pools()).expect("they are there");
    change(&mut pools);
    keys::write(state, &keys::pools(), &pools);
}

#[test]
fn what_is_wrong_with_money() {
    for after_ms in [10, EPOCH_MS] {
        assert!(Stage::new().follow(after_ms, &[], |_| {}).is_ok());
        found(after_ms, "all coins", |state| account(state, 0, |account| account.balance.0 += 1));
        found(after_ms, "the account", |state| {
            account(state, 0, |account| account.balance.0 += 1);
            account(state, 1, |account| account.balance.0 -= 1);
        });
        found(after_ms, "the pool of stake", |state| validator(state, 0, |validator| validator.stake.0 -= 1));
        found(after_ms, "the validator of", |state| {
            validator(state, 0, |validator| validator.stake.0 -= 1);
            validator(state, 1, |validator| validator.stake.0 += 1);
        });
        found(after_ms, "a validator's shares", |state| validator(state, 0, |validator| validator.shares -= 1));
        found(after_ms, "burned: Amount(1)", |state| {
            account(state, 0, |account| account.balance.0 -= 1);
            pools(state, |pools| pools.burned.0 += 1);
        });
        found(after_ms, "community: Amount(1)", |state| {
            account(state, 0, |account| account.balance.0 -= 1);
            pools(state, |pools| pools.community.0 += 1);
        });
        found(after_ms, "rewards: Amount(1)", |state| {
            account(state, 0, |account| account.balance.0 -= 1);
            pools(state, |pools| pools.rewards.0 += 1);
        });
        found(after_ms, "the pool of deposits of proposals", |state| {
            account(state, 0, |account| account.balance.0 -= 1);
            pools(state, |pools| pools.governance.0 += 1);
        });
    }
}

#[test]
fn what_nobody_asked_for() {
    let [one, other] = [0, 1].map(|node| operator(node).address());
    for after_ms in [10, EPOCH_MS] {
        found(after_ms, "the validator of", |state| validator(state, 0, |validator| validator.commission.bp += 1));
        found(after_ms, "the profile of", |state| keys::write(state, &keys::profile(&one), &Profile { name: "one".into(), ..Profile::default() }));
        found(after_ms, "next: 1", |state| keys::write(state, &keys::agenda(), &Agenda { next: 1, open: Vec::new() }));
        found(after_ms, "slash_reward_bp: 0", |state| {
            let parameters: Parameters = keys::read(state, &keys::parameters()).expect("they are there");
            keys::write(state, &keys::parameters(), &Parameters { slash_reward_bp: 0, ..parameters });
        });
        found(after_ms, "units of what moved", |state| {
            keys::write(state, &keys::moved(&one, &other, Epoch(0)), &Moved { units: 1, ..Moved::default() });
        });
        found(after_ms, "where stake moved", |state| keys::write(state, &keys::move_targets(&one, Epoch(0)), &vec![other]));
    }
}

#[test]
fn what_is_wrong_with_voters() {
    let tombstoned = Status::Tombstoned { offence: Epoch(0), until: Epoch(2) };
    for status in [tombstoned, Status::Jailed { until: Epoch(1) }] {
        found(10, "not Some(Candidate)", |state| validator(state, 2, |validator| validator.status = status));
        found(EPOCH_MS, "not Some(Candidate)", |state| validator(state, 2, |validator| validator.status = status));
    }
    let change = |state: &mut Overlay| {
        let mut voters: Vec<Voter> = keys::read(state, &keys::voters()).expect("they are there");
        voters.pop();
        keys::write(state, &keys::voters(), &voters);
    };
    found(10, "within an epoch", change);
    found(EPOCH_MS, "names other voters", change);
    found(10, "the beacon", |state| {
        let mut epoch: Current = keys::read(state, &keys::epoch()).expect("it is there");
        epoch.beacon = Hash::ZERO;
        keys::write(state, &keys::epoch(), &epoch);
    });
}

#[test]
fn evidence_is_against_liars() {
    let with = |node| {
        let mut stage = Stage::new();
        let evidence = stage.evidence(node);
        stage.ledger.accuse(&evidence);
        stage
    };
    let stakes = with(3).follow(10, &[3], |_| {}).expect("it lied");
    assert!(stakes.is_tombstoned(&secret(3).public()) && stakes.events.evidence == 1);
    assert!(with(2).follow(10, &[3], |_| {}).is_err_and(|cause| cause.starts_with("I8: evidence against the honest")));
    let pardoned = with(3).follow(10, &[3], |state| validator(state, 3, |validator| validator.status = Status::Candidate));
    assert!(pardoned.is_err_and(|cause| cause.contains("not Some(Tombstoned")));
    // The set that this block's end makes is without it.
    assert!(with(3).follow(EPOCH_MS, &[3], |_| {}).is_ok());
    let mut pool = EvidencePool::default();
    assert!(pool.insert(Stage::new().evidence(3)) && !pool.insert(Stage::new().evidence(3)));
}

/// A leader that knew of a contradiction for long proposes without it; not if it signed its block before, and crashed before it could say so.
#[test]
fn evidence_ends_in_a_block() {
    for (known_ms, signed_ms) in [(0, 2000), (1800, 2000), (30, 20)] {
        let mut stage = Stage::new();
        let calm = Calm { from: 0, delay: 10 * MILLI, work: 0, times: consensus::Times::DEV };
        let (chain, liars) = (stage.genesis.chain, vec![secret(3).public()]);
        let terms = Terms { chain, honest: vec![true; 4], liars, is_safe: true, is_corrupting: false, is_wiping: false, calm };
        let (evidence, block) = (stage.evidence(3), Arc::new(stage.block(10)));
        let vote = SignedVote { vote: Vote { epoch: Epoch(0), view: View(1), kind: Kind::Notarize(block.header.hash()) }, ..evidence.votes()[0] };
        let mut observer = Observer::new(terms, stage.genesis, Box::new(stage.ledger));
        let mut effect = |at_ms: u64, effect| observer.effect(at_ms * MILLI, 0, &effect, |_| true).expect("nothing is wrong yet");
        effect(0, Effect::Opened(stage.opening));
        effect(known_ms, Effect::Conflict(evidence));
        observer.signed.insert(block.header.hash(), signed_ms * MILLI);
        let proposal = Effect::Say { to: None, message: consensus::Message::Proposal(Proposal { block: block.clone(), vote }), after: 0 };
        observer.effect(2000 * MILLI, 0, &proposal, |_| true).expect("nothing is wrong yet");
        observer.chains.canonical.push(consensus::message::Stored { block, finality: None, closing: vec![] });
        let spared = observer.spare_nobody();
        assert_eq!(matches!(spared, Err(Violation::Spared { node: 0, .. })), known_ms == 0, "{spared:?}");
    }
}
