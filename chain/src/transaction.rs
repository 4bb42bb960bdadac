//! What accounts can ask for: a versioned envelope with one or more messages, all of which take effect or none.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::batch::Batch;
use primitives::encoding::{decode, encode};
use primitives::{AccountKey, AccountSecret, Address, Amount, Bytes, Context, Epoch, Hash, Height, Noz, PublicKey, Signature};

use crate::authority::Authority;
use crate::ballots::Motion;
use crate::governance::{Action, Choice};
use crate::ledger::block::{TRANSACTION_BYTES_MAX, transaction_hash};
use crate::ledger::{Proven, Refusal};
use crate::metering::Work;
use crate::pools::Fund;
use crate::profiles::Profile;
use crate::staking::Commission;

/// Version of the envelope.
pub const TRANSACTION_VERSION: u8 = 2;
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
    /// Say who operates the sender's validator or node; what was said before is replaced.
    Describe {
        /// What is said; without a word it is removed.
        profile: Profile,
    },
    /// Give to what belongs to all.
    Donate {
        /// Which of it.
        fund: Fund,
        /// How much, in wei.
        amount: Amount,
    },
}

impl Message {
    /// Whether it can change whose validators stand for the next sets.
    pub(crate) fn moves_stake(&self) -> bool {
        matches!(self, Self::CreateValidator { .. } | Self::Delegate { .. } | Self::Undelegate { .. } | Self::Redelegate { .. } | Self::Unjail)
    }
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Transaction {
    /// Version of the envelope.
    pub version: u8,
    /// Genesis hash: a transaction is of one chain.
    pub chain: Hash,
    /// Whose transaction it is: the key or keys of the sender.
    pub authority: Authority,
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
    /// By the sender's keys, each with the number of its key: as many as the authority asks for, in the order of the keys.
    pub signatures: Vec<(u8, Signature)>,
}

/// Bytes of the list of signatures, and of one of them.
const SIGNATURES_BYTES: usize = 4;
const SIGNATURE_BYTES: usize = 65;

/// Why signatures do not make a transaction complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CombineError {
    /// One of them is of another transaction, by another secret, or of a key that is not there.
    #[error("the signature of key {index} is not valid for this transaction")]
    Invalid {
        /// The key that is named.
        index: u8,
    },
    /// Keys have still to sign.
    #[error("{found} of {threshold} signatures are there")]
    Missing {
        /// Keys that signed.
        found: usize,
        /// Keys that must sign.
        threshold: u8,
    },
}

/// A transaction whose form and signature were checked.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The transaction.
    pub body: Transaction,
    /// Who pays: [`Transaction::sender`].
    pub sender: Address,
    /// Hash of its bytes.
    pub hash: Hash,
    /// What it takes.
    pub work: Work,
}

impl Transaction {
    /// The account that pays.
    pub fn sender(&self) -> Address {
        self.authority.address()
    }

    /// Signs with the one key of the account; gives the bytes to submit.
    pub fn sign(self, secret: &AccountSecret) -> Vec<u8> {
        let signature = secret.sign(ROLE, self.chain, &encode(&self));
        encode(&SignedTransaction { body: self, signatures: vec![(0, signature)] })
    }

    /// One signature of several, with the number of its key; `None` if the secret is of none of the account's keys.
    pub fn endorse(&self, secret: &AccountSecret) -> Option<(u8, Signature)> {
        let index = self.authority.index_of(&secret.key())?;
        Some((index, secret.sign(ROLE, self.chain, &encode(self))))
    }

    /// Whether `signature` is that of the key of this number under this transaction.
    pub fn is_endorsed(&self, index: u8, signature: &Signature) -> bool {
        let key = self.authority.keys().get(usize::from(index));
        key.is_some_and(|key| key.verify(ROLE, self.chain, &encode(self), signature))
    }

    /// Puts signatures together, whatever their order; gives the bytes to submit. Of more than it takes, those of the first keys are used.
    ///
    /// # Errors
    /// [`CombineError`] if one is not valid, whether it is used or not, or too few keys have signed.
    pub fn combine(self, signatures: &[(u8, Signature)]) -> Result<Vec<u8>, CombineError> {
        let threshold = self.authority.threshold();
        let mut of_keys = BTreeMap::new();
        for (index, signature) in signatures {
            if !self.is_endorsed(*index, signature) {
                return Err(CombineError::Invalid { index: *index });
            }
            of_keys.entry(*index).or_insert(*signature);
        }
        if of_keys.len() < usize::from(threshold) {
            return Err(CombineError::Missing { found: of_keys.len(), threshold });
        }
        Ok(encode(&SignedTransaction { body: self, signatures: of_keys.into_iter().take(usize::from(threshold)).collect() }))
    }

    /// Bytes of the transaction with its signatures.
    pub fn signed_bytes(&self) -> usize {
        let signatures = usize::from(self.authority.threshold()).saturating_mul(SIGNATURE_BYTES);
        encode(self).len().saturating_add(SIGNATURES_BYTES).saturating_add(signatures)
    }

    /// Whether a transaction of this form can be in the chain, whoever signs it.
    ///
    /// # Errors
    /// [`Refusal::Never`] with the numbers.
    pub fn check(&self, chain: Hash) -> Result<(), Refusal> {
        let never = |text: String| Err(Refusal::Never(text));
        if self.version != TRANSACTION_VERSION {
            return never(format!("transaction version {} is unknown, this chain takes {TRANSACTION_VERSION}", self.version));
        }
        if self.chain != chain {
            return never(format!("the transaction is for chain {}, this is {chain}", self.chain));
        }
        if self.messages.is_empty() || self.messages.len() > MESSAGES_MAX {
            return never(format!("{} messages; a transaction carries 1 to {MESSAGES_MAX}", self.messages.len()));
        }
        if self.memo.len() > MEMO_BYTES_MAX {
            return never(format!("the memo has {} bytes, at most {MEMO_BYTES_MAX} are allowed", self.memo.len()));
        }
        Ok(())
    }

    /// What the transaction takes, signed by as many keys as its authority asks for.
    pub fn work(&self) -> Work {
        self.work_of(self.signed_bytes())
    }

    /// The same of its bytes with the signatures.
    fn work_of(&self, bytes: usize) -> Work {
        let beyond_first = usize::from(self.authority.threshold().saturating_sub(1));
        let signatures = self.messages.iter().map(signatures_of).fold(beyond_first, usize::saturating_add);
        Work { bytes, messages: self.messages.len(), signatures }
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
        | Message::Unjail
        | Message::Describe { .. }
        | Message::Donate { .. } => 0,
    }
}

/// Signatures under a certified reading.
fn certifiers_of(reading: &Proven) -> usize {
    reading.certified.finality.certificate.signers().count()
}

/// Decodes transactions and verifies their signatures; all Schnorr ones in one batch, whose culprits are found one by one.
pub fn verify(chain: Hash, transactions: &[Vec<u8>]) -> Vec<Result<Verified, Refusal>> {
    let mut decoded: Vec<Result<SignedTransaction, Refusal>> = transactions.iter().map(|bytes| decode_one(chain, bytes)).collect();
    let context = Context::new(ROLE, chain);
    // Which signature of which transaction each of the batch is, and those that are not valid.
    let (mut batch, mut batched, mut invalid) = (Batch::new(), Vec::new(), Vec::new());
    for (number, transaction) in decoded.iter().enumerate() {
        let Ok(SignedTransaction { body, signatures }) = transaction else { continue };
        let message = encode(body);
        for (index, signature) in signatures {
            match body.authority.keys().get(usize::from(*index)) {
                Some(AccountKey::Ristretto(key)) => {
                    batch.push_undecoded(key, &context, &message, signature);
                    batched.push((number, *index));
                }
                Some(key @ AccountKey::Ed25519(_)) if key.verify(ROLE, chain, &message, signature) => {}
                Some(AccountKey::Ed25519(_)) | None => invalid.push((number, *index)),
            }
        }
    }
    invalid.extend(batch.culprits().into_iter().map(|culprit| batched[culprit]));
    for (number, index) in invalid {
        if let Ok(SignedTransaction { body, .. }) = &decoded[number] {
            let sender = body.sender();
            decoded[number] = Err(Refusal::Never(match &body.authority {
                Authority::One(_) => format!("the signature is not valid for the key of {sender}"),
                Authority::Several(_) => format!("the signature of key {index} of {sender} is not valid"),
            }));
        }
    }
    let verified = |(transaction, bytes): (Result<SignedTransaction, Refusal>, &Vec<u8>)| {
        let body = transaction?.body;
        Ok(Verified { sender: body.sender(), hash: transaction_hash(bytes), work: body.work_of(bytes.len()), body })
    };
    decoded.into_iter().zip(transactions).map(verified).collect()
}

fn decode_one(chain: Hash, bytes: &[u8]) -> Result<SignedTransaction, Refusal> {
    let transaction: SignedTransaction =
        decode(bytes, TRANSACTION_BYTES_MAX).map_err(|error| Refusal::Never(format!("the transaction cannot be decoded: {error}")))?;
    transaction.body.check(chain)?;
    transaction.body.authority.check(&transaction.signatures).map_err(|error| Refusal::Never(error.to_string()))?;
    Ok(transaction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Several;
    use proptest::prelude::*;

    const CHAIN: Hash = Hash([9; 32]);

    fn transfer(seed: u8, nonce: u64) -> (AccountSecret, Transaction) {
        let secret = AccountSecret::from_seed(&[seed; 32]);
        let body = of(secret.key().into(), nonce);
        (secret, body)
    }

    fn of(authority: Authority, nonce: u64) -> Transaction {
        Transaction {
            version: TRANSACTION_VERSION,
            chain: CHAIN,
            authority,
            nonce,
            fee_max: Amount(1_000_000),
            tip: Amount(0),
            messages: vec![Message::Send { to: Address([1; 20]), amount: Amount(5) }],
            memo: Vec::new(),
        }
    }

    /// `count` secrets in the order of their keys; of three, one is an Ed25519 one.
    fn secrets(count: u8) -> Vec<AccountSecret> {
        let secret = |number: u8| match number % 3 {
            2 => AccountSecret::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&[number; 32]))),
            _ => AccountSecret::from_seed(&[number; 32]),
        };
        let mut secrets: Vec<_> = (0..count).map(secret).collect();
        secrets.sort_by_key(AccountSecret::key);
        secrets
    }

    /// A transfer from an account of `threshold` of these.
    fn joint(threshold: u8, secrets: &[AccountSecret]) -> Transaction {
        of(Authority::Several(Several::new(threshold, secrets.iter().map(AccountSecret::key).collect()).unwrap()), 7)
    }

    /// The bytes of a transaction with the signatures of these, in this order.
    fn signed_by<'a>(body: &Transaction, secrets: impl IntoIterator<Item = &'a AccountSecret>) -> Vec<u8> {
        let signatures = secrets.into_iter().map(|secret| body.endorse(secret).unwrap()).collect();
        encode(&SignedTransaction { body: body.clone(), signatures })
    }

    /// Why a transaction is refused.
    fn refusal(bytes: Vec<u8>) -> String {
        let refusal = verify(CHAIN, &[bytes]).remove(0).unwrap_err();
        assert!(matches!(refusal, Refusal::Never(_)), "{refusal}");
        refusal.to_string()
    }

    #[test]
    fn one_verdict_each() {
        let (secret, body) = transfer(1, 0);
        let good = body.clone().sign(&secret);
        let forged = body.clone().sign(&AccountSecret::from_seed(&[2; 32]));
        let elsewhere = Transaction { chain: Hash::ZERO, ..body.clone() }.sign(&secret);
        let ed25519 = AccountSecret::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&[3; 32])));
        let other_type = Transaction { authority: ed25519.key().into(), ..body.clone() }.sign(&ed25519);
        let no_message = Transaction { messages: Vec::new(), ..body }.sign(&secret);
        let verdicts = verify(CHAIN, &[good, forged, elsewhere, other_type, no_message, vec![1, 2, 3], Vec::new()]);
        assert_eq!(verdicts.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true, false, false, false]);
        assert!(verdicts.iter().flat_map(|verdict| verdict.as_ref().err()).all(|refusal| matches!(refusal, Refusal::Never(_))));
    }

    /// Checks CHAIN-14: as many as the threshold, no fewer and no more.
    #[test]
    fn exactly_as_many_as_the_threshold() {
        for (threshold, count) in [(1, 2), (2, 3), (3, 3), (16, 16)] {
            let secrets = secrets(count);
            let body = joint(threshold, &secrets);
            for found in 0..=usize::from(count) {
                let bytes = signed_by(&body, &secrets[..found]);
                if found == usize::from(threshold) {
                    assert_eq!(verify(CHAIN, &[bytes]).remove(0).unwrap().body, body);
                } else {
                    assert_eq!(refusal(bytes), format!("{found} signatures; exactly {threshold} of {count} keys sign"));
                }
            }
        }
        let (secret, body) = transfer(1, 0);
        assert_eq!(refusal(signed_by(&body, [])), "0 signatures; exactly 1 of 1 keys sign");
        assert_eq!(refusal(signed_by(&body, [&secret, &secret])), "2 signatures; exactly 1 of 1 keys sign");
    }

    /// Checks CHAIN-14: each by another key, and by the key it names.
    #[test]
    fn each_by_its_own_key() {
        let secrets = secrets(4);
        let body = joint(2, &secrets);
        assert!(refusal(signed_by(&body, [&secrets[1], &secrets[0]])).contains("key 0 after one of key 1"));
        assert!(refusal(signed_by(&body, [&secrets[1], &secrets[1]])).contains("key 1 after one of key 1"));
        let signature = |at: usize| body.endorse(&secrets[at]).unwrap().1;
        let with = |signatures| encode(&SignedTransaction { body: body.clone(), signatures });
        assert!(refusal(with(vec![(0, signature(0)), (4, signature(1))])).contains("a signature of key 4; the keys are 0 to 3"));
        for (first, second) in [(0, 1), (2, 3), (0, 3)] {
            let (one, other) = (u8::try_from(first).unwrap(), u8::try_from(second).unwrap());
            assert!(verify(CHAIN, &[with(vec![(one, signature(first)), (other, signature(second))])])[0].is_ok());
            // The signatures of two keys, each in the place of the other.
            assert!(refusal(with(vec![(one, signature(second)), (other, signature(first))])).contains("is not valid"));
        }
        let stranger = AccountSecret::from_seed(&[77; 32]);
        assert_eq!(body.endorse(&stranger), None);
        let forged = (3, stranger.sign(ROLE, CHAIN, &encode(&body)));
        assert_eq!(refusal(with(vec![(0, signature(0)), forged])), format!("the signature of key 3 of {} is not valid", body.sender()));
        // What one account's keys signed is not another's transaction.
        let other = joint(2, &secrets[..3]);
        assert!(refusal(encode(&SignedTransaction { body: other, signatures: vec![(0, signature(0)), (1, signature(1))] })).contains("is not valid"));
    }

    #[test]
    fn signatures_are_put_together() {
        let secrets = secrets(4);
        let body = joint(3, &secrets);
        let all: Vec<_> = secrets.iter().rev().map(|secret| body.endorse(secret).unwrap()).collect();
        let bytes = body.clone().combine(&all).unwrap();
        assert_eq!(bytes.len(), body.signed_bytes());
        let signed: SignedTransaction = decode(&bytes, TRANSACTION_BYTES_MAX).unwrap();
        assert_eq!(signed.signatures.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2], "the first keys of more than enough");
        assert!(verify(CHAIN, &[bytes])[0].is_ok());
        assert_eq!(body.clone().combine(&[all[0], all[1], all[0]]), Err(CombineError::Missing { found: 2, threshold: 3 }));
        assert_eq!(body.clone().combine(&[all[0], all[1], all[2], (0, all[0].1)]), Err(CombineError::Invalid { index: 0 }));
        assert_eq!(body.clone().combine(&[(4, all[0].1)]), Err(CombineError::Invalid { index: 4 }));
        let (secret, one) = transfer(1, 0);
        let bytes = one.clone().combine(&[one.endorse(&secret).unwrap()]).unwrap();
        assert!(bytes.len() == one.signed_bytes() && verify(CHAIN, &[bytes])[0].is_ok());
    }

    #[test]
    fn each_signature_beyond_the_first_costs() {
        let secrets = secrets(16);
        let work = |threshold| {
            let bytes = signed_by(&joint(threshold, &secrets), &secrets[..usize::from(threshold)]);
            let work = verify(CHAIN, std::slice::from_ref(&bytes)).remove(0).unwrap().work;
            assert_eq!(work.bytes, bytes.len());
            work
        };
        let (one, all) = (work(1), work(16));
        assert_eq!((one.signatures, all.signatures, all.bytes - one.bytes), (0, 15, 15 * SIGNATURE_BYTES));
        let costs = crate::parameters::Parameters::dev().costs();
        assert_eq!(costs.units(&all) - costs.units(&one), 15 * (costs.signature + costs.byte * u64::try_from(SIGNATURE_BYTES).unwrap()));
    }

    #[test]
    fn golden() {
        let (_, body) = transfer(1, 7);
        let joint = joint(2, &secrets(3));
        assert_eq!(
            [body, joint].map(|body| Hash::of("golden", &[&encode(&body)]).to_string()),
            ["2fe8581beb874ae448f7cac9748cc9f9ec09391bb3ec4d307f40171e652994f6", "ed646b6076f8dfd09f29a750c5259617ecf95d79f9db16ed82629a955d796a3b"],
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
            prop_assert!(verify(CHAIN, &[bytes])[0].is_err());
        }

        #[test]
        fn any_flip_is_refused_whoever_signs(at in any::<prop::sample::Index>(), bit in 0..8u8, threshold in 1..=4u8) {
            let secrets = secrets(4);
            let mut bytes = signed_by(&joint(threshold, &secrets), &secrets[..usize::from(threshold)]);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(verify(CHAIN, &[bytes])[0].is_err());
        }

        /// A batch says of each transaction what is said of it alone, and refuses exactly those that were changed.
        #[test]
        fn together_as_one_by_one(all in proptest::collection::vec((1..=4u8, any::<bool>(), any::<prop::sample::Index>()), 1..8)) {
            let secrets = secrets(4);
            let transactions: Vec<_> = all.iter().map(|(threshold, is_changed, at)| {
                let body = joint(*threshold, &secrets);
                let mut signatures: Vec<_> = secrets[..usize::from(*threshold)].iter().map(|secret| body.endorse(secret).unwrap()).collect();
                if *is_changed {
                    let at = at.index(signatures.len());
                    signatures[at].1.0[40] ^= 1;
                }
                encode(&SignedTransaction { body, signatures })
            }).collect();
            let text = |verdict: Result<Verified, Refusal>| verdict.map(|verified| (verified.hash, verified.work));
            let together: Vec<_> = verify(CHAIN, &transactions).into_iter().map(text).collect();
            let alone: Vec<_> = transactions.iter().map(|bytes| text(verify(CHAIN, std::slice::from_ref(bytes)).remove(0))).collect();
            prop_assert_eq!(&together, &alone);
            prop_assert_eq!(together.iter().map(Result::is_err).collect::<Vec<_>>(), all.iter().map(|(_, is_changed, _)| *is_changed).collect::<Vec<_>>());
        }
    }
}
