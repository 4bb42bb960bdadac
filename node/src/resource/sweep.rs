//! Dropping slices that no file needs.
//!
//! A slice that a file needed and needs no more is dropped at the next look. One that no file has needed yet is kept until its upload can no longer be
//! recorded: [`meta::anchor::DRAFT_EPOCHS`] after its ticket's epoch.

use std::collections::BTreeSet;
use std::time::Duration;

use borsh::BorshDeserialize as _;
use client::ledger::{Ledger, LedgerError};
use client::transfer::Carrier;
use client::transfer::carrier::Label;
use meta::anchor::{Anchor, DRAFT_EPOCHS};
use meta::files::SliceRecord;
use meta::keys;
use primitives::{Epoch, Hash};
use storage::store::SliceInfo;
use tokio::time::sleep;
use tracing::{debug, error, info};

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// Slices looked at each time.
const SLICES_PER_ROUND: usize = 256;
/// Slices remembered as needed; above it the oldest rule decides alone.
const NEEDED_MAX: usize = 1 << 20;

/// Sweeps for ever, a page of slices at a time.
pub async fn run(name: String, meta: Ledger, carrier: Carrier) {
    let (mut after, mut needed) = (None, BTreeSet::new());
    loop {
        sleep(INTERVAL).await;
        match round(&name, &meta, &carrier, after, &mut needed).await {
            Ok(next) => after = next,
            Err(cause) => debug!(node = name, error = %cause, "no sweep"),
        }
    }
}

/// Looks at one page; the place where the next begins.
async fn round(name: &str, meta: &Ledger, carrier: &Carrier, after: Option<Hash>, needed: &mut BTreeSet<Hash>) -> Result<Option<Hash>, LedgerError> {
    let store = carrier.store().clone();
    let page: Vec<(Hash, SliceInfo)> = match tokio::task::spawn_blocking(move || store.list(after, SLICES_PER_ROUND)).await {
        Ok(Ok(page)) => page,
        Ok(Err(cause)) => {
            error!(node = name, error = %cause, "the list of slices cannot be read");
            return Ok(after);
        }
        Err(_) => return Ok(after),
    };
    if page.is_empty() {
        return Ok(None);
    }
    let anchor_key = keys::anchor();
    let asked = std::iter::once(anchor_key.clone()).chain(page.iter().map(|(root, _)| keys::slice(root))).collect();
    let reading = meta.read(asked).await?;
    let Some(epoch) = reading.value::<Anchor>(&anchor_key).map(|anchor| anchor.epoch) else { return Ok(after) };
    let me = carrier.identity().carrier;
    for (root, info) in &page {
        let key = keys::slice(root);
        let record: Option<SliceRecord> = reading.value(&key);
        if record.is_none() && reading.bytes(&key).flatten().is_some() {
            error!(node = name, slice = %root, "the record of a slice cannot be read: is this program too old? the slice is kept");
            continue;
        }
        let record = record.unwrap_or_default();
        if record.files.iter().any(|(_, holder)| *holder == me) {
            if needed.len() < NEEDED_MAX {
                needed.insert(*root);
            }
        } else if needed.remove(root) || is_stale(info, epoch) {
            drop_slice(name, carrier, *root).await;
        }
    }
    Ok(page.last().filter(|_| page.len() == SLICES_PER_ROUND).map(|(root, _)| *root))
}

/// Whether the upload of a slice can no longer be recorded.
fn is_stale(info: &SliceInfo, epoch: Epoch) -> bool {
    let label = Label::try_from_slice(&info.label);
    label.is_ok_and(|label| label.epoch.0.saturating_add(DRAFT_EPOCHS) < epoch.0)
}

async fn drop_slice(name: &str, carrier: &Carrier, root: Hash) {
    let store = carrier.store().clone();
    match tokio::task::spawn_blocking(move || store.delete(root)).await {
        Ok(Ok(_)) => {
            carrier.books().dropped(&root);
            info!(node = name, slice = %root, "dropped a slice that no file needs");
        }
        Ok(Err(cause)) => debug!(node = name, slice = %root, error = %cause, "a slice that no file needs is still there"),
        Err(_) => {}
    }
}
