//! I17 on the value ledger: after every final block, the bare records of the state against the state before, with arithmetic of our own.
//!
//! - The supply is what it was; the pools are the sums of the records.
//! - What is burned is what blocks charge for units and what slashes take, less their rewards.
//! - A validator's stake, with what is on its way out, changes by what the block's transactions name, and by a slash that is due; by nothing else.
//! - Keys are tombstoned by evidence against liars in that very block, once, and stay so. The slash comes when the window is over: `min(1, 3 W / T)`.
//! - Jailed is who was away by the certificates in the chain; nobody leaves jail without asking.
//! - Voters change when an epoch ends, to those with the most stake whom the block's header names.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use borsh::BorshDeserialize;
use chain::accounts::Account;
use chain::epochs::Current;
use chain::keys;
use chain::ledger::Body;
use chain::parameters::Parameters;
use chain::pools::Pools;
use chain::staking::delegation::{Delegation, Leaving};
use chain::staking::{Status, Validator, Voter};
use chain::transaction::{Message, SignedTransaction};
use consensus::config::Attendance;
use consensus::{Block, Member, Members};
use primitives::encoding::decode;
use primitives::units::WEI_PER_STOS;
use primitives::{Address, Amount, Epoch, Hash, PublicKey};
use state::Sealed;

use super::violation::Violation;
use super::votes::may_stand_together;
use crate::ledger::Opening;

/// Wei by operator.
type Sums = BTreeMap<Address, u128>;

/// Every coin there is, in wei.
const SUPPLY: u128 = 100_000_000 * WEI_PER_STOS;

/// The records of one state, read without the ledger's help.
#[derive(Clone, Debug, Default)]
struct Records {
    accounts: BTreeMap<Address, Account>,
    validators: BTreeMap<Address, Validator>,
    delegations: BTreeMap<(Address, Address), Delegation>,
    leaving: BTreeMap<(Address, Epoch), Leaving>,
    voters: Vec<Voter>,
    pools: Pools,
    epoch: Current,
}

fn value<T: BorshDeserialize>(bytes: &[u8]) -> T {
    decode(bytes, 1 << 20).expect("the ledger wrote it")
}

fn address(bytes: &[u8]) -> Address {
    Address(bytes.try_into().expect("an address has 20 bytes"))
}

impl Records {
    fn read(state: &Sealed) -> Self {
        let mut records = Self::default();
        state.scan(&[], |key, bytes| match key {
            [1, b'a', who @ ..] => drop(records.accounts.insert(address(who), value(bytes))),
            [1, b'p'] => records.pools = value(bytes),
            [2, b'n', who @ ..] => drop(records.validators.insert(address(who), value(bytes))),
            [2, b'd', both @ ..] => drop(records.delegations.insert((address(&both[..20]), address(&both[20..])), value(bytes))),
            [2, b'u', rest @ ..] => {
                let epoch = Epoch(u64::from_be_bytes(rest[20..].try_into().expect("an epoch has 8 bytes")));
                records.leaving.insert((address(&rest[..20]), epoch), value(bytes));
            }
            [2, b'v'] => records.voters = value(bytes),
            [7, b'e'] => records.epoch = value(bytes),
            _ => {}
        });
        records
    }

    /// Stake of a validator and all that left it and is not withdrawn.
    fn held(&self, operator: &Address) -> u128 {
        let leaving = self.leaving.iter().filter(|((of, _), _)| of == operator).map(|(_, leaving)| leaving.amount.0);
        self.validators.get(operator).map_or(0, |validator| validator.stake.0) + leaving.sum::<u128>()
    }

    /// Supply and sums.
    fn audit(&self) -> Result<(), String> {
        let Pools { prepaid, deposits, stake, unbonding, rewards, reserve, community, governance, burned } = self.pools;
        let pools = [prepaid, deposits, stake, unbonding, rewards, reserve, community, governance, burned];
        let sum = self.accounts.values().map(|account| account.balance.0).sum::<u128>() + pools.iter().map(|pool| pool.0).sum::<u128>();
        equal("all coins", sum, SUPPLY)?;
        equal("the pool of stake", stake.0, self.validators.values().map(|validator| validator.stake.0).sum())?;
        equal("the pool of what is on its way out", unbonding.0, self.leaving.values().map(|leaving| leaving.amount.0).sum())?;
        for validator in self.validators.values() {
            let of_validator = self.delegations.iter().filter(|((of, _), _)| *of == validator.operator);
            equal("a validator's shares", validator.shares, of_validator.map(|(_, delegation)| delegation.shares).sum())?;
        }
        let mut leaving: BTreeMap<(Address, Epoch), u128> = BTreeMap::new();
        for ((validator, _), delegation) in &self.delegations {
            for (epoch, shares) in &delegation.leaving {
                *leaving.entry((*validator, *epoch)).or_default() += shares;
            }
        }
        let recorded = self.leaving.iter().map(|(key, leaving)| (*key, leaving.shares)).collect();
        if leaving == recorded { Ok(()) } else { Err("shares of what is on its way out are not the sum of the delegations' entries".to_owned()) }
    }

    /// Who must vote now, in no order, with whole stos.
    fn elected(&self) -> BTreeMap<PublicKey, u64> {
        let mut list: Vec<&Validator> =
            self.validators.values().filter(|validator| validator.status == Status::Candidate && validator.stake.0 >= WEI_PER_STOS).collect();
        list.sort_by(|one, other| other.stake.cmp(&one.stake).then(one.operator.cmp(&other.operator)));
        list.iter().take(128).map(|validator| (validator.key, stos(validator.stake))).collect()
    }
}

fn stos(amount: Amount) -> u64 {
    u64::try_from(amount.0 / WEI_PER_STOS).unwrap_or(u64::MAX)
}

fn equal(what: &str, found: u128, expected: u128) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found}, not {expected}")) }
}

fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A validator against which a block brought evidence.
#[derive(Clone, Copy, Debug)]
pub struct Guilt {
    /// Its key.
    pub key: PublicKey,
    /// The earliest epoch in which it contradicted itself, its greatest weight and the set's least, of all epochs that were proven.
    pub epoch: Epoch,
    /// Its greatest weight.
    pub weight: u64,
    /// The set's least.
    pub total: u64,
    /// Epoch of the first proof.
    pub proven: Epoch,
    /// Who proposed it.
    pub reporter: Address,
    /// Numerator and denominator of what it lost, once it has.
    pub lost: Option<(u128, u128)>,
}

/// One member's part in the current epoch.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    signed: u64,
    taken: u64,
    skipped: u64,
}

/// What was seen, for tests that must not be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Evidence in blocks, beyond the first against a validator too.
    pub evidence: u64,
    /// Slashes.
    pub slashes: u64,
    /// Slashes in blocks without transactions, in which every account was followed.
    pub followed: u64,
    /// Validators that were jailed.
    pub jailed: u64,
    /// Validators that came back.
    pub unjailed: u64,
    /// Validators that were made.
    pub created: u64,
    /// Transactions.
    pub transactions: u64,
    /// Epochs that ended with other voters or weights than they began with.
    pub changes: u64,
    /// Withdrawals of what was on its way out.
    pub withdrawn: u64,
}

/// Follows the money.
pub struct Stakes {
    liars: Vec<PublicKey>,
    parameters: Parameters,
    before: Records,
    /// By operator.
    guilty: BTreeMap<Address, Guilt>,
    seen: BTreeMap<usize, Seen>,
    certificates: u64,
    beacon: Hash,
    /// What leaders of each epoch are drawn with.
    seeds: BTreeMap<Epoch, Hash>,
    /// Counts.
    pub events: Events,
}

impl Stakes {
    /// After genesis.
    pub fn new(chain: Hash, state: &Sealed, liars: Vec<PublicKey>) -> Self {
        let beacon = Hash::of("beacon", &[&chain.0]);
        Self {
            liars,
            parameters: keys::read(state, &keys::parameters()).expect("genesis wrote them"),
            before: Records::read(state),
            guilty: BTreeMap::new(),
            seen: BTreeMap::new(),
            certificates: 0,
            beacon,
            seeds: [(Epoch(0), beacon)].into(),
            events: Events::default(),
        }
    }

    /// The convicts, by operator.
    pub fn guilty(&self) -> &BTreeMap<Address, Guilt> {
        &self.guilty
    }

    /// The epoch that blocks on this state are in.
    pub fn epoch(&self) -> Epoch {
        self.before.epoch.number
    }

    /// Whether this key is tombstoned.
    pub fn is_tombstoned(&self, key: &PublicKey) -> bool {
        self.guilty.values().any(|guilt| guilt.key == *key)
    }

    /// The seed of an epoch that has begun.
    pub fn seed(&self, epoch: Epoch) -> Option<Hash> {
        self.seeds.get(&epoch).copied()
    }

    /// The next final block led to this state; `openings` are the epochs so far.
    ///
    /// # Errors
    /// [`Violation::Stake`].
    pub fn follow(&mut self, block: &Block, attendance: &Attendance, state: &Sealed, openings: &BTreeMap<Epoch, Opening>) -> Result<(), Violation> {
        let after = Records::read(state);
        let followed = self.compare(block, attendance, &after, openings);
        self.before = after;
        followed.map_err(|cause| Violation::Stake { height: block.header.height, cause })
    }

    fn compare(&mut self, block: &Block, attendance: &Attendance, after: &Records, openings: &BTreeMap<Epoch, Opening>) -> Result<(), String> {
        let body: Body = decode(&block.payload, 4 << 20).map_err(|_| "the payload is no body")?;
        let decoded = body.transactions.iter().map(|bytes| value::<SignedTransaction>(bytes).body);
        let wishes: Vec<(Address, Message)> =
            decoded.flat_map(|body| body.messages.iter().map(|message| (body.sender(), message.clone())).collect::<Vec<_>>()).collect();
        self.events.transactions += body.transactions.len() as u64;
        let header = &block.header;
        let epoch = self.before.epoch;
        let is_over = header.time.0 - epoch.started.0 >= self.parameters.epoch_ms;
        must(is_over == header.is_last() && is_over == body.summary.closes_epoch, || {
            format!("the epoch ends by its time: {is_over}; by its header: {}", !is_over)
        })?;
        after.audit()?;
        self.count(block, attendance);
        let charged = self.charge(&body, header.proposer, openings)?;
        self.statuses(after, &charged, &wishes, is_over)?;
        let (slashed, rewards) = self.slashes(after, is_over)?;
        self.stakes(after, &wishes, &slashed)?;
        let fees = body.summary.base_fee.0 * u128::from(body.summary.units_used);
        let (lost, paid) = (slashed.values().sum::<u128>(), rewards.values().sum::<u128>());
        equal("what is burned", after.pools.burned.0, self.before.pools.burned.0 + fees + lost - paid)?;
        let rest = |pools: &Pools| (pools.prepaid, pools.deposits, pools.rewards, pools.reserve, pools.community, pools.governance);
        must(rest(&after.pools) == rest(&self.before.pools), || "a pool changed that nobody uses".to_owned())?;
        if body.transactions.is_empty() {
            for (who, account) in &after.accounts {
                let before = self.before.accounts.get(who).map_or(0, |account| account.balance.0);
                equal("an account in a block without transactions", account.balance.0, before + rewards.get(who).copied().unwrap_or(0))?;
            }
            self.events.followed += slashed.len() as u64;
        }
        self.beacon = Hash::of("beacon", &[&self.beacon.0, &header.parent.0]);
        must(after.epoch.beacon == self.beacon, || "the beacon is another".to_owned())?;
        self.voters(block, after, is_over)
    }

    /// Who shows itself in this block.
    fn count(&mut self, block: &Block, attendance: &Attendance) {
        self.certificates += u64::from(!attendance.voters.is_empty());
        attendance.voters.iter().for_each(|member| self.seen.entry(usize::from(*member)).or_default().signed += 1);
        attendance.absent.iter().for_each(|member| self.seen.entry(usize::from(*member)).or_default().skipped += 1);
        self.seen.entry(usize::from(block.header.proposer)).or_default().taken += 1;
    }

    /// The evidence of a block: real, against liars alone. Gives the operators who are charged for the first time.
    fn charge(&mut self, body: &Body, proposer: u16, openings: &BTreeMap<Epoch, Opening>) -> Result<BTreeSet<Address>, String> {
        let current = self.before.epoch.number;
        let mut charged = BTreeSet::new();
        for evidence in &body.evidence {
            let [first, second] = evidence.votes();
            let epoch = first.vote.epoch;
            must(epoch <= current && current.0 - epoch.0 <= self.parameters.evidence_epochs, || format!("evidence about epoch {epoch} in epoch {current}"))?;
            must(first.signer == second.signer && !may_stand_together(&first.vote, &second.vote), || "evidence of no contradiction".to_owned())?;
            let members = openings.get(&epoch).map(|opening| opening.members.list()).ok_or("evidence about an epoch that nobody began")?;
            let Member { key, weight } = *members.get(usize::from(first.signer)).ok_or("evidence against nobody")?;
            must(self.liars.contains(&key), || format!("I8: evidence against the honest {key:?}"))?;
            let total = members.iter().map(|member| member.weight).sum();
            let operator = self.before.validators.values().find(|validator| validator.key == key).map(|validator| validator.operator);
            let operator = operator.ok_or("evidence against who is no validator")?;
            let reporter = self.before.voters.get(usize::from(proposer)).map(|voter| voter.operator).ok_or("proposed by nobody")?;
            let guilt = self.guilty.entry(operator).or_insert_with(|| {
                charged.insert(operator);
                Guilt { key, epoch, weight, total, proven: current, reporter, lost: None }
            });
            must(guilt.lost.is_none(), || "evidence was taken after the slash".to_owned())?;
            (guilt.epoch, guilt.weight, guilt.total) = (guilt.epoch.min(epoch), guilt.weight.max(weight), guilt.total.min(total));
            self.events.evidence += 1;
        }
        Ok(charged)
    }

    /// Tombstones and jail.
    fn statuses(&mut self, after: &Records, charged: &BTreeSet<Address>, wishes: &[(Address, Message)], is_over: bool) -> Result<(), String> {
        let mut keys = BTreeSet::new();
        let absent = if is_over { self.absent(charged) } else { BTreeSet::new() };
        for (operator, validator) in &after.validators {
            must(keys.insert(validator.key), || "two validators have one key".to_owned())?;
            let before = self.before.validators.get(operator).map(|validator| validator.status);
            self.events.created += u64::from(before.is_none());
            let has_asked = |message: fn(&Message) -> bool| wishes.iter().any(|(who, wish)| who == operator && message(wish));
            let status = validator.status;
            let expected = match (before, self.guilty.get(operator)) {
                (_, Some(guilt)) => {
                    let was_tombstoned = matches!(before, Some(Status::Tombstoned { .. }));
                    must(was_tombstoned != charged.contains(operator), || format!("{operator} was tombstoned before its evidence, or twice"))?;
                    Status::Tombstoned { offence: guilt.epoch, until: Epoch(guilt.proven.0 + self.parameters.evidence_epochs) }
                }
                (_, None) if absent.contains(operator) => Status::Jailed { until: after.epoch.number },
                (Some(Status::Jailed { until }), None) if self.before.epoch.number > until && has_asked(|wish| matches!(wish, Message::Unjail)) => {
                    // Its transaction may have failed for what else it asked.
                    self.events.unjailed += u64::from(status == Status::Candidate);
                    if status == Status::Candidate { Status::Candidate } else { Status::Jailed { until } }
                }
                (Some(status), None) => status,
                (None, None) => {
                    must(has_asked(|wish| matches!(wish, Message::CreateValidator { .. })), || format!("{operator} never asked to be a validator"))?;
                    Status::Candidate
                }
            };
            must(status == expected, || format!("{operator} is {status:?}, not {expected:?}"))?;
            self.events.jailed += u64::from(absent.contains(operator));
        }
        must(self.before.validators.keys().all(|operator| after.validators.contains_key(operator)), || "a validator is gone".to_owned())
    }

    /// Whom the end of this epoch jails: who signed less than half and missed more turns than it took, the least seen first, as long as less than a third of
    /// the weight is jailed.
    fn absent(&self, charged: &BTreeSet<Address>) -> BTreeSet<Address> {
        let total: u64 = self.before.voters.iter().map(|voter| stos(voter.stake)).sum();
        let seen = |place: usize| self.seen.get(&place).copied().unwrap_or_default();
        let is_away = |seen: &Seen| 2 * seen.signed < self.certificates && seen.skipped > seen.taken;
        let mut away: Vec<(u64, usize)> =
            (0..self.before.voters.len()).filter(|place| is_away(&seen(*place))).map(|place| (seen(place).signed, place)).collect();
        away.sort_unstable();
        let (mut jailed, mut weight) = (BTreeSet::new(), 0);
        for voter in away.iter().map(|(_, place)| &self.before.voters[*place]) {
            let is_free = self.before.validators.get(&voter.operator).is_some_and(|validator| validator.status == Status::Candidate);
            if !is_free || charged.contains(&voter.operator) {
                continue;
            }
            weight += stos(voter.stake);
            if 3 * weight >= total {
                break;
            }
            jailed.insert(voter.operator);
        }
        jailed
    }

    /// The slashes that are due: what each took, and what it paid to whom.
    fn slashes(&mut self, after: &Records, is_over: bool) -> Result<(Sums, Sums), String> {
        let (window, ended) = (self.parameters.evidence_epochs, self.before.epoch.number);
        let (mut slashed, mut rewards) = (BTreeMap::new(), BTreeMap::new());
        let due = |guilt: &Guilt| is_over && guilt.proven.0 + window == ended.0;
        for (operator, guilt) in self.guilty.clone().into_iter().filter(|(_, guilt)| due(guilt)) {
            let together = self.guilty.values().filter(|other| other.proven.0.abs_diff(guilt.proven.0) <= window);
            let total = u128::from(guilt.total);
            let lost = (3 * together.map(|other| u128::from(other.weight)).sum::<u128>()).min(total);
            let (lost, total) = if 100 * lost < total { (1, 100) } else { (lost, total) };
            // What is kept is rounded down.
            let kept = |amount: Amount| amount.0 * (total - lost) / total;
            let before = self.before.validators.get(&operator).map_or(Amount::ZERO, |validator| validator.stake);
            let found = after.validators.get(&operator).map_or(0, |validator| validator.stake.0);
            equal("a slashed stake", found, kept(before))?;
            let mut took = before.0 - found;
            let answers = |((of, epoch), _): &(&(Address, Epoch), &Leaving)| *of == operator && *epoch >= guilt.epoch && *epoch <= guilt.proven;
            for (key, leaving) in self.before.leaving.iter().filter(answers) {
                let found = after.leaving.get(key).map_or(0, |leaving| leaving.amount.0);
                equal("slashed stake on its way out", found, kept(leaving.amount))?;
                took += leaving.amount.0 - found;
            }
            if guilt.reporter != operator {
                *rewards.entry(guilt.reporter).or_default() += took * u128::from(self.parameters.slash_reward_bp) / 10_000;
            }
            slashed.insert(operator, took);
            self.guilty.entry(operator).and_modify(|guilt| guilt.lost = Some((lost, total)));
            self.events.slashes += 1;
        }
        Ok((slashed, rewards))
    }

    /// What each validator holds changed by nothing but slashes and what transactions name.
    fn stakes(&mut self, after: &Records, wishes: &[(Address, Message)], slashed: &BTreeMap<Address, u128>) -> Result<(), String> {
        for (operator, validator) in &after.validators {
            let (mut added, mut may_leave, mut may_move) = (0, false, false);
            for (who, wish) in wishes {
                match wish {
                    Message::CreateValidator { stake, .. } if who == operator => added += stake.0,
                    Message::Delegate { validator, amount } if validator == operator => added += amount.0,
                    // A tombstoned validator that has paid gives out at once.
                    Message::Undelegate { validator: of, .. } if of == operator => {
                        may_leave |= matches!(validator.status, Status::Tombstoned { .. });
                        may_move = true;
                    }
                    Message::WithdrawUnbonded { validator } if validator == operator => may_leave = true,
                    Message::CreateValidator { .. }
                    | Message::Delegate { .. }
                    | Message::Undelegate { .. }
                    | Message::WithdrawUnbonded { .. }
                    // No user of the simulation asks for this.
                    | Message::Redelegate { .. }
                    | Message::CollectReward { .. }
                    | Message::SetCommission { .. }
                    | Message::Unjail
                    | Message::Describe { .. }
                    | Message::Donate { .. }
                    | Message::Send { .. }
                    | Message::BuyOzone { .. }
                    | Message::RegisterResource { .. }
                    | Message::RegisterMeta { .. }
                    | Message::MoveNode { .. }
                    | Message::VoteMeta { .. }
                    | Message::Propose { .. }
                    | Message::VoteProposal { .. }
                    | Message::TopUpDeposit { .. }
                    | Message::LeaveRegistry
                    | Message::WithdrawDeposit
                    | Message::Settle { .. }
                    | Message::ClaimDirectly { .. }
                    | Message::AccuseReport { .. }
                    | Message::AccuseIssuer { .. }
                    | Message::Withdraw { .. } => {}
                }
            }
            let before = self.before.held(operator) - slashed.get(operator).copied().unwrap_or(0);
            let held = after.held(operator);
            let is_possible = held <= before + added && (held >= before || may_leave);
            must(is_possible, || format!("{operator} holds {held}, held {before} less what was slashed, was given {added} at most"))?;
            self.events.withdrawn += u64::from(held < before);
            if added == 0 && !may_move && !slashed.contains_key(operator) {
                let stake = self.before.validators.get(operator).map_or(0, |validator| validator.stake.0);
                equal("a stake that nobody moved", validator.stake.0, stake)?;
            }
            let locked = self.guilty.get(operator).is_some_and(|guilt| guilt.lost.is_none());
            if locked && let Some(before) = self.before.validators.get(operator) {
                equal("a stake that waits for its slash", validator.stake.0, before.stake.0)?;
            }
        }
        Ok(())
    }

    fn voters(&mut self, block: &Block, after: &Records, is_over: bool) -> Result<(), String> {
        let members = |voters: &[Voter]| {
            let list = voters.iter().map(|voter| Member { key: voter.key, weight: stos(voter.stake) });
            Members::new(list.collect()).map(|members| members.hash()).map_err(|error| error.to_string())
        };
        let header = &block.header;
        must(header.members == members(&self.before.voters)?, || "the block is of other voters than the state before it".to_owned())?;
        if !is_over {
            return must(after.voters == self.before.voters && after.epoch.number == self.before.epoch.number, || {
                "the voters changed within an epoch".to_owned()
            });
        }
        must(header.next_members == members(&after.voters)?, || "the block names other voters than the state has".to_owned())?;
        let (elected, voters) = (after.elected(), after.voters.iter().map(|voter| (voter.key, stos(voter.stake))).collect::<BTreeMap<_, _>>());
        let expected = if elected.is_empty() { self.before.voters.iter().map(|voter| (voter.key, stos(voter.stake))).collect() } else { elected };
        must(voters == expected, || format!("the voters are {voters:?}, not {expected:?}"))?;
        if let Some(key) = voters.keys().find(|key| self.is_tombstoned(key)).filter(|_| voters.len() > 1) {
            return Err(format!("the tombstoned {key:?} votes"));
        }
        must(after.epoch.number == self.before.epoch.number.next() && after.epoch.started == header.time, || "the epoch begins otherwise".to_owned())?;
        self.events.changes += u64::from(after.voters != self.before.voters);
        self.seeds.insert(after.epoch.number, self.beacon);
        self.seen.clear();
        self.certificates = 0;
        Ok(())
    }
}
