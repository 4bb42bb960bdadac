//! ENTER and the timers: when a view begins, and what happens if it does not end.

use primitives::{Time, View};

use super::interface::Output;
use super::{Engine, VIEWS_BEHIND_MAX, VIEWS_IN_FLIGHT};
use crate::certificate::Certificate;
use crate::justification::{Base, Justification};
use crate::message::Message;
use crate::mutants::{self, Mutant};
use crate::vote::Kind;

/// When something is due in the present view.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers {
    /// When the view was entered.
    entered: Time,
    /// T_lead: no proposal by then.
    lead: Option<Time>,
    /// T_adv: no certificate by then.
    pub(super) advance: Option<Time>,
    /// The last certificate is pushed to members that have not shown themselves in this view.
    push: Option<Time>,
    /// Own votes are sent again.
    resend: Option<Time>,
    /// How often they were.
    resends: u64,
    /// Until then an idle leader may hold its proposal.
    pub(super) hold_until: Time,
}

impl Engine {
    pub(super) fn target_view(&self) -> View {
        self.target.as_ref().map_or(View(0), Certificate::view)
    }

    /// The view of the last final block; 0 if it is of the epoch before, for views begin again with each epoch.
    pub(super) fn tip_view(&self) -> View {
        if self.tip.header.epoch == self.config.epoch { self.tip.header.view } else { View(0) }
    }

    /// Δ_k: k counts views since the last finalization, not since anything weaker, or it would shrink again in the middle of an outage.
    pub(super) fn delta(&self) -> u64 {
        if mutants::is(Mutant::TimersReset) {
            return self.config.times.delta(0);
        }
        let since = self.view.0.saturating_sub(self.target_view().0);
        self.config.times.delta(since.saturating_sub(VIEWS_IN_FLIGHT))
    }

    pub(super) fn is_leader(&self) -> bool {
        self.config.me == Some(self.config.leader(self.view))
    }

    pub(super) fn in_ms(&self, milliseconds: u64) -> Time {
        self.now.saturating_add(Time(milliseconds))
    }

    /// ENTER(w, J): the only way into a view. Everybody in a view holds its justification (SIMPLEX-6).
    ///
    /// If J's base notarizes a block in a view not left yet, this is also NOTARIZATION: sign Finalize for it.
    pub(super) fn enter(&mut self, justification: Justification, out: &mut Vec<Output>) {
        let view = justification.view();
        if view <= self.view {
            return;
        }
        let left = self.view;
        self.view = view;
        self.justification = justification;
        self.building = false;
        self.tallies.retain(|&known, _| known.0.saturating_add(VIEWS_BEHIND_MAX) >= view.0);
        if let Base::Certified(base) = &self.justification.base {
            let base = base.clone();
            match base.vote.kind {
                Kind::Notarize(hash) if base.view() >= left => self.request(base.view(), Kind::Finalize(hash), out),
                Kind::Finalize(_) => self.finalization(base, out),
                Kind::Notarize(_) | Kind::Nullify => {}
            }
        }
        self.set_timers();
        // Nullifications of this view may have come before it was entered.
        if let Some(nullification) = self.tallies.get_mut(&view).and_then(|tally| tally.nullification.take()) {
            self.nullification(nullification, out);
        }
    }

    pub(super) fn set_timers(&mut self) {
        self.timers = self.timers_since(self.now);
    }

    fn timers_since(&self, entered: Time) -> Timers {
        let (times, delta) = (self.config.times, self.delta());
        let after = |milliseconds: u64| entered.saturating_add(Time(milliseconds));
        Timers {
            entered,
            // The leader itself knows whether a proposal is coming.
            lead: (!self.is_leader()).then(|| after(times.idle_ms + 2 * delta)),
            advance: Some(after(times.idle_ms + 3 * delta + times.execution_ms)),
            push: self.config.me.is_some().then(|| after(times.delta_ms / 2)),
            resend: None,
            resends: 0,
            hold_until: after(times.idle_ms),
        }
    }

    /// A finalization that is heard of late: what is still waited for is due when it would be had it been known at ENTER, or the others would wait for us.
    pub(super) fn hasten(&mut self) {
        let due = self.timers_since(self.timers.entered);
        let sooner = |timer: Option<Time>, due: Option<Time>| timer.map(|timer| due.map_or(timer, |due| timer.min(due)));
        self.timers.lead = sooner(self.timers.lead, due.lead);
        self.timers.advance = sooner(self.timers.advance, due.advance);
    }

    /// T_lead, T_adv, a declined build or an invalid proposal: wait for no block in this view, and from now on say so again and again.
    pub(super) fn close(&mut self, out: &mut Vec<Output>) {
        self.timers.lead = None;
        self.timers.advance = None;
        if self.timers.resend.is_none() {
            self.timers.resend = Some(self.in_ms(self.delta()));
        }
        self.request(self.view, Kind::Nullify, out);
    }

    /// Every Δ while stuck: where we are, what brought us here, what we said here. At most one certificate and two votes, with growing pauses: bounded egress.
    pub(super) fn resend(&mut self, out: &mut Vec<Output>) {
        self.timers.resends += 1;
        let pause = self.config.times.delta(self.view.0.saturating_sub(self.target_view().0) + self.timers.resends);
        self.timers.resend = Some(self.in_ms(pause));
        out.push(Output::Broadcast(self.greeting(false)));
        if self.config.me.is_some() {
            out.extend(self.justification.last().map(|last| Output::Broadcast(Message::Certificate(last.clone()))));
            out.extend(self.own.iter().map(|vote| Output::Broadcast(Message::Vote(*vote))));
        }
    }

    pub(super) fn wake(&mut self, out: &mut Vec<Output>) {
        self.wake = None;
        let is_due = |timer: Option<Time>| timer.is_some_and(|time| time <= self.now);
        let (lead, advance, push, resend) = (is_due(self.timers.lead), is_due(self.timers.advance), is_due(self.timers.push), is_due(self.timers.resend));
        if lead {
            self.timers.lead = None;
        }
        // T_lead: no proposal; T_adv: no certificate.
        if advance || lead && self.tallies.get(&self.view).is_none_or(|tally| tally.proposal.is_none()) {
            self.close(out);
        }
        if push {
            self.timers.push = None;
            if self.seen.iter().any(|&seen| seen < self.view) {
                out.extend(self.justification.last().map(|last| Output::Broadcast(Message::Certificate(last.clone()))));
            }
        }
        if resend {
            self.resend(out);
        }
        self.catch_up_due(out);
    }

    /// Gives the next time something is due, if it is another than before.
    pub(super) fn schedule(&mut self, out: &mut Vec<Output>) {
        self.peers.expire(self.now, self.config.times.fetch_ms);
        let Timers { lead, advance, push, resend, entered: _, resends: _, hold_until: _ } = self.timers;
        let next = [lead, advance, push, resend, self.peers.deadline(self.config.times.fetch_ms)].into_iter().flatten().min();
        if next != self.wake {
            self.wake = next;
            out.extend(next.map(Output::WakeAt));
        }
        if self.wake.is_some_and(|wake| wake <= self.now) {
            // What is due already is given again each time, or a wake that came early would be the last.
            self.wake = None;
        }
    }
}
