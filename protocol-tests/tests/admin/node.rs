//! Channels, totals, configuration.

use std::{collections::BTreeSet, time::Duration};

use bayeuxd::config::{ChannelRule, QueuePolicy, Service, UNLIMITED};
use protocol_tests::{
    bayeux::{Polling, Socket},
    operator::{ADMIN_KEY, broker, broker_with, get, read},
    service::publish_key,
};
use serde_json::{Value, json};
use tokio::time::sleep;

fn names(answer: &Value) -> Vec<&str> {
    let items = answer["items"].as_array().unwrap().iter();
    items.map(|item| item["channel"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn channels_are_listed_with_subscribers_and_messages() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a/b").await;
    socket.subscribe("/a/**").await;
    let _other = Polling::subscribed(broker.address, "/a/b").await;
    let mut publisher = Polling::handshake(broker.address).await;
    publisher.publish("/a/b", 1).await;
    publisher.publish("/c", 1).await;
    let all = read(broker.admin, "/channels").await;
    assert_eq!(names(&all), ["/a/**", "/a/b", "/c"]);
    let b = &all["items"][1];
    assert_eq!((&b["subscribers"], &b["published"]), (&json!(2), &json!(1)));
    assert_eq!((&b["pattern"], &b["persistent"]), (&json!(false), &json!(false)));
    assert!(b["last_publish_s"].as_u64().unwrap() < 5, "{b}");
    assert_eq!(all["items"][0].get("last_publish_s"), None);
    assert_eq!(names(&read(broker.admin, "/channels?pattern=/a/*").await), ["/a/b"]);
    let busiest = read(broker.admin, "/channels?sort=subscribers&limit=1").await;
    assert_eq!(names(&busiest), ["/a/b"]);
    let next = busiest["next"].as_str().unwrap();
    let rest = read(broker.admin, &format!("/channels?sort=subscribers&cursor={next}")).await;
    assert_eq!(names(&rest), ["/a/**", "/c"]);

    let one = read(broker.admin, "/channels/a/b").await;
    assert_eq!((&one["subscribers"], &one["receivers"]), (&json!(2), &json!(2)));
    assert_eq!(one["patterns"], json!([{"channel": "/a/**", "subscribers": 1}]));
    let unused = read(broker.admin, "/channels/a/b/c").await;
    assert_eq!((&unused["subscribers"], &unused["receivers"]), (&json!(0), &json!(1)));
    let pattern = read(broker.admin, "/channels/a/**").await;
    assert_eq!((&pattern["subscribers"], pattern.get("receivers")), (&json!(1), None));
    assert_eq!(get(broker.admin, "/channels/d").await.0, 404);
}

#[tokio::test]
async fn what_channels_drop_by_their_policy_is_not_lost() {
    let broker = broker_with(|config| {
        config.session.queue.max_messages = 3;
        config.channels.push(ChannelRule {
            pattern: "/latest".into(),
            queue_policy: Some(QueuePolicy::Latest),
            ..ChannelRule::default()
        });
    })
    .await;
    let _lossy = Polling::subscribed(broker.address, "/latest").await;
    let slow = Polling::subscribed(broker.address, "/slow").await;
    let mut publisher = Polling::handshake(broker.address).await;
    for number in 0..4 {
        publisher.publish("/latest", number).await;
    }
    let totals = read(broker.admin, "/stats").await["totals"].clone();
    assert_eq!((&totals["dropped_latest"], &totals["lost"]), (&json!(3), &json!(0)));
    for number in 0..4 {
        publisher.publish("/slow", number).await;
    }
    broker.until_gone(&slow.client_id).await;
    let totals = read(broker.admin, "/stats").await["totals"].clone();
    assert_eq!((&totals["discarded"], &totals["lost"]), (&json!(3), &json!(3)));
}

#[tokio::test]
async fn pages_over_channels_hold_each_one_once_and_the_busiest_comes_first() {
    let broker = broker_with(|config| config.limits.subscriptions = UNLIMITED).await;
    let mut socket = Socket::handshake(broker.address).await;
    let wanted: Vec<String> = (0..250).map(|number| format!("/n/{number:03}")).collect();
    for name in &wanted {
        socket.subscribe(name).await;
    }
    let (mut met, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = read(broker.admin, &format!("/channels?limit=100{cursor}")).await;
        met.extend(names(&answer).into_iter().map(str::to_owned));
        match answer["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(met, wanted);
    let asking = read(broker.admin, "/channels?sort=rate&limit=1");
    let mut publisher = Polling::handshake(broker.address).await;
    let publishing = async {
        loop {
            publisher.publish("/n/100", 1).await;
            sleep(Duration::from_millis(5)).await;
        }
    };
    let answer = tokio::select! { answer = asking => answer, () = publishing => unreachable!() };
    assert_eq!(names(&answer), ["/n/100"], "{answer}");
    assert!(answer["items"][0]["in_per_s"].as_f64().unwrap() > 1.0, "{answer}");
}

#[tokio::test]
async fn stats_tell_totals_and_limits() {
    let broker = broker().await;
    let mut polling = Polling::subscribed(broker.address, "/a").await;
    polling.publish("/a", 1).await;
    let stats = read(broker.admin, "/stats").await;
    assert_eq!((&stats["sessions"], &stats["subscriptions"]), (&json!(1), &json!(1)));
    assert_eq!((&stats["channels"], &stats["draining"]), (&json!(1), &json!(false)));
    assert_eq!(stats["sessions_limit"], json!(200_000));
    assert!(stats["queue_bytes_limit"].as_u64().unwrap() > 1 << 20, "{stats}");
    assert_eq!(stats["totals"]["published"], json!(1));
    assert_eq!(stats["totals"]["sessions_created"], json!(1));
    assert_eq!(stats.get("in_per_s"), None, "nobody has asked before");
    assert!(stats["version"].is_string() && stats["now"].is_string(), "{stats}");
    let described = read(broker.admin, "/openapi.json").await;
    let totals = &described["components"]["schemas"]["Stats"]["properties"]["totals"]["properties"];
    let keys = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&stats["totals"]), keys(totals), "as the description has it");
}

#[tokio::test]
async fn stats_tell_how_long_deliveries_take() {
    let broker = broker().await;
    let _subscriber = Socket::subscribed(broker.address, "/a").await;
    let mut publisher = Polling::handshake(broker.address).await;
    let first = read(broker.admin, "/stats").await;
    assert_eq!(first.get("delivery_p50_ms"), None, "nobody has asked before");
    // One in eight is timed.
    for n in 0..8 {
        publisher.publish("/a", n).await;
    }
    // The time over which the pace is taken at least.
    sleep(Duration::from_secs(1)).await;
    let stats = read(broker.admin, "/stats").await;
    let of = |name: &str| stats[name].as_f64().unwrap();
    let (half, most) = (of("delivery_p50_ms"), of("delivery_p99_ms"));
    assert!(0.0 < half && half <= most && most <= 10_000.0, "{stats}");
}

#[tokio::test]
async fn the_configuration_is_told_without_secrets() {
    const SECRETS: [&str; 3] = ["canary-of-a-header", "canary-of-a-query", ADMIN_KEY];
    let broker = broker_with(|config| {
        config.session.timeout = Duration::from_secs(20);
        config.services.push(Service {
            channel: "/service/a".into(),
            url: format!("http://127.0.0.1:9/quote?key={}", SECRETS[1]),
            headers: vec![format!("X-Key: {}", SECRETS[0])],
            ..Service::default()
        });
    })
    .await;
    let answer = read(broker.admin, "/config").await;
    let text = answer.to_string();
    let digest = bayeuxd::auth::Digest::of(ADMIN_KEY.as_bytes()).to_string();
    for secret in SECRETS.iter().copied().chain([digest.as_str()]) {
        assert!(!text.contains(secret), "{secret}");
    }
    let value = |key: &str| {
        let items = answer["items"].as_array().unwrap();
        items.iter().find(|item| item["key"] == json!(key)).unwrap_or_else(|| panic!("{key}"))
    };
    assert_eq!(value("session.timeout")["value"], json!("20s"));
    assert_eq!(value("session.timeout")["default"], json!(false));
    assert_eq!(value("session.interval")["default"], json!(true));
    assert_eq!(value("limits.queued_bytes")["auto"], json!(true));
    assert!(value("limits.queued_bytes")["value"].as_str().unwrap().ends_with('B'));
    assert!(value("session.timeout")["doc"].as_str().unwrap().len() > 20);
    let key = &value("auth.keys")["value"][0];
    assert_eq!((&key["id"], &key["secret_sha256"]), (&json!("root"), &json!("***")));
    assert_eq!(value("services")["value"][0]["url"], json!("http://127.0.0.1:9/quote?***"));
    // After a reload the new keys are shown.
    let mut keys = vec![protocol_tests::operator::admin_key()];
    keys.push(publish_key("orders", "the-secret-of-orders", &["/orders/**"]));
    broker.replace_keys(&keys);
    let answer = read(broker.admin, "/config").await;
    assert!(answer.to_string().contains("\"orders\""), "{answer}");
}
