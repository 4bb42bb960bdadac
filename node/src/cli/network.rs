//! `block show`, `resource|meta list`, `epoch show`, `node status|stop|start`: what the network is and does.

use super::Context;
use super::args::{Block, EpochCommand, Node};
use super::failure::Failure;
use super::output::{self, Align};
use crate::http::views::{self, NodeState, NodeStatus};

/// Transactions of a block that people are shown.
const SHOWN_MAX: usize = 20;

/// Runs `block`.
///
/// # Errors
/// [`Failure`] if the node does not have the block.
pub fn block(command: &Block, context: &Context) -> Result<(), Failure> {
    let Block::Show { block } = command;
    let block: views::Block = context.node.get(&format!("/v1/blocks/{block}"))?;
    output::print(context.json, &block, || {
        let mut fields = vec![
            ("height", block.height.to_string()),
            ("view", block.view.to_string()),
            ("hash", block.hash.to_string()),
            ("parent", block.parent.to_string()),
            ("time", output::time(block.time_ms)),
            ("epoch", format!("{}{}", block.epoch, if block.closes_epoch { ", ends with this block" } else { "" })),
            ("proposer", block.proposer.as_ref().map_or_else(|| "none (genesis)".into(), |proposer| format!("{} ({})", proposer.address, proposer.index))),
            ("state root", format!("{} ({} entries)", block.state_root, output::grouped(block.leaves.into()))),
            ("signed by", block.members.map_or_else(|| block.signers.to_string(), |members| format!("{} of {members}", block.signers))),
            ("units", format!("{} of {} at {} wei", output::grouped(block.units_used.into()), output::grouped(block.units_limit.into()), block.base_fee_wei)),
            ("size", output::bytes(block.bytes)),
            ("transactions", block.txs.len().to_string()),
        ];
        fields.extend(block.txs.iter().take(SHOWN_MAX).map(|hash| ("", hash.to_string())));
        if let Some(more) = block.txs.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            fields.push(("", format!("and {more} more (`--json` shows all)")));
        }
        output::fields(&fields)
    })
}

/// Runs `meta list`.
///
/// # Errors
/// [`Failure`] if the node refuses.
pub fn metas(context: &Context) -> Result<(), Failure> {
    let nodes = context.nodes()?.meta;
    output::print(context.json, &nodes, || {
        let columns = [("name", Align::Left), ("address", Align::Left), ("state", Align::Left), ("status", Align::Left), ("deposit", Align::Right)];
        let rows: Vec<_> = nodes
            .iter()
            .map(|node| [node.name.clone(), node.address.to_string(), state(node.state).into(), status(node.status).into(), output::stos(node.deposit_wei)])
            .collect();
        output::table(columns, &rows)
    })
}

/// Runs `resource list`.
///
/// # Errors
/// [`Failure`] if the node refuses.
pub fn resources(context: &Context) -> Result<(), Failure> {
    let nodes = context.nodes()?.resource;
    output::print(context.json, &nodes, || {
        let columns = [
            ("name", Align::Left),
            ("address", Align::Left),
            ("state", Align::Left),
            ("status", Align::Left),
            ("deposit", Align::Right),
            ("used", Align::Right),
            ("of", Align::Right),
            ("slices", Align::Right),
            ("carried", Align::Right),
        ];
        let rows: Vec<_> = nodes
            .iter()
            .map(|node| {
                [
                    node.name.clone(),
                    node.address.to_string(),
                    state(node.state).into(),
                    status(node.status).into(),
                    output::stos(node.deposit_wei),
                    output::size(node.used_bytes),
                    output::size(node.capacity_bytes),
                    output::grouped(node.slices.into()),
                    output::ozone(node.carried_noz),
                ]
            })
            .collect();
        output::table(columns, &rows)
    })
}

/// Whether a node runs.
pub fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Up => "up",
        NodeState::Stopped => "stopped",
        NodeState::Unknown => "unknown",
    }
}

fn status(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Applicant => "applicant",
        NodeStatus::Candidate => "candidate",
        NodeStatus::Active => "active",
        NodeStatus::Tombstoned => "tombstoned",
    }
}

/// Runs `epoch`.
///
/// # Errors
/// [`Failure`] if the epoch is not settled.
pub fn epoch(command: &EpochCommand, context: &Context) -> Result<(), Failure> {
    let EpochCommand::Show { epoch } = command;
    let report: views::EpochReport = context.node.get(&format!("/v1/epochs/{epoch}"))?;
    output::print(context.json, &report, || settlement(&report))
}

fn settlement(report: &views::EpochReport) -> String {
    let mut text = output::fields(&[
        ("epoch", report.epoch.to_string()),
        ("settled in block", report.settled_height.to_string()),
        ("traffic charged", output::ozone(report.charged_noz)),
        ("receipts", format!("{} in {} part{}", output::grouped(report.receipts.into()), report.parts, if report.parts == 1 { "" } else { "s" })),
        ("traffic reward", output::stos(report.traffic_reward_wei)),
        ("mining reward", output::stos(report.mining_reward_wei)),
        ("community tax", output::stos(report.tax_wei)),
    ]);
    let number = |heading| (heading, Align::Right);
    if !report.payers.is_empty() {
        let rows: Vec<_> = report.payers.iter().map(|payer| [payer.address.to_string(), output::ozone(payer.noz), output::stos(payer.released_wei)]).collect();
        text += &format!("\n{}", output::table([("payer", Align::Left), number("charged"), number("had cost")], &rows));
    }
    if !report.carriers.is_empty() {
        let rows: Vec<_> =
            report.carriers.iter().map(|carrier| [carrier.address.to_string(), output::ozone(carrier.noz), output::stos(carrier.reward_wei)]).collect();
        text += &format!("\n{}", output::table([("carrier", Align::Left), number("carried"), number("reward")], &rows));
    }
    for (heading, earners) in [("meta node", &report.metas), ("validator", &report.validators)] {
        if !earners.is_empty() {
            let rows: Vec<_> = earners.iter().map(|earner| [earner.address.to_string(), output::stos(earner.reward_wei)]).collect();
            text += &format!("\n{}", output::table([(heading, Align::Left), number("reward")], &rows));
        }
    }
    text
}

/// Runs `node`.
///
/// # Errors
/// [`Failure`] if the node refuses: it is not of a development network, or there is no node of that name.
pub fn node(command: &Node, context: &Context) -> Result<(), Failure> {
    match command {
        Node::Status => {
            let status = context.status()?;
            output::print(context.json, &status, || overview(&status))
        }
        Node::Stop { name } => control(context, name.as_str(), "stop"),
        Node::Start { name } => control(context, name.as_str(), "start"),
        Node::Forensics(command) => super::forensics::run(command, context),
        Node::VerifyState { directory, genesis } => super::disk::verify_state(directory, genesis.as_deref(), context.json),
    }
}

fn control(context: &Context, name: &str, verb: &str) -> Result<(), Failure> {
    let control: views::NodeControl = context.node.post(&format!("/v1/dev/nodes/{name}/{verb}"), &[])?;
    output::print(context.json, &control, || format!("{} is {}", control.name, state(control.state)))
}

fn overview(status: &views::Status) -> String {
    let ledger = |ledger: &views::LedgerStatus| {
        format!(
            "block {}, {}, {} member{}",
            ledger.height,
            output::age(status.time_ms, ledger.time_ms),
            ledger.members,
            if ledger.members == 1 { "" } else { "s" }
        )
    };
    output::fields(&[
        ("chain", format!("{}{}", status.chain_id, if status.dev { " (development: its keys are public)" } else { "" })),
        ("genesis", status.genesis.to_string()),
        ("version", status.version.clone()),
        ("value ledger", ledger(&status.value)),
        ("state root", status.value.state_root.to_string()),
        ("metadata ledger", ledger(&status.meta)),
        (
            "epoch",
            format!(
                "{} of {} s, settled {}",
                status.epoch.number,
                seconds(status.epoch.length_ms),
                status.epoch.settled.map_or_else(|| "none yet".into(), |epoch| format!("up to {epoch}"))
            ),
        ),
        ("ozone for sale", output::ozone(status.market.for_sale_noz)),
        ("all money", output::stos(status.supply.total_wei)),
        ("gateway", format!("{} with {}", status.gateway.address, output::ozone(status.gateway.noz))),
    ])
}

/// `2.5` of 2,500 ms.
fn seconds(ms: u64) -> String {
    let decimals = format!("{:03}", ms % 1_000);
    let decimals = decimals.trim_end_matches('0');
    if decimals.is_empty() { (ms / 1_000).to_string() } else { format!("{}.{decimals}", ms / 1_000) }
}

#[cfg(test)]
mod tests {
    use primitives::{Address, Amount, Epoch, Height, Noz};

    use super::*;

    #[test]
    fn a_settlement_reads_like_a_bill() {
        let address = Address([1; 20]);
        let report = views::EpochReport {
            epoch: Epoch(5),
            settled_height: Height(60),
            charged_noz: Noz(150_000_000),
            traffic_reward_wei: Amount::stos(1),
            mining_reward_wei: Amount(250_000_000_000_000_000),
            tax_wei: Amount(0),
            receipts: 6,
            parts: 1,
            carriers: vec![views::Carrier { address, noz: Noz(150_000_000), reward_wei: Amount::stos(1) }],
            metas: vec![],
            validators: vec![views::Earner { address, reward_wei: Amount(7) }],
            payers: vec![views::Payer { address, noz: Noz(150_000_000), released_wei: Amount::stos(1) }],
        };
        let text = settlement(&report);
        for part in ["0.15 oz", "6 in 1 part\n", "0.25 stos", "carrier", "payer", "validator", "7 wei"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("meta node"));
        assert_eq!((seconds(10_000), seconds(2_500)), ("10".into(), "2.5".into()));
    }
}
