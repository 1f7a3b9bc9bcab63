//! An operator with a key for the admin API.

use std::net::SocketAddr;

use bayeuxd::config::{ApiKey, Config, Role};
use serde_json::Value;

use crate::{
    broker::Broker,
    http::{Request, Stream, request},
    service::{answer, publish_key},
};

/// The secret of the key `root`, of the role admin.
pub const ADMIN_KEY: &str = "the-secret-of-an-operator";

/// Makes the key `root`.
pub fn admin_key() -> ApiKey {
    ApiKey { role: Role::Admin, ..publish_key("root", ADMIN_KEY, &[]) }
}

/// Starts a broker that knows [`ADMIN_KEY`], after `change` has had its way with its configuration.
pub async fn broker_with(change: impl FnOnce(&mut Config)) -> Broker {
    Broker::with(|config| {
        config.auth.keys.push(admin_key());
        change(config);
    })
    .await
}

/// Starts a broker that knows [`ADMIN_KEY`].
pub async fn broker() -> Broker {
    broker_with(|_| {}).await
}

/// A request with [`ADMIN_KEY`] below `/admin/v1`.
pub fn asking(method: &str, target: &str) -> Request {
    let key = format!("Bearer {ADMIN_KEY}");
    Request::new(method, &format!("/admin/v1{target}")).header("Authorization", &key)
}

/// Sends a GET; status and JSON of the answer.
pub async fn get(admin: SocketAddr, target: &str) -> (u16, Value) {
    answer(&request(admin, &asking("GET", target)).await)
}

/// Sends a GET that has to succeed; its JSON.
///
/// # Panics
/// If it is refused.
pub async fn read(admin: SocketAddr, target: &str) -> Value {
    let (status, answer) = get(admin, target).await;
    assert_eq!(status, 200, "{target}: {answer}");
    answer
}

/// Sends a POST; status and JSON of the answer.
pub async fn act(admin: SocketAddr, target: &str, body: &str) -> (u16, Value) {
    answer(&request(admin, &asking("POST", target).body(body)).await)
}

/// Opens the feed of events, and waits until it listens.
pub async fn feed(admin: SocketAddr, parameters: &str) -> Stream {
    let mut feed = Stream::open(admin, &asking("GET", &format!("/events{parameters}"))).await;
    assert_eq!(feed.until("\n").await, "\n", "the first line says that the feed listens");
    feed
}

/// The next event of a feed.
pub async fn event(feed: &mut Stream) -> Value {
    serde_json::from_str(&feed.until("\n").await).expect("an event is JSON")
}
