//! What a reload does not take: mistakes, and keys that need a restart. And two at once.

use std::fs;

use protocol_tests::{
    bayeux::{Polling, handshake},
    deadline::until,
    http::{self, Request},
    operator::{act, read},
};
use serde_json::{Value, json};

use super::{Site, names};

#[tokio::test]
async fn what_needs_a_restart_is_named_with_both_values_and_not_applied() {
    let site = Site::start("restart", "");
    let text = "[session]\ntimeout = \"20s\"\n[limits]\nbatch = 7\n\
                [[services]]\nchannel = \"/service/a\"\nurl = \"http://127.0.0.1:9/?token=hidden\"\n\
                headers = [\"X-Secret: hidden\"]\n";
    // By name at each reload until the restart; what is in force already is not named again.
    for reloaded in [vec!["limits.batch"], vec![]] {
        let answer = site.reload(text).await;
        assert_eq!(names(&answer, "reloaded"), reloaded);
        assert_eq!(names(&answer, "restart"), ["session.timeout", "services"]);
        let changes = answer["changes"].as_array().expect("a list");
        let timeout =
            json!({"key": "session.timeout", "before": "45s", "after": "20s", "reload": "restart"});
        assert!(changes.contains(&timeout), "{answer}");
        assert!(!answer.to_string().contains("hidden"), "{answer}");
    }
    assert_eq!(site.value("session.timeout").await, "45s");
    assert_eq!(site.value("services").await, json!([]));
    let shake = Request::post("/cometd", json!([handshake()]).to_string());
    let reply = http::request(site.address(), &shake).await.messages().remove(0);
    assert_eq!(reply["advice"]["timeout"], 45_000, "{reply}");
    until("the log", || site.process.log().contains("not reloaded: services needs a restart"))
        .await;
    let log = site.process.log();
    let line = log.lines().find(|line| line.contains("session.timeout needs a restart"));
    let line: Value = serde_json::from_str(line.expect("a line")).expect("JSON");
    assert_eq!((&line["level"], &line["before"]), (&json!("warn"), &json!("\"45s\"")));
    assert!(!log.contains("hidden"), "{log}");
    // Back as it was: nothing is left to be named.
    let answer = site.reload("[limits]\nbatch = 7\n").await;
    assert_eq!(answer["changes"], json!([]));
}

#[tokio::test]
async fn a_file_with_a_mistake_changes_nothing_at_all() {
    let mut site = Site::start("mistakes", "[limits]\nbatch = 5\n");
    let config = read(site.process.admin, "/config").await;
    let name = site.file.display().to_string();
    let problems =
        site.refused("[limits]\nbatch = 6\nsubscriptions = 0\n[session]\ntimout = 1\n").await;
    assert_eq!(
        problems,
        [
            format!(
                "{name}:3: limits.subscriptions = 0: expected a number from 1 to 1000000, or \
                 \"unlimited\""
            ),
            format!("{name}:5: unknown key session.timout; did you mean session.timeout?"),
        ]
    );
    let problems = site.refused("[limits\n").await;
    assert!(problems[0].starts_with(&format!("{name}:1: ")), "{problems:?}");
    // Sound by itself, but of no use to the parts of the server.
    let problems = site
        .refused("limits.batch = 6\n[[auth.keys]]\nid = \"b\"\nsecret_file = \"/none/such.key\"\nchannels = [\"/a\"]\n")
        .await;
    assert!(problems[0].contains("auth.keys 'b': cannot read /none/such.key"), "{problems:?}");
    fs::remove_file(&site.file).expect("remove the file");
    let problems = site.refused_as_it_is().await;
    assert!(problems[0].contains("there is no such file"), "{problems:?}");
    assert_eq!(read(site.process.admin, "/config").await, config);
    let mut poller = Polling::connected(site.address()).await;
    let batch =
        |count: u64| (0..count).map(|n| protocol_tests::bayeux::publish("p", "/a", n)).collect();
    assert_eq!(poller.post(batch(5)).await.status, 200);
    assert_eq!(poller.post(batch(6)).await.status, 400);
    until("the log", || site.process.log().contains("there is no such file")).await;
    let log = site.process.log();
    let line = log.lines().find(|line| line.contains("not reloaded: "));
    let line: Value = serde_json::from_str(line.expect("a line")).expect("JSON");
    assert_eq!(line["level"], "warn", "the broker works on: {line}");
    site.process.assert_well();
}

#[tokio::test]
async fn reloads_at_once_come_one_after_the_other() {
    let mut site = Site::start("twice", "");
    site.write("[limits]\nbatch = 7\n");
    let admin = site.process.admin;
    site.process.signal("HUP");
    let (one, two, three) = tokio::join!(
        act(admin, "/reload", ""),
        act(admin, "/reload", ""),
        act(admin, "/reload", "")
    );
    let answers = [one, two, three];
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    // One of them, or the signal, found the change; the others found nothing to do.
    until("the change", || site.process.log().contains("reloaded: limits.batch")).await;
    let told = answers.iter().filter(|(_, answer)| !names(answer, "reloaded").is_empty()).count();
    assert!(told <= 1, "{answers:?}");
    assert_eq!(site.process.log().matches("reloaded: limits.batch").count(), 1);
    assert_eq!(site.value("limits.batch").await, 7);
    // The file changes while it is read: each answer is about one file or the other.
    let texts =
        ["[limits]\nbatch = 8\nsubscriptions = 8\n", "[limits]\nbatch = 9\nsubscriptions = 9\n"];
    for text in texts.iter().cycle().take(10) {
        site.write(text);
        let (one, two) = tokio::join!(act(admin, "/reload", ""), act(admin, "/reload", ""));
        assert_eq!((one.0, two.0), (200, 200));
        let config = read(admin, "/config").await;
        let value = |key: &str| {
            let items = config["items"].as_array().expect("a list of keys");
            items.iter().find(|item| item["key"] == key).expect("a key")["value"].clone()
        };
        assert_eq!(value("limits.batch"), value("limits.subscriptions"));
        assert!(text.contains(&format!("batch = {}", value("limits.batch"))), "{text}");
    }
    site.process.assert_well();
}
