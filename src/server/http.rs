//! HTTP connections: accepting them, and one hyper connection each.
//!
//! hyper reads heads and writes responses; its missing deadlines and bounds are ours
//! (architecture.md 11, traps 8 to 14). On an upgrade the socket leaves hyper, together with its
//! place among the connections.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc};

use hyper::{
    Request, Response, body::Incoming, header::CONNECTION, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::select;
use tracing::debug;

use super::{
    admin::{self, Readiness},
    app::App,
    body::Body,
    files::Files,
    listen::{Accepted, Acceptor, Deadlines, HeadClock, Permit, Timed},
    route::{self, Routed},
};

/// What a listener is for.
#[derive(Clone)]
pub(super) enum Listener {
    /// Bayeux, and static files if there are any.
    Main { files: Option<Arc<Files>> },
    /// Probes.
    Admin { loopback_only: bool },
}

/// One connection, as its requests see it.
pub(super) struct Http {
    pub(super) app: Arc<App>,
    pub(super) peer: SocketAddr,
    /// Outlives hyper's connection when a WebSocket takes the socket over.
    pub(super) permit: Arc<Permit>,
    listener: Listener,
    heads: Arc<HeadClock>,
}

/// Accepts connections for ever; dropped, it lets go of its listener only.
pub(super) async fn accept(app: Arc<App>, mut acceptor: Acceptor, listener: Listener) {
    loop {
        let accepted = acceptor.accept().await;
        let serving = serve(Arc::clone(&app), accepted, listener.clone());
        match listener {
            Listener::Main { .. } => app.tasks.spawn(serving),
            // No stop waits for probes: they are answered until the end.
            Listener::Admin { .. } => tokio::spawn(serving),
        };
    }
}

async fn serve(app: Arc<App>, accepted: Accepted, listener: Listener) {
    let limits = &app.config.limits;
    let is_main = matches!(listener, Listener::Main { .. });
    let heads = Arc::new(HeadClock::default());
    let deadlines =
        Deadlines { header_timeout: limits.header_timeout, write_timeout: limits.write_timeout };
    let stream = TokioIo::new(Timed::new(accepted.stream, deadlines, Arc::clone(&heads)));
    let http = Arc::new(Http {
        app: Arc::clone(&app),
        peer: accepted.peer,
        permit: Arc::new(accepted.permit),
        listener,
        heads,
    });
    let service = service_fn(move |request| respond(Arc::clone(&http), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Runs between requests too, so it is the keep-alive time; heads that have begun are timed
        // by `Timed`.
        .header_read_timeout(limits.keep_alive)
        .max_headers(limits.header_count)
        .max_buf_size((limits.header_bytes + limits.uri_bytes).max(HYPER_BUFFER_MIN))
        .serve_connection(stream, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    // A connection that is told to stop before its first request never answers it, and a probe has to
    // hear that the broker drains.
    let stop = async { if is_main { app.drain.begins().await } else { app.drain.ended().await } };
    let ended = select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            select! {
                ended = connection => ended,
                () = app.drain.ended() => return,
            }
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}

/// Marks the head as complete at once, not when the future is first polled.
fn respond(
    http: Arc<Http>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> {
    http.heads.request_received();
    async move {
        let response = match &http.listener {
            Listener::Main { files } => {
                // Boxed, and in a block of its own: a held poll keeps only what holding needs.
                let held = {
                    match Box::pin(route::respond(&http, files.as_deref(), request)).await {
                        Routed::Held(held) => held,
                        Routed::Ready(response) => {
                            // Set for one reason only: the body was not read to its end.
                            if response.headers().get(CONNECTION).is_some_and(|v| v == "close") {
                                http.heads.leave_body();
                            }
                            http.heads.response_done();
                            return Ok(response);
                        }
                    }
                };
                held.respond(&http.app).await
            }
            Listener::Admin { loopback_only } => operators(&http.app, *loopback_only, &request),
        };
        http.heads.response_done();
        Ok(response)
    }
}

fn operators(app: &App, loopback_only: bool, request: &Request<Incoming>) -> Response<Body> {
    let readiness = if app.drain.is_announced() { Readiness::Draining } else { Readiness::Ready };
    let (method, path) = (request.method(), request.uri().path());
    admin::respond(method, path, request.headers(), readiness, loopback_only).map(Body::from)
}

/// hyper refuses a smaller buffer.
const HYPER_BUFFER_MIN: usize = 8 << 10;
