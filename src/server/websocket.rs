//! Bayeux over one WebSocket, or another `Link`.
//!
//! One task per connection does everything: reads a frame, has it dispatched, writes the replies,
//! and between frames writes what its session's mailbox holds. It speaks for one session at a time.
//! A pending `/meta/connect` is only a heartbeat here: deliveries flow without it (protocol.md 101).
//! When the socket closes the session lives on for `session.max_interval` (55), and what was not
//! written returns to its queue (56).
//! Source: protocol.md 98-110, 144; RFC 6455.

use std::{
    future::{Future, poll_fn},
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    select,
    time::{Sleep, sleep_until},
};

use self::{
    alarms::Alarms,
    binding::{Binding, Leave},
    io::RecvError,
    silence::Silence,
};
use super::{
    app::App,
    clock,
    connect::{Connect, Release},
    cookie::Presented,
    fallback::Moment,
    http::ADMIN_IDLE_MAX,
    link::Link,
    report,
};
use crate::{
    bayeux::Skim,
    broker::{Batch, BrowserId, Ready},
    config::Transport,
    events::Page,
    metrics::SocketClose,
    ws::{
        close,
        decode::{Bound, Event},
    },
};

mod alarms;
mod binding;
mod delivery;
mod excess;
pub mod io;
mod request;
mod silence;
pub(super) mod upgrade;

pub(super) use self::excess::EXCESS;

/// How long a client may take to close after its disconnect, or after our close frame
/// (protocol.md 81).
const LINGER: Duration = Duration::from_secs(5);

/// How long the reply to a connect waits for a slow reader to take what goes before it; the rest then comes
/// with the next one, or not at all if the server stops.
const BACKLOG_TIME: Duration = Duration::from_secs(2);

/// The reason with which cometd.js closes when it has missed a reply.
const TIMED_OUT: &str = "Message Timeout";

/// What is known of a client from its upgrade request.
pub(super) struct Upgraded {
    pub(super) cookies: Presented,
    /// `None`: not a browser's.
    pub(super) browser: Option<BrowserId>,
    pub(super) counts_seconds: bool,
    pub(super) address: IpAddr,
    pub(super) transport: Transport,
    /// What the request said of the client, for events.
    pub(super) page: Option<Arc<Page>>,
    /// It came to the operators' listener.
    pub(super) monitors_only: bool,
}

/// Makes a connection of an upgraded socket; [`Connection::serve`] runs it.
pub(super) fn connection(app: Arc<App>, socket: Link, upgraded: Upgraded) -> Box<Connection> {
    if upgraded.transport == Transport::WebSocket {
        app.metrics.websocket_connections.add((), 1);
    }
    let mut leave = Leave::later(&app);
    if upgraded.monitors_only {
        // Nobody takes the few places there without a key.
        leave.at = leave.at.min(clock::now() + ADMIN_IDLE_MAX);
    }
    Box::new(Connection {
        binding: Binding::Nobody(leave),
        opened: app.fallback.moment(),
        texts: (false, false),
        was_stuck: false,
        silence: Silence::since(clock::now()),
        alarms: Alarms::default(),
        app,
        socket,
        upgraded,
        connect: None,
        skim: None,
    })
}

/// Why a connection ends.
enum End {
    /// The client closed; its code is echoed.
    ClosedByClient(Option<u16>),
    /// The client closed because it missed a reply.
    TimedOut,
    /// We close, with a code and a reason of at most 123 bytes.
    Close(u16, &'static str),
    /// We close, because a message went beyond a bound.
    Beyond(Bound),
    /// The client does not answer.
    Silent,
    /// The stream broke.
    Lost,
    /// We give the stream up, which may be sound.
    GivenUp,
}

/// What woke the task.
enum Wake {
    Heard(Result<Event, RecvError>),
    Session(Ready),
    /// The socket has not taken the whole batch; so much of its first unwritten frame it has.
    Stuck(Batch, usize),
    Lost,
    Timer,
    Drain(Duration),
}

pub(super) struct Connection {
    app: Arc<App>,
    socket: Link,
    upgraded: Upgraded,
    binding: Binding,
    /// The connect that is held, and when it is answered.
    connect: Option<(Connect, Instant)>,
    /// Of a text over the limit that is coming in.
    skim: Option<Box<Skim>>,
    silence: Silence,
    alarms: Alarms,
    opened: Moment,
    /// Whether one text has come, and whether more have.
    texts: (bool, bool),
    /// Whether the last thing to do was a batch that the socket did not take whole.
    was_stuck: bool,
}

impl Connection {
    /// Serves the connection until it ends.
    ///
    /// The size of this future, of [`Connection`] and of its session is what an idle client costs, so
    /// whatever is not needed while waiting is boxed.
    pub(super) async fn serve(mut self: Box<Self>) {
        let app = Arc::clone(&self.app);
        let end = self.run().await;
        self.note(&end);
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
            let wake = poll_fn(|cx| self.poll_wake(cx, timer.as_mut(), drain.as_mut())).await;
            self.was_stuck = matches!(wake, Wake::Stuck(..));
            let handled = match wake {
                Wake::Stuck(batch, offset) => {
                    Box::pin(unless_ended(&app, self.write_stuck(batch, offset))).await
                }
                Wake::Session(ready) => Box::pin(unless_ended(&app, self.session_is(ready))).await,
                Wake::Heard(event) => Box::pin(unless_ended(&app, self.heard(event))).await,
                Wake::Lost => return End::Lost,
                Wake::Timer => Box::pin(unless_ended(&app, self.time_passed())).await,
                Wake::Drain(pause) => {
                    let farewell = Box::pin(self.drain(pause));
                    return select! {
                        end = farewell => end,
                        () = app.drain.ended() => End::GivenUp,
                    };
                }
            };
            if let Err(end) = handled {
                return end;
            }
            self.alarms.rearm(timer.as_mut(), self.next_deadline());
        }
    }

    /// Writes deliveries without leaving the poll, as long as there is nothing else to do.
    ///
    /// After a batch that was stuck everything else comes first: to a slow reader each is stuck, and it is
    /// to be heard before the last of its queue. What time brings comes first of all, or a client that
    /// always has something to say would keep the server from it.
    fn poll_wake(
        &mut self,
        cx: &mut Context<'_>,
        timer: Pin<&mut Sleep>,
        drain: Pin<&mut impl Future<Output = Duration>>,
    ) -> Poll<Wake> {
        if let Poll::Ready(wake) = self.alarms.poll(cx, timer, drain, &self.app.drain) {
            return Poll::Ready(wake);
        }
        if !self.was_stuck
            && let Poll::Ready(wake) = self.poll_deliver(cx)
        {
            return Poll::Ready(wake);
        }
        if let Poll::Ready(event) = self.socket.poll_recv(cx) {
            return Poll::Ready(Wake::Heard(event));
        }
        if self.was_stuck { self.poll_deliver(cx) } else { Poll::Pending }
    }

    #[expect(clippy::large_futures, reason = "a part of this one, which its callers box")]
    async fn heard(&mut self, event: Result<Event, RecvError>) -> Result<(), End> {
        self.is_alive(clock::now());
        match event {
            Ok(Event::Text(text)) => self.burst(text).await,
            Ok(Event::Excess(excess)) => Box::pin(self.excess(&excess)).await,
            Ok(Event::Ping(payload)) => Ok(self.socket.send_pong(&payload).await?),
            Ok(Event::Pong) => Ok(()),
            Ok(Event::Binary(_)) => Err(End::Close(close::UNSUPPORTED, "text frames only")),
            Ok(Event::Close(Some(close::NORMAL), reason)) if *reason == *TIMED_OUT => {
                Err(End::TimedOut)
            }
            Ok(Event::Close(code, _)) => Err(End::ClosedByClient(code)),
            Err(RecvError::Violation(violation)) => Err(match violation.bound {
                Some(bound) => self.beyond(bound),
                None => {
                    self.report_frame(violation.reason);
                    End::Close(violation.code, violation.reason)
                }
            }),
            Err(RecvError::Closed(_)) => Err(End::Lost),
        }
    }

    /// A message of the client went beyond a bound.
    fn beyond(&self, bound: Bound) -> End {
        self.report_frame(&limit(bound));
        End::Beyond(bound)
    }

    fn report_frame(&self, detail: &str) {
        let session = self.binding.session();
        report::bad_frame(&self.app, self.upgraded.address, session.map(Arc::as_ref), &detail);
    }

    /// Counts an end that nobody wanted (protocol.md SF1, SF13).
    fn note(&self, end: &End) {
        let Self { app, upgraded: Upgraded { browser, cookies, transport, .. }, .. } = self;
        if *transport != Transport::WebSocket {
            return;
        }
        let broken = matches!(end, End::TimedOut | End::Silent | End::Lost);
        if let Some(session) = self.binding.sufferer().filter(|_| broken) {
            app.fallback.broken(app, session, cookies, self.opened);
        }
        match self.texts {
            (_, true) => app.fallback.spoke(*browser),
            _ if broken || matches!(end, End::ClosedByClient(_)) => {
                app.fallback.mute(app, *browser);
            }
            _ => {}
        }
    }

    async fn drain(&mut self, pause: Duration) -> End {
        // Best effort: whoever cannot be told finds out when the socket closes. A slow reader is rather
        // told than sent all of its queue.
        if self.deliver_backlog(BACKLOG_TIME).await.is_ok() {
            let _: Result<(), End> = self.answer_connect(Release::Drain(pause)).await;
        }
        End::Close(close::GOING_AWAY, "server is stopping")
    }

    async fn close(mut self: Box<Self>, end: End) {
        let told;
        let (code, reason) = match end {
            End::ClosedByClient(code) => (code, ""),
            End::TimedOut => (Some(close::NORMAL), ""),
            End::Close(code, reason) => (Some(code), reason),
            End::Beyond(bound) => {
                told = limit(bound);
                (Some(close::TOO_BIG), told.as_str())
            }
            End::Silent => (Some(close::GOING_AWAY), "no answer to a ping"),
            End::Lost | End::GivenUp => return self.count_close(SocketClose::Lost),
        };
        self.count_close(SocketClose::of(code));
        if self.socket.send_close(code, reason).await.is_ok() {
            self.socket.shut_down(LINGER).await;
        }
    }

    fn count_close(&self, close: SocketClose) {
        if self.upgraded.transport == Transport::WebSocket {
            self.app.metrics.websocket_closes.add(close, 1);
        }
    }
}

/// Does what there is to do, unless the server ends before: a slow reader may keep it waiting. What is done
/// at once asks nothing.
async fn unless_ended(
    app: &App,
    handling: impl Future<Output = Result<(), End>>,
) -> Result<(), End> {
    select! {
        biased;
        handled = handling => handled,
        () = app.drain.ended() => Err(End::GivenUp),
    }
}

/// What a message had to keep to, for the close frame and the log: the value and its key.
fn limit(bound: Bound) -> String {
    match bound {
        Bound::MessageBytes(limit) => format!("larger than {limit} bytes (limits.message_size)"),
        Bound::Fragments(limit) => {
            format!("more than {limit} frames in a message (transports.websocket.max_fragments)")
        }
    }
}

/// Whatever ends a connection, it is no longer open. Not a guard in [`Connection::serve`], whose future
/// would keep it.
impl Drop for Connection {
    fn drop(&mut self) {
        if self.upgraded.transport == Transport::WebSocket {
            self.app.metrics.websocket_connections.sub((), 1);
        }
    }
}
