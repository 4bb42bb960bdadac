//! `profile show|set|remove`: what operators of validators and nodes say about themselves.

use chain::profiles::Profile;
use chain::transaction::Message;
use primitives::Amount;

use super::Context;
use super::args::{self, How};
use super::failure::Failure;
use super::money::printable;
use super::output;
use super::staking;
use crate::http::views;

/// Runs a command.
///
/// # Errors
/// [`Failure`] if the node refuses, a text is too long, or the transaction cannot be paid or fails.
pub fn run(command: &args::Profile, context: &Context) -> Result<(), Failure> {
    match command {
        args::Profile::Show { who } => {
            let views::Account { address, profile, .. } = match who {
                Some(who) => context.node.get(&format!("/v1/accounts/{}", context.operator(who)?))?,
                None => context.read_account(None)?,
            };
            output::print(context.json, &profile, || {
                let mut rows = vec![("operator", address.to_string())];
                rows.extend(fields(profile.as_ref()));
                if rows.len() > 1 { output::fields(&rows) } else { format!("{address} says nothing about itself\n") }
            })
        }
        args::Profile::Set { name, website, contact, details, how } => {
            let given = [name, website, contact, details].map(Option::as_ref);
            change(context, how, |before| {
                let Profile { name, website, contact, details } = before;
                let [name, website, contact, details] = std::array::from_fn(|at| {
                    let before = [&name, &website, &contact, &details];
                    given[at].unwrap_or(before[at]).clone()
                });
                Profile { name, website, contact, details }
            })
        }
        args::Profile::Remove { how } => change(context, how, |_| Profile::default()),
    }
}

/// Writes what becomes of the payer's profile.
fn change(context: &Context, how: &How, change: impl FnOnce(Profile) -> Profile) -> Result<(), Failure> {
    let messages = |_: &views::Status, operator| {
        let account: views::Account = context.node.get(&format!("/v1/accounts/{operator}"))?;
        let profile = change(account.profile.unwrap_or_default());
        // Refused here it costs nothing.
        profile.check().map_err(Failure::misused)?;
        Ok(vec![Message::Describe { profile }])
    };
    staking::send(context, how, Amount::ZERO, messages, |operator, is_final| {
        format!("{} what {operator} says about itself; `stratos profile show` shows it", if is_final { "wrote" } else { "writing" })
    })
}

/// The fields that are not empty, as they can be printed.
pub fn fields(profile: Option<&Profile>) -> Vec<(&'static str, String)> {
    let Some(Profile { name, website, contact, details }) = profile else { return Vec::new() };
    let fields = [("known as", name), ("website", website), ("contact", contact), ("details", details)];
    fields.into_iter().filter(|(_, text)| !text.is_empty()).map(|(title, text)| (title, printable(text))).collect()
}

/// All that is said, in a line.
pub fn said(profile: &Profile) -> String {
    fields(Some(profile)).into_iter().map(|(title, text)| format!("{title} {text}")).collect::<Vec<_>>().join(", ")
}

/// What an operator calls itself, for a list.
pub fn called(profile: Option<&Profile>) -> String {
    profile.filter(|profile| !profile.name.is_empty()).map_or_else(|| "-".into(), |profile| printable(&profile.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_is_printed() {
        let profile = Profile { name: "Cellar".into(), details: "dry".into(), ..Profile::default() };
        assert_eq!(said(&profile), "known as Cellar, details dry");
        assert_eq!(called(Some(&profile)), "Cellar");
        assert_eq!(called(Some(&Profile { name: String::new(), ..profile })), "-");
        assert_eq!(called(None), "-");
    }
}
