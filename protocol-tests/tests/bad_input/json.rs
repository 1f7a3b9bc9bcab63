//! T5: JSON that is deep, wide, long or almost JSON.

use crate::siege::Siege;
use protocol_tests::{
    bayeux::{Polling, Socket},
    http::{self, Request},
    websocket::{Frame, WebSocket},
};

/// A publish to `/a` with this text as its data.
fn with_data(client_id: &str, data: &str) -> String {
    format!(r#"[{{"channel":"/a","id":"1","clientId":"{client_id}","data":{data}}}]"#)
}

/// Posts `body`, expects `status`; then as a frame, where refusal closes with 1011.
async fn refused_everywhere(siege: &Siege, name: &str, body: &str) {
    let cpu = siege.process.cpu();
    let response = http::request(siege.address(), &Request::post("/cometd", body)).await;
    assert_eq!(response.status, 400, "{name}");
    let took = siege.process.cpu() - cpu;
    assert!(took.as_millis() < 1000, "{name}: {took:?}");
    let mut websocket = WebSocket::open(siege.address()).await;
    websocket.send(&Frame::text(body)).await;
    let (code, reason) = websocket.close().await.expect("a close frame");
    assert_eq!(code, 1011, "{name}");
    assert!(reason.len() <= 30, "{name}: {reason:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_are_refused_early_and_cheaply() {
    let siege = Siege::begin(&["limits.message_size=8MiB"]).await;
    let session = Polling::connected(siege.address()).await;
    let id = &session.client_id;
    let nested = |depth: usize| with_data(id, &("[".repeat(depth) + &"]".repeat(depth)));
    let keys = (0..100_000).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(",");
    let message = r#"{"channel":"/a","data":1}"#;
    let many = |count: usize| format!("[{}]", vec![message; count].join(","));
    let cases = [
        ("depth 65", nested(63)),
        ("depth 128", nested(126)),
        ("depth 100 000", nested(100_000)),
        ("depth 3 000 000", nested(3_000_000)),
        ("open brackets", "[".repeat(1_000_000)),
        ("open braces", r#"{"a":"#.repeat(1_000_000)),
        ("1 MiB of small objects", format!("[{}]", vec![r#"{"a":0}"#; 131_072].join(","))),
        ("101 messages", many(101)),
        ("200 000 messages", many(200_000)),
        ("100 000 keys", format!("[{{{keys}}}]")),
        (
            "duplicate key",
            format!(r#"[{{"channel":"/a","data":1,"clientId":"{id}","channel":"/b"}}]"#),
        ),
        (
            "escaped duplicate",
            format!(r#"[{{"channel":"/a","data":1,"clientId":"{id}","ch\u0061nnel":"/b"}}]"#),
        ),
    ];
    for (name, body) in &cases {
        refused_everywhere(&siege, name, body).await;
    }
    siege.end("T5 bombs, 8 MiB allowed", 40).await;
}

#[tokio::test]
async fn what_is_almost_json_is_refused() {
    let siege = Siege::begin(&[]).await;
    let session = Polling::connected(siege.address()).await;
    let good = with_data(&session.client_id, "1");
    let cases = [
        "",
        " ",
        "null",
        "true",
        "1",
        "\"text\"",
        "[]",
        "[[]]",
        "[1]",
        "[null]",
        "{",
        "[",
        "[{]",
        "[{}",
        "[{}],",
        "[{},]",
        "[,{}]",
        "{}{}",
        "[{}][{}]",
        "[{\"a\"}]",
        "[{\"a\":}]",
        "[{a:1}]",
        "[{'channel':'/a'}]",
        "[{\"a\":01}]",
        "[{\"a\":1.}]",
        "[{\"a\":.5}]",
        "[{\"a\":+1}]",
        "[{\"a\":NaN}]",
        "[{\"a\":Infinity}]",
        "[{\"a\":1e}]",
        "[{\"a\":tru}]",
        "[{\"a\":nulll}]",
        "[{\"a\":\"\\x\"}]",
        "[{\"a\":\"\\u12g4\"}]",
        "[{\"a\":\"\n\"}]",
        "[{\"a\":\"\u{1}\"}]",
        "[{\"a\":1}]/*c*/",
        "//c\n[{\"a\":1}]",
        "[{\"a\":\"\\\"}]",
        "\u{feff}[{\"a\":1}]",
        "[{\"a\":1}]\0",
        "message=[{\"a\":1}]",
        "<xml/>",
    ];
    for case in cases {
        let response = http::request(siege.address(), &Request::post("/cometd", case)).await;
        assert_eq!(response.status, 400, "{case:?}");
        assert!(
            response.text().contains("/meta/handshake"),
            "an example helps: {}",
            response.text()
        );
    }
    for (name, body) in
        [("byte order mark", format!("\u{feff}{good}")), ("trailing bytes", good.clone() + "x")]
    {
        refused_everywhere(&siege, name, &body).await;
    }
    let cut: Vec<&str> = (0..good.len()).map(|end| &good[..end]).collect();
    for body in cut {
        let response = http::request(siege.address(), &Request::post("/cometd", body)).await;
        assert_eq!(response.status, 400, "{body:?}");
    }
    siege.end("T5 almost JSON", 8).await;
}

/// Valid, however odd: passed on as it came, for it is the subscribers' business.
#[tokio::test]
async fn odd_but_valid_data_passes_unchanged() {
    let siege = Siege::begin(&["limits.message_size=2MiB", "session.queue.max_bytes=8MiB"]).await;
    let mut subscriber = Socket::subscribed(siege.address(), "/a").await;
    let mut publisher = Polling::connected(siege.address()).await;
    let deep = "[".repeat(62) + &"]".repeat(62);
    let long = "9".repeat(1_000_000);
    let cases = [
        "1e400",
        "-0.0",
        "123456789012345678901234567890",
        "1E-999",
        "{\"a\":1,\"a\":2}",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\"\u{2028}\u{2029}\"",
        "\"\u{10ffff}\"",
        "[ 1 , 2 ]",
        "null",
        "\"\"",
        "false",
        "{}",
        "{\"\":{\"\":[]}}",
        &deep,
        &long,
    ];
    for data in cases {
        let body = with_data(&publisher.client_id, data);
        let replies = http::request(siege.address(), &Request::post("/cometd", body)).await;
        assert_eq!(replies.messages()[0]["successful"], true, "{data:.60}");
        let frame = subscriber.websocket.frame().await;
        let text = String::from_utf8(frame.payload).expect("text");
        assert_eq!(text, format!(r#"[{{"channel":"/a","data":{data}}}]"#));
    }
    assert_eq!(publisher.fetch().await.len(), 1);
    drop(subscriber);
    siege.end("T5 odd data", 40).await;
}
