//! The server's half of the time synchronisation extension: when a message came, and how long its
//! reply took. What is computed of it: `bayeux::ext`. Source: protocol.md 130.

use std::time::{Duration, Instant};

use super::{app::App, clock};
use crate::bayeux::{RequestExt, TimesyncReply, TimesyncRequest};

/// A request for the time.
pub(super) struct Timesync {
    request: TimesyncRequest,
    received: Instant,
    /// The time of day then, since 1970.
    received_at: Duration,
}

impl Timesync {
    /// Notes the time if a message asks for it and the server is to answer.
    pub(super) fn begin(app: &App, ext: &RequestExt) -> Option<Self> {
        let request = ext.timesync.filter(|_| app.config.session.timesync)?;
        Some(Self { request, received: clock::now(), received_at: clock::time_of_day() })
    }

    /// What the reply says, if it is written now.
    pub(super) fn answer(&self) -> Option<TimesyncReply> {
        let spent = clock::now().saturating_duration_since(self.received);
        self.request.answer(millis(self.received_at), millis(spent))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
