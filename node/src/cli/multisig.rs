//! `multisig address`: accounts of several keys, and the file that names the keys.
//!
//! # The file
//! One JSON object: `address`, `threshold`, and `keys`, each with its type. The ledger does not know the keys of an account before it has spent, so whoever
//! spends needs the file; it holds no secrets. What it says of the address is checked when it is read.

use std::path::Path;

use chain::Authority;
use chain::authority::Several;
use primitives::{AccountKey, Address};
use serde::{Deserialize, Serialize};

use super::Context;
use super::args::{KeyId, Multisig};
use super::failure::Failure;
use super::genesis::{read, write_new};
use super::output;

/// A file of keys is at most this long: 16 keys take less than 2 KiB.
const AUTHORITY_BYTES_MAX: u64 = 16 << 10;

/// An account of several keys, as printed and kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorityFile {
    address: Address,
    threshold: u8,
    keys: Vec<AccountKey>,
}

/// Runs `multisig`.
///
/// # Errors
/// [`Failure`] if there is no key of a name, the keys make no account, or the file is there.
pub fn run(command: Multisig, context: &Context) -> Result<(), Failure> {
    let Multisig::Address { threshold, keys, out } = command;
    let key = |id: KeyId| match id {
        KeyId::Key(key) => Ok(key),
        KeyId::Name(name) => context.public_key(&name, || context.has_dev_key(&name)),
    };
    let several = several(threshold, keys.into_iter().map(key).collect::<Result<_, _>>()?)?;
    let keys = several.keys().to_vec();
    let file = AuthorityFile { address: Authority::Several(several).address(), threshold, keys };
    let text = serde_json::to_string(&file).map_err(Failure::refused)?;
    if let Some(out) = &out {
        write_new(out, text.as_bytes())?;
    }
    output::print(context.json, &file, || {
        let mut fields = vec![("address".to_owned(), file.address.to_string()), ("signatures".to_owned(), format!("{threshold} of {}", file.keys.len()))];
        fields.extend(file.keys.iter().enumerate().map(|(index, key)| (format!("key {index}"), key.to_string())));
        let kept = out.as_ref().map_or_else(|| format!("keep this, it is needed to spend:\n{text}"), |out| format!("written to {}", out.display()));
        format!("{}\n{kept}", output::fields(&fields))
    })
}

/// The account of these keys in any order.
fn several(threshold: u8, mut keys: Vec<AccountKey>) -> Result<Several, Failure> {
    keys.sort();
    if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Failure::misused(format!("the key {} is given twice", pair[0])));
    }
    Several::new(threshold, keys).map_err(Failure::misused)
}

/// The keys in a file.
///
/// # Errors
/// [`Failure`] if there are none, or they are not those of the address that it says.
pub fn read_authority(path: &Path) -> Result<Authority, Failure> {
    let about = |failure: Failure| failure.about(path.display()).hint("`stratos multisig address` makes such a file");
    let bytes = read(path, AUTHORITY_BYTES_MAX)?;
    let file: AuthorityFile =
        serde_json::from_slice(&bytes).map_err(|error| about(Failure::refused(format!("it names no account of several keys: {error}"))))?;
    let authority = Authority::Several(Several::new(file.threshold, file.keys).map_err(|error| about(Failure::refused(error)))?);
    let address = authority.address();
    if address != file.address {
        return Err(about(Failure::refused(format!("it says that its keys are those of {}, they are those of {address}", file.address))));
    }
    Ok(authority)
}

#[cfg(test)]
mod tests {
    use primitives::AccountSecret;

    use super::*;

    #[test]
    fn keys_in_any_order_make_one_account() {
        let [a, b, c] = [1, 2, 3].map(|seed| AccountSecret::from_seed(&[seed; 32]).key());
        assert_eq!(several(2, vec![a, b, c]).unwrap(), several(2, vec![c, a, b]).unwrap());
        assert_eq!(several(2, vec![a, b, a]).unwrap_err().message(), format!("the key {a} is given twice"));
        assert_eq!(several(4, vec![a, b, c]).unwrap_err().message(), "a threshold of 4 with 3 keys; it is 1 to 3");
        assert_eq!(several(1, vec![a]).unwrap_err().message(), "1 keys; an account of several keys has 2 to 16");
    }

    #[test]
    fn files_are_checked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shared.json");
        let several = several(1, vec![AccountSecret::from_seed(&[1; 32]).key(), AccountSecret::from_seed(&[2; 32]).key()]).unwrap();
        let (keys, authority) = (several.keys().to_vec(), Authority::Several(several));
        let write = |address, threshold, keys: &[AccountKey]| {
            std::fs::write(&path, serde_json::to_vec(&AuthorityFile { address, threshold, keys: keys.to_vec() }).unwrap()).unwrap();
            read_authority(&path)
        };
        assert_eq!(write(authority.address(), 1, &keys), Ok(authority.clone()));
        assert!(write(Address::default(), 1, &keys).unwrap_err().message().contains(&format!("they are those of {}", authority.address())));
        assert!(write(authority.address(), 3, &keys).unwrap_err().message().contains("a threshold of 3 with 2 keys"));
        assert!(write(authority.address(), 1, &[keys[1], keys[0]]).unwrap_err().message().contains("ascending order"));
        std::fs::write(&path, "{}").unwrap();
        assert!(read_authority(&path).unwrap_err().line().contains("`stratos multisig address` makes such a file"));
        assert!(read_authority(&directory.path().join("nowhere")).unwrap_err().message().contains("cannot read"));
    }
}
