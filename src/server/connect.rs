//! A `/meta/connect` from its arrival until its reply is written.
//!
//! While a [`Connect`] lives its session does not expire. Dropping it, because the reply was written,
//! because writing failed or because the client left its hold, starts the expiry clock: one
//! mechanism for every way in which a connect ends (protocol.md 50, 51).

use std::{sync::Arc, time::Duration};

use super::{app::App, clock, cookie::Presented, report, timesync::Timesync};
use crate::{
    bayeux::{AckReply, Advice, Reconnect, Refusal, Reply, ReplyExt},
    broker::{Batch, Carrier, Cause, Generation, INTERVAL_MAX, Session, SessionId},
    metrics::Reply as Kind,
};

const MICROS_PER_MS: u64 = 1_000;

/// See the module documentation.
pub(super) struct Connect {
    app: Arc<App>,
    session: Arc<Session>,
    generation: Generation,
    id: Option<Box<str>>,
    interval: Duration,
    counts_seconds: bool,
    /// Boxed, because few ask and many are held.
    timesync: Option<Box<Timesync>>,
    /// How long it may be held; zero: it is answered at once.
    pub(super) hold: Duration,
    first: bool,
    /// When it came: milliseconds since the server's start.
    begun_ms: u32,
}

/// How a connect that was held, or not, comes to its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// Messages, or it was not to be held.
    Due,
    /// Its time is up.
    TimedOut,
    /// The browser holds enough connects already (protocol.md 75, 76).
    TooManyHolds,
    /// A stream of its client has taken over (protocol.md 138).
    Streamed,
    /// The server is about to stop: come back after so long.
    Drain(Duration),
    /// The client may use WebSocket again and is sent to a handshake (protocol.md SF12).
    Steered,
    /// The session has ended.
    Ended(Cause),
}

impl Connect {
    /// Takes a connect request for `session` over `carrier`.
    pub(super) fn begin(
        app: &Arc<App>,
        session: &Arc<Session>,
        carrier: Carrier,
        request: ConnectRequest<'_>,
    ) -> Self {
        if let Some(number) = request.acknowledged {
            session.acknowledge(number);
        }
        let now = clock::now();
        let (first, generation) = app.broker.connect(session, carrier, now);
        if first {
            app.fallback.spoke(session.browser());
        }
        let timeout = app.config.session.timeout;
        // Asked after the claim: a connect that is being superseded may send until then.
        let at_once = first || session.must_resend();
        let hold = if at_once { Duration::ZERO } else { request.timeout.unwrap_or(timeout) };
        let interval = request.interval.unwrap_or(app.config.session.interval);
        Self {
            app: Arc::clone(app),
            session: Arc::clone(session),
            generation,
            id: request.id.map(Box::from),
            interval: interval.min(INTERVAL_MAX),
            counts_seconds: request.counts_seconds,
            timesync: request.timesync,
            hold: hold.min(timeout),
            first,
            begun_ms: app.age_ms(now),
        }
    }

    /// Takes `session` over for a stream, which no message asks for: the client's first connect is
    /// still to come.
    pub(super) fn of_stream(app: &Arc<App>, session: &Arc<Session>) -> Self {
        let now = clock::now();
        let generation = app.broker.claim(session, Carrier::Stream, true, now);
        Self {
            app: Arc::clone(app),
            session: Arc::clone(session),
            generation,
            id: None,
            interval: app.config.session.interval,
            counts_seconds: false,
            timesync: None,
            hold: Duration::ZERO,
            first: false,
            begun_ms: app.age_ms(now),
        }
    }

    pub(super) const fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(super) const fn generation(&self) -> Generation {
        self.generation
    }

    /// Appends the reply as one JSON object; on a kick the server's own disconnect precedes it
    /// (protocol.md 80).
    ///
    /// Returns what goes ahead of the reply if the session acknowledges: number and messages are
    /// taken together, or a client would acknowledge what it did not get.
    #[must_use]
    pub(super) fn write_reply(&mut self, release: Release, out: &mut Vec<u8>) -> Option<Batch> {
        self.count(match release {
            Release::Due if self.first => Kind::First,
            Release::Due if self.hold.is_zero() => Kind::Immediate,
            Release::Due => Kind::Delivery,
            Release::TimedOut => Kind::Timeout,
            Release::TooManyHolds => Kind::Limited,
            Release::Streamed => Kind::Streamed,
            Release::Steered => Kind::Steered,
            Release::Drain(_) => Kind::Drain,
            Release::Ended(_) => Kind::Ended,
        });
        let usual = regular_advice(&self.app, self.advised(self.interval));
        let timestamp = self.app.timestamp();
        let (successful, error, advice) = match release {
            Release::Due | Release::TimedOut => (true, None, usual),
            Release::TooManyHolds => self.multiple_clients(usual),
            Release::Streamed => (true, None, streamed_advice(&self.app)),
            Release::Drain(pause) => {
                self.interval = pause;
                (true, None, Advice { interval: Some(self.advised(pause)), ..usual })
            }
            Release::Ended(Cause::Client) => (true, None, STOP),
            Release::Ended(cause @ (Cause::Kicked | Cause::Idle)) => {
                let channel = Some("/meta/disconnect");
                Reply { channel, successful: true, timestamp, ..Reply::default() }.write(out);
                out.push(b',');
                match cause {
                    Cause::Idle => {
                        let advice = Advice { interval: Some(Duration::ZERO), ..STOP };
                        (false, Some(Refusal::SessionUnknown), advice)
                    }
                    _ => (true, None, STOP),
                }
            }
            Release::Steered
            | Release::Ended(
                Cause::Expired | Cause::Slow | Cause::Limit | Cause::Drain | Cause::Moved,
            ) => (false, Some(Refusal::SessionUnknown), START_ANEW),
        };
        let (ack, batch) = self.session.take_numbered(self.generation).unzip();
        Reply {
            channel: Some("/meta/connect"),
            id: self.id.as_deref(),
            successful,
            error,
            advice: Some(advice),
            ext: ReplyExt {
                ack: ack.map(AckReply::Batch),
                timesync: self.timesync.as_deref().and_then(Timesync::answer),
            },
            timestamp,
            ..Reply::default()
        }
        .write(out);
        batch
    }

    /// Counts how it ended, and how long it took.
    pub(super) fn count(&self, kind: Kind) {
        let metrics = &self.app.metrics;
        metrics.connect_replies.add(kind, 1);
        let held_ms = match kind {
            // Not held: the clock need not be read.
            Kind::First | Kind::Immediate => 0,
            _ => self.app.age_ms(clock::now()).wrapping_sub(self.begun_ms),
        };
        metrics.connect_hold.record(u64::from(held_ms) * MICROS_PER_MS);
    }

    /// The answer to one tab too many (protocol.md 75, 76). Its session lives through the pause.
    fn multiple_clients(&mut self, usual: Advice) -> (bool, Option<Refusal>, Advice) {
        let pause = self.app.config.session.multi_session_interval;
        if pause.is_zero() {
            return (false, None, Advice { multiple_clients: true, ..STOP });
        }
        self.interval = pause;
        let interval = Some(self.advised(pause));
        (true, None, Advice { multiple_clients: true, interval, ..usual })
    }

    const fn advised(&self, pause: Duration) -> Duration {
        if self.counts_seconds { Duration::ZERO } else { pause }
    }

    /// What it comes to if no message has released it; `cookies` came with it.
    pub(super) fn hold_ended(&self, due: Release, cookies: &Presented) -> Release {
        if due != Release::Due {
            return due;
        }
        if self.app.fallback.promotes(&self.app, cookies, &self.session) {
            return Release::Steered;
        }
        report::timed_out(&self.app, &self.session);
        Release::TimedOut
    }

    /// How long one tab too many is held instead of being advised to pause, because its client would
    /// misunderstand the advice.
    pub(super) fn delay(&self) -> Duration {
        if self.counts_seconds {
            self.app.config.session.multi_session_interval
        } else {
            Duration::ZERO
        }
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        self.app.broker.left(&self.session, self.generation, self.interval, clock::now());
    }
}

/// What a connect asks for, this once.
#[derive(Default)]
pub(super) struct ConnectRequest<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) timeout: Option<Duration>,
    pub(super) interval: Option<Duration>,
    /// The last batch that the client has, with the ack extension.
    pub(super) acknowledged: Option<u64>,
    /// What the client wants to know about the time.
    pub(super) timesync: Option<Box<Timesync>>,
    /// The client takes `advice.interval` for seconds: 2000 would be 33 minutes (protocol.md 140).
    pub(super) counts_seconds: bool,
}

/// The full advice of a successful reply (protocol.md 16, 34-36).
pub(super) fn regular_advice(app: &App, interval: Duration) -> Advice {
    let session = &app.config.session;
    Advice {
        reconnect: Reconnect::Retry,
        interval: Some(interval),
        timeout: Some(session.timeout),
        max_interval: None,
        multiple_clients: false,
    }
}

/// What a client hears whose connect came by POST while its stream is open: the stream is the connect
/// that is held, so the next one is due only after another hold (protocol.md 138).
pub(super) fn streamed_advice(app: &App) -> Advice {
    let pause = app.config.session.timeout;
    Advice { timeout: Some(Duration::ZERO), ..regular_advice(app, pause) }
}

/// What a client hears that connects to a session which the broker does not know (protocol.md 37): to
/// handshake again, unless an operator wants it to stay away (80).
pub(super) fn unknown_advice(app: &App, id: Option<SessionId>) -> Advice {
    if id.is_some_and(|id| app.broker.is_dismissed(id)) { STOP } else { START_ANEW }
}

/// Answers a stream's request for a session that the broker does not know.
pub(super) fn write_unknown_reply(advice: Advice, out: &mut Vec<u8>) {
    let (channel, advice) = (Some("/meta/connect"), Some(advice));
    Reply { channel, error: Some(Refusal::SessionUnknown), advice, ..Reply::default() }.write(out);
}

/// Tells a client whose session is gone to handshake again (protocol.md 37).
pub(super) const START_ANEW: Advice = Advice {
    reconnect: Reconnect::Handshake,
    interval: Some(Duration::ZERO),
    timeout: None,
    max_interval: None,
    multiple_clients: false,
};

/// Tells a client to stay away (protocol.md 24, 45, 80).
pub(super) const STOP: Advice = Advice {
    reconnect: Reconnect::None,
    interval: None,
    timeout: None,
    max_interval: None,
    multiple_clients: false,
};
