//! The ozone market: prepaid traffic on a bonding curve.
//!
//! Keys: `5 m` the market; `5 o address` an account's ozone. Transactions: `BuyOzone`. With S the active deposits, P the prepaid pool, L the ozone for sale:
//! paying X buys `floor(L X / (S + P + X))` noz; then P grows by X and L falls by the noz, so `(S + P) L` never falls.
//!
//! Ozone cannot be sent on; traffic spends it. A balance keeps what was paid for it (its cost basis), and charging a part of it releases that part of the
//! cost, rounded down: the prepaid pool always equals the sum of all cost bases (CHAIN-2), so a settlement can never fail for lack of funds.

use borsh::{BorshDeserialize, BorshSerialize};
use pot::curve::{Balance, CurveError, Pool as Curve};
use primitives::{Address, Amount, Height, Noz};
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::parameters::Parameters;
use crate::pools::{self, MoveError, Pool, Pools};

/// The market's own numbers; P is the prepaid pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Market {
    /// Deposits of active resource and meta nodes (S), in wei.
    pub deposits: Amount,
    /// Ozone for sale (L).
    pub for_sale: Noz,
    /// Ozone sold and not yet used.
    pub sold: Noz,
}

/// Why a purchase is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuyError {
    /// The offer has run out.
    #[error("the offer stood until height {height_max}, this is {height}")]
    Late {
        /// Last height of the offer.
        height_max: Height,
        /// This block.
        height: Height,
    },
    /// The amount buys nothing, or less than the buyer accepts.
    #[error(transparent)]
    Curve(#[from] CurveError),
    /// The buyer cannot pay.
    #[error(transparent)]
    Money(#[from] MoveError),
}

/// The market as it is.
pub fn read(state: &impl Read) -> Market {
    keys::read(state, &keys::market()).unwrap_or_default()
}

/// An account's ozone; none if it never bought.
pub fn ozone(state: &impl Read, address: &Address) -> Balance {
    keys::read(state, &keys::ozone(address)).unwrap_or_default()
}

/// The curve as it stands: S, P and L.
pub fn curve(state: &impl Read) -> Curve {
    let market = read(state);
    Curve { deposit: market.deposits, prepaid: Pools::read(state).prepaid, ozone: market.for_sale }
}

/// Buys ozone.
///
/// # Errors
/// [`BuyError`]; nothing changes then.
pub fn buy(
    state: &mut Overlay,
    height: Height,
    buyer: &Address,
    amount: Amount,
    noz_min: Noz,
    height_max: Height,
    beneficiary: &Address,
) -> Result<Event, BuyError> {
    if height > height_max {
        return Err(BuyError::Late { height_max, height });
    }
    let noz = curve(state).buy(amount, noz_min)?;
    let held = ozone(state, beneficiary).bought(noz, amount).ok_or(CurveError::Overflow("the beneficiary's ozone"))?;
    pools::pay_in(state, buyer, Pool::Prepaid, amount)?;
    let mut market = read(state);
    market.for_sale = market.for_sale.saturating_sub(noz);
    market.sold = market.sold.saturating_add(noz);
    keys::write(state, &keys::market(), &market);
    keys::write(state, &keys::ozone(beneficiary), &held);
    Ok(Event::OzoneBought { buyer: *buyer, beneficiary: *beneficiary, paid: amount, noz })
}

/// Writes ozone that was bought on the chain before, by an account that has none; what it cost is in the prepaid pool or about to be put there.
pub(crate) fn take_over(state: &mut Overlay, owner: &Address, balance: &Balance) {
    keys::write(state, &keys::ozone(owner), balance);
    let market = read(state);
    offer(state, Market { sold: market.sold.saturating_add(balance.noz), ..market });
}

/// Writes what is left of charged balances and puts the ozone, `noz` in all, on sale again; the caller moves the coins that the charges released.
pub(crate) fn charged<'a>(state: &mut Overlay, left: impl Iterator<Item = (&'a Address, &'a Balance)>, noz: Noz) {
    for (payer, left) in keys::in_tree_order(left, |(payer, _)| keys::ozone(payer)) {
        keys::write(state, &keys::ozone(payer), left);
    }
    let market = read(state);
    offer(state, Market { sold: market.sold.saturating_sub(noz), ..market });
}

/// A deposit became active: the ozone it stands behind comes on sale.
pub(crate) fn deposit_activated(state: &mut Overlay, deposit: Amount) {
    let market = read(state);
    offer(state, Market { deposits: market.deposits.saturating_add(deposit), ..market });
}

/// A deposit is active no more: the ozone it stood behind is not for sale any more, and if it is sold already, not when it comes back.
pub(crate) fn deposit_deactivated(state: &mut Overlay, deposit: Amount) {
    let market = read(state);
    offer(state, Market { deposits: market.deposits.saturating_sub(deposit), ..market });
}

/// What stands behind a noz may have changed.
pub(crate) fn offer_again(state: &mut Overlay) {
    let market = read(state);
    offer(state, market);
}

/// Offers what the deposits stand behind and is not sold. Of all deposits together, so that many small ones are worth as much as one large one.
fn offer(state: &mut Overlay, market: Market) {
    // Genesis refuses 0 wei behind a noz.
    let limit = Noz(market.deposits.0.checked_div(u128::from(Parameters::read(state).deposit_per_noz)).unwrap_or(0));
    keys::write(state, &keys::market(), &Market { for_sale: limit.saturating_sub(market.sold), ..market });
}
