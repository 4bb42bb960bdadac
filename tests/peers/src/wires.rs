//! Virtual wires for engines that are pure: every message arrives one [`DELAY`] after it was sent, and nothing else takes time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::record::{Broadcasts, DELAY, Micros, Record};

/// What will happen at a node.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// Bytes of another node come out of a wire.
    Arrive {
        /// Whose.
        from: usize,
        /// The bytes; all receivers share them.
        bytes: Arc<Vec<u8>>,
    },
    /// A time it wanted to be woken at has come.
    Wake,
}

/// Events in the order of time; those of one moment in the order in which they were planned.
#[derive(Debug, Default)]
pub struct Wires {
    heap: BinaryHeap<Reverse<(Micros, u64, usize, Event)>>,
    planned: u64,
    now: Micros,
}

impl Wires {
    /// The time of the event taken last.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Plans an event at `node`.
    pub fn plan(&mut self, at: Micros, node: usize, event: Event) {
        self.heap.push(Reverse((at.max(self.now), self.planned, node, event)));
        self.planned += 1;
    }

    /// Sends to all other nodes.
    pub fn broadcast(&mut self, from: usize, bytes: Arc<Vec<u8>>, record: &mut Record) {
        for to in (0..record.workload().nodes).filter(|&to| to != from) {
            self.send(from, to, bytes.clone(), record);
        }
    }

    /// Sends to one.
    pub fn send(&mut self, from: usize, to: usize, bytes: Arc<Vec<u8>>, record: &mut Record) {
        record.carry(bytes.len(), self.now);
        self.plan(self.now + DELAY, to, Event::Arrive { from, bytes });
    }

    /// The next event and its node.
    pub fn next(&mut self) -> Option<(usize, Event)> {
        let Reverse((at, _, node, event)) = self.heap.pop()?;
        self.now = at;
        Some((node, event))
    }
}

/// The wires alone, with the traffic of a run: every two delays each node sends as many messages of the same mean length to all others.
pub fn alone(mut record: Record, Broadcasts { count, bytes }: Broadcasts) -> Record {
    let nodes = record.workload().nodes;
    let message = Arc::new(vec![0; bytes]);
    let mut wires = Wires::default();
    (0..nodes).for_each(|node| wires.plan(0, node, Event::Wake));
    while !record.is_done() {
        let (node, event) = wires.next().expect("every node will wake again");
        if event == Event::Wake {
            let height = wires.now() / (2 * DELAY);
            record.finalize(node, height, wires.now());
            if node == 0 {
                record.propose(height + 1, wires.now());
            }
            (0..count).for_each(|_| wires.broadcast(node, message.clone(), &mut record));
            wires.plan(wires.now() + 2 * DELAY, node, Event::Wake);
        }
    }
    record
}
