//! Every setting of the broker: its type here, its default in `config/defaults.rs`, its bounds and
//! the operators' text in `config/settings.rs`.
//!
//! Sources in rising order: defaults, `bayeuxd.toml`, environment `BAYEUXD_SECTION__KEY`, command
//! line. [`Loader`] joins them and reports all mistakes together; [`Config::effective`] replaces
//! "auto" by what the machine allows. A `Config` built in code is taken as it is: the bounds are
//! checked where text becomes a value. Imports no other module of the crate.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

mod api_key;
mod check;
mod defaults;
mod dial;
mod form;
mod hint;
mod load;
mod log;
mod mask;
mod monitor;
mod nearest;
mod origin;
mod otel;
mod problem;
mod reference;
mod reload;
mod remark;
mod service;
mod settings;
mod system;
mod transport;
mod websocket;

#[cfg(test)]
pub(crate) use self::settings::EVENT_TYPES;
pub(crate) use self::settings::KEYS;
pub use self::{
    api_key::{LOCAL_ADMIN_KEY, LOCAL_PUBLISH_KEY},
    dial::{Dial, Word},
    load::{Loaded, Loader},
    log::{Log, LogFormat, LogIp},
    monitor::Monitor,
    origin::Origin,
    otel::Otel,
    problem::{Fault, Problem, Warning},
    reference::{Assignment, Shown as ShownValue, configuration_md, example_file},
    reload::{Change, Reload},
    remark::Remark,
    service::{Service, ServiceReply},
    system::Machine,
    transport::Transport,
    websocket::{Promote, WebSocket},
};

/// The whole configuration, one field per section of `bayeuxd.toml`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Listening, origins, stopping.
    pub server: Server,
    /// Which transports are offered and how they behave.
    pub transports: Transports,
    /// The life of a session.
    pub session: Session,
    /// Bounds against hostile or broken peers.
    pub limits: Limits,
    /// Rules by channel pattern; for each key the most specific entry decides.
    pub channels: Vec<ChannelRule>,
    /// Back-ends that answer service channels over HTTP.
    pub services: Vec<Service>,
    /// Who may connect.
    pub auth: Auth,
    /// Publishing over HTTP.
    pub api: Api,
    /// What monitors and operators see.
    pub monitor: Monitor,
    /// The operators' listener.
    pub admin: Admin,
    /// Who may read metrics.
    pub metrics: Metrics,
    /// Where traces go.
    pub otel: Otel,
    /// What is logged.
    pub log: Log,
}

/// `[server]`: listening, origins, stopping.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Addresses of the Bayeux listener, at least one. Port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// Paths of the Bayeux endpoint; each starts with `/`, has no `/` at the end and holds with
    /// any sub-path.
    pub paths: Vec<String>,
    /// Origins of pages that may connect: `https://host[:port]`, `https://*.host[:port]`, `null` or
    /// `*`. Empty: loopback origins if all of `listen` is loopback, else the same origin only
    /// (protocol.md 108).
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: `address` or
    /// `address/prefix`.
    pub trusted_proxies: Vec<String>,
    /// Threads of the runtime; 0: one per core.
    pub workers: usize,
    /// Time between `/readyz` turning 503 and the end of accepting.
    pub drain_delay: Duration,
    /// Time for telling all sessions and closing their connections; what is open then is cut.
    pub drain_timeout: Duration,
}

/// `[transports]`: which transports are offered and how they behave.
#[derive(Debug, Clone, PartialEq)]
pub struct Transports {
    /// Offered transports, at least one, each once, in the order of the handshake reply.
    pub enabled: Vec<Transport>,
    /// Settings of `callback-polling`.
    pub callback_polling: CallbackPolling,
    /// Settings of `websocket`.
    pub websocket: WebSocket,
    /// Settings of `eventsource`, `streaming` and `iframe`.
    pub streaming: Streaming,
    /// Settings of the raw TCP listener.
    pub socket: Socket,
}

/// `[transports.callback_polling]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CallbackPolling {
    /// Query parameter that names the callback function.
    pub parameter: String,
}

/// `[transports.streaming]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Streaming {
    /// Silence after which an open response gets a few bytes without meaning.
    pub heartbeat: Duration,
}

/// `[transports.socket]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Socket {
    /// Address of the raw TCP listener. `None`: no such listener.
    pub listen: Option<SocketAddr>,
}

/// `[session]`: the life of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// How long a `/meta/connect` is held; advised as `timeout`.
    pub timeout: Duration,
    /// Advised pause between connects.
    pub interval: Duration,
    /// Life of a session without a connect.
    pub max_interval: Duration,
    /// Life of a session between handshake and first connect, renewed by any message.
    pub handshake_grace: Duration,
    /// Whether the acknowledgement extension is offered.
    pub ack: bool,
    /// Whether the time synchronisation extension is answered.
    pub timesync: bool,
    /// Whether replies and deliveries say when they were written.
    pub timestamp: bool,
    /// What keeps a session that connects from ending as inactive.
    pub activity: Activity,
    /// How long a session may be inactive, if `activity` is on.
    pub max_inactivity: Duration,
    /// Whether a publisher that subscribes to the channel gets its own message.
    pub broadcast_to_publisher: bool,
    /// Whether messages travel only with replies to `/meta/connect`.
    pub meta_connect_deliver_only: bool,
    /// Whether messages that wait already travel with the handshake reply.
    pub deliver_during_handshake: bool,
    /// Longest time that a lazy message waits for others.
    pub max_lazy_timeout: Duration,
    /// Whether the handshake advice carries `maxInterval`, so that clients handshake by themselves.
    pub handshake_reconnect: bool,
    /// Most connects held at a time for one browser cookie. `None`: unlimited. 0: never hold.
    pub max_per_browser: Option<u32>,
    /// The same for browsers that speak HTTP/2 or later to a trusted proxy.
    pub http2_max_per_browser: Option<u32>,
    /// Advised `interval` of connects above `max_per_browser`.
    pub multi_session_interval: Duration,
    /// Bounds of a session's queue.
    pub queue: Queue,
    /// The cookie that tells browsers apart.
    pub browser_cookie: BrowserCookie,
}

/// What counts as activity of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Connecting is enough: no session ends as inactive.
    Off,
    /// Messages of the client other than connects.
    Client,
    /// These, and messages for the client.
    ClientServer,
}

/// `[session.queue]`: bounds of a session's queue; over one of them the session ends, unless the
/// channel's rule drops messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Most queued messages.
    pub max_messages: usize,
    /// Most queued bytes, counted as encoded for the wire.
    pub max_bytes: usize,
}

/// `[session.browser_cookie]`: the cookie that tells browsers apart (protocol.md 87).
#[derive(Debug, Clone, PartialEq)]
pub struct BrowserCookie {
    /// Name of the cookie; one that a WebSocket upgrade sets has `_WS` behind it.
    pub name: String,
    /// Whether messages of a session that was given a cookie are refused without it.
    pub require: bool,
    /// File with the key that signs the cookie. `None`: a random key, so cookies end with the
    /// process.
    pub secret_file: Option<PathBuf>,
    /// The `SameSite` attribute.
    pub same_site: SameSite,
    /// The `Secure` attribute. Auto: as the request came by TLS or not.
    pub secure: Auto,
    /// The `Partitioned` attribute. Auto: with `SameSite=None`.
    pub partitioned: Auto,
    /// The `Domain` attribute; empty: left out.
    pub domain: String,
    /// The `Path` attribute.
    pub path: String,
    /// The `Max-Age` attribute. `None`: a session cookie.
    pub max_age: Option<Duration>,
}

/// The `SameSite` attribute of the browser cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// `None` for an allowed cross-site https origin, else `Lax`.
    Auto,
    /// Sent with requests of the same site and with top-level navigation.
    Lax,
    /// Sent with requests of the same site only.
    Strict,
    /// Sent always; browsers want `Secure` with it.
    None,
}

/// A switch that can decide by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auto {
    /// As the circumstances want it.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// `[limits]`: bounds against hostile or broken peers. None is ever 0; [`UNLIMITED`] says "no
/// bound".
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Bytes of an HTTP body, a WebSocket message and a WebSocket frame, before and after
    /// decompression.
    pub message_size: usize,
    /// Messages in one batch.
    pub batch: usize,
    /// Nesting depth of JSON.
    pub json_depth: usize,
    /// Top-level fields of a message.
    pub envelope_keys: usize,
    /// Bytes of a message `id` and of a `clientId`.
    pub id_length: usize,
    /// Bytes of a channel name.
    pub channel_length: usize,
    /// Segments of a channel name.
    pub channel_segments: usize,
    /// Live channels of the process.
    pub channels: usize,
    /// Subscriptions of one session, and channels of one subscribe message.
    pub subscriptions: usize,
    /// Whether sessions may subscribe to `/**`.
    pub root_wildcard: bool,
    /// Sessions of the process.
    pub sessions: usize,
    /// Connections of the Bayeux listeners. `None`: the descriptor limit minus 256.
    pub connections: Option<usize>,
    /// Bytes of all queues together, a shared message counted once. `None`: half of the memory
    /// limit.
    pub queued_bytes: Option<usize>,
    /// Header lines of a request.
    pub header_count: usize,
    /// Bytes of a request head.
    pub header_bytes: usize,
    /// Bytes of a request target.
    pub uri_bytes: usize,
    /// Time for a request head, from its first byte.
    pub header_timeout: Duration,
    /// Time for a request body.
    pub body_timeout: Duration,
    /// Idle time of an HTTP connection between requests.
    pub keep_alive: Duration,
    /// Time without progress in writing.
    pub write_timeout: Duration,
    /// Calls of services that are in flight at a time, of all services together.
    pub service_calls: usize,
    /// Calls of services that one session has in flight at a time.
    pub service_calls_per_session: usize,
}

/// `[[channels]]`: what holds for the channels under one pattern. `None`: as a more general entry says,
/// else as in `[session]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChannelRule {
    /// The key `match`: a channel, or a pattern that ends in `/*` or `/**`.
    pub pattern: String,
    /// What happens to a message that does not fit into a queue; `None`: the session ends.
    pub queue_policy: Option<QueuePolicy>,
    /// Whether a publisher gets its own message; `None`: `session.broadcast_to_publisher`.
    pub broadcast_to_publisher: Option<bool>,
    /// How long messages may wait for others; `None` and zero: not at all.
    pub lazy: Option<Duration>,
    /// Whether the channel stays when nobody uses it; `None`: it does not.
    pub persistent: Option<bool>,
}

/// What happens when a queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueuePolicy {
    /// The session ends.
    Disconnect,
    /// The oldest messages of channels with this policy make room.
    DropOldest,
    /// At most one message per channel is queued, the newest.
    Latest,
}

/// `[auth]`: who may connect.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Auth {
    /// Whether sessions without credentials are accepted on listeners other than loopback.
    pub anonymous: bool,
    /// Keys of services and operators.
    pub keys: Vec<ApiKey>,
}

/// `[[auth.keys]]`: a key of a service or an operator. It has either of the two secrets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ApiKey {
    /// Its name in logs and answers.
    pub id: String,
    /// File that holds the secret.
    pub secret_file: Option<PathBuf>,
    /// The SHA-256 of the secret, 64 hex digits.
    pub secret_sha256: Option<String>,
    /// What it is for.
    pub role: Role,
    /// Channels and patterns that a key of the role publish may publish to, and that one of the role
    /// monitor sees; empty for a monitor: all.
    pub channels: Vec<String>,
    /// Types of events that a key of the role monitor gets; empty: all but `publish`.
    pub types: Vec<String>,
    /// Whether it sees what is published, if `monitor.payloads` is on.
    pub payload: bool,
}

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Publish to its channels.
    #[default]
    Publish,
    /// Read what the broker does.
    Monitor,
    /// Everything: publish everywhere, read and change what the broker does.
    Admin,
}

/// `[api]`: publishing over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// Whether there is an API.
    pub enabled: bool,
    /// Where the generated key is kept. `None`: in the user's runtime directory.
    pub key_file: Option<PathBuf>,
    /// Bytes of one message: channel, data, ext and own fields.
    pub message_size: usize,
    /// Bytes of a request body, other than a stream.
    pub max_body: usize,
    /// Messages of a batch, channels of a broadcast.
    pub max_batch: usize,
    /// Messages per second and key; also the burst.
    pub messages_per_second: u32,
    /// How long an answer is remembered for repeats.
    pub idempotency_ttl: Duration,
    /// Most answers remembered of one API key.
    pub idempotency_entries: usize,
}

/// `[admin]`: the operators' listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// Its address, loopback only. `None`: no such listener.
    pub listen: Option<SocketAddr>,
    /// Where the generated key is kept. `None`: in the user's runtime directory.
    pub key_file: Option<PathBuf>,
    /// Whether it serves the console.
    pub console: bool,
}

/// `[metrics]`: who may read `/metrics` of the operators' listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// When no key is needed.
    pub open: OpenMetrics,
}

/// When `/metrics` needs no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMetrics {
    /// While the listener is on loopback.
    Loopback,
    /// In any case.
    Always,
    /// It always needs one.
    Never,
}

impl Config {
    /// Tells whether clients can reach this broker from this machine only.
    pub fn is_loopback_only(&self) -> bool {
        let socket = self.transports.socket.listen;
        let local = |address: SocketAddr| address.ip().to_canonical().is_loopback();
        self.server.loopback_only() && socket.is_none_or(local)
    }
}

impl Server {
    /// Tells whether every listener can be reached from this machine only.
    pub fn loopback_only(&self) -> bool {
        self.listen.iter().all(|address| address.ip().to_canonical().is_loopback())
    }
}

impl Transports {
    /// Returns what a handshake reply offers: the enabled transports in their order, then the raw TCP
    /// listener if there is one.
    pub fn names(&self) -> Vec<&'static str> {
        let enabled = self.enabled.iter().map(|transport| transport.name());
        enabled.chain(self.socket.listen.map(|_| Transport::Socket.name())).collect()
    }
}

/// What `"unlimited"` stands for: more than any machine has, and small enough that sums and
/// percentages of limits cannot overflow.
pub const UNLIMITED: usize = usize::MAX >> 8;

#[cfg(test)]
mod tests;
