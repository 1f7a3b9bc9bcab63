//! Long queues with lossy messages: what a push looks at, and that the order stays.

use super::{super::aside::SEARCHED_MAX, *};

fn old(number: usize) -> Frame {
    frame_of("/old", number, 0, QueuePolicy::DropOldest)
}

fn latest(channel: usize, number: usize) -> Frame {
    frame_of(&format!("/new/{channel}"), number, 0, QueuePolicy::Latest)
}

const LONG: usize = 10 * SEARCHED_MAX;
const BOUNDS: QueueBounds = QueueBounds { messages_max: LONG, bytes_max: 1 << 20 };
const TWICE: QueueBounds = QueueBounds { messages_max: 2 * LONG, ..BOUNDS };

#[test]
fn a_full_queue_of_drop_oldest_is_not_looked_through() {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, []);
    let looked: usize = (0..LONG).map(|number| mailbox.push(&old(number), BOUNDS).looked).sum();
    assert!(looked <= SEARCHED_MAX, "once, while it was short: {looked}");
    for number in LONG..3 * LONG {
        let pushed = mailbox.push(&old(number), BOUNDS);
        assert_eq!((pushed.looked, pushed.dropped), (0, Dropped { oldest: 1, latest: 0 }));
    }
    assert_eq!(waiting(&mailbox), (2 * LONG..3 * LONG).collect::<Vec<_>>());
    assert_eq!(mailbox.take(Some(owner), Take::ALL).map(|frames| frames.len()), Some(LONG));
    assert!(mailbox.aside.is_none(), "an empty queue owns no memory");
    assert_eq!(mailbox.queue.capacity(), 0);
}

#[test]
fn a_queue_with_many_channels_of_latest_is_not_looked_through() {
    let (mut mailbox, _) = mailbox(Carrier::Poll, []);
    let channels = LONG - 1;
    let looked: usize =
        (0..channels).map(|number| mailbox.push(&latest(number, number), BOUNDS).looked).sum();
    assert!(looked <= SEARCHED_MAX, "once, while it was short: {looked}");
    // Backwards: not the oldest is replaced, but the youngest of those that were there.
    for (number, channel) in (channels..2 * channels).zip((0..channels).rev()) {
        let pushed = mailbox.push(&latest(channel, number), BOUNDS);
        assert_eq!((pushed.looked, pushed.dropped), (0, Dropped { oldest: 0, latest: 1 }));
    }
    assert_eq!(waiting(&mailbox), (channels..2 * channels).collect::<Vec<_>>());
}

#[test]
fn lossless_messages_in_front_are_not_looked_at_again() {
    let kept = LONG / 2;
    let (mut mailbox, owner) = mailbox(Carrier::Poll, []);
    (0..kept).for_each(|number| drop(mailbox.push(&lossless(number), BOUNDS)));
    assert_eq!(mailbox.push(&old(kept), BOUNDS).looked, kept, "how many are lossy must be known");
    for number in kept + 1..3 * LONG {
        assert_eq!(mailbox.push(&old(number), BOUNDS).looked, 0);
    }
    let mut left: Vec<_> = (0..kept).chain(3 * LONG - (LONG - kept)..3 * LONG).collect();
    assert_eq!(waiting(&mailbox), left);
    // Lossless ones displace the oldest lossy ones, and stay in order behind the others.
    for number in 3 * LONG..3 * LONG + 3 {
        assert_eq!(mailbox.push(&lossless(number), BOUNDS).looked, 0);
        left.remove(kept);
        left.push(number);
    }
    assert_eq!(waiting(&mailbox), left);
    let some = mailbox.take(Some(owner), Take { frames_max: kept + 5, ..Take::ALL }).unwrap();
    assert_eq!(numbers(&some), left[..kept + 5]);
    mailbox.settle(some);
    assert_eq!(waiting(&mailbox), left, "what returns to the front is again in its place");
    assert_eq!(mailbox.bytes(), mailbox.frames().map(Frame::bytes).sum::<usize>());
}

#[test]
fn what_one_message_drops_for_its_bytes_is_told() {
    let size = old(100).bytes();
    let bounds = QueueBounds { bytes_max: LONG * size, ..WIDE };
    let bounds = QueueBounds { messages_max: LONG, ..bounds };
    let (mut mailbox, _) = mailbox(Carrier::Poll, []);
    (0..LONG).for_each(|number| drop(mailbox.push(&old(100 + number), bounds)));
    let large = frame_of("/old", LONG, 50 * size, QueuePolicy::DropOldest);
    let pushed = mailbox.push(&large, bounds);
    assert_eq!(pushed.looked, pushed.dropped.oldest);
    assert!((50..53).contains(&pushed.looked), "{}", pushed.looked);
}

#[test]
fn a_queue_full_of_lossless_messages_refuses_lossy_ones_without_a_look() {
    let (mut mailbox, _) = mailbox(Carrier::Poll, []);
    (0..LONG).for_each(|number| drop(mailbox.push(&lossless(number), BOUNDS)));
    mailbox.push(&old(LONG), BOUNDS);
    for frame in [old(LONG), latest(1, LONG)] {
        let pushed = mailbox.push(&frame, BOUNDS);
        assert_eq!((pushed.looked, pushed.dropped.total(), pushed.overflow), (0, 1, false));
    }
    assert!(mailbox.push(&lossless(LONG), BOUNDS).overflow);
}

#[test]
fn a_returning_batch_of_latest_is_not_searched_for_one_by_one() {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, []);
    (0..LONG).for_each(|number| drop(mailbox.push(&latest(number, number), BOUNDS)));
    let taken = mailbox.take(Some(owner), Take::ALL).unwrap();
    (0..SEARCHED_MAX + 1).for_each(|number| drop(mailbox.push(&lossless(LONG + number), TWICE)));
    mailbox.push(&latest(7, 2 * LONG), TWICE);
    assert_eq!(mailbox.settle(taken).dropped, Dropped { oldest: 0, latest: 1 });
    let left = (0..LONG).filter(|number| *number != 7);
    let left = left.chain(LONG..=LONG + SEARCHED_MAX).chain([2 * LONG]);
    assert_eq!(waiting(&mailbox), left.collect::<Vec<_>>());
}

#[test]
fn p126_a_long_queue_of_a_session_that_acknowledges_leaves_in_order() {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, []);
    mailbox.start_acknowledging();
    for number in 0..LONG {
        let frame = if number % 3 == 0 { lossless(number) } else { old(number) };
        mailbox.push(&frame, BOUNDS);
    }
    assert!(mailbox.aside.is_some());
    let (_, frames) = mailbox.take_numbered(owner).unwrap();
    assert_eq!(numbers(&frames), (0..LONG).collect::<Vec<_>>());
    assert_eq!(
        (mailbox.len(), mailbox.unacknowledged(), mailbox.aside.is_some()),
        (0, LONG, false)
    );
    assert!(mailbox.push(&lossless(LONG), BOUNDS).overflow, "what is not acknowledged counts");
}
