//! Malachite: its core, `process!`, on the virtual wires that ours runs on.
//!
//! The core has no wire format of its own, so messages are Borsh, as ours. Its host starts the next height at once. Timeouts are not kept: without faults none
//! is due, for each is many delays long and a new height cancels it. The write-ahead log goes nowhere, like what our engine keeps.

mod context;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use malachite_consensus::{ConsensusMsg, Effect, Error, Input, LocallyProposedValue, Params, Resumable, Resume, SignedConsensusMsg, State, process};
use malachite_ed25519::{PrivateKey, Signature};
use malachite_types::{Height as _, SignedMessage, SigningProvider, SigningProviderExt, ThresholdParams, Validator as _, ValuePayload};
use primitives::Hash;

use crate::record::Record;
use crate::wires::{Event, Wires};
use context::{Data, Height, Key, Proposal, Validator, Validators, Value, Vote};

/// Heights ahead of a node's own whose messages it keeps.
const AHEAD_MAX: usize = 10;

/// What travels.
#[derive(BorshSerialize, BorshDeserialize)]
enum Letter {
    Vote(Vote, [u8; 64]),
    Proposal(Proposal, [u8; 64]),
}

struct Node {
    state: State<Data>,
    key: Key,
}

fn pack(message: SignedConsensusMsg<Data>) -> Vec<u8> {
    let letter = match message {
        SignedConsensusMsg::Vote(vote) => Letter::Vote(vote.message, vote.signature.to_bytes()),
        SignedConsensusMsg::Proposal(proposal) => Letter::Proposal(proposal.message, proposal.signature.to_bytes()),
    };
    borsh::to_vec(&letter).expect("memory takes it")
}

fn unpack(bytes: &[u8]) -> Input<Data> {
    match borsh::from_slice(bytes).expect("as it was encoded") {
        Letter::Vote(vote, signature) => Input::Vote(SignedMessage::new(vote, Signature::from_bytes(signature))),
        Letter::Proposal(proposal, signature) => Input::Proposal(SignedMessage::new(proposal, Signature::from_bytes(signature))),
    }
}

fn nodes(count: usize) -> (Vec<Node>, Validators) {
    let keys: Vec<PrivateKey> = (0..count).map(|node| PrivateKey::from(Hash::of("peers", &[&node.to_le_bytes()]).0)).collect();
    let validators = Validators(Arc::new(keys.iter().map(|key| Validator::new(key.public_key())).collect()));
    let node = |key: PrivateKey| {
        let params = Params {
            initial_height: Height::INITIAL,
            initial_validator_set: validators.clone(),
            address: *Validator::new(key.public_key()).address(),
            threshold_params: ThresholdParams::default(),
            value_payload: ValuePayload::ProposalOnly,
        };
        Node { state: State::new(Data, params, AHEAD_MAX), key: Key(key) }
    };
    (keys.into_iter().map(node).collect(), validators)
}

fn input(nodes: &mut [Node], me: usize, input: Input<Data>, validators: &Validators, wires: &mut Wires, record: &mut Record) {
    let Node { state, key } = &mut nodes[me];
    let mut inputs = VecDeque::from([input]);
    while let Some(input) = inputs.pop_front() {
        let mut perform = |effect: Effect<Data>| -> Result<Resume<Data>, Infallible> {
            Ok(match effect {
                Effect::PublishConsensusMsg(message, resume) => {
                    wires.broadcast(me, Arc::new(pack(message)), record);
                    resume.resume_with(())
                }
                Effect::GetValue(height, round, _, resume) => {
                    record.propose(height.0, wires.now());
                    let value = Value::new(record.workload().payload());
                    inputs.push_back(Input::Propose(LocallyProposedValue::new(height, round, value)));
                    resume.resume_with(())
                }
                Effect::Decide(certificate, _, resume) => {
                    record.finalize(me, certificate.height.0, wires.now());
                    inputs.push_back(Input::StartHeight(certificate.height.increment(), validators.clone()));
                    resume.resume_with(())
                }
                Effect::GetValidatorSet(_, resume) => resume.resume_with(Some(validators.clone())),
                Effect::SignVote(vote, resume) => resume.resume_with(key.sign_vote(vote)),
                Effect::SignProposal(proposal, resume) => resume.resume_with(key.sign_proposal(proposal)),
                Effect::VerifySignature(signed, public, resume) => resume.resume_with(match &signed.message {
                    ConsensusMsg::Vote(vote) => key.verify_signed_vote(vote, &signed.signature, &public),
                    ConsensusMsg::Proposal(proposal) => key.verify_signed_proposal(proposal, &signed.signature, &public),
                }),
                Effect::VerifyCommitCertificate(certificate, validators, thresholds, resume) => {
                    resume.resume_with(key.verify_commit_certificate(&Data, &certificate, &validators, thresholds))
                }
                Effect::ExtendVote(_, _, _, resume) => resume.resume_with(None),
                Effect::ResetTimeouts(resume)
                | Effect::CancelAllTimeouts(resume)
                | Effect::CancelTimeout(_, resume)
                | Effect::ScheduleTimeout(_, resume)
                | Effect::StartRound(_, _, _, _, resume)
                | Effect::WalAppend(_, resume) => resume.resume_with(()),
                other @ (Effect::PublishLivenessMsg(..)
                | Effect::RepublishVote(..)
                | Effect::RepublishRoundCertificate(..)
                | Effect::RestreamProposal(..)
                | Effect::SyncValue(..)
                | Effect::VerifyPolkaCertificate(..)
                | Effect::VerifyRoundCertificate(..)
                | Effect::VerifyVoteExtension(..)) => panic!("nothing is lost or late: {other:?}"),
            })
        };
        let result: Result<(), Error<Data>> = process!(input: input, state: &mut *state, metrics: &(), with: effect => perform(effect));
        result.expect("nobody misbehaves");
    }
}

/// Runs until `record` is done.
pub fn run(mut record: Record) -> Record {
    let (mut nodes, validators) = nodes(record.workload().nodes);
    let mut wires = Wires::default();
    for me in 0..nodes.len() {
        input(&mut nodes, me, Input::StartHeight(Height::INITIAL, validators.clone()), &validators, &mut wires, &mut record);
    }
    while !record.is_done() {
        match wires.next() {
            Some((me, Event::Arrive { bytes, .. })) => input(&mut nodes, me, unpack(&bytes), &validators, &mut wires, &mut record),
            Some((_, Event::Wake)) => {}
            None => panic!("nothing happens any more"),
        }
    }
    record
}
