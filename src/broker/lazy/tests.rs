//! Lazy messages: what wakes their carrier, and when.

use std::{future::Future, pin::pin, sync::Arc, task::Context};

use proptest::prelude::*;

use super::*;
use crate::{
    broker::{
        Carrier, Payload, Progress, Published, Ready, Session, Take,
        mailbox::Generation,
        tests::{Bell, id, name, numbers, raw, start},
    },
    config::{ChannelRule, Config, QueuePolicy},
};

/// A broker in which `/lazy/**` waits for two seconds, and a poll that is held.
struct Lazy {
    broker: Arc<Broker>,
    session: Arc<Session>,
    owner: Generation,
    began: Instant,
}

impl Lazy {
    fn new() -> Self {
        let began = start();
        let rule = |pattern: &str, queue_policy| ChannelRule {
            pattern: pattern.into(),
            lazy: Some(Duration::from_secs(2)),
            queue_policy,
            ..ChannelRule::default()
        };
        let channels =
            vec![rule("/lazy/**", None), rule("/lazy/latest", Some(QueuePolicy::Latest))];
        let broker = Broker::new(&Config { channels, ..Config::default() }, began);
        let session = broker.handshake(id(1), None, began).unwrap();
        broker.subscribe(&session, &name("/**")).unwrap();
        let (_, owner) = broker.connect(&session, Carrier::Poll, began);
        Self { broker, session, owner, began }
    }

    fn at(&self, ms: u64) -> Instant {
        self.began + Duration::from_millis(ms)
    }

    fn publish(&self, channel: &str, number: u64, ms: u64) {
        let data = raw(&number.to_string());
        let payload = Payload::from(&*data);
        let published = self.broker.publish(None, &name(channel), payload, self.at(ms)).unwrap();
        let Published::Walk(mut delivery) = published else { panic!("nobody else publishes") };
        while delivery.step(&mut Wakes::default()) != Progress::Done {}
    }

    fn is_ready(&self) -> bool {
        let (_, waker) = Bell::new();
        let signal = pin!(self.session.signal(self.owner));
        match signal.poll(&mut Context::from_waker(&waker)) {
            std::task::Poll::Ready(ready) => ready == Ready::Messages,
            std::task::Poll::Pending => false,
        }
    }

    fn take(&self) -> Vec<usize> {
        let Some(mut batch) = self.session.take(self.owner, Take::ALL) else { return Vec::new() };
        batch.settle();
        numbers(batch.frames())
    }

    fn entries(&self) -> usize {
        self.broker.lazy.0.lock().values().map(Vec::len).sum()
    }
}

#[test]
fn p122_a_lazy_message_wakes_its_carrier_when_its_time_is_over_and_not_before() {
    let lazy = Lazy::new();
    let (bell, waker) = Bell::new();
    let signal = pin!(lazy.session.signal(lazy.owner));
    assert!(signal.poll(&mut Context::from_waker(&waker)).is_pending());
    lazy.publish("/lazy/a", 1, 0);
    lazy.broker.wake_lazy(lazy.at(1_999));
    assert_eq!(bell.rings(), 0);
    lazy.broker.wake_lazy(lazy.at(2_000));
    assert_eq!(bell.rings(), 1);
    assert!(lazy.is_ready());
    assert_eq!(lazy.take(), [1]);
    assert_eq!(lazy.entries(), 0);
}

#[test]
fn p122_any_other_message_takes_the_lazy_ones_along_in_order() {
    let lazy = Lazy::new();
    lazy.publish("/lazy/a", 1, 0);
    assert!(!lazy.is_ready());
    lazy.publish("/now", 2, 1);
    lazy.publish("/lazy/a", 3, 2);
    assert!(lazy.is_ready());
    assert_eq!(lazy.take(), [1, 2, 3]);
    lazy.publish("/lazy/a", 4, 3);
    assert!(!lazy.is_ready(), "the next one is patient again");
}

#[test]
fn p122_the_end_of_a_connect_takes_them_along_as_well() {
    let lazy = Lazy::new();
    lazy.publish("/lazy/a", 1, 0);
    assert_eq!(lazy.take(), [1]);
}

#[test]
fn a_session_stands_in_the_list_once_however_often_it_fetches() {
    let lazy = Lazy::new();
    for number in 0..100 {
        lazy.publish("/lazy/a", number, number * 10);
        assert_eq!(lazy.take(), [number as usize]);
    }
    assert_eq!(lazy.entries(), 1);
    lazy.publish("/lazy/a", 100, 1_000);
    lazy.broker.wake_lazy(lazy.at(2_000));
    assert!(!lazy.is_ready(), "the entry of the first message finds only the last");
    lazy.broker.wake_lazy(lazy.at(3_000));
    assert!(lazy.is_ready());
}

#[test]
fn a_channel_that_keeps_the_latest_only_is_not_put_off_for_ever() {
    let lazy = Lazy::new();
    for number in 0..3 {
        lazy.publish("/lazy/latest", number, number * 900);
    }
    lazy.broker.wake_lazy(lazy.at(2_000));
    assert_eq!((lazy.is_ready(), lazy.take()), (true, vec![2]));
}

#[test]
fn p056_lazy_messages_that_were_not_written_are_due_at_once() {
    let lazy = Lazy::new();
    lazy.publish("/lazy/a", 1, 0);
    drop(lazy.session.take(lazy.owner, Take::ALL));
    assert!(lazy.is_ready());
}

#[derive(Debug, Clone)]
enum Step {
    Lazy(u64),
    Urgent,
    TakeAll,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..50_u64).prop_map(Step::Lazy),
        1 => Just(Step::Urgent),
        2 => Just(Step::TakeAll),
        4 => (1..30_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// After every millisecond a queue is due exactly if something in it cannot wait, or since the
    /// first of its lazy messages had its time.
    #[test]
    fn p122_patience_ends_exactly_when_it_has_to(steps in prop::collection::vec(step(), 1..80)) {
        let mut patience = Patience::default();
        let (mut now, mut entries) = (0, Vec::<u64>::new());
        let (mut queued, mut hurry, mut first_due) = (0, false, u64::MAX);
        for step in steps {
            match step {
                Step::Lazy(wait) => {
                    if queued == 0 {
                        patience.calm();
                    }
                    queued += 1;
                    entries.extend(patience.entered(Some(now + wait)));
                    first_due = first_due.min(now + wait);
                }
                Step::Urgent => {
                    queued += 1;
                    patience.entered(None);
                    hurry = true;
                }
                Step::TakeAll if queued > 0 => {
                    patience.taken(false);
                    (queued, hurry, first_due) = (0, false, u64::MAX);
                }
                Step::TakeAll => {}
                Step::Pass(ms) => for _ in 0..ms {
                    now += 1;
                    let due: Vec<u64> = entries.extract_if(.., |at| *at <= now).collect();
                    for _ in due {
                        entries.extend(patience.ask(now));
                    }
                    hurry |= first_due <= now;
                    prop_assert_eq!(queued > 0 && patience.is_lost(), hurry, "at {}", now);
                },
            }
            prop_assert_eq!(queued > 0 && patience.is_lost(), hurry, "at {}", now);
        }
    }
}
