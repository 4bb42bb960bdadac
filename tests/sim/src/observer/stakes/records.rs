//! The records of one state, read without the ledger's help: their sums, and whether they are what was reckoned.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use borsh::BorshDeserialize;
use chain::accounts::Account;
use chain::epochs::Current;
use chain::governance::{Agenda, Choice, Outcome, Proposal, Vote};
use chain::parameters::Parameters;
use chain::pools::Pools;
use chain::profiles::Profile;
use chain::staking::delegation::{Delegation, Leaving};
use chain::staking::redelegation::Moved;
use chain::staking::{Status, Validator, Voter};
use primitives::encoding::decode;
use primitives::units::{WEI_PER_STOS, mul_div};
use primitives::{Address, Amount, Epoch, PublicKey};
use state::Sealed;

/// Every coin there is, in wei.
pub(super) const SUPPLY: u128 = 100_000_000 * WEI_PER_STOS;

/// How somebody votes, and with which shares of whose stake of its own.
type Ballot = (Choice, Vec<(Address, u128)>);

/// What is written in the state about money and those who move it.
#[derive(Clone, Debug)]
pub(super) struct Records {
    pub(super) accounts: BTreeMap<Address, Account>,
    pub(super) profiles: BTreeMap<Address, Profile>,
    pub(super) validators: BTreeMap<Address, Validator>,
    /// By validator and delegator.
    pub(super) delegations: BTreeMap<(Address, Address), Delegation>,
    /// By validator and epoch.
    pub(super) leaving: BTreeMap<(Address, Epoch), Leaving>,
    /// By the validator that it joined, the one that it left, and the epoch.
    pub(super) moved: BTreeMap<(Address, Address, Epoch), Moved>,
    targets: BTreeSet<(Address, Address, Epoch)>,
    pub(super) voters: Vec<Voter>,
    pub(super) pools: Pools,
    pub(super) epoch: Current,
    pub(super) parameters: Parameters,
    pub(super) agenda: Agenda,
    /// Why one failed is not followed.
    pub(super) proposals: BTreeMap<u64, Proposal>,
    /// On open proposals, by proposal and voter.
    pub(super) votes: BTreeMap<(u64, Address), Ballot>,
}

fn value<T: BorshDeserialize>(bytes: &[u8]) -> T {
    decode(bytes, 1 << 20).expect("the ledger wrote it")
}

fn address(bytes: &[u8]) -> Address {
    Address(bytes.try_into().expect("an address has 20 bytes"))
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("an epoch or a proposal's number has 8 bytes"))
}

impl Records {
    pub(super) fn read(state: &Sealed) -> Self {
        let mut records = Self {
            accounts: BTreeMap::new(),
            profiles: BTreeMap::new(),
            validators: BTreeMap::new(),
            delegations: BTreeMap::new(),
            leaving: BTreeMap::new(),
            moved: BTreeMap::new(),
            targets: BTreeSet::new(),
            voters: Vec::new(),
            pools: Pools::default(),
            epoch: Current::default(),
            parameters: Parameters::dev(),
            agenda: Agenda::default(),
            proposals: BTreeMap::new(),
            votes: BTreeMap::new(),
        };
        state.scan(&[], |key, bytes| match key {
            [1, b'a', who @ ..] => drop(records.accounts.insert(address(who), value(bytes))),
            [1, b'd', who @ ..] => drop(records.profiles.insert(address(who), value(bytes))),
            [1, b'p'] => records.pools = value(bytes),
            [2, b'n', who @ ..] => drop(records.validators.insert(address(who), value(bytes))),
            [2, b'd', both @ ..] => drop(records.delegations.insert((address(&both[..20]), address(&both[20..])), value(bytes))),
            [2, b'u', rest @ ..] => drop(records.leaving.insert((address(&rest[..20]), Epoch(number(&rest[20..]))), value(bytes))),
            [2, b'm', rest @ ..] => {
                let (to, from, epoch) = (address(&rest[..20]), address(&rest[20..40]), Epoch(number(&rest[40..])));
                records.moved.insert((to, from, epoch), value(bytes));
            }
            [2, b't', rest @ ..] => {
                let (from, epoch) = (address(&rest[..20]), Epoch(number(&rest[20..])));
                records.targets.extend(value::<Vec<Address>>(bytes).into_iter().map(|to| (to, from, epoch)));
            }
            [2, b'v'] => records.voters = value(bytes),
            [7, b'e'] => records.epoch = value(bytes),
            [7, b'p'] => records.parameters = value(bytes),
            [7, b'g'] => records.agenda = value(bytes),
            [7, b'q', rest @ ..] => {
                let mut proposal: Proposal = value(bytes);
                if let Outcome::Failed(why) = &mut proposal.outcome {
                    why.clear();
                }
                records.proposals.insert(number(rest), proposal);
            }
            [7, b'v', who @ ..] => {
                let votes = value::<Vec<Vote>>(bytes).into_iter();
                records.votes.extend(votes.map(|vote| ((vote.proposal, address(who)), (vote.choice, vote.with))));
            }
            _ => {}
        });
        records.tidy();
        records
    }

    /// Leaves out what is empty, and votes on what is decided.
    pub(super) fn tidy(&mut self) {
        self.delegations.retain(|_, of| of.shares > 0 || !of.leaving.is_empty() || !of.moved.is_empty() || of.credit.earned > Amount::ZERO);
        self.leaving.retain(|_, leaving| leaving.shares > 0);
        self.moved.retain(|_, moved| moved.units > 0);
        self.votes.retain(|(proposal, _), _| self.agenda.open.contains(proposal));
    }

    /// Supply and sums.
    pub(super) fn audit(&self) -> Result<(), String> {
        let Pools { prepaid, deposits, stake, unbonding, rewards, reserve, community, governance, burned } = self.pools;
        let pools = [prepaid, deposits, stake, unbonding, rewards, reserve, community, governance, burned];
        let sum = self.accounts.values().map(|account| account.balance.0).sum::<u128>() + pools.iter().map(|pool| pool.0).sum::<u128>();
        equal("all coins", sum, SUPPLY)?;
        equal("the pool of stake", stake.0, self.validators.values().map(|validator| validator.stake.0).sum())?;
        equal("the pool of what is on its way out", unbonding.0, self.leaving.values().map(|leaving| leaving.amount.0).sum())?;
        let open = self.agenda.open.iter().filter_map(|number| self.proposals.get(number));
        equal("the pool of deposits of proposals", governance.0, open.map(|proposal| proposal.deposit.0).sum())?;
        let keys: BTreeSet<PublicKey> = self.validators.values().map(|validator| validator.key).collect();
        must(keys.len() == self.validators.len(), || "two validators have one key".to_owned())?;
        for validator in self.validators.values() {
            let held = self.delegations.iter().filter(|((of, _), _)| *of == validator.operator).map(|(_, delegation)| delegation.shares);
            let moved = self.moved.iter().filter(|((to, ..), _)| *to == validator.operator).map(|(_, moved)| moved.shares);
            equal("a validator's shares", validator.shares, held.chain(moved).sum())?;
        }
        let (mut leaving, mut moved) = (BTreeMap::new(), BTreeMap::new());
        for ((validator, _), delegation) in &self.delegations {
            delegation.leaving.iter().for_each(|(epoch, shares)| *leaving.entry((*validator, *epoch)).or_default() += shares);
            delegation.moved.iter().for_each(|part| *moved.entry((*validator, part.from, part.epoch)).or_default() += part.units);
        }
        let of_entries = |what: &str, holds: bool| must(holds, || format!("{what} are not the sum of the delegations' entries"));
        of_entries("shares of what is on its way out", leaving == self.leaving.iter().map(|(key, leaving)| (*key, leaving.shares)).collect())?;
        of_entries("units of what moved", moved == self.moved.iter().map(|(key, moved)| (*key, moved.units)).collect())?;
        must(self.targets.iter().eq(self.moved.keys()), || "where stake moved is not what is listed".to_owned())
    }

    /// Whether everything is as it was reckoned, but for what the epoch's end says of time and voters.
    pub(super) fn compare(&self, reckoned: &Self) -> Result<(), String> {
        let status = |validators: &BTreeMap<Address, Validator>| validators.iter().map(|(operator, validator)| (*operator, validator.status)).collect();
        same("the status of", &status(&self.validators), &status(&reckoned.validators))?;
        same("the validator of", &self.validators, &reckoned.validators)?;
        same("stake on its way out of", &self.leaving, &reckoned.leaving)?;
        same("stake that moved to", &self.moved, &reckoned.moved)?;
        same("the delegation to", &self.delegations, &reckoned.delegations)?;
        same("the profile of", &self.profiles, &reckoned.profiles)?;
        same("proposal", &self.proposals, &reckoned.proposals)?;
        same("the vote on", &self.votes, &reckoned.votes)?;
        must(self.agenda == reckoned.agenda, || format!("{:?}, not {:?}", self.agenda, reckoned.agenda))?;
        must(self.parameters == reckoned.parameters, || format!("{:?}, not {:?}", self.parameters, reckoned.parameters))?;
        must(self.pools == reckoned.pools, || format!("{:?}, not {:?}", self.pools, reckoned.pools))?;
        same("the account", &self.accounts, &reckoned.accounts)
    }

    /// Who must vote now, in no order, with whole stos.
    pub(super) fn elected(&self) -> BTreeMap<PublicKey, u64> {
        let mut list: Vec<&Validator> =
            self.validators.values().filter(|validator| validator.status == Status::Candidate && validator.stake.0 >= WEI_PER_STOS).collect();
        list.sort_by(|one, other| other.stake.cmp(&one.stake).then(one.operator.cmp(&other.operator)));
        list.iter().take(128).map(|validator| (validator.key, stos(validator.stake))).collect()
    }
}

pub(super) fn stos(amount: Amount) -> u64 {
    u64::try_from(amount.0 / WEI_PER_STOS).unwrap_or(u64::MAX)
}

/// `a * b / c`, rounded down; nothing of nothing.
pub(super) fn down(a: u128, b: u128, c: u128) -> u128 {
    mul_div(a, b, c).unwrap_or(0)
}

/// `a * b / c`, rounded up.
pub(super) fn up(a: u128, b: u128, c: u128) -> u128 {
    let quotient = down(a, b, c);
    // The rest is below `c`, so that it is known from its lowest 128 bits.
    quotient + u128::from(a.wrapping_mul(b) != quotient.wrapping_mul(c))
}

pub(super) fn equal(what: &str, found: u128, expected: u128) -> Result<(), String> {
    must(found == expected, || format!("{what}: {found}, not {expected}"))
}

pub(super) fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// The first of two lists that is not the same in both.
fn same<K: Ord + Debug, V: PartialEq + Debug>(what: &str, found: &BTreeMap<K, V>, reckoned: &BTreeMap<K, V>) -> Result<(), String> {
    let other = found.keys().chain(reckoned.keys()).find(|key| found.get(key) != reckoned.get(key));
    other.map_or(Ok(()), |key| Err(format!("{what} {key:?} is {:?}, not {:?}", found.get(key), reckoned.get(key))))
}
