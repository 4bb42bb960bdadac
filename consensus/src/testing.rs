//! Members with known secrets, for the tests of this crate.

use primitives::{Epoch, Hash, SecretKey, Time, View};

use crate::block::{Block, HEADER_VERSION, Header};
use crate::certificate::Certificate;
use crate::config::{Config, Times};
use crate::justification::Justification;
use crate::members::{Member, Members};
use crate::vote::{Kind, SignedVote, Vote};

/// A chain whose every secret is known.
pub(crate) struct Cast {
    pub(crate) secrets: Vec<SecretKey>,
    pub(crate) members: Members,
    pub(crate) chain: Hash,
    pub(crate) genesis: Header,
    /// The epoch of what is signed and built; 0 unless a test says otherwise.
    pub(crate) epoch: Epoch,
}

/// The digest rule of tests; the one payload `?` is none.
pub(crate) fn payload_digest(payload: &[u8]) -> Option<Hash> {
    (payload != b"?").then(|| Hash::of("payload", &[payload]))
}

impl Cast {
    pub(crate) fn new(weights: &[u64]) -> Self {
        let secrets: Vec<SecretKey> = (1_u8..).zip(weights).map(|(seed, _)| SecretKey::from_seed(&[seed; 32])).collect();
        let list = secrets.iter().zip(weights).map(|(secret, &weight)| Member { key: secret.public(), weight });
        let members = Members::new(list.collect()).expect("valid members");
        let chain = Hash::of("chain", &[b"test"]);
        let genesis = Header::genesis(chain, &members, Time(1_000_000), Hash::ZERO);
        Self { secrets, members, chain, genesis, epoch: Epoch(0) }
    }

    pub(crate) fn config(&self, me: Option<u16>) -> Config {
        Config {
            chain: self.chain,
            epoch: self.epoch,
            members: self.members.clone(),
            me,
            times: Times::DEV,
            seed: Hash::ZERO,
            payload_digest,
            start: self.genesis.clone(),
        }
    }

    pub(crate) fn vote(&self, signer: u16, view: u64, kind: Kind) -> SignedVote {
        let vote = Vote { epoch: self.epoch, view: View(view), kind };
        vote.sign(&self.secrets[usize::from(signer)], self.chain, self.members.hash(), signer)
    }

    pub(crate) fn certificate_of(&self, view: u64, kind: Kind, signers: &[u16]) -> Certificate {
        let votes = signers.iter().map(|&signer| self.vote(signer, view, kind));
        Certificate::new(Vote { epoch: self.epoch, view: View(view), kind }, &self.members, votes.map(|signed| (signed.signer, signed.signature)))
    }

    /// Signed by as few as make a quorum.
    pub(crate) fn certificate(&self, view: u64, kind: Kind) -> Certificate {
        let mut signers = Vec::new();
        let mut weight = 0;
        for (index, member) in (0_u16..).zip(self.members.list()) {
            if !self.members.is_quorum(weight) {
                signers.push(index);
                weight += member.weight;
            }
        }
        self.certificate_of(view, kind, &signers)
    }

    /// A valid block on `parent`.
    pub(crate) fn block(&self, parent: &Header, justification: Justification, payload: &[u8]) -> Block {
        let view = justification.view();
        let header = Header {
            version: HEADER_VERSION,
            chain: self.chain,
            epoch: self.epoch,
            view,
            height: parent.height.next(),
            parent: parent.hash(),
            parent_view: if parent.epoch == self.epoch { parent.view } else { View(0) },
            justification: justification.digest(),
            time: Time(parent.time.0 + 1),
            proposer: self.config(None).leader(view),
            members: self.members.hash(),
            next_members: Hash::ZERO,
            payload: payload_digest(payload).expect("a payload"),
        };
        Block { header, justification, payload: payload.to_vec() }
    }
}
