//! Who has been told to shake hands anew and has not done so: one session of a browser at a time.
//!
//! A handshake that shows the cookie of such a session is its client's. With two of one cookie nobody
//! could tell which is whose, so the second waits. Behind a shared address nothing is inferred: there
//! the next handshakes only get the short list, nobody's messages. Source: protocol.md SF10.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    broker::{BrowserId, SessionId},
    events::Page,
};

/// A client as far as it can be told without a cookie: its address, of IPv6 the network, and its page
/// and `User-Agent`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    address: IpAddr,
    page: Option<Arc<Page>>,
}

impl Origin {
    pub(super) fn new(address: IpAddr, page: Option<Arc<Page>>) -> Self {
        let address = match address {
            IpAddr::V6(six) => {
                let [a, b, c, d, ..] = six.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            four @ IpAddr::V4(_) => four,
        };
        Self { address, page }
    }
}

/// Whereto a client is steered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Away from WebSocket.
    Down,
    /// Back to it.
    Up,
}

/// See the module documentation.
#[derive(Default)]
pub(super) struct Movers {
    sessions: HashMap<BrowserId, (SessionId, Way)>,
    /// Handshakes that will get the short list, and until when.
    expected: HashMap<Origin, (u32, Instant)>,
}

impl Movers {
    /// Notes that `session` moves; false if another one of its browser does, as `is_moving` tells of
    /// those that were noted, or if too many do.
    pub(super) fn begin(
        &mut self,
        browser: BrowserId,
        session: SessionId,
        way: Way,
        is_moving: impl Fn(SessionId) -> bool,
    ) -> bool {
        if self.sessions.len() >= MOVERS_MAX {
            self.sessions.retain(|_, (session, _)| is_moving(*session));
        }
        let full = self.sessions.len() >= MOVERS_MAX;
        match self.sessions.entry(browser) {
            Entry::Occupied(entry) if is_moving(entry.get().0) => false,
            Entry::Occupied(mut entry) => {
                entry.insert((session, way));
                true
            }
            Entry::Vacant(_) if full => false,
            Entry::Vacant(entry) => {
                entry.insert((session, way));
                true
            }
        }
    }

    /// The session of `browser` that moves, if it was noted.
    pub(super) fn of(&self, browser: BrowserId) -> Option<(SessionId, Way)> {
        self.sessions.get(&browser).copied()
    }

    pub(super) fn end(&mut self, browser: BrowserId) {
        self.sessions.remove(&browser);
    }

    /// The next handshake of `origin` may be of a client that was steered away.
    pub(super) fn announce(&mut self, origin: Origin, now: Instant) {
        if self.expected.len() >= MOVERS_MAX {
            self.expected.retain(|_, (_, until)| now < *until);
        }
        if self.expected.len() < MOVERS_MAX || self.expected.contains_key(&origin) {
            let (count, until) = self.expected.entry(origin).or_insert((0, now));
            (*count, *until) = (count.saturating_add(1), now + EXPECTED_FOR);
        }
    }

    /// Whether a handshake of `origin` is expected; counts it off.
    pub(super) fn meets(&mut self, origin: Origin, now: Instant) -> bool {
        let Entry::Occupied(mut entry) = self.expected.entry(origin) else { return false };
        let (count, until) = entry.get_mut();
        let met = now < *until;
        *count -= u32::from(met);
        if *count == 0 || !met {
            entry.remove();
        }
        met
    }
}

/// Sessions that move at a time, and addresses that handshakes are expected from.
const MOVERS_MAX: usize = 100_000;
/// How long a handshake is expected (protocol.md SF10).
const EXPECTED_FOR: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
