//! Our engine: [`Engine`] and [`Signer`] as they ship, on virtual wires, with a ledger that accepts everything.

use std::collections::VecDeque;
use std::sync::Arc;

use consensus::message::Tip;
use consensus::slot::Memory;
use consensus::{Config, Engine, Header, Input, Member, Members, Message, Output, Peer, Restored, Signer, Times};
use primitives::{Epoch, Hash, SecretKey, Time};

use crate::record::{Micros, Record, digest};
use crate::wires::{Event, Wires};

/// Microseconds in a millisecond, the unit of the engine's clock.
const MILLI: Micros = 1000;

/// What nodes' clocks show when the run begins.
const START: Time = Time(1_000_000);

struct Node {
    engine: Engine,
    signer: Signer,
    wake: Option<Time>,
}

fn payload_digest(payload: &[u8]) -> Option<Hash> {
    Some(digest(payload))
}

fn nodes(count: usize) -> Vec<Node> {
    let secrets: Vec<SecretKey> = (0..count).map(|node| SecretKey::from_seed(&Hash::of("peers", &[&node.to_le_bytes()]).0)).collect();
    let members = Members::new(secrets.iter().map(|secret| Member { key: secret.public(), weight: 1 }).collect()).expect("distinct keys");
    let chain = Hash::of("chain", &[b"peers"]);
    let start = Header::genesis(chain, &members, START, digest(&[]));
    // As the node sets them, but blocks come without transactions too.
    let times = Times { idle_ms: 0, ..Times::DEV };
    let node = |secret: &SecretKey| {
        let mut signer = Signer::on(Memory::default(), secret.clone(), chain).expect("a fresh slot");
        let me = signer.seat(Epoch(0), &members);
        let config = Config { chain, epoch: Epoch(0), members: members.clone(), me, times, seed: Hash::ZERO, payload_digest, start: start.clone() };
        let restored = Restored { tip: Tip { header: start.clone(), finality: None }, slot: Some(signer.slot()), justification: None, blocks: Vec::new() };
        Node { engine: Engine::new(config, restored).expect("genesis"), signer, wake: None }
    };
    secrets.iter().map(node).collect()
}

/// Peers are numbered as nodes are.
fn index(peer: Peer) -> usize {
    usize::try_from(peer.0).expect("a node's number")
}

fn clock(now: Micros) -> Time {
    Time(START.0 + 1 + now / MILLI)
}

fn input(nodes: &mut [Node], me: usize, input: Input, wires: &mut Wires, record: &mut Record) {
    let (node, now) = (&mut nodes[me], clock(wires.now()));
    let mut inputs = VecDeque::from([input]);
    while let Some(input) = inputs.pop_front() {
        let mut out = Vec::new();
        node.engine.handle(now, input, &mut out);
        for output in out {
            match output {
                Output::Sign(vote) => inputs.push_back(Input::Signed(node.signer.sign(vote).expect("a legal vote"))),
                Output::Build { view, parent, time_min, .. } => {
                    record.propose(parent.height.0 + 1, wires.now());
                    let (payload, time) = (record.workload().payload(), now.max(time_min));
                    inputs.push_back(Input::Built { view, parent: parent.hash(), payload, time, next_members: Hash::ZERO });
                }
                Output::Verify { block, .. } => inputs.push_back(Input::Verified { block: block.header.hash(), valid: true }),
                Output::Broadcast(message) => wires.broadcast(me, Arc::new(message.encode()), record),
                Output::Send { to, message } => wires.send(me, index(to), Arc::new(message.encode()), record),
                Output::Finalized { blocks, .. } => record.finalize(me, blocks.last().expect("one at least").header.height.0, wires.now()),
                Output::WakeAt(time) => {
                    node.wake = Some(time);
                    wires.plan(time.0.saturating_sub(START.0 + 1) * MILLI, me, Event::Wake);
                }
                Output::Keep(_) => {}
                other @ (Output::Serve { .. } | Output::ServeBlock { .. } | Output::Punish { .. } | Output::Conflict(_) | Output::Halt(_)) => {
                    panic!("nobody misbehaves or is behind: {other:?}")
                }
            }
        }
    }
}

/// Runs until `record` is done.
pub fn run(mut record: Record) -> Record {
    let mut nodes = nodes(record.workload().nodes);
    let mut wires = Wires::default();
    for me in 0..nodes.len() {
        input(&mut nodes, me, Input::Start, &mut wires, &mut record);
        for peer in (0..nodes.len()).filter(|&peer| peer != me) {
            input(&mut nodes, me, Input::Connected(Peer(peer as u64)), &mut wires, &mut record);
        }
    }
    while !record.is_done() {
        let Some((me, event)) = wires.next() else { panic!("nothing happens any more") };
        match event {
            Event::Arrive { from, bytes } => {
                let message = Box::new(Message::decode(&bytes).expect("as it was encoded"));
                input(&mut nodes, me, Input::Message { from: Peer(from as u64), message }, &mut wires, &mut record);
            }
            Event::Wake => {
                if nodes[me].wake.is_some_and(|time| time <= clock(wires.now())) {
                    nodes[me].wake = None;
                    input(&mut nodes, me, Input::Wake, &mut wires, &mut record);
                }
            }
        }
    }
    record
}
