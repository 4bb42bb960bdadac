//! What can be typed: commands are noun, verb. Every value is checked here, so a typing mistake ends with code 2 before anything is asked of a node.

use std::fmt;
use std::num::ParseIntError;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use client::wallet::KeyName;
use p2p::{Multiaddr, PeerId};
use primitives::account::ADDRESS_PREFIX;
use primitives::{AccountKey, Address, Amount, Bytes, Epoch, Hash, Height, Noz};

use super::dev;
use super::http::NodeUrl;
use super::state_key::{StateKey, forms};
use crate::http::limits::LIST_MAX;
use crate::http::views::LedgerName;

/// Files of one list at most: what a node gives.
const FILES_MAX: u32 = 200;
const _: () = assert!(FILES_MAX as usize == LIST_MAX);

/// Stratos: storage that nobody can switch off.
#[derive(Debug, Parser)]
#[command(name = "stratos", version, arg_required_else_help = true, max_term_width = 120)]
pub struct Arguments {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The development network.
    #[command(flatten)]
    pub dev: dev::Flags,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Print one JSON value; amounts in wei and noz as decimal strings.
    #[arg(long, global = true)]
    pub json: bool,
    /// The node to ask.
    #[arg(long, global = true, env = "STRATOS_NODE", value_name = "URL", default_value = "http://127.0.0.1:8600")]
    pub node: NodeUrl,
    /// Who signs: a key of the wallet; on a development network also `alice`, `bob`, `carol`.
    #[arg(long, global = true, env = "STRATOS_KEY", value_name = "NAME")]
    pub key: Option<KeyName>,
    /// Directory of the wallet; its keys are in `keys/` there.
    #[arg(long, global = true, env = "STRATOS_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// File with the passphrase of the key, instead of `$STRATOS_PASSPHRASE` or a prompt.
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Log more: -v each block, -vv each step.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to log, such as `info` or `warn,consensus=debug`.
    #[arg(long, global = true, env = "STRATOS_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keys of the wallet.
    #[command(subcommand)]
    Key(Key),
    /// Balances.
    #[command(subcommand)]
    Account(Account),
    /// Accounts of several keys.
    #[command(subcommand)]
    Multisig(Multisig),
    /// Pay somebody.
    Send(Send),
    /// Transactions.
    #[command(subcommand)]
    Tx(Tx),
    /// Blocks of the value ledger.
    #[command(subcommand)]
    Block(Block),
    /// What happened, by account, kind and height.
    #[command(subcommand)]
    Event(Event),
    /// Who decides the value ledger's blocks.
    #[command(subcommand)]
    Validator(Validator),
    /// Coins behind validators.
    #[command(subcommand)]
    Stake(Stake),
    /// Proposals that stake votes on, and the parameters that they change.
    #[command(subcommand)]
    Gov(Gov),
    /// Who is in the registries of nodes: ballots of the meta nodes, deposits, leaving.
    #[command(subcommand)]
    Registry(Registry),
    /// Proofs that a validator contradicted itself.
    #[command(subcommand)]
    Evidence(Evidence),
    /// Proofs of what a ledger's state says, which anybody can check who has the genesis file.
    #[command(subcommand)]
    Proof(Proof),
    /// Who stores and carries; what is done with a node that is registered is under `registry`.
    #[command(subcommand)]
    Resource(Resource),
    /// Who keeps the file index; what is done with a node that applied is under `registry`.
    #[command(subcommand)]
    Meta(Meta),
    /// What operators of validators and nodes say about themselves.
    #[command(subcommand)]
    Profile(Profile),
    /// Prepaid traffic: 1 oz pays for 10^9 bytes moved.
    #[command(subcommand)]
    Ozone(Ozone),
    /// Files.
    #[command(subcommand)]
    File(File),
    /// Epochs of traffic: who carried, paid and earned what, the report, its certificate, and every check.
    #[command(subcommand)]
    Epoch(EpochCommand),
    /// Receipts of traffic: what payers signed for.
    #[command(subcommand)]
    Receipt(Receipt),
    /// What nodes earned.
    #[command(subcommand)]
    Reward(Reward),
    /// The node that is asked, and the nodes of a development network.
    #[command(subcommand)]
    Node(Node),
    /// Genesis files: check one, make one of a running chain.
    #[command(subcommand)]
    Genesis(Genesis),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Keys of the wallet.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key; prints the 24 words that are its only backup.
    New {
        /// Its name: a-z, 0-9, - and _.
        name: KeyName,
    },
    /// All keys.
    List,
    /// One key.
    Show {
        /// Its name.
        name: KeyName,
        /// Show the 24 words too: whoever reads them owns the account.
        #[arg(long)]
        words: bool,
    },
    /// Keep a key whose 24 words or 64 hexadecimal digits are in a file, on standard input, or typed.
    Import {
        /// Its name: a-z, 0-9, - and _.
        name: KeyName,
        /// The file; standard input without it or with `-`.
        path: Option<PathBuf>,
    },
}

/// Balances.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Balance, nonce, ozone and rewards.
    Show {
        /// An address or the name of a key; without it, --key.
        who: Option<Party>,
        /// When.
        #[command(flatten)]
        at: At,
    },
}

/// After which block something is asked about.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct At {
    /// As it was after the block of this height, as long as the node keeps that state; without it as it is.
    #[arg(long, value_name = "HEIGHT")]
    pub height: Option<Height>,
}

impl At {
    /// The address of an answer as of then.
    pub fn of(self, path: &str) -> String {
        let sign = if path.contains('?') { '&' } else { '?' };
        self.height.map_or_else(|| path.to_owned(), |height| format!("{path}{sign}height={height}"))
    }
}

/// What happened.
#[derive(Debug, Subcommand)]
pub enum Event {
    /// Events of the value ledger: whatever moved money or changed a right, but for what receipts and settlements say.
    List(Events),
}

/// Which events.
#[derive(Debug, Args)]
pub struct Events {
    /// About this account: an address or the name of a key.
    #[arg(long, value_name = "ADDRESS|NAME")]
    pub account: Option<Party>,
    /// Of this kind: `sent`, `delegated`, ...
    #[arg(long, value_name = "KIND", value_parser = clap::builder::PossibleValuesParser::new(chain::event::KINDS), hide_possible_values = true,
        long_help = format!("Of this kind: {}", chain::event::KINDS.join(", ")))]
    pub kind: Option<String>,
    /// Of this block.
    #[arg(long, value_name = "HEIGHT", conflicts_with_all = ["from", "to"])]
    pub height: Option<Height>,
    /// Of this block and later ones.
    #[arg(long, value_name = "HEIGHT")]
    pub from: Option<Height>,
    /// Of this block and earlier ones.
    #[arg(long, value_name = "HEIGHT")]
    pub to: Option<Height>,
    /// Oldest first, instead of newest first.
    #[arg(long)]
    pub oldest: bool,
    /// Behind this one: a cursor that a list printed.
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(FILES_MAX)))]
    pub limit: u32,
}

/// Accounts of several keys.
#[derive(Debug, Subcommand)]
pub enum Multisig {
    /// The account of these keys, so many of which must sign; whoever spends from it needs what is printed.
    Address {
        /// How many keys must sign.
        #[arg(long, value_name = "K")]
        threshold: u8,
        /// The keys, 2 to 16 in any order: names, or public keys as `key show` prints them.
        #[arg(required = true, value_name = "NAME|KEY")]
        keys: Vec<KeyId>,
        /// Write the keys there as well, for `--from`; nothing is replaced.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Pay somebody.
#[derive(Debug, Args)]
pub struct Send {
    /// An address or the name of a key.
    pub to: Party,
    /// How much: `12.5` (stos) or `1000wei`.
    #[arg(value_parser = Amount::parse_human)]
    pub amount: Amount,
    /// How to send it.
    #[command(flatten)]
    pub how: How,
}

/// How a transaction is sent.
#[derive(Debug, Args)]
pub struct How {
    /// Show the fee and what would happen; nothing is signed or sent.
    #[arg(long, conflicts_with_all = ["no_wait", "unsigned"])]
    pub dry_run: bool,
    /// Write the transaction there without signing it, for `tx sign` and `tx send`; nothing is replaced.
    #[arg(long, value_name = "FILE", conflicts_with = "no_wait")]
    pub unsigned: Option<PathBuf>,
    /// Who pays: an account of several keys, by the file that `multisig address` makes; with --unsigned or --dry-run, instead of --key.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Return when the node has taken the transaction, before it is final.
    #[arg(long)]
    pub no_wait: bool,
    /// A public note of at most 256 bytes.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = memo)]
    pub memo: String,
    /// Offered to the proposer for each unit: `5wei`.
    #[arg(long, value_name = "AMOUNT", default_value = "0", hide_default_value = true, value_parser = Amount::parse_human)]
    pub tip: Amount,
    /// The most that may be paid as the fee, the tip for all units included; without it 1 stos.
    #[arg(long, value_name = "AMOUNT", default_value = "1", hide_default_value = true, value_parser = Amount::parse_human)]
    pub fee_max: Amount,
    /// Number of the transaction, if not the next one.
    #[arg(long, value_name = "N")]
    pub nonce: Option<u64>,
}

/// Transactions.
#[derive(Debug, Subcommand)]
pub enum Tx {
    /// One transaction.
    Show {
        /// Its hash, or a file of `--unsigned`.
        #[arg(value_name = "HASH|FILE")]
        transaction: TxId,
    },
    /// Sign the transaction in a file of `--unsigned` with --key; the signature is added to the file.
    Sign {
        /// The file.
        file: PathBuf,
    },
    /// Put the signatures of such files together, and send the transaction.
    Send {
        /// The file, or copies of it that others have signed.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Show the fee and what would happen, however many have signed; nothing is sent.
        #[arg(long, conflicts_with = "no_wait")]
        dry_run: bool,
        /// Return when the node has taken the transaction, before it is final.
        #[arg(long)]
        no_wait: bool,
    },
}

/// Blocks.
#[derive(Debug, Subcommand)]
pub enum Block {
    /// One block.
    Show {
        /// A height, a hash, or `latest`.
        #[arg(default_value = "latest")]
        block: BlockId,
    },
}

/// Resource nodes.
#[derive(Debug, Subcommand)]
pub enum Resource {
    /// All of them.
    List,
    /// One of them.
    Show {
        /// Its name, its operator's address, or the name of its operator's key; without it, --key.
        who: Option<Party>,
    },
    /// Offer storage; the node takes part from the next epoch on.
    Register {
        /// What it offers: `1TiB`, `500GB`.
        #[arg(long, value_name = "SIZE", value_parser = size)]
        capacity: Bytes,
        /// What stands behind it: `12.5` (stos) or `1000wei`; without it the least for that capacity.
        #[arg(long, value_name = "AMOUNT", value_parser = Amount::parse_human)]
        deposit: Option<Amount>,
        /// Who the node is.
        #[command(flatten)]
        node: Box<NodeArguments>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Take your resource node out, as `registry leave` does.
    Exit {
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
}

/// Meta nodes.
#[derive(Debug, Subcommand)]
pub enum Meta {
    /// All of them.
    List,
    /// One of them.
    Show {
        /// Its name, its operator's address, or the name of its operator's key; without it, --key.
        who: Option<Party>,
    },
    /// Apply for a seat; more than two thirds of the active meta nodes must vote for it before the time is over.
    Apply {
        /// What stands behind it: `12.5` (stos) or `1000wei`; without it the least.
        #[arg(long, value_name = "AMOUNT", value_parser = Amount::parse_human)]
        deposit: Option<Amount>,
        /// Who the node is.
        #[command(flatten)]
        node: Box<NodeArguments>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Vote for an applicant, as `registry vote admit` does.
    Vote {
        /// The node: its name, its operator's address, or the name of its operator's key.
        who: Party,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Vote for a meta node to leave, as `registry vote expel` does.
    Kick {
        /// The node: its name, its operator's address, or the name of its operator's key.
        who: Party,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Take your meta node out, as `registry leave` does.
    Exit {
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
}

/// Who a node is and where it is found.
#[derive(Debug, Args)]
pub struct NodeArguments {
    /// The key that the node signs with: a key of the wallet; on a development network also the name of a node, `resource-1`.
    #[arg(long, value_name = "NAME", required_unless_present = "node_key_file")]
    pub node_key: Option<KeyName>,
    /// File with the 24 words or 64 digits of the key that the node signs with.
    #[arg(long, value_name = "FILE", conflicts_with = "node_key")]
    pub node_key_file: Option<PathBuf>,
    /// The node's identity in the network: a libp2p peer id, `12D3...`.
    #[arg(long, value_name = "PEER")]
    pub peer: PeerId,
    /// Where it is reached: `/ip4/203.0.113.7/tcp/4001`; at most 8 times.
    #[arg(long = "address", value_name = "MULTIADDR", required = true, value_parser = network_address)]
    pub addresses: Vec<String>,
}

/// Profiles of operators.
#[derive(Debug, Subcommand)]
pub enum Profile {
    /// What an operator says about itself.
    Show {
        /// An address or the name of a key; without it, --key.
        who: Option<Party>,
    },
    /// Say who you are, as the operator of a validator or a node; what is left out stays as it is, and an empty text removes it.
    Set {
        /// What people call you: at most 70 bytes.
        #[arg(long, value_name = "TEXT", required_unless_present_any = ["website", "contact", "details"])]
        name: Option<String>,
        /// Where to read more: at most 140 bytes.
        #[arg(long, value_name = "URL")]
        website: Option<String>,
        /// How to reach you when something is wrong: at most 140 bytes.
        #[arg(long, value_name = "TEXT")]
        contact: Option<String>,
        /// Anything else: at most 280 bytes.
        #[arg(long, value_name = "TEXT")]
        details: Option<String>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Say nothing any more.
    Remove {
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
}

/// Validators.
#[derive(Debug, Subcommand)]
pub enum Validator {
    /// All of them.
    List {
        /// When.
        #[command(flatten)]
        at: At,
    },
    /// One of them.
    Show {
        /// Its name, its operator's address, or the name of its operator's key; without it, --key.
        who: Option<Party>,
        /// When.
        #[command(flatten)]
        at: At,
    },
    /// Who has stake with one of them, or took some out and did not withdraw it.
    Delegators {
        /// Its name, its operator's address, or the name of its operator's key; without it, --key.
        who: Option<Party>,
        /// Accounts at most, 1 to 200.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(FILES_MAX)))]
        limit: u32,
        /// Go on after this account: the `next` of the answer before.
        #[arg(long, value_name = "ADDRESS")]
        after: Option<Address>,
        /// When.
        #[command(flatten)]
        at: At,
    },
    /// Become a validator: from the next epoch on, if the stake is among the greatest.
    Create {
        /// Your own stake: `12.5` (stos) or `1000wei`; at least 1 stos.
        #[arg(long, value_name = "AMOUNT", value_parser = Amount::parse_human)]
        stake: Amount,
        /// The part of your delegators' rewards that you keep, in percent: `5` or `2.5`.
        #[arg(long, value_name = "PERCENT", value_parser = percent)]
        commission: u32,
        /// What you can raise it to at most, for ever, in percent.
        #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "100")]
        commission_max: u32,
        /// The key that votes: a key of the wallet; on a development network also a node that stands by, `validator-2`.
        #[arg(long, value_name = "NAME", required_unless_present = "consensus_file")]
        consensus: Option<KeyName>,
        /// File with the 24 words or 64 digits of the key that votes.
        #[arg(long, value_name = "FILE", conflicts_with = "consensus")]
        consensus_file: Option<PathBuf>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Change the part of your delegators' rewards that you keep: down at any time, up by a little in each epoch.
    #[command(visible_alias = "edit")]
    Commission {
        /// In percent: `5` or `2.5`.
        #[arg(value_name = "PERCENT", value_parser = percent)]
        commission: u32,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Stand again after having been jailed, from the next epoch on.
    Unjail {
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
}

/// Coins behind validators.
#[derive(Debug, Subcommand)]
pub enum Stake {
    /// What an account has with validators, and what is on its way out.
    Show {
        /// An address or the name of a key; without it, --key.
        who: Option<Party>,
        /// When.
        #[command(flatten)]
        at: At,
    },
    /// Add to a validator's stake; it counts from the next epoch on.
    Delegate {
        /// Its name, its operator's address, or the name of its operator's key.
        validator: Party,
        /// How much: `12.5` (stos) or `1000wei`.
        #[arg(value_parser = Amount::parse_human)]
        amount: Amount,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Take out of a validator's stake; it can be withdrawn some epochs later.
    Undelegate {
        /// Its name, its operator's address, or the name of its operator's key.
        validator: Party,
        /// How much: `12.5` (stos) or `1000wei`; without it all that you have in it.
        #[arg(value_parser = Amount::parse_human)]
        amount: Option<Amount>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Move stake to another validator: it goes on earning, and cannot be taken out or moved on for as long as taking it out would have taken.
    Redelegate {
        /// The validator that it leaves: its name, its operator's address, or the name of its operator's key.
        #[arg(value_name = "FROM")]
        source: Party,
        /// The validator that it joins.
        #[arg(value_name = "TO")]
        target: Party,
        /// How much: `12.5` (stos) or `1000wei`; without it all that can move.
        #[arg(value_parser = Amount::parse_human)]
        amount: Option<Amount>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Receive what your stake earned.
    #[command(visible_alias = "rewards")]
    Collect {
        /// With one validator: its name, its operator's address, or the name of its operator's key; without it with all, at most 16 at once.
        validator: Option<Party>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Receive what was taken out and is due.
    Withdraw {
        /// Of one validator: its name, its operator's address, or the name of its operator's key; without it of all, at most 16 at once.
        validator: Option<Party>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
}

/// Decisions of stake.
#[derive(Debug, Subcommand)]
pub enum Gov {
    /// The parameters with their units and ranges.
    Parameters {
        /// When.
        #[command(flatten)]
        at: At,
    },
    /// The newest proposals.
    List {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
    },
    /// One proposal.
    Show {
        /// Its number.
        proposal: u64,
        /// When.
        #[command(flatten)]
        at: At,
    },
    /// Make a proposal; the deposit is returned unless it is vetoed.
    Propose {
        /// What it is called.
        title: String,
        /// Why.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        text: String,
        /// Change a parameter: `community_tax_bp=300`; `stratos gov parameters` lists them.
        #[arg(long, value_name = "NAME=VALUE")]
        set: Vec<Change>,
        /// Pay from the community pool: `bob=12.5`.
        #[arg(long, value_name = "ACCOUNT=AMOUNT")]
        spend: Vec<Spend>,
        /// Let an applicant become a meta node, when none is active that could vote for it: its name, its operator's address, or the name of its operator's
        /// key.
        #[arg(long, value_name = "META")]
        admit_meta: Vec<Party>,
        /// Take a meta node out: its name, its operator's address, or the name of its operator's key.
        #[arg(long, value_name = "META")]
        remove_meta: Vec<Party>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Give to the community pool or to the reserve that mining rewards come from.
    Donate {
        /// Which of them.
        fund: FundName,
        /// How much: `12.5` (stos) or `1000wei`.
        #[arg(value_parser = Amount::parse_human)]
        amount: Amount,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Vote on a proposal: for your validator, or with your own stake with others.
    Vote {
        /// Its number.
        proposal: u64,
        /// How.
        opinion: Opinion,
        /// A validator with which you have stake: its name, its operator's address, or the name of its operator's key.
        #[arg(long, value_name = "VALIDATOR")]
        with: Vec<Party>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
}

/// How somebody votes on a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Opinion {
    /// For it.
    Yes,
    /// Against it.
    No,
    /// Neither; counts for the quorum.
    Abstain,
    /// Against it, and its deposit is burned if enough say so.
    Veto,
}

/// What belongs to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FundName {
    /// The community pool, which proposals spend.
    Community,
    /// The foundation's reserve, from which mining rewards are paid.
    Reserve,
}

/// A parameter and what it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// What it becomes, in its unit.
    pub value: u128,
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("a parameter and its value are written `community_tax_bp=300`")?;
        let value = value.replace('_', "").parse().map_err(|_| format!("`{value}` is not a whole number; values are in the parameter's unit"))?;
        Ok(Self { name: name.to_owned(), value })
    }
}

/// Who is paid how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend(pub Party, pub Amount);

impl FromStr for Spend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (who, amount) = text.split_once('=').ok_or("an account and an amount are written `bob=12.5`")?;
        Ok(Self(who.parse()?, Amount::parse_human(amount).map_err(|error| error.to_string())?))
    }
}

/// The registries of nodes.
#[derive(Debug, Subcommand)]
pub enum Registry {
    /// What the meta nodes can vote on.
    Ballots {
        /// When.
        #[command(flatten)]
        at: At,
    },
    /// Vote as the operator of an active meta node; more than two thirds of them decide when an epoch ends.
    Vote {
        /// What for.
        seat: Seat,
        /// The node: its name, its operator's address, or the name of its operator's key.
        who: Party,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Add to the deposit of your node.
    TopUp {
        /// How much: `12.5` (stos) or `1000wei`.
        #[arg(value_parser = Amount::parse_human)]
        amount: Amount,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Publish where your node is reached now.
    Move {
        /// Where: `/ip4/203.0.113.7/tcp/4001`; at most 8.
        #[arg(required = true, value_name = "MULTIADDR", value_parser = network_address)]
        addresses: Vec<String>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Take your node out: a resource node serves on for some epochs; the deposit can be withdrawn later.
    #[command(visible_alias = "exit")]
    Leave {
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Receive the deposit of your node that left.
    Withdraw {
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
}

/// What meta nodes decide about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Seat {
    /// An applicant becomes a meta node.
    Admit,
    /// A meta node leaves.
    Expel,
    /// A resource node is given no new slices.
    Suspend,
    /// A suspended resource node takes part again.
    Resume,
}

/// Proofs of contradictions.
#[derive(Debug, Subcommand)]
pub enum Evidence {
    /// The proofs that the node keeps, and the offences that the ledger counts.
    List {
        /// Proofs at most, 1 to 200; the newest.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(FILES_MAX)))]
        limit: u32,
    },
    /// Bring proofs to the node that you ask: of a validator that contradicted itself, or of who broke a chain. They spread from there, and the next blocks
    /// take them.
    Submit {
        /// What `node forensics blame` wrote, or lines of the digits that `evidence list --json` has under `proof`; `-` is standard input.
        file: PathBuf,
    },
    /// Check the report of an epoch that waits to be settled, as a node's metadata ledger has it, and prove it if it is false.
    Accuse {
        /// The epoch.
        epoch: Epoch,
        #[command(flatten)]
        how: How,
    },
}

/// Proofs of values.
#[derive(Debug, Subcommand)]
pub enum Proof {
    /// Ask the node what is under a key, with the proof; prints the file that `proof verify` checks.
    Get {
        /// The key: `account:alice`, `parameters`, hexadecimal digits; `--help` lists the forms.
        #[arg(value_name = "KEY", long_help = format!("The key: {}", forms()))]
        state_key: StateKey,
        /// The ledger, `value` or `meta`; without it the one that has such keys, `value` for bytes.
        #[arg(long, value_name = "LEDGER")]
        ledger: Option<LedgerName>,
        /// After the block of this height, of the last 10,000 at most; without it after the newest.
        #[arg(long, value_name = "HEIGHT")]
        height: Option<Height>,
        /// Write the file there, instead of printing it; nothing is replaced.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// In the form of ICS 23, for verifiers of other chains: it hangs on the state's root, which nothing in it certifies.
        #[arg(long)]
        ics23: bool,
    },
    /// Check such a file; ends with 0 if it proves what it says, with 1 if not.
    Verify {
        /// The file; `-` is standard input.
        file: PathBuf,
        /// The network's genesis file, which is all that is trusted then; without it the node gives its own.
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
}

/// Prepaid traffic.
#[derive(Debug, Subcommand)]
pub enum Ozone {
    /// The price, and what is for sale.
    Price,
    /// Buy ozone.
    Buy {
        /// What to pay: `12.5` (stos) or `1000wei`.
        #[arg(value_parser = Amount::parse_human)]
        amount: Amount,
        /// Least ozone to accept, in noz; without it 1 % less than the price of now gives.
        #[arg(long, value_name = "NOZ")]
        noz_min: Option<Noz>,
        /// The last block that may buy; without it 200 blocks from now, with --unsigned a million.
        #[arg(long, value_name = "HEIGHT")]
        until: Option<Height>,
        /// Who owns the ozone; without it, whoever pays.
        #[arg(long = "for", value_name = "ADDRESS|NAME")]
        beneficiary: Option<Party>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
    /// Ozone of an account, and what it cost.
    Balance {
        /// An address or the name of a key; without it, --key.
        who: Option<Party>,
        /// When.
        #[command(flatten)]
        at: At,
    },
}

/// Files.
#[derive(Debug, Subcommand)]
pub enum File {
    /// Encrypt a file here and store it on the network.
    Put {
        /// The file.
        path: PathBuf,
    },
    /// Bring a file back.
    Get {
        /// Its id.
        id: Hash,
        /// Where to write it.
        #[arg(long, value_name = "PATH")]
        out: PathBuf,
        /// Replace what is there.
        #[arg(long)]
        force: bool,
    },
    /// Files of an account.
    Ls {
        /// An address or the name of a key; without it, --key, and without that everybody's.
        owner: Option<Party>,
        /// Files at most, 1 to 200; the newest.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(FILES_MAX)))]
        limit: u32,
    },
    /// What is known of a file.
    Stat {
        /// Its id.
        id: Hash,
    },
    /// Remove a file from the index.
    Rm {
        /// Its id.
        id: Hash,
    },
}

/// Receipts.
#[derive(Debug, Subcommand)]
pub enum Receipt {
    /// The receipts in the report of an epoch.
    List {
        /// The epoch, or `latest` for the newest settled one.
        #[arg(default_value = "latest")]
        epoch: EpochId,
        /// Only those that this account pays: an address or the name of a key.
        #[arg(long, value_name = "WHO")]
        payer: Option<Party>,
        /// Only those of this carrier: an address or the name of a key.
        #[arg(long, value_name = "WHO")]
        carrier: Option<Party>,
    },
    /// Ask the node for a part of an epoch's report with everything that proves its receipts; `receipt verify` checks it.
    Get {
        /// The epoch, or `latest` for the newest settled one.
        epoch: EpochId,
        /// The number of the part.
        #[arg(default_value_t = 0)]
        part: u32,
        /// Where to write the file; nothing is replaced.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check such a file, offline with --genesis; ends with 0 if every receipt in it was signed, claimed and certified, with 1 if not.
    Verify {
        /// The file; `-` is standard input.
        file: PathBuf,
        /// The network's genesis file, which is all that is trusted then; without it the node gives its own.
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
}

/// Epochs.
#[derive(Debug, Subcommand)]
pub enum EpochCommand {
    /// The settlement of an epoch, its report, and what can be checked of it.
    Show {
        /// Its number, or `latest` for the newest settled one.
        #[arg(default_value = "latest")]
        epoch: EpochId,
    },
}

/// Rewards.
#[derive(Debug, Subcommand)]
pub enum Reward {
    /// Rewards of an account.
    Show {
        /// An address or the name of a key; without it, --key.
        who: Option<Party>,
        /// When.
        #[command(flatten)]
        at: At,
    },
    /// Withdraw mature rewards.
    Withdraw {
        /// How much: `12.5` (stos) or `1000wei`; without it all that is mature.
        #[arg(value_parser = Amount::parse_human)]
        amount: Option<Amount>,
        /// Who receives; without it, whoever earned.
        #[arg(long, value_name = "ADDRESS|NAME")]
        to: Option<Party>,
        /// How to send it.
        #[command(flatten)]
        how: How,
    },
}

/// Nodes.
#[derive(Debug, Subcommand)]
pub enum Node {
    /// The node that is asked.
    Status,
    /// Stop a node of a development network.
    Stop {
        /// `validator-1`, `meta-1`, `resource-1`.
        name: KeyName,
    },
    /// Start it again.
    Start {
        /// `validator-1`, `meta-1`, `resource-1`.
        name: KeyName,
    },
    /// Who broke a chain.
    #[command(subcommand)]
    Forensics(Forensics),
    /// Read every value on the disk of a stopped node, and compare their root with what its newest blocks say; ends with 0 if they agree.
    VerifyState {
        /// Directory of the node.
        directory: PathBuf,
        /// The network's genesis file; without it `genesis.json` beside the directory.
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
}

/// Genesis files.
#[derive(Debug, Subcommand)]
pub enum Genesis {
    /// Whether a network can begin with a file; ends with 0 if so, else names line, column and entry of the first mistake.
    Check {
        /// The file; `-` is standard input.
        file: PathBuf,
    },
    /// Write, to standard output, the genesis of a new chain that goes on where this one stands: the node is asked while the network runs, or the directory of a
    /// stopped one is read. What does not go on is said on standard error.
    Export {
        /// Directory of a stopped node, such as DATA/validator-1; without it the running node is asked.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// With `--data`: the chain's genesis file; without it `genesis.json` beside the directory.
        #[arg(long, value_name = "FILE", requires = "data")]
        genesis: Option<PathBuf>,
        /// After which block; without it the newest final one. The states of the last blocks only are kept.
        #[arg(long, value_name = "HEIGHT")]
        height: Option<u64>,
        /// Name of the new network; without it that of the old one. Its id differs all the same.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
}

/// Who broke a chain.
#[derive(Debug, Subcommand)]
pub enum Forensics {
    /// Check a proof; ends with 0 if it proves who broke the chain of this network, with 1 if not.
    Verify {
        /// The proof.
        file: PathBuf,
        /// The network's genesis file, which says what its chain is and who voted at first; without it the node says so, and who voted in any epoch.
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
    /// Compare the blocks of two stopped validators; if both are final and contradict each other, write the proof of who did it.
    Blame {
        /// Directory of one node.
        first: PathBuf,
        /// Directory of the other.
        second: PathBuf,
        /// Where to write the proof; nothing is replaced.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The network's genesis file; without it `genesis.json` beside the first directory.
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
}

/// An account as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// By address.
    Address(Address),
    /// By the name of a key.
    Name(KeyName),
}

impl FromStr for Party {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with(&format!("{ADDRESS_PREFIX}1")) {
            return text.parse().map(Self::Address).map_err(|error: primitives::account::ParseAddressError| error.to_string());
        }
        text.parse().map(Self::Name).map_err(|error: client::wallet::NameError| format!("neither an address (`{ADDRESS_PREFIX}1...`) nor a key name: {error}"))
    }
}

/// A public key as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyId {
    /// By the name of a key.
    Name(KeyName),
    /// By itself.
    Key(AccountKey),
}

/// Letters of a public key without its type.
const KEY_DIGITS: usize = 64;

impl FromStr for KeyId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains(':') || text.len() == KEY_DIGITS {
            return text.parse().map(Self::Key).map_err(|error: primitives::account::ParseAccountKeyError| error.to_string());
        }
        text.parse().map(Self::Name).map_err(|error: client::wallet::NameError| format!("neither a public key of {KEY_DIGITS} digits nor a key name: {error}"))
    }
}

/// A transaction as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxId {
    /// One that was sent, by hash.
    Hash(Hash),
    /// One that is to be signed.
    File(PathBuf),
}

impl FromStr for TxId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(hash) => Ok(Self::Hash(hash)),
            Err(_) if Path::new(text).is_file() => Ok(Self::File(text.into())),
            Err(_) => Err(format!("`{text}` is no hash of 64 digits, and there is no such file")),
        }
    }
}

/// A block as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockId {
    /// The newest final one.
    Latest,
    /// By height.
    Height(Height),
    /// By hash.
    Hash(Hash),
}

impl FromStr for BlockId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let height = text.parse().map(Self::Height);
        height.or_else(|_| text.parse().map(Self::Hash)).map_err(|_| format!("`{text}` is no height, no hash of 64 digits, and not `latest`"))
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Height(height) => height.fmt(f),
            Self::Hash(hash) => hash.fmt(f),
        }
    }
}

/// An epoch as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EpochId {
    /// The newest settled one.
    Latest,
    /// By number.
    Number(Epoch),
}

impl FromStr for EpochId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        text.parse().map(Self::Number).map_err(|_: ParseIntError| format!("`{text}` is no epoch: give a number or `latest`"))
    }
}

impl fmt::Display for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Number(epoch) => epoch.fmt(f),
        }
    }
}

/// Percent with at most two decimals, in basis points.
fn percent(text: &str) -> Result<u32, String> {
    let fail = || format!("`{text}` is no part in percent: write a number from 0 to 100 with at most two decimals, `5` or `2.5`");
    let text_is = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, decimals) = text.trim_end_matches('%').trim_end().split_once('.').unwrap_or((text.trim_end_matches('%').trim_end(), "0"));
    if !text_is(whole) || !text_is(decimals) || decimals.len() > 2 {
        return Err(fail());
    }
    let points = format!("{whole}{decimals:0<2}").parse::<u32>().map_err(|_| fail())?;
    if points > chain::staking::COMMISSION_BP_MAX { Err(fail()) } else { Ok(points) }
}

/// Units of sizes, with their bytes.
const SIZES: [(&str, u64); 11] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("B", 1),
];

/// A whole number of bytes or of a unit of them.
fn size(text: &str) -> Result<Bytes, String> {
    let fail = || format!("`{text}` is no size: write a whole number with its unit, `1TiB` or `500GB`");
    let (number, unit) = SIZES.iter().find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes))).ok_or_else(fail)?;
    let number: u64 = number.trim_end().parse().map_err(|_| fail())?;
    match number.checked_mul(unit) {
        Some(0) | None => Err(fail()),
        Some(bytes) => Ok(Bytes(bytes)),
    }
}

/// Where a node is reached, without who it is.
fn network_address(text: &str) -> Result<String, String> {
    let limit = chain::transaction::ADDRESS_BYTES_MAX;
    let address: Multiaddr = text.parse().map_err(|error| format!("`{text}` is no multiaddress, such as `/ip4/203.0.113.7/tcp/4001`: {error}"))?;
    let address = address.to_string();
    if address.len() > limit {
        return Err(format!("{} bytes, a network address has at most {limit}", address.len()));
    }
    if address.contains("/p2p/") {
        return Err(format!("`{address}` names a peer too: leave `/p2p/...` away, the peer stays who it is"));
    }
    Ok(address)
}

fn memo(text: &str) -> Result<String, String> {
    let limit = chain::transaction::MEMO_BYTES_MAX;
    if text.len() > limit {
        return Err(format!("{} bytes, a memo has at most {limit}", text.len()));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// A peer id.
    const PEER: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("stratos").chain(line.split_whitespace()))
    }

    #[test]
    fn the_description_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn good_lines() {
        let address = Address([1; 20]);
        let hash = Hash([7; 32]);
        // The generator of ristretto255, and a key of RFC 8032.
        let ristretto = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";
        let ed25519 = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        for line in [
            "key new mine",
            "key import mine -",
            "key show mine --words",
            "account show --json",
            &format!("--json account show {address}"),
            &format!("send {address} 12.5 --memo hi --tip 5wei --fee-max 0.5 --nonce 3 --no-wait --key alice"),
            "send bob 1000wei --node http://localhost:9000/",
            "send bob 1 --dry-run --json",
            "send bob 1 --from shared.json --unsigned tx.json --memo hi",
            "stake delegate validator-1 5 --from shared.json --dry-run",
            &format!("multisig address --threshold 2 alice {ristretto} {ed25519} --out shared.json"),
            &format!("tx show {hash}"),
            "tx show Cargo.toml",
            "tx sign tx.json --key alice",
            "tx send tx.json copy.json --no-wait",
            "tx send tx.json --dry-run",
            "block show",
            "block show 12",
            &format!("block show {hash}"),
            "validator list",
            "validator show validator-2",
            "validator create --stake 100 --commission 2.5 --consensus validator-5 --key validator-5",
            "validator create --stake 100 --commission 0 --consensus-file seed --key me",
            "validator create --stake 100 --commission 0 --commission-max 10 --consensus-file seed --key me",
            "validator commission 2.5 --key validator-2",
            "validator unjail --key validator-2",
            &format!("stake delegate {address} 12.5 --key alice"),
            "stake undelegate validator-1",
            "stake undelegate validator-1 5",
            "stake redelegate validator-1 validator-2",
            "stake redelegate validator-1 bob 5 --key alice",
            "stake collect",
            "stake collect validator-1",
            "stake withdraw",
            "stake withdraw validator-1",
            "stake show alice",
            "gov parameters",
            "gov list --limit 3",
            "gov show 0 --json",
            "gov propose change --set community_tax_bp=300 --set epoch_ms=20_000 --spend bob=12.5 --remove-meta meta-2 --text why --key alice",
            "gov vote 0 yes --key validator-1",
            "gov vote 0 veto --with validator-1 --with bob --key alice",
            "registry ballots",
            "registry vote expel meta-2 --key meta-1",
            "registry top-up 5 --key resource-1",
            "registry leave --key resource-1",
            "resource exit --key resource-1",
            "meta vote meta-5 --key meta-1",
            "meta kick meta-2 --key meta-1",
            "meta exit --key meta-2 --dry-run",
            "registry exit --dry-run",
            "registry move /ip4/203.0.113.7/tcp/4001 /dns4/node.example/tcp/1 --key resource-1",
            "registry withdraw --key resource-1",
            "evidence list --limit 3",
            "node forensics verify proof",
            "node forensics verify proof --genesis genesis.json",
            "node forensics blame a b --out proof",
            "node verify-state a",
            "node verify-state a --genesis genesis.json",
            "proof get 0x0170",
            "proof get 0170 --ledger meta --height 7 --out file",
            "proof get account:alice",
            &format!("proof get account:{address} --ledger value --json"),
            "proof verify file",
            "proof verify - --genesis genesis.json",
            "resource list",
            "resource show resource-1",
            &format!("resource register --capacity 1TiB --deposit 5 --node-key mine --peer {PEER} --address /ip4/203.0.113.7/tcp/4001 --key me"),
            &format!("resource register --capacity 500GB --node-key-file f --peer {PEER} --address /ip6/::1/tcp/1 --address /dns/a/tcp/2 --dry-run"),
            "meta list",
            "meta show",
            &format!("meta apply --node-key mine --peer {PEER} --address /ip4/203.0.113.7/tcp/4001 --json"),
            "profile show resource-1",
            "profile set --name Cellar --website https://stratos.example --contact mail@stratos.example --details dry --key resource-1",
            "profile set --details= --unsigned f",
            "profile remove --dry-run",
            "gov donate community 5",
            "gov donate reserve 1wei --no-wait",
            "validator edit 2.5",
            "stake rewards",
            "ozone price",
            "ozone buy 20 --noz-min 5 --until 900 --for bob",
            "ozone balance",
            "file put a.bin",
            &format!("file get {hash} --out b.bin --force"),
            "file ls alice --limit 3",
            &format!("file stat {hash}"),
            &format!("file rm {hash}"),
            "epoch show",
            "epoch show 4",
            "receipt list",
            "receipt list 4 --payer alice --carrier resource-1",
            "receipt get latest --out f",
            "receipt get 4 1 --out f",
            "receipt verify f --genesis g",
            "event list",
            "event list --kind proposal_voted --account bob --oldest",
            "validator delegators",
            "validator delegators validator-1 --limit 3 --height 7",
            "evidence submit proof",
            "evidence submit -",
            "evidence accuse 4 --key alice",
            "reward show alice",
            "reward withdraw",
            "reward withdraw 1.5 --to bob",
            "node status",
            "node stop resource-1",
            "node start resource-1",
            "completions bash",
            "--dev",
            "--dev --validators 4 --meta-nodes 4 --data d --port 9000 --epoch 5 -v",
            "--dev --epoch-ms 2500 --log debug",
            "--dev --validators 4 --standby 2",
            "--dev --data d --verify-state",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    /// Each of these is a mistake in typing: code 2, and the message names the value.
    #[test]
    fn bad_lines() {
        let mut address = Address([1; 20]).to_string();
        let last = if address.ends_with('q') { 'p' } else { 'q' };
        address.pop();
        address.push(last);
        for line in [
            "frobnicate",
            "key new",
            "key new ../evil",
            "account show --frobnicate",
            &format!("send {address} 1"),
            "send bob",
            "send bob 1.0000000000000000001",
            "send bob -- -1",
            "send bob one",
            "send bob 1 --nonce -1",
            &format!("send bob 1 --memo {}", "m".repeat(257)),
            "tx show 12",
            "tx show src",
            "tx sign",
            "tx send",
            "tx send a --dry-run --no-wait",
            "send bob 1 --dry-run --unsigned f",
            "send bob 1 --unsigned f --no-wait",
            "multisig address --threshold 2",
            "multisig address alice bob",
            "multisig address --threshold 256 alice bob",
            "multisig address --threshold 1 alice rsa:00",
            &format!("multisig address --threshold 1 alice {}", "0".repeat(64)),
            "block show -1",
            "block show newest",
            "epoch show newest",
            "receipt get 4",
            "receipt get 4 -1 --out f",
            "receipt verify",
            "file get 12 --out x",
            &format!("file get {}", Hash::ZERO),
            "file ls --limit 0",
            "file ls --limit 201",
            "ozone buy 1 --noz-min many",
            "ozone buy 1 --until later",
            "validator create --stake 1 --commission 101 --consensus x",
            "validator create --stake 1 --commission 1.234 --consensus x",
            "validator create --stake 1 --commission 5",
            "validator create --stake 1 --commission 5 --consensus x --consensus-file y",
            "stake delegate validator-1",
            "evidence list --limit 0",
            "evidence submit",
            "gov propose",
            "gov propose a --set community_tax_bp",
            "gov propose a --set community_tax_bp=much",
            "gov propose a --spend bob",
            "gov vote 0 perhaps",
            "gov vote x yes",
            "registry vote like meta-1",
            "registry top-up",
            "registry move",
            "registry move 203.0.113.7:4001",
            &format!("registry move /ip4/203.0.113.7/tcp/4001/p2p/{PEER}"),
            &format!("registry move /dns/{}/tcp/1", "a".repeat(130)),
            &format!("resource register --capacity 1TiB --peer {PEER} --address /ip4/203.0.113.7/tcp/4001"),
            &format!("resource register --capacity 1TiB --node-key a --peer {PEER}"),
            "resource register --capacity 1TiB --node-key a --peer me --address /ip4/203.0.113.7/tcp/4001",
            &format!("resource register --capacity 0TiB --node-key a --peer {PEER} --address /ip4/203.0.113.7/tcp/4001"),
            &format!("resource register --capacity 20000PiB --node-key a --peer {PEER} --address /ip4/203.0.113.7/tcp/4001"),
            &format!("meta apply --deposit much --node-key a --peer {PEER} --address /ip4/203.0.113.7/tcp/4001"),
            "profile set",
            "gov donate burned 1",
            "node forensics blame a b",
            "node verify-state",
            "proof get",
            "proof get xyz",
            "proof get account:st1x",
            "proof get 0170 --ledger other",
            "proof get 0170 --height -1",
            "proof verify",
            "--verify-state",
            "completions cobol",
            "--validators 4",
            "--standby 1",
            "--dev --standby 17",
            "--dev --validators 0",
            "--dev --validators four",
            "--dev --epoch 5 --epoch-ms 5000",
            "--dev --epoch-ms 10",
            "--dev --port 65536",
            "block show --node ftp://x",
            "block show --node https://x",
            "",
        ] {
            let error = parse(line).map(|arguments| panic!("{line}: {arguments:?}")).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
