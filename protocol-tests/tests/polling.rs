//! HTTP long-polling, and what holds for every HTTP response: protocol.md sections 5 and 9.

use protocol_tests::{
    bayeux::{
        Polling, Socket, connect, connect_now, connected, deliveries, delivery, disconnect,
        handshake, publish, published, subscribe,
    },
    broker::Broker,
    http::{self, Connection, Request, post},
};
use serde_json::{Value, json};

async fn deliver_only() -> Broker {
    Broker::with(|config| config.session.meta_connect_deliver_only = true).await
}

#[tokio::test]
async fn p057_other_requests_carry_the_queue_and_the_connect_sleeps_on() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut held = session.hold("3").await;
    let messages = session.send(json!([publish("4", "/a", 1)])).await;
    assert_eq!(messages, [delivery("/a", 1), published("4", "/a")]);
    held.connection.quiet().await;
    Polling::connected(broker.address).await.publish("/a", 2).await;
    assert_eq!(held.messages().await, [delivery("/a", 2), connected("3", 45_000)]);
}

#[tokio::test]
async fn p058_no_other_reply_waits_for_the_held_connect() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let mut held = session.hold("3").await;
    for message in [subscribe("4", "/a"), publish("5", "/b", 1), publish("6", "/service/x", 1)] {
        assert_eq!(session.one(message).await["successful"], true);
    }
    held.connection.quiet().await;
}

#[tokio::test]
async fn p059_in_deliver_only_mode_other_responses_hold_only_replies() {
    let broker = deliver_only().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    assert_eq!(session.publish("/a", 1).await, [published("p", "/a")]);
    assert_eq!(session.fetch().await, [delivery("/a", 1), connected("f", 45_000)]);
}

#[tokio::test]
async fn p059_in_deliver_only_mode_a_websocket_delivers_with_the_connect() {
    let broker = deliver_only().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    socket.send(json!([connect("3")])).await;
    socket.websocket.quiet().await;
    socket.send(publish("4", "/a", 1)).await;
    assert_eq!(socket.recv().await, [published("4", "/a")]);
    assert_eq!(socket.recv().await, [delivery("/a", 1)]);
    assert_eq!(socket.recv().await, [connected("3", 45_000)]);
    socket.send(publish("5", "/a", 2)).await;
    assert_eq!(socket.recv().await, [published("5", "/a")]);
    socket.websocket.quiet().await;
    socket.send(json!([connect("6")])).await;
    assert_eq!(socket.recv_messages(2).await, [delivery("/a", 2), connected("6", 45_000)]);
}

#[tokio::test]
async fn p060_in_deliver_only_mode_a_message_releases_the_connect_after_the_request() {
    let broker = deliver_only().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut held = session.hold("3").await;
    assert_eq!(session.publish("/a", 1).await, [published("p", "/a")]);
    assert_eq!(held.messages().await, [delivery("/a", 1), connected("3", 45_000)]);
}

#[tokio::test]
async fn p082_any_path_below_the_mapping_serves() {
    let broker = Broker::start().await;
    let paths = [
        "/cometd",
        "/cometd/",
        "/cometd/handshake",
        "/cometd/connect",
        "/cometd/cometd",
        "/cometd/45.0",
        "/cometd/replay/36.0",
        "/bayeux",
        "/faye",
        "/cometd?x=1",
    ];
    let body = json!([handshake()]).to_string();
    for path in paths {
        let response = http::request(broker.address, &Request::post(path, body.as_str())).await;
        assert_eq!(response.messages()[0]["successful"], true, "{path}");
    }
}

#[tokio::test]
async fn p082_other_paths_are_not_found_and_say_which_are() {
    let broker = Broker::start().await;
    for path in ["/", "/cometdx", "/comet", "/x/cometd"] {
        let response = http::request(broker.address, &Request::post(path, "[]")).await;
        assert_eq!(response.status, 404, "{path}");
        assert!(response.text().contains("/cometd"), "{}", response.text());
    }
}

#[tokio::test]
async fn p083_refusals_of_the_protocol_have_status_200() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    for message in [publish("3", "/meta/x", 1), subscribe("4", "/meta/x"), json!({"id": "5"})] {
        let response = session.post(json!([message])).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.messages()[0]["successful"], false);
    }
}

#[tokio::test]
async fn p084_the_content_type_of_a_request_does_not_matter() {
    let broker = Broker::start().await;
    let body = json!([handshake()]).to_string();
    let plain = Request::new("POST", "/cometd").body(body);
    let types = [
        "application/json",
        "application/json;charset=UTF-8",
        "text/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "nonsense",
    ];
    for kind in types {
        let request = plain.clone().header("Content-Type", kind);
        let response = http::request(broker.address, &request).await;
        assert_eq!(response.messages()[0]["successful"], true, "{kind}");
    }
    let response = http::request(broker.address, &plain).await;
    assert_eq!(response.messages()[0]["successful"], true, "none");
}

#[tokio::test]
async fn p084_responses_are_json() {
    let broker = Broker::start().await;
    let response = post(broker.address, &json!([handshake()])).await;
    assert_eq!(response.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn p085_bodies_that_are_not_bayeux_get_400_with_an_example() {
    let broker = Broker::start().await;
    let bodies = [
        "",
        "[",
        "[{]",
        "5",
        "\"x\"",
        "null",
        "true",
        "[]",
        "[5]",
        "[null]",
        "[[]]",
        "{}{}",
        "[{\"channel\":\"/a\"}] x",
        "\u{feff}[]",
        "[{\"a\":NaN}]",
    ];
    for body in bodies {
        let response = http::request(broker.address, &Request::post("/cometd", body)).await;
        assert_eq!(response.status, 400, "{body:?}: {}", response.text());
        assert!(response.text().contains("/meta/handshake"), "{body:?}: {}", response.text());
    }
    let response =
        http::request(broker.address, &Request::post("/cometd", [0x5b, 0xff, 0x5d])).await;
    assert_eq!(response.status, 400, "not UTF-8");
}

#[tokio::test]
async fn p085_other_methods_are_refused() {
    let broker = Broker::start().await;
    let get = http::request(broker.address, &Request::get("/cometd")).await;
    assert_eq!(get.status, 400, "{get:?}");
    for method in ["PUT", "DELETE", "PATCH"] {
        let request = Request::new(method, "/cometd").body("[]");
        let response = http::request(broker.address, &request).await;
        assert_eq!(response.status, 405, "{method}");
        assert!(response.list("allow").contains(&"post".to_owned()), "{response:?}");
    }
    let options = http::request(broker.address, &Request::new("OPTIONS", "/cometd")).await;
    assert_eq!((options.status, options.text()), (204, ""));
}

#[tokio::test]
async fn p086_every_kind_of_post_is_answered_with_200_and_a_body() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    for message in [connect_now("3"), publish("4", "/a", 1), disconnect("5"), connect("6")] {
        let response = session.post(message).await;
        assert_eq!(response.status, 200);
        assert!(!response.body.is_empty());
    }
}

#[tokio::test]
async fn p092_a_client_has_requests_in_parallel() {
    let broker = Broker::start().await;
    let session = Polling::connected(broker.address).await;
    let mut held = session.hold("3").await;
    let mut parallel = Vec::new();
    for n in 4..10 {
        parallel.push((n, session.begin(json!([publish(&n.to_string(), "/a", n)])).await));
    }
    for (n, mut request) in parallel {
        assert_eq!(request.messages().await, [published(&n.to_string(), "/a")]);
    }
    held.connection.quiet().await;
}

#[tokio::test]
async fn p093_a_client_that_leaves_its_hold_loses_nothing() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    for n in 0..10 {
        let held = session.begin(json!([connect("3")])).await;
        if n % 2 == 0 {
            held.connection.reset();
        } else {
            drop(held);
        }
        publisher.publish("/a", n).await;
        let messages = session.fetch().await;
        assert_eq!(deliveries(&messages), [delivery("/a", n)]);
    }
}

#[tokio::test]
async fn p141_responses_forbid_caching_and_buffering() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let mut first = session.hold("3").await;
    let mut responses = vec![
        post(broker.address, &json!([handshake()])).await,
        session.post(connect_now("4")).await,
        session.post(publish("5", "/a", 1)).await,
    ];
    responses.push(first.response().await);
    for response in &responses {
        assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
        assert_eq!(response.header("x-accel-buffering"), Some("no"), "{response:?}");
    }
}

#[tokio::test]
async fn p142_an_empty_cookie_header_is_no_cookie() {
    let broker = Broker::start().await;
    let request = Request::post("/cometd", json!([handshake()]).to_string()).header("Cookie", "");
    let response = http::request(broker.address, &request).await;
    assert_eq!(response.messages()[0]["successful"], true);
    response.cookie();
}

#[tokio::test]
async fn p142_connection_close_is_obeyed() {
    let broker = Broker::start().await;
    let session = Polling::connected(broker.address).await;
    let mut connection = Connection::open(broker.address).await;
    let request = session.request(json!([disconnect("3")])).header("Connection", "close");
    let response = connection.exchange(&request).await;
    assert_eq!(response.messages()[0]["successful"], true);
    assert_eq!(connection.closed().await, b"");
}

#[tokio::test]
async fn p142_chunked_bodies_in_any_cut_are_read() {
    let broker = Broker::start().await;
    let body = json!([handshake()]).to_string();
    for size in [1, 7, 1000] {
        let mut connection = Connection::open(broker.address).await;
        let head = Request::new("POST", "/cometd").header("Transfer-Encoding", "chunked");
        connection.send(head.bytes()).await;
        for chunk in body.as_bytes().chunks(size) {
            connection.send(format!("{:x}\r\n", chunk.len())).await;
            connection.send(chunk).await;
            connection.send("\r\n").await;
        }
        connection.send("0\r\n\r\n").await;
        assert_eq!(connection.response().await.messages()[0]["successful"], true, "{size}");
    }
}

#[tokio::test]
async fn p142_expect_100_continue_is_answered() {
    let broker = Broker::start().await;
    let body = json!([handshake()]).to_string();
    let head = Request::post("/cometd", body.as_str()).header("Expect", "100-continue").bytes();
    let mut connection = Connection::open(broker.address).await;
    connection.send(&head[..head.len() - body.len()]).await;
    assert_eq!(connection.response().await.status, 100);
    connection.send(&body).await;
    assert_eq!(connection.response().await.messages()[0]["successful"], true);
}

#[tokio::test]
async fn p142_http_1_0_is_served_and_closed() {
    let broker = Broker::start().await;
    let body = json!([handshake()]).to_string();
    let mut connection = Connection::open(broker.address).await;
    let request = format!("POST /cometd HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    connection.send(request).await;
    assert_eq!(connection.response().await.messages()[0]["successful"], true);
    assert_eq!(connection.closed().await, b"");
}

#[tokio::test]
async fn p142_a_request_may_arrive_byte_by_byte() {
    let broker = Broker::start().await;
    let mut connection = Connection::open(broker.address).await;
    for byte in Request::post("/cometd", json!([handshake()]).to_string()).bytes() {
        connection.send([byte]).await;
    }
    assert_eq!(connection.response().await.messages()[0]["successful"], true);
}

#[tokio::test]
async fn p143_every_transport_serves_one_url() {
    let broker = Broker::with_jsonp(20_000).await;
    let url = "/cometd/app";
    let body = json!([handshake()]).to_string();
    let post = http::request(broker.address, &Request::post(url, body.as_str())).await;
    assert_eq!(post.messages()[0]["successful"], true);
    let query: Value = json!([{"channel": "/meta/handshake"}]);
    let encoded: String = query.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
    let get = Request::get(&format!("{url}?jsonp=cb&message={encoded}"))
        .header("Sec-Fetch-Site", "same-origin");
    assert_eq!(http::request(broker.address, &get).await.status, 200);
    let upgrade = protocol_tests::websocket::upgrade_request(url);
    assert_eq!(http::request(broker.address, &upgrade).await.status, 101);
    assert_eq!(http::request(broker.address, &Request::new("OPTIONS", url)).await.status, 204);
}

#[tokio::test]
async fn p048_a_held_connection_serves_on_after_its_response() {
    let broker = Broker::start().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    let mut connection = Connection::open(broker.address).await;
    for n in 0..3 {
        // The next request comes before its predecessor is answered, whole or in part.
        let held = session.request(json!([connect("7")])).bytes();
        let next = session.request(json!([publish("8", "/b", n)])).bytes();
        let (now, later) = match n {
            0 => (held.clone(), next),
            1 => ([held.clone(), next].concat(), Vec::new()),
            _ => ([held.as_slice(), &next[..20]].concat(), next[20..].to_vec()),
        };
        connection.send(&now).await;
        connection.quiet().await;
        publisher.publish("/a", n).await;
        let response = connection.response().await;
        assert_eq!(deliveries(&response.messages()), [delivery("/a", n)], "round {n}");
        connection.send(&later).await;
        let response = connection.response().await;
        assert_eq!(response.messages(), [published("8", "/b")], "round {n}");
    }
}

#[tokio::test]
async fn p048_a_held_poll_that_asks_to_close_is_closed() {
    let broker = Broker::start().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    let mut connection = Connection::open(broker.address).await;
    let request = session.request(json!([connect("7")])).header("Connection", "close");
    connection.send(request.bytes()).await;
    connection.quiet().await;
    publisher.publish("/a", 1).await;
    let response = connection.response().await;
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(deliveries(&response.messages()), [delivery("/a", 1)]);
    assert!(connection.closed().await.is_empty());
}
