//! The thread's clock: the wall clock, except that it never falls and never stops.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use primitives::Time;

/// Milliseconds since the Unix epoch.
///
/// Follows the wall clock forwards at once. A wall clock that was set back is waited for at half its speed: what is due still comes due, in its order, and
/// blocks get times that others accept again as soon as both clocks agree.
pub struct Clock {
    now: Time,
    /// When `now` was reached.
    at: Instant,
}

impl Clock {
    pub fn new() -> Self {
        Self { now: wall(), at: Instant::now() }
    }

    pub fn now(&mut self) -> Time {
        self.read(wall(), Instant::now())
    }

    fn read(&mut self, wall: Time, instant: Instant) -> Time {
        if wall >= self.now {
            (self.now, self.at) = (wall, instant);
        } else {
            let steps = u64::try_from(instant.saturating_duration_since(self.at).as_millis() / 2).unwrap_or(u64::MAX / 2);
            self.now = self.now.saturating_add(Time(steps));
            // What is left of the next step counts for it.
            self.at += Duration::from_millis(2 * steps);
        }
        self.now
    }
}

/// The wall clock.
pub fn wall() -> Time {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_falls_never_stops_and_comes_back() {
        let start = Instant::now();
        let mut clock = Clock { now: Time(10_000), at: start };
        let mut read = |wall, passed| clock.read(Time(wall), start + Duration::from_millis(passed)).0;
        assert_eq!(read(10_500, 500), 10_500);
        assert_eq!(read(70_500, 501), 70_500, "set forward");
        assert_eq!(read(10_502, 502), 70_500, "set back by a minute");
        assert_eq!((503..=1501).map(|passed| read(10_000 + passed, passed)).last(), Some(71_000), "half its speed, however often it is read");
        assert_eq!(read(70_900, 61_400), 100_949, "not yet");
        assert_eq!(read(100_950, 91_450), 100_950, "back again");
    }
}
