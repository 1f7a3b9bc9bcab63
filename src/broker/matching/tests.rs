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
        sweep::{FORGET_TICKS, SWEEP_PASSES},
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
        remembered.get(&generation, || {
            asked.set(asked.get() + 1);
            Arc::new([Arc::default()])
        })
    };
    assert!(Arc::ptr_eq(&ask(), &ask()));
    assert_eq!(asked.get(), 1);
    generation.advance();
    assert_eq!((ask().len(), ask().len(), asked.get()), (1, 1, 2));
}

#[test]
fn a_look_up_that_a_change_overtakes_is_repeated() {
    let (generation, remembered) = (PatternGeneration::default(), Remembered::default());
    let overtaken = remembered.get(&generation, || {
        generation.advance();
        Arc::new([])
    });
    assert!(overtaken.is_empty());
    assert_eq!(remembered.get(&generation, || Arc::new([Arc::default()])).len(), 1);
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
