//! The transports and their names on the wire.

/// A way to carry Bayeux messages; [`Transport::name`] is its name on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// RFC 6455, one Bayeux batch per text message.
    WebSocket,
    /// POST requests, of which one is held (protocol.md, long-polling).
    LongPolling,
    /// GET requests answered by JavaScript (JSONP).
    CallbackPolling,
    /// A response without an end in the format of the browser's `EventSource`.
    EventSource,
    /// A response without an end, one JSON array a line.
    Streaming,
    /// A page without an end whose scripts call its parent.
    Iframe,
    /// JSON texts over raw TCP. Has a listener of its own and is not in `transports.enabled`.
    Socket,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::WebSocket,
        Self::LongPolling,
        Self::CallbackPolling,
        Self::EventSource,
        Self::Streaming,
        Self::Iframe,
        Self::Socket,
    ];

    /// Returns the name used in `supportedConnectionTypes` and in `transports.enabled`.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::LongPolling => "long-polling",
            Self::CallbackPolling => "callback-polling",
            Self::EventSource => "eventsource",
            Self::Streaming => "streaming",
            Self::Iframe => "iframe",
            Self::Socket => "socket",
        }
    }
}
