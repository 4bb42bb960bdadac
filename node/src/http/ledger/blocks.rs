//! Blocks: `/v1/blocks`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chain::ValueLedger;
use chain::ledger::Summary;
use chain::ledger::block::transaction_hash;
use consensus::Header;
use consensus::justification::Base;
use primitives::encoding::encode;
use primitives::{Address, Bytes, Hash, Height};

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
            whole(server, height).map(Json).ok_or_else(|| Problem::missing(format!("there is no block {height} yet; the newest is {newest}")))
        })
        .await
}

/// The final block of a height, with who signed it.
fn whole(server: &Server, height: Height) -> Option<views::Block> {
    found(server, height).map(|(block, signed_by)| views::Block { signed_by, ..block })
}

/// The final block of a height, as lists have it.
pub fn at(server: &Server, height: Height) -> Option<views::Block> {
    found(server, height).map(|(block, _)| block)
}

fn found(server: &Server, height: Height) -> Option<(views::Block, Option<Vec<Address>>)> {
    let value = &server.site.value;
    if height == Height::ZERO {
        let (header, summary) = &server.genesis;
        // Nobody signs it: it follows from the genesis file.
        return Some((view(header, summary, server), Some(Vec::new())));
    }
    let stored = value.block(height)?;
    let body = stored.body()?;
    let header = &stored.block.header;
    let (set, signers) = (server.voters.of(value, &header.members), signers(value, &stored));
    let proposer = set.as_ref().and_then(|set| set.operator(header.proposer));
    let block = views::Block {
        proposer: proposer.map(|address| views::Proposer { index: header.proposer.into(), address }),
        signers: signers.as_deref().map_or(0, count),
        bytes: Bytes(u64::try_from(encode(&stored.block).len()).unwrap_or(u64::MAX)),
        txs: body.transactions.iter().map(|bytes| transaction_hash(bytes)).collect(),
        ..view(header, &body.summary, server)
    };
    let signed_by = set.zip(signers).and_then(|(set, signers)| signers.into_iter().map(|signer| set.operator(signer)).collect());
    Some((block, signed_by))
}

/// What header and summary alone say.
fn view(header: &Header, summary: &Summary, server: &Server) -> views::Block {
    views::Block {
        height: header.height,
        view: header.view,
        hash: header.hash(),
        parent: header.parent,
        time_ms: header.time,
        proposer: None,
        epoch: header.epoch,
        state_root: summary.state.root,
        leaves: summary.state.leaves,
        base_fee_wei: summary.base_fee,
        units_used: summary.units_used,
        units_limit: summary.units_limit,
        closes_epoch: summary.closes_epoch,
        signers: 0,
        signed_by: None,
        members: server.voters.of(&server.site.value, &header.members).map(|set| count(&set.voters)),
        bytes: Bytes(0),
        txs: Vec::new(),
    }
}

/// Positions of the members whose votes certify this very block: in its own finalization, or in the certificate on which the block after it builds, which of an
/// epoch's last block is a closing one. `None` if only a finalization of a later block is here yet.
fn signers(value: &Replica<ValueLedger>, stored: &StoredBlock) -> Option<Vec<u16>> {
    if let Some(finality) = stored.finality.as_ref().filter(|finality| finality.headers.is_empty()) {
        return Some(finality.certificate.signers().collect());
    }
    let base = match stored.closing.first() {
        Some(closing) => closing.justification.base.clone(),
        None => value.block(stored.block.header.height.next())?.block.justification.base,
    };
    match base {
        Base::Certified(certificate) => Some(certificate.signers().collect()),
        Base::Start => None,
    }
}
