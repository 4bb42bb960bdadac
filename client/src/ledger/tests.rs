//! Replicas that tell the truth, are behind, lie, or fork, over real connections.

use std::sync::{Arc, Mutex};

use chain::ledger::proven::{Certified, Entry};
use chain::ledger::query::VALUE_PROTOCOL;
use chain::ledger::{Proven, Summary};
use consensus::block::HEADER_VERSION;
use consensus::light::EpochProof;
use consensus::{Certificate, Finality, Header, Kind, Member, Vote};
use p2p::{Config, Event, Plane, Secret};
use primitives::{Amount, SecretKey, Time, View};
use state::{Memory, Sealed};

use super::*;

const CHAIN: Hash = Hash([9; 32]);
const KEY: &[u8] = b"height";

/// Who votes, by one byte.
fn set(name: u8) -> (Vec<SecretKey>, Members) {
    let secrets: Vec<SecretKey> = (0..4).map(|index| SecretKey::from_seed(&[name * 4 + index; 32])).collect();
    let members = secrets.iter().map(|secret| Member { key: secret.public(), weight: 1 }).collect();
    (secrets, Members::new(members).expect("distinct keys"))
}

/// A chain of two blocks in each epoch, whose tree holds the height, and the sets that vote in its epochs.
struct Chain {
    sets: Vec<u8>,
    headers: Vec<(Header, Sealed)>,
}

impl Chain {
    fn new(sets: &[u8]) -> Self {
        Self::fork(sets, usize::MAX)
    }

    /// The same below a height, and another chain from there on.
    fn fork(sets: &[u8], from: usize) -> Self {
        let mut headers: Vec<(Header, Sealed)> = Vec::new();
        for (epoch, name) in (0u64..).zip(sets) {
            let members = set(*name).1;
            let next = sets.get(headers.len() / 2 + 1).map_or(Hash::ZERO, |next| set(*next).1.hash());
            for (view, next_members) in [(1, Hash::ZERO), (2, next)] {
                let height = Height(epoch * 2 + view);
                let mut state = Memory::new().child();
                state.put(KEY.to_vec(), encode(&(height, headers.len() + 1 >= from))).expect("short");
                let state = state.seal();
                let parent = headers.last().map_or(Hash::ZERO, |(header, _)| header.hash());
                let header = Header {
                    version: HEADER_VERSION,
                    chain: CHAIN,
                    epoch: Epoch(epoch),
                    view: View(view),
                    height,
                    parent,
                    parent_view: View(view - 1),
                    justification: Hash::ZERO,
                    time: Time(height.0 * 1000),
                    proposer: 0,
                    members: members.hash(),
                    next_members,
                    payload: summary(&state).digest(),
                };
                headers.push((header, state));
            }
        }
        Self { sets: sets.to_vec(), headers }
    }

    fn finality(&self, header: &Header, signers: u8) -> Finality {
        let (secrets, members) = set(signers);
        let vote = Vote { epoch: header.epoch, view: header.view, kind: Kind::Finalize(header.hash()) };
        let message = vote.sign_bytes(members.hash());
        let signatures = (0u16..).zip(&secrets).map(|(index, secret)| (index, secret.sign_deterministic(&Vote::context(CHAIN), &message)));
        Finality::direct(Certificate::new(vote, &members, signatures.collect::<Vec<_>>()))
    }

    /// The block of this height, read.
    fn read(&self, height: usize) -> Answer {
        let (header, state) = &self.headers[height - 1];
        let finality = self.finality(header, self.sets[(height - 1) / 2]);
        let certified = Certified { header: header.clone(), summary: summary(state), finality };
        Answer::Read(Some(Proven { certified, entries: vec![Entry { key: KEY.to_vec(), value: state.get(KEY), proof: state.prove(KEY) }] }))
    }

    /// The changes of voters from an epoch on, at most `count`.
    fn changes(&self, from: Epoch, count: usize) -> Vec<EpochProof> {
        let ends = self.headers.iter().filter(|(header, _)| header.is_last() && header.next_members != header.members && header.epoch >= from);
        let proof = |(last, _): &(Header, Sealed)| {
            let epoch = usize::try_from(last.epoch.0).expect("small");
            EpochProof { last: last.clone(), finality: self.finality(last, self.sets[epoch]), next: set(self.sets[epoch + 1]).1 }
        };
        ends.map(proof).take(count).collect()
    }
}

fn summary(state: &Sealed) -> Summary {
    Summary::genesis(state.root(), Amount(1), 1, Hash::ZERO)
}

type Script = Box<dyn Fn(Request) -> Option<Answer> + Send>;

/// A replica that answers as told, until it is told otherwise.
struct Replica {
    contact: Contact,
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<Request>>>,
    _endpoint: Endpoint,
}

impl Replica {
    async fn new() -> Self {
        let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
        let config = Config { listen, serve: vec![VALUE_PROTOCOL], ..Config::client(Secret::random(), "test", Plane::Data) };
        let (endpoint, mut events) = Endpoint::start(config).await.expect("a free port");
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(|_| None)));
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (told, heard) = (script.clone(), asked.clone());
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let Event::Request { body, responder, .. } = event else { continue };
                let request = decode::<Request>(&body, 1 << 20).expect("a question");
                lock(&heard).push(request.clone());
                let answer = lock(&told)(request);
                if let Some(answer) = answer {
                    responder.answer(encode(&answer));
                }
            }
        });
        Self { contact: endpoint.contact(), script, asked, _endpoint: endpoint }
    }

    fn tell(&self, script: impl Fn(Request) -> Option<Answer> + Send + 'static) {
        *lock(&self.script) = Box::new(script);
    }

    /// Shows this block of the chain, and changes of voters, so many at a time.
    fn show(&self, chain: &Arc<Chain>, height: usize, changes: usize) {
        let chain = chain.clone();
        self.tell(move |request| match request {
            Request::Read(_) => Some(chain.read(height)),
            Request::EpochProofs { from } => Some(Answer::EpochProofs { present: Epoch(0), proofs: chain.changes(from, changes) }),
            Request::Snapshot { .. } => Some(Answer::Snapshot(None)),
            Request::Chunk { .. } => Some(Answer::Chunk(None)),
            Request::Head | Request::Submit(_) | Request::Transaction(_) => None,
        });
    }

    fn asked_for_proofs(&self) -> usize {
        std::mem::take(&mut *lock(&self.asked)).iter().filter(|request| matches!(request, Request::EpochProofs { .. })).count()
    }
}

async fn ledger(replicas: &[&Replica]) -> Ledger {
    let (endpoint, _) = Endpoint::start(Config::client(Secret::random(), "test", Plane::Data)).await.expect("a client");
    Ledger::new(endpoint, VALUE_PROTOCOL, CHAIN, set(0).1, replicas.iter().map(|replica| replica.contact.clone()).collect())
}

async fn read(ledger: &Ledger) -> Result<(u64, Members), LedgerError> {
    let (attested, reading) = ledger.proven(vec![KEY.to_vec()]).await?;
    let (height, _): (Height, bool) = reading.value(KEY).expect("a height");
    assert_eq!(attested.clone().verify(CHAIN).expect("shown to others").certified, reading.certified);
    Ok((height.0, attested.members))
}

#[tokio::test]
async fn trust_follows_the_voters() {
    let chain = Arc::new(Chain::new(&[0, 0, 1, 1, 2, 0, 0, 3]));
    let replica = Replica::new().await;
    let ledger = ledger(&[&replica]).await;
    // Epochs 0 and 1 have the voters of genesis: no question more. The last block before the change is theirs too.
    for height in [1, 3, 4] {
        replica.show(&chain, height, 9);
        assert_eq!(read(&ledger).await.expect("proven"), (height as u64, set(0).1));
    }
    assert_eq!(replica.asked_for_proofs(), 0);
    // Then as many questions as answers are too short.
    replica.show(&chain, 5, 9);
    assert_eq!(read(&ledger).await.expect("proven"), (5, set(1).1));
    assert_eq!(replica.asked_for_proofs(), 1);
    replica.show(&chain, 11, 1);
    assert_eq!(read(&ledger).await.expect("proven"), (11, set(0).1));
    assert_eq!(replica.asked_for_proofs(), 2);
    replica.show(&chain, 16, 9);
    assert_eq!(read(&ledger).await.expect("proven"), (16, set(3).1));

    // What others need who believe the voters of epoch 2.
    let change = ledger.change_of(Epoch(2), &set(1).1).await.expect("there");
    assert_eq!((change.last.epoch, change.next), (Epoch(3), set(2).1));
    assert!(ledger.change_of(Epoch(2), &set(3).1).await.is_err(), "not from these");
    assert!(ledger.change_of(Epoch(7), &set(3).1).await.is_err(), "none yet");
}

#[tokio::test]
async fn old_voters_are_an_old_answer() {
    let chain = Arc::new(Chain::new(&[0, 0, 1, 1]));
    let (first, second) = (Replica::new().await, Replica::new().await);
    let ledger = ledger(&[&first, &second]).await;
    second.show(&chain, 6, 9);
    assert_eq!(read(&ledger).await.expect("proven").0, 6, "the first does not answer");
    lock(&ledger.0.replicas).reverse();
    for old in [3, 4] {
        first.show(&chain, old, 9);
        assert_eq!(read(&ledger).await.expect("proven").0, 6, "the second is asked");
        lock(&ledger.0.replicas).reverse();
    }
    second.tell(|_| None);
    let Err(LedgerError::Unreachable { count: 2, .. }) = read(&ledger).await else { panic!("answered") };
}

#[tokio::test]
async fn nothing_is_believed_without_proof() {
    let chain = Arc::new(Chain::new(&[0, 1, 2]));
    let replica = Replica::new().await;
    let ledger = ledger(&[&replica]).await;
    let refused = async |expected: fn(&AskError) -> bool| {
        let Err(LedgerError::Unreachable { last, .. }) = read(&ledger).await else { panic!("believed") };
        assert!(expected(&last), "{last}");
        assert_eq!(self::epoch(&ledger), Epoch(0));
    };
    // Another genesis: its voters never were ours.
    let foreign = Arc::new(Chain::new(&[5, 6]));
    replica.show(&foreign, 1, 9);
    refused(|error| matches!(error, AskError::Proof(ProvenError::Light(LightError::Members { .. })))).await;
    replica.show(&foreign, 3, 9);
    refused(|error| matches!(error, AskError::Proof(ProvenError::Light(LightError::Members { .. })))).await;
    // No proofs, proofs of something else, the second without the first, and one whose next voters are the liar's own.
    replica.show(&chain, 5, 0);
    refused(|error| matches!(error, AskError::Unproven { epoch: Epoch(2), from: Epoch(0) })).await;
    let lie = |lie: fn(&mut Vec<EpochProof>)| {
        let chain = chain.clone();
        replica.tell(move |request| match request {
            Request::Read(_) => Some(chain.read(5)),
            Request::Head | Request::Submit(_) | Request::Transaction(_) | Request::EpochProofs { .. } | Request::Snapshot { .. } | Request::Chunk { .. } => {
                let mut proofs = chain.changes(Epoch(0), 9);
                lie(&mut proofs);
                Some(Answer::EpochProofs { present: Epoch(2), proofs })
            }
        });
    };
    lie(|proofs| drop(proofs.remove(0)));
    refused(|error| matches!(error, AskError::Proof(ProvenError::Light(LightError::Skipped { .. })))).await;
    lie(|proofs| proofs[0].next = set(2).1);
    refused(|error| matches!(error, AskError::Proof(ProvenError::Light(LightError::Next { .. })))).await;
    lie(|proofs| (proofs[0].last.next_members, proofs[0].next) = (set(2).1.hash(), set(2).1));
    refused(|error| matches!(error, AskError::Proof(ProvenError::Light(LightError::Finality(_))))).await;
    lie(|proofs| proofs[0].finality.certificate.signatures[1].0[0] ^= 1);
    refused(|error| matches!(error, AskError::Proof(ProvenError::Light(LightError::Finality(_))))).await;
    replica.tell(|request| matches!(request, Request::Read(_)).then(|| Chain::new(&[0, 1, 2]).read(5)));
    refused(|error| matches!(error, AskError::Request(_))).await;
    // The truth.
    replica.show(&chain, 5, 9);
    assert_eq!(read(&ledger).await.expect("proven").0, 5);
}

fn epoch(ledger: &Ledger) -> Epoch {
    ledger.believe(|light| Ok(light.epoch())).expect("no conflict")
}

#[tokio::test]
async fn a_conflict_ends_all_belief_by_name() {
    let (chain, fork) = (Arc::new(Chain::new(&[0, 1, 1])), Arc::new(Chain::fork(&[0, 1, 1], 4)));
    let (first, second) = (Replica::new().await, Replica::new().await);
    let ledger = ledger(&[&first, &second]).await;
    first.show(&chain, 4, 9);
    assert_eq!(read(&ledger).await.expect("proven").0, 4);
    first.show(&fork, 4, 9);
    second.show(&chain, 5, 9);
    let error = read(&ledger).await.expect_err("two chains");
    assert!(matches!(&error, LedgerError::Conflict { conflict, .. } if conflict.blame().is_ok_and(|(_, verdict)| verdict.evidence.len() >= 2)), "{error}");
    assert!(error.to_string().contains("at height 4 contradicts the one accepted at height 4"), "{error}");
    first.show(&chain, 5, 9);
    assert!(matches!(read(&ledger).await, Err(LedgerError::Conflict { .. })), "for good");
}
