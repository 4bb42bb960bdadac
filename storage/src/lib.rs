//! Storage: how a file becomes slices that any k of n holders can give back, and how a holder keeps them.
//!
//! # Protocol
//! 1. A [`profile`] says how a file is cut: segments, encrypted chunks, `k + m` slices; all positions follow from it.
//! 2. The owner's machine encrypts each segment under a fresh key of the file ([`cipher`]).
//! 3. The ciphertext is coded: `k` slices are its runs, `m` more replace any `m` that are lost ([`code`]).
//! 4. Each slice has a BLAKE3 root; whoever has the root verifies any range as it arrives ([`commit`]). [`segment`] is steps 2 to 4 in one.
//! 5. The [`manifest`] names the roots for everyone and, sealed, the file's name and key for its owner. Its hash is the file's id.
//! 6. [`placement`] says which nodes hold which slices, and anyone can check it.
//! 7. A holder writes a slice, verifies it, makes it durable and only then acknowledges it; it verifies again whatever it hands out ([`store`]).
//!
//! # Invariants
//! - **STORE-1** Any `k` of a segment's `n` slices give back its plaintext, to the byte; fewer are refused with their number.
//! - **STORE-2** No byte of a range is handed out, by a holder or to a reader, before its group agrees with the slice's root.
//! - **STORE-3** A slice whose `finish` returned is there after any crash; one whose `finish` did not return leaves nothing after the next opening.
//! - **STORE-4** Bytes used and reserved are together at most the capacity, and equal what is stored and being written.
//! - **STORE-5** Without a wrapped key, a manifest and its slices tell sizes and times of transfer, nothing of content, name or type.
//!
//! # Assumptions
//! AES-256-GCM and HKDF-SHA256 are secure, BLAKE3 is collision resistant, the system's random source works, and the disk keeps what it has synced.
//!
//! Slice roots travel in [`primitives::Hash`]: there it is 32 opaque bytes, not a SHA-256. Nothing here knows of a network, a ledger or a clock.
//!
//! # Source
//! The layout follows Storj and Tahoe-LAFS (encrypt, then code, then hash). We differ in coding contiguous runs instead of interleaved stripes, so that a range
//! of a healthy file is read from one or two holders, and in hashing slices with BLAKE3, so that a reader needs no other proof than the root.

pub mod cipher;
pub mod code;
pub mod commit;
pub mod manifest;
pub mod placement;
pub mod profile;
pub mod segment;
pub mod store;

pub use cipher::{FileKey, KeyWrap, OwnerSecret, SegmentCipher};
pub use code::Code;
pub use manifest::{Details, FileId, Manifest};
pub use profile::{Profile, ProfileId};
pub use store::{SliceError, SliceStore, SliceWriter};
