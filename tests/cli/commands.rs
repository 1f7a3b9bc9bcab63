//! Commands that talk to a broker: `pub`, `sub`, and those of operators.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::{Child, Stdio},
    thread::{self, JoinHandle},
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
        Self::with(name, &[])
    }

    fn with(name: &str, flags: &[&str]) -> Self {
        let folder = Folder::new(name);
        let keys = folder.0.to_str().unwrap().to_owned();
        let key = ("XDG_RUNTIME_DIR", keys.as_str());
        let flags = [&["--admin", "127.0.0.1:0"], flags].concat();
        let (broker, banner) = Broker::start_with(&folder, &flags, &[key]);
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
    refused(&["pub", "/a", "1", "--url", "ftp://a"], 2, "expected http://HOST:PORT");
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
        // The start of the broker may be news to it.
        if let Some(line) = heard.try_iter().find(|line| !line.contains(" node ")) {
            break line;
        }
    };
    assert!(first.contains(" handshake   ok  sid="), "{first}");
    site.run(&["drain"]);
    reader.join().unwrap();
    let ended = Outcome::of(tail.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
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
fn whatever_an_operator_changes_is_a_line_of_the_log() {
    let mut site = Site::new("audit");
    let (mut subscriber, sid) = site.subscriber(&["/chat/**"]);
    let admin = |path: &str, body: &str| {
        let host = site.variables[2].1.trim_start_matches("http://").trim_end_matches('/');
        let key = std::fs::read_to_string(site.folder.0.join("bayeuxd/admin.key")).unwrap();
        let mut socket = std::net::TcpStream::connect(host).unwrap();
        write!(
            socket,
            "POST /admin/v1/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-API-Key: {}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            key.trim(),
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut socket, &mut answer).unwrap();
        answer
    };
    assert!(admin("publish", r#"{"channel":"/chat/a","data":1}"#).contains("\"sessions\":1"));
    assert!(admin("publish", r#"{"channel":"/meta/a","data":1}"#).contains("channel_reserved"));
    admin(&format!("sessions/{sid}/subscribe"), r#"{"channel":"/news"}"#);
    admin(&format!("sessions/{sid}/unsubscribe"), r#"{"channel":"/news"}"#);
    admin(&format!("sessions/{sid}/disconnect"), r#"{"reason":"a test"}"#);
    admin("reload", "");
    admin("drain", "");
    let log = site.broker.log_until("\"call\":\"drain\"");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let lines: Vec<_> = lines.filter(|line| line["event"] == "admin").collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["call"].as_str().unwrap(), line["ok"].as_bool().unwrap()))
        .collect();
    let expected =
        [("publish", true), ("publish", false), ("subscribe", true), ("unsubscribe", true)];
    assert_eq!(
        told,
        [&expected[..], &[("disconnect", true), ("reload", true), ("drain", true)]].concat()
    );
    assert!(lines.iter().all(|line| line["key"].is_string() && line["ip"].is_string()), "{log}");
    assert_eq!(
        (&lines[0]["channel"], &lines[1]["error"]),
        (&"/chat/a".into(), &"channel_reserved".into())
    );
    assert_eq!((&lines[2]["channel"], &lines[4]["reason"]), (&"/news".into(), &"a test".into()));
    // Met between two polls, it has begun a new session meanwhile.
    subscriber.kill().unwrap();
    subscriber.wait().unwrap();
}

#[test]
fn completions_name_the_commands() {
    let outcome = Folder::new("completions").run(&["completions", "bash"]);
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.out.contains("sessions") && outcome.out.contains("--idempotency-key"));
}

/// Gives one answer to each request, each over a connection of its own, and returns the requests.
fn scripted(answers: &'static [(&'static str, &'static str)]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let serve = |(head, body): &(&str, &str)| {
            let mut stream = listener.accept().unwrap().0;
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            // All bodies here are arrays.
            while !request.ends_with(b"]") {
                let length = stream.read(&mut chunk).unwrap();
                assert!(length > 0, "the request ends early");
                request.extend(chunk.iter().take(length));
            }
            let length = body.len();
            write!(stream, "HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
            String::from_utf8(request).unwrap()
        };
        answers.iter().map(serve).collect()
    });
    (url, server)
}

#[test]
fn a_subscriber_waits_for_a_broker_that_has_no_time() {
    let (url, server) = scripted(&[
        ("503 X\r\nretry-after: 1", "no room\n"),
        (
            "200 OK",
            r#"[{"channel":"/meta/handshake","successful":true,"clientId":"c1","advice":{"timeout":5}}]"#,
        ),
        ("503 X", r#"[{"channel":"/meta/subscribe","advice":{"interval":1200}}]"#),
        ("200 OK", r#"[{"channel":"/meta/handshake","successful":true,"clientId":"c2"}]"#),
        ("200 OK", r#"[{"channel":"/meta/subscribe","successful":true}]"#),
        ("200 OK", r#"[{"channel":"/a","data":1},{"channel":"/meta/connect","successful":true}]"#),
        ("200 OK", r#"[{"channel":"/meta/disconnect","successful":true}]"#),
    ]);
    let command = ["sub", "/a", "--count", "1", "--transport", "lp", "--url", &url];
    let outcome = Folder::new("overloaded").run(&command);
    assert_eq!((outcome.code, outcome.out.as_str()), (Some(0), "/a 1\n"), "{outcome:?}");
    let (first, second) = outcome.err.split_once('\n').unwrap();
    assert!(first.contains("503") && first.ends_with("trying again in 1s"), "{outcome:?}");
    assert!(second.ends_with("trying again in 1.2s\n"), "{outcome:?}");
    assert!(server.join().unwrap().last().unwrap().contains("\"c2\""));
}

#[test]
fn a_subscriber_uses_the_transport_that_it_is_told_or_the_best_one() {
    let site = Site::new("transports");
    let used = |arguments: &[&str]| {
        let (subscriber, sid) = site.subscriber(arguments);
        let transport = site.json(&["session", &sid, "--json"])["transport"].clone();
        // One that came at once, and one into the hold.
        for data in ["1", "2"] {
            assert_eq!(site.run(&["pub", "/a", data]).code, Some(0));
        }
        let heard = Outcome::of(subscriber.wait_with_output().unwrap());
        let expected = (Some(0), "/a 1\n/a 2\n", "");
        assert_eq!((heard.code, heard.out.as_str(), heard.err.as_str()), expected);
        transport
    };
    assert_eq!(used(&["/a", "--count", "2"]), "websocket");
    assert_eq!(used(&["/a", "--count", "2", "--transport", "ws"]), "websocket");
    assert_eq!(used(&["/a", "--count", "2", "--transport", "lp"]), "long-polling");
}

#[test]
fn a_subscriber_polls_where_there_is_no_websocket() {
    let folder = Folder::new("no_websocket");
    let (_broker, banner) =
        Broker::start(&folder, &["--set", "transports.enabled=[\"long-polling\"]"]);
    let url = banner.split("bayeux   ").nth(1).unwrap().split(' ').next().unwrap();
    let sub =
        |more: &[&str]| folder.run(&[&["sub", "/a", "--count", "0", "--url", url], more].concat());
    assert_eq!(sub(&[]), Outcome { code: Some(0), out: String::new(), err: String::new() });
    let told = sub(&["--transport", "ws"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.err.contains("the upgrade to WebSocket is answered with 400"), "{told:?}");
}

#[test]
fn a_subscriber_keeps_its_session_when_its_websocket_breaks() {
    let site = Site::new("broken_websocket");
    let main = site.variables[1].1.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let kept = std::sync::Arc::clone(&connections);
    // Passes bytes both ways, for as many connections as come.
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = std::net::TcpStream::connect(&main).unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server.try_clone().unwrap(), client.try_clone().unwrap()),
            ] {
                thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
            kept.lock().push((client, server));
        }
    });
    let (subscriber, _) = site.subscriber(&["/a", "--count", "1", "--url", &url]);
    for (client, server) in connections.lock().drain(..) {
        // Either may have gone already.
        let _ = client.shutdown(std::net::Shutdown::Both);
        let _ = server.shutdown(std::net::Shutdown::Both);
    }
    assert_eq!(site.run(&["pub", "/a", "1"]).code, Some(0));
    let heard = Outcome::of(subscriber.wait_with_output().unwrap());
    assert_eq!((heard.code, heard.out.as_str()), (Some(0), "/a 1\n"), "{heard:?}");
    assert!(heard.err.contains("trying again in 1s") && !heard.err.contains("anew"), "{heard:?}");
}

#[test]
fn a_broker_that_hangs_does_not_hang_the_command() {
    // The system accepts for it, and nobody ever answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let folder = Folder::new("hung");
    for command in [
        &["pub", "/a", "1", "--url", &url][..],
        &["sessions", "--admin-url", &url],
        &["tail", "--admin-url", &url],
    ] {
        let outcome = folder.run(&[command, &["--timeout", "300ms"]].concat());
        assert_eq!((outcome.code, outcome.out.as_str()), (Some(4), ""), "{outcome:?}");
        assert!(outcome.err.contains("did not answer within 300ms"), "{outcome:?}");
    }
}

#[test]
fn input_that_no_broker_takes_is_refused_and_not_cut() {
    let site = Site::new("too_long");
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let publish = |arguments: &[&str], input: &str| {
        let mut child = site.start(&[&["pub"], arguments].concat());
        // It may stop to read before the end.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Outcome::of(child.wait_with_output().unwrap())
    };
    let longest = publish(&["/a", "-"], &text(1 << 20));
    assert_eq!(longest.code, Some(1), "{longest:?}");
    assert!(longest.err.contains("refused (413)"), "as a whole to the broker: {longest:?}");
    let longer = publish(&["/a", "-"], &text((1 << 20) + 1));
    assert_eq!((longer.code, longer.out.as_str()), (Some(2), ""), "{longer:?}");
    assert!(longer.err.contains("standard input: more than 1 MiB"), "{longer:?}");
    let message = "{\"channel\":\"/a\",\"data\":1}\n";
    let lines = format!("{message}{}\n{message}", text((1 << 20) + 1));
    let batch = publish(&["--batch", "-"], &lines);
    assert_eq!((batch.code, batch.out.as_str()), (Some(1), "published: 2, deliveries: 0\n"));
    assert!(batch.err.starts_with("bayeuxd: line 2: more than 1 MiB"), "{batch:?}");
}

#[test]
fn a_file_above_the_rate_is_published_whole_and_in_order() {
    let site = Site::with("above_the_rate", &["--set", "api.messages_per_second=500"]);
    let (subscriber, _) = site.subscriber(&["/a", "--count", "1200"]);
    let lines: String =
        (0..1200).map(|n| format!("{{\"channel\":\"/a\",\"data\":{n}}}\n")).collect();
    std::fs::write(site.folder.0.join("messages.ndjson"), lines).unwrap();
    let outcome = site.run(&["pub", "--batch", "messages.ndjson"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""), "{}", outcome.out);
    assert_eq!(outcome.out, "published: 1200, deliveries: 1200\n");
    let heard = Outcome::of(subscriber.wait_with_output().unwrap());
    let expected: String = (0..1200).map(|n| format!("/a {n}\n")).collect();
    assert_eq!(heard.out, expected);
}

#[test]
fn small_mistakes_of_operators_are_named() {
    let site = Site::new("small_mistakes");
    for list in ["sessions", "channels"] {
        let outcome = site.run(&[list, "--limit", "0"]);
        assert_eq!((outcome.code, outcome.out.as_str()), (Some(2), ""), "{outcome:?}");
    }
    // What a script leaves of a variable that it did not set is no key.
    let mut command = site.folder.command(&["pub", "/a", "1"]);
    command.envs(site.variables.iter().map(|(name, value)| (name, value))).env("BAYEUXD_KEY", "");
    let outcome = Outcome::of(command.output().unwrap());
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""), "{outcome:?}");
}
