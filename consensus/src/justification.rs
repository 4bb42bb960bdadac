//! Why a view may be entered: one certificate for the block it builds on, one nullification per view skipped since.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::{Epoch, Hash, View};

use crate::certificate::{Certificate, CertificateError, Verifier};
use crate::mutants::{self, Mutant};
use crate::vote::Kind;

/// Most bytes of an encoded justification: more skips than this and the chain needs range votes (see the crate's page).
pub const JUSTIFICATION_BYTES_MAX: usize = 4 << 20;

/// What a view builds on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Base {
    /// The block before the epoch, which plays view 0.
    Start,
    /// A notarization or a finalization of this epoch.
    Certified(Certificate),
}

/// `J(v)`: `base` of a view `p < v` and nullifications of every view between them.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Justification {
    /// The epoch all certificates are of.
    pub epoch: Epoch,
    /// What is built on.
    pub base: Base,
    /// Nullifications of `p + 1 ..= v - 1`, in order.
    pub skips: Vec<Certificate>,
}

/// Why a justification justifies nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JustificationError {
    /// A certificate of another epoch.
    #[error("a certificate of epoch {found} in a justification of epoch {expected}")]
    Epoch {
        /// Its epoch.
        found: Epoch,
        /// The justification's.
        expected: Epoch,
    },
    /// The base is a nullification, or of view 0.
    #[error("the base certifies no block of this epoch")]
    Base,
    /// A skip that is no nullification, or not of the next view.
    #[error("skip {index} is not the nullification of view {view}")]
    Skip {
        /// Position among the skips.
        index: usize,
        /// The view that must be nullified there.
        view: View,
    },
    /// A certificate that proves nothing.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Base {
    /// The view of the block built on; 0 for the block before the epoch.
    pub fn view(&self) -> View {
        match self {
            Self::Start => View(0),
            Self::Certified(certificate) => certificate.view(),
        }
    }

    /// The hash of the block built on, given the hash of the block before the epoch. `None` for a nullification, which cannot be a base.
    pub fn block(&self, start: Hash) -> Option<Hash> {
        match self {
            Self::Start => Some(start),
            Self::Certified(certificate) => certificate.vote.kind.block(),
        }
    }
}

impl Justification {
    /// `J(1)`: the epoch's first view builds on the block before it.
    pub fn first(epoch: Epoch) -> Self {
        Self { epoch, base: Base::Start, skips: Vec::new() }
    }

    /// `J(w + 1)` by a notarization or finalization of `w`.
    pub fn after(certificate: Certificate) -> Self {
        Self { epoch: certificate.epoch(), base: Base::Certified(certificate), skips: Vec::new() }
    }

    /// The view it lets one enter. Saturates, so that no decoded value panics.
    pub fn view(&self) -> View {
        View(self.base.view().0.saturating_add(u64::try_from(self.skips.len()).unwrap_or(u64::MAX))).next()
    }

    /// All of it, in order of their views.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        let base = match &self.base {
            Base::Start => None,
            Base::Certified(certificate) => Some(certificate),
        };
        base.into_iter().chain(&self.skips)
    }

    /// The certificate that moved its holder from the view before; `None` for the first view of an epoch.
    pub fn last(&self) -> Option<&Certificate> {
        self.certificates().last()
    }

    /// What a header names it by. Covers the signatures too, so that a block fixes one justification.
    pub fn digest(&self) -> Hash {
        Hash::of_value("justification", self)
    }

    /// Whether it justifies entering [`Justification::view`]: kinds and views in order, then all signatures in one batch.
    ///
    /// # Errors
    /// [`JustificationError`], the cheapest check first.
    pub fn verify(&self, verifier: &mut Verifier) -> Result<(), JustificationError> {
        let base = match &self.base {
            Base::Start => None,
            Base::Certified(certificate) => {
                if certificate.vote.kind == Kind::Nullify || certificate.view() == View(0) {
                    return Err(JustificationError::Base);
                }
                Some(certificate)
            }
        };
        if mutants::is(Mutant::SkipsUnchecked) {
            return Ok(verifier.verify(base)?);
        }
        let mut view = self.base.view();
        for (index, skip) in self.skips.iter().enumerate() {
            view = view.next();
            if skip.vote.kind != Kind::Nullify || skip.view() != view {
                return Err(JustificationError::Skip { index, view });
            }
        }
        for certificate in self.certificates() {
            if certificate.epoch() != self.epoch {
                return Err(JustificationError::Epoch { found: certificate.epoch(), expected: self.epoch });
            }
        }
        Ok(verifier.verify(self.certificates())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Cast;
    use primitives::encoding::{decode, encode};
    use proptest::prelude::*;

    #[test]
    fn views_and_faults() {
        let cast = Cast::new(&[1, 1, 1, 1]);
        let block = Hash([1; 32]);
        let mut verifier = Verifier::new(cast.chain, cast.members.clone());
        let (base, skip) = (cast.certificate(3, Kind::Notarize(block)), |view| cast.certificate(view, Kind::Nullify));
        let good = Justification { epoch: Epoch(0), base: Base::Certified(base.clone()), skips: vec![skip(4), skip(5)] };
        assert_eq!((good.view(), good.base.block(Hash::ZERO)), (View(6), Some(block)));
        assert_eq!(good.verify(&mut verifier), Ok(()));
        assert_eq!(good.last(), Some(&skip(5)));

        let gap = Justification { skips: vec![skip(5)], ..good.clone() };
        assert_eq!(gap.verify(&mut verifier), Err(JustificationError::Skip { index: 0, view: View(4) }));
        let wrong_kind = Justification { skips: vec![cast.certificate(4, Kind::Notarize(block))], ..good.clone() };
        assert_eq!(wrong_kind.verify(&mut verifier), Err(JustificationError::Skip { index: 0, view: View(4) }));
        let no_base = Justification { base: Base::Certified(skip(3)), skips: vec![], ..good.clone() };
        assert_eq!(no_base.verify(&mut verifier), Err(JustificationError::Base));
        let epoch = Justification { epoch: Epoch(1), ..good.clone() };
        assert_eq!(epoch.verify(&mut verifier), Err(JustificationError::Epoch { found: Epoch(0), expected: Epoch(1) }));
        let weak = Justification { skips: vec![cast.certificate_of(4, Kind::Nullify, &[0, 1])], ..good };
        assert!(matches!(weak.verify(&mut verifier), Err(JustificationError::Certificate(CertificateError::NoQuorum { weight: 2, total: 4 }))));

        assert_eq!(Justification::first(Epoch(0)).view(), View(1));
        assert_eq!(Justification::first(Epoch(0)).verify(&mut verifier), Ok(()));
        assert_eq!(Justification::after(base).view(), View(4));
    }

    proptest! {
        #[test]
        fn any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), flip in any::<usize>(), bit in 0..8_u8) {
            let cast = Cast::new(&[1, 1, 1, 1]);
            let mut verifier = Verifier::new(cast.chain, cast.members.clone());
            if let Ok(justification) = decode::<Justification>(&bytes, JUSTIFICATION_BYTES_MAX) {
                let _ = (justification.view(), justification.last());
                prop_assert!(justification.verify(&mut verifier).is_err() || justification == Justification::first(justification.epoch));
            }
            // One bit of a good one: still itself in no case.
            let good = Justification { epoch: Epoch(0), base: Base::Certified(cast.certificate(1, Kind::Finalize(Hash::ZERO))), skips: vec![cast.certificate(2, Kind::Nullify)] };
            bytes = encode(&good);
            let at = flip % bytes.len();
            bytes[at] ^= 1_u8 << bit;
            if let Ok(flipped) = decode::<Justification>(&bytes, JUSTIFICATION_BYTES_MAX) {
                prop_assert!(flipped.verify(&mut verifier).is_err());
            }
        }
    }
}
