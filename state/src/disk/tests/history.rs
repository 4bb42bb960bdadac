//! The past: every state that is kept reads as it was, others are refused, and what is not kept takes no room.

use std::collections::VecDeque;

use primitives::Hash;
use proptest::prelude::*;

use super::{CHAIN, Store, Tuning, put};
use crate::model::{self, Pairs};
use crate::{HistoryError, StateRoot};

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Checks STATE-7: committed one by one or several at once, with restarts between, the states of the past have their values, roots and proofs.
    #[test]
    fn the_past_is_as_it_was(
        blocks in proptest::collection::vec((model::changes(), 0..3_u8), 1..30),
        cache_bytes in prop_oneof![Just(0_u64), Just(1 << 20)],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let tuning = Tuning { cache_bytes, ..Tuning::default() };
        let open = || Store::open_with(directory.path(), CHAIN, tuning).unwrap();
        let mut store = open();
        let mut past = vec![Pairs::new()];
        let mut state = store.head();
        for (changes, next) in blocks {
            let mut pairs = past.last().unwrap().clone();
            state = model::apply(&state, &mut pairs, &changes);
            past.push(pairs);
            // Not committed yet: with a later one.
            if next == 0 {
                continue;
            }
            store.commit(&state, vec![]).unwrap();
            if next == 2 {
                drop((store, state));
                store = open();
                state = store.head();
            }
            for pairs in &past {
                model::check(&store.at(&model::root(pairs)).unwrap(), pairs);
            }
        }
    }
}

/// The states that are kept: as many as the store was told to, whatever else was committed, in no more bytes than it was told.
#[test]
fn what_is_forgotten() {
    for (tuning, kept) in [
        (Tuning { history: 5, ..Tuning::default() }, 6),
        (Tuning { history: 0, ..Tuning::default() }, 1),
        // An entry has 40 bytes and a few more.
        (Tuning { history_bytes: 100, ..Tuning::default() }, 3),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let open = || Store::open_with(directory.path(), CHAIN, tuning).unwrap();
        let mut roots = VecDeque::from([StateRoot::EMPTY]);
        for number in 0..20_u32 {
            let store = open();
            let state = put(&store.head(), &[("a", &format!("{number:015}")), ("b", "")]);
            store.commit(&state, vec![]).unwrap();
            roots.push_front(state.root());
        }
        let store = open();
        let found: Vec<bool> = roots.iter().map(|root| store.at(root).is_ok()).collect();
        assert_eq!(found.iter().filter(|found| **found).count(), kept, "{tuning:?} {found:?}");
        assert!(found[..kept].iter().all(|found| *found), "the newest");
        let stranger = StateRoot { root: Hash([7; 32]), leaves: 1 };
        assert_eq!(store.at(&stranger).map(|_| ()), Err(HistoryError::Unknown { root: stranger, kept: kept as u64 }));
    }
}

/// Checks STATE-2 and STATE-7: who looks at the past sees it, whatever is committed meanwhile, and may go on with it as long as it likes.
#[test]
fn looking_back_while_committing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), CHAIN).unwrap();
    let mut roots = Vec::new();
    let commit = |number: u32| {
        let state = put(&store.head(), &[("a", &number.to_string()), (&format!("b{number}"), "new")]);
        store.commit(&state, vec![]).unwrap();
        state.root()
    };
    roots.extend((0..50).map(commit));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut held = Vec::new();
            for (number, root) in roots.iter().enumerate().cycle().take(150) {
                let state = store.at(root).unwrap();
                held.push((number, state));
                for (number, state) in held.iter().rev().take(20) {
                    assert_eq!(state.get(b"a"), Some(number.to_string().into_bytes()));
                    assert_eq!(state.get(format!("b{}", number + 1).as_bytes()), None);
                    assert!(state.prove(b"a").verify(&roots[*number], b"a", Some(number.to_string().as_bytes())));
                }
            }
        });
        (50..250).for_each(|number| assert_eq!(commit(number).leaves, u64::from(number) + 2));
        reader.join().unwrap();
    });
}
