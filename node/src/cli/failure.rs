//! How a command fails: what was wrong, what to do next, and the code the process ends with.

use std::fmt::Display;
use std::process::ExitCode;

use serde_json::json;

use super::output;

/// Why a command did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    code: Code,
    message: String,
    hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Refused,
    Misused,
}

impl Failure {
    /// The command was understood and cannot be done (code 1).
    pub fn refused(message: impl Display) -> Self {
        Self { code: Code::Refused, message: message.to_string(), hint: None }
    }

    /// The command does not make sense as typed (code 2).
    pub fn misused(message: impl Display) -> Self {
        Self { code: Code::Misused, message: message.to_string(), hint: None }
    }

    /// Says what to do next.
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The same, said of a file or directory.
    pub fn about(mut self, what: impl Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What was wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was wrong and what to do next, in one line.
    pub fn line(&self) -> String {
        self.hint.as_ref().map_or_else(|| self.message.clone(), |hint| format!("{}; {hint}", self.message))
    }

    /// Tells people, or a program, on standard error; gives the code to end with.
    pub fn report(&self, as_json: bool) -> ExitCode {
        output::stderr(&self.text(as_json));
        ExitCode::from(match self.code {
            Code::Refused => 1,
            Code::Misused => 2,
        })
    }

    fn text(&self, as_json: bool) -> String {
        match (as_json, &self.hint) {
            (true, Some(hint)) => format!("{}\n", json!({"error": self.message, "hint": hint})),
            (true, None) => format!("{}\n", json!({"error": self.message})),
            (false, Some(hint)) => format!("error: {}\nhint: {hint}\n", self.message),
            (false, None) => format!("error: {}\n", self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_people_and_programs() {
        let failure = Failure::refused("no \"ozone\"").hint("buy some");
        assert_eq!(failure.text(false), "error: no \"ozone\"\nhint: buy some\n");
        assert_eq!(failure.text(true), "{\"error\":\"no \\\"ozone\\\"\",\"hint\":\"buy some\"}\n");
        assert_eq!((failure.line(), Failure::misused("x").about("f").line()), ("no \"ozone\"; buy some".into(), "f: x".into()));
        assert_eq!(Failure::misused("x").text(true), "{\"error\":\"x\"}\n");
    }
}
