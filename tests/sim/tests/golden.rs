//! Digests of whole runs. They change with every change of what an engine says or when it says it, in any of thousands of events: so no change of behaviour
//! passes unseen. One that was meant is followed by the digests that the failing test prints.

use sim::scenario::generate::from_seed;
use sim::world::World;

const GOLDEN: [(u64, &str); 20] = [
    (0, "57109f33a600adcd"),
    (1, "7ba61da0c918efce"),
    (2, "7743579fe5715312"),
    (3, "8819b09caeb70e52"),
    (4, "0bdf11c83f1e1c73"),
    (5, "5a15eb1653a0653a"),
    (6, "7fa208da3a766104"),
    (7, "c89b041512c4e3cf"),
    (8, "827d586e90ab012a"),
    (9, "f098985793e8805e"),
    (10, "ebad3ba3c152bbd7"),
    (11, "74f98cc80d75c86b"),
    (12, "781d99ddbb302966"),
    (13, "754dbcf1e102ab93"),
    (14, "6c974a7375194d0b"),
    (15, "714f933dd83ded28"),
    (16, "3cb15c5895d9eff0"),
    (17, "ebb7459b51bb3ccb"),
    (18, "64f6f0b4f8e2dd31"),
    (19, "8464335944bfd05a"),
];

#[test]
fn digests() {
    let found: Vec<(u64, String)> = GOLDEN
        .iter()
        .map(|(seed, _)| {
            let summary = World::new(&from_seed(*seed)).run().expect("nothing is broken");
            (*seed, summary.digest.to_string()[..16].to_owned())
        })
        .collect();
    let lines: String = found.iter().map(|(seed, digest)| format!("    ({seed}, \"{digest}\"),\n")).collect();
    assert!(found.iter().zip(GOLDEN).all(|((_, found), (_, golden))| found == golden), "other histories than before:\n{lines}");
}
