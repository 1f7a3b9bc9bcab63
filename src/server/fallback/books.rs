//! Counts broken WebSockets, and says for whom there have been too many.
//!
//! A break is booked under the session that lost its socket and, where there is one, under the
//! browser cookie that the socket showed. Too many under the cookie *demote* the browser; without a
//! cookie too many of one session demote that session alone, because many people may share an
//! address. Reads no clock and knows no session, so that its tests invent the time.
//! Source: protocol.md SF1-SF3, SF13.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    broker::{BrowserId, SessionId},
    config,
};

/// Whom something is booked under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Browser(BrowserId),
    Session(SessionId),
}

/// When too many is too many; from `[transports.websocket]`.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    after: usize,
    window: Duration,
    young: Duration,
    lasts: Duration,
}

impl Rules {
    pub(super) const fn new(websocket: &config::WebSocket) -> Self {
        Self {
            after: websocket.demote_after,
            window: websocket.demote_window,
            young: websocket.demote_young,
            lasts: websocket.demote_for,
        }
    }

    pub(super) const fn window(&self) -> Duration {
        self.window
    }

    pub(super) const fn are_on(&self) -> bool {
        self.after > 0
    }
}

/// The time in which a key is offered no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demotion {
    /// The breaks that led to it.
    pub(super) breaks: usize,
    pub(super) until: Instant,
    began: Instant,
    /// How often its length was doubled.
    doubled: u32,
}

/// What is known of one key.
#[derive(Debug, Default)]
struct Book {
    /// Breaks within the window that have led to nothing yet; as many as lead to something at most.
    breaks: VecDeque<Instant>,
    last_break: Option<Instant>,
    demotion: Option<Demotion>,
    /// Ends of sockets through which nothing passed.
    mute: u8,
    last_mute: Option<Instant>,
    refused_until: Option<Instant>,
    /// Its place in the order of use.
    stamp: u64,
}

impl Book {
    /// Counts a break; true if there are too many now.
    fn count(&mut self, rules: &Rules, now: Instant) -> bool {
        self.last_break = Some(now);
        self.breaks.retain(|at| now.saturating_duration_since(*at) < rules.window);
        self.breaks.push_back(now);
        self.breaks.len() >= rules.after
    }

    fn demote(&mut self, rules: &Rules, now: Instant) {
        let breaks = self.breaks.len().max(rules.after);
        self.breaks = VecDeque::new();
        let again = self
            .demotion
            .filter(|before| now.saturating_duration_since(before.began) < DOUBLED_WITHIN);
        let doubled = again.map_or(0, |before| (before.doubled + 1).min(DOUBLED_MAX));
        let lasts = rules.lasts.saturating_mul(1 << doubled).min(LASTS_MAX.max(rules.lasts));
        self.demotion = Some(Demotion { breaks, until: now + lasts, began: now, doubled });
    }
}

/// See the module documentation. Holds [`KEYS_MAX`] keys, and forgets the one longest unused.
pub(super) struct Books {
    rules: Rules,
    books: HashMap<Key, Book>,
    /// Keys by their stamps.
    order: BTreeMap<u64, Key>,
    next_stamp: u64,
    keys_max: usize,
}

impl Books {
    pub(super) fn new(rules: Rules, keys_max: usize) -> Self {
        Self { rules, books: HashMap::new(), order: BTreeMap::new(), next_stamp: 0, keys_max }
    }

    /// A socket of `session` broke that was `age` old. `browser`: of the cookie that it showed.
    pub(super) fn broken(
        &mut self,
        session: SessionId,
        browser: Option<BrowserId>,
        age: Duration,
        now: Instant,
    ) {
        let Rules { after, young, .. } = self.rules;
        if after == 0 || !young.is_zero() && age >= young {
            return;
        }
        let rules = self.rules.clone();
        let own = Key::Session(session);
        let key = browser.map_or(own, Key::Browser);
        if self.is_demoted(key, now) || self.is_demoted(own, now) {
            // It leads to nothing, then or later; but the session has lost a socket.
            self.book(own).last_break = Some(now);
            return;
        }
        // The first socket of a browser shows no cookie yet: its breaks under the session make up.
        let mut too_many = self.book(own).count(&rules, now);
        if key != own {
            too_many |= self.book(key).count(&rules, now);
        }
        if too_many {
            self.book(key).demote(&rules, now);
            self.book(own).breaks = VecDeque::new();
        }
    }

    /// The demotion that concerns a session: its browser's or its own, if it has itself lost a
    /// socket within the window.
    pub(super) fn demotion(
        &self,
        session: SessionId,
        browsers: &[BrowserId],
        now: Instant,
    ) -> Option<Demotion> {
        let lost = self.books.get(&Key::Session(session))?.last_break?;
        if now.saturating_duration_since(lost) >= self.rules.window {
            return None;
        }
        let keys = browsers.iter().copied().map(Key::Browser).chain([Key::Session(session)]);
        keys.filter_map(|key| self.current(key, now)).max_by_key(|demotion| demotion.until)
    }

    pub(super) fn is_demoted(&self, key: Key, now: Instant) -> bool {
        self.current(key, now).is_some()
    }

    /// Whether a demotion of `key` is over. A browser's shows that its WebSockets bring the cookie.
    pub(super) fn was_demoted(&self, key: Key, now: Instant) -> bool {
        let demotion = self.books.get(&key).and_then(|book| book.demotion);
        demotion.is_some_and(|demotion| demotion.until <= now)
    }

    /// A client goes on under another session: what is known of it stays known.
    pub(super) fn inherit(&mut self, from: SessionId, to: SessionId) {
        if let Some(book) = self.books.remove(&Key::Session(from)) {
            self.order.remove(&book.stamp);
            let Book { demotion, last_break, .. } = book;
            let heir = self.book(Key::Session(to));
            (heir.demotion, heir.last_break) = (demotion, last_break);
        }
    }

    /// A socket of `browser` has ended through which no more than one message had come.
    pub(super) fn mute(&mut self, browser: BrowserId, now: Instant) {
        let window = self.rules.window;
        let book = self.book(Key::Browser(browser));
        let recent =
            book.last_mute.is_some_and(|last| now.saturating_duration_since(last) < window);
        book.mute = if recent { book.mute.saturating_add(1) } else { 1 };
        book.last_mute = Some(now);
    }

    /// Something has come from `browser` that shows that its connections work.
    pub(super) fn spoke(&mut self, browser: BrowserId) {
        if let Some(book) = self.books.get_mut(&Key::Browser(browser)) {
            book.mute = 0;
        }
    }

    /// Whether too many sockets of `browser` were mute; that they are not is to be confirmed by
    /// [`Self::refuse`].
    pub(super) fn is_mute(&self, browser: BrowserId, now: Instant) -> bool {
        self.books.get(&Key::Browser(browser)).is_some_and(|book| {
            let recent = |last| now.saturating_duration_since(last) < self.rules.window;
            book.mute >= MUTE_MAX && book.last_mute.is_some_and(recent)
        })
    }

    /// Refuses the upgrades of `browser` from now on.
    pub(super) fn refuse(&mut self, browser: BrowserId, now: Instant) {
        let until = now + self.rules.lasts;
        let book = self.book(Key::Browser(browser));
        (book.mute, book.refused_until) = (0, Some(until));
    }

    pub(super) fn is_refused(&self, browser: BrowserId, now: Instant) -> bool {
        let book = self.books.get(&Key::Browser(browser));
        book.and_then(|book| book.refused_until).is_some_and(|until| now < until)
    }

    fn current(&self, key: Key, now: Instant) -> Option<Demotion> {
        self.books.get(&key)?.demotion.filter(|demotion| now < demotion.until)
    }

    /// The book of `key`, which is now the one last used.
    fn book(&mut self, key: Key) -> &mut Book {
        self.next_stamp += 1;
        let known = self.books.get(&key).map(|book| book.stamp);
        match known {
            Some(stamp) => drop(self.order.remove(&stamp)),
            None if self.books.len() >= self.keys_max => {
                if let Some((_, oldest)) = self.order.pop_first() {
                    self.books.remove(&oldest);
                }
            }
            None => {}
        }
        self.order.insert(self.next_stamp, key);
        let book = self.books.entry(key).or_default();
        book.stamp = self.next_stamp;
        book
    }
}

/// Keys remembered: with their books some 20 MB.
pub(super) const KEYS_MAX: usize = 100_000;
/// A demotion so soon after another one began lasts twice as long.
const DOUBLED_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// The longest demotion, unless `demote_for` is longer by itself.
const LASTS_MAX: Duration = Duration::from_secs(4 * 3600);
/// More doublings change nothing: 100 ms have become 4 h before.
const DOUBLED_MAX: u32 = 20;
/// Mute sockets after which a cookie's upgrades are refused.
const MUTE_MAX: u8 = 2;

#[cfg(test)]
mod tests;
