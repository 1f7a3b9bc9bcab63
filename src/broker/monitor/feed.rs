//! The events of one session that monitors, on their way into its batches.
//!
//! They travel with whatever carries the session's messages, behind these, and never lie in its queue:
//! they count towards no bound and end no session. What a dying connection did not write comes back
//! here. Source: monitoring.md 3, 8.4, 8.6.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

use super::names::{FEED_A, places};
use crate::{
    bayeux::{ChannelName, Frame, Meter},
    broker::session::Session,
    events::{Entry, Events, Interest, ListenerId, Stats},
};

/// Events in one WebSocket message or one delivery of a poll (monitoring.md 8.6).
const FRAME_EVENTS_MAX: usize = 50;
/// Bytes of one, beside its last event.
const FRAME_BYTES_MAX: usize = 64 << 10;
/// Events in one response to a poll; the next poll brings the rest.
const RESPONSE_EVENTS_MAX: usize = 1_000;

/// See the module documentation.
#[derive(Debug)]
pub(in crate::broker) struct Feed {
    session: Weak<Session>,
    events: Arc<Events>,
    id: ListenerId,
    prefix: Arc<str>,
    payload: bool,
    meter: Arc<Meter>,
    /// The carrier may fetch events by itself, not only along with messages.
    due: AtomicBool,
    /// Frames that a connection did not write, oldest first.
    returned: Mutex<Vec<Frame>>,
}

impl Feed {
    pub(super) fn new(
        session: Weak<Session>,
        events: Arc<Events>,
        id: ListenerId,
        prefix: Arc<str>,
        payload: bool,
        meter: Arc<Meter>,
    ) -> Self {
        let (due, returned) = (AtomicBool::new(false), Mutex::default());
        Self { session, events, id, prefix, payload, meter, due, returned }
    }

    pub(in crate::broker) fn is_due(&self) -> bool {
        self.due.load(Ordering::Relaxed)
    }

    pub(in crate::broker) fn set_due(&self) {
        self.due.store(true, Ordering::Relaxed);
    }

    /// Takes what waits, as frames: a little at a time for a connection that flows, as much as a
    /// response may have for a poll.
    pub(in crate::broker) fn take(&self, flows: bool) -> Vec<Frame> {
        let count_max = if flows { FRAME_EVENTS_MAX } else { RESPONSE_EVENTS_MAX };
        self.due.store(false, Ordering::Relaxed);
        let mut frames = std::mem::take(&mut *self.returned.lock());
        // What came back counts: a monitor whose connections keep breaking must not gather ever more. The
        // ring keeps the rest, with its bounds.
        let count_max = count_max.saturating_sub(frames.len() * FRAME_EVENTS_MAX);
        let entries =
            if count_max == 0 { Vec::new() } else { self.events.take(self.id, count_max) };
        if entries.len() >= count_max {
            self.set_due();
        }
        self.encode(&entries, &mut frames);
        frames
    }

    /// Adds a subscription, or replaces the one of that name.
    pub(super) fn want(&self, interest: Interest, snapshot: impl FnOnce() -> Stats) {
        self.events.want(self.id, interest, snapshot);
    }

    /// Takes a subscription back; false if there was none.
    pub(super) fn unwant(&self, name: &ChannelName) -> bool {
        self.events.unwant(self.id, name)
    }

    /// Number of subscriptions.
    pub(super) fn interests(&self) -> usize {
        self.events.interests(self.id)
    }

    /// Its session has ended.
    pub(in crate::broker) fn forget(&self) {
        self.events.forget(self.id);
    }

    /// Takes back what was not written, and wakes the carrier that there is now: it may be the held connect
    /// of a session that acknowledges, whose batches give nothing else back.
    pub(in crate::broker) fn give_back(&self, frames: Vec<Frame>) {
        if frames.is_empty() {
            return;
        }
        let mut returned = self.returned.lock();
        let newer = std::mem::replace(&mut *returned, frames);
        returned.extend(newer);
        drop(returned);
        self.set_due();
        if let Some(session) = self.session.upgrade() {
            session.events_due(true);
        }
    }

    fn encode(&self, entries: &[Entry], frames: &mut Vec<Frame>) {
        let (mut objects, mut count) = (Vec::new(), 0);
        let mut data = Vec::new();
        for (event, places) in entries {
            data.clear();
            event.write(self.payload, &mut data);
            let kind = event.kind().as_str();
            for (channel, typed) in self.channels(*places) {
                if count >= FRAME_EVENTS_MAX || objects.len() >= FRAME_BYTES_MAX {
                    frames.push(Frame::events(&objects, &self.meter));
                    objects.clear();
                    count = 0;
                }
                if count > 0 {
                    objects.push(b',');
                }
                count += 1;
                write(&mut objects, channel, typed.then_some(kind), &data);
            }
        }
        if count > 0 {
            frames.push(Frame::events(&objects, &self.meter));
        }
    }

    /// The channels of an event, and whether its type belongs to each: of either feed the typed name if
    /// some subscription covers it, else the flat one.
    fn channels(&self, at: u8) -> impl Iterator<Item = (&str, bool)> {
        let feed = |typed, flat, name| match (at & typed != 0, at & flat != 0) {
            (true, _) => Some((name, true)),
            (false, true) => Some((name, false)),
            (false, false) => None,
        };
        let a = feed(places::A_TYPED, places::A_FLAT, FEED_A);
        let b = feed(places::B_TYPED, places::B_FLAT, &*self.prefix);
        let alias = (at & places::ALIAS != 0).then_some((ALIASES, true));
        [alias, a, b].into_iter().flatten()
    }
}

/// Appends the envelope: exactly `channel` and `data`, on an alias also `successful`, without which
/// cometd.js takes the event for a failure of its own (monitoring.md 1, 3).
fn write(out: &mut Vec<u8>, channel: &str, kind: Option<&str>, data: &[u8]) {
    out.extend_from_slice(b"{\"channel\":\"");
    out.extend_from_slice(channel.as_bytes());
    if let Some(kind) = kind {
        out.push(b'/');
        out.extend_from_slice(kind.as_bytes());
    }
    out.extend_from_slice(if channel == ALIASES { ALIAS_DATA } else { DATA });
    out.extend_from_slice(data);
    out.push(b'}');
}

const ALIASES: &str = "/meta";
const DATA: &[u8] = b"\",\"data\":";
const ALIAS_DATA: &[u8] = b"\",\"successful\":true,\"data\":";

#[cfg(test)]
mod tests;
