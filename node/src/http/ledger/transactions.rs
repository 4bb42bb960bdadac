//! Transactions of the value ledger: `/v1/txs`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use chain::ValueLedger;
use chain::event::Event;
use chain::ledger::block::TRANSACTION_BYTES_MAX;
use chain::ledger::query::TransactionState;
use chain::ledger::{Receipt, Status};
use chain::simulation::Outcome;
use chain::transaction::{SignedTransaction, Transaction};
use primitives::encoding::decode;
use primitives::{Hash, Height};

use super::super::limits::SIMULATIONS_MAX;
use super::super::problem::Problem;
use super::super::question::{Parameters, Segment, parse, read_body};
use super::super::server::Server;
use super::super::views;

/// `GET /v1/txs/{hash}`.
///
/// # Errors
/// [`Problem`] for what is no hash; an unknown transaction is an answer.
pub async fn show(State(server): State<Arc<Server>>, Segment(hash): Segment) -> Result<Json<views::Transaction>, Problem> {
    let hash: Hash = parse(&hash, "a hash of 64 hexadecimal digits")?;
    server
        .read(move |server| {
            let value = &server.site.value;
            Ok(Json(match value.transaction(&hash) {
                TransactionState::Unknown => without_place(hash, views::TransactionState::Unknown),
                TransactionState::Waiting => without_place(hash, views::TransactionState::Waiting),
                TransactionState::Final { height, index, receipt } => {
                    let body = value.block(height).and_then(|stored| stored.body());
                    let bytes = body.as_ref().and_then(|body| body.transactions.get(usize::try_from(index).ok()?));
                    view(height, index, &receipt, bytes.map_or(&[], Vec::as_slice))
                }
            }))
        })
        .await
}

/// `GET /v1/txs?limit=N`: the newest final ones, newest first.
///
/// # Errors
/// [`Problem`] if the limit is no number.
pub async fn list(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<Vec<views::Transaction>>, Problem> {
    let limit = parameters.limit()?;
    server
        .read(move |server| {
            let value = &server.site.value;
            let mut open = None;
            let mut found = Vec::new();
            for (height, index) in value.newest_transactions(limit) {
                // Neighbours are mostly of one block.
                if open.as_ref().is_none_or(|(of, _, _)| *of != height) {
                    open = value.block(height).and_then(|stored| stored.body().map(|body| (height, stored, body)));
                }
                let place = usize::try_from(index).unwrap_or(usize::MAX);
                let Some((_, stored, body)) = &open else { continue };
                let (Some(receipt), Some(bytes)) = (stored.receipts.get(place), body.transactions.get(place)) else { continue };
                found.push(view(height, index, receipt, bytes));
            }
            Ok(Json(found))
        })
        .await
}

/// `POST /v1/txs`: the body is an encoded transaction.
///
/// # Errors
/// [`Problem`]: 413 if it is too long, 400 if it can never be in a block, 409 if not now.
pub async fn submit(State(server): State<Arc<Server>>, headers: HeaderMap, body: Body) -> Result<Json<views::Submitted>, Problem> {
    let bytes = read_body(&headers, body, TRANSACTION_BYTES_MAX, "the bytes of one signed transaction").await?;
    server
        .read(move |server| {
            let hash = server.site.value.submit(bytes)?;
            Ok(Json(views::Submitted { hash }))
        })
        .await
}

/// `POST /v1/txs/simulate`: the body is an encoded transaction without signatures, in hexadecimal digits.
///
/// # Errors
/// [`Problem`]: 413 if it is too long, 400 if it is no transaction, 503 if too many are tried. One that would be refused is an answer.
pub async fn simulate(State(server): State<Arc<Server>>, headers: HeaderMap, body: Body) -> Result<Json<views::Simulation>, Problem> {
    let digits = read_body(&headers, body, 2 * TRANSACTION_BYTES_MAX, "one unsigned transaction in hexadecimal digits").await?;
    let bytes =
        hex::decode(digits.trim_ascii()).map_err(|error| Problem::bad(format!("the transaction is not in hexadecimal digits, two for each byte: {error}")))?;
    let transaction: Transaction =
        decode(&bytes, TRANSACTION_BYTES_MAX).map_err(|error| Problem::bad(format!("the transaction cannot be decoded: {error}")))?;
    let permit = Server::take(&server.simulations, SIMULATIONS_MAX, "simulations")?;
    server
        .read(move |server| {
            let head = server.site.value.head();
            let sender = transaction.sender();
            let simulation = ValueLedger::new(server.chain()).simulate(&head.state, &head.header, transaction);
            drop(permit);
            let (outcome, error, events) = match simulation.outcome {
                Outcome::Done(events) => (views::SimulationOutcome::Done, None, events),
                Outcome::Failed(text) => (views::SimulationOutcome::Failed, Some(text), Vec::new()),
                Outcome::Refused(refusal) => (views::SimulationOutcome::Refused, Some(refusal.to_string()), Vec::new()),
            };
            Ok(Json(views::Simulation {
                height: head.header.height,
                sender,
                units: simulation.units,
                base_fee_wei: simulation.base_fee,
                fee_wei: simulation.fee,
                outcome,
                error,
                events: events.iter().filter_map(|event| serde_json::to_value(event).ok()).collect(),
            }))
        })
        .await
}

fn without_place(hash: Hash, state: views::TransactionState) -> views::Transaction {
    views::Transaction {
        hash,
        state,
        height: None,
        index: None,
        status: None,
        error: None,
        fee_wei: None,
        units: None,
        sender: None,
        nonce: None,
        memo: None,
        messages: Vec::new(),
        events: Vec::new(),
    }
}

/// A final transaction.
fn view(height: Height, index: u32, receipt: &Receipt, bytes: &[u8]) -> views::Transaction {
    let signed: Option<SignedTransaction> = decode(bytes, TRANSACTION_BYTES_MAX).ok();
    let body = signed.map(|signed| signed.body);
    let (status, error) = match &receipt.status {
        Status::Done => (views::TransactionStatus::Done, None),
        Status::Failed(text) => (views::TransactionStatus::Failed, Some(text.clone())),
    };
    let memo = body.as_ref().filter(|body| !body.memo.is_empty()).map(|body| String::from_utf8_lossy(&body.memo).into_owned());
    views::Transaction {
        height: Some(height),
        index: Some(index),
        status: Some(status),
        error,
        fee_wei: Some(receipt.fee),
        units: Some(receipt.units),
        sender: body.as_ref().map(Transaction::sender),
        nonce: body.as_ref().map(|body| body.nonce),
        memo,
        messages: body.iter().flat_map(|body| body.messages.iter().map(Into::into)).collect(),
        events: receipt.logs.iter().filter_map(Event::from_log).filter_map(|event| serde_json::to_value(event).ok()).collect(),
        ..without_place(receipt.transaction, views::TransactionState::Final)
    }
}
