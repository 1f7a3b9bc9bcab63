//! What operators see of one session.
//!
//! Source: operations.md 6.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{HELD, Session};
use crate::{
    bayeux::ChannelName,
    broker::{Broker, mailbox::Carrier},
};

/// Numbers of one session at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// Whether a connect is held, or a socket or stream is open.
    pub connected: bool,
    /// When its handshake was, in the broker's milliseconds.
    pub created: u64,
    /// Since then.
    pub age: Duration,
    /// Since its client last sent something other than a connect.
    pub idle: Duration,
    /// How long its client has to come back; `None`: it is there.
    pub expires: Option<Duration>,
    /// Channels and patterns that it subscribed to.
    pub subscriptions: usize,
    /// Messages that wait, parked ones included.
    pub queue_messages: usize,
    /// Bytes that wait, with those that are being written.
    pub queue_bytes: usize,
    /// Messages sent and not acknowledged, with the extension.
    pub unacknowledged: usize,
    /// Messages that its client published.
    pub received: u64,
    /// Messages that were written to it; with the ack extension, acknowledged ones.
    pub delivered: u64,
    /// Lossy messages that it did not get.
    pub dropped: u64,
}

impl Broker {
    /// Looks at a session.
    #[must_use]
    pub fn overview(&self, session: &Session, now: Instant) -> Overview {
        let now = self.clock.at(now);
        let since = |then: u64| Duration::from_millis(now.saturating_sub(then));
        let deadline = session.deadline.load(Ordering::SeqCst);
        let subscriptions = session.subscriptions();
        let mailbox = session.mailbox.lock();
        let open = matches!(mailbox.carrier(), Carrier::Socket | Carrier::Stream);
        let connected = open || deadline == HELD;
        Overview {
            connected,
            created: session.created,
            age: since(session.created),
            idle: Duration::from_millis(session.active().since(now)),
            expires: (!connected).then(|| Duration::from_millis(deadline.saturating_sub(now))),
            subscriptions,
            queue_messages: mailbox.waiting(),
            queue_bytes: mailbox.bytes(),
            unacknowledged: mailbox.unacknowledged(),
            received: session.received.load(Ordering::Relaxed),
            delivered: mailbox.delivered(),
            dropped: mailbox.dropped(),
        }
    }
}

impl Session {
    /// Channels and patterns that it subscribed to, in alphabetical order.
    #[must_use]
    pub fn subscribed(&self) -> Vec<Arc<str>> {
        let subscriptions = self.subscriptions.lock();
        let mut names: Vec<_> =
            subscriptions.iter().flatten().map(|known| known.name.to_shared()).collect();
        drop(subscriptions);
        names.sort_unstable();
        names
    }

    /// Whether it gets what is published to `name`; of a pattern, whether it has a subscription within.
    #[must_use]
    pub fn concerns(&self, name: &ChannelName) -> bool {
        let subscriptions = self.subscriptions.lock();
        subscriptions.iter().flatten().any(|known| {
            if name.is_pattern() {
                name.covers(known.name.as_str())
            } else {
                known.name.matches(name)
            }
        })
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.subscriptions.lock().is_none()
    }

    /// Counts a publish of its client.
    pub(in crate::broker) fn note_publish(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }
}
