//! Forks made by hand and at random, by a cast whose every secret is known.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::justification::JustificationError;
use crate::members::Member;
use crate::testing::Cast;

/// A chain under construction, and an account of it that shares nothing with the code under test: for each view the certificate on the path.
#[derive(Clone)]
struct Path<'a> {
    cast: &'a Cast,
    tip: Header,
    blocks: Vec<Arc<Block>>,
    said: BTreeMap<u64, Certificate>,
}

/// Who signs the next certificate.
type Quorum<'a> = &'a mut dyn FnMut() -> Vec<u16>;

impl<'a> Path<'a> {
    fn new(cast: &'a Cast) -> Self {
        Self { cast, tip: cast.genesis.clone(), blocks: Vec::new(), said: BTreeMap::new() }
    }

    fn justification(&mut self, view: u64, finalized_base: bool, quorum: Quorum) -> Justification {
        let (hash, parent_view) = (self.tip.hash(), self.tip.view.0);
        let base = if self.tip.view == View(0) {
            Base::Start
        } else {
            let kind = if finalized_base { Kind::Finalize(hash) } else { Kind::Notarize(hash) };
            let certificate = self.cast.certificate_of(parent_view, kind, &quorum());
            self.said.insert(parent_view, certificate.clone());
            Base::Certified(certificate)
        };
        let mut skips = Vec::new();
        for skipped in parent_view + 1..view {
            let skip = self.cast.certificate_of(skipped, Kind::Nullify, &quorum());
            self.said.insert(skipped, skip.clone());
            skips.push(skip);
        }
        Justification { epoch: Epoch(0), base, skips }
    }

    fn push(&mut self, header: Header, justification: Justification, payload: &[u8]) {
        self.tip = header.clone();
        self.blocks.push(Arc::new(Block { header, justification, payload: payload.to_vec() }));
    }

    fn grow_by(&mut self, view: u64, payload: &str, finalized_base: bool, quorum: Quorum) {
        let justification = self.justification(view, finalized_base, quorum);
        let Block { mut header, justification, payload } = self.cast.block(&self.tip, justification, payload.as_bytes());
        // After the epoch's last block only closing blocks follow.
        let closes = self.tip.next_members != Hash::ZERO;
        if closes {
            (header.next_members, header.payload) = (self.tip.next_members, Hash::ZERO);
        }
        self.push(header, justification, if closes { b"" } else { &payload });
    }

    /// A block in `view`, the views between skipped, everything signed by these.
    fn grow(mut self, view: u64, payload: &str, signers: &[u16]) -> Self {
        self.grow_by(view, payload, false, &mut || signers.to_vec());
        self
    }

    /// As `grow`, the parent's finalization as base.
    fn grow_on_final(mut self, view: u64, payload: &str, signers: &[u16]) -> Self {
        self.grow_by(view, payload, true, &mut || signers.to_vec());
        self
    }

    /// As `grow`, and it is the epoch's last block.
    fn grow_last(mut self, view: u64, payload: &str, signers: &[u16]) -> Self {
        let justification = self.justification(view, false, &mut || signers.to_vec());
        let Block { mut header, justification, payload } = self.cast.block(&self.tip, justification, payload.as_bytes());
        header.next_members = Hash([7; 32]);
        self.push(header, justification, &payload);
        self
    }

    fn finalization(&self, signers: &[u16]) -> Certificate {
        self.cast.certificate_of(self.tip.view.0, Kind::Finalize(self.tip.hash()), signers)
    }

    /// From height `from` up to the tip, finalized.
    fn branch(&self, from: u64, signers: &[u16]) -> Branch {
        Branch::of_blocks(self.blocks.iter().map(|block| &**block).filter(|block| block.header.height.0 >= from), self.finalization(signers))
    }

    /// As a node stores it that saw nothing final before the tip was: runs of `run` blocks, each with a proof, closing blocks with the last.
    fn stored(&self, run: usize, signers: &[u16]) -> Vec<Stored> {
        let end = self.blocks.iter().position(|block| block.header.is_last()).map_or(self.blocks.len(), |last| last + 1);
        let (chain, closing) = self.blocks.split_at(end);
        let stored = |(index, block): (usize, &Arc<Block>)| {
            let ends_run = (index + 1) % run == 0 || index + 1 == end;
            let headers = self.blocks[index + 1..].iter().map(|block| block.header.clone()).collect();
            let finality = ends_run.then(|| Finality { headers, certificate: self.finalization(signers) });
            Stored { block: block.clone(), finality, closing: if index + 1 == end { closing.to_vec() } else { Vec::new() } }
        };
        chain.iter().enumerate().map(stored).collect()
    }
}

/// Members 0, 1, 2 and 1, 2, 3 of four: each a quorum, two in common.
const LEFT: &[u16] = &[0, 1, 2];
const RIGHT: &[u16] = &[1, 2, 3];

fn four() -> Cast {
    Cast::new(&[1, 1, 1, 1])
}

/// A database's answer: heights begin at 1.
fn get(stored: &[Stored], height: Height) -> Option<Stored> {
    stored.get(usize::try_from(height.0).ok()?.checked_sub(1)?).cloned()
}

fn culprits(verdict: &Verdict) -> Vec<u16> {
    verdict.evidence.iter().map(Evidence::signer).collect()
}

/// Blames both ways round, and through a proof on disk; all agree.
fn blame_all_ways(cast: &Cast, a: &Branch, b: &Branch) -> Verdict {
    let verdict = blame(cast.chain, &cast.members, a, b).expect("a conflict");
    assert_eq!(blame(cast.chain, &cast.members, b, a), Ok(verdict.clone()), "the order of the branches changes nothing");
    let (proof, same) = Proof::new(cast.chain, cast.members.clone(), a.clone(), b.clone()).expect("a conflict");
    assert_eq!(same, verdict);
    let read = Proof::decode(&proof.encode()).expect("a proof");
    assert_eq!(read, proof);
    assert_eq!(read.check(), Ok(verdict.clone()));
    assert!(verdict.evidence.iter().all(|evidence| evidence.is_valid(cast.chain, &cast.members)));
    assert!(3 * u128::from(verdict.weight) > u128::from(verdict.total));
    let branch = Branch::decode(&encode(a));
    assert_eq!(branch.as_ref(), Ok(a));
    verdict
}

#[test]
fn one_view_two_finalizations() {
    let cast = four();
    let a = Path::new(&cast).grow(1, "a", LEFT).branch(1, LEFT);
    let b = Path::new(&cast).grow(1, "b", RIGHT).branch(1, RIGHT);
    let verdict = blame_all_ways(&cast, &a, &b);
    assert_eq!((verdict.contradiction, culprits(&verdict), verdict.weight, verdict.total), (Contradiction::FinalizedTwice, vec![1, 2], 2, 4));
    assert_eq!((verdict.epoch, verdict.view, verdict.later, verdict.height), (Epoch(0), View(1), View(1), Some(Height(1))));
    // The finalizations alone say as much, but not where.
    let bare = |branch: &Branch| Branch { links: Vec::new(), ..branch.clone() };
    assert_eq!(blame_all_ways(&cast, &bare(&a), &bare(&b)), Verdict { height: None, ..verdict });
}

#[test]
fn finalized_and_nullified() {
    let cast = four();
    let common = Path::new(&cast).grow(1, "common", LEFT);
    let a = common.clone().grow(2, "a", LEFT).branch(2, LEFT);
    let b = common.grow(5, "b", RIGHT).grow(6, "b", RIGHT).grow(9, "b", RIGHT);
    let verdict = blame_all_ways(&cast, &a, &b.branch(2, RIGHT));
    assert_eq!((verdict.contradiction, culprits(&verdict)), (Contradiction::FinalizedAndNullified, vec![1, 2]));
    assert_eq!((verdict.view, verdict.later, verdict.height), (View(2), View(9), Some(Height(2))));
    // Of the earlier chain the finalization is enough, of the later one the headers and one justification.
    let mut bare = b.branch(2, RIGHT);
    bare.links[1].justification = None;
    bare.links[2].justification = None;
    assert_eq!(blame(cast.chain, &cast.members, &Branch { links: Vec::new(), ..a.clone() }, &bare), Ok(Verdict { height: None, ..verdict }));
    bare.links[0].justification = None;
    let missing = BlameError::Missing { side: Side::B, hash: b.blocks[1].header.hash(), height: Some(Height(2)), view: View(5), down_to: View(2) };
    assert_eq!(blame(cast.chain, &cast.members, &a, &bare), Err(missing));
}

#[test]
fn finalized_and_another_notarized() {
    let cast = four();
    let common = Path::new(&cast).grow(1, "common", LEFT);
    let a = common.clone().grow(3, "a", LEFT).branch(2, LEFT);
    let b = common.grow(2, "b", RIGHT).grow(3, "b", RIGHT).grow(4, "b", RIGHT).branch(2, RIGHT);
    let verdict = blame_all_ways(&cast, &a, &b);
    assert_eq!((verdict.contradiction, culprits(&verdict)), (Contradiction::FinalizedAndNotarized, vec![1, 2]));
    // a is at height 2 in view 3; b's block of view 3 is at height 3.
    assert_eq!((verdict.view, verdict.later, verdict.height), (View(3), View(4), Some(Height(2))));
}

/// The base of the block above is a finalization: E2, although the chain's last finalization is of a later view.
#[test]
fn finalized_and_built_on_another_final_one() {
    let cast = four();
    let a = Path::new(&cast).grow(2, "a", LEFT).branch(1, LEFT);
    let b = Path::new(&cast).grow(2, "b", RIGHT).grow_on_final(4, "b", RIGHT).branch(1, RIGHT);
    let verdict = blame_all_ways(&cast, &a, &b);
    assert_eq!((verdict.contradiction, culprits(&verdict), verdict.view), (Contradiction::FinalizedTwice, vec![1, 2], View(2)));
}

/// Both chains go on for many blocks after the fork; proofs were stored several blocks above it.
#[test]
fn deep_forks_in_databases() {
    let cast = four();
    let mut common = Path::new(&cast);
    for view in 1..=7 {
        common = common.grow(view, "common", LEFT);
    }
    let (mut left, mut right) = (common.clone(), common);
    for (index, view) in (8..20).enumerate() {
        left = left.grow(view + u64::from(index > 5), "left", LEFT);
    }
    for view in [9, 10, 13, 14, 15, 22] {
        right = right.grow(view, "right", RIGHT);
    }
    for (run, other_run) in [(64, 64), (5, 4), (1, 3), (3, 1)] {
        let (a, b) = (left.stored(run, LEFT), right.stored(other_run, RIGHT));
        let members = |epoch: Epoch| (epoch == Epoch(0)).then(|| cast.members.clone());
        let (proof, verdict) = blame_chains(cast.chain, members, |height| get(&a, height), |height| get(&b, height)).expect("a fork");
        assert_eq!((verdict.height, verdict.view, verdict.later), (Some(Height(8)), View(20), View(22)));
        assert_eq!((verdict.contradiction, culprits(&verdict)), (Contradiction::FinalizedAndNullified, vec![1, 2]));
        assert_eq!(proof.check(), Ok(verdict.clone()));
        let swapped = blame_chains(cast.chain, members, |height| get(&b, height), |height| get(&a, height)).expect("a fork");
        assert_eq!(swapped.1, verdict);

        let none = blame_chains(cast.chain, |_| None, |height| get(&a, height), |height| get(&b, height));
        assert_eq!(none, Err(ChainsError::Members(Epoch(0))));
        let same = blame_chains(cast.chain, members, |height| get(&a, height), |height| get(&a, height));
        assert_eq!(same, Err(ChainsError::Same(Height(19))));
        let prefix = blame_chains(cast.chain, members, |height| get(&a, height), |height| get(&a, height).filter(|_| height.0 < 12));
        assert_eq!(prefix, Err(ChainsError::Same(Height(11))));
        let unproved = |height| get(&b, height).map(|stored| Stored { finality: None, ..stored });
        let unproved = blame_chains(cast.chain, members, |height| get(&a, height), unproved);
        assert_eq!(unproved, Err(ChainsError::Unproved { side: Side::B, height: Height(8) }));
    }
}

/// The epoch's last block forks, and is final on both sides through closing blocks only. What is left of them decides whom one can blame.
#[test]
fn through_closing_blocks() {
    let cast = four();
    let common = Path::new(&cast).grow(1, "common", LEFT);
    // Views of the last block, then of closing blocks, and in which way the culprits are found.
    let cases = [
        (vec![2, 3], vec![2, 4], Contradiction::FinalizedAndNullified),
        (vec![2, 3, 4], vec![3, 4, 5], Contradiction::FinalizedAndNotarized),
        (vec![2, 5], vec![3, 4, 5], Contradiction::FinalizedTwice),
        (vec![3, 4, 6], vec![7, 8, 9, 10], Contradiction::FinalizedAndNullified),
    ];
    for (left, right, contradiction) in cases {
        let chain = |views: &[u64], name: &str, signers| {
            let last = common.clone().grow_last(views[0], name, signers);
            views[1..].iter().fold(last, |path, &view| path.grow(view, name, signers))
        };
        let (a, b) = (chain(&left, "left", LEFT), chain(&right, "right", RIGHT));
        let stored = [a.stored(64, LEFT), b.stored(64, RIGHT)];
        assert_eq!(stored[1][1].closing.len(), right.len() - 1);
        let branch = |of: usize| Branch::from_stored(stored[of][1..].iter().cloned(), Height(2)).expect("a proof");
        assert_eq!((branch(0), branch(1)), (a.branch(2, LEFT), b.branch(2, RIGHT)));
        let verdict = blame_all_ways(&cast, &branch(0), &branch(1));
        assert_eq!((verdict.contradiction, culprits(&verdict), verdict.height), (contradiction, vec![1, 2], Some(Height(2))));

        // A node that got the closing blocks' headers only.
        let headers_only = stored[1].iter().cloned().map(|stored| Stored { closing: Vec::new(), ..stored });
        let headers_only = Branch::from_stored(headers_only.skip(1), Height(2)).expect("a proof");
        assert_eq!(headers_only.links.len(), right.len());
        let blamed = blame(cast.chain, &cast.members, &branch(0), &headers_only);
        let needs_closing = left[left.len() - 1] >= right[0] && contradiction != Contradiction::FinalizedTwice;
        match blamed {
            Err(BlameError::Missing { side: Side::B, height: Some(height), .. }) => assert!(needs_closing && height > Height(2)),
            found => assert_eq!((found, needs_closing), (Ok(verdict), false)),
        }
    }
    // The same last block, closed by two conflicting closing blocks: the chains are one, the finalizations are not.
    let last = common.grow_last(2, "last", LEFT);
    let (a, b) = (last.clone().grow(3, "", LEFT), last.grow(4, "", RIGHT));
    let verdict = blame_all_ways(&cast, &a.branch(2, LEFT), &b.branch(2, RIGHT));
    assert_eq!((verdict.contradiction, verdict.height), (Contradiction::FinalizedAndNullified, Some(Height(3))));
    let (a, b) = (a.stored(64, LEFT), b.stored(64, RIGHT));
    let same = blame_chains(cast.chain, |_| Some(cast.members.clone()), |height| get(&a, height), |height| get(&b, height));
    assert_eq!(same, Err(ChainsError::Same(Height(2))));
}

/// A node stopped between two runs: the proof of the first names headers of blocks that it has not stored.
#[test]
fn a_database_that_ends_early() {
    let cast = four();
    let a = Path::new(&cast).grow(1, "a", LEFT);
    let b = Path::new(&cast).grow(2, "b", RIGHT).grow(3, "b", RIGHT).grow(4, "b", RIGHT).grow(5, "b", RIGHT);
    let stored = b.stored(2, RIGHT);
    let cut = Branch::from_stored(stored[..2].iter().cloned(), Height(1)).expect("a proof");
    assert_eq!(cut.links.iter().map(|link| link.justification.is_some()).collect::<Vec<_>>(), [true, true, false, false]);
    let verdict = blame_all_ways(&cast, &a.branch(1, LEFT), &cut);
    assert_eq!(verdict, blame_all_ways(&cast, &a.branch(1, LEFT), &b.branch(1, RIGHT)));
    // What it stored afterwards is not what the proof names: the proof decides.
    let mut other = stored.clone();
    other[2] = Path::new(&cast).grow(2, "b", RIGHT).grow(3, "b", RIGHT).grow(4, "c", RIGHT).stored(64, RIGHT)[2].clone();
    assert_eq!(Branch::from_stored(other, Height(1)), Some(Branch { links: [&cut.links[..3], &b.branch(4, RIGHT).links].concat(), ..cut }));
    assert_eq!(Branch::from_stored(stored[..1].iter().cloned(), Height(1)), None, "no proof");
    // A proof below the height asked for is passed over: here it is of a prefix.
    let prefix = Path::new(&cast).grow(2, "b", RIGHT).stored(1, RIGHT).into_iter().chain(stored[1..].iter().cloned());
    assert_eq!(Branch::from_stored(prefix.clone(), Height(2)), Some(b.branch(1, RIGHT)));
    assert_eq!(Branch::from_stored(prefix, Height(1)).map(|branch| branch.links.len()), Some(1));
    assert_eq!(Branch::from_stored(Vec::new(), Height(1)), None);
}

#[test]
fn skewed_weights() {
    // The quorums share member 0 alone, who has 34 of 100; or the smallest overlap that there is.
    for (weights, left, right, culprit, weight) in [
        (&[34, 33, 33][..], &[0, 1][..], &[0, 2][..], 0, 34),
        (&[1, 1, 1], &[0, 1, 2], &[0, 1, 2], 0, 3),
        (&[2, 1, 1, 1], &[0, 1, 2], &[0, 2, 3], 0, 3),
        (&[u64::MAX / 3 + 2, u64::MAX / 3 - 1, u64::MAX / 3 - 1], &[0, 1], &[0, 2], 0, u64::MAX / 3 + 2),
    ] {
        let cast = Cast::new(weights);
        let a = Path::new(&cast).grow(1, "a", left).branch(1, left);
        let b = Path::new(&cast).grow(2, "b", right).branch(1, right);
        let verdict = blame_all_ways(&cast, &a, &b);
        assert_eq!((culprits(&verdict)[0], verdict.weight), (culprit, weight));
    }
    // Exactly a third equivocating makes no two quorums.
    let cast = Cast::new(&[1, 1, 1]);
    let a = Path::new(&cast).grow(1, "a", &[0, 1]).branch(1, &[0, 1]);
    let b = Path::new(&cast).grow(1, "b", &[0, 2]).branch(1, &[0, 2]);
    let refused = blame(cast.chain, &cast.members, &a, &b);
    assert!(matches!(
        refused,
        Err(BlameError::Branch { side: Side::A, cause: BranchError::Finality(FinalityError::Certificate(CertificateError::NoQuorum { .. })) })
    ));
}

#[test]
fn no_conflict() {
    let cast = four();
    let one = Path::new(&cast).grow(1, "one", LEFT).grow(3, "two", LEFT);
    let two = one.clone().grow(4, "three", RIGHT).grow(6, "four", RIGHT);
    let refused = |a: &Branch, b: &Branch, later| {
        let error = Err(BlameError::NoConflict { earlier: View(3), later: View(later) });
        assert_eq!(blame(cast.chain, &cast.members, a, b), error);
        assert_eq!(blame(cast.chain, &cast.members, b, a), error);
    };
    refused(&one.branch(1, LEFT), &two.branch(1, RIGHT), 6);
    refused(&one.branch(2, LEFT), &two.branch(3, RIGHT), 6);
    refused(&one.branch(1, LEFT), &one.branch(2, RIGHT), 3);
    // Down to its parent's view, but no further: nothing is known.
    let missing = BlameError::Missing { side: Side::B, hash: two.blocks[2].header.hash(), height: Some(Height(3)), view: View(4), down_to: View(3) };
    assert_eq!(blame(cast.chain, &cast.members, &one.branch(1, LEFT), &two.branch(4, RIGHT)), Err(missing));
    let bare = Branch { links: Vec::new(), ..two.branch(1, RIGHT) };
    let missing = BlameError::Missing { side: Side::A, hash: two.tip.hash(), height: None, view: View(6), down_to: View(3) };
    assert_eq!(blame(cast.chain, &cast.members, &bare, &one.branch(1, LEFT)), Err(missing));
}

#[test]
fn what_does_not_verify_is_named() {
    let cast = four();
    let a = Path::new(&cast).grow(1, "a", LEFT).branch(1, LEFT);
    let path = Path::new(&cast).grow(2, "b", RIGHT).grow(3, "b", RIGHT).grow(5, "b", RIGHT);
    let good = path.branch(1, RIGHT);
    assert!(blame(cast.chain, &cast.members, &a, &good).is_ok());
    let refused = |change: &dyn Fn(&mut Branch)| {
        let mut branch = good.clone();
        change(&mut branch);
        let (one, two) = (blame(cast.chain, &cast.members, &a, &branch), blame(cast.chain, &cast.members, &branch, &a));
        match (one, two) {
            (Err(BlameError::Branch { side: Side::B, cause }), Err(BlameError::Branch { side: Side::A, cause: same })) if cause == same => cause,
            found => panic!("{found:?}"),
        }
    };
    let link = |height, cause| BranchError::Link { height: Height(height), cause };
    let signature = || BlockError::Justification(JustificationError::Certificate(CertificateError::Signature));

    // One bad signature among many, in a base and in a skip; the header is signed over, so it is made to fit and loses its own signature.
    let forge = |branch: &mut Branch, index: usize, change: &dyn Fn(&mut Justification)| {
        branch.links.truncate(index + 1);
        let Link { header, justification } = &mut branch.links[index];
        let justification = justification.as_mut().expect("whole");
        change(justification);
        header.justification = justification.digest();
        branch.certificate = cast.certificate_of(header.view.0, Kind::Finalize(header.hash()), RIGHT);
    };
    let bad_base = |justification: &mut Justification| match &mut justification.base {
        Base::Certified(base) => base.signatures[1].0[3] ^= 1,
        Base::Start => panic!("a base"),
    };
    assert_eq!(refused(&|branch| forge(branch, 2, &bad_base)), link(3, signature()));
    assert_eq!(refused(&|branch| forge(branch, 2, &|justification| justification.skips[0].signatures[2].0[40] ^= 1)), link(3, signature()));
    let few = |justification: &mut Justification| justification.skips[0] = cast.certificate_of(4, Kind::Nullify, &[1, 2]);
    let no_quorum = CertificateError::NoQuorum { weight: 2, total: 4 };
    assert_eq!(refused(&|branch| forge(branch, 2, &few)), link(3, BlockError::Justification(JustificationError::Certificate(no_quorum.clone()))));
    let shifted = |justification: &mut Justification| justification.skips[0] = cast.certificate_of(3, Kind::Nullify, RIGHT);
    assert_eq!(refused(&|branch| forge(branch, 2, &shifted)), link(3, BlockError::Justification(JustificationError::Skip { index: 0, view: View(4) })));
    assert_eq!(refused(&|branch| forge(branch, 2, &|justification| justification.skips.clear())), link(3, BlockError::Mismatch));

    // Justifications that are not the headers'.
    let swap = |branch: &mut Branch| branch.links[1].justification = branch.links[2].justification.clone();
    assert_eq!(refused(&swap), link(2, BlockError::Mismatch));
    let resigned = |branch: &mut Branch| {
        branch.links[1].justification = Some(Justification::after(cast.certificate_of(2, Kind::Notarize(branch.links[0].header.hash()), LEFT)));
    };
    assert_eq!(refused(&resigned), link(2, BlockError::Mismatch));

    // Links.
    let parent = |height, parent| link(height, BlockError::Parent { height: Height(height), parent: Height(parent) });
    assert_eq!(refused(&|branch| drop(branch.links.remove(1))), parent(3, 1));
    assert_eq!(refused(&|branch| branch.links.swap(0, 1)), parent(1, 2));
    assert_eq!(refused(&|branch| branch.links.reverse()), parent(2, 3));
    assert_eq!(refused(&|branch| branch.links.insert(1, branch.links[1].clone())), parent(2, 2));
    assert_eq!(refused(&|branch| branch.links[0].header.view = View(0)), parent(1, 0));
    assert_eq!(refused(&|branch| branch.links[1].header.version = 2), link(2, BlockError::Version(2)));
    assert_eq!(refused(&|branch| branch.links[1].header.chain = Hash::ZERO), link(2, BlockError::Foreign));
    assert_eq!(refused(&|branch| branch.links[1].header.epoch = Epoch(1)), link(2, BlockError::Foreign));
    assert_eq!(refused(&|branch| branch.links[1].header.members = Hash::ZERO), link(2, BlockError::Foreign));
    assert_eq!(refused(&|branch| branch.links = vec![branch.links[0].clone(); LINKS_MAX + 1]), BranchError::Length(LINKS_MAX + 1));

    // The finalization.
    assert_eq!(refused(&|branch| drop(branch.links.pop())), FinalityError::Other(Height(2)).into());
    assert_eq!(refused(&|branch| branch.certificate = cast.certificate_of(5, Kind::Notarize(path.tip.hash()), RIGHT)), BranchError::NotFinal(View(5)));
    assert_eq!(refused(&|branch| branch.certificate = cast.certificate_of(0, Kind::Finalize(path.tip.hash()), RIGHT)), BranchError::NotFinal(View(0)));
    assert_eq!(refused(&|branch| branch.certificate = cast.certificate_of(6, Kind::Finalize(path.tip.hash()), RIGHT)), FinalityError::Other(Height(3)).into());
    assert_eq!(refused(&|branch| branch.certificate.signatures[0].0[9] ^= 1), FinalityError::Certificate(CertificateError::Signature).into());

    // Another chain, other members, another epoch.
    let foreign = BlameError::Branch { side: Side::A, cause: link(1, BlockError::Foreign) };
    assert_eq!(blame(Hash::ZERO, &cast.members, &a, &good), Err(foreign.clone()));
    let others = Members::new(cast.members.list().iter().map(|member| Member { weight: 2, ..*member }).collect()).expect("valid");
    assert_eq!(blame(cast.chain, &others, &a, &good), Err(foreign));
    let next = Cast { epoch: Epoch(1), ..four() };
    let vote = next.certificate_of(2, Kind::Finalize(Hash([3; 32])), LEFT);
    let of_next = Branch { links: Vec::new(), certificate: vote };
    assert_eq!(blame(cast.chain, &cast.members, &a, &of_next), Err(BlameError::Epochs { a: Epoch(0), b: Epoch(1) }));
}

fn example(cast: &Cast) -> Proof {
    let a = Path::new(cast).grow(2, "a", LEFT).branch(1, LEFT);
    let b = Path::new(cast).grow(1, "b", RIGHT).grow(3, "b", RIGHT).grow(4, "b", RIGHT).branch(1, RIGHT);
    Proof::new(cast.chain, cast.members.clone(), a, b).expect("a conflict").0
}

/// Length and hash of the example, and the hash of one branch of it.
const GOLDEN_BYTES: usize = 2138;
const GOLDEN: &str = "f6f6721cf1bf9e5e64f18045cfa046a8c1dc247a9f69f61574a1d563de15cb52";
const GOLDEN_BRANCH: &str = "c13156fda4e4aad674d174e23f0c78d55ee77ac74ef28e2e510c0f2423b66404";

#[test]
fn golden() {
    let cast = four();
    let bytes = example(&cast).encode();
    assert_eq!(&bytes[..9], b"forensic\x01");
    assert_eq!((bytes.len(), Hash::raw(&[&bytes]).to_string()), (GOLDEN_BYTES, GOLDEN.to_owned()));
    let branch = Path::new(&cast).grow(2, "a", LEFT).branch(1, LEFT);
    assert_eq!(Hash::raw(&[&encode(&branch)]).to_string(), GOLDEN_BRANCH);

    let mut other = bytes.clone();
    other[8] = 2;
    assert_eq!(Proof::decode(&other), Err(ProofError::Version(2)));
    other[0] = 0;
    assert_eq!(Proof::decode(&other), Err(ProofError::Magic));
    assert_eq!(Proof::decode(&bytes[..8]), Err(ProofError::Magic));
    let mut long = bytes.clone();
    long.resize(PROOF_BYTES_MAX + 1, 0);
    assert!(matches!(Proof::decode(&long), Err(ProofError::Decode(DecodeError::TooLong { .. }))));
    long.truncate(bytes.len() + 1);
    assert!(matches!(Proof::decode(&long), Err(ProofError::Decode(DecodeError::Malformed { .. }))));
}

/// What `Proof::new` leaves in is small, whatever the branches hold.
#[test]
fn a_proof_keeps_one_justification() {
    let proof = example(&four());
    let kept = |branch: &Branch| branch.links.iter().map(|link| link.justification.is_some()).collect::<Vec<_>>();
    assert_eq!((kept(&proof.a), kept(&proof.b)), (vec![false], vec![false, true, false]));
}

/// A member and a subset of the others that make a quorum, chosen by `bits`.
fn quorum(members: &Members, bits: u64) -> Vec<u16> {
    let count = u16::try_from(members.count()).expect("few");
    let start = u16::try_from(bits % u64::from(count)).expect("few");
    let (mut signers, mut weight) = (BTreeSet::new(), 0);
    // From some member on, whoever a bit names; then whoever is missing.
    let around = || (0..count).map(|index| (start + index) % count);
    for index in around().filter(|index| bits >> (8 + index) & 1 == 1).chain(around()) {
        if !members.is_quorum(weight) && signers.insert(index) {
            weight += members.weight(index);
        }
    }
    signers.into_iter().collect()
}

/// A small adversary: weights, how many views are common, which views each side has blocks in, whose signatures.
type Fork = (Vec<u64>, u64, BTreeSet<u64>, BTreeSet<u64>, Vec<u64>);

fn fork() -> impl Strategy<Value = Fork> {
    let views = || proptest::collection::btree_set(1..9_u64, 1..5);
    (proptest::collection::vec(prop_oneof![1..4_u64, 1..1000_u64], 1..8), 0..4_u64, views(), views(), proptest::collection::vec(any::<u64>(), 8..16))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever the fork, exactly those who signed both sides of the view are named, and they have more than a third of the weight.
    #[test]
    fn every_fork_has_its_culprits((weights, common, left, right, bits) in fork(), run in 1..5_usize) {
        let cast = Cast::new(&weights);
        let mut calls = 0_usize;
        let mut any_quorum = || {
            calls += 1;
            quorum(&cast.members, bits[calls % bits.len()].rotate_left(u32::try_from(calls % 60).expect("small")))
        };
        let mut path = Path::new(&cast);
        for view in 1..=common {
            path.grow_by(view, "common", view % 2 == 0, &mut any_quorum);
        }
        let mut side = |name: &str, views: &BTreeSet<u64>| {
            let mut path = path.clone();
            for view in views {
                path.grow_by(common + view, name, view % 3 == 0, &mut any_quorum);
            }
            let signers = any_quorum();
            path.said.insert(path.tip.view.0, path.finalization(&signers));
            (path, signers)
        };
        let ((a, signers_a), (b, signers_b)) = (side("a", &left), side("b", &right));
        let view = a.tip.view.min(b.tip.view);
        let both: Vec<u16> = a.said[&view.0].signers().filter(|signer| b.said[&view.0].signers().any(|other| other == *signer)).collect();

        let verdict = blame_all_ways(&cast, &a.branch(common + 1, &signers_a), &b.branch(common + 1, &signers_b));
        prop_assert_eq!(culprits(&verdict), both);
        prop_assert_eq!((verdict.view, verdict.later, verdict.height), (view, a.tip.view.max(b.tip.view), Some(Height(common + 1))));
        prop_assert!(verdict.evidence.iter().all(|evidence| evidence.votes().iter().all(|vote| vote.vote.view == view)));
        // From the genesis block on, and out of databases: the same.
        prop_assert_eq!(&blame_all_ways(&cast, &a.branch(1, &signers_a), &b.branch(1, &signers_b)), &verdict);
        let (stored_a, stored_b) = (a.stored(run, &signers_a), b.stored(run, &signers_b));
        let members = |_| Some(cast.members.clone());
        let (proof, found) = blame_chains(cast.chain, members, |height| get(&stored_a, height), |height| get(&stored_b, height)).expect("a fork");
        prop_assert_eq!(&found, &verdict);
        prop_assert_eq!(proof.check(), Ok(verdict));
    }

    /// One bit of a proof: it is refused, or it says the same.
    #[test]
    fn no_bit_changes_a_verdict(at in any::<usize>(), bit in 0..8_u8, cut in any::<usize>()) {
        let proof = example(&four());
        let (mut bytes, verdict) = (proof.encode(), proof.check());
        let at = at % bytes.len();
        prop_assert!(Proof::decode(&bytes[..cut % bytes.len()]).is_err());
        bytes[at] ^= 1_u8 << bit;
        if let Ok(flipped) = Proof::decode(&bytes) {
            prop_assert_eq!(flipped.encode(), bytes);
            let flipped = flipped.check();
            prop_assert!(flipped.is_err() || flipped == verdict);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let with_magic = [&b"forensic\x01"[..], &bytes].concat();
        if let Ok(proof) = Proof::decode(&with_magic) {
            prop_assert!(proof.check().is_err());
        }
        if let Ok(branch) = Branch::decode(&bytes) {
            prop_assert_eq!(encode(&branch), bytes);
        }
    }
}
