//! Lists of sessions, and one session.

use std::{collections::HashSet, time::Duration};

use protocol_tests::{
    bayeux::{Polling, Socket, handshake},
    broker::Broker,
    http::{Connection, Request},
    operator::{broker, broker_with, get, read},
};
use serde_json::{Value, json};
use tokio::time::sleep;

async fn list(broker: &Broker, parameters: &str) -> Vec<String> {
    let answer = read(broker.admin, &format!("/sessions{parameters}")).await;
    sids(&answer)
}

fn sids(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap().iter();
    items.map(|item| item["sid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_session_is_told_with_its_numbers() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let sid = broker.sid(&socket.client_id);
    for _ in 0..3 {
        socket.publish("/none", 1).await;
    }
    let mut publisher = Polling::handshake(broker.address).await;
    publisher.publish("/a", 1).await;
    assert_eq!(socket.recv_messages(1).await.len(), 1);
    let away = Polling::subscribed(broker.address, "/b/*").await;
    for _ in 0..2 {
        publisher.publish("/b/c", "x").await;
    }
    let socket_now = read(broker.admin, &format!("/sessions/{sid}")).await;
    assert_eq!(socket_now["transport"], json!("websocket"));
    assert_eq!(socket_now["connected"], json!(true));
    assert_eq!(socket_now["received"], json!(3));
    assert_eq!(socket_now["delivered"], json!(1));
    assert_eq!(socket_now["subscriptions"], json!(1));
    assert_eq!(socket_now["channels"], json!(["/a"]));
    assert_eq!(socket_now["extensions"], json!([]));
    assert_eq!(socket_now["ip"], json!("127.0.0.0"));
    assert_eq!(socket_now.get("expires_s"), None);
    assert_eq!(socket_now["queue_limit"], json!({"messages": 1000, "bytes": 1 << 20}));
    let types: Vec<&str> = socket_now["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(types[0], "handshake");
    assert!(types.contains(&"subscribe") && types.contains(&"connect"), "{types:?}");

    let polling = broker.sid(&away.client_id);
    let answer = read(broker.admin, "/sessions").await;
    assert_eq!(answer.get("next"), None);
    let item = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["sid"] == json!(polling))
        .unwrap();
    assert_eq!(item["transport"], json!("long-polling"));
    assert_eq!(item["connected"], json!(false));
    assert_eq!(item["queue"]["messages"], json!(2));
    assert!(item["queue"]["bytes"].as_u64().unwrap() > 20, "{item}");
    let expires = item["expires_s"].as_u64().unwrap();
    assert!((50..=60).contains(&expires), "{item}");
}

#[tokio::test]
async fn the_ack_extension_is_told() {
    let broker = broker().await;
    let mut acknowledging = handshake();
    acknowledging["ext"] = json!({"ack": true});
    let polling = Polling::handshake_with(broker.address, acknowledging).await;
    let sid = broker.sid(&polling.client_id);
    let session = read(broker.admin, &format!("/sessions/{sid}")).await;
    assert_eq!(session["extensions"], json!(["ack"]));
    assert_eq!(session["deliver_only"], json!(true));
}

#[tokio::test]
async fn lists_are_narrowed_by_channel_transport_state_and_text() {
    let broker = broker().await;
    let socket = Socket::subscribed(broker.address, "/a/b").await;
    let pattern = Polling::subscribed(broker.address, "/a/**").await;
    let mut other = Polling::handshake(broker.address).await;
    other.subscribe("/c").await;
    let [socket, pattern, other] =
        [&socket.client_id, &pattern.client_id, &other.client_id].map(|id| broker.sid(id));
    let sorted = |sids: &[&String]| {
        let mut sids: Vec<String> = sids.iter().map(|sid| (*sid).clone()).collect();
        sids.sort();
        sids
    };
    assert_eq!(list(&broker, "").await, sorted(&[&socket, &pattern, &other]));
    assert_eq!(list(&broker, "?channel=/a/b").await, sorted(&[&socket, &pattern]));
    assert_eq!(list(&broker, "?channel=/a/**").await, sorted(&[&socket, &pattern]));
    assert_eq!(list(&broker, "?channel=/a/*").await, sorted(&[&socket]));
    assert_eq!(list(&broker, "?channel=%2Fc").await, sorted(&[&other]));
    assert_eq!(list(&broker, "?transport=websocket").await, sorted(&[&socket]));
    assert_eq!(list(&broker, "?connected=true").await, sorted(&[&socket]));
    assert_eq!(list(&broker, "?connected=false").await, sorted(&[&pattern, &other]));
    assert_eq!(list(&broker, &format!("?search={}", &other[..9])).await, sorted(&[&other]));
    assert_eq!(list(&broker, "?search=127.0.0").await.len(), 3);
    assert_eq!(list(&broker, "?search=nobody").await.len(), 0);
    assert_eq!(list(&broker, "?search=127&transport=long-polling&channel=/c").await, [other]);
}

#[tokio::test]
async fn sessions_are_sorted_by_queue_age_and_rate() {
    let broker = broker().await;
    let first = Polling::subscribed(broker.address, "/one").await;
    let mut second = Socket::connected(broker.address).await;
    let third = Polling::subscribed(broker.address, "/many").await;
    for number in 0..5 {
        second.publish("/many", number).await;
    }
    second.publish("/one", 1).await;
    let [first, busy, third] =
        [&first.client_id, &second.client_id, &third.client_id].map(|id| broker.sid(id));
    assert_eq!(list(&broker, "?sort=queue").await, [third.as_str(), &first, &busy]);
    assert_eq!(list(&broker, "?sort=queue&limit=1").await, [third.as_str()]);
    let mut by_age = list(&broker, "?sort=age").await;
    assert_eq!(by_age.remove(0), first);
    assert_eq!(by_age.len(), 2);
    let asking = read(broker.admin, "/sessions?sort=rate&limit=1");
    let publishing = async {
        loop {
            second.publish("/none", 1).await;
            sleep(Duration::from_millis(5)).await;
        }
    };
    let answer = tokio::select! { answer = asking => answer, () = publishing => unreachable!() };
    assert_eq!(sids(&answer), [busy], "{answer}");
    assert!(answer["items"][0]["in_per_s"].as_f64().unwrap() > 5.0, "{answer}");
    let calm = read(broker.admin, &format!("/sessions/{first}?rates=true")).await;
    assert_eq!((&calm["in_per_s"], &calm["out_per_s"]), (&json!(0.0), &json!(0.0)));
}

#[tokio::test]
async fn pages_over_2500_sessions_hold_each_one_once_in_every_order() {
    const SESSIONS: usize = 2_500;
    // On a slow machine the first would be gone before the last is asked for.
    let hour = Duration::from_secs(3_600);
    let broker = broker_with(|config| config.session.handshake_grace = hour).await;
    let mut connection = Connection::open(broker.address).await;
    let request = Request::post("/cometd", json!([handshake()]).to_string());
    for _ in 0..SESSIONS {
        assert_eq!(connection.exchange(&request).await.status, 200);
    }
    for sort in ["sid", "age", "queue"] {
        for limit in [1_000, 999, 100] {
            let (mut met, mut cursor, mut pages) = (HashSet::new(), String::new(), 0);
            loop {
                let target = format!("/sessions?sort={sort}&limit={limit}{cursor}");
                let answer = read(broker.admin, &target).await;
                let page = sids(&answer);
                assert!(page.len() <= limit);
                pages += 1;
                met.extend(page);
                match answer["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(met.len(), SESSIONS, "{sort} {limit}");
            assert_eq!(pages, SESSIONS.div_ceil(limit), "{sort} {limit}");
        }
    }
    // A cursor of a session that has gone since is as good.
    let page = sids(&read(broker.admin, "/sessions?limit=1").await);
    let from =
        format!("/sessions?limit=1&cursor={:012x}", u64::from_str_radix(&page[0], 16).unwrap() - 1);
    assert_eq!(sids(&read(broker.admin, &from).await), page);
    let (status, _) = get(broker.admin, &format!("/sessions/{}", page[0])).await;
    assert_eq!(status, 200);
}
