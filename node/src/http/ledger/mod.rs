//! Questions about the ledgers, answered from this node's own replicas.

pub mod status;
pub mod genesis;
pub mod nodes;
pub mod blocks;
pub mod transactions;
pub mod accounts;
pub mod epochs;
pub mod reports;
pub mod validators;
pub mod evidence;
pub mod decisions;
pub mod proof;
pub mod past;
pub mod events;

/// A count as numbers are written.
fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}
