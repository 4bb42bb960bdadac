//! What strangers send: any bytes, and true ones cut short, prolonged and with one bit changed. Whatever can be decoded is encoded as the same bytes, so that two
//! nodes never hash one thing as two; what was signed or proven is not believed when changed.

use std::fmt::Debug;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::decode;

use super::*;
use crate::ledger::block::{self, PAYLOAD_BYTES_MAX, TRANSACTION_BYTES_MAX};
use crate::ledger::proven::PROVEN_BYTES_MAX;
use crate::ledger::query::{Answer, Request, TransactionState};
use crate::transaction::SignedTransaction;

/// Decodes bytes as one kind of thing; what comes of it is encoded as the same bytes.
type Reader = fn(&[u8]) -> bool;

fn canonical<T: BorshDeserialize + BorshSerialize + Debug>(bytes: &[u8]) -> bool {
    let limit = PAYLOAD_BYTES_MAX.max(PROVEN_BYTES_MAX).max(TRANSACTION_BYTES_MAX);
    let read: Result<T, _> = decode(bytes, limit);
    read.is_ok_and(|value| {
        assert_eq!(encode(&value), bytes, "{value:?}");
        true
    })
}

fn body(bytes: &[u8]) -> bool {
    Body::from_payload(bytes).is_some_and(|body| {
        assert_eq!(body.to_payload(), bytes);
        true
    })
}

/// Something that comes from elsewhere: its name, how it is read, and true examples.
type Thing = (&'static str, Reader, Vec<Vec<u8>>);

/// Everything of this room that comes from elsewhere.
fn things() -> Vec<Thing> {
    let mut world = World::new();
    let (report, mut parts) = world.report(Epoch(0), &[(1, 30, 5_000), (2, 31, 6_000)]);
    let claim = world.direct(Epoch(0), 31, &[(1, 40_000)], &[super::traffic::Known::new(1, 1_000_000)]);
    let settle = Message::Settle { report: report.clone(), part: parts.pop().map(Box::new) };
    let messages = [send(2, Amount(5)), settle, claim, Message::Unjail, Message::MoveNode { addresses: vec!["/ip4/1.2.3.4/tcp/5".into()] }];
    let transactions: Vec<Vec<u8>> = messages.into_iter().map(|message| world.transaction(&person(1), 0, vec![message])).collect();
    let evidence = contradiction(&world, 1, &node_key(10));
    let executed = world.block(EPOCH_MS, transactions.clone());
    let receipt = executed.receipts[0].clone();
    let logs = executed.receipts.iter().flat_map(|receipt| &receipt.logs).chain(&executed.logs).cloned().collect::<Vec<_>>();
    let requests = [
        Request::Head,
        Request::Read(vec![vec![1, b'a'], vec![0; 60]]),
        Request::Submit(transactions[0].clone()),
        Request::Transaction(Hash([7; 32])),
        Request::EpochProofs { from: Epoch(9) },
    ];
    let answers = [
        Answer::Head(Some(report.certified.clone())),
        Answer::Read(Some((*report).clone())),
        Answer::Submitted(Hash([1; 32])),
        Answer::Refused("no".into()),
        Answer::Transaction(TransactionState::Final { height: Height(3), index: 4, receipt: receipt.clone() }),
        Answer::Chunk(None),
    ];
    vec![
        ("transaction", canonical::<SignedTransaction>, transactions),
        ("body", body, vec![executed.body.to_payload(), Body { evidence: vec![evidence], ..executed.body.clone() }.to_payload()]),
        ("evidence", canonical::<Evidence>, vec![encode(&evidence)]),
        ("reading", canonical::<Proven>, vec![encode(&report)]),
        ("receipt", canonical::<block::Receipt>, vec![encode(&receipt)]),
        ("log", canonical::<block::Log>, logs.iter().map(encode).collect()),
        ("event", canonical::<Event>, logs.iter().map(|log| log.data.clone()).collect()),
        ("request", canonical::<Request>, requests.iter().map(encode).collect()),
        ("answer", canonical::<Answer>, answers.iter().map(encode).collect()),
    ]
}

/// They are made once.
fn all() -> &'static [Thing] {
    static ALL: LazyLock<Vec<Thing>> = LazyLock::new(things);
    &ALL
}

#[test]
fn true_bytes_are_read() {
    for (name, read, examples) in all() {
        let true_ones = examples.iter().filter(|bytes| read(bytes)).count();
        // A body says which evidence it has: the second is not whole.
        assert_eq!((true_ones, examples.is_empty()), (examples.len() - usize::from(*name == "body"), false), "{name}");
        for bytes in examples {
            assert!(!read(&[bytes.as_slice(), &[0]].concat()), "{name}: nothing comes after the end");
            for length in (0..bytes.len()).step_by(bytes.len() / 97 + 1) {
                assert!(!read(&bytes[..length]), "{name}: {length} of {} bytes", bytes.len());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: searched(512), ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600), which in any::<prop::sample::Index>()) {
        let (_, read, _) = which.get(all());
        read(&bytes);
    }

    /// Nothing that was changed passes for what was signed, whatever the change.
    #[test]
    fn any_bytes_of_true_ones(which in any::<prop::sample::Index>(), example in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let (name, read, examples) = which.get(all());
        let mut bytes = example.get(examples).clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        read(&bytes);
        if *name == "transaction" {
            prop_assert!(crate::transaction::verify(genesis().hash(), &[bytes])[0].is_err());
        }
    }
}
