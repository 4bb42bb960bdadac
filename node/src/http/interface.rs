//! Every address of the interface: who answers, what it takes and what it answers. One list, of which both the router and the interface's own description at
//! `/openapi.json` are made, so that neither has what the other does not.
//!
//! The description is an OpenAPI 3.1 document: clients in other languages are generated from it, and pages that show an interface read it. A parameter that it
//! does not name is refused, as a misspelt one that is ignored would answer another question than was asked.
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
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ArrayBuilder, ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required, ResponseBuilder, Schema,
};
use utoipa::{PartialSchema, ToSchema};

use super::limits::{LIST_DEFAULT, LIST_MAX};
use super::problem::Problem;
use super::question::Parameters;
use super::server::{Server, drain};
use super::views::{self, formats};
use super::{assets, delivery, gateway, index, ledger, stream};

/// Where the description is.
const DESCRIPTION: &str = "/openapi.json";
/// What answers are, and what changes take, if they are bytes.
const BYTES: &str = "application/octet-stream";

/// Something that can be asked with an operation: in its path, if that has a place for it, else behind the `?`.
#[derive(Clone, Copy)]
struct Asked {
    name: &'static str,
    kind: Kind,
    about: &'static str,
    is_required: bool,
}

/// What the value of a parameter is.
#[derive(Clone, Copy)]
enum Kind {
    /// A schema of [`formats`], by its name.
    Is(&'static str),
    Number,
    Text,
    OneOf(&'static [&'static str]),
}

impl Kind {
    fn schema(self) -> RefOr<Schema> {
        match self {
            Self::Is(format) => Ref::from_schema_name(format).into(),
            Self::Number => formats::written(json!({"type": "integer", "minimum": 0})),
            Self::Text => formats::written(json!({"type": "string"})),
            Self::OneOf(names) => formats::written(json!({"type": "string", "enum": names})),
        }
    }
}

const fn may(name: &'static str, kind: Kind, about: &'static str) -> Asked {
    Asked { name, kind, about, is_required: false }
}

const fn must(name: &'static str, kind: Kind, about: &'static str) -> Asked {
    Asked { name, kind, about, is_required: true }
}

const HEIGHT: Asked = may("height", Kind::Is("Height"), "The state after this block, as long as it is kept; the newest without it.");
const LIMIT: Asked = may("limit", Kind::Number, "Entries at most.");
const ACCOUNT: Asked = must("address", Kind::Is("Address"), "The account.");
const OPERATOR: Asked = must("address", Kind::Is("Address"), "The operator's account.");
const EPOCH: Asked = must("number", Kind::Number, "The epoch.");
const EPOCH_OR_LATEST: Asked = must("number", Kind::Text, "The epoch's number, or `latest`.");
const PART: Asked = must("part", Kind::Number, "Position of the part in the report, from 0 on.");
const NODE: Asked = must("name", Kind::Text, "The node's name, such as `resource-1`.");
const FILE: Asked = must("id", Kind::Is("Hash"), "The file's id.");
const LEDGER: Asked = may("ledger", Kind::OneOf(&["value", "meta"]), "Which ledger; the value ledger without it.");
const KEY: Asked = must("key", Kind::Text, "The key's bytes in hexadecimal digits.");

/// One method of one address.
struct Operation {
    path: &'static str,
    method: HttpMethod,
    /// Its name in clients that are generated: the words of the command, if there is one.
    name: &'static str,
    about: &'static str,
    asks: Vec<Asked>,
    /// The body's media type, and what it is.
    takes: Option<(&'static str, &'static str)>,
    status: &'static str,
    answer: (&'static str, RefOr<Schema>),
    schemas: Vec<(String, RefOr<Schema>)>,
    route: MethodRouter<Arc<Server>>,
}

impl Operation {
    fn new(method: HttpMethod, path: &'static str, name: &'static str, about: &'static str, route: MethodRouter<Arc<Server>>) -> Self {
        Self { path, method, name, about, asks: Vec::new(), takes: None, status: "200", answer: (BYTES, formats::bytes()), schemas: Vec::new(), route }
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

    /// A JSON value as its answer.
    fn answers<T: ToSchema>(mut self) -> Self {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        self.answer = ("application/json", Ref::from_schema_name(T::name()).into());
        self
    }

    /// A JSON list as its answer.
    fn lists<T: ToSchema>(mut self) -> Self {
        self = self.answers::<T>();
        self.answer.1 = ArrayBuilder::new().items(self.answer.1).into();
        self
    }

    /// Something else as its answer.
    fn sends(mut self, media_type: &'static str) -> Self {
        self.answer.0 = media_type;
        self
    }

    /// A status other than 200 when it is done.
    fn with_status(mut self, status: &'static str) -> Self {
        self.status = status;
        self
    }

    fn is_in_path(&self, asked: &Asked) -> bool {
        self.path.contains(&format!("{{{}}}", asked.name))
    }

    /// What can stand behind the `?`.
    fn parameters(&self) -> Vec<&'static str> {
        self.asks.iter().filter(|asked| !self.is_in_path(asked)).map(|asked| asked.name).collect()
    }

    /// What the description says of it.
    fn described(&self, section: &str) -> utoipa::openapi::path::Operation {
        let mut built = OperationBuilder::new().operation_id(Some(self.name)).tag(section).summary(Some(self.about));
        for asked in &self.asks {
            let (place, required) = if self.is_in_path(asked) { (ParameterIn::Path, true) } else { (ParameterIn::Query, asked.is_required) };
            built = built.parameter(parameter(asked, place, required));
        }
        if self.method != HttpMethod::Get {
            let page = must(views::HEADER, Kind::OneOf(&["1"]), "Always 1: a page of another site cannot send it.");
            built = built.parameter(parameter(&page, ParameterIn::Header, true));
        }
        if let Some((media_type, what)) = self.takes {
            let content = ContentBuilder::new().schema(Some(formats::bytes())).build();
            built =
                built.request_body(Some(RequestBodyBuilder::new().description(Some(what)).content(media_type, content).required(Some(Required::True)).build()));
        }
        let (media_type, schema) = &self.answer;
        let done = ResponseBuilder::new().description("Done.").content(*media_type, ContentBuilder::new().schema(Some(schema.clone())).build());
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(views::ErrorBody::name()))).build();
        let refused = ResponseBuilder::new().description("What was wrong, with the numbers, and what to do next.").content("application/json", problem);
        built.response(self.status, done.build()).response("default", refused.build()).build()
    }
}

fn parameter(asked: &Asked, place: ParameterIn, is_required: bool) -> utoipa::openapi::path::Parameter {
    let required = if is_required { Required::True } else { Required::False };
    let limits = if asked.name == LIMIT.name { format!(" {LIST_DEFAULT} without it; more than {LIST_MAX} gives {LIST_MAX}.") } else { String::new() };
    let about = format!("{}{limits}", asked.about);
    ParameterBuilder::new().name(asked.name).parameter_in(place).required(required).description(Some(about)).schema(Some(asked.kind.schema())).build()
}

/// Everything that can be asked, by subject.
fn sections() -> [(&'static str, Vec<Operation>); 8] {
    [
        (
            "Node",
            vec![
                Operation::get("/health", "health", ledger::status::health, "Whether blocks come: 200, or 503.").answers::<views::Health>(),
                Operation::get("/metrics", "metrics", ledger::status::metrics, "Measurements, in the text format of Prometheus.").sends("text/plain"),
                Operation::get("/v1/status", "status", ledger::status::status, "Both ledgers, the epoch, the market, fees, and where all coins are.")
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
                    .sends("text/event-stream"),
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
                    "validator_delegations",
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
                Operation::get("/v1/parameters", "parameter_list", ledger::decisions::parameters, "Parameters, with units and ranges.")
                    .asks([HEIGHT])
                    .lists::<views::Parameter>(),
                Operation::get("/v1/proposals", "gov_list", ledger::decisions::proposals, "Proposals, newest first.")
                    .asks([LIMIT, HEIGHT])
                    .lists::<views::Proposal>(),
                Operation::get("/v1/proposals/{number}", "gov_show", ledger::decisions::proposal, "A proposal.")
                    .asks([must("number", Kind::Number, "Its number."), HEIGHT])
                    .answers::<views::Proposal>(),
                Operation::get("/v1/ballots", "ballot_list", ledger::decisions::ballots, "What the meta nodes are voting on.")
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
                    .asks([EPOCH_OR_LATEST])
                    .answers::<views::EpochReport>(),
                Operation::get("/v1/epochs/{number}/voters", "epoch_voters", ledger::epochs::voters, "Who votes in an epoch.")
                    .asks([EPOCH_OR_LATEST])
                    .answers::<views::EpochVoters>(),
                Operation::get(
                    "/v1/epochs/{number}/report",
                    "epoch_report",
                    ledger::reports::show,
                    "What meta nodes certified of an epoch's traffic, checked.",
                )
                .asks([EPOCH])
                .answers::<views::TrafficReport>(),
                Operation::get(
                    "/v1/epochs/{number}/report/{part}",
                    "epoch_receipts",
                    ledger::reports::part,
                    "The receipts of a part, every signature checked.",
                )
                .asks([EPOCH, PART])
                .answers::<views::PartReceipts>(),
                Operation::get(
                    "/v1/epochs/{number}/report/{part}/file",
                    "epoch_receipts_file",
                    ledger::reports::file,
                    "A part with all that proves its receipts.",
                )
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
                Operation::get("/v1/files", "file_list", index::list, "Files, newest first.")
                    .asks([may("owner", Kind::Is("Address"), "Of this account only."), LIMIT])
                    .lists::<views::File>(),
                Operation::post("/v1/files", "file_put", gateway::store, "Stores a file under the gateway's own account.")
                    .asks([may("name", Kind::Text, "What it is called."), may("type", Kind::Text, "Its media type.")])
                    .takes(BYTES, "The file.")
                    .answers::<views::Uploaded>()
                    .with_status("201"),
                Operation::get("/v1/files/{id}", "file_stat", index::show, "What everybody may know of a file.").asks([FILE]).answers::<views::File>(),
                Operation::delete("/v1/files/{id}", "file_rm", gateway::remove, "Removes a file of the gateway's account.")
                    .asks([FILE])
                    .answers::<views::Removed>(),
                Operation::get("/v1/gateway/files", "file_ls", gateway::list, "What was stored through this gateway, newest first.")
                    .lists::<views::GatewayFile>(),
                Operation::get("/files/{id}", "file_get", delivery::send, "A file's bytes, or with `Range` some of them, decrypted here.")
                    .asks([FILE, must("cap", Kind::Text, "The capability, as the file's link ends with it.")]),
            ],
        ),
    ]
}

/// The interface's description, an OpenAPI 3.1 document.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
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
    let about = "What a node says and takes. Answers are JSON; a status of 400 or above comes with `ErrorBody`. A reader ignores fields that it does not know.";
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

/// Every address.
pub fn router() -> Router<Arc<Server>> {
    let description = Bytes::from(DOCUMENT.to_string());
    let describe = async move || ([(header::CONTENT_TYPE, "application/json")], description);
    let router =
        Router::new().route("/", routing::get(assets::index)).route("/assets/{*path}", routing::get(assets::asset)).route(DESCRIPTION, routing::get(describe));
    sections().into_iter().flat_map(|(_, operations)| operations).fold(router, |router, operation| {
        let known: Arc<[&str]> = operation.parameters().into();
        router.route(operation.path, operation.route.layer(from_fn(move |parameters, request, next| known_only(Arc::clone(&known), parameters, request, next))))
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
