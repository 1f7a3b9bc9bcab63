//! What fallback does to clients.

use std::{net::IpAddr, time::Duration};

use tracing::{field::display, info};

use super::ip;
use crate::{
    broker::{About, Session},
    config::Transport,
    events::{EventType, TransportKind, What},
    server::{app::App, clock},
    telemetry::Allowed,
};

/// The client of a session is sent from WebSocket to long-polling, for `lasts`.
pub(in crate::server) fn demoted(
    app: &App,
    client: IpAddr,
    session: &Session,
    breaks: usize,
    window: Duration,
    lasts: Duration,
) {
    let (from, to) = (Transport::WebSocket, Transport::LongPolling);
    app.broker.tell(session, About::of(EventType::Transport), || What::Transport {
        kind: TransportKind::Demoted,
        from,
        to,
        breaks: u32::try_from(breaks).ok(),
        window: Some(window),
        until: Some(clock::time_of_day().saturating_add(lasts)),
    });
    let Allowed::Yes { suppressed } = app.sampler.allow("demoted", clock::now()) else { return };
    let (sid, ip) = (session.sid().map(display), ip(app, client));
    let (event, kind, key) = ("transport", "demoted", "transports.websocket.demote_after");
    let (from, to) = (from.name(), to.name());
    let (window_s, lasts_s) = (window.as_secs_f64(), lasts.as_secs_f64());
    info!(event, kind, sid, ip, from, to, breaks, window_s, lasts_s, key, suppressed);
}

/// The client of a session is sent back to WebSocket.
pub(in crate::server) fn promoted(app: &App, session: &Session) {
    let (from, to) = (Transport::LongPolling, Transport::WebSocket);
    app.broker.tell(session, About::of(EventType::Transport), || What::Transport {
        kind: TransportKind::Promoted,
        from,
        to,
        breaks: None,
        window: None,
        until: None,
    });
    let Allowed::Yes { suppressed } = app.sampler.allow("promoted", clock::now()) else { return };
    let (sid, from, to) = (session.sid().map(display), from.name(), to.name());
    info!(event = "transport", kind = "promoted", sid, from, to, suppressed);
}

/// The upgrades of a browser are refused, because nothing passes through its WebSockets.
pub(in crate::server) fn upgrades_refused(app: &App, client: IpAddr) {
    let Allowed::Yes { suppressed } = app.sampler.allow("mute", clock::now()) else { return };
    let (ip, key) = (ip(app, client), "transports.websocket.demote_after");
    info!(event = "transport", kind = "refused", ip, key, suppressed);
}

/// Subscriptions of moved clients that nobody renewed, since the last look.
pub(super) fn unclaimed(app: &App) {
    for gone in app.broker.take_unclaimed() {
        let (sid, policy) = (display(app.sid(&gone.id)), "unclaimed");
        let (subscriptions, dropped) = (gone.subscriptions, gone.discarded);
        info!(event = "queue", sid, policy, subscriptions, dropped);
    }
}
