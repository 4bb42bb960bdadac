//! What accounts can ask for: a versioned envelope with one or more messages, all of which take effect or none.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::batch::Batch;
use primitives::encoding::{decode, encode};
use primitives::{AccountKey, AccountSecret, Address, Amount, Bytes, Context, Epoch, Hash, Height, Noz, PublicKey, Signature};

use crate::ballots::Motion;
use crate::governance::{Action, Choice};
use crate::ledger::block::{TRANSACTION_BYTES_MAX, transaction_hash};
use crate::ledger::{Proven, Refusal};
use crate::staking::Commission;

/// Version of the envelope.
pub const TRANSACTION_VERSION: u8 = 1;
/// Messages in one transaction.
pub const MESSAGES_MAX: usize = 16;
/// Bytes of a memo.
pub const MEMO_BYTES_MAX: usize = 256;
/// Network addresses of a node.
pub const ADDRESSES_MAX: usize = 8;
/// Bytes of one network address.
pub const ADDRESS_BYTES_MAX: usize = 128;
/// Role of transaction signatures.
pub const ROLE: &str = "transaction";
/// Role by which a node's key proves that its operator holds it.
pub const POSSESSION_ROLE: &str = "node-possession";
/// Role by which a validator's consensus key proves that its operator holds it.
pub const VALIDATOR_POSSESSION_ROLE: &str = "validator-possession";

/// Units of any transaction: one signature, one account update.
pub const UNITS_BASE: u64 = 1_000;
/// Units per byte.
pub const UNITS_PER_BYTE: u64 = 10;
/// Units per message.
pub const UNITS_PER_MESSAGE: u64 = 500;
/// Units per signature that a settlement or a registration brings, those of the report's certificate among them.
pub const UNITS_PER_SIGNATURE: u64 = 500;

/// Where a node can be found, and the key it signs with.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct NodeIdentity {
    /// Key that signs receipts, claims, acknowledgements, tickets or votes.
    pub key: PublicKey,
    /// Network identity (libp2p peer id, bytes).
    pub peer: Vec<u8>,
    /// Network addresses, multiaddr text.
    pub addresses: Vec<String>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Message {
    /// Pay somebody.
    Send {
        /// Who receives.
        to: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// Buy ozone on the curve.
    BuyOzone {
        /// What to pay, in wei.
        amount: Amount,
        /// Least ozone to accept.
        noz_min: Noz,
        /// Last block in which the offer stands.
        height_max: Height,
        /// Who owns the ozone.
        beneficiary: Address,
    },
    /// Offer storage; the deposit is taken from the sender, who is the operator.
    RegisterResource {
        /// Where the node is and what it signs with.
        node: NodeIdentity,
        /// The key's signature over the operator's address.
        possession: Signature,
        /// Bytes offered.
        capacity: Bytes,
        /// Deposit in wei.
        deposit: Amount,
    },
    /// Apply for a seat among the meta nodes.
    RegisterMeta {
        /// Where the node is and what it signs with.
        node: NodeIdentity,
        /// The key's signature over the operator's address.
        possession: Signature,
        /// Deposit in wei.
        deposit: Amount,
    },
    /// Publish new network addresses of the sender's node.
    MoveNode {
        /// The new addresses.
        addresses: Vec<String>,
    },
    /// Vote, as an active meta node, for who joins them, who leaves them, and which resource node takes part.
    VoteMeta {
        /// What for.
        motion: Motion,
    },
    /// Add to the deposit of the sender's node.
    TopUpDeposit {
        /// How much, in wei.
        amount: Amount,
    },
    /// Take the sender's node out of its registry: its deposit can be withdrawn later.
    LeaveRegistry,
    /// Receive the deposit of the sender's node that left.
    WithdrawDeposit,
    /// Propose a change, with a deposit.
    Propose {
        /// What it is called.
        title: String,
        /// Why.
        text: String,
        /// What it does.
        actions: Vec<Action>,
    },
    /// Vote on a proposal with the stake of the sender's validator, and with its own stake with others.
    VoteProposal {
        /// Its number.
        proposal: u64,
        /// How.
        choice: Choice,
        /// The validators with whose stake of its own the sender votes.
        validators: Vec<Address>,
    },
    /// Settle a part of an epoch's traffic.
    Settle {
        /// The epoch's report, read from the metadata ledger with proof.
        report: Box<Proven>,
        /// The next part of it; none if the report has no parts.
        part: Option<Box<pot::report::Part>>,
    },
    /// Claim, as its carrier or for it, what the report of an epoch does not hold.
    ClaimDirectly {
        /// The claim, signed by the carrier, with the tickets that cover it.
        claim: Box<pot::CoveredClaim>,
        /// What was reserved for it, read from the metadata ledger with proof ([`crate::settlement::standing_keys`]).
        standing: Box<Proven>,
    },
    /// Prove that meta nodes certified a false report.
    AccuseReport {
        /// The report's epoch.
        epoch: Epoch,
        /// The report, read from the metadata ledger with proof.
        report: Box<Proven>,
        /// The part that does not hold; none if the report contradicts itself.
        part: Option<Box<pot::report::Part>>,
    },
    /// Prove that a meta node issued tickets for more than was reserved with it.
    AccuseIssuer {
        /// Its last tickets for one session with one carrier in one epoch, in the order of their classes.
        tickets: Vec<pot::Signed<pot::Ticket>>,
        /// What was reserved and claimed, read from the metadata ledger with proof ([`crate::accusation::promise_keys`]).
        standing: Box<Proven>,
    },
    /// Withdraw mature rewards.
    Withdraw {
        /// Who receives.
        to: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// Become a validator; the stake is taken from the sender, who is the operator.
    CreateValidator {
        /// Key of its votes; never used before.
        key: PublicKey,
        /// The key's signature over the operator's address.
        possession: Signature,
        /// The operator's own stake in wei; at least 1 stos.
        stake: Amount,
        /// Part of its delegators' rewards that it keeps.
        commission: Commission,
    },
    /// Change the part of its delegators' rewards that the sender's validator keeps.
    SetCommission {
        /// The part, in basis points.
        bp: u32,
    },
    /// Add to a validator's stake.
    Delegate {
        /// Operator of the validator.
        validator: Address,
        /// How much, in wei.
        amount: Amount,
    },
    /// Take out of a validator's stake what the sender has in it.
    Undelegate {
        /// Operator of the validator.
        validator: Address,
        /// How much, in wei; all of it is what the delegation is worth.
        amount: Amount,
    },
    /// Move what the sender has in a validator's stake to another's.
    Redelegate {
        /// Operator of the validator that it leaves.
        from: Address,
        /// Operator of the validator that it joins.
        to: Address,
        /// How much, in wei; all of it is what the delegation is worth.
        amount: Amount,
    },
    /// Receive what the sender's stake with a validator earned.
    CollectReward {
        /// Operator of the validator.
        validator: Address,
    },
    /// Receive all that was taken out of a validator's stake and is due.
    WithdrawUnbonded {
        /// Operator of the validator that it left.
        validator: Address,
    },
    /// Stand again with the sender's validator after it was jailed.
    Unjail,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Transaction {
    /// Version of the envelope.
    pub version: u8,
    /// Genesis hash: a transaction is of one chain.
    pub chain: Hash,
    /// Key of the sender.
    pub key: AccountKey,
    /// Number of this transaction among the sender's.
    pub nonce: u64,
    /// Most to pay, in wei.
    pub fee_max: Amount,
    /// Offered to the proposer, in wei per unit.
    pub tip: Amount,
    /// What to do, in order.
    pub messages: Vec<Message>,
    /// Anything; not interpreted.
    pub memo: Vec<u8>,
}

/// A transaction as it travels.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedTransaction {
    /// What is signed.
    pub body: Transaction,
    /// By the sender's key.
    pub signature: Signature,
}

/// A transaction whose form and signature were checked.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The transaction.
    pub body: Transaction,
    /// Hash of its bytes.
    pub hash: Hash,
    /// Units it uses.
    pub units: u64,
}

impl Transaction {
    /// The account that pays.
    pub fn sender(&self) -> Address {
        self.key.address()
    }

    /// Signs; gives the bytes to submit.
    pub fn sign(self, secret: &AccountSecret) -> Vec<u8> {
        let signature = secret.sign(ROLE, self.chain, &encode(&self));
        encode(&SignedTransaction { body: self, signature })
    }

    /// Units of a transaction of `bytes` bytes with these messages: known before execution.
    pub fn units(&self, bytes: usize) -> u64 {
        let signatures: usize = self.messages.iter().map(signatures_of).sum();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        UNITS_BASE
            .saturating_add(count(bytes).saturating_mul(UNITS_PER_BYTE))
            .saturating_add(count(self.messages.len()).saturating_mul(UNITS_PER_MESSAGE))
            .saturating_add(count(signatures).saturating_mul(UNITS_PER_SIGNATURE))
    }
}

/// Signatures that executing a message verifies.
fn signatures_of(message: &Message) -> usize {
    match message {
        Message::Settle { report, part } | Message::AccuseReport { report, part, .. } => {
            let of_part =
                part.as_ref().map_or(0, |part| part.entries.len().saturating_add(part.carriers.len()).saturating_add(part.payers.len().saturating_mul(2)));
            of_part.saturating_add(certifiers_of(report))
        }
        // At most one session for each receipt, whose grant two have signed.
        Message::ClaimDirectly { claim, standing } => {
            let of_receipts = claim.claim.receipts.len().saturating_mul(3).saturating_add(claim.tickets.len());
            of_receipts.saturating_add(1).saturating_add(certifiers_of(standing))
        }
        Message::AccuseIssuer { tickets, standing } => tickets.len().saturating_add(certifiers_of(standing)),
        Message::RegisterResource { .. } | Message::RegisterMeta { .. } | Message::CreateValidator { .. } => 1,
        Message::Send { .. }
        | Message::BuyOzone { .. }
        | Message::MoveNode { .. }
        | Message::VoteMeta { .. }
        | Message::Propose { .. }
        | Message::VoteProposal { .. }
        | Message::TopUpDeposit { .. }
        | Message::LeaveRegistry
        | Message::WithdrawDeposit
        | Message::Withdraw { .. }
        | Message::Delegate { .. }
        | Message::Undelegate { .. }
        | Message::Redelegate { .. }
        | Message::CollectReward { .. }
        | Message::SetCommission { .. }
        | Message::WithdrawUnbonded { .. }
        | Message::Unjail => 0,
    }
}

/// Signatures under a certified reading.
fn certifiers_of(reading: &Proven) -> usize {
    reading.certified.finality.certificate.signers().count()
}

/// Decodes transactions and verifies their signatures; the Schnorr ones in one batch.
pub fn verify(chain: Hash, transactions: &[Vec<u8>]) -> Vec<Result<Verified, Refusal>> {
    let decoded: Vec<Result<SignedTransaction, Refusal>> = transactions.iter().map(|bytes| decode_one(chain, bytes)).collect();
    let context = Context::new(ROLE, chain);
    let (mut batch, mut batched) = (Batch::new(), Vec::new());
    let mut verdicts: Vec<bool> = Vec::with_capacity(decoded.len());
    for (index, transaction) in decoded.iter().enumerate() {
        let Ok(transaction) = transaction else {
            verdicts.push(false);
            continue;
        };
        let message = encode(&transaction.body);
        verdicts.push(match &transaction.body.key {
            AccountKey::Ristretto(key) => key.decode().is_ok_and(|key| {
                batch.push(&key, &context, &message, &transaction.signature);
                batched.push(index);
                true
            }),
            key @ AccountKey::Ed25519(_) => key.verify(ROLE, chain, &message, &transaction.signature),
        });
    }
    for culprit in batch.culprits() {
        verdicts[batched[culprit]] = false;
    }
    decoded
        .into_iter()
        .zip(transactions)
        .zip(verdicts)
        .map(|((transaction, bytes), valid)| {
            let transaction = transaction?;
            if !valid {
                return Err(Refusal::Never(format!("the signature is not valid for the key of {}", transaction.body.sender())));
            }
            let units = transaction.body.units(bytes.len());
            Ok(Verified { body: transaction.body, hash: transaction_hash(bytes), units })
        })
        .collect()
}

fn decode_one(chain: Hash, bytes: &[u8]) -> Result<SignedTransaction, Refusal> {
    let transaction: SignedTransaction =
        decode(bytes, TRANSACTION_BYTES_MAX).map_err(|error| Refusal::Never(format!("the transaction cannot be decoded: {error}")))?;
    let body = &transaction.body;
    let never = |text: String| Err(Refusal::Never(text));
    if body.version != TRANSACTION_VERSION {
        return never(format!("transaction version {} is unknown, this chain takes {TRANSACTION_VERSION}", body.version));
    }
    if body.chain != chain {
        return never(format!("the transaction is for chain {}, this is {chain}", body.chain));
    }
    if body.messages.is_empty() || body.messages.len() > MESSAGES_MAX {
        return never(format!("{} messages; a transaction carries 1 to {MESSAGES_MAX}", body.messages.len()));
    }
    if body.memo.len() > MEMO_BYTES_MAX {
        return never(format!("the memo has {} bytes, at most {MEMO_BYTES_MAX} are allowed", body.memo.len()));
    }
    Ok(transaction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn transfer(seed: u8, nonce: u64) -> (AccountSecret, Transaction) {
        let secret = AccountSecret::from_seed(&[seed; 32]);
        let body = Transaction {
            version: TRANSACTION_VERSION,
            chain: Hash([9; 32]),
            key: secret.key(),
            nonce,
            fee_max: Amount(1_000_000),
            tip: Amount(0),
            messages: vec![Message::Send { to: Address([1; 20]), amount: Amount(5) }],
            memo: Vec::new(),
        };
        (secret, body)
    }

    #[test]
    fn one_verdict_each() {
        let chain = Hash([9; 32]);
        let (secret, body) = transfer(1, 0);
        let good = body.clone().sign(&secret);
        let forged = body.clone().sign(&AccountSecret::from_seed(&[2; 32]));
        let elsewhere = Transaction { chain: Hash::ZERO, ..body.clone() }.sign(&secret);
        let ed25519 = AccountSecret::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&[3; 32])));
        let other_type = Transaction { key: ed25519.key(), ..body.clone() }.sign(&ed25519);
        let no_message = Transaction { messages: Vec::new(), ..body }.sign(&secret);
        let verdicts = verify(chain, &[good, forged, elsewhere, other_type, no_message, vec![1, 2, 3], Vec::new()]);
        assert_eq!(verdicts.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true, false, false, false]);
        assert!(verdicts.iter().flat_map(|verdict| verdict.as_ref().err()).all(|refusal| matches!(refusal, Refusal::Never(_))));
    }

    #[test]
    fn golden() {
        let (_, body) = transfer(1, 7);
        assert_eq!(
            Hash::of("golden", &[&encode(&body)]).to_string(),
            "46c6a243c9fbabe5025aee131d8eab3b67349f04f399ce0e124ec354e331fe3f",
            "the encoding of transactions is part of the protocol"
        );
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(verify(Hash::ZERO, &[bytes])[0].is_err());
        }

        #[test]
        fn any_flip_is_refused(at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let (secret, body) = transfer(1, 7);
            let mut bytes = body.sign(&secret);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(verify(Hash([9; 32]), &[bytes])[0].is_err());
        }
    }
}
