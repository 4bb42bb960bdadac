//! The state of this tree, as a node opens it but for the size of its cache.

use std::path::Path;

use primitives::Hash;
use primitives::encoding::encode;
use state::{Proof, Sealed, Store, Tuning};

use crate::system::{Settings, System};
use crate::workload::{Key, Update};

const CHAIN: Hash = Hash([1; 32]);

/// The open store.
pub struct Ours {
    // Before the store: the directory is free when the last state of it is gone too.
    head: Sealed,
    store: Store,
}

impl System for Ours {
    type Proof = Proof;

    fn open(path: &Path, settings: &Settings) -> Self {
        let store = Store::open_with(path, CHAIN, Tuning { cache_bytes: settings.cache_bytes, ..Tuning::default() }).expect("our directory");
        Self { head: store.head(), store }
    }

    fn commit(&mut self, block: &[Update<'_>]) {
        let mut overlay = self.head.child();
        block.iter().for_each(|(key, value)| overlay.put(key.to_vec(), value.to_vec()).expect("short"));
        self.store.commit(&overlay.seal(), Vec::new()).expect("it grows from the head");
        self.head = self.store.head();
    }

    fn root(&self) -> Option<[u8; 32]> {
        Some(self.head.root().root.0)
    }

    fn get(&mut self, key: &Key) -> Option<Vec<u8>> {
        self.head.get(key)
    }

    fn prove(&mut self, key: &Key) -> Option<Proof> {
        Some(self.head.prove(key))
    }

    fn verify(&self, proof: &Proof, key: &Key, value: Option<&[u8]>) -> bool {
        proof.verify(&self.head.root(), key, value)
    }

    fn bytes(proof: &Proof) -> usize {
        encode(proof).len()
    }

    fn close(self) {}
}
