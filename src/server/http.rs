//! HTTP connections: accepting them, and one hyper connection each.
//!
//! hyper reads heads and writes responses; its missing deadlines and bounds are ours
//! (architecture.md 11, traps 8 to 14). On an upgrade the socket leaves hyper, together with its
//! place among the connections.

use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode, Version,
    body::{Body as _, Incoming},
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{select, time::sleep};
use tracing::debug;

use super::{
    admin::{self, Readiness},
    app::App,
    body::Body,
    console::Console,
    files::Files,
    host,
    inbound::{self, Inbound, Unread},
    lean::{self, Turn},
    listen::{Accepted, Acceptor, Deadlines, HeadClock, Permit, Timed},
    metrics, park,
    route::{self, Held, Routed},
    unwritten::{Unwritten, Watched},
};
use crate::metrics::HttpPath;

/// What a listener is for.
#[derive(Clone)]
pub(super) enum Listener {
    /// Bayeux, and static files if there are any.
    Main { files: Option<Arc<Files>> },
    /// Probes and operators, and their page if it is on.
    Admin { loopback_only: bool, console: Option<Arc<Console>> },
}

/// One connection, as its requests see it.
pub(super) struct Http {
    pub(super) app: Arc<App>,
    pub(super) peer: SocketAddr,
    /// Outlives hyper's connection when a WebSocket takes the socket over.
    pub(super) permit: Arc<Permit>,
    listener: Listener,
    heads: Arc<HeadClock>,
    /// A connect that the service leaves to be held without hyper.
    parked: Mutex<Option<Box<Held>>>,
}

impl Http {
    /// How long the connection may lie idle. There are few for operators, and whoever has no key must not
    /// sit on all of them.
    fn idle_max(&self) -> Duration {
        let keep_alive = self.app.live.keep_alive.now();
        match self.listener {
            Listener::Main { .. } => keep_alive,
            Listener::Admin { .. } => keep_alive.min(ADMIN_IDLE_MAX),
        }
    }

    /// Ends the connection with a response that leaves something of its request unread: it would be taken for
    /// the next one, and thrown away without reading it would take the response along.
    async fn settle(
        &self,
        mut response: Response<Body>,
        unread: Option<Arc<Unread>>,
    ) -> Response<Body> {
        if let Some(unread) = unread
            && !unread.is_over().await
        {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // Who reads a body says so as well, of one that is too large or comes too slowly.
        if response.headers().get(CONNECTION).is_some_and(|value| value == "close") {
            self.heads.leave_body();
        }
        response
    }

    /// Keeps the head clock at this request for as long as the answer lives.
    pub(super) fn answering(&self) -> Answering {
        Answering(Arc::clone(&self.heads))
    }
}

/// A response that goes on while the body of its request still comes in.
pub(super) struct Answering(Arc<HeadClock>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.response_done();
    }
}

/// Accepts connections for ever; dropped, it lets go of its listener only.
pub(super) async fn accept(app: Arc<App>, mut acceptor: Acceptor, listener: Listener) {
    loop {
        let accepted = acceptor.accept().await;
        let serving = serve(Arc::clone(&app), accepted, listener.clone());
        match listener {
            Listener::Main { .. } => app.tasks.spawn(serving),
            // No stop waits for probes: they are answered until the end.
            Listener::Admin { .. } => app.admin_tasks.spawn(serving),
        };
    }
}

/// Serves a connection until it ends, in turns: plain polls without hyper, other requests by hyper, and
/// a poll that is held, whoever took it, parked without it.
async fn serve(app: Arc<App>, accepted: Accepted, listener: Listener) {
    let heads = Arc::new(HeadClock::default());
    let deadlines = Deadlines {
        header_timeout: app.live.header_timeout.now(),
        write_timeout: app.live.write_timeout.now(),
    };
    let mut stream = Timed::new(accepted.stream, deadlines, Arc::clone(&heads));
    let http = Arc::new(Http {
        app: Arc::clone(&app),
        peer: accepted.peer,
        permit: Arc::new(accepted.permit),
        listener,
        heads,
        parked: Mutex::new(None),
    });
    let is_main = matches!(http.listener, Listener::Main { .. });
    loop {
        let turn = if is_main { lean::serve(&http, stream).await } else { Turn::Pass(stream) };
        let (taken, held) = match turn {
            Turn::Hold(taken, held) => (taken, held),
            // Boxed, so that a parked connection does not keep the room for hyper's.
            Turn::Pass(left) => match Box::pin(exchange(&http, left)).await {
                Some(parked) => parked,
                None => return,
            },
            Turn::End => return,
        };
        match park::answer(&app, taken, held).await {
            Some(left) => stream = left,
            None => return,
        }
    }
}

/// Why hyper serves a connection no longer.
enum Turned {
    /// A connect is to be held without it.
    Held(Box<Held>),
    /// The connection is over.
    Ended(hyper::Result<()>),
    /// A newer carrier waits for what the client of this connection does not read.
    Stuck,
    /// The server stops.
    Stop,
}

/// Has hyper serve requests until the connection ends, or until a connect is to be held without it.
async fn exchange(http: &Arc<Http>, stream: Timed) -> Option<(Timed, Box<Held>)> {
    let app = &http.app;
    let limits = &app.live;
    let unwritten = Arc::new(Unwritten::default());
    let called = AtomicBool::new(false);
    let service = service_fn(|request| {
        called.store(true, Ordering::Relaxed);
        let (answer, unwritten) = (respond(Arc::clone(http), request), Arc::clone(&unwritten));
        async { answer.await.map(|response| response.map(|body| Watched::new(body, unwritten))) }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // A client that ends its side is taken to have left, or hyper would hold a poll for nobody
        // (protocol.md 56); so who ends it right after a request may get no answer.
        .half_close(false)
        // Runs between requests too, so it is the keep-alive time; heads that have begun are timed
        // by `Timed`.
        .header_read_timeout(http.idle_max())
        .max_headers(limits.header_count.now())
        .max_buf_size((limits.header_bytes.now() + limits.uri_bytes.now()).max(HYPER_BUFFER_MIN))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A connection that is told to stop before its first request never answers it, and a probe has to
    // hear that the broker drains.
    let is_main = matches!(http.listener, Listener::Main { .. });
    let stop = async { if is_main { app.drain.begins().await } else { app.drain.ended().await } };
    // Asked after hyper has tried to write.
    let is_stuck =
        |cx: &Context<'_>| http.heads.is_write_pending() && unwritten.poll_overtaken(cx).is_ready();
    let turned = {
        // The service leaves a held connect behind while hyper polls it, so that is when to look.
        let mut serving = pin!(poll_fn(|cx| {
            let ended = Pin::new(&mut connection).poll(cx);
            let held = http.parked.lock().take();
            match (ended, held) {
                (Poll::Pending, Some(held)) => Poll::Ready(Turned::Held(held)),
                // A response before may have broken off, so a connect that came just now is given up too.
                (Poll::Ready(ended), _) => Poll::Ready(Turned::Ended(ended)),
                (Poll::Pending, None) if is_stuck(cx) => Poll::Ready(Turned::Stuck),
                (Poll::Pending, None) => Poll::Pending,
            }
        }));
        select! {
            turned = serving.as_mut() => turned,
            () = stop => Turned::Stop,
        }
    };
    match turned {
        Turned::Held(held) => {
            http.heads.response_done();
            let parts = connection.into_parts()?;
            let mut stream = parts.io.into_inner();
            // A copy: even an empty `read_buf` keeps hyper's whole buffer alive.
            stream.unread(Bytes::copy_from_slice(&parts.read_buf));
            // A client that sent this request before it had read the last response: what hyper still
            // had to write is gone with it, so the connection is of no further use.
            return (!http.heads.is_write_pending()).then_some((stream, held));
        }
        Turned::Ended(Err(error)) => debug!(%error, "connection ended"),
        Turned::Ended(Ok(())) => {}
        Turned::Stuck => debug!("a newer connection waits for what this one does not take"),
        Turned::Stop => {
            Pin::new(&mut connection).graceful_shutdown();
            let finished = poll_fn(|cx| {
                let ended = Pin::new(&mut connection).poll(cx).is_ready();
                if ended || is_stuck(cx) { Poll::Ready(()) } else { Poll::Pending }
            });
            // What a client has not sent by now holds up no stop: half a head, half a body.
            let abandoned = async {
                sleep(UNSENT_GRACE.min(app.live.drain_timeout.now() / 2)).await;
                let is_whole = called.load(Ordering::Relaxed) && !http.heads.is_body_awaited();
                if is_whole {
                    pending::<()>().await;
                }
            };
            select! {
                () = finished => {}
                () = abandoned => debug!("a request was not complete when the server stopped"),
                () = app.drain.ended() => {}
            }
        }
    }
    None
}

/// Marks the head as complete at once, not when the future is first polled.
fn respond(
    http: Arc<Http>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> {
    http.heads.request_received();
    let (request, unread) = inbound::watch(request, &http.heads);
    async move {
        let response = match &http.listener {
            Listener::Main { files } => {
                let may_park = may_park(&request);
                // Boxed, and in a block of its own: a held poll keeps only what holding needs.
                let held = {
                    match Box::pin(route::respond(&http, files.as_deref(), request)).await {
                        Routed::Held(held) => held,
                        Routed::Ready(response) => {
                            let response = http.settle(response, unread).await;
                            http.heads.response_done();
                            return Ok(response);
                        }
                        Routed::Streaming(response) => return Ok(response),
                    }
                };
                if may_park && !http.app.drain.is_begun() {
                    *http.parked.lock() = Some(held);
                    // `exchange` takes the connect from here and drops this future.
                    return pending().await;
                }
                route::counted(&http.app, HttpPath::Bayeux, held.respond(&http.app).await)
            }
            Listener::Admin { loopback_only, console } => {
                let response = operators(&http, *loopback_only, console.as_deref(), request).await;
                route::counted(&http.app, HttpPath::Admin, response)
            }
        };
        let response = http.settle(response, unread).await;
        http.heads.response_done();
        Ok(response)
    }
}

/// Whether the connection is an ordinary one that stays open after the response, and hyper is done
/// with the request when it is held. Nobody reads the body of a GET: left in the stream, it would be
/// taken for the next request.
fn may_park(request: &Request<Inbound>) -> bool {
    let stays_open = request
        .headers()
        .get_all(CONNECTION)
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"keep-alive"));
    let is_read = request.method() == Method::POST || request.body().is_end_stream();
    request.version() == Version::HTTP_11 && stays_open && is_read
}

/// Answers a request of the admin listener.
async fn operators(
    http: &Http,
    loopback_only: bool,
    console: Option<&Console>,
    mut request: Request<Inbound>,
) -> Response<Body> {
    let app = &http.app;
    if let Err(problem) = host::settle(&mut request) {
        return admin::text(StatusCode::BAD_REQUEST, problem).map(Body::from);
    }
    if admin::serves(request.uri().path()) {
        let refused = admin::misdirected(request.headers(), loopback_only);
        return match refused {
            Some(refused) => refused.map(Body::from),
            // Boxed, so that connections of clients do not pay for its size.
            None => Box::pin(admin::respond_to_operator(http, request)).await,
        };
    }
    if request.uri().path() == metrics::PATH {
        return match admin::misdirected(request.headers(), loopback_only) {
            Some(refused) => refused.map(Body::from),
            None => {
                let (method, headers) = (request.method(), request.headers());
                metrics::respond(app, http.peer.ip(), method, headers, loopback_only).await
            }
        };
    }
    let readiness = if app.drain.is_announced() { Readiness::Draining } else { Readiness::Ready };
    let (method, path) = (request.method(), request.uri().path());
    let file = console.and_then(|console| console.respond(method, path, request.headers()));
    if let Some(file) = file {
        let refused = admin::misdirected(request.headers(), loopback_only);
        return refused.unwrap_or(file).map(Body::from);
    }
    admin::respond(method, path, request.headers(), readiness, loopback_only).map(Body::from)
}

/// Longer than the console waits between its questions.
pub(super) const ADMIN_IDLE_MAX: Duration = Duration::from_secs(5);
/// How long the rest of a request is awaited once the server stops.
const UNSENT_GRACE: Duration = Duration::from_secs(1);
/// hyper refuses a smaller buffer.
const HYPER_BUFFER_MIN: usize = 8 << 10;
