//! Users of the value ledger: they move stake and coins, stand for the set, come back from jail, and ask for what they cannot have.
//!
//! They look at what is final and send each wish to all nodes. Those who operate liars take out what they can. No wish brings the liars near a third, however
//! blocks order them: honest stake leaves, and theirs grows, only while they have less than a fifth of it after all.

use std::collections::{BTreeMap, BTreeSet};

use chain::epochs;
use chain::keys::Read;
use chain::staking::{self, Status, Validator, delegation};
use chain::transaction::{Message, ROLE, SignedTransaction, TRANSACTION_VERSION, Transaction, VALIDATOR_POSSESSION_ROLE};
use primitives::encoding::encode;
use primitives::{AccountSecret, Address, Amount, Context, Epoch, Hash, SecretKey};

use crate::dice::Dice;
use crate::ledger::value::{PEOPLE, operator, person};

/// Liars must stay below one part in so many of all stake.
const LIARS_PART: u128 = 5;

/// Everybody who has an account.
pub struct Users {
    chain: Hash,
    /// Of each node: its key, its operator, and whether it lies.
    nodes: Vec<(SecretKey, AccountSecret, bool)>,
    people: Vec<AccountSecret>,
    /// Next nonce of each account.
    nonces: BTreeMap<Address, u64>,
    /// In which epoch an operator last asked to come back.
    asked: BTreeMap<Address, Epoch>,
    created: BTreeSet<usize>,
}

impl Users {
    /// Those of a chain whose nodes have these keys.
    pub fn new(chain: Hash, keys: &[SecretKey], lies: impl Fn(usize) -> bool) -> Self {
        let nodes = keys.iter().enumerate().map(|(node, key)| (key.clone(), operator(node), lies(node))).collect();
        Self { chain, nodes, people: (0..PEOPLE).map(person).collect(), nonces: BTreeMap::new(), asked: BTreeMap::new(), created: BTreeSet::new() }
    }

    /// The bytes of one wish.
    pub fn wish(&mut self, state: &impl Read, dice: &mut Dice) -> Option<Vec<u8>> {
        if let Some(back) = self.back(state) {
            return Some(self.sign(&back, vec![Message::Unjail]));
        }
        let node = dice.index(self.nodes.len());
        let (key, operator, lies) = self.nodes[node].clone();
        let person = dice.pick(&self.people)?.clone();
        let validator = staking::read(state, &operator.address());
        let to = operator.address();
        match dice.below(100) {
            0..20 => {
                let amount = part(validator?.stake, dice.below(100));
                (!lies || self.is_safe(state, amount, Amount::ZERO)).then(|| self.sign(&person, vec![Message::Delegate { validator: to, amount }]))
            }
            20..35 => self.take_out(state, dice, &person, &validator?, lies),
            35..50 => self.take_out(state, dice, &operator, &validator?, lies),
            50..62 => {
                let sender = if dice.chance(500) { operator } else { person };
                Some(self.sign(&sender, vec![Message::WithdrawUnbonded { validator: to }]))
            }
            62..70 => {
                let amount = part(validator?.stake, dice.below(150));
                (!lies || self.is_safe(state, amount, Amount::ZERO)).then(|| self.sign(&operator, vec![Message::Delegate { validator: to, amount }]))
            }
            70..82 => {
                // Known keys are refused by the ledger, tombstoned ones for ever.
                let is_new = validator.is_none() && self.created.insert(node);
                let stake = part(total(state, |_| true), if is_new { 80 } else { 1 });
                let possession = key.sign_deterministic(&Context::new(VALIDATOR_POSSESSION_ROLE, self.chain), &to.0);
                let create = Message::CreateValidator { key: key.public(), possession, stake, commission: chain::staking::Commission::unlimited(100) };
                (is_new || dice.chance(100)).then(|| self.sign(&operator, vec![create]))
            }
            82..92 => Some(self.sign(&person, vec![Message::Send { to, amount: Amount::stos(dice.below(100)) }])),
            _ => Some(self.nonsense(dice, &person, to)),
        }
    }

    /// A jailed validator that may come back and has not asked in this epoch.
    fn back(&mut self, state: &impl Read) -> Option<AccountSecret> {
        let current = epochs::current(state).number;
        let may = |operator: &Address| matches!(staking::read(state, operator)?.status, Status::Jailed { until } if until < current).then_some(());
        let due = self.nodes.iter().map(|(_, operator, _)| operator).find(|operator| {
            let address = operator.address();
            self.asked.get(&address) != Some(&current) && may(&address).is_some()
        });
        let due = due.cloned()?;
        self.asked.insert(due.address(), current);
        Some(due)
    }

    fn take_out(&mut self, state: &impl Read, dice: &mut Dice, who: &AccountSecret, validator: &Validator, lies: bool) -> Option<Vec<u8>> {
        let held = delegation::read(state, &validator.operator, &who.address());
        let worth = delegation::worth(held.shares, validator.stake, validator.shares.max(1));
        let is_own = who.address() == validator.operator;
        // An honest operator keeps most of its own.
        let amount = if is_own && !lies { part(worth, dice.below(200)) } else { part(worth, [1000, dice.below(1000)][dice.index(2)]) };
        let is_allowed = worth > Amount::ZERO && (lies || self.is_safe(state, Amount::ZERO, amount));
        is_allowed.then(|| self.sign(who, vec![Message::Undelegate { validator: validator.operator, amount }]))
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

    /// Whether the liars stay few if they get or the others lose so much more. Jailed liars count, for they may come back; the others do not.
    fn is_safe(&self, state: &impl Read, gained: Amount, lost: Amount) -> bool {
        let lies = |operator: &Address| self.nodes.iter().any(|(_, of, lies)| *lies && of.address() == *operator);
        let lying = gained.0 + total(state, |validator| lies(&validator.operator)).0;
        let others = total(state, |validator| !lies(&validator.operator) && validator.status == Status::Candidate).0;
        (LIARS_PART - 1) * lying < others.saturating_sub(lost.0)
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
