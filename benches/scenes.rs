//! What is measured: the hot paths of the broker, each as one operation that can be repeated.
//!
//! `guards` counts the instructions of these scenes and `micro` times them. Everything runs on one
//! thread, and all but `pipeline` without a socket: what the kernel costs is `bayeuxd bench`'s to say.

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bayeuxd::{
    Config, Server,
    bayeux::{ChannelName, Frame, MessageLimits, Meter, QueuePolicy, parse_batch},
    broker::{Cause, Take},
    config::ChannelRule,
    events::{Filter, Rights, Tap},
    server::Exchange,
};
use serde_json::value::RawValue;

use crate::{
    input::{data, name},
    node::Node,
    pipeline::Pipeline,
};

/// One operation with what it needs. The first few runs may be slower than the rest.
pub(crate) trait Scene {
    /// Brings about the state that a run needs; not measured.
    fn prepare(&mut self) {}

    /// Does the operation once.
    fn run(&mut self);
}

/// A scene by its name.
pub(crate) struct Entry {
    /// What the operation is.
    pub(crate) name: &'static str,
    /// Sets the scene.
    pub(crate) make: fn() -> Box<dyn Scene>,
}

/// All scenes.
pub(crate) const SCENES: [Entry; 18] = [
    Entry { name: "parse", make: || Box::new(Parse::new()) },
    Entry { name: "encode", make: || Box::new(Encode::new()) },
    Entry { name: "request_publish", make: || Box::new(Request::publish()) },
    Entry { name: "request_publish_watched", make: || Box::new(Request::watched()) },
    Entry { name: "request_connect", make: || Box::new(Request::connect()) },
    Entry { name: "socket_publish", make: || Box::new(Pipeline::of(1)) },
    Entry { name: "socket_publish_16", make: || Box::new(Pipeline::of(16)) },
    Entry { name: "publish_0", make: || Box::new(Publish::to(0)) },
    Entry { name: "publish_1", make: || Box::new(Publish::to(1)) },
    Entry { name: "publish_1000", make: || Box::new(Publish::to(1_000)) },
    Entry { name: "publish_100000", make: || Box::new(Publish::to(100_000)) },
    Entry { name: "drop_oldest_100", make: || Box::new(Stalled::new(QueuePolicy::DropOldest)) },
    Entry { name: "latest_100", make: || Box::new(Stalled::new(QueuePolicy::Latest)) },
    Entry { name: "take_1000", make: || Box::new(TakeAll::new()) },
    Entry { name: "match_hot", make: || Box::new(Match::new(false)) },
    Entry { name: "match_cold", make: || Box::new(Match::new(true)) },
    Entry { name: "resubscribe", make: || Box::new(Resubscribe::new()) },
    Entry { name: "session", make: || Box::new(Life::new()) },
];

/// A published message as clients send it, with 100 bytes of data.
pub(crate) fn publish_request(client_id: &str) -> String {
    format!(
        r#"[{{"channel":"{CHANNEL}","data":{},"id":"42","clientId":"{client_id}"}}]"#,
        data().get()
    )
}

/// Parsing of one request.
struct Parse {
    request: String,
    limits: MessageLimits,
}

impl Parse {
    fn new() -> Self {
        let limits = MessageLimits::from(&Config::default().limits);
        Self { request: publish_request(&"0f".repeat(16)), limits }
    }
}

impl Scene for Parse {
    fn run(&mut self) {
        let batch = parse_batch(black_box(self.request.as_bytes()), &self.limits);
        black_box(batch.expect("it is a batch"));
    }
}

/// Encoding of a delivery, and its end.
struct Encode {
    channel: ChannelName,
    data: Box<RawValue>,
    meter: Arc<Meter>,
}

impl Encode {
    fn new() -> Self {
        Self { channel: name(CHANNEL), data: data(), meter: Arc::default() }
    }
}

impl Scene for Encode {
    fn run(&mut self) {
        let policy = QueuePolicy::Disconnect;
        black_box(Frame::encode(&self.channel, &self.data, None, &[], policy, &self.meter));
    }
}

/// A request from its bytes to the bytes of its reply.
struct Request {
    client: Exchange,
    bytes: String,
    /// Somebody who follows what happens.
    _watcher: Option<Tap>,
}

impl Request {
    fn publish() -> Self {
        Self::of(publish_request)
    }

    fn connect() -> Self {
        Self::of(|id| {
            format!(
                r#"[{{"channel":"/meta/connect","connectionType":"websocket","advice":{{"timeout":0}},"id":"42","clientId":"{id}"}}]"#
            )
        })
    }

    fn of(bytes: fn(&str) -> String) -> Self {
        let server = Server::from_listeners(Vec::new(), None, Config::default());
        let mut client = server.expect("a server without listeners").exchange();
        at_once(client.send(HANDSHAKE.as_bytes())).expect("a handshake");
        let id = client.session().expect("it has a session").id().client_id();
        Self { client, bytes: bytes(&id), _watcher: None }
    }

    /// A publish while somebody watches who has had as many events as may come at once.
    fn watched() -> Self {
        let mut config = Config::default();
        config.monitor.burst = 1;
        let server = Server::from_listeners(Vec::new(), None, config);
        let server = server.expect("a server without listeners");
        let watcher = server.broker().events().tap(Rights::all(), Filter::default());
        let mut client = server.exchange();
        at_once(client.send(HANDSHAKE.as_bytes())).expect("a handshake");
        let id = client.session().expect("it has a session").id().client_id();
        Self { client, bytes: publish_request(&id), _watcher: watcher.ok() }
    }
}

impl Scene for Request {
    fn run(&mut self) {
        let reply = at_once(self.client.send(black_box(self.bytes.as_bytes())));
        black_box(reply.expect("a reply"));
    }
}

/// A publish into so many queues.
struct Publish {
    node: Node,
    channel: ChannelName,
    data: Box<RawValue>,
}

impl Publish {
    fn to(subscribers: usize) -> Self {
        let (mut node, channel) = (Node::new(), name(CHANNEL));
        (0..subscribers).for_each(|_| node.subscriber(&channel));
        Self { node, channel, data: data() }
    }
}

impl Scene for Publish {
    fn prepare(&mut self) {
        self.node.drain();
    }

    fn run(&mut self) {
        self.node.publish(&self.channel, &self.data);
    }
}

/// A publish into the long queues of 100 sessions whose clients do not come back, by a lossy channel.
struct Stalled {
    node: Node,
    /// 900 channels: with `latest` each has one message in each queue, with `drop_oldest` the queues are full.
    channels: Vec<ChannelName>,
    data: Box<RawValue>,
    /// Of the next publish. Every other round goes backwards, or the message that is replaced would always be
    /// the oldest.
    next: usize,
}

impl Stalled {
    fn new(policy: QueuePolicy) -> Self {
        let mut config = Config::default();
        config.channels.push(ChannelRule {
            pattern: "/chat/**".to_owned(),
            queue_policy: Some(policy),
            ..ChannelRule::default()
        });
        let mut node = Node::of(config);
        (0..100).for_each(|_| node.subscriber(&name("/chat/**")));
        let channels = (0..900).map(|number| name(&format!("{CHANNEL}/{number}"))).collect();
        let mut stalled = Self { node, channels, data: data(), next: 0 };
        (0..1_800).for_each(|_| stalled.run());
        stalled
    }
}

impl Scene for Stalled {
    fn run(&mut self) {
        let (round, place) = (self.next / self.channels.len(), self.next % self.channels.len());
        let place = if round % 2 == 0 { place } else { self.channels.len() - 1 - place };
        self.next += 1;
        self.node.publish(self.channels.get(place).expect("it is in range"), &self.data);
    }
}

/// A message taken from each of 1,000 queues.
struct TakeAll(Publish);

impl TakeAll {
    fn new() -> Self {
        Self(Publish::to(1_000))
    }
}

impl Scene for TakeAll {
    fn prepare(&mut self) {
        self.0.run();
    }

    fn run(&mut self) {
        self.0.node.drain();
    }
}

/// A publish that reaches two sessions by patterns, among 10,000 other patterns.
struct Match {
    publish: Publish,
    /// Whether a pattern was made since the last publish.
    cold: bool,
    made: u32,
}

impl Match {
    fn new(cold: bool) -> Self {
        let mut publish = Publish::to(0);
        for number in 0..10_000 {
            if number % 100 == 0 {
                publish.node.subscriber(&name(&format!("/other/{number}/**")));
            }
            let (other, _) = publish.node.sessions.last().expect("one was just opened");
            let pattern = name(&format!("/other/{number}/*"));
            publish.node.broker.subscribe(other, &pattern).expect("it may subscribe");
        }
        publish.node.subscriber(&name("/chat/**"));
        publish.node.subscriber(&name("/chat/room/*"));
        Self { publish, cold, made: 0 }
    }
}

impl Scene for Match {
    fn prepare(&mut self) {
        for (session, owner) in self.publish.node.sessions.iter().rev().take(2) {
            if let Some(mut batch) = session.take(*owner, Take::WRITE) {
                batch.settle();
            }
        }
        if self.cold {
            self.made += 1;
            let session = self.publish.node.open();
            let pattern = name(&format!("/new/{}/*", self.made));
            self.publish.node.broker.subscribe(&session, &pattern).expect("it may subscribe");
        }
    }

    fn run(&mut self) {
        self.publish.run();
    }
}

/// One of 1,000 subscribers leaves its channel and comes back.
struct Resubscribe {
    node: Node,
    channel: ChannelName,
    next: usize,
}

impl Resubscribe {
    fn new() -> Self {
        let Publish { node, channel, .. } = Publish::to(1_000);
        Self { node, channel, next: 0 }
    }
}

impl Scene for Resubscribe {
    fn run(&mut self) {
        self.next = (self.next + 1) % self.node.sessions.len();
        let (session, _) = self.node.sessions.get(self.next).expect("it is in range");
        self.node.broker.unsubscribe(session, &self.channel).expect("it may leave");
        self.node.broker.subscribe(session, &self.channel).expect("it may come back");
    }
}

/// A session from its handshake over a subscription and a connect to its end.
struct Life {
    node: Node,
    channel: ChannelName,
}

impl Life {
    fn new() -> Self {
        let Publish { node, channel, .. } = Publish::to(1_000);
        Self { node, channel }
    }
}

impl Scene for Life {
    fn run(&mut self) {
        self.node.subscriber(&self.channel);
        let (session, _) = self.node.sessions.pop().expect("it was just opened");
        self.node.broker.end(&session, Cause::Client);
    }
}

/// The result of a future that has nothing to wait for.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}

const CHANNEL: &str = "/chat/room/demo";
pub(crate) const HANDSHAKE: &str =
    r#"[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"]}]"#;
