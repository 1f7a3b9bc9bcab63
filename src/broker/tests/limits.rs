//! The bounds of a node, each from both sides.

use super::*;

fn broker(change: impl FnOnce(&mut Config)) -> (Arc<Broker>, Instant) {
    let mut config = lossy_config();
    change(&mut config);
    let now = start();
    (Broker::new(&config, now), now)
}

#[test]
fn sessions_end_at_their_limit() {
    let (broker, now) = broker(|config| config.limits.sessions = 2);
    let first = broker.handshake(id(1), None, now).unwrap();
    broker.handshake(id(2), None, now).unwrap();
    assert_eq!(broker.handshake(id(3), None, now).unwrap_err(), Refusal::Overloaded);
    assert_eq!(broker.counters().handshakes_refused.value(), 1);
    assert!(broker.end(&first, Cause::Client));
    broker.handshake(id(3), None, now).unwrap();
    assert_eq!(broker.sessions(), 2);
}

#[test]
fn subscriptions_end_at_their_limit() {
    let (broker, now) = broker(|config| config.limits.subscriptions = 2);
    let session = broker.handshake(id(1), None, now).unwrap();
    broker.subscribe(&session, &name("/a")).unwrap();
    broker.subscribe(&session, &name("/b/*")).unwrap();
    let refused = Refusal::SubscribeDenied { reason: "subscription_limit" };
    assert_eq!(broker.subscribe(&session, &name("/c")).unwrap_err(), refused);
    broker.subscribe(&session, &name("/a")).expect("a repetition is no new one");
    broker.unsubscribe(&session, &name("/a")).unwrap();
    broker.subscribe(&session, &name("/c")).unwrap();
    assert_eq!(session.subscriptions(), 2);
}

#[test]
fn channels_end_at_their_limit() {
    let (broker, now) = broker(|config| config.limits.channels = 2);
    let session = broker.handshake(id(1), None, now).unwrap();
    broker.subscribe(&session, &name("/a")).unwrap();
    publish(&broker, "/b", "1");
    let refused = Refusal::CreateDenied { reason: "channel_limit" };
    assert_eq!(broker.subscribe(&session, &name("/c")).unwrap_err(), refused);
    let refused = Refusal::ChannelCreateDenied { reason: "channel_limit" };
    let published = broker.publish(None, &name("/c"), Payload::from(&*raw("1")), start());
    assert_eq!(published.err(), Some(refused));
    assert_eq!(broker.counters().published.value(), 1, "a refused message is not published");
    assert_eq!((broker.channels(), broker.queued_bytes()), (2, 0));
    publish(&broker, "/a", "1");
}

#[test]
fn the_queue_bound_ends_the_session_as_slow() {
    let (broker, now) = broker(|config| config.session.queue.max_messages = 2);
    let session = broker.handshake(id(1), None, now).unwrap();
    let (_, owner) = broker.connect(&session, Carrier::Poll, now);
    broker.subscribe(&session, &name("/**")).unwrap();
    publish(&broker, "/a", "1");
    publish(&broker, "/a", "2");
    assert_eq!((broker.sessions(), session.queued()), (1, 2));
    publish(&broker, "/a", "3");
    assert_eq!((broker.sessions(), session.queued(), broker.queued_bytes()), (0, 0, 0));
    assert!(broker.session(&session.id().client_id()).is_none());
    assert!(session.take(owner, Take::ALL).is_none());
    let counters = broker.counters();
    assert_eq!((counters.queued.value(), counters.discarded.value()), (2, 2));
    assert_eq!(counters.sessions_ended.of(Cause::Slow), 1);
    assert_eq!(broker.take_ended().first().map(|ended| ended.cause), Some(Cause::Slow));
    publish(&broker, "/a", "4");
    assert_eq!(counters.queued.value(), 2, "nobody is subscribed any more");
}

/// A broker whose ceiling is a hundred times the size of one message, and a session that takes all.
fn ceiling() -> (Arc<Broker>, Instant, Arc<Session>) {
    let size = frame_of("/a", 1, 0, QueuePolicy::Disconnect).bytes();
    let (broker, now) = broker(|config| config.limits.queued_bytes = Some(100 * size));
    let session = broker.handshake(id(1), None, now).unwrap();
    broker.subscribe(&session, &name("/a")).unwrap();
    (broker, now, session)
}

#[test]
fn above_70_percent_of_the_ceiling_handshakes_are_refused() {
    let (broker, now, session) = ceiling();
    (0..69).for_each(|_| publish(&broker, "/a", "[1]"));
    let other = broker.handshake(id(2), None, now).unwrap();
    publish(&broker, "/a", "[1]");
    assert_eq!(broker.handshake(id(3), None, now).unwrap_err(), Refusal::Overloaded);
    let (_, owner) = broker.connect(&session, Carrier::Socket, now);
    assert_eq!(drain(&session, owner).len(), 70);
    broker.handshake(id(3), None, now).unwrap();
    drop(other);
}

#[test]
fn above_85_percent_the_largest_queues_end_until_below() {
    let (broker, now, large) = ceiling();
    let small = broker.handshake(id(2), None, now).unwrap();
    let none = broker.handshake(id(3), None, now).unwrap();
    broker.subscribe(&small, &name("/b")).unwrap();
    (0..20).for_each(|_| publish(&broker, "/b", "[1]"));
    (0..64).for_each(|_| publish(&broker, "/a", "[1]"));
    broker.tick(now + TICK);
    assert_eq!(broker.sessions(), 3, "84 % is below the mark");
    publish(&broker, "/a", "[1]");
    broker.tick(now + 2 * TICK);
    assert_eq!((large.queued(), small.queued(), broker.sessions()), (0, 20, 2));
    assert_eq!(broker.counters().sessions_ended.of(Cause::Limit), 1);
    assert_eq!(broker.take_ended().first().map(|ended| ended.discarded), Some(65));
    drop(none);
}

/// Opens so many sessions, with numbers from `first` on, that subscribe to what `channel` says.
fn crowd(
    broker: &Arc<Broker>,
    first: u128,
    count: u128,
    channel: impl Fn(u128) -> String,
) -> Vec<Arc<Session>> {
    (first..first + count)
        .map(|number| {
            let id = SessionId::from_bytes(number.to_be_bytes());
            let session = broker.handshake(id, None, start()).unwrap();
            broker.subscribe(&session, &name(&channel(number))).unwrap();
            session
        })
        .collect()
}

/// A message of so many bytes and some.
fn large(bytes: usize) -> String {
    format!("[1{}]", " ".repeat(bytes))
}

/// Clients that stalled on one broadcast were taken for the largest: in seven ticks 448 of these 500 ended,
/// and not one byte was freed.
#[test]
fn above_85_percent_sessions_end_that_free_something() {
    let (broker, now) = broker(|config| config.limits.queued_bytes = Some(1 << 20));
    let sharing = crowd(&broker, 1, 500, |_| "/shared".to_owned());
    let own = crowd(&broker, 1_001, 80, |number| format!("/own/{number}"));
    publish(&broker, "/shared", &large(20_000));
    (1_001..1_081).for_each(|number| publish(&broker, &format!("/own/{number}"), &large(11_000)));
    assert!(broker.pressure_percent() >= 85);
    while broker.tick(now + TICK) {}
    assert_eq!(broker.pressure_percent(), 84);
    assert!(sharing.iter().all(|session| !session.has_ended()));
    assert_eq!(own.iter().filter(|session| session.has_ended()).count(), 2);
}

#[test]
fn above_85_percent_few_sessions_end_while_that_frees_nothing() {
    let (broker, now) = broker(|config| config.limits.queued_bytes = Some(1 << 20));
    let sharing = crowd(&broker, 1, 10, |_| "/shared".to_owned());
    let ended = || sharing.iter().filter(|session| session.has_ended()).count();
    publish(&broker, "/shared", &large(900_000));
    for (tick, expected) in [(1, 4), (2, 8), (3, 10)] {
        while broker.tick(now + tick * TICK) {}
        assert_eq!(ended(), expected, "tick {tick}");
    }
    assert_eq!(broker.queued_bytes(), 0);
}

#[test]
fn what_is_not_acknowledged_is_freed_and_what_a_carrier_has_comes_last() {
    let (broker, now) = broker(|config| config.limits.queued_bytes = Some(1 << 20));
    let sessions = crowd(&broker, 1, 3, |number| format!("/own/{number}"));
    let [waiting, acknowledging, carried] = &*sessions else { panic!("three sessions") };
    acknowledging.start_acknowledging();
    for (number, bytes) in [(1, 200_000), (2, 300_000), (3, 400_000)] {
        publish(&broker, &format!("/own/{number}"), &large(bytes));
    }
    let (_, owner) = broker.connect(acknowledging, Carrier::Poll, now);
    drop(acknowledging.take_numbered(owner));
    let (_, owner) = broker.connect(carried, Carrier::Poll, now);
    let batch = carried.take(owner, Take::ALL);
    let ended = || [waiting, acknowledging, carried].map(|session| session.has_ended());
    while broker.tick(now + TICK) {}
    assert_eq!(ended(), [false, true, false]);
    drop(batch);
}

#[test]
fn a_crowd_is_looked_at_in_steps_and_channels_once_a_tick() {
    let count = 2 * sweep::STEP as u128;
    let (broker, now) = broker(|config| {
        config.limits.sessions = 10_000;
        config.limits.queued_bytes = Some(1 << 20);
    });
    let sharing = crowd(&broker, 1, count, |_| "/shared".to_owned());
    publish(&broker, "/unused", "1");
    publish(&broker, "/shared", &large(900_000));
    for tick in 1..=u32::from(sweep::SWEEP_PASSES) {
        assert_eq!(broker.channels(), 2, "tick {tick}");
        let mut steps = 1;
        while broker.tick(now + tick * TICK) {
            steps += 1;
        }
        assert_eq!(steps, 2, "tick {tick}");
    }
    assert_eq!(broker.channels(), 1, "the one that nobody uses is gone");
    let ended = sharing.iter().filter(|session| session.has_ended()).count();
    assert_eq!(ended, 4 * usize::from(sweep::SWEEP_PASSES));
}

#[test]
fn at_the_ceiling_publishes_are_refused() {
    let (broker, now, session) = ceiling();
    (0..100).for_each(|_| publish(&broker, "/a", "[1]"));
    let refused = broker.publish(None, &name("/a"), Payload::from(&*raw("[1]")), start()).err();
    assert_eq!(refused, Some(Refusal::Overloaded));
    assert_eq!(broker.counters().publishes_refused.value(), 1);
    let (_, owner) = broker.connect(&session, Carrier::Socket, now);
    assert_eq!(drain(&session, owner).len(), 100);
    assert_eq!(broker.queued_bytes(), 0, "the meter returns to zero");
    publish(&broker, "/a", "[1]");
}

#[test]
fn a_lossy_channel_in_a_full_queue_loses_and_counts() {
    let (broker, now) = broker(|config| config.session.queue.max_messages = 2);
    let session = broker.handshake(id(1), None, now).unwrap();
    broker.subscribe(&session, &name("/**")).unwrap();
    for (channel, number) in [("/old/a", "1"), ("/new/a", "2"), ("/new/a", "3"), ("/old/a", "4")] {
        publish(&broker, channel, number);
    }
    let (_, owner) = broker.connect(&session, Carrier::Socket, now);
    assert_eq!(drain(&session, owner), [3, 4]);
    let counters = broker.counters();
    assert_eq!((counters.dropped_oldest.value(), counters.dropped_latest.value()), (1, 1));
    assert_eq!((counters.queued.value(), counters.delivered.value()), (4, 2));
}
