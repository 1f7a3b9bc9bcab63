//! T9 and T15: other people's sessions, and other people's pages.

use std::collections::HashSet;

use protocol_tests::{
    bayeux::{Polling, Socket, connect_now, publish, refused, unknown_connect},
    http::{self, Request},
    random::Random,
    websocket::{WebSocket, upgrade_request},
};
use serde_json::json;

use crate::siege::Siege;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_ids_are_random_in_every_bit() {
    let siege = Siege::begin(&[]).await;
    const COUNT: usize = 800;
    let mut ids = HashSet::new();
    let mut ones = [0_usize; 128];
    for _ in 0..COUNT {
        let id = Polling::handshake(siege.address()).await.client_id;
        let bits = u128::from_str_radix(&id, 16).expect("32 hexadecimal digits");
        assert_eq!(id.len(), 32, "{id}");
        (0..128).for_each(|bit| ones[bit] += (bits >> bit & 1) as usize);
        assert!(ids.insert(bits), "{id} came twice");
    }
    // Each bit is a fair coin: 6 standard deviations would be one run in millions.
    let deviation = (COUNT as f64 / 4.0).sqrt() * 6.0;
    for (bit, ones) in ones.iter().enumerate() {
        assert!((*ones as f64 - COUNT as f64 / 2.0).abs() < deviation, "bit {bit}: {ones}");
    }
    siege.end("T9 ids", 16).await;
}

#[tokio::test]
async fn guessed_ids_find_nobody() {
    let siege = Siege::begin(&[]).await;
    let mut victim = Polling::subscribed(siege.address(), "/a").await;
    let mut thief = Polling::connected(siege.address()).await;
    let mut random = Random::new(1);
    for _ in 0..100 {
        let mut guesses: Vec<_> = (0..99)
            .map(|_| {
                let mut guess = publish("1", "/a", 1);
                guess["clientId"] = format!("{:016x}{:016x}", random.bits(), random.bits()).into();
                guess
            })
            .collect();
        // Near misses of a real one.
        let id = &victim.client_id;
        for near in [id.to_uppercase(), format!("0{id}"), id[1..].into(), format!("{id} ")] {
            if near != *id {
                guesses[random.below(0..99) as usize]["clientId"] = near.into();
            }
        }
        let replies = thief.send(guesses.into()).await;
        assert!(
            replies.iter().all(|reply| reply["error"] == "402::session_unknown"),
            "{replies:?}"
        );
    }
    assert_eq!(victim.fetch().await.len(), 1, "nothing was published");
    siege.end("T9 guesses", 8).await;
}

#[tokio::test]
async fn a_session_answers_to_its_own_browser_only() {
    let siege = Siege::begin(&[]).await;
    let mut victim = Polling::subscribed(siege.address(), "/a").await;
    let thief = Polling::connected(siege.address()).await;
    let cookie = thief.cookie.clone().expect("a cookie");
    let victims = victim.cookie.clone().expect("a cookie");
    let error = "402::session_unknown";
    // Over HTTP, as the first and as the second message of a batch.
    let mut disguised = Polling::connected(siege.address()).await;
    (disguised.client_id, disguised.cookie) = (victim.client_id.clone(), Some(cookie.clone()));
    assert_eq!(disguised.one(connect_now("3")).await, unknown_connect("3"));
    assert_eq!(disguised.one(publish("4", "/a", 1)).await, refused("4", "/a", error));
    let mut foreign = publish("6", "/a", 1);
    foreign["clientId"] = victim.client_id.as_str().into();
    let replies = thief.elsewhere(json!([publish("5", "/b", 1), foreign])).await;
    assert_eq!(replies[1], refused("6", "/a", error));
    // Over WebSocket: adoption under another cookie, planted or somebody's.
    let broken = format!("{}x", &victims[..victims.len() - 1]);
    for cookie in [&cookie, "BAYEUX_BROWSER=planted", &broken] {
        let request = upgrade_request("/cometd").header("Cookie", cookie);
        let websocket = WebSocket::open_with(siege.address(), &request).await;
        let mut socket = Socket { websocket, client_id: victim.client_id.clone() };
        assert_eq!(socket.one(connect_now("7")).await, unknown_connect("7"), "{cookie}");
    }
    assert_eq!(victim.fetch().await.len(), 1, "the victim is alive, and nothing was published");
    siege.end("T9 cookies", 8).await;
}

#[tokio::test]
async fn foreign_pages_are_refused_however_they_spell_themselves() {
    let origins = r#"server.allowed_origins=["https://good.example"]"#;
    let siege = Siege::begin(&[
        origins,
        r#"transports.enabled=["websocket","long-polling","callback-polling"]"#,
    ])
    .await;
    let foreign = [
        "null",
        "https://evil.example",
        "http://good.example",
        "https://good.example.evil.example",
        "https://evilgood.example",
        "https://sub.good.example",
        "https://good.example:8443",
        "https://good.example:443@evil.example",
        "https://good.example/",
        "https://good.example.",
        "https://",
        "good.example",
        "https://good.example https://evil.example",
        "*",
        "",
        "file://",
        "https://good.example%00.evil.example",
        "https://xn--good.example",
        "HTTPS://GOOD.EXAMPLE.evil",
    ];
    let body = json!([protocol_tests::bayeux::handshake()]).to_string();
    let request = |kind: usize| match kind {
        0 => Request::post("/cometd", body.clone()),
        1 => Request::new("OPTIONS", "/cometd").header("Access-Control-Request-Method", "POST"),
        _ => upgrade_request("/cometd"),
    };
    for (kind, accepted) in [200, 204, 101].into_iter().enumerate() {
        for origin in foreign {
            let response =
                http::request(siege.address(), &request(kind).header("Origin", origin)).await;
            assert_eq!(response.status, 403, "{kind}: {origin}");
            assert_eq!(response.header("access-control-allow-origin"), None, "{origin}");
        }
        let good = request(kind).header("Origin", "https://good.example");
        assert_eq!(http::request(siege.address(), &good).await.status, accepted);
    }
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Referer", "https://good.example.evil.example/good.example"),
        ("Referer", "https://evil.example/?https://good.example"),
    ] {
        let target =
            "/cometd?jsonp=f&message=%5B%7B%22channel%22%3A%22%2Fmeta%2Fhandshake%22%7D%5D";
        let response =
            http::request(siege.address(), &Request::get(target).header(name, value)).await;
        assert_eq!(response.status, 403, "{name}: {value}");
    }
    siege.end("T15 origins", 8).await;
}
