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
    let failed = |text: String| Finding::fail(CHECK, text, &fix::IDLE, software);
    let handshake = handshake(&["websocket"], "");
    let id = match websocket::ask(&mut socket, &handshake, "/meta/handshake").await {
        Ok(reply) => reply.get("clientId").and_then(Value::as_str).unwrap_or_default().to_owned(),
        Err(text) => return failed(text),
    };
    let session = Session { id, ..offered.clone() };
    let at_once = session.connect("websocket", true);
    if let Err(text) = websocket::ask(&mut socket, &at_once, "/meta/connect").await {
        return failed(text);
    }
    let start = Instant::now();
    if let Err(error) = socket.send(&session.connect("websocket", false).to_string()).await {
        return failed(error.to_string());
    }
    let reply = websocket::reply(&mut socket, "/meta/connect");
    let reply = timeout(session.timeout.saturating_add(GRACE), reply).await;
    let held = start.elapsed();
    match reply {
        Ok(Ok(_)) => {
            websocket::leave(&mut socket, &session.id).await;
            kept(CHECK, held, session.timeout)
        }
        Ok(Err(text)) => {
            failed(format!("a WebSocket ends after {:.1} s: {text}", held.as_secs_f64()))
        }
        Err(_) => failed(format!("no reply over a WebSocket after {:.1} s", held.as_secs_f64())),
    }
}

/// The finding about a connect that was answered well.
fn kept(check: &'static str, held: Duration, advised: Duration) -> Finding {
    let (held_s, advised_s) = (held.as_secs_f64(), advised.as_secs_f64());
    if held.mul_f64(1.1) < advised {
        let text = format!("answered after {held_s:.1} s, before the advised {advised_s:.1} s");
        return Finding::warn(check, text, &fix::Fix::NONE, Software::Unknown);
    }
    Finding::pass(check, format!("not cut in {held_s:.1} s, as long as the server holds a connect"))
}

/// On top of the advised time.
const GRACE: Duration = Duration::from_secs(15);
