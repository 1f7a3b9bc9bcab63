//! The keys of `[session]`.

use super::{Setting, syntax};
use crate::config::{
    Activity, Config, Reload, SameSite,
    form::{AutoFlag, Choice, Count, FilePath, Flag, Optional, Size, Span, Text},
};

/// Builds the list of the keys of `[session]` and `[session.queue]`.
pub(super) fn settings() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "session.timeout",
            |c| &mut c.session.timeout,
            Span(100, 3_600_000),
            "How long `/meta/connect` is held when there is nothing to deliver; clients learn it \
             as `advice.timeout`. Keep it below the idle timeout of every proxy on the way.",
        ),
        Setting::new(
            "session.interval",
            |c| &mut c.session.interval,
            Span(0, 3_600_000),
            "Pause between two connects; clients learn it as `advice.interval`.",
        ),
        Setting::new(
            "session.max_interval",
            |c| &mut c.session.max_interval,
            Span(100, 86_400_000),
            "How long a session and its queue outlive the last connect. A client that stays away \
             longer gets `402::session_unknown` and starts anew.",
        ),
        Setting::new(
            "session.handshake_grace",
            |c| &mut c.session.handshake_grace,
            Span(100, 3_600_000),
            "How long a session lives between handshake and first connect. Any message of the \
             client starts it anew.",
        ),
        Setting::new(
            "session.ack",
            |c| &mut c.session.ack,
            Flag,
            "Offers the acknowledgement extension: a client that asks for it gets every message at \
             least once while its session lives. Unacknowledged messages count into \
             `[session.queue]`.",
        ),
        Setting::new(
            "session.timesync",
            |c| &mut c.session.timesync,
            Flag,
            "Answers the time synchronisation extension, by which clients learn the server's \
             clock.",
        ),
        Setting::new(
            "session.timestamp",
            |c| &mut c.session.timestamp,
            Flag,
            "Adds `timestamp` to replies and deliveries, as CometD's timestamp extension does.",
        ),
        Setting::new(
            "session.activity",
            |c| &mut c.session.activity,
            Choice(&[
                ("off", Activity::Off),
                ("client", Activity::Client),
                ("client_server", Activity::ClientServer),
            ]),
            "Ends sessions that connect and do nothing else for `session.max_inactivity`: their \
             client sends nothing (`client`), nor is anything sent to it (`client_server`).",
        ),
        Setting::new(
            "session.max_inactivity",
            |c| &mut c.session.max_inactivity,
            Span(100, 604_800_000),
            "How long. It is looked at when a connect arrives, so the end may come \
             `session.timeout` later.",
        ),
        Setting::new(
            "session.broadcast_to_publisher",
            |c| &mut c.session.broadcast_to_publisher,
            Flag,
            "Whether a publisher that subscribes to the channel gets its own message.",
        ),
        Setting::new(
            "session.meta_connect_deliver_only",
            |c| &mut c.session.meta_connect_deliver_only,
            Flag,
            "Whether messages travel only with replies to `/meta/connect`, on WebSocket too.",
        ),
        Setting::new(
            "session.deliver_during_handshake",
            |c| &mut c.session.deliver_during_handshake,
            Flag,
            "Whether messages that wait when a session opens travel with the handshake reply, \
             which then says how many as `x-messages`.",
        ),
        Setting::new(
            "session.max_lazy_timeout",
            |c| &mut c.session.max_lazy_timeout,
            Span(50, 3_600_000),
            "Longest time that a message of a lazy channel (`[[channels]]`) waits for others.",
        ),
        Setting::new(
            "session.handshake_reconnect",
            |c| &mut c.session.handshake_reconnect,
            Flag,
            "Tells clients `advice.maxInterval`, so that one that was away longer handshakes \
             without being told.",
        ),
        Setting::live(
            Reload::Now,
            "session.max_per_browser",
            |c| &mut c.session.max_per_browser,
            Optional { word: Some("unlimited"), form: Count(0, 1000) },
            "Most connects held at a time for one browser (cookie) over HTTP/1.1, where browsers \
             open six connections per host. Further ones are answered at once with the advice \
             `multiple-clients`. 0: none is held.",
        ),
        Setting::live(
            Reload::Now,
            "session.http2_max_per_browser",
            |c| &mut c.session.http2_max_per_browser,
            Optional { word: Some("unlimited"), form: Count(0, 1000) },
            "The same for browsers that speak HTTP/2 or later, as a trusted proxy tells by `Via`. \
             There all requests share a connection, of which servers commonly allow 100 at a time.",
        ),
        Setting::new(
            "session.multi_session_interval",
            |c| &mut c.session.multi_session_interval,
            Span(0, 3_600_000),
            "Pause between connects that is advised in that case.",
        ),
        Setting::live(
            Reload::Sessions,
            "session.queue.max_messages",
            |c| &mut c.session.queue.max_messages,
            Count(1, 1_000_000),
            "Most queued messages of a session.",
        ),
        Setting::live(
            Reload::Sessions,
            "session.queue.max_bytes",
            |c| &mut c.session.queue.max_bytes,
            Size(1 << 10, 1 << 30),
            "Most queued bytes of a session, as encoded for the wire.",
        ),
    ]
}

/// Builds the list of the keys of `[session.browser_cookie]`.
pub(super) fn browser_cookie() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "session.browser_cookie.name",
            |c| &mut c.session.browser_cookie.name,
            Text { allowed: "a cookie name", valid: syntax::is_token },
            "Name of the cookie; one that a WebSocket upgrade sets has `_WS` behind it.",
        ),
        Setting::new(
            "session.browser_cookie.require",
            |c| &mut c.session.browser_cookie.require,
            Flag,
            "Refuses messages of a session that come without its cookie (CometD's strictness).",
        ),
        Setting::new(
            "session.browser_cookie.secret_file",
            |c| &mut c.session.browser_cookie.secret_file,
            Optional { word: Some(""), form: FilePath },
            "File with the key that signs the cookie. Empty: a random key, so that cookies end \
             with the process.",
        ),
        Setting::new(
            "session.browser_cookie.same_site",
            |c| &mut c.session.browser_cookie.same_site,
            Choice(&[
                ("auto", SameSite::Auto),
                ("lax", SameSite::Lax),
                ("strict", SameSite::Strict),
                ("none", SameSite::None),
            ]),
            "The `SameSite` attribute. `auto`: `None` for an allowed cross-site https origin, else \
             `Lax`.",
        ),
        Setting::new(
            "session.browser_cookie.secure",
            |c| &mut c.session.browser_cookie.secure,
            AutoFlag,
            "The `Secure` attribute. `auto`: when a trusted proxy says `X-Forwarded-Proto: https`.",
        ),
        Setting::new(
            "session.browser_cookie.partitioned",
            |c| &mut c.session.browser_cookie.partitioned,
            AutoFlag,
            "The `Partitioned` attribute. `auto`: together with `SameSite=None`.",
        ),
        Setting::new(
            "session.browser_cookie.domain",
            |c| &mut c.session.browser_cookie.domain,
            Text {
                allowed: "a host name, or \"\"",
                valid: |text| text.is_empty() || syntax::is_host(text),
            },
            "The `Domain` attribute; empty: left out.",
        ),
        Setting::new(
            "session.browser_cookie.path",
            |c| &mut c.session.browser_cookie.path,
            Text { allowed: "a path like \"/\"", valid: syntax::is_cookie_path },
            "The `Path` attribute.",
        ),
        Setting::new(
            "session.browser_cookie.max_age",
            |c| &mut c.session.browser_cookie.max_age,
            Optional { word: Some("session"), form: Span(1000, 34_560_000_000) },
            "The `Max-Age` attribute; `session`: left out, the cookie ends with the browser.",
        ),
    ]
}
