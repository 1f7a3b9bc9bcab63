//! Bayeux over one WebSocket, or another `Link`.
//!
//! One task per connection does everything: reads a frame, has it dispatched, writes the replies,
//! and between frames writes what its session's mailbox holds. It speaks for one session at a time.
//! A pending `/meta/connect` is only a heartbeat here: deliveries flow without it (protocol.md 101).
//! When the socket closes the session lives on for `session.max_interval` (55), and what was not
//! written returns to its queue (56).
//! Source: protocol.md 98-110, 144; RFC 6455.

use std::{
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    select,
    time::{Sleep, sleep_until},
};

use self::io::{RecvError, SendError};
use super::{
    app::App,
    clock,
    connect::{Connect, Release},
    cookie::Presented,
    dispatch::{Outcome, Sender, dispatch},
    link::Link,
    report,
};
use crate::{
    bayeux::parse_batch,
    broker::{Batch, BrowserId, Carrier, Cause, Generation, Ready, Session, Take},
    ws::{close, decode::Event},
};

pub mod io;
pub(super) mod upgrade;

/// How long a client may take to close after its disconnect, or after our close frame
/// (protocol.md 81).
const LINGER: Duration = Duration::from_secs(5);

/// A timer that fires so late shows that the connection was not listened to.
const OVERSLEPT: Duration = Duration::from_millis(250);

/// What is known of a client from its upgrade request.
pub(super) struct Upgraded {
    pub(super) cookies: Presented,
    /// `None`: not a browser's.
    pub(super) browser: Option<BrowserId>,
    pub(super) counts_seconds: bool,
    pub(super) address: IpAddr,
}

/// Makes a connection of an upgraded socket; [`Connection::serve`] runs it.
pub(super) fn connection(app: Arc<App>, socket: Link, upgraded: Upgraded) -> Box<Connection> {
    let now = clock::now();
    Box::new(Connection {
        heard: now,
        // An idle socket, such as Faye's probe while it polls, may stay as long as a session.
        leave: Some((now + app.config.session.max_interval, close::GOING_AWAY)),
        app,
        socket,
        upgraded,
        binding: None,
        connect: None,
        pinged: None,
    })
}

/// Why a connection ends.
enum End {
    /// The client closed; its code is echoed.
    ClosedByClient(Option<u16>),
    /// We close, with a code and a reason of at most 123 bytes.
    Close(u16, &'static str),
    /// The stream is of no use any more.
    Lost,
}

/// What woke the task.
enum Wake {
    Heard(Result<Event, RecvError>),
    Session(Ready),
    Timer,
    Drain(Duration),
}

pub(super) struct Connection {
    app: Arc<App>,
    socket: Link,
    upgraded: Upgraded,
    binding: Option<Binding>,
    /// The connect that is held, and when it is answered.
    connect: Option<(Connect, Instant)>,
    heard: Instant,
    /// When the ping was sent that has not been answered.
    pinged: Option<Instant>,
    /// When a connection that delivers for no session is closed, and with which code.
    leave: Option<(Instant, u16)>,
}

/// The session that the connection speaks for, and its right to deliver; `None` after another
/// carrier has taken over.
struct Binding {
    session: Arc<Session>,
    generation: Option<Generation>,
}

impl Connection {
    /// Serves the connection until it ends.
    ///
    /// The size of this future, of [`Connection`] and of its session is what an idle client costs, so
    /// whatever is not needed while waiting is boxed.
    pub(super) async fn serve(mut self: Box<Self>) {
        let app = Arc::clone(&self.app);
        let end = self.run().await;
        self.unbind();
        select! {
            () = Box::pin(self.close(end)) => {}
            () = app.drain.ended() => {}
        }
    }

    async fn run(&mut self) -> End {
        let app = Arc::clone(&self.app);
        let mut drain = pin!(app.drain.sends_away());
        let mut timer = pin!(sleep_until(self.next_deadline().into()));
        loop {
            let wake = select! {
                event = self.socket.recv() => Wake::Heard(event),
                ready = signal(self.binding.as_ref(), self.connect.is_some()) => Wake::Session(ready),
                () = timer.as_mut() => Wake::Timer,
                pause = drain.as_mut() => Wake::Drain(pause),
            };
            let handled = match wake {
                Wake::Session(ready) => Box::pin(self.session_is(ready)).await,
                Wake::Heard(event) => Box::pin(self.heard(event)).await,
                Wake::Timer => Box::pin(self.time_passed()).await,
                Wake::Drain(pause) => {
                    let farewell = Box::pin(self.drain(pause));
                    return select! {
                        end = farewell => end,
                        () = app.drain.ended() => End::Lost,
                    };
                }
            };
            if let Err(end) = handled {
                return end;
            }
            self.rearm(timer.as_mut());
        }
    }

    async fn heard(&mut self, event: Result<Event, RecvError>) -> Result<(), End> {
        self.is_alive(clock::now());
        match event {
            Ok(Event::Text(text)) => self.text(&text).await,
            Ok(Event::Ping(payload)) => Ok(self.socket.send_pong(&payload).await?),
            Ok(Event::Pong) => Ok(()),
            Ok(Event::Binary(_)) => Err(End::Close(close::UNSUPPORTED, "text frames only")),
            Ok(Event::Close(code)) => Err(End::ClosedByClient(code)),
            Err(RecvError::Violation(violation)) => {
                report::bad_request(&self.app, self.upgraded.address, "frame", &violation);
                Err(End::Close(violation.code, violation.reason))
            }
            Err(RecvError::Closed(_)) => Err(End::Lost),
        }
    }

    /// Processes a frame of messages and writes what it leads to (protocol.md 102-104).
    async fn text(&mut self, text: &[u8]) -> Result<(), End> {
        let app = Arc::clone(&self.app);
        let batch = parse_batch(text, &app.limits).map_err(|error| {
            report::bad_request(&app, self.upgraded.address, "json", &error);
            End::Close(close::INTERNAL_ERROR, "not a Bayeux message")
        })?;
        let sender = Sender {
            carrier: Carrier::Socket,
            cookies: &self.upgraded.cookies,
            browser: self.upgraded.browser,
            bound: self.binding.as_ref().map(|binding| &binding.session),
            counts_seconds: self.upgraded.counts_seconds,
            address: self.upgraded.address,
            principal: None,
        };
        let outcome = dispatch(&app, &sender, &batch)
            .await
            .map_err(|_| End::Close(close::INTERNAL_ERROR, "handshake in a batch"))?;
        drop(batch);
        self.respond(outcome).await
    }

    async fn respond(&mut self, outcome: Outcome) -> Result<(), End> {
        let Outcome { session, opened, disconnected, replies, mut connect, taken, .. } = outcome;
        if let Some(session) = session {
            self.bind(session, opened, connect.as_ref());
        }
        // A connect with a hold replaces the one before, which gets no reply (42).
        let answered = connect.as_ref().is_some_and(|connect| connect.hold.is_zero());
        if disconnected {
            if let Some(connect) = connect.take_if(|_| !answered) {
                self.connect = Some((connect, clock::now()));
            }
            // Before the reply to the disconnect, or cometd.js does not close its end (81).
            self.answer_connect(Release::Ended(Cause::Client)).await?;
        }
        if answered || !self.is_deliver_only() {
            self.deliver_backlog().await?;
        }
        if opened {
            // A client counts what follows its handshake reply (27).
            self.send_array(&replies).await?;
            self.deliver(taken).await?;
        } else {
            self.deliver(taken).await?;
            if !replies.is_empty() {
                self.send_array(&replies).await?;
            }
        }
        if disconnected {
            self.let_go(LINGER, close::NORMAL);
        }
        if let Some(connect) = connect {
            let until = clock::now() + connect.hold;
            self.connect = (!answered).then_some((connect, until));
        }
        Ok(())
    }

    /// Makes the connection speak for `session`. The first message of a session over a new
    /// connection moves its deliveries here, before any connect (protocol.md 100).
    fn bind(&mut self, session: Arc<Session>, opened: bool, connect: Option<&Connect>) {
        let known = self.binding.as_ref().is_some_and(|bound| bound.session.id() == session.id());
        let generation = match (connect, known) {
            (Some(connect), _) => connect.generation(),
            (None, true) => {
                if self.leave.is_some() {
                    self.leave_later();
                }
                return;
            }
            (None, false) => self.app.broker.claim(&session, Carrier::Socket, false, clock::now()),
        };
        let before = self.binding.replace(Binding { session, generation: Some(generation) });
        if let Some(before) = before.filter(|_| opened) {
            // A session that another connection has taken over is not this one's to end.
            if before.generation.is_some() {
                self.app.broker.end(&before.session, Cause::Client);
            }
            self.connect = None;
        }
        self.leave = None;
    }

    async fn session_is(&mut self, ready: Ready) -> Result<(), End> {
        match ready {
            Ready::Messages if !self.is_deliver_only() => self.deliver_some().await.map(drop),
            // Of a deliver-only session messages release the connect.
            Ready::Messages => {
                self.deliver_backlog().await?;
                self.answer_connect(Release::Due).await
            }
            Ready::Superseded => {
                self.connect = None;
                if let Some(binding) = &mut self.binding {
                    binding.generation = None;
                }
                // Old clients leave a socket open for ever that they have no more use for
                // (protocol.md 136).
                self.leave_later();
                Ok(())
            }
            Ready::Ended(Cause::Slow | Cause::Limit) => {
                Err(End::Close(close::POLICY, "too many messages queued"))
            }
            Ready::Ended(Cause::Expired) => {
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

    /// Writes one batch of what waits.
    async fn deliver_some(&mut self) -> Result<usize, End> {
        let Some(Binding { session, generation: Some(generation) }) = &self.binding else {
            return Ok(0);
        };
        let batch = session.take(*generation, Take::WRITE);
        self.deliver(batch).await
    }

    /// Writes a batch, if there is one, and says how many messages that were.
    async fn deliver(&mut self, batch: Option<Batch>) -> Result<usize, End> {
        let Some(mut batch) = batch else { return Ok(0) };
        let (frames, written) = batch.progress();
        let sent = select! {
            biased;
            sent = self.socket.send_frames(frames, written) => sent,
            () = taken_over(self.binding.as_ref()) => return Err(End::Lost),
        };
        sent.map_err(|error| self.lost(&error))?;
        Ok(batch.frames().len())
    }

    /// Writes what waits now, ahead of the replies that follow (protocol.md 9, 63).
    async fn deliver_backlog(&mut self) -> Result<(), End> {
        let mut left = self.binding.as_ref().map_or(0, |binding| binding.session.queued());
        while left > 0 {
            match self.deliver_some().await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        Ok(())
    }

    /// Answers the pending connect, if there is one.
    async fn answer_connect(&mut self, release: Release) -> Result<(), End> {
        let Some((mut connect, _)) = self.connect.take() else { return Ok(()) };
        let mut reply = Vec::new();
        let taken = connect.write_reply(release, &mut reply);
        self.deliver(taken).await?;
        self.send_array(&reply).await
    }

    async fn send_array(&mut self, objects: &[u8]) -> Result<(), End> {
        let mut array = Vec::with_capacity(objects.len() + 2);
        array.push(b'[');
        array.extend_from_slice(objects);
        array.push(b']');
        let sent = self.socket.send_text(&array).await;
        sent.map_err(|error| self.lost(&error))
    }

    async fn time_passed(&mut self) -> Result<(), End> {
        let now = clock::now();
        if self.connect.as_ref().is_some_and(|(_, due)| *due <= now) {
            if self.is_deliver_only() {
                self.deliver_backlog().await?;
            }
            self.answer_connect(Release::Due).await?;
        }
        if let Some((_, code)) = self.leave.filter(|(at, _)| *at <= now) {
            return Err(End::Close(code, "no session"));
        }
        let due = self.silence_ends();
        if now < due {
            return Ok(());
        }
        if let Some(ready) = self.missed().await {
            return self.session_is(ready).await;
        }
        // Nobody read while the frames of a slow reader were written, and a message may take longer
        // than this to arrive: only a client of which there is not a byte is silent.
        if let Some(event) = self.socket.try_recv().await {
            return self.heard(event).await;
        }
        if self.socket.take_activity() {
            self.is_alive(now);
            return Ok(());
        }
        // Who comes late has not listened meanwhile, such as a process that was stopped: ask again.
        if self.pinged.is_some() && now.saturating_duration_since(due) < OVERSLEPT {
            return Err(End::Close(close::GOING_AWAY, "no answer to a ping"));
        }
        if !self.socket.ping().await? {
            // Nothing to ask with: its session ends by itself if the client has gone.
            self.heard = now;
            return Ok(());
        }
        self.pinged = Some(now);
        Ok(())
    }

    /// What became of a session whose messages leave with connects only: between them nobody listens.
    async fn missed(&self) -> Option<Ready> {
        let ready = select! {
            biased;
            ready = signal(self.binding.as_ref(), true) => ready,
            () = std::future::ready(()) => return None,
        };
        (ready != Ready::Messages).then_some(ready)
    }

    const fn is_alive(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
        self.socket.take_activity();
    }

    /// When a client that stays silent is pinged, or given up.
    fn silence_ends(&self) -> Instant {
        let websocket = &self.app.config.transports.websocket;
        self.pinged.map_or(self.heard + websocket.ping, |at| at + websocket.pong_timeout)
    }

    async fn drain(&mut self, pause: Duration) -> End {
        // Best effort: whoever cannot be told finds out when the socket closes.
        if self.deliver_backlog().await.is_ok() {
            let _: Result<(), End> = self.answer_connect(Release::Drain(pause)).await;
        }
        End::Close(close::GOING_AWAY, "server is stopping")
    }

    /// Gives a connection that delivers for no session as long as a session lives without one.
    fn leave_later(&mut self) {
        let at = clock::now() + self.app.config.session.max_interval;
        self.leave = Some((at, close::GOING_AWAY));
    }

    /// Gives the session up because it has ended; without another the connection goes too.
    fn let_go(&mut self, linger: Duration, code: u16) {
        self.connect = None;
        self.binding = None;
        self.leave = Some((clock::now() + linger, code));
    }

    /// Takes the connection off its session, which lives on.
    fn unbind(&mut self) {
        self.connect = None;
        if let Some(Binding { session, generation: Some(generation) }) = self.binding.take() {
            self.app.broker.detach(&session, generation, clock::now());
        }
    }

    async fn close(mut self: Box<Self>, end: End) {
        let (code, reason) = match end {
            End::ClosedByClient(code) => (code, ""),
            End::Close(code, reason) => (Some(code), reason),
            End::Lost => return,
        };
        if self.socket.send_close(code, reason).await.is_ok() {
            self.socket.shut_down(LINGER).await;
        }
    }

    fn lost(&self, error: &SendError) -> End {
        if matches!(error, SendError::Stalled) {
            report::bad_request(&self.app, self.upgraded.address, "stalled", error);
        }
        End::Lost
    }

    fn is_deliver_only(&self) -> bool {
        self.binding.as_ref().is_some_and(|binding| binding.session.is_deliver_only())
    }

    fn next_deadline(&self) -> Instant {
        let connect = self.connect.as_ref().map(|(_, due)| *due);
        let leave = self.leave.map(|(at, _)| at);
        [connect, leave].into_iter().flatten().fold(self.silence_ends(), Instant::min)
    }

    /// Moves the timer only if it would fire too late: one that fires early looks and sleeps on.
    fn rearm(&self, timer: Pin<&mut Sleep>) {
        let next = self.next_deadline().into();
        if timer.is_elapsed() || next < timer.deadline() {
            timer.reset(next);
        }
    }
}

impl From<SendError> for End {
    fn from(_: SendError) -> Self {
        Self::Lost
    }
}

/// Waits until another carrier delivers for the session. A write that is stuck then is given up,
/// because its batch keeps the newer carrier waiting.
async fn taken_over(binding: Option<&Binding>) {
    if let Some(Binding { session, generation: Some(generation) }) = binding
        && session.signal(*generation).await == Ready::Superseded
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Waits for the session of a connection; for ever if there is nothing to wait for.
///
/// With deliver-only sessions only a pending connect may carry messages (protocol.md 59).
async fn signal(binding: Option<&Binding>, connect: bool) -> Ready {
    match binding {
        Some(Binding { session, generation: Some(generation) })
            if connect || !session.is_deliver_only() =>
        {
            session.signal(*generation).await
        }
        _ => std::future::pending().await,
    }
}
