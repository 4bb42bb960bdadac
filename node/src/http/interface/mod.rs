//! Every address of the interface but the page's own: who answers, what it takes and what it answers. One list, of which both the router and the interface's
//! description at `/openapi.json` are made, so that neither has what the other does not.
//!
//! The description is an OpenAPI 3.1 document: clients in other languages are generated from it, and pages that show an interface read it. A parameter that it
//! does not name is refused, as a misspelt one that is ignored would answer another question than was asked. Links to files are the exception: they are handed
//! on, and whoever hands them on may add something of its own.
//!
//! There is no second dialect beside these addresses: a question is a URL that a browser, `curl` and a cache understand, blocks as they come are a stream of
//! server-sent events at one of them, and whatever is signed goes to one of them as well. JSON-RPC would be the same questions once more, in bodies of `POST`s
//! that are all one address, with batches and subscriptions of its own to bound.

mod operation;
mod sections;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing;
use bytes::Bytes;
use serde_json::Value;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Paths};

use super::assets;
use super::server::Server;
use super::views::{self, formats};
use operation::{JSON, known};
use sections::sections;

/// Where the description is.
pub const DESCRIPTION: &str = "/openapi.json";

/// The interface's description, an OpenAPI 3.1 document.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(document()).expect("a document is JSON");
    plain(&mut document);
    document
});

fn document() -> OpenApi {
    let (mut paths, mut tags) = (Paths::new(), Vec::new());
    let mut schemas = formats::all();
    let problem = known::<views::ErrorBody>(&mut schemas);
    for (section, operations) in sections() {
        tags.push(TagBuilder::new().name(section).build());
        for operation in operations {
            paths.add_path_operation(operation.path, vec![operation.method.clone()], operation.described(section, &problem));
            schemas.extend(operation.schemas);
        }
    }
    let about = "What a node says and takes. A reader ignores fields that it does not know.";
    OpenApiBuilder::new()
        .info(InfoBuilder::new().title("Stratos node").version(env!("CARGO_PKG_VERSION")).description(Some(about)).build())
        .paths(paths)
        .components(Some(ComponentsBuilder::new().schemas_from_iter(schemas).build()))
        .tags(Some(tags))
        .build()
}

/// Documentation of types, for readers who have no sources: their links are only names.
fn plain(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("[`") => *text = text.replace("[`", "`").replace("`]", "`"),
        Value::Array(values) => values.iter_mut().for_each(plain),
        Value::Object(fields) => fields.values_mut().for_each(plain),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `GET /openapi.json`.
async fn describe() -> impl IntoResponse {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| DOCUMENT.to_string().into());
    ([(header::CONTENT_TYPE, JSON)], TEXT.clone())
}

/// Every address.
pub fn router() -> Router<Arc<Server>> {
    let page = Router::new().route("/", routing::get(assets::index)).route("/assets/{*path}", routing::get(assets::asset));
    sections().into_iter().flat_map(|(_, operations)| operations).fold(page, |router, operation| router.route(operation.path, operation.served()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::openapi::HttpMethod;

    use super::*;

    /// What stands in a path is described, names are of one operation each, and parameters of one operation have names of their own.
    #[test]
    fn the_description_is_whole() {
        let mut names = BTreeSet::new();
        for (section, operation) in sections().into_iter().flat_map(|(section, operations)| operations.into_iter().map(move |operation| (section, operation))) {
            let (path, name) = (operation.path, operation.name);
            assert!(names.insert(name), "{name} of {section} is another operation's name too");
            let places: BTreeSet<_> = path.split(['{', '}']).skip(1).step_by(2).collect();
            let described: BTreeSet<_> = operation.asks.iter().map(|asked| asked.name).collect();
            assert!(places.is_subset(&described), "{path} has {places:?}, and {described:?} are described");
            assert_eq!(described.len(), operation.asks.len(), "{name}: {described:?}");
            assert_eq!(operation.takes.is_some(), operation.method == HttpMethod::Post && !path.contains("/dev/"), "{name}");
        }
        assert_eq!(
            names.len(),
            DOCUMENT["paths"].as_object().expect("paths").values().map(|item| item.as_object().map_or(0, |item| item.len())).sum::<usize>()
        );
    }

    /// Every schema that is named is there, and no text has the sources' links.
    #[test]
    fn the_description_stands_alone() {
        let text = DOCUMENT.to_string();
        let named: BTreeSet<&str> = text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let there: BTreeSet<&str> = DOCUMENT["components"]["schemas"].as_object().expect("schemas").keys().map(String::as_str).collect();
        assert_eq!(named, there);
        assert!(!text.contains("[`"), "a link into the sources");
    }
}
