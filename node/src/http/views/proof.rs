//! A value with its proof.

use std::fmt;
use std::str::FromStr;

use chain::ledger::proven::TRACED_BYTES_MAX;
use chain::ledger::{Certified, Traced};
use primitives::{Epoch, Hash, Height, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The form of a [`Proof`] that this program writes and checks.
pub const PROOF_FORMAT: u32 = 1;

/// Most bytes of a [`Proof`] as JSON: two digits for each byte of the proof and of the largest value, and the rest.
pub const PROOF_JSON_BYTES_MAX: usize = 2 * (TRACED_BYTES_MAX + chain::keys::VALUE_BYTES_MAX) + (1 << 20);

/// `GET /v1/proof?ledger=value|meta&key=HEX[&height=H]`: what a ledger's state says about a key, with everything a verifier needs beside the genesis.
///
/// What can be read here is in the proof too, and is worth nothing without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// Version of this form: 1 so far ([`PROOF_FORMAT`]).
    pub format: u32,
    /// Which ledger.
    pub ledger: LedgerName,
    /// Its chain: hash of its genesis.
    pub chain: Hash,
    /// The block after which the state was this.
    pub height: Height,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its time.
    pub time_ms: Time,
    /// The key, in hexadecimal digits.
    pub key: String,
    /// The value, in hexadecimal digits; `null` if there is none.
    pub value: Option<String>,
    /// A [`chain::ledger::Traced`] of this one key, encoded, in hexadecimal digits.
    pub proof: String,
}

impl Proof {
    /// Of the first key that it proves.
    pub fn new(ledger: LedgerName, traced: &Traced) -> Self {
        let proven = &traced.attested.proven;
        let (header, entry) = (&proven.certified.header, proven.entries.first());
        Self {
            format: PROOF_FORMAT,
            ledger,
            chain: header.chain,
            height: header.height,
            epoch: header.epoch,
            time_ms: header.time,
            key: entry.map(|entry| hex::encode(&entry.key)).unwrap_or_default(),
            value: entry.and_then(|entry| entry.value.as_ref()).map(hex::encode),
            proof: hex::encode(traced.encode()),
        }
    }
}

/// `GET /v1/proof/ics23?ledger=value|meta&key=HEX[&height=H]`: what a ledger's state says about a key, in the form of ICS 23 ([`state::ics23`]).
///
/// It hangs on the root, which whoever checks it must know from elsewhere: a [`Proof`] certifies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ics23 {
    /// Which ledger.
    pub ledger: LedgerName,
    /// Its chain: hash of its genesis.
    pub chain: Hash,
    /// The block after which the state was this.
    pub height: Height,
    /// The root of the state: the commitment root.
    pub root: Hash,
    /// The key, in hexadecimal digits.
    pub key: String,
    /// The key that the proof is about, in hexadecimal digits ([`state::ics23::key`]).
    pub proof_key: String,
    /// The value, in hexadecimal digits; `null` if there is none.
    pub value: Option<String>,
    /// A `CommitmentProof`, encoded, in hexadecimal digits.
    pub proof: String,
    /// The `ProofSpec` of all proofs here, encoded, in hexadecimal digits.
    pub spec: String,
}

impl Ics23 {
    /// Whether it tells a verifier the right rule and the right key. The proof itself is for the verifier.
    pub fn is_sound(&self) -> bool {
        let own = hex::decode(&self.key).map(|key| hex::encode(state::ics23::key(&key)));
        own.is_ok_and(|own| own == self.proof_key) && self.spec == hex::encode(state::ics23::spec())
    }

    /// Of one key under a certified root.
    pub fn new(ledger: LedgerName, certified: &Certified, key: &[u8], value: Option<&[u8]>, proof: &[u8]) -> Self {
        Self {
            ledger,
            chain: certified.header.chain,
            height: certified.header.height,
            root: certified.summary.state.root,
            key: hex::encode(key),
            proof_key: hex::encode(state::ics23::key(key)),
            value: value.map(hex::encode),
            proof: hex::encode(proof),
            spec: hex::encode(state::ics23::spec()),
        }
    }
}

/// One of a network's two ledgers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerName {
    /// Accounts, stake, ozone, settlement.
    Value,
    /// Files, allowances, claims.
    Meta,
}

impl fmt::Display for LedgerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "value",
            Self::Meta => "meta",
        })
    }
}

impl FromStr for LedgerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "value" => Ok(Self::Value),
            "meta" => Ok(Self::Meta),
            other => Err(format!("`{other}` is no ledger: give `value` or `meta`")),
        }
    }
}
