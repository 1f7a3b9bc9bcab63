//! What a connection waits for besides its socket and its session: its next deadline, and the stop.
//!
//! Both are looked at before each event, and polled only when they may have come or nobody would be woken
//! for them: a poll of the stop takes a lock that all connections share, and one of the timer two
//! exchanges of its waker. That makes a connection the business of one task, which it is. Neither
//! minds the budget of its task (tokio's `coop`): a client that floods uses it up each time.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{task::unconstrained, time::Sleep};

use super::Wake;
use crate::server::drain::Drain;

/// See the module documentation. Small, because every connection has one.
#[derive(Default)]
pub(super) struct Alarms {
    timer_set: bool,
    drain_set: bool,
}

impl Alarms {
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        timer: Pin<&mut Sleep>,
        drain: Pin<&mut impl Future<Output = Duration>>,
        stop: &Drain,
    ) -> Poll<Wake> {
        if !self.timer_set || timer.is_elapsed() {
            if pin!(unconstrained(timer)).poll(cx).is_ready() {
                return Poll::Ready(Wake::Timer);
            }
            self.timer_set = true;
        }
        if !self.drain_set || stop.is_begun() {
            if let Poll::Ready(pause) = pin!(unconstrained(drain)).poll(cx) {
                return Poll::Ready(Wake::Drain(pause));
            }
            self.drain_set = true;
        }
        Poll::Pending
    }

    /// Moves the timer only if it would fire too late: one that fires early looks and sleeps on.
    pub(super) fn rearm(&mut self, timer: Pin<&mut Sleep>, next: Instant) {
        if timer.is_elapsed() || next < timer.deadline().into_std() {
            timer.reset(next.into());
            self.timer_set = false;
        }
    }
}
