//! `node forensics verify|blame`: who broke a chain.

use std::path::Path;

use chain::genesis::meta_chain;
use chain::parameters::Parameters;
use chain::{epochs, staking};
use consensus::Members;
use consensus::forensics::{Contradiction, PROOF_BYTES_MAX, Proof, Verdict, blame_chains};
use primitives::{Epoch, Hash, Height, PublicKey, View};
use serde::Serialize;
use serde_json::json;

use super::Context;
use super::args::Forensics;
use super::failure::Failure;
use super::genesis::{self, read, write_new};
use super::output::{self, Align};
use crate::http::views;
use crate::replica::{Archive, STATE};

/// Runs `node forensics`.
///
/// # Errors
/// [`Failure`] if nobody is proven to have broken the chain, or a file or directory cannot be used.
pub fn run(command: &Forensics, context: &Context) -> Result<(), Failure> {
    match command {
        Forensics::Verify { file, genesis } => verify(file, genesis.as_deref(), context),
        Forensics::Blame { first, second, out, genesis } => blame(first, second, out, genesis.as_deref(), context),
    }
}

/// A verdict, as printed.
#[derive(Serialize)]
struct Report {
    chain: Hash,
    ledger: &'static str,
    members: Hash,
    epoch: Epoch,
    view: View,
    later_view: View,
    height: Option<Height>,
    contradiction: &'static str,
    weight: u64,
    total: u64,
    culprits: Vec<Culprit>,
}

/// One who broke the chain.
#[derive(Serialize)]
struct Culprit {
    member: u16,
    key: PublicKey,
    weight: u64,
}

impl Report {
    fn new(proof: &Proof, verdict: &Verdict, ledger: Ledger) -> Self {
        let culprits = verdict.evidence.iter().filter_map(|evidence| {
            let member = evidence.signer();
            let key = proof.members.list().get(usize::from(member))?.key;
            Some(Culprit { member, key, weight: proof.members.weight(member) })
        });
        Self {
            chain: proof.chain,
            ledger: ledger.name(),
            members: proof.members.hash(),
            epoch: verdict.epoch,
            view: verdict.view,
            later_view: verdict.later,
            height: verdict.height,
            contradiction: match verdict.contradiction {
                Contradiction::FinalizedTwice => "finalized_twice",
                Contradiction::FinalizedAndNullified => "finalized_and_nullified",
                Contradiction::FinalizedAndNotarized => "finalized_and_notarized",
            },
            weight: verdict.weight,
            total: verdict.total,
            culprits: culprits.collect(),
        }
    }

    fn people(&self, verdict: &Verdict) -> String {
        let views = if self.view == self.later_view { self.view.to_string() } else { format!("{} and {}", self.view, self.later_view) };
        let count = self.culprits.len();
        let fields = output::fields(&[
            ("proven", format!("{count} member{} {}", if count == 1 { "" } else { "s" }, verdict.contradiction)),
            ("ledger", format!("{}, chain {}", self.ledger, self.chain)),
            ("epoch", self.epoch.to_string()),
            ("views", views),
            ("height", self.height.map_or_else(|| "not shown by the proof".into(), |height| height.to_string())),
            ("voters", self.members.to_string()),
            ("weight", format!("{} of {}, more than a third", output::grouped(self.weight.into()), output::grouped(self.total.into()))),
        ]);
        let rows: Vec<_> = self.culprits.iter().map(|it| [it.member.to_string(), it.key.to_string(), output::grouped(it.weight.into())]).collect();
        format!("{fields}\n{}", output::table([("member", Align::Right), ("key", Align::Left), ("weight", Align::Right)], &rows))
    }
}

/// A ledger of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ledger {
    Value,
    Meta,
}

impl Ledger {
    /// Which of a network's ledgers has this chain.
    fn of(chain: Hash, genesis: Hash) -> Option<Self> {
        [(Self::Value, genesis), (Self::Meta, meta_chain(genesis))].into_iter().find(|(_, of)| *of == chain).map(|(ledger, _)| ledger)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Meta => "metadata",
        }
    }
}

fn verify(file: &Path, genesis: Option<&Path>, context: &Context) -> Result<(), Failure> {
    let bytes = read(file, PROOF_BYTES_MAX as u64)?;
    let proof = Proof::decode(&bytes).map_err(|error| Failure::refused(format!("{}: {error}", file.display())))?;
    // What the network says, before what the proof says.
    let epoch = proof.a.epoch();
    let is_of_file = genesis.is_some();
    let genesis = genesis::of_network(genesis, context)?;
    let hash = genesis.hash();
    let ledger = Ledger::of(proof.chain, hash)
        .ok_or_else(|| Failure::refused(format!("the proof is about chain {}; this network's are {hash} and {}", proof.chain, meta_chain(hash))))?;
    let at_genesis = match ledger {
        Ledger::Value => genesis.validator_members(),
        Ledger::Meta => genesis.meta_members(),
    };
    let at_genesis = at_genesis.map_err(Failure::refused)?.hash();
    let found = proof.members.hash();
    let voters = match ledger {
        Ledger::Value if !is_of_file && epoch > Epoch::ZERO => context.node.get::<views::EpochVoters>(&format!("/v1/epochs/{epoch}/voters"))?.members,
        Ledger::Value | Ledger::Meta => at_genesis,
    };
    if found != voters {
        let failure = Failure::refused(format!("the proof is about the voters {found} of epoch {epoch}, and those that are known are {voters}"));
        return Err(if is_of_file {
            failure.hint("a genesis file knows the first voters only; ask a node of the network, without --genesis")
        } else {
            failure
        });
    }
    let verdict = proof.check().map_err(|error| Failure::refused(format!("{} proves nothing: {error}", file.display())))?;
    let view = Report::new(&proof, &verdict, ledger);
    output::print(context.json, &view, || view.people(&verdict))
}

fn blame(first: &Path, second: &Path, out: &Path, genesis: Option<&Path>, context: &Context) -> Result<(), Failure> {
    let genesis = genesis::beside(genesis, first)?;
    let chain = genesis.hash();
    let open = |directory: &Path| {
        // Opening what is not there would make it.
        if !directory.join(STATE).is_dir() {
            return Err(Failure::refused(format!("{} is no directory of a validator: it has no `{STATE}`", directory.display()))
                .hint("give the directories of two nodes, such as DATA/validator-1"));
        }
        Archive::open(directory, chain).map_err(|error| {
            Failure::refused(format!("{}: {error}", directory.display())).hint("stop the node first; both nodes must be of the network of the genesis file")
        })
    };
    let archives = [open(first)?, open(second)?];
    let mut sets: Vec<Members> = genesis.validator_members().into_iter().collect();
    sets.extend(archives.iter().flat_map(recent));
    let members = |epoch: Epoch| archives.iter().find_map(|archive| archive.find(epoch, sets.iter().cloned()));
    let [a, b] = &archives;
    let (proof, verdict) = blame_chains(chain, members, |height| a.stored(height), |height| b.stored(height)).map_err(Failure::refused)?;
    write_new(out, &proof.encode())?;
    let view = Report::new(&proof, &verdict, Ledger::Value);
    let mut value = serde_json::to_value(&view).map_err(Failure::refused)?;
    value["path"] = json!(out);
    output::print(context.json, &value, || format!("{}\nwritten to {}", view.people(&verdict), out.display()))
}

/// The sets that a node's ledger still has.
fn recent(archive: &Archive) -> Vec<Members> {
    let state = archive.state();
    let current = epochs::current(&state).number;
    let oldest = current.saturating_sub(Epoch(Parameters::read(&state).evidence_epochs));
    (oldest.0..=current.0).filter_map(|epoch| staking::members(&staking::of_epoch(&state, Epoch(epoch))).ok()).collect()
}
