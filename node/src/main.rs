//! `stratos`: one program for every role, and the commands that talk to it.
//!
//! `stratos --dev` runs a whole network in this process ([`dev`]); every other command asks a running node over HTTP ([`cli`]).

mod replica;
mod roles;
mod resource;
mod http;
mod dev;
mod cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run(dev::run)
}
