//! One method of one address: what is asked, who answers, and what the interface's description says of both.

use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::path::{self, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{ArrayBuilder, Content, ContentBuilder, HttpMethod, Ref, RefOr, Required, ResponseBuilder, Schema};

use crate::http::limits::{LIST_DEFAULT, LIST_MAX};
use crate::http::problem::Problem;
use crate::http::question::Parameters;
use crate::http::server::{Server, drain};
use crate::http::views::{self, formats};

pub const JSON: &str = "application/json";
pub const BYTES: &str = "application/octet-stream";

/// Something that can be asked with an operation: in its path, if that has a place for it, in a header, or else behind the `?`.
#[derive(Clone, Copy)]
pub struct Asked {
    pub name: &'static str,
    kind: Kind,
    about: &'static str,
    is_required: bool,
    is_header: bool,
}

/// What the value of a parameter is.
#[derive(Clone, Copy)]
pub enum Kind {
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
            Self::Limit => {
                json!({"type": "integer", "minimum": 1, "default": LIST_DEFAULT, "description": format!("More than {LIST_MAX} gives {LIST_MAX}.")})
            }
        })
    }
}

pub const fn may(name: &'static str, kind: Kind, about: &'static str) -> Asked {
    Asked { name, kind, about, is_required: false, is_header: false }
}

pub const fn must(name: &'static str, kind: Kind, about: &'static str) -> Asked {
    Asked { is_required: true, ..may(name, kind, about) }
}

pub const fn in_header(asked: Asked) -> Asked {
    Asked { is_header: true, ..asked }
}

const CHANGE: Asked = in_header(must(views::HEADER, Kind::OneOf(&["1"]), "Always 1: a page of another site cannot send it."));

/// What an operation can answer when it refuses nothing.
struct Reply {
    status: &'static str,
    about: &'static str,
    /// The media type and the schema of its content, if it has any.
    content: Option<(&'static str, RefOr<Schema>)>,
}

/// One method of one address.
pub struct Operation {
    pub path: &'static str,
    pub method: HttpMethod,
    /// Its name in clients that are generated: the words of the command that asks it, if there is one.
    pub name: &'static str,
    about: &'static str,
    pub asks: Vec<Asked>,
    /// The body's media type, and what it is.
    pub takes: Option<(&'static str, &'static str)>,
    replies: Vec<Reply>,
    pub schemas: Vec<(String, RefOr<Schema>)>,
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
    pub fn get<H: Handler<T, Arc<Server>>, T: 'static>(path: &'static str, name: &'static str, handler: H, about: &'static str) -> Self {
        Self::new(HttpMethod::Get, path, name, about, routing::get(handler))
    }

    /// A change.
    pub fn post<H: Handler<T, Arc<Server>>, T: 'static>(path: &'static str, name: &'static str, handler: H, about: &'static str) -> Self {
        Self::new(HttpMethod::Post, path, name, about, routing::post(handler))
    }

    /// A removal.
    pub fn delete<H: Handler<T, Arc<Server>>, T: 'static>(path: &'static str, name: &'static str, handler: H, about: &'static str) -> Self {
        Self::new(HttpMethod::Delete, path, name, about, routing::delete(handler))
    }

    /// Parameters that it takes.
    pub fn asks(mut self, asks: impl IntoIterator<Item = Asked>) -> Self {
        self.asks.extend(asks);
        self
    }

    /// A body that it takes.
    pub fn takes(mut self, media_type: &'static str, what: &'static str) -> Self {
        self.takes = Some((media_type, what));
        self
    }

    pub fn replies(mut self, status: &'static str, about: &'static str, content: Option<(&'static str, RefOr<Schema>)>) -> Self {
        self.replies.push(Reply { status, about, content });
        self
    }

    /// A JSON value as its answer, under a status of its own.
    pub fn answers_with<T: ToSchema>(mut self, status: &'static str, about: &'static str) -> Self {
        let schema = known::<T>(&mut self.schemas);
        self.replies(status, about, Some((JSON, schema)))
    }

    /// A JSON value as its answer.
    pub fn answers<T: ToSchema>(self) -> Self {
        self.answers_with::<T>("200", DONE)
    }

    /// A JSON list as its answer.
    pub fn lists<T: ToSchema>(mut self) -> Self {
        let schema = ArrayBuilder::new().items(known::<T>(&mut self.schemas)).into();
        self.replies("200", DONE, Some((JSON, schema)))
    }

    /// Something that is no JSON as its answer.
    pub fn sends(self, status: &'static str, about: &'static str, media_type: &'static str) -> Self {
        self.replies(status, about, Some((media_type, formats::other(media_type))))
    }

    /// Takes no offence at parameters that it does not know.
    pub fn leniently(mut self) -> Self {
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

    /// Who answers, after the parameters were looked at.
    pub fn served(self) -> MethodRouter<Arc<Server>> {
        if !self.is_strict {
            return self.route;
        }
        let known: Arc<[&str]> = self.parameters().into();
        self.route.layer(from_fn(move |parameters, request, next| known_only(Arc::clone(&known), parameters, request, next)))
    }

    /// What the description says of it; `problem` is the schema of every refusal.
    pub fn described(&self, section: &str, problem: &RefOr<Schema>) -> path::Operation {
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
        let problem = content(problem.clone());
        let refused = ResponseBuilder::new().description("What was wrong, with the numbers, and what to do next.").content(JSON, problem);
        built.response("default", refused.build()).build()
    }
}

/// The schema of a value, which the description then has.
pub fn known<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
    T::schemas(schemas);
    schemas.push((T::name().into_owned(), T::schema()));
    Ref::from_schema_name(T::name()).into()
}

fn content(schema: RefOr<Schema>) -> Content {
    ContentBuilder::new().schema(Some(schema)).build()
}

/// What a reply is that needs no explanation.
pub const DONE: &str = "Done.";

/// Refuses a parameter that the operation does not take, or one that is there twice.
async fn known_only(known: Arc<[&'static str]>, parameters: Result<Parameters, Problem>, request: Request, next: Next) -> Response {
    match parameters.and_then(|parameters| parameters.only(&known)) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            drain(request.into_body());
            problem.into_response()
        }
    }
}
