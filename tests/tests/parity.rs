//! The tables of `docs/parity.md` name what of the original network is where in this one: each of our names in them is there, and each of our messages is in
//! them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust files of the rooms and their tests, one after the other.
fn sources(directory: &Path, all: &mut String) {
    for path in fs::read_dir(directory).expect("a room").flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, all);
        } else if name.ends_with(".rs") {
            all.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// The variants of a public enum.
fn variants(code: &str, name: &str) -> BTreeSet<String> {
    let (_, rest) = code.split_once(&format!("pub enum {name} {{\n")).expect("the enum");
    let (body, _) = rest.split_once("\n}").expect("its end");
    let of_line = |line: &str| {
        let rest = line.strip_prefix("    ")?;
        let variant: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        rest.starts_with(|first: char| first.is_ascii_uppercase()).then_some(variant)
    };
    body.lines().filter_map(of_line).collect()
}

/// The rows of all tables: the cells of each.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    lines.map(|line| line.split(" | ").map(|cell| cell.trim_end_matches(" |").trim()).collect()).collect()
}

/// What is set in code in a cell.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

struct Source {
    messages: BTreeSet<String>,
    events: BTreeSet<String>,
    /// The list of parameters.
    parameters: String,
    /// What can be typed, with the lines that its tests type.
    arguments: String,
    /// The routes.
    interface: String,
    /// What answers consist of.
    views: String,
    all: String,
}

impl Source {
    fn read() -> Self {
        let mut all = String::new();
        sources(&root(), &mut all);
        let views = ["views.rs", "views/staking.rs", "views/decisions.rs", "views/report.rs", "views/proof.rs"];
        Self {
            messages: variants(&read("chain/src/transaction.rs"), "Message"),
            events: variants(&read("chain/src/event.rs"), "Event"),
            parameters: read("chain/src/parameters.rs"),
            arguments: read("node/src/cli/args.rs"),
            interface: read("node/src/http/interface/sections.rs"),
            views: views.map(|file| read(&format!("node/src/http/{file}"))).concat(),
            all,
        }
    }

    /// Whether there is what a name stands for.
    fn has(&self, name: &str) -> bool {
        if let Some(variant) = name.strip_prefix("Message::") {
            return self.messages.contains(variant);
        }
        if let Some(variant) = name.strip_prefix("Event::") {
            return self.events.contains(variant);
        }
        match name.split_once(' ') {
            Some(("parameter", field)) => self.parameters.contains(&format!("\n    {field}: \"")),
            Some(("field", field)) => self.views.contains(&format!("pub {field}: ")),
            // A test of the command line types every command.
            Some(("stratos", command)) => {
                let typed = |end: char| self.arguments.contains(&format!("\"{command}{end}"));
                typed(' ') || typed('"')
            }
            Some(_) => false,
            None if name.starts_with("--") => self.arguments.contains(&format!("pub {}: ", name.trim_start_matches('-').replace('-', "_"))),
            None if name.starts_with('/') => self.interface.contains(&format!("\"{name}\",")),
            None if name.starts_with(|first: char| first.is_ascii_uppercase()) => self.all.contains(&format!("const {name}: ")),
            None => self.all.contains(&format!("fn {name}(")),
        }
    }
}

#[test]
fn every_name_of_the_tables_is_there() {
    let (page, source) = (read("docs/parity.md"), Source::read());
    let rows = rows(&page);
    assert!(rows.len() >= 150, "{} rows", rows.len());
    let mut missing: Vec<String> = Vec::new();
    let mut checked = 0;
    for row in &rows {
        assert_eq!(row.len(), 3, "{row:?}");
        // The first column names what the original has, but for that of our own messages.
        let skipped = usize::from(!row[0].starts_with('`'));
        for name in row[skipped..].iter().flat_map(|cell| names(cell)) {
            checked += 1;
            if !source.has(name) {
                missing.push(format!("`{name}` of the row {}", row[0]));
            }
        }
    }
    assert!(missing.is_empty(), "not in the source:\n{}", missing.join("\n"));
    assert!(checked >= 200, "{checked} names");
}

/// Nothing can be asked for that no table names, and each row of the faults names a test.
#[test]
fn every_message_and_fault_has_its_row() {
    let (page, source) = (read("docs/parity.md"), Source::read());
    let rows = rows(&page);
    let named: BTreeSet<&str> = rows.iter().filter_map(|row| row[0].strip_prefix("`Message::")?.strip_suffix('`')).collect();
    assert_eq!(named, source.messages.iter().map(String::as_str).collect());
    let (_, faults) = page.split_once("## Faults").expect("the faults");
    let (faults, _) = faults.split_once("\n## ").expect("their end");
    let faults = self::rows(faults);
    assert!(faults.len() >= 9 && faults.iter().skip(1).all(|row| names(row[2]).next().is_some()));
}

/// What is not there is noticed.
#[test]
fn a_name_that_is_not_there_is_missed() {
    let source = Source::read();
    for wrong in [
        "Message::Sent",
        "Event::Send",
        "parameter community_tax",
        "field community_tax_bp",
        "stratos sends",
        "/v1/account",
        "MOST",
        "no_such_test_here",
        "x y",
    ] {
        assert!(!source.has(wrong), "{wrong}");
    }
    for good in
        ["Message::Send", "Event::Sent", "parameter community_tax_bp", "stratos send", "/v1/status", "VALIDATORS_MAX", "self_dealing_loses", "--dry-run"]
    {
        assert!(source.has(good), "{good}");
    }
}
