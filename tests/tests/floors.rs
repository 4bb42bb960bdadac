//! The house has floors: a room uses rooms below its own only. Cargo refuses cycles; this refuses a dependency upwards or sideways.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every room and its floor.
const FLOORS: [(&str, u8); 13] = [
    ("primitives", 0),
    ("consensus", 1),
    ("state", 1),
    ("pot", 1),
    ("storage", 1),
    ("p2p", 1),
    ("chain", 2),
    ("meta", 3),
    ("client", 4),
    ("node", 5),
    ("tests", 6),
    ("sim", 6),
    ("subsidy", 6),
];

#[test]
fn rooms_use_only_floors_below() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let floors: BTreeMap<&str, u8> = FLOORS.into();
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).expect("the workspace has a manifest").parse().expect("it is TOML");
    let members: Vec<&str> = manifest["workspace"]["members"].as_array().expect("members").iter().filter_map(toml::Value::as_str).collect();
    assert_eq!(members.len(), FLOORS.len(), "every room has a floor: {members:?}");
    for member in members {
        // A room may stand in another's folder (tests/sim); its name is the last part.
        let room = member.rsplit('/').next().unwrap_or(member);
        let floor = floors.get(room).unwrap_or_else(|| panic!("{room} has no floor"));
        let manifest: toml::Table = fs::read_to_string(root.join(member).join("Cargo.toml")).expect("a room has a manifest").parse().expect("it is TOML");
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else { continue };
            for used in dependencies.keys().filter_map(|name| floors.get(name.as_str()).map(|used| (name, used))) {
                assert!(used.1 < floor, "{room} on floor {floor} uses {} on floor {} ({table})", used.0, used.1);
            }
        }
    }
}
