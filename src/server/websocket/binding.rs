//! The session that a connection speaks for: taking it on, losing it, giving it up.
//!
//! Source: protocol.md 27, 55, 81, 100, 136.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{BACKLOG_TIME, Connection, End, LINGER};
use crate::{
    broker::{Carrier, Cause, Generation, Ready, Session},
    metrics::Reply,
    server::{
        app::App,
        clock,
        connect::{Connect, Release},
    },
    ws::close,
};

/// How long a socket stays open that its client is to leave (protocol.md SF7).
const STEERED_FOR: Duration = Duration::from_secs(10);

/// What a connection is to a session.
pub(super) enum Binding {
    /// It speaks for none: not yet, or its session has ended.
    Nobody(Leave),
    /// Another carrier has taken over; what the client sends here still counts as this session's.
    Former { session: Arc<Session>, leave: Leave },
    /// The client has shaken hands here and is to go on by polling. The generation tells when it does;
    /// if it stays here instead, its first connect makes it a carrier (protocol.md SF7).
    Leaving { session: Arc<Session>, generation: Generation, until: Instant },
    /// It delivers for this session until a newer generation does.
    Carrier { session: Arc<Session>, generation: Generation },
}

/// When a connection that delivers for no session is closed, and with which code.
#[derive(Clone, Copy)]
pub(super) struct Leave {
    pub(super) at: Instant,
    pub(super) code: u16,
}

impl Leave {
    /// Gives a connection as long as a session lives without one: a client may leave a socket open for
    /// ever that it has no more use for (protocol.md 136), or probe while it polls, as Faye does.
    pub(super) fn later(app: &App) -> Self {
        Self { at: clock::now() + app.config.session.max_interval, code: close::GOING_AWAY }
    }
}

impl Binding {
    /// The session whose messages may come in here.
    pub(super) const fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Nobody(_) => None,
            Self::Former { session, .. }
            | Self::Leaving { session, .. }
            | Self::Carrier { session, .. } => Some(session),
        }
    }

    /// The session that suffers if the connection breaks now. One that goes on by polling has left it
    /// behind.
    pub(super) fn sufferer(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Carrier { session, .. } => Some(session),
            Self::Former { session, .. } => Some(session).filter(|session| session.is_on_socket()),
            Self::Nobody(_) | Self::Leaving { .. } => None,
        }
    }

    pub(super) const fn leave(&self) -> Option<Leave> {
        match self {
            Self::Nobody(leave) | Self::Former { leave, .. } => Some(*leave),
            Self::Leaving { until, .. } => Some(Leave { at: *until, code: close::NORMAL }),
            Self::Carrier { .. } => None,
        }
    }

    pub(super) fn is_deliver_only(&self) -> bool {
        self.session().is_some_and(|session| session.is_deliver_only())
    }

    /// Waits until another carrier delivers for the session, or for the one that its client has moved on
    /// to. A write that is stuck then is given up, because its batch keeps the newer carrier waiting.
    pub(super) async fn taken_over(&self) {
        if let Self::Carrier { session, generation } = self
            && let Ready::Superseded | Ready::Ended(Cause::Moved) =
                session.signal(*generation).await
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

impl Connection {
    /// Makes the connection speak for `session`. The first message of a session over a new
    /// connection moves its deliveries here, before any connect (protocol.md 100).
    pub(super) fn bind(&mut self, session: Arc<Session>, opened: bool, connect: Option<&Connect>) {
        let known = self.binding.session().is_some_and(|bound| bound.id() == session.id());
        if opened && session.routes().shortened {
            return self.expect_leave(session);
        }
        let generation = match (connect, known) {
            (Some(connect), _) => connect.generation(),
            (None, true) => {
                if let Binding::Former { leave, .. } = &mut self.binding {
                    *leave = Leave::later(&self.app);
                }
                return;
            }
            (None, false) => self.app.broker.claim(&session, Carrier::Socket, false, clock::now()),
        };
        self.rebind(Binding::Carrier { session, generation }, opened);
    }

    fn rebind(&mut self, now: Binding, opened: bool) {
        let before = std::mem::replace(&mut self.binding, now);
        if opened {
            // A session that another connection has taken over is not this one's to end.
            if let Binding::Carrier { session, .. } = before {
                self.app.broker.end(&session, Cause::Client);
            }
            self.connect = None;
        }
    }

    /// Speaks for a session that another connection is to deliver for.
    fn expect_leave(&mut self, session: Arc<Session>) {
        let now = clock::now();
        // By nothing: a socket would keep responses from carrying what waits.
        let generation = self.app.broker.claim(&session, Carrier::None, false, now);
        self.rebind(Binding::Leaving { session, generation, until: now + STEERED_FOR }, true);
    }

    /// Delivers no more for a session whose client was sent to a handshake.
    pub(super) fn steered(&mut self, session: Arc<Session>) {
        self.connect = None;
        let leave = Leave { at: clock::now() + STEERED_FOR, code: close::NORMAL };
        self.binding = Binding::Former { session, leave };
    }

    pub(super) async fn session_is(&mut self, ready: Ready) -> Result<(), End> {
        match ready {
            Ready::Messages if !self.binding.is_deliver_only() => {
                self.deliver_some().await.map(drop)
            }
            // Of a deliver-only session messages release the connect.
            Ready::Messages => {
                self.deliver_backlog(BACKLOG_TIME).await?;
                self.answer_connect(Release::Due).await
            }
            Ready::Superseded => {
                if let Binding::Leaving { .. } = self.binding {
                    return Err(End::Close(close::NORMAL, "goes on by polling"));
                }
                self.hand_over();
                Ok(())
            }
            Ready::Ended(Cause::Slow | Cause::Limit) => {
                Err(End::Close(close::POLICY, "too many messages queued"))
            }
            Ready::Ended(cause @ (Cause::Expired | Cause::Drain | Cause::Moved)) => {
                // Only an operator ends a session whose connect is held so; its client is to begin anew.
                if cause == Cause::Expired {
                    self.answer_connect(Release::Ended(cause)).await?;
                }
                self.let_go(self.app.config.session.max_interval, close::GOING_AWAY);
                Ok(())
            }
            Ready::Ended(cause @ (Cause::Client | Cause::Kicked | Cause::Idle)) => {
                self.answer_connect(Release::Ended(cause)).await?;
                self.let_go(LINGER, close::NORMAL);
                Ok(())
            }
        }
    }

    /// Leaves deliveries to the carrier that has taken over.
    pub(super) fn hand_over(&mut self) {
        if let Some((connect, _)) = self.connect.take() {
            connect.count(Reply::Superseded);
        }
        if let Binding::Carrier { session, .. } = &self.binding {
            let leave = Leave::later(&self.app);
            self.binding = Binding::Former { session: Arc::clone(session), leave };
        }
    }

    /// Gives the session up because it has ended; without another the connection goes too.
    pub(super) fn let_go(&mut self, linger: Duration, code: u16) {
        self.connect = None;
        self.binding = Binding::Nobody(Leave { at: clock::now() + linger, code });
    }

    /// Takes the connection off its session, which lives on.
    pub(super) fn unbind(&mut self) {
        self.connect = None;
        if let Binding::Carrier { session, generation } = &self.binding {
            self.app.broker.detach(session, *generation, clock::now());
        }
    }
}
