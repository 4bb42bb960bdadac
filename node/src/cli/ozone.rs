//! `ozone price|buy|balance`: prepaid traffic.

use chain::Authority;
use chain::transaction::Message;
use pot::curve::Pool;
use primitives::units::{BASIS_POINTS, mul_div};
use primitives::{Height, Noz};
use serde_json::json;

use super::Context;
use super::args::{How, Ozone, Party};
use super::failure::Failure;
use super::output;
use super::submit::{Sending, receipt};
use crate::http::views::{self, TransactionState};

/// Without `--noz-min` the purchase may give this much less than the price of now, in basis points: others may buy first.
const SLIPPAGE_BP: u128 = 100;
/// Without `--until` the offer stands for this many blocks.
const OFFER_BLOCKS: u64 = 200;
/// The same for a purchase that others sign, which takes longer; the least ozone to accept holds all the same.
const OFFER_BLOCKS_UNSIGNED: u64 = 1_000_000;

/// Runs a command.
///
/// # Errors
/// [`Failure`] if the node refuses, or the purchase cannot be paid or fails.
pub fn run(command: &Ozone, context: &Context) -> Result<(), Failure> {
    match command {
        Ozone::Price => price(context),
        Ozone::Buy { noz_min: Some(Noz::ZERO), .. } => Err(Failure::misused("at least 0 noz accepts any price; ask for 1 or more")),
        Ozone::Buy { amount, noz_min, until, beneficiary, how } => {
            let beneficiary = beneficiary.as_ref().map(|who| context.account(Some(who))).transpose()?;
            buy(*amount, (*noz_min, *until), beneficiary, how, context)
        }
        Ozone::Balance { who, at } => {
            let views::Account { address, noz, ozone_cost_wei, .. } = context.read_account_at(who.as_ref(), *at)?;
            output::print(context.json, &json!({"address": address, "noz": noz, "cost_wei": ozone_cost_wei}), || {
                output::fields(&[("address", address.to_string()), ("ozone", output::ozone(noz)), ("cost", output::stos(ozone_cost_wei))])
            })
        }
    }
}

fn price(context: &Context) -> Result<(), Failure> {
    let market = context.status()?.market;
    output::print(context.json, &market, || {
        // 1 oz is 10^9 noz: the price of an oz is exact where that of a noz is a rounded wei.
        let oz = mul_div(market.deposits_wei.0.saturating_add(market.prepaid_wei.0), 1_000_000_000, market.for_sale_noz.0);
        output::fields(&[
            ("price of 1 oz", oz.map_or_else(|| "nothing is for sale".into(), |wei| output::stos(primitives::Amount(wei)))),
            ("for sale", output::ozone(market.for_sale_noz)),
            ("sold, not yet spent", output::ozone(market.sold_noz)),
            ("prepaid pool", output::stos(market.prepaid_wei)),
            ("deposits of nodes", output::stos(market.deposits_wei)),
        ]) + "\n1 oz pays for 10^9 bytes moved"
    })
}

/// Buys ozone, within limits: the least to accept, and the last block.
fn buy(
    amount: primitives::Amount,
    (noz_min, until): (Option<Noz>, Option<Height>),
    beneficiary: Option<primitives::Address>,
    how: &How,
    context: &Context,
) -> Result<(), Failure> {
    let status = context.status()?;
    let height_max = last_block(until, status.value.height, how.unsigned.is_some())?;
    let quote = pool(&status.market).purchase(amount).map_err(|error| Failure::refused(error).hint("`stratos ozone price` shows the market"))?;
    if let Some(wanted) = noz_min
        && quote < wanted
    {
        return Err(
            Failure::refused(format!("{} buy {} noz now, below the {wanted} noz asked for", amount.to_stos(), quote)).hint("pay more, or lower --noz-min")
        );
    }
    let noz_min = noz_min.unwrap_or_else(|| with_slippage(quote));
    let payer = context.payer(how, status.dev)?;
    if let (None, Authority::Several(_)) = (beneficiary, &payer.authority) {
        return Err(Failure::refused("nobody could use ozone of an account of several keys: traffic is granted by one key")
            .hint("name the account that is to use it with `--for ADDRESS|NAME`"));
    }
    let account = context.read_account(Some(&Party::Address(payer.address())))?;
    let beneficiary = beneficiary.unwrap_or_else(|| payer.address());
    let messages = vec![Message::BuyOzone { amount, noz_min, height_max, beneficiary }];
    let Some(transaction) = context.submit(Sending { payer, status, account, messages, spends: amount }, how)? else { return Ok(()) };
    let noz = bought(&transaction);
    let value = json!({"hash": transaction.hash, "state": transaction.state, "height": transaction.height, "paid_wei": amount, "noz": noz,
        "beneficiary": beneficiary, "fee_wei": transaction.fee_wei});
    output::print(context.json, &value, || {
        let what = match (transaction.state, noz) {
            (TransactionState::Final, Some(noz)) => format!("bought {} for {}", output::ozone(noz), amount.to_stos()),
            (TransactionState::Final | TransactionState::Waiting | TransactionState::Unknown, _) => {
                format!("buying at least {} for {}", output::ozone(noz_min), amount.to_stos())
            }
        };
        receipt(what, &transaction)
    })
}

/// The last block that may buy.
fn last_block(until: Option<Height>, newest: Height, is_unsigned: bool) -> Result<Height, Failure> {
    let blocks = if is_unsigned { OFFER_BLOCKS_UNSIGNED } else { OFFER_BLOCKS };
    let last = until.unwrap_or_else(|| newest.saturating_add(Height(blocks)));
    if last <= newest {
        return Err(
            Failure::refused(format!("the offer would stand until block {last}, and the newest is {newest} already")).hint("name a later block with --until")
        );
    }
    Ok(last)
}

fn pool(market: &views::Market) -> Pool {
    Pool { deposit: market.deposits_wei, prepaid: market.prepaid_wei, ozone: market.for_sale_noz }
}

/// Rounded down, but a purchase of nothing is never accepted.
fn with_slippage(quote: Noz) -> Noz {
    let whole = u128::from(BASIS_POINTS);
    Noz(mul_div(quote.0, whole - SLIPPAGE_BP, whole).unwrap_or(quote.0).max(1))
}

/// What a final purchase gave, by its event.
fn bought(transaction: &views::Transaction) -> Option<Noz> {
    transaction.events.iter().filter(|event| event["event"] == "ozone_bought").find_map(|event| event["noz"].as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use chain::event::Event;
    use primitives::{Address, Amount};

    use super::*;

    /// The worked example of the economics page.
    #[test]
    fn quotes() {
        let market = views::Market {
            price_wei_per_noz: Amount(1_000_000),
            for_sale_noz: Noz(8_000_000_000_000),
            sold_noz: Noz(0),
            deposits_wei: Amount::stos(8),
            prepaid_wei: Amount(0),
        };
        assert_eq!(pool(&market).purchase(Amount::stos(20)), Ok(Noz(5_714_285_714_285)));
        assert_eq!(with_slippage(Noz(5_714_285_714_285)), Noz(5_657_142_857_142));
        assert_eq!(with_slippage(Noz(1)), Noz(1));
    }

    #[test]
    fn the_last_block_is_to_come() {
        assert_eq!(last_block(None, Height(7), false).ok(), Some(Height(207)));
        assert_eq!(last_block(None, Height(7), true).ok(), Some(Height(1_000_007)));
        assert_eq!(last_block(Some(Height(8)), Height(7), true).ok(), Some(Height(8)));
        assert!(last_block(Some(Height(7)), Height(7), true).is_err());
    }

    /// The command finds the event that the ledger writes.
    #[test]
    fn the_purchase_is_found() {
        let who = Address([1; 20]);
        let event = serde_json::to_value(Event::OzoneBought { buyer: who, beneficiary: who, paid: Amount(5), noz: Noz(7) }).unwrap();
        let transaction: views::Transaction =
            serde_json::from_value(json!({"hash": "0".repeat(64), "state": "final", "events": [{"event": "sent"}, event]})).unwrap();
        assert_eq!(bought(&transaction), Some(Noz(7)));
    }
}
