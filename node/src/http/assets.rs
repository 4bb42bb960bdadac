//! The page: the files of `node/web`, as they lie in the program.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;

use super::problem::Problem;
use super::question::Segment;
use super::range::is_listed;

/// What the page may do: load its own parts and ask this server, nothing else.
const POLICY: &str = "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'";

#[derive(rust_embed::Embed)]
#[folder = "web"]
struct Files;

/// `GET /`.
///
/// # Errors
/// [`Problem`] if the page is not in the program, which cannot be: the build embeds it.
pub async fn index(headers: HeaderMap) -> Result<impl IntoResponse, Problem> {
    file("index.html", &headers)
}

/// `GET /assets/PATH`.
///
/// # Errors
/// [`Problem`] for a path that is no part of the page.
pub async fn asset(Segment(path): Segment, headers: HeaderMap) -> Result<impl IntoResponse, Problem> {
    file(&path, &headers)
}

fn file(path: &str, headers: &HeaderMap) -> Result<Response<Body>, Problem> {
    let file = Files::get(path).ok_or_else(|| Problem::missing("the page has no such part; its address is /"))?;
    let tag = format!("\"{}\"", hex::encode(file.metadata.sha256_hash().get(..16).unwrap_or_default()));
    let is_known = headers.get(header::IF_NONE_MATCH).and_then(|list| list.to_str().ok()).is_some_and(|list| is_listed(list, &tag));
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Body::from(file.data).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::ETAG, HeaderValue::try_from(tag).expect("hexadecimal digits in quotes"));
    Ok(response)
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some(_) | None => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_type() {
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("style.css", "text/css; charset=utf-8"),
            ("icon.svg", "image/svg+xml"),
            ("vendor/README.md", "text/plain; charset=utf-8"),
            ("vendor/htm.LICENSE", "text/plain; charset=utf-8"),
        ] {
            let response = file(path, &HeaderMap::new()).expect("it is there");
            assert_eq!(response.headers()[header::CONTENT_TYPE], expected, "{path}");
            assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        }
        for path in ["", "nothing.js", "../Cargo.toml", "vendor", "/etc/passwd", "vendor/../index.html"] {
            assert_eq!(file(path, &HeaderMap::new()).map(|_| ()).expect_err("it is not there").status, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn known_parts_are_not_sent_again() {
        let response = file("app.js", &HeaderMap::new()).expect("it is there");
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, response.headers()[header::ETAG].clone());
        let response = file("app.js", &headers).expect("it is there");
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert!(response.headers().contains_key(header::ETAG));
    }
}
