//! The keys of the metadata ledger's tree, in the rooms of [`chain::keys`]: 5 traffic, 6 files, 7 epochs. Reports and their parts are under
//! [`pot::report::key`] and [`pot::report::part_key`], reservations, sessions, who has claimed and what was claimed from them under the keys of
//! [`pot::allowance`]: the value ledger reads them.

use chain::keys::key;
use primitives::{Address, Epoch, Hash};

/// A carrier's claim, until its epoch is closed.
pub fn claim(epoch: Epoch, carrier: &Address) -> Vec<u8> {
    key(5, b'k', &[&epoch.0.to_be_bytes(), &carrier.0])
}

/// A file's record.
pub fn file(id: &Hash) -> Vec<u8> {
    key(6, b'f', &[&id.0])
}

/// The number of an owner's files.
pub fn owner_count(owner: &Address) -> Vec<u8> {
    key(6, b'c', &[&owner.0])
}

/// One page of an owner's files.
pub fn owner_page(owner: &Address, page: u32) -> Vec<u8> {
    key(6, b'o', &[&owner.0, &page.to_be_bytes()])
}

/// Where a file is in its owner's pages.
pub fn position(id: &Hash) -> Vec<u8> {
    key(6, b'x', &[&id.0])
}

/// Who holds a slice, for which files.
pub fn slice(root: &Hash) -> Vec<u8> {
    key(6, b's', &[&root.0])
}

/// The newest anchor.
pub fn anchor() -> Vec<u8> {
    key(7, b'a', &[])
}

/// The active meta nodes, in the order of their votes.
pub fn metas() -> Vec<u8> {
    key(7, b'm', &[])
}

/// Who votes.
pub fn voters() -> Vec<u8> {
    key(7, b'v', &[])
}

/// Who of the value ledger is believed, by hash.
pub fn trust() -> Vec<u8> {
    key(7, b't', &[])
}

/// The voters of the value ledger who are believed.
pub fn trusted() -> Vec<u8> {
    key(7, b'w', &[])
}

/// The seed and the active nodes of an epoch.
pub fn registry(epoch: Epoch) -> Vec<u8> {
    key(7, b'r', &[&epoch.0.to_be_bytes()])
}

/// Which epochs wait to be closed, and who worked in the one that is next.
pub fn closing() -> Vec<u8> {
    key(7, b'q', &[])
}

#[cfg(test)]
mod tests {
    use pot::allowance::{claimants_key, claimed_key, payer_key, session_key};
    use primitives::PublicKey;

    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn order_of_keys_is_order_of_fields() {
        let address = |first| Address([first; 20]);
        let public = PublicKey([7; 32]);
        assert!(claimed_key(Epoch(255), &public) < claimed_key(Epoch(256), &public));
        assert!(claim(Epoch(1), &address(255)) < claim(Epoch(2), &address(0)) && claim(Epoch(1), &address(1)) < claim(Epoch(1), &address(2)));
        assert!(claimants_key(Epoch(255)) < claimants_key(Epoch(256)) && registry(Epoch(255)) < registry(Epoch(256)));
        assert!(owner_page(&address(1), 255) < owner_page(&address(1), 256) && owner_page(&address(1), 256) < owner_page(&address(2), 0));
        assert!(pot::report::part_key(Epoch(1), 255) < pot::report::part_key(Epoch(1), 256));
        assert!(pot::report::part_key(Epoch(1), 256) < pot::report::part_key(Epoch(2), 0));
    }

    #[test]
    fn keys_are_distinct() {
        let (address, hash, public) = (Address([7; 20]), Hash([7; 32]), PublicKey([7; 32]));
        let keys = [
            payer_key(&address),
            session_key(&public),
            claimed_key(Epoch(1), &public),
            claim(Epoch(1), &address),
            claimants_key(Epoch(1)),
            file(&hash),
            owner_count(&address),
            owner_page(&address, 0),
            position(&hash),
            slice(&hash),
            anchor(),
            metas(),
            voters(),
            trust(),
            trusted(),
            registry(Epoch(1)),
            closing(),
            pot::report::key(Epoch(1)),
            pot::report::part_key(Epoch(1), 0),
            chain::keys::history(),
        ];
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
    }
}
