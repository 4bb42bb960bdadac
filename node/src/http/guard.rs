//! Who may ask: only pages and programs that name this server by a name of its own.
//!
//! The interface has no passwords; it stands on the reader's own machine. So a page of another site must not reach it through the reader's browser:
//! - A name that was pointed at this machine (DNS rebinding) stands in `Host`, so `Host` must be an address or a loopback name: neither can be
//!   pointed elsewhere.
//! - A page of another site says so in `Origin`, which must be this server if it is there.
//! - A change needs the header [`HEADER`], which such a page cannot send without a permission that is never given.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};

use super::problem::{Problem, shown};
use super::views::HEADER;

/// Checks where a request comes from.
///
/// # Errors
/// [`Problem`] with what is wrong.
pub fn check(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let host = host(headers)?;
    for authority in [Some(host), uri.authority().map(|authority| authority.as_str())].into_iter().flatten() {
        if !is_ours(authority) {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                format!("this server is not `{}`; ask it by its address, such as http://127.0.0.1:8600", shown(authority)),
            ));
        }
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let is_same = origin.to_str().ok().and_then(authority_of).is_some_and(|authority| authority.eq_ignore_ascii_case(host));
        if !is_same {
            return Err(Problem::forbidden("a page of another site may not ask this server; open the server's own page"));
        }
    }
    let is_reading = [Method::GET, Method::HEAD].contains(method);
    if !is_reading && headers.get(HEADER).is_none_or(|value| value != "1") {
        return Err(Problem::forbidden("a change needs the header `X-Stratos: 1`"));
    }
    Ok(())
}

/// What the request calls this server: `host[:port]`.
///
/// # Errors
/// [`Problem`] if there is not exactly one.
pub fn host(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
        (Some(host), None) => Ok(host),
        (Some(_) | None, _) => Err(Problem::bad("the request needs one `Host` header")),
    }
}

/// `host[:port]` of an origin.
fn authority_of(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}

fn is_ours(authority: &str) -> bool {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, port)| address.parse::<Ipv6Addr>().is_ok() && is_port(port));
    }
    let (host, port) = authority.find(':').map_or((authority, ""), |colon| authority.split_at(colon));
    let host = host.to_ascii_lowercase();
    is_port(port) && (host.parse::<Ipv4Addr>().is_ok() || host == "localhost" || host.ends_with(".localhost"))
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(method: &Method, headers: &[(&str, &str)]) -> Result<(), StatusCode> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<header::HeaderName>().expect("a name"), value.parse().expect("a value"));
        }
        check(method, &Uri::from_static("/v1/status"), &map).map_err(|problem| problem.status)
    }

    #[test]
    fn names_of_this_server() {
        for host in ["127.0.0.1:8600", "localhost", "LocalHost:1", "a.localhost:80", "[::1]:8600", "[::1]", "10.1.2.3:8600"] {
            assert_eq!(ask(&Method::GET, &[("host", host)]), Ok(()), "{host}");
        }
        for host in ["evil.example:8600", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "[::1]x", "127.0.0.1:x", "", ":80", "1.2.3", "a:b:c"] {
            assert_eq!(ask(&Method::GET, &[("host", host)]), Err(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
        assert_eq!(ask(&Method::GET, &[]), Err(StatusCode::BAD_REQUEST));
        assert_eq!(ask(&Method::GET, &[("host", "localhost"), ("host", "localhost")]), Err(StatusCode::BAD_REQUEST));
        // The name in an absolute request line counts as well.
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost".parse().expect("a value"));
        let problem = check(&Method::GET, &Uri::from_static("http://evil.example/v1/status"), &headers).expect_err("another name");
        assert_eq!(problem.status, StatusCode::MISDIRECTED_REQUEST);
    }

    #[test]
    fn pages_of_other_sites() {
        let host = ("host", "127.0.0.1:8600");
        assert_eq!(ask(&Method::GET, &[host, ("origin", "http://127.0.0.1:8600")]), Ok(()));
        assert_eq!(ask(&Method::POST, &[host, ("origin", "http://127.0.0.1:8600"), ("x-stratos", "1")]), Ok(()));
        for origin in ["null", "http://evil.example", "http://127.0.0.1:8601", "127.0.0.1:8600", "http://127.0.0.1:8600.evil.example", ""] {
            assert_eq!(ask(&Method::GET, &[host, ("origin", origin)]), Err(StatusCode::FORBIDDEN), "{origin}");
            assert_eq!(ask(&Method::POST, &[host, ("origin", origin), ("x-stratos", "1")]), Err(StatusCode::FORBIDDEN), "{origin}");
        }
    }

    #[test]
    fn changes_need_the_header() {
        let host = ("host", "127.0.0.1:8600");
        for method in [Method::POST, Method::DELETE, Method::PUT, Method::OPTIONS] {
            assert_eq!(ask(&method, &[host]), Err(StatusCode::FORBIDDEN));
            assert_eq!(ask(&method, &[host, ("x-stratos", "0")]), Err(StatusCode::FORBIDDEN));
            assert_eq!(ask(&method, &[host, ("x-stratos", "1")]), Ok(()));
        }
        assert_eq!(ask(&Method::HEAD, &[host]), Ok(()));
    }

    proptest! {
        /// Whatever stands before it, a name that somebody else owns is never ours.
        #[test]
        fn other_names_are_not_ours(name in "[a-z0-9.:\\[\\]-]{0,30}") {
            let authority = format!("{name}.evil.example");
            prop_assert!(!is_ours(&authority));
        }
    }
}
