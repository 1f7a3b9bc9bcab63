//! A service that publishes over HTTP with an API key.

use std::net::SocketAddr;

use bayeuxd::{
    auth::Digest,
    config::{ApiKey, Config, Role},
};
use serde_json::Value;

use crate::{
    broker::Broker,
    http::{Request, Response, request},
};

/// The secret of the key `all`, which may publish everywhere.
pub const KEY: &str = "the-secret-of-a-service";

/// Makes a key of the role publish.
pub fn publish_key(id: &str, secret: &str, channels: &[&str]) -> ApiKey {
    ApiKey {
        id: id.into(),
        secret_sha256: Some(Digest::of(secret.as_bytes()).to_string()),
        role: Role::Publish,
        channels: channels.iter().map(|channel| (*channel).to_owned()).collect(),
        ..ApiKey::default()
    }
}

/// Starts a broker that knows [`KEY`], after `change` has had its way with its configuration.
pub async fn broker_with(change: impl FnOnce(&mut Config)) -> Broker {
    Broker::with(|config| {
        config.auth.keys.push(publish_key("all", KEY, &["/**"]));
        change(config);
    })
    .await
}

/// Starts a broker that knows [`KEY`].
pub async fn broker() -> Broker {
    broker_with(|_| {}).await
}

/// A POST with [`KEY`] to an endpoint below `/api/v1`.
pub fn call(endpoint: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::post(&format!("/api/v1{endpoint}"), body).header("X-API-Key", KEY)
}

/// Sends a POST with [`KEY`], on a connection of its own; status and JSON of the answer.
pub async fn post(address: SocketAddr, endpoint: &str, body: &Value) -> (u16, Value) {
    answer(&request(address, &call(endpoint, body.to_string())).await)
}

/// Status and JSON of an answer.
///
/// # Panics
/// If it is no JSON.
pub fn answer(response: &Response) -> (u16, Value) {
    assert_eq!(response.header("content-type"), Some("application/json"), "{response:?}");
    (response.status, serde_json::from_slice(&response.body).expect("JSON"))
}
