//! `docs/genesis.md`: its tables are made of the comments in the code, so what users read is what is checked.
//!
//! When a field changes, `STRATOS_DOCS=1 cargo test -p chain --lib genesis::docs` writes the tables anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::continued::MATURING_MAX;
use super::*;
use crate::meta_registry::META_NODES_MAX;
use crate::parameters::FIELDS;
use crate::resource::{PEER_BYTES_MAX, RESOURCE_NODES_MAX};
use crate::staking::{COMMISSION_BP_MAX, VALIDATORS_MAX};
use crate::transaction::{ADDRESS_BYTES_MAX, ADDRESSES_MAX};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/genesis.md");
const BEGIN: &str = "<!-- The tables below are made of the code. -->\n";
const SOURCES: [&str; 5] = [
    include_str!("../genesis.rs"),
    include_str!("../profiles.rs"),
    include_str!("continued.rs"),
    include_str!("../staking/mod.rs"),
    include_str!("../parameters.rs"),
];
/// What a file is made of, with the place in it.
const STRUCTURES: [(&str, &str); 18] = [
    ("Genesis", "The file"),
    ("Parameters", "`parameters`"),
    ("GenesisAccount", "An entry of `accounts`"),
    ("GenesisValidator", "An entry of `validators`"),
    ("Commission", "`commission`"),
    ("GenesisNode", "An entry of `meta_nodes` or `resource_nodes`"),
    ("Continued", "`continued`"),
    ("ContinuedValidator", "An entry of `continued.validators`"),
    ("Standing", "`status` of a validator"),
    ("ContinuedDelegation", "An entry of `continued.delegations`"),
    ("ContinuedMeta", "An entry of `continued.meta_nodes`"),
    ("MetaStanding", "`status` of a meta node"),
    ("ContinuedResource", "An entry of `continued.resource_nodes`"),
    ("ResourceStanding", "`status` of a resource node"),
    ("ContinuedOzone", "An entry of `continued.ozone`"),
    ("ContinuedProfile", "An entry of `continued.profiles`"),
    ("Profile", "`profile`"),
    ("ContinuedReward", "An entry of `continued.rewards`"),
];
const LAST: (&str, &str) = ("Maturing", "An entry of `maturing`");

/// A field, or a variant, with what its comment says.
struct Row {
    name: String,
    kind: String,
    about: String,
}

/// The rows of a structure or an enumeration, read from its source.
fn rows(of: &str) -> Vec<Row> {
    let body = SOURCES.iter().find_map(|source| {
        let begin = ["struct", "enum"].iter().find_map(|word| source.find(&format!("pub {word} {of} {{\n")))?;
        source[begin..].split_once("{\n").and_then(|(_, rest)| rest.split_once("\n}")).map(|(body, _)| body)
    });
    let (mut rows, mut about) = (Vec::new(), String::new());
    for line in body.unwrap_or_else(|| panic!("{of} has a source")).lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            write!(about, "{}{}", if about.is_empty() { "" } else { " " }, text.trim()).expect("a text");
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|field| field.trim_end_matches(',').split_once(": ")) {
            rows.push(Row { name: name.into(), kind: kind.into(), about: std::mem::take(&mut about) });
        } else if line.chars().next().is_some_and(char::is_uppercase) {
            let (name, kind) = line.trim_end_matches(',').split_once('(').unwrap_or((line.trim_end_matches(','), ""));
            rows.push(Row { name: name.to_lowercase(), kind: kind.trim_end_matches(')').into(), about: std::mem::take(&mut about) });
        }
    }
    rows
}

/// How a value is written, and what it can be.
fn value(of: &str, row: &Row) -> String {
    let coins = format!("wei in digits, as text; 0 to {TOTAL_SUPPLY}");
    let list = |what: &str| format!("list of {what}");
    match (of, row.name.as_str(), row.kind.as_str()) {
        ("Genesis", "name", _) => format!("text of 1 to {NAME_MAX} letters `a` to `z`, digits and `-`"),
        ("Genesis", "validators", _) => format!("list of 1 to {VALIDATORS_MAX}"),
        ("Genesis", "meta_nodes", _) => format!("list of 1 to {META_NODES_MAX}, all together"),
        ("Genesis", "resource_nodes", _) => format!("list of 0 to {RESOURCE_NODES_MAX}, all together"),
        ("Genesis", "continued", _) => "see below; may be left out".into(),
        ("GenesisNode", "peer", _) => format!("list of 1 to {PEER_BYTES_MAX} numbers, 0 to 255"),
        ("GenesisNode", "addresses", _) => format!("list of 1 to {ADDRESSES_MAX} texts of at most {ADDRESS_BYTES_MAX} bytes"),
        ("GenesisValidator", "stake", _) => format!("{coins}; with what others have delegated at least 10^18 in the first set"),
        ("Commission", _, _) => format!("number, basis points; 0 to {COMMISSION_BP_MAX}"),
        ("ContinuedReward", "maturing", _) => format!("list of 0 to {MATURING_MAX}"),
        ("Standing", "jailed", _) => "`{\"jailed\": EPOCH}`".into(),
        ("Standing" | "MetaStanding" | "ResourceStanding", name, _) => format!("`\"{name}\"`"),
        ("Profile", _, _) => "text, perhaps empty".into(),
        (_, _, "Amount") => coins,
        (_, _, "Noz") => "noz in digits, as text".into(),
        (_, _, "Address") => "address, `st1…`".into(),
        (_, _, "PublicKey" | "Hash") => "64 hexadecimal digits".into(),
        (_, _, "Time") => "number, ms".into(),
        (_, _, "Bytes") => "number, bytes".into(),
        (_, _, "Epoch" | "Height") => "number".into(),
        (_, _, "Parameters" | "Profile" | "Commission" | "Standing" | "MetaStanding" | "ResourceStanding" | "GenesisNode" | "GenesisValidator") => {
            "see below".into()
        }
        (_, _, kind) if kind.starts_with("Vec<") => list("entries"),
        (_, _, kind) => panic!("{of}: a field of {kind} is not described"),
    }
}

/// The tables as they must be.
fn tables() -> String {
    let mut text = String::new();
    for (of, place) in STRUCTURES.into_iter().chain([LAST]) {
        write!(text, "\n## {place}\n\n| field | value | meaning |\n|---|---|---|\n").expect("a text");
        for row in rows(of) {
            let value = match FIELDS.iter().find(|field| of == "Parameters" && field.name == row.name) {
                Some(field) => {
                    let written = if row.kind == "Amount" { "digits, as text" } else { "number" };
                    format!("{written}, {}; {} to {}", field.unit, field.min, field.max)
                }
                None => value(of, &row),
            };
            let about = row.about.replace("[`", "`").replace("`]", "`").replace("crate::", "").replace('|', "\\|");
            writeln!(text, "| `{}` | {value} | {about} |", row.name).expect("a text");
        }
    }
    text
}

#[test]
fn the_document_says_what_the_code_says() {
    let document = std::fs::read_to_string(PATH).expect("the document is there");
    let (prose, found) = document.split_once(BEGIN).expect("it has a place for the tables");
    let expected = tables();
    if std::env::var_os("STRATOS_DOCS").is_some() {
        std::fs::write(PATH, format!("{prose}{BEGIN}{expected}")).expect("written");
    } else {
        assert_eq!(found, expected, "write it anew: STRATOS_DOCS=1 cargo test -p chain --lib genesis::docs");
    }
}

/// Every name in a value.
fn names(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            all.insert(name.clone());
            names(value, all);
        }),
        Value::Array(list) => list.iter().for_each(|value| names(value, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What a file has, the tables have, and the other way round.
#[test]
fn no_field_is_left_out() {
    let file = crate::tests::export::everything();
    let mut found = BTreeSet::new();
    names(&serde_json::to_value(&file).expect("plain"), &mut found);
    let statuses: BTreeSet<String> = ["Standing", "MetaStanding", "ResourceStanding"].iter().flat_map(|of| rows(of)).map(|row| row.name).collect();
    found.retain(|name| !statuses.contains(name));
    let documented: BTreeSet<String> =
        STRUCTURES.into_iter().chain([LAST]).flat_map(|(of, _)| rows(of)).map(|row| row.name).filter(|name| !statuses.contains(name)).collect();
    assert_eq!(found, documented);
}
