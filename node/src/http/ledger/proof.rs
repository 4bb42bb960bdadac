//! What a ledger's state says about a key, now or in the past, with its proof: `/v1/proof` and `/v1/proof/ics23`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::super::limits::KEY_BYTES_MAX;
use super::super::problem::Problem;
use super::super::question::Parameters;
use super::super::server::Server;
use super::super::views::{self, LedgerName};
use super::past::When;
use crate::replica::PastError;

/// `GET /v1/proof?ledger=value|meta&key=HEX[&height=H]`: of the newest final block without a height.
///
/// # Errors
/// [`Problem`] if a parameter is none, or the state of that height cannot be proven here.
pub async fn show(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<views::Proof>, Problem> {
    let (ledger, key) = question(&parameters)?;
    let when = When::read(&server, &parameters)?;
    server
        .read(move |server| {
            let (site, height, broken) =
                (&server.site, when.height(), |error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the genesis file is invalid: {error}")));
            let traced = match ledger {
                LedgerName::Value => site.value.trace(site.genesis.validator_members().map_err(broken)?, height, std::slice::from_ref(&key)),
                LedgerName::Meta => site.meta.trace(site.genesis.meta_members().map_err(broken)?, height, std::slice::from_ref(&key)),
            };
            let traced = traced.map_err(|error| problem(&error))?;
            Ok(Json(views::Proof::new(ledger, &traced)))
        })
        .await
}

/// `GET /v1/proof/ics23?ledger=value|meta&key=HEX[&height=H]`: the same in the form of ICS 23, for verifiers of other chains, which know the state's root from
/// elsewhere.
///
/// # Errors
/// [`Problem`] as of [`show`], and where that form has no proof.
pub async fn ics23(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<views::Ics23>, Problem> {
    let (ledger, key) = question(&parameters)?;
    let when = When::read(&server, &parameters)?;
    server
        .read(move |server| {
            let (certified, state) = match ledger {
                LedgerName::Value => server.site.value.after(when.height()),
                LedgerName::Meta => server.site.meta.after(when.height()),
            }
            .map_err(|error| problem(&error))?;
            let proof = state::ics23::prove(&state, &key);
            let proof = proof.ok_or_else(|| {
                Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "ICS 23 has no proof of this: the state is empty, or an empty value is in the way; ask `/v1/proof`",
                )
            })?;
            Ok(Json(views::Ics23::new(ledger, &certified, &key, state.get(&key).as_deref(), &proof)))
        })
        .await
}

/// What is asked for.
fn question(parameters: &Parameters) -> Result<(LedgerName, Vec<u8>), Problem> {
    let ledger = parameters.value("ledger", "a ledger: give `value` or `meta`")?.unwrap_or(LedgerName::Value);
    Ok((ledger, key(parameters.text("key"))?))
}

/// The bytes of a key in hexadecimal digits.
fn key(text: Option<&str>) -> Result<Vec<u8>, Problem> {
    let digits = text.ok_or_else(|| Problem::bad("there is no `key`: give its bytes in hexadecimal digits"))?;
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    if digits.is_empty() || digits.len() > 2 * KEY_BYTES_MAX {
        return Err(Problem::bad(format!("a key of {} hexadecimal digits; it has 2 to {}", digits.len(), 2 * KEY_BYTES_MAX)));
    }
    hex::decode(digits).map_err(|error| Problem::bad(format!("the key is not in hexadecimal digits, two for each byte: {error}")))
}

pub(super) fn problem(error: &PastError) -> Problem {
    match error {
        PastError::Empty => Problem::busy(error.to_string()),
        PastError::Genesis => Problem::bad(error.to_string()),
        PastError::Future { .. } | PastError::Missing { .. } | PastError::Voters { .. } => Problem::missing(error.to_string()),
        PastError::Old { .. } => Problem::new(StatusCode::GONE, error.to_string()),
        PastError::Changes { .. } => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
    }
}
