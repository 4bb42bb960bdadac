//! Validators and their stake.
//!
//! Keys: `2 v`. The set is fixed at genesis in the order of its votes; bonding, unbonding, delegation and slashing act on the next epoch's snapshot and have
//! their place here.

use borsh::{BorshDeserialize, BorshSerialize};
use consensus::members::{Member, Members, MembersError};
use primitives::units::WEI_PER_STOS;
use primitives::{Address, Amount, PublicKey};

use crate::keys::{self, Read};

/// Validators in a set at most.
pub const VALIDATORS_MAX: usize = 128;

/// One validator.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Validator {
    /// Account of the operator; rewards and tips go there.
    pub operator: Address,
    /// Key of its votes.
    pub key: PublicKey,
    /// Stake in wei; a vote weighs the whole stos of it.
    pub stake: Amount,
}

/// The validators in the order of their votes.
pub fn validators(state: &impl Read) -> Vec<Validator> {
    keys::read(state, &keys::validators()).unwrap_or_default()
}

/// The weight of a stake: whole stos, rounded down, so that three times any sum of weights fits `u128`.
pub fn weight(stake: Amount) -> u64 {
    u64::try_from(stake.0 / WEI_PER_STOS).unwrap_or(u64::MAX)
}

/// The member set that these validators form.
///
/// # Errors
/// Whatever [`Members::new`] refuses: no validator, a key that is no key or is there twice, no weight.
pub fn members(validators: &[Validator]) -> Result<Members, MembersError> {
    Members::new(validators.iter().map(|validator| Member { key: validator.key, weight: weight(validator.stake) }).collect())
}
