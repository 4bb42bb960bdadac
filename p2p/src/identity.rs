//! Who a peer is: the secret behind an endpoint, the peer id it shows, and where a peer can be reached.

use libp2p::{Multiaddr, PeerId, identity::Keypair};
use zeroize::{Zeroize as _, Zeroizing};

/// The 32-byte seed of an endpoint's ed25519 key. It is the network key: never a consensus or an account key.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.peer())
    }
}

impl Secret {
    /// The key of this seed; the same seed is the same peer on every machine.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Zeroizing::new(seed))
    }

    /// A key nobody has seen, for clients that need no lasting name.
    ///
    /// # Panics
    /// If the operating system has no randomness to give; nothing safe can run then.
    pub fn random() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).expect("the operating system gives randomness");
        Self(seed)
    }

    /// The seed, to be kept in a key file.
    pub fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id under which others know the holder of this secret.
    pub fn peer(&self) -> PeerId {
        self.keypair().public().to_peer_id()
    }

    pub(crate) fn keypair(&self) -> Keypair {
        let mut seed = *self.0;
        let keypair = Keypair::ed25519_from_bytes(&mut seed).expect("any 32 bytes are an ed25519 seed");
        seed.zeroize();
        keypair
    }
}

/// A peer and where to find it. Addresses are multiaddresses such as `/ip4/127.0.0.1/tcp/8600`, with or without `/p2p/<id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Who must answer; whoever answers with another identity is refused.
    pub peer: PeerId,
    /// Where to dial; may be empty if the peer is connected already or kept.
    pub addresses: Vec<Multiaddr>,
}

impl From<PeerId> for Contact {
    fn from(peer: PeerId) -> Self {
        Self { peer, addresses: Vec::new() }
    }
}

impl From<(PeerId, Vec<Multiaddr>)> for Contact {
    fn from((peer, addresses): (PeerId, Vec<Multiaddr>)) -> Self {
        Self { peer, addresses }
    }
}

impl From<(PeerId, &[Multiaddr])> for Contact {
    fn from((peer, addresses): (PeerId, &[Multiaddr])) -> Self {
        Self { peer, addresses: addresses.to_vec() }
    }
}

impl From<&Contact> for Contact {
    fn from(contact: &Contact) -> Self {
        contact.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A golden vector: the seed of 32 ones gives the peer id any libp2p gives it.
    #[test]
    fn a_seed_is_a_peer() {
        let secret = Secret::from_seed([1; 32]);
        assert_eq!(secret.peer(), Secret::from_seed(*secret.seed()).peer());
        assert_eq!(secret.peer().to_string(), "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5");
        assert_ne!(Secret::random().peer(), Secret::random().peer());
        assert!(!format!("{secret:?}").contains("0101"));
    }
}
