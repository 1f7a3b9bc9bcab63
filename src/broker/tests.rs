//! What the parts of the core do together, and what the tests of its parts share.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::{Wake, Waker},
};

use serde_json::value::RawValue;

use super::*;
use crate::{
    bayeux::Frame,
    config::{ChannelRule, QueuePolicy},
};

mod limits;
mod moves;

pub(super) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

pub(super) fn name(text: &str) -> ChannelName {
    ChannelName::parse(text, NameLimits { bytes: 255, segments: 16 }).unwrap()
}

pub(super) fn id(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

/// Encodes `number`, padded with spaces to the given size, as a message on `channel`.
pub(super) fn frame_of(channel: &str, number: usize, size: usize, policy: QueuePolicy) -> Frame {
    let json = raw(&format!("[{number}{}]", " ".repeat(size)));
    Frame::encode(&name(channel), &json, None, &[], policy, &Arc::default())
}

/// The numbers that [`frame_of`] and [`publish`] wrote, in order.
pub(super) fn numbers(frames: &[Frame]) -> Vec<usize> {
    let digits = |frame: &Frame| {
        let text = String::from_utf8_lossy(frame.object()).into_owned();
        let (_, data) = text.split_once("\"data\":").expect("a delivery has data");
        let digits: String = data.chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("the data is a number")
    };
    frames.iter().map(digits).collect()
}

/// Takes and settles everything that waits in `session`.
pub(super) fn drain(session: &Arc<Session>, owner: Generation) -> Vec<usize> {
    let Some(mut batch) = session.take(owner, Take::ALL) else { return Vec::new() };
    batch.settle();
    numbers(batch.frames())
}

/// A waker that counts.
#[derive(Default)]
pub(super) struct Bell(AtomicUsize);

impl Bell {
    pub(super) fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (Arc::clone(&bell), Waker::from(bell))
    }

    /// How often it rang since the last call.
    pub(super) fn rings(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A configuration in which `/old/**` is `drop_oldest` and `/new/**` is `latest`.
pub(super) fn lossy_config() -> Config {
    let rule = |pattern: &str, policy| ChannelRule {
        pattern: pattern.into(),
        queue_policy: Some(policy),
        ..ChannelRule::default()
    };
    Config {
        channels: vec![
            rule("/old/**", QueuePolicy::DropOldest),
            rule("/new/**", QueuePolicy::Latest),
        ],
        ..Config::default()
    }
}

/// An empty broker with the default configuration but for `change`.
pub(super) fn broker(change: impl FnOnce(&mut Config)) -> Arc<Broker> {
    let mut config = Config::default();
    change(&mut config);
    Broker::new(&config, start())
}

pub(super) fn publish(broker: &Arc<Broker>, channel: &str, json: &str) {
    let Published::Walk(mut delivery) =
        broker.publish(None, &name(channel), Payload::from(&*raw(json)), start()).unwrap()
    else {
        panic!("nobody else publishes");
    };
    let mut wakes = Wakes::default();
    while delivery.step(&mut wakes) != Progress::Done {}
}

#[expect(clippy::disallowed_methods, reason = "a starting point for made-up times")]
pub(super) fn start() -> Instant {
    Instant::now()
}

/// A client may announce a pause of ten minutes, and is waited for as long.
#[test]
fn who_was_sent_away_in_a_long_pause_is_known_when_it_comes_back() {
    let (now, broker) = (start(), broker(|_| {}));
    let away = broker.handshake(id(1), None, now).unwrap();
    assert!(broker.kick(&away, false));
    let mut later = now;
    for (minutes, known) in [(10, true), (12, false)] {
        // A gap without ticks would be a pause of the process, which is not counted.
        while later < now + Duration::from_secs(60 * minutes) {
            later += TICK;
            while broker.tick(later) {}
        }
        assert_eq!(broker.is_dismissed(id(1)), known, "{minutes} minutes");
    }
}

/// What waited counted as kicked, what was being written as expired: that is what its carrier hears.
#[test]
fn all_messages_of_a_session_count_under_the_cause_of_its_end() {
    let (now, broker) = (start(), broker(|_| {}));
    let session = broker.handshake(id(1), None, now).unwrap();
    let (_, owner) = broker.connect(&session, Carrier::Poll, now);
    broker.subscribe(&session, &name("/a")).unwrap();
    publish(&broker, "/a", "1");
    let batch = session.take(owner, Take::ALL).unwrap();
    publish(&broker, "/a", "2");
    assert!(broker.kick(&session, true));
    drop(batch);
    let discarded = |cause| broker.counters().discarded.of(cause);
    assert_eq!((discarded(Cause::Kicked), discarded(Cause::Expired)), (2, 0));
}

#[test]
fn p062_a_session_that_matches_by_several_patterns_gets_one_copy() {
    let now = start();
    let broker = Broker::new(&Config::default(), now);
    let session = broker.handshake(id(1), None, now).unwrap();
    let other = broker.handshake(id(2), None, now).unwrap();
    for pattern in ["/a/b", "/a/*", "/a/**", "/**"] {
        broker.subscribe(&session, &name(pattern)).unwrap();
    }
    broker.subscribe(&other, &name("/a/*")).unwrap();
    publish(&broker, "/a/b", "1");
    assert_eq!((session.queued(), other.queued()), (1, 1));
}

#[test]
fn p053_sessions_expire_within_a_second_and_leave_nothing() {
    let now = start();
    let broker = Broker::new(&Config::default(), now);
    let session = broker.handshake(id(1), None, now).unwrap();
    broker.subscribe(&session, &name("/a")).unwrap();
    publish(&broker, "/a", "1");
    let mut at = now;
    for _ in 0..19 {
        at += TICK;
        broker.tick(at);
    }
    assert_eq!(broker.sessions(), 1, "9.5 s: the handshake's grace is 10 s");
    for _ in 0..9 {
        at += TICK;
        broker.tick(at);
    }
    drop(session);
    assert_eq!((broker.sessions(), broker.channels(), broker.queued_bytes()), (0, 0, 0));
    assert_eq!(broker.counters().discarded.value(), 1);
}

#[test]
fn p121_a_crowd_of_unused_channels_goes_in_steps_and_all_of_it() {
    let now = start();
    let broker = Broker::new(&Config::default(), now);
    let count = sweep::STEP * 2 + 1;
    (0..count).for_each(|number| publish(&broker, &format!("/{number}"), "1"));
    let mut steps = Vec::new();
    for tick in 1..=u32::from(sweep::SWEEP_PASSES) {
        assert_eq!(broker.channels(), count, "tick {tick}");
        while broker.tick(now + tick * TICK) {
            steps.push(broker.channels());
        }
    }
    let before_the_last = steps.len() - 2;
    assert!(steps[..before_the_last].iter().all(|left| *left == count));
    assert_eq!(steps[before_the_last..], [sweep::STEP + 1, 1]);
    assert_eq!(broker.channels(), 0);
}
