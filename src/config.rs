//! Every setting of the broker, its default and its bounds.
//!
//! Order of sources: defaults, then the file, then the environment, then `--set`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

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
    /// Rules by channel pattern; the first match wins.
    pub channels: Vec<ChannelRule>,
    /// Who may connect.
    pub auth: Auth,
    /// The operators' listener.
    pub admin: Admin,
    /// What is logged.
    pub log: Log,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    pub listen: Vec<SocketAddr>,
    pub paths: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub trusted_proxies: Vec<String>,
    pub workers: usize,
    pub drain_delay: Duration,
    pub drain_timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    WebSocket,
    LongPolling,
    CallbackPolling,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Transports {
    pub enabled: Vec<Transport>,
    pub callback_polling: CallbackPolling,
    pub websocket: WebSocket,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CallbackPolling {
    pub parameter: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WebSocket {
    pub ping: Duration,
    pub pong_timeout: Duration,
    pub max_fragments: usize,
    pub compression: bool,
    pub protocol: String,
    pub handshake_per_connection: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    pub timeout: Duration,
    pub interval: Duration,
    pub max_interval: Duration,
    pub handshake_grace: Duration,
    pub broadcast_to_publisher: bool,
    pub meta_connect_deliver_only: bool,
    pub handshake_reconnect: bool,
    /// `None`: unlimited. 0: never hold.
    pub max_per_browser: Option<u32>,
    pub multi_session_interval: Duration,
    pub queue: Queue,
    pub browser_cookie: BrowserCookie,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    pub max_messages: usize,
    pub max_bytes: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct BrowserCookie {
    pub name: String,
    pub require: bool,
    pub secret_file: Option<PathBuf>,
    pub same_site: SameSite,
    pub secure: Auto,
    pub partitioned: Auto,
    pub domain: String,
    pub path: String,
    /// `None`: a session cookie.
    pub max_age: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    Auto,
    Lax,
    Strict,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auto {
    Auto,
    On,
    Off,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    pub message_size: usize,
    pub batch: usize,
    pub json_depth: usize,
    pub envelope_keys: usize,
    pub id_length: usize,
    pub channel_length: usize,
    pub channel_segments: usize,
    pub channels: usize,
    pub subscriptions: usize,
    pub root_wildcard: bool,
    pub sessions: usize,
    /// `None`: the descriptor limit minus 256.
    pub connections: Option<usize>,
    /// `None`: half of the memory limit.
    pub queued_bytes: Option<usize>,
    pub header_count: usize,
    pub header_bytes: usize,
    pub uri_bytes: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub keep_alive: Duration,
    pub write_timeout: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ChannelRule {
    pub pattern: String,
    pub queue_policy: Option<QueuePolicy>,
    pub broadcast_to_publisher: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueuePolicy {
    Disconnect,
    DropOldest,
    Latest,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Auth {
    pub anonymous: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
    pub payloads: bool,
    pub ip: LogIp,
    pub errors_per_second: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Auto,
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogIp {
    Full,
    Truncate,
    None,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            paths: ["/cometd", "/bayeux", "/faye"].map(String::from).to_vec(),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            workers: 0,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for Transports {
    fn default() -> Self {
        Self {
            enabled: vec![Transport::WebSocket, Transport::LongPolling],
            callback_polling: CallbackPolling { parameter: "jsonp".into() },
            websocket: WebSocket {
                ping: Duration::from_secs(25),
                pong_timeout: Duration::from_secs(8),
                max_fragments: 256,
                compression: false,
                protocol: String::new(),
                handshake_per_connection: false,
            },
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(45),
            interval: Duration::ZERO,
            max_interval: Duration::from_secs(60),
            handshake_grace: Duration::from_secs(10),
            broadcast_to_publisher: true,
            meta_connect_deliver_only: false,
            handshake_reconnect: false,
            max_per_browser: Some(1),
            multi_session_interval: Duration::from_secs(2),
            queue: Queue { max_messages: 1000, max_bytes: 1 << 20 },
            browser_cookie: BrowserCookie::default(),
        }
    }
}

impl Default for BrowserCookie {
    fn default() -> Self {
        Self {
            name: "BAYEUX_BROWSER".into(),
            require: false,
            secret_file: None,
            same_site: SameSite::Auto,
            secure: Auto::Auto,
            partitioned: Auto::Auto,
            domain: String::new(),
            path: "/".into(),
            max_age: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: 64 << 10,
            batch: 100,
            json_depth: 64,
            envelope_keys: 32,
            id_length: 64,
            channel_length: 255,
            channel_segments: 16,
            channels: 1_000_000,
            subscriptions: 128,
            root_wildcard: true,
            sessions: 200_000,
            connections: None,
            queued_bytes: None,
            header_count: 64,
            header_bytes: 16 << 10,
            uri_bytes: 8 << 10,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            keep_alive: Duration::from_secs(75),
            write_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 8081))) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Auto,
            payloads: false,
            ip: LogIp::Truncate,
            errors_per_second: 10,
        }
    }
}
