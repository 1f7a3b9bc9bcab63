//! A client moves from one session to another: nothing is lost, doubled or given to somebody else.

use std::{
    future::Future,
    sync::Barrier,
    task::{Context, Poll},
    thread,
};

use super::*;
use crate::events::{Filter, Peer, Policy, Rights};

const OLD: u8 = 1;
const NEW: u8 = 2;

struct Bench {
    broker: Arc<Broker>,
    old: Arc<Session>,
    now: Instant,
}

/// A connected session with subscriptions; `acks`: it acknowledges.
fn bench(names: &[&str], acks: bool, change: impl FnOnce(&mut Config)) -> (Bench, Generation) {
    let mut config = lossy_config();
    change(&mut config);
    let now = start();
    let broker = Broker::new(&config, now);
    let old = broker.handshake(id(OLD), None, now).unwrap();
    if acks {
        old.start_acknowledging();
    }
    let (_, owner) = broker.connect(&old, Carrier::Socket, now);
    for text in names {
        broker.subscribe(&old, &name(text)).unwrap();
    }
    (Bench { broker, old, now }, owner)
}

impl Bench {
    /// Moves the client on, and connects its new session.
    fn moved(&self) -> (Arc<Session>, Generation) {
        assert!(self.broker.leave(&self.old, self.now));
        self.succeeded()
    }

    fn succeeded(&self) -> (Arc<Session>, Generation) {
        let (new, _) = self.broker.succeed(&self.old, id(NEW), None, self.now).unwrap();
        let (first, owner) = self.broker.connect(&new, Carrier::Poll, self.now);
        assert!(first);
        (new, owner)
    }

    fn publish(&self, channel: &str, numbers: impl IntoIterator<Item = usize>) {
        numbers.into_iter().for_each(|n| publish(&self.broker, channel, &format!("[{n}]")));
    }
}

#[test]
fn sf09_messages_wait_for_the_subscription_that_claims_them() {
    let (bench, _) = bench(&["/a", "/b/*"], false, |_| ());
    bench.publish("/a", [1, 2]);
    bench.publish("/b/x", [3]);
    let (new, owner) = bench.moved();
    bench.publish("/a", [4]);
    bench.publish("/b/x", [5]);
    assert_eq!(drain(&new, owner).len(), 0, "nothing is claimed yet");
    bench.broker.subscribe(&new, &name("/a")).unwrap();
    bench.publish("/a", [6]);
    bench.publish("/b/x", [7]);
    assert_eq!(drain(&new, owner), [1, 2, 4, 6]);
    // A name of its own that matches serves as well, and does not double anything.
    bench.broker.subscribe(&new, &name("/b/**")).unwrap();
    bench.publish("/b/x", [8]);
    assert_eq!(drain(&new, owner), [3, 5, 7, 8]);
    let counters = bench.broker.counters();
    assert_eq!((counters.discarded.value(), counters.delivered.value()), (0, 8));
}

#[test]
fn sf11_the_session_before_is_unknown_and_its_end_is_told() {
    let (bench, _) = bench(&["/a"], false, |_| ());
    assert!(bench.broker.leave(&bench.old, bench.now) && bench.old.is_leaving());
    assert!(!bench.broker.leave(&bench.old, bench.now), "it is told once");
    let (new, _) = bench.succeeded();
    assert!(!bench.old.is_leaving() && !new.is_leaving());
    assert!(bench.broker.session(&bench.old.id().client_id()).is_none());
    let ended = bench.broker.take_ended();
    assert!(matches!(ended[..], [Ended { cause: Cause::Moved, discarded: 0, .. }]), "{ended:?}");
    assert_eq!(bench.broker.sessions(), 1);
    let again = bench.broker.succeed(&bench.old, id(3), None, bench.now);
    assert_eq!(again.unwrap_err(), Refusal::SessionUnknown);
    assert_eq!(bench.broker.sessions(), 1, "a move in vain leaves nothing");
}

#[test]
fn sf11_a_leaving_session_collects_delivers_nothing_and_expires() {
    let (bench, owner) = bench(&["/a"], false, |_| ());
    assert!(bench.broker.leave(&bench.old, bench.now));
    bench.publish("/a", [1]);
    assert!(bench.old.take(owner, Take::ALL).is_none(), "its socket has lost its right");
    let other = bench.broker.claim(&bench.old, Carrier::Socket, false, bench.now);
    assert!(bench.old.take(other, Take::ALL).is_none(), "so has any other");
    assert!(bench.old.begin_request().take().is_none());
    assert!(bench.old.take_numbered(other).is_none());
    assert_eq!(bench.old.queued(), 1);
    let mut at = bench.now;
    for _ in 0..123 {
        at += TICK;
        bench.broker.tick(at);
    }
    assert_eq!(bench.broker.sessions(), 0, "61 s: max_interval is 60 s");
    assert_eq!(bench.broker.counters().discarded.value(), 1);
}

#[test]
fn sf09_unacknowledged_messages_come_first() {
    let (bench, owner) = bench(&["/a"], true, |_| ());
    bench.publish("/a", [1, 2]);
    let (number, batch) = bench.old.take_numbered(owner).unwrap();
    assert_eq!(numbers(batch.frames()), [1, 2]);
    bench.publish("/a", [3]);
    let _ = bench.old.take_numbered(owner).unwrap();
    bench.publish("/a", [4]);
    bench.old.acknowledge(number);
    let (new, owner) = bench.moved();
    new.start_acknowledging();
    bench.broker.subscribe(&new, &name("/a")).unwrap();
    let (_, batch) = new.take_numbered(owner).unwrap();
    assert_eq!(numbers(batch.frames()), [3, 4]);
}

#[test]
fn what_comes_back_after_the_end_of_the_new_session_counts_under_its_cause() {
    let (bench, owner) = bench(&["/a"], false, |_| ());
    bench.publish("/a", [1]);
    let batch = bench.old.take(owner, Take::ALL).unwrap();
    let (new, _) = bench.moved();
    bench.broker.end(&new, Cause::Client);
    drop(batch);
    let discarded = |cause| bench.broker.counters().discarded.of(cause);
    assert_eq!((discarded(Cause::Client), discarded(Cause::Moved)), (1, 0));
}

#[test]
fn sf09_what_a_dying_carrier_had_in_hand_comes_back_to_the_new_session() {
    let (bench, owner) = bench(&["/a", "/b"], false, |_| ());
    bench.publish("/a", [1, 2]);
    bench.publish("/b", [3]);
    let batch = bench.old.take(owner, Take::ALL).unwrap();
    bench.publish("/a", [4]);
    let (new, owner) = bench.moved();
    bench.broker.subscribe(&new, &name("/b")).unwrap();
    drop(batch);
    assert_eq!(drain(&new, owner), [3]);
    bench.broker.subscribe(&new, &name("/a")).unwrap();
    assert_eq!(drain(&new, owner), [1, 2, 4]);
}

#[test]
fn sf09_nothing_overtakes_what_a_carrier_of_the_session_before_still_writes() {
    for written in [false, true] {
        let (bench, owner) = bench(&["/a"], false, |config| config.session.queue.max_messages = 4);
        bench.publish("/a", [1, 2]);
        let mut batch = bench.old.take(owner, Take::ALL).unwrap();
        let (new, owner) = bench.moved();
        bench.broker.subscribe(&new, &name("/a")).unwrap();
        bench.publish("/a", [3, 4]);
        assert_eq!(drain(&new, owner), [0; 0], "the older ones may come back");
        let stuck = bench.old.poll_overtaken(&Context::from_waker(Waker::noop()));
        assert!(stuck.is_ready(), "a writer that cannot go on has to give them up");
        let (bell, waker) = Bell::new();
        let signal = &mut std::pin::pin!(new.signal(owner));
        assert!(Future::poll(signal.as_mut(), &mut Context::from_waker(&waker)).is_pending());
        let left = if written {
            batch.settle();
            vec![3, 4]
        } else {
            vec![1, 2, 3, 4]
        };
        drop(batch);
        assert_eq!((bell.rings(), drain(&new, owner)), (1, left));
        assert_eq!(bench.broker.sessions(), 1);
    }
}

#[test]
fn sf09_a_socket_that_has_written_its_batch_does_not_hold_up_the_next_session() {
    let (bench, owner) = bench(&["/a"], false, |_| ());
    bench.publish("/a", [1]);
    let context = &Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(mut batch)) = bench.old.poll_flow(owner, false, context) else {
        panic!("a message waits")
    };
    let (new, new_owner) = bench.moved();
    bench.broker.subscribe(&new, &name("/a")).unwrap();
    bench.publish("/a", [2]);
    batch.settle();
    assert!(batch.flowed(owner, context), "it hears of its end");
    assert_eq!(drain(&new, new_owner), [2]);
}

#[test]
fn sf09_what_is_written_in_vain_counts_into_the_bound_of_the_next_session() {
    let (bench, owner) = bench(&["/a"], false, |config| config.session.queue.max_messages = 2);
    bench.publish("/a", [1, 2]);
    let _batch = bench.old.take(owner, Take::ALL).unwrap();
    let (new, _) = bench.moved();
    assert!(new.queued_bytes() > 0);
    bench.publish("/a", [3]);
    assert_eq!(bench.broker.counters().sessions_ended.of(Cause::Slow), 1);
}

#[test]
fn sf09_of_a_lossy_channel_what_comes_back_gives_way_to_what_is_newer() {
    let (bench, owner) = bench(&["/new/x"], false, |_| ());
    bench.publish("/new/x", [1]);
    let batch = bench.old.take(owner, Take::ALL).unwrap();
    let (new, owner) = bench.moved();
    bench.publish("/new/x", [2]);
    drop(batch);
    bench.broker.subscribe(&new, &name("/new/x")).unwrap();
    assert_eq!(drain(&new, owner), [2]);
    assert_eq!((new.pressure().2, bench.broker.counters().dropped_latest.value()), (1, 1));
}

#[test]
fn sf09_of_a_lossy_channel_what_is_claimed_again_replaces_what_is_queued() {
    let (bench, _) = bench(&["/new/*", "/new/x"], false, |_| ());
    let (new, owner) = bench.moved();
    bench.broker.subscribe(&new, &name("/new/x")).unwrap();
    bench.publish("/new/x", [1]);
    bench.broker.unsubscribe(&new, &name("/new/x")).unwrap();
    bench.publish("/new/x", [2]);
    assert_eq!(new.queued(), 2, "one is parked");
    bench.broker.subscribe(&new, &name("/new/*")).unwrap();
    assert_eq!(drain(&new, owner), [2]);
    assert_eq!((new.pressure().2, bench.broker.counters().dropped_latest.value()), (1, 1));
    assert_eq!(bench.broker.counters().waiting(), 0);
}

#[test]
fn sf09_what_is_given_up_after_the_move_stays_as_any_queued_message_does() {
    let (bench, _) = bench(&["/a/b", "/a/*", "/c"], false, |_| ());
    bench.publish("/a/b", [1]);
    bench.publish("/c", [2]);
    let (new, owner) = bench.moved();
    bench.broker.unsubscribe(&new, &name("/a/b")).unwrap();
    assert_eq!(drain(&new, owner), [0; 0], "another name may still claim it");
    bench.broker.unsubscribe(&new, &name("/a/*")).unwrap();
    bench.publish("/a/b", [3]);
    assert_eq!(drain(&new, owner), [1]);
    bench.broker.subscribe(&new, &name("/a/b")).unwrap();
    bench.publish("/a/b", [4]);
    assert_eq!(drain(&new, owner), [4]);
    bench.broker.subscribe(&new, &name("/c")).unwrap();
    assert_eq!(drain(&new, owner), [2]);
}

#[test]
fn sf09_a_subscription_renewed_when_its_time_runs_out_is_never_lost() {
    let names: Vec<String> = (0..40).map(|n| format!("/a/{n}")).collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    for round in 0..100 {
        let (bench, _) = bench(&known, false, |_| ());
        let (new, owner) = bench.moved();
        let both = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                both.wait();
                bench.broker.forget_unclaimed(u64::MAX);
            });
            both.wait();
            for text in &known {
                bench.broker.subscribe(&new, &name(text)).unwrap();
            }
        });
        known.iter().enumerate().for_each(|(n, text)| bench.publish(text, [n]));
        assert_eq!(drain(&new, owner), (0..40).collect::<Vec<_>>(), "round {round}");
        assert_eq!((new.subscriptions(), bench.broker.counters().subscriptions.value()), (40, 40));
    }
}

#[test]
fn sf11_a_leaving_session_expires_though_a_stream_or_connect_of_it_is_open() {
    let (bench, _) = bench(&["/a"], false, |_| ());
    assert!(bench.broker.leave(&bench.old, bench.now));
    bench.broker.claim(&bench.old, Carrier::Stream, true, bench.now);
    assert_eq!(bench.broker.counters().connects_held.value(), 0);
    let mut at = bench.now;
    for _ in 0..123 {
        at += TICK;
        bench.broker.tick(at);
    }
    assert_eq!(bench.broker.sessions(), 0, "61 s: max_interval is 60 s");
}

#[test]
fn a_move_to_a_session_that_has_ended_leaves_everything_where_it_was() {
    let (bench, _) = bench(&["/a"], false, |_| ());
    bench.publish("/a", [1]);
    assert!(bench.broker.leave(&bench.old, bench.now));
    let ended = bench.broker.handshake(id(NEW), None, bench.now).unwrap();
    bench.broker.end(&ended, Cause::Drain);
    assert!(bench.old.hand_over(&ended).is_none());
    assert!(bench.old.is_leaving());
    assert_eq!((bench.old.subscriptions(), bench.old.queued(), ended.subscriptions()), (1, 1, 0));
}

#[test]
fn sf09_a_walk_under_way_reaches_one_of_the_two_once() {
    // The longest list is walked last: one more subscriber on /a/b makes it that.
    for steps in 0..4 {
        let (bench, _) = bench(&["/a/**", "/a/b"], false, |_| ());
        let other = bench.broker.handshake(id(9), None, bench.now).unwrap();
        bench.broker.subscribe(&other, &name("/a/b")).unwrap();
        let json = raw("[1]");
        let Ok(Published::Walk(mut walk)) =
            bench.broker.publish(None, &name("/a/b"), Payload::from(&*json), bench.now)
        else {
            panic!("nobody else publishes")
        };
        let mut wakes = Wakes::default();
        for _ in 0..steps {
            walk.step_by(1, &mut wakes);
        }
        let (new, owner) = bench.moved();
        bench.broker.subscribe(&new, &name("/a/**")).unwrap();
        bench.broker.subscribe(&new, &name("/a/b")).unwrap();
        while walk.step(&mut wakes) != Progress::Done {}
        bench.publish("/a/b", [2]);
        assert_eq!(drain(&new, owner), [1, 2], "moved after {steps} steps");
        assert_eq!(other.queued(), 2);
    }
}

#[test]
fn sf09_subscriptions_that_nobody_claims_end_after_30_s_and_that_is_told() {
    let (bench, _) = bench(&["/a", "/b"], false, |_| ());
    bench.publish("/a", [1]);
    let (new, owner) = bench.moved();
    let sid = Some(Sid::from_bytes([7; 6]));
    bench.broker.introduce(&new, Arc::new(Peer { sid, ..Peer::default() }));
    let tap = |scope| {
        let rights = Rights { scope: Box::new([name(scope)]), ..Rights::usual() };
        bench.broker.events().tap(rights, Filter::default()).unwrap()
    };
    let (of_a, of_b) = (tap("/a"), tap("/none"));
    bench.broker.subscribe(&new, &name("/b")).unwrap();
    bench.publish("/a", [2]);
    bench.publish("/b", [3]);
    let mut at = bench.now;
    for tick in 1..=60 {
        assert!(bench.broker.take_unclaimed().is_empty(), "tick {tick}");
        at += TICK;
        bench.broker.tick(at);
    }
    let unclaimed = bench.broker.take_unclaimed();
    assert!(
        matches!(unclaimed[..], [Unclaimed { subscriptions: 1, discarded: 2, .. }]),
        "{unclaimed:?}"
    );
    assert_eq!(bench.broker.counters().discarded.value(), 2);
    let told = of_a.take(9);
    assert!(
        matches!(
            told[..],
            [ref event] if matches!(
                event.what,
                What::Queue { messages: 1, policy: Policy::Unclaimed, dropped: 2, .. }
            )
        ),
        "{told:?}"
    );
    assert!(of_b.take(9).is_empty(), "that is nobody's business there");
    assert_eq!(new.subscriptions(), 1);
    bench.publish("/a", [4]);
    bench.publish("/b", [5]);
    assert_eq!(drain(&new, owner), [3, 5]);
}

#[test]
fn sf09_parked_messages_count_into_the_bound_of_the_queue() {
    let (bench, _) = bench(&["/a", "/b"], false, |config| config.session.queue.max_messages = 3);
    bench.publish("/a", [1]);
    let (new, owner) = bench.moved();
    bench.broker.subscribe(&new, &name("/b")).unwrap();
    bench.publish("/b", [2, 3]);
    assert_eq!(bench.broker.sessions(), 1, "three messages fit");
    bench.publish("/a", [4]);
    assert_eq!(bench.broker.sessions(), 0, "a fourth does not, parked or not");
    assert!(new.take(owner, Take::ALL).is_none());
    let ended = bench.broker.take_ended();
    assert_eq!(ended.last().map(|end| (end.cause, end.discarded)), Some((Cause::Slow, 3)));
    assert_eq!(bench.broker.channels(), 2);
    bench.publish("/a", [5]);
    assert_eq!(bench.broker.queued_bytes(), 0, "its subscriptions have gone too");
}

#[test]
fn sf09_lossy_parked_messages_keep_their_rules() {
    let (bench, _) =
        bench(&["/old/x", "/new/x"], false, |config| config.session.queue.max_messages = 3);
    let (new, owner) = bench.moved();
    bench.publish("/new/x", [1, 2]);
    bench.publish("/old/x", [3, 4, 5]);
    bench.broker.subscribe(&new, &name("/**")).unwrap();
    assert_eq!(drain(&new, owner), [2, 3, 4]);
    let counters = bench.broker.counters();
    assert_eq!((counters.dropped_latest.value(), counters.dropped_oldest.value()), (1, 1));
    assert_eq!(new.pressure().2, 2, "its own count says so, too");
}

#[test]
fn sf09_messages_for_the_session_itself_come_with_its_first_connect() {
    let (bench, _) = bench(&["/a"], false, |_| ());
    bench.old.push(&frame_of("/service/x", 1, 0, QueuePolicy::Disconnect));
    bench.publish("/a", [2]);
    assert!(bench.broker.leave(&bench.old, bench.now));
    let (new, _) = bench.broker.succeed(&bench.old, id(NEW), None, bench.now).unwrap();
    let claimed = bench.broker.claim(&new, Carrier::Poll, false, bench.now);
    bench.broker.subscribe(&new, &name("/**")).unwrap();
    assert_eq!(drain(&new, claimed), [2], "nobody subscribes to what is for himself");
    new.push(&frame_of("/service/x", 3, 0, QueuePolicy::Disconnect));
    assert_eq!(drain(&new, claimed), [0; 0], "nor does it overtake what waits");
    let (_, owner) = bench.broker.connect(&new, Carrier::Poll, bench.now);
    new.push(&frame_of("/service/x", 4, 0, QueuePolicy::Disconnect));
    assert_eq!(drain(&new, owner), [1, 3, 4]);
}

#[test]
fn sf09_a_publisher_that_moves_does_not_hear_itself() {
    let (bench, _) = bench(&["/quiet"], false, |config| {
        let rule = ChannelRule {
            pattern: "/quiet".into(),
            broadcast_to_publisher: Some(false),
            ..ChannelRule::default()
        };
        config.channels.push(rule);
    });
    let json = raw("[1]");
    let walk =
        bench.broker.publish(Some(&bench.old), &name("/quiet"), Payload::from(&*json), bench.now);
    let (new, owner) = bench.moved();
    bench.broker.subscribe(&new, &name("/quiet")).unwrap();
    drop(walk);
    bench.publish("/quiet", [2]);
    assert_eq!(drain(&new, owner), [2]);
}

#[test]
fn a_move_needs_no_room_and_can_be_repeated() {
    let (bench, _) = bench(&["/a"], false, |config| config.limits.sessions = 1);
    bench.publish("/a", [1]);
    let (new, _) = bench.moved();
    bench.publish("/a", [2]);
    assert!(bench.broker.leave(&new, bench.now));
    let (third, _) = bench.broker.succeed(&new, id(3), None, bench.now).unwrap();
    let (_, owner) = bench.broker.connect(&third, Carrier::Socket, bench.now);
    bench.publish("/a", [3]);
    bench.broker.subscribe(&third, &name("/a")).unwrap();
    assert_eq!(drain(&third, owner), [1, 2, 3]);
    drop((bench.old, new));
    assert!(bench.broker.end(&third, Cause::Client));
    drop(third);
    assert_eq!((bench.broker.sessions(), bench.broker.queued_bytes()), (0, 0));
}

#[test]
fn sf09_a_channel_that_was_claimed_for_a_while_stays_in_order() {
    let (bench, owner) = bench(&["/a/*"], false, |_| ());
    bench.publish("/a/b", [1]);
    let batch = bench.old.take(owner, Take::ALL).unwrap();
    let (new, owner) = bench.moved();
    bench.broker.subscribe(&new, &name("/a/b")).unwrap();
    bench.publish("/a/b", [2]);
    bench.broker.unsubscribe(&new, &name("/a/b")).unwrap();
    bench.publish("/a/b", [3]);
    // What comes back goes before what was claimed, and that before what is parked again.
    drop(batch);
    let first = new.take(owner, Take { frames_max: 1, ..Take::ALL }).unwrap();
    assert_eq!(numbers(first.frames()), [1]);
    drop(first);
    assert!(bench.broker.leave(&new, bench.now));
    let (third, _) = bench.broker.succeed(&new, id(3), None, bench.now).unwrap();
    let (_, owner) = bench.broker.connect(&third, Carrier::Poll, bench.now);
    bench.broker.subscribe(&third, &name("/a/*")).unwrap();
    assert_eq!(drain(&third, owner), [1, 2, 3]);
}
