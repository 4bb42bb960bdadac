//! Runs one scenario, or scenario after scenario until told to stop.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sim::scenario::{Scenario, generate};
use sim::world::World;

const USAGE: &str = "usage: sim --seed N [--loud] | --scenario \"LINE\" [--loud] | --forever [--from N] | --minutes N [--from N] | --runs N [--from N]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    let number = |name: &str| value(name).and_then(|value| value.parse::<u64>().ok());
    let is_loud = arguments.iter().any(|argument| argument == "--loud");
    let from = number("--from").unwrap_or(0);
    if let Some(line) = value("--scenario") {
        return match line.parse() {
            Ok(scenario) => one(&scenario, is_loud),
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(2)
            }
        };
    }
    if let Some(seed) = number("--seed") {
        return one(&generate::from_seed(seed), is_loud);
    }
    if let Some(minutes) = number("--minutes") {
        return many(from, u64::MAX, Duration::from_secs(60 * minutes));
    }
    if let Some(runs) = number("--runs") {
        return many(from, runs, Duration::MAX);
    }
    if arguments.iter().any(|argument| argument == "--forever") {
        return many(from, u64::MAX, Duration::MAX);
    }
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn one(scenario: &Scenario, is_loud: bool) -> ExitCode {
    println!("{scenario}");
    let mut world = World::new(scenario);
    world.is_loud = is_loud;
    let ended = world.run_with(|world| {
        if let Some(stakes) = &world.observer().chains.stakes {
            println!("{:#?} {:#?}", stakes.events, stakes.guilty());
        }
    });
    match ended {
        Ok(summary) => {
            println!("{summary:#?}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn many(from: u64, runs: u64, time: Duration) -> ExitCode {
    let began = Instant::now();
    let (mut done, mut events, mut finals, mut forks, mut failures) = (0_u64, 0, 0, 0, 0);
    let mut said = Instant::now();
    for seed in from..from.saturating_add(runs) {
        match World::new(&generate::from_seed(seed)).run() {
            Ok(summary) => {
                (done, events, finals, forks) = (done + 1, events + summary.events, finals + summary.tally.finals, forks + summary.forks);
            }
            Err(failure) => {
                failures += 1;
                println!("VIOLATION seed {seed}: {failure}");
            }
        }
        let is_over = began.elapsed() >= time;
        if said.elapsed() >= Duration::from_secs(10) || is_over || seed + 1 == from.saturating_add(runs) {
            said = Instant::now();
            let seconds = began.elapsed().as_secs().max(1);
            println!(
                "{done} scenarios, {events} events ({} per second), {finals} final blocks, {forks} forks accounted for, {failures} violations; next seed {}",
                events / seconds,
                seed + 1
            );
        }
        if is_over {
            break;
        }
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
