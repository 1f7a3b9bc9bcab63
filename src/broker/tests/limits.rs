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
