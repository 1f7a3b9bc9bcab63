//! Whether a poll and a WebSocket are left alone for as long as the server holds a connect.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::{
    finding::Finding,
    fix::{self, Software},
    site::{Session, Site, handshake},
    websocket,
};
use crate::cli::socket::Socket;

/// A held connect over HTTP.
pub(super) async fn poll(site: &Site, software: Software) -> Finding {
    const CHECK: &str = "hold";
    let failed = |text: String| Finding::fail(CHECK, text, &fix::HOLD, software);
    let session = match site.session(&["long-polling"]).await {
        Ok(session) => session,
        Err(text) => return failed(text),
    };
    // CometD answers the first connect at once.
    if let Err(error) = site.post(&session.connect("long-polling", true), &session.cookies).await {
        return failed(error.to_string());
    }
    let mut held = site.seen_from(None);
    held.remote = site.remote.holding(session.timeout);
    let start = Instant::now();
    let answer = held.post(&session.connect("long-polling", false), &session.cookies).await;
    let (held, advised) = (start.elapsed(), session.timeout);
    site.leave(&session).await;
    match answer {
        Ok(answer) if answer.succeeds("/meta/connect") => kept(CHECK, held, advised),
        Ok(answer) => failed(format!(
            "a poll is {} after {:.1} s; the server holds it for {:.1} s",
            answer.summary(),
            held.as_secs_f64(),
            advised.as_secs_f64()
        )),
        Err(error) => failed(format!(
            "a poll ends after {:.1} s, though the server holds it for {:.1} s: {error}",
            held.as_secs_f64(),
            advised.as_secs_f64()
        )),
    }
}

/// A connect that is held over a WebSocket, on which only pings pass meanwhile.
pub(super) async fn idle(site: &Site, offered: &Session, software: Software) -> Finding {
    const CHECK: &str = "idle";
    if !offered.offers("websocket") {
        return Finding::skip(CHECK, "the server does not offer WebSocket");
    }
    let Ok(mut socket) = websocket::open(site, software).await else {
        return Finding::skip(CHECK, "no WebSocket opens");
    };
    match hold(&mut socket, offered).await {
        Ok((id, held)) => {
            websocket::leave(socket, &id).await;
            kept(CHECK, held, offered.timeout)
        }
        Err(text) => {
            socket.close().await;
            Finding::fail(CHECK, text, &fix::IDLE, software)
        }
    }
}

/// Opens a session and waits for the end of a connect; returns the clientId and how long that took.
///
/// # Errors
///
/// What came instead, in words.
async fn hold(socket: &mut Socket, offered: &Session) -> Result<(String, Duration), String> {
    let handshake = handshake(&["websocket"], "");
    let shaken = websocket::ask(socket, &handshake, "/meta/handshake").await?;
    let id = shaken.get("clientId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let session = Session { id, ..offered.clone() };
    let at_once = session.connect("websocket", true);
    websocket::ask(socket, &at_once, "/meta/connect").await?;
    let start = Instant::now();
    let connect = session.connect("websocket", false).to_string();
    socket.send(&connect).await.map_err(|error| error.to_string())?;
    let reply = websocket::reply(socket, "/meta/connect");
    let reply = timeout(session.timeout.saturating_add(GRACE), reply).await;
    let held = start.elapsed();
    let after = held.as_secs_f64();
    match reply {
        Ok(Ok(_)) => Ok((session.id, held)),
        Ok(Err(text)) => Err(format!("a WebSocket ends after {after:.1} s: {text}")),
        Err(_) => Err(format!("no reply over a WebSocket after {after:.1} s")),
    }
}

/// The finding about a connect that was answered well.
fn kept(check: &'static str, held: Duration, advised: Duration) -> Finding {
    let (held_s, advised_s) = (held.as_secs_f64(), advised.as_secs_f64());
    if held.mul_f64(1.1) < advised {
        let text = format!("answered after {held_s:.1} s, before the advised {advised_s:.1} s");
        return Finding::warn(check, text, &fix::Fix::NONE, Software::UNKNOWN);
    }
    Finding::pass(check, format!("not cut in {held_s:.1} s, as long as the server holds a connect"))
}

/// On top of the advised time.
const GRACE: Duration = Duration::from_secs(15);
