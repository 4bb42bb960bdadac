//! What the metadata ledger can be asked for. There is no fee: each kind costs its sender something else, ozone or a deposit or a proof.
//!
//! All signatures, those of sessions, owners, carriers, holders, payers and the value ledger's voters, are verified here, before the state is looked at;
//! keys that only the registry knows travel with the transaction and are compared there, and so do the value ledger's voters ([`crate::trust`]).

use borsh::{BorshDeserialize, BorshSerialize};
use chain::keys as value_keys;
use chain::ledger::block::{TRANSACTION_BYTES_MAX, transaction_hash};
use chain::ledger::proven::Reading;
use chain::ledger::{Attested, Refusal};
use chain::metering::Work;
use chain::settlement::{Progress, Spent};
use consensus::Members;
use consensus::light::EpochProof;
use pot::claim::VerifiedClaim;
use pot::curve::Balance;
use pot::grant::Grant;
use pot::{Allowance, CoveredClaim, Object, Signed, StorageAck};
use primitives::batch::Batch;
use primitives::encoding::{decode, encode};
use primitives::{AccountKey, AccountSecret, Context, Hash, PublicKey, Signature};
use storage::manifest::Manifest;

use crate::allowance::Funds;
use crate::anchor::Observed;
use crate::files::{self, HOLDERS_MAX, PutFile, RemoveFile};
use crate::trust::{Change, Source};

/// Version of the envelope.
pub const TRANSACTION_VERSION: u8 = 1;

/// A transaction as it travels.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Transaction {
    /// Where the value ledger stands: a reading of [`crate::anchor::keys_of`].
    Anchor(Box<Attested>),
    /// Reserves ozone: signed by the session; a reading of what the payer has ([`funds_keys`]).
    Reserve {
        /// What to reserve.
        allowance: Box<Signed<Allowance>>,
        /// Proof of the ozone.
        ozone: Box<Attested>,
    },
    /// Records a file: signed by the owner's wallet.
    PutFile {
        /// The file.
        put: Box<PutFile>,
        /// By the owner's key.
        signature: Signature,
    },
    /// Removes a file: signed by the owner's wallet.
    RemoveFile {
        /// Which.
        remove: RemoveFile,
        /// By the owner's key.
        signature: Signature,
    },
    /// A carrier's claim.
    Claim {
        /// The receipts, the tickets that cover them, and the carrier's signature.
        claim: Box<CoveredClaim>,
        /// The key that signed it.
        key: PublicKey,
    },
    /// Other voters of the value ledger.
    Voters {
        /// Those who are believed: at most [`consensus::members::MEMBERS_MAX`].
        members: Members,
        /// Signed by them: the end of their last epoch, and who votes after it.
        proof: Box<EpochProof>,
    },
}

/// A transaction with its version.
#[derive(BorshSerialize, BorshDeserialize)]
struct Envelope {
    version: u8,
    transaction: Transaction,
}

/// The keys that prove what a session can reserve: its payer's ozone, what of it is settled, and what was claimed directly from the session.
pub fn funds_keys(grant: &Grant) -> Vec<Vec<u8>> {
    vec![value_keys::ozone(&grant.payer), value_keys::settlement(), value_keys::spent_directly(&grant.session)]
}

/// What a reading of these keys says; `None` if it says nothing of the settlement.
pub fn funds(reading: &Reading, grant: &Grant) -> Option<Funds> {
    let progress: Progress = reading.value(&value_keys::settlement())?;
    let noz = reading.value::<Balance>(&value_keys::ozone(&grant.payer)).unwrap_or_default().noz;
    let direct = reading.value::<Spent>(&value_keys::spent_directly(&grant.session)).unwrap_or_default().before(progress.unsettled);
    Some(Funds { noz, unsettled: progress.unsettled, direct })
}

impl Transaction {
    /// The bytes to submit.
    pub fn encode(self) -> Vec<u8> {
        encode(&Envelope { version: TRANSACTION_VERSION, transaction: self })
    }

    /// A file's record, signed by its owner.
    pub fn put_file(put: PutFile, owner: &AccountSecret) -> Self {
        let signature = owner.sign(PutFile::ROLE, put.chain, &encode(&put));
        Self::PutFile { put: Box::new(put), signature }
    }

    /// A file's removal, signed by its owner.
    pub fn remove_file(remove: RemoveFile, owner: &AccountSecret) -> Self {
        let signature = owner.sign(RemoveFile::ROLE, remove.chain, &encode(&remove));
        Self::RemoveFile { remove, signature }
    }

    fn signatures(&self) -> usize {
        match self {
            Self::Anchor(reading) => reading.proven.certified.finality.certificate.signers().count(),
            Self::Reserve { ozone, .. } => ozone.proven.certified.finality.certificate.signers().count().saturating_add(3),
            Self::PutFile { put, .. } => put.acks.len().saturating_add(1),
            Self::RemoveFile { .. } => 1,
            Self::Claim { claim, .. } => claim.claim.receipts.len().saturating_add(claim.tickets.len()).saturating_add(1),
            Self::Voters { proof, .. } => proof.finality.certificate.signers().count(),
        }
    }
}

/// What a verified transaction does.
#[derive(Clone, Debug)]
pub enum Action {
    /// A proven reading of the value ledger, and whose it is.
    Anchor(Box<Observed>, Source),
    /// A session's wish, what its payer has, and who says so.
    Reserve(Box<Allowance>, Funds, Source),
    /// A file whose owner and holders have signed.
    PutFile(Box<PutFile>, Box<Manifest>),
    /// An owner's wish.
    RemoveFile(RemoveFile),
    /// A claim whose carrier, payers and issuers of tickets have signed, and the carrier's key.
    Claim(Box<CoveredClaim>, Box<VerifiedClaim>, PublicKey),
    /// Other voters of the value ledger.
    Voters(Box<Change>),
}

/// A transaction whose form and signatures were checked.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What it does.
    pub action: Action,
    /// Hash of its bytes.
    pub hash: Hash,
    /// What it takes.
    pub work: Work,
}

fn never(text: impl std::fmt::Display) -> Refusal {
    Refusal::Never(text.to_string())
}

/// Decodes a transaction and verifies everything in it that needs no state. `chain` is the value ledger's genesis hash.
///
/// # Errors
/// [`Refusal::Never`] with the cause.
pub fn verify(chain: Hash, bytes: &[u8]) -> Result<Verified, Refusal> {
    let envelope: Envelope = decode(bytes, TRANSACTION_BYTES_MAX).map_err(|error| never(format!("the transaction cannot be decoded: {error}")))?;
    if envelope.version != TRANSACTION_VERSION {
        return Err(never(format!("transaction version {} is unknown, this ledger takes {TRANSACTION_VERSION}", envelope.version)));
    }
    let work = Work { bytes: bytes.len(), messages: 1, signatures: envelope.transaction.signatures() };
    let action = match envelope.transaction {
        Transaction::Anchor(attested) => {
            let entries = attested.proven.entries.len();
            let reading = attested.verify(chain).map_err(never)?;
            let distinct = reading.keys().count();
            if entries != distinct {
                return Err(never(format!("the reading has {entries} entries for {distinct} keys")));
            }
            Action::Anchor(Box::new(Observed::of_reading(&reading).map_err(never)?), Source::of(&reading))
        }
        Transaction::Reserve { allowance, ozone } => verify_reserve(chain, *allowance, *ozone)?,
        Transaction::PutFile { put, signature } => verify_put(chain, *put, &signature)?,
        Transaction::RemoveFile { remove, signature } => {
            check_owner(chain, remove.chain, &remove.key, RemoveFile::ROLE, &encode(&remove), &signature)?;
            Action::RemoveFile(remove)
        }
        Transaction::Claim { claim, key } => {
            let verified = claim.verify(chain, &key).map_err(never)?;
            Action::Claim(claim, Box::new(verified), key)
        }
        Transaction::Voters { members, proof } => Action::Voters(Box::new(Change::verify(chain, members, *proof).map_err(never)?)),
    };
    Ok(Verified { action, hash: transaction_hash(bytes), work })
}

fn verify_reserve(chain: Hash, allowance: Signed<Allowance>, ozone: Attested) -> Result<Action, Refusal> {
    let session = allowance.body.grant.grant.session;
    let allowance = *allowance.verify(chain, &session).map_err(never)?;
    let grant = *allowance.grant.verify(chain, allowance.epoch).map_err(never)?.grant();
    // Exactly these keys: nobody pays for what else the reading would carry.
    let reading = ozone.verify_answer(chain, &funds_keys(&grant)).map_err(never)?;
    let funds = funds(&reading, &grant).ok_or_else(|| never("the value ledger's settlement cannot be read by this program"))?;
    Ok(Action::Reserve(Box::new(allowance), funds, Source::of(&reading)))
}

fn check_owner(chain: Hash, found: Hash, key: &AccountKey, role: &str, message: &[u8], signature: &Signature) -> Result<(), Refusal> {
    if found != chain {
        return Err(never(format!("the transaction is for chain {found}, this is {chain}")));
    }
    if !key.verify(role, chain, message, signature) {
        return Err(never(format!("the signature is not that of the key of {}", key.address())));
    }
    Ok(())
}

fn verify_put(chain: Hash, put: PutFile, signature: &Signature) -> Result<Action, Refusal> {
    check_owner(chain, put.chain, &put.key, PutFile::ROLE, &encode(&put), signature)?;
    let manifest = Manifest::decode(&put.manifest).map_err(never)?;
    let owner = put.key.address();
    if manifest.public.owner != owner {
        return Err(never(format!("the manifest names the owner {}, {owner} signed", manifest.public.owner)));
    }
    if put.holders.len() > HOLDERS_MAX {
        return Err(never(format!("{} holders, at most {HOLDERS_MAX} are allowed", put.holders.len())));
    }
    if let Some(index) = put.holders.windows(2).position(|pair| pair[0].0 >= pair[1].0) {
        return Err(never(format!("holder {} is not above the one before it", index.saturating_add(1))));
    }
    let place = |ack: &files::Ack| (ack.segment, ack.slice);
    if let Some(index) = put.acks.windows(2).position(|pair| place(&pair[0]) >= place(&pair[1])) {
        return Err(never(format!("acknowledgement {} is not above the one before it", index.saturating_add(1))));
    }
    let mut keys = Vec::with_capacity(put.holders.len());
    for (holder, key) in &put.holders {
        keys.push(key.decode().map_err(|error| never(format!("the key of {holder}: {error}")))?);
    }
    let (mut batch, context) = (Batch::new(), Context::new(StorageAck::ROLE, chain));
    for (index, ack) in put.acks.iter().enumerate() {
        let missing = || never(format!("acknowledgement {index} is of a holder or a slice that is not there"));
        let (body, _) = files::ack_body(&put, &manifest, ack).ok_or_else(missing)?;
        let key = keys.get(usize::from(ack.holder)).ok_or_else(missing)?;
        batch.push(key, &context, &encode(&body), &ack.signature);
    }
    // Nobody has paid yet: a search for the wrong ones would be a gift to who sends them.
    if !batch.verify() {
        return Err(never("an acknowledgement with a wrong signature"));
    }
    Ok(Action::PutFile(Box::new(put), Box::new(manifest)))
}
