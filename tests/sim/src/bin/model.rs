//! Checks the model in every scope that is worth its time, and prints what it took. `make model` builds it optimised. A word selects the scopes whose line
//! has it.
//!
//! Ten minutes and less than a gigabyte on two cores; the last scope takes more than half of both. Too large for it: one faulty of four over four views.

use std::fs;
use std::time::Instant;

use sim::model::{Checked, Scope, Simplex, check};

const EQUAL: [&[u64]; 5] = [&[], &[1], &[1, 1], &[1, 1, 1], &[1, 1, 1, 1]];

fn main() {
    let word = std::env::args().nth(1).unwrap_or_default();
    let equal = |faulty: usize, variants| Scope { faulty: EQUAL[faulty], honest: EQUAL[4 - faulty], variants, ..Scope::default() };
    // Leaders are faulty but in the views under `led`.
    let scopes = [
        equal(1, &[2, 1]),
        equal(1, &[1, 1, 1]),
        equal(1, &[2, 1, 1]),
        Scope { restarts: true, ..equal(1, &[1, 1, 1]) },
        equal(2, &[2, 1, 1]),
        equal(3, &[2, 1, 1]),
        Scope { faulty: &[2], honest: &[1, 2, 2], variants: &[2, 1, 1], ..Scope::default() },
        Scope { honest_led: &[2, 3], restarts: true, ..equal(1, &[2, 2, 1]) },
        equal(2, &[2, 2, 2]),
        equal(3, &[2, 1, 1, 1]),
        Scope { honest_led: &[2, 3, 4], ..equal(2, &[2, 1, 1, 1]) },
        equal(2, &[2, 1, 1, 1]),
    ];
    println!("{:<72} {:>6} {:>10} {:>5} {:>7} {:>8}  result", "scope", "blocks", "states", "depth", "seconds", "peak MiB");
    let mut is_good = true;
    for scope in scopes {
        let Scope { faulty, honest, variants, honest_led, restarts, mutation: _ } = scope;
        let line = format!("faulty {faulty:?} honest {honest:?} variants {variants:?} led {honest_led:?}{}", if restarts { " restarts" } else { "" });
        if !line.contains(&word) {
            continue;
        }
        let (start, blocks) = (Instant::now(), Simplex::new(scope).blocks());
        let Checked { states, depth, wrong } = check(scope, 2);
        is_good &= wrong.is_empty();
        let result = if wrong.is_empty() { "holds".to_owned() } else { format!("WRONG: {wrong:?}") };
        println!("{line:<72} {blocks:>6} {states:>10} {depth:>5} {:>7.1} {:>8}  {result}", start.elapsed().as_secs_f64(), peak_mib());
    }
    std::process::exit(i32::from(!is_good));
}

/// The most memory this process has held so far, where Linux says so.
fn peak_mib() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map_or("?".to_owned(), |kib| (kib / 1024).to_string())
}
