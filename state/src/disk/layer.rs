//! How a state on disk reads its values while the disk moves on: layers of uncommitted changes over one committed version.
//!
//! A [`Version`] is one committed state. The disk always holds the newest; each older one that somebody still holds knows what the next commit replaced. So
//! the value of a key in a version is what the first later commit that changed it replaced, and what is on disk if none did. Every commit attaches what it
//! replaces *before* it writes, and every reader asks the disk *before* it looks for later commits: whoever sees a new value on disk also finds the old one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock, RwLock};

use super::database::{Database, Family};
use super::{read, write};
use crate::sealed::Changes;

/// One committed state.
pub(crate) struct Version {
    database: Arc<Database>,
    next: OnceLock<Next>,
}

/// The commit after a version: what it replaced, and the version it made.
struct Next {
    replaced: Changes,
    version: Arc<Version>,
}

impl Version {
    /// What is on disk now.
    pub fn newest(database: Arc<Database>) -> Arc<Self> {
        Arc::new(Self { database, next: OnceLock::new() })
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let on_disk = self.database.get(Family::Values, key);
        let mut version = self;
        while let Some(next) = version.next.get() {
            if let Some(value) = next.replaced.get(key) {
                return value.clone();
            }
            version = &next.version;
        }
        on_disk
    }

    /// Shows the pairs under `prefix` as they are here under `changes`, by key.
    fn scan(&self, prefix: &[u8], mut changes: Changes, mut show: impl FnMut(&[u8], &[u8])) {
        // As in `get`: the rows stand still from here on, then later commits say what they replaced, the first one of a key being the right one.
        let rows = self.database.rows_under(Family::Values, prefix);
        let mut version = self;
        while let Some(next) = version.next.get() {
            for (key, value) in under(&next.replaced, prefix) {
                changes.entry(key.clone()).or_insert_with(|| value.clone());
            }
            version = &next.version;
        }
        let mut changes = changes.into_iter().peekable();
        for (key, value) in rows {
            while let Some((changed, value)) = changes.next_if(|(changed, _)| changed.as_slice() < &*key) {
                value.into_iter().for_each(|value| show(&changed, &value));
            }
            match changes.next_if(|(changed, _)| changed.as_slice() == &*key) {
                Some((_, value)) => value.into_iter().for_each(|value| show(&key, &value)),
                None => show(&key, &value),
            }
        }
        for (key, value) in changes {
            value.into_iter().for_each(|value| show(&key, &value));
        }
    }

    /// Prepares for the write of `changes`: from here on this version answers by what they replace. Returns the version they make.
    pub fn succeed(&self, changes: &BTreeMap<&[u8], Option<&[u8]>>) -> Arc<Self> {
        let values = self.database.get_many(Family::Values, changes.keys().copied());
        let replaced = changes.keys().map(|key| key.to_vec()).zip(values).collect();
        let version = Self::newest(Arc::clone(&self.database));
        let next = Next { replaced, version: Arc::clone(&version) };
        assert!(self.next.set(next).is_ok(), "only the head is succeeded, by one commit at a time");
        version
    }
}

/// The changes of keys that start with `prefix`.
fn under<'a>(changes: &'a Changes, prefix: &'a [u8]) -> impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)> {
    changes.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix))
}

/// A long line of versions that ends at once is taken apart in a loop: dropping one inside the other would exhaust the stack.
impl Drop for Version {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(Next { version, .. }) = next {
            next = Arc::into_inner(version).and_then(|mut version| version.next.take());
        }
    }
}

/// The changes of one sealed state that is not committed, or was not when it was made.
pub(crate) struct Layer {
    changes: Changes,
    /// What is below; nothing once this layer is committed.
    below: RwLock<Option<Place>>,
    /// The version that this layer became.
    committed: OnceLock<Arc<Version>>,
}

impl Layer {
    /// What the state of this layer changed in the one below.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Ends the layer: its content is on disk as `version`. It lets go of all that was below.
    pub fn became(&self, version: Arc<Version>) {
        assert!(self.committed.set(version).is_ok(), "a layer is committed once");
        *write(&self.below) = None;
    }

    /// The value of `key` in this layer, or where to go on looking.
    fn look(&self, key: &[u8]) -> ControlFlow<Option<Vec<u8>>, Place> {
        if let Some(version) = self.committed.get() {
            return ControlFlow::Continue(Place::Version(Arc::clone(version)));
        }
        if let Some(value) = self.changes.get(key) {
            return ControlFlow::Break(value.clone());
        }
        ControlFlow::Continue(self.below())
    }

    fn below(&self) -> Place {
        let below = read(&self.below).clone();
        below.unwrap_or_else(|| Place::Version(Arc::clone(self.committed.get().expect("only a committed layer has nothing below"))))
    }
}

/// As with versions: a long line of undecided states ends in a loop.
impl Drop for Layer {
    fn drop(&mut self) {
        let mut below = write(&self.below).take();
        while let Some(Place::Layer(layer)) = below {
            below = Arc::into_inner(layer).and_then(|layer| write(&layer.below).take());
        }
    }
}

/// Where a state reads its values.
#[derive(Clone)]
pub(crate) enum Place {
    Version(Arc<Version>),
    Layer(Arc<Layer>),
}

impl Place {
    /// The value of `key`: newest layer first, the disk last.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut place = self.clone();
        loop {
            match place {
                Self::Version(version) => return version.get(key),
                Self::Layer(layer) => match layer.look(key) {
                    ControlFlow::Break(value) => return value,
                    ControlFlow::Continue(below) => place = below,
                },
            }
        }
    }

    /// Shows the pairs under `prefix`, by key.
    pub fn scan(&self, prefix: &[u8], show: impl FnMut(&[u8], &[u8])) {
        let (layers, version) = self.pending();
        let mut changes = Changes::new();
        for layer in &layers {
            for (key, value) in under(layer.changes(), prefix) {
                changes.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        version.scan(prefix, changes, show);
    }

    /// A place above this one.
    pub fn above(&self, changes: Changes) -> Self {
        Self::Layer(Arc::new(Layer { changes, below: RwLock::new(Some(self.clone())), committed: OnceLock::new() }))
    }

    /// The version this place stands on, and the layers between that are not committed, newest first.
    pub fn pending(&self) -> (Vec<Arc<Layer>>, Arc<Version>) {
        let mut layers = Vec::new();
        let mut place = self.clone();
        loop {
            match place {
                Self::Version(version) => return (layers, version),
                Self::Layer(layer) => {
                    if let Some(version) = layer.committed.get() {
                        return (layers, Arc::clone(version));
                    }
                    place = layer.below();
                    layers.push(layer);
                }
            }
        }
    }
}
