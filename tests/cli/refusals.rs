//! What operators read of refused publishes: log and feed say the same of each.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Value, json};

use super::{process::Folder, site::Site};

/// What the feed kept, oldest first.
fn kept(site: &Site) -> Vec<Value> {
    let key = fs::read_to_string(site.folder.0.join("bayeuxd/admin.key")).unwrap();
    let (host, key) = (site.admin(), key.trim());
    let mut socket = TcpStream::connect(host).unwrap();
    write!(
        socket,
        "GET /admin/v1/events?recent=100&follow=false HTTP/1.1\r\nHost: {host}\r\n\
         Authorization: Bearer {key}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Found by an operator who could not tell from the log which service publishes too much, and where.
#[test]
fn a_refused_publish_has_one_type_in_log_and_feed_and_names_key_and_channel() {
    let key = ["key", "gen", "--json", "--id", "orders", "--channels", "/orders/**"];
    let made = Folder::new("refusals_key").run(&[&key[..], &["--role", "publish"]].concat());
    let made: Value = serde_json::from_str(&made.out).unwrap();
    let (secret, digest) = (made["secret"].as_str().unwrap(), &made["secret_sha256"]);
    let keys = format!(
        "auth.keys=[{{ id = \"orders\", secret_sha256 = {digest}, channels = [\"/orders/**\"] }}]"
    );
    let flags = ["--log-format", "json", "--set", &keys, "--set", "api.message_size=1KiB"];
    let mut site = Site::with("refusals", &flags);
    let publish = |key: &str, channel: &str, data: &str| {
        let mut command = site.folder.command(&["pub", channel, data]);
        command.envs(site.variables.iter().map(|(name, value)| (name, value)));
        assert!(!command.env("BAYEUXD_KEY", key).output().unwrap().status.success());
    };
    publish("a-wrong-secret-of-some-length", "/orders/7", "1");
    publish(secret, "/others/7", "1");
    publish(secret, "/orders/7", &format!("\"{}\"", "x".repeat(2_000)));
    let fed = kept(&site);
    let log = site.broker.log_until("too_large");
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told: Vec<Value> = lines
        .iter()
        .filter(|line| line["api"] == true)
        .map(|line| json!([line["event"], line["ok"], line["error"], line["key"], line["channel"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["auth", false, "unauthorized", null, null]),
            json!(["error", false, "channel_denied", "orders", "/others/7"]),
            json!(["limit", false, "too_large", "orders", "/orders/7"]),
        ]
    );
    let types: Vec<&str> = fed
        .iter()
        .filter_map(|event| event["type"].as_str())
        .filter(|kind| *kind != "node")
        .collect();
    assert_eq!(types, ["auth", "error", "limit"]);
    assert_eq!(fed.last().unwrap()["limit"], "api.message_size");
    assert!(!log.contains(secret), "{log}");
}
