//! A node describes its HTTP interface, and answers as it says: every address of the description is asked on a network in which something happened.

use std::collections::BTreeMap;

use chain::ballots::Motion;
use chain::governance::{Action, Choice, Outcome};
use chain::parameters::Parameters;
use chain::pools::Fund;
use chain::profiles::Profile;
use chain::transaction::TRANSACTION_VERSION;
use chain::{Genesis, Message, Transaction};
use client::wallet::Seed;
use consensus::evidence::Evidence;
use consensus::{Kind, Signer, Vote};
use primitives::encoding::encode;
use primitives::{Address, Amount, Epoch, Hash, SecretKey, View};
use serde_json::{Value, json};
use tests::description::Description;
use tests::{Answer, Network, ask, change, fetch, noise, text};

/// Where blocks are told as they come: an answer without an end.
const STREAM: &str = "block_stream";
/// What links to files lead to.
const LINK: &str = "file_get";
/// Lists in answers that are no lists themselves.
const LISTS: [(&str, &str); 12] = [
    ("/v1/events", "events"),
    ("/v1/evidence", "offences"),
    ("/v1/nodes", "validators"),
    ("/v1/nodes", "meta"),
    ("/v1/nodes", "resource"),
    ("/v1/blocks/{id}", "signed_by"),
    ("/v1/txs/{hash}", "messages"),
    ("/v1/txs/{hash}", "events"),
    ("/v1/validators/{address}/delegations", "delegators"),
    ("/v1/epochs/{number}", "carriers"),
    ("/v1/epochs/{number}/voters", "voters"),
    ("/v1/epochs/{number}/report/{part}", "receipts"),
];

/// Whether a list has nothing in it, or there is none.
fn is_empty(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

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

/// Checks HTTP-5.
#[test]
fn a_node_answers_as_it_says() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    // Nothing of what this test looks at is over before it looks, however slow the machine is.
    let patience = [("evidence_epochs", 100), ("unbonding_epochs", 100), ("ballot_epochs", 100)];
    Network::draft(&["--validators", "4", "--meta-nodes", "4", "--standby", "1", "--epoch", "4"], &patience, &data);
    let network = Network::start(["--data", data.to_str().expect("a plain name")]);
    let url = |path: &str| format!("{}{path}", network.url);
    let genesis: Genesis = serde_json::from_value(network.get("/v1/genesis")).expect("a genesis file");
    let mut description = Description::of(&network);
    let changed = |description: &mut Description, method: &str, path: &str, target: &str, body: Vec<u8>, status: u16| -> Answer {
        let answer = change(&method.to_uppercase(), &url(target), body).expect("an answer");
        assert_eq!(answer.status, status, "{method} {target}: {}", text(&answer.body));
        description.check(method, path, &answer);
        answer
    };

    // Something of everything.
    changed(&mut description, "post", "/v1/evidence", "/v1/evidence", contradiction(&genesis), 200);
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
    // Meta nodes on new disks issue nothing in the epoch in which they begin, if the network is older than that: this one has the genesis file of another.
    network.eventually("an epoch is settled", || network.get("/v1/status")["epoch"]["settled"].as_u64());
    let stored = changed(&mut description, "post", "/v1/files", "/v1/files?name=noise&type=text/plain", noise(3_000_000, 1), 201);
    let stored: Value = serde_json::from_slice(&stored.body).expect("JSON");
    let (file, link) = (stored["file_id"].as_str().expect("an id").to_owned(), stored["url"].as_str().expect("a link").to_owned());
    changed(&mut description, "post", "/v1/dev/nodes/{name}/stop", "/v1/dev/nodes/resource-5/stop", Vec::new(), 200);
    let settled = network.eventually("traffic is settled", || {
        let epochs = network.get("/v1/epochs");
        epochs.as_array()?.iter().find(|epoch| epoch["parts"].as_u64() > Some(0))?["epoch"].as_u64()
    });
    let sent = network.json(&["send", "bob", "1", "--key", "alice", "--memo", "lunch"]);
    network.eventually("the contradiction is counted", || Some(()).filter(|()| !is_empty(&network.get("/v1/evidence")["offences"])));

    // Each address, with nothing but what it needs; then with a parameter that it does not have, and with nonsense for those that it has.
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
    let operations = description.operations();
    for (path, _) in LISTS {
        assert!(operations.iter().any(|operation| operation.path == path), "there is no {path}");
    }
    for operation in operations.into_iter().filter(|operation| operation.method == "get" && operation.name != STREAM) {
        let path = operation.path.as_str();
        let mut target = path.replace("{part}", "0");
        if let (Some(begin), Some(end)) = (target.find('{'), target.find('}')) {
            let part = parts.get(path).unwrap_or_else(|| panic!("{path} is new: say here what stands in it"));
            target.replace_range(begin..=end, part);
        }
        let parameters = needed.get(path).cloned().unwrap_or_default();
        let answer = fetch(&url(&format!("{target}?{parameters}")), None);
        assert_eq!(answer.status, 200, "{target}: {}", text(&answer.body));
        description.check("get", path, &answer);
        if answer.header("content-type") == Some("application/json") {
            let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
            let lists = if value.is_array() { vec![&value] } else { LISTS.iter().filter(|(of, _)| *of == path).map(|(_, field)| &value[field]).collect() };
            assert!(lists.into_iter().all(|list| !is_empty(list)), "{target} shows nothing: {value:#}");
        }
        let refuses = |description: &mut Description, parameter: &str, cause: Option<&str>| {
            let refused = fetch(&url(&format!("{target}?{parameters}&{parameter}")), None);
            let said = text(&refused.body);
            assert_eq!(refused.status, 400, "{target} with {parameter}: {said}");
            assert_eq!(said.contains("no parameter"), cause.is_some(), "{target} with {parameter}: {said}");
            assert!(said.contains(cause.unwrap_or_default()), "{target} with {parameter}: {said}");
            description.check("get", path, &refused);
        };
        if operation.name == LINK {
            assert_eq!(fetch(&url(&format!("{target}?{parameters}&nonsense=1&nonsense=2")), None).status, 200, "links are handed on");
            continue;
        }
        refuses(&mut description, "nonsense=1", Some("no parameter `nonsense`"));
        for (name, _) in operation.parameters.iter().filter(|(_, is_text)| !is_text) {
            refuses(&mut description, &format!("{name}=nonsense"), None);
        }
    }

    // A file in parts, and one that did not change.
    let target = url(&format!("/files/{file}?cap={capability}"));
    let part = fetch(&target, Some("bytes=7-9"));
    assert_eq!((part.status, part.body.as_slice()), (206, &noise(3_000_000, 1)[7..10]));
    description.check("get", "/files/{id}", &part);
    let tag = part.header("etag").expect("a tag");
    let same = ask("GET", &target, &[("if-none-match", tag)], Vec::new()).expect("an answer");
    assert_eq!(same.status, 304);
    description.check("get", "/files/{id}", &same);

    changed(&mut description, "post", "/v1/dev/nodes/{name}/start", "/v1/dev/nodes/resource-5/start", Vec::new(), 200);
    changed(&mut description, "delete", "/v1/files/{id}", &format!("/v1/files/{file}"), Vec::new(), 200);
    assert_eq!(description.unseen(), ["health 503".to_owned(), format!("{STREAM} 200")]);
    let stake = network.get(&format!("/v1/accounts/{alice}/stake"));
    for list in ["leaving", "moved"] {
        assert!(stake["delegations"].as_array().expect("a list").iter().any(|one| !is_empty(&one[list])), "{stake}");
    }

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

/// What lower rooms write into answers is of the schemas that the interface has for it, and nothing else is: one of each kind.
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
