//! The sums that hold after every block, by a walk over the whole state: CHAIN-1, CHAIN-2, CHAIN-4, CHAIN-5, CHAIN-6, CHAIN-12, CHAIN-13, and that lists and indexes
//! name what there is.
//!
//! Execution never needs this; whoever doubts a state does, and a node does after every epoch, beside its work. It takes the time of reading every value, and memory
//! for the validators and nodes and what is open, not for accounts and delegations.

use std::collections::{BTreeMap, BTreeSet};

use borsh::BorshDeserialize;
use pot::curve::Balance;
use primitives::encoding::decode;
use primitives::{Address, Amount, Epoch, Noz, PublicKey};
use state::Sealed;

use crate::accounts::Account;
use crate::ballots::{self, Motion};
use crate::genesis::TOTAL_SUPPLY;
use crate::governance::{self, Agenda, Apart, Outcome, Proposal, Vote};
use crate::keys::{self, VALUE_BYTES_MAX};
use crate::market::{self, Market};
use crate::meta_registry::{self, MetaNode};
use crate::parameters::Parameters;
use crate::pools::Pools;
use crate::profiles;
use crate::resource::{self, ResourceNode};
use crate::rewards::Reward;
use crate::settlement::{Claimed, Taken};
use crate::staking::delegation::{Delegation, Leaving};
use crate::staking::redelegation::Moved;
use crate::staking::{self, Status, Validator};

/// A sum that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two numbers that are equal in every state.
    #[error("{invariant} does not hold: {what} come to {found}, not {expected}")]
    Sum {
        /// Its name in [`crate`].
        invariant: &'static str,
        /// What was summed.
        what: String,
        /// What it comes to.
        found: u128,
        /// What it must come to.
        expected: u128,
    },
    /// A value that is none of this program's.
    #[error("the value under the key {key} cannot be read")]
    Value {
        /// The key, in hexadecimal digits.
        key: String,
    },
}

/// Two addresses and an epoch: what moved from one validator to another.
type Move = (Address, Address, Epoch);

/// A proposal, the validator with whose stake delegators vote on it themselves, and how.
type OwnVote = (u64, Address, usize);

/// What the records of one state come to.
#[derive(Default)]
struct Sums {
    /// Which proposals are open, known before the walk: what is said of others may remain.
    agenda: Agenda,
    accounts: u128,
    cost: u128,
    noz: u128,
    rewards: u128,
    active: u128,
    deposits: u128,
    unbonding: u128,
    proposals: u128,
    validators: BTreeMap<Address, Validator>,
    /// By validator.
    shares: BTreeMap<Address, u128>,
    leaving: BTreeMap<(Address, Epoch), u128>,
    moved: BTreeMap<Move, Moved>,
    /// What delegations have of each.
    entries: BTreeMap<(Address, Epoch), u128>,
    units: BTreeMap<Move, u128>,
    /// How often each is named where stake moved to.
    targets: BTreeMap<Move, u128>,
    /// Entries in the index of consensus keys.
    consensus_keys: u128,
    /// By key, those of tombstones too.
    meta_keys: BTreeMap<PublicKey, Address>,
    ballots: BTreeSet<Motion>,
    open: BTreeSet<u64>,
    /// Shares that vote for themselves on open proposals: by their voters, and by their validators.
    votes: BTreeMap<OwnVote, u128>,
    apart: BTreeMap<OwnVote, u128>,
    /// Noz in each epoch that is not settled: what payers are charged so far, and the parts and direct claims that charge them. Sums of all payers, of whom there
    /// may be very many.
    charged: BTreeMap<Epoch, u128>,
    claimed: BTreeMap<Epoch, u128>,
    metas: BTreeSet<Address>,
    tombstones: BTreeSet<Address>,
    carriers: BTreeSet<Address>,
    profiles: BTreeSet<Address>,
}

/// The value of a key, as it lies in the state.
pub(crate) fn value<T: BorshDeserialize>(key: &[u8], bytes: &[u8]) -> Result<T, Violation> {
    decode(bytes, VALUE_BYTES_MAX).map_err(|_| Violation::Value { key: key.iter().map(|byte| format!("{byte:02x}")).collect() })
}

/// The address with which the fields of a key begin.
pub(crate) fn address(bytes: &[u8]) -> Option<Address> {
    bytes.first_chunk().map(|bytes| Address(*bytes))
}

fn epoch(bytes: &[u8]) -> Option<Epoch> {
    number(bytes).map(Epoch)
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

fn add<K: Ord>(sums: &mut BTreeMap<K, u128>, key: K, amount: u128) {
    let sum = sums.entry(key).or_default();
    *sum = sum.saturating_add(amount);
}

impl Sums {
    fn take(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), Violation> {
        let plus = |sum: &mut u128, amount: Amount| *sum = sum.saturating_add(amount.0);
        match key {
            [1, b'a', ..] => plus(&mut self.accounts, value::<Account>(key, bytes)?.balance),
            [1, b'd', who @ ..] => self.profiles.extend(address(who)),
            [2, b'n', who @ ..] => {
                let validator: Validator = value(key, bytes)?;
                self.validators.extend(address(who).map(|who| (who, validator)));
            }
            [2, b'd', who @ ..] => {
                let (delegation, Some(to)) = (value::<Delegation>(key, bytes)?, address(who)) else { return Ok(()) };
                add(&mut self.shares, to, delegation.shares);
                delegation.leaving.iter().for_each(|(epoch, shares)| add(&mut self.entries, (to, *epoch), *shares));
                delegation.moved.iter().for_each(|part| add(&mut self.units, (to, part.from, part.epoch), part.units));
            }
            [2, b'u', who @ ..] => {
                let leaving: Leaving = value(key, bytes)?;
                plus(&mut self.unbonding, leaving.amount);
                if let (Some(of), Some(epoch)) = (address(who), who.get(20..).and_then(epoch)) {
                    add(&mut self.leaving, (of, epoch), leaving.shares);
                }
            }
            [2, b'm', who @ ..] => {
                let moved: Moved = value(key, bytes)?;
                if let (Some(to), Some(from), Some(epoch)) = (address(who), who.get(20..).and_then(address), who.get(40..).and_then(epoch)) {
                    add(&mut self.shares, to, moved.shares);
                    self.moved.insert((to, from, epoch), moved);
                }
            }
            [2, b't', who @ ..] => {
                let targets: Vec<Address> = value(key, bytes)?;
                if let (Some(from), Some(epoch)) = (address(who), who.get(20..).and_then(epoch)) {
                    targets.into_iter().for_each(|to| add(&mut self.targets, (to, from, epoch), 1));
                }
            }
            [2, b'k', ..] => self.consensus_keys = self.consensus_keys.saturating_add(1),
            [3, b'b', motion @ ..] => _ = self.ballots.insert(value(key, motion)?),
            [3, b'n', ..] => {
                let node: MetaNode = value(key, bytes)?;
                self.meta_keys.insert(node.node.key, node.operator);
                plus(&mut self.deposits, node.deposit);
                if node.status == meta_registry::Status::Active {
                    plus(&mut self.active, node.deposit);
                }
                // A tombstone stays; when its deposit was withdrawn it is on no list any more.
                if node.status == meta_registry::Status::Tombstoned {
                    self.tombstones.insert(node.operator);
                } else {
                    self.metas.insert(node.operator);
                }
            }
            [4, b'n', ..] => {
                let node: ResourceNode = value(key, bytes)?;
                plus(&mut self.deposits, node.deposit);
                if node.status == resource::Status::Active {
                    plus(&mut self.active, node.deposit);
                }
                if node.status != resource::Status::Gone {
                    self.carriers.insert(node.operator);
                }
            }
            [5, b'o', ..] => {
                let balance: Balance = value(key, bytes)?;
                plus(&mut self.cost, balance.cost);
                self.noz = self.noz.saturating_add(balance.noz.0);
            }
            [5, b'r', ..] => {
                let (mature, maturing) = value::<Reward>(key, bytes)?.at(Epoch::ZERO);
                plus(&mut self.rewards, mature);
                plus(&mut self.rewards, maturing);
            }
            [5, b'y', at @ ..] => {
                let noz: Noz = value(key, bytes)?;
                epoch(at).into_iter().for_each(|at| add(&mut self.charged, at, noz.0));
            }
            [5, b'w', at @ ..] => {
                let taken: Taken = value(key, bytes)?;
                epoch(at).into_iter().for_each(|at| taken.charges.iter().for_each(|(_, noz)| add(&mut self.claimed, at, noz.0)));
            }
            [5, b'd', at @ ..] => {
                let claimed: Claimed = value(key, bytes)?;
                epoch(at).into_iter().for_each(|at| claimed.charges.values().for_each(|noz| add(&mut self.claimed, at, noz.0)));
            }
            [7, b'q', at @ ..] => {
                let proposal: Proposal = value(key, bytes)?;
                if proposal.outcome == Outcome::Open {
                    plus(&mut self.proposals, proposal.deposit);
                    self.open.extend(number(at));
                }
            }
            [7, b'v', ..] => {
                let open = &self.agenda.open;
                for Vote { proposal, choice, with } in value::<Vec<Vote>>(key, bytes)?.into_iter().filter(|vote| open.contains(&vote.proposal)) {
                    let with = with.into_iter().filter(|(_, shares)| *shares > 0);
                    with.for_each(|(validator, shares)| add(&mut self.votes, (proposal, validator, governance::index(choice)), shares));
                }
            }
            [7, b'w', who @ ..] => {
                let (list, Some(validator)) = (value::<Vec<Apart>>(key, bytes)?, address(who)) else { return Ok(()) };
                for Apart { proposal, shares } in list.into_iter().filter(|apart| self.agenda.open.contains(&apart.proposal)) {
                    let shares = shares.into_iter().enumerate().filter(|(_, shares)| *shares > 0);
                    shares.for_each(|(choice, shares)| add(&mut self.apart, (proposal, validator, choice), shares));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn compare(&self, state: &Sealed) -> Result<(), Violation> {
        let pools = Pools::read(state);
        let Market { deposits, for_sale, sold } = market::read(state);
        equal("CHAIN-1", "all accounts and pools", self.accounts.saturating_add(pools.total().0), TOTAL_SUPPLY.0)?;
        equal("CHAIN-2", "what all ozone cost", self.cost, pools.prepaid.0)?;
        equal("CHAIN-4", "the active deposits", self.active, deposits.0)?;
        equal("CHAIN-4", "all ozone that is sold", self.noz, sold.0)?;
        let limit = deposits.0.checked_div(Parameters::read(state).deposit_per_noz.into()).unwrap_or(0);
        equal("CHAIN-4", "the ozone for sale", for_sale.0, Noz(limit).saturating_sub(sold).0)?;
        for epoch in self.charged.keys().chain(self.claimed.keys()) {
            let [found, expected] = [&self.charged, &self.claimed].map(|sums| sums.get(epoch).copied().unwrap_or_default());
            equal("CHAIN-5", format!("the noz that payers are charged for epoch {epoch} so far"), found, expected)?;
        }
        equal("CHAIN-6", "all deposits of nodes", self.deposits, pools.deposits.0)?;
        let sum = |of: fn(&Validator) -> u128| self.validators.values().map(of).fold(0, u128::saturating_add);
        equal("CHAIN-6", "all stakes", sum(|validator| validator.stake.0), pools.stake.0)?;
        equal("CHAIN-6", "all that is on its way out", self.unbonding, pools.unbonding.0)?;
        for (operator, validator) in &self.validators {
            let what = || format!("the shares in the stake of {operator}");
            equal("CHAIN-6", what(), self.shares.get(operator).copied().unwrap_or_default(), validator.shares)?;
        }
        for (key @ (operator, epoch), shares) in &self.leaving {
            let what = format!("the shares of what left {operator} in epoch {epoch}");
            equal("CHAIN-6", what, self.entries.get(key).copied().unwrap_or_default(), *shares)?;
        }
        for (key @ (to, from, epoch), moved) in &self.moved {
            let what = format!("the units of what moved from {from} to {to} in epoch {epoch}");
            equal("CHAIN-6", what, self.units.get(key).copied().unwrap_or_default(), moved.units)?;
        }
        equal("CHAIN-6", "the pairs of epochs and validators of which stake is on its way out", count(self.entries.len()), count(self.leaving.len()))?;
        equal("CHAIN-6", "the pairs of validators between which stake moved", count(self.units.len()), count(self.moved.len()))?;
        let owed = sum(|validator| validator.earnings.owed.0);
        equal("CHAIN-12", "all that was earned and not paid", self.rewards.saturating_add(owed), pools.rewards.0)?;
        equal("CHAIN-13", "the deposits of open proposals", self.proposals, pools.governance.0)?;
        self.compare_indexes(state)
    }

    fn compare_indexes(&self, state: &Sealed) -> Result<(), Violation> {
        listed("CHAIN-13", "open proposals", &self.agenda.open, &self.open)?;
        for (key @ (proposal, validator, _), shares) in &self.apart {
            let what = format!("the shares in the stake of {validator} that vote for themselves on proposal {proposal}");
            equal("CHAIN-13", what, self.votes.get(key).copied().unwrap_or_default(), *shares)?;
        }
        equal("CHAIN-13", "the votes with stake of others' validators", count(self.votes.len()), count(self.apart.len()))?;
        for key @ (to, from, epoch) in self.moved.keys() {
            let what = format!("the times that {to} is named where stake moved to from {from} in epoch {epoch}");
            equal("the list", what, self.targets.get(key).copied().unwrap_or_default(), 1)?;
        }
        equal("the list", "the pairs of validators where stake moved to", count(self.targets.len()), count(self.moved.len()))?;
        listed("the list", "ballots", &ballots::open(state), &self.ballots)?;
        let metas: Vec<Address> = meta_registry::operators(state).into_iter().filter(|operator| !self.tombstones.contains(operator)).collect();
        listed("the list", "meta nodes", &metas, &self.metas)?;
        listed("the list", "resource nodes", &resource::operators(state), &self.carriers)?;
        let described = self.profiles.iter().filter(|operator| profiles::operates(state, operator));
        equal("the list", "profiles of operators", count(described.count()), count(self.profiles.len()))?;
        // A validator keeps its key and its record, so nothing else is in this index; that of meta nodes has the keys of those that are gone, too.
        let own = self.validators.iter().filter(|(operator, validator)| staking::operator_of(state, &validator.key) == Some(**operator));
        equal("the index", "consensus keys that name their validator", count(own.count()), count(self.validators.len()))?;
        equal("the index", "consensus keys", self.consensus_keys, count(self.validators.len()))?;
        let own = self.meta_keys.iter().filter(|(key, operator)| keys::read(state, &keys::meta_key(key)) == Some(**operator));
        equal("the index", "keys of meta nodes that name their node", count(own.count()), count(self.metas.len().saturating_add(self.tombstones.len())))?;
        let can_stand = |validator: &&Validator| !matches!(validator.status, Status::Tombstoned { .. }) && staking::weight(validator.stake) > 0;
        let candidates = staking::candidates(state);
        let standing: BTreeSet<&Address> = candidates.iter().filter(|who| self.validators.get(who).filter(can_stand).is_some()).collect();
        equal("CHAIN-7", "the candidates that can stand", count(standing.len()), count(candidates.len()))
    }
}

fn equal(invariant: &'static str, what: impl Into<String>, found: u128, expected: u128) -> Result<(), Violation> {
    if found == expected { Ok(()) } else { Err(Violation::Sum { invariant, what: what.into(), found, expected }) }
}

fn count(number: usize) -> u128 {
    u128::try_from(number).unwrap_or(u128::MAX)
}

/// A list names each record once, and no others.
fn listed<T: Ord>(invariant: &'static str, what: &str, list: &[T], records: &BTreeSet<T>) -> Result<(), Violation> {
    let known: BTreeSet<&T> = list.iter().filter(|one| records.contains(one)).collect();
    equal(invariant, format!("{what} on the list"), count(list.len()), count(records.len()))?;
    equal(invariant, format!("{what} with a record"), count(known.len()), count(records.len()))
}

/// Whether all sums hold in a state of the value ledger.
///
/// # Errors
/// [`Violation`] with both numbers of the first that does not.
pub fn check(state: &Sealed) -> Result<(), Violation> {
    check_while(state, || true).map(drop)
}

/// The same as long as `is_wanted` says so before each value; `false` if it was not wanted any more, and is not known.
///
/// # Errors
/// As [`check`].
pub fn check_while(state: &Sealed, is_wanted: impl Fn() -> bool) -> Result<bool, Violation> {
    let mut sums = Sums { agenda: governance::agenda(state), ..Sums::default() };
    let (mut taken, mut is_whole) = (Ok(()), true);
    state.scan_while(&[], |key, bytes| {
        is_whole = is_wanted();
        if is_whole {
            taken = sums.take(key, bytes);
        }
        is_whole && taken.is_ok()
    });
    taken?;
    if is_whole { sums.compare(state).map(|()| true) } else { Ok(false) }
}

#[cfg(test)]
mod tests {
    use primitives::AccountSecret;
    use state::{Memory, Overlay};

    use super::*;
    use crate::ballots::Ballot;
    use crate::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisValidator};
    use crate::governance::Choice;
    use crate::keys::{read, write};
    use crate::staking::Commission;
    use crate::staking::distribution::Credit;
    use crate::staking::redelegation::Part;

    fn who(number: u8) -> Address {
        AccountSecret::from_seed(&[number; 32]).address()
    }

    fn key(number: u8) -> PublicKey {
        primitives::SecretKey::from_seed(&[number; 32]).public()
    }

    fn state() -> Sealed {
        let node = |number: u8, capacity| GenesisNode {
            operator: who(number),
            key: key(number),
            peer: vec![1],
            addresses: vec!["/memory/1".into()],
            deposit: Amount::stos(100),
            capacity: primitives::Bytes(capacity),
        };
        let genesis = Genesis {
            name: "sums".into(),
            time: primitives::Time(1),
            parameters: Parameters::dev(),
            reserve: Amount(TOTAL_SUPPLY.0 - Amount::stos(1_000 + 10 + 200).0),
            accounts: vec![GenesisAccount { address: who(1), balance: Amount::stos(1_000), ozone_for: Amount::stos(5) }],
            validators: vec![GenesisValidator { operator: who(2), key: key(2), stake: Amount::stos(10), commission: Commission::unlimited(0) }],
            meta_nodes: vec![node(3, 0)],
            resource_nodes: vec![node(4, 1)],
            continued: None,
        };
        genesis.execute(&Memory::new()).expect("a genesis").1.state
    }

    /// The invariant that a change breaks; none if it breaks none.
    fn broken(change: impl FnOnce(&mut Overlay)) -> Option<&'static str> {
        let mut state = state().child();
        change(&mut state);
        match check(&state.seal()) {
            Ok(()) => None,
            Err(Violation::Sum { invariant, .. }) => Some(invariant),
            Err(Violation::Value { .. }) => Some("a value"),
        }
    }

    fn edit<T: BorshDeserialize + borsh::BorshSerialize>(state: &mut Overlay, key: &[u8], edit: impl FnOnce(&mut T)) {
        let mut value: T = read(state, key).expect("there");
        edit(&mut value);
        write(state, key, &value);
    }

    /// An open proposal without a deposit, and an agenda.
    fn propose(state: &mut Overlay, open: Vec<u64>, number: u64) {
        write(state, &keys::agenda(), &Agenda { next: 2, open });
        let (title, text) = (String::new(), String::new());
        let (votes, total) = ([Amount::ZERO; 4], Amount::ZERO);
        let (since, until) = (Epoch(0), Epoch(1));
        let proposal =
            Proposal { proposer: who(1), title, text, actions: Vec::new(), deposit: Amount::ZERO, since, until, outcome: Outcome::Open, votes, total };
        write(state, &keys::proposal(number), &proposal);
    }

    /// Every sum notices a wei, a share or an entry too much or too little.
    #[test]
    fn what_does_not_sum_up_is_named() {
        assert_eq!(broken(|_| {}), None);
        let one = Amount(1);
        let more = |amount: &mut Amount| *amount = amount.saturating_add(one);
        assert_eq!(broken(|state| edit::<Account>(state, &keys::account(&who(1)), |account| more(&mut account.balance))), Some("CHAIN-1"));
        assert_eq!(broken(|state| edit::<Pools>(state, &keys::pools(), |pools| more(&mut pools.burned))), Some("CHAIN-1"));
        assert_eq!(broken(|state| edit::<Balance>(state, &keys::ozone(&who(1)), |ozone| more(&mut ozone.cost))), Some("CHAIN-2"));
        assert_eq!(broken(|state| edit::<Market>(state, &keys::market(), |market| more(&mut market.deposits))), Some("CHAIN-4"));
        assert_eq!(broken(|state| edit::<Market>(state, &keys::market(), |market| market.for_sale = Noz(market.for_sale.0 + 1))), Some("CHAIN-4"));
        assert_eq!(broken(|state| edit::<Balance>(state, &keys::ozone(&who(1)), |ozone| ozone.noz = Noz(ozone.noz.0 + 1))), Some("CHAIN-4"));
        let of_pools = |change: fn(&mut Pools)| broken(|state| edit::<Pools>(state, &keys::pools(), change));
        for (change, invariant) in [
            ((|pools| (pools.reserve, pools.deposits) = (Amount(pools.reserve.0 - 1), Amount(pools.deposits.0 + 1))) as fn(&mut Pools), "CHAIN-6"),
            (|pools| (pools.reserve, pools.stake) = (Amount(pools.reserve.0 - 1), Amount(pools.stake.0 + 1)), "CHAIN-6"),
            (|pools| (pools.reserve, pools.unbonding) = (Amount(pools.reserve.0 - 1), Amount(pools.unbonding.0 + 1)), "CHAIN-6"),
            (|pools| (pools.reserve, pools.rewards) = (Amount(pools.reserve.0 - 1), Amount(pools.rewards.0 + 1)), "CHAIN-12"),
            (|pools| (pools.reserve, pools.governance) = (Amount(pools.reserve.0 - 1), Amount(pools.governance.0 + 1)), "CHAIN-13"),
        ] {
            assert_eq!(of_pools(change), Some(invariant));
        }
        assert_eq!(broken(|state| edit::<Delegation>(state, &keys::delegation(&who(2), &who(2)), |held| held.shares += 1)), Some("CHAIN-6"));
        assert_eq!(broken(|state| edit::<Delegation>(state, &keys::delegation(&who(2), &who(2)), |held| held.leaving.push((Epoch(1), 1)))), Some("CHAIN-6"));
        assert_eq!(broken(|state| write(state, &keys::leaving(&who(2), Epoch(1)), &Leaving { amount: Amount::ZERO, shares: 5 })), Some("CHAIN-6"));
        assert_eq!(broken(|state| write(state, &keys::moved(&who(2), &who(5), Epoch(1)), &Moved { units: 5, ..Moved::default() })), Some("CHAIN-6"));
        assert_eq!(broken(|state| write(state, &keys::agenda(), &governance::Agenda { next: 1, open: vec![0] })), Some("CHAIN-13"));
        for agenda in [Vec::new(), vec![0, 0], vec![0, 1]] {
            assert_eq!(broken(|state| propose(state, agenda, 0)), Some("CHAIN-13"));
        }
        let voted = |of_voter: (u64, Choice, u128), of_validator: (u64, [u128; 4])| {
            broken(|state| {
                propose(state, vec![0], 0);
                let (proposal, choice, shares) = of_voter;
                write(state, &keys::votes(&who(1)), &vec![Vote { proposal, choice, with: vec![(who(2), shares), (who(5), 0)] }]);
                let (proposal, shares) = of_validator;
                write(state, &keys::votes_apart(&who(2)), &vec![Apart { proposal, shares }]);
            })
        };
        assert_eq!(voted((0, Choice::No, 7), (0, [0, 7, 0, 0])), None);
        assert_eq!(voted((0, Choice::No, 0), (0, [0; 4])), None);
        for (of_voter, of_validator) in [
            ((0, Choice::No, 7), (0, [0, 6, 0, 0])),
            ((0, Choice::No, 7), (0, [7, 0, 0, 0])),
            ((0, Choice::No, 7), (0, [0, 7, 0, 1])),
            ((0, Choice::No, 7), (0, [0; 4])),
            ((0, Choice::No, 7), (1, [0, 7, 0, 0])),
            ((1, Choice::No, 7), (0, [0, 7, 0, 0])),
        ] {
            assert_eq!(voted(of_voter, of_validator), Some("CHAIN-13"));
        }
        // What is said of a proposal that is over is dropped with the next vote.
        assert_eq!(voted((1, Choice::No, 7), (2, [0, 9, 0, 0])), None);
        let moved = |named: &[Address], epoch| {
            broken(|state| {
                write(state, &keys::moved(&who(2), &who(5), Epoch(1)), &Moved { units: 5, ..Moved::default() });
                edit::<Delegation>(state, &keys::delegation(&who(2), &who(2)), |held| {
                    held.moved.push(Part { from: who(5), epoch: Epoch(1), units: 5, credit: Credit::default() });
                });
                write(state, &keys::move_targets(&who(5), Epoch(epoch)), &named.to_vec());
            })
        };
        assert_eq!(moved(&[who(2)], 1), None);
        for (named, epoch) in [(vec![], 1), (vec![who(2)], 2), (vec![who(2), who(2)], 1), (vec![who(2), who(3)], 1)] {
            assert_eq!(moved(&named, epoch), Some("the list"));
        }
        let motion = Motion::Expel(who(3));
        let ballot = |state: &mut Overlay| write(state, &keys::ballot(&motion), &Ballot { opened: Epoch(0), votes: vec![who(3)] });
        let motions = |list: Vec<Motion>| broken(|state| (ballot(state), write(state, &keys::ballots(), &list)).0);
        assert_eq!(motions(vec![motion]), None);
        for list in [vec![], vec![motion, motion], vec![Motion::Admit(who(3))], vec![motion, Motion::Admit(who(3))]] {
            assert_eq!(motions(list), Some("the list"));
        }
        assert_eq!(broken(|state| write(state, &keys::consensus_key(&key(2)), &who(3))), Some("the index"));
        assert_eq!(broken(|state| state.delete(&keys::consensus_key(&key(2)))), Some("the index"));
        assert_eq!(broken(|state| write(state, &keys::consensus_key(&key(5)), &who(2))), Some("the index"));
        assert_eq!(broken(|state| write(state, &keys::meta_key(&key(3)), &who(2))), Some("the index"));
        assert_eq!(broken(|state| state.delete(&keys::meta_key(&key(3)))), Some("the index"));
        assert_eq!(broken(|state| write(state, &keys::meta_key(&key(5)), &who(5))), None);
        let mut tombstone = meta_registry::read(&state(), &who(3)).expect("there");
        (tombstone.operator, tombstone.status, tombstone.deposit) = (who(5), meta_registry::Status::Tombstoned, Amount::ZERO);
        assert_eq!(broken(|state| write(state, &keys::meta_node(&who(5)), &tombstone)), Some("the index"));
        let charged = |so_far: u128, by_part: u128, directly: u128| {
            broken(|state| {
                write(state, &keys::charged(Epoch(5), &who(1)), &Noz(so_far));
                let charges = vec![((who(1), who(4)), Noz(by_part))];
                write(state, &keys::settlement_part(Epoch(5), 0), &Taken { height: primitives::Height(1), charges });
                let after = (who(1), key(1), pot::Class::Download);
                write(state, &keys::direct(Epoch(5), &who(4)), &Claimed { after, charges: [(who(1), Noz(directly))].into() });
            })
        };
        assert_eq!(charged(7, 4, 3), None);
        for (so_far, by_part, directly) in [(6, 4, 3), (8, 4, 3), (0, 1, 0), (0, 0, 1), (1, 0, 0)] {
            assert_eq!(charged(so_far, by_part, directly), Some("CHAIN-5"));
        }
        assert_eq!(broken(|state| write(state, &keys::meta_nodes(), &Vec::<Address>::new())), Some("the list"));
        assert_eq!(broken(|state| write(state, &keys::meta_nodes(), &vec![who(3), who(3)])), Some("the list"));
        assert_eq!(broken(|state| write(state, &keys::profile(&who(4)), &profiles::Profile::default())), None);
        assert_eq!(broken(|state| write(state, &keys::profile(&who(1)), &profiles::Profile::default())), Some("the list"));
        assert_eq!(broken(|state| write(state, &keys::resource_page(0), &vec![who(5)])), Some("the list"));
        assert_eq!(broken(|state| write(state, &keys::candidates(), &vec![who(2), who(5)])), Some("CHAIN-7"));
        assert_eq!(broken(|state| write(state, &keys::candidates(), &vec![who(2), who(2)])), Some("CHAIN-7"));
        let of_validator = |change: fn(&mut Validator)| broken(|state| edit::<Validator>(state, &keys::validator(&who(2)), change));
        assert_eq!(of_validator(|validator| validator.status = Status::Jailed { until: Epoch(1) }), None);
        assert_eq!(of_validator(|validator| validator.status = Status::Tombstoned { offence: Epoch(0), until: Epoch(1) }), Some("CHAIN-7"));
        let little = |state: &mut Overlay| {
            edit::<Validator>(state, &keys::validator(&who(2)), |validator| validator.stake = Amount(9));
            edit::<Pools>(state, &keys::pools(), |pools| (pools.reserve, pools.stake) = (Amount(pools.reserve.0 + pools.stake.0 - 9), Amount(9)));
        };
        assert_eq!(broken(little), Some("CHAIN-7"));
        assert_eq!(broken(|state| state.put(keys::account(&who(1)), vec![1]).expect("short")), Some("a value"));
    }
}
