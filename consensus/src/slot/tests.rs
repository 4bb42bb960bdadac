//! Tests of the signer slot: the lattice, the file, and what a crash leaves.

use proptest::prelude::*;

use super::*;
use crate::testing::Cast;
use crate::vote::conflicts;

const A: Hash = Hash([0xaa; 32]);
const B: Hash = Hash([0xbb; 32]);

fn vote(view: u64, kind: Kind) -> Vote {
    Vote { epoch: Epoch(0), view: View(view), kind }
}

fn signer(cast: &Cast, memory: &Memory) -> Result<Signer, SlotError> {
    seated(cast, Signer::on(memory.clone(), cast.secrets[0].clone(), cast.chain))
}

fn seated(cast: &Cast, opened: Result<Signer, SlotError>) -> Result<Signer, SlotError> {
    opened.map(|mut signer| {
        assert_eq!(signer.seat(Epoch(0), &cast.members), Some(0));
        signer
    })
}

fn any_vote() -> impl Strategy<Value = Vote> {
    let kind = prop_oneof![Just(Kind::Notarize(A)), Just(Kind::Notarize(B)), Just(Kind::Nullify), Just(Kind::Finalize(A)), Just(Kind::Finalize(B))];
    (1..4_u64, kind).prop_map(|(view, kind)| vote(view, kind))
}

proptest! {
    /// Checks SIMPLEX-4: whatever is asked, across restarts at any time, no two released signatures conflict, and views never fall.
    #[test]
    fn never_contradicts_itself(asked in proptest::collection::vec((any_vote(), any::<bool>()), 0..40)) {
        let (cast, memory) = (Cast::new(&[1]), Memory::default());
        let mut current = signer(&cast, &memory).expect("fresh");
        let mut released: Vec<Vote> = Vec::new();
        for (vote, crash) in asked {
            if crash {
                current = signer(&cast, &memory).expect("readable");
            }
            match current.sign(vote) {
                Ok(signed) => {
                    let signed = signed.into_inner();
                    prop_assert!(signed.is_valid(cast.chain, &cast.members));
                    prop_assert!(released.iter().all(|earlier| !conflicts(earlier, &vote)));
                    prop_assert!(released.last().is_none_or(|last| last.view <= vote.view));
                    released.push(vote);
                    prop_assert_eq!(current.sign(vote).expect("again").into_inner(), signed);
                }
                Err(SignError::Refused(_)) => {}
                Err(error) => panic!("{error}"),
            }
            for vote in current.slot().votes() {
                prop_assert!(released.contains(&vote), "what the slot records was released");
            }
        }
    }
}

#[test]
fn lattice() {
    use Kind::{Finalize, Notarize, Nullify};
    let admits = |votes: &[Kind], next| {
        let slot = votes.iter().fold(Slot::empty(Epoch(0)), |slot, &kind| slot.admit(&vote(5, kind)).expect("legal"));
        slot.admit(&vote(5, next)).is_ok()
    };
    assert!(admits(&[Notarize(A)], Nullify) && admits(&[Notarize(A)], Finalize(A)) && admits(&[], Finalize(A)));
    assert!(admits(&[Notarize(A), Nullify], Notarize(A)), "resending");
    assert!(!admits(&[Notarize(A)], Notarize(B)) && !admits(&[Notarize(A)], Finalize(B)) && !admits(&[Nullify], Notarize(A)));
    assert!(!admits(&[Nullify], Finalize(A)) && !admits(&[Finalize(A)], Nullify) && !admits(&[Finalize(A)], Finalize(B)));
    let slot = Slot::empty(Epoch(0)).admit(&vote(5, Nullify)).expect("legal");
    assert_eq!(slot.admit(&vote(4, Nullify)), Err(Refusal::Earlier { found: (Epoch(0), View(4)), signed: (Epoch(0), View(5)) }));
}

/// What a disk may hold of a 4096-byte write that a crash cut short: any prefix of bytes; of every 512-byte sector the old or the new bytes, or zeros.
fn torn<'a>(before: &'a [u8], after: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
    let prefixes = (0..=SLOT_BLOCK_BYTES).map(|length| [&after[..length], &before[length..]].concat());
    let sectors = (0..3_usize.pow(8)).map(|choice| {
        let sector = |index: usize| match choice / 3_usize.pow(u32::try_from(index).expect("below 8")) % 3 {
            0 => before[index * 512..(index + 1) * 512].to_vec(),
            1 => after[index * 512..(index + 1) * 512].to_vec(),
            _ => vec![0; 512],
        };
        (0..8).flat_map(sector).collect()
    });
    prefixes.chain(sectors)
}

/// Checks SIMPLEX-4 and SIMPLEX-5 for every crash point of a run of writes: whatever the disk holds of a write under way, the slot is the one before it or
/// the one after, and it admits nothing that conflicts with a signature released before. What was under way was not released.
#[test]
fn every_torn_write() {
    use Kind::{Finalize, Notarize, Nullify};
    let (cast, memory) = (Cast::new(&[1]), Memory::default());
    let mut current = signer(&cast, &memory).expect("fresh");
    let run = [
        vote(1, Notarize(A)),
        vote(1, Finalize(A)),
        vote(2, Nullify),
        vote(3, Notarize(B)),
        vote(3, Nullify),
        vote(9, Finalize(A)),
        Vote { epoch: Epoch(1), ..vote(1, Notarize(A)) },
        Vote { epoch: Epoch(1), ..vote(1, Finalize(A)) },
    ];
    let mut released: Vec<Vote> = Vec::new();
    for next in run {
        current.seat(next.epoch, &cast.members);
        let (before, slot_before) = (memory.bytes(), current.slot());
        current.sign(next).expect("legal");
        let (after, slot_after) = (memory.bytes(), current.slot());
        let half = if before[..SLOT_BLOCK_BYTES] == after[..SLOT_BLOCK_BYTES] { SLOT_BLOCK_BYTES } else { 0 };
        let range = half..half + SLOT_BLOCK_BYTES;
        // Everything this key could be asked next, near what it has signed.
        let conflicting: Vec<Vote> = released
            .iter()
            .flat_map(|earlier| [Notarize(A), Notarize(B), Nullify, Finalize(A), Finalize(B)].map(|kind| Vote { kind, ..*earlier }))
            .filter(|asked| released.iter().any(|earlier| conflicts(earlier, asked)))
            .collect();
        for block in torn(&before[range.clone()], &after[range.clone()]) {
            let mut bytes = before.clone();
            bytes[range.clone()].copy_from_slice(&block);
            let slot = Signer::on(Memory::new(bytes), cast.secrets[0].clone(), cast.chain).expect("one block is whole").slot();
            assert!(slot == slot_before || slot == slot_after, "{slot:?}");
            assert!(conflicting.iter().all(|asked| slot.admit(asked).is_err()), "{slot:?}");
        }
        // The next write goes over the torn block, never over the whole one.
        let mut bytes = before.clone();
        bytes[range.start] ^= 1;
        let spoiled = Memory::new(bytes);
        let mut again = signer(&cast, &spoiled).expect("one block is whole");
        again.seat(next.epoch, &cast.members);
        assert_eq!(again.slot(), slot_before);
        again.sign(next).expect("legal");
        assert_eq!(signer(&cast, &spoiled).expect("readable").slot(), slot_after);
        released.push(next);
    }
}

#[test]
fn both_lost_or_foreign_is_refused() {
    let (cast, memory) = (Cast::new(&[1, 1]), Memory::default());
    signer(&cast, &memory).expect("fresh").sign(vote(1, Kind::Nullify)).expect("legal");
    let mut spoiled = memory.bytes();
    spoiled[100] ^= 1;
    spoiled[SLOT_BLOCK_BYTES + 100] ^= 1;
    assert!(matches!(signer(&cast, &Memory::new(spoiled)), Err(SlotError::Lost(_))));
    let (left, right) = (&memory.bytes()[..SLOT_BLOCK_BYTES], &memory.bytes()[SLOT_BLOCK_BYTES..]);
    assert!(matches!(signer(&cast, &Memory::new([right, left].concat())), Err(SlotError::Lost(_))), "blocks keep their place");
    let open = |secret: &SecretKey, chain| Signer::on(memory.clone(), secret.clone(), chain);
    assert!(matches!(open(&cast.secrets[1], cast.chain), Err(SlotError::Foreign { .. })));
    assert!(matches!(open(&cast.secrets[0], Hash::ZERO), Err(SlotError::Foreign { .. })));
}

/// Checks SIMPLEX-4 across epochs: a key signs where it has a seat only, and never again in an epoch that it has left.
#[test]
fn seats() {
    let (cast, memory) = (Cast::new(&[1, 1]), Memory::default());
    let others = Members::new(vec![cast.members.list()[1]]).expect("valid");
    let mut signer = signer(&cast, &memory).expect("fresh");
    let vote_in = |epoch, view| Vote { epoch: Epoch(epoch), ..vote(view, Kind::Nullify) };
    let refused = |result| match result {
        Err(SignError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(signer.sign(vote_in(1, 1))), Refusal::NoSeat(Epoch(1)));
    signer.sign(vote_in(0, 9)).expect("a seat");
    assert_eq!(signer.seat(Epoch(1), &others), None);
    assert_eq!(refused(signer.sign(vote_in(1, 1))), Refusal::NoSeat(Epoch(1)));
    assert_eq!(signer.seat(Epoch(2), &cast.members), Some(0));
    signer.sign(vote_in(2, 1)).expect("views begin again");
    assert_eq!(signer.seat(Epoch(0), &cast.members), Some(0));
    assert_eq!(refused(signer.sign(vote_in(0, 10))), Refusal::Earlier { found: (Epoch(0), View(10)), signed: (Epoch(2), View(1)) });
}

/// A write that fails releases no signature, then or later.
#[test]
fn a_failed_write_breaks_the_signer() {
    struct Full(Memory);
    impl Medium for Full {
        fn read(&mut self) -> io::Result<Vec<u8>> {
            self.0.read()
        }
        fn write(&mut self, _: u64, _: &[u8; SLOT_BLOCK_BYTES]) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let (cast, memory) = (Cast::new(&[1]), Memory::default());
    signer(&cast, &memory).expect("fresh").sign(vote(1, Kind::Nullify)).expect("legal");
    let mut full = seated(&cast, Signer::on(Full(memory), cast.secrets[0].clone(), cast.chain)).expect("readable");
    assert!(full.sign(vote(1, Kind::Nullify)).is_ok(), "what is recorded already needs no write");
    assert!(matches!(full.sign(vote(2, Kind::Nullify)), Err(SignError::Disk(_))));
    assert!(matches!(full.sign(vote(1, Kind::Nullify)), Err(SignError::Broken)));
}

#[test]
fn the_file() {
    let cast = Cast::new(&[1]);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("signer.slot");
    let secret = || cast.secrets[0].clone();
    let open = || seated(&cast, Signer::open(&path, secret(), cast.chain));
    assert!(matches!(open(), Err(SlotError::Missing(_))));
    std::fs::write(path.with_extension("unfinished"), b"left by a crash").expect("writable");
    let mut signer = seated(&cast, Signer::create(&path, secret(), cast.chain)).expect("fresh");
    assert!(matches!(open(), Err(SlotError::Locked(_))));
    let signed = signer.sign(vote(3, Kind::Notarize(A))).expect("legal");
    drop(signer);
    assert!(matches!(Signer::create(&path, secret(), cast.chain), Err(SlotError::Exists(_))));
    let mut signer = open().expect("there");
    assert_eq!(signer.sign(vote(3, Kind::Notarize(A))).expect("again"), signed);
    assert!(signer.sign(vote(3, Kind::Notarize(B))).is_err());
    drop(signer);
    assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1);
    std::fs::write(&path, [0; 100]).expect("writable");
    assert!(matches!(open(), Err(SlotError::Lost(_))));
}

#[test]
fn golden_block() {
    let cast = Cast::new(&[1]);
    let slot = Slot { epoch: Epoch(1), view: View(2), notarized: Some(A), closed: Some(Closed::Finalize(A)) };
    let record = Record { version: RECORD_VERSION, sequence: 7, chain: cast.chain, key: cast.secrets[0].public(), slot };
    assert_eq!(Hash::raw(&[&record.to_block()]).to_string(), "ef9ed309fc39e7335c3a736a01851f42a56269c15da393005fc2177d4bb7308a");
    assert_eq!(Record::from_block(&record.to_block(), 1), Some(record));
    assert_eq!(Record::from_block(&record.to_block(), 0), None);
}
