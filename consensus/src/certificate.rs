//! A certificate: one vote, signed by a quorum.

use std::collections::{BTreeSet, VecDeque};

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::batch::Batch;
use primitives::{Context, Epoch, Hash, Signature, View};

use crate::members::{MEMBERS_MAX, Members};
use crate::mutants::{self, Mutant};
use crate::vote::{Kind, SignedVote, Vote};

/// Most bytes of an encoded certificate that verifies: its vote, a bit and a signature per member, and two lengths.
pub const CERTIFICATE_BYTES_MAX: usize = 49 + 4 + MEMBERS_MAX.div_ceil(8) + 4 + 64 * MEMBERS_MAX;

/// Signatures verified together, but for the last certificate's.
pub const BATCH_SIGNATURES_MAX: usize = 1024;

/// Certificates a [`Verifier`] remembers as verified.
pub const KNOWN_MAX: usize = 4096;

/// A quorum's signatures of one vote. Named by its kind: notarization, nullification, finalization.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// What was voted.
    pub vote: Vote,
    /// Bit `i % 8` of byte `i / 8`: member `i` signed. As long as the members need, no bit beyond the last member.
    pub signers: Vec<u8>,
    /// One signature per set bit, in the members' order.
    pub signatures: Vec<Signature>,
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The bitmap is not the canonical one for this many members.
    #[error("the bitmap of {bytes} bytes is not canonical for {members} members")]
    Bitmap {
        /// Length of the bitmap.
        bytes: usize,
        /// Number of members.
        members: usize,
    },
    /// Not one signature per signer.
    #[error("{signatures} signatures for {signers} signers")]
    Count {
        /// Signatures there are.
        signatures: usize,
        /// Bits set.
        signers: usize,
    },
    /// Too few voted.
    #[error("weight {weight} of {total} is no quorum")]
    NoQuorum {
        /// Weight of the signers.
        weight: u64,
        /// Weight of all members.
        total: u64,
    },
    /// At least one signature is wrong.
    #[error("a signature is invalid")]
    Signature,
}

impl Certificate {
    /// A certificate of these signatures, which need not be sorted. Verifies if they are valid, distinct and a quorum.
    pub fn new(vote: Vote, members: &Members, signatures: impl IntoIterator<Item = (u16, Signature)>) -> Self {
        let sorted: std::collections::BTreeMap<u16, Signature> = signatures.into_iter().filter(|(signer, _)| members.key(*signer).is_some()).collect();
        let mut signers = vec![0; members.count().div_ceil(8)];
        for &signer in sorted.keys() {
            signers[usize::from(signer / 8)] |= 1 << (signer % 8);
        }
        Self { vote, signers, signatures: sorted.into_values().collect() }
    }

    /// The epoch of the vote.
    pub fn epoch(&self) -> Epoch {
        self.vote.epoch
    }

    /// The view of the vote.
    pub fn view(&self) -> View {
        self.vote.view
    }

    /// The finalized header's hash, if this is a finalization.
    pub fn finalized(&self) -> Option<Hash> {
        match self.vote.kind {
            Kind::Finalize(hash) => Some(hash),
            Kind::Notarize(_) | Kind::Nullify => None,
        }
    }

    /// Indices of the members whose bit is set. Bits beyond [`MEMBERS_MAX`] name nobody: a certificate that was only decoded may have any number of them.
    pub fn signers(&self) -> impl Iterator<Item = u16> + '_ {
        (0_u16..)
            .zip(self.signers.iter().take(MEMBERS_MAX.div_ceil(8)))
            .flat_map(|(byte, bits)| (0..8).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| byte * 8 + bit))
    }

    /// What its signers said, each with its own signature.
    pub fn votes(&self) -> impl Iterator<Item = SignedVote> + '_ {
        self.signers().zip(&self.signatures).map(|(signer, signature)| SignedVote { vote: self.vote, signer, signature: *signature })
    }

    /// Whether a quorum of `members` signed this on `chain`: canonical bitmap, quorum weight, then all signatures in one batch.
    ///
    /// # Errors
    /// [`CertificateError`], the cheapest check first.
    pub fn verify(&self, chain: Hash, members: &Members) -> Result<(), CertificateError> {
        let mut batch = Batch::new();
        self.collect(&Vote::context(chain), members, &mut batch)?;
        if batch.verify() { Ok(()) } else { Err(CertificateError::Signature) }
    }

    /// Checks all but the signatures, which are added to `batch`.
    fn collect(&self, context: &Context, members: &Members, batch: &mut Batch) -> Result<(), CertificateError> {
        let count = members.count();
        let padding = self.signers.last().map_or(0, |last| if count.is_multiple_of(8) { 0 } else { last >> (count % 8) });
        let is_padded = mutants::is(Mutant::PaddingBits);
        if !is_padded && (self.signers.len() != count.div_ceil(8) || padding != 0) {
            return Err(CertificateError::Bitmap { bytes: self.signers.len(), members: count });
        }
        let mut signers: Vec<u16> = self.signers().collect();
        if is_padded {
            signers.iter_mut().for_each(|signer| *signer = u16::try_from(usize::from(*signer) % count).unwrap_or_default());
        }
        if signers.len() != self.signatures.len() {
            return Err(CertificateError::Count { signatures: self.signatures.len(), signers: signers.len() });
        }
        let weight = members.sum(signers.iter().copied());
        if !members.is_quorum(weight) {
            return Err(CertificateError::NoQuorum { weight, total: members.total() });
        }
        let message = self.vote.sign_bytes(members.hash());
        for (signer, signature) in signers.into_iter().zip(&self.signatures) {
            let key = members.key(signer).expect("the bitmap has no bit beyond the last member");
            batch.push(key, context, &message, signature);
        }
        Ok(())
    }
}

/// Verifies certificates of one chain and one set, and remembers which it has verified: in an outage every justification repeats the last one's skips.
#[derive(Clone)]
pub struct Verifier {
    context: Context,
    members: Members,
    known: BTreeSet<Hash>,
    order: VecDeque<Hash>,
}

impl Verifier {
    /// Knows nothing yet.
    pub fn new(chain: Hash, members: Members) -> Self {
        Self { context: Vote::context(chain), members, known: BTreeSet::new(), order: VecDeque::new() }
    }

    /// Whether all of `certificates` are valid, in batches over those not known yet. A batch is small enough that megabytes of forged certificates cost no more
    /// than the first of them.
    ///
    /// # Errors
    /// The first structural fault, or [`CertificateError::Signature`] if any signature of any of them is wrong.
    pub fn verify<'a>(&mut self, certificates: impl IntoIterator<Item = &'a Certificate>) -> Result<(), CertificateError> {
        let (mut batch, mut fresh) = (Batch::new(), Vec::new());
        for certificate in certificates {
            let hash = Hash::of_value("certificate", certificate);
            if !self.known.contains(&hash) {
                certificate.collect(&self.context, &self.members, &mut batch)?;
                fresh.push(hash);
            }
            if batch.len() >= BATCH_SIGNATURES_MAX {
                self.settle(&mut batch, &mut fresh)?;
            }
        }
        self.settle(&mut batch, &mut fresh)
    }

    fn settle(&mut self, batch: &mut Batch, fresh: &mut Vec<Hash>) -> Result<(), CertificateError> {
        if !std::mem::take(batch).verify() {
            return Err(CertificateError::Signature);
        }
        for hash in fresh.drain(..) {
            self.remember(hash);
        }
        Ok(())
    }

    /// How many it remembers.
    pub(crate) fn known(&self) -> usize {
        self.known.len()
    }

    /// Takes a certificate built from votes that were verified.
    pub(crate) fn trust(&mut self, certificate: &Certificate) {
        self.remember(Hash::of_value("certificate", certificate));
    }

    fn remember(&mut self, hash: Hash) {
        if self.known.insert(hash) {
            self.order.push_back(hash);
        }
        if self.order.len() > KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} known)", self.known.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::Member;
    use primitives::SecretKey;
    use proptest::prelude::*;

    const CHAIN: Hash = Hash([9; 32]);

    fn secrets(count: u8) -> Vec<SecretKey> {
        (1..=count).map(|seed| SecretKey::from_seed(&[seed; 32])).collect()
    }

    fn members(secrets: &[SecretKey]) -> Members {
        Members::new(secrets.iter().map(|secret| Member { key: secret.public(), weight: 1 }).collect()).expect("valid")
    }

    fn certificate(secrets: &[SecretKey], signers: &[u16]) -> Certificate {
        let members = members(secrets);
        let vote = Vote { epoch: Epoch(0), view: View(4), kind: Kind::Notarize(Hash([1; 32])) };
        Certificate::new(vote, &members, signers.iter().map(|&index| (index, vote.sign(&secrets[usize::from(index)], CHAIN, members.hash(), index).signature)))
    }

    #[test]
    fn quorum_and_canonical_form() {
        let secrets = secrets(4);
        let members = members(&secrets);
        let good = certificate(&secrets, &[3, 0, 2]);
        assert_eq!(good.signers().collect::<Vec<_>>(), [0, 2, 3]);
        assert_eq!(good.verify(CHAIN, &members), Ok(()));
        assert_eq!(good.verify(Hash::ZERO, &members), Err(CertificateError::Signature));
        assert_eq!(certificate(&secrets, &[0, 1]).verify(CHAIN, &members), Err(CertificateError::NoQuorum { weight: 2, total: 4 }));

        let padded = Certificate { signers: vec![0b1_1101], ..good.clone() };
        assert_eq!(padded.verify(CHAIN, &members), Err(CertificateError::Bitmap { bytes: 1, members: 4 }));
        let long = Certificate { signers: vec![0b1101, 0], ..good.clone() };
        assert_eq!(long.verify(CHAIN, &members), Err(CertificateError::Bitmap { bytes: 2, members: 4 }));
        let extra = Certificate { signers: vec![0b1111], ..good.clone() };
        assert_eq!(extra.verify(CHAIN, &members), Err(CertificateError::Count { signatures: 3, signers: 4 }));
        let moved = Certificate { signers: vec![0b1011], ..good.clone() };
        assert_eq!(moved.verify(CHAIN, &members), Err(CertificateError::Signature));
        let other = Certificate { vote: Vote { kind: Kind::Nullify, ..good.vote }, ..good };
        assert_eq!(other.verify(CHAIN, &members), Err(CertificateError::Signature));
    }

    /// What a stranger sends is looked at before it is verified.
    #[test]
    fn a_long_bitmap_names_no_more_than_can_vote() {
        let secrets = secrets(4);
        let long = Certificate { signers: vec![0xff; 10_000], ..certificate(&secrets, &[0, 1, 2]) };
        assert_eq!(long.signers().count(), MEMBERS_MAX);
        assert_eq!(long.verify(CHAIN, &members(&secrets)), Err(CertificateError::Bitmap { bytes: 10_000, members: 4 }));
    }

    #[test]
    fn encoded_length() {
        let (secrets, count) =
            (secrets(9), |signatures: usize, members: usize| CERTIFICATE_BYTES_MAX - 64 * (MEMBERS_MAX - signatures) - (MEMBERS_MAX - members) / 8);
        let all = certificate(&secrets, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(primitives::encoding::encode(&all).len(), count(9, 16));
    }

    #[test]
    fn a_verifier_agrees_and_forgets_nothing_wrong() {
        let secrets = secrets(4);
        let good = certificate(&secrets, &[0, 1, 2]);
        let mut bad = certificate(&secrets, &[1, 2, 3]);
        bad.signatures[1].0[7] ^= 1;
        let mut verifier = Verifier::new(CHAIN, members(&secrets));
        assert_eq!(verifier.verify([&good, &bad]), Err(CertificateError::Signature));
        assert_eq!(verifier.verify([&good]), Ok(()));
        assert_eq!(verifier.verify([&good, &good]), Ok(()));
        assert_eq!(verifier.verify([&bad]), Err(CertificateError::Signature));
    }

    /// Of forged certificates no more are looked at than one batch holds.
    #[test]
    fn a_flood_of_forgeries_costs_one_batch() {
        let secrets = secrets(4);
        let mut verifier = Verifier::new(CHAIN, members(&secrets));
        let forged: Vec<Certificate> = (0..50_000_u32)
            .map(|number| {
                let mut certificate = certificate(&secrets[..1], &[0]);
                certificate.signers = vec![0b0111];
                certificate.signatures = vec![certificate.signatures[0]; 3];
                certificate.signatures[0].0[..4].copy_from_slice(&number.to_le_bytes());
                certificate
            })
            .collect();
        let mut looked_at = 0;
        let verdict = verifier.verify(forged.iter().inspect(|_| looked_at += 1));
        assert_eq!(verdict, Err(CertificateError::Signature));
        assert!(looked_at <= BATCH_SIGNATURES_MAX / 3 + 1, "{looked_at}");
        assert_eq!((verifier.known.len(), verifier.order.len()), (0, 0));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let secrets = secrets(9);
            if let Ok(certificate) = primitives::encoding::decode::<Certificate>(&bytes, 1000) {
                prop_assert!(certificate.verify(CHAIN, &members(&secrets)).is_err());
            }
        }

        #[test]
        fn subsets(count in 1..20u8, bits in any::<u32>()) {
            let secrets = secrets(count);
            let signers: Vec<u16> = (0..u16::from(count)).filter(|index| bits >> index & 1 == 1).collect();
            let quorum = 3 * signers.len() > 2 * usize::from(count);
            prop_assert_eq!(certificate(&secrets, &signers).verify(CHAIN, &members(&secrets)).is_ok(), quorum);
        }
    }
}
