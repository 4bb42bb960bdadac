//! `event list`: what happened on the value ledger, by account, kind and height.

use super::Context;
use super::args::Events;
use super::failure::Failure;
use super::{money, output};
use crate::http::views;

/// Runs `event list`.
///
/// # Errors
/// [`Failure`] if the node refuses, or does not keep the events of these blocks.
pub fn list(wanted: &Events, context: &Context) -> Result<(), Failure> {
    let Events { account, kind, height, from, to, oldest, after, limit } = wanted;
    let account = account.as_ref().map(|who| context.account(Some(who))).transpose()?;
    let given = [
        ("address", account.map(|address| address.to_string())),
        ("kind", kind.clone()),
        ("height", height.map(|height| height.to_string())),
        ("from", from.map(|height| height.to_string())),
        ("to", to.map(|height| height.to_string())),
        ("order", oldest.then(|| "oldest".to_owned())),
        ("after", after.clone()),
    ];
    let given: String = given.into_iter().filter_map(|(name, value)| Some(format!("&{name}={}", encoded(&value?)))).collect();
    let events: views::Events = context.node.get(&format!("/v1/events?limit={limit}{given}"))?;
    output::print(context.json, &events, || shown(&events))
}

/// Text as it stands behind the `?` of an address.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn shown(views::Events { oldest, newest, events, next }: &views::Events) -> String {
    let mut lines: Vec<String> =
        events.iter().map(|event| format!("{}  {}  {}", event.cursor, output::time(event.time_ms), money::happened(&event.event))).collect();
    match next {
        Some(next) if events.is_empty() => lines.push(format!("nothing of that among the events looked at so far; there may be more: `--after {next}`")),
        Some(next) => lines.push(format!("there may be more: `--after {next}`")),
        None if events.is_empty() => lines.push(format!("nothing of that happened in blocks {oldest} to {newest}, whose events are kept")),
        None => {}
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use primitives::{Height, Time};
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_say_where_to_go_on() {
        let event = views::HappenedEvent {
            height: Height(7),
            number: 2,
            cursor: "7-2".into(),
            time_ms: Time(1_735_689_600_000),
            transaction: None,
            event: json!({"event": "epoch_began", "epoch": 3}),
        };
        let mut events = views::Events { oldest: Height(1), newest: Height(9), events: vec![event], next: Some("7-2".into()) };
        let text = shown(&events);
        assert!(text.starts_with("7-2  2025-01-01") && text.contains("epoch began: epoch 3") && text.ends_with("`--after 7-2`"), "{text}");
        (events.events, events.next) = (Vec::new(), None);
        assert!(shown(&events).contains("blocks 1 to 9"));
        assert_eq!(encoded("7-2"), "7-2");
        assert_eq!(encoded("a&b=c%"), "a%26b%3Dc%25");
    }
}
