//! Anchors: what the metadata ledger knows of the value ledger, as somebody proved it.
//!
//! Keys: `7 a` the newest anchor; `7 m` the active meta nodes; `7 r epoch` seed and active nodes of an epoch, kept for [`DRAFT_EPOCHS`]. Transaction:
//! `Anchor`. An anchor must say something new: a later epoch, or a later settlement. The first anchor of an epoch fixes its registry, so that placement is
//! the same for everybody as long as the epoch lasts.

use std::cell::RefCell;
use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use chain::epochs::Current;
use chain::keys::{self as value_keys, Read, read, write};
use chain::ledger::Refusal;
use chain::ledger::proven::Reading;
use chain::meta_registry::{self, MetaNode};
use chain::parameters::Parameters;
use chain::resource::{self, ResourceNode};
use chain::settlement::Progress;
use primitives::encoding::decode;
use primitives::{Address, Bytes, Epoch, Hash, Height, PublicKey, Time};
use state::Overlay;
use storage::placement::{self, Candidate, PlacementError};

use crate::epochs::{self, Closing};
use crate::keys;

/// Epochs during which an upload can be finished after it began.
pub const DRAFT_EPOCHS: u64 = 32;

/// Where the value ledger stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Anchor {
    /// Height of the block that was read.
    pub height: Height,
    /// The current epoch.
    pub epoch: Epoch,
    /// The beacon with which it began.
    pub seed: Hash,
    /// The first epoch that is not settled.
    pub unsettled: Epoch,
    /// Time for claims after an epoch, in ms.
    pub grace_ms: u64,
    /// Fewest bytes of a channel that can be claimed, in noz.
    pub channel_noz_min: u64,
}

/// A resource node that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Carrier {
    /// Its operator, its name everywhere.
    pub operator: Address,
    /// The key of its acknowledgements and claims.
    pub key: PublicKey,
    /// Bytes offered: its weight in placement; 0 if it is suspended or leaves, and is given nothing new.
    pub capacity: Bytes,
}

/// An active meta node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Meta {
    /// Its operator, its name everywhere.
    pub operator: Address,
    /// The key of its votes and tickets.
    pub key: PublicKey,
}

/// What placement in an epoch depends on, and whose tickets count in it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Registry {
    /// The epoch.
    pub epoch: Epoch,
    /// The beacon with which it began.
    pub seed: Hash,
    /// The active resource nodes, strictly increasing by operator.
    pub carriers: Vec<Carrier>,
    /// The active meta nodes, in the order of their votes.
    pub metas: Vec<Meta>,
}

impl Registry {
    /// The key with which an active meta node signs tickets.
    pub fn issuer_key(&self, operator: &Address) -> Option<PublicKey> {
        self.metas.iter().find(|meta| meta.operator == *operator).map(|meta| meta.key)
    }

    /// An active resource node.
    pub fn carrier(&self, operator: &Address) -> Option<&Carrier> {
        self.carriers.binary_search_by_key(operator, |carrier| carrier.operator).ok().and_then(|index| self.carriers.get(index))
    }

    /// The nodes that hold the slices of one segment of a payer's draft, in the order of the slices. Anyone computes the same.
    ///
    /// # Errors
    /// [`PlacementError::TooFew`] nodes.
    pub fn place(&self, payer: &Address, draft: &Hash, segment: u64, slices: usize) -> Result<Vec<Address>, PlacementError> {
        let seed = Hash::of("segment placement", &[self.seed.as_bytes(), &payer.0, draft.as_bytes(), &segment.to_le_bytes()]);
        let candidates: Vec<Candidate> = self.carriers.iter().map(|carrier| Candidate { id: carrier.operator, weight: carrier.capacity.0 }).collect();
        placement::place(seed, &candidates, slices)
    }
}

/// Everything that an anchor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Where the value ledger stands.
    pub anchor: Anchor,
    /// The active resource nodes, strictly increasing by operator.
    pub carriers: Vec<Carrier>,
    /// The active meta nodes, in the order of their votes.
    pub metas: Vec<Meta>,
}

/// Why a reading is no anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// A key that an anchor needs is not in the reading.
    #[error("the reading lacks the {0}")]
    NotRead(&'static str),
    /// The value ledger holds something that this program cannot read.
    #[error("the value ledger's {0} cannot be read by this program")]
    Unknown(&'static str),
    /// More was read than an anchor needs.
    #[error("the reading has {found} keys, an anchor needs {needed}")]
    Keys {
        /// Keys in the reading.
        found: usize,
        /// Keys that an anchor needs.
        needed: usize,
    },
}

/// The keys to read first; [`keys_of`] says which more, from their values.
pub fn head_keys() -> Vec<Vec<u8>> {
    vec![value_keys::epoch(), value_keys::parameters(), value_keys::settlement(), value_keys::meta_nodes(), value_keys::resource_count()]
}

/// All keys that an anchor needs, for a value ledger with these nodes. Read them in one reading; if the lists have grown meanwhile, try again.
pub fn keys_of(meta_nodes: &[Address], resource_nodes: &[Address]) -> Vec<Vec<u8>> {
    let count = u32::try_from(resource_nodes.len()).unwrap_or(u32::MAX);
    let mut keys = head_keys();
    keys.extend(meta_nodes.iter().map(value_keys::meta_node));
    keys.extend(resource::page_keys(count));
    keys.extend(resource_nodes.iter().map(value_keys::resource_node));
    keys
}

/// A source of the value ledger's values: `None` if the key was not read, `Some(None)` if the tree holds nothing there.
type Source<'a> = &'a dyn Fn(&[u8]) -> Option<Option<Vec<u8>>>;

fn optional<T: BorshDeserialize>(source: Source<'_>, what: &'static str, key: &[u8]) -> Result<Option<T>, AnchorError> {
    let Some(bytes) = source(key).ok_or(AnchorError::NotRead(what))? else { return Ok(None) };
    decode(&bytes, value_keys::VALUE_BYTES_MAX).map(Some).map_err(|_| AnchorError::Unknown(what))
}

fn required<T: BorshDeserialize>(source: Source<'_>, what: &'static str, key: &[u8]) -> Result<T, AnchorError> {
    optional(source, what, key)?.ok_or(AnchorError::Unknown(what))
}

impl Observed {
    /// What a proven reading of the value ledger says; it has exactly the keys of [`keys_of`], because nobody pays for what else it would carry.
    ///
    /// # Errors
    /// [`AnchorError`] names what is missing or counts what is too much.
    pub fn of_reading(reading: &Reading) -> Result<Self, AnchorError> {
        let used = RefCell::new(BTreeSet::new());
        let source = |key: &[u8]| {
            used.borrow_mut().insert(key.to_vec());
            reading.bytes(key).map(|value| value.map(<[u8]>::to_vec))
        };
        let observed = Self::gather(&source, reading.certified.header.height)?;
        let (found, needed) = (reading.keys().count(), used.into_inner().len());
        if found == needed { Ok(observed) } else { Err(AnchorError::Keys { found, needed }) }
    }

    /// What the state of the value ledger says: for genesis, and for replicas of both ledgers.
    ///
    /// # Errors
    /// [`AnchorError`] names what is missing.
    pub fn of_state(state: &impl Read, height: Height) -> Result<Self, AnchorError> {
        Self::gather(&|key: &[u8]| Some(state.bytes(key)), height)
    }

    fn gather(source: Source<'_>, height: Height) -> Result<Self, AnchorError> {
        let current: Current = required(source, "current epoch", &value_keys::epoch())?;
        let parameters: Parameters = required(source, "parameters", &value_keys::parameters())?;
        let progress: Progress = required(source, "settlement", &value_keys::settlement())?;
        let operators: Vec<Address> = required(source, "list of meta nodes", &value_keys::meta_nodes())?;
        let mut metas = Vec::with_capacity(operators.len());
        for operator in &operators {
            let node: MetaNode = required(source, "meta node", &value_keys::meta_node(operator))?;
            if node.status == meta_registry::Status::Active {
                metas.push(Meta { operator: *operator, key: node.node.key });
            }
        }
        let count: u32 = optional(source, "number of resource nodes", &value_keys::resource_count())?.unwrap_or(0);
        let mut carriers = Vec::new();
        for page in resource::page_keys(count) {
            for operator in required::<Vec<Address>>(source, "list of resource nodes", &page)? {
                let record: ResourceNode = required(source, "resource node", &value_keys::resource_node(&operator))?;
                match record.status {
                    resource::Status::Candidate | resource::Status::Gone => {}
                    resource::Status::Active => carriers.push(Carrier { operator, key: record.node.key, capacity: record.capacity }),
                    // It serves what it has, and is given nothing new.
                    resource::Status::Suspended | resource::Status::Leaving => carriers.push(Carrier { operator, key: record.node.key, capacity: Bytes::ZERO }),
                }
            }
        }
        carriers.sort_unstable_by_key(|carrier| carrier.operator);
        let anchor = Anchor {
            height,
            epoch: current.number,
            seed: current.seed,
            unsettled: progress.unsettled,
            grace_ms: parameters.claim_grace_ms,
            channel_noz_min: parameters.channel_noz_min,
        };
        Ok(Self { anchor, carriers, metas })
    }

    fn registry(&self) -> Registry {
        Registry { epoch: self.anchor.epoch, seed: self.anchor.seed, carriers: self.carriers.clone(), metas: self.metas.clone() }
    }
}

/// The newest anchor.
pub fn current(state: &impl Read) -> Anchor {
    read(state, &keys::anchor()).expect("genesis writes the first anchor and nothing removes it")
}

/// The active meta nodes, in the order of their votes.
pub fn metas(state: &impl Read) -> Vec<Meta> {
    read(state, &keys::metas()).unwrap_or_default()
}

/// The registry of an epoch: `None` if no anchor fell into it, or it is longer ago than [`DRAFT_EPOCHS`].
pub fn registry(state: &impl Read, epoch: Epoch) -> Option<Registry> {
    read(state, &keys::registry(epoch))
}

/// The meta node that a payer's sessions turn to in an epoch, unless it is away: rendezvous hashing over the active ones.
pub fn home(state: &impl Read, payer: &Address) -> Option<Address> {
    let seed = current(state).seed;
    metas(state).iter().map(|meta| meta.operator).min_by_key(|operator| Hash::of("home meta node", &[seed.as_bytes(), &payer.0, &operator.0]))
}

/// Writes the first anchor.
pub(crate) fn genesis(state: &mut Overlay, observed: &Observed) {
    write(state, &keys::anchor(), &observed.anchor);
    write(state, &keys::metas(), &observed.metas);
    write(state, &keys::registry(observed.anchor.epoch), &observed.registry());
}

/// Whether an anchor says something new.
///
/// # Errors
/// [`Refusal`] with both anchors' numbers.
pub fn check(state: &impl Read, observed: &Observed) -> Result<(), Refusal> {
    let (old, new) = (current(state), observed.anchor);
    let is_later = new.height > old.height && new.epoch >= old.epoch && new.unsettled >= old.unsettled;
    if !is_later || (new.epoch, new.unsettled) == (old.epoch, old.unsettled) {
        return Err(Refusal::Never(format!(
            "the anchor at height {} (epoch {}, settled up to {}) says nothing new after that at height {} (epoch {}, settled up to {})",
            new.height, new.epoch, new.unsettled, old.height, old.epoch, old.unsettled
        )));
    }
    if epochs::closing(state).over.len() >= epochs::OVER_MAX {
        return Err(Refusal::NotNow(format!("{} anchors wait for their epochs to be closed", epochs::OVER_MAX)));
    }
    Ok(())
}

/// Takes an anchor: epochs that are over begin their time of grace, settled reports are dropped.
///
/// # Errors
/// [`Refusal`] as [`check`].
pub(crate) fn apply(state: &mut Overlay, time: Time, observed: &Observed) -> Result<(), Refusal> {
    check(state, observed)?;
    let (old, new) = (current(state), observed.anchor);
    if new.epoch > old.epoch {
        let mut closing: Closing = epochs::closing(state);
        closing.over.push((new.epoch, closing.clock_at(time, Time(new.grace_ms))));
        write(state, &keys::closing(), &closing);
        write(state, &keys::registry(new.epoch), &observed.registry());
        write(state, &keys::metas(), &observed.metas);
        let kept = new.epoch.0.saturating_sub(DRAFT_EPOCHS.saturating_sub(1));
        for epoch in old.epoch.0.saturating_sub(DRAFT_EPOCHS)..kept.min(old.epoch.0.saturating_add(1)) {
            state.delete(&keys::registry(Epoch(epoch)));
        }
    }
    for epoch in old.unsettled.0..new.unsettled.0 {
        epochs::drop_parts(state, Epoch(epoch));
    }
    write(state, &keys::anchor(), &new);
    Ok(())
}
