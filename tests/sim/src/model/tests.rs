use std::collections::BTreeSet;

use proptest::prelude::*;

use super::properties::{ACCOUNTABILITY, AGREEMENT, NO_FRAMING, NO_NULLIFIED_FINALIZATION, ONE_NOTARIZATION};
use super::*;

const ONE_OF_FOUR: Scope = Scope { faulty: &[1], honest: &[1, 1, 1], variants: &[2, 1], honest_led: &[], restarts: false, mutation: None };
const TWO_OF_FOUR: Scope = Scope { faulty: &[1, 1], honest: &[1, 1], ..ONE_OF_FOUR };
const THREE_OF_FOUR: Scope = Scope { faulty: &[1, 1, 1], honest: &[1], ..ONE_OF_FOUR };
/// Two of the heavy members are a majority, but no quorum.
const UNEQUAL: Scope = Scope { faulty: &[2], honest: &[1, 2, 2], ..ONE_OF_FOUR };

/// Checks MODEL-1, MODEL-2 and MODEL-3 in these scopes.
fn holds(scopes: &[(Scope, usize)]) {
    for &(scope, states) in scopes {
        let checked = check(scope, 1);
        assert_eq!((checked.states, checked.wrong), (states, BTreeSet::new()), "{scope:?}");
    }
}

#[test]
fn two_views() {
    holds(&[
        (ONE_OF_FOUR, 14_189),
        (Scope { restarts: true, ..ONE_OF_FOUR }, 29_218),
        (UNEQUAL, 40_571),
        (Scope { variants: &[2, 2], honest_led: &[2], ..ONE_OF_FOUR }, 22_776),
    ]);
}

#[test]
fn three_views() {
    holds(&[(Scope { variants: &[1, 1, 1], ..ONE_OF_FOUR }, 1_072_672)]);
}

#[test]
fn three_views_with_restarts() {
    holds(&[(Scope { variants: &[1, 1, 1], restarts: true, ..ONE_OF_FOUR }, 2_147_533)]);
}

#[test]
fn a_third_and_more_faulty() {
    holds(&[(Scope { variants: &[2, 1, 1], ..TWO_OF_FOUR }, 287_002), (Scope { variants: &[2, 1, 1], ..THREE_OF_FOUR }, 3_640)]);
}

/// Checks MODEL-4: the properties that a broken rule costs, with less than a third faulty and with a half. Of two faulty, MODEL-1 is not asked.
#[test]
fn mutants() {
    use Mutation::{Amnesia, FinalizeAfterNullify, FinalizeOther, Majority, NotarizeAfterNullify, ParentUnchecked, SkipUnchecked};
    let restarting = |scope| Scope { restarts: true, ..scope };
    let cases: [(Mutation, Scope, &[&str]); 13] = [
        (FinalizeAfterNullify, ONE_OF_FOUR, &[AGREEMENT, NO_NULLIFIED_FINALIZATION, NO_FRAMING, ACCOUNTABILITY]),
        (FinalizeAfterNullify, TWO_OF_FOUR, &[NO_FRAMING, ACCOUNTABILITY]),
        // The rule that people forget: the chain never forks for it, but the proof of who forked it convicts the honest.
        (FinalizeOther, ONE_OF_FOUR, &[NO_FRAMING]),
        (FinalizeOther, TWO_OF_FOUR, &[NO_FRAMING, ACCOUNTABILITY]),
        // A justification that is not checked is not there as evidence either.
        (SkipUnchecked, ONE_OF_FOUR, &[AGREEMENT, ACCOUNTABILITY]),
        (SkipUnchecked, TWO_OF_FOUR, &[ACCOUNTABILITY]),
        (ParentUnchecked, ONE_OF_FOUR, &[AGREEMENT, ACCOUNTABILITY]),
        (ParentUnchecked, TWO_OF_FOUR, &[ACCOUNTABILITY]),
        (Amnesia, restarting(ONE_OF_FOUR), &[AGREEMENT, ONE_NOTARIZATION, NO_NULLIFIED_FINALIZATION, NO_FRAMING, ACCOUNTABILITY]),
        (Amnesia, restarting(TWO_OF_FOUR), &[NO_FRAMING, ACCOUNTABILITY]),
        // Nobody honest contradicts itself; the overlap is too light.
        (Majority, UNEQUAL, &[AGREEMENT, ONE_NOTARIZATION, NO_NULLIFIED_FINALIZATION, ACCOUNTABILITY]),
        // Harmless: that the signer refuses it keeps its slot simple, and nothing else.
        (NotarizeAfterNullify, ONE_OF_FOUR, &[]),
        (NotarizeAfterNullify, TWO_OF_FOUR, &[]),
    ];
    for (mutation, scope, killers) in cases {
        let checked = check(Scope { mutation: Some(mutation), ..scope }, 1);
        assert_eq!(checked.wrong, killers.iter().copied().collect(), "{mutation:?} {scope:?}");
    }
}

/// Three of four equal members are a quorum; blocks are named by letter and view.
fn guard() -> Guard<&'static str> {
    let mut guard = Guard::new(7, vec![1; 4]);
    guard.propose("a1", 1, "start", 0);
    guard.propose("b1", 1, "start", 0);
    guard.propose("a2", 2, "a1", 1);
    guard.propose("a3", 3, "a1", 1);
    guard
}

fn all_release(guard: &mut Guard<&'static str>, members: std::ops::Range<u16>, view: u64, kind: Kind<&'static str>) {
    for member in members {
        assert_eq!(guard.release(member, 7, view, kind), Ok(()), "{member}");
    }
}

#[test]
fn guard_permits_the_protocol() {
    use Kind::{Finalize, Notarize, Nullify};
    let mut guard = guard();
    all_release(&mut guard, 0..4, 1, Notarize("a1"));
    all_release(&mut guard, 0..2, 2, Nullify);
    // Behind in view 1, and then on: only who has not voted in view 2 may still finalize in view 1.
    all_release(&mut guard, 2..4, 1, Finalize("a1"));
    all_release(&mut guard, 2..4, 2, Notarize("a2"));
    all_release(&mut guard, 2..4, 2, Nullify);
    all_release(&mut guard, 0..4, 3, Notarize("a3"));
    all_release(&mut guard, 0..4, 3, Finalize("a3"));
    // Said again.
    all_release(&mut guard, 0..4, 1, Notarize("a1"));
    guard.forget_below(3);
    all_release(&mut guard, 0..4, 4, Nullify);
    guard.propose("a5", 5, "a3", 3);
    all_release(&mut guard, 0..4, 5, Notarize("a5"));
}

#[test]
fn guard_refuses_by_each_rule() {
    use Kind::{Finalize, Notarize, Nullify};
    let mut guard = guard();
    let refuses = |guard: &mut Guard<_>, member, view, kind, why| assert_eq!(guard.release(member, 7, view, kind), Err(why), "{kind:?}");
    assert_eq!(guard.release(0, 6, 1, Nullify), Err(Forbidden::Epoch { found: 6, expected: 7 }));
    refuses(&mut guard, 4, 1, Nullify, Forbidden::Member(4));
    refuses(&mut guard, 0, 0, Nullify, Forbidden::Earlier { found: 0, least: 1 });
    refuses(&mut guard, 0, 1, Notarize("c1"), Forbidden::Unproposed);
    refuses(&mut guard, 0, 1, Notarize("a2"), Forbidden::Unproposed);
    refuses(&mut guard, 0, 2, Nullify, Forbidden::Unjustified);
    all_release(&mut guard, 0..2, 1, Notarize("a1"));
    refuses(&mut guard, 0, 1, Notarize("b1"), Forbidden::Conflict);
    refuses(&mut guard, 0, 1, Finalize("a1"), Forbidden::Unnotarized);
    refuses(&mut guard, 2, 2, Notarize("a2"), Forbidden::Base(1));
    // A faulty vote completes the quorum: a refused one did not count, and the same one twice counts once.
    guard.heard(3, 1, Notarize("a1"));
    guard.heard(3, 1, Notarize("b1"));
    all_release(&mut guard, 0..1, 1, Finalize("a1"));
    refuses(&mut guard, 0, 1, Nullify, Forbidden::Earlier { found: 1, least: 2 });
    all_release(&mut guard, 1..3, 1, Nullify);
    refuses(&mut guard, 1, 1, Finalize("a1"), Forbidden::Conflict);
    refuses(&mut guard, 2, 1, Notarize("a1"), Forbidden::Closed);
    refuses(&mut guard, 0, 3, Notarize("a3"), Forbidden::Skip(2));
    refuses(&mut guard, 0, 3, Nullify, Forbidden::Unjustified);
    all_release(&mut guard, 0..3, 2, Nullify);
    all_release(&mut guard, 0..3, 3, Notarize("a3"));
    refuses(&mut guard, 0, 2, Notarize("a2"), Forbidden::Earlier { found: 2, least: 3 });
    // E4: notarized one, another has the quorum.
    guard.propose("b3", 3, "a1", 1);
    let mut split = guard.clone();
    for member in 0..4 {
        split.heard(member, 3, Notarize("b3"));
    }
    refuses(&mut split, 0, 3, Finalize("b3"), Forbidden::Conflict);
    guard.forget_below(3);
    refuses(&mut guard, 3, 2, Nullify, Forbidden::Earlier { found: 2, least: 3 });
    guard.propose("old", 4, "a1", 1);
    refuses(&mut guard, 3, 4, Notarize("old"), Forbidden::Base(1));
}

proptest! {
    /// Checks MODEL-5 along random paths, restarts included: they change nothing that the guard would have to know.
    #[test]
    fn guard_permits_what_the_model_permits(steps in proptest::collection::vec(any::<prop::sample::Index>(), 1..20)) {
        // Weights that differ, so that members keep their places in the sorted state.
        let scope = Scope { faulty: &[3], honest: &[2, 3, 4], variants: &[2, 1, 1], restarts: true, ..Scope::default() };
        let model = Simplex::new(scope);
        let mut guard = Guard::new(0, model.weights.clone());
        for (id, block) in model.blocks.iter().enumerate().skip(1) {
            guard.propose(id, block.view, block.parent, block.parent_view);
        }
        for &(view, kind) in &model.votes {
            guard.heard(0, view, kind);
        }
        let mut state = model.init_states().remove(0);
        let members = [1_u16, 2, 3];
        for step in steps {
            let mut actions = Vec::new();
            model.actions(&state, &mut actions);
            for (index, member) in members.into_iter().enumerate() {
                for (bit, &(view, kind)) in model.votes.iter().enumerate().filter(|(bit, _)| !has(state.nodes[index].released, *bit)) {
                    let is_permitted = guard.clone().release(member, 0, view, kind).is_ok();
                    prop_assert_eq!(is_permitted, actions.contains(&Action::Vote(index, view, kind)), "{:?} {} {:?}", state, bit, kind);
                }
            }
            let Action::Vote(index, view, kind) = *step.get(&actions) else {
                state = model.next_state(&state, *step.get(&actions)).expect("a state follows");
                continue;
            };
            prop_assert_eq!(guard.release(members[index], 0, view, kind), Ok(()));
            state = model.next_state(&state, Action::Vote(index, view, kind)).expect("a state follows");
        }
    }
}
