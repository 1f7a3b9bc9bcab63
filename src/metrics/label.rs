//! What labels can say: closed sets, so that the number of series is known before the first client.

use crate::{
    config::Transport,
    events::{Cause, EventType, TransportKind, Via},
    words::words,
};

/// The values of one label, or of several that go together.
pub trait Labels: Copy + 'static {
    /// How many there are.
    const COUNT: usize;

    /// Its place among them.
    fn index(self) -> usize;

    /// What the one at `index` is called, a word for each label.
    fn words(index: usize) -> Vec<&'static str>;
}

/// How messages come to a client; `Local`: it is the program around the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// By a transport.
    By(Transport),
    /// Without one.
    Local,
}

/// Where bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A Bayeux client.
    Client(Transport),
    /// A publisher over HTTP.
    Api,
}

words! {
    /// What came of a handshake.
    HandshakeResult {
        /// A session.
        Ok = "ok",
        /// Its key is not one of ours.
        Denied = "denied",
        /// There was no room.
        Limited = "limited",
        /// It was no handshake that we can answer.
        Bad = "bad",
    }
}

words! {
    /// What the client of a session wanted that is not known.
    UnknownOn {
        /// To connect.
        Connect = "connect",
        /// To subscribe.
        Subscribe = "subscribe",
        /// To take a subscription back.
        Unsubscribe = "unsubscribe",
        /// To publish.
        Publish = "publish",
        /// To leave.
        Disconnect = "disconnect",
    }
}

words! {
    /// Why a connect was answered, or failed.
    Reply {
        /// It was the session's first.
        First = "first",
        /// It was not to be held.
        Immediate = "immediate",
        /// Messages came.
        Delivery = "delivery",
        /// Its time was up.
        Timeout = "timeout",
        /// Its browser held too many.
        Limited = "limited",
        /// A stream has taken over.
        Streamed = "streamed",
        /// Its client is steered to another transport.
        Steered = "steered",
        /// Another connect has taken over.
        Superseded = "superseded",
        /// The server is about to stop.
        Drain = "drain",
        /// Its session has ended.
        Ended = "ended",
    }
}

words! {
    /// How a WebSocket connection ended.
    SocketClose {
        /// Done.
        Normal = "1000",
        /// Its client or the server goes away.
        GoingAway = "1001",
        /// The client broke RFC 6455.
        Protocol = "1002",
        /// No close frame was exchanged.
        Lost = "1006",
        /// Text that is not UTF-8.
        Invalid = "1007",
        /// Too many messages queued.
        Policy = "1008",
        /// A message was too large.
        TooLarge = "1009",
        /// What came was no Bayeux.
        Internal = "1011",
        /// Another code.
        Other = "other",
    }
}

words! {
    /// How a lossy channel gave a message up.
    Loss {
        /// The oldest made room.
        DropOldest = "drop_oldest",
        /// A newer one of its channel came.
        Latest = "latest",
    }
}

words! {
    /// Why the collector did not get a span.
    SpanLoss {
        /// Too many waited for it.
        QueueFull = "queue_full",
        /// It did not want it.
        Refused = "refused",
        /// It did not say in time whether it has it.
        Unanswered = "unanswered",
        /// A message was delivered whose trace had made room for others.
        Forgotten = "forgotten",
    }
}

words! {
    /// A limit, by its configuration key.
    LimitHit {
        /// Messages of a publish key.
        ApiRate = "api.messages_per_second",
        /// All queues.
        QueuedBytes = "limits.queued_bytes",
        /// Sizes of bodies and frames.
        MessageSize = "limits.message_size",
        /// Sizes of messages over the HTTP API.
        ApiSize = "api.message_size",
        /// Connections of the Bayeux listeners.
        Connections = "limits.connections",
        /// Sessions.
        Sessions = "limits.sessions",
        /// Live channels.
        Channels = "limits.channels",
        /// Subscriptions of a session.
        Subscriptions = "limits.subscriptions",
        /// Calls of services in flight, of all sessions or of one.
        ServiceCalls = "limits.service_calls",
        /// Messages that were to be traced.
        Traces = "otel.traces_per_second",
        /// Connects that a browser holds.
        PerBrowser = "session.max_per_browser",
        /// Connects that a browser holds over connections that it shares among tabs.
        PerMultiplexer = "session.http2_max_per_browser",
    }
}

words! {
    /// Why a request could not be used.
    BadRequest {
        /// It was not JSON, or not a batch of messages.
        Json = "json",
        /// It was no proper WebSocket frame.
        Frame = "frame",
        /// A field was missing or wrong.
        Field = "field",
        /// A channel was missing or wrong.
        Channel = "channel",
        /// A request or message to the publish API was refused with this code; so for all of them.
        ApiBadJson = "api_bad_json",
        /// No data.
        ApiDataMissing = "api_data_missing",
        /// No channel, or one that is none.
        ApiChannelInvalid = "api_channel_invalid",
        /// A channel that is not for publishers.
        ApiChannelReserved = "api_channel_reserved",
        /// A field of the API's own.
        ApiFieldInvalid = "api_field_invalid",
        /// No such endpoint.
        ApiNotFound = "api_not_found",
        /// An endpoint of another method.
        ApiMethodNotAllowed = "api_method_not_allowed",
        /// A body that did not come in time.
        ApiTimeout = "api_timeout",
        /// An idempotency key with another message.
        ApiIdempotencyConflict = "api_idempotency_conflict",
        /// A body with a `Content-Encoding`.
        ApiEncodingUnsupported = "api_encoding_unsupported",
        /// Its client read nothing for `limits.write_timeout`.
        Stalled = "stalled",
    }
}

words! {
    /// What came of a message to a service channel.
    CallResult {
        /// A reply, put into the queue of the session.
        Replied = "replied",
        /// Nothing; the service did not want to answer.
        Silent = "silent",
        /// An error.
        Failed = "failed",
        /// No answer in time.
        TimedOut = "timed_out",
        /// It was not sent: too many were in flight.
        Overloaded = "overloaded",
    }
}

words! {
    /// What an HTTP request was for.
    HttpPath {
        /// Bayeux clients.
        Bayeux = "bayeux",
        /// Publishers.
        Api = "api",
        /// Operators.
        Admin = "admin",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// The first digit of a status.
    StatusClass {
        /// An upgrade.
        Informational = "1xx",
        /// It was done.
        Success = "2xx",
        /// It is elsewhere, or was known.
        Redirection = "3xx",
        /// The client is at fault.
        Client = "4xx",
        /// We are, or are busy.
        Server = "5xx",
    }
}

/// What somebody may not do, and which rule says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// A handshake with a key that is not ours.
    HandshakeKey,
    /// A request of a page that may not connect.
    RequestOrigin,
    /// A request with the cookie of another browser.
    RequestCookie,
    /// A subscription that policy forbids.
    Subscribe,
    /// A publish that policy forbids.
    Publish,
    /// A request to the HTTP API without a key of ours.
    ApiKey,
    /// A publish over HTTP that its key does not cover.
    ApiPolicy,
    /// A request of an operator without a key of ours, or with one that does not cover it.
    AdminKey,
}

// === impl StatusClass ===

impl StatusClass {
    /// The class of a status.
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::Client,
            _ => Self::Server,
        }
    }
}

// === impl SocketClose ===

impl SocketClose {
    /// That of a close code; `None`: there was none.
    #[must_use]
    pub fn of(code: Option<u16>) -> Self {
        let Some(code) = code else { return Self::Normal };
        let known = |close: &&Self| close.as_str().parse() == Ok(code);
        Self::ALL.iter().find(known).copied().unwrap_or(Self::Other)
    }
}

// === impl Labels ===

macro_rules! labels {
    ($($name:ty),*) => {
        $(impl Labels for $name {
            const COUNT: usize = Self::ALL.len();

            fn index(self) -> usize {
                self as usize
            }

            fn words(index: usize) -> Vec<&'static str> {
                Self::ALL.get(index).map(|label| label.as_str()).into_iter().collect()
            }
        })*
    };
}

labels!(
    BadRequest,
    CallResult,
    Cause,
    EventType,
    HandshakeResult,
    HttpPath,
    LimitHit,
    Loss,
    Reply,
    SocketClose,
    SpanLoss,
    StatusClass,
    TransportKind,
    UnknownOn,
    Via
);

/// No label at all.
impl Labels for () {
    const COUNT: usize = 1;

    fn index(self) -> usize {
        0
    }

    fn words(_: usize) -> Vec<&'static str> {
        Vec::new()
    }
}

impl Labels for Transport {
    const COUNT: usize = Self::ALL.len();

    fn index(self) -> usize {
        self as usize
    }

    fn words(index: usize) -> Vec<&'static str> {
        Self::ALL.get(index).map(|transport| transport.name()).into_iter().collect()
    }
}

/// All transports, and what is none.
impl Labels for Route {
    const COUNT: usize = Transport::COUNT + 1;

    fn index(self) -> usize {
        match self {
            Self::By(transport) => transport.index(),
            Self::Local => Transport::COUNT,
        }
    }

    fn words(index: usize) -> Vec<&'static str> {
        if index == Transport::COUNT { vec!["local"] } else { Transport::words(index) }
    }
}

impl Labels for Source {
    const COUNT: usize = Transport::COUNT + 1;

    fn index(self) -> usize {
        match self {
            Self::Client(transport) => transport.index(),
            Self::Api => Transport::COUNT,
        }
    }

    fn words(index: usize) -> Vec<&'static str> {
        if index == Transport::COUNT { vec!["api"] } else { Transport::words(index) }
    }
}

impl<A: Labels, B: Labels> Labels for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn index(self) -> usize {
        self.0.index() * B::COUNT + self.1.index()
    }

    fn words(index: usize) -> Vec<&'static str> {
        [A::words(index / B::COUNT), B::words(index % B::COUNT)].concat()
    }
}

impl Denied {
    const ALL: [Self; 8] = [
        Self::HandshakeKey,
        Self::RequestOrigin,
        Self::RequestCookie,
        Self::Subscribe,
        Self::Publish,
        Self::ApiKey,
        Self::ApiPolicy,
        Self::AdminKey,
    ];

    /// Values of the labels `op` and `reason`.
    const fn pair(self) -> [&'static str; 2] {
        match self {
            Self::HandshakeKey => ["handshake", "key"],
            Self::RequestOrigin => ["request", "origin"],
            Self::RequestCookie => ["request", "cookie"],
            Self::Subscribe => ["subscribe", "policy"],
            Self::Publish => ["publish", "policy"],
            Self::ApiKey => ["api", "key"],
            Self::ApiPolicy => ["api", "policy"],
            Self::AdminKey => ["admin", "key"],
        }
    }
}

impl Labels for Denied {
    const COUNT: usize = Self::ALL.len();

    fn index(self) -> usize {
        self as usize
    }

    fn words(index: usize) -> Vec<&'static str> {
        Self::ALL.get(index).map(|denied| denied.pair().to_vec()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn distinct<L: Labels>(all: impl IntoIterator<Item = L>) {
        let words: Vec<_> = all.into_iter().map(|label| L::words(label.index())).collect();
        let set: HashSet<_> = words.iter().collect();
        assert_eq!(set.len(), L::COUNT, "{words:?}");
        assert_eq!(words.len(), L::COUNT, "{words:?}");
    }

    #[test]
    fn every_value_has_its_own_place_and_word() {
        distinct(Transport::ALL);
        distinct(Transport::ALL.into_iter().map(Route::By).chain([Route::Local]));
        distinct(Transport::ALL.into_iter().map(Source::Client).chain([Source::Api]));
        distinct(Cause::ALL.iter().copied());
        distinct(Reply::ALL.iter().copied());
        distinct(Denied::ALL);
        let pairs = HttpPath::ALL.iter().flat_map(|path| {
            StatusClass::ALL.iter().map(|class| (*path, *class)).collect::<Vec<_>>()
        });
        distinct(pairs);
        for (index, transport) in Transport::ALL.into_iter().enumerate() {
            assert_eq!(
                (transport.index(), Transport::words(index)),
                (index, vec![transport.name()])
            );
        }
    }

    #[test]
    fn codes_and_statuses_find_their_words() {
        assert_eq!(SocketClose::of(Some(1001)), SocketClose::GoingAway);
        assert_eq!(SocketClose::of(Some(4000)), SocketClose::Other);
        assert_eq!(SocketClose::of(None), SocketClose::Normal);
        assert_eq!(StatusClass::of(204), StatusClass::Success);
        assert_eq!(StatusClass::of(503), StatusClass::Server);
    }
}
