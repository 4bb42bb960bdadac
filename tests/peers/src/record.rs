//! What a run shows, whichever system it is of.
//!
//! 1. A block is proposed when its leader has made it, and final at a node when the engine gives it out there. Both in virtual time.
//! 2. Numbers are counted in a window: from the moment node 0 has finalized [`WARM_UP`] blocks until it has finalized [`BLOCKS`] more.
//! 3. The run ends when all nodes are that far.

use std::collections::BTreeMap;
use std::time::Duration;

use primitives::Hash;
use rustix::time::{ClockId, clock_gettime};

/// Virtual time: microseconds since the run began.
pub type Micros = u64;

/// One way of every message, in virtual time.
pub const DELAY: Micros = 20_000;

/// What counts as one moment: Commonware's scheduler spreads what happens at once over some microseconds.
const MOMENT: Micros = DELAY / 10;

/// Blocks before the window, after which nodes forget as many as they learn.
const WARM_UP: usize = 10;

/// Blocks counted. A multiple of the terms of Commonware's stable leaders; few, so that many short runs take turns.
const BLOCKS: usize = 10;

/// What every system is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Nodes of equal weight.
    pub nodes: usize,
    /// Bytes of every block's payload.
    pub payload_bytes: usize,
}

impl Workload {
    /// The payload of every block.
    pub fn payload(&self) -> Vec<u8> {
        vec![0; self.payload_bytes]
    }
}

/// What stands for a payload in headers and votes: SHA-256, with the same code for every system.
pub fn digest(payload: &[u8]) -> Hash {
    Hash::of("payload", &[payload])
}

/// How long the program has had a processor, all its threads together. Other processes on the machine add nothing to it, but they slow its instructions down.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// One end of the window.
#[derive(Clone, Copy, Debug)]
struct End {
    at: Micros,
    processor: Duration,
}

/// What was carried.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    messages: usize,
    bytes: usize,
}

impl Traffic {
    fn and(self, other: Self) -> Self {
        Self { messages: self.messages + other.messages, bytes: self.bytes + other.bytes }
    }
}

/// One run.
#[derive(Debug)]
pub struct Record {
    workload: Workload,
    /// By [`MOMENT`], for at both ends of the window some of a moment's messages come before the block that is final and some after it.
    traffic: BTreeMap<Micros, Traffic>,
    /// By height, from 1 on.
    proposed: Vec<Option<Micros>>,
    /// By node, then by height, from 1 on.
    finalized: Vec<Vec<Micros>>,
    opened: Option<End>,
    closed: Option<End>,
}

/// What came out.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// From block to block, in delays.
    pub period: f64,
    /// From proposed to final, in delays; the mean over blocks and nodes.
    pub finality: f64,
    /// Messages per block, one for each that receives it.
    pub messages: f64,
    /// Bytes of them per block.
    pub bytes: f64,
    /// Processor time of one node for one block.
    pub processor: Duration,
}

/// Traffic as broadcasts of every node for every block.
#[derive(Clone, Copy, Debug)]
pub struct Broadcasts {
    /// How many.
    pub count: usize,
    /// The mean length of a message.
    pub bytes: usize,
}

impl Record {
    /// Nothing happened yet.
    pub fn new(workload: Workload) -> Self {
        let finalized = vec![Vec::new(); workload.nodes];
        Self { workload, traffic: BTreeMap::new(), proposed: Vec::new(), finalized, opened: None, closed: None }
    }

    /// What is asked for.
    pub fn workload(&self) -> Workload {
        self.workload
    }

    /// One message to one node.
    pub fn carry(&mut self, bytes: usize, now: Micros) {
        let traffic = self.traffic.entry(now / MOMENT).or_default();
        traffic.messages += 1;
        traffic.bytes += bytes;
    }

    /// The block at `height` was made.
    pub fn propose(&mut self, height: u64, now: Micros) {
        let index = usize::try_from(height).expect("few blocks") - 1;
        if self.proposed.len() <= index {
            self.proposed.resize(index + 1, None);
        }
        assert_eq!(self.proposed[index].replace(now), None, "nothing is lost, so every height has one proposal");
    }

    /// All blocks up to `height` are final at `node`.
    pub fn finalize(&mut self, node: usize, height: u64, now: Micros) {
        while (self.finalized[node].len() as u64) < height {
            self.finalized[node].push(now);
            if node == 0 {
                let end = End { at: now, processor: processor_time() };
                match self.finalized[0].len() {
                    WARM_UP => self.opened = Some(end),
                    finalized if finalized == WARM_UP + BLOCKS => self.closed = Some(end),
                    _ => {}
                }
            }
        }
    }

    /// Whether all nodes are at the end of the window.
    pub fn is_done(&self) -> bool {
        self.finalized.iter().all(|heights| heights.len() >= WARM_UP + BLOCKS)
    }

    fn window(&self) -> (End, End) {
        self.opened.zip(self.closed).unwrap_or_else(|| panic!("the run stopped at heights {:?}", self.finalized.iter().map(Vec::len)))
    }

    fn carried(&self) -> Traffic {
        let (opened, closed) = self.window();
        self.traffic.range(opened.at / MOMENT..closed.at / MOMENT).fold(Traffic::default(), |sum, (_, traffic)| sum.and(*traffic))
    }

    /// What was carried in the window, as if all nodes had sent alike.
    pub fn broadcasts(&self) -> Broadcasts {
        let (Workload { nodes, .. }, Traffic { messages, bytes }) = (self.workload, self.carried());
        let per_broadcast = BLOCKS * nodes * (nodes - 1);
        Broadcasts { count: (messages + per_broadcast / 2) / per_broadcast, bytes: bytes / messages }
    }

    /// What the window shows.
    pub fn measured(&self) -> Measured {
        let ((opened, closed), Traffic { messages, bytes }) = (self.window(), self.carried());
        let (nodes, blocks, delay) = (self.workload.nodes as f64, BLOCKS as f64, DELAY as f64);
        let waits = (WARM_UP..WARM_UP + BLOCKS).flat_map(|index| {
            let proposed = self.proposed[index].expect("what is final was proposed");
            self.finalized.iter().map(move |heights| (heights[index] - proposed) as f64)
        });
        Measured {
            period: (closed.at - opened.at) as f64 / blocks / delay,
            finality: waits.sum::<f64>() / (blocks * nodes) / delay,
            messages: messages as f64 / blocks,
            bytes: bytes as f64 / blocks,
            processor: (closed.processor - opened.processor).div_f64(blocks * nodes),
        }
    }
}
