//! Commands that talk to a broker: `pub`, `sub`, and those of operators.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Stdio},
};

use super::process::{Broker, Folder, Outcome};

/// A broker, and commands of the same user who find it and its keys by themselves.
struct Site {
    folder: Folder,
    broker: Broker,
    variables: [(&'static str, String); 3],
}

impl Site {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let keys = folder.0.to_str().unwrap().to_owned();
        let key = ("XDG_RUNTIME_DIR", keys.as_str());
        let (broker, banner) = Broker::start_with(&folder, &["--admin", "127.0.0.1:0"], &[key]);
        let address = |name: &str| {
            let line = banner.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        let (main, admin) = (address("bayeux "), address("admin "));
        let variables =
            [("XDG_RUNTIME_DIR", keys), ("BAYEUXD_URL", main), ("BAYEUXD_ADMIN_URL", admin)];
        Self { folder, broker, variables }
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.folder.command(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.start(arguments).wait_with_output().unwrap())
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        serde_json::from_str(&outcome.out).unwrap()
    }

    /// Starts a subscriber and waits until the broker knows of it; returns it with its sid.
    fn subscriber(&self, arguments: &[&str]) -> (Child, String) {
        let child = self.start(&[&["sub"], arguments].concat());
        (child, std::iter::repeat_with(|| self.subscribed()).flatten().next().unwrap())
    }

    /// The sid of a session that has subscribed.
    fn subscribed(&self) -> Option<String> {
        let listed = self.json(&["sessions", "--json", "--search", "bayeuxd"]);
        let items = listed.get("items")?.as_array()?;
        let item = items.iter().find(|item| item.get("subscriptions") != Some(&0.into()))?;
        Some(item.get("sid")?.as_str()?.to_owned())
    }
}

#[test]
fn what_is_published_reaches_a_subscriber_and_both_say_so() {
    let site = Site::new("pub_sub");
    let (subscriber, _) = site.subscriber(&["/chat/**", "--count", "4"]);
    let outcome = site.run(&["pub", "/chat/demo", "{\"text\": \"hi\"}"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""));
    assert!(outcome.out.starts_with("delivered to 1 session ("), "{outcome:?}");
    let mut piped = site.start(&["pub", "/chat/demo", "-", "--idempotency-key", "k"]);
    piped.stdin.take().unwrap().write_all(b"[1,\n2]").unwrap();
    assert_eq!(piped.wait_with_output().unwrap().status.code(), Some(0));
    let again = site.run(&["pub", "/chat/demo", "[1,\n2]", "--idempotency-key", "k"]);
    assert!(again.out.ends_with(", by an earlier request\n"), "{again:?}");
    let lines = "{\"channel\":\"/chat/a\",\"data\":1}\n\nno JSON\n{\"channel\":\"a\",\"data\":1}\n\
                 {\"channel\":\"/chat/b\",\"data\":2}\n";
    std::fs::write(site.folder.0.join("messages.ndjson"), lines).unwrap();
    let outcome = site.run(&["pub", "--batch", "messages.ndjson"]);
    assert_eq!((outcome.code, outcome.out.as_str()), (Some(1), "published: 2, deliveries: 2\n"));
    assert!(outcome.err.contains("line 3: ") && outcome.err.contains("line 4: "), "{outcome:?}");
    let heard = Outcome::of(subscriber.wait_with_output().unwrap());
    let expected = "/chat/demo {\"text\":\"hi\"}\n/chat/demo [1,2]\n/chat/a 1\n/chat/b 2\n";
    assert_eq!((heard.code, heard.out.as_str()), (Some(0), expected), "{heard:?}");
}

#[test]
fn mistakes_say_what_to_do_and_have_their_exit_code() {
    let site = Site::new("remote_mistakes");
    let refused = |arguments: &[&str], code: i32, text: &str| {
        let outcome = site.run(arguments);
        assert_eq!((outcome.code, outcome.out.as_str()), (Some(code), ""), "{outcome:?}");
        assert!(outcome.err.contains(text), "{outcome:?}");
    };
    refused(&["pub", "/a", "hello"], 2, "'\"hello\"'");
    refused(&["pub", "/meta/x", "1"], 1, "are not for messages");
    refused(&["pub", "/a", "1", "--url", "https://a"], 2, "expected http://HOST:PORT");
    refused(&["pub", "/a", "1", "--url", "http://127.0.0.1:1"], 4, "is the broker running");
    refused(&["sub", "/meta/x"], 5, "/meta/subscribe is refused: 403:");
    refused(&["session", "000000000000"], 1, "there is no session of this name");
    refused(&["sessions", "--admin-url", &site.variables[1].1], 1, "is this the right listener?");
    std::fs::write(site.folder.0.join("other.key"), "another-key-of-some-length").unwrap();
    refused(&["pub", "/a", "1", "--key-file", "other.key"], 5, "no such API key");
    refused(&["channels", "--key-file", "other.key"], 5, "--key-file");
    refused(&["trace", "000000000000", "--for", "1"], 2, "60s");
}

#[test]
fn operators_see_sessions_and_channels_and_end_them() {
    let site = Site::new("operate");
    let (subscriber, sid) = site.subscriber(&["/chat/**"]);
    let table = site.run(&["sessions", "--channel", "/chat/demo"]).out;
    assert!(table.starts_with("SID ") && table.contains(&sid), "{table}");
    assert!(table.ends_with("\n1 session\n"), "{table}");
    let session = site.run(&["session", &sid]).out;
    assert!(
        session.contains("channels:\n  /chat/**\n") && session.contains("handshake   ok "),
        "{session}"
    );
    let channels = site.run(&["channels", "/chat/**"]).out;
    assert!(channels.contains("/chat/**"), "{channels}");
    assert_eq!(site.json(&["channel", "/chat/**", "--json"])["subscribers"], 1);
    assert_eq!(site.run(&["kick", &sid, "--reason", "a test"]).code, Some(0));
    let ended = Outcome::of(subscriber.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("the broker ended the session"), "{ended:?}");
    let gone = site.run(&["kick", &sid]);
    assert_eq!(gone.code, Some(1), "{gone:?}");
}

#[test]
fn a_tail_shows_what_happens_until_the_broker_stops() {
    let site = Site::new("tail");
    let mut tail = site.start(&["tail", "--types", "handshake,node"]);
    // Whether the feed has begun, nobody says but the feed: something has to happen until it tells.
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let (told, heard) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            // Nobody needs more than the first.
            let _ = told.send(line);
        }
    });
    let first = loop {
        site.run(&["sub", "/x", "--count", "0"]);
        if let Ok(line) = heard.try_recv() {
            break line;
        }
    };
    assert!(first.contains(" handshake   ok  sid="), "{first}");
    site.run(&["drain"]);
    reader.join().unwrap();
    assert_eq!(tail.wait().unwrap().code(), Some(0));
    assert_eq!(site.broker.wait().code, Some(0));
}

#[test]
fn a_trace_tells_what_a_session_did_before() {
    let site = Site::new("trace");
    let (mut subscriber, sid) = site.subscriber(&["/chat/**"]);
    let trace = site.run(&["trace", &sid, "--for", "1s"]);
    assert_eq!(trace.code, Some(0), "{trace:?}");
    assert!(
        trace.out.contains(" handshake   ok ") && trace.out.contains("channel=/chat/**"),
        "{trace:?}"
    );
    subscriber.kill().unwrap();
    subscriber.wait().unwrap();
}

#[test]
fn a_broker_is_reloaded_and_drained_by_command() {
    let site = Site::new("reload_drain");
    assert!(site.run(&["reload"]).out.starts_with("in force: auth.keys\nneeds a restart: "));
    assert_eq!(site.json(&["drain", "--json"])["draining"], true);
    assert_eq!(site.broker.wait().code, Some(0));
}

#[test]
fn completions_name_the_commands() {
    let outcome = Folder::new("completions").run(&["completions", "bash"]);
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.out.contains("sessions") && outcome.out.contains("--idempotency-key"));
}
