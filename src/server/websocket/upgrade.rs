//! The opening handshake: from a GET to a WebSocket connection of its own.
//!
//! Source: RFC 6455 4.2; protocol.md 87, 98, 106-108.

use std::{net::IpAddr, sync::Arc};

use hyper::{
    HeaderMap, Request, Response, StatusCode, Version,
    body::Body as _,
    header::{
        CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, SET_COOKIE, UPGRADE,
    },
    upgrade::{OnUpgrade, Upgraded as HyperUpgraded},
};
use hyper_util::rt::TokioIo;
use tracing::debug;

use super::{
    Connection, Upgraded, connection,
    io::{Socket, SocketOptions},
};
use crate::{
    config::Transport,
    server::{
        app::App,
        body::Body,
        cookie::{Occasion, Presented},
        forwarded::Client,
        http::Http,
        inbound::Inbound,
        link::Link,
        listen::{Permit, Timed},
        origin::{RequestKind, Verdict},
        polling::Poller,
        route::text,
        whence::page,
    },
    ws,
};

/// Whether a GET asks for a WebSocket.
pub(in crate::server) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    })
}

/// Answers the request with 101 and starts the connection's task, or says what is wrong with it.
pub(in crate::server) fn respond(
    http: &Http,
    request: Request<Inbound>,
    client: Client,
) -> Response<Body> {
    let app = &http.app;
    if !app.offers(Transport::WebSocket) {
        return text(StatusCode::BAD_REQUEST, "the transport websocket is not enabled\n");
    }
    if let Verdict::Refused(problem) =
        app.check_origin(RequestKind::Upgrade, request.headers(), client.scheme)
    {
        return text(StatusCode::FORBIDDEN, problem);
    }
    let agreed = match agree(app, &request, &app.config.transports.websocket.protocol) {
        Ok(agreed) => agreed,
        Err(refused) => return refused.response(),
    };
    let headers = request.headers();
    let cookies = app.cookies.presented(headers);
    if app.fallback.refuses(app, client.address, &cookies) {
        let problem = "WebSockets of this browser pass nothing: use long-polling\n";
        return text(StatusCode::SERVICE_UNAVAILABLE, problem);
    }
    let counts_seconds = Poller::counts_seconds(headers);
    let (browser, set_cookie) = app.browser(&cookies, headers, client.scheme, Occasion::Upgrade);
    let upgraded = Upgraded {
        cookies,
        browser: Some(browser),
        counts_seconds,
        address: client.address,
        transport: Transport::WebSocket,
        page: Some(page(app, headers)),
        monitors_only: false,
    };
    let mut response = switch(http, request, agreed, upgraded);
    response.headers_mut().extend(set_cookie.map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// As [`respond`], on the operators' listener, which has checked where the request comes from: for
/// those who may monitor, whatever transports clients are offered, and without cookies.
pub(in crate::server) fn respond_to_operator(
    http: &Http,
    request: Request<Inbound>,
    address: IpAddr,
) -> Response<Body> {
    let agreed = match agree(&http.app, &request, "") {
        Ok(agreed) => agreed,
        Err(refused) => return refused.response(),
    };
    let upgraded = Upgraded {
        cookies: Presented::default(),
        browser: None,
        counts_seconds: false,
        address,
        transport: Transport::WebSocket,
        page: Some(page(&http.app, request.headers())),
        monitors_only: true,
    };
    switch(http, request, agreed, upgraded)
}

/// Says 101 and has the connection's task wait for the socket.
fn switch(
    http: &Http,
    mut request: Request<Inbound>,
    agreed: Agreed,
    upgraded: Upgraded,
) -> Response<Body> {
    let app = &http.app;
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let reply = response.headers_mut();
    reply.insert(UPGRADE, HeaderValue::from_static("websocket"));
    reply.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    reply.insert(SEC_WEBSOCKET_ACCEPT, agreed.accept);
    reply.extend(agreed.protocol.map(|name| (SEC_WEBSOCKET_PROTOCOL, name)));
    reply.extend(agreed.extensions.map(|value| (SEC_WEBSOCKET_EXTENSIONS, value)));

    let upgrade = hyper::upgrade::on(&mut request);
    let permit = Arc::clone(&http.permit);
    app.tasks.spawn(begin(Arc::clone(app), upgrade, agreed.options, upgraded, permit));
    response
}

/// Runs the connection once the 101 is written. `permit` stays until the socket is closed.
async fn begin(
    app: Arc<App>,
    upgrade: OnUpgrade,
    options: SocketOptions,
    upgraded: Upgraded,
    permit: Arc<Permit>,
) {
    // Boxed apart, so that the connection does not keep what only its beginning needs.
    let connection = Box::pin(take_over(app, upgrade, options, upgraded)).await;
    if let Some(connection) = connection {
        connection.serve().await;
    }
    drop(permit);
}

/// Takes the socket from hyper.
async fn take_over(
    app: Arc<App>,
    upgrade: OnUpgrade,
    options: SocketOptions,
    upgraded: Upgraded,
) -> Option<Box<Connection>> {
    match upgrade.await.map(HyperUpgraded::downcast::<TokioIo<Timed>>) {
        Ok(Ok(parts)) => {
            let (stream, ahead) = parts.io.into_inner().into_parts();
            let socket = Socket::new(stream, &[parts.read_buf, ahead].concat(), &options);
            Some(connection(app, Link::WebSocket(socket), upgraded))
        }
        Ok(Err(_)) => {
            debug!("an upgraded connection is not one of our streams");
            None
        }
        Err(error) => {
            debug!(%error, "upgrade failed");
            None
        }
    }
}

/// What both sides settle in the opening handshake.
struct Agreed {
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
    extensions: Option<HeaderValue>,
    options: SocketOptions,
}

/// Why an upgrade is refused.
enum Refused {
    Bad(&'static str),
    Version,
    Protocol(String),
}

impl Refused {
    fn response(self) -> Response<Body> {
        match self {
            Self::Bad(problem) => text(StatusCode::BAD_REQUEST, problem),
            Self::Version => {
                let mut response =
                    text(StatusCode::UPGRADE_REQUIRED, "WebSocket version 13 is needed\n");
                let version = HeaderValue::from_static("13");
                response.headers_mut().insert(SEC_WEBSOCKET_VERSION, version);
                response
            }
            Self::Protocol(name) => {
                let problem = format!("the sub-protocol '{name}' has to be offered\n");
                text(StatusCode::BAD_REQUEST, problem)
            }
        }
    }
}

/// `wanted` is the sub-protocol that has to be among the offers; empty: any will do.
fn agree(app: &App, request: &Request<Inbound>, wanted: &str) -> Result<Agreed, Refused> {
    let headers = request.headers();
    if request.version() != Version::HTTP_11 || !names(headers, &CONNECTION).any(is_upgrade_token) {
        return Err(Refused::Bad("a WebSocket upgrade needs HTTP/1.1 and Connection: Upgrade\n"));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes) != Some(b"13") {
        return Err(Refused::Version);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).and_then(|value| value.to_str().ok());
    let accept = key
        .and_then(ws::accept_key)
        .and_then(|accept| HeaderValue::try_from(accept).ok())
        .ok_or(Refused::Bad("Sec-WebSocket-Key has to be 16 bytes in base64\n"))?;
    // Its bytes would be read as frames.
    if !request.body().is_end_stream() {
        return Err(Refused::Bad("a WebSocket upgrade has no body\n"));
    }
    let deflate = app.config.transports.websocket.compression.then(|| {
        let offers: Vec<&str> = headers
            .get_all(SEC_WEBSOCKET_EXTENSIONS)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        ws::deflate::negotiate(&offers)
    });
    let deflate = deflate.flatten();
    let extensions =
        deflate.as_ref().and_then(|agreed| HeaderValue::try_from(agreed.response.as_str()).ok());
    Ok(Agreed {
        accept,
        protocol: protocol(headers, wanted)?,
        extensions,
        options: SocketOptions {
            limits: app.decode_limits(),
            deflate,
            write_timeout: app.live.write_timeout.now(),
        },
    })
}

/// The sub-protocol: the one that the configuration asks for, else the client's first offer, which
/// browsers want to see confirmed (protocol.md 106).
fn protocol(headers: &HeaderMap, wanted: &str) -> Result<Option<HeaderValue>, Refused> {
    let mut offers = names(headers, &SEC_WEBSOCKET_PROTOCOL);
    let chosen = if wanted.is_empty() {
        offers.next()
    } else {
        let offered = offers.find(|name| *name == wanted);
        Some(offered.ok_or_else(|| Refused::Protocol(wanted.to_owned()))?)
    };
    Ok(chosen.and_then(|name| HeaderValue::from_str(name).ok()))
}

/// The comma-separated elements of all headers of a name.
fn names<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .filter(|element| !element.is_empty())
}

fn is_upgrade_token(token: &str) -> bool {
    token.eq_ignore_ascii_case("upgrade")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that `call` returns.
    fn bytes<A, B, C, D, E, F>(_call: impl Fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    /// What an idle client costs in user space is this, its session and what tokio keeps of a socket,
    /// 2.4 KB together (benchmarks.md): each byte here is a megabyte at a million clients. Raise a
    /// bound only for something that a waiting connection needs; box the rest.
    #[test]
    fn an_idle_connection_stays_small() {
        let task = bytes(begin);
        assert!(task <= 704, "the task of a connection: {task} bytes");
        let connection = size_of::<Connection>();
        assert!(connection <= 512, "its state: {connection} bytes");
    }
}
