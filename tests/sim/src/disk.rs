//! What a node has on its disk, and how a crash leaves it.
//!
//! The signer's slot is two blocks overwritten in place: a crash in the middle of a write keeps any prefix of it or any set of its 512-byte sectors. Everything
//! else is written in batches that are whole or not there, as a database's synced batches are.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use borsh::BorshDeserialize;
use consensus::message::Stored;
use consensus::slot::{Medium, SLOT_BLOCK_BYTES, Slot};
use consensus::{Block, Justification};
use primitives::{Hash, PublicKey};

use crate::dice::Dice;

/// Bytes a disk writes as one.
const SECTOR_BYTES: usize = 512;

/// What is left of a write that a crash interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Torn {
    /// The first so many bytes.
    Prefix(usize),
    /// Sector `i` if bit `i` is set.
    Sectors(u8),
}

impl Torn {
    /// Any of them.
    pub fn any(dice: &mut Dice) -> Self {
        if dice.chance(500) { Self::Prefix(dice.index(SLOT_BLOCK_BYTES + 1)) } else { Self::Sectors(u8::try_from(dice.below(256)).unwrap_or(0)) }
    }

    fn apply(self, old: &mut [u8], new: &[u8]) {
        match self {
            Self::Prefix(bytes) => {
                let bytes = bytes.min(new.len());
                old[..bytes].copy_from_slice(&new[..bytes]);
            }
            Self::Sectors(kept) => {
                for (sector, (old, new)) in old.chunks_mut(SECTOR_BYTES).zip(new.chunks(SECTOR_BYTES)).enumerate() {
                    if kept >> sector & 1 == 1 {
                        old.copy_from_slice(new);
                    }
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Platter {
    bytes: Vec<u8>,
    crash: Option<Torn>,
}

/// The medium of a signer's slot; clones share it.
#[derive(Clone, Debug, Default)]
pub struct SlotDisk(Arc<Mutex<Platter>>);

/// What the slot's latest valid record says, read here without the signer's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshDeserialize)]
pub struct SlotRecord {
    /// The format.
    pub version: u8,
    /// Writes so far.
    pub sequence: u64,
    /// The chain.
    pub chain: Hash,
    /// The key.
    pub key: PublicKey,
    /// What was signed.
    pub slot: Slot,
}

impl SlotDisk {
    /// The next write is interrupted and leaves this.
    pub fn crash_in_next_write(&self, torn: Torn) {
        self.platter().crash = Some(torn);
    }

    /// The latest valid record.
    pub fn record(&self) -> Option<SlotRecord> {
        let platter = self.platter();
        let read = |block: &[u8]| {
            let (body, check) = block.split_at_checked(SLOT_BLOCK_BYTES - 32)?;
            let length = usize::try_from(u32::from_le_bytes(body.first_chunk().copied()?)).ok()?;
            let record = SlotRecord::try_from_slice(body.get(4..4 + length)?).ok()?;
            (Hash::of("signer-slot", &[body]).0 == check).then_some(record)
        };
        platter.bytes.chunks(SLOT_BLOCK_BYTES).filter_map(read).max_by_key(|record| record.sequence)
    }

    fn platter(&self) -> std::sync::MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Medium for SlotDisk {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.platter().bytes.clone())
    }

    fn write(&mut self, half: u64, block: &[u8; SLOT_BLOCK_BYTES]) -> io::Result<()> {
        let mut platter = self.platter();
        platter.bytes.resize(2 * SLOT_BLOCK_BYTES, 0);
        let crash = platter.crash.take();
        let start = if half == 0 { 0 } else { SLOT_BLOCK_BYTES };
        let old = &mut platter.bytes[start..start + SLOT_BLOCK_BYTES];
        match crash {
            None => old.copy_from_slice(block),
            Some(torn) => {
                torn.apply(old, block);
                return Err(io::Error::other("the power is gone"));
            }
        }
        Ok(())
    }
}

/// Everything durable.
#[derive(Debug, Default)]
pub struct Disk {
    /// Finalized blocks from height 1 on.
    pub chain: Vec<Stored>,
    /// The kept justification.
    pub justification: Option<Justification>,
    /// Kept undecided blocks.
    pub blocks: Vec<Arc<Block>>,
    /// The signer's slot.
    pub slot: SlotDisk,
}

impl Disk {
    /// Loses everything but the slot.
    pub fn wipe(&mut self) {
        *self = Self { slot: self.slot.clone(), ..Self::default() };
    }

    /// The height of the last finalized block.
    pub fn height(&self) -> u64 {
        self.chain.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::vote::{Kind, Vote};
    use consensus::{Member, Members, Signer};
    use primitives::{Epoch, SecretKey, View};

    /// Whatever an interrupted write leaves, the slot says what it said before or what it was to say, and nothing was signed meanwhile.
    #[test]
    fn torn_writes_keep_the_slot() {
        let secret = SecretKey::from_seed(&[1; 32]);
        let members = Members::new(vec![Member { key: secret.public(), weight: 1 }]).expect("valid");
        let mut dice = Dice::new(5);
        for _ in 0..200 {
            let disk = SlotDisk::default();
            let open = || {
                let mut signer = Signer::on(disk.clone(), secret.clone(), Hash::ZERO).expect("readable");
                signer.seat(Epoch(0), &members);
                signer
            };
            let vote = |view| Vote { epoch: Epoch(0), view: View(view), kind: Kind::Nullify };
            let mut signer = open();
            signer.sign(vote(1)).expect("allowed");
            disk.crash_in_next_write(Torn::any(&mut dice));
            assert!(signer.sign(vote(2)).is_err() && signer.sign(vote(3)).is_err());
            let slot = open().slot();
            assert!(slot.view == View(1) || slot.view == View(2));
            assert_eq!(disk.record().map(|record| record.slot), Some(slot));
        }
    }
}
