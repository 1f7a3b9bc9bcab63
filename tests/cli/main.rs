//! The `bayeuxd` command as people and scripts see it: texts and exit codes.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod batch;
mod commands;
mod configuration;
mod operations;
mod process;
mod refusals;
mod site;
mod subscriber;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    path::PathBuf,
};

use self::process::{Broker, Folder, Outcome};

#[test]
fn an_unknown_key_is_a_configuration_error_with_a_guess() {
    let folder = Folder::new("unknown_key").with("bayeuxd.toml", "[session]\ntimout = \"45s\"\n");
    let text =
        "bayeuxd: bayeuxd.toml:2: unknown key session.timout; did you mean session.timeout?\n";
    folder.run(&[]).assert_refused(3, text);
    folder.run(&["serve"]).assert_refused(3, text);
    folder.run(&["config", "check"]).assert_refused(3, text);
}

#[test]
fn a_bad_value_is_a_configuration_error_with_what_is_allowed() {
    let folder = Folder::new("bad_value").with("other.toml", "limits.batch = 0\nlog.ip = 3\n");
    let text = "bayeuxd: other.toml:1: limits.batch = 0: expected a number from 1 to 100000\n\
                bayeuxd: other.toml:2: log.ip = 3: expected \"full\", \"truncate\" or \"none\"\n";
    folder.run(&["-c", "other.toml"]).assert_refused(3, text);
    folder.run(&["config", "check", "other.toml"]).assert_refused(3, text);
}

#[test]
fn flags_and_variables_are_named_in_mistakes() {
    let folder = Folder::new("flags");
    folder.run(&["--set", "session.timeout=0"]).assert_refused(
        3,
        "bayeuxd: --set: session.timeout = 0: expected a duration from \"100ms\" to \"1h\" (units \
         ms, s, m, h)\n",
    );
    folder.run(&["--log-level", "loud"]).assert_refused(
        3,
        "bayeuxd: --log-level: log.level = loud: expected off, error, warn, info, debug or trace, \
         also per target: \"info,bayeuxd::ws=debug\"\n",
    );
    let listen = folder.run(&["--listen", "localhost:8080"]);
    assert_eq!(listen.code, Some(3));
    assert!(listen.err.starts_with("bayeuxd: --listen: server.listen[0] = "), "{listen:?}");
    let output = folder.command(&[]).env("BAYEUXD_LIMITS__SESSIONS", "many").output().unwrap();
    let variable = Outcome::of(output);
    assert_eq!(variable.code, Some(3));
    assert!(
        variable.err.starts_with(
            "bayeuxd: environment BAYEUXD_LIMITS__SESSIONS: limits.sessions = many: expected "
        ),
        "{variable:?}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_configuration_error() {
    let folder = Folder::new("unreadable");
    folder.run(&["-c", "missing.toml"]).assert_refused(
        3,
        "bayeuxd: missing.toml: cannot be read: there is no such file; `bayeuxd config init` prints one \
         to start with\n",
    );
    fs::write(folder.0.join("latin1.toml"), b"# caf\xe9\n").unwrap();
    folder
        .run(&["-c", "latin1.toml"])
        .assert_refused(3, "bayeuxd: latin1.toml: cannot be read: the file is no UTF-8 text\n");
}

#[test]
fn a_public_listener_without_authentication_does_not_start() {
    let outcome = Folder::new("public").run(&["--listen", "0.0.0.0:0"]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.err.contains("auth.anonymous = true"), "{outcome:?}");
}

#[test]
fn a_rule_that_matches_nothing_is_refused() {
    let file = "[[channels]]\nmatch = \"/a/**/b\"\n[[channels]]\nmatch = \"/meta/x\"\n";
    let outcome = Folder::new("rules").with("bayeuxd.toml", file).run(&["config", "check"]);
    assert_eq!(outcome.code, Some(3));
    let lines: Vec<&str> = outcome.err.lines().collect();
    assert_eq!(lines.len(), 2, "{outcome:?}");
    assert!(lines[0].starts_with("bayeuxd: bayeuxd.toml:2: channels[0].match = \"/a/**/b\": "));
    assert!(lines[1].starts_with("bayeuxd: bayeuxd.toml:4: channels[1].match = \"/meta/x\": "));
}

#[test]
fn usage_errors_have_their_own_code() {
    let folder = Folder::new("usage");
    for arguments in
        [&["--no-such-flag"][..], &["no-such-command"], &["--set", "session.timeout"], &["config"]]
    {
        let outcome = folder.run(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        assert!(outcome.err.contains("--help"), "{outcome:?}");
    }
}

#[test]
fn the_effective_values_are_a_configuration_file() {
    let folder = Folder::new("effective");
    let printed = folder.run(&["config", "check", "--print-effective"]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let folder = folder.with("printed.toml", &printed.out);
    let again = folder.run(&["config", "check", "printed.toml"]);
    assert_eq!(again.code, Some(0), "{again:?}");
}

#[test]
fn the_initial_file_changes_nothing() {
    let folder = Folder::new("init");
    let printed = folder.run(&["config", "init"]);
    assert_eq!(printed.code, Some(0));
    let folder = folder.with("bayeuxd.toml", &printed.out);
    assert_eq!(
        folder.run(&["config", "check"]).out,
        "# read: bayeuxd.toml\n# every value is the default\n"
    );
}

#[test]
fn the_version_is_for_people_and_for_scripts() {
    let folder = Folder::new("version");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(folder.run(&["version"]).out, format!("bayeuxd {version}\n"));
    let json = folder.run(&["version", "--json"]).out;
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["version"], version);
}

#[test]
fn a_busy_port_is_a_failure_that_names_the_address() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let outcome = Folder::new("busy").run(&["--listen", &address, "--admin", ""]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.err.contains(&address), "{outcome:?}");
}

#[test]
fn a_missing_static_folder_is_a_failure_that_names_it() {
    let outcome = Folder::new("static").run(&[
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "",
        "--static",
        "nowhere",
    ]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.err.starts_with("bayeuxd: --static \"nowhere\": "), "{outcome:?}");
}

#[test]
fn a_missing_secret_is_a_configuration_error_that_names_it() {
    let secret = "session.browser_cookie.secret_file=none.key";
    let outcome =
        Folder::new("secret").run(&["--listen", "127.0.0.1:0", "--admin", "", "--set", secret]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.err.contains("secret_file"), "{outcome:?}");
    assert!(outcome.err.contains("none.key"), "{outcome:?}");
}

#[test]
fn a_signal_drains_and_the_end_is_told() {
    let folder = Folder::new("drain");
    for signal in ["-TERM", "-INT"] {
        let (broker, banner) = Broker::start(&folder, &["--log-format", "json"]);
        assert!(banner.contains("/cometd /bayeux /faye   websocket, long-polling\n"), "{banner}");
        assert!(!banner.contains("127.0.0.1:0 "), "the bound port is shown: {banner}");
        broker.signal(signal);
        let outcome = broker.wait();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(
            outcome.out.starts_with("drain: 0 sessions told, 0 open, 0 messages unsent, "),
            "{outcome:?}"
        );
        for line in outcome.err.lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "no JSON: {line}");
        }
    }
}

#[test]
fn a_second_signal_aborts() {
    // The delay keeps the drain going until the second signal.
    let (broker, _) = Broker::start(&Folder::new("abort"), &["--set", "server.drain_delay=60s"]);
    broker.signal("-TERM");
    broker.signal("-INT");
    let outcome = broker.wait();
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    assert!(outcome.err.contains("second signal"), "{outcome:?}");
}

#[test]
fn connections_that_are_cut_at_the_end_of_a_drain_have_an_exit_code_of_their_own() {
    let flags = ["--set", "server.drain_timeout=200ms"];
    let (broker, banner) = Broker::start(&Folder::new("cut_short"), &flags);
    // A client that does not answer the close of its WebSocket.
    let address = banner.split("bayeux   http://").nth(1).unwrap().split(' ').next().unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let head = "GET /cometd HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    socket.read_exact(&mut [0; 12]).unwrap();
    broker.signal("-TERM");
    let outcome = broker.wait();
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    assert!(outcome.err.contains("1 connections were cut"), "{outcome:?}");
}

#[test]
fn a_service_manager_does_not_bring_back_who_was_told_to_end() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/systemd/bayeuxd.service");
    let unit = fs::read_to_string(unit).unwrap();
    for line in ["Restart=on-failure", "RestartPreventExitStatus=6", "SuccessExitStatus=6"] {
        assert!(unit.lines().any(|known| known == line), "{line}");
    }
}

/// The status of a publish with a key.
fn publish_status(banner: &str, key: &str) -> String {
    let response = post(banner, "bayeux   ", "/api/v1/publish/a", key);
    response.split(' ').nth(1).unwrap().to_owned()
}

/// The response to a POST of `1` to the address in the line of the banner that begins so.
fn post(banner: &str, line: &str, path: &str, key: &str) -> String {
    let address =
        banner.split(&format!("{line}http://")).nth(1).unwrap().split(' ').next().unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nX-API-Key: {key}\r\n\
         Content-Length: 1\r\nConnection: close\r\n\r\n1"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn dev_is_for_loopback_only() {
    let folder = Folder::new("dev");
    for listener in ["server.listen=0.0.0.0:0", "transports.socket.listen=0.0.0.0:0"] {
        let command = ["serve", "--dev", "--set", "auth.anonymous=true", "--set", listener];
        folder.run(&command).assert_refused(
            2,
            "bayeuxd: --dev lets everybody see everybody, so it is for loopback listeners only\n",
        );
    }
}

#[test]
fn a_generated_key_is_a_secret_and_the_lines_of_a_configuration() {
    let folder = Folder::new("key_gen");
    let generate = ["key", "gen", "--id", "orders", "--role", "publish", "--channels", "/a/**,/b"];
    let outcome = folder.run(&generate);
    let (first, lines) = outcome.out.split_once("\n\n").unwrap();
    let secret = first.strip_prefix("secret, shown this once: ").unwrap();
    assert_eq!((outcome.code, secret.len(), lines.contains(secret)), (Some(0), 43, false));
    assert!(lines.contains("channels = [\"/a/**\", \"/b\"]"), "{lines}");
    let folder = folder.with("bayeuxd.toml", lines);
    assert_eq!(folder.run(&["config", "check"]).code, Some(0));
    folder
        .run(&["key", "gen", "--id", "a", "--role", "publish", "--channels", "/meta/x"])
        .assert_refused(
            2,
            "bayeuxd: auth.keys 'a': \"/meta/x\" is no broadcast channel, which is what keys \
             are about\n",
        );
    assert_eq!(folder.run(&["key", "gen", "--id", "a", "--role", "publish"]).code, Some(2));
    for (arguments, told) in [
        (["--id", "bad id!", "--role", "monitor"].as_slice(), "--id: a name has"),
        (&["--id", "local-admin", "--role", "admin"], "--id: the keys that the broker makes"),
        (&["--id", "a", "--role", "admin", "--channels", "/a"], "--channels: a key of the role"),
    ] {
        let outcome = folder.run(&[&["key", "gen"], arguments].concat());
        assert_eq!((outcome.code, outcome.out.as_str()), (Some(2), ""), "{outcome:?}");
        assert!(outcome.err.contains(told), "{outcome:?}");
    }
}

#[test]
fn a_broker_without_keys_makes_one_and_keeps_it_for_its_user() {
    let folder = Folder::new("local_key");
    let set = ["--set", "api.key_file=publish.key"];
    let (broker, banner) = Broker::start(&folder, &set);
    assert!(banner.contains("/api/v1/publish   key in publish.key\n"), "{banner}");
    let key = fs::read_to_string(folder.0.join("publish.key")).unwrap();
    let key = key.trim();
    assert!(!banner.contains(key), "a pipe may be a log: {banner}");
    assert_eq!(publish_status(&banner, key), "200");
    assert_eq!(publish_status(&banner, "wrong"), "401");
    broker.signal("-TERM");
    assert_eq!(broker.wait().code, Some(0));
    let (_again, banner) = Broker::start(&folder, &set);
    assert_eq!(publish_status(&banner, key), "200");
}

#[test]
fn the_admin_key_is_made_too_and_named_but_not_shown_off_a_terminal() {
    let folder = Folder::new("admin_key");
    let set = ["--admin", "127.0.0.1:0", "--set", "admin.key_file=admin.key"];
    let (_broker, banner) = Broker::start(&folder, &set);
    assert!(banner.contains("/admin/v1   key in admin.key\n"), "{banner}");
    let key = fs::read_to_string(folder.0.join("admin.key")).unwrap();
    assert!(!banner.contains(key.trim()) && !banner.contains("#key="), "{banner}");
    assert!(banner.contains("/   asks for a key of the role admin\n"), "{banner}");
}

#[test]
fn an_operator_reloads_as_a_hangup_does_and_drains_as_a_signal_does() {
    let file = "[[auth.keys]]\nid = \"root\"\nsecret_file = \"root.key\"\nrole = \"admin\"\n";
    let key = "the-secret-of-an-operator";
    let folder = Folder::new("operator").with("bayeuxd.toml", file).with("root.key", key);
    let (broker, banner) = Broker::start(&folder, &["--admin", "127.0.0.1:0"]);
    let act = |verb: &str| post(&banner, "admin    ", &format!("/admin/v1/{verb}"), key);
    let folder = folder.with("bayeuxd.toml", &format!("{file}[session]\ntimeout = \"20s\"\n"));
    let answer = act("reload");
    let expected = r#"{"ok":true,"reloaded":[],"restart":["session.timeout"],"changes":[{"key":"session.timeout","before":"45s","after":"20s","reload":"restart"}]}"#;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(expected), "{answer}");
    let _folder = folder.with("bayeuxd.toml", "[session]\ntimeout = 1\n");
    let answer = act("reload");
    assert!(
        answer.starts_with("HTTP/1.1 409") && answer.contains("session.timeout = 1"),
        "{answer}"
    );
    let answer = act("drain");
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let outcome = broker.wait();
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.out.contains("drain: 0 sessions told"), "{}", outcome.out);
}

#[test]
fn a_hangup_replaces_keys_and_names_what_needs_a_restart() {
    const FIRST: &str = "the-first-of-two-secrets";
    const SECOND: &str = "the-second-of-two-secrets";
    let file = "[[auth.keys]]\nid = \"a\"\nsecret_file = \"a.key\"\nchannels = [\"/a\"]\n";
    let folder = Folder::new("hangup").with("bayeuxd.toml", file).with("a.key", FIRST);
    let (mut broker, banner) = Broker::start(&folder, &[]);
    assert_eq!(publish_status(&banner, FIRST), "200");
    let folder = folder
        .with("a.key", SECOND)
        .with("bayeuxd.toml", &format!("{file}[session]\ntimeout = \"20s\"\n"));
    broker.signal("-HUP");
    let log = broker.log_until("reloaded: auth.keys");
    assert!(log.contains("not reloaded: session.timeout needs a restart"), "{log}");
    assert_eq!(publish_status(&banner, FIRST), "401");
    assert_eq!(publish_status(&banner, SECOND), "200");
    // A mistake changes nothing.
    let _folder = folder.with("bayeuxd.toml", "[session]\ntimeout = 1\n");
    broker.signal("-HUP");
    let log = broker.log_until("session.timeout = 1");
    assert!(log.contains("not reloaded: bayeuxd.toml:2: "), "{log}");
    assert_eq!(publish_status(&banner, SECOND), "200");
}

#[test]
fn a_hangup_keeps_the_local_key_when_its_file_is_of_no_use_any_more() {
    let folder = Folder::new("local_key_hangup");
    let (mut broker, banner) = Broker::start(&folder, &["--set", "api.key_file=publish.key"]);
    let file = folder.0.join("publish.key");
    let key = fs::read_to_string(&file).unwrap();
    fs::write(&file, "").unwrap();
    broker.signal("-HUP");
    let log = broker.log_until("reloaded: nothing differs");
    assert!(log.contains("holds no key"), "{log}");
    assert_eq!(publish_status(&banner, key.trim()), "200");
}

/// A service manager of the kind of systemd, as far as it listens (sd_notify(3)).
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn listen(name: &str) -> Self {
        // Not in the folder of a test: the path of a socket has at most 107 bytes.
        let path = std::env::temp_dir().join(format!("bayeuxd-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        Self { socket, path }
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    fn next(&self) -> String {
        let mut text = [0; 512];
        let length = self.socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[test]
fn a_service_manager_is_told_of_start_life_reload_and_stop() {
    let folder = Folder::new("supervisor");
    let manager = Manager::listen("notify");
    let next = || manager.next();
    // Beats come at any time; what else there is comes in this order.
    let next_but_beats =
        || std::iter::repeat_with(next).find(|text| text != "WATCHDOG=1\n").unwrap();
    let variables = [("NOTIFY_SOCKET", manager.path()), ("WATCHDOG_USEC", "100000")];
    let (mut broker, banner) = Broker::start_with(&folder, &[], &variables);
    let ready = next_but_beats();
    let address = banner.split("http://").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(ready, format!("READY=1\nSTATUS=serving on {address}\n"));
    assert_eq!((next(), next()), ("WATCHDOG=1\n".into(), "WATCHDOG=1\n".into()));
    broker.signal("-HUP");
    assert!(next_but_beats().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(next_but_beats(), ready);
    broker.log_until("reloaded: nothing differs");
    broker.signal("-TERM");
    assert!(next_but_beats().starts_with("STOPPING=1\n"));
    assert_eq!(broker.wait().code, Some(0));
}

#[test]
fn a_hangup_during_a_drain_does_not_tell_a_service_manager_of_readiness() {
    let folder = Folder::new("supervisor_drain");
    let manager = Manager::listen("drain");
    let next = || manager.next();
    let variables = [("NOTIFY_SOCKET", manager.path())];
    let (mut broker, _) =
        Broker::start_with(&folder, &["--set", "server.drain_delay=10m"], &variables);
    assert!(next().starts_with("READY=1\n"));
    broker.signal("-TERM");
    assert!(next().starts_with("STOPPING=1\n"));
    broker.signal("-HUP");
    broker.log_until("reloaded: ");
    broker.signal("-TERM");
    assert_eq!(broker.wait().code, Some(6));
    manager.socket.set_nonblocking(true).unwrap();
    let after = manager.socket.recv(&mut [0; 512]);
    assert!(after.is_err(), "something came behind STOPPING=1");
}
