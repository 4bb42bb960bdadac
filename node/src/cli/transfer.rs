//! Moving the bytes of `file put|get|rm|ls`: the command line's own client of the network.
//!
//! The node is asked once, for the genesis file and for where its gateway and the meta nodes are; whoever chooses the node with `--node` trusts it for that.
//! From then on the ledgers are read with proofs against that genesis, slices are checked byte by byte, and keys never leave this process.

use std::future::Future;
use std::path::Path;
use std::sync::OnceLock;

use chain::Genesis;
use chain::genesis::meta_chain;
use chain::ledger::query::{META_PROTOCOL, VALUE_PROTOCOL};
use client::files::{Files, FilesError, Listed, Progress as Step, PutFile, owner_secret};
use client::ledger::{Ledger, LedgerError};
use client::session::{FindError, Network, Session, SessionError};
use p2p::{Config, Contact, Endpoint, Multiaddr, PeerId, Plane, Secret};
use primitives::Bytes;
use storage::ProfileId;
use storage::manifest::{Details, ManifestError};
use tokio::signal::unix::{SignalKind, signal};

use super::Context;
use super::failure::Failure;
use super::file::{Fetched, Get, Own, Put, Remove, Stored};
use super::progress::{Phase, Progress};
use super::signer::Signer;
use crate::http::views;

/// Stores a file.
///
/// # Errors
/// [`Failure`] if it cannot be stored.
pub fn put(request: Put<'_>, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Stored, Failure> {
    let Put { source, bytes, name, signer, context } = request;
    let recording = OnceLock::new();
    let interrupted = || match recording.get() {
        None => Failure::refused("interrupted; nothing was recorded"),
        Some(id) => Failure::refused(format!("interrupted while the record of file {id} became final")).hint(LOOK),
    };
    let transfer = async {
        let files = connect(context, signer).await?;
        let media_type = mime_guess::from_path(&name).first_or_octet_stream().to_string();
        let what = PutFile { details: Details { name, media_type, created: client::files::put::now() }, profile: ProfileId::Dev };
        let mut reader = tokio::fs::File::from_std(source);
        let stored = files
            .put(&mut reader, Some(bytes.0), &what, &owner_secret(signer.seed.as_bytes()), |step| {
                progress(match step {
                    Step::Prepared(quote) => Progress { phase: Phase::Preparing, durable_bytes: Bytes(0), total_bytes: Bytes(quote.stored_bytes) },
                    Step::Storing { durable, total } => Progress { phase: Phase::Storing, durable_bytes: Bytes(durable), total_bytes: Bytes(total) },
                    Step::Recording(id) => {
                        recording.get_or_init(|| id);
                        Progress { phase: Phase::Recording, durable_bytes: Bytes(0), total_bytes: Bytes(0) }
                    }
                });
            })
            .await
            .map_err(failure)?;
        let id = stored.capability.id;
        Ok(Stored {
            file_id: id,
            url: format!("{}/files/{id}?cap={}", context.node.url(), stored.capability.to_text()),
            bytes: Bytes(stored.bytes),
            stored_bytes: Bytes(stored.stored_bytes),
            charged_noz: stored.charged,
            missing_slices: stored.missing_slices,
            weakest: stored.weakest,
        })
    };
    until_interrupted(transfer, interrupted)
}

/// Brings a file back.
///
/// # Errors
/// [`Failure`] if it cannot be had.
pub fn get(request: Get<'_>, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Fetched, Failure> {
    let Get { id, target, out, signer, context } = request;
    let transfer = async {
        let files = connect(context, signer).await?;
        let opened = files.open(&id, &owner_secret(signer.seed.as_bytes())).await.map_err(failure)?;
        let total = Bytes(opened.file.manifest.public.total);
        let mut writer = tokio::fs::File::from_std(target);
        let charged_before = files.session().signed();
        let written = files
            .get(opened, &mut writer, |written| progress(Progress { phase: Phase::Fetching, durable_bytes: Bytes(written), total_bytes: total }))
            .await
            .map_err(|error| get_failure(error, out))?;
        let charged = files.session().signed().saturating_sub(charged_before);
        Ok(Fetched { bytes: Bytes(written), charged_noz: charged })
    };
    until_interrupted(transfer, || Failure::refused("interrupted; nothing half done was kept"))
}

/// Removes a file from the index.
///
/// # Errors
/// [`Failure`] if it is unknown, or somebody else's.
pub fn remove(request: Remove<'_>) -> Result<(), Failure> {
    let transfer = async {
        let files = connect(request.context, request.signer).await?;
        files.remove(&request.id).await.map(drop).map_err(failure)
    };
    until_interrupted(transfer, || Failure::refused(format!("interrupted while file {} was removed", request.id)).hint(LOOK))
}

/// The files of `signer`, opened with its key.
///
/// # Errors
/// [`Failure`] if the ledgers do not answer.
pub fn list(context: &Context, signer: &Signer) -> Result<Vec<Own>, Failure> {
    let transfer = async {
        let files = connect(context, signer).await?;
        let listed = files.list(&signer.address(), Some(&owner_secret(signer.seed.as_bytes()))).await.map_err(failure)?;
        let own = |listed: Listed| {
            let public = &listed.file.manifest.public;
            Own {
                file_id: listed.id,
                bytes: Bytes(public.total),
                stored_bytes: Bytes(public.stored_bytes()),
                url: listed.capability.map(|capability| format!("{}/files/{}?cap={}", context.node.url(), listed.id, capability.to_text())),
                created_ms: listed.details.as_ref().map(|details| details.created.0),
                name: listed.details.as_ref().map(|details| details.name.clone()),
                media_type: listed.details.map(|details| details.media_type),
            }
        };
        Ok(listed.into_iter().map(own).collect())
    };
    until_interrupted(transfer, || Failure::refused("interrupted"))
}

/// A client of the network that `signer` pays for.
async fn connect(context: &Context, signer: &Signer) -> Result<Files, Failure> {
    let info: views::NetworkInfo = context.node.get("/v1/network")?;
    let genesis: Genesis = context.node.get_large("/v1/genesis")?;
    if genesis.hash() != info.genesis {
        return Err(Failure::refused(format!("the node names genesis {}, but its genesis file is {}", info.genesis, genesis.hash())));
    }
    let members =
        |result: Result<_, chain::genesis::GenesisError>| result.map_err(|error| Failure::refused(format!("the node's genesis file is invalid: {error}")));
    let endpoint = Endpoint::start(Config::client(Secret::random(), genesis.network(), Plane::Data)).await;
    let (data, _) = endpoint.map_err(|error| Failure::refused(format!("cannot use the network: {error}")))?;
    let gateway = contact(&info.data);
    let value = Ledger::new(data.clone(), VALUE_PROTOCOL, genesis.hash(), members(genesis.validator_members())?, gateway.clone().into_iter().collect());
    let replicas = gateway.into_iter().chain(info.meta.iter().filter_map(contact)).collect();
    let meta = Ledger::new(data.clone(), META_PROTOCOL, meta_chain(genesis.hash()), members(genesis.meta_members())?, replicas);
    Ok(Files::new(Session::new(Network { value, meta, data }, signer.secret.clone())))
}

fn contact(place: &views::Place) -> Option<Contact> {
    let peer: PeerId = place.peer.parse().ok()?;
    let addresses: Vec<Multiaddr> = place.addresses.iter().filter_map(|address| address.parse().ok()).collect();
    Some(Contact { peer, addresses })
}

/// How to find out whether a change of the index was made.
const LOOK: &str = "`stratos file ls` with the same `--key` shows whether it is recorded";
/// What to do when the network does not answer.
const NETWORK: &str = "`stratos node status` shows whether blocks are made; try again when they are";

/// What a person can do about it.
fn failure(error: FilesError) -> Failure {
    let failure = Failure::refused(&error);
    match error {
        FilesError::Session(error) => session_failure(&error, failure),
        FilesError::NotFound(_) | FilesError::Removed(_) => failure.hint("`stratos file ls` lists your files"),
        FilesError::Key { .. } => failure.hint("only the owner's key opens a file: choose it with --key"),
        FilesError::Changed { .. } => failure.hint("store it again when no other program writes to it"),
        FilesError::NotStored { .. } => failure.hint("`stratos resource list` shows which nodes are up and have room; try again when enough of them do"),
        FilesError::NotReadable { .. } => {
            failure.hint("`stratos file stat ID` shows who holds the file and `stratos resource list` who is up; try again when enough of them are")
        }
        FilesError::Manifest(ManifestError::TooLong { .. }) => failure.hint("cut it into parts, for example with `split`"),
        FilesError::Read(_)
        | FilesError::Write(_)
        | FilesError::Manifest(_)
        | FilesError::Range { .. }
        | FilesError::Segment(_)
        | FilesError::Ending
        | FilesError::Randomness(_) => failure,
    }
}

/// The same for a file on its way to `out`.
fn get_failure(error: FilesError, out: &Path) -> Failure {
    if let FilesError::Write(cause) = &error {
        return Failure::refused(format!("cannot write {}: {cause}", out.display())).hint("make room there, or name another place with `--out`");
    }
    failure(error)
}

fn session_failure(error: &SessionError, failure: Failure) -> Failure {
    match error {
        SessionError::NotEnoughOzone { .. } => failure.hint("buy ozone with `stratos ozone buy AMOUNT`"),
        SessionError::Reserve { .. } => failure.hint(
            "other transfers of this account may hold its ozone until their epochs are settled: try again then, or buy more with `stratos ozone buy AMOUNT`",
        ),
        SessionError::NoTickets { .. } => failure.hint("`stratos meta list` shows which meta nodes are up; try again when one is"),
        SessionError::Unconfirmed { .. } => failure.hint(LOOK),
        SessionError::Ledger(LedgerError::NoReplica { .. } | LedgerError::Unreachable { .. } | LedgerError::Late { .. })
        | SessionError::Find(FindError::Ledger(_)) => failure.hint(NETWORK),
        SessionError::Ledger(LedgerError::Conflict { .. } | LedgerError::Refused { .. } | LedgerError::Failed { .. })
        | SessionError::Find(FindError::Unknown(_) | FindError::Convicted(_) | FindError::Peer(_))
        | SessionError::Unreadable(_)
        | SessionError::ForeignTickets(_)
        | SessionError::Open { .. }
        | SessionError::Away { .. }
        | SessionError::Transfer(_)
        | SessionError::Random(_) => failure,
    }
}

/// Runs a transfer until it ends, or the user or the system ends it; then it is dropped, and with it everything half done.
///
/// # Errors
/// [`Failure`] of the transfer, or what `interrupted` says.
pub fn until_interrupted<T>(transfer: impl Future<Output = Result<T, Failure>>, interrupted: impl FnOnce() -> Failure) -> Result<T, Failure> {
    let cannot = |error: std::io::Error| Failure::refused(format!("cannot start: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(cannot)?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
        tokio::select! {
            result = transfer => return result,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Err(interrupted())
    })
}
