//! Fifty epochs, every field of a proof changed, and forks that the headers give away.

use primitives::encoding::{decode, encode};
use primitives::{Height, Time};
use proptest::prelude::*;

use super::*;
use crate::certificate::{Certificate, CertificateError};
use crate::forensics::{Contradiction, Side};
use crate::justification::Justification;
use crate::testing::Cast;
use crate::vote::Kind;

/// Members of `epoch`: others in each.
fn cast_of(epoch: u64) -> Cast {
    let weights: Vec<u64> = (0..=epoch % 4).map(|index| 1 + (epoch + index) % 5).collect();
    Cast { epoch: Epoch(epoch), ..Cast::new(&weights) }
}

/// The next header of `cast`'s epoch on `parent`, without skipped views.
fn child(cast: &Cast, parent: &Header, payload: &[u8]) -> Header {
    let justification = if parent.epoch == cast.epoch && parent.view > View(0) {
        Justification::after(cast.certificate(parent.view.0, Kind::Notarize(parent.hash())))
    } else {
        Justification::first(cast.epoch)
    };
    cast.block(parent, justification, payload).header
}

fn last(cast: &Cast, parent: &Header, next: &Members) -> Header {
    Header { next_members: next.hash(), ..child(cast, parent, b"last") }
}

fn closing(cast: &Cast, parent: &Header) -> Header {
    Header { next_members: parent.next_members, payload: Hash::ZERO, ..child(cast, parent, b"") }
}

fn finalization(cast: &Cast, header: &Header) -> Certificate {
    cast.certificate(header.view.0, Kind::Finalize(header.hash()))
}

/// Proof of the first of these headers by finalization of the last.
fn proof(cast: &Cast, headers: &[Header]) -> Finality {
    Finality { headers: headers[1..].to_vec(), certificate: finalization(cast, &headers[headers.len() - 1]) }
}

/// The first epoch: `count` ordinary blocks, the last, and two closing blocks; and a client that trusts its voters.
fn epoch(count: usize) -> (Cast, Vec<Header>, LightClient) {
    let cast = cast_of(3);
    let start = Header { epoch: Epoch(2), next_members: cast.members.hash(), payload: Hash([1; 32]), ..cast.genesis.clone() };
    let client = LightClient::new(cast.chain, Epoch(3), cast.members.clone(), Some(start.hash()));
    let mut headers = vec![child(&cast, &start, b"first")];
    for _ in 1..count {
        headers.push(child(&cast, &headers[headers.len() - 1], b"more"));
    }
    headers.push(last(&cast, &headers[headers.len() - 1], &cast_of(4).members));
    for _ in 0..2 {
        headers.push(closing(&cast, &headers[headers.len() - 1]));
    }
    (cast, headers, client)
}

#[test]
fn fifty_epochs() {
    let genesis = cast_of(0);
    let mut client = LightClient::new(genesis.chain, Epoch(0), genesis.members.clone(), Some(genesis.genesis.hash()));
    let mut tip = genesis.genesis.clone();
    let mut proofs: Vec<EpochProof> = Vec::new();
    for number in 0..50 {
        let (present, next) = (cast_of(number), cast_of(number + 1).members);
        assert_eq!((client.epoch(), client.members().hash(), client.start()), (Epoch(number), present.members.hash(), Some(tip.hash())));
        let one = child(&present, &tip, b"one");
        let two = child(&present, &one, b"two");
        let last = last(&present, &two, &next);
        assert_eq!(client.accept(two.clone(), proof(&present, &[two.clone(), last.clone()])), Ok(&two));
        assert_eq!(client.accept(one.clone(), proof(&present, std::slice::from_ref(&one))), Ok(&two), "a lower one is as true");
        let mut chain = vec![last.clone()];
        for _ in 0..number % 4 {
            chain.push(closing(&present, &chain[chain.len() - 1]));
        }
        let epoch_proof = EpochProof { last: last.clone(), finality: proof(&present, &chain), next };
        client.advance(epoch_proof.clone()).expect("a proof");
        proofs.push(epoch_proof);
        assert_eq!(client.highest().map(|proven| &proven.header), Some(&last));
        let bytes = encode(&client);
        assert_eq!(decode(&bytes, LIGHT_CLIENT_BYTES_MAX), Ok(client.clone()), "kept and restored");
        tip = last;
    }
    // A client that was told the members of epoch 20 comes to the same place.
    let mut late = LightClient::new(genesis.chain, Epoch(20), cast_of(20).members, None);
    for proof in &proofs[20..] {
        assert_eq!(late.advance(proof.clone()), Ok(()));
    }
    assert_eq!(late, client);
    // No epoch twice, none skipped.
    assert_eq!(late.advance(proofs[49].clone()), Err(LightError::Older { found: Epoch(49), present: Epoch(50) }));
    assert_eq!(late.advance(proofs[7].clone()), Err(LightError::Older { found: Epoch(7), present: Epoch(50) }));
    let mut early = LightClient::new(genesis.chain, Epoch(20), cast_of(20).members, None);
    assert_eq!(early.advance(proofs[21].clone()), Err(LightError::Skipped { found: Epoch(21), present: Epoch(20) }));
    assert_eq!(early, LightClient::new(genesis.chain, Epoch(20), cast_of(20).members, None));
    let wrong = Cast { epoch: Epoch(20), ..cast_of(21) };
    let mut misled = LightClient::new(genesis.chain, Epoch(20), wrong.members.clone(), None);
    let found = proofs[20].last.members;
    assert_eq!(misled.advance(proofs[20].clone()), Err(LightError::Members { found, expected: wrong.members.hash() }));
}

#[test]
fn every_field_of_a_proof() {
    let (cast, headers, client) = epoch(2);
    let good = EpochProof { last: headers[2].clone(), finality: proof(&cast, &headers[2..4]), next: cast_of(4).members };
    client.clone().advance(good.clone()).expect("a proof");
    let refused = |change: &dyn Fn(&mut EpochProof)| {
        let (mut proof, mut changed) = (good.clone(), client.clone());
        change(&mut proof);
        let error = changed.advance(proof).expect_err("refused");
        assert_eq!(changed, client, "a refusal changes nothing");
        error
    };
    assert_eq!(refused(&|proof| proof.last.version = 9), LightError::Version(9));
    assert_eq!(refused(&|proof| proof.last.chain = Hash::ZERO), LightError::Chain(Hash::ZERO));
    assert_eq!(refused(&|proof| proof.last.epoch = Epoch(2)), LightError::Older { found: Epoch(2), present: Epoch(3) });
    let later = |proof: &mut EpochProof| proof.last.epoch = Epoch(4);
    assert!(matches!(refused(&later), LightError::Finality(FinalityError::Headers(_))), "an epoch of the same voters, but nobody signed that");
    let skipped = |proof: &mut EpochProof| (proof.last.epoch, proof.last.members) = (Epoch(4), cast_of(4).members.hash());
    assert_eq!(refused(&skipped), LightError::Skipped { found: Epoch(4), present: Epoch(3) });
    assert_eq!(refused(&|proof| proof.last.members = Hash::ZERO), LightError::Members { found: Hash::ZERO, expected: cast.members.hash() });
    assert_eq!(refused(&|proof| proof.last.view = View(1)), LightError::View { view: View(1), parent: View(2) });
    assert_eq!(refused(&|proof| proof.last.payload = Hash::ZERO), LightError::Closing);
    assert_eq!(refused(&|proof| proof.last.next_members = Hash::ZERO), LightError::NotLast(Epoch(3)));
    let named = headers[2].next_members;
    assert_eq!(refused(&|proof| proof.last.next_members = Hash([1; 32])), LightError::Next { found: named, named: Hash([1; 32]) });
    assert_eq!(refused(&|proof| proof.next = cast.members.clone()), LightError::Next { found: cast.members.hash(), named });
    let changes: [&dyn Fn(&mut Header); 8] = [
        &|header| header.view = View(8),
        &|header| header.height = Height(9),
        &|header| header.parent = Hash::ZERO,
        &|header| header.parent_view = View(1),
        &|header| header.justification = Hash::ZERO,
        &|header| header.time = Time(5),
        &|header| header.proposer ^= 1,
        &|header| header.payload = Hash([1; 32]),
    ];
    for change in changes {
        assert!(matches!(refused(&|proof| change(&mut proof.last)), LightError::Finality(FinalityError::Headers(_))));
        assert!(matches!(refused(&|proof| change(&mut proof.finality.headers[0])), LightError::Finality(_)));
    }
    let finality = |change: &dyn Fn(&mut Finality)| {
        let LightError::Finality(error) = refused(&|proof| change(&mut proof.finality)) else { panic!("another error") };
        error
    };
    assert_eq!(finality(&|finality| finality.headers.clear()), FinalityError::Other(headers[2].height));
    assert_eq!(finality(&|finality| finality.headers.push(headers[4].clone())), FinalityError::Other(headers[4].height));
    assert_eq!(finality(&|finality| finality.headers = vec![headers[3].clone(); HEADERS_MAX + 1]), FinalityError::Length(HEADERS_MAX + 1));
    assert_eq!(finality(&|finality| finality.certificate.vote.kind = Kind::Nullify), FinalityError::Other(headers[3].height));
    assert_eq!(finality(&|finality| finality.certificate.vote.view = View(9)), FinalityError::Other(headers[3].height));
    assert_eq!(finality(&|finality| finality.certificate.vote.epoch = Epoch(9)), FinalityError::Other(headers[3].height));
    let signature = FinalityError::Certificate(CertificateError::Signature);
    assert_eq!(finality(&|finality| finality.certificate.signatures[0].0[0] ^= 1), signature);
    assert!(matches!(finality(&|finality| finality.certificate.signers[0] ^= 1), FinalityError::Certificate(_)));
    let few = |finality: &mut Finality| finality.certificate = cast.certificate_of(4, Kind::Finalize(headers[3].hash()), &[0]);
    assert!(matches!(finality(&few), FinalityError::Certificate(CertificateError::NoQuorum { .. })));

    // A header of the epoch that is not its last, a closing block as a tip, and a first block on another start.
    let mut client = client;
    let not_last = EpochProof { last: headers[1].clone(), finality: proof(&cast, &headers[1..2]), next: good.next.clone() };
    assert_eq!(client.advance(not_last), Err(LightError::NotLast(Epoch(3))));
    assert_eq!(client.accept(headers[3].clone(), proof(&cast, &headers[3..4])), Err(LightError::Closing));
    let other = child(&cast, &Header { epoch: Epoch(2), ..cast.genesis.clone() }, b"first");
    let expected = client.start().expect("known");
    assert_eq!(client.accept(other.clone(), proof(&cast, std::slice::from_ref(&other))), Err(LightError::Start { found: other.parent, expected }));
}

/// The trusted voters stay for epochs, go and come back: only where they change a proof is needed, of whatever epoch that is.
#[test]
fn epochs_that_change_nothing() {
    let (cast, headers, client) = epoch(2);
    let of = |epoch: u64| Cast { epoch: Epoch(epoch), ..cast_of(3) };
    let stays = |cast: &Cast, parent: &Header| last(cast, parent, &cast.members);
    let direct = |cast: &Cast, header: &Header| proof(cast, std::slice::from_ref(header));
    // Epoch 3 ends without a change; its last header is accepted like any other, and then the start of epoch 4 is known.
    let end = stays(&cast, &headers[0]);
    let mut moved = client.clone();
    assert_eq!(moved.accept(end.clone(), direct(&cast, &end)), Ok(&end));
    let first = child(&of(4), &end, b"first");
    let stray = child(&of(4), &Header { payload: Hash([7; 32]), ..end.clone() }, b"first");
    assert_eq!(moved.accept(stray.clone(), direct(&of(4), &stray)), Err(LightError::Start { found: stray.parent, expected: end.hash() }));
    assert_eq!(moved.accept(first.clone(), direct(&of(4), &first)), Ok(&first));
    assert_eq!((moved.epoch(), moved.start()), (Epoch(4), Some(end.hash())));
    // Now epoch 3 is over, and a contradiction of its end is seen.
    assert_eq!(moved.accept(end.clone(), direct(&cast, &end)), Err(LightError::Older { found: Epoch(3), present: Epoch(4) }));
    let fork = Header { payload: Hash([8; 32]), ..end.clone() };
    assert_eq!(conflict(moved.accept(fork.clone(), direct(&cast, &fork)).map(drop)).accepted.header, end);

    // Straight to epoch 9: what came between is not known, so neither is its start.
    let mut chain = vec![end];
    for number in 4..9 {
        let present = of(number);
        let one = child(&present, &chain[chain.len() - 1], b"one");
        chain.extend([one.clone(), stays(&present, &one)]);
    }
    let (nine, present) = (child(&of(9), &chain[chain.len() - 1], b"nine"), of(9));
    for mut client in [client.clone(), moved.clone()] {
        assert_eq!(client.accept(nine.clone(), direct(&present, &nine)), Ok(&nine));
        assert_eq!((client.epoch(), client.start(), client.highest().map(|proven| &proven.header)), (Epoch(9), None, Some(&nine)));
        assert_eq!(client.accept(first.clone(), direct(&of(4), &first)), Err(LightError::Older { found: Epoch(4), present: Epoch(9) }));
    }
    // Signatures of one epoch prove nothing in another, nor do those of others.
    let mut refusing = client.clone();
    assert!(matches!(refusing.accept(nine.clone(), direct(&of(8), &nine)), Err(LightError::Finality(FinalityError::Other(_)))));
    let others = Cast { epoch: Epoch(9), ..cast_of(6) };
    let foreign = child(&others, &chain[chain.len() - 1], b"nine");
    assert_eq!(refusing.accept(foreign.clone(), direct(&others, &foreign)), Err(LightError::Skipped { found: Epoch(9), present: Epoch(3) }));
    let weak = Finality::direct(present.certificate_of(nine.view.0, Kind::Finalize(nine.hash()), &[0]));
    assert!(matches!(refusing.accept(nine.clone(), weak), Err(LightError::Finality(FinalityError::Certificate(_)))));
    assert_eq!(refusing, client);

    // A later epoch that is not higher, or not later, is of another chain; nobody can be named from these two headers.
    moved.accept(nine.clone(), direct(&present, &nine)).expect("final");
    for wrong in [Header { height: nine.height, ..child(&of(10), &nine, b"low") }, Header { time: nine.time, ..child(&of(10), &nine, b"early") }] {
        let found = conflict(moved.accept(wrong.clone(), direct(&of(10), &wrong)).map(drop));
        assert_eq!((&found.accepted.header, &found.other.header), (&nine, &wrong));
        assert_eq!(found.blame(), Err(BlameError::Epochs { a: Epoch(9), b: Epoch(10) }));
    }

    // Epoch 12 ends with a change, and its proof leads on from epoch 3 as from epoch 9.
    let (present, next) = (of(12), cast_of(13));
    let end = last(&present, &nine, &next.members);
    let change = EpochProof { last: end.clone(), finality: direct(&present, &end), next: next.members.clone() };
    for mut client in [client.clone(), moved.clone()] {
        assert_eq!(client.advance(change.clone()), Ok(()));
        assert_eq!((client.epoch(), client.members(), client.start()), (Epoch(13), &next.members, Some(end.hash())));
        assert_eq!(client.advance(change.clone()), Err(LightError::Older { found: Epoch(12), present: Epoch(13) }), "once");
        let old = child(&of(13), &end, b"old");
        let expected = LightError::Members { found: old.members, expected: next.members.hash() };
        assert_eq!(client.accept(old.clone(), direct(&of(13), &old)), Err(expected), "who voted before");
    }
    // Once the change is accepted as a header, the voters of before are not believed in what follows, until the proof has led on.
    moved.accept(end.clone(), direct(&present, &end)).expect("final");
    let back = child(&of(13), &end, b"back");
    assert_eq!(moved.accept(back.clone(), direct(&of(13), &back)), Err(LightError::Skipped { found: Epoch(13), present: Epoch(12) }));
    assert_eq!(moved.advance(change), Ok(()));
}

fn conflict(result: Result<(), LightError>) -> Conflict {
    match result {
        Err(LightError::Conflict(conflict)) => *conflict,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_proofs_of_one_epoch() {
    let (cast, headers, client) = epoch(2);
    let next = cast_of(4).members;
    let good = EpochProof { last: headers[2].clone(), finality: proof(&cast, &headers[2..3]), next: next.clone() };
    // Other voters shall follow; finalized in the same view: both finalizations convict.
    let others = cast_of(6).members;
    let fork = Header { next_members: others.hash(), ..headers[2].clone() };
    let bad = EpochProof { last: fork.clone(), finality: proof(&cast, std::slice::from_ref(&fork)), next: others };

    let mut moved = client.clone();
    moved.advance(good.clone()).expect("a proof");
    let (before, found) = (moved.clone(), conflict(moved.advance(bad.clone())));
    assert_eq!(moved, before);
    assert_eq!((&found.accepted.header, &found.other.header), (&good.last, &bad.last));
    assert_eq!(found.members, cast.members);
    let (file, verdict) = found.blame().expect("culprits");
    assert_eq!((verdict.contradiction, verdict.view, verdict.height), (Contradiction::FinalizedTwice, View(3), Some(fork.height)));
    assert_eq!(file.check(), Ok(verdict));
    assert_eq!(moved.advance(good.clone()), Err(LightError::Older { found: Epoch(3), present: Epoch(4) }), "the same proof again is no conflict");
    // The same through `accept`, before and after the epoch's end.
    assert_eq!(conflict(moved.accept(bad.last.clone(), bad.finality.clone()).map(drop)), found);
    let mut accepting = client.clone();
    accepting.accept(good.last.clone(), good.finality.clone()).expect("final");
    assert_eq!(conflict(accepting.advance(bad.clone())), found);
    let unproved = Finality::direct(cast.certificate_of(3, Kind::Finalize(fork.hash()), &[0]));
    assert_eq!(moved.accept(fork.clone(), unproved), Err(LightError::Older { found: Epoch(3), present: Epoch(4) }));

    // Finalized in different views: one justification of the later chain is needed, and named.
    let late = closing(&cast, &fork);
    let bad = EpochProof { finality: proof(&cast, &[fork.clone(), late.clone()]), ..bad };
    let found = conflict(moved.advance(bad));
    let missing = BlameError::Missing { side: Side::B, hash: late.hash(), height: Some(late.height), view: View(4), down_to: View(3) };
    assert_eq!(found.blame(), Err(missing));
    // With it: the finalized last block against the notarization of the other.
    let mut branch = Branch::of_headers(&found.other.header, &found.other.finality);
    branch.links[1].justification = Some(Justification::after(cast.certificate(3, Kind::Notarize(fork.hash()))));
    let ours = Branch::of_headers(&found.accepted.header, &found.accepted.finality);
    let (_, verdict) = Proof::new(found.chain, found.members, ours, branch).expect("culprits");
    assert_eq!(verdict.contradiction, Contradiction::FinalizedAndNotarized);
}

/// Two proved headers that no chain holds, whatever lies between them.
#[test]
fn headers_that_give_a_fork_away() {
    let (cast, headers, client) = epoch(6);
    let proven = |headers: &[Header]| (headers[0].clone(), proof(&cast, headers));
    let sibling = Header { payload: Hash([9; 32]), ..headers[2].clone() };
    let nephew = child(&cast, &sibling, b"nephew");
    let high = |header: &Header| Header { view: View(2), parent_view: View(1), ..header.clone() };
    let far = Header { height: Height(20), view: View(30), parent_view: View(29), time: Time(headers[6].time.0 + 9), ..headers[5].clone() };
    let cases = [
        (proven(&headers[2..3]), proven(std::slice::from_ref(&sibling)), "one height"),
        (proven(&headers[3..4]), proven(std::slice::from_ref(&sibling)), "the parent of what was accepted"),
        (proven(&headers[2..3]), proven(std::slice::from_ref(&nephew)), "a child of another"),
        (proven(&headers[1..4]), proven(std::slice::from_ref(&nephew)), "one height, among the headers of a proof"),
        (proven(&headers[4..5]), proven(&[sibling, nephew]), "below"),
        (proven(&headers[2..3]), proven(&[high(&headers[5])]), "higher in an earlier view"),
        (proven(&headers[3..4]), proven(&[Header { parent_view: View(2), ..headers[5].clone() }]), "its parent in an earlier view"),
        (proven(&headers[2..3]), proven(&[Header { time: headers[2].time, ..headers[5].clone() }]), "higher at an earlier time"),
        (proven(&headers[6..7]), proven(&[far]), "above the last"),
    ];
    for ((accepted, finality), (other, other_finality), case) in cases {
        for swap in [false, true] {
            let [first, second] = if swap { [(&other, &other_finality), (&accepted, &finality)] } else { [(&accepted, &finality), (&other, &other_finality)] };
            let mut client = client.clone();
            client.accept(first.0.clone(), first.1.clone()).expect("proved");
            let found = conflict(client.accept(second.0.clone(), second.1.clone()).map(drop));
            assert_eq!((&found.accepted.header, &found.other.header), (first.0, second.0), "{case}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any headers of one chain in any order are accepted with their proofs, and with nothing less.
    #[test]
    fn accepts_iff_final(count in 1..8_usize, tips in proptest::collection::vec((any::<u16>(), any::<u16>(), 0..4_u8), 1..12)) {
        let (cast, headers, mut client) = epoch(count);
        let mut highest = Height(0);
        for (at, up, fault) in tips {
            // Of the chain: everything but the two closing blocks. Proved by itself or by anything above, closing blocks too.
            let at = usize::from(at) % (headers.len() - 2);
            let top = at + usize::from(up) % (headers.len() - at);
            let (header, mut finality) = (headers[at].clone(), proof(&cast, &headers[at..=top]));
            let before = client.clone();
            match fault {
                0 => finality.certificate.signatures[0].0[usize::from(up) % 64] ^= 1,
                1 => finality.certificate = cast.certificate(headers[top].view.0, Kind::Notarize(headers[top].hash())),
                _ => {}
            }
            let is_final = fault > 1;
            let accepted = client.accept(header, finality).map(|header| header.height);
            if is_final {
                highest = highest.max(headers[at].height);
                prop_assert_eq!(accepted, Ok(highest));
            } else {
                prop_assert!(matches!(accepted, Err(LightError::Finality(_))));
                prop_assert_eq!(&client, &before);
            }
        }
    }

    /// Epochs whose voters stay or change at will, and headers of them that are final, forged, or signed by whoever voted at some other time: accepted are
    /// those that the voters in force finalized, of epochs up to which the client was led, and not older than it stands.
    #[test]
    fn accepts_iff_of_the_voters_in_force(
        sets in proptest::collection::vec(0..3_u64, 2..9),
        asked in proptest::collection::vec((any::<u16>(), 0..6_u8, any::<u16>()), 1..16),
    ) {
        let of = |epoch: usize, set: u64| Cast { epoch: Epoch(epoch as u64), ..cast_of(set) };
        let genesis = of(0, sets[0]);
        let mut client = LightClient::new(genesis.chain, Epoch(0), genesis.members.clone(), Some(genesis.genesis.hash()));
        let (mut tip, mut firsts, mut changes) = (genesis.genesis.clone(), Vec::new(), Vec::new());
        for (epoch, set) in sets.iter().enumerate() {
            let (present, next) = (of(epoch, *set), cast_of(*sets.get(epoch + 1).unwrap_or(set)).members);
            let first = child(&present, &tip, b"first");
            tip = last(&present, &first, &next);
            if next != present.members {
                changes.push(EpochProof { last: tip.clone(), finality: proof(&present, std::slice::from_ref(&tip)), next });
            }
            firsts.push(first);
        }
        for (at, kind, other) in asked {
            let at = usize::from(at) % firsts.len();
            let (header, present) = (firsts[at].clone(), of(at, sets[at]));
            let (stood, trusted) = (client.epoch(), client.members().hash());
            if kind == 0 {
                // Led on by the next proof that is not behind it.
                if let Some(change) = changes.iter().find(|change| change.last.epoch >= stood) {
                    prop_assert_eq!(client.advance(change.clone()), Ok(()));
                    prop_assert_eq!(client.epoch(), change.last.epoch.next());
                }
                continue;
            }
            let (header, finality) = match kind {
                1 => {
                    // Signed by another set, which claims to vote in this epoch.
                    let liar = of(at, (sets[at] + 1 + u64::from(other) % 2) % 3);
                    let header = Header { members: liar.members.hash(), ..header };
                    (header.clone(), proof(&liar, &[header]))
                }
                2 => (header.clone(), Finality::direct(present.certificate(header.view.0, Kind::Notarize(header.hash())))),
                _ => (header.clone(), proof(&present, &[header])),
            };
            // A liar that was never a voter here is believed by nobody; one that the client trusts could lie, which is the assumption.
            let is_trusted = header.members == trusted && header.epoch >= stood;
            prop_assume!(kind != 1 || !is_trusted);
            let before = client.clone();
            let accepted = client.accept(header.clone(), finality).map(drop);
            if kind > 2 && is_trusted {
                prop_assert_eq!(accepted, Ok(()));
                prop_assert_eq!(client.epoch(), header.epoch);
            } else {
                prop_assert!(accepted.is_err());
                prop_assert_eq!(&client, &before);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let (_, _, mut client) = epoch(1);
        if let Ok(proof) = decode::<EpochProof>(&bytes, EPOCH_PROOF_BYTES_MAX) {
            prop_assert!(client.advance(proof).is_err());
        }
        if let Ok(Proven { header, finality }) = decode::<Proven>(&bytes, PROVEN_BYTES_MAX) {
            prop_assert!(client.accept(header, finality).is_err());
        }
    }
}
