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

/// See the module documentation. Each of its tables holds `max` entries; a full one is looked through
/// for what is over, not more often than each [`TIDIED_EVERY`], and takes nothing more until then.
pub(super) struct Movers {
    max: usize,
    sessions: HashMap<BrowserId, (SessionId, Way)>,
    /// Handshakes that will get the short list, and until when.
    expected: HashMap<Origin, (u32, Instant)>,
    /// When the two were looked through.
    tidied: (Option<Instant>, Option<Instant>),
}

impl Movers {
    pub(super) fn new(max: usize) -> Self {
        let (sessions, expected) = (HashMap::new(), HashMap::new());
        Self { max, sessions, expected, tidied: (None, None) }
    }

    /// Notes that a session of a browser moves; false if another one of it does, as `is_moving` tells
    /// of those that were noted, or if too many do.
    pub(super) fn begin(
        &mut self,
        (browser, session, way): (BrowserId, SessionId, Way),
        now: Instant,
        is_moving: impl Fn(SessionId) -> bool,
    ) -> bool {
        if self.sessions.len() >= self.max && may_tidy(&mut self.tidied.0, now) {
            self.sessions.retain(|_, (session, _)| is_moving(*session));
        }
        let full = self.sessions.len() >= self.max;
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
        if self.expected.len() >= self.max && may_tidy(&mut self.tidied.1, now) {
            self.expected.retain(|_, (_, until)| now < *until);
        }
        if self.expected.len() < self.max || self.expected.contains_key(&origin) {
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

/// Whether a full table may be looked through, which was done `last`.
fn may_tidy(last: &mut Option<Instant>, now: Instant) -> bool {
    let may = last.is_none_or(|last| now.saturating_duration_since(last) >= TIDIED_EVERY);
    if may {
        *last = Some(now);
    }
    may
}

/// Sessions that move at a time, and addresses that handshakes are expected from.
pub(super) const MOVERS_MAX: usize = 100_000;
/// A look at 100,000 entries takes some 10 ms, in which nobody else is served.
const TIDIED_EVERY: Duration = Duration::from_secs(1);
/// How long a handshake is expected (protocol.md SF10).
const EXPECTED_FOR: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
