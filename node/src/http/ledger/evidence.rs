//! Contradictions: proofs that this node keeps or is brought, and what the ledger made of them: `/v1/evidence`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use chain::ledger::Refusal;
use chain::ledger::block::EVIDENCE_BYTES_MAX;
use chain::slashing::{self, Offence};
use consensus::Kind;
use consensus::evidence::Evidence;
use primitives::encoding::{decode, encode};
use state::Sealed;

use super::super::problem::Problem;
use super::super::question::{Parameters, read_body};
use super::super::server::Server;
use super::super::views;
use super::epochs::members_of;
use super::validators::{Names, conditions};

/// `GET /v1/evidence?limit=N`: the newest proofs that this node keeps, newest epoch first, and all offences that the ledger still counts.
///
/// # Errors
/// [`Problem`] if the limit is no number.
pub async fn list(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<views::EvidenceReport>, Problem> {
    let limit = parameters.limit()?;
    let conditions = conditions(&server).await;
    server
        .read(move |server| {
            let (names, state) = (Names::new(server, &conditions), &server.site.value.head().state);
            let kept = server.site.value.evidence();
            let offences = slashing::offences(state).into_iter().map(|offence| counted(&offence, state, &names)).collect();
            let kept = kept.iter().rev().take(limit).map(|evidence| view(server, evidence, &names)).collect();
            Ok(Json(views::EvidenceReport { kept, offences }))
        })
        .await
}

/// `POST /v1/evidence`: the body is one encoded proof. It waits for a block here, and at the other nodes, which are told. Answers with the offence as the
/// ledger will count it; who is rewarded is not known before.
///
/// # Errors
/// [`Problem`]: 400 if it proves nothing, 409 if the ledger does not take it now: it is too old, of an epoch to come, or makes an offence no worse that is
/// counted already; 408 if it does not come, 413 if it is too long.
pub async fn submit(State(server): State<Arc<Server>>, headers: HeaderMap, body: Body) -> Result<Json<views::Offence>, Problem> {
    let bytes = read_body(&headers, body, EVIDENCE_BYTES_MAX, "the bytes of two votes that contradict each other").await?;
    let evidence: Evidence = decode(&bytes, EVIDENCE_BYTES_MAX).map_err(|error| Problem::bad(format!("the evidence cannot be decoded: {error}")))?;
    let conditions = conditions(&server).await;
    server
        .read(move |server| {
            let value = &server.site.value;
            let head = value.head();
            let offence = slashing::check(&head.state, server.chain(), &evidence).map_err(Refusal::from)?;
            value.bring(evidence);
            Ok(Json(counted(&offence, &head.state, &Names::new(server, &conditions))))
        })
        .await
}

fn counted(offence: &Offence, state: &Sealed, names: &Names) -> views::Offence {
    views::Offence {
        address: offence.operator,
        name: chain::staking::read(state, &offence.operator).map_or_else(|| offence.operator.to_string(), |of| names.of(&of.key, &of.operator)),
        epoch: offence.epoch,
        weight: offence.weight,
        total: offence.total,
        proven_epoch: offence.proven,
        until: offence.until,
        reporter: Some(offence.reporter).filter(|reporter| *reporter != offence.operator),
    }
}

fn view(server: &Server, evidence: &Evidence, names: &Names) -> views::KeptEvidence {
    let value = &server.site.value;
    let set = members_of(server, evidence.epoch()).and_then(|members| server.voters.of(value, &members));
    let voter = set.and_then(|set| set.voters.get(usize::from(evidence.signer())).copied());
    views::KeptEvidence {
        epoch: evidence.epoch(),
        member: evidence.signer(),
        address: voter.map(|voter| voter.operator),
        name: voter.map(|voter| names.of(&voter.key, &voter.operator)),
        votes: evidence
            .votes()
            .map(|signed| {
                let (kind, block) = match signed.vote.kind {
                    Kind::Notarize(block) => (views::VoteKind::Notarize, Some(block)),
                    Kind::Nullify => (views::VoteKind::Nullify, None),
                    Kind::Finalize(block) => (views::VoteKind::Finalize, Some(block)),
                };
                views::Vote { view: signed.vote.view, kind, block }
            })
            .into(),
        proof: hex::encode(encode(evidence)),
    }
}
