//! One thing that happened, as monitors, log, metrics and the admin API name it.
//!
//! The words for types, causes and kinds stand here once; log lines and metric labels use the same.
//! A clientId, a key or a cookie cannot be said: there is no field for them.
//! Source: monitoring.md 3, 4, 7.

use std::{sync::Arc, time::Duration};

use super::{peer::Peer, sid::Sid};
use crate::{bayeux::Refusal, config::Transport, words::words};

/// See the module documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Position among all events of the node.
    pub seq: u64,
    /// When, since 1970.
    pub at: Duration,
    /// Who.
    pub subject: Subject,
    /// Why it was refused; `None`: it was not.
    pub error: Option<Refusal>,
    /// What.
    pub what: What,
}

/// The session or sender that an event is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subject {
    /// Where it comes from, and the public name of its session.
    pub peer: Option<Arc<Peer>>,
    /// How it is connected.
    pub transport: Option<Transport>,
}

/// What happened, with the fields of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A session was opened, or not.
    Handshake {
        /// Transports that the client offers.
        types: Box<[Box<str>]>,
        /// Names in its `ext`.
        ext_keys: Box<[Box<str>]>,
        /// The session that this one continues on another transport.
        moved_from: Option<Sid>,
        /// What the client showed.
        auth: Auth,
    },
    /// A `/meta/connect`.
    Connect {
        /// What is remarkable about it.
        kind: ConnectKind,
        /// How long the session was without one.
        gap: Option<Duration>,
    },
    /// A subscription was made, or refused.
    Subscribe(Subscribed),
    /// A subscription was taken back, or could not be.
    Unsubscribe(Subscribed),
    /// A session ended.
    Disconnect {
        /// Why.
        cause: Cause,
        /// How long it lived.
        age: Duration,
        /// Messages that its client got.
        delivered: u64,
        /// Messages that waited for it.
        discarded: usize,
    },
    /// A message is in every queue, or was refused.
    Publish {
        /// Its channel.
        channel: Arc<str>,
        /// Bytes of its data.
        size: usize,
        /// Sessions that it reached.
        fanout: usize,
        /// How it came.
        via: Via,
        /// The data itself as JSON, if somebody may see it.
        data: Option<Box<str>>,
    },
    /// A queue dropped messages, ran over, or gave up what a moved client did not claim.
    Queue {
        /// Messages in it.
        messages: usize,
        /// Their bytes.
        bytes: usize,
        /// What was done.
        policy: Policy,
        /// Messages dropped since the session began; of [`Policy::Unclaimed`], those given up now.
        dropped: u64,
    },
    /// A key was refused.
    Auth {
        /// For what it was shown.
        op: Operation,
    },
    /// A session changed its transport, or its client was steered away from one.
    Transport {
        /// Which of these.
        kind: TransportKind,
        /// The transport before.
        from: Transport,
        /// The transport after.
        to: Transport,
        /// Connections that broke.
        breaks: Option<u32>,
        /// Within how long.
        window: Option<Duration>,
        /// How long it holds: since 1970.
        until: Option<Duration>,
    },
    /// A limit was hit.
    Limit {
        /// Its configuration key.
        limit: &'static str,
        /// Its value.
        value: u64,
    },
    /// Something could not be used at all.
    Error {
        /// A word for it.
        status: &'static str,
        /// A sentence.
        detail: Box<str>,
    },
    /// The node itself.
    Node {
        /// What it does.
        event: NodeEvent,
    },
    /// Totals and rates.
    Stats(Box<Stats>),
    /// Events of one type that came too fast to be told one by one.
    Merged {
        /// Their type.
        of: EventType,
        /// How many.
        count: u64,
        /// The first of them; the last one is the event's own number.
        first_seq: u64,
    },
    /// Events that this listener did not get.
    Lost {
        /// How many.
        count: u64,
        /// The first of them.
        from_seq: u64,
        /// The last of them.
        to_seq: u64,
    },
}

/// A subscription, made or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribed {
    /// The channel or pattern.
    pub channel: Arc<str>,
    /// Whether it is a pattern.
    pub pattern: bool,
    /// Subscriptions of the session afterwards.
    pub total: usize,
}

/// Totals and rates of the node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Whether it answers a subscription instead of coming at its time.
    pub snapshot: bool,
    /// Live sessions.
    pub sessions: usize,
    /// Connects and streams that are held.
    pub connects_held: usize,
    /// Live channels and patterns.
    pub channels: usize,
    /// Subscriptions of all sessions.
    pub subscriptions: usize,
    /// Messages published per second, since the last time.
    pub in_per_s: f64,
    /// Messages delivered per second, since the last time.
    pub out_per_s: f64,
    /// Bytes in all queues, a shared message counted once.
    pub queue_bytes: usize,
}

words! {
    /// The type of an event: the last segment of its channel and the `event` of log lines.
    EventType {
        /// See [`What::Handshake`]; so for all.
        Handshake = "handshake",
        /// A `/meta/connect`.
        Connect = "connect",
        /// A subscription.
        Subscribe = "subscribe",
        /// The end of one.
        Unsubscribe = "unsubscribe",
        /// The end of a session.
        Disconnect = "disconnect",
        /// A message.
        Publish = "publish",
        /// A queue under pressure.
        Queue = "queue",
        /// A refused key.
        Auth = "auth",
        /// A change of transport.
        Transport = "transport",
        /// A limit that was hit.
        Limit = "limit",
        /// A bad request.
        Error = "error",
        /// The node.
        Node = "node",
        /// Totals.
        Stats = "stats",
        /// Missing events.
        Lost = "lost",
    }
}

words! {
    /// What a client showed in its handshake.
    Auth {
        /// A key.
        Key = "key",
        /// Nothing.
        Anonymous = "anonymous",
    }
}

words! {
    /// What is remarkable about a connect.
    ConnectKind {
        /// The session's first.
        First = "first",
        /// The first after an interruption.
        Resume = "resume",
        /// The first over another transport.
        Switch = "switch",
        /// Nothing: it was answered because its time was up.
        Timeout = "timeout",
        /// Nothing.
        Poll = "poll",
    }
}

words! {
    /// Why a session ended.
    Cause {
        /// The client said `/meta/disconnect`, or began anew on the same WebSocket.
        Client = "client",
        /// No connect for `session.max_interval`.
        Expired = "expired",
        /// An operator or the server's own program ended it.
        Kicked = "kicked",
        /// Its client connected and did nothing else for `session.max_inactivity`.
        Idle = "idle",
        /// Its queue reached `session.queue`.
        Slow = "slow",
        /// Its queue was among the largest when all queues neared `limits.queued_bytes`.
        Limit = "limit",
        /// The server has stopped.
        Drain = "drain",
        /// Its client goes on with a new session, on another transport.
        Moved = "moved",
    }
}

words! {
    /// How a message came.
    Via {
        /// From a Bayeux client, or from the program around the broker.
        Bayeux = "bayeux",
        /// By the HTTP API.
        Http = "http",
    }
}

words! {
    /// What a queue did.
    Policy {
        /// It ended its session.
        Disconnect = "disconnect",
        /// It dropped its oldest messages.
        DropOldest = "drop_oldest",
        /// It kept the newest message of each channel.
        Latest = "latest",
        /// It gave up what waited for subscriptions that a client which was moved did not renew.
        Unclaimed = "unclaimed",
    }
}

words! {
    /// What a key was shown for.
    Operation {
        /// A handshake.
        Handshake = "handshake",
        /// The HTTP API.
        Api = "api",
        /// The admin API.
        Admin = "admin",
    }
}

words! {
    /// How a transport changed.
    TransportKind {
        /// The client changed by itself.
        Switch = "switch",
        /// It was steered to a safer one.
        Demoted = "demoted",
        /// It may use the better one again.
        Promoted = "promoted",
    }
}

words! {
    /// What a node does.
    NodeEvent {
        /// It has started.
        Start = "start",
        /// It is about to stop.
        Drain = "drain",
    }
}

/// A set of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types(u32);

// === impl EventType ===

impl EventType {
    /// The type of that name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == word)
    }

    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }
}

// === impl Types ===

impl Types {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self((1 << EventType::ALL.len()) - 1);

    /// With another one.
    #[must_use]
    pub const fn with(self, kind: EventType) -> Self {
        Self(self.0 | kind.bit())
    }

    /// Without one.
    #[must_use]
    pub const fn without(self, kind: EventType) -> Self {
        Self(self.0 & !kind.bit())
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether it has that one.
    #[must_use]
    pub const fn has(self, kind: EventType) -> bool {
        self.0 & kind.bit() != 0
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }
}

impl FromIterator<EventType> for Types {
    fn from_iter<I: IntoIterator<Item = EventType>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

// === impl What ===

impl What {
    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> EventType {
        match self {
            Self::Handshake { .. } => EventType::Handshake,
            Self::Connect { .. } => EventType::Connect,
            Self::Subscribe(_) => EventType::Subscribe,
            Self::Unsubscribe(_) => EventType::Unsubscribe,
            Self::Disconnect { .. } => EventType::Disconnect,
            Self::Publish { .. } => EventType::Publish,
            Self::Queue { .. } => EventType::Queue,
            Self::Auth { .. } => EventType::Auth,
            Self::Transport { .. } => EventType::Transport,
            Self::Limit { .. } => EventType::Limit,
            Self::Error { .. } => EventType::Error,
            Self::Node { .. } => EventType::Node,
            Self::Stats(_) => EventType::Stats,
            Self::Merged { of, .. } => *of,
            Self::Lost { .. } => EventType::Lost,
        }
    }

    /// The channel that it is about.
    #[must_use]
    pub fn channel(&self) -> Option<&str> {
        match self {
            Self::Subscribe(it) | Self::Unsubscribe(it) => Some(&it.channel),
            Self::Publish { channel, .. } => Some(channel),
            _ => None,
        }
    }
}

// === impl Event ===

impl Event {
    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> EventType {
        self.what.kind()
    }

    /// The session that it is about.
    #[must_use]
    pub fn sid(&self) -> Option<Sid> {
        self.subject.peer.as_ref().and_then(|peer| peer.sid)
    }

    /// About how many bytes it keeps.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let own = match &self.what {
            What::Handshake { types, ext_keys, .. } => {
                types.iter().chain(ext_keys).map(|text| text.len() + 16).sum()
            }
            What::Publish { channel, data, .. } => {
                channel.len() + data.as_ref().map_or(0, |data| data.len())
            }
            What::Error { detail, .. } => detail.len(),
            What::Subscribe(it) | What::Unsubscribe(it) => it.channel.len(),
            What::Stats(_) => size_of::<Stats>(),
            _ => 0,
        };
        size_of::<Self>() + own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_word_and_a_bit_of_its_own() {
        for kind in EventType::ALL {
            assert_eq!(EventType::parse(kind.as_str()), Some(*kind));
            assert!(Types::ALL.has(*kind) && !Types::ALL.without(*kind).has(*kind));
        }
        assert_eq!(EventType::parse("Handshake"), None);
        assert_eq!(Types::ALL.bits().count_ones() as usize, EventType::ALL.len());
    }
}
