//! Users of the value ledger: they move stake and coins, stand for the set, come back from jail, propose and vote, and ask for what they cannot have.
//!
//! They look at what is final and send each wish to all nodes. Those who operate liars take out what they can, or move it to others before they are found out.
//! No wish brings the liars near a third, however blocks order them: honest stake leaves, and theirs grows, only while they have less than a fifth of it after
//! all that was asked for.

use std::collections::{BTreeMap, BTreeSet};

use chain::governance::{self, Action, Choice};
use chain::keys::Read;
use chain::pools::{Fund, Pools};
use chain::profiles::Profile;
use chain::staking::{self, Commission, Status, Validator, delegation};
use chain::transaction::{Message, ROLE, SignedTransaction, TRANSACTION_VERSION, Transaction, VALIDATOR_POSSESSION_ROLE};
use chain::{accounts, epochs};
use primitives::encoding::encode;
use primitives::{AccountSecret, Address, Amount, Context, Epoch, Hash, SecretKey};

use crate::dice::Dice;
use crate::ledger::value::{PEOPLE, operator, person};

/// Liars must stay below one part in so many of all stake.
const LIARS_PART: u128 = 5;

/// What users propose to change, and to what: the last value of each is out of its range.
const CHANGES: [(&str, [u128; 4]); 8] = [
    ("slash_reward_bp", [0, 77, 5_000, 5_001]),
    ("commission_step_bp", [0, 50, 10_000, 10_001]),
    ("governance_epochs", [1, 2, 3, 0]),
    ("governance_quorum_bp", [1, 1_500, 3_000, 6_668]),
    ("governance_threshold_bp", [5_000, 5_500, 6_667, 4_999]),
    ("governance_veto_bp", [2_000, 3_340, 10_000, 999]),
    ("governance_deposit", [0, 1, 7_000_000_000_000_000_000, u128::MAX]),
    ("governance", [0; 4]),
];

/// Somebody with a validator.
#[derive(Clone)]
struct Operator {
    /// The validator's key.
    key: SecretKey,
    account: AccountSecret,
    lies: bool,
}

impl Operator {
    fn address(&self) -> Address {
        self.account.address()
    }
}

/// A wish that may still be granted: whose, its nonce, by how much it would make the liars' stake grow and the others' shrink.
type Promise = (Address, u64, Amount, Amount);

/// Everybody who has an account.
pub struct Users {
    chain: Hash,
    /// Of each node.
    operators: Vec<Operator>,
    people: Vec<AccountSecret>,
    /// Next nonce of each account.
    nonces: BTreeMap<Address, u64>,
    /// In which epoch an operator last asked for what cannot wait.
    asked: BTreeMap<Address, Epoch>,
    created: BTreeSet<Address>,
    promised: Vec<Promise>,
}

impl Users {
    /// Those of a chain whose nodes have these keys.
    pub fn new(chain: Hash, keys: &[SecretKey], lies: impl Fn(usize) -> bool) -> Self {
        let operators = keys.iter().enumerate().map(|(node, key)| Operator { key: key.clone(), account: operator(node), lies: lies(node) });
        Self {
            chain,
            operators: operators.collect(),
            people: (0..PEOPLE).map(person).collect(),
            nonces: BTreeMap::new(),
            asked: BTreeMap::new(),
            created: BTreeSet::new(),
            promised: Vec::new(),
        }
    }

    /// The bytes of one wish.
    pub fn wish(&mut self, state: &impl Read, dice: &mut Dice) -> Option<Vec<u8>> {
        if let Some(operator) = self.urgent(state) {
            let has_seat = stands(state, &operator.address());
            return if has_seat {
                self.move_stake(state, dice, &operator, &operator.account)
            } else {
                Some(self.sign(&operator.account, vec![Message::Unjail]))
            };
        }
        let node = dice.pick(&self.operators)?.clone();
        let (operator, to) = (node.account.clone(), node.address());
        let person = dice.pick(&self.people)?.clone();
        let anybody = if dice.chance(500) { operator.clone() } else { person.clone() };
        let validator = staking::read(state, &to);
        match dice.below(100) {
            0..13 => self.delegate(state, &person, &node, part(validator?.stake, dice.below(100))),
            13..21 => self.take_out(state, dice, &person, &validator?, node.lies),
            21..29 => self.take_out(state, dice, &operator, &validator?, node.lies),
            29..37 => Some(self.sign(&anybody, vec![Message::WithdrawUnbonded { validator: to }])),
            37..42 => self.delegate(state, &operator, &node, part(validator?.stake, dice.below(150))),
            42..49 => {
                // Known keys are refused by the ledger, tombstoned ones for ever.
                let is_new = validator.is_none() && self.created.insert(to);
                let stake = part(total(state, |_| true), if is_new { 80 } else { 1 });
                let possession = node.key.sign_deterministic(&Context::new(VALIDATOR_POSSESSION_ROLE, self.chain), &to.0);
                let create = Message::CreateValidator { key: node.key.public(), possession, stake, commission: Commission { bp: 100, max_bp: 300 } };
                (is_new || dice.chance(100)).then(|| self.sign(&operator, vec![create]))
            }
            49..54 => Some(self.sign(&person, vec![Message::Send { to, amount: Amount::stos(dice.below(100)) }])),
            54..64 => self.move_stake(state, dice, &node, &anybody),
            64..66 => Some(self.sign(&anybody, vec![Message::CollectReward { validator: to }])),
            66..69 => {
                let bp = validator.map_or(0, |validator| validator.commission.bp) + [0, 40, 90, 2_000][dice.index(4)];
                Some(self.sign(&operator, vec![Message::SetCommission { bp: if dice.chance(300) { bp / 2 } else { bp } }]))
            }
            69..71 => Some(self.sign(&anybody, vec![Message::Describe { profile: profile(dice) }])),
            71..75 => {
                let (fund, amount) = (if dice.chance(600) { Fund::Community } else { Fund::Reserve }, Amount::stos(dice.below(10)));
                Some(self.sign(&anybody, vec![Message::Donate { fund, amount }]))
            }
            75..80 => Some(self.propose(state, dice, &anybody, to)),
            80..94 => self.vote(state, dice, &anybody),
            _ => Some(self.nonsense(dice, &person, to)),
        }
    }

    /// Who cannot wait and has not asked in this epoch: whoever may come back from jail, and whose liar may be found out.
    fn urgent(&mut self, state: &impl Read) -> Option<Operator> {
        let current = epochs::current(state).number;
        let is_urgent = |operator: &Operator| match staking::read(state, &operator.address()).map(|validator| validator.status) {
            Some(Status::Jailed { until }) => until < current,
            Some(Status::Candidate) => operator.lies,
            Some(Status::Tombstoned { .. }) | None => false,
        };
        let due = self.operators.iter().find(|operator| self.asked.get(&operator.address()) != Some(&current) && is_urgent(operator))?.clone();
        self.asked.insert(due.address(), current);
        Some(due)
    }

    fn delegate(&mut self, state: &impl Read, who: &AccountSecret, to: &Operator, amount: Amount) -> Option<Vec<u8>> {
        let is_allowed = !to.lies || self.is_safe(state, who, amount, Amount::ZERO);
        is_allowed.then(|| self.sign(who, vec![Message::Delegate { validator: to.address(), amount }]))
    }

    fn take_out(&mut self, state: &impl Read, dice: &mut Dice, who: &AccountSecret, validator: &Validator, lies: bool) -> Option<Vec<u8>> {
        let amount = share(state, dice, who, validator, lies)?;
        let is_allowed = lies || self.is_safe(state, who, Amount::ZERO, amount);
        is_allowed.then(|| self.sign(who, vec![Message::Undelegate { validator: validator.operator, amount }]))
    }

    /// From one validator to another; a liar keeps most of its own, so that it can lie on.
    fn move_stake(&mut self, state: &impl Read, dice: &mut Dice, from: &Operator, who: &AccountSecret) -> Option<Vec<u8>> {
        let to = dice.pick(&self.operators)?.clone();
        let amount = share(state, dice, who, &staking::read(state, &from.address())?, false)?;
        // What joins somebody who is jailed is counted for nobody.
        let gained = if to.lies && !from.lies { amount } else { Amount::ZERO };
        let lost = if !from.lies && (to.lies || !stands(state, &to.address())) { amount } else { Amount::ZERO };
        let is_allowed = gained.max(lost) == Amount::ZERO || self.is_safe(state, who, gained, lost);
        is_allowed.then(|| self.sign(who, vec![Message::Redelegate { from: from.address(), to: to.address(), amount }]))
    }

    /// To spend what the community has, or more; to change a rule, or two; to do what is not possible, or nothing.
    fn propose(&mut self, state: &impl Read, dice: &mut Dice, who: &AccountSecret, to: Address) -> Vec<u8> {
        let spend = |amount| Action::Spend { to, amount };
        let pool = Pools::read(state).community;
        let mut change = || {
            let [names, values] = if dice.chance(100) { [8, 4] } else { [7, 3] }.map(|most| dice.index(most));
            Action::SetParameter { name: CHANGES[names].0.to_owned(), value: CHANGES[names].1[values] }
        };
        let (first, second) = (change(), change());
        let actions = match dice.below(20) {
            0..7 => vec![spend(part(pool, dice.below(700)))],
            7..12 => vec![first],
            12..15 => vec![spend(part(pool, 200)), first, spend(part(pool, 100)), second],
            15 => vec![first, spend(Amount(pool.0 + 1)), second],
            16 => vec![Action::AdmitMeta { operator: to }],
            17 => vec![spend(Amount::ZERO)],
            _ => Vec::new(),
        };
        let length = if dice.chance(50) { 400 } else { 20 };
        let text = "because".repeat(dice.index(length));
        self.sign(who, vec![Message::Propose { title: "a wish".into(), text, actions }])
    }

    /// On all that is open, with whatever the voter has; each proposal is liked or not.
    fn vote(&mut self, state: &impl Read, dice: &mut Dice, who: &AccountSecret) -> Option<Vec<u8>> {
        let address = who.address();
        let of_others = self.operators.iter().map(Operator::address).filter(|other| *other != address || dice.chance(20));
        let with: Vec<Address> = of_others.filter(|other| delegation::read(state, other, &address).shares > 0).collect();
        let mut ballot = |proposal: u64| {
            let likely = if proposal % 4 == 3 { Choice::Veto } else { Choice::Yes };
            let choice = *dice.pick(&[likely, likely, likely, likely, Choice::No, Choice::Abstain])?;
            Some(Message::VoteProposal { proposal, choice, validators: if dice.chance(900) { with.clone() } else { Vec::new() } })
        };
        let agenda = governance::agenda(state);
        let votes: Vec<Message> = agenda.open.iter().rev().take(4).filter_map(|proposal| ballot(*proposal)).collect();
        let too_early = ballot(agenda.next).filter(|_| votes.is_empty());
        let votes: Vec<Message> = votes.into_iter().chain(too_early).collect();
        (!votes.is_empty()).then(|| self.sign(who, votes))
    }

    /// What no block takes, or takes and refuses.
    fn nonsense(&mut self, dice: &mut Dice, who: &AccountSecret, to: Address) -> Vec<u8> {
        let nonce = self.nonces.get(&who.address()).copied().unwrap_or(0);
        match dice.below(6) {
            0 => (0..dice.below(200)).map(|_| dice.number().to_le_bytes()[0]).collect(),
            1 => signed(who, self.body(who, nonce.saturating_sub(1), vec![Message::Unjail])),
            2 => signed(who, Transaction { chain: Hash([1; 32]), ..self.body(who, nonce, vec![Message::Unjail]) }),
            3 => self.sign(who, vec![Message::Unjail]),
            4 => self.sign(who, vec![Message::Send { to, amount: Amount::stos(1) }, Message::Undelegate { validator: to, amount: Amount::stos(90_000_000) }]),
            _ => self.sign(who, vec![Message::Delegate { validator: who.address(), amount: Amount::stos(1) }]),
        }
    }

    /// Whether the liars stay few if they get or the others lose so much more, by a wish of this account and all that were sent before. If so, the wish is
    /// remembered for as long as it may be granted. Jailed liars count, for they may come back; the others do not. What liars moved to others may be slashed
    /// there: then those have less, and the liars are still far from a third.
    fn is_safe(&mut self, state: &impl Read, who: &AccountSecret, gained: Amount, lost: Amount) -> bool {
        self.promised.retain(|(of, nonce, ..)| accounts::read(state, of).nonce <= *nonce);
        let lies = |operator: &Address| self.operators.iter().any(|of| of.lies && of.address() == *operator);
        let lying = gained.0 + total(state, |validator| lies(&validator.operator)).0 + self.promised.iter().map(|promise| promise.2.0).sum::<u128>();
        let others = total(state, |validator| !lies(&validator.operator) && validator.status == Status::Candidate).0;
        let leaving = lost.0 + self.promised.iter().map(|promise| promise.3.0).sum::<u128>();
        let is_safe = (LIARS_PART - 1) * lying < others.saturating_sub(leaving);
        if is_safe {
            let nonce = self.nonces.get(&who.address()).copied().unwrap_or(0);
            self.promised.push((who.address(), nonce, gained, lost));
        }
        is_safe
    }

    fn body(&self, who: &AccountSecret, nonce: u64, messages: Vec<Message>) -> Transaction {
        let (version, chain, authority) = (TRANSACTION_VERSION, self.chain, who.key().into());
        Transaction { version, chain, authority, nonce, fee_max: Amount::stos(1), tip: Amount(3), messages, memo: Vec::new() }
    }

    fn sign(&mut self, who: &AccountSecret, messages: Vec<Message>) -> Vec<u8> {
        let nonce = self.nonces.entry(who.address()).or_default();
        *nonce += 1;
        let nonce = *nonce - 1;
        signed(who, self.body(who, nonce, messages))
    }
}

/// Whether a validator may be in the next set.
fn stands(state: &impl Read, operator: &Address) -> bool {
    staking::read(state, operator).is_some_and(|validator| validator.status == Status::Candidate)
}

/// What an account asks back of its stake with a validator, if it has any: an honest operator keeps most of its own, others take all as often as not.
fn share(state: &impl Read, dice: &mut Dice, who: &AccountSecret, validator: &Validator, lies: bool) -> Option<Amount> {
    let held = delegation::read(state, &validator.operator, &who.address());
    let worth = delegation::worth(held.shares, validator.stake, validator.shares.max(1));
    let is_own = who.address() == validator.operator;
    let amount = if is_own && !lies { part(worth, dice.below(200)) } else { part(worth, [1000, dice.below(1000)][dice.index(2)]) };
    (worth > Amount::ZERO).then_some(amount)
}

/// A few words, or none, or more than there is room for.
fn profile(dice: &mut Dice) -> Profile {
    let name = ["", "a node", "a node\nof mine", "one with a name that goes on and on and on until nobody wants to read it any more"][dice.index(4)].to_owned();
    Profile { details: name.clone(), name, ..Profile::default() }
}

/// The same bytes each time, so that runs repeat.
fn signed(who: &AccountSecret, body: Transaction) -> Vec<u8> {
    let (context, bytes) = (Context::new(ROLE, body.chain), encode(&body));
    let signature = match who {
        AccountSecret::Ristretto(secret) => secret.sign_deterministic(&context, &bytes),
        AccountSecret::Ed25519(_) => who.sign(ROLE, body.chain, &bytes),
    };
    encode(&SignedTransaction { body, signatures: vec![(0, signature)] })
}

/// So many thousandths of an amount, and at least 1.
fn part(amount: Amount, per_mille: u64) -> Amount {
    Amount((amount.0 / 1000 * u128::from(per_mille)).max(1))
}

/// Stake of those who stand for the sets.
fn total(state: &impl Read, choose: impl Fn(&Validator) -> bool) -> Amount {
    let candidates = staking::candidates(state).into_iter().filter_map(|operator| staking::read(state, &operator));
    Amount(candidates.filter(choose).map(|validator| validator.stake.0).sum())
}
