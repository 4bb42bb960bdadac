//! Who runs the network: `/v1/nodes`, and stopping and starting nodes of a development network.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chain::meta_registry::{self, MetaNode};
use chain::profiles::{self, Profile};
use chain::resource::{self, ResourceNode};
use chain::settlement;
use chain::transaction::NodeIdentity;
use p2p::{Contact, PeerId};
use primitives::{Address, Bytes, Epoch, Noz};

use super::super::problem::Problem;
use super::super::question::Segment;
use super::super::server::Server;
use super::super::{Condition, Control, views};
use super::validators::{Standings, conditions, state_of};

/// What the registries say.
struct Registered {
    metas: Vec<MetaNode>,
    resources: Vec<ResourceNode>,
    /// By operator.
    profiles: BTreeMap<Address, Profile>,
    carried: BTreeMap<Address, Noz>,
}

/// `GET /v1/nodes`.
///
/// # Errors
/// Never in a running node.
pub async fn list(State(server): State<Arc<Server>>) -> Result<Json<views::Nodes>, Problem> {
    let (registered, standings) = server.read(|server| Ok((registered(server), Standings::read(&server.site.value.head().state)))).await?;
    let conditions = conditions(&server).await;
    let is_node = |validator: &views::Validator| validator.weight > 0 || validator.state != views::NodeState::Unknown;
    let validators = standings.views(&server, &conditions, is_node);
    Ok(Json(nodes(&registered, validators, conditions)))
}

fn registered(server: &Server) -> Registered {
    let head = server.site.value.head();
    let state = &head.state;
    let settled = settlement::progress(state).unsettled.checked_sub(Epoch(1)).and_then(|epoch| settlement::settled(state, epoch));
    let metas = meta_registry::nodes(state);
    let resources: Vec<ResourceNode> = resource::operators(state).iter().filter_map(|operator| resource::read(state, operator)).collect();
    let operators = metas.iter().map(|node| node.operator).chain(resources.iter().map(|node| node.operator));
    Registered {
        profiles: operators.filter_map(|operator| Some((operator, profiles::read(state, &operator)?))).collect(),
        metas,
        resources,
        carried: settled.map(|settled| settled.carriers.iter().map(|carrier| (carrier.address, carrier.noz)).collect()).unwrap_or_default(),
    }
}

/// Registries and conditions together; meta and resource nodes are numbered in the order of the registries.
fn nodes(registered: &Registered, validators: Vec<views::Validator>, conditions: Vec<Condition>) -> views::Nodes {
    let conditions: BTreeMap<String, Condition> = conditions.into_iter().map(|condition| (condition.name.clone(), condition)).collect();
    let state = |name: &str| state_of(conditions.get(name));
    let meta = |(name, meta): (String, &MetaNode)| views::MetaNode {
        profile: registered.profiles.get(&meta.operator).cloned(),
        address: meta.operator,
        key: meta.node.key,
        deposit_wei: meta.deposit,
        status: match meta.status {
            meta_registry::Status::Applicant => views::NodeStatus::Applicant,
            meta_registry::Status::Active => views::NodeStatus::Active,
            meta_registry::Status::Leaving => views::NodeStatus::Leaving,
            meta_registry::Status::Tombstoned => views::NodeStatus::Tombstoned,
        },
        state: state(&name),
        peer: peer(&meta.node),
        addresses: meta.node.addresses.clone(),
        name,
    };
    let resource = |(name, node): (String, &ResourceNode)| views::ResourceNode {
        profile: registered.profiles.get(&node.operator).cloned(),
        address: node.operator,
        deposit_wei: node.deposit,
        capacity_bytes: node.capacity,
        used_bytes: Bytes(conditions.get(&name).and_then(|condition| condition.used_bytes).unwrap_or(0)),
        slices: conditions.get(&name).and_then(|condition| condition.slices).unwrap_or(0),
        status: match node.status {
            resource::Status::Candidate => views::NodeStatus::Candidate,
            resource::Status::Active => views::NodeStatus::Active,
            resource::Status::Suspended => views::NodeStatus::Suspended,
            resource::Status::Leaving | resource::Status::Gone => views::NodeStatus::Leaving,
        },
        state: state(&name),
        peer: peer(&node.node),
        addresses: node.node.addresses.clone(),
        carried_noz: registered.carried.get(&node.operator).copied().unwrap_or_default(),
        name,
    };
    views::Nodes {
        validators,
        meta: named("meta", &registered.metas).map(meta).collect(),
        resource: named("resource", &registered.resources).map(resource).collect(),
    }
}

fn named<'a, T>(role: &'a str, nodes: &'a [T]) -> impl Iterator<Item = (String, &'a T)> {
    (1_u32..).map(move |number| format!("{role}-{number}")).zip(nodes)
}

/// The peer id as people write it; its bytes if it is none.
fn peer(node: &NodeIdentity) -> String {
    PeerId::from_bytes(&node.peer).map_or_else(|_| hex::encode(&node.peer), |peer| peer.to_string())
}

/// Where a registered node is reached; `None` if its peer id is none.
pub fn contact(node: &NodeIdentity) -> Option<Contact> {
    let peer = PeerId::from_bytes(&node.peer).ok()?;
    Some(Contact { peer, addresses: node.addresses.iter().filter_map(|address| address.parse().ok()).collect() })
}

/// `POST /v1/dev/nodes/{name}/stop`.
///
/// # Errors
/// [`Problem`] if this is no development network or has no such node.
pub async fn stop(State(server): State<Arc<Server>>, Segment(name): Segment) -> Result<Json<views::NodeControl>, Problem> {
    let control = control(&server).await?;
    known(&*control, &name).await?;
    let named = name.clone();
    to_its_end(async move { control.stop(&named).await }).await?;
    Ok(Json(views::NodeControl { name, state: views::NodeState::Stopped }))
}

/// `POST /v1/dev/nodes/{name}/start`.
///
/// # Errors
/// As [`stop`], and if the node does not start.
pub async fn start(State(server): State<Arc<Server>>, Segment(name): Segment) -> Result<Json<views::NodeControl>, Problem> {
    let control = control(&server).await?;
    known(&*control, &name).await?;
    let named = name.clone();
    to_its_end(async move { control.start(&named).await }).await?;
    Ok(Json(views::NodeControl { name, state: views::NodeState::Up }))
}

async fn control(server: &Server) -> Result<Arc<dyn Control>, Problem> {
    let no_control = || Problem::missing("nodes are stopped and started only in a development network (`stratos --dev`)");
    server.site.control.clone().ok_or_else(no_control)
}

async fn known(control: &dyn Control, name: &str) -> Result<(), Problem> {
    let names: Vec<String> = control.conditions().await.into_iter().map(|condition| condition.name).collect();
    if names.iter().any(|known| known == name) { Ok(()) } else { Err(Problem::missing(format!("there is no such node; there are {}", names.join(", ")))) }
}

/// Runs a change on its own: whoever asked for it may leave in the middle, and a node that is half stopped can neither be started nor stopped.
async fn to_its_end(change: impl Future<Output = Result<(), String>> + Send + 'static) -> Result<(), Problem> {
    let failed = |text: String| Problem::new(axum::http::StatusCode::CONFLICT, text);
    tokio::spawn(change).await.unwrap_or_else(|error| Err(error.to_string())).map_err(failed)
}
