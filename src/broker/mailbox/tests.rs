//! The rules of the mailbox, one test each; `model.rs` compares it with a simple model.

use std::task::Context;

use super::*;
use crate::{
    bayeux::QueuePolicy,
    broker::tests::{Bell, frame_of, numbers},
};

mod ack;
mod bounds;
mod long;
mod model;

const WIDE: QueueBounds = QueueBounds { messages_max: 100, bytes_max: 1 << 20 };

fn lossless(number: usize) -> Frame {
    frame_of("/a", number, 0, QueuePolicy::Disconnect)
}

/// A mailbox that holds the numbers, and its first carrier.
fn mailbox(carrier: Carrier, held: impl IntoIterator<Item = usize>) -> (Mailbox, Generation) {
    let mut mailbox = Mailbox::new(false);
    let (owner, _) = mailbox.claim(carrier, 0);
    for number in held {
        assert!(mailbox.push(&lossless(number), WIDE).entered);
    }
    (mailbox, owner)
}

fn waiting(mailbox: &Mailbox) -> Vec<usize> {
    numbers(&mailbox.in_order())
}

#[test]
fn messages_leave_in_the_order_in_which_they_came() {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, 1..=3);
    let taken = mailbox.take(Some(owner), Take::ALL).unwrap();
    assert_eq!(numbers(&taken), [1, 2, 3]);
    assert!(mailbox.settle(Vec::new()).waker.is_none());
    assert_eq!((mailbox.len(), mailbox.bytes()), (0, 0));
    assert_eq!(mailbox.queue.capacity(), 0, "an empty queue owns no memory");
}

#[test]
fn a_queue_keeps_the_room_of_a_small_batch_and_of_no_large_one() {
    for (count, keeps) in [(1, true), (KEPT_ROOM, true), (KEPT_ROOM + 1, false)] {
        let (mut mailbox, owner) = mailbox(Carrier::Socket, 1..=count);
        let mut taken = mailbox.take(Some(owner), Take::ALL).unwrap();
        let room = taken.as_ptr();
        taken.clear();
        mailbox.settle(taken);
        assert_eq!(mailbox.queue.capacity() > 0, keeps, "{count}");
        assert!(mailbox.push(&lossless(count + 1), WIDE).entered);
        let taken = mailbox.take(Some(owner), Take::ALL).unwrap();
        assert_eq!((numbers(&taken), taken.as_ptr() == room), (vec![count + 1], keeps), "{count}");
    }
}

#[test]
fn a_batch_ends_at_either_limit_but_holds_one_frame_at_least() {
    let size = lossless(1).bytes();
    for (frames_max, bytes_max, expected) in
        [(2, usize::MAX, 2), (9, size * 2, 2), (9, size * 2 - 1, 1), (9, 1, 1), (9, size * 3, 3)]
    {
        let (mut mailbox, owner) = mailbox(Carrier::Socket, 1..=3);
        let taken = mailbox.take(Some(owner), Take { frames_max, bytes_max }).unwrap();
        assert_eq!(taken.len(), expected, "{frames_max} frames, {bytes_max} bytes");
        assert_eq!(mailbox.bytes(), size * 3, "what is in a carrier's hands counts");
    }
}

#[test]
fn p056_unwritten_messages_return_to_the_front_in_order() {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, 1..=4);
    let mut taken = mailbox.take(Some(owner), Take { frames_max: 3, ..Take::ALL }).unwrap();
    mailbox.push(&lossless(5), WIDE);
    mailbox.settle(taken.split_off(1));
    assert_eq!(waiting(&mailbox), [2, 3, 4, 5]);
    assert_eq!(mailbox.bytes(), 4 * lossless(1).bytes());
}

#[test]
fn nobody_takes_a_second_batch_while_one_is_out() {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, 1..=3);
    let taken = mailbox.take(Some(owner), Take { frames_max: 1, ..Take::ALL }).unwrap();
    assert!(mailbox.take(Some(owner), Take::ALL).is_none());
    assert!(mailbox.take(None, Take::ALL).is_none());
    let (newer, _) = mailbox.claim(Carrier::Poll, 0);
    assert!(mailbox.take(Some(newer), Take::ALL).is_none());
    let (bell, waker) = Bell::new();
    assert_eq!(mailbox.ready(newer, &waker), None);
    mailbox.settle(taken).waker.expect("messages wait, and so does the newer carrier").wake();
    assert_eq!(bell.rings(), 1);
    assert_eq!(mailbox.ready(newer, &waker), Some(Ready::Messages));
    assert_eq!(numbers(&mailbox.take(Some(newer), Take::ALL).unwrap()), [1, 2, 3]);
}

#[test]
fn the_writer_of_a_batch_hears_of_a_newer_carrier_once_it_asks() {
    let (bell, waker) = Bell::new();
    let cx = Context::from_waker(&waker);
    for asks_first in [true, false] {
        let (mut mailbox, owner) = mailbox(Carrier::Poll, 1..=2);
        assert!(mailbox.poll_overtaken(&cx).is_pending(), "nothing is out");
        let taken = mailbox.take(Some(owner), Take::ALL).unwrap();
        let rings = bell.rings();
        if asks_first {
            assert!(mailbox.poll_overtaken(&cx).is_pending());
            assert!(mailbox.poll_overtaken(&cx).is_pending());
        }
        let (newer, woken) = mailbox.claim(Carrier::Poll, 0);
        woken.into_iter().flatten().for_each(Waker::wake);
        assert_eq!(bell.rings() - rings, usize::from(asks_first));
        assert!(mailbox.poll_overtaken(&cx).is_ready());
        mailbox.settle(taken);
        assert!(mailbox.poll_overtaken(&cx).is_pending(), "it is not out any more");
        assert_eq!(
            mailbox.take(Some(newer), Take::ALL).map(|frames| numbers(&frames)),
            Some(vec![1, 2])
        );
        assert!(mailbox.poll_overtaken(&cx).is_pending(), "the next batch is nobody's business");
    }
}

#[test]
fn p043_a_newer_carrier_supersedes_and_wakes_the_older() {
    let (mut mailbox, older) = mailbox(Carrier::Poll, []);
    let (bell, waker) = Bell::new();
    assert_eq!(mailbox.ready(older, &waker), None);
    let (newer, woken) = mailbox.claim(Carrier::Socket, 0);
    woken.into_iter().flatten().for_each(Waker::wake);
    assert_eq!(bell.rings(), 1, "the older carrier waits");
    assert_eq!(mailbox.ready(older, &waker), Some(Ready::Superseded));
    assert!(
        mailbox.waiter.is_none(),
        "a superseded carrier must not wait in the newer one's place"
    );
    mailbox.push(&lossless(1), WIDE);
    assert!(mailbox.take(Some(older), Take::ALL).is_none());
    mailbox.detach(older);
    assert!(mailbox.is_owner(newer) && !mailbox.is_owner(older));
    assert_eq!(mailbox.carrier, Carrier::Socket, "an older carrier cannot detach the newer");
}

#[test]
fn an_ended_mailbox_tells_its_carrier_and_takes_nothing() {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, 1..=3);
    let taken = mailbox.take(Some(owner), Take { frames_max: 2, ..Take::ALL }).unwrap();
    let (bell, waker) = Bell::new();
    assert_eq!(mailbox.ready(owner, &waker), None);
    let (woken, discarded, _) = mailbox.close(Cause::Slow);
    woken.expect("the carrier waits").wake();
    assert_eq!((bell.rings(), discarded.discarded), (1, 1));
    assert_eq!(mailbox.ready(owner, &waker), Some(Ready::Ended(Cause::Slow)));
    let pushed = mailbox.push(&lossless(4), WIDE);
    assert!(!pushed.entered && !pushed.overflow);
    assert_eq!(mailbox.settle(taken).discarded, 2, "a batch that was out has nowhere to return");
    assert!(mailbox.take(Some(owner), Take::ALL).is_none());
    assert_eq!((mailbox.len(), mailbox.bytes()), (0, 0));
    assert!(!mailbox.is_owner(owner));
}

#[test]
fn a_burst_wakes_once_and_the_next_wait_wakes_again() {
    let (mut mailbox, owner) = mailbox(Carrier::Socket, []);
    let (_, waker) = Bell::new();
    for round in 0..2 {
        assert_eq!(mailbox.ready(owner, &waker), None);
        let wakes = (0..5).filter(|n| mailbox.push(&lossless(*n), WIDE).waker.is_some()).count();
        assert_eq!(wakes, 1, "round {round}");
        mailbox.take(Some(owner), Take::ALL).unwrap();
        mailbox.settle(Vec::new());
    }
}

#[test]
fn the_latest_waker_is_the_one_that_counts() {
    let (mut mailbox, owner) = mailbox(Carrier::Socket, []);
    let ((first, one), (second, two)) = (Bell::new(), Bell::new());
    assert_eq!(mailbox.ready(owner, &one), None);
    assert_eq!(mailbox.ready(owner, &two), None);
    mailbox.push(&lossless(1), WIDE).waker.unwrap().wake();
    assert_eq!((first.rings(), second.rings()), (0, 1));
}

#[test]
fn p057_requests_hold_off_a_held_poll_until_the_last_is_over() {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, []);
    let (_, waker) = Bell::new();
    assert_eq!(mailbox.ready(owner, &waker), None);
    mailbox.request_begun();
    mailbox.request_begun();
    assert!(mailbox.push(&lossless(1), WIDE).waker.is_none());
    assert_eq!(mailbox.ready(owner, &waker), None);
    assert!(mailbox.request_ended().is_none());
    assert!(mailbox.request_ended().is_some(), "what requests leave is the held poll's");
    assert_eq!(mailbox.ready(owner, &waker), Some(Ready::Messages));
}

#[test]
fn p057_a_request_takes_the_queue_and_the_poll_sleeps_on() {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, []);
    let (_, waker) = Bell::new();
    assert_eq!(mailbox.ready(owner, &waker), None);
    mailbox.request_begun();
    mailbox.push(&lossless(1), WIDE);
    assert_eq!(numbers(&mailbox.take(None, Take::ALL).unwrap()), [1]);
    assert!(mailbox.request_ended().is_none(), "the response is not written yet");
    assert!(mailbox.settle(Vec::new()).waker.is_none());
    assert!(mailbox.waiter.is_some());
}

#[test]
fn a_socket_is_not_held_off_and_keeps_its_messages_from_requests() {
    let (mut mailbox, owner) = mailbox(Carrier::Socket, []);
    let (_, waker) = Bell::new();
    mailbox.request_begun();
    assert_eq!(mailbox.ready(owner, &waker), None);
    assert!(mailbox.push(&lossless(1), WIDE).waker.is_some());
    assert_eq!(mailbox.ready(owner, &waker), Some(Ready::Messages));
    assert!(mailbox.take(None, Take::ALL).is_none());
    mailbox.detach(owner);
    assert_eq!(numbers(&mailbox.take(None, Take::ALL).unwrap()), [1], "the socket is gone");
}

#[test]
fn p059_in_deliver_only_mode_requests_neither_take_nor_hold_off() {
    let mut mailbox = Mailbox::new(true);
    let (owner, _) = mailbox.claim(Carrier::Poll, 0);
    let (_, waker) = Bell::new();
    mailbox.request_begun();
    assert_eq!(mailbox.ready(owner, &waker), None);
    assert!(mailbox.push(&lossless(1), WIDE).waker.is_some());
    assert!(mailbox.take(None, Take::ALL).is_none());
    assert_eq!(mailbox.ready(owner, &waker), Some(Ready::Messages));
    assert_eq!(numbers(&mailbox.take(Some(owner), Take::ALL).unwrap()), [1]);
}
