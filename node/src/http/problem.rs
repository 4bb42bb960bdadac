//! Refusals: a status, and a sentence that says what was wrong and what to do next.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chain::ledger::Refusal;

use super::views::ErrorBody;

/// Letters of what somebody sent that an error shows.
const SHOWN_LETTERS_MAX: usize = 80;

/// Why a request is not done. Always answered as [`ErrorBody`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    text: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A refusal with any status.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), headers: Vec::new() }
    }

    /// The request makes no sense.
    pub fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// What is asked for is not here.
    pub fn missing(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// Nobody may do this, or not this asker.
    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// The server has too much to do.
    pub fn busy(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text).with(header::RETRY_AFTER, HeaderValue::from_static("2"))
    }

    /// The same with a header.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// A transaction, or evidence, that the ledger does not take: 400 if it never will, 409 if it would at another time.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Never(text) => Self::bad(text),
            Refusal::NotNow(text) => Self::new(StatusCode::CONFLICT, text),
        }
    }
}

/// What somebody sent, as it can be shown in an error.
pub fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(SHOWN_LETTERS_MAX).collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorBody { error: self.text })).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}
