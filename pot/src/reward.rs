//! Rewards: what the traffic of an epoch earns, for whom, to the wei.
//!
//! # Steps of [`settle`]
//! 1. Each payer is charged for its bytes; they release what they cost it ([`crate::curve::Balance::charge`]). `R` is the sum. A payer that was promised to
//!    more carriers than it can pay is charged all it has, and they share it by their bytes; the ledgers' reservations see to it that there is none.
//! 2. The mining reward `M` is what the schedule gives at this point, but at most `beta * R` and at most what is left.
//! 3. `R` and `M` are split between resource nodes, meta nodes and validators by the schedule's row; `R`'s first two shares pay the community tax.
//! 4. Resource nodes share by the value that their bytes released, meta nodes by liveness, validators by stake.
//!
//! Every division rounds down. What rounding leaves of `M` is never taken from the reserve; what it leaves of `R` is [`Distribution::dust`], which belongs to
//! nobody: the ledger gives it to the community pool, so that the prepaid pool stays the sum of the cost bases. So `R = traffic rewards + tax + dust` and
//! `M = mining rewards` (POT-1).
//!
//! # Why self-dealing loses (POT-6)
//! A coalition of payers, carriers, a third of the meta nodes and a third of the stake gets back at most `c_R` of what its own bytes released, and `c_M` of
//! the subsidy for it, which is at most `beta` of it. [`Parameters::check`] demands `c_R + beta * c_M < 1` for every row. `c_M` is larger than `c_R`, because
//! mining is not taxed; the design's `c * (1 + beta) < 1` is this with `c_R` for both. The condition is tight: where it fails there is a coalition that does
//! not lose. `docs/subsidy.md` plays it with dishonest actors beside the original's rule.
//!
//! Source: stratos-chain `x/pot/keeper/distribute.go`. Different on purpose: release at cost, the `beta` cap, shares by value instead of volume.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::units::{BASIS_POINTS, mul_div};
use primitives::{Address, Amount, Noz};

use crate::curve::Balance;

/// Most rows of a schedule.
pub const ROWS_MAX: usize = 32;

/// One phase of mining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Row {
    /// The row holds while less than this was mined.
    pub mined_below: Amount,
    /// Most that one epoch mines.
    pub per_epoch: Amount,
    /// Resource nodes' share in basis points.
    pub resource: u32,
    /// Meta nodes' share in basis points.
    pub meta: u32,
    /// Validators' share in basis points.
    pub validators: u32,
}

/// Mining over time: rows with increasing bounds. After the last one nothing is mined and its split goes on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Schedule(pub Vec<Row>);

/// What governs the rewards of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Parameters {
    /// Mining over time.
    pub schedule: Schedule,
    /// `beta` in basis points: the mining reward is at most this share of what traffic released.
    pub beta: u32,
    /// Community tax in basis points, on the traffic part of resource and meta nodes.
    pub tax: u32,
}

/// Why parameters are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// No row, or too many.
    #[error("the mining schedule has {rows} rows, it needs 1 to {ROWS_MAX}")]
    Rows {
        /// How many there are.
        rows: usize,
    },
    /// Bounds that do not increase.
    #[error("row {row} of the mining schedule ends at {mined_below} wei, not above the row before it")]
    Bounds {
        /// Position of the row.
        row: usize,
        /// Its bound.
        mined_below: Amount,
    },
    /// Shares that are not a whole.
    #[error("the shares of row {row} sum to {sum} basis points, they must sum to {BASIS_POINTS}")]
    Split {
        /// Position of the row.
        row: usize,
        /// Their sum.
        sum: u64,
    },
    /// A tax above everything.
    #[error("a tax of {tax} basis points is above {BASIS_POINTS}")]
    Tax {
        /// The tax.
        tax: u32,
    },
    /// Traffic with oneself would pay.
    #[error(
        "row {row}: with beta = {beta} and tax = {tax} basis points, who pays itself gets back {returned} of every {paid} wei; it must get back less than it paid"
    )]
    SelfDealing {
        /// Position of the row.
        row: usize,
        /// `beta` in basis points.
        beta: u32,
        /// The tax in basis points.
        tax: u32,
        /// What a coalition gets back of `paid`.
        returned: u128,
        /// What it paid, in the same unit.
        paid: u128,
    },
}

impl Row {
    /// What a coalition gets back of [`Parameters::PAID`] that its own traffic released, subsidy included.
    fn returned(&self, beta: u32, tax: u32) -> u128 {
        let [whole, resource, meta, validators, beta] = [BASIS_POINTS, self.resource, self.meta, self.validators, beta].map(u128::from);
        let kept = whole.saturating_sub(u128::from(tax));
        // Thirds, by basis points, by basis points: all of the resource part, a third of the rest.
        let shares = |resource: u128, rest: u128| resource.saturating_mul(3).saturating_add(rest);
        let of_traffic = shares(resource.saturating_mul(kept), meta.saturating_mul(kept).saturating_add(validators.saturating_mul(whole)));
        let of_mining = shares(resource, meta.saturating_add(validators));
        of_traffic.saturating_mul(whole).saturating_add(of_mining.saturating_mul(beta).saturating_mul(whole))
    }
}

impl Schedule {
    /// The original network's: 40 million stos in halving phases, the resource nodes' share growing.
    pub fn standard() -> Self {
        let row = |mined_below: u64, tenths: u128, resource, meta| Row {
            mined_below: Amount::stos(mined_below),
            per_epoch: Amount(tenths.saturating_mul(primitives::units::WEI_PER_STOS / 10)),
            resource,
            meta,
            validators: 2000,
        };
        Self(vec![
            row(16_819_200, 800, 6000, 2000),
            row(25_228_800, 400, 6200, 1800),
            row(29_433_600, 200, 6400, 1600),
            row(31_536_000, 100, 6600, 1400),
            row(32_587_200, 50, 6800, 1200),
            row(40_000_000, 25, 7000, 1000),
        ])
    }

    /// The row that holds after `mined`; past the end the last one, mining nothing. `None` for an empty schedule.
    pub fn row(&self, mined: Amount) -> Option<Row> {
        let row = self.0.iter().find(|row| mined < row.mined_below).copied();
        row.or_else(|| self.0.last().map(|last| Row { per_epoch: Amount::ZERO, ..*last }))
    }

    /// All that will ever be mined.
    pub fn total(&self) -> Amount {
        self.0.last().map_or(Amount::ZERO, |last| last.mined_below)
    }
}

impl Parameters {
    /// Unit of the self-dealing check: thirds, by basis points three times.
    const PAID: u128 = 3 * 1_000_000_000_000;

    /// The standard schedule with `beta` 25 % and 2 % tax.
    pub fn standard() -> Self {
        Self { schedule: Schedule::standard(), beta: 2500, tax: 200 }
    }

    /// Whether these parameters are sound, above all that self-dealing loses: `c_R + beta * c_M < 1` in every row. Genesis and governance call it.
    ///
    /// # Errors
    /// [`ParametersError`] with the row and the numbers.
    pub fn check(&self) -> Result<(), ParametersError> {
        let rows = &self.schedule.0;
        if rows.is_empty() || rows.len() > ROWS_MAX {
            return Err(ParametersError::Rows { rows: rows.len() });
        }
        if self.tax > BASIS_POINTS {
            return Err(ParametersError::Tax { tax: self.tax });
        }
        let mut bound = Amount::ZERO;
        for (row, entry) in rows.iter().enumerate() {
            if entry.mined_below <= bound {
                return Err(ParametersError::Bounds { row, mined_below: entry.mined_below });
            }
            bound = entry.mined_below;
            let sum = [entry.resource, entry.meta, entry.validators].map(u64::from).iter().fold(0, |sum: u64, share| sum.saturating_add(*share));
            if sum != u64::from(BASIS_POINTS) {
                return Err(ParametersError::Split { row, sum });
            }
            let returned = entry.returned(self.beta, self.tax);
            if returned >= Self::PAID {
                return Err(ParametersError::SelfDealing { row, beta: self.beta, tax: self.tax, returned, paid: Self::PAID });
            }
        }
        Ok(())
    }
}

/// A payer and its carrier, and bytes as noz.
pub type Owed = ((Address, Address), Noz);

/// What is charged in an epoch: bytes by (payer, carrier), all classes together, in the order of the pairs and each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charges(Vec<Owed>);

impl FromIterator<Owed> for Charges {
    /// From rows in any order; those of the same pair are added up, to the largest number at most.
    fn from_iter<I: IntoIterator<Item = Owed>>(rows: I) -> Self {
        let mut rows: Vec<_> = rows.into_iter().collect();
        // Parts of reports are runs that are in order already: merging them takes a part of what a tree of them would.
        rows.sort_by_key(|(pair, _)| *pair);
        rows.dedup_by(|next, sum| {
            let is_same = next.0 == sum.0;
            if is_same {
                sum.1 = sum.1.saturating_add(next.1);
            }
            is_same
        });
        Self(rows)
    }
}

impl Charges {
    /// Of many runs of rows, which are freed as they are taken.
    pub fn of_runs(runs: Vec<Vec<Owed>>) -> Self {
        let mut rows = Vec::with_capacity(runs.iter().map(Vec::len).sum());
        runs.into_iter().for_each(|run| rows.extend(run));
        rows.into_iter().collect()
    }

    /// The rows.
    pub fn into_rows(self) -> Vec<Owed> {
        self.0
    }

    /// Who pays, each once, in their order.
    pub fn payers(&self) -> impl Iterator<Item = Address> {
        self.by_payer().map(|(payer, _)| payer)
    }

    /// Each payer with its rows.
    fn by_payer(&self) -> impl Iterator<Item = (Address, &[Owed])> {
        self.0.chunk_by(|((one, _), _), ((other, _), _)| one == other).filter_map(|own| Some((own.first()?.0.0, own)))
    }
}

/// Everything that the settlement of an epoch depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement<'a> {
    /// Schedule, cap, tax.
    pub parameters: &'a Parameters,
    /// Mined before this epoch.
    pub mined: Amount,
    /// What the foundation reserve holds.
    pub reserve: Amount,
    /// Who pays whom for how many bytes.
    pub charges: &'a Charges,
    /// The payers' balances before the epoch; those of others are not looked at.
    pub balances: &'a BTreeMap<Address, Balance>,
    /// How alive each meta node was; the unit does not matter.
    pub liveness: &'a BTreeMap<Address, u32>,
    /// Each validator's stake.
    pub stakes: &'a BTreeMap<Address, Amount>,
}

/// What a payer was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Charged {
    /// Bytes, as noz.
    pub noz: Noz,
    /// What they released from the prepaid pool.
    pub released: Amount,
    /// The balance that is left.
    pub left: Balance,
}

/// What a node earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Reward {
    /// From the prepaid pool.
    pub traffic: Amount,
    /// From the foundation reserve.
    pub mining: Amount,
}

impl Reward {
    /// Both together.
    pub fn total(&self) -> Amount {
        self.traffic.saturating_add(self.mining)
    }
}

/// What a carrier did and earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CarrierReward {
    /// Bytes carried, as noz.
    pub noz: Noz,
    /// What they released.
    pub value: Amount,
    /// What it earned.
    pub reward: Reward,
}

/// Where the money of an epoch goes. Nothing has moved yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// By payer.
    pub payers: BTreeMap<Address, Charged>,
    /// By carrier.
    pub carriers: BTreeMap<Address, CarrierReward>,
    /// By meta node.
    pub metas: BTreeMap<Address, Reward>,
    /// By validator.
    pub validators: BTreeMap<Address, Reward>,
    /// `Y`: ozone charged, for sale again.
    pub noz: Noz,
    /// Ozone that payers owed and did not have.
    pub unpaid: Noz,
    /// `R`: released by the payers' bytes.
    pub released: Amount,
    /// `M`: mining rewards paid, to be taken from the reserve and added to what was mined.
    pub mined: Amount,
    /// To the community pool.
    pub tax: Amount,
    /// What rounding, or nobody to pay, left of `R`: to the community pool.
    pub dust: Amount,
}

/// Why an epoch cannot be settled as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// A mining schedule without rows.
    #[error("the mining schedule has no rows")]
    Schedule,
    /// More than can be counted.
    #[error("{0} is above what can be counted")]
    Overflow(&'static str),
}

/// Settles an epoch: pure, the same on every node.
///
/// # Errors
/// [`SettleError`]; the ledger refuses the settlement whole.
pub fn settle(epoch: &Settlement<'_>) -> Result<Distribution, SettleError> {
    let mut out = Distribution::default();
    charge(epoch, &mut out)?;
    let row = epoch.parameters.schedule.row(epoch.mined).ok_or(SettleError::Schedule)?;
    let ceiling = out.released.basis_points(epoch.parameters.beta);
    let left = epoch.parameters.schedule.total().saturating_sub(epoch.mined);
    let mining = row.per_epoch.min(ceiling).min(left).min(epoch.reserve);

    let taxed = |part: Amount| {
        let net = part.basis_points(BASIS_POINTS.saturating_sub(epoch.parameters.tax));
        (net, part.saturating_sub(net))
    };
    let (resource, resource_tax) = taxed(out.released.basis_points(row.resource));
    let (meta, meta_tax) = taxed(out.released.basis_points(row.meta));
    out.tax = resource_tax.saturating_add(meta_tax);

    let released = out.released;
    for carrier in out.carriers.values_mut() {
        let part = |of: Amount| Amount(mul_div(of.0, carrier.value.0, released.0).unwrap_or(0));
        carrier.reward = Reward { traffic: part(resource), mining: part(mining.basis_points(row.resource)) };
    }
    let liveness = epoch.liveness.iter().map(|(address, weight)| (*address, u128::from(*weight)));
    out.metas = split(liveness, meta, mining.basis_points(row.meta))?;
    let stakes = epoch.stakes.iter().map(|(address, stake)| (*address, stake.0));
    out.validators = split(stakes, out.released.basis_points(row.validators), mining.basis_points(row.validators))?;

    let mut traffic = out.tax;
    for reward in out.carriers.values().map(|carrier| &carrier.reward).chain(out.metas.values()).chain(out.validators.values()) {
        traffic = traffic.checked_add(reward.traffic).ok_or(SettleError::Overflow("the traffic reward"))?;
        out.mined = out.mined.checked_add(reward.mining).ok_or(SettleError::Overflow("the mining reward"))?;
    }
    // Every share was rounded down, so this cannot be below zero.
    out.dust = out.released.saturating_sub(traffic);
    Ok(out)
}

/// Step 1: charges, and the value that each carrier's bytes released.
fn charge(epoch: &Settlement<'_>, out: &mut Distribution) -> Result<(), SettleError> {
    const TOO_MUCH: SettleError = SettleError::Overflow("the ozone charged");
    for (payer, own) in epoch.charges.by_payer() {
        let owed = own.iter().try_fold(Noz::ZERO, |sum, (_, noz)| sum.checked_add(*noz)).ok_or(TOO_MUCH)?;
        let mut left = epoch.balances.get(&payer).copied().unwrap_or_default();
        let noz = owed.min(left.noz);
        let released = left.charge(noz).unwrap_or_default();
        out.noz = out.noz.checked_add(noz).ok_or(TOO_MUCH)?;
        out.unpaid = out.unpaid.checked_add(owed.saturating_sub(noz)).ok_or(TOO_MUCH)?;
        out.released = out.released.checked_add(released).ok_or(SettleError::Overflow("the traffic reward"))?;
        out.payers.insert(payer, Charged { noz, released, left });
        let part = |of: u128, bytes: u128| if of == owed.0 { bytes } else { mul_div(of, bytes, owed.0).unwrap_or(0) };
        let (mut upto, mut given) = (0u128, 0u128);
        for ((_, carrier), bytes) in own {
            // What a payer was charged is divided between its carriers to the noz: each gets what the sum up to it grew by. Of who is charged all it owes,
            // exactly its bytes.
            upto = upto.saturating_add(bytes.0);
            let before = std::mem::replace(&mut given, part(noz.0, upto));
            let carrier = out.carriers.entry(*carrier).or_default();
            // Sums of parts of sums that were counted above.
            carrier.noz = carrier.noz.saturating_add(Noz(given.saturating_sub(before)));
            carrier.value = carrier.value.saturating_add(Amount(part(released.0, bytes.0)));
        }
    }
    Ok(())
}

/// Shares both parts by weight, rounded down; whoever weighs nothing gets nothing and is not listed.
fn split(weights: impl Iterator<Item = (Address, u128)> + Clone, traffic: Amount, mining: Amount) -> Result<BTreeMap<Address, Reward>, SettleError> {
    let total = weights.clone().try_fold(0u128, |sum, (_, weight)| sum.checked_add(weight)).ok_or(SettleError::Overflow("the stake"))?;
    let part = |of: Amount, weight| Amount(mul_div(of.0, weight, total).unwrap_or(0));
    Ok(weights
        .filter(|(_, weight)| *weight > 0)
        .map(|(address, weight)| (address, Reward { traffic: part(traffic, weight), mining: part(mining, weight) }))
        .collect())
}

#[cfg(test)]
mod inequality;
#[cfg(test)]
mod tests;
