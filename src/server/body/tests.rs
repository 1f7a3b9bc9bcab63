//! What a response says and what becomes of its deliveries, however it is written.

use std::sync::Arc;

use bytes::Buf as _;
use serde_json::value::RawValue;

use super::*;
use crate::{
    bayeux::{ChannelName, NameLimits},
    broker::{
        Broker, Carrier, Generation, Payload, Progress, Published, Session, SessionId, Take, Wakes,
    },
    config::Config,
    server::clock,
};

/// A session with messages `0`, `1`, … in its queue.
pub(in crate::server) fn session_with(messages: usize) -> (Arc<Session>, Generation) {
    let now = clock::now();
    let broker = Broker::new(&Config::default(), now);
    let session = broker.handshake(SessionId::from_bytes([1; 16]), None, now).unwrap();
    let channel = ChannelName::parse("/a", NameLimits { bytes: 255, segments: 16 }).unwrap();
    broker.subscribe(&session, &channel).unwrap();
    for number in 0..messages {
        let data = RawValue::from_string(number.to_string()).unwrap();
        let Published::Walk(mut walk) =
            broker.publish(None, &channel, Payload::from(&*data), clock::now()).unwrap()
        else {
            panic!("nobody else publishes");
        };
        while walk.step(&mut Wakes::default()) != Progress::Done {}
    }
    let generation = claim(&broker, &session);
    (session, generation)
}

/// A newer connect of `session`.
pub(in crate::server) fn overtake(session: &Arc<Session>) -> Generation {
    claim(&Broker::new(&Config::default(), clock::now()), session)
}

fn claim(broker: &Broker, session: &Arc<Session>) -> Generation {
    broker.claim(session, Carrier::Poll, false, clock::now())
}

fn rope(body: Body) -> Rope {
    let Body::Whole(Some(rope)) = body else { panic!("a body with content") };
    rope
}

/// What a socket gets that takes `step` bytes at a time.
fn write_out(rope: &mut Rope, step: usize) -> String {
    let mut text = Vec::new();
    while rope.has_remaining() {
        let mut slices = [IoSlice::new(&[]); 64];
        let filled = rope.chunks_vectored(&mut slices);
        let all: Vec<u8> =
            slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
        let taken = step.min(all.len());
        text.extend_from_slice(&all[..taken]);
        rope.advance(taken);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn a_rope_is_the_same_text_however_it_is_written() {
    for step in 1..60 {
        let (session, generation) = session_with(2);
        let batch = session.take(generation, Take::ALL);
        let mut rope = rope(Body::messages(b"", batch, br#"{"successful":true}"#, None));
        let expected =
            r#"[{"channel":"/a","data":0},{"channel":"/a","data":1},{"successful":true}]"#;
        assert_eq!(rope.remaining(), expected.len());
        assert_eq!(write_out(&mut rope, step), expected, "{step} bytes at a time");
    }
}

#[test]
fn p009_the_handshake_reply_comes_first() {
    let (session, generation) = session_with(1);
    let batch = session.take(generation, Take::ALL);
    let mut rope = rope(Body::messages(br#"{"id":"1"}"#, batch, b"", None));
    assert_eq!(write_out(&mut rope, 7), r#"[{"id":"1"},{"channel":"/a","data":0}]"#);
}

#[test]
fn p056_a_response_that_is_not_wholly_written_gives_everything_back() {
    let (session, generation) = session_with(3);
    let batch = session.take(generation, Take::ALL);
    let mut rope = rope(Body::messages(b"", batch, b"{}", None));
    assert_eq!(session.queued(), 0);
    rope.advance(rope.remaining() - 1);
    drop(rope);
    assert_eq!(session.queued(), 3);
}

#[test]
fn a_written_response_settles_its_deliveries() {
    let (session, generation) = session_with(3);
    let batch = session.take(generation, Take::ALL);
    let mut rope = rope(Body::messages(b"", batch, b"{}", None));
    rope.advance(rope.remaining());
    drop(rope);
    assert_eq!(session.queued(), 0);
}

#[test]
fn p096_script_is_a_call_with_line_separators_escaped() {
    let replies = "{\"a\":\"\u{2028}\u{2029}\u{2030}\"}".as_bytes();
    let mut rope = rope(Body::script("cb.x", None, replies, None));
    assert_eq!(write_out(&mut rope, 5), "/**/cb.x([{\"a\":\"\\u2028\\u2029\u{2030}\"}])");
}

#[test]
fn p096_script_settles_like_a_rope() {
    let (session, generation) = session_with(1);
    let batch = session.take(generation, Take::ALL);
    let mut rope = rope(Body::script("cb", batch, b"{}", None));
    assert_eq!(write_out(&mut rope, 9), r#"/**/cb([{"channel":"/a","data":0},{}])"#);
    drop(rope);
    assert_eq!(session.queued(), 0);
}
