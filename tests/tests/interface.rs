//! A node describes its HTTP interface, and answers as it says: every address of the description is asked on a network in which something happened.

use std::collections::BTreeMap;

use chain::Genesis;
use chain::Transaction;
use chain::ballots::Motion;
use chain::governance::{Action, Choice, Outcome};
use chain::parameters::Parameters;
use chain::pools::Fund;
use chain::profiles::Profile;
use chain::transaction::{Message, TRANSACTION_VERSION};
use client::wallet::Seed;
use consensus::evidence::Evidence;
use consensus::{Kind, Signer, Vote};
use primitives::encoding::encode;
use primitives::{Address, Amount, Epoch, Hash, SecretKey, View};
use serde_json::{Value, json};
use tests::description::Description;
use tests::{Answer, Network, change, fetch, noise};

/// Where blocks are told as they come: an answer without an end.
const STREAM: &str = "block_stream";

/// Two votes of the first validator that contradict each other.
fn contradiction(genesis: &Genesis) -> Vec<u8> {
    let sign = |block: u8| {
        let directory = tempfile::tempdir().expect("a directory");
        // Keys of a development network are as public as its nodes' names.
        let key = SecretKey::from_seed(&Hash::of("dev node key", &[b"validator-1", b"sign"]).0);
        let mut signer = Signer::create(&directory.path().join("slot"), key, genesis.hash()).expect("a signer");
        signer.seat(Epoch(0), &genesis.validator_members().expect("validators")).expect("a seat");
        let vote = |kind| Vote { epoch: Epoch(0), view: View(90_000), kind };
        signer.sign(vote(Kind::Notarize(Hash([block; 32])))).expect("the first vote of the view");
        signer.sign(vote(Kind::Finalize(Hash([block; 32])))).expect("the vote that follows").into_inner()
    };
    encode(&Evidence::new(sign(1), sign(2)).expect("two votes for two blocks"))
}

/// A transfer of carol's, who sends nothing else.
fn transfer(genesis: &Genesis) -> Transaction {
    Transaction {
        version: TRANSACTION_VERSION,
        chain: genesis.hash(),
        authority: Seed::dev("carol").secret().key().into(),
        nonce: 0,
        fee_max: Amount::stos(1),
        tip: Amount(0),
        messages: vec![Message::Send { to: Address([7; 20]), amount: Amount(1) }],
        memo: Vec::new(),
    }
}

#[test]
fn a_node_answers_as_it_says() {
    let network = Network::start(["--validators", "4", "--meta-nodes", "4", "--standby", "1", "--epoch", "4"]);
    let url = |path: &str| format!("{}{path}", network.url);
    let genesis: Genesis = serde_json::from_value(network.get("/v1/genesis")).expect("a genesis file");
    let mut description = Description::of(&network);
    let changed = |description: &mut Description, method: &str, path: &str, target: &str, body: Vec<u8>, status: u16| -> Answer {
        let answer = change(&method.to_uppercase(), &url(target), body).expect("an answer");
        assert_eq!(answer.status, status, "{method} {target}: {}", tests::text(&answer.body));
        description.check(method, path, answer.status, &answer.body);
        answer
    };

    // Something of everything.
    let stored = changed(&mut description, "post", "/v1/files", "/v1/files?name=noise&type=text/plain", noise(3_000_000, 1), 201);
    let stored: Value = serde_json::from_slice(&stored.body).expect("JSON");
    let (file, link) = (stored["file_id"].as_str().expect("an id").to_owned(), stored["url"].as_str().expect("a link").to_owned());
    let transaction = transfer(&genesis);
    let unsigned = hex::encode(encode(&transaction)).into_bytes();
    changed(&mut description, "post", "/v1/txs/simulate", "/v1/txs/simulate", unsigned, 200);
    changed(&mut description, "post", "/v1/txs", "/v1/txs", transaction.sign(&Seed::dev("carol").secret()), 200);
    for command in [
        &["stake", "delegate", "validator-2", "5000", "--key", "alice"][..],
        &["stake", "undelegate", "validator-2", "1000", "--key", "alice"],
        &["stake", "redelegate", "validator-2", "validator-3", "1000", "--key", "alice"],
        &["profile", "set", "--name", "Cellar", "--website", "https://stratos.example", "--key", "validator-2"],
        &["gov", "propose", "A higher tax", "--set", "community_tax_bp=300", "--spend", "bob=1", "--key", "alice"],
        &["gov", "vote", "0", "yes", "--key", "validator-2"],
        &["registry", "vote", "suspend", "resource-6", "--key", "meta-1"],
        &["ozone", "buy", "5", "--key", "bob"],
    ] {
        network.json(command);
    }
    changed(&mut description, "post", "/v1/dev/nodes/{name}/stop", "/v1/dev/nodes/resource-5/stop", Vec::new(), 200);
    changed(&mut description, "post", "/v1/evidence", "/v1/evidence", contradiction(&genesis), 200);
    let settled = network.eventually("traffic is settled", || {
        let epochs = network.get("/v1/epochs");
        epochs.as_array()?.iter().find(|epoch| epoch["parts"].as_u64() > Some(0))?["epoch"].as_u64()
    });
    let sent = network.json(&["send", "bob", "1", "--key", "alice", "--memo", "lunch"]);

    // Each address, and once more with a parameter that it does not have.
    let alice = network.json(&["account", "show", "alice"])["address"].as_str().expect("an address").to_owned();
    let second = network.json(&["validator", "show", "validator-2"])["address"].as_str().expect("an address").to_owned();
    let hash = sent["hash"].as_str().expect("a hash");
    let (settled, height) = (settled.to_string(), sent["height"].to_string());
    let parts: BTreeMap<&str, &str> = [
        ("/v1/blocks/{id}", height.as_str()),
        ("/v1/txs/{hash}", hash),
        ("/v1/accounts/{address}", &alice),
        ("/v1/accounts/{address}/stake", &alice),
        ("/v1/validators/{address}", &second),
        ("/v1/validators/{address}/delegations", &second),
        ("/v1/proposals/{number}", "0"),
        ("/v1/epochs/{number}", &settled),
        ("/v1/epochs/{number}/voters", "latest"),
        ("/v1/epochs/{number}/report", &settled),
        ("/v1/epochs/{number}/report/{part}", &settled),
        ("/v1/epochs/{number}/report/{part}/file", &settled),
        ("/v1/files/{id}", &file),
        ("/files/{id}", &file),
    ]
    .into();
    let key = network.json(&["proof", "get", "account:alice"])["key"].as_str().expect("a key").to_owned();
    let capability = link.split_once("?cap=").expect("a link with a capability").1;
    let needed: BTreeMap<&str, String> =
        [("/v1/proof", format!("key={key}")), ("/v1/proof/ics23", format!("key={key}")), ("/files/{id}", format!("cap={capability}"))].into();
    let reading: Vec<_> = description.operations().into_iter().filter(|(method, _, name)| method == "get" && name != STREAM).collect();
    for (method, path, _) in &reading {
        let mut target = path.replace("{part}", "0");
        if let (Some(begin), Some(end)) = (target.find('{'), target.find('}')) {
            let part = parts.get(path.as_str()).unwrap_or_else(|| panic!("{path} is new: say here what stands in it"));
            target.replace_range(begin..=end, part);
        }
        let parameters = needed.get(path.as_str()).cloned().unwrap_or_default();
        let answer = fetch(&url(&format!("{target}?{parameters}")), None);
        assert_eq!(answer.status, 200, "{target}: {}", tests::text(&answer.body));
        description.check(method, path, answer.status, &answer.body);
        let refused = fetch(&url(&format!("{target}?{parameters}&nonsense=1")), None);
        assert_eq!(refused.status, 400, "{target}: {}", tests::text(&refused.body));
        description.check(method, path, refused.status, &refused.body);
        assert!(tests::text(&refused.body).contains("no parameter `nonsense`"), "{}", tests::text(&refused.body));
    }
    changed(&mut description, "post", "/v1/dev/nodes/{name}/start", "/v1/dev/nodes/resource-5/start", Vec::new(), 200);
    changed(&mut description, "delete", "/v1/files/{id}", &format!("/v1/files/{file}"), Vec::new(), 200);
    assert_eq!(description.unasked(), [STREAM]);

    // What was asked was not empty.
    for list in ["/v1/txs", "/v1/proposals", "/v1/ballots", "/v1/epochs", "/v1/events"] {
        let answer = network.get(list);
        let entries = answer.as_array().or_else(|| answer["events"].as_array());
        assert!(entries.is_some_and(|entries| !entries.is_empty()), "{list}");
    }
    let stake = network.get(&format!("/v1/accounts/{alice}/stake"));
    let delegations = stake["delegations"].as_array().expect("a list");
    assert!(delegations.iter().any(|one| !one["leaving"].as_array().expect("a list").is_empty()), "{stake}");
    assert!(delegations.iter().any(|one| !one["moved"].as_array().expect("a list").is_empty()), "{stake}");
    assert!(!network.get("/v1/evidence")["offences"].as_array().expect("a list").is_empty());
    // And what is otherwise is seen.
    let block = network.get("/v1/blocks/latest");
    assert!(description.is("Block", &block));
    let otherwise = |change: &dyn Fn(&mut Value)| {
        let mut block = block.clone();
        change(&mut block);
        block
    };
    for wrong in [
        otherwise(&|block| block["hash"] = json!("0x12")),
        otherwise(&|block| block["height"] = json!("12")),
        otherwise(&|block| block["base_fee_wei"] = json!(12)),
        otherwise(&|block| block["nonsense"] = json!(12)),
        otherwise(&|block| drop(block.as_object_mut().and_then(|fields| fields.remove("parent")))),
    ] {
        assert!(!description.is("Block", &wrong), "{wrong} is no block");
    }
    what_rooms_write(&mut description);
}

/// What lower rooms write into answers is of the schemas that the interface has for it, and nothing else is.
fn what_rooms_write(description: &mut Description) {
    let somebody = Address([1; 20]);
    let motions = [Motion::Admit(somebody), Motion::Expel(somebody), Motion::Suspend(somebody), Motion::Resume(somebody)];
    let actions = [
        Action::SetParameter { name: "epoch_ms".into(), value: u128::MAX },
        Action::Spend { to: somebody, amount: Amount(u128::MAX) },
        Action::AdmitMeta { operator: somebody },
        Action::RemoveMeta { operator: somebody },
    ];
    let outcomes = [Outcome::Open, Outcome::Carried, Outcome::Quorum, Outcome::Rejected, Outcome::Vetoed, Outcome::Failed("why".into())];
    let choices = [Choice::Yes, Choice::No, Choice::Abstain, Choice::Veto];
    let mut all: Vec<(&str, Value)> = Vec::new();
    all.extend(motions.iter().map(|value| ("Motion", json!(value))));
    all.extend(actions.iter().map(|value| ("Action", json!(value))));
    all.extend(outcomes.iter().map(|value| ("Outcome", json!(value))));
    all.extend(choices.iter().map(|value| ("Choice", json!(value))));
    all.extend([Fund::Community, Fund::Reserve].iter().map(|value| ("Fund", json!(value))));
    all.push(("Profile", json!(Profile::default())));
    all.push(("Costs", json!(Parameters::dev().costs())));
    for (schema, value) in &all {
        assert!(description.is(schema, value), "{value} is a {schema}");
        let mut other = value.clone();
        if let Some(fields) = other.as_object_mut() {
            fields.insert("nonsense".into(), json!(1));
        } else {
            other = json!("nonsense");
        }
        assert!(!description.is(schema, &other), "{other} is no {schema}");
    }
}
