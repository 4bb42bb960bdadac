//! The desk of a meta node: issues tickets at once, without a block, within what the ledger reserved.
//!
//! A request is signed by the session, so nobody else can use up its reservation, and numbered, so nobody can repeat it. The desk is pure; before the tickets
//! of an [`Issue`] leave, its records must be on disk: a desk that starts again from the records issues no more than is reserved (META-6). A desk that lost
//! them must rest until the next epoch ([`Desk::rest`]): it does not know what it promised in this one.
//!
//! # Records
//! ```text
//! epoch session               -> sum of the session's tickets, number of its last request
//! epoch session carrier class -> sum of the channel's tickets
//! ```

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use chain::keys::Read;
use pot::{Class, Object, Signed, SignedError, Ticket, Verified};
use primitives::encoding::{DecodeError, decode, encode};
use primitives::{Address, Epoch, Hash, Noz, PublicKey, SecretKey};
use storage::manifest::FileId;
use storage::placement::PlacementError;
use storage::profile::SLICE_BYTES_MAX;

use crate::{allowance, anchor, files};

/// Tickets of one request.
pub const TICKETS_MAX: usize = 1024;

/// A slice to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct NewSlice {
    /// Its root.
    pub root: Hash,
    /// Its length.
    pub bytes: u64,
}

/// A slice to be fetched, or a range of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HeldSlice {
    /// Segment of the file.
    pub segment: u32,
    /// Slice of the segment.
    pub slice: u8,
    /// Bytes to fetch, at most those of the slice.
    pub bytes: u64,
}

/// What tickets are for.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Purpose {
    /// Storing one segment of a draft: all its slices, in order.
    Upload {
        /// Epoch in which the upload began.
        epoch: Epoch,
        /// Name of the upload.
        draft: Hash,
        /// Segment of the file.
        segment: u64,
        /// Its slices.
        slices: Vec<NewSlice>,
    },
    /// Fetching slices of a file.
    Download {
        /// The file.
        file: FileId,
        /// [`Class::Download`] or [`Class::Stream`].
        class: Class,
        /// The slices.
        slices: Vec<HeldSlice>,
    },
}

/// "Give me tickets." Signed by the session key, role `ticket-request`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TicketRequest {
    /// Genesis hash of the value ledger.
    pub chain: Hash,
    /// The epoch in which they are used.
    pub epoch: Epoch,
    /// Who pays.
    pub payer: Address,
    /// The payer's session.
    pub session: PublicKey,
    /// Above that of the session's last request in this epoch.
    pub sequence: u64,
    /// What for.
    pub purpose: Purpose,
}

impl Object for TicketRequest {
    const ROLE: &'static str = "ticket-request";

    fn chain(&self) -> Hash {
        self.chain
    }
}

/// Why no tickets are issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The session did not sign this.
    #[error(transparent)]
    Signature(#[from] SignedError),
    /// Another epoch.
    #[error("tickets are issued for epoch {current}, the request is for epoch {asked}")]
    Epoch {
        /// The current epoch.
        current: Epoch,
        /// The request's.
        asked: Epoch,
    },
    /// A request that was answered already, or came after a later one.
    #[error("request {asked} of the session came after request {last}")]
    Sequence {
        /// The last one.
        last: u64,
        /// This one.
        asked: u64,
    },
    /// Nothing is reserved.
    #[error("{payer} has reserved no ozone for this session in epoch {epoch}: reserve some first")]
    NoAllowance {
        /// Who pays.
        payer: Address,
        /// The epoch.
        epoch: Epoch,
    },
    /// Another node issues this session's tickets.
    #[error("the tickets of this session are issued by {0}")]
    Home(Address),
    /// This desk's tickets count for nothing.
    #[error("{issuer} is no active meta node of epoch {epoch}, so its tickets would count for nothing: turn to another")]
    Inactive {
        /// This desk.
        issuer: Address,
        /// The epoch.
        epoch: Epoch,
    },
    /// This desk does not know what it issued.
    #[error("this meta node has lost its records of epoch {0} and issues no tickets in it: turn to another")]
    Resting(Epoch),
    /// More than is reserved.
    #[error("{asked} noz more do not fit: {issued} of {reserved} reserved noz are issued in epoch {epoch}")]
    Exceeded {
        /// What the tickets would come to.
        asked: Noz,
        /// What was issued.
        issued: Noz,
        /// What is reserved.
        reserved: Noz,
        /// The epoch.
        epoch: Epoch,
    },
    /// No tickets, or too many.
    #[error("{0} tickets in one request, 1 to {TICKETS_MAX} are possible")]
    Count(usize),
    /// A slice of no bytes or too many.
    #[error("a slice of {bytes} bytes; 1 to {max} are possible here")]
    Length {
        /// What was asked for.
        bytes: u64,
        /// The most.
        max: u64,
    },
    /// The upload began too long ago.
    #[error("the upload began in epoch {0}, which is too long ago or not yet here: begin again")]
    Draft(Epoch),
    /// Not enough nodes.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// No such file.
    #[error("there is no file {0}")]
    File(FileId),
    /// Nobody holds it.
    #[error("nobody holds slice {slice} of segment {segment}")]
    Holder {
        /// Segment of the file.
        segment: u32,
        /// Slice of the segment.
        slice: u8,
    },
    /// A class that does not fit the purpose.
    #[error("files are fetched by download or stream, not by upload")]
    Class,
}

/// What a desk issued to a session in an epoch.
#[derive(Default)]
struct Issued {
    sum: Sum,
    /// By carrier and class, in bytes.
    channels: BTreeMap<(Address, Class), u64>,
}

/// The record of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Sum {
    /// Sum of its tickets.
    noz: Noz,
    /// Number of its last request.
    sequence: u64,
}

/// A record of a desk: its key and its value. Keys begin with the epoch, big-endian: those of earlier epochs can be dropped.
pub type DeskRecord = (Vec<u8>, Vec<u8>);

/// Longest value of a record.
const RECORD_BYTES_MAX: usize = 64;

/// Why a desk cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a record of the ticket desk is damaged: key {0:02x?}")]
pub struct DamagedRecord(Vec<u8>);

/// The answer to a request, with what must be on disk before it leaves.
#[derive(Clone, Debug)]
pub struct Issue {
    /// The tickets, in the order of the request's slices.
    pub tickets: Vec<Signed<Ticket>>,
    /// Their epoch.
    pub epoch: Epoch,
    /// The records to keep.
    pub records: Vec<DeskRecord>,
}

/// A meta node's desk in one epoch after another.
pub struct Desk {
    chain: Hash,
    issuer: Address,
    secret: SecretKey,
    epoch: Epoch,
    /// Up to and with this epoch nothing is issued.
    resting: Option<Epoch>,
    /// The last epoch that was asked for, and whether this desk's tickets count in it.
    active: Option<(Epoch, bool)>,
    sessions: BTreeMap<PublicKey, Issued>,
}

impl Desk {
    /// A desk that goes on from the records of `epoch`, the newest that has any; in earlier ones it issues nothing.
    ///
    /// # Errors
    /// [`DamagedRecord`].
    pub fn new(chain: Hash, issuer: Address, secret: SecretKey, epoch: Epoch, records: impl IntoIterator<Item = DeskRecord>) -> Result<Self, DamagedRecord> {
        let mut sessions: BTreeMap<PublicKey, Issued> = BTreeMap::new();
        for (key, value) in records {
            let damaged = |_: DecodeError| DamagedRecord(key.clone());
            let (session, channel) = key_parts(&key).ok_or_else(|| DamagedRecord(key.clone()))?;
            let issued = sessions.entry(session).or_default();
            match channel {
                None => issued.sum = decode(&value, RECORD_BYTES_MAX).map_err(damaged)?,
                Some(channel) => drop(issued.channels.insert(channel, decode(&value, RECORD_BYTES_MAX).map_err(damaged)?)),
            }
        }
        Ok(Self { chain, issuer, secret, epoch, resting: None, active: None, sessions })
    }

    /// Issues nothing up to and with `epoch`: it may have issued tickets then and does not know which.
    pub fn rest(&mut self, epoch: Epoch) {
        self.resting = Some(epoch);
    }

    /// Issues tickets against the newest final state of the metadata ledger.
    ///
    /// # Errors
    /// [`TicketError`] with the numbers; nothing is issued then.
    pub fn issue(&mut self, state: &impl Read, request: Signed<TicketRequest>) -> Result<Issue, TicketError> {
        let current = anchor::current(state).epoch;
        if request.body.epoch != current || current < self.epoch {
            return Err(TicketError::Epoch { current: current.max(self.epoch), asked: request.body.epoch });
        }
        if self.resting >= Some(current) {
            return Err(TicketError::Resting(current));
        }
        // Who was not among them when the epoch began has its tickets refused in claims, whoever reserved with it.
        if self.active.is_none_or(|(epoch, _)| epoch != current) {
            let key = anchor::registry(state, current).and_then(|registry| registry.issuer_key(&self.issuer));
            self.active = Some((current, key == Some(self.secret.public())));
        }
        if self.active != Some((current, true)) {
            return Err(TicketError::Inactive { issuer: self.issuer, epoch: current });
        }
        let session = request.body.session;
        let reservation = allowance::reservation(state, &request.body.payer, &session, current)
            .ok_or(TicketError::NoAllowance { payer: request.body.payer, epoch: current })?;
        if reservation.home != self.issuer {
            return Err(TicketError::Home(reservation.home));
        }
        let request = request.verify(self.chain, &session)?;
        let is_new = current > self.epoch;
        let before = if is_new { Sum::default() } else { self.sessions.get(&session).map(|issued| issued.sum).unwrap_or_default() };
        if request.sequence <= before.sequence {
            return Err(TicketError::Sequence { last: before.sequence, asked: request.sequence });
        }
        let wanted = wanted(state, &request)?;
        let asked = wanted.iter().fold(Noz::ZERO, |sum, (_, _, bytes)| sum.saturating_add(Noz((*bytes).into())));
        let noz = before.noz.saturating_add(asked);
        if noz > reservation.noz {
            return Err(TicketError::Exceeded { asked, issued: before.noz, reserved: reservation.noz, epoch: current });
        }
        if is_new {
            self.epoch = current;
            self.sessions.clear();
        }
        let class = match &request.purpose {
            Purpose::Upload { .. } => Class::Upload,
            Purpose::Download { class, .. } => *class,
        };
        // Nothing can fail from here on.
        let issued = self.sessions.entry(session).or_default();
        issued.sum.sequence = request.sequence;
        let mut touched = BTreeSet::new();
        let mut tickets = Vec::with_capacity(wanted.len());
        for (carrier, slice, bytes_max) in wanted {
            let channel_total = issued.channels.entry((carrier, class)).or_default();
            *channel_total = channel_total.saturating_add(bytes_max);
            let channel_total = *channel_total;
            issued.sum.noz = issued.sum.noz.saturating_add(Noz(bytes_max.into()));
            let (chain, issuer, session_total) = (self.chain, self.issuer, issued.sum.noz);
            let body = Ticket { chain, epoch: current, payer: request.payer, session, carrier, class, slice, bytes_max, channel_total, session_total, issuer };
            tickets.push(Signed::sign(body, &self.secret));
            touched.insert((carrier, class));
        }
        let of_channel = |channel: &(Address, Class)| Some((record_key(current, &session, Some(channel)), encode(issued.channels.get(channel)?)));
        let mut records: Vec<DeskRecord> = touched.iter().filter_map(of_channel).collect();
        records.push((record_key(current, &session, None), encode(&issued.sum)));
        Ok(Issue { tickets, epoch: current, records })
    }
}

/// The key of a session's record, or of one of its channels'.
fn record_key(epoch: Epoch, session: &PublicKey, channel: Option<&(Address, Class)>) -> Vec<u8> {
    let mut key = [&epoch.0.to_be_bytes()[..], &session.0].concat();
    key.extend(channel.map(encode).unwrap_or_default());
    key
}

/// What [`record_key`] was made of, besides the epoch.
fn key_parts(key: &[u8]) -> Option<(PublicKey, Option<(Address, Class)>)> {
    let (_, rest) = key.split_first_chunk::<8>()?;
    let (session, channel) = rest.split_first_chunk::<32>()?;
    let channel = if channel.is_empty() { None } else { Some(decode(channel, RECORD_BYTES_MAX).ok()?) };
    Some((PublicKey(*session), channel))
}

/// Who gets which slice for how many bytes.
fn wanted(state: &impl Read, request: &Verified<TicketRequest>) -> Result<Vec<(Address, Hash, u64)>, TicketError> {
    let check_count = |count: usize| if (1..=TICKETS_MAX).contains(&count) { Ok(()) } else { Err(TicketError::Count(count)) };
    let check_length = |bytes: u64, max: u64| if (1..=max).contains(&bytes) { Ok(()) } else { Err(TicketError::Length { bytes, max }) };
    match &request.purpose {
        Purpose::Upload { epoch, draft, segment, slices } => {
            check_count(slices.len())?;
            let registry = anchor::registry(state, *epoch).ok_or(TicketError::Draft(*epoch))?;
            let nodes = registry.place(&request.payer, draft, *segment, slices.len())?;
            let mut wanted = Vec::with_capacity(slices.len());
            for (node, slice) in nodes.into_iter().zip(slices) {
                check_length(slice.bytes, SLICE_BYTES_MAX)?;
                wanted.push((node, slice.root, slice.bytes));
            }
            Ok(wanted)
        }
        Purpose::Download { class: Class::Upload, .. } => Err(TicketError::Class),
        Purpose::Download { file, class: Class::Download | Class::Stream, slices } => {
            check_count(slices.len())?;
            let record = files::file(state, file).ok_or(TicketError::File(*file))?;
            let mut wanted = Vec::with_capacity(slices.len());
            for HeldSlice { segment, slice, bytes } in slices {
                let missing = TicketError::Holder { segment: *segment, slice: *slice };
                let at = usize::try_from(*segment).ok();
                let holders = at.and_then(|at| record.holders.get(at)).ok_or_else(|| missing.clone())?;
                let node = holders.of((*slice).into()).ok_or_else(|| missing.clone())?;
                let entry = at.and_then(|at| record.manifest.public.segments.get(at)).and_then(|entry| entry.slices.get(usize::from(*slice)));
                let root = *entry.ok_or_else(|| missing.clone())?;
                let max = record.manifest.public.layout((*segment).into()).map_err(|_| missing)?.slice_bytes();
                check_length(*bytes, max)?;
                wanted.push((node, root, *bytes));
            }
            Ok(wanted)
        }
    }
}
