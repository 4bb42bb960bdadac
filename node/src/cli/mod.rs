//! The command line: `stratos --dev` starts a network, every other command asks a node over HTTP.
//!
//! What is typed is checked first (`args`), then asked or signed and sent, then printed: for people, or with `--json` as one value. Exit codes: 0 done,
//! 1 refused, 2 misused. Errors go to standard error with what to do next; standard output then stays empty.
//!
//! # In reading order
//! 1. [`args`], [`state_key`], [`dev`] what can be typed.
//! 2. [`failure`], [`output`], [`progress`] what is said.
//! 3. [`http`], [`genesis`] asking a node, and what is trusted without one; making and checking that.
//! 4. [`passphrase`], [`multisig`], [`signer`], [`submit`], [`envelope`] who signs, and sending.
//! 5. [`key`], [`money`], [`ozone`], [`network`], [`traffic`], [`staking`], [`governance`], [`nodes`], [`profile`], [`forensics`], [`accuse`], [`proof`], [`disk`], [`mod@file`], [`transfer`] the
//!    commands.

mod accuse;
pub mod args;
pub mod dev;
pub mod disk;
pub mod envelope;
mod evidence;
pub mod events;
pub mod failure;
pub mod file;
pub mod forensics;
pub mod genesis;
pub mod governance;
pub mod http;
pub mod key;
pub mod money;
pub mod multisig;
pub mod network;
pub mod nodes;
pub mod output;
pub mod ozone;
pub mod passphrase;
pub mod profile;
pub mod progress;
pub mod proof;
pub mod signer;
pub mod staking;
pub mod state_key;
pub mod submit;
pub mod traffic;
mod transfer;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use client::wallet::{KeyName, Wallet};
use tracing_subscriber::EnvFilter;

use crate::http::views;
use args::{Arguments, Command, Global, Party};
use failure::Failure;

/// What every command needs.
pub struct Context {
    /// The node to ask.
    pub node: http::Node,
    /// Whether a program reads the answer.
    pub json: bool,
    /// Who signs.
    pub key: Option<KeyName>,
    home: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
}

impl From<Global> for Context {
    fn from(global: Global) -> Self {
        let Global { json, node, key, home, passphrase_file, verbose: _, log: _ } = global;
        Self { node: http::Node::new(node), json, key, home, passphrase_file }
    }
}

impl Context {
    /// The wallet.
    ///
    /// # Errors
    /// [`Failure`] if it has no place.
    pub fn wallet(&self) -> Result<Wallet, Failure> {
        signer::wallet(self.home.clone())
    }

    /// The network, as the node sees it.
    ///
    /// # Errors
    /// [`Failure`] if the node does not answer.
    pub fn status(&self) -> Result<views::Status, Failure> {
        self.node.get("/v1/status")
    }

    /// The nodes of the network.
    ///
    /// # Errors
    /// [`Failure`] if the node does not answer.
    pub fn nodes(&self) -> Result<views::Nodes, Failure> {
        self.node.get("/v1/nodes")
    }

    /// An account's record; without a name that of `--key`.
    ///
    /// # Errors
    /// [`Failure`] if nobody is named, or the node does not answer.
    pub fn read_account(&self, who: Option<&Party>) -> Result<views::Account, Failure> {
        self.read_account_at(who, args::At::default())
    }

    /// The same as of then.
    ///
    /// # Errors
    /// As [`Context::read_account`], or if the node does not keep that state.
    pub fn read_account_at(&self, who: Option<&Party>, at: args::At) -> Result<views::Account, Failure> {
        self.node.get(&at.of(&format!("/v1/accounts/{}", self.account(who)?)))
    }
}

/// Reads the command line and does what it says; `start` runs a development network until it is told to stop.
pub fn run(start: impl FnOnce(dev::Options) -> anyhow::Result<()>) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version end with 0, mistakes with 2; nobody is left to tell if printing fails.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = arguments.global.json;
    match dispatch(arguments, start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

fn dispatch(arguments: Arguments, start: impl FnOnce(dev::Options) -> anyhow::Result<()>) -> Result<(), Failure> {
    let Arguments { global, dev, command } = arguments;
    log(&global)?;
    match command {
        Some(_) if dev.dev => Err(Failure::misused("`--dev` starts a network and takes no command").hint("run the command in another terminal")),
        None if dev.dev => start(dev.into()).map_err(|error| Failure::refused(format!("{error:#}"))),
        None => Err(Failure::misused("no command is given").hint("`stratos --help` lists them; `stratos --dev` starts a network")),
        Some(command) => execute(command, &Context::from(global)),
    }
}

/// Runs a command as it would be typed, in the process of a test.
#[cfg(test)]
pub fn run_line(line: &str) -> Result<(), Failure> {
    let arguments = Arguments::try_parse_from(line.split_whitespace()).map_err(Failure::misused)?;
    execute(arguments.command.expect("a command"), &Context::from(arguments.global))
}

fn execute(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Key(command) => key::run(command, context),
        Command::Account(command) => money::account(&command, context),
        Command::Send(command) => money::send(&command, context),
        Command::Multisig(command) => multisig::run(command, context),
        Command::Tx(args::Tx::Show { transaction: args::TxId::Hash(hash) }) => money::transaction(hash, context),
        Command::Tx(args::Tx::Show { transaction: args::TxId::File(file) }) => envelope::show(&file, context),
        Command::Tx(args::Tx::Sign { file }) => envelope::sign(&file, context),
        Command::Tx(args::Tx::Send { files, dry_run, no_wait }) => envelope::send(&files, dry_run, no_wait, context),
        Command::Block(command) => network::block(&command, context),
        Command::Event(args::Event::List(wanted)) => events::list(&wanted, context),
        Command::Validator(command) => staking::validator(&command, context),
        Command::Stake(command) => staking::stake(&command, context),
        Command::Gov(command) => governance::gov(&command, context),
        Command::Registry(command) => governance::registry(&command, context),
        Command::Evidence(args::Evidence::List { limit }) => evidence::list(limit, context),
        Command::Evidence(args::Evidence::Submit { file }) => evidence::submit(&file, context),
        Command::Evidence(args::Evidence::Accuse { epoch, how }) => accuse::accuse(epoch, &how, context),
        Command::Proof(command) => proof::run(&command, context),
        Command::Resource(command) => nodes::resource(&command, context),
        Command::Meta(command) => nodes::meta(&command, context),
        Command::Profile(command) => profile::run(&command, context),
        Command::Ozone(command) => ozone::run(&command, context),
        Command::File(args::File::Put { path }) => file::put(&path, context, transfer::put),
        Command::File(args::File::Get { id, out, force }) => file::get(id, &out, force, context, transfer::get),
        Command::File(args::File::Ls { owner, limit }) => file::list(owner.as_ref(), limit, context, |signer| transfer::list(context, signer)),
        Command::File(args::File::Stat { id }) => file::stat(id, context),
        Command::File(args::File::Rm { id }) => file::remove(id, context, transfer::remove),
        Command::Epoch(command) => traffic::epoch(&command, context),
        Command::Receipt(command) => traffic::receipt(&command, context),
        Command::Reward(command) => money::reward(&command, context),
        Command::Node(command) => network::node(&command, context),
        Command::Genesis(command) => genesis::run(&command, context),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "stratos", &mut script);
            output::stdout(&script)
        }
    }
}

/// Logs go to standard error: warnings, and more with `-v` or `--log`.
fn log(global: &Global) -> Result<(), Failure> {
    let filter = match (&global.log, global.verbose) {
        (Some(filter), _) => filter.as_str(),
        (None, 0) => "warn",
        (None, 1) => "info",
        (None, 2) => "debug",
        (None, 3..) => "trace",
    };
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::misused(format!("`{filter}` is no log filter: {error}")).hint("write a level (`info`) or `warn,consensus=debug`"))?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    Ok(())
}
