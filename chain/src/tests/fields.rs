//! Every field of every transaction at 0, 1, its most and one more, by the wrong owner, in the wrong state and epoch, again and out of order: each is taken or
//! refused with its own words, and what is refused changes nothing but its sender's fee and nonce (CHAIN-3).

use std::collections::BTreeSet;

use super::*;
use crate::ballots::Motion;
use crate::fees;
use crate::governance::{ACTIONS_MAX, Action, Choice, NAMED_MAX, TEXT_BYTES_MAX, TITLE_BYTES_MAX};
use crate::pools::Fund;
use crate::profiles::Profile;
use crate::staking::Commission;
use crate::transaction::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, MEMO_BYTES_MAX, MESSAGES_MAX, Verified};

/// A message and the words with which it is refused; none if it is taken.
type Row = (u8, Message, &'static str);

impl World {
    /// Executes a verified transaction as the first of the next block, and drops what it did. Checks CHAIN-3 if it fails.
    pub(super) fn outcome(&self, verified: &Verified) -> Result<(), String> {
        let info = self.next(1);
        let mut after = self.state().child();
        let terms = self.rules.terms(&after, &info);
        let receipt = match self.rules.apply(&mut after, &info, &terms, verified) {
            Ok(receipt) => receipt,
            Err(refusal) => {
                assert_eq!(after.seal().root(), self.state().root(), "CHAIN-3: {refusal}");
                return Err(refusal.to_string());
            }
        };
        let Status::Failed(text) = receipt.status else { return Ok(()) };
        let sender = verified.sender;
        let mut charged = self.state().child();
        let account = accounts::read(&charged, &sender);
        let next = accounts::Account { nonce: account.nonce + 1, ..account };
        let fee = fees::charge(&mut charged, &terms, verified, next).expect("it was charged");
        assert_eq!(fee.sum, receipt.fee);
        assert_eq!(after.seal().root(), charged.seal().root(), "CHAIN-3: {text}");
        Err(text)
    }

    fn asks(&self, who: u8, message: Message) -> Result<(), String> {
        let nonce = accounts::read(self.state(), &person(who).address()).nonce;
        let bytes = self.transaction(&person(who), nonce, vec![message]);
        self.outcome(&self.rules.verify(&[bytes]).remove(0).map_err(|refusal| refusal.to_string())?)
    }

    /// Runs what must succeed.
    fn done(&mut self, who: u8, message: Message) {
        self.run_by(who, message).unwrap_or_else(|text| panic!("{who}: {text}"));
    }
}

fn of(number: u8) -> Address {
    person(number).address()
}

fn stos(amount: u64) -> Amount {
    Amount::stos(amount)
}

fn possession(world: &World, role: &'static str, who: u8, key: u8) -> primitives::Signature {
    world.possession(role, &node_key(key), &of(who))
}

fn register(world: &World, who: u8, key: u8, capacity: u64, deposit: Amount) -> Message {
    let possession = possession(world, POSSESSION_ROLE, who, key);
    Message::RegisterResource { node: identity(&node_key(key)), possession, capacity: Bytes(capacity), deposit }
}

fn apply(world: &World, who: u8, key: u8, deposit: Amount) -> Message {
    Message::RegisterMeta { node: identity(&node_key(key)), possession: possession(world, POSSESSION_ROLE, who, key), deposit }
}

fn create(world: &World, who: u8, key: u8, stake: Amount, commission: Commission) -> Message {
    let possession = possession(world, VALIDATOR_POSSESSION_ROLE, who, key);
    Message::CreateValidator { key: node_key(key).public(), possession, stake, commission }
}

fn propose(title: usize, text: usize, actions: Vec<Action>) -> Message {
    Message::Propose { title: "t".repeat(title), text: "t".repeat(text), actions }
}

fn set(name: &str, value: u128) -> Action {
    Action::SetParameter { name: name.into(), value }
}

/// The meta nodes 20 to 23 are active, 24 applies, 20's is the report's signature. Of the carriers 30 to 35, 34 is suspended and 35 leaves. The validators are 10
/// and 11, 12 is jailed and 13 tombstoned; 2 has stake with 10, 11 and 13. Proposal 0 is open. 40 and 41 have coins and nothing else. Epoch 0 is reported and
/// in its challenge, epoch 1 is over.
fn busy() -> World {
    let mut world = World::new();
    activate(&mut world, &[20, 21, 22, 23]);
    for number in (10..14).chain(20..25).chain(30..36).chain(40..42) {
        world.done(9, send(number, stos(1_000)));
    }
    world.done(11, create(&world, 11, 11, stos(300), Commission { bp: 500, max_bp: 700 }));
    world.done(12, create(&world, 12, 12, stos(10), Commission::unlimited(0)));
    world.done(13, create(&world, 13, 13, stos(10), Commission::unlimited(0)));
    world.done(2, Message::Delegate { validator: of(13), amount: stos(20) });
    world.done(2, Message::Delegate { validator: of(10), amount: stos(20) });
    world.done(2, Message::Delegate { validator: of(11), amount: stos(20) });
    world.done(35, Message::LeaveRegistry);
    for voter in [20, 21, 22] {
        world.done(voter, Message::VoteMeta { motion: Motion::Suspend(of(34)) });
    }
    world.block(EPOCH_MS, Vec::new());
    let mut state = world.state().child();
    let mut jailed = crate::staking::read(&state, &of(12)).expect("made");
    jailed.status = crate::staking::Status::Jailed { until: Epoch(3) };
    crate::staking::write(&mut state, &jailed);
    world.parent.state = state.seal();
    world.done(2, propose(1, 1, vec![set("community_tax_bp", 300)]));
    world.done(2, Message::Undelegate { validator: of(11), amount: stos(5) });
    let (report, mut parts) = world.report_of(Epoch(0), &[(1, 30, 50_000)], &[20]);
    world.done(40, Message::Settle { report, part: parts.pop().map(Box::new) });
    world.block(EPOCH_MS, Vec::new());
    let proof = contradiction(&world, 1, &node_key(13));
    world.block_with(100, &[proof], Vec::new());
    world
}

/// The name of a message's kind, which its rows are counted under.
fn kind(message: &Message) -> &'static str {
    match message {
        Message::Send { .. } => "Send",
        Message::BuyOzone { .. } => "BuyOzone",
        Message::RegisterResource { .. } => "RegisterResource",
        Message::RegisterMeta { .. } => "RegisterMeta",
        Message::MoveNode { .. } => "MoveNode",
        Message::VoteMeta { .. } => "VoteMeta",
        Message::TopUpDeposit { .. } => "TopUpDeposit",
        Message::LeaveRegistry => "LeaveRegistry",
        Message::WithdrawDeposit => "WithdrawDeposit",
        Message::Propose { .. } => "Propose",
        Message::VoteProposal { .. } => "VoteProposal",
        Message::Settle { .. } => "Settle",
        Message::ClaimDirectly { .. } => "ClaimDirectly",
        Message::AccuseReport { .. } => "AccuseReport",
        Message::AccuseIssuer { .. } => "AccuseIssuer",
        Message::Withdraw { .. } => "Withdraw",
        Message::CreateValidator { .. } => "CreateValidator",
        Message::SetCommission { .. } => "SetCommission",
        Message::Delegate { .. } => "Delegate",
        Message::Undelegate { .. } => "Undelegate",
        Message::Redelegate { .. } => "Redelegate",
        Message::CollectReward { .. } => "CollectReward",
        Message::WithdrawUnbonded { .. } => "WithdrawUnbonded",
        Message::Unjail => "Unjail",
        Message::Describe { .. } => "Describe",
        Message::Donate { .. } => "Donate",
    }
}

/// Kinds of messages, each of which has rows.
const KINDS: usize = 26;

fn money(world: &World) -> Vec<Row> {
    let height = world.height.next();
    let buy = |amount, noz_min, height_max| Message::BuyOzone { amount, noz_min, height_max, beneficiary: of(41) };
    let withdraw = |amount| Message::Withdraw { to: of(41), amount };
    let donate = |fund, amount| Message::Donate { fund, amount };
    vec![
        (40, send(41, Amount::ZERO), ""),
        (40, send(41, Amount(1)), ""),
        (40, send(40, stos(900)), ""),
        (40, send(41, stos(1_000)), "wei are missing"),
        (40, send(41, Amount::MAX), "wei are missing"),
        (40, buy(Amount::ZERO, Noz(1), height), "noz are for sale at"),
        (40, buy(Amount(1), Noz::ZERO, height), "noz are for sale at"),
        (40, buy(stos(1), Noz(1), height), ""),
        (40, buy(stos(1), Noz(1), Height(height.0 - 1)), "the offer stood until height 33, this is 34"),
        (40, buy(stos(1), Noz(1), Height(0)), "the offer stood until height 0, this is"),
        (40, buy(stos(1), Noz(1), Height(u64::MAX)), ""),
        (40, buy(stos(1), Noz(u128::MAX), height), "noz now, below the"),
        (40, buy(stos(1_001), Noz(1), height), "wei are missing"),
        (40, buy(Amount::MAX, Noz(1), height), "the pool after the payment is above what can be counted"),
        (30, withdraw(Amount::ZERO), "a withdrawal of 0 wei"),
        (30, withdraw(Amount(1)), "0 wei are mature, 1 wei were asked for; 0 wei are still maturing"),
        (40, withdraw(Amount::MAX), "wei were asked for; 0 wei are still maturing"),
        (40, donate(Fund::Community, Amount::ZERO), "0 wei are no gift"),
        (40, donate(Fund::Community, Amount(1)), ""),
        (40, donate(Fund::Reserve, stos(999)), ""),
        (40, donate(Fund::Reserve, stos(1_000)), "wei are missing"),
        (40, donate(Fund::Community, Amount::MAX), "wei are missing"),
    ]
}

fn registries(world: &World) -> Vec<Row> {
    let addresses = |count: usize, bytes: usize| vec!["a".repeat(bytes); count];
    let changed = |change: &dyn Fn(&mut NodeIdentity)| {
        let mut message = register(world, 40, 50, 1, stos(1));
        if let Message::RegisterResource { node, .. } = &mut message {
            change(node);
        }
        message
    };
    let vote = |motion| Message::VoteMeta { motion };
    let profile = |[name, website, contact, details]: [usize; 4]| {
        let of = |bytes: usize| "n".repeat(bytes);
        Message::Describe { profile: Profile { name: of(name), website: of(website), contact: of(contact), details: of(details) } }
    };
    let named = |name: &str| Message::Describe { profile: Profile { name: name.into(), ..Profile::default() } };
    let top_up = |amount| Message::TopUpDeposit { amount };
    vec![
        (40, register(world, 40, 50, 0, stos(1)), "a node must offer at least 1 byte"),
        (40, register(world, 40, 50, 1, stos(1)), ""),
        (40, register(world, 40, 50, 1, Amount(stos(1).0 - 1)), "wei, this node needs at least"),
        (40, register(world, 40, 50, (1 << 40) + 1, stos(1)), "wei, this node needs at least"),
        (40, register(world, 40, 50, 999 << 40, stos(999)), ""),
        (40, register(world, 40, 50, u64::MAX, stos(1_001)), "wei, this node needs at least"),
        (40, register(world, 40, 50, 1, stos(1_001)), "wei are missing"),
        (40, register(world, 41, 50, 1, stos(1)), "the node's key did not sign for this operator"),
        (40, register(world, 40, 20, 1, stos(1)), ""),
        (30, register(world, 30, 50, 1, stos(1)), "already operates a node"),
        (20, register(world, 20, 50, 1, stos(1)), "already operates a node"),
        (35, register(world, 35, 50, 1, stos(1)), "already operates a node"),
        (40, changed(&|node| node.addresses = addresses(ADDRESSES_MAX, ADDRESS_BYTES_MAX)), ""),
        (
            40,
            changed(&|node| node.addresses = addresses(ADDRESSES_MAX + 1, 1)),
            "9 addresses with at most 1 bytes each and a peer id of 38 bytes; allowed are 1 to 8, 128 and 1 to 64",
        ),
        (
            40,
            changed(&|node| node.addresses = addresses(1, ADDRESS_BYTES_MAX + 1)),
            "1 addresses with at most 129 bytes each and a peer id of 38 bytes; allowed are 1 to 8, 128 and 1 to 64",
        ),
        (40, changed(&|node| node.addresses.clear()), "0 addresses with at most 0 bytes each and a peer id of 38 bytes; allowed are 1 to 8, 128 and 1 to 64"),
        (40, changed(&|node| node.peer.clear()), "1 addresses with at most 20 bytes each and a peer id of 0 bytes; allowed are 1 to 8, 128 and 1 to 64"),
        (40, changed(&|node| node.peer = vec![1; 64]), ""),
        (40, changed(&|node| node.peer = vec![1; 65]), "1 addresses with at most 20 bytes each and a peer id of 65 bytes; allowed are 1 to 8, 128 and 1 to 64"),
        (40, changed(&|node| node.key = PublicKey([0xff; 32])), "the node's key did not sign for this operator"),
        (40, apply(world, 40, 50, Amount(stos(100).0 - 1)), "wei, this node needs at least"),
        (40, apply(world, 40, 50, stos(100)), ""),
        (40, apply(world, 40, 50, stos(1_001)), "wei are missing"),
        (40, apply(world, 41, 50, stos(100)), "the node's key did not sign for this operator"),
        (40, apply(world, 40, 21, stos(100)), "the key is or was that of the meta node of"),
        (24, apply(world, 24, 50, stos(100)), "already operates a node"),
        (30, apply(world, 30, 50, stos(100)), "already operates a node"),
        (
            30,
            Message::MoveNode { addresses: addresses(0, 0) },
            "0 addresses with at most 0 bytes each and a peer id of 38 bytes; allowed are 1 to 8, 128 and 1 to 64",
        ),
        (30, Message::MoveNode { addresses: addresses(ADDRESSES_MAX, ADDRESS_BYTES_MAX) }, ""),
        (
            30,
            Message::MoveNode { addresses: addresses(ADDRESSES_MAX + 1, 1) },
            "9 addresses with at most 1 bytes each and a peer id of 38 bytes; allowed are 1 to 8, 128 and 1 to 64",
        ),
        (
            20,
            Message::MoveNode { addresses: addresses(1, ADDRESS_BYTES_MAX + 1) },
            "1 addresses with at most 129 bytes each and a peer id of 38 bytes; allowed are 1 to 8, 128 and 1 to 64",
        ),
        (40, Message::MoveNode { addresses: addresses(1, 1) }, "operates no node"),
        (23, vote(Motion::Suspend(of(34))), "that node is suspended"),
        (20, vote(Motion::Suspend(of(35))), "that node is leaving"),
        (20, vote(Motion::Suspend(of(40))), "that node is no resource node"),
        (20, vote(Motion::Suspend(of(30))), ""),
        (20, vote(Motion::Resume(of(34))), ""),
        (20, vote(Motion::Resume(of(30))), "that node is active"),
        (20, vote(Motion::Admit(of(24))), ""),
        (20, vote(Motion::Admit(of(21))), "that node is active"),
        (20, vote(Motion::Admit(of(40))), "that node is no meta node"),
        (20, vote(Motion::Expel(of(21))), ""),
        (20, vote(Motion::Expel(of(20))), ""),
        (20, vote(Motion::Expel(of(24))), "that node is an applicant"),
        (24, vote(Motion::Admit(of(24))), "operates no active meta node, and only those vote"),
        (30, vote(Motion::Resume(of(34))), "operates no active meta node, and only those vote"),
        (40, vote(Motion::Suspend(of(30))), "operates no active meta node, and only those vote"),
        (30, top_up(Amount::ZERO), "0 wei add nothing to a deposit"),
        (30, top_up(Amount(1)), ""),
        (34, top_up(Amount(1)), ""),
        (24, top_up(Amount(1)), ""),
        (20, top_up(stos(1_001)), "wei are missing"),
        (30, top_up(Amount::MAX), "wei are missing"),
        (35, top_up(Amount(1)), "is leaving"),
        (40, top_up(Amount(1)), "operates no node"),
        (30, Message::LeaveRegistry, ""),
        (20, Message::LeaveRegistry, ""),
        (24, Message::LeaveRegistry, ""),
        (34, Message::LeaveRegistry, ""),
        (35, Message::LeaveRegistry, "is leaving"),
        (40, Message::LeaveRegistry, "operates no node"),
        (35, Message::WithdrawDeposit, "the deposit can be withdrawn from epoch 7 on; this is epoch 2"),
        (30, Message::WithdrawDeposit, "is active"),
        (20, Message::WithdrawDeposit, "is active"),
        (40, Message::WithdrawDeposit, "operates no node"),
        (30, profile([70, 140, 140, 280]), ""),
        (20, profile([0; 4]), ""),
        (11, profile([1; 4]), ""),
        (24, profile([1; 4]), ""),
        (30, profile([71, 0, 0, 0]), "the name has 71 bytes, at most 70 are allowed"),
        (30, profile([0, 141, 0, 0]), "the website has 141 bytes, at most 140 are allowed"),
        (30, profile([0, 0, 141, 0]), "the contact has 141 bytes, at most 140 are allowed"),
        (30, profile([0, 0, 0, 281]), "281 bytes, at most 280 are allowed"),
        (30, named("two\nlines"), "the name has the character U+000A"),
        (30, named("\u{202e}turned"), "the name has the character U+202E"),
        (40, profile([1; 4]), "operates no validator and no node"),
    ]
}

fn decisions() -> Vec<Row> {
    let one = || vec![set("community_tax_bp", 300)];
    let spend = |amount| vec![Action::Spend { to: of(40), amount }];
    let vote = |proposal, validators: &[u8]| {
        let validators = validators.iter().map(|number| of(*number)).collect();
        Message::VoteProposal { proposal, choice: Choice::Yes, validators }
    };
    let many: Vec<u8> = (0..=u8::try_from(NAMED_MAX).expect("small")).collect();
    vec![
        (40, propose(0, 0, Vec::new()), ""),
        (40, propose(TITLE_BYTES_MAX, TEXT_BYTES_MAX, vec![set("community_tax_bp", 300); ACTIONS_MAX]), ""),
        (40, propose(TITLE_BYTES_MAX + 1, 0, one()), "bytes of a title: 129; at most 128 are possible"),
        (40, propose(0, TEXT_BYTES_MAX + 1, one()), "bytes of a text: 2049; at most 2048 are possible"),
        (40, propose(1, 1, vec![set("community_tax_bp", 300); ACTIONS_MAX + 1]), "actions: 9; at most 8 are possible"),
        (40, propose(1, 1, vec![set("", 1)]), "there is no parameter ``"),
        (40, propose(1, 1, vec![set(&"x".repeat(65), 1)]), "bytes of a parameter's name: 65; at most 64 are possible"),
        (40, propose(1, 1, vec![set("community_tax_bp", 10_001)]), "parameter community_tax_bp: 10001 basis points; 0 to 10000 are possible"),
        (40, propose(1, 1, vec![set("community_tax_bp", u128::MAX)]), "basis points; 0 to 10000 are possible"),
        (40, propose(1, 1, vec![set("evidence_epochs", 5)]), "parameter unbonding_epochs: 4 epochs, but evidence is taken for 5: who is guilty would be gone"),
        (40, propose(1, 1, vec![set("epoch_ms", 0)]), "parameter epoch_ms: 0 ms; 1 to"),
        (40, propose(1, 1, spend(Amount::ZERO)), "an action that spends 0 wei"),
        (40, propose(1, 1, spend(Amount(1))), ""),
        (40, propose(1, 1, spend(Amount::MAX)), ""),
        (1, propose(1, 1, one()), ""),
        (3, propose(1, 1, one()), "wei are missing"),
        (10, vote(0, &[]), ""),
        (10, vote(1, &[]), "proposal 1 is not open"),
        (10, vote(u64::MAX, &[]), "is not open"),
        (40, vote(0, &[]), "operates no validator: name the validators with whose stake you vote"),
        (40, vote(0, &[10]), "has no stake of its own with the validator of"),
        (2, vote(0, &[10, 11]), ""),
        (2, vote(0, &[10, 10]), "is named twice, or is the voter's own"),
        (10, vote(0, &[10]), "is named twice, or is the voter's own"),
        (2, vote(0, &[12]), "has no stake of its own with the validator of"),
        (2, vote(0, &[40]), "has no stake of its own with the validator of"),
        (2, vote(0, &many), "validators in a vote: 17; at most 16 are possible"),
    ]
}

fn stakes(world: &World) -> Vec<Row> {
    let unlimited = Commission::unlimited(0);
    let delegate = |validator, amount| Message::Delegate { validator: of(validator), amount };
    let undelegate = |validator, amount| Message::Undelegate { validator: of(validator), amount };
    let redelegate = |from, to, amount| Message::Redelegate { from: of(from), to: of(to), amount };
    let commission = |bp| Message::SetCommission { bp };
    let more = |amount: Amount| Amount(amount.0 + 1);
    vec![
        (40, create(world, 40, 60, Amount::ZERO, unlimited), "the stake is 0 wei; a vote weighs whole stos, so it takes at least"),
        (40, create(world, 40, 60, Amount(stos(1).0 - 1), unlimited), "wei; a vote weighs whole stos, so it takes at least"),
        (40, create(world, 40, 60, stos(1), unlimited), ""),
        (40, create(world, 40, 60, stos(1_001), unlimited), "wei are missing"),
        (40, create(world, 40, 60, Amount::MAX, unlimited), "wei are missing"),
        (40, create(world, 40, 60, stos(1), Commission { bp: 10_000, max_bp: 10_000 }), ""),
        (
            40,
            create(world, 40, 60, stos(1), Commission { bp: 10_001, max_bp: 10_001 }),
            "a commission of 10001 basis points that can be raised to 10001; it is at most that, and that at most 10000, which are all of a reward",
        ),
        (
            40,
            create(world, 40, 60, stos(1), Commission { bp: 1, max_bp: 0 }),
            "a commission of 1 basis points that can be raised to 0; it is at most that, and that at most 10000, which are all of a reward",
        ),
        (40, create(world, 40, 60, stos(1), Commission { bp: 0, max_bp: u32::MAX }), "it is at most that, and that at most 10000, which are all of a reward"),
        (40, create(world, 41, 60, stos(1), unlimited), "the consensus key did not sign for this operator"),
        (40, create(world, 40, 11, stos(1), unlimited), "the consensus key is or was that of"),
        (11, create(world, 11, 60, stos(1), unlimited), "operates a validator already"),
        (11, commission(0), ""),
        (11, commission(600), ""),
        (11, commission(601), "the commission was 500 basis points when the epoch began and is raised by at most 100 in one; 601 were asked for"),
        (11, commission(701), "the commission is 701 basis points, this validator's limit is 700"),
        (11, commission(u32::MAX), "basis points, this validator's limit is 700"),
        (40, commission(1), "operates no validator"),
        (40, delegate(11, Amount::ZERO), "0 wei buy no share of the stake"),
        (40, delegate(11, Amount(1)), ""),
        (40, delegate(11, stos(1_001)), "wei are missing"),
        (40, delegate(11, Amount::MAX), "wei are missing"),
        (40, delegate(40, stos(1)), "operates no validator"),
        (40, delegate(13, stos(1)), "is tombstoned and never votes again"),
        (2, undelegate(10, Amount::ZERO), "a withdrawal of 0 wei from a stake"),
        (2, undelegate(10, Amount(1)), ""),
        (2, undelegate(10, stos(20)), ""),
        (2, undelegate(10, more(stos(20))), "wei were asked for; what moved here itself waits for its time"),
        (2, undelegate(10, Amount::MAX), "wei were asked for; what moved here itself waits for its time"),
        (2, undelegate(13, stos(1)), "the validator is tombstoned and its stake locked until epoch 5 is over; this is epoch 2"),
        (40, undelegate(10, Amount(1)), "there is no such delegation to"),
        (2, undelegate(40, Amount(1)), "there is no such delegation to"),
        (2, redelegate(10, 11, Amount::ZERO), "a withdrawal of 0 wei from a stake"),
        (2, redelegate(10, 11, Amount(1)), "1 wei; the first that moves between two validators in an epoch is at least"),
        (2, redelegate(10, 11, stos(1)), ""),
        (2, redelegate(10, 11, stos(20)), ""),
        (2, redelegate(10, 11, more(stos(20))), "wei were asked for; what moved here itself waits for its time"),
        (2, redelegate(10, 11, Amount::MAX), "wei were asked for; what moved here itself waits for its time"),
        (2, redelegate(10, 10, stos(1)), "the stake is with"),
        (2, redelegate(10, 40, stos(1)), "operates no validator"),
        (2, redelegate(10, 13, stos(1)), "is tombstoned: no stake moves there"),
        (2, redelegate(13, 10, stos(1)), "is tombstoned: no stake moves there"),
        (2, redelegate(40, 10, stos(1)), "there is no such delegation to"),
        (40, redelegate(10, 11, stos(1)), "wei were asked for; what moved here itself waits for its time"),
        (2, Message::CollectReward { validator: of(10) }, "has earned nothing with the validator of"),
        (40, Message::CollectReward { validator: of(10) }, "has earned nothing with the validator of"),
        (40, Message::CollectReward { validator: of(40) }, "has earned nothing with the validator of"),
        (2, Message::WithdrawUnbonded { validator: of(11) }, "is due: the next is in epoch 6; this is epoch 2"),
        (2, Message::WithdrawUnbonded { validator: of(10) }, "is due: nothing is on its way; this is epoch 2"),
        (40, Message::WithdrawUnbonded { validator: of(40) }, "is due: nothing is on its way; this is epoch 2"),
        (10, Message::Unjail, "is not jailed"),
        (13, Message::Unjail, "is tombstoned and never votes again"),
        (12, Message::Unjail, "the validator is jailed until epoch 3 is over; this is epoch 2"),
        (40, Message::Unjail, "operates no validator"),
    ]
}

fn traffic(world: &World) -> Vec<Row> {
    let settle = |epoch: u64, traffic: &[(u8, u8, u64)], metas: &[u8]| {
        let (report, mut parts) = world.report_of(Epoch(epoch), traffic, metas);
        Message::Settle { report, part: parts.pop().map(Box::new) }
    };
    let (report, parts) = world.report_of(Epoch(0), &[(1, 30, 50_000)], &[20]);
    let accuse = |epoch: u64| Message::AccuseReport { epoch: Epoch(epoch), report: report.clone(), part: parts.first().cloned().map(Box::new) };
    let nothing = || Box::new(world.certify(&Memory::new().child().seal(), Vec::new(), &[20]));
    let claim = |epoch: u64, carrier: u8, known: &[super::traffic::Known]| world.direct(Epoch(epoch), carrier, &[(1, 40_000)], known);
    let known = [super::traffic::Known::new(1, 1_000_000)];
    let ticket = super::traffic::ticket(world, Epoch(0), 30, 1, 1);
    let [ticket, stranger] = [ticket, pot::Ticket { issuer: of(40), ..ticket }].map(|ticket| pot::Signed::sign(ticket, &node_key(20)));
    vec![
        (40, settle(0, &[(1, 30, 50_000)], &[20]), "the proof does not contain the report of epoch 1, which is the next to be reported"),
        (40, settle(1, &[], &[20, 21, 22]), "which the registry did not name"),
        (40, settle(1, &[], &[20, 21, 22, 23]), ""),
        (40, settle(1, &[], &[20, 21]), "which the registry did not name, or not in the last 32 epochs"),
        (40, settle(2, &[], &[20, 21, 22, 23]), "the proof does not contain the report of epoch 1, which is the next to be reported"),
        (40, settle(u64::MAX, &[], &[20, 21, 22, 23]), "the proof does not contain the report of epoch 1, which is the next to be reported"),
        (40, settle(1, &[], &[21]), "which the registry did not name, or not in the last 32 epochs"),
        (40, Message::Settle { report: nothing(), part: None }, "the proof does not contain the report of epoch 1, which is the next to be reported"),
        (40, claim(0, 31, &known), ""),
        (31, claim(0, 31, &known), ""),
        (31, claim(0, 31, &[]), "has reserved nothing in epoch 0, as far as the proof shows"),
        (31, claim(1, 31, &known), "epoch 1 is not open to direct claims: epochs 0 up to, not including, 1 are, and this is epoch 2"),
        (31, claim(u64::MAX - 1, 31, &known), "is not open to direct claims: epochs 0 up to, not including, 1 are, and this is epoch 2"),
        (30, claim(0, 30, &known), "all that it claimed is in it"),
        (40, claim(0, 40, &known), "operates no resource node that took part in epoch 0"),
        (40, accuse(0), "epoch 0 does not wait for a report: epoch 1 is the next"),
        (40, accuse(1), "the reading holds no report of epoch 1"),
        (40, accuse(u64::MAX), "does not wait for a report: epoch 1 is the next"),
        (40, Message::AccuseIssuer { tickets: Vec::new(), standing: nothing() }, "0 tickets; evidence holds 1 to 3, one for each class"),
        (40, Message::AccuseIssuer { tickets: vec![ticket; 4], standing: nothing() }, "4 tickets; evidence holds 1 to 3, one for each class"),
        (40, Message::AccuseIssuer { tickets: vec![ticket], standing: nothing() }, "the reading does not show what was reserved and claimed in epoch 0"),
        (40, Message::AccuseIssuer { tickets: vec![stranger], standing: nothing() }, "operates no meta node"),
    ]
}

#[test]
fn every_field_at_its_edges() {
    let world = busy();
    let rows = [money(&world), registries(&world), decisions(), stakes(&world), traffic(&world)].concat();
    let (mut kinds, mut refused, mut wrong) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (at, (who, message, says)) in rows.into_iter().enumerate() {
        let kind = kind(&message);
        kinds.insert(kind);
        let outcome = world.asks(who, message);
        let is_right = match &outcome {
            Ok(()) => says.is_empty(),
            Err(text) => !says.is_empty() && text.contains(says),
        };
        if outcome.is_err() {
            refused.insert(kind);
        }
        if !is_right {
            wrong.push(format!("{at} {kind} by {who}: {outcome:?}, not {says:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!((kinds.len(), refused.len()), (KINDS, KINDS), "every kind of message is taken or refused here: {kinds:?}");
}

/// Why a transaction with this change is not taken; `None` if it is. It is executed after its verification, as in a block.
fn envelope(world: &World, change: impl FnOnce(&mut Transaction)) -> Option<String> {
    let mut body = Transaction {
        version: TRANSACTION_VERSION,
        chain: world.genesis.hash(),
        authority: person(40).key().into(),
        nonce: accounts::read(world.state(), &of(40)).nonce,
        fee_max: stos(1),
        tip: Amount(3),
        messages: vec![send(41, Amount(1))],
        memo: Vec::new(),
    };
    change(&mut body);
    let verified = world.rules.verify(&[body.sign(&person(40))]).remove(0);
    verified.map_err(|refusal| refusal.to_string()).and_then(|verified| world.outcome(&verified)).err()
}

#[test]
fn every_field_of_the_envelope_at_its_edges() {
    let world = busy();
    let nonce = accounts::read(world.state(), &of(40)).nonce;
    let says = |change: &dyn Fn(&mut Transaction), words: &str| {
        let refusal = envelope(&world, |body| change(body)).unwrap_or_default();
        assert!(refusal.contains(words) && refusal.is_empty() == words.is_empty(), "{refusal:?} does not say {words:?}");
    };
    says(&|_| {}, "");
    for version in [0, TRANSACTION_VERSION - 1, TRANSACTION_VERSION + 1, u8::MAX] {
        says(&|body| body.version = version, &format!("transaction version {version} is unknown"));
    }
    says(&|body| body.chain = Hash::ZERO, "the transaction is for chain 0000");
    says(&|body| body.authority = person(39).key().into(), "the signature is not valid for the key of");
    says(&|body| body.nonce = nonce - 1, &format!("nonce {} of {} is used; the next is {nonce}", nonce - 1, of(40)));
    says(&|body| body.nonce = nonce + 1, &format!("nonce {} of {} is ahead; the next is {nonce}", nonce + 1, of(40)));
    says(&|body| body.nonce = u64::MAX, "is ahead");
    says(&|body| body.fee_max = Amount::ZERO, "the transaction offers at most 0 wei");
    says(&|body| body.fee_max = Amount::MAX, "");
    says(&|body| body.tip = Amount::ZERO, "");
    says(&|body| body.tip = Amount::MAX, "the fee is above the largest amount");
    says(&|body| (body.tip, body.fee_max) = (stos(1), Amount::MAX), "wei, the fee is");
    says(&|body| body.messages.clear(), "0 messages; a transaction carries 1 to 16");
    says(&|body| body.messages = vec![send(41, Amount(1)); MESSAGES_MAX], "");
    says(&|body| body.messages = vec![send(41, Amount(1)); MESSAGES_MAX + 1], "17 messages");
    says(&|body| body.memo = vec![0xff; MEMO_BYTES_MAX], "");
    says(&|body| body.memo = vec![0; MEMO_BYTES_MAX + 1], "the memo has 257 bytes, at most 256");
    let long = || Message::MoveNode { addresses: vec!["x".repeat(1 << 17); 8] };
    says(&|body| body.messages = vec![long()], "the transaction cannot be decoded");
    // To the wei: the fee itself is enough.
    let exact = |fee: u128| envelope(&world, |body| body.fee_max = Amount(fee));
    let parameters = Parameters::read(world.state());
    let verified = world.rules.verify(&[world.transaction(&person(40), nonce, vec![send(41, Amount(1))])]).remove(0).expect("signed");
    let fee = fees::of(&verified.work, &parameters.costs(), fees::base_fee(world.state()), Amount(3)).expect("small").sum.0;
    assert_eq!(exact(fee), None);
    assert!(exact(fee - 1).is_some_and(|text| text.contains(&format!("at most {} wei", fee - 1))));
}

/// What was done is not done again, and what comes in another order waits for its turn, in one block as in several.
#[test]
fn replayed_and_reordered() {
    let mut world = busy();
    let nonce = accounts::read(world.state(), &of(40)).nonce;
    let first = world.transaction(&person(40), nonce, vec![send(41, Amount(1))]);
    let second = world.transaction(&person(40), nonce + 1, vec![send(41, Amount(2))]);
    let before = accounts::read(world.state(), &of(41)).balance.0;
    let executed = world.block(100, vec![second.clone(), first.clone(), first.clone()]);
    assert_eq!(executed.receipts.len(), 1, "the second was ahead of its time, the first is taken once");
    let executed = world.block(100, vec![first.clone(), second.clone(), second]);
    assert_eq!(executed.receipts.len(), 1);
    assert!(world.block(100, vec![first]).receipts.is_empty());
    assert_eq!(accounts::read(world.state(), &of(41)).balance.0, before + 3);
    // All messages of a transaction or none, wherever the one stands that cannot be.
    for at in 0..3 {
        let mut messages = vec![send(41, Amount(5)); 3];
        messages[at] = send(41, Amount::MAX);
        let bytes = world.transaction(&person(40), nonce + 2, messages);
        let verified = world.rules.verify(&[bytes]).remove(0).expect("signed");
        assert!(world.outcome(&verified).is_err_and(|text| text.contains("are missing")));
    }
}
