//! The broker: who is connected, who subscribes to what, and which message waits for whom.
//!
//! Everything here is plain synchronous code. It takes `now` as an argument, never waits, never reads
//! a clock or a random source, and knows no transport: bytes have become frames before they come
//! in, and leave as [`Batch`]es that a transport writes. That is what lets `tests/simulation` run
//! thousands of seeded histories against it.
//!
//! - [`Session`] is a locked struct without a task of its own; whoever holds a connection takes from
//!   its `mailbox`.
//! - `topic` is one channel name or pattern with its subscribers and its publish order.
//! - [`Delivery`] carries published frames to every matching mailbox.
//! - `direct` puts a message into one mailbox.
//! - `expiry` knows when sessions are due whose clients stay away; `sweep` does what is due.
//! - `shed` ends sessions when all queues together are too large.

mod ack;
mod activity;
mod batch;
mod browser;
mod census;
mod deliver;
mod deliveries;
mod direct;
mod dismissed;
mod expiry;
mod follow;
mod holds;
mod id_hash;
mod lazy;
mod limits;
mod mailbox;
mod matching;
mod monitor;
mod moves;
mod payload;
mod publish;
mod reach;
mod roster;
mod routes;
mod rules;
mod served;
mod session;
mod settings;
mod shed;
mod subscribe;
mod sweep;
mod tell;
mod topic;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::{DashMap, Entry};
use parking_lot::Mutex;

pub use self::{
    batch::Batch,
    browser::BrowserId,
    census::ChannelOverview,
    deliver::{Delivery, Progress, Wakes},
    deliveries::Deliveries,
    expiry::TICK,
    follow::{Arrival, End, FOLLOWS, Follower},
    holds::HoldSlot,
    lazy::LAZY_TICK,
    limits::{Counter, Counters, Ended, Gauge},
    mailbox::{Carrier, Generation, Ready, Take},
    moves::{CLAIM_TIME, Moved, Unclaimed},
    payload::Payload,
    publish::Published,
    reach::Reach,
    routes::Routes,
    session::{Overview, RequestGuard, Session, SessionId, Signal},
    settings::INTERVAL_MAX,
    tell::About,
    topic::{Delivered, Seq},
};
use self::{
    dismissed::Dismissed,
    expiry::{Clock, Wheel},
    holds::Holds,
    id_hash::IdHash,
    lazy::LazyTimes,
    limits::Unlogged,
    mailbox::{Closed, Ending},
    matching::{PatternGeneration, Patterns},
    monitor::Monitoring,
    moves::Moves,
    roster::Roster,
    rules::Rules,
    served::Served,
    session::Subscription,
    settings::Settings,
    shed::Round,
    sweep::Sweep,
    topic::Topic,
};
pub use crate::events::{Cause, Sid};
use crate::{
    bayeux::{ChannelName, Meter, NameLimits, Refusal},
    config::Config,
    events::{Events, What},
};

/// Share of the queue ceiling above which handshakes are refused, in percent (architecture.md 6).
const HANDSHAKE_PRESSURE_PERCENT: usize = 70;
/// Parts of the table of channels, each with a lock: of a million channels a look at all ([`Broker::each_channel`])
/// holds one for a quarter of a millisecond, as does the growth of a part. An empty one is 128 bytes.
const TOPIC_PARTS: usize = 256;

/// The state of one node: sessions, channels, queues and their bounds.
pub struct Broker {
    sessions: DashMap<SessionId, Arc<Session>, IdHash>,
    roster: Roster,
    /// In many parts, so that whoever goes through all of them holds up few for a short time.
    topics: DashMap<ChannelName, Arc<Topic>>,
    /// How many there are: the map would lock each of its parts to count.
    topics_len: AtomicUsize,
    patterns: PatternGeneration,
    sweep: Sweep,
    shedding: Mutex<Option<Round>>,
    holds: Arc<Holds>,
    served: Served,
    rules: Rules,
    settings: Settings,
    meter: Arc<Meter>,
    clock: Clock,
    dismissed: Dismissed,
    wheel: Mutex<Wheel>,
    lazy: LazyTimes,
    counters: Arc<Counters>,
    ended: Unlogged<Ended>,
    moves: Moves,
    events: Arc<Events>,
    monitoring: Mutex<Monitoring>,
}

impl Broker {
    /// Makes an empty broker whose time starts at `now`. For its events it is always 1970.
    #[must_use]
    pub fn new(config: &Config, now: Instant) -> Arc<Self> {
        Self::telling_time(config, now, || Duration::ZERO)
    }

    /// As [`Self::new`]; `time_of_day` is what its events say of the time, since 1970.
    #[must_use]
    pub fn telling_time(config: &Config, now: Instant, time_of_day: fn() -> Duration) -> Arc<Self> {
        let broker = Arc::new(Self {
            sessions: DashMap::default(),
            roster: Roster::default(),
            topics: DashMap::with_shard_amount(TOPIC_PARTS),
            topics_len: AtomicUsize::new(0),
            patterns: PatternGeneration::default(),
            sweep: Sweep::default(),
            shedding: Mutex::default(),
            holds: Arc::default(),
            served: Served::default(),
            rules: Rules::new(config),
            settings: Settings::new(config),
            meter: Arc::default(),
            clock: Clock::new(now),
            dismissed: Dismissed::default(),
            wheel: Mutex::new(Wheel::new()),
            counters: Arc::default(),
            lazy: LazyTimes::default(),
            ended: Unlogged::default(),
            moves: Moves::default(),
            events: Arc::new(Events::new(&config.monitor, time_of_day)),
            monitoring: Mutex::default(),
        });
        broker.rules.persistent_channels().for_each(|name| drop(broker.topic(name)));
        broker
    }

    /// Opens a session under `id`, which the caller made from 128 random bits.
    ///
    /// `browser` is the verified browser cookie that the session is bound to, if there is one.
    ///
    /// # Errors
    /// `503::overloaded` at the session limit or when queues hold 70 % of the byte ceiling.
    pub fn handshake(
        &self,
        id: SessionId,
        browser: Option<BrowserId>,
        now: Instant,
    ) -> Result<Arc<Session>, Refusal> {
        if self.sessions.len() >= self.settings.bounds.sessions_max.now()
            || self.pressure_percent() >= HANDSHAKE_PRESSURE_PERCENT
        {
            self.counters.handshakes_refused.add(1);
            return Err(Refusal::Overloaded);
        }
        Ok(self.open((id, id), browser, now))
    }

    /// Finds the live session that a client names.
    #[must_use]
    pub fn session(&self, client_id: &str) -> Option<Arc<Session>> {
        self.find(SessionId::parse(client_id)?)
    }

    /// Finds a live session by its id.
    #[must_use]
    pub fn find(&self, id: SessionId) -> Option<Arc<Session>> {
        self.sessions.get(&id).map(|entry| Arc::clone(entry.value()))
    }

    /// Makes `session` live on for a while because its client said something (protocol.md 52).
    pub fn touch(&self, session: &Arc<Session>, now: Instant) {
        session.active().note(self.clock.at(now));
        let life = if session.is_connected() {
            self.settings.max_interval
        } else {
            self.settings.handshake_grace
        };
        self.extend(session, life, now);
    }

    /// Hands delivery of `session` to a new connection and suspends its expiry if `held`.
    ///
    /// The previous carrier is told that it is superseded (protocol.md 41-43, 100).
    pub fn claim(
        &self,
        session: &Arc<Session>,
        carrier: Carrier,
        held: bool,
        now: Instant,
    ) -> Generation {
        let life = self.clock.after(now, self.settings.max_interval);
        let at = self.clock.micros(now) / 1_000;
        let generation = session.claim(carrier, held, life, at);
        if !held {
            self.schedule(session, life);
        }
        generation
    }

    /// Starts a `/meta/connect`: the session is connected and does not expire until [`Self::left`].
    ///
    /// Returns whether it is the session's first (protocol.md 31) and the new generation.
    pub fn connect(
        &self,
        session: &Arc<Session>,
        carrier: Carrier,
        now: Instant,
    ) -> (bool, Generation) {
        let first = self.set_connected(session);
        (first, self.claim(session, carrier, true, now))
    }

    /// Ends the part of `generation`: the reply of its connect was written, or its client left.
    ///
    /// Expiry starts, `interval` later than usual (protocol.md 50). Does nothing if a newer carrier
    /// has taken over.
    pub fn left(
        &self,
        session: &Arc<Session>,
        generation: Generation,
        interval: Duration,
        now: Instant,
    ) {
        let due = self.clock.after(now, interval.saturating_add(self.settings.max_interval));
        if session.release(generation, due) {
            self.schedule(session, due);
        }
    }

    /// Takes a closed connection off its session: messages wait in the queue (protocol.md 55, 56).
    pub fn detach(&self, session: &Arc<Session>, generation: Generation, now: Instant) {
        self.left(session, generation, Duration::ZERO, now);
        session.detach(generation);
    }

    /// Ends a session: subscriptions and queue go, its carrier is told, later messages get a 402.
    ///
    /// Returns false if it had ended already.
    pub fn end(&self, session: &Session, cause: Cause) -> bool {
        self.end_as(session, cause, cause)
    }

    /// Ends a session because an operator wants it. With `reconnect` its client is told nothing but that
    /// the session is gone, and begins anew; else it is told to stay away (protocol.md 80); if it holds no
    /// connect, with its next one.
    ///
    /// Returns false if it had ended already.
    pub fn kick(&self, session: &Session, reconnect: bool) -> bool {
        // What a client hears whose session has expired is what makes it handshake again.
        let told = if reconnect { Cause::Expired } else { Cause::Kicked };
        self.end_as(session, Cause::Kicked, told)
    }

    /// `told` is what the session's carrier hears.
    fn end_as(&self, session: &Session, cause: Cause, told: Cause) -> bool {
        let Some(subscriptions) = session.end() else { return false };
        if told == Cause::Kicked {
            // First, or a connect in between would hear of neither.
            let life = self.settings.max_interval + INTERVAL_MAX;
            self.dismissed.remember(session.id(), self.clock.latest(), life);
        }
        self.sessions.remove(&session.id());
        self.roster.remove(session);
        self.served.leave(session);
        session.uncount();
        for Subscription { name, topic, key } in &subscriptions {
            if topic.remove(*key) {
                self.sweep.list(name.clone());
            }
        }
        // Last, so that a carrier which is told finds everything gone already.
        let closed = session.close_mailbox(Ending { cause, told });
        self.forget_monitor(session);
        let what = self.count_end(session, cause, closed);
        let within = |pattern: &ChannelName| {
            subscriptions.iter().any(|known| pattern.covers(known.name.as_str()))
        };
        self.tell_end(session, &within, what);
        true
    }

    /// Ends every session, because the server has.
    pub fn end_all(&self) {
        let sessions: Vec<_> =
            self.sessions.iter().map(|entry| Arc::clone(entry.value())).collect();
        for session in sessions {
            self.end(&session, Cause::Drain);
        }
    }

    /// Reserves a held connect of `session` for its browser, if the limit allows it: the one for
    /// browsers whose requests share a connection (`multiplexed`, HTTP/2 and later) or the other
    /// (protocol.md 75).
    #[must_use]
    pub fn hold_for(
        &self,
        browser: BrowserId,
        multiplexed: bool,
        session: SessionId,
    ) -> Option<HoldSlot> {
        let bounds = &self.settings.bounds;
        let max = if multiplexed { &bounds.multiplexed_max } else { &bounds.per_browser_max };
        self.holds.enter((browser, multiplexed), session, max.now())
    }

    /// Whether `browser` holds a connect.
    #[must_use]
    pub fn is_held(&self, browser: BrowserId) -> bool {
        self.holds.has(browser)
    }

    /// Where everything that happens is told.
    #[must_use]
    pub const fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// Has the latency of deliveries measured, by a clock that the broker does not have.
    pub fn measure_latency(&self, now: fn() -> Instant) {
        self.counters.delivered.measure(now, self.clock.epoch());
    }

    /// Has the deliveries of messages told whose [`Reach::followed`] gave them a number.
    pub fn follow(&self, follower: Arc<dyn Follower>) {
        self.counters.delivered.follow(follower);
    }

    /// Microseconds of the broker's time at `now`, as they stand in marks.
    #[must_use]
    pub fn micros(&self, now: Instant) -> u64 {
        self.clock.micros(now)
    }

    /// Counters since the start, for logs and tests.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes the list of sessions that ended since the last call, for the log.
    #[must_use]
    pub fn take_ended(&self) -> Vec<Ended> {
        self.ended.take()
    }

    /// Number of live sessions.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Number of messages that wait in all queues; looks at every session.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.sessions.iter().map(|entry| entry.queued()).sum()
    }

    /// Number of live channels and patterns.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.topics_len.load(Ordering::Relaxed)
    }

    /// Bytes of all live frames, each counted once however many queues it waits in.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.meter.bytes()
    }

    /// Bounds on channel names, from the configuration.
    #[must_use]
    pub const fn name_limits(&self) -> NameLimits {
        self.settings.name
    }

    /// Opens a session; `ids`: its own and its kin's.
    fn open(
        &self,
        ids: (SessionId, SessionId),
        browser: Option<BrowserId>,
        now: Instant,
    ) -> Arc<Session> {
        let session = Arc::new(Session::new(
            ids,
            browser,
            &self.settings,
            Arc::clone(&self.counters),
            self.clock.at(now),
        ));
        self.sessions.insert(session.id(), Arc::clone(&session));
        self.extend(&session, self.settings.handshake_grace, now);
        self.counters.sessions_created.add(1);
        session
    }

    /// Counts the end of a session; returns what is to be told of it.
    fn count_end(&self, session: &Session, cause: Cause, closed: Closed) -> What {
        let Closed { delivered, discarded } = closed;
        self.counters.ended(cause, discarded);
        let age = Duration::from_millis(self.clock.latest().saturating_sub(session.created()));
        self.ended.push(Ended { id: session.id(), cause, discarded, age });
        What::Disconnect { cause, age, delivered, discarded }
    }

    /// Finds or creates a channel; `None` at the limit of channels.
    fn topic(&self, name: &ChannelName) -> Option<Arc<Topic>> {
        if let Some(topic) = self.topics.get(name.as_str()) {
            return Some(Arc::clone(topic.value()));
        }
        if self.channels() >= self.settings.bounds.channels_max.now() {
            return None;
        }
        match self.topics.entry(name.clone()) {
            Entry::Occupied(entry) => Some(Arc::clone(entry.get())),
            Entry::Vacant(entry) => {
                if name.is_pattern() {
                    self.patterns.advance();
                }
                self.topics_len.fetch_add(1, Ordering::Relaxed);
                let persistent = !name.is_pattern() && self.rules.of(name).persistent;
                let topic = Arc::clone(&entry.insert(Arc::new(Topic::new(persistent))));
                if !persistent {
                    self.sweep.list(name.clone());
                }
                Some(topic)
            }
        }
    }

    /// The patterns over a channel, without itself.
    fn patterns_over(&self, name: &ChannelName) -> Patterns {
        let mut found = Vec::new();
        name.for_each_pattern(|pattern| {
            if pattern != name.as_str() {
                found.extend(self.topics.get(pattern).map(|entry| Arc::clone(entry.value())));
            }
        });
        found.into()
    }

    fn pressure_percent(&self) -> usize {
        self.meter.bytes().saturating_mul(100) / self.queued_bytes_max().max(1)
    }
}

#[cfg(test)]
mod tests;
