//! `[transports.websocket]`: upgrade, pings, and what happens when WebSockets break.

use std::time::Duration;

/// `[transports.websocket]`.
#[derive(Debug, Clone, PartialEq)]
pub struct WebSocket {
    /// Silence from the peer after which a ping is sent.
    pub ping: Duration,
    /// Time the peer has for the answer; `ping` + `pong_timeout` after its last sign of life it is
    /// gone.
    pub pong_timeout: Duration,
    /// Most frames one message may be split into.
    pub max_fragments: usize,
    /// Whether permessage-deflate (RFC 7692) is negotiated.
    pub compression: bool,
    /// Sub-protocol a client must offer; empty: its first offer is accepted.
    pub protocol: String,
    /// True: a socket serves only sessions whose handshake it carried itself.
    pub handshake_per_connection: bool,
    /// So many broken sockets within `demote_window` lead a client to long-polling; 0: never.
    pub demote_after: usize,
    /// The time in which broken sockets are counted.
    pub demote_window: Duration,
    /// Only sockets that broke younger than this count; zero: all.
    pub demote_young: Duration,
    /// How long WebSocket is left out; doubled each time that it happens again within a day.
    pub demote_for: Duration,
    /// How a client comes back to WebSocket after that.
    pub promote: Promote,
}

/// When a client that left WebSocket because of its breaks comes back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Promote {
    /// With its next handshake.
    #[default]
    Handshake,
    /// When the next hold of a connect ends: it is told to shake hands.
    Steer,
}
