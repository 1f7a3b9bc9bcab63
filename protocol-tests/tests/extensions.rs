//! Time synchronisation, timestamp, activity and binary data; delivery with the handshake reply:
//! protocol.md 27, 130-133. Acknowledgement has its own file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bayeuxd::config::Activity;
use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, deliveries, handshake, publish, subscribe},
    broker::Broker,
    http::{self, Request},
};
use serde_json::{Value, json};
use tokio::time::sleep;

#[expect(clippy::disallowed_methods, reason = "the extension is about the wall clock")]
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    now.as_millis() as i64
}

fn with_timesync(mut message: Value, timesync: Value) -> Value {
    message["ext"] = json!({"timesync": timesync});
    message
}

#[tokio::test]
async fn p130_a_handshake_learns_the_time_of_the_server() {
    let broker = Broker::start().await;
    let tc = now_ms() - 1_000_000;
    let message = with_timesync(handshake(), json!({"tc": tc, "l": 0, "o": 0}));
    let request = Request::post("/cometd", json!([message]).to_string());
    let before = now_ms();
    let reply = http::request(broker.address, &request).await.messages().remove(0);
    let timesync = &reply["ext"]["timesync"];
    let ts = timesync["ts"].as_i64().unwrap_or_else(|| panic!("no time in {reply}"));
    assert!((before..=now_ms()).contains(&ts), "{ts}");
    assert!(timesync["p"].as_i64().is_some_and(|p| (0..5_000).contains(&p)), "{timesync}");
    assert_eq!((&timesync["tc"], &timesync["a"]), (&json!(tc), &json!(tc - ts)));
}

#[tokio::test]
async fn p130_every_meta_message_may_ask_on_both_transports() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let mut socket = Socket::connected(broker.address).await;
    let question = json!({"tc": 1});
    for message in [subscribe("3", "/a"), connect_now("4")] {
        for reply in [
            session.one(with_timesync(message.clone(), question.clone())).await,
            socket.one(with_timesync(message, question.clone())).await,
        ] {
            assert_eq!(reply["ext"]["timesync"]["tc"], 1, "{reply}");
            assert_eq!(reply["ext"]["timesync"].get("a"), None, "no lag is known yet: {reply}");
        }
    }
    let reply = session.one(with_timesync(publish("5", "/b", 1), question)).await;
    assert_eq!(reply.get("ext"), None, "a publish is the application's");
}

#[tokio::test]
async fn p130_the_time_spent_includes_the_hold() {
    // Long enough that the request arrives before it could end, on any machine.
    const HOLD_MS: i64 = 2_000;
    let broker = Broker::holding(HOLD_MS as u64).await;
    let mut session = Polling::connected(broker.address).await;
    let sent = now_ms();
    let reply = session.one(with_timesync(connect("3"), json!({"tc": sent}))).await;
    let timesync = &reply["ext"]["timesync"];
    let number = |name: &str| timesync[name].as_i64().unwrap_or_else(|| panic!("{reply}"));
    assert!((HOLD_MS..HOLD_MS + 3_000).contains(&number("p")), "{reply}");
    assert!(number("ts") < sent + HOLD_MS, "the time of the receipt, not of the reply: {reply}");
}

#[tokio::test]
async fn p130_a_client_that_is_accurate_to_25_ms_is_not_answered() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    // Far enough on either side that the way to the broker does not matter.
    for (off, answered) in [(-10_000, true), (10_000, true)] {
        let timesync = json!({"tc": now_ms(), "l": 1, "o": off});
        let reply = session.one(with_timesync(subscribe("3", "/a"), timesync)).await;
        assert_eq!(reply.get("ext").is_some(), answered, "{off}: {reply}");
    }
    let mut accurate = false;
    for _ in 0..50 {
        let timesync = json!({"tc": now_ms(), "l": 1, "o": 0});
        let reply = session.one(with_timesync(subscribe("3", "/a"), timesync)).await;
        accurate |= reply.get("ext").is_none();
    }
    assert!(accurate, "50 requests over loopback, and none came within 25 ms");
}

#[tokio::test]
async fn p130_odd_questions_and_a_switched_off_extension_get_no_answer() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    for odd in [json!({}), json!({"tc": "1"}), json!(1), json!(null), json!([1])] {
        let reply = session.one(with_timesync(subscribe("3", "/a"), odd.clone())).await;
        assert_eq!((&reply["successful"], reply.get("ext")), (&json!(true), None), "{odd}");
    }
    let broker = Broker::with(|config| config.session.timesync = false).await;
    let mut session = Polling::connected(broker.address).await;
    let reply = session.one(with_timesync(subscribe("3", "/a"), json!({"tc": 1}))).await;
    assert_eq!(reply.get("ext"), None);
}

/// `Sat Nov 21 19:22:35 UTC 2026`
fn assert_is_time(text: &Value) {
    let text = text.as_str().unwrap_or_else(|| panic!("no text: {text}"));
    let words: Vec<&str> = text.split(' ').collect();
    assert_eq!((words.len(), text.len(), words[4]), (6, 28, "UTC"), "{text}");
    assert!(words[5].parse::<u32>().is_ok_and(|year| year >= 2026), "{text}");
}

#[tokio::test]
async fn p131_switched_on_replies_and_deliveries_say_when() {
    let broker = Broker::with(|config| config.session.timestamp = true).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut message = publish("4", "/a", 1);
    message["timestamp"] = "the client's".into();
    let messages = session.send(json!([message])).await;
    assert_eq!(messages.len(), 2);
    for message in &messages {
        assert_is_time(&message["timestamp"]);
    }
    for message in [subscribe("5", "/b"), subscribe("6", "/meta/x"), connect_now("7")] {
        assert_is_time(&session.one(message).await["timestamp"]);
    }
    let request = Request::post("/cometd", json!([handshake()]).to_string());
    let reply = http::request(broker.address, &request).await.messages().remove(0);
    assert_is_time(&reply["timestamp"]);
}

#[tokio::test]
async fn p131_by_default_they_do_not() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut message = publish("4", "/a", 1);
    message["timestamp"] = "the client's".into();
    let messages = session.send(json!([message])).await;
    assert_eq!(messages[0]["timestamp"], "the client's");
    assert_eq!(messages[1].get("timestamp"), None);
}

/// The life of a session without activity: several times what a test waits between two signs of it.
const INACTIVITY: Duration = Duration::from_millis(2_500);
const PAUSE: Duration = Duration::from_millis(700);

/// A broker that ends sessions after [`INACTIVITY`].
async fn impatient(activity: Activity) -> Broker {
    Broker::with(|config| {
        config.session.activity = activity;
        config.session.max_inactivity = INACTIVITY;
        config.session.timeout = Duration::from_millis(200);
    })
    .await
}

fn sent_away(id: &str) -> [Value; 2] {
    [
        json!({"channel": "/meta/disconnect", "successful": true}),
        json!({"channel": "/meta/connect", "id": id, "successful": false,
               "error": "402::session_unknown", "advice": {"reconnect": "none", "interval": 0}}),
    ]
}

#[tokio::test]
async fn p132_a_client_that_only_connects_is_sent_away() {
    let broker = impatient(Activity::Client).await;
    let mut session = Polling::connected(broker.address).await;
    let mut other = Socket::connected(broker.address).await;
    assert_eq!(session.one(connect("3")).await["successful"], true, "not yet");
    sleep(INACTIVITY + Duration::from_millis(100)).await;
    assert_eq!(session.send(json!([connect("4")])).await, sent_away("4"));
    other.send(json!([connect("4")])).await;
    assert_eq!(other.recv_messages(2).await, sent_away("4"), "over WebSocket too");
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn p132_any_other_message_of_the_client_keeps_its_session() {
    let broker = impatient(Activity::Client).await;
    let mut session = Polling::connected(broker.address).await;
    for _ in 0..5 {
        sleep(PAUSE).await;
        session.publish("/elsewhere", 1).await;
        assert_eq!(session.fetch().await[0]["successful"], true);
    }
}

#[tokio::test]
async fn p132_messages_for_the_client_keep_its_session_only_if_asked_to() {
    for (activity, kept) in [(Activity::Client, false), (Activity::ClientServer, true)] {
        let broker = impatient(activity).await;
        let mut session = Polling::subscribed(broker.address, "/a").await;
        let mut publisher = Socket::connected(broker.address).await;
        let mut replies = Vec::new();
        for number in 0..5 {
            sleep(PAUSE).await;
            publisher.publish("/a", number).await;
            replies = session.fetch().await;
        }
        let reply = replies.last().expect("never empty");
        assert_eq!(reply["successful"], kept, "{activity:?}: {reply}");
    }
}

#[tokio::test]
async fn p133_binary_messages_pass_unchanged() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    // Z85 uses nearly all printable characters; the last group is a short one.
    let data =
        json!({"data": "HelloWorld.-:+=^!/*?&<>()[]{}@%$#0w", "last": true, "meta": {"n": 1}});
    let mut message = publish("4", "/a", data.clone());
    message["ext"] = json!({"binary": {}});
    let messages = session.send(json!([message])).await;
    let expected = json!({"channel": "/a", "data": data, "ext": {"binary": {}}});
    assert_eq!(deliveries(&messages), [expected]);
}

#[tokio::test]
async fn p027_the_handshake_reply_says_how_many_messages_follow_if_any_may() {
    for (on, count) in [(false, None), (true, Some(json!(0)))] {
        let broker = Broker::with(|config| config.session.deliver_during_handshake = on).await;
        let mut socket = Socket::open(broker.address).await;
        socket.send_raw(json!([handshake()]).to_string()).await;
        let request = Request::post("/cometd", json!([handshake()]).to_string());
        let polled = http::request(broker.address, &request).await.messages();
        for replies in [socket.recv().await, polled] {
            assert_eq!((replies.len(), replies[0].get("x-messages")), (1, count.as_ref()));
        }
    }
}

#[tokio::test]
async fn p123_with_delivery_during_handshake_acknowledgement_has_a_first_number() {
    let broker = Broker::with(|config| config.session.deliver_during_handshake = true).await;
    let mut message = handshake();
    message["ext"] = json!({"ack": true});
    let request = Request::post("/cometd", json!([message]).to_string());
    let reply = http::request(broker.address, &request).await.messages().remove(0);
    assert_eq!(reply["ext"], json!({"ack": {"enabled": true, "batch": 1}}));
}
