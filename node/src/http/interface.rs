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

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::header;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::openapi::path::{self, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ArrayBuilder, ComponentsBuilder, Content, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required, ResponseBuilder,
    Schema,
};
use utoipa::{PartialSchema, ToSchema};

use super::limits::{LIST_DEFAULT, LIST_MAX};
use super::problem::Problem;
use super::question::Parameters;
use super::server::{Server, drain};
use super::views::{self, formats};
use super::{assets, delivery, gateway, index, ledger, metrics, stream};

/// Where the description is.
const DESCRIPTION: &str = "/openapi.json";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// Something that can be asked with an operation: in its path, if that has a place for it, in a header, or else behind the `?`.
#[derive(Clone, Copy)]
struct Asked {
    name: &'static str,
    kind: Kind,
    about: &'static str,
    is_required: bool,
    is_header: bool,
}

/// What the value of a parameter is.
#[derive(Clone, Copy)]
enum Kind {
    /// A schema of [`formats`], by its name.
    Is(&'static str),
    Number,
    Text,
    OneOf(&'static [&'static str]),
    /// How long a list is.
    Limit,
}

impl Kind {
    fn schema(self) -> RefOr<Schema> {
        formats::written(match self {
            Self::Is(format) => return Ref::from_schema_name(format).into(),
            Self::Number => json!({"type": "integer", "minimum": 0}),
            Self::Text => json!({"type": "string"}),
            Self::OneOf(names) => json!({"type": "string", "enum": names}),
            Self::Limit => json!({"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": LIST_DEFAULT}),
        })
    }
}

const fn may(name: &'static str, kind: Kind, about: &'static str) -> Asked {
    Asked { name, kind, about, is_required: false, is_header: false }
}

const fn must(name: &'static str, kind: Kind, about: &'static str) -> Asked {
    Asked { is_required: true, ..may(name, kind, about) }
}

const fn in_header(asked: Asked) -> Asked {
    Asked { is_header: true, ..asked }
}

const HEIGHT: Asked = may("height", Kind::Is("Height"), "The state after this block, as long as it is kept; the newest without it.");
const LIMIT: Asked = may("limit", Kind::Limit, "Entries at most; as many as there can be, if it is more.");
const ACCOUNT: Asked = must("address", Kind::Is("Address"), "The account.");
const OPERATOR: Asked = must("address", Kind::Is("Address"), "The operator's account.");
const EPOCH: Asked = must("number", Kind::Is("Epoch"), "The epoch.");
const PART: Asked = must("part", Kind::Number, "Position of the part in the report, from 0 on.");
const NODE: Asked = must("name", Kind::Text, "The node's name, such as `resource-1`.");
const FILE: Asked = must("id", Kind::Is("Hash"), "The file's id.");
const LEDGER: Asked = may("ledger", Kind::OneOf(&["value", "meta"]), "Which ledger; the value ledger without it.");
const KEY: Asked = must("key", Kind::Text, "The key's bytes in hexadecimal digits.");
const RANGE: Asked = in_header(may("Range", Kind::Text, "Which bytes; all without it (RFC 9110, section 14)."));
const IF_NONE_MATCH: Asked = in_header(may("If-None-Match", Kind::Text, "A tag that an answer had under `ETag`: nothing is sent again."));
const CHANGE: Asked = in_header(must(views::HEADER, Kind::OneOf(&["1"]), "Always 1: a page of another site cannot send it."));

/// What an operation can answer when it refuses nothing.
struct Reply {
    status: &'static str,
    about: &'static str,
    /// The media type and the schema of its content, if it has any.
    content: Option<(&'static str, RefOr<Schema>)>,
}

/// One method of one address.
struct Operation {
    path: &'static str,
    method: HttpMethod,
    /// Its name in clients that are generated: noun and verb, of the command that asks it if there is one.
    name: &'static str,
    about: &'static str,
    asks: Vec<Asked>,
    /// The body's media type, and what it is.
    takes: Option<(&'static str, &'static str)>,
    replies: Vec<Reply>,
    schemas: Vec<(String, RefOr<Schema>)>,
    /// Whether parameters that are not described are refused.
    is_strict: bool,
    route: MethodRouter<Arc<Server>>,
}

impl Operation {
    fn new(method: HttpMethod, path: &'static str, name: &'static str, about: &'static str, route: MethodRouter<Arc<Server>>) -> Self {
        let asks = if method == HttpMethod::Get { Vec::new() } else { vec![CHANGE] };
        Self { path, method, name, about, asks, takes: None, replies: Vec::new(), schemas: Vec::new(), is_strict: true, route }
    }

    /// A question; `HEAD` is answered like it.
    fn get<H: Handler<T, Arc<Server>>, T: 'static>(path: &'static str, name: &'static str, handler: H, about: &'static str) -> Self {
        Self::new(HttpMethod::Get, path, name, about, routing::get(handler))
    }

    /// A change.
    fn post<H: Handler<T, Arc<Server>>, T: 'static>(path: &'static str, name: &'static str, handler: H, about: &'static str) -> Self {
        Self::new(HttpMethod::Post, path, name, about, routing::post(handler))
    }

    /// A removal.
    fn delete<H: Handler<T, Arc<Server>>, T: 'static>(path: &'static str, name: &'static str, handler: H, about: &'static str) -> Self {
        Self::new(HttpMethod::Delete, path, name, about, routing::delete(handler))
    }

    /// Parameters that it takes.
    fn asks(mut self, asks: impl IntoIterator<Item = Asked>) -> Self {
        self.asks.extend(asks);
        self
    }

    /// A body that it takes.
    fn takes(mut self, media_type: &'static str, what: &'static str) -> Self {
        self.takes = Some((media_type, what));
        self
    }

    fn replies(mut self, status: &'static str, about: &'static str, content: Option<(&'static str, RefOr<Schema>)>) -> Self {
        self.replies.push(Reply { status, about, content });
        self
    }

    /// The schema of a value, which the description then has.
    fn known<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        Ref::from_schema_name(T::name()).into()
    }

    /// A JSON value as its answer, under a status of its own.
    fn answers_with<T: ToSchema>(mut self, status: &'static str, about: &'static str) -> Self {
        let schema = self.known::<T>();
        self.replies(status, about, Some((JSON, schema)))
    }

    /// A JSON value as its answer.
    fn answers<T: ToSchema>(self) -> Self {
        self.answers_with::<T>("200", DONE)
    }

    /// A JSON list as its answer.
    fn lists<T: ToSchema>(mut self) -> Self {
        let schema = ArrayBuilder::new().items(self.known::<T>()).into();
        self.replies("200", DONE, Some((JSON, schema)))
    }

    /// Something that is no JSON as its answer.
    fn sends(self, status: &'static str, about: &'static str, media_type: &'static str) -> Self {
        self.replies(status, about, Some((media_type, formats::other(media_type))))
    }

    /// Takes no offence at parameters that it does not know.
    fn leniently(mut self) -> Self {
        self.is_strict = false;
        self
    }

    fn place(&self, asked: &Asked) -> ParameterIn {
        if asked.is_header {
            ParameterIn::Header
        } else if self.path.contains(&format!("{{{}}}", asked.name)) {
            ParameterIn::Path
        } else {
            ParameterIn::Query
        }
    }

    /// What can stand behind the `?`.
    fn parameters(&self) -> Vec<&'static str> {
        self.asks.iter().filter(|asked| matches!(self.place(asked), ParameterIn::Query)).map(|asked| asked.name).collect()
    }

    /// What the description says of it.
    fn described(&self, section: &str) -> path::Operation {
        let mut built = OperationBuilder::new().operation_id(Some(self.name)).tag(section).summary(Some(self.about));
        for asked in &self.asks {
            let required = if asked.is_required { Required::True } else { Required::False };
            let parameter = ParameterBuilder::new().name(asked.name).parameter_in(self.place(asked)).required(required);
            built = built.parameter(parameter.description(Some(asked.about)).schema(Some(asked.kind.schema())));
        }
        if let Some((media_type, what)) = self.takes {
            let body = RequestBodyBuilder::new().description(Some(what)).content(media_type, content(formats::other(media_type)));
            built = built.request_body(Some(body.required(Some(Required::True)).build()));
        }
        for Reply { status, about, content: sent } in &self.replies {
            let response = ResponseBuilder::new().description(*about);
            let response = sent.iter().fold(response, |response, (media_type, schema)| response.content(*media_type, content(schema.clone())));
            built = built.response(*status, response.build());
        }
        let problem = content(Ref::from_schema_name(views::ErrorBody::name()).into());
        let refused = ResponseBuilder::new().description("What was wrong, with the numbers, and what to do next.").content(JSON, problem);
        built.response("default", refused.build()).build()
    }
}

fn content(schema: RefOr<Schema>) -> Content {
    ContentBuilder::new().schema(Some(schema)).build()
}

/// What a reply is that needs no explanation.
const DONE: &str = "Done.";

/// Everything that can be asked, by subject.
fn sections() -> [(&'static str, Vec<Operation>); 8] {
    [
        (
            "Node",
            vec![
                Operation::get("/health", "health", ledger::status::health, "Whether blocks come.")
                    .answers::<views::Health>()
                    .answers_with::<views::Health>("503", "No block came for long, or none since the start."),
                Operation::get(DESCRIPTION, "interface_show", describe, "This description, an OpenAPI document.").replies(
                    "200",
                    DONE,
                    Some((JSON, formats::written(json!({"type": "object"})))),
                ),
                Operation::get("/metrics", "metrics", ledger::status::metrics, "Measurements, as Prometheus reads them.").sends(
                    "200",
                    DONE,
                    metrics::MEDIA_TYPE,
                ),
                Operation::get("/v1/status", "node_status", ledger::status::status, "Both ledgers, the epoch, the market, fees, and where all coins are.")
                    .answers::<views::Status>(),
                Operation::get("/v1/network", "network", ledger::status::network, "What a client needs to take part by itself.")
                    .answers::<views::NetworkInfo>(),
                Operation::get("/v1/genesis", "genesis_show", ledger::genesis::show, "The file that this network began with.")
                    .answers::<formats::GenesisObject>(),
                Operation::get(
                    "/v1/genesis/export",
                    "genesis_export",
                    ledger::genesis::export,
                    "The genesis file of a network that goes on where this one stands.",
                )
                .asks([HEIGHT, may("name", Kind::Text, "The new network's name; the old one without it.")])
                .answers::<views::GenesisExport>(),
            ],
        ),
        (
            "Blocks and transactions",
            vec![
                Operation::get("/v1/blocks", "block_list", ledger::blocks::list, "Blocks, newest first.")
                    .asks([may("before", Kind::Is("Height"), "Only blocks below this height."), LIMIT])
                    .lists::<views::Block>(),
                Operation::get("/v1/blocks/stream", "block_stream", stream::listen, "Each new block as it becomes final: server-sent events named `block`.")
                    .sends("200", "An answer without an end.", "text/event-stream"),
                Operation::get("/v1/blocks/{id}", "block_show", ledger::blocks::show, "A block.")
                    .asks([must("id", Kind::Text, "Its height, its hash, or `latest`.")])
                    .answers::<views::Block>(),
                Operation::get("/v1/txs", "tx_list", ledger::transactions::list, "Transactions in final blocks, newest first.")
                    .asks([LIMIT])
                    .lists::<views::Transaction>(),
                Operation::post("/v1/txs", "tx_send", ledger::transactions::submit, "Takes a signed transaction; it waits for a block.")
                    .takes(BYTES, "The transaction, encoded (Borsh).")
                    .answers::<views::Submitted>(),
                Operation::post(
                    "/v1/txs/simulate",
                    "tx_simulate",
                    ledger::transactions::simulate,
                    "What would become of a transaction, and what it would cost.",
                )
                .takes("text/plain", "The transaction without signatures, encoded (Borsh), in hexadecimal digits.")
                .answers::<views::Simulation>(),
                Operation::get("/v1/txs/{hash}", "tx_show", ledger::transactions::show, "A transaction; an unknown one is an answer too.")
                    .asks([must("hash", Kind::Is("Hash"), "Its hash.")])
                    .answers::<views::Transaction>(),
                Operation::get("/v1/events", "event_list", ledger::events::list, "What moved money or changed a right; all that is given must hold.")
                    .asks([
                        may("height", Kind::Is("Height"), "Of this block only."),
                        may("from", Kind::Is("Height"), "From this block on."),
                        may("to", Kind::Is("Height"), "Up to this block."),
                        may("address", Kind::Is("Address"), "That this account is a part of."),
                        may("kind", Kind::OneOf(&chain::event::KINDS), "Of this kind."),
                        may("order", Kind::OneOf(&["newest", "oldest"]), "Which comes first; the newest without it."),
                        may("after", Kind::Text, "The place after which to begin, as answers have it under `next` and `cursor`."),
                        LIMIT,
                    ])
                    .answers::<views::Events>(),
            ],
        ),
        (
            "Accounts and stake",
            vec![
                Operation::get("/v1/accounts/{address}", "account_show", ledger::accounts::show, "An account; one that nobody has paid yet is empty.")
                    .asks([ACCOUNT, HEIGHT])
                    .answers::<views::Account>(),
                Operation::get("/v1/accounts/{address}/stake", "stake_show", ledger::validators::stake, "What an account has with validators.")
                    .asks([ACCOUNT, HEIGHT])
                    .answers::<views::Stake>(),
                Operation::get("/v1/validators", "validator_list", ledger::validators::list, "Validators: who votes, then all others.")
                    .asks([HEIGHT])
                    .lists::<views::Validator>(),
                Operation::get("/v1/validators/{address}", "validator_show", ledger::validators::show, "A validator.")
                    .asks([OPERATOR, HEIGHT])
                    .answers::<views::Validator>(),
                Operation::get(
                    "/v1/validators/{address}/delegations",
                    "validator_delegators",
                    ledger::validators::delegations,
                    "Who has stake with a validator.",
                )
                .asks([OPERATOR, LIMIT, may("after", Kind::Is("Address"), "The account after which to begin, as answers have it under `next`."), HEIGHT])
                .answers::<views::Delegations>(),
                Operation::get("/v1/evidence", "evidence_list", ledger::evidence::list, "Proofs that validators contradicted themselves, and their offences.")
                    .asks([LIMIT])
                    .answers::<views::EvidenceReport>(),
                Operation::post("/v1/evidence", "evidence_submit", ledger::evidence::submit, "Takes a proof that a validator contradicted itself.")
                    .takes(BYTES, "The two votes, encoded (Borsh).")
                    .answers::<views::Offence>(),
            ],
        ),
        (
            "Nodes",
            vec![
                Operation::get("/v1/nodes", "node_list", ledger::nodes::list, "Validators, meta nodes and resource nodes.").answers::<views::Nodes>(),
                Operation::post("/v1/dev/nodes/{name}/stop", "node_stop", ledger::nodes::stop, "Switches a node of a development network off.")
                    .asks([NODE])
                    .answers::<views::NodeControl>(),
                Operation::post("/v1/dev/nodes/{name}/start", "node_start", ledger::nodes::start, "Switches it on again.")
                    .asks([NODE])
                    .answers::<views::NodeControl>(),
            ],
        ),
        (
            "Decisions",
            vec![
                Operation::get("/v1/parameters", "gov_parameters", ledger::decisions::parameters, "Parameters, with units and ranges.")
                    .asks([HEIGHT])
                    .lists::<views::Parameter>(),
                Operation::get("/v1/proposals", "gov_list", ledger::decisions::proposals, "Proposals, newest first.")
                    .asks([LIMIT, HEIGHT])
                    .lists::<views::Proposal>(),
                Operation::get("/v1/proposals/{number}", "gov_show", ledger::decisions::proposal, "A proposal.")
                    .asks([must("number", Kind::Number, "Its number."), HEIGHT])
                    .answers::<views::Proposal>(),
                Operation::get("/v1/ballots", "registry_ballots", ledger::decisions::ballots, "What the meta nodes are voting on.")
                    .asks([HEIGHT])
                    .lists::<views::Ballot>(),
            ],
        ),
        (
            "Epochs",
            vec![
                Operation::get("/v1/epochs", "epoch_list", ledger::epochs::list, "Settled epochs, newest first, without who carried and paid.")
                    .asks([LIMIT])
                    .lists::<views::EpochReport>(),
                Operation::get("/v1/epochs/{number}", "epoch_show", ledger::epochs::show, "A settled epoch.")
                    .asks([must("number", Kind::Text, "The epoch, or `latest`: the current one.")])
                    .answers::<views::EpochReport>(),
                Operation::get("/v1/epochs/{number}/voters", "epoch_voters", ledger::epochs::voters, "Who votes in an epoch.")
                    .asks([must("number", Kind::Text, "The epoch, or `latest`: the current one.")])
                    .answers::<views::EpochVoters>(),
                Operation::get(
                    "/v1/epochs/{number}/report",
                    "epoch_report",
                    ledger::reports::show,
                    "What meta nodes certified of an epoch's traffic, checked.",
                )
                .asks([EPOCH])
                .answers::<views::TrafficReport>(),
                Operation::get("/v1/epochs/{number}/report/{part}", "receipt_list", ledger::reports::part, "The receipts of a part, every signature checked.")
                    .asks([EPOCH, PART])
                    .answers::<views::PartReceipts>(),
                Operation::get("/v1/epochs/{number}/report/{part}/file", "receipt_get", ledger::reports::file, "A part with all that proves its receipts.")
                    .asks([EPOCH, PART])
                    .answers::<views::ReceiptsFile>(),
            ],
        ),
        (
            "Proofs",
            vec![
                Operation::get(
                    "/v1/proof",
                    "proof_get",
                    ledger::proof::show,
                    "What a ledger's state says about a key, provable to whoever has the genesis file.",
                )
                .asks([LEDGER, KEY, HEIGHT])
                .answers::<views::Proof>(),
                Operation::get("/v1/proof/ics23", "proof_ics23", ledger::proof::ics23, "The same in the form of ICS 23.")
                    .asks([LEDGER, KEY, HEIGHT])
                    .answers::<views::Ics23>(),
            ],
        ),
        (
            "Files",
            vec![
                Operation::get("/v1/files", "file_ls", index::list, "Files, newest first.")
                    .asks([may("owner", Kind::Is("Address"), "Of this account only."), LIMIT])
                    .lists::<views::File>(),
                Operation::post("/v1/files", "file_put", gateway::store, "Stores a file under the gateway's own account.")
                    .asks([may("name", Kind::Text, "What it is called."), may("type", Kind::Text, "Its media type.")])
                    .takes(BYTES, "The file.")
                    .answers_with::<views::Uploaded>("201", "It is stored."),
                Operation::get("/v1/files/{id}", "file_stat", index::show, "What everybody may know of a file.").asks([FILE]).answers::<views::File>(),
                Operation::delete("/v1/files/{id}", "file_rm", gateway::remove, "Removes a file of the gateway's account.")
                    .asks([FILE])
                    .answers::<views::Removed>(),
                Operation::get("/v1/gateway/files", "gateway_files", gateway::list, "What was stored through this gateway, newest first.")
                    .lists::<views::GatewayFile>(),
                Operation::get("/files/{id}", "file_get", delivery::send, "A file's bytes, decrypted here, under the media type that its owner gave.")
                    .asks([FILE, must("cap", Kind::Text, "The capability, as the file's link ends with it."), RANGE, IF_NONE_MATCH])
                    .sends("200", "The whole file.", "*/*")
                    .sends("206", "The bytes that were asked for.", "*/*")
                    .replies("304", "It is the same as before.", None)
                    .leniently(),
            ],
        ),
    ]
}

/// The interface's description, an OpenAPI 3.1 document.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(document()).expect("a document is JSON");
    plain(&mut document);
    document
});

fn document() -> OpenApi {
    let (mut paths, mut tags) = (Paths::new(), Vec::new());
    let mut schemas = formats::all();
    views::ErrorBody::schemas(&mut schemas);
    schemas.push((views::ErrorBody::name().into_owned(), views::ErrorBody::schema()));
    for (section, operations) in sections() {
        tags.push(TagBuilder::new().name(section).build());
        for operation in operations {
            paths.add_path_operation(operation.path, vec![operation.method.clone()], operation.described(section));
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
    sections().into_iter().flat_map(|(_, operations)| operations).fold(page, |router, operation| {
        let known: Arc<[&str]> = operation.parameters().into();
        let check = from_fn(move |parameters, request, next| known_only(Arc::clone(&known), parameters, request, next));
        router.route(operation.path, if operation.is_strict { operation.route.layer(check) } else { operation.route })
    })
}

/// Refuses a parameter that the operation does not take.
async fn known_only(known: Arc<[&'static str]>, parameters: Result<Parameters, Problem>, request: Request, next: Next) -> Response {
    let unknown = parameters.map(|parameters| parameters.names().find(|name| !known.contains(name)).map(|name| unknown(name, &known)));
    match unknown {
        Ok(None) => next.run(request).await,
        Ok(Some(problem)) | Err(problem) => {
            drain(request.into_body());
            problem.into_response()
        }
    }
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let shown: String = name.chars().filter(|letter| !letter.is_control()).take(80).collect();
    let takes = if known.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", known.join(", ")) };
    Problem::bad(format!("this address has no parameter `{shown}`: {takes}; {DESCRIPTION} describes them"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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

    #[test]
    fn what_is_unknown_is_named() {
        assert_eq!(unknown("a\nb", &[]), Problem::bad("this address has no parameter `ab`: it takes none; /openapi.json describes them"));
        assert_eq!(unknown("x", &["limit", "height"]), Problem::bad("this address has no parameter `x`: it takes limit, height; /openapi.json describes them"));
    }
}
