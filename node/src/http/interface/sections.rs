//! Everything that can be asked, in one list.

use serde_json::json;

use super::operation::{Asked, BYTES, DONE, JSON, Kind, Operation, in_header, may, must};
use super::{DESCRIPTION, describe};
use crate::http::views::{self, formats};
use crate::http::{delivery, gateway, index, ledger, metrics, stream};

const HEIGHT: Asked = may("height", Kind::Is("Height"), "The state after this block, as long as it is kept; the newest without it.");
const LIMIT: Asked = may("limit", Kind::Limit, "Entries at most.");
const ACCOUNT: Asked = must("address", Kind::Is("Address"), "The account.");
const OPERATOR: Asked = must("address", Kind::Is("Address"), "The operator's account.");
const EPOCH: Asked = must("number", Kind::Is("Epoch"), "The epoch.");
const PART: Asked = must("part", Kind::Number, "Position of the part in the report, from 0 on.");
const NODE: Asked = must("name", Kind::Text, "The node's name, such as `resource-1`.");
const FILE: Asked = must("id", Kind::Is("Hash"), "The file's id.");
const LEDGER: Asked = may("ledger", Kind::OneOf(&["value", "meta"]), "Which ledger; the value ledger without it.");
const KEY: Asked = must("key", Kind::Text, "The key's bytes in hexadecimal digits.");
const RANGE: Asked = in_header(may("Range", Kind::Text, "Which bytes; all without it (RFC 9110, section 14)."));
const IF_RANGE: Asked = in_header(may("If-Range", Kind::Text, "The tag of the file of which `Range` wants a part; all of another one is sent."));
const IF_MATCH: Asked = in_header(may("If-Match", Kind::Text, "Tags of which the file must have one."));
const IF_NONE_MATCH: Asked = in_header(may("If-None-Match", Kind::Text, "A tag that an answer had under `ETag`: nothing is sent again."));

/// All operations, by subject.
pub fn sections() -> [(&'static str, Vec<Operation>); 8] {
    [
        (
            "Node",
            vec![
                Operation::get("/health", "health", ledger::status::health, "Whether blocks come.")
                    .answers::<views::Health>()
                    .answers_with::<views::Health>("503", "No block came for long, or none since the start."),
                Operation::get(DESCRIPTION, "interface_show", describe, "This description, an OpenAPI document.").replies(
                    "200",
                    DONE,
                    Some((JSON, formats::written(json!({"type": "object"})))),
                ),
                Operation::get("/metrics", "metrics", ledger::status::metrics, "Measurements, as Prometheus reads them.").sends(
                    "200",
                    DONE,
                    metrics::MEDIA_TYPE,
                ),
                Operation::get("/v1/status", "node_status", ledger::status::status, "Both ledgers, the epoch, the market, fees, and where all coins are.")
                    .answers::<views::Status>(),
                Operation::get("/v1/network", "network", ledger::status::network, "What a client needs to take part by itself.")
                    .answers::<views::NetworkInfo>(),
                Operation::get("/v1/genesis", "genesis_show", ledger::genesis::show, "The file that this network began with.")
                    .answers::<formats::GenesisObject>(),
                Operation::get(
                    "/v1/genesis/export",
                    "genesis_export",
                    ledger::genesis::export,
                    "The genesis file of a network that goes on where this one stands.",
                )
                .asks([HEIGHT, may("name", Kind::Text, "The new network's name; the old one without it.")])
                .answers::<views::GenesisExport>(),
            ],
        ),
        (
            "Blocks and transactions",
            vec![
                Operation::get("/v1/blocks", "block_list", ledger::blocks::list, "Blocks, newest first.")
                    .asks([may("before", Kind::Is("Height"), "Only blocks below this height."), LIMIT])
                    .lists::<views::Block>(),
                Operation::get("/v1/blocks/stream", "block_stream", stream::listen, "Each new block as it becomes final: server-sent events named `block`.")
                    .sends("200", "An answer without an end.", "text/event-stream"),
                Operation::get("/v1/blocks/{id}", "block_show", ledger::blocks::show, "A block.")
                    .asks([must("id", Kind::Text, "Its height, its hash, or `latest`.")])
                    .answers::<views::Block>(),
                Operation::get("/v1/txs", "tx_list", ledger::transactions::list, "Transactions in final blocks, newest first.")
                    .asks([LIMIT])
                    .lists::<views::Transaction>(),
                Operation::post("/v1/txs", "tx_send", ledger::transactions::submit, "Takes a signed transaction; it waits for a block.")
                    .takes(BYTES, "The transaction, encoded (Borsh).")
                    .answers::<views::Submitted>(),
                Operation::post(
                    "/v1/txs/simulate",
                    "tx_simulate",
                    ledger::transactions::simulate,
                    "What would become of a transaction, and what it would cost.",
                )
                .takes("text/plain", "The transaction without signatures, encoded (Borsh), in hexadecimal digits.")
                .answers::<views::Simulation>(),
                Operation::get("/v1/txs/{hash}", "tx_show", ledger::transactions::show, "A transaction; an unknown one is an answer too.")
                    .asks([must("hash", Kind::Is("Hash"), "Its hash.")])
                    .answers::<views::Transaction>(),
                Operation::get("/v1/events", "event_list", ledger::events::list, "What moved money or changed a right; all that is given must hold.")
                    .asks([
                        may("height", Kind::Is("Height"), "Of this block only."),
                        may("from", Kind::Is("Height"), "From this block on."),
                        may("to", Kind::Is("Height"), "Up to this block."),
                        may("address", Kind::Is("Address"), "That this account is a part of."),
                        may("kind", Kind::OneOf(&chain::event::KINDS), "Of this kind."),
                        may("order", Kind::OneOf(&["newest", "oldest"]), "Which comes first; the newest without it."),
                        may("after", Kind::Text, "The place after which to begin, as answers have it under `next` and `cursor`."),
                        LIMIT,
                    ])
                    .answers::<views::Events>(),
            ],
        ),
        (
            "Accounts and stake",
            vec![
                Operation::get("/v1/accounts/{address}", "account_show", ledger::accounts::show, "An account; one that nobody has paid yet is empty.")
                    .asks([ACCOUNT, HEIGHT])
                    .answers::<views::Account>(),
                Operation::get("/v1/accounts/{address}/stake", "stake_show", ledger::validators::stake, "What an account has with validators.")
                    .asks([ACCOUNT, HEIGHT])
                    .answers::<views::Stake>(),
                Operation::get("/v1/validators", "validator_list", ledger::validators::list, "Validators: who votes, then all others.")
                    .asks([HEIGHT])
                    .lists::<views::Validator>(),
                Operation::get("/v1/validators/{address}", "validator_show", ledger::validators::show, "A validator.")
                    .asks([OPERATOR, HEIGHT])
                    .answers::<views::Validator>(),
                Operation::get(
                    "/v1/validators/{address}/delegations",
                    "validator_delegators",
                    ledger::validators::delegations,
                    "Who has stake with a validator.",
                )
                .asks([OPERATOR, LIMIT, may("after", Kind::Is("Address"), "The account after which to begin, as answers have it under `next`."), HEIGHT])
                .answers::<views::Delegations>(),
                Operation::get("/v1/evidence", "evidence_list", ledger::evidence::list, "Proofs that validators contradicted themselves, and their offences.")
                    .asks([LIMIT])
                    .answers::<views::EvidenceReport>(),
                Operation::post("/v1/evidence", "evidence_submit", ledger::evidence::submit, "Takes a proof that a validator contradicted itself.")
                    .takes(BYTES, "The two votes, encoded (Borsh).")
                    .answers::<views::Offence>(),
            ],
        ),
        (
            "Nodes",
            vec![
                Operation::get("/v1/nodes", "node_list", ledger::nodes::list, "Validators, meta nodes and resource nodes.").answers::<views::Nodes>(),
                Operation::post("/v1/dev/nodes/{name}/stop", "node_stop", ledger::nodes::stop, "Switches a node of a development network off.")
                    .asks([NODE])
                    .answers::<views::NodeControl>(),
                Operation::post("/v1/dev/nodes/{name}/start", "node_start", ledger::nodes::start, "Switches it on again.")
                    .asks([NODE])
                    .answers::<views::NodeControl>(),
            ],
        ),
        (
            "Decisions",
            vec![
                Operation::get("/v1/parameters", "gov_parameters", ledger::decisions::parameters, "Parameters, with units and ranges.")
                    .asks([HEIGHT])
                    .lists::<views::Parameter>(),
                Operation::get("/v1/proposals", "gov_list", ledger::decisions::proposals, "Proposals, newest first.")
                    .asks([LIMIT, HEIGHT])
                    .lists::<views::Proposal>(),
                Operation::get("/v1/proposals/{number}", "gov_show", ledger::decisions::proposal, "A proposal.")
                    .asks([must("number", Kind::Number, "Its number."), HEIGHT])
                    .answers::<views::Proposal>(),
                Operation::get("/v1/ballots", "registry_ballots", ledger::decisions::ballots, "What the meta nodes are voting on.")
                    .asks([HEIGHT])
                    .lists::<views::Ballot>(),
            ],
        ),
        (
            "Epochs",
            vec![
                Operation::get("/v1/epochs", "epoch_list", ledger::epochs::list, "Settled epochs, newest first, without who carried and paid.")
                    .asks([LIMIT])
                    .lists::<views::EpochReport>(),
                Operation::get("/v1/epochs/{number}", "epoch_show", ledger::epochs::show, "A settled epoch.")
                    .asks([must("number", Kind::Text, "The epoch, or `latest`: the newest settled one.")])
                    .answers::<views::EpochReport>(),
                Operation::get("/v1/epochs/{number}/voters", "epoch_voters", ledger::epochs::voters, "Who votes in an epoch.")
                    .asks([must("number", Kind::Text, "The epoch, or `latest`: the current one.")])
                    .answers::<views::EpochVoters>(),
                Operation::get(
                    "/v1/epochs/{number}/report",
                    "epoch_report",
                    ledger::reports::show,
                    "What meta nodes certified of an epoch's traffic, checked.",
                )
                .asks([EPOCH])
                .answers::<views::TrafficReport>(),
                Operation::get("/v1/epochs/{number}/report/{part}", "receipt_list", ledger::reports::part, "The receipts of a part, every signature checked.")
                    .asks([EPOCH, PART])
                    .answers::<views::PartReceipts>(),
                Operation::get("/v1/epochs/{number}/report/{part}/file", "receipt_get", ledger::reports::file, "A part with all that proves its receipts.")
                    .asks([EPOCH, PART])
                    .answers::<views::ReceiptsFile>(),
            ],
        ),
        (
            "Proofs",
            vec![
                Operation::get(
                    "/v1/proof",
                    "proof_get",
                    ledger::proof::show,
                    "What a ledger's state says about a key, provable to whoever has the genesis file.",
                )
                .asks([LEDGER, KEY, HEIGHT])
                .answers::<views::Proof>(),
                Operation::get("/v1/proof/ics23", "proof_ics23", ledger::proof::ics23, "The same in the form of ICS 23.")
                    .asks([LEDGER, KEY, HEIGHT])
                    .answers::<views::Ics23>(),
            ],
        ),
        (
            "Files",
            vec![
                Operation::get("/v1/files", "file_ls", index::list, "Files, newest first.")
                    .asks([may("owner", Kind::Is("Address"), "Of this account only."), LIMIT])
                    .lists::<views::File>(),
                Operation::post("/v1/files", "file_put", gateway::store, "Stores a file under the gateway's own account.")
                    .asks([may("name", Kind::Text, "What it is called."), may("type", Kind::Text, "Its media type.")])
                    .takes(BYTES, "The file.")
                    .answers_with::<views::Uploaded>("201", "It is stored."),
                Operation::get("/v1/files/{id}", "file_stat", index::show, "What everybody may know of a file.").asks([FILE]).answers::<views::File>(),
                Operation::delete("/v1/files/{id}", "file_rm", gateway::remove, "Removes a file of the gateway's account.")
                    .asks([FILE])
                    .answers::<views::Removed>(),
                Operation::get("/v1/gateway/files", "gateway_files", gateway::list, "What was stored through this gateway, newest first.")
                    .lists::<views::GatewayFile>(),
                Operation::get("/files/{id}", "file_get", delivery::send, "A file's bytes, decrypted here, under the media type that its owner gave.")
                    .asks([FILE, must("cap", Kind::Text, "The capability, as the file's link ends with it."), RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH])
                    .sends("200", "The whole file.", "*/*")
                    .sends("206", "The bytes that were asked for.", "*/*")
                    .replies("304", "It is the same as before.", None)
                    .leniently(),
            ],
        ),
    ]
}
