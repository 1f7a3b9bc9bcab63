//! The bounds of a queue, from both sides, and who makes room.

use super::*;

fn old(number: usize) -> Frame {
    frame_of("/old", number, 0, QueuePolicy::DropOldest)
}

fn new(channel: &str, number: usize) -> Frame {
    frame_of(channel, number, 0, QueuePolicy::Latest)
}

fn dropped(oldest: usize, latest: usize) -> Dropped {
    Dropped { oldest, latest }
}

fn messages(messages_max: usize) -> QueueBounds {
    QueueBounds { messages_max, ..WIDE }
}

#[test]
fn p064_the_message_bound_holds_from_both_sides() {
    let (mut mailbox, _) = mailbox(Carrier::None, 1..=2);
    assert!(mailbox.push(&lossless(3), messages(3)).entered, "the third of three fits");
    let pushed = mailbox.push(&lossless(4), messages(3));
    assert!(pushed.overflow && !pushed.entered && pushed.waker.is_none());
    assert_eq!(waiting(&mailbox), [1, 2, 3]);
}

#[test]
fn p064_the_byte_bound_holds_from_both_sides() {
    let size = lossless(1).bytes();
    for (bytes_max, fits) in [(3 * size - 1, false), (3 * size, true), (3 * size + 1, true)] {
        let (mut mailbox, _) = mailbox(Carrier::None, 1..=2);
        let pushed = mailbox.push(&lossless(3), QueueBounds { bytes_max, ..WIDE });
        assert_eq!((pushed.entered, pushed.overflow), (fits, !fits), "{bytes_max} bytes");
    }
}

#[test]
fn frames_in_a_carriers_hands_count() {
    let size = lossless(1).bytes();
    for bounds in [messages(3), QueueBounds { bytes_max: 3 * size, ..WIDE }] {
        let (mut mailbox, owner) = mailbox(Carrier::Socket, 1..=3);
        let taken = mailbox.take(Some(owner), Take { frames_max: 2, ..Take::ALL }).unwrap();
        assert!(mailbox.push(&lossless(4), bounds).overflow);
        mailbox.settle(Vec::new());
        drop(taken);
        assert!(mailbox.push(&lossless(4), bounds).entered);
        assert!(mailbox.push(&lossless(5), bounds).entered);
        assert!(mailbox.push(&lossless(6), bounds).overflow);
    }
}

#[test]
fn a_lossy_message_never_displaces_a_lossless_one() {
    let (mut mailbox, _) = mailbox(Carrier::None, 1..=3);
    for (frame, expected) in [(old(4), dropped(1, 0)), (new("/new", 4), dropped(0, 1))] {
        let pushed = mailbox.push(&frame, messages(3));
        assert_eq!((pushed.dropped, pushed.overflow), (expected, false));
        assert!(pushed.entered, "it is counted as queued, because it is counted as dropped");
    }
    assert_eq!(waiting(&mailbox), [1, 2, 3]);
}

#[test]
fn lossy_messages_make_room_oldest_first() {
    let (mut mailbox, _) = mailbox(Carrier::None, []);
    for frame in [lossless(1), old(2), new("/new", 3), old(4)] {
        mailbox.push(&frame, WIDE);
    }
    assert_eq!(mailbox.push(&lossless(5), messages(4)).dropped, dropped(1, 0));
    assert_eq!(waiting(&mailbox), [1, 3, 4, 5]);
    assert_eq!(mailbox.push(&old(6), messages(4)).dropped, dropped(0, 1));
    assert_eq!(waiting(&mailbox), [1, 4, 5, 6]);
    assert_eq!(mailbox.push(&lossless(7), messages(4)).dropped, dropped(1, 0));
    assert_eq!(mailbox.push(&lossless(8), messages(4)).dropped, dropped(1, 0));
    assert!(mailbox.push(&lossless(9), messages(4)).overflow);
    assert_eq!(waiting(&mailbox), [1, 5, 7, 8]);
}

#[test]
fn one_message_makes_room_for_its_bytes_by_dropping_several() {
    let (mut mailbox, _) = mailbox(Carrier::None, []);
    let size = old(1).bytes();
    for number in 1..=4 {
        mailbox.push(&old(number), WIDE);
    }
    let large = frame_of("/a", 5, size, QueuePolicy::Disconnect);
    let bounds = QueueBounds { bytes_max: large.bytes() + 2 * size, ..WIDE };
    assert_eq!(mailbox.push(&large, bounds).dropped, dropped(2, 0));
    assert_eq!(waiting(&mailbox), [3, 4, 5]);
    assert_eq!(mailbox.bytes(), bounds.bytes_max);
}

#[test]
fn a_message_that_can_never_fit_displaces_nothing() {
    let (mut mailbox, _) = mailbox(Carrier::None, [1]);
    mailbox.push(&old(2), WIDE);
    let large = frame_of("/old", 3, 1000, QueuePolicy::DropOldest);
    let pushed = mailbox.push(&large, QueueBounds { bytes_max: 1000, ..WIDE });
    assert_eq!(pushed.dropped, dropped(1, 0));
    assert_eq!(waiting(&mailbox), [1, 2]);
}

#[test]
fn latest_keeps_one_message_of_a_channel_at_the_end() {
    let (mut mailbox, _) = mailbox(Carrier::None, []);
    for frame in [new("/new/a", 1), lossless(2), new("/new/b", 3), new("/new/a", 4)] {
        mailbox.push(&frame, WIDE);
    }
    assert_eq!(waiting(&mailbox), [2, 3, 4]);
    assert_eq!(mailbox.bytes(), mailbox.frames().map(Frame::bytes).sum::<usize>());
}

#[test]
fn a_returning_batch_does_not_bring_back_what_latest_replaced() {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, [1]);
    mailbox.push(&new("/new/a", 2), WIDE);
    mailbox.push(&new("/new/b", 3), WIDE);
    let taken = mailbox.take(Some(owner), Take::ALL).unwrap();
    assert_eq!(mailbox.push(&new("/new/a", 4), WIDE).dropped, dropped(0, 0));
    assert_eq!(mailbox.settle(taken).dropped, dropped(0, 1));
    assert_eq!(waiting(&mailbox), [1, 3, 4]);
}
