//! The chart of the growth: one column for each series, time above bytes, both axes logarithmic; readable on light and on dark pages.

use std::fmt::Write as _;

use crate::growth::SERIES;
use crate::stages::{Figures, STAGES};
use crate::table::GRANT_BYTES;

/// Width of the picture.
const WIDTH: f64 = 1220.0;
/// Height of the picture.
const HEIGHT: f64 = 716.0;
/// Left edge of the first panel.
const LEFT: f64 = 96.0;
/// Width of a panel.
const PANEL: f64 = 160.0;
/// From the left edge of a panel to that of the next.
const STEP: f64 = 186.0;

/// Colours that the colour-blind tell apart (Okabe and Ito), a little lighter where the page is dark.
const STYLE: &str = "<style>
  .page { fill: #ffffff; } .panel { fill: #f6f8fa; } .grid { stroke: #d8dee4; stroke-width: 1; }
  text { fill: #1f2328; font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; } .soft { fill: #59636e; }
  .title { font-size: 18px; font-weight: 600; } .name { font-size: 13px; font-weight: 600; }
  .c0 { --c: #cc79a7; } .c1 { --c: #0072b2; } .c2 { --c: #e69f00; } .c3 { --c: #d55e00; } .c4 { --c: #009e73; }
  polyline { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; } circle { fill: var(--c); }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } .panel { fill: #161b22; } .grid { stroke: #30363d; } text { fill: #e6edf3; } .soft { fill: #9198a1; }
    .c0 { --c: #e3a3c7; } .c1 { --c: #56b4e9; } .c2 { --c: #f0b429; } .c3 { --c: #f0813a; } .c4 { --c: #2fc79a; }
  }
</style>";

/// A line of a row: its name, its colour, what it shows.
type Line = (&'static str, usize, fn(&Figures) -> f64);

/// A row of panels with one vertical axis.
struct Row {
    label: &'static str,
    /// Names of the axis' decades.
    tick: fn(i32) -> String,
    top: f64,
    height: f64,
    lines: &'static [Line],
}

const ROWS: [Row; 2] = [
    Row {
        label: "processor time, one core",
        tick: |exponent| scaled(f64::from(exponent), &[(0, "s"), (-3, "ms"), (-6, "µs")]),
        top: 122.0,
        height: 270.0,
        lines: &[
            (STAGES[0], 0, |figures| figures.stages[0].seconds()),
            (STAGES[1], 1, |figures| figures.stages[1].seconds()),
            (STAGES[2], 2, |figures| figures.stages[2].seconds()),
            (STAGES[3], 3, |figures| figures.stages[3].seconds()),
            (STAGES[4], 4, |figures| figures.stages[4].seconds()),
        ],
    },
    Row {
        label: "bytes on chain",
        tick: |exponent| scaled(f64::from(exponent), &[(9, "GB"), (6, "MB"), (3, "kB"), (0, "B")]),
        top: 500.0,
        height: 150.0,
        lines: &[
            ("claims, metadata ledger", 1, |figures| figures.claim_bytes as f64),
            ("parts, value ledger", 3, |figures| figures.part_bytes as f64),
            ("of which grants", 2, |figures| (figures.grants * GRANT_BYTES) as f64),
        ],
    },
];

/// A power of ten with the largest of the units that is not above it, or the last one.
fn scaled(exponent: f64, units: &[(i32, &str)]) -> String {
    let unit = units.iter().find(|(from, _)| f64::from(*from) <= exponent).or(units.last());
    unit.map_or_else(String::new, |(from, name)| format!("{:.0} {name}", 10f64.powf(exponent - f64::from(*from))))
}

/// The name of a value of a horizontal axis.
pub fn amount(value: u64, unit: &str) -> String {
    let units: &[(u64, &str)] = if unit == "bytes" {
        &[(1_000_000_000_000_000_000, " EB"), (1_000_000_000_000_000, " PB"), (1_000_000_000_000, " TB"), (1, " B")]
    } else {
        &[(1_000_000, " M"), (1_000, " k"), (1, "")]
    };
    let (scale, name) = units.iter().find(|(scale, _)| *scale <= value).unwrap_or(&(1, ""));
    format!("{}{name}", value / scale)
}

/// Where a panel's values are on the page.
struct Axes {
    left: f64,
    bottom: f64,
    height: f64,
    /// Decimal logarithms of the ends of the horizontal axis.
    x: (f64, f64),
    /// And of the vertical one.
    y: (f64, f64),
}

impl Axes {
    /// Values on the horizontal axis keep off its ends.
    fn across(&self, value: f64) -> f64 {
        self.left + PANEL * (0.1 + 0.8 * (value.log10() - self.x.0) / (self.x.1 - self.x.0))
    }

    fn up(&self, value: f64) -> f64 {
        self.bottom - self.height * (value.log10() - self.y.0) / (self.y.1 - self.y.0)
    }
}

/// The decades around all values of a row.
fn decades(row: &Row, grown: &[Vec<Figures>]) -> (f64, f64) {
    let values = || grown.iter().flatten().flat_map(|figures| row.lines.iter().map(|(_, _, of)| of(figures))).filter(|value| *value > 0.0);
    (values().fold(f64::INFINITY, f64::min).log10().floor(), values().fold(0.0, f64::max).log10().ceil())
}

fn legend(svg: &mut String, row: &Row) -> std::fmt::Result {
    let (mut at, y) = (LEFT, row.top - 38.0);
    for (name, colour, _) in row.lines {
        writeln!(
            svg,
            "<g class=\"c{colour}\"><polyline points=\"{at:.1},{y} {:.1},{y}\"/><circle cx=\"{:.1}\" cy=\"{y}\" r=\"3\"/></g>",
            at + 24.0,
            at + 12.0
        )?;
        writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{name}</text>", at + 30.0, y + 4.0)?;
        at += 62.0 + 7.0 * name.len() as f64;
    }
    Ok(())
}

fn panels(svg: &mut String, row: &Row, grown: &[Vec<Figures>]) -> std::fmt::Result {
    let (bottom, y) = (row.top + row.height, decades(row, grown));
    legend(svg, row)?;
    let middle = row.top + row.height / 2.0;
    writeln!(svg, "<text class=\"soft\" transform=\"translate(24 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>", row.label)?;
    for (number, (series, figures)) in SERIES.iter().zip(grown).enumerate() {
        let ends = (series.values[0] as f64, series.values[series.values.len() - 1] as f64);
        let axes = Axes { left: LEFT + STEP * number as f64, bottom, height: row.height, x: (ends.0.log10(), ends.1.log10()), y };
        let (left, right) = (axes.left, axes.left + PANEL);
        writeln!(svg, "<text class=\"name\" x=\"{left:.1}\" y=\"{:.1}\">{}</text>", row.top - 9.0, series.name)?;
        writeln!(svg, "<rect class=\"panel\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{PANEL}\" height=\"{}\"/>", row.top, row.height)?;
        for exponent in -9..=18 {
            let decade = f64::from(exponent);
            if decade < y.0 || decade > y.1 {
                continue;
            }
            let at = axes.up(10f64.powf(decade));
            writeln!(svg, "<line class=\"grid\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>")?;
            if number == 0 {
                writeln!(svg, "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", left - 8.0, at + 4.0, (row.tick)(exponent))?;
            }
        }
        for value in series.values {
            let at = axes.across(value as f64);
            writeln!(svg, "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>", row.top)?;
            let name = amount(value, series.unit);
            writeln!(svg, "<text class=\"soft\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>", bottom + 16.0)?;
        }
        writeln!(svg, "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", left + PANEL / 2.0, bottom + 32.0, series.unit)?;
        for (_, colour, of) in row.lines {
            let points: Vec<_> = series.values.iter().zip(figures).map(|(value, figures)| (axes.across(*value as f64), axes.up(of(figures)))).collect();
            let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            writeln!(svg, "<g class=\"c{colour}\"><polyline points=\"{}\"/>", path.join(" "))?;
            for (x, y) in points {
                write!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>")?;
            }
            writeln!(svg, "</g>")?;
        }
    }
    Ok(())
}

fn write(svg: &mut String, grown: &[Vec<Figures>]) -> std::fmt::Result {
    writeln!(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Growth of an epoch's settlement\">")?;
    writeln!(svg, "{STYLE}\n<rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\"/>")?;
    writeln!(svg, "<text class=\"title\" x=\"{LEFT}\" y=\"36\">The settlement of an epoch: what grows with what</text>")?;
    writeln!(
        svg,
        "<text class=\"soft\" x=\"{LEFT}\" y=\"58\">Around 1,000 carriers, 10,000 payers, 100,000 channels and 1 PB; only what a column names differs. In the first, \
         carriers, payers and channels grow together.</text>"
    )?;
    for row in &ROWS {
        panels(svg, row, grown)?;
    }
    writeln!(svg, "</svg>")
}

/// The chart of all series.
pub fn svg(grown: &[Vec<Figures>]) -> String {
    let mut svg = String::new();
    write(&mut svg, grown).expect("a string takes whatever is written");
    svg
}
