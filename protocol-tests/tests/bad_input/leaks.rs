//! T19: what must not come out again.

use std::{env, fs, net::SocketAddr, process, time::Duration};

use protocol_tests::{
    bayeux::{Polling, Socket, connect_now, delivery, handshake},
    collector::Collector,
    deadline::within,
    http::{self, Request},
    process::Process,
};
use serde_json::{Value, json};
use tokio::time::sleep;

const SECRET: &str = "5ecretT0ken";

/// A publish that carries all that subscribers must not see.
fn telling() -> Value {
    json!({
        "channel": "/a", "id": "77", "data": {"d": 1},
        "ext": {"authentication": {"token": SECRET}, "own": 2},
        "advice": {"reconnect": "none"}, "successful": false, "error": "e", "own": 3,
        "version": "1.0", "connectionType": "websocket", "subscription": "/b",
        "supportedConnectionTypes": ["x"], "minimumVersion": "1.0", "authSuccessful": true, "x-messages": 9,
    })
}

#[tokio::test]
async fn deliveries_hold_nothing_of_their_publisher() {
    let jsonp = r#"transports.enabled=["websocket","long-polling","callback-polling"]"#;
    let mut process = Process::start(&[jsonp]);
    let address = process.address;
    let mut socket = Socket::subscribed(address, "/a").await;
    let mut polling = Polling::subscribed(address, "/a").await;
    let scripted = Polling::subscribed(address, "/a").await;
    let mut publisher = Polling::subscribed(address, "/a").await;
    let own = publisher.send(json!([telling()])).await;
    let mut expected = delivery("/a", json!({"d": 1}));
    (expected["ext"], expected["own"]) = (json!({"own": 2}), 3.into());
    assert_eq!(own[0], expected, "nor its own echo");
    assert_eq!(own[1]["id"], "77");
    assert_eq!(socket.recv().await, [expected.clone()]);
    assert_eq!(polling.fetch().await[0], expected);
    let mut connect = connect_now("5");
    connect["clientId"] = scripted.client_id.as_str().into();
    let message = json!([connect]).to_string();
    let escaped: String = message.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let target = format!("/cometd?jsonp=f&message={escaped}");
    let request = Request::get(&target).header("Sec-Fetch-Site", "same-origin");
    let response = http::request(address, &request).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert!(!response.text().contains(SECRET) && !response.text().contains(&publisher.client_id));
    assert!(response.text().contains(r#""own":2"#), "{}", response.text());
    process.assert_well();
}

/// Sends [`SECRET`] in every place that a request has; returns the clientIds and cookies of its sessions.
async fn tell_secrets(address: SocketAddr, admin: SocketAddr) -> Vec<String> {
    let mut session = Polling::subscribed(address, "/a").await;
    let mut socket = Socket::subscribed(address, "/a").await;
    session.send(json!([telling()])).await;
    let mut handshake = handshake();
    handshake["ext"] = json!({"authentication": {"token": SECRET}, "own": SECRET});
    session.elsewhere(json!([handshake])).await;
    handshake["ext"]["authentication"]["key"] = SECRET.into();
    Socket::open(address).await.one(handshake).await;
    // And on every way to a refusal.
    let mut bad = telling();
    bad["channel"] = "/meta/x".into();
    session.send(json!([bad])).await;
    (bad["channel"], bad["data"]) = ("/service/x".into(), SECRET.into());
    session.send(json!([bad.clone()])).await;
    socket.send(json!([bad])).await;
    for (name, value) in [
        ("Authorization", format!("Bearer {SECRET}")),
        ("X-API-Key", SECRET.to_owned()),
        ("Cookie", format!("session={SECRET}; BAYEUX_BROWSER={SECRET}")),
        ("Idempotency-Key", SECRET.to_owned()),
        ("tracestate", format!("a={SECRET}")),
    ] {
        let polled = session.request(json!([telling()])).header(name, &value);
        http::request(address, &polled).await;
        let asked = format!("/api/v1/publish/a?token={SECRET}");
        let published = Request::post(&asked, json!(SECRET).to_string()).header(name, &value);
        http::request(address, &published).await;
        let asked = format!("/admin/v1/sessions?token={SECRET}");
        http::request(admin, &Request::get(&asked).header(name, &value)).await;
        http::request(admin, &Request::get("/metrics").header(name, &value)).await;
    }
    let broken = format!("[{{\"token\":\"{SECRET}\"");
    http::request(address, &Request::post(&format!("/cometd?t={SECRET}"), broken.clone())).await;
    http::request(address, &Request::post("/api/v1/publish", broken.clone())).await;
    let mut cookie = Polling::connected(address).await;
    let cookies = [session.cookie.clone(), cookie.cookie.clone()];
    cookie.cookie = Some(format!("BAYEUX_BROWSER={SECRET}"));
    cookie.one(connect_now("3")).await;
    let mut breaking = Socket::subscribed(address, "/a").await;
    breaking.send_raw(broken).await;
    breaking.close_code().await;
    session.one(json!({"channel": "/meta/disconnect", "id": "9"})).await;
    socket.one(json!({"channel": "/meta/disconnect", "id": "9"})).await;
    let ids = [session.client_id, socket.client_id, breaking.client_id, cookie.client_id];
    let values = cookies.into_iter().flatten();
    let values = values.filter_map(|cookie| Some(cookie.split_once('=')?.1.to_owned()));
    ids.into_iter().chain(values).collect()
}

#[tokio::test]
async fn secrets_are_in_no_output_at_any_level() {
    let folder = env::temp_dir().join(format!("bayeuxd-leaks-{}", process::id()));
    let key_file = folder.join("admin.key");
    for format in ["json", "text"] {
        let collector = Collector::start().await;
        let mut process = Process::start(&[
            "log.level=trace",
            &format!("log.format={format}"),
            "log.errors_per_second=1000",
            "monitor.payloads=true",
            "log.ip=full",
            "monitor.ip=full",
            "otel.sample_ratio=1",
            "otel.interval=20ms",
            &format!("otel.endpoint=http://{}", collector.address),
            &format!("admin.key_file={}", key_file.display()),
        ]);
        let (address, admin) = (process.address, process.admin);
        let key = fs::read_to_string(&key_file).expect("the key that it made");
        let key = key.trim();
        let asking =
            |path: &str| Request::get(path).header("Authorization", &format!("Bearer {key}"));
        let mut feed = http::Stream::open(admin, &asking("/admin/v1/events")).await;
        let mut secrets = tell_secrets(address, admin).await;
        secrets.extend([SECRET.to_owned(), key.to_owned()]);
        let mut outputs = vec![("feed", String::new())];
        while !outputs[0].1.contains("\"disconnect\"") {
            outputs[0].1 += &feed.until("\n").await;
        }
        for path in [
            "/metrics",
            "/admin/v1/events?recent=1000&follow=false",
            "/admin/v1/sessions",
            "/admin/v1/channels",
            "/admin/v1/stats",
            "/admin/v1/config",
        ] {
            let response = http::request(admin, &asking(path)).await;
            assert_eq!(response.status, 200, "{path}");
            outputs.push((path, response.text().to_owned()));
        }
        within(Duration::from_secs(5), "the last line", async {
            while process.log().matches("disconnect").count() < 2 {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        outputs.push(("log", process.log()));
        collector.spans(2).await;
        outputs.push(("traces", collector.text()));
        for (name, output) in &outputs {
            assert!(output.len() > 100, "{name}: {output}");
            for secret in &secrets {
                assert!(!output.contains(secret.as_str()), "{secret} in {name}: {output}");
            }
        }
        process.assert_well();
    }
    fs::remove_dir_all(folder).expect("it is there");
}

/// T20: what clients send cannot end a line of the log or paint a terminal.
#[tokio::test]
async fn a_log_line_stays_one_line() {
    let process = Process::start(&["log.level=trace", "log.errors_per_second=1000"]);
    let mut session = Polling::connected(process.address).await;
    for name in ["/a\r\n{\"level\":\"error\"}", "/\u{1b}[31mred", "/\u{2028}x", "/\u{0}"] {
        session.one(json!({"channel": name, "id": "3", "data": 1})).await;
        session.one(json!({"channel": "/meta/subscribe", "id": "4", "subscription": name})).await;
    }
    session.one(json!({"channel": "/meta/disconnect", "id": "9"})).await;
    sleep(Duration::from_millis(100)).await;
    for line in process.log().lines() {
        let parsed: Result<Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok_and(|line| line["level"] != "error"), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
}
