//! The chart: a panel for each attack, its profit under both rules above honest traffic; readable on light and on dark pages.

use std::fmt::Write as _;

use primitives::Amount;

use crate::game::ATTACKS;
use crate::sweep::{Point, Sweep};
use crate::table::{paid, stos};

/// Width of the picture.
const WIDTH: f64 = 1220.0;
/// Height of the picture.
const HEIGHT: f64 = 520.0;
/// Left edge of the first panel.
const LEFT: f64 = 96.0;
/// Width of a panel.
const PANEL: f64 = 340.0;
/// From the left edge of a panel to that of the next.
const STEP: f64 = 366.0;
/// Upper edge of the panels.
const TOP: f64 = 132.0;
/// Height of a panel.
const TALL: f64 = 320.0;
/// Around 0 the vertical axis is nearly linear, up to here.
const LINEAR: f64 = 0.01;

/// Colours that the colour-blind tell apart (Okabe and Ito), a little lighter where the page is dark.
const STYLE: &str = "<style>
  .page { fill: #ffffff; } .panel { fill: #f6f8fa; } .gain { fill: #d55e00; opacity: 0.07; } .grid { stroke: #d8dee4; stroke-width: 1; }
  .zero { stroke: #1f2328; stroke-width: 1.5; }
  text { fill: #1f2328; font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; } .soft { fill: #59636e; }
  .title { font-size: 18px; font-weight: 600; } .name { font-size: 13px; font-weight: 600; }
  .c0 { --c: #d55e00; } .c1 { --c: #0072b2; } .c2 { --c: #009e73; }
  polyline { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; } .c2 polyline { stroke-dasharray: 5 4; } circle { fill: var(--c); }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } .panel { fill: #161b22; } .gain { opacity: 0.12; } .grid { stroke: #30363d; } .zero { stroke: #e6edf3; }
    text { fill: #e6edf3; } .soft { fill: #9198a1; }
    .c0 { --c: #f0813a; } .c1 { --c: #56b4e9; } .c2 { --c: #2fc79a; }
  }
</style>";

/// A line: its name and what it shows, in wei over all epochs.
type Line = (&'static str, fn(&Point) -> i128);

const LINES: [Line; 3] = [
    ("the original's rule, the attack that pays most under it", |point| point.best_original().profit.original),
    ("our rule, the same attack", |point| point.best_original().profit.ours),
    ("our rule, the attack that loses least under it", |point| point.best_ours().profit.ours),
];

/// Logarithmic on both sides of 0.
fn folded(value: f64) -> f64 {
    (1.0 + value.abs() / LINEAR).log10().copysign(value)
}

/// Ends of the vertical axis, of all panels: the powers of ten around all values.
fn ends(sweep: &Sweep) -> (f64, f64) {
    let values = || sweep.by_honest.iter().flatten().flat_map(|point| LINES.map(|(_, of)| stos(of(point), sweep.epochs)));
    let beyond = |value: f64| 10f64.powf(value.abs().max(1.0).log10().ceil()).copysign(value);
    (folded(beyond(values().fold(-1.0, f64::min))), folded(beyond(values().fold(1.0, f64::max))))
}

/// Where a value is, from the upper edge of the picture.
fn down(value: f64, (low, high): (f64, f64)) -> f64 {
    TOP + TALL * (high - folded(value)) / (high - low)
}

/// Values on the horizontal axis keep off its ends.
fn across(value: Amount, points: &[Point]) -> f64 {
    let log = |amount: Amount| (amount.0 as f64).log10();
    let (first, last) = (points.first().map_or(0.0, |point| log(point.game.honest)), points.last().map_or(1.0, |point| log(point.game.honest)));
    PANEL * (0.04 + 0.92 * (log(value) - first) / (last - first))
}

fn panel(svg: &mut String, left: f64, name: &str, points: &[Point], epochs: usize, ends: (f64, f64)) -> std::fmt::Result {
    let (right, bottom, zero) = (left + PANEL, TOP + TALL, down(0.0, ends));
    writeln!(svg, "<text class=\"name\" x=\"{left:.1}\" y=\"{:.1}\">{name}</text>", TOP - 9.0)?;
    writeln!(svg, "<rect class=\"panel\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{PANEL}\" height=\"{TALL}\"/>")?;
    writeln!(svg, "<rect class=\"gain\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{PANEL}\" height=\"{:.1}\"/>", zero - TOP)?;
    let middle = left + PANEL / 2.0;
    writeln!(svg, "<text class=\"soft\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">the attack pays</text>", TOP + 18.0)?;
    writeln!(svg, "<text class=\"soft\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">it loses</text>", bottom - 10.0)?;
    for point in points.iter().step_by(3) {
        let at = left + across(point.game.honest, points);
        writeln!(svg, "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom:.1}\"/>")?;
        writeln!(svg, "<text class=\"soft\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", bottom + 16.0, paid(point.game.honest))?;
    }
    writeln!(svg, "<text class=\"soft\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">honest traffic, stos in an epoch</text>", bottom + 34.0)?;
    for sign in [-1.0, 1.0] {
        for tick in [0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0].map(|size| sign * size) {
            if folded(tick) < ends.0 || folded(tick) > ends.1 {
                continue;
            }
            let at = down(tick, ends);
            writeln!(svg, "<line class=\"grid\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>")?;
            if left <= LEFT {
                writeln!(svg, "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick:+}</text>", left - 8.0, at + 4.0)?;
            }
        }
    }
    writeln!(svg, "<line class=\"zero\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{zero:.1}\" y2=\"{zero:.1}\"/>")?;
    if left <= LEFT {
        writeln!(svg, "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">0</text>", left - 8.0, zero + 4.0)?;
    }
    // The line of the last loss is drawn below the others, so that it does not hide them where they meet.
    for (colour, (_, of)) in LINES.iter().enumerate().rev() {
        let places: Vec<_> = points.iter().map(|point| (left + across(point.game.honest, points), down(stos(of(point), epochs), ends))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        write!(svg, "<g class=\"c{colour}\"><polyline points=\"{}\"/>", path.join(" "))?;
        for (x, y) in places {
            write!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>")?;
        }
        writeln!(svg, "</g>")?;
    }
    Ok(())
}

fn write(svg: &mut String, sweep: &Sweep) -> std::fmt::Result {
    writeln!(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Profit of attackers\">")?;
    writeln!(svg, "{STYLE}\n<rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\"/>")?;
    writeln!(svg, "<text class=\"title\" x=\"{LEFT}\" y=\"36\">The subsidy of traffic: what attackers gain and lose</text>")?;
    writeln!(
        svg,
        "<text class=\"soft\" x=\"{LEFT}\" y=\"58\">Profit in stos for each epoch, of attackers that pay 1 to 10,000 stos in each. Both axes are logarithmic, the vertical \
         one on both sides of 0.</text>"
    )?;
    let mut at = LEFT;
    for (colour, (name, _)) in LINES.iter().enumerate() {
        writeln!(svg, "<g class=\"c{colour}\"><polyline points=\"{at:.1},86 {:.1},86\"/><circle cx=\"{:.1}\" cy=\"86\" r=\"2.5\"/></g>", at + 28.0, at + 14.0)?;
        writeln!(svg, "<text x=\"{:.1}\" y=\"90\">{name}</text>", at + 34.0)?;
        at += 72.0 + 6.2 * name.len() as f64;
    }
    let (ends, middle) = (ends(sweep), TOP + TALL / 2.0);
    writeln!(svg, "<text class=\"soft\" transform=\"translate(24 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">profit, stos in an epoch</text>")?;
    for (number, (attack, points)) in ATTACKS.iter().zip(&sweep.by_honest).enumerate() {
        panel(svg, LEFT + STEP * number as f64, attack.name(), points, sweep.epochs, ends)?;
    }
    writeln!(svg, "</svg>")
}

/// The chart of a sweep.
pub fn svg(sweep: &Sweep) -> String {
    let mut svg = String::new();
    write(&mut svg, sweep).expect("a string takes whatever is written");
    svg
}
