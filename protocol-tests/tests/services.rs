//! Service channels: back-ends over HTTP and handlers of the embedding program. What they do wrong, and
//! every bound, is in `service_limits.rs`. protocol.md 114, 115.

use std::time::Duration;

use bayeuxd::{
    bayeux::NameLimits,
    config::{Config, Service, ServiceReply},
    server::{BadService, ServiceError, ServiceOptions, check_services},
};
use protocol_tests::{
    back_end::{
        BackEnd, CHANNEL, answer, begin, failure, outcome, refusal, serving, serving_with,
        unavailable,
    },
    bayeux::{Polling, Socket, connect, deliveries, delivery, handshake, publish, published},
    broker::Broker,
    deadline::{soon, until},
    http::{self, Request},
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use tokio::sync::{mpsc, oneshot};

const NAMES: NameLimits = NameLimits { bytes: 255, segments: 16 };

#[tokio::test]
async fn p115_a_back_end_gets_the_message_and_its_answer_goes_back_by_id() {
    let secret = std::env::temp_dir().join(format!("bayeuxd-services-{}", std::process::id()));
    std::fs::write(&secret, "sixteen-letters!\n").unwrap();
    let (broker, mut back_end) = serving(|service| {
        service.headers = vec!["X-Tenant: acme".into()];
        service.secret_file = Some(secret.clone());
    })
    .await;
    std::fs::remove_file(&secret).unwrap();
    let mut socket = Socket::connected(broker.address).await;
    let exact: Value = serde_json::from_str(r#"{"n":9007199254740993,"t":"é"}"#).unwrap();
    let reply = socket.one(publish("7", CHANNEL, exact.clone())).await;
    assert_eq!(reply, published("7", CHANNEL));
    let call = back_end.call().await;
    let sid = broker.sid(&socket.client_id);
    let body = json!({"sid": sid, "user": null, "channel": CHANNEL, "data": exact, "id": "7"});
    assert_eq!(call.body, body);
    assert_eq!(call.head.lines().next(), Some("POST /quote?v=1 HTTP/1.1"));
    let head = call.head.to_ascii_lowercase();
    for line in [
        format!("host: {}", back_end.address),
        "content-type: application/json".into(),
        "accept: application/json".into(),
        "x-tenant: acme".into(),
        "authorization: bearer sixteen-letters!".into(),
    ] {
        assert!(head.contains(&format!("\r\n{line}")), "{line} in {head}");
    }
    assert!(
        !call.head.contains(&socket.client_id)
            && !call.body.to_string().contains(&socket.client_id)
    );
    call.answer(200, r#"{"price":9007199254740993}"#);
    let reply = socket.recv_messages(1).await.remove(0);
    assert_eq!(reply["data"]["price"].to_string(), "9007199254740993");
    assert_eq!(reply, answer("7", reply["data"].clone()));
}

#[tokio::test]
async fn p114_a_service_may_answer_with_plain_messages() {
    let (broker, mut back_end) = serving(|service| service.reply = ServiceReply::Message).await;
    let mut socket = Socket::connected(broker.address).await;
    let said = outcome(&mut socket, &mut back_end, |call| call.answer(200, "[1]")).await;
    assert_eq!(said, delivery(CHANNEL, json!([1])));
    let said = outcome(&mut socket, &mut back_end, |call| call.answer(500, "")).await;
    let mut expected = unavailable("7", "the service answered with the status 500");
    expected.as_object_mut().unwrap().remove("id");
    assert_eq!(said, expected);
}

#[tokio::test]
async fn p114_a_message_without_an_id_is_answered_without_one() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut socket = Socket::connected(broker.address).await;
    socket.send(json!([{"channel": CHANNEL, "data": 1}])).await;
    let reply = socket.recv_messages(1).await;
    assert_eq!(reply, [json!({"channel": CHANNEL, "successful": true})]);
    let call = back_end.call().await;
    assert_eq!(call.body.get("id"), None);
    call.answer(201, "\"x\"");
    assert_eq!(socket.recv_messages(1).await, [delivery(CHANNEL, "x")]);
}

#[tokio::test]
async fn p114_a_waiting_call_holds_up_nothing_over_a_socket() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    begin(&mut socket, "7").await;
    let first = back_end.call().await;
    socket.send(publish("8", "/a", 1)).await;
    assert_eq!(socket.recv_messages(2).await, [delivery("/a", 1), published("8", "/a")]);
    begin(&mut socket, "9").await;
    back_end.call().await.answer(200, "9");
    assert_eq!(socket.recv_messages(1).await, [answer("9", 9)], "calls run side by side");
    first.answer(200, "7");
    assert_eq!(socket.recv_messages(1).await, [answer("7", 7)]);
}

#[tokio::test]
async fn p114_a_waiting_call_holds_up_nothing_over_long_polling() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut held = session.hold("3").await;
    assert_eq!(session.publish(CHANNEL, 1).await, [published("p", CHANNEL)]);
    let call = back_end.call().await;
    let batch = session.send(json!([publish("8", "/b", 1), publish("9", "/c", 1)])).await;
    assert_eq!(batch, [published("8", "/b"), published("9", "/c")]);
    held.connection.quiet().await;
    call.answer(200, "{}");
    assert_eq!(deliveries(&held.messages().await), [answer("p", json!({}))]);
}

#[tokio::test]
async fn p126_the_reply_to_a_session_that_acknowledges_has_a_number() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut offer = handshake();
    offer["ext"] = json!({"ack": true});
    let mut session = Polling::handshake_with(broker.address, offer).await;
    session.fetch().await;
    assert_eq!(session.publish(CHANNEL, 1).await, [published("p", CHANNEL)]);
    back_end.call().await.answer(200, "1");
    let mut held = session.begin(json!([connect("4")])).await;
    let heard = held.messages().await;
    assert_eq!(deliveries(&heard), [answer("p", 1)]);
    assert_eq!(heard.last().unwrap()["ext"], json!({"ack": 2}));
}

#[tokio::test]
async fn p131_replies_of_services_say_when() {
    let (broker, mut back_end) = serving_with(|config| config.session.timestamp = true).await;
    let mut socket = Socket::connected(broker.address).await;
    socket.one(publish("7", CHANNEL, 1)).await;
    back_end.call().await.answer(200, "1");
    let reply = socket.recv_messages(1).await.remove(0);
    assert!(reply["timestamp"].as_str().is_some_and(|text| text.contains(" UTC ")), "{reply}");
}

#[tokio::test]
async fn an_answer_without_content_sends_nothing() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut socket = Socket::connected(broker.address).await;
    begin(&mut socket, "7").await;
    back_end.call().await.answer(204, "");
    until("the end of the call", || broker.handle.service_counters().silent.value() == 1).await;
    begin(&mut socket, "8").await;
    back_end.call().await.answer(200, "8");
    assert_eq!(socket.recv_messages(1).await, [answer("8", 8)]);
}

#[tokio::test]
async fn a_session_that_moves_gets_its_reply_over_the_new_transport() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut session = Polling::connected(broker.address).await;
    session.publish(CHANNEL, 1).await;
    let call = back_end.call().await;
    let mut socket = Socket::adopt(broker.address, &session.client_id).await;
    socket.one(publish("8", "/a", 1)).await;
    call.answer(200, "1");
    assert_eq!(socket.recv_messages(1).await, [answer("p", 1)]);
}

#[tokio::test]
async fn the_most_specific_service_is_asked_and_others_stay_unserved() {
    let (mut general, mut special) = (BackEnd::start().await, BackEnd::start().await);
    let broker = Broker::with(|config| {
        config.services.push(special.entry("/service/quote/acme"));
        config.services.push(general.entry("/service/quote/**"));
    })
    .await;
    let mut socket = Socket::connected(broker.address).await;
    begin(&mut socket, "7").await;
    special.call().await.answer(200, "1");
    assert_eq!(socket.recv_messages(1).await, [answer("7", 1)]);
    let reply = socket.one(publish("8", "/service/quote/a/b", 1)).await;
    assert_eq!(reply, published("8", "/service/quote/a/b"));
    let call = general.call().await;
    assert_eq!(call.body["channel"], json!("/service/quote/a/b"));
    call.answer(204, "");
    for channel in ["/service/quote", "/service/other", "/service/quote/*", "/service/quote/**"] {
        assert_eq!(socket.one(publish("9", channel, 1)).await, published("9", channel));
    }
    general.idle().await;
    special.idle().await;
}

#[tokio::test]
async fn nobody_without_a_session_calls_a_service() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let body = publish("7", CHANNEL, 1).to_string();
    let replies = http::request(broker.address, &Request::post("/cometd", body)).await.messages();
    assert_eq!(replies[0]["error"], json!("402::session_unknown"));
    back_end.idle().await;
}

fn data(value: impl Into<Value>) -> Option<Box<RawValue>> {
    Some(to_raw_value(&value.into()).unwrap())
}

#[tokio::test]
async fn p115_a_handler_answers_its_caller_and_nobody_else() {
    let broker = Broker::start().await;
    let handle = broker.handle.clone();
    let serve = broker.handle.serve("/service/quote/*", ServiceOptions::default(), move |call| {
        let handle = handle.clone();
        async move {
            handle.publish("/asked", call.data()).await.unwrap();
            let facts = (call.sid().to_string(), call.channel().to_string(), call.id().is_some());
            assert_eq!(call.user(), None);
            Ok(data(json!(facts)))
        }
    });
    serve.unwrap();
    let mut listener = Socket::subscribed(broker.address, "/**").await;
    let mut socket = Socket::connected(broker.address).await;
    socket.send(publish("7", CHANNEL, 1)).await;
    let mut heard = socket.recv_messages(2).await;
    heard.sort_by_key(|message| message.get("data").is_some());
    let facts = json!([broker.sid(&socket.client_id), CHANNEL, true]);
    assert_eq!(heard, [published("7", CHANNEL), answer("7", facts)]);
    assert_eq!(listener.recv_messages(1).await, [delivery("/asked", 1)]);
}

/// Tells when it is dropped.
struct Gone(mpsc::UnboundedSender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn p115_whatever_a_handler_does_wrong_the_caller_is_told() {
    let broker = Broker::start().await;
    let options = ServiceOptions {
        timeout: Duration::from_millis(100),
        max_reply: 64,
        max_in_flight: 1,
        ..ServiceOptions::default()
    };
    let (tell, mut when_gone) = mpsc::unbounded_channel();
    let serve = broker.handle.serve("/service/**", options, move |call| {
        let gone = Gone(tell.clone());
        async move {
            match call.data().get() {
                "1" => Ok(None),
                "2" => Err(ServiceError::new("NoSuchSymbol", "not traded")),
                "3" => panic!("a bug of the application"),
                "4" => {
                    let _gone = gone;
                    std::future::pending().await
                }
                _ => Ok(data("x".repeat(63))),
            }
        }
    });
    serve.unwrap();
    let mut socket = Socket::connected(broker.address).await;
    let expected = [
        refusal("7", "java.lang.RuntimeException", "NoSuchSymbol", "not traded"),
        failure("7", "500::service_failed", "java.lang.RuntimeException", "the service failed"),
        failure(
            "7",
            "504::service_timeout",
            "java.util.concurrent.TimeoutException",
            "the service did not answer in time",
        ),
        unavailable("7", "the service's answer is too large"),
    ];
    let replied = || broker.handle.service_counters().replied.value();
    assert_eq!(socket.one(publish("6", CHANNEL, 1)).await, published("6", CHANNEL));
    until("silence", || broker.handle.service_counters().silent.value() == 1).await;
    for (number, expected) in (2..).zip(expected) {
        let mut heard = Vec::new();
        socket.send(publish("7", CHANNEL, number)).await;
        heard.extend(socket.recv_messages(2).await);
        heard.sort_by_key(|message| message.get("data").is_some());
        assert_eq!(heard, [published("7", CHANNEL), expected], "{number}");
    }
    soon("the end of the handler that took too long", when_gone.recv()).await;
    assert_eq!(replied(), 0);
}

#[tokio::test]
async fn services_that_cannot_be_used_are_refused() {
    let broker = Broker::start().await;
    let serve = |pattern: &str| {
        let options = ServiceOptions::default();
        broker.handle.serve(pattern, options, async |_| Ok(None)).map_err(|error| error.to_string())
    };
    assert_eq!(serve("/service/a"), Ok(()));
    for (pattern, words) in [
        ("/service/a", "served twice"),
        ("/a", "no service channel"),
        ("/service", "no service channel"),
        ("/**", "no service channel"),
        ("service/a", "starts with /"),
        ("/service/*/a", "whole segments"),
    ] {
        let error = serve(pattern).unwrap_err();
        assert!(error.contains(words), "{pattern}: {error}");
    }
    let with = |service: Service| {
        let services = vec![service];
        let config = Config { services, ..Config::default() };
        check_services(&config, NAMES).unwrap_err()
    };
    let service =
        |url: &str| Service { channel: CHANNEL.into(), url: url.into(), ..Service::default() };
    for url in ["", "/quote", "https://h/", "http://u:p@h/", "h:80"] {
        assert!(matches!(with(service(url)), BadService::Url(_)), "{url}");
    }
    let headers = vec!["no colon".into()];
    assert!(matches!(with(Service { headers, ..service("http://h") }), BadService::Header(_)));
    let secret_file = Some("/nowhere/at/all".into());
    let error = with(Service { secret_file, ..service("http://h") });
    assert!(matches!(error, BadService::File { .. }), "{error}");
    let secret_file = Some("/dev/null".into());
    let error = with(Service { secret_file, ..service("http://h") });
    assert!(matches!(error, BadService::Weak { .. }), "{error}");
}

#[tokio::test]
async fn handlers_are_forgotten_when_the_server_ends() {
    let broker = Broker::start().await;
    let (kept, when_gone) = oneshot::channel::<()>();
    let handle = broker.handle.clone();
    let serve = broker.handle.serve("/service/a", ServiceOptions::default(), move |_| {
        let _holds = (&handle, &kept);
        async { Ok(None) }
    });
    serve.unwrap();
    broker.stop().await;
    when_gone.await.expect_err("the handler is gone, and the server that it held with it");
}
