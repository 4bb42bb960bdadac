//! The last thing a replica does that met two finalizations which contradict each other: it writes down who is to blame, so that anybody can check it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consensus::forensics::{BlameError, Branch, Proof, Verdict};
use consensus::{Block, Certificate, Header, Members};
use primitives::Height;
use state::Store;
use tracing::error;

use super::StoredBlock;
use super::records;

/// Name of the file, in the replica's directory.
pub const FILE: &str = "forensics.borsh";

/// Writes the proof beside the replica's data and says who is in it. Nothing here can go wrong in a way that matters more than that the replica stops.
pub fn accuse(name: &str, store: &Store, tip: &Header, members: Members, certificate: &Certificate, blocks: &[Arc<Block>]) {
    let Some(ours) = our_branch(store, tip, certificate) else {
        error!(replica = name, height = %tip.height, "the proof of the newest final block is not on disk; nobody can be blamed from here");
        return;
    };
    let theirs = Branch::of_blocks(blocks.iter().map(|block| &**block), certificate.clone());
    let (proof, verdict) = match Proof::new(tip.chain, members, ours, theirs) {
        Ok(proven) => proven,
        Err(cause @ (BlameError::Branch { .. } | BlameError::Epochs { .. } | BlameError::NoConflict { .. } | BlameError::Missing { .. })) => {
            error!(replica = name, %cause, "who made the other chain final cannot be proven from this replica alone; compare two directories with `node forensics blame`");
            return;
        }
    };
    let directory = store.path().parent().unwrap_or(Path::new("."));
    match write(directory, &proof.encode()) {
        Ok(path) => error!(replica = name, path = %path.display(), "the proof is in this file; check it with `node forensics verify`"),
        Err(cause) => error!(replica = name, %cause, "the proof could not be written"),
    }
    name_culprits(name, &proof.members, &verdict);
}

/// From the first block that the other finalization can be of to our newest finalization.
fn our_branch(store: &Store, tip: &Header, other: &Certificate) -> Option<Branch> {
    let mut from = tip.clone();
    while from.parent_view > other.view() {
        from = records::block(store, from.height.saturating_sub(Height(1)))?.block.header;
    }
    let heights = std::iter::successors(Some(from.height), |height| Some(height.next()));
    let stored = heights.map_while(|height| records::block(store, height)).map(StoredBlock::into_consensus);
    Branch::from_stored(stored, tip.height)
}

fn name_culprits(name: &str, members: &Members, verdict: &Verdict) {
    error!(replica = name, epoch = %verdict.epoch, view = %verdict.view, weight = verdict.weight, total = verdict.total, contradiction = ?verdict.contradiction, "more than a third of the weight contradicted itself");
    for evidence in &verdict.evidence {
        let key = members.list().get(usize::from(evidence.signer())).map(|member| member.key);
        error!(replica = name, member = evidence.signer(), key = key.map(|key| key.to_string()), weight = members.weight(evidence.signer()), "a culprit");
    }
}

/// Whole or not at all: under another name first.
fn write(directory: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let (unfinished, path) = (directory.join(FILE).with_extension("unfinished"), directory.join(FILE));
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_written_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = write(directory.path(), b"first").expect("written");
        assert_eq!(write(directory.path(), b"second").expect("written"), path);
        assert_eq!(std::fs::read(&path).expect("readable"), b"second");
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1);
        assert!(write(&directory.path().join("missing"), b"third").is_err());
    }
}
