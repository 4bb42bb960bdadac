//! Blocks: `/v1/blocks`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use chain::ValueLedger;
use chain::event::Event;
use chain::ledger::Summary;
use chain::ledger::block::transaction_hash;
use chain::{epochs, staking};
use consensus::Header;
use consensus::justification::Base;
use primitives::encoding::encode;
use primitives::{Bytes, Epoch, Hash, Height};

use super::super::problem::Problem;
use super::super::question::{Parameters, Segment, parse};
use super::super::server::Server;
use super::super::views;
use super::count;
use crate::replica::{Replica, StoredBlock};

/// `GET /v1/blocks?before=HEIGHT&limit=N`: those below `before`, newest first.
///
/// # Errors
/// [`Problem`] if a parameter is no number.
pub async fn list(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<Vec<views::Block>>, Problem> {
    let limit = parameters.limit()?;
    let before = parameters.value::<u64>("before", "a height")?;
    server
        .read(move |server| {
            let end = server.site.value.head().header.height.next().0;
            let heights = (0..before.unwrap_or(end).min(end)).rev().take(limit);
            Ok(Json(heights.map_while(|height| at(server, Height(height))).collect()))
        })
        .await
}

/// `GET /v1/blocks/{height|latest|hash}`.
///
/// # Errors
/// [`Problem`] if there is no such block.
pub async fn show(State(server): State<Arc<Server>>, Segment(id): Segment) -> Result<Json<views::Block>, Problem> {
    server
        .read(move |server| {
            let value = &server.site.value;
            let newest = value.head().header.height;
            let height = match id.as_str() {
                "latest" => newest,
                hash if hash.len() == 64 => {
                    let hash: Hash = parse(hash, "a hash of 64 hexadecimal digits")?;
                    let genesis = (server.genesis.0.hash() == hash).then_some(Height::ZERO);
                    genesis.or_else(|| value.height_of(&hash)).ok_or_else(|| Problem::missing(format!("there is no final block {hash} here")))?
                }
                number => parse(number, "a height, `latest`, or a hash of 64 hexadecimal digits")?,
            };
            at(server, height).map(Json).ok_or_else(|| Problem::missing(format!("there is no block {height} yet; the newest is {newest}")))
        })
        .await
}

/// The final block of a height.
pub fn at(server: &Server, height: Height) -> Option<views::Block> {
    let value = &server.site.value;
    if height == Height::ZERO {
        let (header, summary) = &server.genesis;
        return Some(view(header, summary, server));
    }
    let stored = value.block(height)?;
    let body = stored.body()?;
    let proposer = staking::validators(&value.head().state).get(usize::from(stored.block.header.proposer)).map(|validator| validator.operator);
    Some(views::Block {
        proposer: proposer.map(|address| views::Proposer { index: stored.block.header.proposer.into(), address }),
        signers: signers(value, &stored),
        bytes: Bytes(u64::try_from(encode(&stored.block).len()).unwrap_or(u64::MAX)),
        txs: body.transactions.iter().map(|bytes| transaction_hash(bytes)).collect(),
        ..view(&stored.block.header, &body.summary, server)
    })
}

/// What header and summary alone say.
fn view(header: &Header, summary: &Summary, server: &Server) -> views::Block {
    let value = &server.site.value;
    views::Block {
        height: header.height,
        view: header.view,
        hash: header.hash(),
        parent: header.parent,
        time_ms: header.time,
        proposer: None,
        epoch: server.epochs.of(value, header),
        state_root: summary.state.root,
        leaves: summary.state.leaves,
        base_fee_wei: summary.base_fee,
        units_used: summary.units_used,
        units_limit: summary.units_limit,
        closes_epoch: summary.closes_epoch,
        signers: 0,
        members: count(value.members().list()),
        bytes: Bytes(0),
        txs: Vec::new(),
    }
}

/// Members whose votes certify the block: under its own finalization, or under the certificate on which its child builds.
fn signers(value: &Replica<ValueLedger>, stored: &StoredBlock) -> u32 {
    let number = |signers: usize| u32::try_from(signers).unwrap_or(u32::MAX);
    if let Some(finality) = &stored.finality {
        return number(finality.certificate.signers().count());
    }
    match value.block(stored.block.header.height.next()).map(|child| child.block.justification.base) {
        Some(Base::Certified(certificate)) => number(certificate.signers().count()),
        Some(Base::Start) | None => 0,
    }
}

/// Which epoch a block is of. Blocks do not say; the one that closes an epoch tells which one begins.
#[derive(Default)]
pub struct Epochs(Mutex<BTreeMap<Height, Closed>>);

/// The end of an epoch, under the height of the block that closed it.
#[derive(Clone, Copy)]
struct Closed {
    epoch: Epoch,
    /// Lowest block known to be of it.
    from: Height,
}

impl Epochs {
    fn of(&self, value: &Replica<ValueLedger>, header: &Header) -> Epoch {
        let head = value.head();
        let current = epochs::current(&head.state);
        // The block that began the running epoch is of the one before; all later ones have later times.
        if header.height == Height::ZERO || header.time > current.started {
            return if header.height == Height::ZERO { Epoch::ZERO } else { current.number };
        }
        let end = head.header.height;
        let mut height = header.height;
        while height <= end {
            if let Some((closing, closed)) = self.first_from(height)
                && height >= closed.from
            {
                self.remember(closing, Closed { from: header.height, ..closed });
                return closed.epoch;
            }
            let Some(stored) = value.block(height) else { break };
            let began =
                stored.logs.iter().filter_map(Event::from_log).find_map(|event| if let Event::EpochBegan { epoch } = event { Some(epoch) } else { None });
            if let Some(epoch) = began.and_then(|began| began.checked_sub(Epoch(1))) {
                self.remember(height, Closed { epoch, from: header.height });
                return epoch;
            }
            height = height.next();
        }
        current.number
    }

    fn first_from(&self, height: Height) -> Option<(Height, Closed)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.range(height..).next().map(|(closing, closed)| (*closing, *closed))
    }

    fn remember(&self, closing: Height, closed: Closed) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(closing).or_insert(closed);
        entry.from = entry.from.min(closed.from);
    }
}
