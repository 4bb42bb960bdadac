//! `node verify-state`, and `--verify-state` of a development network: whether the values on disk are those that the newest block speaks of, and whether those of the
//! value ledger sum up ([`chain::invariants`]).

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chain::genesis::meta_chain;
use primitives::{Hash, Height};
use serde::Serialize;
use state::OpenError;

use super::failure::Failure;
use super::{genesis, output};
use crate::http::views::LedgerName;
use crate::replica::{Archive, ArchiveError, STATE};

/// Where in a node's directory its replicas are: a validator and a meta node have one, a gateway has two.
const PLACES: [&str; 3] = ["", "value", "meta"];

/// A replica whose every value was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The replica's directory.
    pub directory: PathBuf,
    /// Its ledger.
    pub ledger: LedgerName,
    /// Its newest final block.
    pub height: Height,
    /// Root of the state after it.
    pub root: Hash,
    /// Pairs in it.
    pub pairs: u64,
    /// How long reading took.
    pub ms: u64,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, ledger, height, root, pairs, ms } = self;
        let (pairs, seconds) = (output::grouped((*pairs).into()), Duration::from_millis(*ms).as_secs_f64());
        write!(f, "{}: {pairs} pairs of the {ledger} ledger after block {height} have root {root}, read in {seconds:.3} s", directory.display())
    }
}

/// The directories of the replicas in a node's directory.
pub fn replicas(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let at = |place: &str| if place.is_empty() { directory.to_owned() } else { directory.join(place) };
    // Opening what is not there would make it.
    PLACES.map(at).into_iter().filter(|directory| directory.join(STATE).is_dir())
}

/// Reads every value of the stopped replica in `directory`, which is of the network whose genesis has this hash.
///
/// # Errors
/// [`Failure`] if it cannot be opened, or has another root than it should; both roots are named.
pub fn check(directory: &Path, genesis: Hash) -> Result<Checked, Failure> {
    let fail = |error: &dyn fmt::Display| Failure::refused(format!("{}: {error}", directory.display()));
    let of_meta = meta_chain(genesis);
    let (ledger, opened) = match Archive::open(directory, genesis) {
        Err(OpenError::OtherChain { found, .. }) if found == of_meta => (LedgerName::Meta, Archive::open(directory, of_meta)),
        opened => (LedgerName::Value, opened),
    };
    let archive = opened.map_err(|error| fail(&error).hint("stop the node first; it must be of the network of the genesis file"))?;
    let begin = Instant::now();
    let verified = archive.verify().map_err(|error| {
        fail(&error).hint(match error {
            ArchiveError::Pairs(_) | ArchiveError::Block { .. } => {
                "look at the disk and the memory of this machine; begin again in an empty directory, or with a copy"
            }
            ArchiveError::Empty => "start the node once without verifying",
        })
    })?;
    if matches!(ledger, LedgerName::Value) {
        let broken =
            |error: &dyn fmt::Display| fail(error).hint("every node of the network has this state: tell its operators, and trade nothing until they know why");
        chain::invariants::check(&archive.state()).map_err(|error| broken(&error))?;
    }
    let ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Checked { directory: directory.to_owned(), ledger, height: verified.height, root: verified.state.root, pairs: verified.state.leaves, ms })
}

/// Runs `node verify-state`.
///
/// # Errors
/// [`Failure`] if there is no replica, or one does not have the state that its newest block speaks of.
pub fn verify_state(directory: &Path, genesis: Option<&Path>, json: bool) -> Result<(), Failure> {
    let genesis = genesis::beside(genesis, directory)?.hash();
    let checked = replicas(directory).map(|replica| check(&replica, genesis)).collect::<Result<Vec<_>, _>>()?;
    if checked.is_empty() {
        let failure = Failure::refused(format!("{} is no directory of a node with a ledger: it has no `{STATE}`", directory.display()));
        return Err(failure.hint("give the directory of a validator, a meta node or a gateway, such as DATA/validator-1"));
    }
    output::print(json, &checked, || checked.iter().map(|checked| format!("{checked}\n")).collect())
}

#[cfg(test)]
mod tests {
    use chain::parameters::Parameters;
    use primitives::{Amount, Time};

    use super::*;

    #[test]
    fn a_line_has_the_numbers() {
        let checked = Checked { directory: "d/validator-1".into(), ledger: LedgerName::Value, height: Height(12), root: Hash([1; 32]), pairs: 1_234, ms: 56 };
        let expected = format!("d/validator-1: 1,234 pairs of the value ledger after block 12 have root {}, read in 0.056 s", Hash([1; 32]));
        assert_eq!(checked.to_string(), expected);
    }

    #[test]
    fn directories_without_a_node() {
        let directory = tempfile::tempdir().unwrap();
        let genesis = chain::Genesis {
            name: "test".into(),
            time: Time(1),
            parameters: Parameters::dev(),
            reserve: Amount::ZERO,
            accounts: vec![],
            validators: vec![],
            meta_nodes: vec![],
            resource_nodes: vec![],
            continued: None,
        };
        let path = directory.path().join("genesis.json");
        std::fs::write(&path, serde_json::to_vec(&genesis).unwrap()).unwrap();
        let node = directory.path().join("node");
        assert!(verify_state(&node, None, false).unwrap_err().message().contains("no `state`"));
        assert!(!node.exists(), "a look makes nothing");
        assert!(verify_state(&node, Some(&directory.path().join("none")), false).unwrap_err().message().contains("cannot read"));
        // Nothing was ever committed there.
        std::fs::create_dir(&node).unwrap();
        drop(Archive::open(&node, genesis.hash()).unwrap());
        assert!(verify_state(&node, None, false).unwrap_err().message().contains("no block"));
        // Of another network.
        assert!(check(&node, Hash([9; 32])).unwrap_err().message().contains("belongs to chain"));
    }
}
