//! Reading what was: any key after any block whose state is kept, with what proves it to whoever knows the genesis only.
//!
//! # Protocol
//! 1. The stored block of the height says which root the state after it had, and the store goes back to that root.
//! 2. A block in the middle of a batch has no finality of its own: the headers of the blocks after it lead to the first that has one.
//! 3. The ends of the epochs that changed the voters lead from those of genesis to those who signed.

use chain::ledger::proven::{CHANGES_BYTES_MAX, Entry};
use chain::ledger::{Attested, Body, Certified, Proven, Rules, Traced};
use consensus::block::HEADERS_MAX;
use consensus::light::EpochProof;
use consensus::{Finality, Header, Members};
use primitives::{Epoch, Hash, Height};
use state::{HistoryError, Sealed, Store};

use super::{Replica, StoredBlock, records};

/// Why something cannot be proven here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PastError {
    /// Nothing but the genesis block is final.
    #[error("no block is final here yet; ask again in a moment")]
    Empty,
    /// Block 0.
    #[error("block 0 follows from the genesis file, so nobody signed it and nothing proves it; ask for a height from 1 on")]
    Genesis,
    /// A height that is not final here.
    #[error("block {asked} is not final here; the newest is {newest}, ask for that or a lower height")]
    Future {
        /// What was asked for.
        asked: Height,
        /// The newest final block.
        newest: Height,
    },
    /// The block is not kept here.
    #[error("block {asked} is not kept here, or what proves it final is not; the newest is {newest}: ask for a height nearer to it, or another node")]
    Missing {
        /// What was asked for.
        asked: Height,
        /// The newest final block.
        newest: Height,
    },
    /// The state after the block is not kept any more.
    #[error("the state after block {asked} is not kept: those after blocks {oldest} to {newest} are; ask for one of these, or another node")]
    Old {
        /// What was asked for.
        asked: Height,
        /// The oldest block the state after which is kept.
        oldest: Height,
        /// The newest final block.
        newest: Height,
    },
    /// There are more changes of voters than one answer takes.
    #[error(
        "the voters changed more often up to epoch {until} than {CHANGES_BYTES_MAX} bytes of proofs can show, which the first {count} changes fill; \
         ask for an older block, or follow the voters as a client of the network"
    )]
    Changes {
        /// The epoch of the block.
        until: Epoch,
        /// How many changes fit.
        count: usize,
    },
    /// The changes of voters that are kept here do not lead to the block.
    #[error(
        "who voted in epoch {epoch} cannot be proven here: its headers name {named}, the changes since genesis that are kept lead to {known}; ask another node"
    )]
    Voters {
        /// The epoch of the block.
        epoch: Epoch,
        /// Whom its headers name.
        named: Hash,
        /// Where the changes lead.
        known: Hash,
    },
}

impl<R: Rules> Replica<R> {
    /// The values under `keys` after the block of this height, or after the newest one, with all that proves them to whoever knows the `first` voters, of
    /// genesis.
    ///
    /// Waits for the disk; of the past it takes time and memory for what was changed since.
    ///
    /// # Errors
    /// [`PastError`] if they cannot be proven here.
    pub fn trace(&self, first: Members, height: Option<Height>, keys: &[Vec<u8>]) -> Result<Traced, PastError> {
        let proven = proven(self.after(height)?, keys);
        let header = &proven.certified.header;
        let changes = changes(&self.0.store, header.epoch)?;
        let members = changes.last().map_or(first, |change| change.next.clone());
        if members.hash() != header.members {
            return Err(PastError::Voters { epoch: header.epoch, named: header.members, known: members.hash() });
        }
        Ok(Traced { changes, attested: Attested { members, proven } })
    }

    /// The state after the block of this height, or after the newest one, and what certifies it.
    ///
    /// # Errors
    /// [`PastError`] if it is not kept here.
    pub fn after(&self, height: Option<Height>) -> Result<(Certified, Sealed), PastError> {
        let head = self.head();
        match height {
            None => Ok((head.certified.clone().ok_or(PastError::Empty)?, head.state.clone())),
            Some(height) => at(&self.0.store, head.header.height, height),
        }
    }
}

/// The state after the block of a height.
pub(super) fn at(store: &Store, newest: Height, asked: Height) -> Result<(Certified, Sealed), PastError> {
    if asked == Height::ZERO {
        return Err(PastError::Genesis);
    }
    if asked > newest {
        return Err(PastError::Future { asked, newest });
    }
    let certified = certified(store, asked).ok_or(PastError::Missing { asked, newest })?;
    let state = store.at(&certified.summary.state).map_err(|HistoryError::Unknown { root: _, kept }| {
        // Each commit is a block's, the newest the newest block's.
        PastError::Old { asked, oldest: Height(newest.0.saturating_sub(kept).saturating_add(1)), newest }
    })?;
    Ok((certified, state))
}

/// What a state says about keys.
fn proven((certified, state): (Certified, Sealed), keys: &[Vec<u8>]) -> Proven {
    let entry = |key: &Vec<u8>| Entry { key: key.clone(), value: state.get(key), proof: state.prove(key) };
    Proven { certified, entries: keys.iter().map(entry).collect() }
}

/// A final block's header with its proof; `None` if the block is not here, or no later one proves it.
fn certified(store: &Store, height: Height) -> Option<Certified> {
    let StoredBlock { block, finality, .. } = records::block(store, height)?;
    let summary = Body::from_payload(&block.payload)?.summary;
    let finality = finality.or_else(|| finality_after(store, &block.header))?;
    Some(Certified { header: block.header, summary, finality })
}

/// The first finality stored with a later block of the same epoch, led to by the headers between.
fn finality_after(store: &Store, header: &Header) -> Option<Finality> {
    let mut headers = Vec::new();
    let mut height = header.height;
    while headers.len() < HEADERS_MAX {
        height = height.next();
        let StoredBlock { block, finality, .. } = records::block(store, height)?;
        if block.header.epoch != header.epoch {
            return None;
        }
        headers.push(block.header);
        if let Some(finality) = finality {
            headers.extend(finality.headers);
            return (headers.len() <= HEADERS_MAX).then_some(Finality { headers, certificate: finality.certificate });
        }
    }
    None
}

/// Every change of voters at the ends of the epochs before `until`, in order.
fn changes(store: &Store, until: Epoch) -> Result<Vec<EpochProof>, PastError> {
    let (mut changes, mut bytes, mut from) = (Vec::new(), 0_usize, Epoch::ZERO);
    while from < until {
        let next = records::epoch_proofs(store, from);
        let Some(last) = next.last() else { break };
        from = last.last.epoch.next();
        for change in next.into_iter().take_while(|change| change.last.epoch < until) {
            bytes = bytes.saturating_add(borsh::object_length(&change).unwrap_or(usize::MAX));
            if bytes > CHANGES_BYTES_MAX {
                return Err(PastError::Changes { until, count: changes.len() });
            }
            changes.push(change);
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chain::ledger::{Executed, Summary};
    use consensus::{Block, Certificate, Justification, Kind, Member, Vote};
    use primitives::{Amount, SecretKey, Time, View};
    use state::{Memory, Tuning};

    use super::*;

    const CHAIN: Hash = Hash([1; 32]);

    fn voter(epoch: u64) -> (SecretKey, Members) {
        let secret = SecretKey::from_seed(&Hash::of("voter", &[&epoch.to_be_bytes()]).0);
        let members = Members::new(vec![Member { key: secret.public(), weight: 1 }]).expect("a key");
        (secret, members)
    }

    fn finality(header: &Header) -> Finality {
        let (secret, members) = voter(header.epoch.0);
        let vote = Vote { epoch: header.epoch, view: header.view, kind: Kind::Finalize(header.hash()) };
        let signature = secret.sign_deterministic(&Vote::context(CHAIN), &vote.sign_bytes(members.hash()));
        Finality::direct(Certificate::new(vote, &members, [(0, signature)]))
    }

    /// The block after `parent` with the state in which `height` is under `height`.
    fn block(parent: &Header, state: &state::Sealed) -> (Arc<Block>, Executed) {
        let mut child = state.child();
        child.put(b"height".to_vec(), parent.height.next().0.to_be_bytes().to_vec()).expect("short");
        let state = child.seal();
        let body = Body { summary: Summary::genesis(state.root(), Amount(1), 1, Hash::ZERO), evidence: Vec::new(), transactions: Vec::new() };
        let header = Header {
            view: parent.view.next(),
            height: parent.height.next(),
            parent: parent.hash(),
            parent_view: parent.view,
            time: Time(parent.time.0 + 1),
            payload: body.summary.digest(),
            ..parent.clone()
        };
        let block = Block { header, justification: Justification::first(Epoch(0)), payload: body.to_payload() };
        (Arc::new(block), Executed { state, body, receipts: Vec::new(), logs: Vec::new(), next: None })
    }

    /// Commits the next blocks together; only the last has a finality.
    fn commit(store: &Store, parent: &Header, count: usize) -> Header {
        let mut blocks: Vec<(Arc<Block>, Executed)> = Vec::new();
        for _ in 0..count {
            let (parent, state) =
                blocks.last().map_or_else(|| (parent.clone(), store.head()), |(block, executed)| (block.header.clone(), executed.state.clone()));
            blocks.push(block(&parent, &state));
        }
        let pairs: Vec<_> = blocks.iter().map(|(block, executed)| (block.clone(), executed)).collect();
        let (last, executed) = pairs.last().expect("blocks");
        store.commit(&executed.state, records::finalized(store, &pairs, &finality(&last.header), &[])).expect("they follow");
        last.header.clone()
    }

    fn first() -> Header {
        Header { view: View(1), ..Header::genesis(CHAIN, &voter(0).1, Time(1), Hash([5; 32])) }
    }

    #[test]
    fn every_height_that_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let tuning = Tuning { history: 3, ..Tuning::default() };
        let store = Store::open_with(directory.path(), CHAIN, tuning).expect("a store");
        let third = commit(&store, &first(), 3);
        let newest = commit(&store, &third, 2).height;
        let ask = |store: &Store, height| at(store, newest, Height(height)).map(|after| proven(after, &[b"height".to_vec()]));
        for height in 1..=5_u64 {
            let proven = ask(&store, height).expect("it is kept");
            assert_eq!(proven.certified.finality.headers.len(), [2, 1, 0, 1, 0][usize::try_from(height - 1).expect("small")], "at height {height}");
            let reading = proven.verify(CHAIN, &voter(0).1).expect("it is proven");
            assert_eq!(reading.bytes(b"height"), Some(Some(&height.to_be_bytes()[..])));
        }
        let absent = proven(at(&store, newest, Height(2)).expect("it is kept"), &[b"nothing".to_vec()]).verify(CHAIN, &voter(0).1).expect("it is proven");
        assert_eq!(absent.bytes(b"nothing"), Some(None));
        assert_eq!(ask(&store, 0).unwrap_err(), PastError::Genesis);
        assert_eq!(ask(&store, 6).unwrap_err(), PastError::Future { asked: Height(6), newest });
        assert_eq!(at(&store, Height(7), Height(6)).map(drop).unwrap_err(), PastError::Missing { asked: Height(6), newest: Height(7) });
        // A store forgets when it is flushed, here at its end.
        drop(store);
        let store = Store::open_with(directory.path(), CHAIN, tuning).expect("a store");
        let answers: Vec<bool> = (1..=5).map(|height| ask(&store, height).is_ok()).collect();
        let kept = answers.iter().filter(|is_kept| **is_kept).count();
        assert!((3..5).contains(&kept) && answers.is_sorted(), "{answers:?}");
        let error = ask(&store, 1).unwrap_err();
        let above = 5 - kept;
        assert_eq!(error, PastError::Old { asked: Height(1), oldest: Height(above as u64 + 1), newest });
        assert!(!answers[above - 1] && answers[above], "it is the first one that is kept");
    }

    #[test]
    fn voters_are_traced_to_genesis() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path(), CHAIN).expect("a store");
        let mut parent = Hash::ZERO;
        for epoch in 0..150 {
            let (members, next) = (voter(epoch).1, voter(epoch + 1).1);
            let summary = Summary::genesis(Memory::new().root(), Amount(1), 1, Hash::ZERO);
            let last = Header {
                epoch: Epoch(epoch),
                view: View(1),
                height: Height(epoch + 1),
                parent,
                next_members: next.hash(),
                ..Header::genesis(CHAIN, &members, Time(epoch), summary.digest())
            };
            parent = last.hash();
            let finality = finality(&last);
            let body = Body { summary, evidence: Vec::new(), transactions: Vec::new() };
            let executed = Executed { state: Memory::new(), body, receipts: Vec::new(), logs: Vec::new(), next: Some(next) };
            let block = Block { header: last, justification: Justification::first(Epoch(epoch)), payload: Vec::new() };
            store.write(records::finalized(&store, &[(Arc::new(block), &executed)], &finality, &[]));
        }
        for until in [0, 1, 63, 64, 65, 128, 149, 150] {
            let changes = changes(&store, Epoch(until)).expect("they fit");
            assert_eq!(changes.len() as u64, until);
            let mut light = consensus::light::LightClient::new(CHAIN, Epoch(0), voter(0).1, None);
            changes.into_iter().for_each(|change| light.advance(change).expect("it is proven"));
            assert_eq!(light.members(), &voter(until).1);
        }
        assert_eq!(changes(&store, Epoch(999)).expect("they fit").len(), 150);
    }
}
