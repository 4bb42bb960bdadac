//! The players: honest payers and carriers, and one attacker beside them.
//!
//! Honest payers together pay the same each epoch. How much each pays, to which two carriers its bytes go and in which parts is drawn from the seed, and is
//! the same under both rules and with every attack. An attacker has a payer and a carrier of its own, which carries for nobody else.

use std::collections::{BTreeMap, VecDeque};

use pot::reward::Reward;
use primitives::{Address, Amount, Noz};

use crate::dice::Dice;
use crate::market::{DEPOSIT, Market, MarketError, Rule};

/// Honest payers, and as many honest carriers.
const HONEST: u8 = 4;
/// Epochs of a game: a day, if one takes ten minutes.
pub const EPOCHS: usize = 144;

const PAYER: Address = Address([100; 20]);
const CARRIER: Address = Address([101; 20]);
/// A third of all liveness, and the validator after it a third of all stake.
const META: Address = Address([102; 20]);
const VALIDATOR: Address = Address([103; 20]);

/// Who deals with itself, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Buys in each epoch, and downloads all of it from its own carrier.
    SelfDealer,
    /// As the self-dealer, with a third of the meta nodes and of the stake, which earn from its traffic as well.
    Coalition,
    /// Buys for all epochs at the very beginning, and downloads from its own carrier, in equal parts, in the second half.
    Speculator,
}

/// All of them.
pub const ATTACKS: [Attack; 3] = [Attack::SelfDealer, Attack::Coalition, Attack::Speculator];

impl Attack {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Attack::SelfDealer => "self-dealer",
            Attack::Coalition => "coalition",
            Attack::Speculator => "speculator",
        }
    }

    /// So many epochs before they spend it honest payers buy their ozone. Who buys early wants others to buy after it and to leave their money in the pool.
    pub fn ahead(self, epochs: usize) -> usize {
        match self {
            Attack::SelfDealer | Attack::Coalition => 0,
            Attack::Speculator => epochs / 2,
        }
    }

    fn members(self) -> &'static [Address] {
        match self {
            Attack::SelfDealer | Attack::Speculator => &[CARRIER],
            Attack::Coalition => &[CARRIER, META, VALIDATOR],
        }
    }
}

/// What is played. Amounts are those of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Game {
    /// What honest payers pay.
    pub honest: Amount,
    /// Whose market it is.
    pub attack: Attack,
    /// What the attacker pays, on average over all epochs; 0 if it stays away.
    pub own: Amount,
    /// Mined before the first epoch.
    pub mined: Amount,
    /// How many epochs.
    pub epochs: usize,
    /// Of the honest payers' choices.
    pub seed: u64,
}

/// What a game left, over all epochs, in wei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Paid by the attacker.
    pub paid: u128,
    /// Earned by the attacker's carrier and nodes.
    pub earned: u128,
    /// Earned by the honest carriers.
    pub honest: u128,
}

/// What one honest payer does in an epoch.
struct Deed {
    payer: Address,
    paid: Amount,
    /// Two carriers, and the first one's part in thousandths.
    carriers: [Address; 2],
    part: u128,
}

fn honest_carriers() -> impl Iterator<Item = Address> {
    (1..=HONEST).map(|number| Address([10 + number; 20]))
}

/// Splits the honest payment; the last payer pays what is left.
fn deeds(dice: &mut Dice, honest: Amount) -> Vec<Deed> {
    let weights: Vec<u128> = (0..HONEST).map(|_| u128::from(1 + dice.below(1_000))).collect();
    let total: u128 = weights.iter().sum();
    let carriers: Vec<Address> = honest_carriers().collect();
    let mut left = honest.0;
    (1..=HONEST)
        .zip(&weights)
        .map(|(number, weight)| {
            let paid = if number == HONEST { left } else { honest.0 / total * weight };
            left -= paid;
            let mut carrier = || usize::try_from(dice.below(HONEST.into())).ok().and_then(|at| carriers.get(at).copied()).unwrap_or_default();
            let carriers = [carrier(), carrier()];
            Deed { payer: Address([number; 20]), paid: Amount(paid), carriers, part: dice.below(1_001).into() }
        })
        .collect()
}

/// Plays a game under a rule.
///
/// # Errors
/// [`MarketError`], with which no game of the sweep ends.
pub fn play(rule: Rule, game: &Game) -> Result<Outcome, MarketError> {
    let metas = [Address([21; 20]), Address([22; 20]), META];
    let validators = [Address([31; 20]), Address([32; 20]), VALIDATOR];
    let mut market = Market::new(rule, DEPOSIT, game.mined, &metas, &validators);
    let (mut dice, mut waiting, mut outcome) = (Dice::new(game.seed), VecDeque::new(), Outcome::default());
    for epoch in 0..game.epochs {
        // The attacker buys before the others: it is never dearer.
        let paid = match game.attack {
            Attack::SelfDealer | Attack::Coalition => game.own,
            Attack::Speculator if epoch == 0 => Amount(game.own.0 * game.epochs as u128),
            Attack::Speculator => Amount::ZERO,
        };
        if paid > Amount::ZERO {
            market.buy(PAYER, paid)?;
            outcome.paid += paid.0;
        }
        let bought = deeds(&mut dice, game.honest).into_iter().map(|deed| market.buy(deed.payer, deed.paid).map(|noz| (deed, noz)));
        waiting.push_back(bought.collect::<Result<Vec<(Deed, Noz)>, MarketError>>()?);

        let mut charges: BTreeMap<(Address, Address), Noz> = BTreeMap::new();
        let mut charge = |payer, carrier, noz: u128| charges.entry((payer, carrier)).or_default().0 += noz;
        if waiting.len() > game.attack.ahead(game.epochs) {
            for (deed, noz) in waiting.pop_front().into_iter().flatten() {
                let first = noz.0 * deed.part / 1_000;
                charge(deed.payer, deed.carriers[0], first);
                charge(deed.payer, deed.carriers[1], noz.0 - first);
            }
        }
        let own = market.balances.get(&PAYER).copied().unwrap_or_default().noz.0;
        let spent = match game.attack {
            Attack::SelfDealer | Attack::Coalition => own,
            Attack::Speculator if epoch < game.epochs / 2 => 0,
            Attack::Speculator => own / (game.epochs - epoch) as u128,
        };
        if spent > 0 {
            charge(PAYER, CARRIER, spent);
        }
        let rewards = market.settle(&charges)?;
        let earned = |address: &Address| rewards.get(address).map_or(0, |reward: &Reward| reward.total().0);
        outcome.earned += game.attack.members().iter().map(earned).sum::<u128>();
        outcome.honest += honest_carriers().map(|carrier| earned(&carrier)).sum::<u128>();
    }
    Ok(outcome)
}
