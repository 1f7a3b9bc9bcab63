//! What is logged and shown, changed while the broker runs.

use protocol_tests::{
    bayeux::Polling,
    deadline::until,
    operator::{act, read},
};
use serde_json::{Value, json};

use super::{Site, names};

/// Lines of the log at `debug` about a session that comes meanwhile.
async fn debug_lines(site: &Site) -> usize {
    let before = site.process.log().len();
    let _session = Polling::connected(site.address()).await;
    // What an operator does is a line in any case, and the last one here.
    act(site.process.admin, "/publish", r#"{"channel":"/last","data":1}"#).await;
    let log = || site.process.log().get(before..).unwrap_or_default().to_owned();
    until("the line of the operator", || log().contains("\"call\":\"publish\"")).await;
    log().lines().filter(|line| line.contains("\"level\":\"debug\"")).count()
}

#[tokio::test]
async fn the_log_level_goes_to_debug_and_back() {
    let site = Site::start("levels", "");
    assert_eq!(debug_lines(&site).await, 0);
    let answer = site.reload("[log]\nlevel = \"debug\"\n").await;
    assert_eq!(names(&answer, "reloaded"), ["log.level"]);
    let lines = debug_lines(&site).await;
    assert!(lines >= 2, "handshake and connect: {}", site.process.log());
    site.reload("[log]\nlevel = \"warn,bayeuxd::server::report=info\"\n").await;
    assert_eq!(debug_lines(&site).await, 0);
    assert_eq!(site.value("log.level").await, "warn,bayeuxd::server::report=info");
}

#[tokio::test]
async fn addresses_for_operators_follow_a_reload() {
    let site = Site::start("addresses", "[monitor]\nip = \"none\"\n");
    let addresses = async || -> Vec<Value> {
        let listed = read(site.process.admin, "/sessions").await;
        let items = listed["items"].as_array().expect("a list of sessions").iter();
        items.filter_map(|item| item.get("ip").cloned()).collect()
    };
    let _before = Polling::connected(site.address()).await;
    assert_eq!(addresses().await, Vec::<Value>::new());
    site.reload("[monitor]\nip = \"full\"\n").await;
    let _after = Polling::connected(site.address()).await;
    assert_eq!(addresses().await.last(), Some(&json!("127.0.0.1")));
}
