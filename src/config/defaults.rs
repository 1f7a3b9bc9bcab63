//! What every setting is when nobody says otherwise.
//!
//! Source: the secure defaults of docs/architecture.md. A default changes together with its line in
//! docs/configuration.md (generated) and an entry in CHANGELOG.md.

use std::{net::SocketAddr, time::Duration};

use super::{
    Activity, Admin, Api, Auto, BrowserCookie, CallbackPolling, Limits, Log, LogFormat, LogIp,
    Metrics, OpenMetrics, Promote, Queue, SameSite, Server, Session, Socket, Streaming, Transport,
    Transports, WebSocket,
};

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

impl Default for Api {
    fn default() -> Self {
        Self {
            enabled: true,
            key_file: None,
            message_size: 64 << 10,
            max_body: 1 << 20,
            max_batch: 1000,
            messages_per_second: 5000,
            idempotency_ttl: Duration::from_secs(600),
            idempotency_entries: 100_000,
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
                demote_after: 3,
                demote_window: Duration::from_secs(60),
                demote_young: Duration::from_secs(15),
                demote_for: Duration::from_secs(600),
                promote: Promote::Handshake,
            },
            streaming: Streaming { heartbeat: Duration::from_secs(25) },
            socket: Socket::default(),
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
            ack: true,
            timesync: true,
            timestamp: false,
            activity: Activity::Off,
            max_inactivity: Duration::from_secs(600),
            broadcast_to_publisher: true,
            meta_connect_deliver_only: false,
            deliver_during_handshake: false,
            max_lazy_timeout: Duration::from_secs(5),
            handshake_reconnect: false,
            max_per_browser: Some(1),
            http2_max_per_browser: Some(50),
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
            service_calls: 256,
            service_calls_per_session: 32,
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 8081))),
            key_file: None,
            console: true,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { open: OpenMetrics::Loopback }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Auto,
            ip: LogIp::Truncate,
            errors_per_second: 10,
        }
    }
}
