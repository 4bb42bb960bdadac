//! All games: every attack against every amount of honest traffic with every amount of its own, under both rules, and where it first pays.

use pot::reward::Schedule;
use primitives::Amount;
use primitives::units::WEI_PER_STOS;

use crate::game::{ATTACKS, Attack, Game, Outcome, play};
use crate::market::{MarketError, Rule};

/// Least honest traffic of the sweep: 0.01 stos in an epoch, about ten gigabytes.
const HONEST_MIN: Amount = Amount(WEI_PER_STOS / 100);
/// Steps of it, in 1, 2, 5: up to 10,000 stos.
const HONEST_STEPS: usize = 19;
/// Least that an attacker pays in an epoch on average. With less it gains less and loses less.
pub const OWN_MIN: Amount = Amount::stos(1);
/// Steps of it, up to 10,000 stos.
const OWN_STEPS: usize = 13;
/// So little does an attacker pay where the end of its profit is looked for: the last that pays is the smallest.
const OWN_LEAST: Amount = Amount(WEI_PER_STOS / 1_000);

/// 1, 2, 5, 10, ... times the first.
fn steps(first: Amount, count: usize) -> impl Iterator<Item = Amount> {
    let decades = std::iter::successors(Some(first.0), |decade| Some(decade * 10));
    decades.flat_map(|decade| [1, 2, 5].map(|step| Amount(decade * step))).take(count)
}

/// Honest traffic of the sweep, in wei of one epoch.
pub fn honest_values() -> impl Iterator<Item = Amount> {
    steps(HONEST_MIN, HONEST_STEPS)
}

/// What attackers pay, in wei of one epoch.
pub fn own_values() -> impl Iterator<Item = Amount> {
    steps(OWN_MIN, OWN_STEPS)
}

/// Something under each of the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Both<T> {
    /// Under the original's.
    pub original: T,
    /// Under ours.
    pub ours: T,
}

impl<T> Both<T> {
    fn each<E>(mut of: impl FnMut(Rule) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self { original: of(Rule::Original)?, ours: of(Rule::Ours)? })
    }
}

/// One attack, under both rules; wei over all epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Play {
    /// What the attacker paid in an epoch on average.
    pub own: Amount,
    /// What it earned more than without the attack, less what it paid.
    pub profit: Both<i128>,
    /// What the honest carriers earned.
    pub honest: Both<u128>,
}

/// One attack against one amount of honest traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// What is attacked, and when.
    pub game: Game,
    /// What the honest carriers earn if nobody attacks.
    pub honest: Both<u128>,
    /// By what the attacker pays.
    pub plays: Vec<Play>,
}

impl Point {
    /// Where a rule gives the attacker the most.
    fn best(&self, profit: impl Fn(&Play) -> i128) -> &Play {
        self.plays.iter().max_by_key(|play| profit(play)).expect("a point has plays")
    }

    /// The attack that pays most under the original's rule.
    pub fn best_original(&self) -> &Play {
        self.best(|play| play.profit.original)
    }

    /// The attack that loses least under ours.
    pub fn best_ours(&self) -> &Play {
        self.best(|play| play.profit.ours)
    }
}

/// What an attack gains beyond what its members earn from honest traffic anyway.
fn profit(with: &Outcome, without: &Outcome) -> i128 {
    // A game moves less than 2^100 wei.
    with.earned.cast_signed() - without.earned.cast_signed() - with.paid.cast_signed()
}

/// Plays a game with all of these payments.
///
/// # Errors
/// [`MarketError`], which no game of these has.
pub fn point(game: Game, own: impl Iterator<Item = Amount>) -> Result<Point, MarketError> {
    let without = Both::each(|rule| play(rule, &Game { own: Amount::ZERO, ..game }))?;
    let plays = own.map(|own| {
        let with = Both::each(|rule| play(rule, &Game { own, ..game }))?;
        let profit = Both { original: profit(&with.original, &without.original), ours: profit(&with.ours, &without.ours) };
        Ok(Play { own, profit, honest: Both { original: with.original.honest, ours: with.ours.honest } })
    });
    let plays = plays.collect::<Result<_, MarketError>>()?;
    Ok(Point { game, honest: Both { original: without.original.honest, ours: without.ours.honest }, plays })
}

/// Everything that the page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Of each attack, by honest traffic, in the first row of the schedule.
    pub by_honest: [Vec<Point>; 3],
    /// Of the self-dealer and the coalition, in each row of the schedule, with 1 stos of honest traffic.
    pub by_row: [Vec<Point>; 2],
    /// Honest traffic at which the self-dealer and the coalition stop paying under the original's rule.
    pub even: [Amount; 2],
    /// Epochs of each game.
    pub epochs: usize,
}

/// Plays all games.
///
/// # Errors
/// [`MarketError`], which no game of these has.
pub fn sweep(epochs: usize, seed: u64) -> Result<Sweep, MarketError> {
    let game = |attack, honest, mined| Game { honest, attack, own: Amount::ZERO, mined, epochs, seed };
    let by_honest = |attack| honest_values().map(|honest| point(game(attack, honest, Amount::ZERO), own_values())).collect::<Result<Vec<Point>, _>>();
    let begins = || std::iter::once(Amount::ZERO).chain(Schedule::standard().0.into_iter().map(|row| row.mined_below)).take(Schedule::standard().0.len());
    let by_row = |attack| begins().map(|mined| point(game(attack, Amount::stos(1), mined), own_values())).collect::<Result<Vec<Point>, _>>();
    let even = |attack| {
        // In hundredths of a stos; the profit falls with honest traffic.
        let (mut pays, mut loses) = (1u128, 1_000_000u128);
        while loses - pays > 1 {
            let middle = (pays + loses) / 2;
            let point = point(game(attack, Amount(middle * WEI_PER_STOS / 100), Amount::ZERO), std::iter::once(OWN_LEAST))?;
            if point.best_original().profit.original > 0 { pays = middle } else { loses = middle }
        }
        Ok::<_, MarketError>(Amount(loses * WEI_PER_STOS / 100))
    };
    let [dealer, coalition, speculator] = ATTACKS;
    Ok(Sweep {
        by_honest: [by_honest(dealer)?, by_honest(coalition)?, by_honest(speculator)?],
        by_row: [by_row(dealer)?, by_row(coalition)?],
        even: [even(Attack::SelfDealer)?, even(Attack::Coalition)?],
        epochs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::EPOCHS;
    use proptest::prelude::*;

    /// Wei over all epochs, in stos of one.
    fn stos(wei: i128, epochs: usize) -> f64 {
        wei as f64 / epochs as f64 / 1e18
    }

    fn one(attack: Attack, honest: Amount, own: Amount) -> Play {
        let game = Game { honest, attack, own, mined: Amount::ZERO, epochs: 12, seed: 1 };
        point(game, std::iter::once(own)).expect("nothing stops a game").plays[0]
    }

    /// The worked numbers: with `V` stos of honest traffic and `X` of its own a self-dealer gains `48 X / (X + V) - 0.412 X` under the original's rule, at
    /// most 39.5 stos at `V = 1`, and nothing from `V = 116.5` on. With a third of everything, 0.28 instead of 0.412.
    #[test]
    fn worked_numbers() {
        for (attack, lost) in [(Attack::SelfDealer, 0.412), (Attack::Coalition, 0.28)] {
            for honest in [1u64, 10, 100] {
                for own in [1u64, 10, 100] {
                    let gained = stos(one(attack, Amount::stos(honest), Amount::stos(own)).profit.original, 12);
                    let (honest, own) = (honest as f64, own as f64);
                    let expected = 48.0 * own / (own + honest) - lost * own;
                    assert!((gained - expected).abs() < 0.01, "{}, V = {honest}, X = {own}: {gained}, expected {expected}", attack.name());
                }
            }
        }
        let best = (1..100).map(|own| one(Attack::SelfDealer, Amount::stos(1), Amount::stos(own)).profit.original).max().expect("there are some");
        assert!((stos(best, 12) - 39.5).abs() < 0.05, "{}", stos(best, 12));
        for (honest, pays) in [(116_400, true), (116_600, false)] {
            let play = one(Attack::SelfDealer, Amount(honest * WEI_PER_STOS / 1_000), OWN_LEAST);
            assert_eq!(play.profit.original > 0, pays, "{honest}");
        }
    }

    /// Checks POT-6 in every game of the page, and that the original's rule pays as the page says.
    #[test]
    fn every_attack_loses_under_our_rule() {
        let sweep = sweep(EPOCHS, crate::SEED).expect("nothing stops a game");
        for point in sweep.by_honest.iter().chain(&sweep.by_row).flatten() {
            for play in &point.plays {
                assert!(play.profit.ours < 0, "{:?}", point.game);
            }
        }
        let pays = |attack: usize| sweep.by_honest[attack].iter().map(|point| point.best_original().profit.original > 0).collect::<Vec<_>>();
        // The self-dealer and the coalition where little is honest, up to 100 stos; the speculator there, and where much is paid ahead.
        assert_eq!(pays(0).iter().take_while(|pays| **pays).count(), 13);
        assert_eq!(pays(1).iter().take_while(|pays| **pays).count(), 13);
        assert!(pays(2).first() == Some(&true) && pays(2).last() == Some(&true));
        assert!(sweep.even[0].0.abs_diff(Amount(116_500_000_000_000_000_000).0) < WEI_PER_STOS / 10, "{}", sweep.even[0].to_stos());
        // The page in the repository is that of this sweep.
        let page = crate::table::page(&sweep);
        assert_eq!(page, include_str!("../../../docs/subsidy.md"), "docs/subsidy.md is out of date: make subsidy DOCS=docs");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Checks POT-6 for any market: whatever others pay and the seed gives them, at any time, every attack loses.
        #[test]
        fn attacks_lose_in_any_market(attack in 0..3usize, honest in 44..80u32, own in 34..80u32, mined in 0..40_000_000u64, seed in any::<u64>()) {
            let game = Game { honest: Amount(1 << honest), attack: ATTACKS[attack], own: Amount(1 << own), mined: Amount::stos(mined), epochs: 12, seed };
            let point = point(game, std::iter::once(game.own)).expect("nothing stops a game");
            prop_assert!(point.plays[0].profit.ours < 0, "{}", point.plays[0].profit.ours);
        }
    }
}
