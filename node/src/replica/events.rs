//! The index of events: where in the final blocks something of a kind, or something about an account, happened.
//!
//! # Layout
//! A row for each topic of an event, `topic || height || number`, holds the event's kind; one more under [`ALL`] holds all its topics, so that what belongs to
//! a block is found, and struck out, without the block. Rows are written in the batch that makes their block final, so there is never one without the other.
//!
//! # Limits
//! The events of the last [`KEPT`] blocks are indexed. Each batch strikes out the rows of a few blocks ([`STRUCK_MAX`]) for each one that it brings: one is
//! enough, more catch up when less is to be kept than was.

use std::ops::Bound;

use chain::ledger::{Log, Receipt};
use primitives::encoding::{decode, encode};
use primitives::{Hash, Height};
use state::{Direction, Record, Store};

use super::StoredBlock;
use super::records::{INDEXED_FROM, ONLY, TOPICS, record};

/// Blocks whose events are indexed: the newest.
pub const KEPT: u64 = 1_000_000;
/// Blocks that are struck out at most for each one that comes.
const STRUCK_MAX: u64 = 16;
/// Rows that one question looks at, at most; if there may be more, the answer says where to go on.
pub const SCANNED_MAX: usize = 10_000;
/// Rows that are read at once.
const READ_AT_ONCE: usize = 256;
/// Most bytes of a row: some ten thousand topics of 32 bytes, of an epoch's settlement.
const ROW_BYTES_MAX: usize = 4 << 20;
/// The topic that every event has.
const ALL: Hash = Hash::ZERO;

/// Where an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its block.
    pub height: Height,
    /// Its number there: first those of transactions, in their order, then those outside, from 0 on.
    pub number: u32,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The topic of what it is about; anything if `None`.
    pub subject: Option<Hash>,
    /// The topic of its kind; any if `None`.
    pub kind: Option<Hash>,
    /// The first block.
    pub from: Height,
    /// The last block, included.
    pub to: Height,
    /// Behind this one only, in the direction.
    pub after: Option<Place>,
    /// Oldest first, or newest first.
    pub direction: Direction,
    /// How many.
    pub limit: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The places, in the direction that was asked for.
    pub places: Vec<Place>,
    /// Where to go on, if there may be more.
    pub next: Option<Place>,
}

impl Place {
    fn key(self, topic: &Hash) -> Vec<u8> {
        [&topic.0[..], &self.height.0.to_be_bytes(), &self.number.to_be_bytes()].concat()
    }

    fn of_key(key: &[u8]) -> Option<Self> {
        let (height, number) = key.get(ALL.0.len()..)?.split_at_checked(8)?;
        Some(Self { height: Height(u64::from_be_bytes(height.try_into().ok()?)), number: u32::from_be_bytes(number.try_into().ok()?) })
    }
}

/// The events of a block, in the order of their numbers, each with the transaction that caused it.
pub fn of_block(block: &StoredBlock) -> impl Iterator<Item = (Option<Hash>, &Log)> {
    of(&block.receipts, &block.logs)
}

fn of<'a>(receipts: &'a [Receipt], logs: &'a [Log]) -> impl Iterator<Item = (Option<Hash>, &'a Log)> {
    let inside = receipts.iter().flat_map(|receipt| receipt.logs.iter().map(|log| (Some(receipt.transaction), log)));
    inside.chain(logs.iter().map(|log| (None, log)))
}

/// The rows of the next final blocks, each given as height, receipts, logs; `topics` gives those of a log, the kind first, none if it is not indexed. Strikes
/// out the rows of blocks that are older than the last `kept`.
pub fn indexed<'a>(
    store: &Store,
    blocks: impl IntoIterator<Item = (Height, &'a [Receipt], &'a [Log])>,
    mut topics: impl FnMut(Height, &Log) -> Vec<Hash>,
    kept: u64,
) -> Vec<Record> {
    let (mut records, mut first, mut last, mut count) = (Vec::new(), None, Height::ZERO, 0_u64);
    for (height, receipts, logs) in blocks {
        (first, last, count) = (first.or(Some(height)), height, count + 1);
        for (number, (_, log)) in (0_u32..).zip(of(receipts, logs)) {
            let (place, topics) = (Place { height, number }, topics(height, log));
            let Some(kind) = topics.first() else { continue };
            records.extend(topics.iter().map(|topic| record(TOPICS, place.key(topic), Some(kind.0.to_vec()))));
            records.push(record(TOPICS, place.key(&ALL), Some(encode(&topics))));
        }
    }
    let Some(first) = first else { return records };
    let known = indexed_from(store);
    let from = known.unwrap_or(first);
    // Blocks of this batch are never struck out with it.
    let bound = Height((last.0 + 1).saturating_sub(kept.max(count))).min(first);
    let until = bound.min(Height(from.0.saturating_add(count.saturating_mul(STRUCK_MAX))));
    for (key, topics) in between(store, from, until) {
        let (Some(place), Ok(topics)) = (Place::of_key(&key), decode::<Vec<Hash>>(&topics, ROW_BYTES_MAX)) else { continue };
        records.extend(topics.iter().map(|topic| record(TOPICS, place.key(topic), None)));
        records.push(record(TOPICS, key, None));
    }
    if known != Some(from.max(until)) {
        records.push(record(INDEXED_FROM, ONLY, Some(encode(&from.max(until)))));
    }
    records
}

/// The rows of all events of the blocks `from <= height < until`.
fn between(store: &Store, from: Height, until: Height) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    if from >= until {
        return rows;
    }
    let mut start = Bound::Included(Place { height: from, number: 0 }.key(&ALL));
    loop {
        let read = store.records(TOPICS, &ALL.0, start.as_ref().map(Vec::as_slice), Direction::Forward, READ_AT_ONCE);
        let (count, before) = (read.len(), rows.len());
        rows.extend(read.into_iter().take_while(|(key, _)| Place::of_key(key).is_some_and(|place| place.height < until)));
        match rows.last() {
            Some((key, _)) if count == READ_AT_ONCE && rows.len() - before == count => start = Bound::Excluded(key.clone()),
            Some(_) | None => return rows,
        }
    }
}

/// The first block whose events are indexed; `None` before the first final block.
pub fn indexed_from(store: &Store) -> Option<Height> {
    decode(&store.record(INDEXED_FROM, ONLY)?, ROW_BYTES_MAX).ok()
}

/// Looks for events; at most [`SCANNED_MAX`] rows are looked at.
pub fn find(store: &Store, wanted: &Wanted) -> Found {
    let Wanted { subject, kind, from, to, after, direction, limit } = *wanted;
    let topic = subject.or(kind).unwrap_or(ALL);
    // Rows of a kind, or of everything, need no second look.
    let other = subject.and(kind);
    let edge = match direction {
        Direction::Forward => Place { height: from, number: 0 },
        Direction::Backward => Place { height: to, number: u32::MAX },
    };
    // A place before the first block that is wanted is no reason to begin there.
    let after = after.filter(|after| if direction == Direction::Forward { *after >= edge } else { *after <= edge });
    let mut start = after.map_or_else(|| Bound::Included(edge.key(&topic)), |after| Bound::Excluded(after.key(&topic)));
    let (mut found, mut scanned) = (Found::default(), 0);
    loop {
        let rows = store.records(TOPICS, &topic.0, start.as_ref().map(Vec::as_slice), direction, READ_AT_ONCE);
        let is_last = rows.len() < READ_AT_ONCE;
        for (key, of_kind) in rows {
            let Some(place) = Place::of_key(&key).filter(|place| (from..=to).contains(&place.height)) else { return found };
            if found.places.len() >= limit || scanned >= SCANNED_MAX {
                // Behind what was looked at last, which the bound is.
                found.next = match &start {
                    Bound::Excluded(key) => Place::of_key(key),
                    Bound::Included(_) | Bound::Unbounded => None,
                };
                return found;
            }
            scanned += 1;
            if other.is_none_or(|kind| of_kind == kind.0) {
                found.places.push(place);
            }
            start = Bound::Excluded(key);
        }
        if is_last {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chain::ledger::Status;
    use primitives::{Address, Amount};
    use proptest::prelude::*;

    use super::*;

    fn topic(number: u8) -> Hash {
        Hash([number + 1; 32])
    }

    fn log(topics: &[u8]) -> Log {
        Log { emitter: Address([0; 20]), topics: topics.iter().copied().map(topic).collect(), data: Vec::new() }
    }

    fn receipt(logs: Vec<Log>) -> Receipt {
        Receipt { transaction: Hash([9; 32]), status: Status::Done, units: 1, fee: Amount(1), logs }
    }

    /// Every event that was written: its place, kind and subjects.
    type Model = BTreeMap<Place, Vec<Hash>>;

    /// The topics of some events, by number.
    type Topics = Vec<Vec<u8>>;

    /// Writes blocks, given as what happened in transactions and outside, each in a batch of its own, and keeps those of the last `kept`.
    fn write(store: &Store, blocks: &[(Topics, Topics)], kept: u64) -> Model {
        let mut model = Model::new();
        for (height, (inside, outside)) in (1..).map(Height).zip(blocks) {
            let receipts: Vec<Receipt> = inside.iter().map(|topics| receipt(vec![log(topics)])).collect();
            let logs: Vec<Log> = outside.iter().map(|topics| log(topics)).collect();
            store.write(indexed(store, [(height, &receipts[..], &logs[..])], |_, log| log.topics.clone(), kept));
            let all = inside.iter().chain(outside).map(|topics| log(topics).topics);
            model.extend((0..).zip(all).map(|(number, topics)| (Place { height, number }, topics)));
        }
        model
    }

    fn open() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path(), Hash([1; 32])).expect("a store");
        (directory, store)
    }

    fn wanted(subject: Option<Hash>, kind: Option<Hash>) -> Wanted {
        Wanted { subject, kind, from: Height(0), to: Height(u64::MAX), after: None, direction: Direction::Forward, limit: 200 }
    }

    /// What is older than what is kept is struck out, all of it; nothing else is.
    #[test]
    fn old_blocks_are_struck_out() {
        let (_directory, store) = open();
        assert_eq!(indexed_from(&store), None);
        let blocks = vec![(vec![vec![0, 1, 1], vec![2, 3]], vec![vec![4]]); 40];
        let model = write(&store, &blocks, 10);
        assert_eq!(indexed_from(&store), Some(Height(31)));
        let left: Vec<Place> = model.keys().copied().filter(|place| place.height >= Height(31)).collect();
        assert_eq!(find(&store, &wanted(None, None)).places, left);
        let rows = store.records(TOPICS, &[], Bound::Unbounded, Direction::Forward, usize::MAX).len();
        assert_eq!(rows, 10 * (3 + 3 + 2), "each event under each of its topics once, and under that of all");

        // Less is kept from now on: what is too much goes little by little.
        let more = |height| store.write(indexed(&store, [(Height(height), &[][..], &[][..])], |_, log| log.topics.clone(), 2));
        more(41);
        assert_eq!(indexed_from(&store), Some(Height(40)));
        assert_eq!(find(&store, &wanted(None, None)).places.len(), 3);
        more(42);
        assert_eq!(indexed_from(&store), Some(Height(41)));
        assert!(store.records(TOPICS, &[], Bound::Unbounded, Direction::Forward, usize::MAX).is_empty());
    }

    /// A question about few among many ends, and the next goes on where it ended.
    #[test]
    fn long_ways_are_made_in_steps() {
        let (_directory, store) = open();
        let logs: Vec<Log> = (0..SCANNED_MAX + 50).map(|number| log(&[u8::from(number == SCANNED_MAX + 20), 7])).collect();
        store.write(indexed(&store, [(Height(1), &[][..], &logs[..])], |_, log| log.topics.clone(), KEPT));
        let first = find(&store, &wanted(Some(topic(7)), Some(topic(1))));
        assert_eq!(first, Found { places: Vec::new(), next: Some(Place { height: Height(1), number: 9_999 }) });
        let second = find(&store, &Wanted { after: first.next, ..wanted(Some(topic(7)), Some(topic(1))) });
        assert_eq!(second, Found { places: vec![Place { height: Height(1), number: 10_020 }], next: None });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Whatever happened and whatever is asked: page after page exactly the events that are meant, in the order that is meant.
        #[test]
        fn finds_what_a_list_finds(
            blocks in proptest::collection::vec((topics(), topics()), 1..12),
            (subject, kind) in (proptest::option::of(0_u8..5), proptest::option::of(0_u8..5)),
            (from, to) in (0_u64..12, 0_u64..14),
            (is_newest_first, limit) in (any::<bool>(), 1_usize..9),
        ) {
            let (_directory, store) = open();
            let model = write(&store, &blocks, KEPT);
            let (subject, kind) = (subject.map(topic), kind.map(topic));
            let is_meant = |place: &Place, topics: &[Hash]| {
                let is_about = subject.is_none_or(|subject| topics.contains(&subject));
                (from..=to).contains(&place.height.0) && is_about && kind.is_none_or(|kind| if subject.is_some() { topics[0] == kind } else { topics.contains(&kind) })
            };
            let mut expected: Vec<Place> = model.iter().filter(|(place, topics)| is_meant(place, topics)).map(|(place, _)| *place).collect();
            let direction = if is_newest_first { Direction::Backward } else { Direction::Forward };
            if is_newest_first {
                expected.reverse();
            }
            let mut wanted = Wanted { subject, kind, from: Height(from), to: Height(to), after: None, direction, limit };
            let mut places = Vec::new();
            loop {
                let found = find(&store, &wanted);
                prop_assert!(found.places.len() <= limit);
                places.extend(found.places);
                let Some(next) = found.next else { break };
                wanted.after = Some(next);
            }
            prop_assert_eq!(places, expected);
        }
    }

    fn topics() -> impl Strategy<Value = Topics> {
        proptest::collection::vec(proptest::collection::vec(0_u8..5, 1..4), 0..5)
    }
}
