//! Prometheus' own judgement: of the page of a loaded broker, of the alerts, of the dashboard's queries.
//!
//! `$PROMTOOL` is the program; the suite `metrics` of ./run brings it.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use protocol_tests::{
    bayeux::{Polling, Socket},
    broker::Broker,
    metrics::Scrape,
};
use serde_json::Value;

/// Runs promtool with `input`; its output if it finds nothing to complain of.
fn promtool(arguments: &[&str], input: &str) -> String {
    let program = env::var("PROMTOOL").unwrap_or_else(|_| "promtool".into());
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(deploy().join("prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}:\n{text}\n{input}");
    text
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

#[tokio::test]
async fn the_page_of_a_loaded_broker_is_sound() {
    let broker = Broker::start().await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(Socket::subscribed(broker.address, "/load/*").await);
    }
    let mut publisher = Socket::connected(broker.address).await;
    let mut poll = Polling::subscribed(broker.address, "/load/1").await;
    for number in 0..100 {
        publisher.publish(&format!("/load/{}", number % 3), number).await;
    }
    for socket in &mut sockets {
        socket.recv_messages(100).await;
    }
    poll.fetch().await;
    let scrape = Scrape::of(&broker).await;
    assert_eq!(scrape.value("messages_delivered_total{transport=\"websocket\"}"), 2_000.0);
    let complaints = promtool(&["check", "metrics"], &scrape.text);
    assert_eq!(complaints, "", "not even a hint");
}

#[test]
fn alerts_are_sound_and_fire_when_they_should() {
    promtool(&["check", "rules", "alerts.yaml"], "");
    promtool(&["test", "rules", "alerts.test.yaml"], "");
}

#[test]
fn the_queries_of_the_dashboard_can_be_asked() {
    let text = fs::read_to_string(deploy().join("grafana/bayeuxd.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    let mut count = 0;
    for target in targets {
        let query = target["expr"].as_str().expect("a query");
        let query = query.replace("$__rate_interval", "1m").replace(['$', '\n'], " ");
        count += 1;
        rules += &format!("      - record: panel:{count}\n        expr: '{query}'\n");
    }
    assert!(count > 50, "{count}");
    promtool(&["check", "rules", "/dev/stdin"], &rules);
}
