//! What a new session is told when messages wait for it already. Over the wire nothing can wait so
//! early: nobody knows the session yet.

use std::net::Ipv4Addr;

use hyper::HeaderMap;

use super::*;
use crate::{
    bayeux::{ChannelName, parse_batch},
    broker::{Broker, Carrier, Payload, Progress, Published, Wakes},
    config::{Config, Transport},
    server::whence::Whence,
};

fn app(change: impl FnOnce(&mut Config)) -> App {
    let mut config = Config::default();
    change(&mut config);
    let broker = Broker::new(&config, clock::now());
    App::new(config, broker, true).unwrap()
}

/// Welcomes a session for which two messages wait.
fn welcomed(app: &App, request: &str) -> (String, usize) {
    let id = SessionId::from_bytes([7; 16]);
    let session = app.broker.handshake(id, None, clock::now()).unwrap();
    let channel = ChannelName::parse("/a", app.live.name).unwrap();
    app.broker.subscribe(&session, &channel).unwrap();
    for data in ["1", "2"] {
        let data = serde_json::from_str(data).unwrap();
        let payload = Payload { data, ext: None, extra: &[] };
        let Ok(Published::Walk(mut walk)) =
            app.broker.publish(None, &channel, payload, clock::now())
        else {
            panic!("nobody else publishes");
        };
        while walk.step(&mut Wakes::default()) != Progress::Done {}
    }
    let batch = parse_batch(request.as_bytes(), &app.live.messages()).unwrap();
    let mut outcome = Outcome::default();
    let sender = Sender {
        carrier: Carrier::Poll,
        transport: Transport::LongPolling,
        whence: Whence::Request(&HeaderMap::new()),
        cookies: &app.cookies.presented(&HeaderMap::new()),
        browser: None,
        bound: None,
        counts_seconds: false,
        address: Ipv4Addr::LOCALHOST.into(),
        principal: None,
        monitors_only: false,
    };
    welcome(app, &sender, session, &batch[0], &mut outcome);
    let reply = String::from_utf8(outcome.replies).unwrap();
    (reply, outcome.taken.map_or(0, |batch| batch.frames().len()))
}

const PLAIN: &str = r#"{"channel":"/meta/handshake","id":"1"}"#;
const ACKNOWLEDGING: &str = r#"{"channel":"/meta/handshake","id":"1","ext":{"ack":true}}"#;

#[test]
fn p027_by_default_nothing_travels_with_the_handshake_reply() {
    let (reply, taken) = welcomed(&app(|_| {}), PLAIN);
    assert_eq!(taken, 0);
    assert!(!reply.contains("x-messages"), "{reply}");
}

#[test]
fn p027_what_waits_travels_with_the_reply_that_says_how_many_these_are() {
    let app = app(|config| config.session.deliver_during_handshake = true);
    let (reply, taken) = welcomed(&app, PLAIN);
    assert_eq!(taken, 2);
    assert!(reply.contains(r#","x-messages":2,"advice""#), "{reply}");
}

#[test]
fn p123_a_session_that_acknowledges_learns_the_number_of_that_batch() {
    let app = app(|config| config.session.deliver_during_handshake = true);
    let (reply, taken) = welcomed(&app, ACKNOWLEDGING);
    assert_eq!(taken, 2);
    assert!(reply.contains(r#""ext":{"ack":{"enabled":true,"batch":1}}"#), "{reply}");
}
