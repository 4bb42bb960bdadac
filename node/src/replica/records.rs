//! What a replica keeps on disk beside the tree: blocks, indexes, the tip's proof, and what consensus wants kept.

use std::ops::Bound;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use chain::ledger::block::{PAYLOAD_BYTES_MAX, transaction_hash};
use chain::ledger::query::{EPOCH_PROOFS_BYTES_MAX, EPOCH_PROOFS_MAX};
use chain::ledger::{Body, Executed, Log, Receipt, Snapshot, Summary};
use consensus::evidence::Evidence;
use consensus::light::EpochProof;
use consensus::message::{Stored, Tip};
use consensus::{Block, Finality, Header, Justification, Members};
use primitives::encoding::{decode, encode};
use primitives::{Epoch, Hash, Height};
use state::{Direction, Record, Store};

const BLOCKS: u8 = 1;
const HEIGHTS: u8 = 2;
const TRANSACTIONS: u8 = 3;
const NEWEST: u8 = 4;
const TIP: u8 = 5;
const KEPT_BLOCKS: u8 = 6;
const KEPT_JUSTIFICATION: u8 = 7;
const EVIDENCE: u8 = 8;
const EPOCH_ENDS: u8 = 9;
/// Of the epochs whose end changed the voters: who votes in the next.
const EPOCH_MEMBERS: u8 = 10;
/// The epoch of the snapshot that this replica began with, if it did.
const JOINED: u8 = 11;
/// The index of events ([`super::events`]).
pub const TOPICS: u8 = 12;
/// The first block whose events are in it.
pub const INDEXED_FROM: u8 = 13;

/// That the sums of a state did not hold, by which the replica stopped ([`super::audit`]).
const BROKEN: u8 = 14;

/// Largest record: a block with its receipts and its justification.
const RECORD_BYTES_MAX: usize = 8 * PAYLOAD_BYTES_MAX;
/// Most bytes of the closing blocks kept with an epoch's last block.
const CLOSING_BYTES_MAX: usize = 4 * PAYLOAD_BYTES_MAX;
/// The only key of tables with one record.
pub(super) const ONLY: &[u8] = b"";

/// A final block as it is kept.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct StoredBlock {
    /// The block.
    pub block: Block,
    /// One receipt per transaction.
    pub receipts: Vec<Receipt>,
    /// What happened outside transactions.
    pub logs: Vec<Log>,
    /// Proof of this very block, if one was seen; else a later block proves it.
    pub finality: Option<Finality>,
    /// Of an epoch's last block: the closing blocks up to the one that a quorum finalized.
    pub closing: Vec<Arc<Block>>,
}

impl StoredBlock {
    /// What consensus keeps of it.
    pub fn into_consensus(self) -> Stored {
        Stored { block: Arc::new(self.block), finality: self.finality, closing: self.closing }
    }

    /// The block's body. The block was executed here, so it has one.
    pub fn body(&self) -> Option<Body> {
        Body::from_payload(&self.block.payload)
    }
}

/// Where the chain stands: the newest final block.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct StoredTip {
    /// Header and proof.
    pub tip: Tip,
    /// The block's summary.
    pub summary: Summary,
}

pub(super) fn record(table: u8, key: impl Into<Vec<u8>>, value: Option<Vec<u8>>) -> Record {
    Record { table, key: key.into(), value }
}

fn read<T: BorshDeserialize>(bytes: &[u8]) -> Option<T> {
    decode(bytes, RECORD_BYTES_MAX).ok()
}

/// The records of block 0.
pub fn genesis(header: &Header, summary: &Summary) -> Vec<Record> {
    let tip = StoredTip { tip: Tip { header: header.clone(), finality: None }, summary: summary.clone() };
    vec![record(TIP, ONLY, Some(encode(&tip)))]
}

/// The records of a snapshot's block, which is the last of its epoch: it is where the chain stands, and what the next epoch begins with.
pub fn joined(snapshot: &Snapshot, summary: &Summary) -> Vec<Record> {
    let Snapshot { block, finality, next } = snapshot;
    let (height, epoch) = (block.header.height, block.header.epoch.0.to_be_bytes());
    let stored = StoredBlock { block: block.clone(), receipts: Vec::new(), logs: Vec::new(), finality: Some(finality.clone()), closing: Vec::new() };
    let tip = StoredTip { tip: Tip { header: block.header.clone(), finality: Some(finality.clone()) }, summary: summary.clone() };
    let mut records = vec![
        record(BLOCKS, height.0.to_be_bytes(), Some(encode(&stored))),
        record(HEIGHTS, block.header.hash().0, Some(encode(&height))),
        record(EPOCH_ENDS, epoch, Some(encode(&height))),
        record(TIP, ONLY, Some(encode(&tip))),
    ];
    if next.hash() != block.header.members {
        records.push(record(EPOCH_MEMBERS, epoch, Some(encode(next))));
    }
    records.push(record(JOINED, ONLY, Some(encode(&block.header.epoch))));
    records
}

/// The records of final blocks, the last of which `finality` proves; forgets what was kept for consensus at their heights.
pub fn finalized(store: &Store, blocks: &[(Arc<Block>, &Executed)], finality: &Finality, closing: &[Arc<Block>]) -> Vec<Record> {
    let mut records = Vec::new();
    let Some((last, last_executed)) = blocks.last() else { return records };
    // An outage of hours at an epoch's end makes very many of them: then their headers, which the proof has, must do.
    let bytes = closing.iter().fold(0_usize, |sum, block| sum.saturating_add(borsh::object_length(block).unwrap_or(usize::MAX)));
    let kept = if bytes <= CLOSING_BYTES_MAX { closing } else { &[] };
    for (block, executed) in blocks {
        let (height, hash) = (block.header.height, block.header.hash());
        let (proof, closing) = if height == last.header.height { (Some(finality.clone()), kept.to_vec()) } else { (None, Vec::new()) };
        for block in &closing {
            // Found by its hash beside the block that it closes.
            records.push(record(HEIGHTS, block.header.hash().0, Some(encode(&height))));
        }
        let stored = StoredBlock { block: (**block).clone(), receipts: executed.receipts.clone(), logs: executed.logs.clone(), finality: proof, closing };
        records.push(record(BLOCKS, height.0.to_be_bytes(), Some(encode(&stored))));
        if block.header.is_last() {
            let epoch = block.header.epoch.0.to_be_bytes();
            records.push(record(EPOCH_ENDS, epoch, Some(encode(&height))));
            // Only where they change, so that the changes of many epochs are found without a look at the others.
            if let Some(next) = executed.next.as_ref().filter(|next| next.hash() != block.header.members) {
                records.push(record(EPOCH_MEMBERS, epoch, Some(encode(next))));
            }
        }
        records.push(record(HEIGHTS, hash.0, Some(encode(&height))));
        for (index, bytes) in (0u32..).zip(&executed.body.transactions) {
            let transaction = transaction_hash(bytes);
            records.push(record(TRANSACTIONS, transaction.0, Some(encode(&(height, index)))));
            records.push(record(NEWEST, [&height.0.to_be_bytes()[..], &index.to_be_bytes()].concat(), Some(Vec::new())));
        }
    }
    let tip = StoredTip { tip: Tip { header: last.header.clone(), finality: Some(finality.clone()) }, summary: last_executed.body.summary.clone() };
    records.push(record(TIP, ONLY, Some(encode(&tip))));
    let bound = last.header.height.next().0.to_be_bytes();
    for (key, _) in store.records(KEPT_BLOCKS, &[], Bound::Unbounded, Direction::Forward, usize::MAX) {
        if key.as_slice() < bound.as_slice() {
            records.push(record(KEPT_BLOCKS, key, None));
        }
    }
    records
}

/// Keeps an undecided block until a block as high is final.
pub fn keep_block(block: &Block) -> Record {
    record(KEPT_BLOCKS, [&block.header.height.0.to_be_bytes()[..], block.header.hash().as_bytes()].concat(), Some(encode(block)))
}

/// Keeps why this replica is in its view.
pub fn keep_justification(justification: &Justification) -> Record {
    record(KEPT_JUSTIFICATION, ONLY, Some(encode(justification)))
}

/// Says for the next start whether the replica stopped because of its sums.
pub fn broken(is_broken: bool) -> Record {
    record(BROKEN, ONLY.to_vec(), is_broken.then(Vec::new))
}

/// Whether the replica stopped because of its sums.
pub fn is_broken(store: &Store) -> bool {
    store.record(BROKEN, ONLY).is_some()
}

/// Keeps the proof that a member contradicted itself.
pub fn keep_evidence(evidence: &Evidence) -> Record {
    record(EVIDENCE, [&evidence.epoch().0.to_be_bytes()[..], &evidence.signer().to_be_bytes()].concat(), Some(encode(evidence)))
}

/// All evidence that was kept.
pub fn evidence(store: &Store) -> Vec<Evidence> {
    let rows = store.records(EVIDENCE, &[], Bound::Unbounded, Direction::Forward, usize::MAX);
    rows.iter().filter_map(|(_, bytes)| read(bytes)).collect()
}

/// The last block of an epoch.
pub fn epoch_end(store: &Store, epoch: Epoch) -> Option<StoredBlock> {
    block(store, read(&store.record(EPOCH_ENDS, &epoch.0.to_be_bytes())?)?)
}

/// How the voters changed at the ends of the epochs from this one on, if they are all known here: the first [`EPOCH_PROOFS_MAX`] of them, fewer if they are
/// long, but one at least.
pub fn epoch_proofs(store: &Store, from: Epoch) -> Vec<EpochProof> {
    let joined: Option<Epoch> = store.record(JOINED, ONLY).and_then(|bytes| read(&bytes));
    if joined.is_some_and(|joined| from < joined) {
        // What changed before is not known here, and proofs with a gap lead nowhere.
        return Vec::new();
    }
    let first = from.0.to_be_bytes();
    let rows = store.records(EPOCH_MEMBERS, &[], Bound::Included(first.as_slice()), Direction::Forward, EPOCH_PROOFS_MAX);
    let proofs = rows.iter().map_while(|(key, members)| {
        let epoch = Epoch(u64::from_be_bytes(key.as_slice().try_into().ok()?));
        let StoredBlock { block, finality, .. } = epoch_end(store, epoch)?;
        Some(EpochProof { last: block.header, finality: finality?, next: read::<Members>(members)? })
    });
    let mut bytes = 0;
    let is_within = |proof: &EpochProof| {
        let before = bytes;
        bytes += encode(proof).len();
        before < EPOCH_PROOFS_BYTES_MAX
    };
    proofs.take_while(is_within).collect()
}

/// A final block, or a block that closed an epoch, by its hash.
pub fn block_of(store: &Store, hash: &Hash) -> Option<Arc<Block>> {
    let StoredBlock { block, closing, .. } = block(store, height_of(store, hash)?)?;
    closing.into_iter().chain([Arc::new(block)]).find(|block| block.header.hash() == *hash)
}

/// Where the chain stands; `None` in a new directory.
pub fn tip(store: &Store) -> Option<StoredTip> {
    read(&store.record(TIP, ONLY)?)
}

/// What consensus wanted kept.
pub fn kept(store: &Store) -> (Option<Justification>, Vec<Arc<Block>>) {
    let justification = store.record(KEPT_JUSTIFICATION, ONLY).and_then(|bytes| read(&bytes));
    let blocks = store.records(KEPT_BLOCKS, &[], Bound::Unbounded, Direction::Forward, usize::MAX);
    (justification, blocks.iter().filter_map(|(_, bytes)| read(bytes).map(Arc::new)).collect())
}

/// A final block.
pub fn block(store: &Store, height: Height) -> Option<StoredBlock> {
    read(&store.record(BLOCKS, &height.0.to_be_bytes())?)
}

/// The height of a final block; of a block that closed an epoch, the height of the epoch's last.
pub fn height_of(store: &Store, hash: &Hash) -> Option<Height> {
    read(&store.record(HEIGHTS, &hash.0)?)
}

/// Block and position of a final transaction.
pub fn transaction_place(store: &Store, hash: &Hash) -> Option<(Height, u32)> {
    read(&store.record(TRANSACTIONS, &hash.0)?)
}

/// Block, position and receipt of a final transaction.
pub fn transaction(store: &Store, hash: &Hash) -> Option<(Height, u32, Receipt)> {
    let (height, index) = transaction_place(store, hash)?;
    let receipt = block(store, height)?.receipts.into_iter().nth(usize::try_from(index).ok()?)?;
    Some((height, index, receipt))
}

/// Block and position of the newest final transactions, newest first.
pub fn newest_transactions(store: &Store, limit: usize) -> Vec<(Height, u32)> {
    let rows = store.records(NEWEST, &[], Bound::Unbounded, Direction::Backward, limit);
    rows.iter()
        .filter_map(|(key, _)| {
            let (height, index) = key.split_at_checked(8)?;
            Some((Height(u64::from_be_bytes(height.try_into().ok()?)), u32::from_be_bytes(index.try_into().ok()?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use consensus::light::LightClient;
    use consensus::{Certificate, Kind, Member, Vote};
    use primitives::{Amount, SecretKey, Time, View};
    use state::Memory;

    use super::*;

    const CHAIN: Hash = Hash([1; 32]);

    /// The voters of an epoch: others after each odd one.
    fn voter(epoch: u64) -> (SecretKey, Members) {
        let secret = SecretKey::from_seed(&Hash::of("voter", &[&epoch.div_ceil(2).to_be_bytes()]).0);
        let members = Members::new(vec![Member { key: secret.public(), weight: 1 }]).expect("a key");
        (secret, members)
    }

    /// Writes the last block of an epoch, finalized so many closing blocks later.
    fn end(store: &Store, epoch: u64, closing: usize) {
        let ((secret, members), next) = (voter(epoch), voter(epoch + 1).1);
        let state = Memory::new().child().seal();
        let summary = Summary::genesis(state.root(), Amount(1), 1, Hash::ZERO);
        let last = Header {
            epoch: Epoch(epoch),
            view: View(1),
            height: Height(epoch + 1),
            next_members: next.hash(),
            ..Header::genesis(CHAIN, &members, Time(epoch), summary.digest())
        };
        let mut headers = vec![last.clone()];
        for _ in 0..closing {
            let parent = &headers[headers.len() - 1];
            headers.push(Header {
                view: parent.view.next(),
                height: parent.height.next(),
                parent: parent.hash(),
                parent_view: parent.view,
                time: Time(parent.time.0 + 1),
                payload: Hash::ZERO,
                ..last.clone()
            });
        }
        let top = &headers[closing];
        let vote = Vote { epoch: top.epoch, view: top.view, kind: Kind::Finalize(top.hash()) };
        let signature = secret.sign_deterministic(&Vote::context(CHAIN), &vote.sign_bytes(members.hash()));
        let finality = Finality { certificate: Certificate::new(vote, &members, [(0, signature)]), headers: headers[1..].to_vec() };
        let block = Block { header: last, justification: Justification::first(Epoch(epoch)), payload: Vec::new() };
        let body = Body { summary, evidence: Vec::new(), transactions: Vec::new() };
        let executed = Executed { state, body, receipts: Vec::new(), logs: Vec::new(), next: Some(next) };
        store.write(finalized(store, &[(Arc::new(block), &executed)], &finality, &[]));
    }

    #[test]
    fn changes_of_voters_are_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path(), CHAIN).expect("a store");
        let ends = |from: u64| epoch_proofs(&store, Epoch(from)).iter().map(|proof| proof.last.epoch.0).collect::<Vec<_>>();
        assert!(ends(0).is_empty());
        for epoch in 0..200 {
            end(&store, epoch, 0);
        }
        let changes: Vec<u64> = (0..200).filter(|epoch| voter(*epoch).1 != voter(epoch + 1).1).collect();
        assert_eq!(changes.len(), 100);
        for from in [0, 1, 2, 99, 100, 150, 199, 200] {
            let expected: Vec<u64> = changes.iter().copied().filter(|epoch| *epoch >= from).take(EPOCH_PROOFS_MAX).collect();
            assert_eq!(ends(from), expected, "from {from}");
        }
        // A light client comes from genesis to the end with them, in two questions.
        let mut light = LightClient::new(CHAIN, Epoch(0), voter(0).1, None);
        for _ in 0..2 {
            for proof in epoch_proofs(&store, light.epoch()) {
                assert_eq!(light.advance(proof), Ok(()));
            }
        }
        assert_eq!(light.members(), &voter(200).1);
        assert!(epoch_proofs(&store, light.epoch()).is_empty());
        // Long ones are fewer.
        for epoch in 200..220 {
            end(&store, epoch, 1500);
        }
        let bytes: usize = epoch_proofs(&store, Epoch(200)).iter().map(|proof| encode(proof).len()).sum();
        let one = encode(&epoch_proofs(&store, Epoch(200))[0]).len();
        assert!((EPOCH_PROOFS_BYTES_MAX..EPOCH_PROOFS_BYTES_MAX + one).contains(&bytes), "{bytes} bytes");
    }
}
