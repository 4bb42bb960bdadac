//! One run's whole setting: who votes, who lies and how, what the wires and the nodes suffer, for how long.
//!
//! A scenario is a line of text (`Display` and `FromStr`), so that a run can be repeated from a report; `generate` makes them from a seed, or as values that
//! proptest shrinks.

use std::fmt;
use std::str::FromStr;

use crate::adversary::Tactic;
use crate::ledger::{Kind, plain::EpochRule};
use crate::links::{Cut, Weather};

pub mod generate;

/// A node stops and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Which.
    pub node: usize,
    /// From when on it may happen.
    pub at_ms: u64,
    /// After so many outputs.
    pub outputs: u64,
    /// In the middle of a write.
    pub torn: bool,
    /// How long it is away.
    pub down_ms: u64,
    /// It loses all but the slot.
    pub wipe: bool,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// All chance comes from here.
    pub seed: u64,
    /// Each node's weight in the first epoch; 0 has no seat, and may get one.
    pub weights: Vec<u64>,
    /// Nodes that lie.
    pub liars: Vec<(usize, Tactic)>,
    /// The wires until GST.
    pub storm: Weather,
    /// The wires from GST on.
    pub calm: Weather,
    /// When the storm ends.
    pub gst_ms: u64,
    /// Blocks that every honest node must finalize in calm times before the run ends.
    pub goal: u64,
    /// Silences before GST.
    pub cuts: Vec<Cut>,
    /// Crashes before GST.
    pub crashes: Vec<Crash>,
    /// Which ledger the nodes have.
    pub ledger: Kind,
    /// When epochs end.
    pub rule: EpochRule,
    /// Changes of weights; wishes of users, where there is money.
    pub changes: u64,
    /// Bytes that make payloads long.
    pub filler: usize,
    /// How long ledgers wait before they build.
    pub build_ms: u64,
    /// What an idle leader may wait.
    pub idle_ms: u64,
    /// Microseconds for a message, an execution, a durable write.
    pub pace: [u64; 3],
    /// Most a clock is off.
    pub skew_ms: u64,
    /// Most a clock drifts, in a million.
    pub drift_ppm: u64,
    /// Who hears what when is chosen, within the links' bounds, to keep the honest apart.
    pub greedy: bool,
}

impl Scenario {
    /// Nothing goes wrong: these weights, a constant delay, no time for anything else.
    pub fn quiet(weights: &[u64], delay_ms: u64) -> Self {
        let calm = Weather { delay_ms, ..Weather::default() };
        Self {
            seed: 0,
            weights: weights.to_vec(),
            liars: Vec::new(),
            storm: calm,
            calm,
            gst_ms: 0,
            goal: 10,
            cuts: Vec::new(),
            crashes: Vec::new(),
            ledger: Kind::Plain,
            rule: EpochRule::Never,
            changes: 0,
            filler: 0,
            build_ms: 0,
            idle_ms: 0,
            pace: [0; 3],
            skew_ms: 0,
            drift_ppm: 0,
            greedy: false,
        }
    }

    /// How many parts a cut network has: as many as the twins have copies.
    pub fn parts(&self) -> usize {
        self.liars.iter().map(|(_, tactic)| tactic.copies()).max().unwrap_or(1).max(2)
    }

    /// Whether less than a third of the weight lies.
    pub fn is_safe(&self) -> bool {
        let weight = |node: usize| self.weights.get(node).copied().map_or(0, u128::from);
        let lying: u128 = self.liars.iter().map(|(node, _)| weight(*node)).sum();
        3 * lying < self.weights.iter().map(|weight| u128::from(*weight)).sum()
    }
}

fn numbers(weather: &Weather) -> [u64; 8] {
    let Weather { delay_ms, spread_ms, jitter_ms, loss, duplication, reordering, corruption, bandwidth } = *weather;
    [delay_ms, spread_ms, jitter_ms, loss, duplication, reordering, corruption, bandwidth]
}

fn joined<T: fmt::Display>(list: impl IntoIterator<Item = T>, between: &str) -> String {
    list.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(between)
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed={} weights={}", self.seed, joined(&self.weights, ","))?;
        write!(f, " liars={}", joined(self.liars.iter().map(|(node, tactic)| format!("{node}:{tactic}")), ","))?;
        write!(f, " storm={} calm={} gst={} goal={}", joined(numbers(&self.storm), ":"), joined(numbers(&self.calm), ":"), self.gst_ms, self.goal)?;
        let cut = |cut: &Cut| format!("{}:{}:{}:{}", cut.start_ms, cut.length_ms, cut.side, u8::from(cut.one_way));
        let crash = |c: &Crash| format!("{}:{}:{}:{}:{}:{}", c.node, c.at_ms, c.outputs, u8::from(c.torn), c.down_ms, u8::from(c.wipe));
        write!(f, " cuts={} crashes={}", joined(self.cuts.iter().map(cut), ","), joined(self.crashes.iter().map(crash), ","))?;
        match self.rule {
            EpochRule::Never => write!(f, " epoch=never")?,
            EpochRule::Blocks(blocks) => write!(f, " epoch=blocks:{blocks}")?,
            EpochRule::Milliseconds(milliseconds) => write!(f, " epoch=time:{milliseconds}")?,
        }
        if self.ledger == Kind::Value {
            write!(f, " ledger=value")?;
        }
        write!(f, " changes={} filler={} build={} idle={}", self.changes, self.filler, self.build_ms, self.idle_ms)?;
        write!(f, " pace={} skew={} drift={} greedy={}", joined(self.pace, ":"), self.skew_ms, self.drift_ppm, u8::from(self.greedy))
    }
}

/// What is wrong with a line that should be a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} in the scenario: {cause}")]
pub struct ParseError {
    word: String,
    cause: String,
}

fn list<const N: usize>(text: &str, between: char) -> Result<[u64; N], String> {
    let numbers: Vec<u64> = text.split(between).map(|number| number.parse().map_err(|_| format!("{number:?} is no number"))).collect::<Result<_, _>>()?;
    numbers.try_into().map_err(|found: Vec<u64>| format!("{} numbers, not {N}", found.len()))
}

fn weather(text: &str) -> Result<Weather, String> {
    let [delay_ms, spread_ms, jitter_ms, loss, duplication, reordering, corruption, bandwidth] = list(text, ':')?;
    Ok(Weather { delay_ms, spread_ms, jitter_ms, loss, duplication, reordering, corruption, bandwidth })
}

fn each<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').filter(|item| !item.is_empty()).map(parse).collect()
}

fn small(number: u64) -> Result<usize, String> {
    usize::try_from(number).map_err(|_| format!("{number} is too large"))
}

impl Scenario {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = || list::<1>(value, ':').map(|[number]| number);
        match name {
            "seed" => self.seed = number()?,
            "weights" => self.weights = each(value, |weight| list::<1>(weight, ':').map(|[weight]| weight))?,
            "liars" => {
                self.liars = each(value, |liar| {
                    let (node, tactic) = liar.split_once(':').ok_or("a liar is node:tactic")?;
                    Ok((node.parse().map_err(|_| "no node")?, tactic.parse()?))
                })?;
            }
            "storm" => self.storm = weather(value)?,
            "calm" => self.calm = weather(value)?,
            "gst" => self.gst_ms = number()?,
            "goal" => self.goal = number()?,
            "cuts" => {
                self.cuts = each(value, |cut| {
                    let [start_ms, length_ms, side, one_way] = list(cut, ':')?;
                    Ok(Cut { start_ms, length_ms, side: u32::try_from(side).map_err(|_| "a side has 32 bits")?, one_way: one_way == 1 })
                })?;
            }
            "crashes" => {
                self.crashes = each(value, |crash| {
                    let [node, at_ms, outputs, torn, down_ms, wipe] = list(crash, ':')?;
                    Ok(Crash { node: small(node)?, at_ms, outputs, torn: torn == 1, down_ms, wipe: wipe == 1 })
                })?;
            }
            "epoch" => {
                self.rule = match value.split_once(':') {
                    Some(("blocks", blocks)) => EpochRule::Blocks(list::<1>(blocks, ':')?[0]),
                    Some(("time", milliseconds)) => EpochRule::Milliseconds(list::<1>(milliseconds, ':')?[0]),
                    Some(_) | None => EpochRule::Never,
                };
            }
            "ledger" => {
                self.ledger = match value {
                    "plain" => Kind::Plain,
                    "value" => Kind::Value,
                    _ => return Err("a ledger is plain or value".to_owned()),
                };
            }
            "changes" => self.changes = number()?,
            "filler" => self.filler = small(number()?)?,
            "build" => self.build_ms = number()?,
            "idle" => self.idle_ms = number()?,
            "pace" => self.pace = list(value, ':')?,
            "skew" => self.skew_ms = number()?,
            "drift" => self.drift_ppm = number()?,
            "greedy" => self.greedy = number()? == 1,
            _ => return Err("there is no such name".to_owned()),
        }
        Ok(())
    }
}

impl FromStr for Scenario {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut scenario = Self::quiet(&[1], 10);
        for word in text.split_whitespace() {
            let fault = |cause: String| ParseError { word: word.to_owned(), cause };
            let (name, value) = word.split_once('=').ok_or_else(|| fault("a word is name=value".to_owned()))?;
            scenario.set(name, value).map_err(fault)?;
        }
        let count = scenario.weights.len();
        let is_whole =
            count > 0 && count <= 20 && scenario.liars.iter().all(|(node, _)| *node < count) && scenario.crashes.iter().all(|crash| crash.node < count);
        if is_whole { Ok(scenario) } else { Err(ParseError { word: "weights".to_owned(), cause: "1 to 20 nodes, and no others".to_owned() }) }
    }
}
