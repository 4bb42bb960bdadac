//! What will happen, in the order of virtual time; what is due at one moment happens in the order it was planned.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Virtual time: microseconds since the world began.
pub type Micros = u64;

/// Microseconds in a millisecond.
pub const MILLI: Micros = 1000;

#[derive(Debug)]
struct Planned<E> {
    at: Micros,
    number: u64,
    event: E,
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl<E> Eq for Planned<E> {}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Planned<E> {
    /// Reversed, for the heap gives the largest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// Planned events.
#[derive(Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Planned<E>>,
    planned: u64,
    now: Micros,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), planned: 0, now: 0 }
    }
}

impl<E> Queue<E> {
    /// The time of the event that was taken last.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// When the next event is due.
    pub fn due(&self) -> Option<Micros> {
        self.heap.peek().map(|next| next.at)
    }

    /// Time passes: up to the next event at most.
    pub fn wait(&mut self, until: Micros) {
        self.now = self.now.max(self.due().map_or(until, |due| due.min(until)));
    }

    /// Plans an event; what should have been in the past happens now.
    pub fn push(&mut self, at: Micros, event: E) {
        self.heap.push(Planned { at: at.max(self.now), number: self.planned, event });
        self.planned += 1;
    }

    /// The next event not after `end`; without one it is `end` now.
    pub fn pop(&mut self, end: Micros) -> Option<E> {
        if self.heap.peek().is_none_or(|next| next.at > end) {
            self.now = self.now.max(end);
            return None;
        }
        let next = self.heap.pop()?;
        self.now = next.at;
        Some(next.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_then_by_plan() {
        let mut queue = Queue::default();
        for (at, event) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b')] {
            queue.push(at, event);
        }
        let order: String = std::iter::from_fn(|| queue.pop(4)).collect();
        assert_eq!((order.as_str(), queue.now()), ("ab", 4));
        queue.push(0, 'x');
        let order: String = std::iter::from_fn(|| queue.pop(9)).collect();
        assert_eq!(order, "xcd", "nothing happens in the past");
    }
}
