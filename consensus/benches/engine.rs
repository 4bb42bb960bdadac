//! What one engine costs per finalized block, beside what the signatures alone cost: `make bench-consensus`.
//!
//! One real engine and its signer among `n` members of equal weight; the others' votes are made beforehand. Every block is proposed, notarized and finalized
//! by all of them, so a node hears `2 n` votes per block and needs two thirds of each kind. The limit beside it is one batch verification of those two
//! quorums.

#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock; the engine does not")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use consensus::block::{HEADER_VERSION, Proposal};
use consensus::message::Tip;
use consensus::slot::Memory;
use consensus::{Block, Config, Engine, Header, Input, Justification, Kind, Member, Members, Message, Output, Peer, Restored, SignedVote, Signer, Times, Vote};
use primitives::batch::Batch;
use primitives::encoding::encode;
use primitives::{Epoch, Hash, SecretKey, Time, View};

const SIZES: [u16; 4] = [4, 16, 64, 128];
const BLOCKS: u32 = 60;

fn digest(payload: &[u8]) -> Option<Hash> {
    Some(Hash::of("payload", &[payload]))
}

struct Run {
    engine: Engine,
    /// Member 0 is the engine's; the others speak when told to.
    signers: Vec<Signer>,
    config: Config,
    now: Time,
    /// Spent in the engine, and in its signer.
    engine_time: Duration,
    signer_time: Duration,
    finalized: u32,
    /// What the engine proposed, and the last certificate that it said something with.
    proposed: Option<Arc<Block>>,
    justification: Justification,
}

impl Run {
    fn new(count: u16) -> Self {
        let secrets: Vec<SecretKey> = (0..count).map(|index| SecretKey::from_seed(&Hash::of("bench", &[&index.to_le_bytes()]).0)).collect();
        let members = Members::new(secrets.iter().map(|secret| Member { key: secret.public(), weight: 1 }).collect()).expect("distinct keys");
        let chain = Hash::of("chain", &[b"bench"]);
        let start = Header::genesis(chain, &members, Time(1), Hash::of("payload", &[]));
        let times = Times { idle_ms: 0, ..Times::DEV };
        let config =
            Config { chain, epoch: Epoch(0), members: members.clone(), me: Some(0), times, seed: Hash::ZERO, payload_digest: digest, start: start.clone() };
        let signer = |secret: &SecretKey| {
            let mut signer = Signer::on(Memory::default(), secret.clone(), chain).expect("a fresh slot");
            signer.seat(Epoch(0), &members);
            signer
        };
        let signers: Vec<Signer> = secrets.iter().map(signer).collect();
        let restored = Restored { tip: Tip { header: start, finality: None }, slot: Some(signers[0].slot()), justification: None, blocks: Vec::new() };
        let engine = Engine::new(config.clone(), restored).expect("genesis");
        let justification = Justification::first(Epoch(0));
        let (engine_time, signer_time) = (Duration::ZERO, Duration::ZERO);
        Self { engine, signers, config, now: Time(10), engine_time, signer_time, finalized: 0, proposed: None, justification }
    }

    fn feed(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            let begun = Instant::now();
            self.engine.handle(self.now, input, &mut out);
            self.engine_time += begun.elapsed();
            for output in out {
                match output {
                    Output::Sign(vote) => {
                        let begun = Instant::now();
                        let signed = self.signers[0].sign(vote).expect("a legal vote");
                        self.signer_time += begun.elapsed();
                        inputs.push(Input::Signed(signed));
                    }
                    Output::Build { view, parent, time_min, .. } => {
                        let (parent, time) = (parent.hash(), time_min.max(self.now));
                        inputs.push(Input::Built { view, parent, payload: vec![0; 32], time, next_members: Hash::ZERO });
                    }
                    Output::Verify { block, .. } => inputs.push(Input::Verified { block: block.header.hash(), valid: true }),
                    Output::Broadcast(Message::Proposal(proposal)) => self.proposed = Some(proposal.block),
                    Output::Finalized { blocks, .. } => self.finalized += u32::try_from(blocks.len()).expect("few"),
                    Output::Keep(_) | Output::Broadcast(_) | Output::Send { .. } | Output::WakeAt(_) => {}
                    other @ (Output::Serve { .. } | Output::ServeBlock { .. } | Output::Punish { .. } | Output::Conflict(_) | Output::Halt(_)) => {
                        panic!("nobody misbehaves: {other:?}")
                    }
                }
            }
        }
    }

    fn hear(&mut self, message: Message) {
        self.feed(Input::Message { from: Peer(1), message: Box::new(message) });
    }

    fn votes(&mut self, view: View, kind: Kind) -> Vec<SignedVote> {
        let vote = Vote { epoch: Epoch(0), view, kind };
        self.signers[1..].iter_mut().map(|signer| signer.sign(vote).expect("a legal vote").into_inner()).collect()
    }

    fn block(&self, view: View, parent: &Header) -> Block {
        let payload = vec![0; 32];
        let header = Header {
            version: HEADER_VERSION,
            chain: self.config.chain,
            epoch: Epoch(0),
            view,
            height: parent.height.next(),
            parent: parent.hash(),
            parent_view: self.justification.base.view(),
            justification: self.justification.digest(),
            time: self.now,
            proposer: self.config.leader(view),
            members: self.config.members.hash(),
            next_members: Hash::ZERO,
            payload: digest(&payload).expect("any bytes"),
        };
        Block { header, justification: self.justification.clone(), payload }
    }
}

fn main() {
    println!("one engine, {BLOCKS} blocks, all members vote; microseconds per finalized block");
    println!("{:>8} {:>10} {:>10} {:>14} {:>8} {:>12} {:>14}", "members", "engine", "signer", "signatures", "ratio", "blocks/s", "certificate B");
    for count in SIZES {
        let mut run = Run::new(count);
        let mut parent = run.config.start.clone();
        let mut late: Vec<SignedVote> = Vec::new();
        let mut quorums: Vec<(Vote, Vec<SignedVote>)> = Vec::new();
        let mut certificate_bytes = 0;
        run.feed(Input::Start);
        for number in 1..=BLOCKS {
            let view = View(number.into());
            run.now = Time(run.now.0 + 100);
            let block = match run.proposed.take() {
                Some(block) => block,
                None => {
                    let block = Arc::new(run.block(view, &parent));
                    let vote = Vote { epoch: Epoch(0), view, kind: Kind::Notarize(block.header.hash()) };
                    let leader = usize::from(block.header.proposer);
                    let vote = run.signers[leader].sign(vote).expect("a legal vote").into_inner();
                    run.hear(Message::Proposal(Proposal { block: block.clone(), vote }));
                    block
                }
            };
            assert_eq!(block.header.view, view);
            for vote in std::mem::take(&mut late) {
                run.hear(Message::Vote(vote));
            }
            let hash = block.header.hash();
            let votes = run.votes(view, Kind::Notarize(hash));
            let quorum = usize::from(count) * 2 / 3 + 1;
            // The next leader heard other votes first than the engine did.
            let signatures = votes.iter().rev().take(quorum).map(|signed| (signed.signer, signed.signature));
            let certificate = consensus::Certificate::new(votes[0].vote, &run.config.members, signatures);
            certificate_bytes = encode(&certificate).len();
            run.justification = Justification::after(certificate);
            for vote in &votes {
                run.hear(Message::Vote(*vote));
            }
            late = run.votes(view, Kind::Finalize(hash));
            quorums.push((votes[0].vote, votes));
            quorums.push((late[0].vote, late.clone()));
            parent = block.header.clone();
        }
        for vote in late {
            run.hear(Message::Vote(vote));
        }
        assert_eq!(run.finalized, BLOCKS, "every block became final");

        let members = &run.config.members;
        let context = Vote::context(run.config.chain);
        let quorum = usize::from(count) * 2 / 3 + 1;
        let begun = Instant::now();
        for (vote, votes) in &quorums {
            let (mut batch, message) = (Batch::new(), vote.sign_bytes(members.hash()));
            for signed in votes.iter().take(quorum) {
                batch.push(members.key(signed.signer).expect("a member"), &context, &message, &signed.signature);
            }
            assert!(batch.verify());
        }
        let limit = begun.elapsed();
        let per_block = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(BLOCKS);
        println!(
            "{count:>8} {:>10.0} {:>10.0} {:>14.0} {:>8.2} {:>12.0} {certificate_bytes:>14}",
            per_block(run.engine_time),
            per_block(run.signer_time),
            per_block(limit),
            run.engine_time.as_secs_f64() / limit.as_secs_f64(),
            f64::from(BLOCKS) / (run.engine_time + run.signer_time).as_secs_f64(),
        );
    }
}
