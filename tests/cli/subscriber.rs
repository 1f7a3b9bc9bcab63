//! `bayeuxd sub`: transports, interruptions, what it prints, how it leaves.

use std::{net::TcpListener, thread};

use super::{
    process::{Broker, Folder, Outcome},
    site::{Site, scripted},
};

#[test]
fn a_subscriber_waits_for_a_broker_that_has_no_time() {
    let answers = [
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
    ];
    let owned = answers.map(|(head, body)| (head.to_owned(), body.to_owned()));
    let (url, server) = scripted(owned.into());
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
    // What is written before the broker knows of the break is lost with the connection.
    site.closes(1);
    assert_eq!(site.run(&["pub", "/a", "1"]).code, Some(0));
    let heard = Outcome::of(subscriber.wait_with_output().unwrap());
    assert_eq!((heard.code, heard.out.as_str()), (Some(0), "/a 1\n"), "{heard:?}");
    assert!(heard.err.contains("trying again in 1s") && !heard.err.contains("anew"), "{heard:?}");
}

/// What a tree of values would not keep.
const ODD: &str =
    r#"{"b":1,"a":1.10,"n":123456789012345678901234567890,"e":1e2,"a":null, "c":[ ]}"#;

#[test]
fn messages_are_printed_as_they_were_published() {
    let site = Site::new("as_published");
    for (transport, json, expected) in [
        ("ws", &[][..], format!("/a {ODD}\n/a null\n")),
        ("lp", &[], format!("/a {ODD}\n/a null\n")),
        (
            "ws",
            &["--json"],
            format!(
                "{{\"channel\":\"/a\",\"data\":{ODD}}}\n{{\"channel\":\"/a\",\"data\":null}}\n"
            ),
        ),
    ] {
        let arguments = [&["/a", "--count", "2", "--transport", transport], json].concat();
        let (subscriber, _) = site.subscriber(&arguments);
        for data in [ODD, "null"] {
            assert_eq!(site.run(&["pub", "/a", data]).code, Some(0));
        }
        let heard = Outcome::of(subscriber.wait_with_output().unwrap());
        assert_eq!((heard.code, heard.out), (Some(0), expected), "{}", heard.err);
    }
}

#[test]
fn a_subscriber_that_ends_closes_its_websocket_and_its_session() {
    let site = Site::new("leaves");
    let counted = site.run(&["sub", "/a", "--count", "0", "--transport", "ws"]);
    assert_eq!(counted.code, Some(0), "{counted:?}");
    for signal in ["-TERM", "-INT"] {
        let (subscriber, sid) = site.subscriber(&["/a"]);
        let id = subscriber.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        let ended = Outcome::of(subscriber.wait_with_output().unwrap());
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
        assert_eq!(site.run(&["session", &sid]).code, Some(1), "the session is over");
    }
    let url = &site.variables[1].1;
    let doctor = site.run(&["doctor", url, "--quick", "--origin", "http://127.0.0.1:1"]);
    assert!(doctor.out.contains("PASS  websocket"), "{doctor:?}");
    assert_eq!(site.closes(5), (5, 0), "{doctor:?}");
}

#[test]
fn a_key_that_is_named_counts_for_what_a_session_may_see() {
    let site = Site::new("monitor_key");
    let sub =
        |more: &[&str]| site.run(&[&["sub", "/meta/monitor/**", "--count", "0"], more].concat());
    let without = sub(&[]);
    assert_eq!(without.code, Some(5), "{without:?}");
    for transport in ["ws", "lp"] {
        let with = sub(&["--key-file", "bayeuxd/admin.key", "--transport", transport]);
        assert_eq!((with.code, with.err.as_str()), (Some(0), ""));
    }
}
