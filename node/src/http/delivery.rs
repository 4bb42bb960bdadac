//! The bytes of a file, for whoever brings its capability: `/files/{id}?cap=...`.
//!
//! Players ask for ranges and leave when they have seen enough: bytes are fetched, paid and decrypted as they are read, and not when nobody reads.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use client::files::{Capability, FilesError, Opened};
use client::ledger::LedgerError;
use client::session::SessionError;
use futures::stream::{Stream, StreamExt as _};
use storage::Details;
use storage::manifest::FileId;
use tracing::warn;

use super::index::stored;
use super::limits::DOWNLOADS_MAX;
use super::metrics::Direction;
use super::problem::Problem;
use super::question::{Parameters, Segment, parse};
use super::range::{Selection, is_current, is_listed, is_matched, select};
use super::server::Server;

/// What content may do: show itself. It runs nothing, asks nobody, and belongs to no site.
const POLICY: &str = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox";
/// What is not known to be something else.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// `GET` and `HEAD /files/{id}?cap=CAPABILITY`.
///
/// # Errors
/// [`Problem`]: 403 without the capability, 404 without the file, 416 for a range behind its end, 503 if its slices cannot be had.
pub async fn send(
    State(server): State<Arc<Server>>,
    Segment(id): Segment,
    parameters: Parameters,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: FileId = parse(&id, "a file id of 64 hexadecimal digits")?;
    let Some(text) = parameters.text("cap") else {
        return Err(Problem::forbidden("the file is encrypted and this gateway has no key to it; open the whole link, which ends in `?cap=` and 50 letters"));
    };
    let capability = Capability::parse(id, text).map_err(|error| Problem::forbidden(format!("{error}; open the whole link as its owner gave it")))?;
    let opened = server
        .read(move |server| {
            let file = stored(&server.site.meta.head().state, &id)?;
            let opened =
                file.manifest.open_with(capability.key).map_err(|cause| Problem::forbidden(format!("the capability does not open the file: {cause}")))?;
            Ok(Opened { id, file, key: opened.key, details: opened.details })
        })
        .await?;
    let opened = Arc::new(opened);
    let content = Content { id, bytes: opened.file.manifest.public.total, details: opened.details.clone() };
    let files = server.site.files.clone();
    content
        .answer(&method, &headers, async |range| {
            let permit = Server::take(&server.downloads, DOWNLOADS_MAX, "downloads")?;
            let counted = Arc::clone(&server);
            let stream = files.range(opened, range).map_err(|error| problem(&error))?;
            let ends = server.shutdown.clone().cancelled_owned();
            Ok(stream.take_until(ends).inspect(move |item| {
                let _held = &permit;
                match item {
                    Ok(bytes) => counted.metrics.moved(Direction::Out, bytes.len()),
                    // In the middle of an answer the connection just ends: this is the only place that says why.
                    Err(error) => warn!(file = %id, %error, "a file could not be sent to its end"),
                }
            }))
        })
        .await
}

/// What an answer must know of a file besides its bytes.
pub struct Content {
    /// The file, which never changes.
    pub id: FileId,
    /// Its length.
    pub bytes: u64,
    /// What its owner called it.
    pub details: Details,
}

impl Content {
    /// The answer to a question for the file; `read` gives the bytes of a range.
    ///
    /// # Errors
    /// Whatever `read` refuses, also with its first bytes: then the status still says so.
    pub async fn answer<S>(&self, method: &Method, headers: &HeaderMap, read: impl AsyncFnOnce(Range<u64>) -> Result<S, Problem>) -> Result<Response, Problem>
    where
        S: Stream<Item = Result<Bytes, FilesError>> + Send + 'static,
    {
        let tag = format!("\"{}\"", self.id);
        // A value that is no text matches nothing.
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        if text(header::IF_MATCH).is_some_and(|list| !is_matched(list, &tag)) {
            return Err(Problem::new(StatusCode::PRECONDITION_FAILED, format!("the file's tag is {tag}; ask without `If-Match`, or with that tag")));
        }
        if text(header::IF_NONE_MATCH).is_some_and(|list| is_listed(list, &tag)) {
            return Ok(self.dress(StatusCode::NOT_MODIFIED.into_response(), &tag));
        }
        // Ranges are defined for GET alone.
        let is_ranged = method == Method::GET && is_current(text(header::IF_RANGE), &tag);
        let (status, range) = match select(text(header::RANGE).filter(|_| is_ranged), self.bytes) {
            Selection::Whole => (StatusCode::OK, 0..self.bytes),
            Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Selection::Nothing => {
                let end = HeaderValue::try_from(format!("bytes */{}", self.bytes)).expect("digits are a header value");
                return Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("the file has {} bytes; ask for a range within them", self.bytes))
                    .with(header::CONTENT_RANGE, end));
            }
        };
        let length = range.end.saturating_sub(range.start);
        let place = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), self.bytes);
        let body = if method == Method::HEAD || length == 0 {
            Body::empty()
        } else {
            let mut stream = Box::pin(read(range).await?);
            let first = stream.next().await.unwrap_or(Err(FilesError::Ending)).map_err(|error| problem(&error))?;
            Body::from_stream(futures::stream::iter([Ok(first)]).chain(stream))
        };
        let mut response = self.dress((status, body).into_response(), &tag);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        if status == StatusCode::PARTIAL_CONTENT {
            headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(place).expect("digits are a header value"));
        }
        Ok(response)
    }

    fn dress(&self, mut response: Response, tag: &str) -> Response {
        let media_type = media_type(&self.details.media_type);
        let headers = response.headers_mut();
        let mut insert = |name, value: &str| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        insert(header::ETAG, tag);
        insert(header::ACCEPT_RANGES, "bytes");
        // It never changes, but it can be removed: so it is asked again whether it is still there.
        insert(header::CACHE_CONTROL, "private, no-cache");
        insert(header::CONTENT_TYPE, media_type);
        insert(header::CONTENT_DISPOSITION, &disposition(media_type, &self.details.name));
        insert(header::CONTENT_SECURITY_POLICY, POLICY);
        // A link may be shown by pages of other sites too: who has it has the right.
        insert(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
        response
    }
}

/// The media type that is answered: as the owner gave it, if it is one.
pub fn media_type(given: &str) -> &str {
    let essence = given.split(';').next().unwrap_or_default().trim();
    let is_token = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte));
    let is_type = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    if is_type && HeaderValue::from_str(given).is_ok() { given } else { UNKNOWN_TYPE }
}

/// Pictures, sounds and videos are shown in place; all else is saved, so that no content is ever a page of this server. A picture in SVG is a program.
fn disposition(media_type: &str, name: &str) -> String {
    let lower = media_type.to_ascii_lowercase();
    let is_shown = ["video/", "audio/", "image/"].iter().any(|kind| lower.starts_with(kind)) && !lower.starts_with("image/svg");
    let kind = if is_shown { "inline" } else { "attachment" };
    let name = name.rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        return kind.to_owned();
    }
    // The plain name is for old programs, the encoded one (RFC 8187) for all others.
    let plain: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() || " .-_()".contains(letter) { letter } else { '_' }).collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// What a failure of the client means to whoever asked.
pub fn problem(error: &FilesError) -> Problem {
    let status = match error {
        FilesError::NotFound(_) | FilesError::Removed(_) => StatusCode::NOT_FOUND,
        FilesError::Key { .. } => StatusCode::FORBIDDEN,
        FilesError::Read(_) | FilesError::Changed { .. } => StatusCode::BAD_REQUEST,
        FilesError::Manifest(_) => StatusCode::PAYLOAD_TOO_LARGE,
        FilesError::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
        FilesError::Session(SessionError::NotEnoughOzone { payer, .. }) => {
            let text = format!("{error}. The gateway pays: give it ozone with `stratos ozone buy AMOUNT --for {payer}`");
            return Problem::new(StatusCode::PAYMENT_REQUIRED, text);
        }
        FilesError::Session(SessionError::Ledger(LedgerError::Refused { .. })) => StatusCode::CONFLICT,
        FilesError::Write(_) | FilesError::Segment(_) | FilesError::Randomness(_) => StatusCode::INTERNAL_SERVER_ERROR,
        FilesError::NotStored { .. } | FilesError::NotReadable { .. } | FilesError::Session(_) | FilesError::Ending => StatusCode::SERVICE_UNAVAILABLE,
    };
    let next = if status == StatusCode::SERVICE_UNAVAILABLE { ". Try again in a moment; `stratos resource list` shows which nodes are up" } else { "" };
    Problem::new(status, format!("{error}{next}"))
}

#[cfg(test)]
mod tests {
    use primitives::{Hash, Time};
    use proptest::prelude::*;

    use super::*;

    fn content(bytes: u64, media_type: &str, name: &str) -> Content {
        Content { id: Hash([7; 32]), bytes, details: Details { name: name.into(), media_type: media_type.into(), created: Time(0) } }
    }

    /// A file whose byte at place `n` is `n`.
    fn ask(content: &Content, method: &Method, headers: &[(HeaderName, &str)]) -> (Response, Vec<u8>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name, value.parse().expect("a value"));
        }
        let read = async |range: Range<u64>| {
            let bytes: Vec<u8> = range.map(|place| u8::try_from(place % 251).expect("below 251")).collect();
            Ok(futures::stream::iter(bytes.chunks(3).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect::<Vec<_>>()))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let response = content.answer(method, &map, read).await.unwrap_or_else(Problem::into_response);
            let (parts, body) = response.into_parts();
            let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
            (Response::from_parts(parts, Body::empty()), bytes.to_vec())
        })
    }

    #[test]
    fn whole_and_parts() {
        let content = content(10, "video/mp4", "film.mp4");
        let tag = format!("\"{}\"", content.id);
        let (whole, bytes) = ask(&content, &Method::GET, &[]);
        assert_eq!((whole.status(), bytes), (StatusCode::OK, (0..10).collect()));
        for (name, value) in [
            (header::CONTENT_LENGTH, "10"),
            (header::ACCEPT_RANGES, "bytes"),
            (header::CONTENT_TYPE, "video/mp4"),
            (header::ETAG, &tag),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::CONTENT_DISPOSITION, "inline; filename=\"film.mp4\"; filename*=UTF-8''film.mp4"),
        ] {
            assert_eq!(whole.headers()[&name], value);
        }
        let (part, bytes) = ask(&content, &Method::GET, &[(header::RANGE, "bytes=4-6"), (header::IF_RANGE, &tag)]);
        assert_eq!((part.status(), bytes), (StatusCode::PARTIAL_CONTENT, vec![4, 5, 6]));
        assert_eq!(
            (&part.headers()[header::CONTENT_RANGE], &part.headers()[header::CONTENT_LENGTH]),
            (&HeaderValue::from_static("bytes 4-6/10"), &HeaderValue::from_static("3"))
        );
        let (other, bytes) = ask(&content, &Method::GET, &[(header::RANGE, "bytes=4-6"), (header::IF_RANGE, "\"other\"")]);
        assert_eq!((other.status(), bytes.len()), (StatusCode::OK, 10), "another version of the file would be mixed with this one");
        let (beyond, bytes) = ask(&content, &Method::GET, &[(header::RANGE, "bytes=10-")]);
        assert_eq!((beyond.status(), &beyond.headers()[header::CONTENT_RANGE]), (StatusCode::RANGE_NOT_SATISFIABLE, &HeaderValue::from_static("bytes */10")));
        assert!(String::from_utf8(bytes).expect("text").contains("10 bytes"));
    }

    #[test]
    fn heads_and_known_versions() {
        let content = content(10, "text/html", "page.html");
        let (head, bytes) = ask(&content, &Method::HEAD, &[(header::RANGE, "bytes=4-6")]);
        assert_eq!((head.status(), bytes.len()), (StatusCode::OK, 0));
        assert_eq!(head.headers()[header::CONTENT_LENGTH], "10");
        let (unmatched, _) = ask(&content, &Method::GET, &[(header::IF_MATCH, "\"other\"")]);
        assert_eq!(unmatched.status(), StatusCode::PRECONDITION_FAILED);
        let (known, _) = ask(&content, &Method::GET, &[(header::IF_NONE_MATCH, &format!("\"{}\"", content.id))]);
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
        let (empty, bytes) = ask(&self::content(0, "", ""), &Method::GET, &[]);
        assert_eq!((empty.status(), bytes.len(), &empty.headers()[header::CONTENT_LENGTH]), (StatusCode::OK, 0, &HeaderValue::from_static("0")));
    }

    /// Checks HTTP-3.
    #[test]
    fn only_media_are_shown_in_place() {
        for (media_type, expected) in [
            ("video/mp4", "inline"),
            ("audio/ogg; codecs=opus", "inline"),
            ("IMAGE/PNG", "inline"),
            ("image/svg+xml", "attachment"),
            ("Image/SVG+xml", "attachment"),
            ("text/html", "attachment"),
            ("application/pdf", "attachment"),
            ("application/xhtml+xml", "attachment"),
        ] {
            assert_eq!(disposition(media_type, ""), expected, "{media_type}");
        }
        for given in ["", "video", "video/", "/mp4", "text/html\r\nx: y", "te xt/html", "video/mp4/x", "vidéo/mp4"] {
            assert_eq!(media_type(given), UNKNOWN_TYPE, "{given}");
        }
        assert_eq!(disposition("text/plain", "a/b/für \"dich\".txt"), "attachment; filename=\"f_r _dich_.txt\"; filename*=UTF-8''f%C3%BCr%20%22dich%22.txt");
    }

    proptest! {
        #[test]
        fn any_name_and_type_are_headers(name in ".{0,60}", given in ".{0,40}") {
            let content = content(3, &given, &name);
            let (response, bytes) = ask(&content, &Method::GET, &[]);
            prop_assert_eq!(bytes.len(), 3);
            prop_assert!(response.headers().contains_key(header::CONTENT_TYPE));
            prop_assert!(response.headers()[header::CONTENT_DISPOSITION].to_str().is_ok());
        }

        #[test]
        fn what_is_answered_is_what_is_there(bytes in 0_u64..40, first in 0_u64..50, last in 0_u64..50) {
            let (response, body) = ask(&content(bytes, "", ""), &Method::GET, &[(header::RANGE, &format!("bytes={first}-{last}"))]);
            if response.status() == StatusCode::PARTIAL_CONTENT {
                prop_assert_eq!(body, (first..bytes.min(last + 1)).map(|place| u8::try_from(place).expect("small")).collect::<Vec<_>>());
            }
        }
    }
}
