//! A key of a ledger's state as people name it: `account:alice`, `parameters`, or its bytes.
//!
//! Every kind of key that a ledger has is in one table ([`FORMS`]), with its name, which is that of its constructor, and its fields.

use std::str::FromStr;

use ::meta::keys as meta;
use chain::ballots::Motion;
use chain::keys;
use pot::{allowance, report};
use primitives::{Address, Epoch, Hash, PublicKey};

use super::Context;
use super::args::Party;
use super::failure::Failure;
use crate::http::limits::KEY_BYTES_MAX;
use crate::http::views::LedgerName::{self, Meta, Value};

/// What a field of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An address, or the name of a key of the wallet.
    Account,
    /// The number of an epoch.
    Epoch,
    /// A number.
    Number,
    /// 64 hexadecimal digits.
    Hash,
    /// A public key: 64 hexadecimal digits.
    Key,
    /// `admit`, `expel`, `suspend` or `resume`.
    Ballot,
}

/// A field as it was given.
#[derive(Clone, Debug)]
enum Field {
    Account(Party),
    Number(u64),
    Digits([u8; 32]),
    Ballot(fn(Address) -> Motion),
}

/// The fields of a key, of the kinds that its form says. Whoever asks for another kind gets nothing, which the table's test finds.
struct Fields {
    accounts: Vec<Address>,
    numbers: Vec<u64>,
    digits: Vec<[u8; 32]>,
    motion: Option<fn(Address) -> Motion>,
}

impl Fields {
    /// The account at this place among the accounts.
    fn account(&self, at: usize) -> Option<Address> {
        self.accounts.get(at).copied()
    }

    fn epoch(&self) -> Option<Epoch> {
        self.numbers.first().copied().map(Epoch)
    }

    /// The last number, as those who count in 32 bits have it.
    fn small(&self) -> Option<u32> {
        self.numbers.last().and_then(|number| u32::try_from(*number).ok())
    }

    fn hash(&self) -> Option<Hash> {
        self.digits.first().copied().map(Hash)
    }

    fn public(&self) -> Option<PublicKey> {
        self.digits.first().copied().map(PublicKey)
    }
}

/// A kind of key.
struct Form {
    name: &'static str,
    ledger: LedgerName,
    fields: &'static [(&'static str, Kind)],
    /// The bytes; `None` if a field is out of its range.
    key: fn(&Fields) -> Option<Vec<u8>>,
}

const fn form(ledger: LedgerName, name: &'static str, fields: &'static [(&'static str, Kind)], key: fn(&Fields) -> Option<Vec<u8>>) -> Form {
    Form { name, ledger, fields, key }
}

const ACCOUNT: (&str, Kind) = ("ACCOUNT", Kind::Account);
const VALIDATOR: (&str, Kind) = ("VALIDATOR", Kind::Account);
const OPERATOR: (&str, Kind) = ("OPERATOR", Kind::Account);
const EPOCH: (&str, Kind) = ("EPOCH", Kind::Epoch);
const PAGE: (&str, Kind) = ("PAGE", Kind::Number);
const PART: (&str, Kind) = ("PART", Kind::Number);
const KEY: (&str, Kind) = ("PUBLIC-KEY", Kind::Key);

/// All kinds of keys of both ledgers. Where both have one of a name, the value ledger's is meant if nobody says which.
#[rustfmt::skip]
const FORMS: &[Form] = &[
    form(Value, "account", &[ACCOUNT], |of| Some(keys::account(&of.account(0)?))),
    form(Value, "profile", &[OPERATOR], |of| Some(keys::profile(&of.account(0)?))),
    form(Value, "pools", &[], |_| Some(keys::pools())),
    form(Value, "base-fee", &[], |_| Some(keys::base_fee())),
    form(Value, "voters", &[], |_| Some(keys::voters())),
    form(Value, "past-voters", &[EPOCH], |of| Some(keys::past_voters(of.epoch()?))),
    form(Value, "validator", &[OPERATOR], |of| Some(keys::validator(&of.account(0)?))),
    form(Value, "candidates", &[], |_| Some(keys::candidates())),
    form(Value, "consensus-key", &[KEY], |of| Some(keys::consensus_key(&of.public()?))),
    form(Value, "delegation", &[VALIDATOR, ("DELEGATOR", Kind::Account)], |of| Some(keys::delegation(&of.account(0)?, &of.account(1)?))),
    form(Value, "leaving", &[VALIDATOR, EPOCH], |of| Some(keys::leaving(&of.account(0)?, of.epoch()?))),
    form(Value, "moved", &[("TO", Kind::Account), ("FROM", Kind::Account), EPOCH], |of| Some(keys::moved(&of.account(0)?, &of.account(1)?, of.epoch()?))),
    form(Value, "move-targets", &[("FROM", Kind::Account), EPOCH], |of| Some(keys::move_targets(&of.account(0)?, of.epoch()?))),
    form(Value, "attendance", &[], |_| Some(keys::attendance())),
    form(Value, "offences", &[], |_| Some(keys::offences())),
    form(Value, "meta-node", &[OPERATOR], |of| Some(keys::meta_node(&of.account(0)?))),
    form(Value, "meta-nodes", &[], |_| Some(keys::meta_nodes())),
    form(Value, "meta-sets", &[], |_| Some(keys::meta_sets())),
    form(Value, "meta-set", &[("HASH", Kind::Hash)], |of| Some(keys::meta_set(&of.hash()?))),
    form(Value, "meta-key", &[KEY], |of| Some(keys::meta_key(&of.public()?))),
    form(Value, "ballot", &[("admit|expel|suspend|resume", Kind::Ballot), OPERATOR], |of| Some(keys::ballot(&of.motion?(of.account(0)?)))),
    form(Value, "ballots", &[], |_| Some(keys::ballots())),
    form(Value, "resource-node", &[OPERATOR], |of| Some(keys::resource_node(&of.account(0)?))),
    form(Value, "resource-page", &[PAGE], |of| Some(keys::resource_page(of.small()?))),
    form(Value, "resource-count", &[], |_| Some(keys::resource_count())),
    form(Value, "ozone", &[ACCOUNT], |of| Some(keys::ozone(&of.account(0)?))),
    form(Value, "market", &[], |_| Some(keys::market())),
    form(Value, "reward", &[ACCOUNT], |of| Some(keys::reward(&of.account(0)?))),
    form(Value, "settlement", &[], |_| Some(keys::settlement())),
    form(Value, "reported", &[EPOCH], |of| Some(keys::reported(of.epoch()?))),
    form(Value, "settlement-part", &[EPOCH, PART], |of| Some(keys::settlement_part(of.epoch()?, of.small()?))),
    form(Value, "settlement-carriers", &[EPOCH], |of| Some(keys::settlement_carriers(of.epoch()?))),
    form(Value, "charged", &[EPOCH, ("PAYER", Kind::Account)], |of| Some(keys::charged(of.epoch()?, &of.account(0)?))),
    form(Value, "direct", &[EPOCH, ("CARRIER", Kind::Account)], |of| Some(keys::direct(of.epoch()?, &of.account(0)?))),
    form(Value, "spent-directly", &[KEY], |of| Some(keys::spent_directly(&of.public()?))),
    form(Value, "settled", &[EPOCH], |of| Some(keys::settled(of.epoch()?))),
    form(Value, "parameters", &[], |_| Some(keys::parameters())),
    form(Value, "epoch", &[], |_| Some(keys::epoch())),
    form(Value, "agenda", &[], |_| Some(keys::agenda())),
    form(Value, "proposal", &[("NUMBER", Kind::Number)], |of| Some(keys::proposal(*of.numbers.first()?))),
    form(Value, "votes", &[ACCOUNT], |of| Some(keys::votes(&of.account(0)?))),
    form(Value, "votes-apart", &[VALIDATOR], |of| Some(keys::votes_apart(&of.account(0)?))),
    form(Value, "history", &[], |_| Some(keys::history())),
    form(Meta, "payer", &[ACCOUNT], |of| Some(allowance::payer_key(&of.account(0)?))),
    form(Meta, "session", &[KEY], |of| Some(allowance::session_key(&of.public()?))),
    form(Meta, "claimants", &[EPOCH], |of| Some(allowance::claimants_key(of.epoch()?))),
    form(Meta, "claimed", &[EPOCH, KEY], |of| Some(allowance::claimed_key(of.epoch()?, &of.public()?))),
    form(Meta, "report", &[EPOCH], |of| Some(report::key(of.epoch()?))),
    form(Meta, "report-part", &[EPOCH, PART], |of| Some(report::part_key(of.epoch()?, of.small()?))),
    form(Meta, "claim", &[EPOCH, ("CARRIER", Kind::Account)], |of| Some(meta::claim(of.epoch()?, &of.account(0)?))),
    form(Meta, "file", &[("ID", Kind::Hash)], |of| Some(meta::file(&of.hash()?))),
    form(Meta, "owner-count", &[("OWNER", Kind::Account)], |of| Some(meta::owner_count(&of.account(0)?))),
    form(Meta, "owner-page", &[("OWNER", Kind::Account), PAGE], |of| Some(meta::owner_page(&of.account(0)?, of.small()?))),
    form(Meta, "position", &[("ID", Kind::Hash)], |of| Some(meta::position(&of.hash()?))),
    form(Meta, "slice", &[("ROOT", Kind::Hash)], |of| Some(meta::slice(&of.hash()?))),
    form(Meta, "anchor", &[], |_| Some(meta::anchor())),
    form(Meta, "metas", &[], |_| Some(meta::metas())),
    form(Meta, "voters", &[], |_| Some(meta::voters())),
    form(Meta, "trust", &[], |_| Some(meta::trust())),
    form(Meta, "trusted", &[], |_| Some(meta::trusted())),
    form(Meta, "registry", &[EPOCH], |of| Some(meta::registry(of.epoch()?))),
    form(Meta, "closing", &[], |_| Some(meta::closing())),
    form(Meta, "history", &[], |_| Some(keys::history())),
];

/// Shorter names, for what they stand for.
const SHORT: [(&str, &str); 1] = [("resource", "resource-node")];

impl Form {
    /// As it is typed: `delegation:VALIDATOR,DELEGATOR`.
    fn typed(&self) -> String {
        let fields: Vec<&str> = self.fields.iter().map(|(name, _)| *name).collect();
        if fields.is_empty() { self.name.to_owned() } else { format!("{}:{}", self.name, fields.join(",")) }
    }
}

/// The names that stand for keys, as they are explained.
pub fn forms() -> String {
    let of = |ledger| FORMS.iter().filter(|form| form.ledger == ledger).map(Form::typed).collect::<Vec<_>>().join(" ");
    format!(
        "hexadecimal digits, or of the value ledger one of {}; of the meta ledger {}. Accounts are addresses or names of keys, public keys and hashes 64 \
         hexadecimal digits; `voters` and `history` are the value ledger's without `--ledger meta`",
        of(Value),
        of(Meta)
    )
}

/// What is under this key, or would be.
#[derive(Clone, Debug)]
pub struct StateKey(What);

#[derive(Clone, Debug)]
enum What {
    Bytes(Vec<u8>),
    Named(&'static str, Vec<Field>),
}

impl StateKey {
    /// The ledger and the key's bytes; `asked` is the ledger that was asked for.
    ///
    /// # Errors
    /// [`Failure`] if that ledger has no such keys, or there is no account of that name.
    pub fn resolve(&self, asked: Option<LedgerName>, context: &Context) -> Result<(LedgerName, Vec<u8>), Failure> {
        let (name, given) = match &self.0 {
            What::Bytes(bytes) => return Ok((asked.unwrap_or(Value), bytes.clone())),
            What::Named(name, given) => (*name, given),
        };
        let named = || FORMS.iter().filter(|form| form.name == name);
        let first = named().next().ok_or_else(|| Failure::misused(format!("`{name}` names no key; write {}", forms())))?;
        let found = asked.map_or(Some(first), |asked| named().find(|form| form.ledger == asked));
        let Some(form) = found else {
            let failure = Failure::misused(format!("the {} ledger has no such keys, the {} ledger has", asked.unwrap_or(Value), first.ledger));
            return Err(failure.hint("leave `--ledger` out, or give the bytes of a key"));
        };
        let mut fields = Fields { accounts: Vec::new(), numbers: Vec::new(), digits: Vec::new(), motion: None };
        for field in given {
            match field {
                Field::Account(party) => fields.accounts.push(context.account(Some(party))?),
                Field::Number(number) => fields.numbers.push(*number),
                Field::Digits(digits) => fields.digits.push(*digits),
                Field::Ballot(motion) => fields.motion = Some(*motion),
            }
        }
        let key = (form.key)(&fields).ok_or_else(|| Failure::misused(format!("a number of `{}` is above {}", form.typed(), u32::MAX)))?;
        Ok((form.ledger, key))
    }
}

impl FromStr for StateKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let name = SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, name)| name);
        let Some(form) = FORMS.iter().find(|form| form.name == name) else {
            return if rest.is_none() { bytes(text).map(What::Bytes).map(Self) } else { Err(format!("`{name}:` names no key; write {}", forms())) };
        };
        let given: Vec<&str> = rest.map_or_else(Vec::new, |rest| rest.split(',').collect());
        if given.len() != form.fields.len() {
            return Err(format!("`{text}` has {} fields; write `{}`", given.len(), form.typed()));
        }
        let fields = given.iter().zip(form.fields).map(|(text, (_, kind))| field(text, *kind));
        Ok(Self(What::Named(form.name, fields.collect::<Result<_, _>>().map_err(|error| format!("{error}; write `{}`", form.typed()))?)))
    }
}

/// A field of this kind.
fn field(text: &str, kind: Kind) -> Result<Field, String> {
    let number = |what: &str| text.parse().map(Field::Number).map_err(|_| format!("`{text}` is no {what}"));
    match kind {
        Kind::Account => text.parse().map(Field::Account),
        Kind::Epoch => number("number of an epoch"),
        Kind::Number => number("number"),
        Kind::Hash | Kind::Key => {
            let digits = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            digits.map(Field::Digits).ok_or_else(|| format!("`{text}` is not 64 hexadecimal digits"))
        }
        Kind::Ballot => match text {
            "admit" => Ok(Field::Ballot(Motion::Admit)),
            "expel" => Ok(Field::Ballot(Motion::Expel)),
            "suspend" => Ok(Field::Ballot(Motion::Suspend)),
            "resume" => Ok(Field::Ballot(Motion::Resume)),
            _ => Err(format!("`{text}` is no ballot")),
        },
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.is_empty() || digits.len() > 2 * KEY_BYTES_MAX {
        return Err(format!("a key of {} hexadecimal digits; it has 2 to {}", digits.len(), 2 * KEY_BYTES_MAX));
    }
    hex::decode(digits).map_err(|error| format!("`{text}` is no key ({error}); write {}", forms()))
}

#[cfg(test)]
mod tests {
    use super::super::http;
    use super::*;

    fn resolve(text: &str, asked: Option<LedgerName>) -> Result<(LedgerName, Vec<u8>), Failure> {
        let node = http::Node::new("http://127.0.0.1:1".parse().unwrap());
        let context = Context { node, json: false, key: None, home: None, passphrase_file: None };
        text.parse::<StateKey>().map_err(Failure::misused)?.resolve(asked, &context)
    }

    /// What a form is typed as with these fields.
    fn typed(form: &Form) -> String {
        let value = |kind: &Kind| match kind {
            Kind::Account => Address([1; 20]).to_string(),
            Kind::Epoch => "7".into(),
            Kind::Number => "9".into(),
            Kind::Hash | Kind::Key => "03".repeat(32),
            Kind::Ballot => "expel".into(),
        };
        let fields: Vec<String> = form.fields.iter().map(|(_, kind)| value(kind)).collect();
        if fields.is_empty() { form.name.into() } else { format!("{}:{}", form.name, fields.join(",")) }
    }

    /// The constructors of keys in a source file, as the table names them.
    fn constructors(source: &str) -> Vec<String> {
        let end = source.find("#[cfg(test)]").unwrap_or(source.len());
        let lines = source[..end].lines().filter(|line| line.starts_with("pub fn ") && line.ends_with("-> Vec<u8> {"));
        lines.map(|line| line["pub fn ".len()..line.find('(').unwrap()].replace('_', "-")).collect()
    }

    /// Every constructor of keys has its row; a new one is missed here.
    #[test]
    fn no_kind_of_key_is_left_out() {
        let names = |ledger| FORMS.iter().filter(move |form| form.ledger == ledger).map(|form| form.name.to_owned()).collect::<Vec<_>>();
        let mut value = constructors(include_str!("../../../chain/src/keys.rs"));
        // The bytes that others begin with, and all that begin so.
        value.retain(|name| !["key", "accounts"].contains(&name.as_str()));
        assert!(value.len() > 40 && value == names(Value), "{value:?}");
        let mut meta = constructors(include_str!("../../../pot/src/allowance.rs"));
        meta.iter_mut().for_each(|name| *name = name.strip_suffix("-key").unwrap().to_owned());
        meta.extend(["report".to_owned(), "report-part".to_owned()]);
        assert_eq!(constructors(include_str!("../../../pot/src/report.rs")), ["key", "part-key"]);
        meta.extend(constructors(include_str!("../../../meta/src/keys.rs")));
        meta.push("history".into());
        assert_eq!(meta, names(Meta));
    }

    /// Each key, by name and by its bytes: there are no two that are one, and whether a value is there or not, it is proven.
    #[test]
    fn every_kind_of_key_is_proven() {
        let mut state = state::Memory::new().child();
        let all: Vec<(LedgerName, Vec<u8>)> = FORMS.iter().map(|form| resolve(&typed(form), Some(form.ledger)).unwrap()).collect();
        for ledger in [Value, Meta] {
            let keys: std::collections::BTreeSet<_> = all.iter().filter(|(of, _)| *of == ledger).map(|(_, key)| key).collect();
            assert_eq!(keys.len(), FORMS.iter().filter(|form| form.ledger == ledger).count());
        }
        for (_, key) in all.iter().step_by(2) {
            state.put(key.clone(), key.clone()).unwrap();
        }
        let state = state.seal();
        let mut there = 0;
        for (ledger, key) in &all {
            assert_eq!(resolve(&hex::encode(key), Some(*ledger)), Ok((*ledger, key.clone())));
            let value = state.get(key);
            there += usize::from(value.is_some());
            assert!(state.prove(key).verify(&state.root(), key, value.as_deref()));
            assert!(!state.prove(key).verify(&state.root(), key, if value.is_some() { None } else { Some(key) }));
        }
        assert!(there >= all.len() / 2 && there < all.len());
    }

    #[test]
    fn names_and_bytes() {
        let (one, other) = (Address([1; 20]), Address([2; 20]));
        for (text, key) in [
            (format!("account:{one}"), keys::account(&one)),
            (format!("validator:{one}"), keys::validator(&one)),
            (format!("ozone:{one}"), keys::ozone(&one)),
            (format!("reward:{one}"), keys::reward(&one)),
            (format!("resource:{one}"), keys::resource_node(&one)),
            (format!("meta-node:{one}"), keys::meta_node(&one)),
            (format!("delegation:{one},{other}"), keys::delegation(&one, &other)),
            ("settled:7".to_owned(), keys::settled(Epoch(7))),
            (format!("ballot:expel,{one}"), keys::ballot(&Motion::Expel(one))),
            (format!("leaving:{one},3"), keys::leaving(&one, Epoch(3))),
            ("settlement-part:3,4".to_owned(), keys::settlement_part(Epoch(3), 4)),
            ("parameters".to_owned(), keys::parameters()),
            ("epoch".to_owned(), keys::epoch()),
            ("0x0170".to_owned(), vec![1, 0x70]),
            ("0170".to_owned(), keys::pools()),
            ("pools".to_owned(), keys::pools()),
        ] {
            assert_eq!(resolve(&text, None), Ok((LedgerName::Value, key.clone())), "{text}");
            assert_eq!(resolve(&text, Some(LedgerName::Value)), Ok((LedgerName::Value, key)), "{text}");
        }
        let id = Hash([3; 32]);
        for (text, key) in
            [(format!("file:{id}"), meta::file(&id)), (format!("payer:{one}"), allowance::payer_key(&one)), ("anchor".to_owned(), meta::anchor())]
        {
            assert_eq!(resolve(&text, None), Ok((LedgerName::Meta, key)), "{text}");
            assert!(resolve(&text, Some(LedgerName::Value)).unwrap_err().message().contains("meta ledger has"), "{text}");
        }
        assert_eq!(resolve("ff", Some(LedgerName::Meta)), Ok((LedgerName::Meta, vec![0xff])));
        assert!(resolve("pools", Some(LedgerName::Meta)).is_err());
        assert_eq!(resolve("voters", None), Ok((LedgerName::Value, keys::voters())));
        assert_eq!(resolve("voters", Some(LedgerName::Meta)), Ok((LedgerName::Meta, meta::voters())));
        assert!(resolve("resource-page:4294967296", None).is_err());
        for text in [
            "",
            "0x",
            "0",
            "xyz",
            "account",
            "account:",
            "account:st1x",
            "settled:-1",
            "settled:x",
            "file:00",
            "delegation:a",
            "delegation:a",
            "pools:1",
            "ballot:approve,alice",
            "consensus-key:00",
            "nothing:1",
            ":",
        ] {
            assert!(text.parse::<StateKey>().is_err(), "{text}");
        }
        assert!("00".repeat(KEY_BYTES_MAX).parse::<StateKey>().is_ok() && "00".repeat(KEY_BYTES_MAX + 1).parse::<StateKey>().is_err());
    }
}
