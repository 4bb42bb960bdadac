//! The end of an epoch's challenge: charges and pays.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use pot::curve::Balance;
use pot::reward::{self, Charges, Distribution, Settlement};
use primitives::{Address, Amount, Epoch, Height, Noz};
use state::Overlay;

use super::{PAYERS_MAX, Paid, Reported, Rest, Settled, Share, direct, parts, progress, reported, reward_parameters};
use crate::event::Event;
use crate::keys;
use crate::parameters::Parameters;
use crate::pools::{self, MoveError, Pool, Pools};
use crate::{epochs, market, meta_registry, rewards, staking};

/// The end of a block: the next epoch is settled if its time of challenge is over. One in a block, however many wait.
pub(crate) fn end_block(state: &mut Overlay, height: Height) -> Option<Event> {
    let mut progress = progress(state);
    let epoch = progress.unsettled;
    let reported = reported(state, epoch).filter(|reported| reported.until <= epochs::current(state).number)?;
    let charges = take_charges(state, epoch, &reported);
    let balance = |payer: Address| (payer, market::ozone(state, &payer));
    let balances: BTreeMap<Address, Balance> = keys::in_tree_order(charges.payers(), keys::ozone).into_iter().map(balance).collect();
    // Who was convicted meanwhile is paid nothing more.
    let is_free = |operator: &Address| meta_registry::read(state, operator).is_none_or(|node| node.status != meta_registry::Status::Tombstoned);
    let liveness: BTreeMap<Address, u32> = reported.liveness.into_iter().filter(|(operator, _)| is_free(operator)).collect();
    let stakes: BTreeMap<Address, Amount> = staking::validators(state).iter().map(|validator| (validator.operator, validator.stake)).collect();
    let parameters = Parameters::read(state);
    let distribution = reward::settle(&Settlement {
        parameters: &reward_parameters(&parameters),
        mined: progress.mined,
        reserve: Pools::read(state).reserve,
        charges: &charges,
        balances: &balances,
        liveness: &liveness,
        stakes: &stakes,
    })
    .expect("genesis refuses a schedule without rows, and what 2^23 receipts of 64 bits sum to is far below 128");
    pay(state, &distribution, &parameters).expect("the prepaid pool is the sum of the cost bases (CHAIN-2), and no more is mined than the reserve holds");
    let share = |(address, reward): (&Address, &reward::Reward)| Share { address: *address, noz: Noz::ZERO, reward: reward.total() };
    let paid = distribution.payers.iter().map(|(address, paid)| Paid { address: *address, noz: paid.noz, released: paid.released }).collect();
    let (payers, rest) = listed(paid, PAYERS_MAX);
    let result = Settled {
        epoch,
        height,
        report: reported.report,
        noz: distribution.noz,
        unpaid: distribution.unpaid,
        released: distribution.released,
        mined: distribution.mined,
        tax: distribution.tax,
        dust: distribution.dust,
        receipts: reported.receipts,
        reported: reported.height,
        parts: reported.parts,
        direct: reported.direct,
        carriers: distribution
            .carriers
            .iter()
            .map(|(address, carrier)| Share { address: *address, noz: carrier.noz, reward: carrier.reward.total() })
            .collect(),
        metas: distribution.metas.iter().map(share).collect(),
        validators: distribution.validators.iter().map(share).collect(),
        payers,
        rest,
    };
    keys::write(state, &keys::settled(epoch), &result);
    let kept = result.tax.saturating_add(result.dust);
    let event = Event::EpochSettled { epoch, noz: result.noz, released: result.released, mined: result.mined, kept };
    progress.unsettled = epoch.next();
    progress.mined = progress.mined.saturating_add(result.mined);
    keys::write(state, &keys::settlement(), &progress);
    Some(event)
}

/// All that is charged in an epoch; what was kept for it is dropped.
fn take_charges(state: &mut Overlay, epoch: Epoch, reported: &Reported) -> Charges {
    let mut runs = Vec::new();
    for part in (0u32..).take(reported.parts.len()) {
        runs.push(parts::taken(state, epoch, part).charges);
        state.delete(&keys::settlement_part(epoch, part));
    }
    for carrier in &reported.direct {
        let claimed = direct::claimed(state, epoch, carrier).map(|claimed| claimed.charges).unwrap_or_default();
        runs.push(claimed.into_iter().map(|(payer, noz)| ((payer, *carrier), noz)).collect());
        state.delete(&keys::direct(epoch, carrier));
    }
    let charges = Charges::of_runs(runs);
    for payer in keys::in_tree_order(charges.payers(), |payer| keys::charged(epoch, payer)) {
        state.delete(&keys::charged(epoch, &payer));
    }
    state.delete(&keys::settlement_carriers(epoch));
    state.delete(&keys::reported(epoch));
    charges
}

/// The `max` payers that were charged most, by address, and the sum of the others; of equal ones the lower address is listed.
pub(super) fn listed(mut payers: Vec<Paid>, max: usize) -> (Vec<Paid>, Rest) {
    payers.sort_unstable_by_key(|paid| (Reverse(paid.noz), paid.address));
    let others = payers.split_off(payers.len().min(max));
    payers.sort_unstable_by_key(|paid| paid.address);
    let rest = others.iter().fold(Rest::default(), |sum, paid| Rest {
        payers: sum.payers.saturating_add(1),
        noz: sum.noz.saturating_add(paid.noz),
        released: sum.released.saturating_add(paid.released),
    });
    (payers, rest)
}

/// Moves the coins of a distribution.
fn pay(state: &mut Overlay, distribution: &Distribution, parameters: &Parameters) -> Result<(), MoveError> {
    market::charged(state, distribution.payers.iter().map(|(payer, charged)| (payer, &charged.left)), distribution.noz);
    let kept = distribution.tax.saturating_add(distribution.dust);
    pools::transfer(state, Pool::Prepaid, Pool::Community, kept)?;
    pools::transfer(state, Pool::Prepaid, Pool::Rewards, distribution.released.saturating_sub(kept))?;
    pools::transfer(state, Pool::Reserve, Pool::Rewards, distribution.mined)?;
    let now = epochs::current(state).number;
    let carriers = distribution.carriers.iter().map(|(address, carrier)| (address, &carrier.reward));
    for (address, reward) in carriers.chain(&distribution.metas) {
        rewards::credit(state, address, reward.total(), now, parameters.mature_epochs);
    }
    for (operator, reward) in &distribution.validators {
        staking::distribution::distribute(state, operator, reward.total());
    }
    Ok(())
}
