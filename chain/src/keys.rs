//! The keys of both ledgers' trees: two namespace bytes, then fields whose order is the order of the keys.
//!
//! | first byte | room |
//! |---|---|
//! | 1 | accounts, pools, profiles |
//! | 2 | staking, slashing |
//! | 3 | meta registry |
//! | 4 | resource registry |
//! | 5 | traffic: ozone, settlement, rewards; in the metadata ledger: allowances, claims, reports |
//! | 6 | files (metadata ledger) |
//! | 7 | parameters, epochs, governance |
//! | 10 | checkpoints: the history of headers |
//!
//! 8, 9, 11 to 13 are reserved for contracts, bridge, compute, database and CDN.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::{decode, encode};
use primitives::{Address, Epoch, Hash, PublicKey};
use state::{Overlay, Sealed, rule};

use crate::ballots::Motion;

pub use state::VALUE_BYTES_MAX;

/// Anything that values can be read from: the state of a block, sealed or under execution.
pub trait Read {
    /// The bytes under `key`.
    fn bytes(&self, key: &[u8]) -> Option<Vec<u8>>;
}

impl Read for Overlay {
    fn bytes(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.get(key)
    }
}

impl Read for Sealed {
    fn bytes(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.get(key)
    }
}

/// The value under `key`.
pub fn read<T: BorshDeserialize>(state: &impl Read, key: &[u8]) -> Option<T> {
    state.bytes(key).map(|bytes| decode(&bytes, VALUE_BYTES_MAX).expect("the ledger wrote this value itself, and the tree's root vouches for it"))
}

/// Writes `value` under `key`.
pub fn write<T: BorshSerialize>(state: &mut Overlay, key: &[u8], value: &T) {
    state.put(key.to_vec(), encode(value)).expect("what the ledger keeps is far below a value's limit: its parts are bounded where transactions are checked");
}

/// These in the order of their keys' paths ([`rule::path`]), in which the tree has them: neighbours lie together in memory. A hundred thousand payers are
/// charged and paid in some 370 ms so, in 450 in the order of their addresses (`make bench-ledger`, EPYC).
pub fn in_tree_order<T>(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> Vec<u8>) -> Vec<T> {
    let mut placed: Vec<(Hash, T)> = items.into_iter().map(|item| (rule::path(&key(&item)), item)).collect();
    placed.sort_by_key(|(path, _)| *path);
    placed.into_iter().map(|(_, item)| item).collect()
}

/// A key from its namespace and fields.
pub fn key(room: u8, table: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![room, table];
    for field in fields {
        key.extend_from_slice(field);
    }
    key
}

/// An account's record.
pub fn account(address: &Address) -> Vec<u8> {
    key(1, b'a', &[&address.0])
}

/// All accounts.
pub fn accounts() -> Vec<u8> {
    key(1, b'a', &[])
}

/// What an operator says about itself.
pub fn profile(operator: &Address) -> Vec<u8> {
    key(1, b'd', &[&operator.0])
}

/// The pools of money that belong to no account.
pub fn pools() -> Vec<u8> {
    key(1, b'p', &[])
}

/// The price of a unit.
pub fn base_fee() -> Vec<u8> {
    key(1, b'f', &[])
}

/// The voters of the current epoch, in the order of their votes.
pub fn voters() -> Vec<u8> {
    key(2, b'v', &[])
}

/// The voters of a past epoch, in the order of their votes.
pub fn past_voters(epoch: Epoch) -> Vec<u8> {
    key(2, b'h', &[&epoch.0.to_be_bytes()])
}

/// A validator's record.
pub fn validator(operator: &Address) -> Vec<u8> {
    key(2, b'n', &[&operator.0])
}

/// The operators of the validators that stand for the next sets.
pub fn candidates() -> Vec<u8> {
    key(2, b'i', &[])
}

/// Whose a consensus key is or was.
pub fn consensus_key(public: &PublicKey) -> Vec<u8> {
    key(2, b'k', &[&public.0])
}

/// What an account has with a validator.
pub fn delegation(validator: &Address, delegator: &Address) -> Vec<u8> {
    key(2, b'd', &[&validator.0, &delegator.0])
}

/// What left a validator's stake in an epoch.
pub fn leaving(validator: &Address, epoch: Epoch) -> Vec<u8> {
    key(2, b'u', &[&validator.0, &epoch.0.to_be_bytes()])
}

/// What moved from one validator to another in an epoch.
pub fn moved(to: &Address, from: &Address, epoch: Epoch) -> Vec<u8> {
    key(2, b'm', &[&to.0, &from.0, &epoch.0.to_be_bytes()])
}

/// Where stake moved to from a validator in an epoch.
pub fn move_targets(from: &Address, epoch: Epoch) -> Vec<u8> {
    key(2, b't', &[&from.0, &epoch.0.to_be_bytes()])
}

/// What the blocks of the current epoch say about its voters.
pub fn attendance() -> Vec<u8> {
    key(2, b'a', &[])
}

/// The offences whose time has not passed.
pub fn offences() -> Vec<u8> {
    key(2, b'o', &[])
}

/// A meta node's record.
pub fn meta_node(operator: &Address) -> Vec<u8> {
    key(3, b'n', &[&operator.0])
}

/// The operators of all meta nodes.
pub fn meta_nodes() -> Vec<u8> {
    key(3, b'i', &[])
}

/// The sets of meta nodes whose signatures count.
pub fn meta_sets() -> Vec<u8> {
    key(3, b's', &[])
}

/// The keys of one of these sets, in the order of their votes.
pub fn meta_set(members: &Hash) -> Vec<u8> {
    key(3, b'k', &[&members.0])
}

/// Whose a meta node's key is or was.
pub fn meta_key(public: &PublicKey) -> Vec<u8> {
    key(3, b'u', &[&public.0])
}

/// The votes for a motion of the meta nodes.
pub fn ballot(motion: &Motion) -> Vec<u8> {
    key(3, b'b', &[&encode(motion)])
}

/// The motions that meta nodes can vote on.
pub fn ballots() -> Vec<u8> {
    key(3, b'o', &[])
}

/// A resource node's record.
pub fn resource_node(operator: &Address) -> Vec<u8> {
    key(4, b'n', &[&operator.0])
}

/// One page of the list of resource nodes.
pub fn resource_page(page: u32) -> Vec<u8> {
    key(4, b'i', &[&page.to_be_bytes()])
}

/// The number of resource nodes in the list.
pub fn resource_count() -> Vec<u8> {
    key(4, b'c', &[])
}

/// An account's ozone.
pub fn ozone(address: &Address) -> Vec<u8> {
    key(5, b'o', &[&address.0])
}

/// The ozone market.
pub fn market() -> Vec<u8> {
    key(5, b'm', &[])
}

/// What an account earned.
pub fn reward(address: &Address) -> Vec<u8> {
    key(5, b'r', &[&address.0])
}

/// Where settlement stands.
pub fn settlement() -> Vec<u8> {
    key(5, b's', &[])
}

/// A reported epoch that is not settled yet.
pub fn reported(epoch: Epoch) -> Vec<u8> {
    key(5, b'p', &[&epoch.0.to_be_bytes()])
}

/// The charges of one part of an epoch's report.
pub fn settlement_part(epoch: Epoch, part: u32) -> Vec<u8> {
    key(5, b'w', &[&epoch.0.to_be_bytes(), &part.to_be_bytes()])
}

/// The carriers that an epoch's report pays.
pub fn settlement_carriers(epoch: Epoch) -> Vec<u8> {
    key(5, b'c', &[&epoch.0.to_be_bytes()])
}

/// What a payer is charged for an epoch so far.
pub fn charged(epoch: Epoch, payer: &Address) -> Vec<u8> {
    key(5, b'y', &[&epoch.0.to_be_bytes(), &payer.0])
}

/// What a carrier claimed directly in an epoch.
pub fn direct(epoch: Epoch, carrier: &Address) -> Vec<u8> {
    key(5, b'd', &[&epoch.0.to_be_bytes(), &carrier.0])
}

/// What was ever claimed directly from a session.
pub fn spent_directly(session: &PublicKey) -> Vec<u8> {
    key(5, b'x', &[&session.0])
}

/// The result of an epoch's settlement.
pub fn settled(epoch: Epoch) -> Vec<u8> {
    key(5, b'e', &[&epoch.0.to_be_bytes()])
}

/// The parameters.
pub fn parameters() -> Vec<u8> {
    key(7, b'p', &[])
}

/// The current epoch.
pub fn epoch() -> Vec<u8> {
    key(7, b'e', &[])
}

/// The open proposals and the next number.
pub fn agenda() -> Vec<u8> {
    key(7, b'g', &[])
}

/// A proposal.
pub fn proposal(number: u64) -> Vec<u8> {
    key(7, b'q', &[&number.to_be_bytes()])
}

/// An account's votes on proposals.
pub fn votes(voter: &Address) -> Vec<u8> {
    key(7, b'v', &[&voter.0])
}

/// What delegators of a validator vote for themselves.
pub fn votes_apart(validator: &Address) -> Vec<u8> {
    key(7, b'w', &[&validator.0])
}

/// The mountain range over past headers.
pub fn history() -> Vec<u8> {
    key(10, b'h', &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_keys_is_order_of_fields() {
        assert!(settled(Epoch(255)) < settled(Epoch(256)));
        assert!(resource_page(9) < resource_page(10));
        assert!(account(&Address([1; 20])) < account(&Address([2; 20])));
    }

    #[test]
    fn keys_are_distinct() {
        let address = Address([7; 20]);
        let keys = [
            account(&address),
            profile(&address),
            pools(),
            base_fee(),
            voters(),
            past_voters(Epoch(0)),
            validator(&address),
            candidates(),
            consensus_key(&PublicKey([7; 32])),
            delegation(&address, &address),
            leaving(&address, Epoch(0)),
            moved(&address, &address, Epoch(0)),
            move_targets(&address, Epoch(0)),
            attendance(),
            offences(),
            meta_node(&address),
            meta_nodes(),
            meta_sets(),
            meta_set(&Hash([7; 32])),
            ballot(&Motion::Admit(address)),
            ballot(&Motion::Expel(address)),
            ballots(),
            meta_key(&PublicKey([7; 32])),
            resource_node(&address),
            resource_page(0),
            resource_count(),
            ozone(&address),
            market(),
            reward(&address),
            settlement(),
            reported(Epoch(0)),
            settlement_part(Epoch(0), 0),
            settlement_carriers(Epoch(0)),
            charged(Epoch(0), &address),
            direct(Epoch(0), &address),
            spent_directly(&PublicKey([7; 32])),
            settled(Epoch(0)),
            parameters(),
            epoch(),
            agenda(),
            proposal(0),
            votes(&address),
            votes_apart(&address),
            history(),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
