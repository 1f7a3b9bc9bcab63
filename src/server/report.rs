//! What the server says of its clients in the log.
//!
//! One event per line; clientIds, cookies and payloads never, a session goes by its `sid`
//! (operations.md 8). Lines that clients cause are sampled, so that nobody fills the disk.

use tracing::{debug, info};

use super::{app::App, clock};
use crate::{
    bayeux::Refusal,
    broker::{Carrier, Cause, Session},
    telemetry::Allowed,
};

/// A session was opened.
pub(super) fn handshake(app: &App, session: &Session, carrier: Carrier) {
    let transport = if carrier == Carrier::Socket { "websocket" } else { "polling" };
    debug!(event = "handshake", ok = true, sid = app.sid(&session.id()), transport);
}

/// A message was answered with an error.
pub(super) fn refused(app: &App, channel: &str, session: Option<&Session>, refusal: Refusal) {
    let Allowed::Yes { suppressed } = app.sampler.allow("refused", clock::now()) else { return };
    let sid = session.map(|session| app.sid(&session.id()));
    let event = channel.strip_prefix("/meta/").unwrap_or("publish");
    info!(event, ok = false, sid, channel, error = %refusal, suppressed);
}

/// A request or frame could not be used at all.
pub(super) fn bad_request(app: &App, reason: &'static str, detail: &dyn std::fmt::Display) {
    let Allowed::Yes { suppressed } = app.sampler.allow(reason, clock::now()) else { return };
    info!(event = "error", reason, %detail, suppressed);
}

/// Sessions that ended since the last look.
pub(super) fn ended(app: &App) {
    for gone in app.broker.take_ended() {
        let (cause, discarded) = (gone.cause.as_str(), gone.discarded);
        let (sid, age_s) = (app.sid(&gone.id), gone.age.as_secs());
        match gone.cause {
            Cause::Client => debug!(event = "disconnect", sid, cause, age_s, discarded),
            Cause::Expired => {
                let key = "session.max_interval";
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
