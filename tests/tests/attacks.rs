//! The table of attacks in the door plate of `pot` names the tests that mount them: each of them is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Rust files below a directory, without what is built.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a room").flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| match path.is_dir() {
            true if path.file_name().is_some_and(|name| name == "target" || name == ".git") => Vec::new(),
            true => sources(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[test]
fn every_attack_of_the_table_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let plate = fs::read_to_string(root.join("pot/src/lib.rs")).expect("the room");
    let rows: Vec<Vec<&str>> =
        plate.lines().filter_map(|line| line.strip_prefix("//! | ")).map(|row| row.trim_end_matches(" |").split(" | ").collect()).collect();
    let (heading, rows) = rows.split_first().expect("a table");
    assert_eq!(heading, &["attack", "stopped by", "mounted in"]);
    assert!(rows.len() >= 20, "{} attacks", rows.len());
    let named: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| {
            let tests: Vec<String> = row[2].split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
            assert!(tests.iter().all(|name| !name.is_empty()), "{}: no test mounts it", row[0]);
            tests
        })
        .collect();
    let code: Vec<String> = sources(&root).iter().map(|path| fs::read_to_string(path).expect("a source")).collect();
    for name in named {
        assert!(code.iter().any(|code| code.contains(&format!("fn {name}("))), "no test is called {name}");
    }
}
