//! `bayeuxd bench` against a broker in this process and against its own floor: that it counts
//! right, not that it is fast. No test looks at a time.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails fails its test"
)]

use std::{
    future::pending,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use bayeuxd::{
    Config, Server,
    config::{self, Admin},
};
use serde_json::Value;
use tokio::{runtime::Builder, sync::oneshot};

/// A broker on a free port; ends when dropped.
struct Broker {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Broker {
    fn start(change: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (told, address) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut config = Config {
                server: config::Server {
                    listen: vec!["127.0.0.1:0".parse().unwrap()],
                    ..Default::default()
                },
                admin: Admin { listen: None, ..Admin::default() },
                ..Config::default()
            };
            change(&mut config);
            Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(
                async {
                    let server = Server::bind(config).await.unwrap();
                    told.send(server.addresses()[0]).unwrap();
                    let stopped = async {
                        let _ = stopped.await;
                    };
                    server.run(stopped, pending()).await;
                },
            );
        });
        Self { address: address.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    /// Runs the tool; the broker's process is this one.
    fn bench(&self, arguments: &[&str]) -> Value {
        let url = format!("http://{}/cometd", self.address);
        let pid = std::process::id().to_string();
        let output = bench(&[arguments, &["--json", "--url", &url, "--pid", &pid]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bayeuxd"))
        .arg("bench")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn assert_complete(result: &Value) {
    assert_eq!(result["complete"], true, "{result:#}");
    let results = &result["results"];
    for key in ["lost", "duplicates", "outOfOrder"] {
        assert_eq!(results[key], 0, "{result:#}");
    }
    assert_eq!(results["messages"], results["expected"], "{result:#}");
    assert!(results["messages"].as_u64() > Some(0), "{result:#}");
    for key in ["min", "p50", "p90", "p99", "p99.9", "max"] {
        assert!(results["latency"][key]["value"].as_f64() > Some(0.0), "{key}: {result:#}");
    }
}

const SHORT: [&str; 4] = ["--duration", "300ms", "--warmup", "100ms"];

#[test]
fn fanout_counts_every_delivery_in_a_closed_loop() {
    let broker = Broker::start(|_| {});
    for transport in ["websocket", "long-polling"] {
        let arguments = ["fanout", "--subscribers", "20", "--publishers", "2"];
        let result = broker.bench(&[&arguments, &SHORT[..], &["--transport", transport]].concat());
        assert_complete(&result);
        assert_eq!(result["config"]["sessions"], 22);
        assert!(result["results"]["serverRss"]["value"].as_f64() > Some(0.0), "{result:#}");
    }
}

#[test]
fn fanout_keeps_its_rate_in_an_open_loop() {
    let broker = Broker::start(|_| {});
    for transport in ["websocket", "long-polling"] {
        let arguments = ["fanout", "--subscribers", "5", "--rate", "50", "--transport", transport];
        let result = broker.bench(&[&arguments, &SHORT[..]].concat());
        assert_complete(&result);
        // 50 a second for 0.4 s, to 5 subscribers, however late the tool or the broker may be.
        assert_eq!(result["results"]["messages"], 100, "{result:#}");
    }
}

#[test]
fn a_monitor_watches_every_second_turn_and_only_with_the_right_to() {
    let arguments = ["fanout", "--subscribers", "2", "--rate", "50", "--with-monitor"];
    let broker = Broker::start(|config| config.monitor.everybody = true);
    let result = broker.bench(&[&arguments, &SHORT[..]].concat());
    let runs = result["runs"].as_array().unwrap();
    let sessions: Vec<_> = runs.iter().map(|run| &run["config"]["sessions"]).collect();
    assert_eq!(sessions, [3, 4], "{result:#}");
    for run in runs {
        assert_eq!(
            (&run["complete"], &run["results"]["foreign"]),
            (&Value::from(true), &Value::Null)
        );
    }
    drop(broker);
    let broker = Broker::start(|_| {});
    let url = format!("http://{}/cometd", broker.address);
    let refused = bench(&[&arguments[..], &SHORT, &["--url", &url]].concat());
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("403"), "{refused:?}");
}

#[test]
fn rooms_expects_what_the_members_add_up_to() {
    let broker = Broker::start(|_| {});
    let arguments = ["rooms", "--clients=20", "--rooms=10", "--roomsPerClient=3", "--batches=10"];
    let same_seed: Vec<u64> = ["LONG_POLLING", "WEBSOCKET"]
        .into_iter()
        .map(|transport| {
            let transport = format!("--transport={transport}");
            let result = broker.bench(&[&arguments[..], &[&transport, "--randomize"]].concat());
            assert_complete(&result);
            assert_eq!(result["results"]["latencyScheduled"]["p50"]["unit"], "µs");
            result["results"]["messages"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(same_seed[0], same_seed[1]);
}

#[test]
fn idle_storm_and_polls_open_every_session() {
    let broker = Broker::start(|_| {});
    for transport in ["websocket", "long-polling"] {
        let run = |arguments: &[&str]| {
            broker.bench(&[arguments, &["--clients", "20", "--transport", transport]].concat())
        };
        let idle = run(&["idle", "--duration", "200ms", "--sources", "3"]);
        assert_eq!(idle["config"]["sessions"], 20, "{idle:#}");
        assert!(idle["results"]["rssAnonPerSession"]["value"].is_number(), "{idle:#}");
        let storm = run(&["storm", "--opening", "7"]);
        assert!(storm["results"]["sessionRate"]["value"].as_f64() > Some(0.0), "{storm:#}");
        let polls = run(&["polls", "--duration", "200ms"]);
        assert!(polls["results"]["pollRate"]["value"].as_f64() > Some(0.0), "{polls:#}");
    }
}

#[test]
fn delft_tells_what_every_cell_received_and_asked_in_vain() {
    let broker = Broker::start(|_| {});
    let result = broker.bench(&[
        "delft",
        "--users",
        "10,20",
        "--intervals",
        "4s",
        "--pulls",
        "0.5s",
        "--messages",
        "3",
        "--time-scale",
        "10",
    ]);
    let runs = result["runs"].as_array().unwrap();
    let cells: Vec<(&Value, &Value)> =
        runs.iter().map(|run| (&run["config"]["users"], &run["config"]["variant"])).collect();
    let variants = ["websocket", "long-polling", "pull"].map(Value::from);
    let (ten, twenty) = (Value::from(10), Value::from(20));
    let with = |users| variants.iter().map(move |variant| (users, variant));
    assert_eq!(cells, with(&ten).chain(with(&twenty)).collect::<Vec<_>>());
    for run in runs {
        assert_complete(run);
        let (config, results) = (&run["config"], &run["results"]);
        let (users, number) =
            (config["users"].as_u64().unwrap(), |key: &str| results[key].as_u64());
        assert_eq!(number("messages"), Some(3 * users), "{run:#}");
        assert_eq!(results["received"]["value"], 100, "{run:#}");
        assert_eq!(config["interval"]["value"], 0.4, "{run:#}");
        for key in ["onTime", "tripTime", "traffic"] {
            assert!(results[key]["value"].as_f64() > Some(0.0), "{key}: {run:#}");
        }
        let (connects, vain) = (number("connects").unwrap(), number("connectsInVain").unwrap());
        match config["variant"].as_str() {
            // Connects are held for longer than the run lasts.
            Some("websocket") => assert!(connects <= users, "{run:#}"),
            Some("long-polling") => assert!(connects > vain && vain <= users, "{run:#}"),
            // 24 pulls are due for 3 messages.
            _ => assert!(vain > 0 && connects > vain, "{run:#}"),
        }
    }
}

#[test]
fn the_options_of_cometds_client_change_the_wire() {
    let broker = Broker::start(|config| config.transports.websocket.compression = true);
    let load = ["fanout", "--subscribers", "10", "--message-size", "400"];
    let bytes = |more: &[&str]| {
        let result = broker.bench(&[&load, &SHORT[..], more].concat());
        assert_complete(&result);
        result["results"]["bytesPerDelivery"]["value"].as_f64().unwrap()
    };
    let plain = bytes(&[]);
    let deflated = bytes(&["--permessage-deflate"]);
    assert!(deflated < plain / 2.0, "{deflated} of {plain} bytes a delivery");
    // Over both transports deliveries come with connects, which acknowledge them.
    bytes(&["--ackExtension"]);
    bytes(&["--ackExtension", "--transport", "long-polling"]);
}

#[test]
fn a_publish_without_subscribers_is_measured_by_itself() {
    let broker = Broker::start(|_| {});
    let load = ["fanout", "--subscribers", "0", "--rate", "500"];
    let result = broker.bench(&[&load, &SHORT[..]].concat());
    assert_eq!(result["complete"], true, "{result:#}");
    // Not how much: threads of other tests end meanwhile, and with them their time.
    for key in ["serverCpuPerPublish", "serverUserCpuPerPublish"] {
        assert!(result["results"][key]["value"].is_number(), "{key}: {result:#}");
    }
}

#[test]
fn what_a_full_queue_drops_is_told_as_lost() {
    let broker = Broker::start(|config| {
        config.channels = vec![config::ChannelRule {
            pattern: "/bench/**".into(),
            queue_policy: Some(config::QueuePolicy::DropOldest),
            ..Default::default()
        }];
        config.session.queue.max_messages = 1;
        config.session.meta_connect_deliver_only = true;
    });
    let url = format!("http://{}/cometd", broker.address);
    // Batches of many messages meet queues of one.
    let load = ["fanout", "--subscribers", "3", "--transport", "long-polling", "--url", &url];
    let output = bench(&[&load, &SHORT[..], &["--json", "--patience", "300ms"]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["complete"], false, "{result:#}");
    assert!(result["results"]["lost"].as_u64() > Some(0), "{result:#}");
    assert_eq!(result["results"]["duplicates"], 0, "{result:#}");
}

#[test]
fn a_contest_with_the_floor_tells_ratios() {
    let broker = Broker::start(|_| {});
    for transport in ["websocket", "long-polling"] {
        let load = ["fanout", "--subscribers", "10", "--rounds", "2", "--transport", transport];
        let floors = ["--with-floor", "direct,coalesced"];
        let result = broker.bench(&[&load, &SHORT[..], &floors].concat());
        let runs = result["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 6, "{result:#}");
        runs.iter().for_each(assert_complete);
        let ratios = result["ratios"].as_array().unwrap();
        let of = |server: &str| {
            let rate =
                ratios.iter().find(|row| row["server"] == server && row["figure"] == "receiveRate");
            rate.unwrap()["ratio"].as_f64()
        };
        assert!(of("floor-direct") > Some(0.0) && of("floor-coalesced") > Some(0.0), "{result:#}");
        assert_eq!(of("this"), None);
    }
}

#[test]
fn results_go_to_the_file_too() {
    let broker = Broker::start(|_| {});
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-result.json");
    let result = broker.bench(&["storm", "--clients", "3", "--file", file.to_str().unwrap()]);
    let written: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(written, result);
}

#[test]
fn a_server_that_is_not_there_is_exit_code_4() {
    // A port that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = bench(&["storm", "--url", &format!("http://{address}/cometd")]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("is the server running?"), "{text}");
}

#[test]
fn what_cannot_be_measured_is_refused_with_advice() {
    let broker = Broker::start(|_| {});
    let url = format!("http://{}/nothing-here", broker.address);
    for (arguments, code, text) in [
        (vec!["storm", "--url", "https://localhost/"], 2, "TLS is not offered"),
        (vec!["storm", "--clients", "9999999"], 1, "ulimit -n"),
        (vec!["rooms", "--rooms", "2", "--url", &url], 2, "different rooms"),
        (vec!["storm", "--url", &url], 1, "404"),
        (vec!["fanout", "--rate", "0"], 2, "above 0"),
        (vec!["fanout", "--subscribers", "0"], 2, "--rate"),
        (vec!["delft", "--transport", "websocket"], 2, "--variants"),
        (vec!["delft", "--time-scale", "100", "--pulls", "0.5s"], 2, "at least 10 ms"),
        (vec!["delft", "--users", "9999999"], 1, "ulimit -n"),
    ] {
        let output = bench(&arguments);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {err}");
        assert!(err.contains(text), "{arguments:?}: {err}");
    }
}
