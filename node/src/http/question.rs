//! What stands in a URL or in a short body, read so that a mistake is answered with what would be right.

use std::str::FromStr;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::interface::DESCRIPTION;
use super::limits::{BODY_STALL, LIST_DEFAULT, LIST_MAX};
use super::problem::{Problem, shown};
use super::server::drain;

/// The variable part of a path; a tuple if there are several.
#[derive(Debug)]
pub struct Segment<T = String>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::from_request_parts(parts, state).await.map_err(|_| Problem::bad("the address of the page is not text in UTF-8"))?;
        Ok(Self(text))
    }
}

/// A body of at most `bytes_max`; `what` says what is expected.
///
/// # Errors
/// [`Problem`]: 400 if it is empty, 408 if it does not come, 413 if it is longer.
pub async fn read_body(headers: &HeaderMap, body: Body, bytes_max: usize, what: &str) -> Result<Vec<u8>, Problem> {
    let too_long = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {bytes_max} bytes; send {what}, which has no more"));
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > bytes_max)) {
        drain(body);
        return Err(too_long());
    }
    match timeout(BODY_STALL, to_bytes(body, bytes_max)).await {
        Ok(Ok(bytes)) if bytes.is_empty() => Err(Problem::bad(format!("the body is empty; send {what}"))),
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(_)) => Err(too_long()),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {} s", BODY_STALL.as_secs()))),
    }
}

/// The parameters behind the `?`, in their order.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.uri)
    }
}

impl Parameters {
    /// Those of an address.
    ///
    /// # Errors
    /// [`Problem`] for what is no list of names and values.
    fn of(uri: &Uri) -> Result<Self, Problem> {
        let cannot = |_| Problem::bad("what follows the `?` cannot be read; write `name=value&name=value`, each name once");
        Query::try_from_uri(uri).map(|Query(pairs)| Self(pairs)).map_err(cannot)
    }

    /// Refuses all names but the known ones, and those that are there twice: either value would be somebody's question.
    ///
    /// # Errors
    /// [`Problem`] with the first that is refused.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let takes = if known.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", known.join(", ")) };
                return Err(Problem::bad(format!("this address has no parameter `{}`: {takes}; {DESCRIPTION} describes them", shown(name))));
            }
            if self.0.iter().skip(index + 1).any(|(other, _)| other == name) {
                return Err(Problem::bad(format!("the parameter `{}` is there twice; give each once", shown(name))));
            }
        }
        Ok(())
    }

    /// The value of `name`, if it is there; the first.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The value of `name` as something else; `kind` says what is expected.
    ///
    /// # Errors
    /// [`Problem`] if it is there and is something else.
    pub fn value<T: FromStr>(&self, name: &str, kind: &str) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| parse(text, kind)).transpose()
    }

    /// `limit`: 1 to [`LIST_MAX`]; more gives [`LIST_MAX`].
    ///
    /// # Errors
    /// [`Problem`] if it is no number or 0.
    pub fn limit(&self) -> Result<usize, Problem> {
        match self.value("limit", "a number from 1 up")?.unwrap_or(LIST_DEFAULT) {
            0 => Err(Problem::bad(format!("a list of 0 entries; ask for 1 to {LIST_MAX}"))),
            limit => Ok(limit.min(LIST_MAX)),
        }
    }
}

/// `text` as a value; `kind` says what is expected.
///
/// # Errors
/// [`Problem`] if it is something else.
pub fn parse<T: FromStr>(text: &str, kind: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::bad(format!("`{}` is not {kind}", shown(text))))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn ask(query: &str) -> Parameters {
        Parameters::of(&format!("/x?{query}").parse().expect("a path")).expect("a query")
    }

    #[test]
    fn limits() {
        assert_eq!(ask("").limit(), Ok(LIST_DEFAULT));
        assert_eq!(ask("limit=7").limit(), Ok(7));
        assert_eq!(ask("limit=9999").limit(), Ok(LIST_MAX));
        for wrong in ["limit=0", "limit=-1", "limit=x", "limit=", "limit=99999999999999999999999"] {
            assert_eq!(ask(wrong).limit().expect_err(wrong).status, StatusCode::BAD_REQUEST);
        }
        assert_eq!(ask("name=a%20b").text("name"), Some("a b"));
    }

    #[test]
    fn only_what_is_known_and_once() {
        let refused = |query: &str, known: &[&str]| ask(query).only(known).expect_err(query);
        assert_eq!(refused("a%0Ab=1", &[]), Problem::bad("this address has no parameter `ab`: it takes none; /openapi.json describes them"));
        assert_eq!(
            refused("limt=1", &["limit", "height"]),
            Problem::bad("this address has no parameter `limt`: it takes limit, height; /openapi.json describes them")
        );
        for twice in ["a=1&b=2&a=1", "a=1&a=2"] {
            assert_eq!(refused(twice, &["a", "b"]), Problem::bad("the parameter `a` is there twice; give each once"));
        }
        assert_eq!(ask("a=1&b=1").only(&["b", "a", "c"]), Ok(()));
        assert_eq!(ask("a=1&a=2").text("a"), Some("1"));
    }
}
