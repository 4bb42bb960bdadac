//! What happened on the value ledger, by height, account and kind: `/v1/events`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chain::event::{Event, KINDS, kind_topic, subject_topic};
use primitives::{Address, Height};
use state::Direction;

use super::super::problem::{Problem, shown};
use super::super::question::Parameters;
use super::super::server::Server;
use super::super::views;
use crate::replica::StoredBlock;
use crate::replica::events::{Place, Wanted, of_block};

/// `GET /v1/events?height=H|from=H&to=H&address=ADDRESS&kind=KIND&order=newest|oldest&after=CURSOR&limit=N`: all that are given must hold. The newest first,
/// without `order`. Where an event is never changes, so a page that begins after one is the same whatever happened since.
///
/// # Errors
/// [`Problem`]: 400 for a parameter that makes no sense, 404 for one block that is not final here, 410 for one whose events are not kept any more.
pub async fn list(State(server): State<Arc<Server>>, parameters: Parameters) -> Result<Json<views::Events>, Problem> {
    let question = Question::read(&parameters)?;
    server
        .read(move |server| {
            let value = &server.site.value;
            let (oldest, newest) = (value.indexed_from(), value.head().header.height);
            let found = value.events(&question.wanted(oldest, newest)?);
            let mut open: Option<(Height, StoredBlock)> = None;
            let mut events = Vec::with_capacity(found.places.len());
            for place in found.places {
                // Neighbours are mostly of one block.
                if open.as_ref().is_none_or(|(height, _)| *height != place.height) {
                    open = value.block(place.height).map(|block| (place.height, block));
                }
                let number = usize::try_from(place.number).unwrap_or(usize::MAX);
                let Some((_, block)) = &open else { continue };
                let Some((transaction, log)) = of_block(block).nth(number) else { continue };
                let Some(event) = Event::from_log(log).and_then(|event| serde_json::to_value(event).ok()) else { continue };
                let Place { height, number } = place;
                events.push(views::HappenedEvent { height, number, cursor: Cursor(place).to_string(), time_ms: block.block.header.time, transaction, event });
            }
            Ok(Json(views::Events { oldest, newest, events, next: found.next.map(|place| Cursor(place).to_string()) }))
        })
        .await
}

/// What is asked for.
struct Question {
    from: Option<Height>,
    to: Option<Height>,
    address: Option<Address>,
    kind: Option<String>,
    direction: Direction,
    after: Option<Place>,
    limit: usize,
}

impl Question {
    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let height = |name| parameters.value::<u64>(name, "a height").map(|height| height.map(Height));
        let (one, from, to) = (height("height")?, height("from")?, height("to")?);
        if one.is_some() && (from.is_some() || to.is_some()) {
            return Err(Problem::bad("`height` is one block, `from` and `to` are many: give either"));
        }
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Problem::bad(format!("`from` {from} is above `to` {to}")));
        }
        let kind = parameters.text("kind").map(str::to_owned);
        if let Some(kind) = kind.as_ref().filter(|kind| !KINDS.contains(&kind.as_str())) {
            return Err(Problem::bad(format!("`{}` is no kind of event; the kinds are {}", shown(kind), KINDS.join(", "))));
        }
        let direction = match parameters.text("order") {
            None | Some("newest") => Direction::Backward,
            Some("oldest") => Direction::Forward,
            Some(_) => return Err(Problem::bad("`order` is `newest` or `oldest`: which comes first")),
        };
        Ok(Self {
            from: one.or(from),
            to: one.or(to),
            address: parameters.value("address", "an address, which begins with `st1`")?,
            kind,
            direction,
            after: parameters.value::<Cursor>("after", "a cursor: HEIGHT-NUMBER, as answers have it under `next` and `cursor`")?.map(|cursor| cursor.0),
            limit: parameters.limit()?,
        })
    }

    /// The same for the index, which has the events of these blocks.
    fn wanted(&self, oldest: Height, newest: Height) -> Result<Wanted, Problem> {
        let Self { from, to, address, ref kind, direction, after, limit } = *self;
        let first = [from, to].into_iter().flatten().min();
        // Block 0 has no events: it follows from the genesis file. So a history that reaches to block 1 is whole.
        if let Some(asked) = first.filter(|first| *first < oldest && oldest > Height(1)) {
            let text = format!("the events of block {asked} are not kept: those of blocks {oldest} to {newest} are; ask for one of these, or another node");
            return Err(Problem::new(StatusCode::GONE, text));
        }
        // One block that is not there yet is a mistake; a range that begins there is how one asks for what comes next, and is empty until it came.
        if let Some(asked) = from.filter(|from| *from > newest && to == Some(*from)) {
            return Err(Problem::missing(format!("block {asked} is not final here; the newest is {newest}, ask for that or a lower height")));
        }
        let (subject, kind) = (address.as_ref().map(subject_topic), kind.as_deref().map(kind_topic));
        Ok(Wanted { subject, kind, from: from.unwrap_or(oldest).max(oldest), to: to.unwrap_or(newest).min(newest), after, direction, limit })
    }
}

/// A place as text: `HEIGHT-NUMBER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor(Place);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.height, self.0.number)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (height, number) = text.split_once('-').ok_or(())?;
        Ok(Self(Place { height: Height(height.parse().map_err(drop)?), number: number.parse().map_err(drop)? }))
    }
}
