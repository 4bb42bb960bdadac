//! What the metadata ledger says now, told to the carrier.

use std::time::Duration;

use client::ledger::{Ledger, LedgerError};
use client::transfer::{Carrier, Terms};
use meta::anchor::{Anchor, Meta};
use meta::keys;
use tracing::debug;

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Tells the carrier whenever the terms change.
pub async fn follow(name: String, meta: Ledger, carrier: Carrier) {
    let mut known: Option<Terms> = None;
    loop {
        match read(&meta).await {
            Ok(terms) => {
                if known.as_ref() != Some(&terms) {
                    debug!(node = name, epoch = %terms.epoch, "new terms");
                    carrier.set_terms(terms.clone());
                    known = Some(terms);
                }
            }
            Err(error) => debug!(node = name, %error, "the metadata ledger does not answer"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn read(meta: &Ledger) -> Result<Terms, LedgerError> {
    let (anchor, metas) = (keys::anchor(), keys::metas());
    let reading = meta.read(vec![anchor.clone(), metas.clone()]).await?;
    let epoch = reading.value::<Anchor>(&anchor).map(|anchor| anchor.epoch).unwrap_or_default();
    let issuers = reading.value::<Vec<Meta>>(&metas).unwrap_or_default();
    Ok(Terms { epoch, issuers: issuers.into_iter().map(|meta| (meta.operator, meta.key)).collect() })
}
