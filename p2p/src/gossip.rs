//! Gossip to everybody who listens: gossipsub with our numbers. Nothing is forwarded before its owner has judged it.

use std::{collections::HashSet, net::IpAddr, time::Duration};

use bytes::Bytes;
use libp2p::{
    PeerId,
    gossipsub::{
        self, ConfigBuilder, IdentTopic, IdentityTransform, MaxCountSubscriptionFilter, MessageAcceptance, MessageAuthenticity, MessageId, PeerScoreParams,
        PeerScoreThresholds, TopicHash, TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
    },
};
use primitives::Hash;
use tokio::sync::mpsc;

use crate::{config::Config, driver::Command, limits::GOSSIP_BYTES_MAX};

/// Frames that wait for one peer; the default of 5000 would be 640 MB of transactions.
const QUEUE_MAX: usize = 256;
/// Pause between heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(700);
/// The first heartbeat; the default of 5 s makes a fresh network look broken.
const HEARTBEAT_DELAY: Duration = Duration::from_millis(100);
/// How long a message is remembered, so that it is not taken twice.
const DUPLICATES_KEPT: Duration = Duration::from_secs(120);
/// Peers in the mesh: fewest from our own dials, too few, wanted, too many.
const MESH: [usize; 4] = [2, 4, 6, 12];
/// Heartbeats a message can be asked for, and is told of.
const HISTORY: [usize; 2] = [6, 3];

pub(crate) type Behaviour = gossipsub::Behaviour<IdentityTransform, MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>>;

/// Why a message was not published. All are normal in the life of a network; none is a reason to stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Not one of the endpoint's topics.
    #[error("topic {0} is not among those of this endpoint")]
    UnknownTopic(String),
    /// Nobody we are connected to listens to the topic (yet).
    #[error("no connected peer listens to the topic")]
    NobodyListens,
    /// The same bytes were published or received in the last two minutes.
    #[error("the same message was published before")]
    Duplicate,
    /// Above the topic's limit.
    #[error("{bytes} bytes, above the topic's limit of {max}")]
    Oversize {
        /// Size of the message.
        bytes: usize,
        /// The topic's limit.
        max: usize,
    },
    /// The queues of all peers are full.
    #[error("the queues of all peers are full")]
    Full,
    /// The endpoint is closed.
    #[error("the endpoint is closed")]
    Closed,
}

/// The owner's judgement of a gossip message; dropped without one, the message is ignored.
#[derive(Debug)]
pub struct Verdict {
    id: MessageId,
    from: PeerId,
    commands: mpsc::Sender<Command>,
    open: bool,
}

impl Verdict {
    pub(crate) fn new(id: MessageId, from: PeerId, commands: mpsc::Sender<Command>) -> Self {
        Self { id, from, commands, open: true }
    }

    /// The message is good: forward it.
    pub fn accept(self) {
        self.give(MessageAcceptance::Accept);
    }

    /// The message is no use, but nobody's fault.
    pub fn ignore(self) {
        self.give(MessageAcceptance::Ignore);
    }

    /// The message breaks the rules: the peer that sent it on loses score.
    pub fn reject(self) {
        self.give(MessageAcceptance::Reject);
    }

    fn give(mut self, acceptance: MessageAcceptance) {
        self.open = false;
        self.send(acceptance);
    }

    /// If the driver is too busy to hear it, the message stays unforwarded until gossipsub forgets it.
    fn send(&self, acceptance: MessageAcceptance) {
        let _ = self.commands.try_send(Command::Judge { id: self.id.clone(), from: self.from, acceptance });
    }
}

impl Drop for Verdict {
    fn drop(&mut self) {
        if self.open {
            self.send(MessageAcceptance::Ignore);
        }
    }
}

/// The topics of this endpoint by their short names.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    topics: Vec<(&'static str, IdentTopic, usize)>,
}

impl Topics {
    pub(crate) fn new(config: &Config) -> Self {
        let topics = config.topics.iter();
        Self {
            topics: topics
                .map(|topic| (topic.name, IdentTopic::new(format!("{}/{}/1", topic.name, config.network)), topic.bytes_max.clamp(128, GOSSIP_BYTES_MAX)))
                .collect(),
        }
    }

    pub(crate) fn name(&self, hash: &TopicHash) -> Option<&'static str> {
        self.topics.iter().find(|(_, topic, _)| topic.hash() == *hash).map(|(name, ..)| *name)
    }

    /// Publishes on a topic by its short name.
    pub(crate) fn publish(&self, behaviour: &mut Behaviour, name: &str, bytes: Bytes) -> Result<(), PublishError> {
        let Some((_, topic, max)) = self.topics.iter().find(|(known, ..)| *known == name) else { return Err(PublishError::UnknownTopic(name.to_owned())) };
        let length = bytes.len();
        let oversize = PublishError::Oversize { bytes: length, max: *max };
        if length > *max {
            return Err(oversize);
        }
        match behaviour.publish(topic.hash(), bytes) {
            Ok(_) => Ok(()),
            Err(gossipsub::PublishError::Duplicate) => Err(PublishError::Duplicate),
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => Err(PublishError::NobodyListens),
            Err(gossipsub::PublishError::MessageTooLarge) => Err(oversize),
            Err(gossipsub::PublishError::AllQueuesFull(_) | gossipsub::PublishError::SigningError(_) | gossipsub::PublishError::TransformFailed(_)) => {
                Err(PublishError::Full)
            }
        }
    }
}

/// Twenty bytes of a hash over the topic and the bytes: messages are anonymous and prove themselves, so the content is the identity.
fn message_id(message: &gossipsub::Message) -> MessageId {
    MessageId::new(&Hash::of("gossip", &[message.topic.as_str().as_bytes(), &message.data]).0[..20])
}

/// Only invalid messages, crowds from one address, broken promises and slowness count; P3, deliveries in the mesh, would punish quiet networks.
fn scores(topics: &Topics, loopback_exempt: bool) -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 1.0,
        first_message_deliveries_cap: 20.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -10.0,
        ..TopicScoreParams::default()
    };
    let whitelist = if loopback_exempt { [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])].into() } else { HashSet::new() };
    PeerScoreParams {
        topics: topics.topics.iter().map(|(_, name, _)| (name.hash(), topic.clone())).collect(),
        ip_colocation_factor_whitelist: whitelist,
        ..PeerScoreParams::default()
    }
}

/// Gossipsub for these topics, subscribed; `None` without topics.
///
/// # Errors
/// What gossipsub does not like about the numbers; never for those above.
pub(crate) fn behaviour(config: &Config, topics: &Topics) -> Result<Option<Behaviour>, String> {
    if topics.topics.is_empty() {
        return Ok(None);
    }
    let mut builder = ConfigBuilder::default();
    builder
        .protocol_id_prefix(format!("/stratos/gossip/{}", config.network))
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .mesh_outbound_min(MESH[0])
        .mesh_n_low(MESH[1])
        .mesh_n(MESH[2])
        .mesh_n_high(MESH[3])
        .history_length(HISTORY[0])
        .history_gossip(HISTORY[1])
        .heartbeat_interval(HEARTBEAT)
        .heartbeat_initial_delay(HEARTBEAT_DELAY)
        .duplicate_cache_time(DUPLICATES_KEPT)
        .connection_handler_queue_len(QUEUE_MAX)
        .flood_publish(false)
        .max_transmit_size(GOSSIP_BYTES_MAX + 1024);
    for (_, topic, bytes_max) in &topics.topics {
        // The limit covers the envelope too: a topic name and a few tags.
        builder.max_transmit_size_for_topic(*bytes_max + 1024, topic.hash());
    }
    let built = builder.build().map_err(|error| error.to_string())?;
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(topics.topics.iter().map(|(_, topic, _)| topic.hash()).collect()),
        max_subscribed_topics: topics.topics.len(),
        max_subscriptions_per_request: topics.topics.len() * 2,
    };
    let mut behaviour = Behaviour::new_with_subscription_filter(MessageAuthenticity::Anonymous, built, filter)?;
    behaviour.with_peer_score(scores(topics, config.limits.loopback_exempt), PeerScoreThresholds::default())?;
    for (_, topic, _) in &topics.topics {
        behaviour.subscribe(topic).map_err(|error| error.to_string())?;
    }
    Ok(Some(behaviour))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plane, Secret, Topic};

    #[test]
    fn the_numbers_are_accepted() {
        let mut config = Config::client(Secret::from_seed([1; 32]), "00000000", Plane::Control);
        assert!(behaviour(&config, &Topics::new(&config)).expect("off").is_none());
        config.topics = vec![Topic { name: "tx", bytes_max: 128 << 10 }, Topic { name: "fin", bytes_max: 1 << 30 }];
        assert!(behaviour(&config, &Topics::new(&config)).expect("on").is_some());
    }

    #[test]
    fn a_message_is_its_content() {
        let message =
            |topic: &str, data: &[u8]| gossipsub::Message { source: None, data: data.to_vec(), sequence_number: None, topic: TopicHash::from_raw(topic) };
        assert_eq!(message_id(&message("a", b"x")), message_id(&message("a", b"x")));
        assert_ne!(message_id(&message("a", b"x")), message_id(&message("b", b"x")));
        assert_ne!(message_id(&message("ab", b"x")), message_id(&message("a", b"bx")));
        assert_eq!(message_id(&message("a", b"x")).0.len(), 20);
    }
}
