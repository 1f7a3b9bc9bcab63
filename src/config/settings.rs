//! The one list of keys: what each is called, means and allows, and where its value lives.
//!
//! Reading, printing, `config init` and docs/configuration.md all follow this list, so a key exists
//! in all of them or in none. Defaults are those of `Config::default()`.

use toml::Value;

use super::{
    Activity, ChannelRule, Config, LogFormat, LogIp, Promote, QueuePolicy, SameSite, Transport,
    form::{
        Address, AutoFlag, Choice, Count, FilePath, Flag, Form, List, Optional, OrUnlimited, Size,
        Span, Text,
    },
};

mod api;
mod monitor;
mod services;
mod syntax;

#[cfg(test)]
pub(crate) use self::syntax::EVENT_TYPES;
pub(super) use self::{
    api::{KEYS, key_settings},
    services::{SERVICES, service_settings},
};

/// A section of the file, in the order of the documentation.
pub(super) struct Section {
    /// Its dotted name.
    pub(super) name: &'static str,
    /// What it is about; one sentence.
    pub(super) doc: &'static str,
}

/// One key of a `T`: of [`Config`], or of [`ChannelRule`].
pub(super) struct Setting<T> {
    /// Dotted, as in `session.queue.max_bytes`.
    pub(super) key: &'static str,
    /// What operators should know, in Markdown; allowed values and default are not repeated here.
    pub(super) doc: &'static str,
    field: Box<dyn Field<T>>,
}

/// A field of a `T`, read and printed without knowing its type.
trait Field<T> {
    fn read(&self, target: &mut T, value: &Value) -> bool;
    fn show(&self, target: &mut T) -> Option<Value>;
    fn allowed(&self) -> String;
}

/// A field of type `V` and the form it is written in. One accessor serves reading and printing.
struct Slot<T, V, F> {
    at: fn(&mut T) -> &mut V,
    form: F,
}

impl<T> Setting<T> {
    fn new<V: 'static, F: Form<V> + 'static>(
        key: &'static str,
        at: fn(&mut T) -> &mut V,
        form: F,
        doc: &'static str,
    ) -> Self
    where
        T: 'static,
    {
        Self { key, doc, field: Box::new(Slot { at, form }) }
    }

    /// Puts a value into its field; false, and nothing changed, if the value is not allowed.
    pub(super) fn read(&self, target: &mut T, value: &Value) -> bool {
        self.field.read(target, value)
    }

    /// Returns the value as it would be written; `None` if it is said by leaving the key out.
    pub(super) fn show(&self, target: &T) -> Option<Value>
    where
        T: Clone,
    {
        self.field.show(&mut target.clone())
    }

    /// Names the allowed values; completes "expected …".
    pub(super) fn allowed(&self) -> String {
        self.field.allowed()
    }

    /// Returns the section and the name in it.
    pub(super) fn split(&self) -> (&'static str, &'static str) {
        self.key.rsplit_once('.').unwrap_or(("", self.key))
    }
}

impl<T, V, F: Form<V>> Field<T> for Slot<T, V, F> {
    fn read(&self, target: &mut T, value: &Value) -> bool {
        match self.form.read(value) {
            Some(value) => {
                *(self.at)(target) = value;
                true
            }
            None => false,
        }
    }

    fn show(&self, target: &mut T) -> Option<Value> {
        self.form.show((self.at)(target))
    }

    fn allowed(&self) -> String {
        self.form.allowed()
    }
}

/// The key of the list of channel rules, which is no plain setting.
pub(super) const RULES: &str = "channels";

/// Every section, in the order of the documentation.
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "server", doc: "Listening, origins, stopping." },
    Section { name: "transports", doc: "Which transports are offered and how they behave." },
    Section { name: "transports.callback_polling", doc: "JSONP, for browsers without CORS." },
    Section { name: "transports.websocket", doc: "WebSocket connections." },
    Section {
        name: "transports.streaming",
        doc: "Responses without an end: `eventsource`, `streaming` and `iframe`.",
    },
    Section {
        name: "transports.socket",
        doc: "Bayeux over raw TCP: JSON texts that end with NUL, as Flash's XMLSocket framed them, \
              or with a line feed. For native and embedded clients.",
    },
    Section { name: "session", doc: "The life of a session." },
    Section {
        name: "session.queue",
        doc: "What may wait for one session, unacknowledged messages included. Over it the session \
              ends, unless the rule of the channel drops messages instead.",
    },
    Section {
        name: "session.browser_cookie",
        doc: "The cookie that tells browsers apart. It is signed and `HttpOnly`; one that was \
              changed is refused with `402::session_unknown`.",
    },
    Section {
        name: "limits",
        doc: "Bounds against hostile or broken peers. 0 is refused; `\"unlimited\"` says it where \
              it is possible.",
    },
    Section {
        name: RULES,
        doc: "Rules by channel. For each key the most specific `[[channels]]` entry that covers a \
              channel and has the key decides, wherever it stands: `/a/b` before `/a/*` before \
              `/a/**` before `/**`. Without one the values of `[session]` hold.",
    },
    Section {
        name: SERVICES,
        doc: "Back-ends that answer messages to `/service/**`; see docs/services.md. Of several \
              entries that cover a channel the most specific is asked. The bounds on all of them \
              together are `limits.service_calls` and `limits.service_calls_per_session`.",
    },
    Section { name: "auth", doc: "Who may connect." },
    Section {
        name: KEYS,
        doc: "Keys of services and operators, presented as `Authorization: Bearer KEY` or \
              `X-API-Key: KEY`. SIGHUP reads them anew, without a disconnect.",
    },
    Section { name: "api", doc: "Publishing over HTTP; see docs/publishing.md." },
    Section {
        name: "monitor",
        doc: "What monitors and operators see of clients while the broker runs; see \
              docs/monitoring.md.",
    },
    Section {
        name: "admin",
        doc: "The operators' listener: `/healthz`, `/readyz`, the console and the admin API; \
              see docs/console.md and docs/admin-api.md.",
    },
    Section { name: "log", doc: "What is written to standard error, one line per event." },
];

/// Builds the list of all keys outside `[[channels]]`, in the order of the documentation.
pub(super) fn settings() -> Vec<Setting<Config>> {
    let mut all = Vec::new();
    all.extend(server());
    all.extend(transports());
    all.extend(session());
    all.extend(browser_cookie());
    all.extend(message_limits());
    all.extend(connection_limits());
    all.extend(services::limits());
    all.extend(operations());
    all.extend(api::settings());
    all.extend(monitor::settings());
    all
}

/// Builds the list of the keys of one `[[channels]]` entry.
pub(super) fn rule_settings() -> Vec<Setting<ChannelRule>> {
    vec![
        Setting::new(
            "match",
            |r| &mut r.pattern,
            Text { allowed: "a channel or pattern, like \"/ticker/**\"", valid: syntax::is_rooted },
            "Channel, or pattern: `/a/*` covers one more segment, `/a/**` any number. Required.",
        ),
        Setting::new(
            "queue_policy",
            |r| &mut r.queue_policy,
            Optional {
                word: None,
                form: Choice(&[
                    ("disconnect", QueuePolicy::Disconnect),
                    ("drop_oldest", QueuePolicy::DropOldest),
                    ("latest", QueuePolicy::Latest),
                ]),
            },
            "What happens when a queue is full: the session ends (`disconnect`, the default), or \
             the oldest messages make room (`drop_oldest`). `latest` keeps at most one queued \
             message per channel, the newest, whether the queue is full or not.",
        ),
        Setting::new(
            "broadcast_to_publisher",
            |r| &mut r.broadcast_to_publisher,
            Optional { word: None, form: Flag },
            "Overrides `session.broadcast_to_publisher`.",
        ),
        Setting::new(
            "lazy",
            |r| &mut r.lazy,
            Optional { word: None, form: Span(0, 3_600_000) },
            "Makes messages lazy: they wake no client, but wait so long for others to go along \
             with, at most `session.max_lazy_timeout`. `0s`: not lazy, although a more general \
             entry says so.",
        ),
        Setting::new(
            "persistent",
            |r| &mut r.persistent,
            Optional { word: None, form: Flag },
            "Keeps a channel that nobody uses. One that `match` names in full exists from the \
             start.",
        ),
    ]
}

fn server() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "server.listen",
            |c| &mut c.server.listen,
            List { min: 1, of: Address },
            "Addresses of the Bayeux listener. With any address other than loopback, \
             `auth.anonymous` has to be true. Port 0 lets the system choose.",
        ),
        Setting::new(
            "server.paths",
            |c| &mut c.server.paths,
            List {
                min: 1,
                of: Text {
                    allowed: "a path like \"/cometd\", without \"/\" at the end",
                    valid: syntax::is_path,
                },
            },
            "Paths of the Bayeux endpoint, each with any sub-path. POST, GET, OPTIONS and the \
             WebSocket upgrade share them.",
        ),
        Setting::new(
            "server.allowed_origins",
            |c| &mut c.server.allowed_origins,
            List {
                min: 0,
                of: Text {
                    allowed: "an origin like \"https://app.example.com\", \
                              \"https://*.example.com\", \"null\" or \"*\"",
                    valid: syntax::is_origin,
                },
            },
            "Origins of the pages that may connect, for CORS, JSONP and WebSocket alike. Empty: \
             pages of loopback origins, any port, if the broker listens on loopback only, else \
             pages of the same origin. A request without `Origin` comes from no browser and passes.",
        ),
        Setting::new(
            "server.trusted_proxies",
            |c| &mut c.server.trusted_proxies,
            List {
                min: 0,
                of: Text {
                    allowed: "an address or network, like \"10.0.0.0/8\"",
                    valid: syntax::is_network,
                },
            },
            "Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.",
        ),
        Setting::new(
            "server.workers",
            |c| &mut c.server.workers,
            Count(0, 1024),
            "Threads that serve connections; 0: one per core.",
        ),
        Setting::new(
            "server.drain_delay",
            |c| &mut c.server.drain_delay,
            Span(0, 600_000),
            "On SIGTERM: how long the broker goes on serving after `/readyz` says 503, so that \
             balancers notice.",
        ),
        Setting::new(
            "server.drain_timeout",
            |c| &mut c.server.drain_timeout,
            Span(100, 3_600_000),
            "Then: how long sessions are told to come back later and their connections closed, at \
             most 2000 a second. What is open after that is cut, and the exit code is 1.",
        ),
    ]
}

fn transports() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "transports.enabled",
            |c| &mut c.transports.enabled,
            List {
                min: 1,
                of: Choice(&[
                    ("websocket", Transport::WebSocket),
                    ("long-polling", Transport::LongPolling),
                    ("callback-polling", Transport::CallbackPolling),
                    ("eventsource", Transport::EventSource),
                    ("streaming", Transport::Streaming),
                    ("iframe", Transport::Iframe),
                ]),
            },
            "Offered transports, in the order of the handshake reply. `callback-polling` is JSONP. \
             `eventsource`, `streaming` (a JSON array a line) and `iframe` (a script a line) are \
             responses that never end; their requests go by POST, so enable `long-polling` too.",
        ),
        Setting::new(
            "transports.callback_polling.parameter",
            |c| &mut c.transports.callback_polling.parameter,
            Text { allowed: "a name of letters, digits and \"_\"", valid: syntax::is_word },
            "Query parameter that names the callback function. The function's name is an \
             identifier, dots allowed, of at most 64 characters.",
        ),
        Setting::new(
            "transports.websocket.ping",
            |c| &mut c.transports.websocket.ping,
            Span(100, 3_600_000),
            "Silence from a client after which it is pinged. Keep it below the idle timeout of \
             every proxy on the way, commonly 60 s.",
        ),
        Setting::new(
            "transports.websocket.pong_timeout",
            |c| &mut c.transports.websocket.pong_timeout,
            Span(100, 600_000),
            "Time for the answer. A dead client is gone after `ping` + `pong_timeout`.",
        ),
        Setting::new(
            "transports.websocket.max_fragments",
            |c| &mut c.transports.websocket.max_fragments,
            Count(1, 65_536),
            "Most frames that one message may come in; above, the connection is closed with 1009.",
        ),
        Setting::new(
            "transports.websocket.compression",
            |c| &mut c.transports.websocket.compression,
            Flag,
            "Offers permessage-deflate without context takeover in either direction: a message is \
             compressed once for all subscribers. Costs CPU time, saves bandwidth.",
        ),
        Setting::new(
            "transports.websocket.protocol",
            |c| &mut c.transports.websocket.protocol,
            Text {
                allowed: "a sub-protocol name, or \"\"",
                valid: |text| text.is_empty() || syntax::is_token(text),
            },
            "WebSocket sub-protocol that clients must offer. Empty: the first offer of a client is \
             accepted.",
        ),
        Setting::new(
            "transports.websocket.handshake_per_connection",
            |c| &mut c.transports.websocket.handshake_per_connection,
            Flag,
            "Ties a session to the socket of its handshake. Breaks page reload and the switch \
             between transports; a proxy that checks each socket may want it.",
        ),
        Setting::new(
            "transports.websocket.demote_after",
            |c| &mut c.transports.websocket.demote_after,
            Count(0, 100),
            "After so many broken WebSockets within `demote_window` a client is led to long-polling, \
             without loss of messages. 0: never. See docs/transports.md.",
        ),
        Setting::new(
            "transports.websocket.demote_window",
            |c| &mut c.transports.websocket.demote_window,
            Span(100, 3_600_000),
            "The time in which broken WebSockets are counted.",
        ),
        Setting::new(
            "transports.websocket.demote_young",
            |c| &mut c.transports.websocket.demote_young,
            Span(0, 3_600_000),
            "Only WebSockets that broke before this age count. `\"0s\"`: all.",
        ),
        Setting::new(
            "transports.websocket.demote_for",
            |c| &mut c.transports.websocket.demote_for,
            Span(100, 14_400_000),
            "How long handshakes then leave WebSocket out. Each time that it happens again within a \
             day doubles it, up to 4 h.",
        ),
        Setting::new(
            "transports.websocket.promote",
            |c| &mut c.transports.websocket.promote,
            Choice(&[("handshake", Promote::Handshake), ("steer", Promote::Steer)]),
            "How a client comes back to WebSocket after that: with its next handshake, or at once, \
             when it is told to shake hands. The latter costs an application its subscriptions if it \
             does not renew them after a handshake.",
        ),
        Setting::new(
            "transports.streaming.heartbeat",
            |c| &mut c.transports.streaming.heartbeat,
            Span(100, 3_600_000),
            "Silence after which a few bytes are sent, so that no proxy takes the connection for \
             dead and a client that is gone is noticed. Keep it below the idle timeout of every \
             proxy on the way, commonly 60 s.",
        ),
        Setting::new(
            "transports.socket.listen",
            |c| &mut c.transports.socket.listen,
            Optional { word: Some(""), form: Address },
            "Address of the raw TCP listener; handshake replies then offer `socket` too. With any \
             address other than loopback, `auth.anonymous` must be true. Empty: none.",
        ),
    ]
}

fn session() -> Vec<Setting<Config>> {
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
        Setting::new(
            "session.max_per_browser",
            |c| &mut c.session.max_per_browser,
            Optional { word: Some("unlimited"), form: Count(0, 1000) },
            "Most connects held at a time for one browser (cookie) over HTTP/1.1, where browsers \
             open six connections per host. Further ones are answered at once with the advice \
             `multiple-clients`. 0: none is held.",
        ),
        Setting::new(
            "session.multi_session_interval",
            |c| &mut c.session.multi_session_interval,
            Span(0, 3_600_000),
            "Pause between connects that is advised in that case.",
        ),
        Setting::new(
            "session.queue.max_messages",
            |c| &mut c.session.queue.max_messages,
            Count(1, 1_000_000),
            "Most queued messages of a session.",
        ),
        Setting::new(
            "session.queue.max_bytes",
            |c| &mut c.session.queue.max_bytes,
            Size(1 << 10, 1 << 30),
            "Most queued bytes of a session, as encoded for the wire.",
        ),
    ]
}

fn browser_cookie() -> Vec<Setting<Config>> {
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

fn message_limits() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "limits.message_size",
            |c| &mut c.limits.message_size,
            Size(1 << 10, 256 << 20),
            "Largest HTTP body, WebSocket message and frame, before and after decompression.",
        ),
        Setting::new(
            "limits.batch",
            |c| &mut c.limits.batch,
            Count(1, 100_000),
            "Most messages in one body or frame.",
        ),
        Setting::new(
            "limits.json_depth",
            |c| &mut c.limits.json_depth,
            Count(4, 120),
            "Deepest nesting of JSON.",
        ),
        Setting::new(
            "limits.envelope_keys",
            |c| &mut c.limits.envelope_keys,
            Count(8, 1000),
            "Most top-level fields of a message.",
        ),
        Setting::new(
            "limits.id_length",
            |c| &mut c.limits.id_length,
            Count(48, 1024),
            "Longest `id` and `clientId`, in bytes.",
        ),
        Setting::new(
            "limits.channel_length",
            |c| &mut c.limits.channel_length,
            Count(32, 4096),
            "Longest channel name, in bytes.",
        ),
        Setting::new(
            "limits.channel_segments",
            |c| &mut c.limits.channel_segments,
            Count(2, 256),
            "Most segments of a channel name.",
        ),
        Setting::new(
            "limits.channels",
            |c| &mut c.limits.channels,
            OrUnlimited(Count(1, 1_000_000_000)),
            "Most live channels. An idle one vanishes after 3 sweeps, about 3 s.",
        ),
        Setting::new(
            "limits.subscriptions",
            |c| &mut c.limits.subscriptions,
            OrUnlimited(Count(1, 1_000_000)),
            "Most subscriptions of a session, and most channels in one subscribe message.",
        ),
        Setting::new(
            "limits.root_wildcard",
            |c| &mut c.limits.root_wildcard,
            Flag,
            "Whether sessions may subscribe to `/**`; it never covers `/meta/` and `/service/`.",
        ),
        Setting::new(
            "limits.sessions",
            |c| &mut c.limits.sessions,
            OrUnlimited(Count(1, 100_000_000)),
            "Most sessions. Above, handshakes are answered with 503 and `Retry-After`.",
        ),
        Setting::new(
            "limits.queued_bytes",
            |c| &mut c.limits.queued_bytes,
            Optional { word: Some("auto"), form: OrUnlimited(Size(1 << 20, 1 << 50)) },
            "Most bytes in all queues together, a shared message counted once. At 70 % handshakes \
             are refused, at 85 % the sessions with the largest queues end, at 100 % publishes are \
             refused. `auto`: half of the memory limit of the process.",
        ),
    ]
}

fn connection_limits() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "limits.connections",
            |c| &mut c.limits.connections,
            Optional { word: Some("auto"), form: OrUnlimited(Count(1, 100_000_000)) },
            "Most connections of the Bayeux listeners; above, 503 with `Retry-After`. `auto`: the \
             descriptor limit of the process minus 256.",
        ),
        Setting::new(
            "limits.header_count",
            |c| &mut c.limits.header_count,
            Count(16, 1000),
            "Most header lines of a request.",
        ),
        Setting::new(
            "limits.header_bytes",
            |c| &mut c.limits.header_bytes,
            Size(8 << 10, 1 << 20),
            "Largest request head.",
        ),
        Setting::new(
            "limits.uri_bytes",
            |c| &mut c.limits.uri_bytes,
            Size(256, 64 << 10),
            "Longest request target. Callback-polling sends its messages in it.",
        ),
        Setting::new(
            "limits.header_timeout",
            |c| &mut c.limits.header_timeout,
            Span(100, 600_000),
            "Time for a request head, from its first byte.",
        ),
        Setting::new(
            "limits.body_timeout",
            |c| &mut c.limits.body_timeout,
            Span(100, 3_600_000),
            "Time for a request body.",
        ),
        Setting::new(
            "limits.keep_alive",
            |c| &mut c.limits.keep_alive,
            Span(100, 86_400_000),
            "Idle time of an HTTP connection between requests.",
        ),
        Setting::new(
            "limits.write_timeout",
            |c| &mut c.limits.write_timeout,
            Span(100, 600_000),
            "Time without progress in writing after which a connection is closed.",
        ),
    ]
}

fn operations() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "auth.anonymous",
            |c| &mut c.auth.anonymous,
            Flag,
            "Accepts sessions without credentials on listeners other than loopback. Without it the \
             broker refuses to start on such a listener.",
        ),
        Setting::new(
            "admin.listen",
            |c| &mut c.admin.listen,
            Optional { word: Some(""), form: Address },
            "Address of the operators' listener. Off loopback it needs an entry of `auth.keys` with the \
             role `admin`. Empty: none.",
        ),
        Setting::new(
            "admin.console",
            |c| &mut c.admin.console,
            Flag,
            "Whether a browser finds the console there, a page for what the admin API has; see \
             docs/console.md. It works with a key of the role `admin`.",
        ),
        Setting::new(
            "admin.key_file",
            |c| &mut c.admin.key_file,
            Optional { word: Some("auto"), form: FilePath },
            "Where the key is kept that the broker makes when `auth.keys` has none of the role \
             `admin`. `auto`: `bayeuxd/admin.key`, in the folder of `api.key_file`.",
        ),
        Setting::new(
            "log.level",
            |c| &mut c.log.level,
            Text {
                allowed: "off, error, warn, info, debug or trace, also per target: \
                          \"info,bayeuxd::ws=debug\"",
                valid: syntax::is_level,
            },
            "How much is logged.",
        ),
        Setting::new(
            "log.format",
            |c| &mut c.log.format,
            Choice(&[
                ("auto", LogFormat::Auto),
                ("text", LogFormat::Text),
                ("json", LogFormat::Json),
            ]),
            "The form of a line. `auto`: text on a terminal, else JSON.",
        ),
        Setting::new(
            "log.ip",
            |c| &mut c.log.ip,
            Choice(&[("full", LogIp::Full), ("truncate", LogIp::Truncate), ("none", LogIp::None)]),
            "How much of a client's address is logged. `truncate`: the /24 or /48 network.",
        ),
        Setting::new(
            "log.errors_per_second",
            |c| &mut c.log.errors_per_second,
            Count(1, 1_000_000),
            "Most lines per second and reason that clients can cause; the next line then says how \
             many were left out (`suppressed`).",
        ),
    ]
}
