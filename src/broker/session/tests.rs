//! Ids, deadlines, signals and request guards of one session.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
};

use super::*;
use crate::{
    broker::{
        Ready,
        tests::{Bell, frame_of, id, name, numbers},
    },
    config::{Config, QueuePolicy},
    events::Cause,
};

fn session() -> Arc<Session> {
    let settings = Settings::new(&Config::default());
    Arc::new(Session::new((id(1), id(1)), None, &settings, Arc::default(), 0))
}

fn push(session: &Session, number: usize) -> Pushed {
    session.push(&frame_of("/a", number, 0, QueuePolicy::Disconnect))
}

fn poll(session: &Session, owner: Generation, waker: &std::task::Waker) -> Poll<Ready> {
    pin!(session.signal(owner)).poll(&mut Context::from_waker(waker))
}

#[test]
fn p022_a_client_id_is_32_hex_digits_and_reads_back() {
    let bytes = std::array::from_fn(|index| (index as u8).wrapping_mul(37));
    let id = SessionId::from_bytes(bytes);
    let text = id.client_id();
    assert!(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(SessionId::parse(&text), Some(id));
    assert_eq!(id.as_bytes(), &bytes);
    assert_eq!(format!("{id:?}"), "SessionId(..)");
    let dashed = uuid::Uuid::from_bytes(bytes).hyphenated().to_string();
    for odd in ["", "0", &text[1..], &format!("{text}0"), &text.to_uppercase(), &dashed] {
        assert_eq!(SessionId::parse(odd), None, "{odd}");
    }
}

#[test]
fn a_signal_tells_messages_supersession_and_the_end() {
    let session = session();
    let (bell, waker) = Bell::new();
    let first = session.claim(Carrier::Poll, true, 10, 0);
    assert_eq!(poll(&session, first, &waker), Poll::Pending);
    push(&session, 1).waker.unwrap().wake();
    assert_eq!((bell.rings(), poll(&session, first, &waker)), (1, Poll::Ready(Ready::Messages)));
    session.take(first, Take::ALL).unwrap().settle();
    assert_eq!(poll(&session, first, &waker), Poll::Pending);
    let second = session.claim(Carrier::Socket, true, 10, 0);
    assert_eq!((bell.rings(), poll(&session, first, &waker)), (1, Poll::Ready(Ready::Superseded)));
    assert_eq!(poll(&session, second, &waker), Poll::Pending);
    session.close_mailbox(Cause::Kicked);
    let ended = Poll::Ready(Ready::Ended(Cause::Kicked));
    assert_eq!((bell.rings(), poll(&session, second, &waker)), (1, ended));
}

#[test]
fn a_dropped_batch_returns_what_was_not_written_and_wakes() {
    let session = session();
    let owner = session.claim(Carrier::Socket, true, 10, 0);
    (1..=4).for_each(|number| drop(push(&session, number)));
    let mut batch = session.take(owner, Take::ALL).unwrap();
    let (bell, waker) = Bell::new();
    assert_eq!(poll(&session, owner, &waker), Poll::Pending);
    let (frames, written) = batch.progress();
    *written = 1;
    assert_eq!(numbers(frames), [1, 2, 3, 4]);
    assert_eq!((session.queued(), bell.rings()), (0, 0));
    assert!(session.queued_bytes() > 0, "a carrier's frames count");
    drop(batch);
    assert_eq!((session.queued(), bell.rings()), (3, 1));
    assert_eq!(session.counters.delivered.value(), 1);
    let batch = session.take(owner, Take::ALL).unwrap();
    assert_eq!(numbers(batch.frames()), [2, 3, 4]);
    session.close_mailbox(Cause::Client);
    drop(batch);
    assert_eq!(session.counters.discarded.value(), 3);
}

#[test]
fn a_socket_flows_batch_by_batch_and_is_woken_when_nothing_is_left() {
    let session = session();
    let owner = session.claim(Carrier::Socket, true, 10, 0);
    let (bell, waker) = Bell::new();
    let cx = Context::from_waker(&waker);
    let flow = |owner| session.poll_flow(owner, false, &cx);
    assert!(flow(owner).is_pending());
    push(&session, 1).waker.expect("the socket waits").wake();
    let Poll::Ready(Ok(mut first)) = flow(owner) else { panic!("a message waits") };
    assert_eq!((numbers(first.frames()), bell.rings()), (vec![1], 1));
    first.settle();

    assert!(push(&session, 2).waker.is_none(), "one batch is out at a time");
    assert!(flow(owner).is_pending());
    assert!(first.flowed(owner, &cx), "the second waits");
    let Poll::Ready(Ok(mut second)) = flow(owner) else { panic!("a message waits") };
    second.settle();
    assert!(!second.flowed(owner, &cx));
    assert_eq!((session.queued_bytes(), session.counters.delivered.value()), (0, 2));
    assert!(push(&session, 3).waker.is_some(), "the socket waits again");

    session.claim(Carrier::Socket, true, 10, 0);
    assert!(matches!(flow(owner), Poll::Ready(Err(Ready::Superseded))));
}

#[test]
fn p059_a_deliver_only_session_flows_to_nobody_and_tells_a_held_connect() {
    let session = session();
    let owner = session.claim(Carrier::Socket, true, 10, 0);
    session.start_acknowledging();
    drop(push(&session, 1));
    let cx = Context::from_waker(std::task::Waker::noop());
    assert!(session.poll_flow(owner, false, &cx).is_pending());
    assert!(matches!(session.poll_flow(owner, true, &cx), Poll::Ready(Err(Ready::Messages))));
    assert_eq!(session.queued(), 1);
}

#[test]
fn a_writer_that_counts_too_far_loses_nothing_else() {
    let session = session();
    let owner = session.claim(Carrier::Socket, true, 10, 0);
    push(&session, 1);
    let mut batch = session.take(owner, Take::ALL).unwrap();
    *batch.progress().1 = 9;
    drop(batch);
    assert_eq!((session.queued(), session.counters.delivered.value()), (0, 1));
}

#[test]
fn p057_a_request_guard_holds_off_a_poll_and_hands_the_rest_on() {
    let session = session();
    let owner = session.claim(Carrier::Poll, true, 10, 0);
    let (bell, waker) = Bell::new();
    assert_eq!(poll(&session, owner, &waker), Poll::Pending);
    let request = session.begin_request();
    assert!(push(&session, 1).waker.is_none());
    let mut batch = request.take().expect("the response carries the queue");
    batch.settle();
    drop(batch);
    assert!(push(&session, 2).waker.is_none());
    assert_eq!((bell.rings(), poll(&session, owner, &waker)), (0, Poll::Pending));
    drop(request);
    assert_eq!((bell.rings(), poll(&session, owner, &waker)), (1, Poll::Ready(Ready::Messages)));
}

#[test]
fn p051_a_held_session_has_no_deadline_and_nothing_moves_it() {
    let session = session();
    let owner = session.claim(Carrier::Poll, true, 10, 0);
    assert!(!session.extend(1_000_000));
    assert!(session.needs_wheel(5));
    assert_eq!(session.due(5, 1_000_000), Due::Held);
    assert!(session.release(owner, 70));
    assert!(session.needs_wheel(70));
    assert_eq!(session.due(70, 69), Due::Later(70));
}

#[test]
fn only_the_newest_carrier_starts_the_expiry_clock() {
    let session = session();
    let older = session.claim(Carrier::Poll, true, 10, 0);
    let newer = session.claim(Carrier::Poll, true, 10, 0);
    assert!(!session.release(older, 70));
    session.needs_wheel(5);
    assert_eq!(session.due(5, 6), Due::Held);
    assert!(session.release(newer, 70));
    session.close_mailbox(Cause::Client);
    assert!(!session.release(newer, 80), "an ended session has no clock");
}

#[test]
fn a_deadline_moves_later_by_a_message_and_earlier_by_a_release() {
    let session = session();
    assert!(session.extend(10) && session.extend(20) && !session.extend(15));
    assert!(session.needs_wheel(20), "nobody looks at it yet");
    assert!(!session.needs_wheel(20) && !session.needs_wheel(30), "the entry at 20 will see");
    let owner = session.claim(Carrier::Socket, false, 8, 0);
    assert!(session.needs_wheel(8), "an earlier deadline needs an earlier entry");
    assert_eq!(session.due(20, 20), Due::Stale);
    assert_eq!(session.due(8, 8), Due::Expired);
    assert!(session.is_owner(owner));
}

#[test]
fn an_ended_session_takes_no_subscription() {
    let session = session();
    let topic = Arc::new(Topic::default());
    let enter = |session: &Arc<Session>| {
        Ok((Arc::clone(&topic), topic.add(Arc::clone(session)).expect("not retired")))
    };
    session.subscribe(&name("/a"), 9, enter).unwrap();
    session.subscribe(&name("/a"), 9, |_| unreachable!("it exists already")).unwrap();
    assert_eq!(session.subscriptions(), 1);
    assert_eq!(session.end().map(|list| list.len()), Some(1));
    assert!(session.end().is_none());
    let refused = session.subscribe(&name("/a"), 9, |_| unreachable!("the session has ended"));
    assert_eq!(refused.unwrap_err(), Refusal::SessionUnknown);
    assert_eq!(session.unsubscribe(&name("/a")), None);
}
