//! What a node says of its own interface (`/openapi.json`), and whether it answers like that.

use std::collections::BTreeSet;

use boon::{Compiler, Schemas};
use serde_json::{Value, json};

use crate::{Network, text};

/// Where the description counts as being, for its own references.
const PLACE: &str = "http://node/openapi.json";

/// An interface's description, and which of it was asked.
pub struct Description {
    document: Value,
    compiler: Compiler,
    schemas: Schemas,
    asked: BTreeSet<String>,
}

impl Description {
    /// The description of a network's node.
    ///
    /// # Panics
    /// If it has none, or none that is JSON.
    pub fn of(network: &Network) -> Self {
        let mut document = network.get("/openapi.json");
        // A reader ignores fields that it does not know; this one must not find any.
        let schemas = document["components"]["schemas"].as_object_mut().expect("schemas");
        let parts: BTreeSet<String> = schemas
            .values()
            .flat_map(|schema| schema["allOf"].as_array().cloned().unwrap_or_default())
            .filter_map(|part| Some(part["$ref"].as_str()?.rsplit('/').next()?.to_owned()))
            .collect();
        for (_, schema) in schemas.iter_mut().filter(|(name, schema)| !parts.contains(*name) && schema.get("additionalProperties").is_none()) {
            schema["unevaluatedProperties"] = json!(false);
        }
        let mut compiler = Compiler::new();
        compiler.add_resource(PLACE, document.clone()).expect("a schema");
        Self { document, compiler, schemas: Schemas::new(), asked: BTreeSet::new() }
    }

    /// Every operation: method, path and name.
    ///
    /// # Panics
    /// If the description is none.
    pub fn operations(&self) -> Vec<(String, String, String)> {
        let paths = self.document["paths"].as_object().expect("paths");
        let methods = |path: &String, item: &Value| -> Vec<_> {
            let item = item.as_object().expect("methods");
            item.iter().map(|(method, operation)| (method.clone(), path.clone(), operation["operationId"].as_str().expect("a name").to_owned())).collect()
        };
        paths.iter().flat_map(|(path, item)| methods(path, item)).collect()
    }

    /// Operations of which no answer was checked yet.
    pub fn unasked(&self) -> Vec<String> {
        self.operations().into_iter().map(|(_, _, name)| name).filter(|name| !self.asked.contains(name)).collect()
    }

    /// Checks an answer of an operation.
    ///
    /// # Panics
    /// If it is not of the form that the description gives.
    pub fn check(&mut self, method: &str, path: &str, status: u16, body: &[u8]) {
        let operation = &self.document["paths"][path][method];
        let answers = operation["responses"].as_object().unwrap_or_else(|| panic!("{method} {path} is not described"));
        let name = operation["operationId"].as_str().expect("a name").to_owned();
        let code = if answers.contains_key(&status.to_string()) { status.to_string() } else { "default".to_owned() };
        let content = answers[&code]["content"].as_object().expect("a content");
        if content.contains_key("application/json") {
            let escaped = path.replace('/', "~1");
            let place = format!("{PLACE}#/paths/{escaped}/{method}/responses/{code}/content/application~1json/schema");
            let index =
                self.compiler.compile(&place.replace('{', "%7B").replace('}', "%7D"), &mut self.schemas).unwrap_or_else(|error| panic!("{path}: {error:#}"));
            let value: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{method} {path} is no JSON ({error}): {}", text(body)));
            if let Err(error) = self.schemas.validate(&value, index) {
                panic!("{method} {path} answers otherwise than it says: {error:#}\n{value:#}");
            }
        }
        if code != "default" {
            self.asked.insert(name);
        }
    }

    /// Whether a value is of a named schema.
    ///
    /// # Panics
    /// If there is no such schema.
    pub fn is(&mut self, schema: &str, value: &Value) -> bool {
        let index =
            self.compiler.compile(&format!("{PLACE}#/components/schemas/{schema}"), &mut self.schemas).unwrap_or_else(|error| panic!("{schema}: {error:#}"));
        self.schemas.validate(value, index).is_ok()
    }
}
