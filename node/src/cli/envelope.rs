//! `tx show` of a file, `tx sign`, `tx send`: a transaction on its way between those who sign it.
//!
//! # The file
//! One JSON object: `format`, `transaction` (encoded, in hexadecimal digits), and `signatures`, each with the number of its `key`. Those who sign may pass
//! one file on or each sign a copy; `tx send` puts copies together. Nothing in it is believed: what is shown is what the encoded transaction says, and each
//! signature is verified whenever the file is read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chain::Transaction;
use chain::ledger::block::TRANSACTION_BYTES_MAX;
use chain::transaction::CombineError;
use primitives::encoding::{decode, encode};
use primitives::{Address, Amount, Hash, Signature};
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::genesis::{read, write_new};
use super::proof::digits;
use super::submit::receipt;
use super::{Context, money, output};
use crate::http::views::MessageView;

/// Version of the file.
const FORMAT: u32 = 1;
/// A file is at most this long: a transaction in hexadecimal digits, and its signatures.
const FILE_BYTES_MAX: u64 = (TRANSACTION_BYTES_MAX as u64 * 2) + (16 << 10);

/// The file, as written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    transaction: String,
    signatures: Vec<Entry>,
}

/// One signature of it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    key: u8,
    signature: String,
}

/// A transaction, and who has signed it.
#[derive(Clone, Debug, PartialEq)]
struct Envelope {
    transaction: Transaction,
    /// Verified, by the number of the key.
    signatures: BTreeMap<u8, Signature>,
}

/// What a file says, as printed.
#[derive(Serialize)]
struct View {
    path: PathBuf,
    chain: Hash,
    sender: Address,
    nonce: u64,
    fee_max_wei: Amount,
    tip_wei: Amount,
    memo: String,
    messages: Vec<MessageView>,
    /// Signatures that it takes.
    threshold: u8,
    keys: Vec<KeyView>,
}

/// A key of the sender.
#[derive(Serialize)]
struct KeyView {
    key: String,
    has_signed: bool,
}

impl Envelope {
    fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        let File { format, transaction, signatures } =
            serde_json::from_slice(bytes).map_err(|error| Failure::refused(format!("it is no transaction to be signed: {error}")))?;
        if format != FORMAT {
            return Err(Failure::refused(format!("it has format {format}, this program knows {FORMAT}")));
        }
        let bytes = digits("transaction", &transaction, TRANSACTION_BYTES_MAX)?;
        let transaction: Transaction =
            decode(&bytes, TRANSACTION_BYTES_MAX).map_err(|error| Failure::refused(format!("its transaction cannot be read: {error}")))?;
        let mut envelope = Self { transaction, signatures: BTreeMap::new() };
        for Entry { key, signature } in signatures {
            let mut bytes = [0; 64];
            let is_whole = hex::decode_to_slice(&signature, &mut bytes).is_ok();
            if !is_whole || !envelope.transaction.is_endorsed(key, &Signature(bytes)) {
                return Err(Failure::refused(format!("its signature of key {key} is not valid: the file was changed after that was signed")));
            }
            envelope.signatures.insert(key, Signature(bytes));
        }
        Ok(envelope)
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = read(path, FILE_BYTES_MAX)?;
        Self::decode(&bytes).map_err(|failure| failure.about(path.display()).hint("`--unsigned FILE` makes such a file, and `stratos tx sign` adds to it"))
    }

    fn encode(&self) -> Result<Vec<u8>, Failure> {
        let signatures = self.signatures.iter().map(|(key, signature)| Entry { key: *key, signature: hex::encode(signature.0) }).collect();
        serde_json::to_vec(&File { format: FORMAT, transaction: hex::encode(encode(&self.transaction)), signatures }).map_err(Failure::refused)
    }

    /// Takes the signatures of a copy.
    fn merge(&mut self, other: Self) -> Result<(), Failure> {
        if other.transaction != self.transaction {
            return Err(Failure::refused("it holds another transaction than the first file").hint("send one transaction at a time"));
        }
        self.signatures.extend(other.signatures);
        Ok(())
    }

    /// The bytes to send.
    fn complete(self) -> Result<Vec<u8>, Failure> {
        let signatures: Vec<_> = self.signatures.into_iter().collect();
        self.transaction.combine(&signatures).map_err(|error| match error {
            CombineError::Missing { .. } => Failure::refused(error).hint("let another key sign: `stratos tx sign FILE --key NAME`"),
            CombineError::Invalid { .. } => Failure::refused(error),
        })
    }

    fn view(&self, path: &Path) -> View {
        let Transaction { chain, authority, nonce, fee_max, tip, messages, memo, .. } = &self.transaction;
        let keys = (0u8..).zip(authority.keys()).map(|(index, key)| KeyView { key: key.to_string(), has_signed: self.signatures.contains_key(&index) });
        View {
            path: path.to_owned(),
            chain: *chain,
            sender: authority.address(),
            nonce: *nonce,
            fee_max_wei: *fee_max,
            tip_wei: *tip,
            memo: String::from_utf8_lossy(memo).into_owned(),
            messages: messages.iter().map(Into::into).collect(),
            threshold: authority.threshold(),
            keys: keys.collect(),
        }
    }
}

impl View {
    fn people(&self) -> String {
        let signed = self.keys.iter().filter(|key| key.has_signed).count();
        let mut fields = vec![
            ("file".to_owned(), self.path.display().to_string()),
            ("chain".to_owned(), self.chain.to_string()),
            ("from".to_owned(), self.sender.to_string()),
            ("nonce".to_owned(), self.nonce.to_string()),
            ("fee at most".to_owned(), output::stos(self.fee_max_wei)),
        ];
        if !self.memo.is_empty() {
            fields.push(("memo".to_owned(), money::printable(&self.memo)));
        }
        fields.extend(self.messages.iter().map(|message| ("asks to".to_owned(), money::asked(message))));
        fields.push(("signed".to_owned(), format!("by {signed} of {} keys that must", self.threshold)));
        let state = |key: &KeyView| format!("{}{}", key.key, if key.has_signed { "  has signed" } else { "" });
        fields.extend(self.keys.iter().enumerate().map(|(index, key)| (format!("key {index}"), state(key))));
        output::fields(&fields)
    }

    fn print(&self, context: &Context) -> Result<(), Failure> {
        output::print(context.json, self, || self.people())
    }
}

/// Writes a transaction that nobody has signed, and shows it.
///
/// # Errors
/// [`Failure`] if the file is there, or cannot be written.
pub fn write(path: &Path, transaction: Transaction, context: &Context) -> Result<(), Failure> {
    let envelope = Envelope { transaction, signatures: BTreeMap::new() };
    write_new(path, &envelope.encode()?)?;
    envelope.view(path).print(context)
}

/// Runs `tx show FILE`.
///
/// # Errors
/// [`Failure`] if it is no such file.
pub fn show(path: &Path, context: &Context) -> Result<(), Failure> {
    Envelope::read(path)?.view(path).print(context)
}

/// Runs `tx sign`. Asks no node if the key is in the wallet.
///
/// # Errors
/// [`Failure`] if it is no such file, or the key is none of the sender's.
pub fn sign(path: &Path, context: &Context) -> Result<(), Failure> {
    let mut envelope = Envelope::read(path)?;
    // Before anybody types a passphrase for nothing.
    let address = context.account(None)?;
    let keys = envelope.transaction.authority.keys();
    if !keys.iter().any(|key| key.address() == address) {
        return Err(Failure::refused(format!("the key of {address} is none of the {} that can sign for {}", keys.len(), envelope.transaction.sender()))
            .hint(format!("`stratos tx show {}` shows the keys, `stratos key list` shows yours", path.display())));
    }
    output::stderr(&format!("signing for a fee of {} at most\n", output::stos(envelope.transaction.fee_max)));
    let signer = context.signer(|| context.key.as_ref().map_or(Ok(false), |name| context.has_dev_key(name)))?;
    envelope.signatures.extend(envelope.transaction.endorse(&signer.secret));
    replace(path, &envelope.encode()?)?;
    envelope.view(path).print(context)
}

/// Runs `tx send`.
///
/// # Errors
/// [`Failure`] if the files hold different transactions, signatures are missing, the node refuses, or the transaction fails.
pub fn send(paths: &[PathBuf], dry_run: bool, no_wait: bool, context: &Context) -> Result<(), Failure> {
    let (first, copies) = paths.split_first().ok_or_else(|| Failure::misused("no file is given"))?;
    let mut envelope = Envelope::read(first)?;
    for copy in copies {
        envelope.merge(Envelope::read(copy)?).map_err(|failure| failure.about(copy.display()))?;
    }
    if dry_run {
        return context.try_out(&envelope.transaction);
    }
    let sender = envelope.transaction.sender();
    let transaction = context.send(&envelope.complete()?, no_wait)?;
    output::print(context.json, &transaction, || receipt(format!("sent what the keys of {sender} signed"), &transaction))
}

/// Puts new content in the place of a file in one step, so that no signature is lost on the way.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    write_new(&partial, bytes)?;
    fs::rename(&partial, path).map_err(|error| {
        // What cannot be removed either is in nobody's way but the next signer's, who is told its name.
        let _ = fs::remove_file(&partial);
        Failure::refused(format!("cannot write {}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use chain::Authority;
    use chain::authority::Several;
    use chain::transaction::{Message, TRANSACTION_VERSION, verify};
    use primitives::AccountSecret;

    use super::*;

    fn secrets() -> [AccountSecret; 3] {
        let mut secrets = [1, 2, 3].map(|seed| AccountSecret::from_seed(&[seed; 32]));
        secrets.sort_by_key(AccountSecret::key);
        secrets
    }

    fn envelope(signed: &[usize]) -> Envelope {
        let secrets = secrets();
        let transaction = Transaction {
            version: TRANSACTION_VERSION,
            chain: Hash::ZERO,
            authority: Authority::Several(Several::new(2, secrets.iter().map(AccountSecret::key).collect()).unwrap()),
            nonce: 3,
            fee_max: Amount::stos(1),
            tip: Amount::ZERO,
            messages: vec![Message::Send { to: Address([1; 20]), amount: Amount::stos(2) }],
            memo: b"\x1b[2Jrent".to_vec(),
        };
        let signatures = signed.iter().map(|at| transaction.endorse(&secrets[*at]).unwrap()).collect();
        Envelope { transaction, signatures }
    }

    #[test]
    fn copies_are_put_together() {
        let read = |signed: &[usize]| Envelope::decode(&envelope(signed).encode().unwrap()).unwrap();
        assert_eq!(read(&[]), envelope(&[]));
        let mut all = read(&[2]);
        assert_eq!(all.clone().complete().unwrap_err().line(), "1 of 2 signatures are there; let another key sign: `stratos tx sign FILE --key NAME`");
        all.merge(read(&[0, 2])).unwrap();
        assert!(verify(Hash::ZERO, &[all.clone().complete().unwrap()])[0].is_ok());
        let mut other = read(&[1]);
        other.transaction.nonce = 4;
        assert!(all.merge(other).unwrap_err().message().contains("another transaction"));
    }

    #[test]
    fn what_was_changed_is_refused() {
        let text = String::from_utf8(envelope(&[1]).encode().unwrap()).unwrap();
        let refused = |text: &str| Envelope::decode(text.as_bytes()).unwrap_err().message().to_owned();
        assert!(refused(&text.replace("\"key\":1", "\"key\":2")).contains("its signature of key 2 is not valid"));
        assert!(refused(&text.replace("\"key\":1", "\"key\":3")).contains("its signature of key 3 is not valid"));
        // Another recipient under the same signature.
        assert!(refused(&text.replace(&"01".repeat(20), &"02".repeat(20))).contains("its signature of key 1 is not valid"));
        assert!(refused(&text.replace("\"format\":1", "\"format\":2")).contains("format 2"));
        assert!(refused(&text.replace("\"transaction\":\"", "\"transaction\":\"zz")).contains("hexadecimal"));
        assert!(refused(&text.replace("\"transaction\":\"", "\"transaction\":\"00")).contains("cannot be read"));
        assert!(refused("{}").contains("no transaction to be signed"));
    }

    #[test]
    fn who_signs_sees_what() {
        let text = envelope(&[1]).view(Path::new("tx.json")).people();
        for part in [&format!("send 2 stos to {}", Address([1; 20])), "by 1 of 2 keys that must", "\u{fffd}[2Jrent", "fee at most  1 stos", "key 2"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(text.matches("has signed").count(), 1);
    }

    #[test]
    fn files_are_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tx.json");
        fs::write(&path, "before").unwrap();
        replace(&path, b"after").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
