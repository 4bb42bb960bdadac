//! Client: what a user needs and no node needs: a wallet, proven reads of both ledgers, and files that are encrypted here and paid for as they move.
//!
//! # In reading order
//! 1. [`wallet`] keys under a passphrase.
//! 2. [`ledger`] a light client: values with proofs, transactions until they are final.
//! 3. [`transfer`] one slice between a payer and a carrier, both ends, paid as it flows.
//! 4. [`session`] a hot key of the wallet: reservations, tickets, channels.
//! 5. [`files`] put, get, stream, list, remove.
//!
//! # Invariants
//! Each module names its own: `MOVE` in [`transfer`], `SESSION` in [`session`], `FILE` in [`files`].
//!
//! # Assumptions
//! The genesis file is what everybody took it to be, and of both ledgers' voters less than a third is faulty. Carriers, meta nodes and replicas may each lie:
//! what they say is proven, signed or verified against a root before it is used or paid.

pub mod wallet;
pub mod ledger;
pub mod transfer;
pub mod session;
pub mod files;
