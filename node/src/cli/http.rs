//! Asking a node: plain HTTP, JSON answers, bounded in time and size.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

use super::failure::Failure;
use super::genesis::GENESIS_BYTES_MAX;
use crate::http::views::{ErrorBody, HEADER, PROOF_JSON_BYTES_MAX};

/// A node must accept a connection within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A node must have answered a question within this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// An answer is at most this long; lists are bounded far below by their limits.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
const _: () = assert!(PROOF_JSON_BYTES_MAX as u64 <= ANSWER_BYTES_MAX);
/// A node must have answered a question about everything within this time.
const LARGE_ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// Letters of an answer that is no JSON, shown in an error.
const SHOWN_MAX: usize = 200;

/// Where a node's HTTP interface is: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUrl(String);

impl FromStr for NodeUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = |why: &str| Err(format!("`{text}` is no address of a node: {why}; write `http://HOST:PORT`"));
        let Ok(uri) = text.parse::<Uri>() else { return fail("it is no URL") };
        let (scheme, path) = (uri.scheme_str(), uri.path());
        match (scheme, uri.authority()) {
            (Some("http"), Some(authority)) if matches!(path, "" | "/") && uri.query().is_none() => Ok(Self(format!("http://{authority}"))),
            (Some("http"), Some(_)) => fail("it has a path"),
            (Some("https"), _) => fail("TLS is for a proxy in front of the node, commands speak plain HTTP"),
            _ => fail("it does not begin with `http://`"),
        }
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node to ask.
pub struct Node {
    url: NodeUrl,
    agent: Agent,
}

impl Node {
    /// The node at `url`; nothing is sent yet.
    pub fn new(url: NodeUrl) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(ANSWER_TIMEOUT))
            // A node is asked directly, and it redirects nobody.
            .proxy(None)
            .max_redirects(0)
            .user_agent(concat!("stratos/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self { url, agent }
    }

    /// Where the node is.
    pub fn url(&self) -> &NodeUrl {
        &self.url
    }

    /// `GET path`.
    ///
    /// # Errors
    /// [`Failure`] if the node cannot be reached, refuses, or answers what cannot be read.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.answer(self.agent.get(self.at(path)).call(), ANSWER_BYTES_MAX)
    }

    /// The same for an answer that says everything there is: it may be as long as a genesis file, and take the time that it takes.
    ///
    /// # Errors
    /// As [`Node::get`].
    pub fn get_large<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let request = self.agent.get(self.at(path)).config().timeout_global(Some(LARGE_ANSWER_TIMEOUT)).build();
        self.answer(request.call(), GENESIS_BYTES_MAX)
    }

    /// `POST path` with these bytes.
    ///
    /// # Errors
    /// As [`Node::get`].
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, Failure> {
        self.answer(self.agent.post(self.at(path)).header(HEADER, "1").content_type("application/octet-stream").send(body), ANSWER_BYTES_MAX)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn answer<T: DeserializeOwned>(&self, answer: Result<Response<Body>, ureq::Error>, bytes_max: u64) -> Result<T, Failure> {
        let mut response = answer.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let bytes = response.body_mut().with_config().limit(bytes_max).read_to_vec().map_err(|error| self.unreachable(&error))?;
        let shown = || String::from_utf8_lossy(&bytes).chars().take(SHOWN_MAX).collect::<String>();
        if !status.is_success() {
            return Err(match serde_json::from_slice::<ErrorBody>(&bytes) {
                Ok(body) => Failure::refused(body.error),
                Err(_) => {
                    Failure::refused(format!("{} answered {status}: {}", self.url, shown().trim())).hint("is that a stratos node? `--node URL` names another")
                }
            });
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::refused(format!("{} answered what this program cannot read ({error}): {}", self.url, shown().trim()))
                .hint("is that a stratos node of this version? `--node URL` names another")
        })
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let cause = if matches!(error, ureq::Error::Timeout(_)) {
            format!("no answer in time ({} s to connect, {} s to answer)", CONNECT_TIMEOUT.as_secs(), ANSWER_TIMEOUT.as_secs())
        } else {
            error.to_string()
        };
        Failure::refused(format!("cannot reach a node at {}: {cause}", self.url))
            .hint("start a network with `stratos --dev` (from the sources: `cargo run -p node -- --dev`), or name another node with `--node URL`")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use serde_json::Value;

    use super::*;

    /// Answers one request with these bytes.
    fn serve(answer: &'static str) -> Node {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(answer.as_bytes());
        });
        Node::new(format!("http://{address}").parse().unwrap())
    }

    #[test]
    fn answers() {
        let node = serve("HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{\"a\":1}");
        assert_eq!(node.get::<Value>("/v1/status").unwrap()["a"], 1);
    }

    #[test]
    fn refusals_are_passed_on() {
        let node = serve("HTTP/1.1 409 Conflict\r\ncontent-length: 27\r\nconnection: close\r\n\r\n{\"error\":\"nonce 3, not 2.\"}");
        assert_eq!(node.post::<Value>("/v1/txs", b"x").unwrap_err().message(), "nonce 3, not 2.");
    }

    #[test]
    fn foreign_servers() {
        let node = serve("HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nconnection: close\r\n\r\nnot here\n");
        let message = node.get::<Value>("/v1/status").unwrap_err().message().to_owned();
        assert!(message.contains("404") && message.contains("not here"), "{message}");
        let node = serve("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
        assert!(node.get::<Value>("/").unwrap_err().message().contains("hello"));
        let node = serve("SSH-2.0-OpenSSH_9.2\r\n");
        assert!(node.get::<Value>("/").unwrap_err().message().starts_with("cannot reach a node at http://127.0.0.1:"));
    }

    #[test]
    fn nobody_there() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let message = Node::new(format!("http://{address}").parse().unwrap()).get::<Value>("/").unwrap_err().message().to_owned();
        assert!(message.contains(&address.to_string()), "{message}");
    }

    #[test]
    fn urls() {
        for (text, url) in [("http://127.0.0.1:8600", "http://127.0.0.1:8600"), ("http://localhost/", "http://localhost"), ("http://[::1]:9", "http://[::1]:9")]
        {
            assert_eq!(text.parse::<NodeUrl>().unwrap().to_string(), url);
        }
        for text in ["", "localhost:8600", "https://x", "ftp://x", "http://", "http://x/v1", "http://x y"] {
            assert!(text.parse::<NodeUrl>().is_err(), "{text}");
        }
    }
}
