//! Digests of whole runs. They change with every change of what an engine says or when it says it, in any of thousands of events: so no change of behaviour
//! passes unseen. One that was meant is followed by the digests that the failing test prints.

use sim::scenario::generate::from_seed;
use sim::world::World;

const GOLDEN: [(u64, &str); 20] = [
    (0, "317d73e619b2f8c9"),
    (1, "7c0d1710578c4eaa"),
    (2, "052520c3381efd3d"),
    (3, "7cac0cd40715aedb"),
    (4, "fae719417b90d85b"),
    (5, "a198ab9260f3626e"),
    (6, "33e34908bcb250ff"),
    (7, "1f3cefcc15ee7e25"),
    (8, "9fd61c1663822704"),
    (9, "9b45bf9715b2fb51"),
    (10, "0b395cbe2d682527"),
    (11, "e5d21dc005a60ded"),
    (12, "de63ca354989ecf8"),
    (13, "5033ef78cbfe0b55"),
    (14, "c2128184bf89c4fe"),
    (15, "0ffcd064651f8b2e"),
    (16, "9d57596d2b970f74"),
    (17, "77d087673ece6996"),
    (18, "8c71fc76d7d614e1"),
    (19, "ebaab5d68def084c"),
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
