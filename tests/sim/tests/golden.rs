//! Digests of whole runs. They change with every change of what an engine says or when it says it, in any of thousands of events: so no change of behaviour
//! passes unseen. One that was meant is followed by the digests that the failing test prints.

use sim::scenario::generate::from_seed;
use sim::world::World;

const GOLDEN: [(u64, &str); 20] = [
    (0, "317d73e619b2f8c9"),
    (1, "7c0d1710578c4eaa"),
    (2, "4f30834987c10571"),
    (3, "7cac0cd40715aedb"),
    (4, "5417372b26b2f8a9"),
    (5, "d5ead9529e3c8076"),
    (6, "f085c030f3090dbe"),
    (7, "41ee3dbdb1defd55"),
    (8, "63a67692dd55ae1a"),
    (9, "bc45b827937d2089"),
    (10, "c7709006a743658b"),
    (11, "bc10fd7c8e4ae130"),
    (12, "de63ca354989ecf8"),
    (13, "19f235449108059b"),
    (14, "c2128184bf89c4fe"),
    (15, "0ffcd064651f8b2e"),
    (16, "212c4c3e58534505"),
    (17, "01ad3816238cd10f"),
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
