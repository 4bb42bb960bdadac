//! Primitives: what every room speaks: hashes, keys and signatures, Merkle trees, the canonical encoding, units.
//!
//! # In reading order
//! 1. [`encoding`] one value, one byte string: borsh, with nothing left over.
//! 2. [`hash`] SHA-256 under a domain string, so that no two kinds of object can share a hash.
//! 3. [`units`] numbers that cannot be mixed: coins, ozone, bytes, heights, views, epochs, time.
//! 4. [`schnorr`] Schnorr signatures over ristretto255, byte-compatible with sr25519.
//! 5. `curve`: points of ristretto255, over field elements of any processor.
//! 6. [`portable`] the sum that decides about many signatures, in plain Rust, faster than its parts alone allow.
//! 7. [`vector`] the same verdicts eight or four side by side, where the processor can.
//! 8. `claims`: what many signatures say, and the sum that decides about them.
//! 9. [`batch`] many of them at once, with a verdict that cannot differ from one by one.
//! 10. [`aggregate`] many of them in half the bytes.
//! 11. [`account`] who owns money: an address, whatever the type of its key.
//! 12. [`merkle`] a list under one hash, and proofs of its members.
//! 13. `mutants`: rules left out one at a time, for the tests that must notice.
//!
//! # Invariants
//! - **PRIM-1** `decode(encode(x)) = x`, and bytes that decode re-encode to the same bytes.
//! - **PRIM-2** A batch accepts exactly when every signature in it is valid on its own (up to 2^-128).
//! - **PRIM-3** A Merkle proof fits one index of one list length only.
//! - **PRIM-4** An aggregate that is made of valid signatures holds; who can make one that holds has a valid signature for each claim (up to 2^-128 for each
//!   try).
//!
//! # Assumptions
//! SHA-256 is collision resistant, the discrete logarithm in ristretto255 is hard, the operating system's random source works when keys are made.

pub mod account;
pub mod aggregate;
pub mod batch;
mod claims;
mod curve;
pub mod encoding;
pub mod hash;
pub mod merkle;
mod mutants;
pub mod portable;
#[cfg(test)]
mod samples;
pub mod schnorr;
pub mod units;
pub mod vector;

pub use account::{AccountKey, AccountSecret, Address};
pub use aggregate::Aggregate;
pub use hash::Hash;
pub use schnorr::{Context, PublicKey, SecretKey, Signature, VerifyingKey};
pub use units::{Amount, Bytes, Epoch, Height, Noz, Time, View};
