//! What a proxy says of its clients, and what passes it unchanged.

use std::net::SocketAddr;

use protocol_tests::{
    bayeux::{Polling, handshake},
    broker::Broker,
    deadline::{soon, until},
    http::{self, Connection, Request},
    process::Process,
    reverse_proxy::{Kind, ReverseProxy},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn open_session() -> Request {
    Request::post("/cometd", json!([handshake()]).to_string())
}

/// What `kind` sends upstream for `request`: the head, in lower case.
async fn sent_upstream(kind: Kind, request: &Request) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a loopback port");
    let upstream = listener.local_addr().expect("an address");
    let proxy = ReverseProxy::start(kind, upstream).await;
    let mut client = Connection::open(proxy.address).await;
    client.send(request.bytes()).await;
    let (mut stream, _) = soon("a request", listener.accept()).await.expect("a connection");
    let mut bytes = Vec::new();
    soon("a head", async {
        while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
            assert!(stream.read_buf(&mut bytes).await.expect("read") > 0, "no request");
        }
    })
    .await;
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("write");
    assert_eq!(client.response().await.status, 204);
    let text = String::from_utf8(bytes).expect("a head in ASCII").to_ascii_lowercase();
    let end = text.find("\r\n\r\n").expect("the end of the head");
    text[..end + 2].to_owned()
}

#[tokio::test]
async fn every_proxy_names_host_address_and_scheme_whatever_the_client_claims() {
    for kind in Kind::FULL {
        let request = open_session()
            .without("Host")
            .header("Host", "chat.example:8443")
            .header("X-Forwarded-For", "6.6.6.6")
            .header("X-Forwarded-Proto", "https");
        let head = sent_upstream(kind, &request).await;
        let count = |name: &str| head.matches(&format!("\r\n{name}:")).count();
        assert!(head.starts_with("post /cometd http/1.1\r\n"), "{kind}: {head}");
        // With its port: without, a page of this very origin would count as a foreign one.
        assert!(head.contains("\r\nhost: chat.example:8443\r\n"), "{kind}: {head}");
        // The nearest is the last one, so no client can hide behind what it claims.
        let last = head.lines().rfind(|line| line.starts_with("x-forwarded-for:"));
        assert!(last.is_some_and(|line| line.ends_with("127.0.0.1")), "{kind}: {head}");
        assert!(head.contains("\r\nx-forwarded-proto: http\r\n"), "{kind}: {head}");
        assert_eq!((count("host"), count("x-forwarded-proto")), (1, 1), "{kind}: {head}");
    }
}

#[tokio::test]
async fn a_client_behind_a_trusted_proxy_is_known_by_its_own_address() {
    let settings = ["server.trusted_proxies=[\"127.0.0.1\"]", "log.ip=full"];
    let process = Process::start(&settings);
    for (kind, address) in Kind::FULL.into_iter().zip(["127.0.0.5", "127.0.0.6", "127.0.0.7"]) {
        let proxy = ReverseProxy::start(kind, process.address).await;
        let source: SocketAddr = format!("{address}:0").parse().expect("an address");
        let mut client = Connection::open_from(source, proxy.address).await;
        let broken = Request::post("/cometd", "{").header("X-Forwarded-For", "6.6.6.6");
        assert_eq!(client.exchange(&broken).await.status, 400);
        let wanted = format!("\"ip\":\"{address}\"");
        soon("a log line", async {
            while !process.log().contains(&wanted) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                assert!(!process.log().contains("6.6.6.6"), "{kind}: {}", process.log());
            }
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_is_believed_whose_address_is_not_listed() {
    // The proxies connect from 127.0.0.1, which is not trusted here.
    let process = Process::start(&["server.trusted_proxies=[\"10.0.0.1\"]", "log.ip=full"]);
    let proxy = ReverseProxy::start(Kind::Nginx, process.address).await;
    let request = open_session().header("X-Forwarded-Proto", "https");
    let response = http::request(proxy.address, &request).await;
    let cookie = response.header("set-cookie").expect("a cookie");
    assert!(!cookie.contains("Secure"), "{cookie}");
}

#[tokio::test]
async fn p087_cookies_pass_every_proxy_both_ways() {
    let broker = Broker::with(|config| config.session.browser_cookie.require = true).await;
    for kind in Kind::ALL {
        println!("{kind}");
        let proxy = ReverseProxy::start(kind, broker.address).await;
        let mut session = Polling::connected(proxy.address).await;
        session.subscribe("/a").await;
        // Without its cookie the session is refused, so the one above has arrived.
        session.cookie = None;
        let reply = session.one(json!({"channel": "/service/x", "data": 1, "id": "9"})).await;
        assert_eq!(reply["successful"], false, "{reply}");
    }
}

#[tokio::test]
async fn p091_answers_to_pages_of_other_origins_pass_every_proxy_once() {
    let allow = |config: &mut bayeuxd::config::Config| {
        config.server.allowed_origins = vec!["https://app.example".into()];
    };
    let broker = Broker::with(allow).await;
    for kind in Kind::ALL {
        println!("{kind}");
        let proxy = ReverseProxy::start(kind, broker.address).await;
        let preflight = Request::new("OPTIONS", "/cometd")
            .header("Origin", "https://app.example")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "content-type");
        let answers = [
            http::request(proxy.address, &preflight).await,
            http::request(proxy.address, &open_session().header("Origin", "https://app.example"))
                .await,
        ];
        for (answer, status) in answers.iter().zip([204, 200]) {
            assert_eq!(answer.status, status, "{answer:?}");
            // `header` fails on a name that occurs twice, as browsers do.
            let origin = answer.header("access-control-allow-origin");
            assert_eq!(origin, Some("https://app.example"));
            assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        }
        let foreign = open_session().header("Origin", "https://evil.example");
        assert_eq!(http::request(proxy.address, &foreign).await.status, 403);
    }
}

#[tokio::test]
async fn no_proxy_writes_a_client_id_to_its_log() {
    let streams = |config: &mut bayeuxd::config::Config| {
        config.transports.enabled.push(bayeuxd::config::Transport::EventSource);
    };
    let broker = Broker::with(streams).await;
    for kind in Kind::FULL {
        let proxy = ReverseProxy::start(kind, broker.address).await;
        let session = Polling::subscribed(proxy.address, "/a").await;
        let stream = Request::get(&format!("/cometd/{}", session.client_id))
            .header("Accept", "text/event-stream")
            .header("Cookie", session.cookie.as_deref().expect("a cookie"));
        let mut stream = http::Stream::open(proxy.address, &stream).await;
        stream.opened().await;
        broker.kick(&session.client_id);
        stream.rest().await;
        // What is none of ours is logged in the usual way, so there is a log.
        http::request(proxy.address, &Request::get("/elsewhere")).await;
        let line = if kind == Kind::Apache { " GET 404 " } else { "/elsewhere" };
        until("a line in the log", || proxy.written().contains(line)).await;
        let written = proxy.written();
        assert!(!written.contains(&session.client_id), "{kind}: {written}");
    }
}
