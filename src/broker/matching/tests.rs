//! No subscriber of a pattern is overlooked, and no pattern that is gone is kept.

use std::{
    cell::Cell,
    future::Future,
    pin::pin,
    sync::atomic::AtomicBool,
    task::{Context, Waker},
    thread,
};

use super::*;
use crate::{
    broker::{
        Broker, Carrier, Delivered, Generation, Payload, Progress, Published, Session, TICK, Wakes,
        sweep::{FORGET_TICKS, STEP, SWEEP_PASSES},
        tests::{drain, id, name, publish, raw, start},
    },
    config::{ChannelRule, Config},
};

fn open(broker: &Broker, number: u8) -> (Arc<Session>, Generation) {
    let now = start();
    let session = broker.handshake(id(number), None, now).unwrap();
    let (_, owner) = broker.connect(&session, Carrier::Socket, now);
    (session, owner)
}

#[test]
fn patterns_are_looked_up_again_only_after_a_change() {
    let (generation, remembered) = (PatternGeneration::default(), Remembered::default());
    let asked = Cell::new(0);
    let ask = || {
        let look_up = || -> Patterns {
            asked.set(asked.get() + 1);
            Arc::new([Arc::default()])
        };
        remembered.get(&generation, look_up, || 0)
    };
    assert!(Arc::ptr_eq(&ask(), &ask()));
    assert_eq!(asked.get(), 1);
    generation.advance();
    assert_eq!((ask().len(), ask().len(), asked.get()), (1, 1, 2));
}

#[test]
fn a_look_up_that_a_change_overtakes_is_repeated() {
    let (generation, remembered) = (PatternGeneration::default(), Remembered::default());
    let look_up = || -> Patterns {
        generation.advance();
        Arc::new([])
    };
    let overtaken = remembered.get(&generation, look_up, || panic!("it remembers none"));
    assert!(overtaken.is_empty());
    assert_eq!(remembered.get(&generation, || Arc::new([Arc::default()]), || 0).len(), 1);
}

#[test]
fn a_pattern_that_comes_back_is_found_though_the_channel_was_busy_all_the_time() {
    let now = start();
    let broker = Broker::new(&Config::default(), now);
    let ((steady, _), (session, owner)) = (open(&broker, 1), open(&broker, 2));
    broker.subscribe(&steady, &name("/a/b")).unwrap();
    let mut at = now;
    for round in 0..3 {
        publish(&broker, "/a/b", "0");
        assert!(drain(&session, owner).is_empty(), "round {round}");
        for pattern in ["/a/*", "/**"] {
            broker.subscribe(&session, &name(pattern)).unwrap();
        }
        publish(&broker, "/a/b", "1");
        assert_eq!(drain(&session, owner), [1], "round {round}");
        for pattern in ["/a/*", "/**"] {
            broker.unsubscribe(&session, &name(pattern)).unwrap();
        }
        publish(&broker, "/a/b", "2");
        for _ in 0..=SWEEP_PASSES {
            at += TICK;
            broker.tick(at);
        }
        assert_eq!(broker.channels(), 1, "the patterns are swept away");
    }
}

#[test]
fn a_channel_that_stays_lets_go_of_a_pattern_that_went() {
    let now = start();
    let rule = ChannelRule { persistent: Some(true), ..ChannelRule::default() };
    let config = Config {
        channels: vec![ChannelRule { pattern: "/a/stays".into(), ..rule }],
        ..Config::default()
    };
    let broker = Broker::new(&config, now);
    let (session, _) = open(&broker, 1);
    broker.subscribe(&session, &name("/a/*")).unwrap();
    publish(&broker, "/a/stays", "1");
    let pattern = Arc::downgrade(broker.topics.get("/a/*").unwrap().value());
    assert!(pattern.strong_count() > 2, "the channel and the session know it as well");
    broker.unsubscribe(&session, &name("/a/*")).unwrap();
    let mut at = now;
    for _ in 0..FORGET_TICKS {
        at += TICK;
        broker.tick(at);
    }
    assert_eq!(pattern.strong_count(), 0);
    assert_eq!(broker.channels(), 1);
}

/// A broker whose channels below `/a` stay, and a session that subscribed to `/a/*` before something was
/// published to so many of them.
fn under_a_pattern(channels: usize) -> (Arc<Broker>, Arc<Session>) {
    let rule = ChannelRule { persistent: Some(true), ..ChannelRule::default() };
    let channels_of_a = vec![ChannelRule { pattern: "/a/*".into(), ..rule }];
    let mut config = Config { channels: channels_of_a, ..Config::default() };
    config.session.queue.max_messages = channels + 100;
    config.session.queue.max_bytes = 1 << 30;
    let broker = Broker::new(&config, start());
    let (session, _) = open(&broker, 1);
    broker.subscribe(&session, &name("/a/*")).unwrap();
    (0..channels).for_each(|n| publish(&broker, &format!("/a/{n}"), "1"));
    (broker, session)
}

#[test]
fn however_many_channels_there_are_a_tick_looks_at_a_step_of_them() {
    const CHANNELS: usize = 2 * STEP + 10;
    let (broker, session) = under_a_pattern(CHANNELS);
    let pattern = Arc::downgrade(broker.topics.get("/a/*").unwrap().value());
    assert!(pattern.strong_count() >= CHANNELS);
    broker.unsubscribe(&session, &name("/a/*")).unwrap();
    let mut at = start();
    let mut steps = Vec::new();
    for _ in 0..FORGET_TICKS + 3 {
        at += TICK;
        let before = pattern.strong_count();
        broker.tick(at);
        steps.push(before - pattern.strong_count());
    }
    assert_eq!(steps.split_off(FORGET_TICKS as usize - 1), [STEP, STEP, 10, 0]);
    assert!(steps.iter().all(|freed| *freed <= 2), "the table's own, and the look at it");
    assert_eq!(broker.sweep.rememberers().some(0, CHANNELS).0.len(), 0);
}

#[test]
fn a_channel_stands_in_the_list_once_as_long_as_it_is_there() {
    let (broker, session) = under_a_pattern(2);
    let listed = || broker.sweep.rememberers().some(0, 100).0.len();
    let mut at = start();
    for _ in 0..2 {
        broker.subscribe(&session, &name("/b/*")).unwrap();
        // The channels look again, because there is another pattern.
        ["/a/0", "/b/0", "/b/0"].iter().for_each(|channel| publish(&broker, channel, "2"));
        assert_eq!((broker.channels(), listed()), (5, 3));
        broker.unsubscribe(&session, &name("/b/*")).unwrap();
        for _ in 0..=SWEEP_PASSES {
            at += TICK;
            broker.tick(at);
        }
        assert_eq!((broker.channels(), listed()), (3, 2), "/b/0 and its pattern are gone");
    }
    let topic = Arc::downgrade(broker.topics.get("/a/0").unwrap().value());
    drop((session, listed));
    drop(broker);
    assert_eq!(topic.strong_count(), 0);
}

/// Publishes and waits until the message is in every queue, whoever carries it there.
fn publish_beside_others(broker: &Arc<Broker>, channel: &str, number: usize) {
    let data = raw(&number.to_string());
    let payload = Payload::from(&*data);
    match broker.publish(None, &name(channel), payload, start()).unwrap() {
        Published::Walk(mut delivery) => {
            let mut wakes = Wakes::default();
            while delivery.step(&mut wakes) != Progress::Done {}
        }
        Published::Behind(delivered) => wait(delivered),
    }
}

fn wait(delivered: Delivered) {
    let mut delivered = pin!(delivered);
    let mut cx = Context::from_waker(Waker::noop());
    while delivered.as_mut().poll(&mut cx).is_pending() {
        thread::yield_now();
    }
}

#[test]
fn whoever_subscribed_before_a_publish_gets_it_while_patterns_come_and_go() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 500;
    let now = start();
    let mut config = Config::default();
    // Room for all of it: a thread that gets no processor for a while is no slow client.
    config.session.queue.max_messages = THREADS * ROUNDS;
    let broker = Broker::new(&config, now);
    // Before the sweeper's time begins to race: it would expire them between handshake and connect.
    let sessions: Vec<_> = (0..THREADS).map(|number| open(&broker, number as u8)).collect();
    let stopped = AtomicBool::new(false);
    let patterns = ["/**", "/a/**", "/a/*", "/a/b/*"].map(name);
    let channels = ["/a/b", "/a/b/c"];
    thread::scope(|scope| {
        let subscribers: Vec<_> = sessions
            .iter()
            .enumerate()
            .map(|(thread, (session, owner))| {
                let (broker, patterns) = (&broker, &patterns);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let pattern = &patterns[(thread + round) % patterns.len()];
                        let matches = |channel: &&&str| pattern.matches(&name(channel));
                        let channel = channels.iter().find(matches).unwrap();
                        broker.subscribe(session, pattern).unwrap();
                        let number = thread * ROUNDS + round;
                        publish_beside_others(broker, channel, number);
                        let got = drain(session, *owner);
                        assert!(got.contains(&number), "{number} on {channel} for {pattern}");
                        broker.unsubscribe(session, pattern).unwrap();
                        drain(session, *owner);
                    }
                })
            })
            .collect();
        let sweeper = scope.spawn(|| {
            let mut at = now;
            while !stopped.load(Ordering::Relaxed) {
                at += TICK;
                broker.tick(at);
                thread::yield_now();
            }
            at
        });
        let failed = subscribers.into_iter().filter_map(|thread| thread.join().err()).count();
        stopped.store(true, Ordering::Relaxed);
        let mut at = sweeper.join().unwrap();
        assert_eq!((failed, broker.sessions()), (0, THREADS));
        for _ in 0..=SWEEP_PASSES {
            at += TICK;
            broker.tick(at);
        }
    });
    assert_eq!(broker.channels(), 0, "nothing keeps a dead topic");
}
