//! The data that Malachite is generic over: as small as its own test data, since that is in no registry.
//!
//! Ed25519 by the crate it ships for that (over `ed25519-consensus`); addresses of 20 bytes, round-robin proposers, Borsh on the wire.

use std::fmt;
use std::io;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use malachite_ed25519::{Ed25519, PrivateKey, PublicKey, Signature};
use malachite_types::{Context, NilOrVal, Round, SignedExtension, SignedMessage, SigningProvider, VoteType, VotingPower};
use primitives::Hash;

use crate::record::digest;

/// The data.
#[derive(Clone, Copy, Debug)]
pub struct Data;

/// A validator's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Address(pub [u8; 20]);

/// A height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Height(pub u64);

/// A block: its payload, which is shared by all copies, and hashed once, for the core asks for the hash again and again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    id: ValueId,
    payload: Arc<Vec<u8>>,
}

/// A block's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct ValueId(pub [u8; 32]);

/// A validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    address: Address,
    key: PublicKey,
}

/// Validators of equal power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators(pub Arc<Vec<Validator>>);

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proposal {
    height: Height,
    round: Round,
    value: Value,
    pol_round: Round,
    address: Address,
}

/// A vote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    kind: VoteType,
    height: Height,
    round: Round,
    value: NilOrVal<ValueId>,
    address: Address,
}

/// No values travel in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part;

impl Validator {
    /// The validator of a key.
    pub fn new(key: PublicKey) -> Self {
        let mut address = [0; 20];
        address.copy_from_slice(&Hash::raw(&[key.as_bytes()]).0[..20]);
        Self { address: Address(address), key }
    }
}

impl Value {
    /// A block with this payload.
    pub fn new(payload: Vec<u8>) -> Self {
        Self { id: ValueId(digest(&payload).0), payload: Arc::new(payload) }
    }
}

impl BorshSerialize for Value {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.payload.as_slice().serialize(writer)
    }
}

impl BorshDeserialize for Value {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        Ok(Self::new(Vec::deserialize_reader(reader)?))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", &self.0[..4])
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", &self.0[..4])
    }
}

impl malachite_types::Address for Address {}

impl malachite_types::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, by: u64) -> Self {
        Self(self.0 + by)
    }

    fn decrement_by(&self, by: u64) -> Option<Self> {
        self.0.checked_sub(by).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl malachite_types::Value for Value {
    type Id = ValueId;

    fn id(&self) -> ValueId {
        self.id
    }
}

impl malachite_types::ProposalPart<Data> for Part {
    fn is_first(&self) -> bool {
        true
    }

    fn is_last(&self) -> bool {
        true
    }
}

impl malachite_types::Proposal<Data> for Proposal {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &Value {
        &self.value
    }

    fn take_value(self) -> Value {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &Address {
        &self.address
    }
}

impl malachite_types::Vote<Data> for Vote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<ValueId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<ValueId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Address {
        &self.address
    }

    fn extension(&self) -> Option<&SignedExtension<Data>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Data>> {
        None
    }

    fn extend(self, _: SignedExtension<Data>) -> Self {
        self
    }
}

impl malachite_types::Validator<Data> for Validator {
    fn address(&self) -> &Address {
        &self.address
    }

    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn voting_power(&self) -> VotingPower {
        1
    }
}

impl malachite_types::ValidatorSet<Data> for Validators {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> VotingPower {
        self.0.len() as u64
    }

    fn get_by_address(&self, address: &Address) -> Option<&Validator> {
        self.0.iter().find(|validator| validator.address == *address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.0.get(index)
    }
}

impl Context for Data {
    type Address = Address;
    type Height = Height;
    type ProposalPart = Part;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = Validators;
    type Value = Value;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(&self, validators: &'a Validators, height: Height, round: Round) -> &'a Validator {
        let turn = (height.0 + u64::from(round.as_u32().expect("a round that began"))) % validators.0.len() as u64;
        &validators.0[usize::try_from(turn).expect("below a length")]
    }

    fn new_proposal(&self, height: Height, round: Round, value: Value, pol_round: Round, address: Address) -> Proposal {
        Proposal { height, round, value, pol_round, address }
    }

    fn new_prevote(&self, height: Height, round: Round, value: NilOrVal<ValueId>, address: Address) -> Vote {
        Vote { kind: VoteType::Prevote, height, round, value, address }
    }

    fn new_precommit(&self, height: Height, round: Round, value: NilOrVal<ValueId>, address: Address) -> Vote {
        Vote { kind: VoteType::Precommit, height, round, value, address }
    }
}

/// Signs and verifies.
pub struct Key(pub PrivateKey);

fn encode(message: &impl BorshSerialize) -> Vec<u8> {
    borsh::to_vec(message).expect("memory takes it")
}

impl Proposal {
    /// What a proposer signs: the hash stands for the payload, so that no payload is hashed twice.
    fn sign_bytes(&self) -> Vec<u8> {
        encode(&(self.height, self.round, self.value.id, self.pol_round, self.address))
    }
}

impl SigningProvider<Data> for Key {
    fn sign_vote(&self, vote: Vote) -> SignedMessage<Data, Vote> {
        let signature = self.0.sign(&encode(&vote));
        SignedMessage::new(vote, signature)
    }

    fn verify_signed_vote(&self, vote: &Vote, signature: &Signature, key: &PublicKey) -> bool {
        key.verify(&encode(vote), signature).is_ok()
    }

    fn sign_proposal(&self, proposal: Proposal) -> SignedMessage<Data, Proposal> {
        let signature = self.0.sign(&proposal.sign_bytes());
        SignedMessage::new(proposal, signature)
    }

    fn verify_signed_proposal(&self, proposal: &Proposal, signature: &Signature, key: &PublicKey) -> bool {
        key.verify(&proposal.sign_bytes(), signature).is_ok()
    }

    fn sign_proposal_part(&self, _: Part) -> SignedMessage<Data, Part> {
        unreachable!("values travel whole")
    }

    fn verify_signed_proposal_part(&self, _: &Part, _: &Signature, _: &PublicKey) -> bool {
        unreachable!("values travel whole")
    }

    fn sign_vote_extension(&self, (): ()) -> SignedMessage<Data, ()> {
        unreachable!("votes have no extension")
    }

    fn verify_signed_vote_extension(&self, (): &(), _: &Signature, _: &PublicKey) -> bool {
        unreachable!("votes have no extension")
    }
}
