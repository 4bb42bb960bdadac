//! A state from elsewhere: in any order, from liars too, over crashes, into a store that then goes on like any other.

use std::collections::BTreeMap;

use primitives::Hash;
use proptest::prelude::*;

use super::{CHAIN, Store, VerifyError, put, record, tamper};
use crate::disk::database::Family;
use crate::model::{self, Pairs};
use crate::{Chunk, Import, ImportError, Memory, OpenError, Sealed};

pub(super) fn state(count: u32) -> (Sealed, Pairs) {
    let (mut overlay, mut pairs) = (Memory::new().child(), Pairs::new());
    for number in 0..count {
        let (key, value) = (number.to_be_bytes().to_vec(), vec![1; usize::try_from(number % 90).unwrap()]);
        overlay.put(key.clone(), value.clone()).unwrap();
        pairs.insert(key, value);
    }
    (overlay.seal(), pairs)
}

/// Takes all that is missing, region by region, `bytes` at a time.
pub(super) fn fill(import: &mut Import, source: &Sealed, bytes: usize) {
    while let Some(range) = import.missing().first().cloned() {
        import.take(range.start(), &source.chunk(&range, bytes)).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Any order of regions, any size of chunks, with a restart now and then: the state is there, and the store goes on from it.
    #[test]
    fn any_order(
        count in prop_oneof![Just(0_u32), Just(1), Just(15), Just(17), Just(3000)],
        picks in proptest::collection::vec((any::<prop::sample::Index>(), 10..3000_usize, proptest::bool::weighted(0.02)), 300),
    ) {
        let (source, mut pairs) = state(count);
        let directory = tempfile::tempdir().unwrap();
        let open = || Import::open(directory.path(), CHAIN, source.root()).unwrap();
        let mut import = open();
        for (pick, bytes, restarts) in picks {
            let missing = import.missing();
            if missing.is_empty() {
                break;
            }
            let range = pick.get(&missing);
            import.take(range.start(), &source.chunk(range, bytes)).unwrap();
            if restarts {
                drop(import);
                let is_refused = matches!(Store::open(directory.path(), CHAIN), Err(OpenError::Unfinished { .. }));
                prop_assert!(is_refused, "no state yet");
                import = open();
            }
        }
        fill(&mut import, &source, 100_000);
        import.finish(vec![record(1, b"beside", Some(b"it"))]).unwrap();
        drop(import);

        let store = Store::open(directory.path(), CHAIN).unwrap();
        model::check(&store.head(), &pairs);
        prop_assert_eq!((store.verify(), store.record(1, b"beside")), (Ok(source.root()), Some(b"it".to_vec())));
        let next = model::apply(&store.head(), &mut pairs, &BTreeMap::from([(vec![9], Some(vec![9])), (vec![0, 0, 0, 3], None)]));
        store.commit(&next, vec![]).unwrap();
        model::check(&store.at(&source.root()).unwrap(), &state(count).1);
        drop((store, next));
        model::check(&Store::open(directory.path(), CHAIN).unwrap().head(), &pairs);
    }
}

/// What was not asked for, what is not true, what is missing: refused, with nothing changed.
#[test]
fn liars() {
    let ((source, _), (other, _)) = (state(2000), state(2001));
    let directory = tempfile::tempdir().unwrap();
    let mut import = Import::open(directory.path(), CHAIN, source.root()).unwrap();
    assert_eq!(import.target(), source.root());
    let range = import.missing()[3].clone();
    let chunk = source.chunk(&range, 400);
    assert!(!chunk.pairs.is_empty() && chunk.last < *range.end());
    let beyond = Hash([9; 32]);
    let wrong: Vec<(Hash, Chunk, ImportError)> = vec![
        (*range.start(), other.chunk(&range, 400), ImportError::False { root: source.root() }),
        (*range.start(), Chunk { pairs: Vec::new(), ..chunk.clone() }, ImportError::False { root: source.root() }),
        (*range.start(), Chunk { last: *range.end(), ..chunk.clone() }, ImportError::False { root: source.root() }),
        (*range.start(), Chunk { last: beyond, ..chunk.clone() }, ImportError::Misplaced),
        (*range.start(), Chunk { last: Hash::ZERO, ..chunk.clone() }, ImportError::Misplaced),
        (*range.end(), source.chunk(&(*range.end()..=*range.end()), 400), ImportError::Misplaced),
    ];
    for (from, chunk, error) in wrong {
        assert_eq!(import.take(&from, &chunk), Err(error));
        assert_eq!(import.missing()[3], range, "nothing was taken");
    }
    import.take(range.start(), &chunk).unwrap();
    assert_eq!(import.take(range.start(), &chunk), Err(ImportError::Misplaced), "twice");
    assert_eq!(import.finish(vec![]), Err(ImportError::Incomplete { missing: 256 }));
    drop(import);
    assert!(matches!(Import::open(directory.path(), Hash([2; 32]), source.root()), Err(OpenError::OtherChain { .. })));

    // Another state than before: nothing of the first stays.
    let mut import = Import::open(directory.path(), CHAIN, other.root()).unwrap();
    assert_eq!((import.missing().len(), *import.missing()[3].start()), (256, *range.start()));
    fill(&mut import, &other, 5000);
    import.finish(vec![]).unwrap();
    drop(import);
    assert!(matches!(Import::open(directory.path(), CHAIN, other.root()), Err(OpenError::Occupied { .. })));
    assert_eq!(Store::open(directory.path(), CHAIN).unwrap().verify(), Ok(other.root()));
}

/// A disk that changes what was written is noticed before anything is called a store.
#[test]
fn a_bad_disk_is_noticed() {
    let (source, _) = state(500);
    let directory = tempfile::tempdir().unwrap();
    let mut import = Import::open(directory.path(), CHAIN, source.root()).unwrap();
    fill(&mut import, &source, 5000);
    // Progress is flushed with the rows, so both are lost or neither is.
    drop(import);
    let mut import = Import::open(directory.path(), CHAIN, source.root()).unwrap();
    fill(&mut import, &source, 5000);
    drop(import);
    let key = 7_u32.to_be_bytes();
    tamper(directory.path(), &[(Family::Leaves, crate::rule::path(&key).as_bytes(), None)]);
    let mut import = Import::open(directory.path(), CHAIN, source.root()).unwrap();
    assert!(matches!(import.finish(vec![]), Err(ImportError::Damaged { target, computed }) if target == source.root() && computed.leaves == 499));
    drop(import);
    assert!(matches!(Store::open(directory.path(), CHAIN), Err(OpenError::Unfinished { .. })));
}

/// A store is one only when it has everything; until then it is nobody's state.
#[test]
fn a_store_takes_no_import() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), CHAIN).unwrap();
    store.commit(&put(&store.head(), &[("a", "1")]), vec![]).unwrap();
    let root = store.head().root();
    drop(store);
    assert!(matches!(Import::open(directory.path(), CHAIN, state(3).0.root()), Err(OpenError::Occupied { .. })));
    assert_eq!(Store::open(directory.path(), CHAIN).unwrap().verify(), Ok::<_, VerifyError>(root));
}
