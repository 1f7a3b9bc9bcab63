//! The stream of the publish API: lines in, results out (operations.md 5).

use std::time::Duration;

use protocol_tests::{
    bayeux::{Polling, Socket, delivery},
    broker::Broker,
    deadline::{soon, within},
    service::{KEY, broker, broker_with, publish_key},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// Both ends of one stream, each chunked by hand.
struct Stream {
    lines: Lines,
    results: Results,
}

struct Lines(OwnedWriteHalf);

struct Results {
    socket: BufReader<OwnedReadHalf>,
    unread: Vec<u8>,
    ended: bool,
}

impl Stream {
    async fn open(broker: &Broker) -> Self {
        let socket = TcpStream::connect(broker.address).await.expect("connect");
        let (read, mut write) = socket.into_split();
        let head = format!(
            "POST /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        write.write_all(head.as_bytes()).await.expect("write");
        let mut socket = BufReader::new(read);
        let mut line = String::new();
        let mut head = String::new();
        while line != "\r\n" {
            line.clear();
            soon("head of the response", socket.read_line(&mut line)).await.expect("read");
            head.push_str(&line);
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("application/x-ndjson"), "{head}");
        let results = Results { socket, unread: Vec::new(), ended: false };
        Self { lines: Lines(write), results }
    }
}

impl Lines {
    async fn send(&mut self, text: &str) {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.0.write_all(chunk.as_bytes()).await.expect("write");
    }

    async fn message(&mut self, data: impl Into<Value>) {
        self.send(&format!("{}\n", json!({"channel": "/a", "data": data.into()}))).await;
    }

    async fn end(&mut self) {
        self.0.write_all(b"0\r\n\r\n").await.expect("write");
    }
}

impl Results {
    /// The next result; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        within(Duration::from_secs(60), "a result", async {
            loop {
                if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.unread.drain(..=end).collect();
                    return Some(serde_json::from_slice(&line).expect("a result in JSON"));
                }
                if self.ended {
                    assert!(self.unread.is_empty(), "half a result");
                    return None;
                }
                self.chunk().await;
            }
        })
        .await
    }

    async fn chunk(&mut self) {
        let mut size = String::new();
        self.socket.read_line(&mut size).await.expect("size of a chunk");
        let size = usize::from_str_radix(size.trim(), 16).expect("a size in hex");
        self.ended = size == 0;
        let mut chunk = vec![0; size + 2];
        self.socket.read_exact(&mut chunk).await.expect("a chunk");
        self.unread.extend_from_slice(&chunk[..size]);
    }
}

fn reached(sessions: u64) -> Value {
    json!({"ok": true, "sessions": sessions, "queued": 0})
}

#[tokio::test]
async fn a_stream_ends_at_the_first_message_after_its_key_was_taken_back() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let Stream { mut lines, mut results } = Stream::open(&broker).await;
    lines.message(1).await;
    assert_eq!(results.next().await, Some(reached(1)));
    broker.replace_keys(&[publish_key("other", "another-secret-altogether", &["/**"])]);
    lines.message(2).await;
    let last = results.next().await.unwrap();
    assert_eq!((&last["line"], &last["error"]["code"]), (&json!(2), &json!("unauthorized")));
    assert_eq!(results.next().await, None);
    assert_eq!(socket.recv_messages(1).await, [delivery("/a", 1)]);
    assert_eq!(broker.counters().published.value(), 1);
}

#[tokio::test]
async fn fifty_thousand_messages_through_one_stream_arrive_in_order() {
    const COUNT: u64 = 50_000;
    let broker = broker_with(|config| {
        config.api.messages_per_second = 10_000_000;
        config.session.queue.max_messages = 100_000;
        config.session.queue.max_bytes = 64 << 20;
    })
    .await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let Stream { mut lines, mut results } = Stream::open(&broker).await;
    let sending = tokio::spawn(async move {
        for hundred in 0..COUNT / 100 {
            let messages: String = (hundred * 100..(hundred + 1) * 100)
                .map(|n| format!("{{\"channel\":\"/a\",\"data\":{n}}}\n"))
                .collect();
            lines.send(&messages).await;
        }
        lines.end().await;
        // To end the sending side of the socket would mean that nobody waits for the rest.
        lines
    });
    let reading = tokio::spawn(async move {
        let mut count = 0;
        while let Some(result) = results.next().await {
            assert_eq!(result, reached(1), "result {count}");
            count += 1;
        }
        count
    });
    let mut expected = 0;
    while expected < COUNT {
        for message in socket.recv().await {
            assert_eq!(message["data"], json!(expected));
            expected += 1;
        }
    }
    let lines = sending.await.unwrap();
    assert_eq!(reading.await.unwrap(), COUNT);
    drop(lines);
}

#[tokio::test]
async fn a_result_comes_while_the_stream_is_open() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let Stream { mut lines, mut results } = Stream::open(&broker).await;
    for n in 0..3 {
        lines.message(n).await;
        assert_eq!(results.next().await, Some(reached(1)));
        assert_eq!(socket.recv_messages(1).await, [delivery("/a", n)]);
    }
    lines.end().await;
    assert_eq!(results.next().await, None);
}

#[tokio::test]
async fn a_bad_line_has_its_number_and_the_stream_goes_on() {
    let broker = broker().await;
    let Stream { mut lines, mut results } = Stream::open(&broker).await;
    // Lines come in pieces, with CRLF, and the last one without any end.
    lines.send("{\"channel\":\"/a\",").await;
    lines.send("\"data\":1}\r\n\nnonsense\n{\"chan").await;
    lines.send("nel\":\"/a/*\",\"data\":1}\n{\"channel\":\"/a\",\"data\":2}").await;
    lines.end().await;
    assert_eq!(results.next().await, Some(reached(0)));
    let bad = results.next().await.unwrap();
    assert_eq!((&bad["line"], &bad["error"]["code"]), (&json!(3), &json!("bad_json")), "{bad}");
    let pattern = results.next().await.unwrap();
    assert_eq!(
        (&pattern["line"], &pattern["error"]["code"]),
        (&json!(4), &json!("channel_invalid"))
    );
    assert_eq!(results.next().await, Some(reached(0)));
    assert_eq!(results.next().await, None);
}

#[tokio::test]
async fn a_line_over_the_limit_ends_the_stream() {
    let broker = broker_with(|config| config.api.message_size = 1000).await;
    let Stream { mut lines, mut results } = Stream::open(&broker).await;
    lines.message(1).await;
    lines.send(&"x".repeat(3000)).await;
    assert_eq!(results.next().await, Some(reached(0)));
    let last = results.next().await.unwrap();
    assert_eq!((&last["line"], &last["error"]["code"]), (&json!(2), &json!("too_large")), "{last}");
    assert_eq!(results.next().await, None);
}

#[tokio::test]
async fn a_line_that_meets_a_full_broker_ends_the_stream() {
    let broker = broker_with(|config| config.limits.queued_bytes = Some(20_000)).await;
    let _away = Polling::subscribed(broker.address, "/a").await;
    let Stream { mut lines, mut results } = Stream::open(&broker).await;
    // Not to 85 %, from where the next tick ends the largest queue; the rest in one chunk, so that no tick
    // comes between.
    for _ in 0..2 {
        lines.message("x".repeat(7_000)).await;
        assert_eq!(results.next().await.unwrap()["ok"], json!(true));
    }
    let large = json!({"channel": "/a", "data": "x".repeat(7_000)});
    lines.send(&format!("{large}\n{{\"channel\":\"/a\",\"data\":1}}\n")).await;
    assert_eq!(results.next().await.unwrap()["ok"], json!(true));
    let result = results.next().await.unwrap();
    assert_eq!(json!([result["line"], result["error"]["code"]]), json!([4, "overloaded"]));
    assert_eq!(results.next().await, None, "the next line could overtake this one");
}

#[tokio::test]
async fn a_stream_waits_for_its_rate_instead_of_failing() {
    let broker = broker_with(|config| config.api.messages_per_second = 50).await;
    let Stream { mut lines, mut results } = Stream::open(&broker).await;
    let start = tokio::time::Instant::now();
    for n in 0..60 {
        lines.message(n).await;
    }
    for _ in 0..60 {
        assert_eq!(results.next().await, Some(reached(0)));
    }
    assert!(start.elapsed() >= Duration::from_millis(190), "{:?}", start.elapsed());
}

#[tokio::test]
async fn results_do_not_wait_for_lines_that_wait_for_their_rate() {
    let broker = broker_with(|config| config.api.messages_per_second = 2).await;
    let Stream { mut lines, mut results } = Stream::open(&broker).await;
    // One chunk: the lines after the second have no place yet.
    lines.send(&"{\"channel\":\"/a\",\"data\":1}\n".repeat(20)).await;
    for _ in 0..2 {
        // All of them would take nine seconds.
        let known = soon("a result that is known", results.next());
        assert_eq!(known.await, Some(reached(0)));
    }
}

#[tokio::test]
async fn the_end_of_the_broker_ends_a_stream_whose_lines_wait_for_their_rate() {
    let mut broker = broker_with(|config| config.api.messages_per_second = 5).await;
    let Stream { mut lines, mut results } = Stream::open(&broker).await;
    lines.send(&"{\"channel\":\"/a\",\"data\":1}\n".repeat(40)).await;
    assert_eq!(results.next().await, Some(reached(0)));
    broker.drain();
    let mut count = 0;
    let last = loop {
        let result = results.next().await.unwrap();
        if result["ok"] == json!(false) {
            break result;
        }
        count += 1;
    };
    assert_eq!(last["error"]["code"], json!("draining"), "{last}");
    assert!(count < 30, "{count} lines were published after the stop began");
    assert_eq!(results.next().await, None);
}

#[tokio::test]
async fn a_client_that_reads_no_results_is_not_read_from() {
    let broker = broker_with(|config| config.api.messages_per_second = 10_000_000).await;
    let Stream { mut lines, results } = Stream::open(&broker).await;
    let hundred = "{\"channel\":\"/a/*\",\"data\":1}\n".repeat(100);
    let mut sent = 0;
    // Each of these lines has a result of 200 bytes, so buffers are full before all are sent.
    let stalled = loop {
        let send = tokio::time::timeout(Duration::from_secs(2), lines.send(&hundred));
        if send.await.is_err() {
            break true;
        }
        sent += 100;
        if sent > 2_000_000 {
            break false;
        }
    };
    assert!(stalled, "{sent} lines were read though nobody reads the results");
    drop(results);
}

#[tokio::test]
async fn the_end_of_the_broker_ends_a_stream_with_a_word() {
    let mut broker = broker().await;
    let Stream { mut lines, mut results } = Stream::open(&broker).await;
    lines.message(1).await;
    assert_eq!(results.next().await, Some(reached(0)));
    broker.drain();
    let last = results.next().await.unwrap();
    assert_eq!(last["error"]["code"], json!("draining"));
    assert_eq!(results.next().await, None);
    assert_eq!(broker.stop().await.open, 0);
}

#[tokio::test]
async fn a_silent_stream_ends_after_the_keep_alive_time_and_a_slow_one_lives_on() {
    let broker = broker_with(|config| {
        config.limits.keep_alive = Duration::from_secs(2);
        // A stream is one request: its lines are not taken for the heads of new ones.
        config.limits.header_timeout = Duration::from_secs(1);
    })
    .await;
    let Stream { mut lines, mut results } = Stream::open(&broker).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        lines.message(1).await;
        assert_eq!(results.next().await, Some(reached(0)));
    }
    assert_eq!(results.next().await, None);
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_100_before_the_response() {
    let broker = broker().await;
    let mut socket = TcpStream::connect(broker.address).await.expect("connect");
    let head = format!(
        "POST /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\n\
         Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.expect("write");
    let mut start = [0; 38];
    soon("the responses", socket.read_exact(&mut start)).await.expect("read");
    let start = String::from_utf8_lossy(&start);
    assert_eq!(start, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ");
    let line = "{\"channel\":\"/a\",\"data\":1}\n";
    let body = format!("{:x}\r\n{line}\r\n0\r\n\r\n", line.len());
    socket.write_all(body.as_bytes()).await.expect("write");
    let mut rest = BufReader::new(socket);
    let mut last = String::new();
    while !last.starts_with("{\"ok\":true,") {
        last.clear();
        let read = soon("the result", rest.read_line(&mut last)).await.expect("read");
        assert!(read > 0, "the end before the result");
    }
}
