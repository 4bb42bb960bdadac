//! Digests of whole runs. They change with every change of what an engine says or when it says it, in any of thousands of events: so no change of behaviour
//! passes unseen. One that was meant is followed by the digests that the failing test prints.

use sim::scenario::generate::from_seed;
use sim::world::World;

const GOLDEN: [(u64, &str); 20] = [
    (0, "317d73e619b2f8c9"),
    (1, "7c0d1710578c4eaa"),
    (2, "625f40d1a8e0e71a"),
    (3, "17f0c474e4887754"),
    (4, "015662d5f1682fd6"),
    (5, "d5ead9529e3c8076"),
    (6, "dd18c5d825b5ead8"),
    (7, "e35eb3ad5d98ddc6"),
    (8, "63a67692dd55ae1a"),
    (9, "f3755261ad1b1e0c"),
    (10, "f2e9b362f24f3299"),
    (11, "bc10fd7c8e4ae130"),
    (12, "4f2edc0585d6bea1"),
    (13, "19f235449108059b"),
    (14, "ed8a99257452ed28"),
    (15, "0ffcd064651f8b2e"),
    (16, "93908f285f277040"),
    (17, "b0bf5b5902da4883"),
    (18, "870e0adab25359d4"),
    (19, "657c8d3e3d4db3e1"),
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
