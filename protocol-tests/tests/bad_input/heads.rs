//! T2: request heads that are huge, long-winded or never end.

use std::time::Duration;

use protocol_tests::{
    deadline::soon,
    http::{Connection, Request},
    websocket::upgrade_request,
};
use tokio::task::JoinSet;

use crate::siege::Siege;

#[tokio::test]
async fn heads_over_the_limits_are_refused() {
    let siege = Siege::begin(&[]).await;
    let many = |count: usize| {
        let fill = (0..count - 1).map(|number| (format!("X-{number}"), "v"));
        fill.fold(Request::get("/"), |request, (name, value)| request.header(&name, value))
    };
    let long = |bytes: usize| Request::get("/").header("X", &"v".repeat(bytes));
    let target = |bytes: usize| Request::get(&format!("/{}", "t".repeat(bytes - 1)));
    let cases = [
        ("64 headers", many(64), 404),
        ("65 headers", many(65), 431),
        ("101 headers", many(101), 431),
        ("15 KiB header", long(15 << 10), 404),
        ("17 KiB header", long(17 << 10), 431),
        ("64 KiB header", long(64 << 10), 431),
        ("8 KiB target", target(8 << 10), 404),
        ("8 KiB + 1 target", target((8 << 10) + 1), 414),
        ("1 MiB target", target(1 << 20), 414),
        (
            "1 MiB sub-protocol",
            upgrade_request("/cometd").header("Sec-WebSocket-Protocol", &"a,".repeat(1 << 19)),
            431,
        ),
        (
            "1 MiB extensions",
            upgrade_request("/cometd")
                .header("Sec-WebSocket-Extensions", &"a;b=\"".repeat(1 << 18)),
            431,
        ),
    ];
    for (name, request, status) in cases {
        let cpu = siege.process.cpu();
        let mut connection = Connection::open(siege.address()).await;
        connection.send_even_if_closed(request.bytes()).await;
        let response = connection.response_or_end().await;
        // The rest of a megabyte that nobody reads may turn the answer into a reset.
        let seen = response.map(|response| response.status);
        let alternative = if status == 414 { 431 } else { status };
        assert!([Some(status), Some(alternative), None].contains(&seen), "{name}: {seen:?}");
        assert!(seen.is_some() || request.bytes().len() > 60_000, "{name}: no answer");
        assert!(siege.process.cpu() - cpu < Duration::from_millis(300), "{name}");
    }
    siege.end("T2 heads", 16).await;
}

/// Values of a few kilobytes on which a backtracking parser would take for ever.
#[tokio::test]
async fn websocket_headers_are_parsed_in_linear_time() {
    let siege = Siege::begin(&["transports.websocket.compression=true"]).await;
    let fill = |text: &str| text.repeat(15_000 / text.len());
    for value in [
        fill(","),
        fill(" ,"),
        fill("a;"),
        fill("a=\""),
        fill("\\\""),
        fill("a "),
        fill("permessage-deflate,"),
    ] {
        for header in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
            let before = siege.process.cpu();
            let mut connection = Connection::open(siege.address()).await;
            let request = upgrade_request("/cometd").header(header, &value);
            connection.send(request.bytes()).await;
            let status = connection.response().await.status;
            assert!([101, 400].contains(&status), "{header}: {status}");
            let cpu = siege.process.cpu() - before;
            assert!(cpu < Duration::from_millis(500), "{cpu:?} of processor time");
        }
    }
    siege.end("T2 WebSocket headers", 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_dribble_are_not_waited_for() {
    let siege = Siege::begin(&["limits.header_timeout=1s"]).await;
    let mut clients = JoinSet::new();
    for number in 0..300 {
        let address = siege.address();
        clients.spawn(async move {
            let mut connection = Connection::open(address).await;
            connection.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
            let piece = format!("X-{number}: 1\r\n");
            let dribble = async {
                for byte in piece.bytes().cycle() {
                    if !connection.try_send(&[byte]).await
                        || connection.ended_within(Duration::from_millis(200)).await
                    {
                        break;
                    }
                }
            };
            // Would go on for ever if each byte bought time.
            soon("the end of a connection that dribbles", dribble).await;
        });
    }
    clients.join_all().await;
    siege.end("T2 slow heads", 24).await;
}
