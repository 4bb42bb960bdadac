//! A whole part of a report, from its bytes to what is owed.

use std::collections::BTreeMap;

use pot::report::{self, Known, PartError};
use pot::{Channel, ClaimedReceipts, Class, Part, Receipt, Signed, SignedGrant};
use primitives::encoding::encode;
use primitives::{AccountSecret, Address, Epoch, Hash, Noz, PublicKey, SecretKey};

use crate::{fastest, number, thread_counts};

const CHAIN: Hash = Hash([42; 32]);
const EPOCH: Epoch = Epoch(3);
/// Carriers that claim.
const CARRIERS: u64 = 64;
/// Payers, each with one session, each of which uses all carriers.
const PAYERS: u64 = 128;

fn seed(kind: &str, number: u64) -> [u8; 32] {
    Hash::of(kind, &[&number.to_le_bytes()]).0
}

fn carrier(number: u64) -> (Address, SecretKey) {
    (AccountSecret::from_seed(&seed("operator", number)).address(), SecretKey::from_seed(&seed("carrier", number)))
}

/// Builds the largest part of so many carriers and payers, and measures each step with it.
pub fn part(cores: usize) {
    let (mut grants, mut keys, mut claims) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let payers: Vec<(AccountSecret, SecretKey)> =
        (0..PAYERS).map(|payer| (AccountSecret::from_seed(&seed("wallet", payer)), SecretKey::from_seed(&seed("session", payer)))).collect();
    for (wallet, session) in &payers {
        grants.insert((wallet.address(), session.public()), SignedGrant::sign(CHAIN, wallet, session, Epoch(9), Noz(1 << 70)));
    }
    for number in 0..CARRIERS {
        let (carrier, secret) = carrier(number);
        let receipts = payers.iter().map(|(wallet, session)| {
            let channel = Channel { epoch: EPOCH, carrier, payer: wallet.address(), session: session.public(), class: Class::Download };
            Signed::sign(Receipt::new(CHAIN, channel, 1 << 30), session).verify_by_session(CHAIN).expect("just signed")
        });
        claims.push(ClaimedReceipts::sign(CHAIN, EPOCH, carrier, receipts.collect(), &secret).expect("a claim"));
        keys.insert(carrier, secret.public());
    }
    claims.sort_by_key(|claim| claim.carrier);
    let known = Known { chain: CHAIN, grants: &grants, keys: &keys, liveness: &BTreeMap::new() };
    let build = || report::build(EPOCH, &claims, &known).expect("they make a report").1;
    let parts = build();
    let [part] = &parts[..] else { panic!("{} parts", parts.len()) };
    let (bytes, entries) = (encode(part), part.entries.len());
    let verify = |key: &dyn Fn(&Address) -> Option<PublicKey>| -> Result<usize, PartError> {
        let part = Part::decode(&bytes).expect("a part");
        Ok(report::verify_part(&part, CHAIN, EPOCH, key)?.charges().count())
    };
    let verify = || verify(&|carrier| keys.get(carrier).copied()) == Ok(entries);

    println!("\na part of {entries} entries, {CARRIERS} carriers, {PAYERS} sessions: {} bytes; microseconds for each entry", bytes.len());
    println!("{:<40} {:>8}", "bytes for each entry, all in all", number(bytes.len() as f64 / entries as f64));
    println!("{:<40} {:>8}", "building it from claims", number(fastest(entries, 1, || build().len() == 1)));
    for threads in thread_counts(cores) {
        let time = fastest(entries, threads, verify);
        println!("{:<40} {:>8}   {:.0} entries/s", format!("from bytes to what is owed, {threads} core(s)"), number(time), 1e6 / time);
    }
}
