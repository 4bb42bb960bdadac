//! `evidence list|submit`: who contradicted themselves.

use std::path::Path;

use chain::ledger::block::EVIDENCE_BYTES_MAX;
use consensus::evidence::Evidence;
use consensus::forensics::{PROOF_BYTES_MAX, PROOF_MAGIC, Proof};
use primitives::Epoch;
use primitives::encoding::{decode, encode};
use serde::Serialize;

use super::Context;
use super::failure::Failure;
use super::genesis::read;
use super::output::{self, Align};
use crate::http::views::{self, VoteKind};

/// Runs `evidence list`.
///
/// # Errors
/// [`Failure`] if the node refuses.
pub fn list(limit: u32, context: &Context) -> Result<(), Failure> {
    let report: views::EvidenceReport = context.node.get(&format!("/v1/evidence?limit={limit}"))?;
    output::print(context.json, &report, || {
        let mut text = String::new();
        if report.kept.is_empty() {
            text += "this node keeps no proof that a validator contradicted itself\n";
        } else {
            let columns = [("validator", Align::Left), ("epoch", Align::Right), ("said", Align::Left), ("and", Align::Left)];
            let rows: Vec<_> = report
                .kept
                .iter()
                .map(|kept| {
                    let vote = |at: usize| kept.votes.get(at).map_or_else(String::new, said);
                    [kept.name.clone().unwrap_or_else(|| format!("member {}", kept.member)), kept.epoch.to_string(), vote(0), vote(1)]
                })
                .collect();
            text += &output::table(columns, &rows);
        }
        if report.offences.is_empty() {
            return text + "the ledger counts no offence\n";
        }
        let columns = [
            ("tombstoned", Align::Left),
            ("epoch", Align::Right),
            ("votes", Align::Right),
            ("of", Align::Right),
            ("proven in", Align::Right),
            ("slashed after", Align::Right),
        ];
        let rows: Vec<_> = report
            .offences
            .iter()
            .map(|offence| {
                let weights = [offence.weight, offence.total].map(|weight| output::grouped(weight.into()));
                let [weight, total] = weights;
                [offence.name.clone(), offence.epoch.to_string(), weight, total, offence.proven_epoch.to_string(), offence.until.to_string()]
            })
            .collect();
        text + "\n" + &output::table(columns, &rows)
    })
}

fn said(vote: &views::Vote) -> String {
    let block = vote.block.map(|block| format!(" {}", &block.to_string()[..16])).unwrap_or_default();
    let kind = match vote.kind {
        VoteKind::Notarize => "notarize",
        VoteKind::Nullify => "nullify",
        VoteKind::Finalize => "finalize",
    };
    format!("{kind}{block} in view {}", vote.view)
}

/// What became of one proof.
#[derive(Serialize)]
struct Outcome {
    member: u16,
    epoch: Epoch,
    /// As the ledger will count it.
    offence: Option<views::Offence>,
    refused: Option<String>,
}

/// Runs `evidence submit`: every proof in the file is brought, whatever becomes of the others.
///
/// # Errors
/// [`Failure`] if the file has no proof, or the node takes none of them.
pub fn submit(file: &Path, context: &Context) -> Result<(), Failure> {
    let proofs = proofs(&read(file, PROOF_BYTES_MAX as u64)?).map_err(|failure| failure.about(file.display()))?;
    let (mut outcomes, mut first_refusal) = (Vec::new(), None);
    for evidence in proofs {
        let (member, epoch) = (evidence.signer(), evidence.epoch());
        let (offence, refused) = match context.node.post("/v1/evidence", &encode(&evidence)) {
            Ok(offence) => (Some(offence), None),
            Err(failure) => {
                let line = failure.line();
                first_refusal.get_or_insert(failure);
                (None, Some(line))
            }
        };
        outcomes.push(Outcome { member, epoch, offence, refused });
    }
    if let Some(failure) = first_refusal.filter(|_| outcomes.iter().all(|outcome| outcome.offence.is_none())) {
        return Err(failure);
    }
    output::print(context.json, &outcomes, || outcomes.iter().map(told).collect::<Vec<_>>().join("\n"))
}

fn told(outcome: &Outcome) -> String {
    let Outcome { member, epoch, offence, refused } = outcome;
    match offence {
        Some(offence) => format!(
            "{} contradicted itself in epoch {epoch} with {} of {} votes: the next blocks tombstone it, and it is slashed after epoch {}",
            offence.name,
            output::grouped(offence.weight.into()),
            output::grouped(offence.total.into()),
            offence.until
        ),
        None => format!("member {member} of epoch {epoch}: {}", refused.as_deref().unwrap_or_default()),
    }
}

/// The proofs in a file: what `node forensics blame` wrote, or lines of digits as `evidence list` shows them.
fn proofs(bytes: &[u8]) -> Result<Vec<Evidence>, Failure> {
    if bytes.starts_with(&PROOF_MAGIC) {
        let proof = Proof::decode(bytes).map_err(Failure::refused)?;
        let verdict = proof.check().map_err(|error| Failure::refused(format!("it proves nothing: {error}")))?;
        return Ok(verdict.evidence);
    }
    let hint =
        "give what `stratos node forensics blame --out FILE` wrote, or the digits that `stratos evidence list --json` has under `proof`, one proof in a line";
    let wrong = |cause: String| Failure::refused(cause).hint(hint);
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is neither a proof of who broke a chain nor text".into()))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let proof = |(number, line): (usize, &str)| {
        let bytes = hex::decode(line.trim()).map_err(|error| wrong(format!("line {number} is not in hexadecimal digits, two for each byte: {error}")))?;
        decode(&bytes, EVIDENCE_BYTES_MAX).map_err(|error| wrong(format!("line {number} is no proof: {error}")))
    };
    let proofs = lines.map(proof).collect::<Result<Vec<Evidence>, Failure>>()?;
    if proofs.is_empty() { Err(wrong("it is empty".into())) } else { Ok(proofs) }
}

#[cfg(test)]
mod tests {
    use consensus::vote::SignedVote;
    use consensus::{Kind, Vote};
    use primitives::{Hash, Signature, View};
    use proptest::prelude::*;

    use super::*;

    fn evidence(view: u64) -> Evidence {
        let vote = |kind| SignedVote { vote: Vote { epoch: Epoch(2), view: View(view), kind }, signer: 0, signature: Signature([1; 64]) };
        Evidence::new(vote(Kind::Nullify), vote(Kind::Finalize(Hash::ZERO))).unwrap()
    }

    #[test]
    fn proofs_are_read_line_by_line() {
        let digits = |view| hex::encode(encode(&evidence(view)));
        let text = format!("{}\n\n  {}\r\n", digits(1), digits(2));
        assert_eq!(proofs(text.as_bytes()).map_err(|failure| failure.line()), Ok(vec![evidence(1), evidence(2)]));
        for (text, cause) in [
            (String::new(), "it is empty"),
            (format!("{}\nx", digits(1)), "line 2 is not in hexadecimal digits"),
            (digits(1)[2..].to_owned(), "line 1 is no proof"),
            (format!("{}00", digits(1)), "line 1 is no proof"),
        ] {
            let failure = proofs(text.as_bytes()).unwrap_err().line();
            assert!(failure.contains(cause) && failure.contains("`stratos evidence list --json`"), "{failure}");
        }
        assert!(proofs(b"\xff\xfe").unwrap_err().line().contains("neither a proof of who broke a chain nor text"));
        assert!(proofs(b"forensic\x01 and nothing more").is_err());
    }

    proptest! {
        /// What is read as proofs is written as the same lines.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut digits = hex::encode(encode(&evidence(3))).into_bytes();
            let at = at.index(digits.len());
            digits[at] ^= 1 << bit;
            for bytes in [bytes.clone(), [&PROOF_MAGIC[..], &bytes].concat(), digits] {
                if let Ok(found) = proofs(&bytes) {
                    let lines: Vec<String> = found.iter().map(|evidence| hex::encode(encode(evidence))).collect();
                    prop_assert_eq!(lines.join("\n"), String::from_utf8_lossy(&bytes).to_lowercase());
                }
            }
        }
    }
}
