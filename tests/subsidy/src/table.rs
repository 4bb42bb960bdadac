//! The games as Markdown.

use std::fmt::Write as _;

use pot::reward::{Parameters, Schedule};
use primitives::Amount;

use crate::game::ATTACKS;
use crate::market::DEPOSIT;
use crate::sweep::{OWN_MIN, Point, Sweep};

/// An amount of wei over so many epochs, in stos of one.
pub fn stos(wei: i128, epochs: usize) -> f64 {
    wei as f64 / epochs as f64 / 1e18
}

/// Three digits, or as many as a whole number has, with its thousands apart.
fn digits(value: f64) -> String {
    let size = value.abs();
    match size {
        100.0.. => thousands(&format!("{size:.0}")),
        10.0.. => format!("{size:.1}"),
        1.0.. => format!("{size:.2}"),
        _ => format!("{size:.3}"),
    }
}

fn thousands(digits: &str) -> String {
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    groups.join(",")
}

/// With its sign.
fn signed(value: f64) -> String {
    format!("{}{}", if value < 0.0 { "-" } else { "+" }, digits(value))
}

/// What is paid, as people write it.
pub fn paid(amount: Amount) -> String {
    let text = amount.to_stos();
    let number = text.trim_end_matches(" stos");
    if number.contains('.') { number.into() } else { thousands(number) }
}

/// The columns of one point after its name.
fn columns(point: &Point, epochs: usize) -> String {
    let (original, ours) = (point.best_original(), point.best_ours());
    let [unattacked, attacked] =
        [point.honest, original.honest].map(|honest| [honest.original, honest.ours].map(|wei| digits(stos(wei.cast_signed(), epochs))));
    format!(
        "{} | **{}** | **{}** | {} at {} | {} → {} | {} → {}",
        paid(original.own),
        signed(stos(original.profit.original, epochs)),
        signed(stos(original.profit.ours, epochs)),
        signed(stos(ours.profit.ours, epochs)),
        paid(ours.own),
        unattacked[0],
        attacked[0],
        unattacked[1],
        attacked[1],
    )
}

fn heads(text: &mut String, first: &str) -> std::fmt::Result {
    writeln!(
        text,
        "| {first} | attacker pays | profit, original | profit, ours | ours, least loss | honest carriers, original | honest carriers, ours |\n|--:|--:|--:|--:|--:|--:|--:|"
    )
}

fn write_tables(text: &mut String, sweep: &Sweep) -> std::fmt::Result {
    for (attack, points) in ATTACKS.iter().zip(&sweep.by_honest) {
        writeln!(text, "### The {}\n", attack.name())?;
        heads(text, "honest traffic")?;
        for point in points.iter().step_by(3) {
            writeln!(text, "| {} | {} |", paid(point.game.honest), columns(point, sweep.epochs))?;
        }
        writeln!(text)?;
    }
    for (attack, points) in ATTACKS.iter().zip(&sweep.by_row) {
        writeln!(text, "### The {} in each row of the schedule, with 1 stos of honest traffic\n", attack.name())?;
        heads(text, "mined in an epoch")?;
        for (row, point) in Schedule::standard().0.iter().zip(points) {
            writeln!(text, "| {} | {} |", paid(row.per_epoch), columns(point, sweep.epochs))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

/// All tables.
pub fn tables(sweep: &Sweep) -> String {
    let mut text = String::new();
    write_tables(&mut text, sweep).expect("a string takes whatever is written");
    text
}

fn write_page(text: &mut String, sweep: &Sweep) -> std::fmt::Result {
    let standard = Parameters::standard();
    let games: usize = sweep.by_honest.iter().chain(&sweep.by_row).flatten().map(|point| point.plays.len()).sum();
    let most = sweep.by_honest.iter().chain(&sweep.by_row).flatten().map(|point| point.best_ours().profit.ours).max().unwrap_or_default();
    writeln!(text, "# The subsidy of traffic, under attack\n")?;
    writeln!(
        text,
        "Made by `make subsidy DOCS=docs`, which writes this page and its chart; `make subsidy` prints the tables. The program is \
         [tests/subsidy](../tests/subsidy). It plays the same markets, with the same honest payments and the same attackers, under the original network's rule and \
         under ours, in whole wei and noz, from one seed: the numbers are the same on every machine. All amounts are in stos for each epoch.\n"
    )?;
    writeln!(text, "![What attackers gain and lose](subsidy.svg)\n\n## What is played\n")?;
    writeln!(
        text,
        "A game has {} epochs (a day, if one takes ten minutes), a deposit of {} stos, four honest payers, four honest carriers, three meta nodes that are equally \
         alive and three validators with equal stakes. Honest payers together pay `V` in each epoch; how they divide it, which carriers they use and for how \
         much is drawn from the seed. One attacker pays `X` in each epoch, on average, and has a payer and a carrier of its own:\n",
        sweep.epochs,
        paid(DEPOSIT)
    )?;
    writeln!(
        text,
        "- The **self-dealer** buys ozone in each epoch, before the others, and downloads all of it from its own carrier. Honest payers spend what they buy at once."
    )?;
    writeln!(text, "- The **coalition** does the same and has a third of the meta nodes and of the stake, which earn from its traffic too.")?;
    writeln!(
        text,
        "- The **speculator** buys for all epochs at the very beginning and downloads from its own carrier, in equal parts, in the second half. Honest payers buy half \
         a game ahead of what they spend, so their money is in the pool when it does, and nothing honest is carried before.\n"
    )?;
    writeln!(
        text,
        "Profit is what the attacker's carrier and nodes earn with the attack, less what they earn without it, less what it paid. In the end it holds no ozone. \
         `X` is tried from {} to 10,000 in steps of 1, 2, 5. The tables take that which pays most under the original's rule and give what the same traffic earns \
         under ours; *ours, least loss* takes that which loses least under ours. The last columns are what the honest carriers earn, without and with the attack that \
         pays most under the original's rule.\n",
        paid(OWN_MIN)
    )?;
    writeln!(text, "## The two rules\n")?;
    writeln!(
        text,
        "`S` is the deposit, `P` the prepaid pool, `L` the ozone for sale, `Y` the ozone spent in an epoch. Buying is the same: `X` buys `L * X / (S + P + X)`. \
         Traffic releases `R` from the pool, and `M` is mined beside it. Both are divided by the schedule's row (60 % to carriers, 20 % to meta nodes, 20 % to \
         validators in the first), and carriers and meta nodes pay a tax of 2 % on their part of `R`.\n"
    )?;
    writeln!(text, "| | original | ours |\n|---|---|---|")?;
    writeln!(text, "| `R` | `(S + P) * Y / (L + Y)`, the top of the curve, to who is served first | what its own payers paid for the ozone that was spent |")?;
    writeln!(text, "| `M` | the row's: 80 stos in the first | the row's, at most `beta * R`; `beta` = {} % |", f64::from(standard.beta) / 100.0)?;
    writeln!(text, "| carriers share by | bytes | value released |")?;
    writeln!(text, "| the self-dealer gains | `48 X / (X + V) - 0.412 X` | at most `0.588 X + 0.15 X - X = -0.262 X` |")?;
    writeln!(text, "| the coalition gains | `48 X / (X + V) - 0.28 X` | at most `0.72 X + 0.1833 X - X = -0.0967 X` |\n")?;
    writeln!(text, "These are for the first row and a price that does not move.\n\n## What they gain and lose\n")?;
    write_tables(text, sweep)?;
    writeln!(text, "## What bounds it\n")?;
    let best = |point: &Point| stos(point.best_original().profit.original, sweep.epochs);
    let [dealer, coalition, speculator] = sweep.by_honest.each_ref();
    if let Some(one) = dealer.iter().find(|point| point.game.honest == Amount::stos(1)) {
        writeln!(
            text,
            "- **Original: little honest traffic.** With 1 stos of honest traffic the self-dealer gains {} stos, and it stops paying, whatever it pays, only where the \
             honest pay {:.2} stos; the coalition at {:.2} stos. The formulas say 48 / 0.412 = 116.50 and 48 / 0.28 = 171.43; they know nothing of a price that \
             moves within the epoch, in favour of who buys first.",
            digits(best(one)),
            stos(sweep.even[0].0.cast_signed(), 1),
            stos(sweep.even[1].0.cast_signed(), 1)
        )?;
    }
    if let Some(last) = speculator.last() {
        let ahead = Amount(last.game.honest.0 * last.game.attack.ahead(sweep.epochs) as u128);
        writeln!(
            text,
            "- **Original: much paid ahead.** The speculator redeems what later buyers left in the pool. With {} stos of honest traffic, {} stos paid ahead beside the \
             deposit of {}, it gains {} stos in each epoch. What counts is the pool beside the deposit.",
            paid(last.game.honest),
            paid(ahead),
            paid(DEPOSIT),
            digits(best(last))
        )?;
    }
    let safe = dealer
        .iter()
        .zip(coalition)
        .zip(speculator)
        .filter(|((dealer, coalition), speculator)| [dealer, coalition, speculator].iter().all(|point| best(point) < 0.0));
    let safe: Vec<String> = safe.map(|((point, _), _)| paid(point.game.honest)).collect();
    writeln!(
        text,
        "- **Original: between them.** Of all amounts of honest traffic in the chart, the three attacks lose at {} stos; whether the rule holds depends on what others do.",
        safe.join(", ")
    )?;
    writeln!(
        text,
        "- **Ours: nothing to gain.** All {games} attacks lose; the least that one loses is {} stos. What an attacker gets back is a share of what it paid itself, at most \
         `c_R + beta * c_M`, which [`Parameters::check`](../pot/src/reward.rs) holds below 1 for every row: 0.9033 in the first, 0.9853 in the last, for a coalition \
         with exactly a third. Others' traffic does not appear in it, so no price and no volume helps.",
        digits(stos(most, sweep.epochs))
    )?;
    writeln!(
        text,
        "- **What our rule costs.** Where little is carried, carriers earn little: at 1 stos of honest traffic `M` is 0.25 stos of the 80 that the original pays. From \
         320 stos on (`80 / beta`) both pay the whole row. What is not mined stays in the reserve."
    )?;
    writeln!(
        text,
        "- **The edge is exact.** [Property tests](../pot/src/reward/inequality.rs) hold the inequality for any schedule, `beta`, tax, honest traffic and coalition that \
         the check accepts, up to single wei of rounding, and find a coalition that does not lose one basis point beyond. The standard schedule breaks at a `beta` of \
         26.84 %, or without the tax.\n"
    )?;
    writeln!(text, "## What it does not show\n")?;
    writeln!(
        text,
        "- That attackers cannot harm others. Who burns its money dilutes `M` where the row bounds it, under either rule. Who buys first makes ozone dearer for others: \
         under ours the honest carriers of the last game of the speculator earn less while it lasts, and what they miss is still in the pool, behind ozone that is not \
         spent."
    )?;
    writeln!(
        text,
        "- What it is worth to reach the next row of the schedule sooner: each game is compared with one without the attack that begins with as much mined."
    )?;
    writeln!(
        text,
        "- More than a third of the meta nodes or of the stake. Who has all of everything pays itself everything but the tax and gains `M`; that chain is its own \
         anyway."
    )?;
    writeln!(text, "- What coins are worth, and so what an attacker would gain beside the chain: by a price that it moves, or by looking busy.")?;
    writeln!(text, "- Costs of carrying, which add to every loss, and that payers do not choose their carriers: here attackers do.")?;
    writeln!(
        text,
        "- Deposits that change. If deposit leaves after a sale the original's pool can owe more than it holds, and its report fails then: one deposit of 3 stos in 3,300 \
         is enough ([a test](../tests/subsidy/src/market.rs)). Ours pays what was paid for the bytes."
    )
}

/// The page.
pub fn page(sweep: &Sweep) -> String {
    let mut text = String::new();
    write_page(&mut text, sweep).expect("a string takes whatever is written");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0.1234, -1.234, 12.34, -1234.5].map(signed), ["+0.123", "-1.23", "+12.3", "-1,234"]);
        assert_eq!([Amount::stos(10_000), Amount(10_000_000_000_000_000)].map(paid), ["10,000", "0.01"]);
    }
}
