//! Each kind of mistake, and the line that it is in.

use chain::genesis::{GenesisAccount, GenesisNode, GenesisValidator};
use chain::parameters::Parameters;
use primitives::{AccountSecret, Bytes, SecretKey, Time};
use proptest::prelude::*;

use super::*;

fn text() -> String {
    let person = |seed: u8| AccountSecret::from_seed(&[seed; 32]).address();
    let key = |seed: u8| SecretKey::from_seed(&[seed; 32]).public();
    let node = |seed: u8, capacity| GenesisNode {
        operator: person(seed),
        key: key(seed),
        peer: vec![1],
        addresses: vec!["/ip4/127.0.0.1/tcp/1".into()],
        deposit: Amount::stos(100),
        capacity,
    };
    let account = |seed: u8, balance| GenesisAccount { address: person(seed), balance, ozone_for: Amount::ZERO };
    let genesis = Genesis {
        name: "test".into(),
        time: Time(1),
        parameters: Parameters::dev(),
        reserve: Amount::stos(99_000_000),
        accounts: vec![account(1, Amount::stos(5)), account(2, Amount::stos(1_000_000 - 5 - 1_300))],
        validators: vec![GenesisValidator {
            operator: person(10),
            key: key(10),
            stake: Amount::stos(1_000),
            commission: chain::staking::Commission::unlimited(5),
        }],
        meta_nodes: vec![node(20, Bytes::ZERO)],
        resource_nodes: vec![node(30, Bytes(1)), node(31, Bytes(1))],
        continued: None,
    };
    serde_json::to_string_pretty(&genesis).unwrap()
}

/// The line, counted from 1, of the `nth` line that contains `part`.
fn line_of(text: &str, part: &str, nth: usize) -> usize {
    text.lines().enumerate().filter(|(_, line)| line.contains(part)).nth(nth).unwrap_or_else(|| panic!("{part} is there")).0 + 1
}

/// Checks a text in which the `nth` line that contains `part` has `with` in its place; gives what is wrong, which is in that line.
#[track_caller]
fn changed(part: &str, nth: usize, with: &str, entry: &str, cause: &str) {
    let good = text();
    let line = line_of(&good, part, nth);
    let bad: Vec<String> = (1..).zip(good.lines()).map(|(number, text)| if number == line { text.replacen(part, with, 1) } else { text.into() }).collect();
    let wrong = check(&bad.join("\n")).expect_err("it is wrong");
    assert_eq!((wrong.line, wrong.entry.as_str()), (line, entry), "{wrong}");
    assert!(wrong.cause.contains(cause), "{wrong} is not about: {cause}");
    let indent = bad[line - 1].len() - bad[line - 1].trim_start().len();
    assert!(wrong.column > indent && wrong.column <= bad[line - 1].chars().count() + 1, "{wrong}");
}

#[test]
fn a_good_file() {
    let good = text();
    assert_eq!(check(&good).map(|genesis| genesis.hash()), Ok(parse(&good).unwrap().hash()));
    assert!(check(&format!("{good}\n\n")).is_ok());
}

#[test]
fn syntax() {
    changed("\"name\": \"test\",", 0, "\"name\" \"test\",", "", "expected `:`");
    let good = text();
    let cut = &good[..good.find("\"validators\"").unwrap()];
    let wrong = check(cut).unwrap_err();
    assert_eq!(wrong.line, cut.lines().count(), "{wrong}");
    assert!(wrong.cause.contains("EOF"), "{wrong}");
    let wrong = check(&format!("{good}\n}}")).unwrap_err();
    assert_eq!((wrong.line, wrong.column), (good.lines().count() + 1, 1), "{wrong}");
    assert!(wrong.cause.contains("trailing characters"), "{wrong}");
    assert_eq!(check("").unwrap_err().line, 1);
    assert_eq!(check("[]").unwrap_err().line, 1);
}

#[test]
fn fields() {
    changed("\"epoch_ms\"", 0, "\"epoch\"", "parameters.epoch", "unknown field `epoch`");
    changed("\"ozone_for\"", 1, "\"balance\"", "accounts[1]", "duplicate field `balance`");
    changed("\"reserve\"", 0, "\"foundation\"", "foundation", "unknown field");
    // A field that is missing is missing where its entry begins.
    let good = text();
    let line = line_of(&good, "\"ozone_for\"", 1);
    let bad: Vec<&str> = (1..).zip(good.lines()).filter(|(number, _)| *number != line).map(|(_, text)| text).collect();
    let bad = bad.join("\n").replacen(&format!("{},\n    }}\n  ],\n  \"validators\"", bad[line - 2].trim_end_matches(',')), "", 0);
    let bad = bad.replace(",\n    }", "\n    }");
    let wrong = check(&bad).unwrap_err();
    assert_eq!((wrong.entry.as_str(), wrong.line), ("accounts[1]", line - 3), "{wrong}");
    assert!(wrong.cause.contains("missing field `ozone_for`"), "{wrong}");
}

#[test]
fn values() {
    changed("\"epoch_ms\": 10000", 0, "\"epoch_ms\": \"10000\"", "parameters.epoch_ms", "invalid type");
    changed("\"bp\": 5", 0, "\"bp\": -5", "validators[0].commission.bp", "invalid value");
    changed("\"address\": \"st1", 1, "\"address\": \"st2", "accounts[1].address", "");
    changed("\"key\": \"", 2, "\"key\": \"zz", "resource_nodes[0].key", "");
    changed("\"deposit\": \"100", 1, "\"deposit\": \"1e2", "resource_nodes[0].deposit", "");
    changed("\"time\": 1", 0, "\"time\": 1.5", "time", "");
}

#[test]
fn what_does_not_go_together() {
    changed("\"name\": \"test\"", 0, "\"name\": \"Test net\"", "name", "lower-case letters");
    changed("\"epoch_ms\": 10000", 0, "\"epoch_ms\": 0", "parameters.epoch_ms", "0 ms; 1 to 604800000 are possible");
    changed("\"subsidy_bp\": 2500", 0, "\"subsidy_bp\": 9000", "parameters.subsidy_bp", "");
    changed("\"unbonding_epochs\": 4", 0, "\"unbonding_epochs\": 2", "parameters.unbonding_epochs", "who is guilty would be gone");
}

#[test]
fn entries() {
    let good = text();
    let entry = |text: &str, entry: &str, line: usize, cause: &str| {
        let wrong = check(text).expect_err("it is wrong");
        assert_eq!((wrong.entry.as_str(), wrong.line), (entry, line), "{wrong}");
        assert!(wrong.cause.contains(cause), "{wrong} is not about: {cause}");
    };
    // The second of two that are the same is named, where its entry begins.
    let field = |name: &str, nth: usize| good.lines().filter(|line| line.contains(name)).nth(nth).unwrap().trim().trim_end_matches(',').to_owned();
    let twice = good.replace(&field("\"address\": \"st1", 1), &field("\"address\": \"st1", 0));
    entry(&twice, "accounts[1]", line_of(&good, "\"address\": \"st1", 1) - 1, "is there twice");
    let twice = good.replace(&field("\"key\"", 3), &field("\"key\"", 2));
    entry(&twice, "resource_nodes[1]", line_of(&good, "\"key\"", 3) - 2, "is the key of node 1 already");
    let twice = good.replace(&field("\"operator\"", 3), &field("\"operator\"", 2));
    entry(&twice, "resource_nodes[1]", line_of(&good, "\"operator\"", 3) - 1, "already operates a node");
    let few = good.replace("\"max_bp\": 10000", "\"max_bp\": 4");
    entry(&few, "validators[0]", line_of(&good, "\"operator\"", 0) - 1, "basis points");
    // Digits that are no point of the curve are no key, whoever reads them.
    let none = good.replace(&field("\"key\"", 0), &format!("\"key\": \"{}\"", "ff".repeat(32)));
    entry(&none, "validators", line_of(&good, "\"validators\"", 0), "are no set of members");
    let poor = good.replacen("\"ozone_for\": \"0\"", "\"ozone_for\": \"6000000000000000000\"", 1);
    entry(&poor, "accounts[0]", line_of(&good, "\"address\": \"st1", 0) - 1, "are missing");
}

#[test]
fn the_sum_is_the_supply() {
    for (balance, cause) in [("5000000000000000003", "3 wei too many"), ("4999999999999999999", "1 wei too few")] {
        let wrong = check(&text().replacen("\"5000000000000000000\"", &format!("\"{balance}\""), 1)).unwrap_err();
        assert_eq!((wrong.entry.as_str(), wrong.line, wrong.column), ("", 1, 1));
        assert!(wrong.cause.contains(cause), "{wrong}");
    }
}

/// Cut off or changed anywhere, a text is refused in a line that it has, or is another good one.
#[test]
fn any_byte() {
    let good = text();
    let lines = good.lines().count();
    for at in (0..good.len()).step_by(7) {
        for text in [good[..at].to_owned(), format!("{}x{}", &good[..at], &good[at + 1..])] {
            if let Err(wrong) = check(&text) {
                assert!((1..=lines + 1).contains(&wrong.line) && wrong.column >= 1, "{wrong}");
            }
        }
    }
}

/// Columns are of characters, of which some take several bytes.
#[test]
fn characters_are_counted() {
    let name = "  \"name\": \"\u{10000}\u{e9}\", \"time\": x,";
    let wrong = parse(&text().replacen("  \"name\": \"test\",", name, 1)).unwrap_err();
    assert_eq!((wrong.line, wrong.column), (2, name.chars().count() - 1), "{wrong}");
}

proptest! {
    /// Whatever stands in the file, it is a genesis or the place of the mistake is in the file.
    #[test]
    fn any_bytes_of_a_true_one(at in any::<prop::sample::Index>(), instead in ".{0,3}", cut in 0..4_usize) {
        let mut letters: Vec<char> = text().chars().collect();
        let at = at.index(letters.len());
        letters.splice(at..(at + cut).min(letters.len()), instead.chars());
        let text: String = letters.into_iter().collect();
        if let Err(wrong) = parse(&text) {
            let line = text.split('\n').nth(wrong.line.saturating_sub(1));
            prop_assert!(wrong.line >= 1 && wrong.column >= 1 && line.is_some_and(|line| wrong.column <= line.chars().count() + 1), "{}: {}", wrong, text);
        }
    }
}
