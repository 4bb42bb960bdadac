//! A light client of one ledger: asks any replica, believes none.
//!
//! Every value comes with its proof against a header that a quorum made final; what remains possible is an old answer, so a header older than one already
//! seen is refused and the next replica asked. Needs the genesis hash and the first voters only.
//!
//! # Who votes now
//! 1. It begins with the voters of genesis, and believes what they sign ([`consensus::light`]).
//! 2. An answer of others, of a later epoch, is not believed. The replica that gave it is asked how the voters changed since then; each proof must hold, and
//!    they are followed only as far as the answer needs. Then the answer is verified again.
//! 3. An answer of voters of before is an old answer.
//! 4. Two answers that are both proven and contradict each other end all belief: more than a third of the voters lied, and which of the two chains is the one
//!    that people stand by is not for a program to say. Every question from then on fails and names them.
//!
//! Nothing of this is kept on disk: a program that starts again begins with genesis again, and its first answer costs one proof for each change of voters
//! there ever was. A change takes some 10 KiB and 70 signatures with 100 voters, so a thousand of them some 10 MiB and a few seconds. Epochs without a change
//! cost nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chain::ledger::block::transaction_hash;
use chain::ledger::proven::Reading;
use chain::ledger::proven::{PROVEN_BYTES_MAX, ProvenError};
use chain::ledger::query::{Answer, Request, TransactionState};
use chain::ledger::{Attested, Receipt, Snapshot, Status, Summary};
use consensus::light::{Conflict, EpochProof, LightClient, LightError};
use consensus::{Header, Members};
use p2p::{Contact, Endpoint, RequestError};
use primitives::encoding::{DecodeError, decode, encode};
use primitives::{Epoch, Hash, Height};
use state::StateRoot;
use tokio::time::{Instant, sleep};

/// Deadline of one question to one replica.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the changes of voters are followed for one answer. What was learned stays: the next question goes on from there.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two looks at a transaction that waits.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Why a ledger gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// No replica is known.
    #[error("no replica of the {ledger} is known")]
    NoReplica {
        /// Which ledger.
        ledger: &'static str,
    },
    /// None of the replicas gave a usable answer.
    #[error("none of {count} replicas of the {ledger} gave a usable answer; the last: {last}")]
    Unreachable {
        /// Which ledger.
        ledger: &'static str,
        /// Replicas that were asked.
        count: usize,
        /// What the last one did.
        last: AskError,
    },
    /// Two chains, both proven.
    #[error(
        "the {ledger} has two chains: the header at height {} contradicts the one accepted at height {}, and both are proven; nothing it says is believed any more",
        .conflict.other.header.height, .conflict.accepted.header.height
    )]
    Conflict {
        /// Which ledger.
        ledger: &'static str,
        /// What contradicts itself; with it [`Conflict::blame`] finds out who did it.
        conflict: Box<Conflict>,
    },
    /// The transaction was refused.
    #[error("the {ledger} refused the transaction: {reason}")]
    Refused {
        /// Which ledger.
        ledger: &'static str,
        /// Why.
        reason: String,
    },
    /// The transaction is in a block, and its messages failed.
    #[error("transaction {hash} failed at height {height}: {reason}")]
    Failed {
        /// The transaction.
        hash: Hash,
        /// Its block.
        height: Height,
        /// Why.
        reason: String,
    },
    /// The transaction was not final in time; it may be later.
    #[error("transaction {hash} was not final within {after:?}; it may still be")]
    Late {
        /// The transaction.
        hash: Hash,
        /// How long was waited.
        after: Duration,
    },
}

/// Why one replica's answer is of no use.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// No answer.
    #[error(transparent)]
    Request(Box<RequestError>),
    /// Bytes that are no answer.
    #[error("an answer that cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    /// An answer that does not hold.
    #[error("an answer that is not proven: {0}")]
    Proof(#[from] ProvenError),
    /// An answer to something else.
    #[error("an answer to another question")]
    Other,
    /// The replica has no block yet.
    #[error("the replica has no final block yet")]
    Empty,
    /// Voters that are not known here signed the answer, and the replica does not prove them.
    #[error("the replica knows of no change of voters after epoch {from}, but its answer is of epoch {epoch} and signed by others")]
    Unproven {
        /// The epoch of the answer.
        epoch: Epoch,
        /// The epoch up to which the voters are known.
        from: Epoch,
    },
    /// The replica is behind.
    #[error("the replica is at height {height}, height {seen} was already seen")]
    Old {
        /// The replica's height.
        height: Height,
        /// The height already seen.
        seen: Height,
    },
}

impl From<RequestError> for AskError {
    fn from(error: RequestError) -> Self {
        Self::Request(Box::new(error))
    }
}

struct Inner {
    endpoint: Endpoint,
    ledger: &'static str,
    protocol: &'static str,
    chain: Hash,
    /// The voters of genesis.
    first: Members,
    /// Whom to believe; after a conflict nobody.
    trust: Mutex<Result<LightClient, Box<Conflict>>>,
    replicas: Mutex<Vec<Contact>>,
    seen: Mutex<Height>,
}

/// A light client of one ledger. Cheap to clone.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

impl Ledger {
    /// A client of the ledger `chain`, whose first voters are `members`, asking `replicas` over `protocol` in their order.
    pub fn new(endpoint: Endpoint, protocol: &'static str, chain: Hash, members: Members, replicas: Vec<Contact>) -> Self {
        let ledger = if protocol == chain::ledger::query::VALUE_PROTOCOL { "value ledger" } else { "metadata ledger" };
        let trust = Mutex::new(Ok(LightClient::new(chain, Epoch::ZERO, members.clone(), None)));
        Self(Arc::new(Inner { endpoint, ledger, protocol, chain, first: members, trust, replicas: Mutex::new(replicas), seen: Mutex::new(Height::ZERO) }))
    }

    /// The ledger's genesis hash.
    pub fn chain(&self) -> Hash {
        self.0.chain
    }

    /// The values under `keys`, proven; at most [`chain::ledger::proven::KEYS_MAX`].
    ///
    /// # Errors
    /// [`LedgerError`] if no replica gives proven ones.
    pub async fn read(&self, keys: Vec<Vec<u8>>) -> Result<Reading, LedgerError> {
        self.proven(keys).await.map(|(_, reading)| reading)
    }

    /// The values under `keys` with their proofs and who signed them, to be shown to others; and what they prove, checked here already.
    ///
    /// # Errors
    /// [`LedgerError`] if no replica gives proven ones.
    pub async fn proven(&self, keys: Vec<Vec<u8>>) -> Result<(Attested, Reading), LedgerError> {
        let seen = self.seen();
        self.ask(&Request::Read(keys.clone()), |answer| {
            let Answer::Read(proven) = answer else { return Err(AskError::Other) };
            let proven = proven.as_ref().ok_or(AskError::Empty)?;
            let (reading, members) = self.believe(|light| {
                let reading = proven.clone().verify_answer(light, &keys)?;
                Ok((reading, light.members().clone()))
            })?;
            self.advance(seen, reading.certified.header.height)?;
            Ok((Attested { members, proven: proven.clone() }, reading))
        })
        .await
    }

    /// The proof that led from `members`, who vote in epoch `from`, to the next voters: to be shown to others who believe them. What is believed here is not
    /// changed by it.
    ///
    /// # Errors
    /// [`LedgerError`] if no replica has it.
    pub async fn change_of(&self, from: Epoch, members: &Members) -> Result<EpochProof, LedgerError> {
        self.ask(&Request::EpochProofs { from }, |answer| {
            let Answer::EpochProofs { present, proofs } = answer else { return Err(AskError::Other) };
            let proof = proofs.first().ok_or(AskError::Unproven { epoch: *present, from })?;
            LightClient::new(self.0.chain, from, members.clone(), None).advance(proof.clone()).map_err(ProvenError::from)?;
            Ok(proof.clone())
        })
        .await
    }

    /// The snapshot of the state `wanted`, or without it the newest, proven; what its block commits to, and which replicas have it. All replicas are asked,
    /// and each proves its own from genesis on: none can lead away from what another has.
    ///
    /// # Errors
    /// [`LedgerError`] if none has it, or if two contradict each other.
    pub async fn snapshot(&self, wanted: Option<StateRoot>) -> Result<(Snapshot, Summary, Vec<Contact>), LedgerError> {
        let mut found: Vec<(Snapshot, Summary, Contact)> = Vec::new();
        let mut refusal = LedgerError::NoReplica { ledger: self.0.ledger };
        let replicas = lock(&self.0.replicas).clone();
        for replica in replicas {
            let alone = Self::new(self.0.endpoint.clone(), self.0.protocol, self.0.chain, self.0.first.clone(), vec![replica.clone()]);
            let check = |answer: &Answer| {
                let Answer::Snapshot(snapshot) = answer else { return Err(AskError::Other) };
                let snapshot = snapshot.as_ref().ok_or(AskError::Empty)?;
                Ok((snapshot.clone(), alone.believe(|light| snapshot.verify_by(light))?))
            };
            match alone.ask(&Request::Snapshot { wanted }, check).await {
                Ok((_, summary)) if wanted.is_some_and(|wanted| wanted != summary.state) => {}
                Ok((snapshot, summary)) => found.push((snapshot, summary, replica)),
                Err(error @ LedgerError::Conflict { .. }) => return Err(error),
                Err(error) => refusal = error,
            }
        }
        // Together they must be one chain.
        found.sort_by_key(|(snapshot, _, _)| snapshot.block.header.height);
        let mut light = LightClient::new(self.0.chain, Epoch::ZERO, self.0.first.clone(), None);
        for (snapshot, _, _) in &found {
            if let Err(ProvenError::Light(LightError::Conflict(conflict))) = snapshot.verify_by(&mut light) {
                return Err(LedgerError::Conflict { ledger: self.0.ledger, conflict });
            }
        }
        let (snapshot, summary, _) = found.last().cloned().ok_or(refusal)?;
        let root = summary.state;
        let holders = found.into_iter().filter(|(_, other, _)| other.state == root).map(|(_, _, replica)| replica);
        Ok((snapshot, summary, holders.collect()))
    }

    /// Hands a transaction to a replica; returns its hash.
    ///
    /// A refusal counts only if no replica has the transaction: one whose answer was lost may have taken it, and then the next one refuses it as known.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] with the reason, or no replica answers.
    pub async fn submit(&self, bytes: Vec<u8>) -> Result<Hash, LedgerError> {
        let hash = transaction_hash(&bytes);
        let answer = self
            .ask(&Request::Submit(bytes), |answer| {
                if let Answer::Refused(reason) = answer {
                    return Ok(Err(reason.clone()));
                }
                if *answer == Answer::Submitted(hash) { Ok(Ok(())) } else { Err(AskError::Other) }
            })
            .await?;
        let Err(reason) = answer else { return Ok(hash) };
        match self.transaction(hash).await {
            Ok(TransactionState::Waiting | TransactionState::Final { .. }) => Ok(hash),
            Ok(TransactionState::Unknown) | Err(_) => Err(LedgerError::Refused { ledger: self.0.ledger, reason }),
        }
    }

    /// Where a transaction is, as a replica says; not proven.
    ///
    /// # Errors
    /// [`LedgerError`] if no replica answers.
    pub async fn transaction(&self, hash: Hash) -> Result<TransactionState, LedgerError> {
        self.ask(&Request::Transaction(hash), |answer| {
            let Answer::Transaction(state) = answer else { return Err(AskError::Other) };
            Ok(state.clone())
        })
        .await
    }

    /// Waits until a transaction is final and done.
    ///
    /// # Errors
    /// [`LedgerError::Failed`] if its messages failed, [`LedgerError::Late`] after `deadline`, or no replica answers.
    pub async fn wait(&self, hash: Hash, deadline: Duration) -> Result<(Height, Receipt), LedgerError> {
        let end = Instant::now() + deadline;
        loop {
            // A replica that does not answer now says nothing about the transaction; only the deadline ends the wait.
            let state = match self.transaction(hash).await {
                Ok(state) => state,
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => TransactionState::Unknown,
            };
            match state {
                TransactionState::Final { height, receipt, .. } => {
                    return match &receipt.status {
                        Status::Done => Ok((height, receipt)),
                        Status::Failed(reason) => Err(LedgerError::Failed { hash, height, reason: reason.clone() }),
                    };
                }
                TransactionState::Unknown | TransactionState::Waiting if Instant::now() >= end => {
                    return Err(LedgerError::Late { hash, after: deadline });
                }
                TransactionState::Unknown | TransactionState::Waiting => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// The newest height seen so far.
    fn seen(&self) -> Height {
        *lock(&self.0.seen)
    }

    /// Refuses to go back behind what was seen when the question was asked; answers under way at the same time may arrive in any order.
    fn advance(&self, asked_at: Height, height: Height) -> Result<(), AskError> {
        if height < asked_at {
            return Err(AskError::Old { height, seen: asked_at });
        }
        let mut seen = lock(&self.0.seen);
        *seen = height.max(*seen);
        Ok(())
    }

    /// What the light client says to it; from a conflict on, the conflict.
    fn believe<T>(&self, check: impl FnOnce(&mut LightClient) -> Result<T, ProvenError>) -> Result<T, AskError> {
        let mut trust = lock(&self.0.trust);
        let error = match &mut *trust {
            Ok(light) => match check(light) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            },
            Err(conflict) => LightError::Conflict(conflict.clone()).into(),
        };
        if let ProvenError::Light(LightError::Conflict(conflict)) = &error {
            *trust = Err(conflict.clone());
        }
        Err(error.into())
    }

    /// Asks the replicas one after the other until one gives an answer that `check` takes. A replica that answered goes first from then on.
    async fn ask<T>(&self, request: &Request, check: impl Fn(&Answer) -> Result<T, AskError>) -> Result<T, LedgerError> {
        let replicas = lock(&self.0.replicas).clone();
        let (count, body) = (replicas.len(), encode(request));
        let mut last = None;
        for replica in replicas {
            let peer = replica.peer;
            match self.ask_one(&replica, &body, &check).await {
                Ok(value) => {
                    if last.is_some() {
                        let mut replicas = lock(&self.0.replicas);
                        replicas.sort_by_key(|replica| replica.peer != peer);
                    }
                    return Ok(value);
                }
                Err(AskError::Proof(ProvenError::Light(LightError::Conflict(conflict)))) => {
                    tracing::error!(%peer, ledger = self.0.ledger, conflict = ?conflict, "two chains, both proven");
                    return Err(LedgerError::Conflict { ledger: self.0.ledger, conflict });
                }
                Err(error) => {
                    tracing::debug!(%peer, %error, ledger = self.0.ledger, "replica gave no usable answer");
                    last = Some(error);
                }
            }
        }
        match last {
            Some(last) => Err(LedgerError::Unreachable { ledger: self.0.ledger, count, last }),
            None => Err(LedgerError::NoReplica { ledger: self.0.ledger }),
        }
    }

    /// One replica's answer; if others signed it than are known here, after the replica has proven them.
    async fn ask_one<T>(&self, replica: &Contact, body: &[u8], check: &impl Fn(&Answer) -> Result<T, AskError>) -> Result<T, AskError> {
        let known = self.believe(|light| Ok(light.epoch()))?;
        let answer = self.request(replica, body).await?;
        match check(&answer) {
            Err(AskError::Proof(ProvenError::Light(LightError::Skipped { .. }))) => {
                let header = answer.header().ok_or(AskError::Other)?;
                self.follow(replica, header).await?;
                check(&answer)
            }
            // Another answer has led on while this one was under way: it is not the replica that is behind.
            Err(AskError::Proof(ProvenError::Light(LightError::Older { found, .. }))) if found >= known => check(&self.request(replica, body).await?),
            outcome => outcome,
        }
    }

    /// Follows the changes of voters that the replica proves, up to those who signed `header`.
    async fn follow(&self, replica: &Contact, header: &Header) -> Result<(), AskError> {
        let end = Instant::now() + FOLLOW_TIMEOUT;
        loop {
            let from = self.believe(|light| Ok(light.epoch()))?;
            let Answer::EpochProofs { proofs, .. } = self.request(replica, &encode(&Request::EpochProofs { from })).await? else { return Err(AskError::Other) };
            let (is_there, reached) = self.believe(|light| {
                // One by one, each a batch of signatures; no further than the header: it may be the last before a change.
                let is_there = |light: &LightClient| header.epoch < light.epoch() || header.members == light.members().hash();
                for proof in proofs {
                    if is_there(light) {
                        break;
                    }
                    // Another answer may have led on meanwhile.
                    if proof.last.epoch >= light.epoch() {
                        light.advance(proof)?;
                    }
                }
                Ok((is_there(light), light.epoch()))
            })?;
            if is_there {
                return Ok(());
            }
            // Without progress, or with so little that it is a joke, this replica leads nowhere.
            if reached == from || Instant::now() >= end {
                return Err(AskError::Unproven { epoch: header.epoch, from: reached });
            }
        }
    }

    async fn request(&self, replica: &Contact, body: &[u8]) -> Result<Answer, AskError> {
        let bytes = self.0.endpoint.request(replica.clone(), self.0.protocol, body.to_vec(), ASK_TIMEOUT).await?;
        Ok(decode(&bytes, PROVEN_BYTES_MAX)?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while holding these locks; a poisoned one still holds a whole value.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
