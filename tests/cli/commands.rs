//! Commands that talk to a broker: `pub`, `sub`, and those of operators.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
};

use super::{
    process::{Folder, Outcome},
    site::Site,
};

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
    let expected = "/chat/demo {\"text\": \"hi\"}\n/chat/demo [1, 2]\n/chat/a 1\n/chat/b 2\n";
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
    refused(&["pub", "/a", "1", "--url", "http://127.0.0.1:99999"], 2, "expected http://HOST:PORT");
    refused(&["pub", "/a", "1", "--url", "http://127.0.0.1/b"], 2, "/b has no place here");
    refused(&["sub", "/a", "--url", "http://127.0.0.1/cometd"], 2, "takes the path by --path");
    refused(&["sub", "/a", "--path", "cometd"], 2, "begins with /");
    refused(&["sessions", "--admin-url", "http://127.0.0.1:8081/admin/v1"], 2, "has no place here");
    refused(&["pub", "/a", "1", "--url", "http://127.0.0.1:1"], 4, "is the broker running");
    refused(&["sub", "/a", "/meta/x"], 5, "the subscription to /meta/x is refused: 403:");
    let segments = "/x".repeat(17);
    let told = format!("the subscription to {segments} is refused: 403:too_many_segments:");
    refused(&["sub", "/a", &segments], 2, &told);
    for command in [&["sub", "/a", "chat"][..], &["pub", "chat", "1"]] {
        refused(command, 2, "invalid value 'chat'");
        refused(command, 2, "a channel name starts with /");
    }
    for command in ["session", "kick"] {
        let told = "there is no session of this name; `bayeuxd trace SID` tells what became of it";
        refused(&[command, "000000000000"], 1, told);
    }
    refused(&["sessions", "--admin-url", &site.variables[1].1], 1, "is this the right listener?");
    std::fs::write(site.folder.0.join("other.key"), "another-key-of-some-length").unwrap();
    refused(&["pub", "/a", "1", "--key-file", "other.key"], 5, "no such API key");
    refused(&["channels", "--key-file", "other.key"], 5, "--key-file");
    refused(&["trace", "000000000000", "--for", "1"], 2, "60s");
    // Not after a minute of silence.
    refused(&["trace", "000000000000", "--for", "1h"], 1, "no session of this name is known");
    refused(&["channels", "--limit", "10001"], 2, "10001 is not in 1..=10000");
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
    assert_eq!(site.run(&["kick", &sid]).code, Some(0));
    subscriber.wait().unwrap();
    // There is nothing to wait for.
    let ended = site.run(&["trace", &sid, "--for", "1h"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("the session has ended"), "{ended:?}");
    let first = ended.out.lines().next().unwrap_or_default();
    let last = ended.out.lines().last().unwrap_or_default();
    assert!(first.contains(" handshake ") && last.contains(" disconnect "), "{ended:?}");
}

#[test]
fn a_broker_is_reloaded_and_drained_by_command() {
    let site = Site::new("reload_drain");
    assert_eq!(site.run(&["reload"]).out, "in force: nothing\nneeds a restart: nothing\n");
    let file = site.folder.0.join("bayeuxd.toml");
    let text = "[limits]\nbatch = 7\nkeep_alive = \"30s\"\n[session]\ntimeout = \"20s\"\n";
    std::fs::write(&file, text).unwrap();
    assert_eq!(
        site.run(&["reload"]).out,
        "in force:\n  limits.batch 100 -> 7\n  limits.keep_alive \"75s\" -> \"30s\" (for new connections)\n\
         needs a restart:\n  session.timeout \"45s\" -> \"20s\"\n"
    );
    assert_eq!(site.json(&["reload", "--json"])["restart"][0], "session.timeout");
    std::fs::write(&file, "[limits]\nbatch = 0\n").unwrap();
    site.run(&["reload"]).assert_refused(
        1,
        "bayeuxd: refused (409): nothing was reloaded; see `problems`\n  bayeuxd.toml:2: limits.batch = 0: \
         expected a number from 1 to 100000\n",
    );
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
    let doctor = folder.run(&["doctor", &url, "--timeout", "300ms"]);
    assert_eq!(doctor.code, Some(4), "{doctor:?}");
    assert!(doctor.out.contains("FAIL  post"), "{doctor:?}");
    assert!(doctor.err.ends_with("nobody answers there\n"), "{doctor:?}");
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

#[test]
fn health_is_one_line_and_an_exit_code() {
    let site = Site::with("health", &["--set", "server.drain_delay=60s"]);
    let ready = site.run(&["health"]);
    assert_eq!((ready.code, ready.out.as_str(), ready.err.as_str()), (Some(0), "ready\n", ""));
    let elsewhere = site.run(&["health", &site.variables[1].1]);
    assert_eq!(elsewhere.code, Some(1));
    assert!(elsewhere.err.contains("is this the right listener?"), "{elsewhere:?}");
    let nobody = site.run(&["health", "http://127.0.0.1:1"]);
    assert_eq!((nobody.code, nobody.err.lines().count()), (Some(4), 1), "{nobody:?}");
    site.broker.signal("-TERM");
    let drains = (0..500).map(|_| site.run(&["health"])).find(|outcome| outcome.code != Some(0));
    drains.unwrap().assert_refused(1, "bayeuxd: the broker drains\n");
}

/// Found as an operator of the packaged service, without sudo.
#[test]
fn who_has_no_key_learns_where_one_was_looked_for() {
    let site = Site::new("no_key");
    let elsewhere = Folder::new("no_key_elsewhere").0;
    let mut command = site.folder.command(&["sessions"]);
    command.envs(site.variables.iter().map(|(name, value)| (name, value)));
    let outcome = Outcome::of(command.env("XDG_RUNTIME_DIR", &elsewhere).output().unwrap());
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
    let own = elsewhere.join("bayeuxd/admin.key");
    let looked =
        format!("no key in {} (No such file or directory (os error 2)) and", own.display());
    assert!(outcome.err.contains(&looked), "{outcome:?}");
    assert!(outcome.err.contains("/run/bayeuxd/admin.key ("), "{outcome:?}");
}

#[test]
fn doctor_knows_the_operators_listener_and_other_transports() {
    let site = Site::with("doctor_lost", &["--set", "transports.enabled=[\"callback-polling\"]"]);
    let admin = site.run(&["doctor", &site.variables[2].1, "--quick"]);
    assert_eq!(admin.code, Some(1), "{admin:?}");
    assert!(
        admin.out.contains("this is the operators' listener of bayeuxd (admin.listen)"),
        "{admin:?}"
    );
    let main = site.run(&["doctor", &site.variables[1].1, "--quick"]);
    assert_eq!(main.code, Some(1), "{main:?}");
    assert!(
        main.out.contains("bayeuxd: transports.enabled has to hold \"long-polling\""),
        "{main:?}"
    );
    assert!(!main.out.contains("nginx"), "{main:?}");
}
