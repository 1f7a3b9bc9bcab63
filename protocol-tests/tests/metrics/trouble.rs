//! What goes wrong, and what is rare, is counted too.

use std::{panic::catch_unwind, time::Duration};

use bayeuxd::{
    config::{ChannelRule, QueuePolicy},
    metrics::count_panics,
    server::{ServiceError, ServiceOptions},
};
use protocol_tests::{
    bayeux::{Polling, Socket, connect, disconnect, publish},
    broker::Broker,
    deadline::{soon, until},
    http::{Connection, Request, request},
    metrics::Scrape,
    monitor, service,
};
use serde_json::{json, value::to_raw_value};

use crate::numbers::{assert_values, scrape_until};

fn rule(pattern: &str, policy: QueuePolicy) -> ChannelRule {
    ChannelRule { pattern: pattern.into(), queue_policy: Some(policy), ..ChannelRule::default() }
}

#[tokio::test]
async fn what_a_queue_gives_up_is_counted_by_policy_and_cause() {
    let broker = Broker::with(|config| {
        config.session.queue.max_messages = 3;
        config.channels =
            vec![rule("/latest", QueuePolicy::Latest), rule("/oldest", QueuePolicy::DropOldest)];
    })
    .await;
    let mut publisher = Socket::connected(broker.address).await;
    let _latest = Polling::subscribed(broker.address, "/latest").await;
    let _oldest = Polling::subscribed(broker.address, "/oldest").await;
    let _slow = Polling::subscribed(broker.address, "/slow").await;
    for number in 0..10 {
        publisher.publish("/latest", number).await;
        publisher.publish("/oldest", number).await;
    }
    let waiting = Scrape::of(&broker).await;
    assert_values(&waiting, &[("queue_messages", 4.0)]);
    assert!((100.0..400.0).contains(&waiting.value("queue_bytes")), "{}", waiting.text);
    assert!(waiting.value("queue_bytes_limit") > 1e6, "{}", waiting.text);
    for number in 0..4 {
        publisher.publish("/slow", number).await;
    }
    let scrape = scrape_until(&broker, "sessions_closed_total{cause=\"slow\"}", 1.0).await;
    assert_values(
        &scrape,
        &[
            ("messages_dropped_total{reason=\"latest\"}", 9.0),
            ("messages_dropped_total{reason=\"drop_oldest\"}", 7.0),
            ("messages_discarded_total{cause=\"slow\"}", 3.0),
            ("queue_messages", 4.0),
        ],
    );
}

#[tokio::test]
async fn what_a_full_broker_refuses_is_counted() {
    let broker = service::broker_with(|config| {
        config.limits.queued_bytes = Some(20_000);
        config.limits.connections = Some(3);
    })
    .await;
    let mut publisher = Connection::open(broker.address).await;
    let large = service::call("/publish/a", json!("x".repeat(9_000)).to_string());
    let refused = async {
        // Each half second a full broker ends the session that waits with most, and has room again.
        while {
            drop(Polling::subscribed(broker.address, "/a").await);
            for _ in 0..3 {
                publisher.exchange(&large).await;
            }
            publisher.exchange(&service::call("/publish/a", "1")).await.status != 503
        } {}
    };
    soon("a refusal", refused).await;
    drop(publisher);
    scrape_until(&broker, "connections", 0.0).await;
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(Connection::open(broker.address).await);
    }
    let scrape = scrape_until(&broker, "connections", 3.0).await;
    assert_values(&scrape, &[("connections_limit", 3.0)]);
    assert_eq!(Connection::open(broker.address).await.response().await.status, 503);
    let scrape = Scrape::of(&broker).await;
    assert_values(
        &scrape,
        &[
            ("messages_refused_total", 1.0),
            ("limit_hits_total{limit=\"limits.queued_bytes\"}", 1.0),
            ("limit_hits_total{limit=\"limits.connections\"}", 1.0),
            ("http_requests_total{path=\"api\",code=\"5xx\"}", 1.0),
        ],
    );
}

#[tokio::test]
async fn calls_of_services_are_counted_by_what_came_of_them() {
    let broker = Broker::start().await;
    let options = ServiceOptions { timeout: Duration::from_millis(100), ..Default::default() };
    let serve = broker.handle.serve("/service/*", options, |call| async move {
        match call.channel().as_str() {
            "/service/silent" => Ok(None),
            "/service/failed" => Err(ServiceError::new("NoSuchSymbol", "not traded")),
            "/service/late" => std::future::pending().await,
            _ => Ok(Some(to_raw_value(&7).unwrap())),
        }
    });
    serve.unwrap();
    let mut socket = Socket::connected(broker.address).await;
    for name in ["replied", "silent", "failed", "late", "replied"] {
        socket.send(publish("7", &format!("/service/{name}"), 1)).await;
    }
    let timed_out = scrape_until(&broker, "service_calls_total{result=\"timed_out\"}", 1.0).await;
    assert_values(
        &timed_out,
        &[
            ("service_calls_total{result=\"replied\"}", 2.0),
            ("service_calls_total{result=\"silent\"}", 1.0),
            ("service_calls_total{result=\"failed\"}", 1.0),
            ("service_replies_lost_total", 0.0),
        ],
    );
    socket.send(publish("8", "/service/late", 1)).await;
    let gone = socket.client_id.clone();
    until("the call", || broker.handle.service_counters().calls.value() == 6).await;
    broker.kick(&gone);
    let scrape = scrape_until(&broker, "service_replies_lost_total", 1.0).await;
    assert_values(&scrape, &[("sessions_closed_total{cause=\"kicked\"}", 1.0)]);
}

#[tokio::test]
async fn monitors_are_counted_with_what_they_get_and_miss() {
    let broker = monitor::broker_with(|config| config.monitor.ring_events = 16).await;
    let mut watcher = monitor::polling_with(&broker, monitor::KEY).await;
    watcher.subscribe("/meta/monitor/handshake").await;
    let before = Scrape::of(&broker).await;
    assert_values(&before, &[("monitor_subscribers", 1.0), ("monitor_lost_total", 0.0)]);
    for _ in 0..40 {
        Polling::handshake(broker.address).await;
    }
    let told = "monitor_events_total{type=\"handshake\"}";
    let after = scrape_above(&broker, "monitor_lost_total", 0.0).await;
    assert!(after.value(told) - before.value(told) >= 40.0, "{}", after.text);
}

#[tokio::test]
async fn a_change_of_transport_is_counted() {
    let broker = Broker::start().await;
    let poll = Polling::connected(broker.address).await;
    let mut socket = Socket::adopt(broker.address, &poll.client_id).await;
    socket.send(json!([connect("1")])).await;
    let switched = "transport_changes_total{kind=\"switch\"}";
    let scrape = scrape_until(&broker, switched, 1.0).await;
    assert_values(
        &scrape,
        &[
            ("sessions{transport=\"websocket\"}", 1.0),
            ("sessions{transport=\"long-polling\"}", 0.0),
            ("sessions_created_total{transport=\"long-polling\"}", 1.0),
            ("transport_changes_total{kind=\"demoted\"}", 0.0),
        ],
    );
    let elsewhere = json!({"channel": "/meta/disconnect", "clientId": "0".repeat(32), "id": "9"});
    socket.one(elsewhere).await;
    socket.one(disconnect("2")).await;
    let scrape = scrape_until(&broker, "sessions_closed_total{cause=\"client\"}", 1.0).await;
    assert_values(&scrape, &[("unknown_session_total{on=\"disconnect\"}", 1.0)]);
}

#[tokio::test]
async fn a_broker_that_drains_says_so_and_is_not_ready() {
    let mut broker =
        Broker::with(|config| config.server.drain_delay = Duration::from_secs(30)).await;
    assert_values(&Scrape::of(&broker).await, &[("draining", 0.0)]);
    assert_eq!(request(broker.admin, &Request::get("/readyz")).await.status, 200);
    broker.drain();
    scrape_until(&broker, "draining", 1.0).await;
    assert_eq!(request(broker.admin, &Request::get("/readyz")).await.status, 503);
    assert_eq!(request(broker.admin, &Request::get("/healthz")).await.status, 200);
    broker.kill().await;
}

#[tokio::test]
async fn the_process_and_its_bugs_are_counted() {
    count_panics();
    let broker = Broker::start().await;
    let before = Scrape::of(&broker).await;
    catch_unwind(|| panic!("a panic that a test makes")).unwrap_err();
    let scrape = Scrape::of(&broker).await;
    assert!(scrape.value("panics_total") > before.value("panics_total"), "{}", scrape.text);
    assert!(scrape.value("build_info{version=\"0.1.0\"}") == 1.0, "{}", scrape.text);
    for name in ["resident_memory_bytes", "open_fds", "max_fds", "threads", "start_time_seconds"] {
        let value = scrape.series[&format!("process_{name}")];
        assert!(value > 1.0, "process_{name} {value}");
    }
    let lag = "runtime_lag_seconds_count";
    scrape_above(&broker, lag, scrape.value(lag)).await;
}

/// Scrapes until a series is above a value.
async fn scrape_above(broker: &Broker, series: &str, from: f64) -> Scrape {
    for _ in 0..500 {
        let scrape = Scrape::of(broker).await;
        if scrape.value(series) > from {
            return scrape;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{series} stays at {from}");
}

#[tokio::test]
async fn results_that_are_forgotten_before_their_time_are_counted() {
    let broker = service::broker_with(|config| config.api.idempotency_entries = 1).await;
    for (key, forgotten) in [("a", 0.0), ("b", 1.0)] {
        let message = service::call("/publish/a", "1").header("Idempotency-Key", key);
        assert_eq!(request(broker.address, &message).await.status, 200);
        let scrape = Scrape::of(&broker).await;
        assert_values(&scrape, &[("idempotency_evicted_total", forgotten)]);
    }
}
