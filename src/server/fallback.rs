//! Takes clients whose WebSockets keep breaking to long-polling, and back.
//!
//! No client in use gives WebSocket up by itself once a socket has worked, but all of them look anew
//! at what a handshake reply offers. So a client that has lost too many sockets is told, in place of
//! the reply to a connect, to shake hands anew; the reply then leaves WebSocket out, and its new
//! session takes over what the old one had (`broker::moves`). This file decides and performs;
//! `books.rs` counts, `movers.rs` remembers who is on the way.
//! Source: protocol.md section 18.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use self::{
    books::{Books, Demotion, KEYS_MAX, Key, Rules},
    movers::{MOVERS_MAX, Movers, Origin, Way},
};
use super::{app::App, clock, cookie::Presented, dispatch::Sender, report};
use crate::{
    bayeux::Message,
    broker::{BrowserId, Routes, Session, SessionId},
    config::{Config, Promote, Transport},
};

mod books;
mod movers;

/// See the module documentation.
pub(crate) struct Fallback {
    /// What a handshake reply offers without WebSocket.
    short: Vec<&'static str>,
    rules: Rules,
    /// Something was booked: until then nobody needs to look.
    used: AtomicBool,
    state: Mutex<State>,
    began: Instant,
}

struct State {
    books: Books,
    movers: Movers,
}

/// A time in 4 bytes, because every WebSocket keeps one: milliseconds, which come round after 49 days.
/// A socket that breaks just then counts as young.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(u32);

/// What a handshake comes to.
pub(super) struct Welcome {
    /// The session that the client had, whose heir the new one is.
    pub(super) old: Option<Arc<Session>>,
    pub(super) routes: Routes,
}

impl Fallback {
    pub(super) fn new(config: &Config) -> Self {
        let rules = Rules::new(&config.transports.websocket);
        let mut short = config.transports.names();
        short.retain(|name| *name != Transport::WebSocket.name());
        Self {
            short,
            rules: rules.clone(),
            used: AtomicBool::new(false),
            state: Mutex::new(State {
                books: Books::new(rules, KEYS_MAX),
                movers: Movers::new(MOVERS_MAX),
            }),
            began: clock::now(),
        }
    }

    /// The connection types that a handshake reply names.
    pub(super) fn offered<'a>(&'a self, app: &'a App, routes: Routes) -> &'a [&'static str] {
        if routes.shortened { &self.short } else { &app.connection_types }
    }

    /// This moment.
    pub(super) fn moment(&self) -> Moment {
        let millis = clock::now().saturating_duration_since(self.began).as_millis();
        Moment(millis as u32)
    }

    /// A WebSocket of `session` broke that was `opened` then (protocol.md SF1).
    pub(super) fn broken(&self, app: &App, session: &Session, cookies: &Presented, opened: Moment) {
        // Whoever has ended or moved on has nothing to be steered for.
        if self.rules.are_on() && !session.is_leaving() && app.broker.find(session.id()).is_some() {
            self.used.store(true, Ordering::Relaxed);
            let browser = cookies.ids.first().copied();
            let age = u64::from(self.moment().0.wrapping_sub(opened.0));
            let age = Duration::from_millis(age);
            self.state.lock().books.broken(session.id(), browser, age, clock::now());
        }
    }

    /// A WebSocket has ended that showed no sign of working: at most one message had come through it
    /// (protocol.md SF13).
    pub(super) fn mute(&self, app: &App, browser: Option<BrowserId>) {
        // Faye probes with sockets that carry nothing while it polls.
        let Some(browser) = browser.filter(|browser| !app.broker.is_held(*browser)) else { return };
        if self.rules.are_on() {
            self.used.store(true, Ordering::Relaxed);
            self.state.lock().books.mute(browser, clock::now());
        }
    }

    /// More than a handshake has come from a session of `browser`: its connections work.
    pub(super) fn spoke(&self, browser: Option<BrowserId>) {
        if let Some(browser) = browser.filter(|_| self.used.load(Ordering::Relaxed)) {
            self.state.lock().books.spoke(browser);
        }
    }

    /// Whether an upgrade is to be refused, because nothing passes through the WebSockets of its
    /// browser. A page that is in service is never refused: it would try again for ever.
    pub(super) fn refuses(&self, app: &App, client: IpAddr, cookies: &Presented) -> bool {
        if !self.used.load(Ordering::Relaxed) {
            return false;
        }
        let now = clock::now();
        cookies.ids.iter().any(|browser| {
            if self.state.lock().books.is_refused(*browser, now) {
                return true;
            }
            let begins = self.begins_to_refuse(*browser, now, || app.broker.serves(*browser));
            if begins {
                report::upgrades_refused(app, client);
            }
            begins
        })
    }

    /// Whether nothing passes through the WebSockets of a browser, none of whose sessions is in service:
    /// then its upgrades are refused from now on.
    fn begins_to_refuse(
        &self,
        browser: BrowserId,
        now: Instant,
        serves: impl FnOnce() -> bool,
    ) -> bool {
        let mut state = self.state.lock();
        if !state.books.is_mute(browser, now) {
            return false;
        }
        // Under the lock: a browser is in service before it says here that it speaks.
        if serves() {
            state.books.spoke(browser);
            return false;
        }
        state.books.refuse(browser, now);
        true
    }

    /// Whether a connect of `session` is to be answered by sending its client to a handshake
    /// (protocol.md SF5); if so, the session waits for that from now on.
    pub(super) fn steers(&self, app: &App, sender: &Sender<'_>, session: &Session) -> bool {
        if !self.used.load(Ordering::Relaxed) {
            return false;
        }
        if session.is_leaving() {
            return true;
        }
        let Some(browser) = session.browser() else { return false };
        let Routes { polls, shortened, .. } = session.routes();
        let lacks_cookie =
            app.config.session.browser_cookie.require && sender.cookies.ids.is_empty();
        if sender.transport != Transport::WebSocket || !polls || shortened || lacks_cookie {
            return false;
        }
        let now = clock::now();
        let mut state = self.state.lock();
        let known = sender.cookies.ids.as_slice();
        let Some(demotion) = state.books.demotion(session.id(), known, now) else { return false };
        let mover = (browser, session.id(), Way::Down);
        if !state.movers.begin(mover, now, |id| is_moving(app, id)) {
            return false;
        }
        if known.is_empty() {
            state.movers.announce(origin(app, sender), now);
        }
        drop(state);
        if !app.broker.leave(session, now) {
            // Another connect of it was first, or it has ended.
            return session.is_leaving();
        }
        app.broker.counters().demoted.add(1);
        let Demotion { breaks, until, .. } = demotion;
        let lasts = until.saturating_duration_since(now);
        report::demoted(app, sender.address, session, breaks, self.rules.window(), lasts);
        true
    }

    /// Whether a poll whose hold has ended without a message is to be answered by sending its client
    /// to a handshake, because it may use WebSocket again (protocol.md SF12).
    ///
    /// That handshake comes over a new WebSocket, on which only the cookie says whose it is. So polls
    /// and WebSockets have to have shown it; without, the client would lose what waits for it.
    pub(super) fn promotes(&self, app: &App, cookies: &Presented, session: &Session) -> bool {
        let Routes { sockets, shortened, .. } = session.routes();
        let steers = app.config.transports.websocket.promote == Promote::Steer;
        let known = session.browser().filter(|browser| cookies.ids.contains(browser));
        let Some(browser) = known.filter(|_| steers && sockets && shortened) else {
            return false;
        };
        let now = clock::now();
        let mut state = self.state.lock();
        let shown = || cookies.ids.iter().map(|browser| Key::Browser(*browser));
        let mut keys = shown().chain([Key::Session(session.id())]);
        let may = shown().any(|key| state.books.was_demoted(key, now))
            && !keys.any(|key| state.books.is_demoted(key, now));
        let mover = (browser, session.id(), Way::Up);
        if !may || !state.movers.begin(mover, now, |id| is_moving(app, id)) {
            return false;
        }
        drop(state);
        if !app.broker.leave(session, now) {
            return false;
        }
        app.broker.counters().promoted.add(1);
        report::promoted(app, session);
        true
    }

    /// Says what the client of a handshake had and what it is to be offered (protocol.md SF6, SF8,
    /// SF10).
    pub(super) fn welcomes(
        &self,
        app: &App,
        sender: &Sender<'_>,
        message: &Message<'_>,
    ) -> Welcome {
        let routes = routes(app, message);
        if !self.used.load(Ordering::Relaxed) {
            return Welcome { old: None, routes };
        }
        let now = clock::now();
        let mut state = self.state.lock();
        let (old, way) = predecessor(app, sender, &state.movers).unzip();
        if let Some(browser) = old.as_ref().and_then(|old: &Arc<Session>| old.browser()) {
            state.movers.end(browser);
        }
        let expected =
            sender.cookies.ids.is_empty() && state.movers.meets(origin(app, sender), now);
        let demoted = sender
            .cookies
            .ids
            .iter()
            .any(|browser| state.books.is_demoted(Key::Browser(*browser), now));
        let away = match way {
            Some(way) => way == Way::Down,
            None => expected || demoted,
        };
        Welcome { old, routes: Routes { shortened: away && routes.polls, ..routes } }
    }

    /// The client of `old` goes on as `new`.
    pub(super) fn moved(&self, old: &Session, new: &Session) {
        self.state.lock().books.inherit(old.id(), new.id());
    }
}

/// Whom a sender may be without a cookie.
fn origin(app: &App, sender: &Sender<'_>) -> Origin {
    Origin::new(sender.address, sender.whence.page(app))
}

/// The session that the client of a handshake was sent away from: of the same socket, or of the same
/// cookie, never of the same address. A socket that speaks for another session is another page's.
fn predecessor(app: &App, sender: &Sender<'_>, movers: &Movers) -> Option<(Arc<Session>, Way)> {
    let noted = |browser: BrowserId| {
        let (id, way) = movers.of(browser)?;
        let session = app.broker.find(id).filter(|session| session.is_leaving())?;
        Some((session, way))
    };
    if let Some(bound) = sender.bound {
        return bound.browser().and_then(noted).filter(|(session, _)| session.id() == bound.id());
    }
    sender.cookies.ids.iter().find_map(|browser| noted(*browser))
}

fn is_moving(app: &App, id: SessionId) -> bool {
    app.broker.find(id).is_some_and(|session| session.is_leaving())
}

/// What the client of a handshake can do and may. Of one that does not say nothing is known.
fn routes(app: &App, message: &Message<'_>) -> Routes {
    let has = |transport: Transport| {
        let offered = message.connection_types.as_ref();
        app.offers(transport)
            && offered.is_some_and(|names| names.iter().any(|name| name == transport.name()))
    };
    Routes {
        polls: app.offers(Transport::LongPolling)
            && (has(Transport::LongPolling) || has(Transport::CallbackPolling)),
        sockets: has(Transport::WebSocket),
        shortened: false,
    }
}

#[cfg(test)]
mod tests;
