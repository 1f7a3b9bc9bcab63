//! Streams: HTTP responses without an end, which carry messages as they come.
//!
//! A stream is a poll that is never answered: it is its session's held connect, so the session does
//! not expire while it is open, and the reply of that connect is its last line, which says how to go
//! on. Requests of its client come by POST. One loop serves three forms ([`Form`]), which differ only
//! in how a line looks.
//!
//! hyper asks for the next piece when the socket has taken most of what it was given; the mailbox has
//! one batch out at a time. So a client that does not read leaves its messages in their queue, with
//! all its bounds, and a batch whose line was cut returns there.
//! Source: protocol.md 138; Faye's `event_source.js`; WHATWG HTML, server-sent events.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Request, Response, StatusCode,
    header::{
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
    },
};
use tokio::{select, task::yield_now, time::sleep};

use self::form::Form;
use super::{
    app::App,
    body::{Body, Rope},
    clock,
    connect::{Connect, Release, unknown_advice, write_unknown_reply},
    drain::retry_after,
    forwarded::Client,
    inbound::Inbound,
    origin::{self, RequestKind, Verdict},
    polling::hold_slot,
    route::text,
};
use crate::{
    bayeux::Advice,
    broker::{HoldSlot, Ready, Session, SessionId, Take},
};

mod form;

/// Answers a GET that asks for a stream; `None` if it asks for something else.
///
/// The last segment of the path is the clientId, as Faye has it.
pub(super) fn respond(
    app: &Arc<App>,
    request: &Request<Inbound>,
    client: Client,
) -> Option<Response<Body>> {
    let client_id = request.uri().path().rsplit('/').next()?;
    SessionId::parse(client_id)?;
    let form = match Form::asked_for(request)? {
        Ok(form) => form,
        Err(problem) => return Some(text(StatusCode::BAD_REQUEST, problem)),
    };
    let transport = form.transport();
    if !app.offers(transport) {
        let problem = format!("the transport {} is not enabled\n", transport.name());
        return Some(text(StatusCode::BAD_REQUEST, problem));
    }
    // A page reads the other two by script, and then its browser names it or asks for CORS headers.
    let kind =
        if matches!(form, Form::Iframe { .. }) { RequestKind::Jsonp } else { RequestKind::Post };
    let page = match app.check_origin(kind, request.headers(), client.scheme) {
        Verdict::Refused(problem) => return Some(text(StatusCode::FORBIDDEN, problem)),
        Verdict::Allowed(page) => Some(page),
        Verdict::NoOrigin => None,
    };
    let mut response = open(app, request, client, client_id, form);
    if let Some(page) = &page {
        origin::cors(page, response.headers_mut());
    }
    Some(response)
}

/// Opens the stream of the session that the client names, if it may.
fn open(
    app: &Arc<App>,
    request: &Request<Inbound>,
    client: Client,
    client_id: &str,
    form: Form,
) -> Response<Body> {
    let cookies = app.cookies.presented(request.headers());
    let session = app.broker.session(client_id).filter(|known| app.admits(known, &cookies, true));
    // As any connect of a session whose client was sent to a handshake (protocol.md SF11).
    let Some(session) = session.filter(|session| !session.is_leaving()) else {
        return unknown(&form, unknown_advice(app, SessionId::parse(client_id)));
    };
    if session.acknowledges() {
        let problem =
            "this session acknowledges (ext.ack): its messages come with connect replies\n";
        return text(StatusCode::CONFLICT, problem);
    }
    let Ok(slot) = hold_slot(app, &session, &cookies, client.multiplexed) else {
        let key = match client.multiplexed {
            true => "session.http2_max_per_browser",
            false => "session.max_per_browser",
        };
        let problem = format!("this browser holds enough connections ({key}): poll\n");
        let mut response = text(StatusCode::TOO_MANY_REQUESTS, problem);
        response.headers_mut().insert(RETRY_AFTER, retry_after());
        return response;
    };
    let flow = Flow::new(app, &session, form.clone(), slot);
    response_in(&form, Body::Stream(Stream::new(flow)))
}

/// The answer to an unknown clientId. `EventSource` comes again for ever unless the status is an
/// error; an iframe sees no status, so its parent is called.
fn unknown(form: &Form, advice: Advice) -> Response<Body> {
    let mut reply = Vec::new();
    write_unknown_reply(advice, &mut reply);
    if matches!(form, Form::Iframe { .. }) {
        let page = [form.opening(), form.last(&reply, None)].concat();
        return response_in(form, Body::text(page));
    }
    let line = Form::Streaming.last(&reply, None);
    let mut response = response_in(&Form::Streaming, Body::text(line));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn response_in(form: &Form, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, form.content_type());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if matches!(form, Form::Iframe { .. }) {
        headers.insert(CONTENT_SECURITY_POLICY, FRAME_POLICY);
    }
    response
}

/// The body of a stream: [`Flow`] step by step, each step a future of its own.
pub(super) struct Stream(Option<Pin<Box<dyn Future<Output = Option<Piece>> + Send>>>);

impl Stream {
    fn new(flow: Flow) -> Self {
        Self(Some(Box::pin(flow.step())))
    }

    /// The next piece; `None` at the end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Rope>> {
        let Some(step) = &mut self.0 else { return Poll::Ready(None) };
        let piece = ready!(step.as_mut().poll(cx)).map(|Piece { rope, flow }| {
            *self = Self::new(flow);
            rope
        });
        if piece.is_none() {
            self.0 = None;
        }
        Poll::Ready(piece)
    }
}

/// What one step gives: something to write, and the stream for the next one.
struct Piece {
    rope: Rope,
    flow: Flow,
}

/// An open stream.
struct Flow {
    app: Arc<App>,
    /// What the stream is to its session.
    connect: Connect,
    form: Form,
    stage: Stage,
    /// Its turn to go when the server stops. Lasts from step to step, or a stream with much to say
    /// would never be sent away.
    sent_away: Pin<Box<dyn Future<Output = Duration> + Send>>,
    /// The place among the connections that the browser may hold.
    _slot: Option<HoldSlot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opening,
    Open,
    Over,
}

impl Flow {
    /// Takes the session over from whatever has carried it.
    fn new(app: &Arc<App>, session: &Arc<Session>, form: Form, slot: Option<HoldSlot>) -> Self {
        let connect = Connect::of_stream(app, session);
        session.set_transport(form.transport());
        let drained = Arc::clone(app);
        Self {
            app: Arc::clone(app),
            connect,
            form,
            stage: Stage::Opening,
            sent_away: Box::pin(async move { drained.drain.sends_away().await }),
            _slot: slot,
        }
    }

    async fn step(mut self) -> Option<Piece> {
        let rope = match self.stage {
            Stage::Opening => {
                self.stage = Stage::Open;
                Some(self.form.opening().into())
            }
            Stage::Open => self.next().await,
            Stage::Over => None,
        };
        rope.map(|rope| Piece { rope, flow: self })
    }

    /// Waits for something to write; `None`: another carrier has taken over.
    async fn next(&mut self) -> Option<Rope> {
        let heartbeat = self.app.config.transports.streaming.heartbeat;
        let session = Arc::clone(self.connect.session());
        let generation = self.connect.generation();
        loop {
            let ready = select! {
                ready = session.signal(generation) => ready,
                () = sleep(heartbeat) => {
                    return Some(Bytes::from_static(self.form.heartbeat()).into());
                }
                pause = self.sent_away.as_mut() => return Some(self.last(Release::Drain(pause))),
            };
            match ready {
                Ready::Superseded => return None,
                Ready::Ended(cause) => return Some(self.last(Release::Ended(cause))),
                Ready::Messages => {
                    // Lets a burst that has just begun go out in one line.
                    yield_now().await;
                    if let Some(batch) = session.take(generation, Take::WRITE) {
                        return Some(self.form.deliveries(batch));
                    }
                }
            }
        }
    }

    fn last(&mut self, release: Release) -> Rope {
        self.stage = Stage::Over;
        let pause = match release {
            Release::Drain(pause) => Some(pause),
            _ => None,
        };
        let mut reply = Vec::new();
        // Nothing goes ahead of it: a session that acknowledges has no stream.
        let _ = self.connect.write_reply(release, &mut reply);
        self.form.last(&reply, pause).into()
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let (session, generation) = (self.connect.session(), self.connect.generation());
        self.app.broker.detach(session, generation, clock::now());
    }
}

/// The page runs our scripts and loads nothing, and only pages of this origin could hear it anyway.
const FRAME_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'unsafe-inline'; frame-ancestors 'self'",
);
