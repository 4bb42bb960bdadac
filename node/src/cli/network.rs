//! `block show`, the lists of resource and meta nodes, `node status|stop|start`: what the network is and does.

use super::Context;
use super::args::{Block, Node};
use super::failure::Failure;
use super::output::{self, Align};
use super::profile::called;
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
        let columns = [
            ("name", Align::Left),
            ("known as", Align::Left),
            ("address", Align::Left),
            ("state", Align::Left),
            ("status", Align::Left),
            ("deposit", Align::Right),
        ];
        let rows: Vec<_> = nodes
            .iter()
            .map(|node| {
                let (known, address) = (called(node.profile.as_ref()), node.address.to_string());
                [node.name.clone(), known, address, state(node.state).into(), status(node.status).into(), output::stos(node.deposit_wei)]
            })
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
            ("known as", Align::Left),
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
                    called(node.profile.as_ref()),
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

/// Where a registered node is in its life.
pub fn status(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Applicant => "applicant",
        NodeStatus::Candidate => "candidate",
        NodeStatus::Active => "active",
        NodeStatus::Suspended => "suspended",
        NodeStatus::Leaving => "leaving",
        NodeStatus::Tombstoned => "tombstoned",
    }
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
    use super::*;

    #[test]
    fn parts_of_seconds() {
        assert_eq!((seconds(10_000), seconds(2_500)), ("10".into(), "2.5".into()));
    }
}
