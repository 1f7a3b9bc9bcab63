//! `bayeuxd doctor` behind proxies that do well, and behind such that have one thing wrong each: it has to
//! find that thing, and no other, and name the directive.

use std::{
    collections::BTreeMap,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use bayeuxd::config::Transport;
use protocol_tests::{
    broker::Broker,
    process::program,
    reverse_proxy::{Kind, ReverseProxy},
};
use serde_json::Value;
use tokio::task::spawn_blocking;

/// How long the brokers here hold a connect.
const HOLD_MS: u64 = 1_500;
const ORIGIN: &str = "http://localhost:3000";

/// What the doctor said.
#[derive(Debug)]
struct Report {
    code: Option<i32>,
    /// By check: status, text and fix in one.
    checks: BTreeMap<String, String>,
}

impl Report {
    /// Nothing is wrong but what is named: (check, begin of the status, what its lines have to say).
    #[track_caller]
    fn assert_only(&self, wrong: &[(&str, &str, &str)]) {
        for (name, said) in &self.checks {
            match wrong.iter().find(|(check, ..)| check == name) {
                Some((_, status, text)) => assert!(
                    said.starts_with(status) && said.contains(text),
                    "{name} has to be {status} with {text}: {said}"
                ),
                None => assert!(
                    said.starts_with("pass") || said.starts_with("skip"),
                    "{name}: {said}\n{self:#?}"
                ),
            }
        }
        for (check, ..) in wrong {
            assert!(self.checks.contains_key(*check), "no check {check}: {self:#?}");
        }
        let failed = wrong.iter().any(|(_, status, _)| status.starts_with("fail"));
        assert_eq!(self.code, Some(i32::from(failed)), "{self:#?}");
    }
}

async fn command(arguments: &[&str], trusted: Option<&PathBuf>) -> Output {
    let mut command = Command::new(program());
    command.arg("doctor").args(arguments).arg("--json");
    if let Some(file) = trusted {
        command.env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR");
    }
    let run = spawn_blocking(move || command.output().expect("run bayeuxd; cargo build makes it"));
    run.await.expect("no panic")
}

fn report(output: &Output) -> Report {
    let out = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|error| {
        panic!("{error}: {out}{}", String::from_utf8_lossy(&output.stderr))
    });
    let checks = report["checks"].as_array().expect("a list of checks").iter().map(|check| {
        let fix = check.get("fix").map(ToString::to_string).unwrap_or_default();
        let text = |name: &str| check[name].as_str().expect("a text").to_owned();
        (
            text("check"),
            format!("{}: {}\n{}", text("status"), text("text"), fix.replace("\\\"", "\"")),
        )
    });
    Report { code: output.status.code(), checks: checks.collect() }
}

async fn doctor(address: SocketAddr, more: &[&str]) -> Report {
    let url = format!("http://{address}/cometd");
    report(&command(&[&[url.as_str(), "--origin", ORIGIN], more].concat(), None).await)
}

/// A site of nginx as in docs/proxies.md, with more lines for its location.
fn site(more: &str) -> String {
    format!(
        r#"
map $http_upgrade $bayeuxd_connection {{ default upgrade; "" ""; }}
server {{
    listen LISTEN;
    location /cometd {{
        proxy_pass http://UPSTREAM;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $bayeuxd_connection;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        {more}
    }}
}}
"#
    )
}

async fn quick_behind(broker: &Broker, site: &str) -> Report {
    let proxy = ReverseProxy::nginx(site, &[], broker.address).await;
    doctor(proxy.address, &["--quick"]).await
}

#[tokio::test]
async fn every_way_that_is_well_passes_all_checks() {
    let broker = Broker::holding(HOLD_MS).await;
    let direct = doctor(broker.address, &[]).await;
    direct.assert_only(&[]);
    assert!(direct.checks.values().all(|said| said.starts_with("pass")), "{direct:#?}");
    for kind in Kind::FULL {
        println!("{kind}");
        let proxy = ReverseProxy::start(kind, broker.address).await;
        doctor(proxy.address, &[]).await.assert_only(&[]);
    }
}

#[tokio::test]
async fn an_upgrade_that_is_not_passed_is_found_with_what_nginx_needs() {
    let broker = Broker::holding(HOLD_MS).await;
    let proxy = ReverseProxy::start(Kind::NginxPlain, broker.address).await;
    let report = doctor(proxy.address, &[]).await;
    let text = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;";
    report.assert_only(&[("websocket", "fail: the upgrade is answered with 400", text)]);
    let said = &report.checks["websocket"];
    assert!(!said.contains("HAProxy"), "the proxy has told its name: {said}");
}

#[tokio::test]
async fn a_hold_that_is_cut_is_found_over_polls_and_websockets() {
    let broker = Broker::holding(3_000).await;
    let cut = "fail: a poll is answered with 50";
    // All but nginx have a time of their own for WebSockets, which is not that short here.
    let socket = ("idle", "fail: a WebSocket ends after 1", "proxy_read_timeout 60s;");
    for (kind, wrong) in [
        (Kind::Nginx, &[("hold", cut, "proxy_read_timeout 60s;"), socket][..]),
        (Kind::HaProxy, &[("hold", cut, "timeout server 60s")]),
        (Kind::Apache, &[("hold", cut, "timeout=75")]),
    ] {
        println!("{kind}");
        let proxy = ReverseProxy::impatient(kind, broker.address, 1).await;
        doctor(proxy.address, &[]).await.assert_only(wrong);
    }
}

#[tokio::test]
async fn a_stream_that_is_collected_is_found() {
    let broker = Broker::with(|config| config.transports.enabled.push(Transport::Streaming)).await;
    let report = quick_behind(&broker, &site("")).await;
    report.assert_only(&[]);
    assert!(report.checks["buffering"].contains("a stream (streaming)"), "{report:#?}");
    // What nginx collects it passes on in whole buffers only if it speaks HTTP/1.0 to the broker.
    let collecting = site("proxy_ignore_headers X-Accel-Buffering; proxy_buffering on;");
    let collecting = collecting.replace("proxy_http_version 1.1;", "");
    let report = quick_behind(&broker, &collecting).await;
    report.assert_only(&[
        ("buffering", "fail", "proxy_buffering off;"),
        ("websocket", "fail", "proxy_http_version 1.1;"),
    ]);
}

#[tokio::test]
async fn a_cookie_that_is_lost_is_found_in_either_direction() {
    let broker = Broker::start().await;
    for (line, status, text) in [
        ("proxy_hide_header Set-Cookie;", "fail", "proxy_hide_header Set-Cookie"),
        ("proxy_set_header Cookie \"\";", "fail", "proxy_set_header Cookie"),
        ("proxy_cookie_path / /app/;", "fail: browsers drop it", "proxy_cookie_path"),
    ] {
        println!("{line}");
        quick_behind(&broker, &site(line)).await.assert_only(&[("cookies", status, text)]);
    }
}

#[tokio::test]
async fn cors_that_a_browser_does_not_take_is_found() {
    let broker = Broker::start().await;
    let hidden = site("proxy_hide_header Access-Control-Allow-Origin;");
    let fail = "fail: no Access-Control-Allow-Origin";
    quick_behind(&broker, &hidden).await.assert_only(&[("cors", fail, "proxy_hide_header")]);
    let twice = site("add_header Access-Control-Allow-Origin $http_origin always;");
    let report = quick_behind(&broker, &twice).await;
    report.assert_only(&[("cors", "fail", "remove `add_header Access-Control-…`")]);
    let taken = site("if ($request_method = OPTIONS) { return 405; }");
    quick_behind(&broker, &taken).await.assert_only(&[("cors", "fail: the preflight", "Origin")]);
    let url = format!("http://{}/cometd", broker.address);
    let stranger = ["--quick", "--origin", "https://app.example.com", url.as_str()];
    let setting = "add \"https://app.example.com\" to server.allowed_origins";
    // The cookie is examined as that of a program, since the page gets none.
    report_of(&stranger).await.assert_only(&[("cors", "fail", setting)]);
}

async fn report_of(arguments: &[&str]) -> Report {
    report(&command(arguments, None).await)
}

#[tokio::test]
async fn a_path_that_is_not_shared_is_found() {
    let broker = Broker::start().await;
    let exact = site("").replace("location /cometd", "location = /cometd");
    let text = "not `location =`";
    quick_behind(&broker, &exact).await.assert_only(&[(
        "path",
        "fail: POST /cometd/handshake",
        text,
    )]);
    let only_post = site("limit_except POST OPTIONS { deny all; }");
    let report = quick_behind(&broker, &only_post).await;
    report.assert_only(&[
        ("path", "fail: POST arrives, but GET is answered with 403", "limit_except"),
        ("websocket", "fail: the upgrade is answered with 403", ""),
        ("cors", "fail", ""),
    ]);
}

#[tokio::test]
async fn a_bound_on_bodies_is_found() {
    let broker = Broker::start().await;
    let report = quick_behind(&broker, &site("client_max_body_size 1k;")).await;
    report.assert_only(&[(
        "body",
        "fail: a body of 32 KiB is answered with 413",
        "client_max_body_size",
    )]);
}

#[tokio::test]
async fn requests_that_are_spread_over_brokers_are_found() {
    let (one, other) = (Broker::start().await, Broker::start().await);
    let servers = format!("upstream both {{ server UPSTREAM; server {}; }}\n", other.address);
    let spread = servers + &site("").replace("http://UPSTREAM", "http://both");
    let report = quick_behind(&one, &spread).await;
    let affinity = &report.checks["affinity"];
    assert!(affinity.starts_with("fail: request ") && affinity.contains("ip_hash"), "{report:#?}");
    assert_eq!(report.code, Some(1));
}

#[tokio::test]
async fn a_backend_that_is_away_is_told_from_a_host_that_is() {
    let broker = Broker::start().await;
    let proxy = ReverseProxy::start(Kind::Nginx, broker.address).await;
    broker.kill().await;
    let report = doctor(proxy.address, &["--quick"]).await;
    report.assert_only(&[("post", "fail: POST /cometd is answered with 502", "proxy_pass")]);
    let gone = proxy.address;
    drop(proxy);
    let report = doctor(gone, &["--quick"]).await;
    assert_eq!((report.code, report.checks.len()), (Some(4), 1), "{report:#?}");
}

#[tokio::test]
async fn https_is_examined_with_a_certificate_that_the_system_trusts() {
    let folder = env::temp_dir().join(format!("bayeuxd-doctor-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("a folder");
    let (certificate, key) = certificate(&folder);
    let broker = Broker::with(|config| {
        config.server.trusted_proxies = vec!["127.0.0.1".to_owned()];
        config.server.allowed_origins = vec![ORIGIN.to_owned()];
    })
    .await;
    let tls = "listen LISTEN ssl; ssl_certificate FOLDER/c.pem; ssl_certificate_key FOLDER/k.pem;";
    let text = site("").replace("listen LISTEN;", &tls.replace("; ", ";\n"));
    let files = [("c.pem", certificate.as_str()), ("k.pem", key.as_str())];
    let proxy = ReverseProxy::nginx(&text, &files, broker.address).await;
    let url = format!("https://localhost:{}/cometd", proxy.address.port());
    let trusted = folder.join("c.pem");
    let known = report(&command(&[&url, "--quick", "--origin", ORIGIN], Some(&trusted)).await);
    known.assert_only(&[]);
    assert!(known.checks["reach"].contains("with TLS"), "{known:#?}");
    let unknown = report_of(&[&url, "--quick"]).await;
    unknown.assert_only(&[("reach", "fail", "no TLS that can be trusted")]);
    fs::remove_dir_all(&folder).expect("remove the folder");
}

/// A certificate for localhost and its key, made for this run.
fn certificate(folder: &Path) -> (String, String) {
    const REQUEST: &str = "[req]\ndistinguished_name=n\nx509_extensions=e\nprompt=no\n[n]\nCN=localhost\n\
        [e]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n";
    fs::write(folder.join("request"), REQUEST).expect("write the request");
    let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                     -config request -keyout k.pem -out c.pem";
    let mut openssl = Command::new("openssl");
    openssl.args(arguments.split_whitespace()).current_dir(folder);
    let made = openssl.output().expect("run openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("a file of openssl");
    (read("c.pem"), read("k.pem"))
}
