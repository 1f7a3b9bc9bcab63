//! T6: bytes that are no text, and text that is no name.

use protocol_tests::{
    bayeux::{Polling, Socket, deliveries, publish},
    http::{self, Request},
    websocket::{Frame, WebSocket},
};
use serde_json::json;

use crate::siege::Siege;

#[tokio::test]
async fn invalid_utf8_is_refused_in_every_field() {
    let siege = Siege::begin(&[]).await;
    let session = Polling::connected(siege.address()).await;
    let whole = format!(
        r#"[{{"channel":"/a","id":"1","clientId":"{}","data":"d","ext":{{"e":"x"}},"own":"o"}}]"#,
        session.client_id
    );
    let marks = ["/a", "\"1\"", "\"d\"", "\"e\"", "\"x\"", "\"own\"", "\"o\"", &session.client_id];
    for mark in marks {
        let at = whole.find(mark).expect("part of the message") + 1;
        for bad in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf0\x9f\x98"] {
            let bytes = [&whole.as_bytes()[..at], bad, &whole.as_bytes()[at..]].concat();
            let request = Request::post("/cometd", bytes.clone());
            let response = http::request(siege.address(), &request).await;
            assert_eq!(response.status, 400, "{bad:x?} in {mark}");
            let mut websocket = WebSocket::open(siege.address()).await;
            websocket.send(&Frame::text(bytes)).await;
            let code = websocket.close().await.expect("a close frame").0;
            assert_eq!(code, 1007, "{bad:x?} in {mark}");
        }
    }
    siege.end("T6 UTF-8", 8).await;
}

/// The name counts as it reads after unescaping.
#[tokio::test]
async fn channels_outside_the_grammar_are_refused() {
    let siege = Siege::begin(&[]).await;
    let mut session = Polling::connected(siege.address()).await;
    let names = [
        r"",
        r"a",
        r" /a",
        r"/a\u0000",
        r"/\u0000",
        r"/a\n",
        r"/a\u2028",
        r"/\ud83d\ude00",
        r"/é",
        r"/a\u00e9",
        r"/\ud800",
        r"/\udc00x",
        r"/a\\b",
        r"/a\u0022",
        r"/a<b>",
        r"//",
        r"//a",
        r"/a//b",
        r"/",
        r"/a?b",
        r"/a;b",
        r"/a:b",
        r"/a,b",
        r"/a[b]",
        r"/a\u007f",
        r"/a&b",
        r"/a%00",
    ];
    for name in names {
        let publish = format!(
            r#"[{{"channel":"{name}","id":"1","clientId":"{}","data":1}}]"#,
            session.client_id
        );
        let subscribe = format!(
            r#"[{{"channel":"/meta/subscribe","id":"1","clientId":"{}","subscription":"{name}"}}]"#,
            session.client_id
        );
        let reason = if name.contains("//") || name == "/" { "empty_segment" } else { "" };
        for (body, error) in [
            (publish, format!("405:{reason}:channel_invalid")),
            (subscribe, format!("403:{reason}:subscription_invalid")),
        ] {
            let response = http::request(siege.address(), &Request::post("/cometd", body)).await;
            // A lone surrogate is no text: the channel counts as missing, and a strict parser would
            // refuse the subscription that is echoed to its sender.
            let is_text = !name.contains(r"\ud800") && !name.contains(r"\udc00x");
            let refusal = match is_text {
                true => format!(r#""successful":false,"error":"{error}""#),
                false => r#""successful":false"#.to_owned(),
            };
            assert_eq!(response.status, 200, "{name}");
            assert!(response.text().contains(&refusal), "{name}: {}", response.text());
        }
    }
    assert_eq!(session.fetch().await.len(), 1);
    siege.end("T6 names", 8).await;
}

#[tokio::test]
async fn text_of_every_plane_arrives_as_it_was() {
    let siege = Siege::begin(&[]).await;
    let mut polling = Polling::subscribed(siege.address(), "/a").await;
    let mut socket = Socket::subscribed(siege.address(), "/a").await;
    let mut publisher = Polling::connected(siege.address()).await;
    let text = "a\u{7f}\u{80}\u{7ff}\u{800}\u{fffd}\u{ffff}\u{10000}\u{10ffff}\"\\\u{0}\u{1f}\r\n";
    publisher.send(json!([publish("3", "/a", text)])).await;
    assert_eq!(socket.recv().await[0]["data"], text);
    assert_eq!(deliveries(&polling.fetch().await)[0]["data"], text);
    drop(socket);
    siege.end("T6 planes", 8).await;
}
