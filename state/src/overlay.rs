//! The state while a block runs: a write set over a sealed parent, with checkpoints for transactions that fail.

use primitives::Hash;

use crate::rule;
use crate::sealed::{Changes, Sealed, Written};

/// Longest key in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// Longest value in bytes: some thousand are usual, and a chunk of a snapshot or a proven answer should hold several.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// A pair that is too long. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key of {key} bytes with a value of {value}: keys have {KEY_BYTES_MAX} bytes at most, values {VALUE_BYTES_MAX}")]
pub struct TooLong {
    /// Bytes of the key.
    pub key: usize,
    /// Bytes of the value.
    pub value: usize,
}

/// A mutable state. Nothing of it is seen by others before [`Overlay::seal`].
#[derive(Clone, Debug)]
pub struct Overlay {
    parent: Sealed,
    changes: Changes,
    /// What each write replaced, oldest first.
    journal: Vec<Replaced>,
}

/// What one write replaced in the changes of its overlay.
#[derive(Clone, Debug)]
struct Replaced {
    path: Hash,
    /// The earlier change of this key, if there was one.
    change: Option<Written>,
}

/// A moment in the life of one overlay, to which [`Overlay::rollback`] returns. Dropping it keeps what was written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint(usize);

impl Overlay {
    pub(crate) fn new(parent: Sealed) -> Self {
        Self { parent, changes: Changes::new(), journal: Vec::new() }
    }

    /// The state this one grows from.
    pub fn parent(&self) -> &Sealed {
        &self.parent
    }

    /// The value of `key` as this overlay sees it: its own write, or its parent's value.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let path = rule::path(key);
        self.changes.get(&path).map_or_else(|| self.parent.at(&path), |written| written.value.clone())
    }

    /// Sets the value of `key`. An empty value is a value.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), TooLong> {
        if key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
            return Err(TooLong { key: key.len(), value: value.len() });
        }
        self.set(key, Some(value));
        Ok(())
    }

    /// Removes `key`, whether it has a value or not.
    pub fn delete(&mut self, key: &[u8]) {
        self.set(key.to_vec(), None);
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let path = rule::path(&key);
        let change = self.changes.insert(path, Written { key, value });
        self.journal.push(Replaced { path, change });
    }

    /// Marks this moment. Checkpoints nest: rolling back to one also undoes what came after any later one.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.journal.len())
    }

    /// Undoes every write since `checkpoint`, which must be of this overlay and not later than a moment already rolled back to.
    pub fn rollback(&mut self, checkpoint: Checkpoint) {
        while self.journal.len() > checkpoint.0 {
            let Some(Replaced { path, change }) = self.journal.pop() else { return };
            match change {
                Some(change) => self.changes.insert(path, change),
                None => self.changes.remove(&path),
            };
        }
    }

    /// Ends the block: computes the new tree, which shares with its parent's all that did not change.
    pub fn seal(self) -> Sealed {
        self.parent.after(&self.changes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::rule::{self, StateRoot};
    use crate::{Memory, model};
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Act {
        Put(u8, u8),
        Delete(u8),
        Begin,
        Keep,
        Fail,
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            4 => (0..12_u8, any::<u8>()).prop_map(|(key, value)| Act::Put(key, value)),
            2 => (0..12_u8).prop_map(Act::Delete),
            2 => Just(Act::Begin),
            1 => Just(Act::Keep),
            2 => Just(Act::Fail),
        ];
        proptest::collection::vec(act, 0..60)
    }

    proptest! {
        /// Checks STATE-4: nested transactions against a stack of maps.
        #[test]
        fn checkpoints(before in model::changes(), acts in acts()) {
            let mut pairs = BTreeMap::new();
            let parent = model::apply(&Memory::new(), &mut pairs, &before);
            let mut overlay = parent.child();
            let mut open: Vec<(Checkpoint, model::Pairs)> = Vec::new();
            for act in acts {
                match act {
                    Act::Put(key, value) => {
                        overlay.put(vec![key], vec![value]).expect("short");
                        pairs.insert(vec![key], vec![value]);
                    }
                    Act::Delete(key) => {
                        overlay.delete(&[key]);
                        pairs.remove(&[key][..]);
                    }
                    Act::Begin => open.push((overlay.checkpoint(), pairs.clone())),
                    Act::Keep => drop(open.pop()),
                    Act::Fail => {
                        if let Some((checkpoint, saved)) = open.pop() {
                            overlay.rollback(checkpoint);
                            pairs = saved;
                        }
                    }
                }
                for key in 0..12 {
                    prop_assert_eq!(overlay.get(&[key]), pairs.get(&[key][..]).cloned());
                }
            }
            model::check(&overlay.seal(), &pairs);
        }

        /// Checks STATE-1 and STATE-2: forks of undecided states in any shape, each with its own content.
        #[test]
        fn forks(steps in proptest::collection::vec((any::<prop::sample::Index>(), model::changes()), 1..12)) {
            let mut states = vec![(Memory::new(), BTreeMap::new())];
            for (parent, changes) in &steps {
                let (state, mut pairs) = parent.get(&states).clone();
                states.push((model::apply(&state, &mut pairs, changes), pairs));
            }
            for (state, pairs) in &states {
                model::check(state, pairs);
            }
        }
    }

    /// At the limits a pair is taken, one byte above them nothing is changed.
    #[test]
    fn limits() {
        let mut overlay = Memory::new().child();
        overlay.put(vec![1; KEY_BYTES_MAX], vec![2; VALUE_BYTES_MAX]).expect("at the limit");
        for (key, value) in [(KEY_BYTES_MAX + 1, 0), (0, VALUE_BYTES_MAX + 1)] {
            assert_eq!(overlay.put(vec![1; key], vec![2; value]), Err(TooLong { key, value }));
            assert_eq!(overlay.get(&vec![1; key]), None);
        }
        let state = overlay.seal();
        assert_eq!((state.len(), state.get(&[1; KEY_BYTES_MAX]).map(|value| value.len())), (1, Some(VALUE_BYTES_MAX)));
    }

    #[test]
    fn empty_values_are_values() {
        let mut overlay = Memory::new().child();
        overlay.put(b"here".to_vec(), vec![]).expect("short");
        let state = overlay.seal();
        assert_eq!((state.get(b"here"), state.get(b"gone"), state.len(), state.is_empty()), (Some(vec![]), None, 1, false));
        assert_eq!(state.root().root, rule::leaf(&rule::path(b"here"), &rule::digest(b"")));
        let mut overlay = state.child();
        overlay.delete(b"here");
        assert_eq!(overlay.seal().root(), StateRoot::EMPTY);
    }
}
