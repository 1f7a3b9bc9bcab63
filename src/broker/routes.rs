//! Which ways a session's client can come, as far as steering it asks (protocol.md SF4).

use std::sync::atomic::{AtomicU8, Ordering};

/// What a client offered in its handshake and what it was answered. Of a client that said nothing
/// nothing is known, and it is never steered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Routes {
    /// It can poll, and may.
    pub polls: bool,
    /// It can use a WebSocket, and may.
    pub sockets: bool,
    /// The answer left WebSocket out because WebSockets break on its way.
    pub shortened: bool,
}

/// [`Routes`] in a byte of a session, written once.
#[derive(Debug, Default)]
pub(super) struct SharedRoutes(AtomicU8);

impl SharedRoutes {
    pub(super) fn set(&self, routes: Routes) {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let bits = bit(routes.polls, POLLS)
            | bit(routes.sockets, SOCKETS)
            | bit(routes.shortened, SHORTENED);
        self.0.store(bits, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Routes {
        let bits = self.0.load(Ordering::Relaxed);
        Routes {
            polls: bits & POLLS != 0,
            sockets: bits & SOCKETS != 0,
            shortened: bits & SHORTENED != 0,
        }
    }
}

const POLLS: u8 = 1;
const SOCKETS: u8 = 2;
const SHORTENED: u8 = 4;
