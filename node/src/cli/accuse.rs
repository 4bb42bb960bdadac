//! `evidence accuse`: whether meta nodes certified a false report, and what proves it.

use std::collections::BTreeMap;

use chain::keys;
use chain::ledger::proven::TRACED_BYTES_MAX;
use chain::ledger::{Proven, Traced};
use chain::resource::ResourceNode;
use chain::transaction::Message;
use pot::{Part, Report, report};
use primitives::encoding::decode;
use primitives::{Amount, Epoch};

use super::Context;
use super::args::{How, Party};
use super::failure::Failure;
use super::output;
use super::proof::digits;
use super::submit::{Sending, receipt};
use super::traffic::several;
use crate::http::views::{self, LedgerName};

/// Checks the report of an epoch part by part, as the value ledger would, and accuses who certified it if it does not hold.
///
/// # Errors
/// [`Failure`] if there is no such report, if it holds, or the accusation is refused.
pub fn accuse(epoch: Epoch, how: &How, context: &Context) -> Result<(), Failure> {
    let proven = |ledger: LedgerName, key: Vec<u8>| -> Result<Proven, Failure> {
        let proof: views::Proof = context.node.get(&format!("/v1/proof?ledger={ledger}&key={}", hex::encode(key)))?;
        let traced = Traced::decode(&digits("proof", &proof.proof, TRACED_BYTES_MAX)?).map_err(Failure::refused)?;
        Ok(traced.attested.proven)
    };
    let value = |proven: &Proven| proven.entries.first().and_then(|entry| entry.value.clone());
    let report = proven(LedgerName::Meta, report::key(epoch))?;
    let bytes = value(&report).ok_or_else(|| Failure::refused(format!("the metadata ledger has no report of epoch {epoch}")))?;
    let status = context.status()?;
    let chain = status.genesis;
    let part = match decode::<Report>(&bytes, keys::VALUE_BYTES_MAX).map(|report| (report.check(epoch), report)) {
        Ok((Ok(()), certified)) => {
            let mut wrong = None;
            for (number, hash) in (0u32..).zip(&certified.parts) {
                let missing =
                    || Failure::refused(format!("part {number} of epoch {epoch} is not in the metadata ledger; it is dropped when the epoch is settled"));
                let bytes = value(&proven(LedgerName::Meta, report::part_key(epoch, number))?).ok_or_else(missing)?;
                let part = Part::decode(&bytes).map_err(Failure::refused)?;
                let mut known = BTreeMap::new();
                for row in &part.carriers {
                    let record = value(&proven(LedgerName::Value, keys::resource_node(&row.carrier))?);
                    let node = record.and_then(|bytes| decode::<ResourceNode>(&bytes, keys::VALUE_BYTES_MAX).ok());
                    known.extend(node.map(|node| (node.operator, node.node.key)));
                }
                if part.hash() != *hash || report::verify_part(&part, chain, epoch, |carrier| known.get(carrier).copied()).is_err() {
                    wrong = Some(part);
                    break;
                }
            }
            let holds = || {
                Failure::refused(format!(
                    "the report of epoch {epoch} holds: every signature in its {} was made",
                    several(certified.parts.len() as u64, "part")
                ))
            };
            Some(Box::new(wrong.ok_or_else(holds)?))
        }
        Ok((Err(_), _)) | Err(_) => None,
    };
    let payer = context.payer(how, status.dev)?;
    let account = context.read_account(Some(&Party::Address(payer.address())))?;
    let messages = vec![Message::AccuseReport { epoch, report: Box::new(report), part }];
    let Some(transaction) = context.submit(Sending { payer, status, account, messages, spends: Amount::ZERO }, how)? else { return Ok(()) };
    output::print(context.json, &transaction, || receipt(format!("proved that the report of epoch {epoch} is false"), &transaction))
}
