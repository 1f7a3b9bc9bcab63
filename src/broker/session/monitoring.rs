//! A session that monitors, and its end.

use std::sync::{Arc, atomic::Ordering};

use super::Session;
use crate::broker::{
    mailbox::{Closed, Ending},
    monitor::Feed,
};

impl Session {
    /// Whether it monitors.
    #[must_use]
    pub fn is_monitor(&self) -> bool {
        self.monitors.load(Ordering::Relaxed)
    }

    /// Number of frames that wait for a carrier: messages, and events as one.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.mailbox.lock().backlog()
    }

    /// The feed of a session that monitors from now on: `made`, unless there is one; `None` if the
    /// session has ended.
    pub(in crate::broker) fn monitor(&self, made: Arc<Feed>) -> Option<Arc<Feed>> {
        let feed = self.mailbox.lock().monitor(made);
        self.monitors.store(feed.is_some(), Ordering::Relaxed);
        feed
    }

    /// Its feed, if it monitors and lives.
    pub(in crate::broker) fn feed(&self) -> Option<Arc<Feed>> {
        if self.is_monitor() { self.mailbox.lock().feed().cloned() } else { None }
    }

    /// Lets its events travel; see [`Mailbox::events_due`](crate::broker::mailbox::Mailbox).
    pub(in crate::broker) fn events_due(&self, polls_too: bool) {
        let waker = self.mailbox.lock().events_due(polls_too);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Empties the mailbox for good and tells the carrier.
    pub(in crate::broker) fn close_mailbox(&self, ending: impl Into<Ending>) -> Closed {
        let mut mailbox = self.mailbox.lock();
        let (waker, closed, feed) = mailbox.close(ending);
        let before = self.deadline.swap(0, Ordering::SeqCst);
        self.count_held(before, 0);
        drop(mailbox);
        if let Some(feed) = feed {
            feed.forget();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        closed
    }
}
