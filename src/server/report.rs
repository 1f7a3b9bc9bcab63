//! What the server says of its clients: a line in the log, an event to whoever listens.
//!
//! One event per line, named alike in both; clientIds, cookies and payloads never, a session goes by its
//! `sid` (operations.md 8, monitoring.md 7). Lines that clients cause are sampled, so that nobody fills
//! the disk; listeners have a pace of their own.

use std::{fmt::Display, net::IpAddr, time::Duration};

use tracing::{debug, field::display, info, warn};

use super::{app::App, clock, dispatch::Sender, services::Failure, whence::stranger};
use crate::{
    bayeux::{ChannelName, Message, Refusal, ext_keys, shown_key},
    broker::{About, Cause, Session},
    config::Transport,
    events::{
        Auth, ConnectKind, EventType, Glance, NodeEvent, Operation, Sid, Subject, Subscribed,
        TransportKind, Via, What, cut,
    },
    metrics::{BadRequest, HandshakeResult, LimitHit, Route},
    telemetry::Allowed,
};

mod channel;
mod notice;
mod steering;
mod tally;

use self::channel::{event, shown};
pub(super) use self::notice::Notice;
pub(super) use self::steering::{demoted, promoted, upgrades_refused};

/// A session was opened; `moved_from`: in the place of another one, by fallback.
pub(super) fn handshake(
    app: &App,
    sender: &Sender<'_>,
    session: &Session,
    message: &Message<'_>,
    moved_from: Option<Sid>,
) {
    app.metrics.handshakes.add(HandshakeResult::Ok, 1);
    app.metrics.sessions_created.add(Route::By(sender.transport), 1);
    let transport = sender.transport.name();
    let (sid, ip) = (session.sid().map(display), ip(app, sender.address));
    debug!(
        event = "handshake",
        ok = true,
        sid,
        ip,
        transport,
        moved_from = moved_from.map(display)
    );
    let auth = if shown_key(message.ext).is_some() { Auth::Key } else { Auth::Anonymous };
    app.broker
        .tell(session, About::of(EventType::Handshake), || handshake_of(message, auth, moved_from));
}

/// A connect was taken.
pub(super) fn connected(app: &App, session: &Session, kind: ConnectKind, gap: Option<Duration>) {
    let about = About { poll: kind == ConnectKind::Poll, ..About::of(EventType::Connect) };
    if !about.poll {
        let (sid, kind) = (session.sid().map(display), kind.as_str());
        let transport = session.transport().map(Transport::name);
        debug!(event = "connect", ok = true, sid, transport, kind);
    }
    app.broker.tell(session, about, || What::Connect { kind, gap });
}

/// A connect was answered because its time was up: what a healthy client without messages does all day.
pub(super) fn timed_out(app: &App, session: &Session) {
    let about = About { poll: true, ..About::of(EventType::Connect) };
    let what = || What::Connect { kind: ConnectKind::Timeout, gap: None };
    app.broker.tell(session, about, what);
}

/// A live session came over another transport.
pub(super) fn switched(app: &App, session: &Session, from: Transport, to: Transport) {
    app.metrics.transport_switches.add((), 1);
    let (sid, before) = (session.sid().map(display), from.name());
    debug!(event = "transport", kind = "switch", sid, from = before, to = to.name());
    app.broker.tell(session, About::of(EventType::Transport), || What::Transport {
        kind: TransportKind::Switch,
        from,
        to,
        breaks: None,
        window: None,
        until: None,
    });
}

/// A session subscribed, or took a subscription back.
pub(super) fn subscribed(app: &App, session: &Session, subscribe: bool, name: &ChannelName) {
    let (kind, make) = subscription(subscribe);
    let channel = name.as_str();
    let sid = session.sid().map(display);
    if app.broker.is_monitoring(name) {
        // Who sees others is worth a line (monitoring.md 6).
        info!(event = kind.as_str(), ok = true, sid, channel);
    } else {
        debug!(event = kind.as_str(), ok = true, sid, channel);
    }
    let total = app.broker.subscriptions(session);
    app.broker.tell(session, About::of(kind).on(channel), || {
        make(Subscribed { channel: name.to_shared(), pattern: name.is_pattern(), total })
    });
}

/// A message was answered with an error. `name` is the one of several subscriptions that failed.
pub(super) fn refused(
    app: &App,
    sender: &Sender<'_>,
    message: &Message<'_>,
    name: Option<&str>,
    session: Option<&Session>,
    refusal: Refusal,
) {
    let channel = shown(message.channel.as_deref().unwrap_or_default());
    let kind = event(channel);
    tally::refused(app, channel, kind, refusal);
    log_refused(app, sender.address, kind, name.map_or(channel, shown), session, refusal);
    let about = match kind {
        EventType::Subscribe | EventType::Unsubscribe => {
            About::of(kind).on(shown(name.unwrap_or("")))
        }
        EventType::Publish => About::of(kind).on(channel),
        _ => About::of(kind),
    };
    let total = session.map_or(0, |session| app.broker.subscriptions(session));
    let what = || match kind {
        EventType::Handshake => handshake_of(message, Auth::Anonymous, None),
        // Whoever comes with a session that is not known thinks that it goes on.
        EventType::Connect => What::Connect { kind: ConnectKind::Resume, gap: None },
        EventType::Subscribe | EventType::Unsubscribe => {
            let name = shown(name.unwrap_or(""));
            let (_, make) = subscription(kind == EventType::Subscribe);
            make(Subscribed { channel: name.into(), pattern: name.ends_with('*'), total })
        }
        EventType::Publish => What::Publish {
            channel: channel.into(),
            size: message.data.map_or(0, |data| data.get().len()),
            fanout: 0,
            via: Via::Bayeux,
            data: None,
        },
        _ => What::Error { status: "session", detail: channel.into() },
    };
    match session.filter(|session| session.sid().is_some()) {
        Some(session) => app.broker.tell(session, about.refused(refusal), what),
        None => {
            let glance = Glance { channel: about.channel, refused: true, ..Glance::of(kind) };
            app.broker.events().tell(&glance, Some(refusal), || {
                let peer = sender.whence.peer(app, sender.address, None, None);
                (Subject { peer: Some(peer), transport: Some(sender.transport) }, what())
            });
        }
    }
}

fn log_refused(
    app: &App,
    client: IpAddr,
    kind: EventType,
    channel: &str,
    session: Option<&Session>,
    refusal: Refusal,
) {
    let Allowed::Yes { suppressed } = app.sampler.allow("refused", clock::now()) else { return };
    let (sid, ip) = (session.and_then(Session::sid).map(display), ip(app, client));
    info!(event = kind.as_str(), ok = false, sid, ip, channel, error = %refusal, suppressed);
}

/// An operator published, or was refused with a code.
pub(super) fn operator_published(
    app: &App,
    client: IpAddr,
    key: &str,
    channel: Option<&str>,
    error: Option<&'static str>,
) {
    let (ip, ok, channel) = (ip(app, client), error.is_none(), channel.map(shown));
    info!(event = "admin", ok, %key, ip, call = "publish", channel, error);
}

/// What the publish API refused.
pub(super) struct RefusedPublish<'a> {
    /// The code of the answer.
    pub(super) code: &'static str,
    /// Its sentence.
    pub(super) detail: &'a str,
    /// The limit that was hit and its value, if that is why.
    pub(super) limit: Option<(&'static str, u64)>,
    /// The id of the key, if it is one of ours.
    pub(super) key: Option<&'a str>,
    /// The channel of the message, as it was sent; `None`: the request was refused as a whole.
    pub(super) channel: Option<&'a str>,
}

/// A publish over HTTP was refused. Its line and its event have one type, which says why:
/// `auth`, `limit` or `error`.
pub(super) fn publish_refused(app: &App, client: IpAddr, refused: &RefusedPublish<'_>) {
    let RefusedPublish { code, detail, limit, key, channel } = *refused;
    tally::publish_refused(app, code);
    let kind = match (code, limit) {
        ("unauthorized", _) => {
            tell(app, client, EventType::Auth, || What::Auth { op: Operation::Api });
            EventType::Auth
        }
        (_, Some((limit, value))) => {
            tell(app, client, EventType::Limit, || What::Limit { limit, value });
            EventType::Limit
        }
        _ => {
            tell_error(app, client, code, &detail);
            EventType::Error
        }
    };
    let Allowed::Yes { suppressed } = app.sampler.allow(code, clock::now()) else { return };
    let (event, ip, channel) = (kind.as_str(), ip(app, client), channel.map(shown));
    info!(event, ok = false, api = true, key, channel, ip, error = code, detail, suppressed);
}

/// A key was refused.
pub(super) fn key_refused(app: &App, client: IpAddr, op: Operation) {
    tally::key_refused(app, op);
    tell(app, client, EventType::Auth, || What::Auth { op });
    let Allowed::Yes { suppressed } = app.sampler.allow("key", clock::now()) else { return };
    info!(event = "auth", ok = false, ip = ip(app, client), op = op.as_str(), suppressed);
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

/// A request or text could not be used at all.
pub(super) fn bad_request(app: &App, client: IpAddr, reason: BadRequest, detail: &dyn Display) {
    bad(app, client, None, reason, detail);
}

/// A WebSocket, perhaps that of a session, has to be closed for what came over it.
pub(super) fn bad_frame(
    app: &App,
    client: IpAddr,
    session: Option<&Session>,
    detail: &dyn Display,
) {
    bad(app, client, session, BadRequest::Frame, detail);
}

fn bad(
    app: &App,
    client: IpAddr,
    session: Option<&Session>,
    reason: BadRequest,
    detail: &dyn Display,
) {
    app.metrics.bad_requests.add(reason, 1);
    let reason = reason.as_str();
    let session = session.filter(|session| session.sid().is_some());
    if let Allowed::Yes { suppressed } = app.told.allow(reason, clock::now()) {
        let what = || error_of(reason, detail, suppressed);
        match session {
            Some(session) => app.broker.tell(session, About::of(EventType::Error), what),
            None => tell(app, client, EventType::Error, what),
        }
    }
    let Allowed::Yes { suppressed } = app.sampler.allow(reason, clock::now()) else { return };
    let sid = session.and_then(Session::sid).map(display);
    info!(event = "error", reason, sid, ip = ip(app, client), %detail, suppressed);
}

/// A request went beyond a limit.
pub(super) fn limited(app: &App, client: IpAddr, limit: LimitHit, value: usize) {
    app.metrics.limit_hits.add(limit, 1);
    let limit = limit.as_str();
    tell(app, client, EventType::Limit, || What::Limit { limit, value: value as u64 });
    let Allowed::Yes { suppressed } = app.sampler.allow(limit, clock::now()) else { return };
    info!(event = "limit", limit, value, ip = ip(app, client), suppressed);
}

/// The node starts or stops.
pub(super) fn node(app: &App, event: NodeEvent) {
    app.broker
        .events()
        .emit(&Glance::of(EventType::Node), || (Subject::default(), What::Node { event }));
}

/// Tells of somebody without a session.
fn tell(app: &App, client: IpAddr, kind: EventType, what: impl FnOnce() -> What) {
    let glance = Glance { refused: true, ..Glance::of(kind) };
    app.broker
        .events()
        .emit(&glance, || (Subject { peer: Some(stranger(app, client)), transport: None }, what()));
}

/// Tells of a bad request, a few a second of each kind (monitoring.md 4): clients make them at will, and the
/// pace of a monitor is for what it cannot know otherwise.
fn tell_error(app: &App, client: IpAddr, status: &'static str, detail: &dyn Display) {
    let Allowed::Yes { suppressed } = app.told.allow(status, clock::now()) else { return };
    tell(app, client, EventType::Error, || error_of(status, detail, suppressed));
}

fn error_of(status: &'static str, detail: &dyn Display, suppressed: u64) -> What {
    let detail = detail.to_string();
    let shown = cut(&detail, DETAIL_CHARS);
    let detail = match suppressed {
        0 => shown.into(),
        more => format!("{shown} (and {more} others before)").into(),
    };
    What::Error { status, detail }
}

fn handshake_of(message: &Message<'_>, auth: Auth, moved_from: Option<Sid>) -> What {
    let types = message.connection_types.iter().flatten().take(NAMES_TOLD);
    let short = |text: &str| Box::from(cut(text, NAME_CHARS));
    What::Handshake {
        types: types.map(|name| short(name)).collect(),
        ext_keys: ext_keys(message.ext, NAMES_TOLD).iter().map(|name| short(name)).collect(),
        moved_from,
        auth,
    }
}

fn subscription(subscribe: bool) -> (EventType, fn(Subscribed) -> What) {
    if subscribe {
        (EventType::Subscribe, What::Subscribe)
    } else {
        (EventType::Unsubscribe, What::Unsubscribe)
    }
}

/// What of an address `log.ip` lets through.
fn ip(app: &App, client: IpAddr) -> Option<String> {
    app.live.log_ip.now().shorten(client).map(|ip| ip.to_string())
}

/// Writes sessions that ended since the last look, and subscriptions that were not renewed, into the
/// log; listeners knew of ends at once.
pub(super) fn ended(app: &App) {
    steering::unclaimed(app);
    for gone in app.broker.take_ended() {
        let (cause, discarded) = (gone.cause.as_str(), gone.discarded);
        let (sid, age_s) = (display(app.sid(&gone.id)), gone.age.as_secs());
        let key = match gone.cause {
            Cause::Client | Cause::Moved => {
                debug!(event = "disconnect", sid, cause, age_s, discarded);
                continue;
            }
            Cause::Expired => Some("session.max_interval"),
            Cause::Idle => Some("session.max_inactivity"),
            Cause::Slow => Some("session.queue"),
            Cause::Limit => Some("limits.queued_bytes"),
            Cause::Kicked | Cause::Drain => None,
        };
        info!(event = "disconnect", sid, cause, age_s, discarded, key);
    }
}

/// Characters of the text of an error that events show.
const DETAIL_CHARS: usize = 200;
/// Transports and names in `ext` that events show, and the characters of each.
const NAMES_TOLD: usize = 16;
const NAME_CHARS: usize = 64;
