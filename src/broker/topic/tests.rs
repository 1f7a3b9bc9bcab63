//! The baton, the snapshot of subscribers, and how an unused topic goes.

use std::pin::pin;

use super::*;
use crate::{
    broker::{
        Settings,
        tests::{Bell, frame_of, id, numbers},
    },
    config::{Config, QueuePolicy},
};

fn session(number: u8) -> Arc<Session> {
    let settings = Settings::new(&Config::default());
    Arc::new(Session::new((id(number), id(number)), None, &settings, Arc::default(), 0))
}

fn message(number: usize, size: usize) -> Pending {
    Pending {
        frame: frame_of("/a", number, size, QueuePolicy::Disconnect),
        except: None,
        reach: None,
    }
}

fn run(topic: &Topic) -> Vec<usize> {
    let mut run = Vec::new();
    topic.next_run(&mut run);
    numbers(&run.into_iter().map(|pending| pending.frame).collect::<Vec<_>>())
}

fn is_ready(topic: &Arc<Topic>, seq: Seq, waker: &Waker) -> bool {
    let delivered = pin!(Delivered::new(Arc::clone(topic), seq));
    delivered.poll(&mut Context::from_waker(waker)).is_ready()
}

#[test]
fn the_first_publisher_takes_the_baton_and_the_others_wait() {
    let topic = Arc::new(Topic::default());
    assert_eq!(topic.enqueue(message(1, 0)).unwrap(), (Seq(0), true));
    assert_eq!(topic.enqueue(message(2, 0)).unwrap(), (Seq(1), false));
    let (bell, waker) = Bell::new();
    assert!(!is_ready(&topic, Seq(1), &waker));
    assert_eq!(run(&topic), [1, 2]);
    assert_eq!(topic.enqueue(message(3, 0)).unwrap(), (Seq(2), false));
    let mut wakes = Vec::new();
    assert_eq!(topic.delivered(2, &mut wakes), (Seq(2), true));
    assert_eq!(wakes.len(), 1);
    wakes.into_iter().for_each(Waker::wake);
    assert_eq!(bell.rings(), 1);
    assert!(is_ready(&topic, Seq(1), &waker) && !is_ready(&topic, Seq(2), &waker));
    assert_eq!(run(&topic), [3]);
    assert_eq!(topic.delivered(1, &mut Vec::new()), (Seq(3), false));
    assert!(run(&topic).is_empty(), "now the baton lies down");
    assert_eq!(topic.enqueue(message(4, 0)).unwrap(), (Seq(3), true));
}

#[test]
fn one_waiting_publisher_has_one_waker_the_latest() {
    let topic = Arc::new(Topic::default());
    topic.enqueue(message(1, 0)).unwrap();
    let ((first, one), (second, two)) = (Bell::new(), Bell::new());
    assert!(!is_ready(&topic, Seq(0), &one) && !is_ready(&topic, Seq(0), &two));
    run(&topic);
    let mut wakes = Vec::new();
    topic.delivered(1, &mut wakes);
    wakes.into_iter().for_each(Waker::wake);
    assert_eq!((first.rings(), second.rings()), (0, 1));
}

/// Each of them looked for itself among all the others, and the topic kept the room for all.
#[test]
fn a_crowd_of_waiting_publishers_is_told_in_order_and_leaves_no_room_behind() {
    const CROWD: u64 = 1_000;
    let topic = Arc::new(Topic::default());
    (0..CROWD).for_each(|number| drop(topic.enqueue(message(number as usize, 0))));
    let bells: Vec<_> = (0..CROWD).map(|_| Bell::new()).collect();
    // In whatever order they begin to wait, and ask again.
    for odd in [1, 0, 1] {
        for (number, (_, waker)) in (0_u64..).zip(&bells).filter(|(number, _)| number % 2 == odd) {
            assert!(!is_ready(&topic, Seq(number), waker));
        }
    }
    let mut told = 0;
    while told < CROWD as usize {
        let count = run(&topic).len();
        let mut wakes = Vec::new();
        topic.delivered(count, &mut wakes);
        wakes.into_iter().for_each(Waker::wake);
        told += count;
        let (rung, silent) = bells.split_at(told);
        assert!(silent.iter().all(|(bell, _)| bell.rings() == 0));
        assert!(rung[told - count..].iter().all(|(bell, _)| bell.rings() == 1));
    }
    assert!(topic.order.lock().waiting.capacity() <= WAITING_KEPT);
}

#[test]
fn a_run_ends_at_its_frame_and_byte_limits_but_has_one_frame_at_least() {
    let topic = Topic::default();
    (0..RUN_FRAMES_MAX + 1).for_each(|number| drop(topic.enqueue(message(number, 0))));
    assert_eq!(run(&topic).len(), RUN_FRAMES_MAX);
    assert_eq!(run(&topic).len(), 1);
    let half = RUN_BYTES_MAX / 2;
    for (number, size) in [half, half, 2 * RUN_BYTES_MAX, 0].into_iter().enumerate() {
        topic.enqueue(message(number, size)).unwrap();
    }
    assert_eq!([run(&topic), run(&topic), run(&topic), run(&topic)], [[0], [1], [2], [3]]);
}

#[test]
fn a_snapshot_is_made_anew_only_after_a_change() {
    let topic = Topic::default();
    let first = topic.add(session(1)).unwrap();
    let snapshot = topic.snapshot();
    assert!(Arc::ptr_eq(&snapshot, &topic.snapshot()));
    let second = topic.add(session(2)).unwrap();
    assert_eq!((snapshot.len(), topic.snapshot().len()), (1, 2));
    topic.remove(first);
    topic.remove(second);
    assert!(topic.snapshot().is_empty());
    let third = topic.add(session(3)).unwrap();
    topic.remove(third);
    topic.remove(third);
    assert!(topic.snapshot().is_empty(), "a second removal does nothing");
}

#[test]
fn a_removed_subscriber_is_not_kept_alive() {
    let (topic, session) = (Topic::default(), session(1));
    let key = topic.add(Arc::clone(&session)).unwrap();
    drop(topic.snapshot());
    topic.remove(key);
    assert_eq!(Arc::strong_count(&session), 1);
}

#[test]
fn p121_an_unused_topic_retires_after_its_passes() {
    let topic = Topic::default();
    let key = topic.add(session(1)).unwrap();
    let looks = |count: u8| -> Vec<Use> { (0..count).map(|_| topic.look(3)).collect() };
    assert_eq!(looks(4), [Use::Subscribed; 4]);
    assert!(topic.remove(key), "nobody looks at it any more, so it has to be listed");
    assert_eq!(looks(2), [Use::Unused; 2]);
    topic.enqueue(message(1, 0)).unwrap();
    assert_eq!(looks(4), [Use::Unused; 4], "somebody holds the baton");
    run(&topic);
    topic.delivered(1, &mut Vec::new());
    assert!(run(&topic).is_empty());
    assert_eq!(looks(3), [Use::Unused, Use::Unused, Use::Retired]);
}

#[test]
fn a_topic_is_listed_once_however_often_its_subscribers_change() {
    let topic = Topic::default();
    for number in 1..4 {
        let key = topic.add(session(number)).unwrap();
        assert!(!topic.remove(key), "it was listed when it was made");
    }
    let (first, second) = (topic.add(session(1)).unwrap(), topic.add(session(2)).unwrap());
    assert_eq!(topic.look(1), Use::Subscribed);
    assert!(!topic.remove(first), "one is left");
    assert!(topic.remove(second));
    assert!(!topic.remove(second), "a second removal does nothing");
}

#[test]
fn a_persistent_topic_is_never_listed() {
    let topic = Topic::new(true);
    let key = topic.add(session(1)).unwrap();
    assert_eq!(topic.look(1), Use::Subscribed);
    assert!(!topic.remove(key));
    assert_eq!(topic.look(1), Use::Subscribed);
}

#[test]
fn a_retired_topic_sends_publishers_and_subscribers_away() {
    let topic = Topic::default();
    assert_eq!(topic.look(1), Use::Retired);
    assert!(topic.add(session(1)).is_err());
    let Err(Retired(returned)) = topic.enqueue(message(7, 0)) else {
        panic!("a message in a retired topic would be lost");
    };
    assert_eq!(numbers(&[returned.frame]), [7]);
    assert!(topic.snapshot().is_empty());
}
