//! Echoes WebSocket messages on the broker's own WebSocket stack.
//!
//! Made for conformance suites: text and binary, permessage-deflate, messages up to 32 MiB. Knows no
//! Bayeux and no limits on connections; not for production.
//!
//! `cargo run --example websocket_echo [PORT]` listens on 127.0.0.1 and prints the address. Without
//! PORT the system picks a free one.

use std::{convert::Infallible, error::Error, net::SocketAddr, time::Duration};

use bayeuxd::{
    server::websocket::io::{RecvError, SendError, Socket, SocketOptions},
    ws::{
        accept_key,
        decode::{DecodeLimits, Event},
        deflate::{Negotiated, negotiate},
    },
};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::Incoming,
    header::{
        CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    server::conn::http1,
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the address is this program's output")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(upgrade));
        tokio::spawn(connection.with_upgrades());
    }
}

/// Answers 101 and leaves the connection to [`echo`], or 400 if this is no upgrade to WebSocket.
async fn upgrade(mut request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new(String::new());
    let Some(accept) = accept(request.headers()) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let offers = request.headers().get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
    let offers: Vec<&str> = offers.filter_map(|value| value.to_str().ok()).collect();
    let deflate = negotiate(&offers);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(agreed) = deflate.as_ref().and_then(|agreed| agreed.response.parse().ok()) {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, agreed);
    }
    tokio::spawn(serve(hyper::upgrade::on(&mut request), deflate));
    Ok(response)
}

/// The answer to the key of a proper upgrade (RFC 6455 4.2.1).
fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let upgrade = headers.get(UPGRADE)?.as_bytes();
    let version = headers.get(SEC_WEBSOCKET_VERSION)?;
    if !upgrade.eq_ignore_ascii_case(b"websocket") || version != "13" {
        return None;
    }
    accept_key(headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?)?.parse().ok()
}

async fn serve(upgrade: OnUpgrade, deflate: Option<Negotiated>) {
    let Ok(upgraded) = upgrade.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
    let options = SocketOptions {
        limits: DecodeLimits { message_bytes: 32 << 20, fragments: 1 << 20, excess_factor: 0 },
        deflate,
        write_timeout: Duration::from_secs(10),
    };
    let mut socket = Socket::new(parts.io.into_inner(), &parts.read_buf, &options);
    if echo(&mut socket).await.is_ok() {
        socket.shut_down(Duration::from_secs(2)).await;
    }
}

/// Echoes until a close frame has been sent.
async fn echo(socket: &mut Socket<TcpStream>) -> Result<(), SendError> {
    loop {
        match socket.recv().await {
            Ok(Event::Text(payload)) => socket.send_text(&payload).await?,
            Ok(Event::Binary(payload)) => socket.send_binary(&payload).await?,
            Ok(Event::Ping(payload)) => socket.send_pong(&payload).await?,
            // Of an excess nothing comes with these limits.
            Ok(Event::Pong | Event::Excess(_)) => {}
            Ok(Event::Close(code, _)) => return socket.send_close(code, "").await,
            Err(RecvError::Violation(violation)) => {
                return socket.send_close(Some(violation.code), violation.reason).await;
            }
            Err(RecvError::Closed(error)) => return Err(SendError::Closed(error)),
        }
    }
}
