//! What the server says of its clients in the log.
//!
//! One event per line; clientIds, cookies and payloads never, a session goes by its `sid`
//! (operations.md 8). Lines that clients cause are sampled, so that nobody fills the disk.

use std::{fmt::Display, net::IpAddr};

use tracing::{debug, field::display, info, warn};

use super::{app::App, clock, services::Failure};
use crate::{
    bayeux::{ChannelName, Refusal},
    broker::{Carrier, Cause, Session},
    telemetry::Allowed,
};

/// A session was opened.
pub(super) fn handshake(app: &App, client: IpAddr, session: &Session, carrier: Carrier) {
    let transport = if carrier == Carrier::Socket { "websocket" } else { "polling" };
    let (sid, ip) = (display(app.sid(&session.id())), ip(app, client));
    debug!(event = "handshake", ok = true, sid, ip, transport);
}

/// A message was answered with an error.
pub(super) fn refused(
    app: &App,
    client: IpAddr,
    channel: &str,
    session: Option<&Session>,
    refusal: Refusal,
) {
    let Allowed::Yes { suppressed } = app.sampler.allow("refused", clock::now()) else { return };
    let (sid, ip) = (session.map(|session| display(app.sid(&session.id()))), ip(app, client));
    let channel = shown(channel);
    info!(event = event(channel), ok = false, sid, ip, channel, error = %refusal, suppressed);
}

/// A publish over HTTP was refused.
pub(super) fn publish_refused(app: &App, client: IpAddr, code: &'static str, detail: &str) {
    let Allowed::Yes { suppressed } = app.sampler.allow(code, clock::now()) else { return };
    let ip = ip(app, client);
    info!(event = "publish", ok = false, api = true, ip, error = code, detail, suppressed);
}

/// A call of a service failed. Its own refusals are between it and its callers; the rest an operator
/// should know.
pub(super) fn service_failed(
    app: &App,
    service: &ChannelName,
    session: &Session,
    failure: &Failure,
) {
    let sid = display(app.sid(&session.id()));
    if let Failure::Said(_) = failure {
        debug!(event = "service", ok = false, sid, %service, "the service refused a call");
        return;
    }
    let Allowed::Yes { suppressed } = app.sampler.allow("service", clock::now()) else { return };
    let error = failure.error();
    warn!(event = "service", ok = false, sid, %service, error, detail = %failure, suppressed);
}

/// A request or frame could not be used at all.
pub(super) fn bad_request(app: &App, client: IpAddr, reason: &'static str, detail: &dyn Display) {
    let Allowed::Yes { suppressed } = app.sampler.allow(reason, clock::now()) else { return };
    info!(event = "error", reason, ip = ip(app, client), %detail, suppressed);
}

/// What of an address `log.ip` lets through.
fn ip(app: &App, client: IpAddr) -> Option<String> {
    app.config.log.ip.shorten(client).map(|ip| ip.to_string())
}

/// The name of the event in which a channel plays a part: from a closed list, because the channel is
/// the client's text.
fn event(channel: &str) -> &'static str {
    match channel {
        "/meta/handshake" => "handshake",
        "/meta/connect" => "connect",
        "/meta/subscribe" => "subscribe",
        "/meta/unsubscribe" => "unsubscribe",
        "/meta/disconnect" => "disconnect",
        _ => "publish",
    }
}

/// As much of a channel as a line shows: a refused one may be as long as a message.
fn shown(channel: &str) -> &str {
    channel.get(..channel.floor_char_boundary(CHANNEL_BYTES_SHOWN)).unwrap_or_default()
}

/// Sessions that ended since the last look.
pub(super) fn ended(app: &App) {
    for gone in app.broker.take_ended() {
        let (cause, discarded) = (gone.cause.as_str(), gone.discarded);
        let (sid, age_s) = (display(app.sid(&gone.id)), gone.age.as_secs());
        match gone.cause {
            Cause::Client => debug!(event = "disconnect", sid, cause, age_s, discarded),
            Cause::Expired => {
                let key = "session.max_interval";
                info!(event = "disconnect", sid, cause, age_s, discarded, key);
            }
            Cause::Idle => {
                let key = "session.max_inactivity";
                info!(event = "disconnect", sid, cause, age_s, discarded, key);
            }
            Cause::Slow => {
                let key = "session.queue";
                info!(event = "disconnect", sid, cause, age_s, discarded, key);
            }
            Cause::Limit => {
                let key = "limits.queued_bytes";
                info!(event = "disconnect", sid, cause, age_s, discarded, key);
            }
            Cause::Kicked => info!(event = "disconnect", sid, cause, age_s, discarded),
        }
    }
}

/// The default of `limits.channel_length`.
const CHANNEL_BYTES_SHOWN: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_client_becomes_the_name_of_an_event() {
        assert_eq!(event("/meta/connect"), "connect");
        for channel in ["", "/a", "/meta/", "/meta/connect/", "/meta/panic", "/meta/error\n"] {
            assert_eq!(event(channel), "publish", "{channel:?}");
        }
    }

    #[test]
    fn a_long_channel_is_cut_at_a_character() {
        assert_eq!(shown("/a"), "/a");
        assert_eq!(shown(&"ä".repeat(200)).len(), 254);
    }
}
