//! The wires: what happens to bytes between two nodes.
//!
//! Every directed pair of nodes is a link with its own delay, jitter, loss, duplication, reordering, corruption and bandwidth. Cuts silence some links for some
//! time, in one direction or both. From GST on (the global stabilisation time of partial synchrony) every message arrives within [`Links::calm`].

use crate::dice::Dice;
use crate::queue::{MILLI, Micros};

/// How links treat messages. Rates are per thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Weather {
    /// The least delay of the fastest link.
    pub delay_ms: u64,
    /// Links differ by up to this.
    pub spread_ms: u64,
    /// Messages of one link differ by up to this.
    pub jitter_ms: u64,
    /// Lost.
    pub loss: u64,
    /// Arrives twice.
    pub duplication: u64,
    /// Overtaken: delayed by up to ten times as much.
    pub reordering: u64,
    /// Some bytes are changed.
    pub corruption: u64,
    /// Bytes a link carries in a millisecond; 0 for no limit.
    pub bandwidth: u64,
}

/// Links that are silent for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// When it begins.
    pub start_ms: u64,
    /// How long it lasts.
    pub length_ms: u64,
    /// Bit `i`: node `i` is on the one side; all others are on the other.
    pub side: u32,
    /// Only what the one side says is lost; it still hears.
    pub one_way: bool,
}

impl Cut {
    fn is_on(&self, now: Micros) -> bool {
        now >= self.start_ms * MILLI && now < (self.start_ms + self.length_ms) * MILLI
    }

    fn silences(&self, now: Micros, from: usize, to: usize) -> bool {
        let (from, to) = (self.side >> from & 1 == 1, self.side >> to & 1 == 1);
        self.is_on(now) && from != to && (from || !self.one_way)
    }
}

/// One arrival of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Micros,
    /// How many bytes are changed on the way.
    pub corrupted: u64,
}

/// All links.
#[derive(Debug)]
pub struct Links {
    storm: Weather,
    calm: Weather,
    /// From then on every message arrives within the calm weather's bound.
    pub gst: Micros,
    cuts: Vec<Cut>,
    /// Microseconds that link `from * count + to` takes beyond the fastest.
    spread: Vec<(Micros, Micros)>,
    /// Nodes that no cut silences.
    pub unsilenced: Vec<bool>,
    /// When the link has sent all it was given.
    free: Vec<Micros>,
    count: usize,
}

impl Links {
    /// Links among `count` nodes: `storm` until `gst`, `calm` afterwards.
    pub fn new(count: usize, storm: Weather, calm: Weather, gst: Micros, cuts: Vec<Cut>, dice: &mut Dice) -> Self {
        let spread = (0..count * count).map(|_| (dice.below(storm.spread_ms * MILLI + 1), dice.below(calm.spread_ms * MILLI + 1))).collect();
        Self { storm, calm, gst, cuts, spread, unsilenced: vec![false; count], free: vec![0; count * count], count }
    }

    /// The longest a message takes after GST, queueing not counted.
    pub fn calm(&self) -> Micros {
        (self.calm.delay_ms + self.calm.spread_ms + self.calm.jitter_ms) * MILLI
    }

    /// Whether `to` hears `from` now.
    pub fn hears(&self, now: Micros, from: usize, to: usize) -> bool {
        now >= self.gst || self.unsilenced[from] || self.unsilenced[to] || !self.cuts.iter().any(|cut| cut.silences(now, from, to))
    }

    /// In which part of the network a node is now, by number; `None` while it is whole.
    pub fn part(&self, now: Micros, node: usize) -> Option<usize> {
        let cuts = self.cuts.iter().filter(|cut| now < self.gst && cut.is_on(now));
        cuts.map(|cut| usize::from(cut.side >> node & 1 == 1)).reduce(|part, side| 2 * part + side)
    }

    /// Between which moments a message that would arrive at `at` may arrive too, by the links' bounds.
    pub fn window(&self, now: Micros, at: Micros) -> (Micros, Micros) {
        let weather = if now < self.gst { self.storm } else { self.calm };
        let slowest = if now < self.gst { (now + 10 * (weather.delay_ms + weather.jitter_ms) * MILLI).min(self.gst + self.calm()) } else { now + self.calm() };
        (at.min(now + weather.delay_ms * MILLI), at.max(slowest))
    }

    /// When a message of so many bytes arrives: never, once or twice.
    pub fn carry(&mut self, now: Micros, from: usize, to: usize, bytes: usize, dice: &mut Dice) -> [Option<Arrival>; 2] {
        let weather = if now < self.gst { self.storm } else { self.calm };
        let link = from * self.count + to;
        if !self.hears(now, from, to) || dice.chance(weather.loss) {
            return [None, None];
        }
        let sent = match weather.bandwidth {
            0 => now,
            bandwidth => now.max(self.free[link]) + bytes as u64 * MILLI / bandwidth,
        };
        self.free[link] = sent;
        let spread = if now < self.gst { self.spread[link].0 } else { self.spread[link].1 };
        let copies = if dice.chance(weather.duplication) { 2 } else { 1 };
        let mut arrivals = [None, None];
        for arrival in arrivals.iter_mut().take(copies) {
            let mut delay = weather.delay_ms * MILLI + spread + dice.below(weather.jitter_ms * MILLI + 1);
            if dice.chance(weather.reordering) {
                delay += dice.below(10 * (weather.delay_ms + weather.jitter_ms) * MILLI + 1);
            }
            let corrupted = if dice.chance(weather.corruption) { 1 + dice.below(4) } else { 0 };
            // Whatever is under way at GST arrives as fast as what is sent then.
            let at = if now < self.gst { (sent + delay).min(self.gst.max(sent) + self.calm().max(MILLI)) } else { sent + delay };
            *arrival = Some(Arrival { at, corrupted });
        }
        arrivals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_have_sides_and_directions() {
        let cut = Cut { start_ms: 1, length_ms: 2, side: 0b01, one_way: true };
        let links = Links::new(2, Weather::default(), Weather::default(), 10 * MILLI, vec![cut], &mut Dice::new(1));
        let heard = |now, from, to| links.hears(now, from, to);
        assert_eq!([999, 1000, 2999, 3000].map(|now| links.part(now, 0)), [None, Some(1), Some(1), None]);
        assert_eq!([heard(999, 0, 1), heard(1000, 0, 1), heard(1000, 1, 0), heard(2999, 0, 1), heard(3000, 0, 1)], [true, false, true, false, true]);
    }

    #[test]
    fn bandwidth_queues_and_gst_bounds() {
        let storm = Weather { delay_ms: 500, bandwidth: 10, ..Weather::default() };
        let calm = Weather { delay_ms: 5, jitter_ms: 2, ..Weather::default() };
        let mut dice = Dice::new(1);
        let mut links = Links::new(2, storm, calm, 1000 * MILLI, vec![], &mut dice);
        let mut at = |now, bytes| links.carry(now, 0, 1, bytes, &mut dice)[0].expect("nothing is lost").at;
        assert_eq!((at(0, 100), at(0, 100)), (510 * MILLI, 520 * MILLI));
        assert_eq!(at(900 * MILLI, 10), 1007 * MILLI, "held until GST, and as long as any message then");
        assert!((1005 * MILLI..=1007 * MILLI).contains(&at(1000 * MILLI, 1 << 20)));
    }
}
