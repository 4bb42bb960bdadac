//! One epoch, from the receipts that its carriers hold to what everybody earned, and what each stage takes.
//!
//! # Stages
//! 1. **Signed.** Each carrier signs its claim over its last receipts and puts the last tickets beside them. All carriers' work is added up.
//! 2. **Verified.** A meta node reads each claim and verifies every signature in it, receipts' and tickets'. Each meta node does this.
//! 3. **Built.** A meta node builds the report from all claims and encodes its parts. Each meta node does this, one part in each block.
//! 4. **Checked.** A validator reads each part, in order, and verifies everything in it. Each validator does this, part by part.
//! 5. **Settled.** A validator merges the parts' charges and computes what everybody pays and earns. Each validator does this, in one block.
//!
//! Making keys, grants, tickets and receipts comes before and is no stage: wallets, sessions and meta nodes did that during the epoch.
//!
//! # What must hold
//! Every byte is charged once; what the payers release is what carriers, meta nodes and validators earn from traffic, with tax and dust, to the wei; what is
//! mined is at most the share that the parameters allow (POT-1). [`run`] panics if it does not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use borsh::{BorshDeserialize, BorshSerialize};
use pot::claim::LastReceipt;
use pot::curve::Balance;
use pot::report::{self, BuildError, Cursor, Known, Report};
use pot::reward::{self, CarrierReward, Charged, Charges, Distribution, Owed, Parameters, Reward, Settlement};
use pot::{Channel, ClaimedReceipts, Covered, CoveredClaim, Part, Receipt, Signed, SignedGrant, Ticket};
use primitives::encoding::{decode, encode};
use primitives::{AccountSecret, Address, Amount, Epoch, Hash, Noz, PublicKey, SecretKey};

use crate::meter::{Meter, forget_peak, peak_kib};
use crate::traffic::{self, Size, SizeError, draw};

const CHAIN: Hash = Hash([42; 32]);
const EPOCH: Epoch = Epoch(3);
/// Meta nodes, all live.
const METAS: u64 = 21;
/// Validators with a stake.
const VALIDATORS: u64 = 100;
/// Longest claim that a meta node reads: the longest transaction.
const CLAIM_BYTES_MAX: usize = 1 << 20;
/// What a payer paid for a noz at least; some paid twice or three times as much. A petabyte releases some 2,000 stos.
const WEI_PER_NOZ: u128 = 1_000_000;
/// What the foundation's reserve holds.
const RESERVE: Amount = Amount::stos(40_000_000);

/// Receipts verified one by one, at most, to know what one takes.
const SINGLES: usize = 2_000;

/// The stages, in order, as they are called.
pub const STAGES: [&str; 5] = ["signed", "verified", "built", "checked", "settled"];

/// Why an epoch was not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpochError {
    /// There is no epoch of that size.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// Its claims do not fit a report.
    #[error("the claims make no report: {0}")]
    Build(#[from] BuildError),
}

/// What a stage took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Stage {
    /// Processor time in nanoseconds.
    pub nanoseconds: u64,
    /// Most resident memory while it ran, in KiB.
    pub peak_kib: u64,
    /// Bytes of what it leaves for the next stage.
    pub left_bytes: u64,
}

/// What was counted and measured in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Figures {
    /// How large it was.
    pub size: Size,
    /// Time to make keys, grants, tickets and receipts, on all cores, in nanoseconds.
    pub setup_nanoseconds: u64,
    /// Processor time to verify one receipt alone, the mean of some in nanoseconds: what the times below can be compared with on another machine.
    pub single_nanoseconds: u64,
    /// As in [`STAGES`].
    pub stages: [Stage; 5],
    /// Carriers that claimed.
    pub claims: u64,
    /// Payers that were charged.
    pub payers: u64,
    /// Encoded claims, all of them.
    pub claim_bytes: u64,
    /// Parts of the report.
    pub parts: u64,
    /// Rows of the parts' tables of payers: a grant is in each part in which its session pays.
    pub grants: u64,
    /// Encoded parts, all of them.
    pub part_bytes: u64,
    /// The encoded report.
    pub report_bytes: u64,
    /// The part that took longest to check, in nanoseconds.
    pub slowest_part_nanoseconds: u64,
    /// Released by the payers' bytes.
    pub released: Amount,
    /// Earned from what was released.
    pub traffic: Amount,
    /// The community's tax on it.
    pub tax: Amount,
    /// What rounding left of it.
    pub dust: Amount,
    /// Mined beside it.
    pub mined: Amount,
}

/// Everybody's keys, and what the carriers hold at the end of the epoch.
struct World {
    /// By address.
    carriers: Vec<(Address, SecretKey)>,
    keys: BTreeMap<Address, PublicKey>,
    grants: BTreeMap<(Address, PublicKey), SignedGrant>,
    balances: BTreeMap<Address, Balance>,
    liveness: BTreeMap<Address, u32>,
    stakes: BTreeMap<Address, Amount>,
    /// The keys with which the meta nodes sign tickets.
    issuers: BTreeMap<Address, PublicKey>,
    /// The last receipts of each carrier, with the last tickets.
    receipts: Vec<Vec<Covered>>,
}

fn seed(kind: &str, number: u64) -> [u8; 32] {
    Hash::of(kind, &[&number.to_le_bytes()]).0
}

fn wallet(kind: &str, number: u64) -> AccountSecret {
    AccountSecret::from_seed(&seed(kind, number))
}

/// What `make` makes of each, on all cores, in order.
fn on_all_cores<T: Sync, U: Send>(items: &[T], make: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let make = &make;
    std::thread::scope(|scope| {
        let chunks = items.chunks(items.len().div_ceil(cores).max(1));
        let workers: Vec<_> = chunks.map(|chunk| scope.spawn(move || chunk.iter().map(make).collect::<Vec<_>>())).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("it made what it should")).collect()
    })
}

/// The last ticket of the receipt's channel: it allows exactly that.
fn ticket(receipt: &Receipt, issuer: Address) -> Ticket {
    let Receipt { chain, epoch, class, payer, session, carrier, bytes } = *receipt;
    let (slice, session_total) = (Hash::ZERO, Noz(bytes.into()));
    Ticket { chain, epoch, payer, session, carrier, class, slice, bytes_max: bytes, channel_total: bytes, session_total, issuer }
}

impl World {
    fn new(size: &Size) -> Result<Self, SizeError> {
        let channels = size.channels()?;
        let numbers = |count: u32| (0..u64::from(count)).collect::<Vec<u64>>();
        let mut carriers =
            on_all_cores(&numbers(size.carriers), |number| (wallet("operator", *number).address(), SecretKey::from_seed(&seed("carrier", *number))));
        carriers.sort_unstable_by_key(|(address, _)| *address);
        let payers = on_all_cores(&numbers(size.payers), |number| {
            let session = SecretKey::from_seed(&seed("session", *number));
            (SignedGrant::sign(CHAIN, &wallet("wallet", *number), &session, Epoch(9), Noz(1 << 70)), session)
        });
        let metas: Vec<(Address, SecretKey)> =
            (0..METAS).map(|number| (wallet("meta", number).address(), SecretKey::from_seed(&seed("desk", number)))).collect();
        let receipt = |channel: &traffic::Channel| {
            let (grant, session) = &payers[channel.payer];
            let carrier = carriers[channel.carrier].0;
            let channel_of = Channel { epoch: EPOCH, carrier, payer: grant.grant.payer, session: session.public(), class: channel.class };
            let receipt = Signed::sign(Receipt::new(CHAIN, channel_of, channel.bytes), session).verify_by_session(CHAIN).expect("just signed");
            let (issuer, secret) = &metas[channel.payer % metas.len()];
            Covered { receipt, ticket: Signed::sign(ticket(&receipt, *issuer), secret) }
        };
        let receipts = on_all_cores(&channels, |own| own.iter().map(receipt).collect());
        let mut balances: BTreeMap<Address, Balance> = BTreeMap::new();
        for channel in channels.iter().flatten() {
            let wei = WEI_PER_NOZ * u128::from(draw("price", channel.payer as u64, 0) % 3 + 1);
            let balance = balances.entry(payers[channel.payer].0.grant.payer).or_default();
            // Twice what will be charged.
            let noz = 2 * u128::from(channel.bytes);
            *balance = balance.bought(Noz(noz), Amount(noz * wei)).expect("far below 2^128");
        }
        Ok(Self {
            keys: carriers.iter().map(|(address, secret)| (*address, secret.public())).collect(),
            carriers,
            grants: payers.iter().map(|(grant, _)| ((grant.grant.payer, grant.grant.session), *grant)).collect(),
            balances,
            issuers: metas.iter().map(|(address, secret)| (*address, secret.public())).collect(),
            liveness: (0..METAS).map(|number| (wallet("meta", number).address(), 1)).collect(),
            stakes: (0..VALIDATORS).map(|number| (wallet("validator", number).address(), Amount::stos(number + 1))).collect(),
            receipts,
        })
    }
}

/// What a stage took, that left so many bytes.
fn stage(meter: Meter, left_bytes: usize) -> Stage {
    Stage { nanoseconds: nanoseconds(meter.time), peak_kib: peak_kib(), left_bytes: left_bytes as u64 }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("below 500 years")
}

/// What verifying one receipt alone takes, in nanoseconds.
fn single(world: &World) -> u64 {
    let (mut meter, mut count) = (Meter::default(), 0);
    for covered in world.receipts.iter().flatten().take(SINGLES) {
        let signed = *covered.receipt.signed();
        meter.run(|| signed.verify_by_session(CHAIN)).0.expect("just signed");
        count += 1;
    }
    nanoseconds(meter.time).checked_div(count).unwrap_or(0)
}

/// Stage 1: the claims as the carriers send them.
fn sign(world: &mut World) -> (Vec<Vec<u8>>, Stage) {
    forget_peak();
    let (mut meter, mut claims) = (Meter::default(), Vec::new());
    let receipts = std::mem::take(&mut world.receipts);
    for ((carrier, secret), receipts) in world.carriers.iter().zip(receipts).filter(|(_, receipts)| !receipts.is_empty()) {
        let sign = || CoveredClaim::sign(CHAIN, EPOCH, *carrier, receipts, |issuer| world.issuers.get(issuer).copied(), secret);
        claims.push(meter.run(|| encode(&sign().expect("receipts of this carrier, once each"))).0);
    }
    let bytes = claims.iter().map(Vec::len).sum();
    (claims, stage(meter, bytes))
}

/// Stage 2: the claims as a meta node keeps them.
fn verify(world: &World, claims: Vec<Vec<u8>>) -> (Vec<ClaimedReceipts>, Stage) {
    forget_peak();
    let (mut meter, mut taken) = (Meter::default(), Vec::with_capacity(claims.len()));
    for bytes in claims {
        let verify = || {
            let covered: CoveredClaim = decode(&bytes, CLAIM_BYTES_MAX).expect("just encoded");
            covered.verify(CHAIN, &world.keys[&covered.claim.carrier]).expect("just signed");
            covered.claim
        };
        taken.push(meter.run(verify).0);
    }
    let bytes = taken.iter().map(|claim| size_of_val(claim) + claim.receipts.len() * size_of::<LastReceipt>()).sum();
    (taken, stage(meter, bytes))
}

/// A report as it travels.
struct Built {
    report: Report,
    /// Encoded.
    parts: Vec<Vec<u8>>,
    /// Rows of the parts' tables of payers.
    grants: u64,
}

/// Stage 3: the report and its parts.
fn build(world: &World, claims: Vec<ClaimedReceipts>) -> Result<(Built, Stage), BuildError> {
    forget_peak();
    let mut meter = Meter::default();
    let known = Known { chain: CHAIN, grants: &world.grants, keys: &world.keys, liveness: &world.liveness };
    let (report, parts) = meter.run(|| report::build(EPOCH, &claims, &known)).0?;
    let grants = parts.iter().map(|part| part.payers.len() as u64).sum();
    let parts: Vec<Vec<u8>> = meter.run(|| parts.iter().map(encode).collect()).0;
    let bytes = parts.iter().map(Vec::len).sum();
    Ok((Built { report, parts, grants }, stage(meter, bytes)))
}

/// Stage 4: what each part charges, and how long the slowest took.
fn check(world: &World, report: &Report, parts: Vec<Vec<u8>>) -> (Vec<Vec<Owed>>, Duration, Stage) {
    forget_peak();
    let (mut meter, mut slowest, mut charges) = (Meter::default(), Duration::ZERO, Vec::with_capacity(parts.len()));
    report.check(EPOCH).expect("just built");
    let mut cursor = Cursor::default();
    for bytes in parts {
        let check = || {
            let part = Part::decode(&bytes).expect("just encoded");
            let (next, verified) = cursor.take(CHAIN, report, &part, |carrier| world.keys.get(carrier).copied()).expect("the next part of the report");
            let sums: Charges = verified.charges().map(|charge| ((charge.payer, charge.carrier), charge.noz)).collect();
            (next, sums.into_rows())
        };
        let ((next, sums), took) = meter.run(check);
        cursor = next;
        slowest = slowest.max(took);
        charges.push(sums);
    }
    assert_eq!(cursor.is_complete(report), Ok(true), "all parts were taken, and hold what the report says");
    let bytes = charges.iter().map(|charges| size_of_val(&charges[..])).sum();
    (charges, slowest, stage(meter, bytes))
}

/// Stage 5: who pays and earns what.
fn settle(world: &World, charges: Vec<Vec<Owed>>) -> (Distribution, Stage) {
    forget_peak();
    let (mut meter, parameters) = (Meter::default(), Parameters::standard());
    let settle = || {
        let charges = &Charges::of_runs(charges);
        let World { balances, liveness, stakes, .. } = world;
        reward::settle(&Settlement { parameters: &parameters, mined: Amount::ZERO, reserve: RESERVE, charges, balances, liveness, stakes })
            .expect("every payer has twice what it is charged")
    };
    let distribution = meter.run(settle).0;
    let row = |rows: usize, bytes: usize| rows * (size_of::<Address>() + bytes);
    let nodes = row(distribution.metas.len() + distribution.validators.len(), size_of::<Reward>());
    let bytes = row(distribution.payers.len(), size_of::<Charged>()) + row(distribution.carriers.len(), size_of::<CarrierReward>()) + nodes;
    (distribution, stage(meter, bytes))
}

/// What carriers, meta nodes and validators earned from traffic, after checking that nothing was lost or made.
fn balanced(world: &World, size: &Size, paid: &Distribution) -> Amount {
    let all = u128::from(size.bytes);
    assert_eq!(paid.noz, Noz(all), "every byte is charged");
    assert_eq!(paid.carriers.values().map(|carrier| carrier.noz.0).sum::<u128>(), all, "every byte was carried");
    for (payer, charged) in &paid.payers {
        let (before, left) = (world.balances[payer], charged.left);
        assert_eq!((left.noz.0 + charged.noz.0, left.cost.0 + charged.released.0), (before.noz.0, before.cost.0), "a balance loses what is charged");
    }
    assert_eq!(paid.payers.values().map(|payer| payer.released.0).sum::<u128>(), paid.released.0, "what is released came from payers");
    let rewards = || paid.carriers.values().map(|carrier| &carrier.reward).chain(paid.metas.values()).chain(paid.validators.values());
    let (traffic, mined): (u128, u128) = rewards().fold((0, 0), |(traffic, mined), reward| (traffic + reward.traffic.0, mined + reward.mining.0));
    assert_eq!(traffic + paid.tax.0 + paid.dust.0, paid.released.0, "what is released is paid, to the wei");
    assert_eq!(mined, paid.mined.0, "what is mined is paid, to the wei");
    let beta = Parameters::standard().beta;
    assert!(mined <= paid.released.basis_points(beta).0, "{mined} wei mined, above {beta} basis points of {} wei", paid.released);
    Amount(traffic)
}

/// Runs an epoch of this size through all stages.
///
/// # Errors
/// [`EpochError`].
pub fn run(size: Size) -> Result<Figures, EpochError> {
    let began = Instant::now();
    let mut world = World::new(&size)?;
    let setup = began.elapsed();
    let single_nanoseconds = single(&world);
    let (claims, signed) = sign(&mut world);
    let (count, claim_bytes) = (claims.len() as u64, signed.left_bytes);
    let (claims, verified) = verify(&world, claims);
    let (Built { report, parts, grants }, built) = build(&world, claims)?;
    let (part_count, part_bytes) = (parts.len() as u64, built.left_bytes);
    let (charges, slowest, checked) = check(&world, &report, parts);
    let (paid, settled) = settle(&world, charges);
    let traffic = balanced(&world, &size, &paid);
    Ok(Figures {
        size,
        setup_nanoseconds: nanoseconds(setup),
        single_nanoseconds,
        stages: [signed, verified, built, checked, settled],
        claims: count,
        payers: paid.payers.len() as u64,
        claim_bytes,
        parts: part_count,
        grants,
        part_bytes,
        report_bytes: encode(&report).len() as u64,
        slowest_part_nanoseconds: nanoseconds(slowest),
        released: paid.released,
        traffic,
        tax: paid.tax,
        dust: paid.dust,
        mined: paid.mined,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{ENTRY_BYTES, GRANT_BYTES};

    /// Checks POT-1 from receipts to rewards; the sums are asserted in [`balanced`].
    #[test]
    fn a_small_epoch_settles() {
        let size = Size { carriers: 7, payers: 30, channels: 120, bytes: 123_456_789, near: 7 };
        let figures = run(size).expect("it settles");
        // One part holds all: each payer's grant once.
        assert_eq!((figures.claims, figures.payers, figures.parts, figures.grants), (7, 30, 1, 30));
        // A head of 57 bytes, 52 for each claim.
        assert_eq!(figures.part_bytes, 57 + 30 * GRANT_BYTES + 7 * 52 + 120 * ENTRY_BYTES);
        assert_eq!(figures.claim_bytes, 7 * (8 + 20 + 4 + 64) + 120 * 125);
        assert!(figures.mined > Amount::ZERO && figures.dust > Amount::ZERO);
    }

    #[test]
    fn no_epoch_without_traffic() {
        let size = Size { channels: 0, ..Size::FULL };
        assert!(matches!(run(size), Err(EpochError::Size(SizeError::Empty { channels: 0, .. }))));
    }
}
