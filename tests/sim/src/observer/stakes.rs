//! I17 on the value ledger: after every final block, the bare records of the state against those before, with arithmetic of our own.
//!
//! Whatever a block does is reckoned anew from the records before it, and every record after it must be what was reckoned.
//!
//! - The supply is what it was; the pools are the sums of the records (`records`).
//! - A transaction pays for its units, and does all that it asks for or nothing (`transactions`). What nobody asked for changes nothing.
//! - Keys are tombstoned by evidence against liars in that very block, once, and stay so. The slash comes when the window is over, `min(1, 3 W / T)`, and takes
//!   from what left for other validators as well (`slashes`): all that it weighed answers.
//! - Proposals end with their time, by the stake of those who voted; what they spend and change, and their deposits, follow (`proposals`).
//! - Jailed is who was away by the certificates in the chain; nobody leaves jail without asking.
//! - Voters change when an epoch ends, to those with the most stake whom the block's header names.

mod events;
mod proposals;
mod records;
mod slashes;
mod transactions;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chain::ledger::Body;
use chain::staking::{Status, Voter};
use chain::transaction::SignedTransaction;
use consensus::config::Attendance;
use consensus::{Block, Member, Members};
use primitives::encoding::decode;
use primitives::units::WEI_PER_STOS;
use primitives::{Address, Epoch, Hash, PublicKey};
use state::Sealed;

use super::violation::Violation;
use super::votes::may_stand_together;
use crate::ledger::Opening;
use records::{Records, down, equal, must, stos};

pub use events::Events;
pub use slashes::Guilt;

/// Wei that stake loses at most by rounding when it moves.
const DUST: u128 = 1_000;

/// One member's part in the current epoch.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    signed: u64,
    taken: u64,
    skipped: u64,
}

/// Follows the money.
pub struct Stakes {
    liars: Vec<PublicKey>,
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
        let (header, epoch) = (&block.header, self.before.epoch);
        let is_over = header.time.0 - epoch.started.0 >= self.before.parameters.epoch_ms;
        must(is_over == header.is_last() && is_over == body.summary.closes_epoch, || {
            format!("the epoch ends by its time: {is_over}; by its header: {}", !is_over)
        })?;
        self.count(block, attendance);
        let reporter = self.before.voters.get(usize::from(header.proposer)).map(|voter| voter.operator).ok_or("proposed by nobody")?;
        self.charge(&body, reporter, openings)?;
        let mut reckoned = self.before.clone();
        self.guilty.iter().for_each(|(operator, guilt)| reckoned.bury(operator, guilt));
        let (mut units, mut tips) = (0, 0);
        for bytes in &body.transactions {
            let transaction: SignedTransaction = decode(bytes, 1 << 20).map_err(|_| "a transaction is none")?;
            let (used, tip) = reckoned.transact(&transaction, bytes.len(), body.summary.base_fee.0, &mut self.events)?;
            (units, tips) = (units + used, tips + tip);
        }
        reckoned.give(&reporter, tips);
        equal("units", u128::from(body.summary.units_used), u128::from(units))?;
        if is_over {
            self.end_epoch(&mut reckoned)?;
        }
        after.audit()?;
        after.compare(&reckoned)?;
        self.beacon = Hash::of("beacon", &[&self.beacon.0, &header.parent.0]);
        must(after.epoch.beacon == self.beacon, || "the beacon is another".to_owned())?;
        self.voters(block, after, is_over)
    }

    /// What the end of an epoch does to money and to those who stand: proposals, then jail, then slashes.
    fn end_epoch(&mut self, records: &mut Records) -> Result<(), String> {
        records.close_proposals(&mut self.events);
        for operator in self.absent(records) {
            let status = Status::Jailed { until: records.epoch.number.next() };
            records.validators.entry(operator).and_modify(|validator| validator.status = status);
            self.events.jailed += 1;
        }
        let window = records.parameters.evidence_epochs;
        let is_due = |(_, guilt): &(Address, Guilt)| guilt.proven.0 + window == records.epoch.number.0;
        let mut due: Vec<(Address, Guilt)> = self.guilty.iter().map(|(operator, guilt)| (*operator, *guilt)).filter(is_due).collect();
        due.sort_by_key(|(_, guilt)| guilt.place);
        for (operator, guilt) in due {
            let part = guilt.part(self.guilty.values(), window);
            let slashed = records.slash(&operator, &guilt, part, &mut self.events);
            self.guilty.insert(operator, Guilt { lost: Some(part), ..guilt });
            // Nobody runs from its slash: whatever it weighed is there still, wherever it went. Of the same stake slashes of others take as well.
            let least = down(u128::from(guilt.weight) * WEI_PER_STOS, part.0, part.1);
            must(self.guilty.len() > 1 || slashed + DUST >= least, || format!("{operator} lost {slashed} of what it weighed, not {least}"))?;
        }
        Ok(())
    }

    /// Who shows itself in this block.
    fn count(&mut self, block: &Block, attendance: &Attendance) {
        self.certificates += u64::from(!attendance.voters.is_empty());
        attendance.voters.iter().for_each(|member| self.seen.entry(usize::from(*member)).or_default().signed += 1);
        attendance.absent.iter().for_each(|member| self.seen.entry(usize::from(*member)).or_default().skipped += 1);
        self.seen.entry(usize::from(block.header.proposer)).or_default().taken += 1;
    }

    /// The evidence of a block: real, against liars alone.
    fn charge(&mut self, body: &Body, reporter: Address, openings: &BTreeMap<Epoch, Opening>) -> Result<(), String> {
        let current = self.before.epoch.number;
        for evidence in &body.evidence {
            let [first, second] = evidence.votes();
            let epoch = first.vote.epoch;
            must(epoch <= current && current.0 - epoch.0 <= self.before.parameters.evidence_epochs, || {
                format!("evidence about epoch {epoch} in epoch {current}")
            })?;
            must(first.signer == second.signer && !may_stand_together(&first.vote, &second.vote), || "evidence of no contradiction".to_owned())?;
            let members = openings.get(&epoch).map(|opening| opening.members.list()).ok_or("evidence about an epoch that nobody began")?;
            let Member { key, weight } = *members.get(usize::from(first.signer)).ok_or("evidence against nobody")?;
            must(self.liars.contains(&key), || format!("I8: evidence against the honest {key:?}"))?;
            let total = members.iter().map(|member| member.weight).sum();
            let operator = self.before.validators.values().find(|validator| validator.key == key).map(|validator| validator.operator);
            let operator = operator.ok_or("evidence against who is no validator")?;
            let place = self.guilty.len();
            let guilt = self.guilty.entry(operator).or_insert(Guilt { key, epoch, weight, total, proven: current, place, reporter, lost: None });
            must(guilt.lost.is_none(), || "evidence was taken after the slash".to_owned())?;
            (guilt.epoch, guilt.weight, guilt.total) = (guilt.epoch.min(epoch), guilt.weight.max(weight), guilt.total.min(total));
            self.events.evidence += 1;
        }
        Ok(())
    }

    /// Whom the end of this epoch jails: who signed less than half and missed more turns than it took, the least seen first, as long as less than a third of
    /// the weight is jailed.
    fn absent(&self, records: &Records) -> BTreeSet<Address> {
        let total: u64 = self.before.voters.iter().map(|voter| stos(voter.stake)).sum();
        let seen = |place: usize| self.seen.get(&place).copied().unwrap_or_default();
        let is_away = |seen: &Seen| 2 * seen.signed < self.certificates && seen.skipped > seen.taken;
        let mut away: Vec<(u64, usize)> =
            (0..self.before.voters.len()).filter(|place| is_away(&seen(*place))).map(|place| (seen(place).signed, place)).collect();
        away.sort_unstable();
        let (mut jailed, mut weight) = (BTreeSet::new(), 0);
        for voter in away.iter().map(|(_, place)| &self.before.voters[*place]) {
            if records.validators.get(&voter.operator).is_none_or(|validator| validator.status != Status::Candidate) {
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
