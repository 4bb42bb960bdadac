//! `resource list|show|register|exit`, `meta list|show|apply|vote|kick|exit`: who is in the registries, and how somebody comes into them and leaves.

use chain::ballots::Motion;
use chain::transaction::{Message, NodeIdentity, POSSESSION_ROLE};
use primitives::{Address, Amount, Bytes, Context as SigningContext, Signature};

use super::args::{How, Meta, NodeArguments, Party, Resource};
use super::failure::Failure;
use super::governance::{check_count, leave, vote_on};
use super::signer::Source;
use super::{Context, network, output, profile, staking};
use crate::http::views;

/// Bytes for which a resource node's least deposit is stated.
const TIB: u64 = 1 << 40;

/// Runs `resource`.
///
/// # Errors
/// [`Failure`] if the node refuses, there is no such node or key, or the transaction cannot be paid or fails.
pub fn resource(command: &Resource, context: &Context) -> Result<(), Failure> {
    match command {
        Resource::List => network::resources(context),
        Resource::Show { who } => {
            let address = context.whose(who.as_ref())?;
            let found = context.nodes()?.resource.into_iter().find(|node| node.address == address);
            let node = found.ok_or_else(|| Failure::refused(format!("{address} operates no resource node")).hint("`stratos resource list` shows them"))?;
            output::print(context.json, &node, || {
                let mut fields = vec![("name", node.name.clone()), ("operator", address.to_string())];
                fields.extend([("status", network::status(node.status).into()), ("node", network::state(node.state).into())]);
                fields.extend([("deposit", output::stos(node.deposit_wei)), ("offers", output::size(node.capacity_bytes))]);
                fields.extend([("used", output::bytes(node.used_bytes)), ("slices", output::grouped(node.slices.into()))]);
                fields.push(("carried", format!("{} in the newest settled epoch", output::ozone(node.carried_noz))));
                reached(fields, &node.peer, &node.addresses, node.profile.as_ref())
            })
        }
        Resource::Register { capacity, deposit, node, how } => {
            let (capacity, deposit) = (*capacity, deposit.map_or_else(|| least_deposit(context, *capacity), Ok)?);
            let message = |node, possession| Message::RegisterResource { node, possession, capacity, deposit };
            enter(context, how, node, deposit, message, |operator, is_final| {
                let verb = if is_final { "registered" } else { "registering" };
                let offer = format!("a resource node of {} with a deposit of {}", output::size(capacity), deposit.to_stos());
                format!("{verb} {offer} for {operator}; it takes part from the next epoch on")
            })
        }
        Resource::Exit { how } => {
            let operators: Vec<Address> = context.nodes()?.resource.into_iter().map(|node| node.address).collect();
            exit("resource", &operators, how, context)
        }
    }
}

/// Runs `meta`.
///
/// # Errors
/// As [`resource`].
pub fn meta(command: &Meta, context: &Context) -> Result<(), Failure> {
    match command {
        Meta::List => network::metas(context),
        Meta::Show { who } => {
            let address = context.whose(who.as_ref())?;
            let found = context.nodes()?.meta.into_iter().find(|node| node.address == address);
            let node = found.ok_or_else(|| Failure::refused(format!("{address} operates no meta node")).hint("`stratos meta list` shows them"))?;
            output::print(context.json, &node, || {
                let mut fields = vec![("name", node.name.clone()), ("operator", address.to_string()), ("key", node.key.to_string())];
                fields.extend([("status", network::status(node.status).into()), ("node", network::state(node.state).into())]);
                fields.push(("deposit", output::stos(node.deposit_wei)));
                reached(fields, &node.peer, &node.addresses, node.profile.as_ref())
            })
        }
        Meta::Apply { deposit, node, how } => {
            let deposit = deposit.map_or_else(|| context.parameter("meta_deposit").map(Amount), Ok)?;
            let message = |node, possession| Message::RegisterMeta { node, possession, deposit };
            enter(context, how, node, deposit, message, |operator, is_final| {
                let verb = if is_final { "applied" } else { "applying" };
                format!(
                    "{verb} for a seat among the meta nodes with a deposit of {}; they vote with `stratos registry vote admit {operator}`",
                    deposit.to_stos()
                )
            })
        }
        Meta::Vote { who, how } => vote_on(Motion::Admit, who, how, context),
        Meta::Kick { who, how } => vote_on(Motion::Expel, who, how, context),
        Meta::Exit { how } => {
            let operators: Vec<Address> = context.nodes()?.meta.into_iter().map(|node| node.address).collect();
            exit("meta", &operators, how, context)
        }
    }
}

/// Takes out the payer's node, if it is of this kind.
fn exit(kind: &str, operators: &[Address], how: &How, context: &Context) -> Result<(), Failure> {
    leave(how, context, |operator| {
        let stranger = || Failure::refused(format!("{operator} operates no {kind} node")).hint(format!("`stratos {kind} list` shows them"));
        operators.contains(&operator).then_some(()).ok_or_else(stranger)
    })
}

/// Where a node is found, and what its operator says.
fn reached(mut fields: Vec<(&'static str, String)>, peer: &str, addresses: &[String], said: Option<&chain::profiles::Profile>) -> String {
    fields.push(("peer", peer.to_owned()));
    // Whoever registers a node chooses the text.
    fields.extend(addresses.iter().map(|address| ("address", super::money::printable(address))));
    fields.extend(profile::fields(said));
    output::fields(&fields)
}

/// The least that must stand behind a capacity.
fn least_deposit(context: &Context, capacity: Bytes) -> Result<Amount, Failure> {
    let per_tib = context.parameter("resource_deposit_per_tib")?;
    Ok(Amount(per_tib.saturating_mul(capacity.0.div_ceil(TIB).into())))
}

/// Enters a node into a registry: its key signs that it is the payer's.
fn enter(
    context: &Context,
    how: &How,
    node: &NodeArguments,
    deposit: Amount,
    message: impl FnOnce(NodeIdentity, Signature) -> Message,
    done: impl FnOnce(Address, bool) -> String,
) -> Result<(), Failure> {
    check_count(&node.addresses)?;
    let source = match (&node.node_key, &node.node_key_file) {
        (Some(name), _) => Source::Name(name),
        (None, Some(path)) => Source::File(path),
        (None, None) => return Err(Failure::misused("with which key does the node sign? give `--node-key NAME` or `--node-key-file FILE`")),
    };
    let messages = |status: &views::Status, operator: Address| {
        let secret = context.node_key(&source, |_| Ok(status.dev))?;
        let possession = secret.sign(&SigningContext::new(POSSESSION_ROLE, status.genesis), &operator.0);
        let identity = NodeIdentity { key: secret.public(), peer: node.peer.to_bytes(), addresses: node.addresses.clone() };
        Ok(vec![message(identity, possession)])
    };
    staking::send(context, how, deposit, messages, done)
}

impl Context {
    /// The operator of a node of the registries that is meant; without a name that of `--key`.
    fn whose(&self, who: Option<&Party>) -> Result<Address, Failure> {
        who.map_or_else(|| self.account(None), |who| self.registered(who))
    }

    /// The operator of a validator or of a node of the registries that is meant.
    pub(super) fn operator(&self, who: &Party) -> Result<Address, Failure> {
        if let Party::Name(name) = who
            && let Some(validator) = self.nodes()?.validators.into_iter().find(|validator| validator.name == name.as_str())
        {
            return Ok(validator.address);
        }
        self.registered(who)
    }
}
