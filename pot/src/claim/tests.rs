use proptest::prelude::*;

use super::*;
use crate::samples::{CHAIN, carrier, carrier_address, covered, covered_by, issuer, issuer_address, issuer_key, receipt_of};

fn receipts(count: u8) -> Vec<Verified<Receipt>> {
    (0..count).map(|index| receipt_of(index % 5, Class::Download, 100 + u64::from(index), &index.to_le_bytes())).collect()
}

fn claimed(count: u8) -> CoveredClaim {
    covered(carrier_address(), receipts(count), &carrier())
}

#[test]
fn a_claim_counts_what_was_signed() {
    let verified = claimed(7).verify(CHAIN, &carrier().public()).expect("valid");
    assert_eq!((verified.claim.count, verified.claim.noz), (7, Noz((100..107).sum())));
    assert_eq!((verified.receipts.len(), verified.tickets.len()), (7, 7));
    assert!(
        verified.receipts.iter().zip(&verified.tickets).all(|(receipt, ticket)| receipt.channel() == ticket.channel() && ticket.issuer == issuer_address())
    );
}

#[test]
fn a_claim_is_named_for_what_is_wrong_with_it() {
    let (good, key) = (claimed(7), carrier().public());
    let error = |change: &dyn Fn(&mut CoveredClaim)| {
        let mut other = good.clone();
        change(&mut other);
        other.verify(CHAIN, &key).expect_err("wrong")
    };
    let wrong = ClaimError::Signature { carrier: carrier_address() };
    assert_eq!(error(&|it| it.claim.receipts.swap(2, 3)), ClaimError::Order { index: 3 });
    assert_eq!(error(&|it| it.claim.receipts[4] = it.claim.receipts[3]), ClaimError::Order { index: 4 });
    assert_eq!(error(&|it| it.claim.receipts[1].bytes = 0), ClaimError::Zero { index: 1 });
    assert_eq!(error(&|it| it.claim.receipts[5].bytes -= 1), wrong);
    assert_eq!(error(&|it| it.claim.epoch = Epoch(4)), wrong);
    assert_eq!(error(&|it| it.claim.receipts.truncate(6)), ClaimError::Tickets { receipts: 6, tickets: 7 });
    let shorter = |it: &mut CoveredClaim| {
        it.claim.receipts.truncate(6);
        it.tickets.truncate(6);
    };
    assert_eq!(error(&shorter), wrong);
    let empty = ClaimError::Empty { carrier: carrier_address(), epoch: Epoch(3) };
    let clear =
        |it: &mut CoveredClaim| *it = CoveredClaim { claim: ClaimedReceipts { receipts: vec![], ..it.claim.clone() }, issuers: vec![], tickets: vec![] };
    assert_eq!(error(&clear), empty);
    let many = |it: &mut CoveredClaim| {
        it.claim.receipts = vec![it.claim.receipts[0]; CLAIM_ENTRIES_MAX + 1];
        it.tickets = vec![it.tickets[0]; CLAIM_ENTRIES_MAX + 1];
    };
    assert_eq!(error(&many), ClaimError::TooMany { count: CLAIM_ENTRIES_MAX + 1 });
    assert!(good.verify(Hash([9; 32]), &key).is_err());
}

/// Checks POT-2 on the ledger's side: what the home meta node did not allow is not claimed, whoever signed the receipt.
#[test]
fn a_receipt_beyond_its_tickets_is_not_claimed() {
    let one = || receipts(1);
    let within = covered_by(carrier_address(), one(), &carrier(), |ticket| ticket.channel_total = 100);
    assert!(within.verify(CHAIN, &carrier().public()).is_ok());
    let beyond = covered_by(carrier_address(), one(), &carrier(), |ticket| ticket.channel_total = 99);
    assert_eq!(beyond.verify(CHAIN, &carrier().public()), Err(ClaimError::BeyondTickets { index: 0, bytes: 100, ticketed: 99 }));
    let wrong = Err(ClaimError::Signature { carrier: carrier_address() });
    // Somebody else's ticket, one of another channel, one that nobody signed.
    let others: [fn(&mut Ticket); 4] = [
        |ticket| ticket.class = Class::Stream,
        |ticket| ticket.session = carrier().public(),
        |ticket| ticket.epoch = Epoch(4),
        |ticket| ticket.carrier = Address([77; 20]),
    ];
    for change in others {
        assert_eq!(covered_by(carrier_address(), one(), &carrier(), change).verify(CHAIN, &carrier().public()), wrong);
    }
    let mut raised = claimed(1);
    raised.tickets[0].channel_total += 1;
    assert_eq!(raised.verify(CHAIN, &carrier().public()), wrong);
    let mut by_itself = claimed(1);
    by_itself.issuers[0].1 = carrier().public();
    assert_eq!(by_itself.verify(CHAIN, &carrier().public()), wrong);
}

#[test]
fn issuers_are_listed_in_order() {
    let key = carrier().public();
    let mut other = claimed(2);
    other.tickets[1].issuer = 1;
    assert_eq!(other.verify(CHAIN, &key), Err(ClaimError::Issuer { index: 1 }));
    let mut other = claimed(2);
    other.issuers.push(other.issuers[0]);
    assert_eq!(other.verify(CHAIN, &key), Err(ClaimError::Issuer { index: 0 }), "twice");
    let mut other = claimed(1);
    other.issuers.push((Address([255; 20]), issuer().public()));
    assert_eq!(other.verify(CHAIN, &key), Err(ClaimError::Issuer { index: 0 }), "more than tickets");
    let mut other = claimed(1);
    other.issuers[0].1 = PublicKey([255; 32]);
    assert_eq!(other.verify(CHAIN, &key), Err(ClaimError::IssuerKey { issuer: issuer_address() }));
    let covered = claimed(1).verify(CHAIN, &key).expect("valid");
    let last = vec![Covered { receipt: covered.receipts[0], ticket: *covered.tickets[0].signed() }];
    let unknown = CoveredClaim::sign(CHAIN, Epoch(3), carrier_address(), last.clone(), |_| None, &carrier());
    assert_eq!(unknown, Err(ClaimError::IssuerKey { issuer: issuer_address() }));
    assert!(CoveredClaim::sign(CHAIN, Epoch(3), carrier_address(), last, issuer_key, &carrier()).is_ok());
}

#[test]
fn golden_encoding() {
    let claim = Claim { chain: Hash([1; 32]), epoch: Epoch(2), carrier: Address([3; 20]), root: Hash([4; 32]), count: 5, noz: Noz(6) };
    let golden = format!("{}0200000000000000{}{}05000000{}", "01".repeat(32), "03".repeat(20), "04".repeat(32), "06000000000000000000000000000000");
    assert_eq!(hex::encode(encoding::encode(&claim)), golden);
    assert_eq!(encoding::encode(&claimed(1).claim).len(), 8 + 20 + 4 + 125 + 64);
    assert_eq!(encoding::encode(&claimed(1)).len(), 8 + 20 + 4 + 125 + 64 + 4 + 52 + 4 + 130);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(claim) = encoding::decode::<CoveredClaim>(&bytes, bytes.len()) {
            prop_assert!(claim.verify(CHAIN, &carrier().public()).is_err());
        }
    }
}
