//! How far a transfer is: a bar for somebody who watches, a line per tenth for a log.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use primitives::Bytes;

use super::output;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What happens now.
    pub phase: Phase,
    /// Bytes that a crash cannot take back: acknowledged by holders that have them on disk, or written to the output.
    pub durable_bytes: Bytes,
    /// What `durable_bytes` will be at the end; may grow while it is not known exactly.
    pub total_bytes: Bytes,
}

/// What happens during a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Asks for placement, tickets or the file's record.
    Preparing,
    /// Bytes move to holders.
    Storing,
    /// Bytes come from holders.
    Fetching,
    /// The file's record becomes final.
    Recording,
}

impl Phase {
    fn label(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Storing => "storing",
            Self::Fetching => "fetching",
            Self::Recording => "recording",
        }
    }
}

/// Shows progress on standard error.
pub enum Display {
    /// Somebody watches.
    Bar(ProgressBar),
    /// A line for each phase and each tenth.
    Lines {
        /// Phase and tenth of the last line.
        last: Option<(Phase, u64)>,
    },
}

impl Display {
    /// A bar if standard error is a terminal, else lines.
    pub fn new() -> Self {
        if !stderr().is_terminal() {
            return Self::Lines { last: None };
        }
        let style = ProgressStyle::with_template("{msg:9} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
            .expect("the template names only fields that indicatif has")
            .progress_chars("=> ");
        Self::Bar(ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10)).with_style(style))
    }

    /// Shows how far it is.
    pub fn show(&mut self, progress: Progress) {
        match self {
            Self::Bar(bar) => {
                // Where no bytes move the bar stays as it was.
                if progress.total_bytes > Bytes::ZERO {
                    bar.set_length(progress.total_bytes.0);
                    bar.set_position(progress.durable_bytes.0);
                }
                bar.set_message(progress.phase.label());
            }
            Self::Lines { last } => {
                if let Some(text) = line(last, progress) {
                    output::stderr(&text);
                }
            }
        }
    }

    /// Takes the bar away: the result follows.
    pub fn finish(&self) {
        match self {
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Lines { .. } => {}
        }
    }
}

/// The line to write, if this progress is worth one.
fn line(last: &mut Option<(Phase, u64)>, progress: Progress) -> Option<String> {
    let Progress { phase, durable_bytes, total_bytes } = progress;
    let tenth = u128::from(durable_bytes.0).saturating_mul(10).checked_div(total_bytes.0.into()).unwrap_or(0);
    let now = Some((phase, u64::try_from(tenth).unwrap_or(u64::MAX)));
    if *last == now {
        return None;
    }
    *last = now;
    if total_bytes == Bytes::ZERO {
        return Some(format!("{}\n", phase.label()));
    }
    Some(format!("{}: {} of {}\n", phase.label(), output::size(durable_bytes), output::size(total_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_tenth() {
        let mut last = None;
        let lines: Vec<String> = (0..=1_000)
            .filter_map(|at| line(&mut last, Progress { phase: Phase::Storing, durable_bytes: Bytes(at << 20), total_bytes: Bytes(1_000 << 20) }))
            .collect();
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[10], "storing: 1,000 MiB of 1,000 MiB\n");
        let empty = Progress { phase: Phase::Recording, durable_bytes: Bytes(0), total_bytes: Bytes(0) };
        assert_eq!(line(&mut last, empty), Some("recording\n".into()));
    }
}
