use super::*;

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn name(text: &str) -> ChannelName {
    ChannelName::parse(text, NameLimits { bytes: 255, segments: 16 }).unwrap()
}

fn id(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

fn publish(broker: &Arc<Broker>, channel: &str, json: &str) {
    let Published::Walk(mut delivery) =
        broker.publish(None, &name(channel), Payload::from(&*raw(json))).unwrap()
    else {
        panic!("nobody else publishes");
    };
    let mut wakes = Wakes::default();
    while delivery.step(&mut wakes) != Progress::Done {}
}

#[expect(clippy::disallowed_methods, reason = "a starting point for made-up times")]
fn start() -> Instant {
    Instant::now()
}

#[test]
fn p062_a_session_that_matches_by_several_patterns_gets_one_copy() {
    let now = start();
    let broker = Broker::new(&Config::default(), now);
    let session = broker.handshake(id(1), None, now).unwrap();
    let other = broker.handshake(id(2), None, now).unwrap();
    for pattern in ["/a/b", "/a/*", "/a/**", "/**"] {
        broker.subscribe(&session, &name(pattern)).unwrap();
    }
    broker.subscribe(&other, &name("/a/*")).unwrap();
    publish(&broker, "/a/b", "1");
    assert_eq!((session.queued(), other.queued()), (1, 1));
}

#[test]
fn p053_sessions_expire_within_a_second_and_leave_nothing() {
    let now = start();
    let broker = Broker::new(&Config::default(), now);
    let session = broker.handshake(id(1), None, now).unwrap();
    broker.subscribe(&session, &name("/a")).unwrap();
    publish(&broker, "/a", "1");
    let mut at = now;
    for _ in 0..19 {
        at += TICK;
        broker.tick(at);
    }
    assert_eq!(broker.sessions(), 1, "9.5 s: the handshake's grace is 10 s");
    for _ in 0..9 {
        at += TICK;
        broker.tick(at);
    }
    drop(session);
    assert_eq!((broker.sessions(), broker.channels(), broker.queued_bytes()), (0, 0, 0));
    assert_eq!(broker.counters().discarded.value(), 1);
}
