//! The clock of one connection: the hold of its connect, its leave, pings to a silent client.
//!
//! Source: protocol.md 98-110, 136; RFC 6455 5.5.2.

use std::time::{Duration, Instant};

use super::{BACKLOG_TIME, Connection, End, binding::Leave};
use crate::server::{app::App, clock, connect::Release, report};

/// A timer that fires so late shows that the connection was not listened to.
const OVERSLEPT: Duration = Duration::from_millis(250);

/// When a client was last heard of.
pub(super) struct Silence {
    heard: Instant,
    /// When the ping was sent that has not been answered.
    pinged: Option<Instant>,
}

impl Silence {
    pub(super) const fn since(now: Instant) -> Self {
        Self { heard: now, pinged: None }
    }

    /// When a client that stays silent is pinged, or given up.
    fn ends(&self, app: &App) -> Instant {
        let websocket = &app.config.transports.websocket;
        self.pinged.map_or(self.heard + websocket.ping, |at| at + websocket.pong_timeout)
    }
}

impl Connection {
    pub(super) async fn time_passed(&mut self) -> Result<(), End> {
        let now = clock::now();
        if self.connect.as_ref().is_some_and(|(_, due)| *due <= now) {
            if self.binding.is_deliver_only() {
                self.deliver_backlog(BACKLOG_TIME).await?;
            }
            if let Some((connect, _)) = &self.connect {
                report::timed_out(&self.app, connect.session());
            }
            self.answer_connect(Release::TimedOut).await?;
        }
        if let Some(Leave { code, .. }) = self.binding.leave().filter(|leave| leave.at <= now) {
            return Err(End::Close(code, "no session"));
        }
        let due = self.silence.ends(&self.app);
        if now < due {
            return Ok(());
        }
        // Nobody read while the frames of a slow reader were written, and a message may take longer
        // than this to arrive: only a client of which there is not a byte is silent.
        if let Some(event) = self.socket.try_recv().await {
            return Box::pin(self.heard(event)).await;
        }
        if self.socket.take_activity() {
            self.is_alive(now);
            return Ok(());
        }
        // Who comes late has not listened meanwhile, such as a process that was stopped: ask again.
        if self.silence.pinged.is_some() && now.saturating_duration_since(due) < OVERSLEPT {
            return Err(End::Silent);
        }
        if !self.socket.ping().await? {
            // Nothing to ask with: its session ends by itself if the client has gone.
            self.silence.heard = now;
            return Ok(());
        }
        self.silence.pinged = Some(now);
        Ok(())
    }

    pub(super) const fn is_alive(&mut self, now: Instant) {
        self.silence = Silence::since(now);
        self.socket.take_activity();
    }

    pub(super) fn next_deadline(&self) -> Instant {
        let connect = self.connect.as_ref().map(|(_, due)| *due);
        let leave = self.binding.leave().map(|leave| leave.at);
        [connect, leave].into_iter().flatten().fold(self.silence.ends(&self.app), Instant::min)
    }
}
