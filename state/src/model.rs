//! For tests: what a state should be, as a sorted map of pairs and the fold of the rule.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::rule::{self, StateRoot};
use crate::sealed::Sealed;

/// The pairs of one state.
pub(crate) type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Keys are one byte below this, so that blocks hit one another's.
const KEYS: u8 = 24;

/// What a block does to keys: a new value, or none.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The changes of one block: few keys, so that puts, deletes and re-inserts meet.
pub(crate) fn changes() -> impl Strategy<Value = Changes> {
    let value = proptest::option::weighted(0.7, proptest::collection::vec(0..3_u8, 0..3));
    proptest::collection::btree_map((0..KEYS).prop_map(|key| vec![key]), value, 0..12)
}

/// The state after `changes`, and the same in the map.
pub(crate) fn apply(state: &Sealed, pairs: &mut Pairs, changes: &Changes) -> Sealed {
    let mut overlay = state.child();
    for (key, value) in changes {
        match value {
            Some(value) => {
                overlay.put(key.clone(), value.clone()).expect("short");
                pairs.insert(key.clone(), value.clone());
            }
            None => {
                overlay.delete(key);
                pairs.remove(key);
            }
        }
    }
    overlay.seal()
}

/// The root of the map, by the fold.
pub(crate) fn root(pairs: &Pairs) -> StateRoot {
    let mut leaves: Vec<_> = pairs.iter().map(|(key, value)| (rule::path(key), rule::digest(value))).collect();
    leaves.sort();
    StateRoot { root: rule::root(&leaves), leaves: leaves.len() as u64 }
}

/// Root, values, scans and proofs of `state` are those of the map.
pub(crate) fn check(state: &Sealed, pairs: &Pairs) {
    assert_eq!(state.root(), root(pairs));
    let half = [KEYS / 2];
    for (prefix, from) in [(&[][..], &[][..]), (&[], &half), (&half, &[]), (&half, &half), (&half, &[KEYS])] {
        let mut scanned = Vec::new();
        state.scan_from(prefix, from, |key, value| {
            scanned.push((key.to_vec(), value.to_vec()));
            true
        });
        let is_wanted = |(key, _): &(&Vec<u8>, _)| key.starts_with(prefix) && key.as_slice() >= from;
        let expected: Vec<_> = pairs.iter().filter(is_wanted).map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(scanned, expected, "prefix {prefix:?} from {from:?}");
    }
    for key in (0..KEYS).map(|key| vec![key]).chain(pairs.keys().cloned()) {
        let value = pairs.get(&key);
        assert_eq!(state.get(&key).as_ref(), value, "key {key:?}");
        assert!(state.prove(&key).verify(&state.root(), &key, value.map(Vec::as_slice)), "key {key:?}");
    }
}
