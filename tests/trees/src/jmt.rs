//! `jmt`, the Jellyfish Merkle tree of Penumbra and Sovereign. It brings no storage of its own: nodes and values lie in two column families, a block is one
//! synced batch, and every node on the way is read from RocksDB's cache.
//!
//! Layout, after Penumbra's: nodes by version and path, so that a block's are neighbours; values by key and version. Versions of values are inverted, so that
//! a forward seek finds the newest one and the filters, which know the keys alone, still help. Nothing is pruned.

use std::path::Path;

use ::jmt::proof::SparseMerkleProof;
use ::jmt::storage::{LeafNode, Node, NodeBatch, NodeKey, TreeReader, TreeWriter};
use ::jmt::{KeyHash, OwnedValue, RootHash, Sha256Jmt, Version};
use anyhow::{Context, Result};
use borsh::BorshDeserialize;
use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DB, Direction, IteratorMode, Options, ReadOptions, SliceTransform, WriteBatch};
use sha2::Sha256;

use crate::bare;
use crate::system::{Settings, System};
use crate::workload::{Key, Update};

const NODES: &str = "nodes";
const VALUES: &str = "values";
/// In the default family: the last version.
const LAST: &[u8] = b"last";
const KEY_BYTES: usize = 32;

/// Where the tree's nodes and values are.
struct Disk(DB);

fn node_row(key: &NodeKey) -> Result<Vec<u8>> {
    Ok([&key.version().to_be_bytes()[..], &borsh::to_vec(key.nibble_path())?].concat())
}

fn value_row(key: KeyHash, version: Version) -> Vec<u8> {
    [&key.0[..], &(Version::MAX - version).to_be_bytes()].concat()
}

impl Disk {
    fn family(&self, name: &str) -> &ColumnFamily {
        self.0.cf_handle(name).expect("every family was opened")
    }

    fn version(&self) -> Option<Version> {
        let bytes = self.0.get(LAST).expect("the disk reads")?;
        Some(Version::from_be_bytes(bytes.try_into().expect("what was written")))
    }
}

impl TreeReader for Disk {
    fn get_node_option(&self, key: &NodeKey) -> Result<Option<Node>> {
        let row = self.0.get_pinned_cf(self.family(NODES), node_row(key)?)?;
        row.map(|row| Node::try_from_slice(&row).context("a node")).transpose()
    }

    fn get_value_option(&self, max_version: Version, key: KeyHash) -> Result<Option<OwnedValue>> {
        let mut options = ReadOptions::default();
        options.set_prefix_same_as_start(true);
        let from = value_row(key, max_version);
        let row = self.0.iterator_cf_opt(self.family(VALUES), options, IteratorMode::From(&from, Direction::Forward)).next();
        let Some((_, value)) = row.transpose()?.filter(|(row, _)| row[..KEY_BYTES] == key.0) else {
            return Ok(None);
        };
        Ok(Option::<OwnedValue>::try_from_slice(&value)?)
    }

    /// Only a restoration asks for it.
    fn get_rightmost_leaf(&self) -> Result<Option<(NodeKey, LeafNode)>> {
        Ok(None)
    }
}

impl TreeWriter for Disk {
    fn write_node_batch(&self, nodes: &NodeBatch) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (key, node) in nodes.nodes() {
            batch.put_cf(self.family(NODES), node_row(key)?, borsh::to_vec(node)?);
        }
        for ((version, key), value) in nodes.values() {
            batch.put_cf(self.family(VALUES), value_row(*key, *version), borsh::to_vec(value)?);
        }
        if let Some(version) = nodes.nodes().keys().map(NodeKey::version).max() {
            batch.put(LAST, version.to_be_bytes());
        }
        bare::write(&self.0, batch);
        Ok(())
    }
}

/// The open tree.
pub struct Jmt {
    disk: Disk,
    /// The last version and its root.
    last: Option<(Version, RootHash)>,
}

impl Jmt {
    fn tree(&self) -> Sha256Jmt<'_, Disk> {
        Sha256Jmt::new(&self.disk)
    }

    fn last(&self) -> (Version, RootHash) {
        self.last.expect("a block was committed")
    }
}

impl System for Jmt {
    type Proof = SparseMerkleProof<Sha256>;

    fn open(path: &Path, settings: &Settings) -> Self {
        let cache = bare::cache(settings);
        let mut options = Options::default();
        bare::database(&mut options, settings);
        let mut values = bare::family(&cache);
        values.set_prefix_extractor(SliceTransform::create_fixed_prefix(KEY_BYTES));
        let families = [ColumnFamilyDescriptor::new(NODES, bare::family(&cache)), ColumnFamilyDescriptor::new(VALUES, values)];
        let disk = Disk(DB::open_cf_descriptors(&options, path, families).expect("our directory"));
        let version = disk.version();
        let last = version.map(|version| (version, Sha256Jmt::new(&disk).get_root_hash(version).expect("the root is there")));
        Self { disk, last }
    }

    fn commit(&mut self, block: &[Update<'_>]) {
        let version = self.last.map_or(0, |(version, _)| version + 1);
        let pairs = block.iter().map(|(key, value)| (KeyHash(*key), value.to_vec())).collect();
        let (roots, batch) = self.tree().batch_put_value_sets(vec![pairs], None, version).expect("the tree takes it");
        self.disk.write_node_batch(&batch.node_batch).expect("the disk takes it");
        self.last = Some((version, roots[0]));
    }

    fn root(&self) -> Option<[u8; 32]> {
        self.last.map(|(_, root)| root.0)
    }

    fn get(&mut self, key: &Key) -> Option<Vec<u8>> {
        self.tree().get(KeyHash(*key), self.last().0).expect("the disk reads")
    }

    fn prove(&mut self, key: &Key) -> Option<Self::Proof> {
        Some(self.tree().get_with_proof(KeyHash(*key), self.last().0).expect("the disk reads").1)
    }

    fn verify(&self, proof: &Self::Proof, key: &Key, value: Option<&[u8]>) -> bool {
        proof.verify(self.last().1, KeyHash(*key), value).is_ok()
    }

    fn bytes(proof: &Self::Proof) -> usize {
        borsh::to_vec(proof).expect("memory takes it").len()
    }

    fn close(self) {}
}
