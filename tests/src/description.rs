//! What a node says of its own interface (`/openapi.json`), and whether it answers like that.

use std::collections::{BTreeMap, BTreeSet};

use boon::{Compiler, Schemas};
use serde_json::{Map, Value, json};

use crate::{Answer, Network, text};

/// Where the description counts as being, for its own references.
const PLACE: &str = "http://node/openapi.json";
const JSON: &str = "application/json";

/// One operation of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// `get`, `post` or `delete`.
    pub method: String,
    /// Its address, with names in braces for what varies.
    pub path: String,
    /// Its name.
    pub name: String,
    /// What can stand behind the `?`, and whether that can be any text.
    pub parameters: Vec<(String, bool)>,
}

/// An interface's description, and which of it was asked.
pub struct Description {
    document: Value,
    compiler: Compiler,
    schemas: Schemas,
    asked: BTreeSet<(String, String)>,
}

impl Description {
    /// The description of a network's node.
    ///
    /// # Panics
    /// If it has none.
    pub fn of(network: &Network) -> Self {
        let mut document = network.get("/openapi.json");
        let schemas = document["components"]["schemas"].as_object_mut().expect("schemas");
        let as_they_are = schemas.clone();
        schemas.values_mut().for_each(|schema| strict(schema, &as_they_are));
        let mut compiler = Compiler::new();
        compiler.add_resource(PLACE, document.clone()).expect("a schema");
        Self { document, compiler, schemas: Schemas::new(), asked: BTreeSet::new() }
    }

    fn paths(&self) -> impl Iterator<Item = (&String, &String, &Value)> {
        let paths = self.document["paths"].as_object().expect("paths");
        paths.iter().flat_map(|(path, item)| item.as_object().expect("methods").iter().map(move |(method, operation)| (path, method, operation)))
    }

    /// Every operation.
    ///
    /// # Panics
    /// If the description is none.
    pub fn operations(&self) -> Vec<Operation> {
        let parameter = |parameter: &Value| {
            let any = json!({"type": "string"});
            (parameter["in"] == "query").then(|| (name(parameter, "name"), parameter["schema"] == any))
        };
        let operation = |(path, method, operation): (&String, &String, &Value)| Operation {
            method: method.clone(),
            path: path.clone(),
            name: name(operation, "operationId"),
            parameters: operation["parameters"].as_array().into_iter().flatten().filter_map(parameter).collect(),
        };
        self.paths().map(operation).collect()
    }

    /// Replies that are described, as names of operations with a status, and were not seen yet.
    ///
    /// # Panics
    /// If the description is none.
    pub fn unseen(&self) -> Vec<String> {
        let replies = self.paths().flat_map(|(_, _, operation)| {
            let replies = operation["responses"].as_object().expect("replies").keys();
            replies.filter(|status| *status != "default").map(|status| (name(operation, "operationId"), status.clone()))
        });
        replies.filter(|reply| !self.asked.contains(reply)).map(|(name, status)| format!("{name} {status}")).collect()
    }

    /// Checks an answer of an operation: its status, its media type and its form.
    ///
    /// # Panics
    /// If it is not as the description says.
    pub fn check(&mut self, method: &str, path: &str, answer: &Answer) {
        let operation = &self.document["paths"][path][method];
        let replies = operation["responses"].as_object().unwrap_or_else(|| panic!("{method} {path} is not described"));
        let (name, status) = (name(operation, "operationId"), answer.status.to_string());
        let is_described = replies.contains_key(&status);
        assert!(is_described || answer.status >= 400, "{method} {path}: a status of {status} is not described");
        let code = if is_described { &status } else { "default" };
        let essence = |media_type: &str| media_type.split(';').next().map(str::trim).map(str::to_owned).unwrap_or_default();
        let sent = answer.header("content-type").map(essence).unwrap_or_default();
        match replies[code]["content"].as_object() {
            None => assert!(answer.body.is_empty(), "{method} {path}: {status} has no content, and here is {}", text(&answer.body)),
            Some(content) => {
                let media_type = content.keys().next().expect("a media type");
                assert!(media_type == "*/*" || essence(media_type) == sent, "{method} {path}: {status} is {media_type}, and here is {sent}");
                if media_type == JSON {
                    let escaped = path.replace('/', "~1").replace('{', "%7B").replace('}', "%7D");
                    let place = format!("{PLACE}#/paths/{escaped}/{method}/responses/{code}/content/application~1json/schema");
                    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{method} {path} is no JSON: {error}"));
                    let index = self.compiler.compile(&place, &mut self.schemas).unwrap_or_else(|error| panic!("{path}: {error:#}"));
                    if let Err(error) = self.schemas.validate(&value, index) {
                        panic!("{method} {path} answers otherwise than it says: {error:#}\n{value:#}");
                    }
                }
            }
        }
        self.asked.insert((name, status));
    }

    /// Whether a value is of a named schema.
    ///
    /// # Panics
    /// If there is no such schema.
    pub fn is(&mut self, schema: &str, value: &Value) -> bool {
        let place = format!("{PLACE}#/components/schemas/{schema}");
        let index = self.compiler.compile(&place, &mut self.schemas).unwrap_or_else(|error| panic!("{schema}: {error:#}"));
        self.schemas.validate(value, index).is_ok()
    }
}

fn name(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_else(|| panic!("{of} has no {field}")).to_owned()
}

/// A reader ignores fields that it does not know, and does without those that may be missing. This one does neither: a node sends all that it describes, and
/// nothing else.
fn strict(schema: &mut Value, all: &Map<String, Value>) {
    if let Some(list) = schema.as_array_mut() {
        list.iter_mut().for_each(|inner| strict(inner, all));
    }
    let Some(fields) = schema.as_object_mut() else { return };
    // What is written into another object is a part of that: one object with the fields of both.
    if let Some(parts) = fields.remove("allOf").as_ref().and_then(Value::as_array) {
        let of_part = |part: &Value| match part["$ref"].as_str().and_then(|place| all.get(place.rsplit('/').next()?)) {
            Some(other) => other["properties"].clone(),
            None => part["properties"].clone(),
        };
        let properties: BTreeMap<String, Value> = parts.iter().flat_map(|part| of_part(part).as_object().cloned().unwrap_or_default()).collect();
        fields.insert("type".to_owned(), json!("object"));
        fields.insert("properties".to_owned(), json!(properties));
    }
    if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
        let names: Vec<Value> = properties.keys().map(|name| json!(name)).collect();
        fields.insert("required".to_owned(), names.into());
        fields.entry("additionalProperties").or_insert(json!(false));
    }
    fields.values_mut().for_each(|inner| strict(inner, all));
}
