//! Transactions of every kind that needs no proof of the metadata ledger, and settlements and accusations of what it reports, by many actors over many epochs,
//! as they come, against books of plain sums: what each account must have is added and subtracted from the receipts and events alone, so no coin moves without
//! an event that says so, and what is refused changes nothing but fee and nonce.

use proptest::strategy::ValueTree;

use super::*;
use crate::ballots::Motion;
use crate::governance::{self, Action, Choice};
use crate::pools::Fund;
use crate::profiles::Profile;
use crate::staking::{self, Commission, delegation};

/// Who acts: payers, validators, meta nodes, carriers, and some who are nothing yet.
const ACTORS: [u8; 18] = [1, 2, 3, 9, 10, 11, 12, 20, 21, 22, 23, 30, 31, 32, 33, 40, 41, 42];
/// Kinds of steps.
const STEPS: u8 = 28;

/// One thing that happens: who does what with whom, how much of it, and how long the block before took.
#[derive(Clone, Copy, Debug)]
struct Step {
    what: u8,
    who: u8,
    other: u8,
    third: u8,
    /// Which of the edges, or how much.
    amount: u8,
    number: u64,
    after_ms: u64,
}

fn steps() -> impl Strategy<Value = Step> {
    let actor = || proptest::sample::select(ACTORS.to_vec());
    let after = prop_oneof![3 => 1..1_000u64, 1 => Just(EPOCH_MS)];
    (0..STEPS, actor(), actor(), actor(), 0..9u8, any::<u64>(), after)
        .prop_map(|(what, who, other, third, amount, number, after_ms)| cast(Step { what, who, other, third, amount, number, after_ms }))
}

/// Three in four steps are by somebody who may take them, with somebody whom they may be about.
fn cast(step: Step) -> Step {
    let one = |of: &[u8], number: u8| of[usize::from(number) % of.len()];
    let Step { what, who, other, third, .. } = step;
    if third.is_multiple_of(4) {
        return step;
    }
    let (validators, metas) = ([10, 11, 12], [20, 21]);
    let (who, other, third) = match what {
        5 => (one(&metas, who), one(&[40, 41, 42], other), third),
        6 => (one(&metas, who), one(&[30, 30, 21], other), third),
        7 => (one(&metas, who), 30, third),
        8 => (one(&[20, 30, 31, 32, 40, 41, 42], who), other, third),
        9 | 10 => (one(&[33, 40, 41], who), other, third),
        12 | 18 | 24 => (one(&validators, who), other, third),
        13 => (one(&[2, 3], who), one(&validators, other), third),
        16 => (one(&[20, 21, 30, 31, 32, 33], who), other, third),
        19..=23 => (one(&[2, 3, 11, 12], who), one(&validators, other), one(&validators, third)),
        _ => (who, other, third),
    };
    Step { who, other, third, ..step }
}

/// What everybody must have, in wei and noz, and what the pools must hold.
struct Books {
    /// Coins that can be spent.
    coins: BTreeMap<Address, u128>,
    /// Ozone, and what it cost.
    ozone: BTreeMap<Address, (u128, u128)>,
    /// Deposits of nodes.
    deposits: BTreeMap<Address, u128>,
    /// Deposits of open proposals.
    proposals: BTreeMap<u64, u128>,
    /// What nodes earned, mature or not.
    rewards: BTreeMap<Address, u128>,
    /// What validators and their delegators earned and did not collect.
    owed: u128,
    /// All stake, bonded or on its way out.
    stake: u128,
    reserve: u128,
    community: u128,
    burned: u128,
    nonces: BTreeMap<Address, u64>,
}

impl Books {
    /// As the chain is now.
    fn open(world: &World) -> Self {
        let state = world.state();
        let pools = Pools::read(state);
        let everybody = || everybody().iter().copied();
        let metas = meta_registry::nodes(state).into_iter().map(|node| (node.operator, node.deposit.0));
        let carriers = resource::operators(state).into_iter().filter_map(|operator| Some((operator, resource::read(state, &operator)?.deposit.0)));
        Self {
            coins: everybody().map(|who| (who, accounts::read(state, &who).balance.0)).collect(),
            ozone: everybody().map(|who| (who, market::ozone(state, &who))).map(|(who, ozone)| (who, (ozone.noz.0, ozone.cost.0))).collect(),
            deposits: metas.chain(carriers).collect(),
            proposals: BTreeMap::new(),
            rewards: BTreeMap::new(),
            owed: 0,
            stake: pools.stake.0 + pools.unbonding.0,
            reserve: pools.reserve.0,
            community: pools.community.0,
            burned: pools.burned.0,
            nonces: everybody().map(|who| (who, accounts::read(state, &who).nonce)).collect(),
        }
    }

    fn pay(&mut self, who: &Address, amount: u128) {
        let coins = self.coins.get_mut(who).expect("an actor");
        *coins = coins.checked_sub(amount).expect("nobody pays what it has not");
    }

    fn receive(&mut self, who: &Address, amount: u128) {
        *self.coins.get_mut(who).expect("an actor") += amount;
    }

    fn take(sums: &mut BTreeMap<Address, u128>, who: &Address, amount: u128) {
        let sum = sums.get_mut(who).expect("it has something");
        *sum = sum.checked_sub(amount).expect("nobody takes what it has not");
    }

    /// Books one event.
    fn book(&mut self, world: &World, event: &Event) {
        match event {
            Event::Sent { from, to, amount } => {
                self.pay(from, amount.0);
                self.receive(to, amount.0);
            }
            Event::OzoneBought { buyer, beneficiary, paid, noz } => {
                self.pay(buyer, paid.0);
                let (held, cost) = self.ozone.get_mut(beneficiary).expect("an actor");
                (*held, *cost) = (*held + noz.0, *cost + paid.0);
            }
            Event::ResourceRegistered { operator, deposit, .. }
            | Event::MetaApplied { operator, deposit }
            | Event::DepositRaised { operator, amount: deposit } => {
                self.pay(operator, deposit.0);
                *self.deposits.entry(*operator).or_default() += deposit.0;
            }
            Event::DepositReturned { operator, amount } => {
                Self::take(&mut self.deposits, operator, amount.0);
                self.receive(operator, amount.0);
            }
            Event::Proposed { proposal, proposer, deposit } => {
                self.pay(proposer, deposit.0);
                self.proposals.insert(*proposal, deposit.0);
            }
            Event::ProposalClosed { proposal, proposer, outcome, deposit } => {
                assert_eq!(self.proposals.remove(proposal), Some(deposit.0), "it was open");
                if *outcome == governance::Outcome::Vetoed { self.burned += deposit.0 } else { self.receive(proposer, deposit.0) }
            }
            Event::CommunitySpent { to, amount } => {
                self.community -= amount.0;
                self.receive(to, amount.0);
            }
            Event::RewardWithdrawn { owner, to, amount } => {
                Self::take(&mut self.rewards, owner, amount.0);
                self.receive(to, amount.0);
            }
            Event::ValidatorCreated { operator: delegator, stake: amount } | Event::Delegated { delegator, amount, .. } => {
                self.pay(delegator, amount.0);
                self.stake += amount.0;
            }
            Event::UnbondedWithdrawn { delegator, amount, .. } => {
                self.stake -= amount.0;
                self.receive(delegator, amount.0);
            }
            Event::RewardCollected { delegator, amount, .. } => {
                self.owed -= amount.0;
                self.receive(delegator, amount.0);
            }
            Event::ValidatorSlashed { slashed, proposer, reward, .. } => {
                self.stake -= slashed.0;
                self.burned += slashed.0 - reward.0;
                self.receive(proposer, reward.0);
            }
            Event::MetaConvicted { operator, slashed, accuser, reward, compensated, carrier, forfeited } => {
                assert_eq!((*compensated, *carrier), (Amount::ZERO, None), "nobody issues tickets here");
                Self::take(&mut self.deposits, operator, slashed.0);
                self.receive(accuser, reward.0);
                Self::take(&mut self.rewards, operator, forfeited.0);
                self.burned += slashed.0 + forfeited.0 - reward.0;
            }
            Event::Donated { from, fund, amount } => {
                self.pay(from, amount.0);
                match fund {
                    Fund::Community => self.community += amount.0,
                    Fund::Reserve => self.reserve += amount.0,
                }
            }
            Event::FeesPaid { proposer, burned, tips } => {
                self.burned += burned.0;
                proposer.iter().for_each(|proposer| self.receive(proposer, tips.0));
            }
            Event::EpochSettled { epoch, noz, released, mined, kept } => self.settle(world, *epoch, (noz.0, released.0, mined.0, kept.0)),
            // These change rights, and what stake is bonded where; no coin changes its owner.
            Event::ResourceActivated { .. }
            | Event::NodeMoved { .. }
            | Event::MetaVoted { .. }
            | Event::MetaAdmitted { .. }
            | Event::MetaLeft { .. }
            | Event::ResourceSuspended { .. }
            | Event::ResourceLeft { .. }
            | Event::ProposalVoted { .. }
            | Event::ParameterSet { .. }
            | Event::EpochBegan { .. }
            | Event::PartSettled { .. }
            | Event::EpochReported { .. }
            | Event::ReportCondemned { .. }
            | Event::ClaimedDirectly { .. }
            | Event::Undelegated { .. }
            | Event::Redelegated { .. }
            | Event::CommissionSet { .. }
            | Event::ValidatorJailed { .. }
            | Event::ValidatorUnjailed { .. }
            | Event::ValidatorTombstoned { .. }
            | Event::MotionDropped { .. }
            | Event::CandidateLeft { .. }
            | Event::VoterJoined { .. }
            | Event::VoterLeft { .. }
            | Event::OffenceWorsened { .. }
            | Event::MovedStakeSlashed { .. }
            | Event::Described { .. } => {}
        }
    }

    /// Books the result of an epoch: each payer's bytes release what they cost it, rounded down.
    fn settle(&mut self, world: &World, epoch: Epoch, (noz, released, mined, kept): (u128, u128, u128, u128)) {
        let result = settlement::settled(world.state(), epoch).expect("just settled");
        let (mut sum, mut worth) = (0, 0);
        for paid in &result.payers {
            let (held, cost) = self.ozone.get_mut(&paid.address).expect("an actor");
            assert!(paid.noz.0 <= *held, "nobody is charged more than it has");
            // The sums here are small: the product fits.
            let value = cost.checked_mul(paid.noz.0).expect("small").checked_div(*held).unwrap_or(0);
            assert_eq!(paid.released.0, value, "floor(c y / n)");
            (*held, *cost) = (*held - paid.noz.0, *cost - value);
            (sum, worth) = (sum + paid.noz.0, worth + value);
        }
        assert_eq!((sum, worth), (noz, released), "what the payers paid");
        let rewards = |shares: &[settlement::Share]| shares.iter().map(|share| share.reward.0).sum::<u128>();
        let earned = rewards(&result.carriers) + rewards(&result.metas) + rewards(&result.validators);
        assert_eq!(earned + result.tax.0 + result.dust.0, released + mined, "POT-1");
        for share in result.carriers.iter().chain(&result.metas) {
            *self.rewards.entry(share.address).or_default() += share.reward.0;
        }
        self.owed += rewards(&result.validators);
        self.reserve -= mined;
        assert_eq!(kept, result.tax.0 + result.dust.0);
        self.community += kept;
    }

    /// Books a block: its receipts, then what happened beside them, then compares every account and pool.
    fn block(&mut self, world: &World, executed: &Executed, proposer: &Address, senders: &[Address]) {
        let events = |logs: &[crate::ledger::Log]| logs.iter().map(|log| Event::from_log(log).expect("one of ours")).collect::<Vec<_>>();
        let base = executed.body.summary.base_fee.0;
        let (mut base_fees, mut tips) = (0, 0);
        // Evidence is before the transactions and the end of the block after them: what both move does not depend on the order.
        for (receipt, sender) in executed.receipts.iter().zip(senders) {
            let units = u128::from(receipt.units);
            let tip = receipt.fee.0 - units * base;
            assert!(tip.is_multiple_of(units), "the tip is by the unit");
            self.pay(sender, receipt.fee.0);
            (base_fees, tips) = (base_fees + units * base, tips + tip);
            *self.nonces.get_mut(sender).expect("an actor") += 1;
            let is_done = receipt.status == Status::Done;
            assert!(is_done || receipt.logs.is_empty());
            events(&receipt.logs).iter().for_each(|event| self.book(world, event));
        }
        let beside = events(&executed.logs);
        beside.iter().for_each(|event| self.book(world, event));
        let paid = Event::FeesPaid { proposer: Some(*proposer).filter(|_| tips > 0), burned: Amount(base_fees), tips: Amount(tips) };
        assert_eq!(beside.iter().filter(|event| **event == paid).count(), usize::from(!senders.is_empty()), "where all fees went, once");
        self.compare(world, &[executed.receipts.iter().flat_map(|receipt| events(&receipt.logs)).collect(), beside]);
    }

    /// Whether the state is what the books say, after these events of transactions and beside them.
    fn compare(&self, world: &World, events: &[Vec<Event>; 2]) {
        let state = world.state();
        for (who, coins) in &self.coins {
            let account = accounts::read(state, who);
            assert_eq!((account.balance.0, account.nonce), (*coins, self.nonces[who]), "{who} after {events:?}");
            let ozone = market::ozone(state, who);
            assert_eq!((ozone.noz.0, ozone.cost.0), self.ozone[who], "{who}");
            let node = resource::read(state, who).map(|node| node.deposit.0).or_else(|| meta_registry::read(state, who).map(|node| node.deposit.0));
            assert_eq!(node.unwrap_or(0), self.deposits.get(who).copied().unwrap_or(0), "{who}");
            let (mature, immature) = rewards::read(state, who).at(Epoch::ZERO);
            assert_eq!(mature.0 + immature.0, self.rewards.get(who).copied().unwrap_or(0), "{who}");
        }
        let sum = |sums: &BTreeMap<Address, u128>| sums.values().sum::<u128>();
        let pools = Pools::read(state);
        let expected = [
            ("deposits", sum(&self.deposits), pools.deposits.0),
            ("stake", self.stake, pools.stake.0 + pools.unbonding.0),
            ("rewards", sum(&self.rewards) + self.owed, pools.rewards.0),
            ("prepaid", self.ozone.values().map(|(_, cost)| cost).sum(), pools.prepaid.0),
            ("governance", self.proposals.values().sum(), pools.governance.0),
            ("reserve", self.reserve, pools.reserve.0),
            ("community", self.community, pools.community.0),
            ("burned", self.burned, pools.burned.0),
        ];
        for (pool, books, held) in expected {
            assert_eq!(books, held, "the pool {pool}");
        }
    }
}

/// One of an amount's edges, of what there is.
fn amount(step: &Step, all: Amount) -> Amount {
    match step.amount {
        0 => Amount::ZERO,
        1 => Amount(1),
        2 => all,
        3 => Amount(all.0.saturating_add(1)),
        4 => Amount::MAX,
        5 => Amount::stos(1),
        6 => Amount(all.0 / 2),
        _ => Amount(u128::from(step.number)),
    }
}

/// The message of a step.
fn message(world: &World, step: &Step) -> Message {
    let state = world.state();
    let (me, other, third) = (person(step.who).address(), person(step.other).address(), person(step.third).address());
    let coins = || accounts::read(state, &me).balance;
    let possession = |role| world.possession(role, &node_key(step.who), &me);
    let node = || identity(&node_key(step.who));
    let worth = |validator: &Address| {
        let shares = delegation::read(state, validator, &me).shares;
        staking::read(state, validator).map_or(Amount::ZERO, |validator| delegation::worth(shares, validator.stake, validator.shares))
    };
    let small = |step: &Step| Amount::stos(step.number % 300);
    match step.what {
        0 => Message::Send { to: other, amount: amount(step, coins()) },
        1 => Message::BuyOzone {
            amount: amount(step, Amount::stos(50)).min(Amount(1 << 70)),
            noz_min: Noz(u128::from(step.third % 2)),
            height_max: Height(world.height.0 + u64::from(step.amount % 2)),
            beneficiary: other,
        },
        2 => Message::RegisterResource { node: node(), possession: possession(POSSESSION_ROLE), capacity: Bytes(step.number >> 20), deposit: small(step) },
        3 => Message::RegisterMeta { node: node(), possession: possession(POSSESSION_ROLE), deposit: small(step) },
        4 => Message::MoveNode { addresses: vec!["/ip4/1.2.3.4/tcp/5".into(); usize::from(step.amount)] },
        5 => Message::VoteMeta { motion: Motion::Admit(other) },
        6 => Message::VoteMeta { motion: if step.amount < 5 { Motion::Suspend(other) } else { Motion::Expel(other) } },
        7 => Message::VoteMeta { motion: Motion::Resume(other) },
        8 => Message::TopUpDeposit { amount: amount(step, coins()) },
        9 if step.amount < 3 => Message::LeaveRegistry,
        9 | 10 => Message::WithdrawDeposit,
        11 => {
            let action = match step.amount {
                0..=2 => Action::Spend { to: other, amount: Amount(u128::from(step.number >> 40)) },
                3 => Action::AdmitMeta { operator: other },
                4 => Action::RemoveMeta { operator: other },
                _ => Action::SetParameter { name: "community_tax_bp".into(), value: u128::from(step.number % 1_200) },
            };
            Message::Propose { title: "a change".into(), text: String::new(), actions: vec![action] }
        }
        12 | 13 => {
            let open = governance::agenda(state).open;
            let proposal = open.get(usize::from(step.third) % open.len().max(1)).copied().unwrap_or(step.number);
            let choice = [Choice::Yes, Choice::No, Choice::Abstain, Choice::Veto][usize::from(step.amount % 4)];
            let validators = if step.what == 12 { Vec::new() } else { vec![other] };
            Message::VoteProposal { proposal, choice, validators }
        }
        14 => {
            let epoch = settlement::progress(state).epoch;
            let payer = [1, 2, 3][usize::from(step.amount % 3)];
            let traffic = [(payer, 30 + step.other % 4, step.number % 1_000_000 + 5), (payer, 30 + step.third % 4, 7)];
            let (report, mut parts) = world.report(epoch, if step.other % 4 == step.third % 4 { &traffic[..1] } else { &traffic });
            Message::Settle { report, part: parts.pop().map(Box::new) }
        }
        15 => {
            let epoch = Epoch(settlement::progress(state).epoch.0.saturating_sub(1));
            let payer = [1, 2, 3][usize::from(step.amount % 3)];
            world.direct(epoch, 30 + step.other % 4, &[(payer, step.number % 1_000_000 + 5)], &[super::traffic::Known::new(payer, 1 << 40)])
        }
        16 => Message::Withdraw { to: other, amount: amount(step, rewards::read(state, &me).at(epochs::current(state).number).0) },
        17 => {
            let commission = Commission { bp: u32::from(step.amount) * 100, max_bp: 1_000 };
            Message::CreateValidator { key: node_key(step.who).public(), possession: possession(VALIDATOR_POSSESSION_ROLE), stake: small(step), commission }
        }
        18 => Message::SetCommission { bp: u32::from(step.amount) * 150 },
        19 => Message::Delegate { validator: other, amount: amount(step, coins()) },
        20 => Message::Undelegate { validator: other, amount: amount(step, worth(&other)) },
        21 => Message::Redelegate { from: other, to: third, amount: amount(step, worth(&other)) },
        22 => Message::CollectReward { validator: other },
        23 => Message::WithdrawUnbonded { validator: other },
        24 => Message::Unjail,
        25 => Message::Describe { profile: Profile { name: "n".repeat(usize::from(step.third)), ..Profile::default() } },
        26 => Message::Donate { fund: if step.third.is_multiple_of(2) { Fund::Community } else { Fund::Reserve }, amount: amount(step, coins()) },
        _ => {
            let epoch = Epoch(settlement::progress(state).epoch.0.saturating_sub(1));
            let (report, mut parts) = world.report(epoch, &[(1, 30, step.number % 1_000 + 5)]);
            Message::AccuseReport { epoch, report, part: parts.pop().map(Box::new) }
        }
    }
}

/// A world in which all of it can happen: two meta nodes, two validators more with delegators, everybody with coins.
fn lively() -> World {
    let mut world = World::new();
    activate(&mut world, &[20, 21]);
    for number in ACTORS {
        let amount = Amount::stos(500);
        world.run_by(9, send(number, amount)).expect("rich");
    }
    for (number, stake) in [(11, 300), (12, 200)] {
        let possession = world.possession(VALIDATOR_POSSESSION_ROLE, &node_key(number), &person(number).address());
        let commission = Commission { bp: 500, max_bp: 1_000 };
        let create = Message::CreateValidator { key: node_key(number).public(), possession, stake: Amount::stos(stake), commission };
        world.run_by(number, create).expect("new");
        world.run_by(2, Message::Delegate { validator: person(number).address(), amount: Amount::stos(50) }).expect("rich");
    }
    world.block(EPOCH_MS, Vec::new());
    world
}

/// Plays the steps, one block each, and keeps the books; how often each kind of step was done.
fn play(steps: &[Step]) -> BTreeMap<u8, u32> {
    let (mut world, mut done) = (lively(), BTreeMap::new());
    let mut books = Books::open(&world);
    for step in steps {
        let proposer = staking::validators(world.state())[0].operator;
        let (sender, message) = (person(step.who), message(&world, step));
        let bytes = world.transaction(&sender, accounts::read(world.state(), &sender.address()).nonce, vec![message]);
        let verified = world.rules.verify(std::slice::from_ref(&bytes)).remove(0).expect("signed");
        // On a copy first: what is refused changes nothing but fee and nonce.
        let alone = world.outcome(&verified);
        let members = world.rules.electorate(world.state()).members;
        let count = u16::try_from(members.list().len()).expect("few");
        // Who is silent is so for a whole epoch, and jailed for it.
        let lot = steps[0].number.wrapping_mul(epochs::current(world.state()).number.0 + 1);
        let silent: Vec<u16> = (0..count).filter(|index| (lot >> (8 + 2 * index)) & 3 == 0).collect();
        let culprit = node_key(11 + step.other % 2);
        let is_caught = step.number & 31 == 0 && members.index_of(&culprit.public()).is_some();
        let evidence = is_caught.then(|| contradiction(&world, step.amount, &culprit));
        let executed = world.block_of(step.after_ms, evidence.as_slice(), &silent, vec![bytes]);
        if let [receipt] = &executed.receipts[..] {
            let is_done = receipt.status == Status::Done;
            assert!(!executed.body.evidence.is_empty() || is_done == alone.is_ok(), "{:?}, {alone:?}", receipt.status);
            *done.entry(step.what).or_default() += u32::from(is_done);
        }
        books.block(&world, &executed, &proposer, &vec![sender.address(); executed.receipts.len()]);
    }
    done
}

proptest! {
    #![proptest_config(ProptestConfig { cases: searched(24), ..ProptestConfig::default() })]

    /// Checks CHAIN-1, CHAIN-2, CHAIN-3 and, by [`World::block`], every other sum of [`crate::invariants`].
    #[test]
    fn books_are_kept_by_events_alone(steps in proptest::collection::vec(steps(), 1..120)) {
        play(&steps);
    }
}

/// The steps reach everything: with lots that are always the same, every kind of message is done, not only tried.
#[test]
fn the_books_see_every_kind_of_message() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut done: BTreeMap<u8, u32> = BTreeMap::new();
    for _ in 0..24 {
        let steps = proptest::collection::vec(steps(), 120).new_tree(&mut runner).expect("a value").current();
        play(&steps).into_iter().for_each(|(what, count)| *done.entry(what).or_default() += count);
    }
    let never: Vec<u8> = (0..STEPS).filter(|what| done.get(what).copied().unwrap_or(0) == 0).collect();
    // A true report cannot be accused.
    assert_eq!(never, [STEPS - 1], "{done:?}");
}
