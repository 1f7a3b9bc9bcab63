//! Whether WebSockets open, and messages pass both ways.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{
    finding::Finding,
    fix::{self, Software},
    site::{Session, Site, handshake, of},
};
use crate::cli::socket::{self, Incident, Opening, Socket};

const CHECK: &str = "websocket";

/// Opens a WebSocket, shakes hands and connects over it.
pub(super) async fn check(site: &Site, offered: &Session, software: Software) -> Finding {
    if !offered.offers("websocket") {
        let text = "the server does not offer it; bayeuxd: transports.enabled";
        return Finding::skip(CHECK, text);
    }
    let start = Instant::now();
    let mut socket = match open(site, software).await {
        Ok(socket) => socket,
        Err(finding) => return finding,
    };
    let talked = Box::pin(talk(&mut socket)).await;
    let took = start.elapsed().as_millis();
    match talked {
        Ok(id) => {
            leave(socket, &id).await;
            Finding::pass(CHECK, format!("opens, and messages pass both ways ({took} ms)"))
        }
        Err(text) => {
            socket.close().await;
            Finding::fail(CHECK, format!("it opens, but {text}"), &fix::UPGRADE, software)
        }
    }
}

/// Shakes hands and connects; returns the clientId.
///
/// # Errors
///
/// What came instead, in words.
async fn talk(socket: &mut Socket) -> Result<String, String> {
    let opened = ask(socket, &handshake(&["websocket"], ""), "/meta/handshake").await;
    let opened = opened.map_err(|text| format!("a handshake over it fails: {text}"))?;
    let id = opened.get("clientId").and_then(Value::as_str);
    let id = id.ok_or_else(|| format!("a handshake over it is refused: {opened}"))?;
    let connect = json!([{
        "channel": "/meta/connect", "clientId": id, "connectionType": "websocket",
        "advice": { "timeout": 0 },
    }]);
    let connected = ask(socket, &connect, "/meta/connect").await;
    connected.map_err(|text| format!("a connect over it fails: {text}"))?;
    Ok(id.to_owned())
}

/// Opens a WebSocket.
///
/// # Errors
///
/// The finding that says why not.
pub(super) async fn open(site: &Site, software: Software) -> Result<Socket, Finding> {
    let failed = |text: String, fix| Finding::fail(CHECK, text, fix, software);
    match socket::open(&site.remote, &site.path, &site.with_origin(&[])).await {
        Ok(Opening::Open(socket)) => Ok(socket),
        Ok(Opening::Unproven) => {
            let text = "101 without the proof of a WebSocket server: a cache or filter answers";
            Err(failed(text.to_owned(), &fix::UPGRADE))
        }
        Ok(Opening::Refused(response)) => {
            let status = response.status();
            let fix = if status == StatusCode::FORBIDDEN { &fix::ORIGIN } else { &fix::UPGRADE };
            let text = format!("the upgrade is answered with {}", status.as_u16());
            Err(failed(text, fix))
        }
        Err(error) => Err(failed(format!("no upgrade: {error}"), &fix::UPGRADE)),
    }
}

/// Sends messages and waits for the reply on a meta channel.
///
/// # Errors
///
/// What came instead, in words.
pub(super) async fn ask(
    socket: &mut Socket,
    messages: &Value,
    channel: &str,
) -> Result<Value, String> {
    socket.send(&messages.to_string()).await.map_err(|error| error.to_string())?;
    timeout(REPLY_TIME, reply(socket, channel))
        .await
        .map_err(|_| "no reply within 10 s".to_owned())?
}

/// Waits for the reply on a meta channel.
///
/// # Errors
///
/// The WebSocket ends, in words.
pub(super) async fn reply(socket: &mut Socket, channel: &str) -> Result<Value, String> {
    loop {
        match socket.next().await {
            Ok(Incident::Text(text)) => {
                let messages: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
                if let Some(reply) = messages.into_iter().find(|message| of(message, channel)) {
                    return Ok(reply);
                }
            }
            Ok(Incident::Closed(code)) => return Err(format!("closed with {code}")),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Ends the session and the WebSocket; best effort.
pub(super) async fn leave(mut socket: Socket, id: &str) {
    let disconnect = json!([{ "channel": "/meta/disconnect", "clientId": id }]);
    let _: Result<Value, String> = ask(&mut socket, &disconnect, "/meta/disconnect").await;
    socket.close().await;
}

const REPLY_TIME: Duration = Duration::from_secs(10);
