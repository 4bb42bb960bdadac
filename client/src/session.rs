//! A session: one program spends one payer's ozone, with a key of its own that the wallet has granted.
//!
//! # Protocol
//! 1. The wallet grants a fresh key, which never leaves memory ([`pot::grant`]).
//! 2. Before it moves bytes the session reserves ozone for the current epoch in the metadata ledger: what its transfers still need, at most
//!    [`RESERVE_STEP_NOZ`] at a time; more when that runs out, and anew in each epoch.
//! 3. Its home meta node issues tickets at once ([`desk`]). If that node is away, a new key turns to the next node: reservations are bound to their home.
//! 4. Transfers with one carrier in one class and epoch share a channel, whose number only this session moves ([`crate::transfer`]).
//!
//! # Invariants
//! - **SESSION-1** Tickets are asked for one request at a time, so the desk gets the numbers of requests in order.
//! - **SESSION-2** No key signs in two processes: it is drawn at start and forgotten at the end.

pub mod network;
pub mod desk;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chain::ledger::Refusal;
use chain::market;
use meta::allowance;
use meta::anchor::{self, Anchor, Registry};
use meta::tickets::{Purpose, TicketRequest};
use meta::transaction::{funds, funds_keys};
use meta::{Transaction, keys};
use p2p::{OpenError, Stream};
use pot::allowance::{claimed_key, payer_key, session_key};
use pot::{Allowance, Channel, Signed, SignedGrant, Ticket, Verified};
use primitives::encoding::encode;
use primitives::{AccountSecret, Address, Amount, Epoch, Hash, Noz, PublicKey, SecretKey, units};
use tokio::time::{Instant, sleep};

use crate::ledger::LedgerError;
use crate::transfer::payer::{Counterpart, Credentials, Kept};
use crate::transfer::{Broken, Download, Reason, TransferError, Upload, wire};
use desk::{TicketAnswer, TicketReason};
pub use network::{FindError, Network, Node, Seen};

/// Most that is reserved at once: what is reserved cannot be spent by the payer's other sessions until its epoch is settled.
pub const RESERVE_STEP_NOZ: u64 = 1 << 30;
/// Epochs for which the wallet grants a session.
pub const GRANT_EPOCHS: u64 = 10_000;
/// How long a reservation may take. Older ones are given back when their epochs are settled, which takes longer: who has too little ozone for both waits for
/// that.
pub const RESERVE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one look at a reservation's transaction lasts, before the epoch is looked at again.
const RESERVE_STEP: Duration = Duration::from_millis(1_500);
/// Deadline of one question to a desk.
pub const DESK_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions to desks for one set of tickets, over epochs that end and nodes that are away.
pub const ATTEMPTS_MAX: u32 = 60;
/// Pause before asking again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a desk may say what looks as if it were some blocks behind, before it is believed, or passed over.
const DESK_BEHIND_MAX: u32 = 20;
/// How often the registry is looked at when a carrier says that a meta node was convicted.
const LEAVE_LOOKS: u32 = 5;
/// For how long a carrier that could not be reached, or did nothing, is not tried again.
pub const AWAY: Duration = Duration::from_secs(5);
/// For how long a meta node that did not answer is passed over.
pub const ABSENT: Duration = Duration::from_secs(30);

/// What a payer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    /// Its ozone.
    pub held: Noz,
    /// Of it reserved in epochs that are not settled.
    pub committed: Noz,
}

impl Means {
    /// What can be reserved now.
    pub fn free(&self) -> Noz {
        self.held.saturating_sub(self.committed)
    }
}

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A ledger gives no answer, or refuses.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A node is not found.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The ledger does not hold what every ledger must.
    #[error("the {0} cannot be read from the ledger")]
    Unreadable(&'static str),
    /// The payer does not have enough.
    #[error(
        "{payer} holds {held} noz of ozone and {needed} noz are needed: {missing} noz are missing{}",
        .cost.map_or_else(String::new, |cost| format!(", which cost about {} now (`stratos ozone buy`)", cost.to_stos()))
    )]
    NotEnoughOzone {
        /// Who pays.
        payer: Address,
        /// What is needed in all.
        needed: Noz,
        /// What it holds.
        held: Noz,
        /// The difference.
        missing: Noz,
        /// What the difference costs at the present price, in wei; `None` if there is not so much for sale.
        cost: Option<Amount>,
    },
    /// The payer has enough, but other transfers have reserved it.
    #[error("{noz} noz could not be reserved within {after:?}: {reason}")]
    Reserve {
        /// How much.
        noz: Noz,
        /// How long was waited.
        after: Duration,
        /// What the ledger says.
        reason: String,
    },
    /// No meta node issues tickets.
    #[error("no tickets after {attempts} attempts; the last answer: {last}")]
    NoTickets {
        /// How often was asked.
        attempts: u32,
        /// The last refusal or failure.
        last: String,
    },
    /// A desk issued something else than was asked for.
    #[error("the meta node {0} issued tickets that do not fit the request")]
    ForeignTickets(Address),
    /// No stream to the carrier.
    #[error("cannot reach {carrier}: {cause}")]
    Open {
        /// Who.
        carrier: Address,
        /// Why.
        cause: Box<OpenError>,
    },
    /// It could not be reached, or did nothing, a moment ago.
    #[error("{carrier} could not be reached or did nothing a moment ago")]
    Away {
        /// Who.
        carrier: Address,
    },
    /// The transfer failed.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// A file's record, or its removal, was handed to the metadata ledger, and cannot be seen to be final yet.
    #[error("whether the metadata ledger has taken the change of file {file} is not known: {cause}")]
    Unconfirmed {
        /// The file.
        file: Hash,
        /// Why it is not known.
        cause: LedgerError,
    },
    /// The system gives no random bytes for a key.
    #[error("no random bytes from the operating system: {0}")]
    Random(String),
}

impl SessionError {
    /// Whether asking again may help: no replica of a ledger gave a usable answer this time.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Ledger(LedgerError::Unreachable { .. }) | Self::Find(FindError::Ledger(LedgerError::Unreachable { .. })))
    }

    /// The carrier's reason, if it refused.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Transfer(error) => error.reason(),
            Self::Ledger(_)
            | Self::Find(_)
            | Self::Unreadable(_)
            | Self::NotEnoughOzone { .. }
            | Self::Reserve { .. }
            | Self::NoTickets { .. }
            | Self::ForeignTickets(_)
            | Self::Open { .. }
            | Self::Away { .. }
            | Self::Unconfirmed { .. }
            | Self::Random(_) => None,
        }
    }
}

/// A fetch that did not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct GetError {
    /// First group that was not handed out.
    pub next: u64,
    /// Why.
    pub cause: SessionError,
}

/// One session key with what it has reserved in the current epoch.
struct Purse {
    secret: SecretKey,
    grant: SignedGrant,
    anchor: Anchor,
    home: Address,
    node: Node,
    reserved: Noz,
    issued: Noz,
    sequence: u64,
    /// The home's desk has answered: it issues tickets in this epoch.
    is_met: bool,
}

/// What came of an attempt to reserve.
enum Reserved {
    /// It is reserved.
    Done,
    /// The purse is of an epoch that is over.
    EpochOver,
    /// Perhaps with the next attempt; and why not with this one.
    NotYet(String),
}

#[derive(Default)]
struct Shared {
    keys: BTreeMap<PublicKey, Credentials>,
    uploads: BTreeMap<Channel, Arc<Upload>>,
    downloads: BTreeMap<Channel, Arc<Download>>,
    carriers: BTreeMap<Address, Node>,
    away: BTreeMap<Address, Instant>,
    /// Bytes signed for on channels that are forgotten.
    forgotten: u64,
}

struct Inner {
    network: Network,
    wallet: AccountSecret,
    /// Held while tickets are asked for (SESSION-1).
    purse: tokio::sync::Mutex<Option<Purse>>,
    /// Meta nodes that did not answer, and until when they are passed over.
    absent: Mutex<BTreeMap<Address, Instant>>,
    shared: Mutex<Shared>,
}

/// A session of one payer. Cheap to clone; all clones spend together.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

impl Session {
    /// A session of the account `wallet`. Nothing is asked or reserved before the first transfer.
    pub fn new(network: Network, wallet: AccountSecret) -> Self {
        let (absent, shared) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { network, wallet, purse: tokio::sync::Mutex::new(None), absent, shared }))
    }

    /// Who pays.
    pub fn payer(&self) -> Address {
        self.0.wallet.address()
    }

    /// The payer's wallet, which signs files.
    pub fn wallet(&self) -> &AccountSecret {
        &self.0.wallet
    }

    /// The ledgers and the data plane.
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.0.shared)
    }

    /// What the payer has now.
    ///
    /// # Errors
    /// [`SessionError::Ledger`].
    pub async fn means(&self) -> Result<Means, SessionError> {
        let payer = self.payer();
        let balance = chain::keys::ozone(&payer);
        let reading = self.0.network.value.read(vec![balance.clone()]).await?;
        let held = reading.value::<pot::curve::Balance>(&balance).unwrap_or_default().noz;
        let seen = self.read_meta(&[]).await?;
        let reservations = allowance::payer(&seen, &payer).unwrap_or_default().reservations;
        let committed = reservations.iter().map(|reservation| reservation.noz).fold(Noz::ZERO, Noz::saturating_add);
        Ok(Means { held, committed })
    }

    /// Checks before anything moves that the payer holds `needed`.
    ///
    /// # Errors
    /// [`SessionError::NotEnoughOzone`] with what the missing ozone costs, or [`SessionError::Ledger`].
    pub async fn check_means(&self, needed: Noz) -> Result<Means, SessionError> {
        let means = self.means().await?;
        if means.held >= needed {
            return Ok(means);
        }
        let seen = Seen(self.0.network.value.read(vec![chain::keys::market(), chain::keys::pools()]).await?);
        let missing = needed.saturating_sub(means.held);
        let cost = cost(&market::curve(&seen), missing);
        Err(SessionError::NotEnoughOzone { payer: self.payer(), needed, held: means.held, missing, cost })
    }

    /// The state of the metadata ledger that reservations depend on, with `more` keys.
    async fn read_meta(&self, more: &[Vec<u8>]) -> Result<Seen, SessionError> {
        let payer = self.payer();
        let mut wanted = vec![keys::anchor(), keys::metas(), payer_key(&payer)];
        wanted.extend_from_slice(more);
        let mut seen = Seen(self.0.network.meta.read(wanted.clone()).await?);
        if seen.0.bytes(&keys::anchor()).flatten().is_none() {
            return Err(SessionError::Unreadable("anchor"));
        }
        // What was claimed from the payer's sessions has keys that only its record tells.
        let reservations = allowance::payer(&seen, &payer).unwrap_or_default().reservations;
        if !reservations.is_empty() {
            wanted.extend(reservations.iter().map(|reservation| claimed_key(reservation.epoch, &reservation.session)));
            seen = Seen(self.0.network.meta.read(wanted).await?);
        }
        Ok(seen)
    }

    /// The current epoch's anchor, as the metadata ledger has it.
    ///
    /// # Errors
    /// [`SessionError::Ledger`].
    pub async fn anchor(&self) -> Result<Anchor, SessionError> {
        let reading = self.0.network.meta.read(vec![keys::anchor()]).await?;
        reading.value(&keys::anchor()).ok_or(SessionError::Unreadable("anchor"))
    }

    /// The registry that places slices of uploads begun in the current epoch.
    ///
    /// # Errors
    /// [`SessionError::Ledger`].
    pub async fn registry(&self) -> Result<Registry, SessionError> {
        for _ in 0..ATTEMPTS_MAX {
            let epoch = patiently(|| self.anchor()).await?.epoch;
            let key = keys::registry(epoch);
            let reading = patiently(|| async { Ok(self.0.network.meta.read(vec![key.clone()]).await?) }).await?;
            if let Some(registry) = reading.value(&key) {
                return Ok(registry);
            }
            sleep(PAUSE).await;
        }
        Err(SessionError::Unreadable("registry of resource nodes"))
    }

    /// Makes the payer known to the metadata ledger, if it is not: only who has reserved something may record a file, and an empty file reserves nothing.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn introduce(&self) -> Result<(), SessionError> {
        let mut purse = self.0.purse.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            if allowance::payer(&patiently(|| self.read_meta(&[])).await?, &self.payer()).is_some() {
                return Ok(());
            }
            if purse.is_none() {
                *purse = Some(patiently(|| self.new_purse(None)).await?);
            }
            let Some(current) = purse.as_mut() else { continue };
            if !self.reserve(current, Noz(1)).await? {
                self.renew(current).await?;
            }
        }
        Err(SessionError::NoTickets { attempts: ATTEMPTS_MAX, last: "the epochs end faster than a reservation becomes final".to_owned() })
    }

    /// A purse for the current epoch, with a new key if there is none.
    async fn new_purse(&self, key: Option<(SecretKey, SignedGrant)>) -> Result<Purse, SessionError> {
        let seen = self.read_meta(&[]).await?;
        let anchor = anchor::current(&seen);
        let payer = self.payer();
        // By rendezvous hashing as `anchor::home` does it, without those that did not answer.
        let now = Instant::now();
        let absent: BTreeSet<Address> = lock(&self.0.absent).iter().filter(|(_, until)| **until > now).map(|(address, _)| *address).collect();
        let metas = anchor::metas(&seen);
        let draw = |operator: &Address| Hash::of("home meta node", &[anchor.seed.as_bytes(), &payer.0, &operator.0]);
        let mut homes: Vec<Address> = metas.iter().map(|meta| meta.operator).collect();
        homes.sort_by_cached_key(|operator| (absent.contains(operator), draw(operator)));
        let mut found = Err(SessionError::Unreadable("list of meta nodes"));
        for home in homes {
            found = match self.0.network.meta_node(&home).await {
                Ok(node) => Ok((home, node)),
                Err(error) => Err(error.into()),
            };
            match found {
                // One that was convicted, or cannot be reached by what the registry says, is passed over.
                Err(SessionError::Find(FindError::Convicted(_) | FindError::Unknown(_) | FindError::Peer(_))) => {}
                Ok(_) | Err(_) => break,
            }
        }
        let (home, node) = found?;
        let key = key.filter(|(_, grant)| grant.grant.expires > anchor.epoch);
        let (secret, grant) = match key {
            Some(key) => key,
            None => {
                let mut seed = zeroize::Zeroizing::new([0; 32]);
                getrandom::fill(&mut *seed).map_err(|error| SessionError::Random(error.to_string()))?;
                let secret = SecretKey::from_seed(&seed);
                let expires = Epoch(anchor.epoch.0.saturating_add(GRANT_EPOCHS));
                let grant = SignedGrant::sign(self.0.network.chain(), &self.0.wallet, &secret, expires, Noz(u64::MAX.into()));
                self.shared().keys.insert(secret.public(), Credentials { secret: secret.clone(), grant });
                (secret, grant)
            }
        };
        // Channels of epochs that nobody can claim any more.
        self.shared().prune(anchor.epoch);
        Ok(Purse { secret, grant, anchor, home, node, reserved: Noz::ZERO, issued: Noz::ZERO, sequence: 0, is_met: false })
    }

    /// Tickets for `purpose`, which needs at most `still` more bytes in all after and with this request.
    ///
    /// # Errors
    /// [`SessionError`] when ozone is missing, or no meta node issues them.
    pub async fn tickets(&self, purpose: &Purpose, still: u64) -> Result<Vec<Verified<Ticket>>, SessionError> {
        let bytes: u64 = match purpose {
            Purpose::Upload { slices, .. } => slices.iter().map(|slice| slice.bytes).sum(),
            Purpose::Download { slices, .. } => slices.iter().map(|slice| slice.bytes).sum(),
        };
        let need = Noz(bytes.into());
        let wish = Noz(still.min(RESERVE_STEP_NOZ).max(bytes).into());
        let mut purse = self.0.purse.lock().await;
        let (mut last, mut behind, mut exceeded, mut has_raised) = (String::new(), 0u32, 0u32, false);
        let mut attempts = 0;
        while attempts < ATTEMPTS_MAX {
            attempts += 1;
            if purse.is_none() {
                *purse = Some(patiently(|| self.new_purse(None)).await?);
                (behind, exceeded, has_raised) = (0, 0, false);
            }
            let Some(current) = purse.as_mut() else { continue };
            // The desk is asked before ozone is bound to it: one that rests, or is away, would leave it of no use until the epoch is settled.
            if current.is_met && current.reserved.saturating_sub(current.issued) < need && !self.reserve(current, wish).await? {
                self.renew(current).await?;
                continue;
            }
            let (reason, text) = match self.ask(current, purpose, need).await {
                Ok(Ok(tickets)) => return Ok(tickets),
                Ok(Err(refused)) => refused,
                // Whoever issues something else is not asked again.
                Err(error) => {
                    self.turn_away(&mut purse, &error.to_string());
                    return Err(error);
                }
            };
            last = text;
            let was_met = current.is_met;
            current.is_met |= matches!(reason, Some(TicketReason::Allowance | TicketReason::Exceeded | TicketReason::Sequence | TicketReason::File));
            match reason {
                // What a desk says that is asked for the first time.
                Some(TicketReason::Allowance | TicketReason::Exceeded) if !was_met => {}
                // The upload may have begun in an epoch that neither the desk nor this purse has seen yet.
                Some(TicketReason::Other) if !matches!(purpose, Purpose::Upload { epoch, .. } if *epoch > current.anchor.epoch) => break,
                // The desk may be a block behind what we saw final.
                Some(TicketReason::Epoch | TicketReason::Allowance | TicketReason::Sequence | TicketReason::File | TicketReason::Other)
                    if behind < DESK_BEHIND_MAX =>
                {
                    behind = behind.saturating_add(1);
                    sleep(PAUSE).await;
                    if self.renew(current).await? {
                        behind = 0;
                    }
                }
                // Or it has counted tickets whose answer was lost: then only reserving more helps, once.
                Some(TicketReason::Exceeded) if exceeded < DESK_BEHIND_MAX || !has_raised => {
                    if exceeded >= DESK_BEHIND_MAX {
                        (current.issued, exceeded, has_raised) = (current.reserved, 0, true);
                    }
                    exceeded = exceeded.saturating_add(1);
                    sleep(PAUSE).await;
                    self.renew(current).await?;
                }
                // A reservation is bound to its home: another home needs another key.
                Some(
                    TicketReason::Home
                    | TicketReason::Epoch
                    | TicketReason::Allowance
                    | TicketReason::Exceeded
                    | TicketReason::Sequence
                    | TicketReason::File
                    | TicketReason::Other,
                )
                | None => self.turn_away(&mut purse, &last),
            }
        }
        Err(SessionError::NoTickets { attempts, last })
    }

    /// Passes over the purse's home for a while; the next purse turns to another.
    fn turn_away(&self, purse: &mut Option<Purse>, why: &str) {
        if let Some(Purse { home, .. }) = purse.take() {
            tracing::warn!(%home, error = why, "the home meta node issues no tickets, turning to another");
            lock(&self.0.absent).insert(home, Instant::now() + ABSENT);
        }
    }

    /// A carrier takes no tickets of this meta node. If the registry says why, this session turns to another, and `true` is returned.
    pub async fn leave(&self, issuer: &Address) -> bool {
        for _ in 0..LEAVE_LOOKS {
            if matches!(self.0.network.meta_node(issuer).await, Err(FindError::Convicted(_))) {
                let mut purse = self.0.purse.lock().await;
                if purse.as_ref().is_some_and(|purse| purse.home == *issuer) {
                    self.turn_away(&mut purse, "it was convicted of breaking the rules");
                }
                return true;
            }
            // The carrier may have seen it before our replicas.
            sleep(PAUSE).await;
        }
        false
    }

    /// Empties the purse if its epoch is over; whether it was.
    async fn renew(&self, purse: &mut Purse) -> Result<bool, SessionError> {
        let is_over = patiently(|| self.anchor()).await?.epoch != purse.anchor.epoch;
        if is_over {
            *purse = patiently(|| self.new_purse(Some((purse.secret.clone(), purse.grant)))).await?;
        }
        Ok(is_over)
    }

    /// One question to the home's desk. The inner error is a refusal, or without a reason that nobody answered.
    async fn ask(
        &self,
        purse: &mut Purse,
        purpose: &Purpose,
        need: Noz,
    ) -> Result<Result<Vec<Verified<Ticket>>, (Option<TicketReason>, String)>, SessionError> {
        purse.sequence = purse.sequence.saturating_add(1);
        let (chain, epoch, session) = (self.0.network.chain(), purse.anchor.epoch, purse.secret.public());
        let request = TicketRequest { chain, epoch, payer: self.payer(), session, sequence: purse.sequence, purpose: purpose.clone() };
        let question = encode(&Signed::sign(request, &purse.secret));
        let bytes = match self.0.network.data.request(&purse.node.contact, desk::PROTOCOL, question, DESK_TIMEOUT).await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err((None, error.to_string()))),
        };
        let tickets = match TicketAnswer::decode(&bytes) {
            Ok(TicketAnswer::Issued(tickets)) => tickets,
            Ok(TicketAnswer::Refused { reason, text }) => return Ok(Err((Some(reason), text))),
            Err(error) => return Ok(Err((None, error.to_string()))),
        };
        purse.issued = purse.issued.saturating_add(need);
        let wanted: Vec<(Option<Hash>, u64)> = match purpose {
            Purpose::Upload { slices, .. } => slices.iter().map(|slice| (Some(slice.root), slice.bytes)).collect(),
            Purpose::Download { slices, .. } => slices.iter().map(|slice| (None, slice.bytes)).collect(),
        };
        let foreign = || SessionError::ForeignTickets(purse.home);
        if tickets.len() != wanted.len() {
            return Err(foreign());
        }
        let mut verified = Vec::with_capacity(tickets.len());
        for (ticket, (root, bytes)) in tickets.into_iter().zip(wanted) {
            let body = &ticket.body;
            let fits = body.epoch == epoch && body.session == session && body.payer == self.payer() && body.bytes_max == bytes;
            if !fits || root.is_some_and(|root| root != body.slice) {
                return Err(foreign());
            }
            verified.push(ticket.verify(chain, &purse.node.key).map_err(|_| foreign())?);
        }
        Ok(Ok(verified))
    }

    /// Reserves `wish` more than was issued. `false` if the epoch has changed.
    async fn reserve(&self, purse: &mut Purse, wish: Noz) -> Result<bool, SessionError> {
        let end = Instant::now() + RESERVE_TIMEOUT;
        loop {
            let reason = match self.try_reserve(purse, wish).await {
                Ok(Reserved::Done) => return Ok(true),
                Ok(Reserved::EpochOver) => return Ok(false),
                Ok(Reserved::NotYet(reason)) => reason,
                Err(error) if error.is_passing() => error.to_string(),
                Err(error) => return Err(error),
            };
            if Instant::now() >= end {
                return Err(SessionError::Reserve { noz: wish, after: RESERVE_TIMEOUT, reason });
            }
            sleep(PAUSE).await;
        }
    }

    /// One attempt to reserve `wish` more than was issued.
    async fn try_reserve(&self, purse: &mut Purse, wish: Noz) -> Result<Reserved, SessionError> {
        let noz = purse.issued.saturating_add(wish);
        let (chain, payer, session) = (self.0.network.chain(), self.payer(), purse.secret.public());
        let allowance = Allowance { chain, grant: purse.grant, epoch: purse.anchor.epoch, noz, home: purse.home };
        let (ozone, reading) = self.0.network.value.proven(funds_keys(&purse.grant.grant)).await?;
        let funds = funds(&reading, &purse.grant.grant).ok_or(SessionError::Unreadable("settlement"))?;
        let seen = self.read_meta(&[session_key(&session)]).await?;
        if anchor::current(&seen).epoch != purse.anchor.epoch {
            return Ok(Reserved::EpochOver);
        }
        // A reservation whose end we did not see, because the caller gave up in the middle.
        if let Some(made) = allowance::reservation(&seen, &payer, &session, purse.anchor.epoch).filter(|made| made.noz >= noz) {
            purse.reserved = made.noz;
            return Ok(Reserved::Done);
        }
        let is_old = allowance::payer(&seen, &payer).is_some_and(|record| funds.unsettled < record.unsettled);
        let reason = match allowance::check(&seen, &allowance, &funds) {
            Ok(()) => {
                let transaction = Transaction::Reserve { allowance: Box::new(Signed::sign(allowance, &purse.secret)), ozone: Box::new(ozone) };
                match self.0.network.meta.submit(transaction.encode()).await {
                    Ok(hash) => match self.0.network.meta.wait(hash, RESERVE_STEP).await {
                        Ok(_) => {
                            purse.reserved = noz;
                            return Ok(Reserved::Done);
                        }
                        // A ledger that moves on drops a transaction that has become impossible: look again before waiting on.
                        Err(LedgerError::Late { .. } | LedgerError::Failed { .. }) => "the reservation did not become final".to_owned(),
                        Err(
                            error @ (LedgerError::NoReplica { .. }
                            | LedgerError::Unreachable { .. }
                            | LedgerError::Conflict { .. }
                            | LedgerError::Refused { .. }),
                        ) => return Err(error.into()),
                    },
                    Err(LedgerError::Refused { reason, .. }) => reason,
                    Err(
                        error @ (LedgerError::NoReplica { .. }
                        | LedgerError::Unreachable { .. }
                        | LedgerError::Conflict { .. }
                        | LedgerError::Failed { .. }
                        | LedgerError::Late { .. }),
                    ) => return Err(error.into()),
                }
            }
            Err(Refusal::Never(reason)) if !is_old => return Err(SessionError::Reserve { noz: wish, after: Duration::ZERO, reason }),
            Err(refusal) => refusal.to_string(),
        };
        if funds.noz < wish {
            self.check_means(wish).await?;
        }
        Ok(Reserved::NotYet(reason))
    }

    /// A carrier of the registry, remembered until it cannot be reached.
    async fn carrier(&self, operator: &Address) -> Result<Node, SessionError> {
        if let Some(node) = self.shared().carriers.get(operator) {
            return Ok(node.clone());
        }
        let node = self.0.network.carrier(operator).await?;
        self.shared().carriers.insert(*operator, node.clone());
        Ok(node)
    }

    /// Whether the carrier could not be reached, or did nothing, a moment ago.
    pub fn is_away(&self, carrier: &Address) -> bool {
        self.away_until(carrier).is_some()
    }

    /// Until when the carrier is not tried again, if it is away.
    pub fn away_until(&self, carrier: &Address) -> Option<Instant> {
        self.shared().away.get(carrier).copied().filter(|until| *until > Instant::now())
    }

    /// Passes over a carrier that did nothing, as over one that cannot be reached: else each of its slices would wait as long.
    fn on_failed(&self, error: &TransferError) {
        if let TransferError::Stalled { carrier, .. } = error {
            self.shared().away.insert(*carrier, Instant::now() + AWAY);
        }
    }

    /// Bytes that this session has signed for, all channels and epochs together.
    pub fn signed(&self) -> Noz {
        let shared = self.shared();
        Noz(shared.open_signed().saturating_add(shared.forgotten).into())
    }

    /// A stream to a carrier, and who it is.
    async fn open(&self, carrier: &Address) -> Result<(Stream, Counterpart), SessionError> {
        if self.is_away(carrier) {
            return Err(SessionError::Away { carrier: *carrier });
        }
        let node = self.carrier(carrier).await?;
        match self.0.network.data.open(&node.contact, wire::PROTOCOL).await {
            Ok(stream) => Ok((stream, Counterpart { chain: self.0.network.chain(), carrier: *carrier, key: node.key })),
            Err(cause) => {
                // Who has too much to do at the moment is there.
                if !matches!(cause, OpenError::Busy { .. }) {
                    let mut shared = self.shared();
                    shared.carriers.remove(carrier);
                    shared.away.insert(*carrier, Instant::now() + AWAY);
                }
                Err(SessionError::Open { carrier: *carrier, cause: Box::new(cause) })
            }
        }
    }

    /// Stores a slice under `ticket` and pays for it.
    ///
    /// # Errors
    /// [`SessionError`]; nothing was paid for this slice then.
    pub async fn put(&self, ticket: &Verified<Ticket>, slice: Bytes) -> Result<Kept, SessionError> {
        let (stream, with) = self.open(&ticket.carrier).await?;
        let channel = {
            let mut shared = self.shared();
            let session = shared.credentials(ticket);
            Arc::clone(shared.uploads.entry(ticket.channel()).or_insert_with(|| Arc::new(Upload::new(with, ticket.channel(), session))))
        };
        Ok(channel.put(stream, ticket, slice).await.inspect_err(|error| self.on_failed(error))?)
    }

    /// Fetches groups of a slice under `ticket`, as [`Download::get`] does.
    ///
    /// # Errors
    /// [`GetError`]: how far it came, and why it stopped there.
    pub async fn get(&self, ticket: &Verified<Ticket>, slice_bytes: u64, groups: Range<u64>, sink: impl FnMut(u64, &[u8]) + Send) -> Result<(), GetError> {
        let next = groups.start;
        let (stream, with) = self.open(&ticket.carrier).await.map_err(|cause| GetError { next, cause })?;
        let channel = {
            let mut shared = self.shared();
            let session = shared.credentials(ticket);
            Arc::clone(shared.downloads.entry(ticket.channel()).or_insert_with(|| Arc::new(Download::new(with, ticket.channel(), session))))
        };
        let got = channel.get(stream, ticket, slice_bytes, groups, sink).await.inspect_err(|broken| self.on_failed(&broken.cause));
        got.map_err(|Broken { next, cause }| GetError { next, cause: cause.into() })
    }
}

impl Shared {
    /// What a ticket's session signs with.
    fn credentials(&self, ticket: &Ticket) -> Credentials {
        self.keys.get(&ticket.session).expect("tickets are checked to be of a session whose key was drawn here").clone()
    }

    /// Bytes signed for on channels that are not forgotten.
    fn open_signed(&self) -> u64 {
        let uploads = self.uploads.values().map(|channel| channel.signed());
        uploads.chain(self.downloads.values().map(|channel| channel.signed())).fold(0, u64::saturating_add)
    }

    fn prune(&mut self, current: Epoch) {
        let before = self.open_signed();
        let is_kept = |channel: &Channel| channel.epoch.0.saturating_add(1) >= current.0;
        self.uploads.retain(|channel, _| is_kept(channel));
        self.downloads.retain(|channel, _| is_kept(channel));
        self.forgotten = self.forgotten.saturating_add(before.saturating_sub(self.open_signed()));
    }
}

/// Asks again while a ledger gives no usable answer, for at most [`RESERVE_TIMEOUT`].
async fn patiently<T, F: Future<Output = Result<T, SessionError>>>(ask: impl Fn() -> F) -> Result<T, SessionError> {
    let end = Instant::now() + RESERVE_TIMEOUT;
    loop {
        match ask().await {
            Err(error) if error.is_passing() && Instant::now() < end => sleep(PAUSE).await,
            other => return other,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `noz` cost on the curve now, in wei, rounded up: the least X with `floor(L X / (S + P + X)) >= noz`. `None` if there is not so much for sale.
fn cost(curve: &pot::curve::Pool, noz: Noz) -> Option<Amount> {
    let left = curve.ozone.checked_sub(noz).filter(|left| *left > Noz::ZERO)?;
    let backing = curve.deposit.checked_add(curve.prepaid)?;
    units::mul_div(noz.0, backing.0, left.0)?.checked_add(1).map(Amount)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What the estimate says buys at least what is missing, and hardly more.
        #[test]
        fn the_cost_buys_it(deposit in 1u64.., prepaid in any::<u64>(), ozone in 2u64.., part in 1u64..1_000_000) {
            let curve = pot::curve::Pool { deposit: Amount(deposit.into()), prepaid: Amount(prepaid.into()), ozone: Noz(ozone.into()) };
            let noz = Noz((u128::from(ozone) * u128::from(part) / 1_000_000).max(1));
            if let Some(cost) = cost(&curve, noz) {
                prop_assert!(curve.purchase(cost).expect("in range") >= noz);
            }
        }
    }

    #[test]
    fn what_is_not_for_sale_has_no_price() {
        let curve = pot::curve::Pool { deposit: Amount(1000), prepaid: Amount(0), ozone: Noz(10) };
        assert_eq!(cost(&curve, Noz(10)), None);
        assert_eq!(cost(&curve, Noz(5)), Some(Amount(1001)));
    }
}
