use chain::genesis::{GenesisNode, GenesisValidator};
use chain::ledger::proven::Entry;
use chain::ledger::{Attested, Certified, Proven, Summary};
use chain::parameters::Parameters;
use consensus::light::EpochProof;
use consensus::{Certificate, Finality, Header, Kind, Member, Members, Vote};
use primitives::{AccountSecret, Amount, Bytes, SecretKey, View};
use state::{Memory, Sealed};

use super::*;

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn genesis(name: &str) -> Genesis {
    let operator = |seed: u8| AccountSecret::from_seed(&[seed; 32]).address();
    Genesis {
        name: name.into(),
        time: Time(1_000),
        parameters: Parameters::dev(),
        reserve: Amount::ZERO,
        accounts: vec![],
        validators: vec![GenesisValidator {
            operator: operator(10),
            key: secret(10).public(),
            stake: Amount::stos(7),
            commission: chain::staking::Commission::unlimited(0),
        }],
        meta_nodes: vec![GenesisNode {
            operator: operator(20),
            key: secret(20).public(),
            peer: vec![1],
            addresses: vec![],
            deposit: Amount::stos(100),
            capacity: Bytes::ZERO,
        }],
        resource_nodes: vec![],
        continued: None,
    }
}

fn finality(header: &Header, seed: u8, members: &Members) -> Finality {
    let vote = Vote { epoch: header.epoch, view: header.view, kind: Kind::Finalize(header.hash()) };
    let signature = secret(seed).sign_deterministic(&Vote::context(header.chain), &vote.sign_bytes(members.hash()));
    Finality::direct(Certificate::new(vote, members, [(0, signature)]))
}

fn tree() -> Sealed {
    let mut state = Memory::new().child();
    for number in 0..20_u8 {
        state.put(vec![number], vec![number; 3]).expect("short");
    }
    state.put(vec![99], Vec::new()).expect("short");
    state.seal()
}

/// After two blocks, with which the voters changed: the first ends epoch 0 and names who votes in epoch 1.
fn traced(genesis: &Genesis, ledger: LedgerName, key: u8) -> Traced {
    let (chain, first, seed) = match ledger {
        LedgerName::Value => (genesis.hash(), genesis.validator_members(), 10),
        LedgerName::Meta => (meta_chain(genesis.hash()), genesis.meta_members(), 20),
    };
    let first = first.expect("members");
    let members = Members::new(vec![Member { key: secret(seed + 1).public(), weight: 3 }]).expect("members");
    let state = tree();
    let summary = Summary::genesis(state.root(), Amount(1), 1, Hash::ZERO);
    let end = Header {
        view: View(1),
        height: Height(1),
        next_members: members.hash(),
        ..Header::genesis(chain, &first, Time(2_000), Summary::genesis(state.root(), Amount(2), 1, Hash::ZERO).digest())
    };
    let header = Header {
        epoch: Epoch(1),
        view: View(1),
        height: Height(2),
        parent: end.hash(),
        ..Header::genesis(chain, &members, Time(1_735_689_599_999), summary.digest())
    };
    let change = EpochProof { finality: finality(&end, seed, &first), last: end, next: members.clone() };
    let certified = Certified { finality: finality(&header, seed + 1, &members), header, summary };
    let entry = Entry { key: vec![key], value: state.get(&[key]), proof: state.prove(&[key]) };
    Traced { changes: vec![change], attested: Attested { members, proven: Proven { certified, entries: vec![entry] } } }
}

fn file(view: &views::Proof) -> Vec<u8> {
    serde_json::to_vec(view).expect("a file")
}

/// Why the file is refused.
fn refusal(bytes: &[u8], genesis: &Genesis) -> String {
    check(bytes, genesis).map(|report| panic!("{report:?}")).unwrap_err().message().to_owned()
}

#[test]
fn what_is_proven() {
    let genesis = genesis("test");
    for ledger in [LedgerName::Value, LedgerName::Meta] {
        for (key, value) in [(7, Some("070707")), (99, Some("")), (200, None)] {
            let report = check(&file(&views::Proof::new(ledger, &traced(&genesis, ledger, key))), &genesis).expect("it holds");
            assert_eq!((report.ledger, report.height, report.epoch, report.changes, report.members), (ledger, Height(2), Epoch(1), 1, 1));
            assert_eq!((report.value.as_deref(), report.value_bytes), (value, value.map(|value| value.len() / 2)));
            assert_eq!((report.key.clone(), report.state_root), (format!("{key:02x}"), tree().root().root));
            let people = report.people();
            let says = match value {
                Some(value) => format!("{value} ({} bytes)", value.len() / 2),
                None => "none: the state has nothing under this key".to_owned(),
            };
            for part in [says, "2024-12-31 23:59:59 UTC".into(), format!("{ledger}, chain"), "the voters changed 1 time,".into()] {
                assert!(people.contains(&part), "{part} in {people}");
            }
        }
    }
    // A long value is cut for people only.
    let report = check(&file(&views::Proof::new(LedgerName::Value, &traced(&genesis, LedgerName::Value, 7))), &genesis).expect("it holds");
    let long = Report { value: Some("ab".repeat(SHOWN_BYTES_MAX + 1)), value_bytes: Some(SHOWN_BYTES_MAX + 1), ..report };
    assert!(long.people().contains("... (1025 bytes; `--json` shows all)"));
}

#[test]
fn damaged_files() {
    let genesis = genesis("test");
    let good = views::Proof::new(LedgerName::Value, &traced(&genesis, LedgerName::Value, 7));
    let bytes = file(&good);
    for length in (0..bytes.len()).step_by(7) {
        assert!(refusal(&bytes[..length], &genesis).contains("no proof file, or a part of one"), "{length} bytes");
    }
    assert!(refusal(&[&bytes[..], b"x"].concat(), &genesis).contains("no proof file"));
    assert!(refusal(b"[]", &genesis).contains("no proof file"));
    assert!(refusal(b"{\"format\":2}", &genesis).contains("format 2, this program knows 1"));
    // Every bit of the proof counts.
    let proof = hex::decode(&good.proof).expect("digits");
    for at in 0..proof.len() {
        let mut flipped = proof.clone();
        flipped[at] ^= 1 << (at % 8);
        refusal(&file(&views::Proof { proof: hex::encode(&flipped), ..good.clone() }), &genesis);
    }
    for (proof, cause) in [
        (good.proof[..good.proof.len() - 2].to_owned(), "its proof cannot be read"),
        (good.proof.clone() + "00", "its proof cannot be read"),
        (good.proof[1..].to_owned(), "not in hexadecimal digits"),
        ("zz".to_owned(), "not in hexadecimal digits"),
        (String::new(), "its proof cannot be read"),
        ("0".repeat(2 * TRACED_BYTES_MAX + 2), "at most"),
    ] {
        let message = refusal(&file(&views::Proof { proof, ..good.clone() }), &genesis);
        assert!(message.contains(cause), "{cause}: {message}");
    }
}

/// What can be read in the file is what is proven.
#[test]
fn files_that_say_something_else() {
    let genesis = genesis("test");
    let good = views::Proof::new(LedgerName::Value, &traced(&genesis, LedgerName::Value, 7));
    for (file_says, cause) in [
        (views::Proof { height: Height(3), ..good.clone() }, "it says height 3, but what it proves is 2"),
        (views::Proof { epoch: Epoch(3), ..good.clone() }, "it says epoch 3, but what it proves is 1"),
        (views::Proof { time_ms: Time(3), ..good.clone() }, "it says time 3"),
        (views::Proof { value: Some("080808".into()), ..good.clone() }, "it says value 080808, but what it proves is 070707"),
        (views::Proof { value: None, ..good.clone() }, "that there is none, but"),
        (views::Proof { key: "08".into(), ..good.clone() }, "the answer has 1 keys, 1 were asked for"),
        (views::Proof { key: "0".into(), ..good.clone() }, "its key is not in hexadecimal digits"),
        (views::Proof { key: "00".repeat(KEY_BYTES_MAX + 1), ..good.clone() }, "its key has 2050 hexadecimal digits"),
        (views::Proof { ledger: LedgerName::Meta, ..good.clone() }, "the meta ledger of this genesis is"),
        (views::Proof { chain: meta_chain(genesis.hash()), ledger: LedgerName::Meta, ..good.clone() }, "it proves nothing"),
    ] {
        let message = refusal(&file(&file_says), &genesis);
        assert!(message.contains(cause), "{cause}: {message}");
    }
}

#[test]
fn forgeries() {
    let (own, other) = (genesis("test"), genesis("other"));
    let good = traced(&own, LedgerName::Value, 7);
    let of_other = views::Proof::new(LedgerName::Value, &traced(&other, LedgerName::Value, 7));
    assert!(refusal(&file(&of_other), &own).contains(&format!("about chain {}; the value ledger of this genesis is {}", other.hash(), own.hash())));
    let renamed = views::Proof { chain: own.hash(), ..of_other };
    assert!(refusal(&file(&renamed), &own).contains(&format!("the header is of chain {}", other.hash())));

    let forge = |change: &dyn Fn(&mut Traced)| {
        let mut forged = good.clone();
        change(&mut forged);
        refusal(&file(&views::Proof::new(LedgerName::Value, &forged)), &own)
    };
    let liar = Members::new(vec![Member { key: secret(66).public(), weight: 3 }]).expect("members");
    let skipped = forge(&|forged| forged.changes.clear());
    assert!(skipped.contains("but from genesis on the changes lead to"), "{skipped}");
    let brought = forge(&|forged| forged.attested.members = liar.clone());
    assert!(brought.contains(&format!("the voters brought with the header are {}", liar.hash())), "{brought}");
    // Voters of one's own, whom nobody made voters.
    let made = forge(&|forged| {
        let header = &mut forged.attested.proven.certified.header;
        header.members = liar.hash();
        let header = header.clone();
        forged.attested.proven.certified.finality = finality(&header, 66, &liar);
        forged.attested.members = liar.clone();
        forged.changes[0].next = liar.clone();
    });
    assert!(made.contains("change 1 of 1 of the voters, at the end of epoch 0, is not proven: members"), "{made}");
    let usurped = forge(&|forged| {
        forged.changes[0].next = liar.clone();
        forged.changes[0].last.next_members = liar.hash();
    });
    assert!(usurped.contains("is not proven: the certificate does not finalize"), "{usurped}");
    let unsigned = forge(&|forged| forged.attested.proven.certified.header.time = Time(5));
    assert!(unsigned.contains("the certificate does not finalize the header at height 2"), "{unsigned}");
    let summary = forge(&|forged| forged.attested.proven.certified.summary.units_used = 1);
    assert!(summary.contains("the summary does not belong to the header"), "{summary}");
    for value in [Some(vec![8]), None] {
        let wrong = forge(&|forged| forged.attested.proven.entries[0].value.clone_from(&value));
        assert!(wrong.contains("the proof of key 07 is invalid"), "{wrong}");
    }
    let more = forge(&|forged| forged.attested.proven.entries.push(good.attested.proven.entries[0].clone()));
    assert!(more.contains("the answer has 2 keys, 1 were asked for"), "{more}");
}
