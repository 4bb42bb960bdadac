//! A key of a ledger's state as people name it: `account:alice`, `parameters`, or its bytes.

use std::str::FromStr;

use chain::keys;
use pot::allowance::payer_key;
use primitives::{Address, Epoch, Hash};

use super::Context;
use super::args::Party;
use super::failure::Failure;
use crate::http::limits::KEY_BYTES_MAX;
use crate::http::views::LedgerName;

/// The names that stand for keys, as they are explained.
pub const FORMS: &str = "hexadecimal digits; account:, profile:, validator:, ozone:, reward:, resource:, meta-node: or payer: with an ADDRESS or NAME; \
delegation:VALIDATOR,DELEGATOR (addresses); settled:EPOCH; file:ID; pools, base-fee, voters, candidates, offences, market, settlement, parameters, epoch, \
history, anchor";

/// What is under this key, or would be.
#[derive(Clone, Debug)]
pub struct StateKey {
    /// The ledger that has such keys; `None` for bytes, which either may have.
    ledger: Option<LedgerName>,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Bytes(Vec<u8>),
    Of(fn(&Address) -> Vec<u8>, Party),
}

impl StateKey {
    /// The ledger and the key's bytes; `asked` is the ledger that was asked for.
    ///
    /// # Errors
    /// [`Failure`] if that ledger has no such keys, or there is no account of that name.
    pub fn resolve(&self, asked: Option<LedgerName>, context: &Context) -> Result<(LedgerName, Vec<u8>), Failure> {
        let ledger = match (self.ledger, asked) {
            (Some(has), Some(asked)) if has != asked => {
                return Err(Failure::misused(format!("the {asked} ledger has no such keys, the {has} ledger has"))
                    .hint("leave `--ledger` out, or give the bytes of a key"));
            }
            (has, asked) => has.or(asked).unwrap_or(LedgerName::Value),
        };
        let key = match &self.what {
            What::Bytes(bytes) => bytes.clone(),
            What::Of(key, party) => key(&context.account(Some(party))?),
        };
        Ok((ledger, key))
    }
}

impl FromStr for StateKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value = |what| Ok(Self { ledger: Some(LedgerName::Value), what });
        let meta = |what| Ok(Self { ledger: Some(LedgerName::Meta), what });
        let one = |key: Vec<u8>| value(What::Bytes(key));
        let Some((kind, of)) = text.split_once(':') else {
            return match text {
                "pools" => one(keys::pools()),
                "base-fee" => one(keys::base_fee()),
                "voters" => one(keys::voters()),
                "candidates" => one(keys::candidates()),
                "offences" => one(keys::offences()),
                "market" => one(keys::market()),
                "settlement" => one(keys::settlement()),
                "parameters" => one(keys::parameters()),
                "epoch" => one(keys::epoch()),
                "history" => one(keys::history()),
                "anchor" => meta(What::Bytes(::meta::keys::anchor())),
                digits => bytes(digits).map(|bytes| Self { ledger: None, what: What::Bytes(bytes) }),
            };
        };
        match kind {
            "account" => value(What::Of(keys::account, of.parse()?)),
            "profile" => value(What::Of(keys::profile, of.parse()?)),
            "validator" => value(What::Of(keys::validator, of.parse()?)),
            "ozone" => value(What::Of(keys::ozone, of.parse()?)),
            "reward" => value(What::Of(keys::reward, of.parse()?)),
            "resource" => value(What::Of(keys::resource_node, of.parse()?)),
            "meta-node" => value(What::Of(keys::meta_node, of.parse()?)),
            "payer" => meta(What::Of(payer_key, of.parse()?)),
            "delegation" => {
                let (validator, delegator) =
                    of.split_once(',').ok_or_else(|| format!("`{text}` does not name two addresses: `delegation:VALIDATOR,DELEGATOR`"))?;
                one(keys::delegation(&address(validator)?, &address(delegator)?))
            }
            "settled" => one(keys::settled(of.parse::<Epoch>().map_err(|_| format!("`{of}` is no number of an epoch"))?)),
            "file" => meta(What::Bytes(::meta::keys::file(&of.parse::<Hash>().map_err(|error| format!("`{of}` is no id of a file: {error}"))?))),
            _ => Err(format!("`{kind}:` names no key; write {FORMS}")),
        }
    }
}

fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|error| format!("`{text}` is no address: {error}"))
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.is_empty() || digits.len() > 2 * KEY_BYTES_MAX {
        return Err(format!("a key of {} hexadecimal digits; it has 2 to {}", digits.len(), 2 * KEY_BYTES_MAX));
    }
    hex::decode(digits).map_err(|error| format!("`{text}` is no key ({error}); write {FORMS}"))
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
            [(format!("file:{id}"), ::meta::keys::file(&id)), (format!("payer:{one}"), payer_key(&one)), ("anchor".to_owned(), ::meta::keys::anchor())]
        {
            assert_eq!(resolve(&text, None), Ok((LedgerName::Meta, key)), "{text}");
            assert!(resolve(&text, Some(LedgerName::Value)).unwrap_err().message().contains("meta ledger has"), "{text}");
        }
        assert_eq!(resolve("ff", Some(LedgerName::Meta)), Ok((LedgerName::Meta, vec![0xff])));
        assert!(resolve("pools", Some(LedgerName::Meta)).is_err());
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
            "delegation:a,b",
            "nothing:1",
            ":",
        ] {
            assert!(text.parse::<StateKey>().is_err(), "{text}");
        }
        assert!("00".repeat(KEY_BYTES_MAX).parse::<StateKey>().is_ok() && "00".repeat(KEY_BYTES_MAX + 1).parse::<StateKey>().is_err());
    }
}
