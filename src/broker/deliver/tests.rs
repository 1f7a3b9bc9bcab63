//! Who gets what, in which order, whoever walks and however the walk ends.

use std::{
    future::Future,
    iter,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Waker},
};

use proptest::prelude::*;

use super::*;
use crate::{
    bayeux::ChannelName,
    broker::{
        Carrier, Delivered, Generation, Payload, Published, Reach, Sid,
        tests::{Bell, drain, id, lossy_config, name, raw, start},
    },
    config::Config,
    events::Peer,
};

/// A broker with sessions that each have a socket; by number.
struct Node {
    broker: Arc<Broker>,
    sessions: Vec<(Arc<Session>, Generation)>,
}

impl Node {
    fn new(config: &Config, sessions: u8) -> Self {
        let now = start();
        let broker = Broker::new(config, now);
        let open = |number| {
            let session = broker.handshake(id(number), None, now).unwrap();
            let (_, owner) = broker.connect(&session, Carrier::Socket, now);
            (session, owner)
        };
        Self { sessions: (0..sessions).map(open).collect(), broker }
    }

    fn subscribe(&self, session: usize, pattern: &str) {
        self.broker.subscribe(&self.sessions[session].0, &name(pattern)).unwrap();
    }

    fn publish_as(&self, publisher: Option<usize>, channel: &str, number: usize) -> Published {
        let publisher = publisher.map(|number| &*self.sessions[number].0);
        let data = raw(&number.to_string());
        self.broker.publish(publisher, &name(channel), Payload::from(&*data), start()).unwrap()
    }

    fn walk(&self, channel: &str, number: usize) -> Delivery {
        match self.publish_as(None, channel, number) {
            Published::Walk(delivery) => delivery,
            Published::Behind(_) => panic!("somebody else holds the baton of {channel}"),
        }
    }

    fn behind(&self, channel: &str, number: usize) -> Delivered {
        match self.publish_as(None, channel, number) {
            Published::Behind(delivered) => delivered,
            Published::Walk(_) => panic!("nobody holds the baton of {channel}"),
        }
    }

    fn got(&self, session: usize) -> Vec<usize> {
        let (session, owner) = &self.sessions[session];
        drain(session, *owner)
    }
}

fn finish(delivery: &mut Delivery) -> Vec<Progress> {
    let mut wakes = Wakes::default();
    let mut steps = Vec::new();
    while steps.last() != Some(&Progress::Done) {
        steps.push(delivery.step(&mut wakes));
    }
    steps
}

fn is_delivered(delivered: &mut Delivered) -> bool {
    pin!(delivered).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn a_message_reaches_its_channel_and_the_patterns_over_it_only() {
    let node = Node::new(&Config::default(), 8);
    let patterns = ["/a/b", "/a/*", "/a/**", "/**", "/*", "/a", "/a/b/*", "/a/b/**"];
    patterns.iter().enumerate().for_each(|(session, pattern)| node.subscribe(session, pattern));
    finish(&mut node.walk("/a/b", 1));
    let got: Vec<usize> = (0..8).filter(|session| !node.got(*session).is_empty()).collect();
    assert_eq!(got, [0, 1, 2, 3]);
    assert_eq!(node.broker.counters().queued.value(), 4);
}

#[test]
fn p063_the_publisher_hears_itself_unless_a_rule_says_otherwise() {
    let mut config = Config::default();
    for (echo, expected) in [(true, vec![1]), (false, vec![])] {
        config.session.broadcast_to_publisher = echo;
        let node = Node::new(&config, 2);
        node.subscribe(0, "/a");
        node.subscribe(1, "/a");
        drop(node.publish_as(Some(0), "/a", 1));
        assert_eq!((node.got(0), node.got(1)), (expected, vec![1]));
    }
}

#[test]
fn a_second_publisher_waits_for_the_holder_and_keeps_its_place() {
    let node = Node::new(&Config::default(), 1);
    node.subscribe(0, "/a");
    let mut first = node.walk("/a", 1);
    let mut second = node.behind("/a", 2);
    assert!(!is_delivered(&mut second));
    finish(&mut first);
    assert!(is_delivered(&mut second));
    assert_eq!(node.got(0), [1, 2]);
    finish(&mut node.walk("/a", 3));
}

#[test]
fn others_messages_that_come_during_a_walk_are_told_apart() {
    let node = Node::new(&Config::default(), 1);
    node.subscribe(0, "/a");
    let mut first = node.walk("/a", 1);
    let mut wakes = Wakes::default();
    for number in 2..=RUN_AND_MORE {
        node.behind("/a", number);
    }
    assert_eq!(first.step(&mut wakes), Progress::Others, "the own message is in the first run");
    assert!(first.step(&mut wakes) != Progress::More);
    drop(first);
    assert_eq!(node.got(0), (1..=RUN_AND_MORE).collect::<Vec<_>>());
}

/// More messages than one run takes.
const RUN_AND_MORE: usize = 70;

#[test]
fn a_dropped_walk_is_finished_and_the_baton_lies_down() {
    let node = Node::new(&Config::default(), 2);
    node.subscribe(0, "/a");
    node.subscribe(1, "/**");
    let first = node.walk("/a", 1);
    let mut second = node.behind("/a", 2);
    drop(first);
    assert!(is_delivered(&mut second));
    assert_eq!((node.got(0), node.got(1)), (vec![1, 2], vec![1, 2]));
    drop(node.walk("/a", 3));
    assert_eq!((node.got(0), node.got(1)), (vec![3], vec![3]));
    assert_eq!(node.broker.queued_bytes(), 0);
}

#[test]
fn a_long_walk_goes_in_steps_and_meets_everybody_once() {
    let mut config = Config::default();
    config.limits.sessions = 10_000;
    let node = Node::new(&config, 0);
    let now = start();
    let sessions: Vec<_> = (0..STEP_PUSHES as u32 + 10)
        .map(|number| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            let session = node.broker.handshake(SessionId::from_bytes(bytes), None, now).unwrap();
            node.broker.subscribe(&session, &name("/a")).unwrap();
            session
        })
        .collect();
    assert_eq!(finish(&mut node.walk("/a", 1)), [Progress::More, Progress::Done]);
    assert!(sessions.iter().all(|session| session.queued() == 1));
}

#[test]
fn messages_that_a_push_looks_at_count_into_the_step() {
    const SESSIONS: u8 = 12;
    let node = Node::new(&lossy_config(), SESSIONS);
    let lossless = LOOKS_PER_PUSH * 10;
    for session in 0..usize::from(SESSIONS) {
        node.subscribe(session, "/a");
        node.subscribe(session, "/old/a");
    }
    (0..lossless).for_each(|number| drop(node.walk("/a", number)));
    let steps = |number| {
        let (mut walk, mut wakes) = (node.walk("/old/a", number), Wakes::default());
        let steps = iter::repeat_with(|| walk.step_by(22, &mut wakes));
        steps.take_while(|progress| *progress != Progress::Done).count()
    };
    // Two sessions a step: each push looks at the time of ten.
    assert_eq!(steps(1), usize::from(SESSIONS) / 2);
    assert_eq!(steps(2), 0, "what it found out is remembered");
}

#[test]
fn a_session_that_ends_during_the_walk_is_not_counted() {
    let node = Node::new(&Config::default(), 2);
    node.subscribe(0, "/a");
    node.subscribe(1, "/a");
    let mut walk = node.walk("/a", 1);
    assert!(walk.begin_run(), "the subscribers are known now");
    node.broker.end(&node.sessions[0].0, Cause::Client);
    finish(&mut walk);
    assert_eq!(node.broker.counters().queued.value(), 1);
    assert_eq!(node.got(1), [1]);
}

#[test]
fn p067_a_message_after_the_subscription_arrives_and_one_after_its_end_does_not() {
    let node = Node::new(&Config::default(), 1);
    let mut walk = node.walk("/a", 1);
    node.subscribe(0, "/a");
    finish(&mut walk);
    assert_eq!(node.got(0), [1], "published before, delivered after: either is right");
    let mut walk = node.walk("/a", 2);
    assert!(walk.begin_run());
    node.broker.unsubscribe(&node.sessions[0].0, &name("/a")).unwrap();
    node.behind("/a", 3);
    finish(&mut walk);
    assert_eq!(node.got(0), [2], "3 was published after the end of the subscription");
}

/// Lists were taken one after the other: who entered the first one after its turn and left the last one
/// before its turn was in neither. With a crowd that changes in between, a quarter of the messages was lost.
#[test]
fn a_session_that_exchanges_its_subscription_all_the_time_misses_nothing() {
    const MESSAGES: usize = 200;
    const CROWD: u32 = 500;
    let mut config = Config::default();
    config.limits.sessions = 1_000;
    let node = Node::new(&config, 1);
    let broker = &node.broker;
    let crowd: Vec<_> = (1..=CROWD)
        .map(|number| {
            let id = SessionId::from_bytes((u128::from(number) << 64).to_be_bytes());
            let session = broker.handshake(id, None, start()).unwrap();
            broker.subscribe(&session, &name("/a/*")).unwrap();
            session
        })
        .collect();
    let exchanging = &node.sessions[0].0;
    let exchange = |session: &Arc<Session>, from: &str, to: &str| {
        broker.subscribe(session, &name(to)).unwrap();
        broker.unsubscribe(session, &name(from)).unwrap();
    };
    node.subscribe(0, "/a/b");
    let stop = AtomicBool::new(false);
    let over = || stop.load(Ordering::Relaxed);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !over() {
                exchange(exchanging, "/a/b", "/**");
                exchange(exchanging, "/**", "/a/b");
            }
        });
        threads.spawn(|| {
            for session in crowd.iter().cycle().take_while(|_| !over()) {
                broker.unsubscribe(session, &name("/a/*")).unwrap();
                broker.subscribe(session, &name("/a/*")).unwrap();
            }
        });
        (0..MESSAGES).for_each(|number| drop(finish(&mut node.walk("/a/b", number))));
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(node.got(0), (0..MESSAGES).collect::<Vec<_>>());
}

#[test]
fn wakes_are_fired_in_bundles_and_at_the_end() {
    let node = Node::new(&Config::default(), 1);
    node.subscribe(0, "/a");
    let (bell, waker) = Bell::new();
    let (session, owner) = &node.sessions[0];
    assert!(pin!(session.signal(*owner)).poll(&mut Context::from_waker(&waker)).is_pending());
    let mut wakes = Wakes::default();
    assert_eq!(node.walk("/a", 1).step(&mut wakes), Progress::Done);
    assert_eq!(bell.rings(), 0);
    drop(wakes);
    assert_eq!(bell.rings(), 1);
}

/// Whether a subscription to `pattern` gets what is published on `channel`, said segment by segment.
fn naive_match(pattern: &[&str], channel: &[&str]) -> bool {
    match (pattern, channel) {
        ([], []) => true,
        (["**"], [_, ..]) => true,
        (["*"], [_]) => true,
        ([p, pattern @ ..], [c, channel @ ..]) => p == c && naive_match(pattern, channel),
        _ => false,
    }
}

/// Names over a tiny alphabet, so that patterns overlap; the last segment may be a wildcard.
fn segments(wildcards: bool) -> impl Strategy<Value = Vec<&'static str>> {
    let last = if wildcards { vec!["a", "b", "*", "**"] } else { vec!["a", "b"] };
    let inner = prop::collection::vec(prop::sample::select(vec!["a", "b"]), 0..3);
    (inner, prop::sample::select(last)).prop_map(|(mut inner, last)| {
        inner.push(last);
        inner
    })
}

fn joined(segments: &[&str]) -> ChannelName {
    name(&format!("/{}", segments.join("/")))
}

#[derive(Debug, Clone)]
enum Step {
    Subscribe(usize, Vec<&'static str>),
    Unsubscribe(usize, Vec<&'static str>),
    Publish(Vec<&'static str>),
    /// Steps the open walk with this number, modulo how many there are.
    Walk(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_usize, segments(true)).prop_map(|(session, name)| Step::Subscribe(session, name)),
        (0..4_usize, segments(true)).prop_map(|(session, name)| Step::Unsubscribe(session, name)),
        segments(false).prop_map(Step::Publish),
        (0..8_usize).prop_map(Step::Walk),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_matching_session_gets_one_copy(
        patterns in prop::collection::vec((0..4_usize, segments(true)), 0..20),
        channels in prop::collection::vec(segments(false), 1..10),
    ) {
        let node = Node::new(&Config::default(), 4);
        for (session, pattern) in &patterns {
            node.broker.subscribe(&node.sessions[*session].0, &joined(pattern)).unwrap();
        }
        for (number, channel) in channels.iter().enumerate() {
            finish(&mut node.walk(joined(channel).as_str(), number));
        }
        for session in 0..4 {
            let wanted = |channel: &Vec<&str>| {
                patterns.iter().any(|(who, p)| *who == session && naive_match(p, channel))
            };
            let expected: Vec<usize> =
                (0..channels.len()).filter(|number| wanted(&channels[*number])).collect();
            prop_assert_eq!(node.got(session), expected);
        }
    }

    /// Publishers and subscribers interleaved at the granularity of steps: all sessions see the
    /// messages of a channel in the order in which they were published, none of them twice.
    #[test]
    fn every_channel_has_one_order(steps in prop::collection::vec(step(), 1..120)) {
        let node = Node::new(&Config::default(), 4);
        let (mut channels, mut walks, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Subscribe(session, pattern) => {
                    node.broker.subscribe(&node.sessions[session].0, &joined(&pattern)).unwrap();
                }
                Step::Unsubscribe(session, pattern) => {
                    let _ = node.broker.unsubscribe(&node.sessions[session].0, &joined(&pattern));
                }
                Step::Publish(channel) => {
                    let channel = joined(&channel);
                    match node.publish_as(None, channel.as_str(), channels.len()) {
                        Published::Walk(delivery) => walks.push(delivery),
                        Published::Behind(delivered) => waiting.push(delivered),
                    }
                    channels.push(channel);
                }
                Step::Walk(which) => if !walks.is_empty() {
                    let which = which % walks.len();
                    if walks[which].step(&mut Wakes::default()) == Progress::Done {
                        walks.swap_remove(which);
                    }
                },
            }
        }
        drop(walks);
        prop_assert!(waiting.iter_mut().all(is_delivered));
        for session in 0..4 {
            let mut last = std::collections::HashMap::new();
            for number in node.got(session) {
                let before = last.insert(&channels[number], number);
                prop_assert!(before < Some(number), "{before:?} before {number}");
            }
        }
        prop_assert_eq!(node.broker.queued_bytes(), 0);
    }
}

/// Publishes to `/a` with a count; sessions named in `excluded` are left out.
fn counted(node: &Node, number: usize, excluded: &[Sid]) -> (Published, Arc<Reach>) {
    let reach = Arc::new(Reach::new(excluded));
    let (data, channel) = (raw(&number.to_string()), name("/a"));
    let payload = Payload::from(&*data);
    (
        node.broker.publish_counted(None, &channel, payload, Arc::clone(&reach), start()).unwrap(),
        reach,
    )
}

#[test]
fn a_counted_message_tells_who_got_it_and_who_has_no_carrier() {
    let node = Node::new(&Config::default(), 4);
    (0..3).for_each(|session| node.subscribe(session, "/a"));
    // One socket is gone, one session only polls and has its connect held.
    let (gone, owner) = &node.sessions[0];
    node.broker.detach(gone, *owner, start());
    let (held, _) = &node.sessions[1];
    node.broker.connect(held, Carrier::Poll, start());
    let (published, reach) = counted(&node, 1, &[]);
    drop(published);
    assert_eq!((reach.sessions(), reach.queued()), (3, 1));
}

#[test]
fn a_poll_that_was_answered_is_no_carrier_until_the_next_connect() {
    let node = Node::new(&Config::default(), 1);
    node.subscribe(0, "/a");
    let (session, _) = &node.sessions[0];
    let (_, owner) = node.broker.connect(session, Carrier::Poll, start());
    node.broker.left(session, owner, std::time::Duration::ZERO, start());
    let (published, reach) = counted(&node, 1, &[]);
    drop(published);
    assert_eq!((reach.sessions(), reach.queued()), (1, 1));
    let request = session.begin_request();
    let (published, reach) = counted(&node, 2, &[]);
    drop(published);
    assert_eq!((reach.sessions(), reach.queued()), (1, 0), "the response of a request carries it");
    drop(request);
}

#[test]
fn excluded_sessions_get_nothing_and_are_not_counted() {
    let node = Node::new(&Config::default(), 2);
    let sids = [1, 2].map(|number| Sid::from_bytes([number; 6]));
    for (session, sid) in sids.into_iter().enumerate() {
        node.subscribe(session, "/a");
        node.sessions[session].0.introduce(Arc::new(Peer { sid: Some(sid), ..Peer::default() }));
    }
    let (published, reach) = counted(&node, 1, &sids[..1]);
    drop(published);
    assert_eq!((node.got(0), node.got(1)), (vec![], vec![1]));
    assert_eq!(reach.sessions(), 1);
}

#[test]
fn a_message_behind_anothers_baton_is_counted_too() {
    let node = Node::new(&Config::default(), 2);
    (0..2).for_each(|session| node.subscribe(session, "/a"));
    let mut first = node.walk("/a", 1);
    let (published, reach) = counted(&node, 2, &[]);
    let Published::Behind(mut behind) = published else { panic!("nobody holds the baton") };
    assert!(!is_delivered(&mut behind));
    finish(&mut first);
    assert!(is_delivered(&mut behind));
    assert_eq!((reach.sessions(), reach.queued()), (2, 0));
}
