//! Runs one scenario, or scenario after scenario until told to stop.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sim::observer::stakes::Events;
use sim::queue::MILLI;
use sim::scenario::{Scenario, generate};
use sim::world::World;

const USAGE: &str = "usage: sim --bench | --seed N [--loud] [--money] | --scenario \"LINE\" [--loud] | --forever | --minutes N | --runs N; of the last three each [--from N] [--money]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    let number = |name: &str| value(name).and_then(|value| value.parse::<u64>().ok());
    let is_loud = arguments.iter().any(|argument| argument == "--loud");
    let from = number("--from").unwrap_or(0);
    if arguments.iter().any(|argument| argument == "--bench") {
        return bench();
    }
    if let Some(line) = value("--scenario") {
        return match line.parse() {
            Ok(scenario) => one(&scenario, is_loud),
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(2)
            }
        };
    }
    let is_about_money = arguments.iter().any(|argument| argument == "--money");
    let scenario = |seed| if is_about_money { generate::with_money(seed) } else { Some(generate::from_seed(seed)) };
    if let Some(seed) = number("--seed") {
        return scenario(seed).map_or_else(
            || {
                eprintln!("seed {seed} makes no scenario with money");
                ExitCode::from(2)
            },
            |scenario| one(&scenario, is_loud),
        );
    }
    if let Some(minutes) = number("--minutes") {
        return many(from, u64::MAX, Duration::from_secs(60 * minutes), scenario);
    }
    if let Some(runs) = number("--runs") {
        return many(from, runs, Duration::MAX, scenario);
    }
    if arguments.iter().any(|argument| argument == "--forever") {
        return many(from, u64::MAX, Duration::MAX, scenario);
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

/// Latency in virtual time beside what is possible, and how fast the world runs beside the signatures that it makes and checks.
fn bench() -> ExitCode {
    const DELAY_MS: u64 = 40;
    println!("constant delay, nothing else takes time; delays per block and from proposal to finality (possible: 2 and 3), events of one core");
    println!("{:>8} {:>8} {:>9} {:>10} {:>12} {:>20}", "members", "period", "finality", "events/s", "us per event", "signatures per event");
    for members in [4, 13] {
        let mut world = World::new(&Scenario { goal: 400, ..Scenario::quiet(&vec![1; members], DELAY_MS) });
        let began = Instant::now();
        let (mut period, mut finality) = (0.0, 0.0);
        let ended = world.run_with(|world| {
            let in_delays = |micros: u64| f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / f64::from(u32::try_from(DELAY_MS * MILLI).unwrap_or(1));
            let longest = |waits: Vec<u64>| in_delays(waits.into_iter().max().unwrap_or(0));
            let (periods, finalities) = world.latencies();
            (period, finality) = (longest(periods), longest(finalities));
        });
        let seconds = began.elapsed().as_secs_f64();
        match ended {
            Ok(summary) => {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                let (events, votes) = (summary.events as f64, summary.tally.votes as f64);
                println!("{members:>8} {period:>8.3} {finality:>9.3} {:>10.0} {:>12.1} {:>20.3}", events / seconds, 1e6 * seconds / events, votes / events);
            }
            Err(failure) => {
                println!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Runs the scenarios of all seeds that have one.
fn many(from: u64, runs: u64, time: Duration, scenario: impl Fn(u64) -> Option<Scenario>) -> ExitCode {
    let began = Instant::now();
    let mut money = Events::default();
    let (mut done, mut events, mut finals, mut forks, mut failures) = (0_u64, 0, 0, 0, 0);
    let mut said = Instant::now();
    for seed in from..from.saturating_add(runs) {
        let count = |world: &World| money += world.observer().chains.stakes.as_ref().map(|stakes| stakes.events).unwrap_or_default();
        match scenario(seed).map(|scenario| World::new(&scenario).run_with(count)) {
            None => {}
            Some(Ok(summary)) => {
                (done, events, finals, forks) = (done + 1, events + summary.events, finals + summary.tally.finals, forks + summary.forks);
            }
            Some(Err(failure)) => {
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
    if money.transactions > 0 {
        println!("{money:#?}");
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
