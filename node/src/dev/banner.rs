//! What a development network prints: who is there, what to try, and a line per block.

use std::fmt::Display;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use client::wallet::Seed;
use primitives::Amount;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::network::Network;
use super::plan::{PEOPLE, Plan};
use crate::replica::Notice;

/// Prints a line; nobody reading is no reason to stop the network.
macro_rules! say {
    ($($text:tt)*) => {
        let _ = writeln!(std::io::stdout(), $($text)*);
    };
}

/// Prints who is there and what to try.
pub fn print(plan: &Plan, network: &Network, http: SocketAddr) {
    say!("stratos development network {}", plan.genesis.chain_id());
    say!("  genesis    {}", plan.genesis.hash());
    say!("  data       {}", plan.directory.display());
    say!("  epoch      {} s", seconds(plan.genesis.parameters.epoch_ms));
    say!("");
    say!("accounts (their keys are public: never send real money there)");
    for (name, stos, ozone) in PEOPLE {
        let address = Seed::dev(name).secret().address();
        say!("  {name:<10} {address}  {}, of which {} bought ozone", Amount::stos(stos).to_stos(), Amount::stos(ozone).to_stos());
    }
    say!("");
    say!("listening");
    for (name, addresses) in network.addresses() {
        say!("  {name:<12} {}", addresses.join("  "));
    }
    say!("  {:<12} http://{http}", "http");
    say!("");
    say!("try");
    let node = if http.port() == 8600 { String::new() } else { format!(" --node http://{http}") };
    for command in [
        "account show alice",
        "file put README.md --key alice",
        "file ls --key alice",
        "epoch show latest",
        "send bob 5 --key alice",
        "ozone buy 10 --key carol",
        "node stop resource-1",
    ] {
        say!("  stratos {command}{node}");
    }
    say!("  and open http://{http}/ in a browser. Ctrl-C ends the network.");
    say!("");
    say!("ready");
}

/// Prints what was found on disk.
pub fn verified(found: impl Display) {
    say!("on disk: {found}");
}

/// Prints a line per block of the value ledger.
pub async fn follow(mut notices: Receiver<Arc<Notice>>) {
    loop {
        match notices.recv().await {
            Ok(notice) => {
                let epoch = if notice.summary.closes_epoch { "  epoch ends" } else { "" };
                say!(
                    "block {:>6}  view {:>6}  {}  {:>4} tx{epoch}",
                    notice.header.height.0,
                    notice.header.view.0,
                    &notice.header.hash().to_string()[..16],
                    notice.transactions
                );
            }
            Err(RecvError::Lagged(missed)) => {
                say!("({missed} blocks not shown)");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Says that the end begins.
pub fn stopping() {
    say!("stopping");
}

/// Milliseconds as seconds, without trailing zeros.
fn seconds(ms: u64) -> String {
    let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
