//! One simulated history: a broker, its clients, a virtual clock, and what may happen next.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bayeuxd::{
    bayeux::{ChannelName, NameLimits},
    broker::{
        Broker, Carrier, Cause, Delivered, Delivery, Generation, Payload, Published, Session,
        SessionId, TICK, Wakes,
    },
    config::{ChannelRule, Config, QueuePolicy},
};
use serde_json::value::RawValue;

use crate::{
    acks::Acks,
    ledger::{Ledger, Number},
    life::{GRACE_MS, Life, MAX_INTERVAL_MS},
    moves::Moved,
    random::Random,
    task::{Bell, Task},
};

/// A gap between ticks above which the broker takes its process for stopped.
const PAUSE_MS: u64 = 5_000;
/// The usual hold of a connect; some are held longer than a session lives without one.
pub(crate) const HOLD_MS: u64 = 3_000;

/// How long messages of `/lazy` wait for others.
const LAZY_MS: u64 = 1_000;

/// Channels that are published to; those below `/old` and `/new` may lose messages.
const CHANNELS: [&str; 8] = ["/a", "/a/b", "/a/b/c", "/b", "/old/x", "/new/x", "/new/y", "/lazy"];
/// What goes to one session alone, whatever it subscribed to.
pub(crate) const SERVICE: &str = "/service/x";
/// Names that are subscribed to.
const NAMES: [&str; 12] = [
    "/a", "/a/b", "/a/*", "/a/**", "/a/b/*", "/b", "/*", "/**", "/old/x", "/new/*", "/none",
    "/lazy",
];

/// A client: what it believes, and until when it is silent.
#[derive(Default)]
pub(crate) struct Client {
    /// Its number in the ledger and its session, if it has shaken hands.
    pub(crate) session: Option<(usize, Arc<Session>)>,
    pub(crate) silent_until: u64,
    /// When it sends its next connect by itself, as a healthy client does.
    pub(crate) connect_at: Option<u64>,
}

/// A walk in progress and the wake-ups that it has collected.
pub(crate) struct Walk {
    pub(crate) own: Number,
    pub(crate) delivery: Delivery,
    pub(crate) wakes: Wakes,
}

/// A publisher that waits for somebody else's walk.
pub(crate) struct Behind {
    pub(crate) own: Number,
    pub(crate) delivered: Delivered,
    pub(crate) bell: Arc<Bell>,
}

/// See the module documentation.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) broker: Arc<Broker>,
    pub(crate) config: Config,
    pub(crate) clients: Vec<Client>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) walks: Vec<Walk>,
    pub(crate) behind: Vec<Behind>,
    pub(crate) ledger: Ledger,
    /// The session that each client of the ledger has, or had last.
    pub(crate) lives: Vec<Life>,
    pub(crate) moved: Moved,
    /// No more faults: every write arrives, nobody vanishes.
    pub(crate) healthy: bool,
    /// Virtual milliseconds since the start.
    pub(crate) now: u64,
    epoch: Instant,
    ticked: u64,
    paused: u64,
    pub(crate) readers: HashMap<SessionId, usize>,
    /// How often things happened that the broker does not count.
    pub(crate) seen: HashMap<&'static str, u64>,
}

impl World {
    /// A broker whose bounds depend on the seed, and its clients.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let config = config(&mut random);
        #[expect(clippy::disallowed_methods, reason = "a starting point for a virtual clock")]
        let epoch = Instant::now();
        let clients = 2 + random.index(4);
        Self {
            broker: Broker::new(&config, epoch),
            clients: (0..clients).map(|_| Client::default()).collect(),
            tasks: Vec::new(),
            walks: Vec::new(),
            behind: Vec::new(),
            ledger: Ledger::default(),
            lives: Vec::new(),
            moved: Moved::default(),
            healthy: false,
            now: 0,
            epoch,
            ticked: 0,
            paused: 0,
            readers: HashMap::new(),
            seen: HashMap::new(),
            random,
            config,
        }
    }

    /// Notes that something happened.
    pub(crate) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// The time that the broker is told.
    pub(crate) fn instant(&self) -> Instant {
        self.epoch + Duration::from_millis(self.now)
    }

    /// The broker's own time, which leaves pauses out.
    pub(crate) fn broker_time(&self) -> u64 {
        self.now.min(self.ticked + PAUSE_MS) - self.paused
    }

    /// Lets time pass, with a tick whenever one is due.
    pub(crate) fn pass(&mut self, ms: u64) {
        let tick = TICK.as_millis() as u64;
        let until = self.now + ms;
        while self.ticked + tick <= until {
            self.now = self.now.max(self.ticked + tick);
            self.tick();
        }
        self.now = until;
        self.broker.wake_lazy(self.instant());
    }

    /// The whole process stands still, then wakes; a message may come before the first tick.
    pub(crate) fn pause(&mut self) {
        self.saw("pauses");
        self.now += PAUSE_MS + 1 + self.random.below(100_000);
        if self.random.once_in(2) {
            let client = self.random.index(self.clients.len());
            self.touch(client);
        }
        self.paused += self.now - self.ticked;
        self.ticked = self.now;
        self.tick();
    }

    fn tick(&mut self) {
        self.ticked = self.now;
        self.broker.tick(self.instant());
        self.note_ends();
        let now = self.broker_time();
        self.lives.iter().for_each(|life| life.assert_not_overdue(now));
    }

    /// Learns which sessions the broker has ended.
    pub(crate) fn note_ends(&mut self) {
        let now = self.broker_time();
        self.note_unclaimed();
        for ended in self.broker.take_ended().into_iter().filter(|end| end.cause != Cause::Moved) {
            let reader = self.readers[&ended.id];
            self.ledger.end(reader);
            self.lives[reader].end(ended.cause, now);
        }
    }

    /// A connect of an acknowledging client says what has arrived, or something else that it may say.
    pub(crate) fn acknowledge(&mut self, reader: usize, session: &Session) {
        let luck = if self.healthy { 9 } else { self.random.below(10) };
        let Some(acks) = &mut self.lives[reader].acks else { return };
        let number = match luck {
            0 => acks.arrived.saturating_sub(1),
            1 => acks.future(),
            2 => u64::MAX,
            3 => 0,
            _ => acks.arrived,
        };
        session.acknowledge(number);
        acks.says(number);
    }

    // What a client may do.

    /// Opens a session and subscribes.
    pub(crate) fn handshake(&mut self, client: usize) {
        let id = self.new_id();
        let Ok(session) = self.broker.handshake(id, None, self.instant()) else {
            self.clients[client].session = None;
            return;
        };
        let reader = self.ledger.open();
        self.readers.insert(id, reader);
        let mut life = Life::new(Arc::clone(&session), self.broker_time());
        if self.random.once_in(3) {
            session.start_acknowledging();
            life.acks = Some(Acks::default());
        }
        self.lives.push(life);
        self.clients[client].session = Some((reader, session));
        self.clients[client].connect_at = Some(self.now);
        for _ in 0..1 + self.random.below(3) {
            self.subscribe(client);
        }
    }

    pub(crate) fn new_id(&mut self) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.random.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.random.next().to_be_bytes());
        SessionId::from_bytes(bytes)
    }

    /// A message that only shows that the client lives.
    pub(crate) fn touch(&mut self, client: usize) {
        if let Some((reader, session)) = &self.clients[client].session {
            self.broker.touch(session, self.instant());
            let now = self.broker_time();
            self.lives[*reader].touch(now);
        }
    }

    pub(crate) fn subscribe(&mut self, client: usize) {
        let name = name(self.random.pick(&NAMES));
        self.subscribe_to(client, &name);
    }

    pub(crate) fn subscribe_to(&mut self, client: usize, name: &ChannelName) {
        self.touch(client);
        if let Some((reader, session)) = &self.clients[client].session
            && self.broker.subscribe(session, name).is_ok()
        {
            assert!(self.lives[*reader].ended.is_none(), "an ended session subscribed");
            self.ledger.subscribe(*reader, name);
        }
    }

    pub(crate) fn unsubscribe(&mut self, client: usize) {
        let name = name(self.random.pick(&NAMES));
        self.touch(client);
        if let Some((reader, session)) = &self.clients[client].session {
            let _ = self.broker.unsubscribe(session, &name);
            self.ledger.unsubscribe(*reader, &name);
        }
    }

    /// Starts to publish, for a client or for the server itself; the walk is stepped later.
    pub(crate) fn publish(&mut self, client: Option<usize>) -> Option<Number> {
        let text = self.random.pick(&CHANNELS);
        let (channel, number) = (name(text), self.ledger.next());
        let data = self.next_data();
        let publisher = client.and_then(|client| self.clients[client].session.clone());
        let session = publisher.as_ref().map(|(_, session)| &**session);
        let published =
            self.broker.publish(session, &channel, Payload::from(&*data), self.instant()).ok()?;
        let lossy = text.starts_with("/old") || text.starts_with("/new");
        let mute = !self.config.session.broadcast_to_publisher;
        let except = publisher.filter(|_| mute).map(|(reader, _)| reader);
        self.ledger.publish(&channel, lossy, except);
        match published {
            Published::Walk(delivery) => {
                self.walks.push(Walk { own: number, delivery, wakes: Wakes::default() });
            }
            Published::Behind(delivered) => {
                self.saw("publishers behind others");
                self.behind.push(Behind { own: number, delivered, bell: Bell::new() });
            }
        }
        Some(number)
    }

    /// The data of the next message: its number, and something that takes room.
    pub(crate) fn next_data(&mut self) -> Box<RawValue> {
        let (number, padding) = (self.ledger.next(), "x".repeat(self.random.index(120)));
        RawValue::from_string(format!("[{number},\"{padding}\"]")).expect("JSON")
    }

    /// Says goodbye, or is sent away.
    pub(crate) fn end(&mut self, client: usize, cause: Cause) {
        let Some((reader, session)) = self.clients[client].session.take() else { return };
        self.lives[reader].condemned = self.lives[reader].ended.is_none();
        assert_eq!(self.broker.end(&session, cause), self.lives[reader].condemned);
    }

    /// Starts a connect; true if it is the session's first.
    pub(crate) fn connect(
        &mut self,
        reader: usize,
        session: &Arc<Session>,
        carrier: Carrier,
    ) -> (bool, Generation) {
        let (first, generation) = self.broker.connect(session, carrier, self.instant());
        let now = self.broker_time();
        self.lives[reader].claim(generation, true, now);
        if first {
            self.ledger.connects_first(reader);
        }
        (first, generation)
    }

    /// A new WebSocket says its first word.
    pub(crate) fn claim(&mut self, reader: usize, session: &Arc<Session>) -> Generation {
        let generation = self.broker.claim(session, Carrier::Socket, false, self.instant());
        let now = self.broker_time();
        self.lives[reader].claim(generation, false, now);
        generation
    }

    /// A connect is over.
    pub(crate) fn left(&mut self, task: &Task, generation: Generation, interval: u64) {
        let pause = Duration::from_millis(interval);
        self.broker.left(&task.session, generation, pause, self.instant());
        let now = self.broker_time();
        if self.is_current(task) {
            self.lives[task.reader].left(generation, interval, now);
        }
    }

    /// A WebSocket is closed.
    pub(crate) fn detach(&mut self, task: &Task, generation: Generation) {
        self.broker.detach(&task.session, generation, self.instant());
        let now = self.broker_time();
        if self.is_current(task) {
            self.lives[task.reader].left(generation, 0, now);
        }
    }
}

/// Bounds that are wide in most histories and tight in some.
fn config(random: &mut Random) -> Config {
    let mut config = Config::default();
    let session = &mut config.session;
    session.max_interval = Duration::from_millis(MAX_INTERVAL_MS);
    session.handshake_grace = Duration::from_millis(GRACE_MS);
    session.meta_connect_deliver_only = random.once_in(8);
    session.broadcast_to_publisher = !random.once_in(4);
    session.queue.max_messages = random.pick(&[4, 16, 1000, 1000]);
    session.queue.max_bytes = random.pick(&[400, 2_000, 1 << 20, 1 << 20]);
    config.limits.queued_bytes = random.once_in(8).then(|| 1_000 + random.index(4_000));
    config.limits.sessions = random.pick(&[3, 100, 100]);
    config.limits.subscriptions = random.pick(&[2, 128, 128]);
    config.limits.channels = random.pick(&[6, 100, 100]);
    let rule = |pattern: &str, policy| ChannelRule {
        pattern: pattern.into(),
        queue_policy: Some(policy),
        ..ChannelRule::default()
    };
    let lazy = Some(Duration::from_millis(LAZY_MS));
    config.channels = vec![
        rule("/old/**", QueuePolicy::DropOldest),
        rule("/new/**", QueuePolicy::Latest),
        ChannelRule { lazy, ..rule("/lazy", QueuePolicy::Disconnect) },
    ];
    config
}

pub(crate) fn name(text: &str) -> ChannelName {
    ChannelName::parse(text, NameLimits { bytes: 255, segments: 16 }).expect("a channel name")
}
