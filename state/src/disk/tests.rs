//! The store against a map: forks, commits, restarts, readers while commits go on, tampered disks. Crashes, the past, and states from elsewhere have files of
//! their own.

mod crash;
mod history;
mod import;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use primitives::Hash;
use proptest::prelude::*;
use rocksdb::WriteBatch;

use super::database::{Database, Family};
use super::directory::OpenError;
use super::layer::{Place, Shared, Version};
use super::records::{Direction, Record};
use super::store::{CommitError, Store, Tuning, VerifyError};
use crate::model::Changes;
use crate::model::{self, Pairs};
use crate::pair::Pair;
use crate::sealed::Sealed;
use crate::{Memory, StateRoot};

pub(super) const CHAIN: Hash = Hash([1; 32]);
/// Far above what an `exec` takes.
const LOCK_TRIES: u32 = 1000;

/// Opens a store. Where tests start processes, one that is being forked may hold our lock for a moment after we let go of it.
pub(super) fn open(path: &Path) -> Store {
    for _ in 0..LOCK_TRIES {
        match Store::open(path, CHAIN) {
            Err(OpenError::Locked { .. }) => std::thread::sleep(std::time::Duration::from_millis(5)),
            opened => return opened.unwrap(),
        }
    }
    panic!("{} stays locked", path.display())
}

type Write<'a> = (Family, &'a [u8], Option<&'a [u8]>);

/// Writes rows behind the store's back.
fn tamper(path: &Path, rows: &[Write<'_>]) {
    let database = Database::open(path, CHAIN).unwrap();
    let mut batch = WriteBatch::default();
    for (family, key, value) in rows {
        database.stage(&mut batch, *family, key, *value);
    }
    database.write(batch);
}

fn put(state: &Sealed, pairs: &[(&str, &str)]) -> Sealed {
    let mut overlay = state.child();
    for (key, value) in pairs {
        overlay.put(key.as_bytes().to_vec(), value.as_bytes().to_vec()).unwrap();
    }
    overlay.seal()
}

fn record(table: u8, key: &[u8], value: Option<&[u8]>) -> Record {
    Record { table, key: key.to_vec(), value: value.map(<[u8]>::to_vec) }
}

#[derive(Clone, Debug)]
enum Act {
    Grow(prop::sample::Index, Changes),
    Commit(prop::sample::Index),
    Forget(prop::sample::Index),
    Reopen,
    /// Reopens as after a crash: from a copy of what is on disk while the store is open.
    Crash,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => (any::<prop::sample::Index>(), model::changes()).prop_map(|(parent, changes)| Act::Grow(parent, changes)),
        5 => any::<prop::sample::Index>().prop_map(Act::Commit),
        2 => any::<prop::sample::Index>().prop_map(Act::Forget),
        1 => Just(Act::Reopen),
        1 => Just(Act::Crash),
    ];
    proptest::collection::vec(act, 1..40)
}

/// One state that somebody holds.
struct Held {
    id: usize,
    sealed: Sealed,
    pairs: Pairs,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Checks STATE-1, STATE-2, STATE-5, STATE-6: whatever grows, is committed, dropped or reopened, every state held reads as it was sealed; also if the
    /// trie may hold next to nothing.
    #[test]
    fn forks_and_commits(acts in acts(), cache_bytes in prop_oneof![Just(0_u64), Just(4000), Just(1 << 20)]) {
        let parent = tempfile::tempdir().unwrap();
        let mut lives = 0;
        let path = |life: u32| parent.path().join(life.to_string());
        let open = |life| Store::open_with(&path(life), CHAIN, Tuning { cache_bytes, ..Tuning::default() }).unwrap();
        let mut store = open(lives);
        let mut parents: Vec<Option<usize>> = vec![None];
        let mut head = 0;
        let mut held = vec![Held { id: 0, sealed: store.head(), pairs: Pairs::new() }];
        let mut committed = Pairs::new();
        for act in acts {
            match act {
                Act::Grow(parent, changes) if !held.is_empty() => {
                    let parent = parent.get(&held);
                    let mut pairs = parent.pairs.clone();
                    let sealed = model::apply(&parent.sealed, &mut pairs, &changes);
                    parents.push(Some(parent.id));
                    held.push(Held { id: parents.len() - 1, sealed, pairs });
                }
                Act::Commit(which) if !held.is_empty() => {
                    let state = which.get(&held);
                    let grows_from_head = std::iter::successors(Some(state.id), |id| parents[*id]).any(|id| id == head);
                    let id = state.id.to_be_bytes();
                    let result = store.commit(&state.sealed, vec![record(1, b"id", Some(&id))]);
                    prop_assert_eq!(result.is_ok(), grows_from_head);
                    if grows_from_head {
                        head = state.id;
                        committed.clone_from(&state.pairs);
                        prop_assert_eq!(store.record(1, b"id"), Some(id.to_vec()));
                    } else {
                        prop_assert_eq!(result, Err(CommitError::NotOnHead { state: state.sealed.root(), head: model::root(&committed) }));
                    }
                }
                Act::Forget(which) if !held.is_empty() => drop(held.remove(which.index(held.len()))),
                Act::Grow(..) | Act::Commit(_) | Act::Forget(_) | Act::Reopen | Act::Crash => {
                    held.clear();
                    if matches!(act, Act::Crash) {
                        crash::copy(&path(lives), &path(lives + 1));
                        lives += 1;
                    }
                    drop(store);
                    store = open(lives);
                    parents.push(None);
                    head = parents.len() - 1;
                    held.push(Held { id: head, sealed: store.head(), pairs: committed.clone() });
                }
            }
            model::check(&store.head(), &committed);
            for state in &held {
                model::check(&state.sealed, &state.pairs);
            }
        }
        prop_assert_eq!(store.verify(), Ok(model::root(&committed)));
    }

    /// Tables are maps of their own, in order, in both directions and from anywhere.
    #[test]
    fn records(
        rows in proptest::collection::btree_map((254..=255_u8, proptest::collection::vec(prop_oneof![Just(0_u8), Just(7), Just(255)], 0..4)), any::<u8>(), 0..30),
        prefix in proptest::collection::vec(prop_oneof![Just(0_u8), Just(7), Just(255)], 0..2),
        from in proptest::collection::vec(prop_oneof![Just(0_u8), Just(7), Just(255)], 0..4),
        limit in 0..6_usize,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        store.write(rows.iter().map(|((table, key), value)| record(*table, key, Some(&[*value]))).collect());
        for table in 253..=255_u8 {
            let of_table: BTreeMap<Vec<u8>, Vec<u8>> = rows.iter().filter(|((of, _), _)| *of == table).map(|((_, key), value)| (key.clone(), vec![*value])).collect();
            for (key, value) in &of_table {
                prop_assert_eq!(store.record(table, key), Some(value.clone()));
            }
            for bound in [Bound::Unbounded, Bound::Included(&from[..]), Bound::Excluded(&from[..])] {
                for direction in [Direction::Forward, Direction::Backward] {
                    let is_beyond = |key: &[u8]| match (bound, direction) {
                        (Bound::Unbounded, _) => true,
                        (Bound::Included(from), Direction::Forward) => key >= from,
                        (Bound::Included(from), Direction::Backward) => key <= from,
                        (Bound::Excluded(from), Direction::Forward) => key > from,
                        (Bound::Excluded(from), Direction::Backward) => key < from,
                    };
                    let mut expected: Vec<_> = of_table.clone().into_iter().filter(|(key, _)| key.starts_with(&prefix) && is_beyond(key)).collect();
                    if direction == Direction::Backward {
                        expected.reverse();
                    }
                    expected.truncate(limit);
                    prop_assert_eq!(store.records(table, &prefix, bound, direction, limit), expected);
                }
            }
        }
        store.write(rows.keys().map(|(table, key)| record(*table, key, None)).collect());
        prop_assert!(store.records(255, b"", Bound::Unbounded, Direction::Forward, 100).is_empty());
    }
}

/// Checks STATE-2: a state of the past reads the same while commits replace its values.
#[test]
fn reading_while_committing() {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..64).map(|number| format!("k{number}")).collect();
    let store = open(directory.path());
    let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "0")).chain([("a", "0"), ("gone", "0")]).collect();
    store.commit(&put(&store.head(), &pairs), vec![]).unwrap();
    drop(store);
    // Nothing stays in its trie, so what was is read from the run and the disk, while both move on.
    let store = Store::open_with(directory.path(), CHAIN, Tuning { cache_bytes: 0, ..Tuning::default() }).unwrap();
    let (past, rival) = (store.head(), put(&store.head(), &[("a", "rival")]));
    let expected: Vec<(Vec<u8>, Vec<u8>)> = pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    let expected = expected.into_iter().collect::<std::collections::BTreeMap<_, _>>().into_iter().collect::<Vec<_>>();
    let is_done = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let is_done = Arc::clone(&is_done);
        move || {
            let mut rounds = 0_u32;
            while !is_done.load(Ordering::Relaxed) || rounds == 0 {
                for (key, value) in &expected {
                    assert_eq!(past.get(key).as_ref(), Some(value));
                    assert!(past.prove(key).verify(&past.root(), key, Some(value)));
                }
                assert_eq!(past.get(b"new"), None);
                let mut found = Vec::new();
                past.scan(b"", |key, value| found.push((key.to_vec(), value.to_vec())));
                assert_eq!(found, expected);
                assert_eq!((rival.get(b"a"), rival.get(b"k7")), (Some(b"rival".to_vec()), Some(b"0".to_vec())));
                rounds += 1;
            }
        }
    });
    let mut state = store.head();
    for number in 1..=300 {
        let (text, name) = (number.to_string(), &names[number % names.len()]);
        let mut overlay = put(&state, &[("a", &text), (name, &text), ("new", &text)]).child();
        overlay.delete(b"gone");
        state = overlay.seal();
        store.commit(&state, vec![]).unwrap();
        assert_eq!((state.get(b"a"), store.head().get(name.as_bytes()), state.get(b"gone")), (Some(text.clone().into_bytes()), Some(text.into_bytes()), None));
    }
    is_done.store(true, Ordering::Relaxed);
    reader.join().unwrap();
}

#[test]
fn what_may_be_committed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let child = put(&store.head(), &[("a", "1")]);
    let (left, right) = (put(&child, &[("b", "left")]), put(&child, &[("b", "right")]));
    store.commit(&left, vec![]).unwrap();
    assert_eq!((left.get(b"b"), right.get(b"b"), child.get(b"b")), (Some(b"left".to_vec()), Some(b"right".to_vec()), None));
    for other in [&right, &child, &Memory::new(), &put(&right, &[])] {
        assert!(store.commit(other, vec![record(1, b"refused", Some(b""))]).is_err());
    }
    assert_eq!(store.record(1, b"refused"), None, "a refusal changes nothing");
    store.commit(&left, vec![record(1, b"again", Some(b"yes"))]).unwrap();
    store.commit(&put(&left, &[]), vec![]).unwrap();
    assert_eq!((store.record(1, b"again"), store.head().root()), (Some(b"yes".to_vec()), left.root()));
    assert_eq!(store.verify(), Ok(left.root()));
}

#[test]
fn refusals() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let store = open(&path);
    let state = put(&store.head(), &[("a", "1"), ("b", "2")]);
    store.commit(&state, vec![]).unwrap();
    assert!(matches!(Store::open(&path, CHAIN), Err(OpenError::Locked { .. })));
    drop(store);
    assert!(matches!(Store::open(&path, CHAIN), Err(OpenError::Locked { .. })), "a state still reads from it");
    let root = state.root();
    drop(state);
    assert!(matches!(Store::open(&path, Hash([2; 32])), Err(OpenError::OtherChain { found: CHAIN, expected: Hash([2, ..]), .. })));
    assert!(matches!(Store::open(directory.path(), CHAIN), Err(OpenError::Foreign { file, .. }) if file == "state"));

    let row = |key: &str, value: &str| Pair::new(key.as_bytes(), value.as_bytes()).row().to_vec();
    let at = crate::rule::path(b"a");
    tamper(&path, &[(Family::Leaves, at.as_bytes(), Some(&row("a", "9")))]);
    assert!(matches!(open(&path).verify(), Err(VerifyError::Root { recorded, .. }) if recorded == root));
    tamper(&path, &[(Family::Leaves, at.as_bytes(), Some(&row("a", "1"))), (Family::Keys, b"c", Some(&[]))]);
    assert_eq!(open(&path).verify(), Err(VerifyError::Keys { wrong: 1, leaves: 2 }));
    tamper(&path, &[(Family::Leaves, at.as_bytes(), Some(&row("c", "1"))), (Family::Keys, b"c", None)]);
    assert!(matches!(open(&path).verify(), Err(VerifyError::Keys { wrong: 2.., leaves: 2 })));
    tamper(&path, &[(Family::Leaves, at.as_bytes(), Some(&row("a", "1")))]);
    assert_eq!(open(&path).verify(), Ok(root));
    let bucket = {
        let database = Database::open(&path, CHAIN).unwrap();
        (0..=u8::MAX).find(|bucket| database.get(Family::Tops, &[*bucket]).is_some_and(|row| row.len() > 4)).unwrap()
    };
    for (family, key, value) in [(Family::Tops, &[bucket][..], &b"short"[..]), (Family::Tops, &[bucket], &[0; 4]), (Family::Meta, b"head", b"short")] {
        let before = Database::open(&path, CHAIN).unwrap().get(family, key);
        tamper(&path, &[(family, key, Some(value))]);
        assert!(matches!(Store::open(&path, CHAIN), Err(OpenError::Damaged { .. })), "{family:?}");
        tamper(&path, &[(family, key, before.as_deref())]);
    }
    assert_eq!(open(&path).verify(), Ok(root));
    let mut files = std::fs::read_dir(path.join("db")).unwrap().map(|entry| entry.unwrap().path());
    let table = files.find(|file| file.extension().is_some_and(|extension| extension == "sst")).expect("what was flushed");
    let bytes = std::fs::read(&table).unwrap();
    std::fs::remove_file(&table).unwrap();
    assert!(matches!(Store::open(&path, CHAIN), Err(OpenError::Database { .. })));
    std::fs::write(&table, bytes).unwrap();
    assert_eq!(open(&path).verify(), Ok(root));
    std::fs::write(path.join("db/CURRENT"), "nonsense").unwrap();
    assert!(matches!(Store::open(&path, CHAIN), Err(OpenError::Database { .. })));
    // A part of it is gone: nothing new is begun in its place.
    std::fs::remove_file(path.join("db/CURRENT")).unwrap();
    assert!(matches!(Store::open(&path, CHAIN), Err(OpenError::Damaged { cause, .. }) if cause.contains("deleted")));
    std::fs::remove_dir_all(path.join("db")).unwrap();
    assert!(matches!(Store::open(&path, CHAIN), Err(OpenError::Damaged { cause, .. }) if cause.contains("deleted")));
    assert!(!path.join("db").exists());
}

/// Long lines of states end without exhausting the stack.
#[test]
fn long_lines() {
    const LENGTH: usize = 200_000;
    let directory = tempfile::tempdir().unwrap();
    let shared = Shared::new(Database::open(directory.path(), CHAIN).unwrap());
    let oldest = Version::newest(shared);
    let mut version = Arc::clone(&oldest);
    for _ in 0..LENGTH {
        version = version.succeed(Arc::new(Vec::new()));
    }
    let mut place = Place::new(version, None);
    for age in 0..LENGTH {
        place = place.above(Vec::new(), StateRoot::EMPTY, age as u64);
    }
    assert_eq!(place.pending().0.len(), LENGTH);
    assert_eq!((place.pair(&CHAIN), Place::new(oldest, None).pair(&CHAIN)), (None, None));
}

#[test]
fn an_empty_store_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(open(directory.path()).verify(), Ok(StateRoot::EMPTY));
    let store = open(directory.path());
    assert!(store.head().is_empty() && store.head().get(b"a").is_none() && store.path() == directory.path());
}
