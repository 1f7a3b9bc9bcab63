//! Connections that a proxy shares between clients, keeps, loses, or gives up waiting for.

use std::time::Duration;

use protocol_tests::{
    bayeux::{Polling, Socket, connect_now, connected, deliveries, delivery, publish},
    broker::Broker,
    deadline::within,
    proxy::{End, Proxy},
    reverse_proxy::{Kind, ReverseProxy},
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// A session that sends and receives `rounds` batches on a channel of its own, and nothing else.
async fn talk(address: std::net::SocketAddr, name: usize, rounds: usize) {
    let channel = format!("/own/{name}");
    let mut session = Polling::subscribed(address, &channel).await;
    for round in 0..rounds {
        let id = format!("{name}x{round}");
        let batch = json!([publish(&id, &channel, id.as_str()), connect_now("c")]);
        let messages = session.send(batch).await;
        assert_eq!(deliveries(&messages), [delivery(&channel, id.as_str())], "{messages:?}");
        let ids: Vec<&Value> = messages.iter().filter_map(|message| message.get("id")).collect();
        assert_eq!(ids, [&json!(id), &json!("c")], "{messages:?}");
    }
}

#[tokio::test]
async fn sessions_do_not_mix_on_connections_that_a_proxy_shares() {
    const CLIENTS: usize = 12;
    const ROUNDS: usize = 15;
    let broker = Broker::start().await;
    for kind in Kind::FULL {
        let counter = Proxy::start(broker.address).await;
        let proxy = ReverseProxy::start(kind, counter.address).await;
        let address = proxy.address;
        let talks: Vec<_> =
            (0..CLIENTS).map(|name| tokio::spawn(talk(address, name, ROUNDS))).collect();
        for talk in talks {
            within(Duration::from_secs(20), "end of a talk", talk).await.expect("a talk in order");
        }
        let connections = counter.counts().accepted;
        println!("{kind}: {connections} connections for {} requests", CLIENTS * (ROUNDS + 3));
        assert!(connections <= 3 * CLIENTS, "{kind} has to keep connections: {connections}");
    }
}

#[tokio::test]
async fn a_connection_that_the_broker_closed_as_idle_costs_no_request() {
    const KEEP_ALIVE: Duration = Duration::from_secs(1);
    let broker = Broker::with(|config| config.limits.keep_alive = KEEP_ALIVE).await;
    for kind in Kind::FULL {
        println!("{kind}");
        let proxy = ReverseProxy::start(kind, broker.address).await;
        let mut session = Polling::connected(proxy.address).await;
        for _ in 0..2 {
            sleep(KEEP_ALIVE + Duration::from_millis(300)).await;
            let reply = session.one(connect_now("3")).await;
            assert_eq!(reply["successful"], true, "{reply}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_gives_up_on_a_held_poll_loses_nothing() {
    let broker = Broker::holding(20_000).await;
    for kind in Kind::ALL {
        println!("{kind}");
        let proxy = ReverseProxy::impatient(kind, broker.address, 1).await;
        let mut session = Polling::subscribed(proxy.address, "/a").await;
        let mut held = session.hold("3").await;
        let answer = held.response().await;
        // Apache calls it a bad gateway.
        let expected = if kind == Kind::Apache { 502 } else { 504 };
        assert_eq!(answer.status, expected, "{answer:?}");
        // Takes the queue away from the connection that the proxy has closed. What the broker writes
        // before it knows of that end is safe with the ack extension only: js/proxies proves it.
        assert_eq!(session.fetch().await, [connected("f", 20_000)]);
        let mut publisher = Polling::connected(broker.address).await;
        for number in 0..3 {
            publisher.publish("/a", number).await;
        }
        let all = session.fetch().await;
        let expected: Vec<Value> = (0..3).map(|number| delivery("/a", number)).collect();
        assert_eq!(deliveries(&all), expected, "{all:?}");
    }
}

#[tokio::test]
async fn a_session_survives_the_end_of_its_proxy() {
    let broker = Broker::holding(20_000).await;
    for kind in Kind::FULL {
        println!("{kind}");
        let proxy = ReverseProxy::start(kind, broker.address).await;
        let mut polling = Polling::subscribed(proxy.address, "/a").await;
        let mut held = polling.hold("3").await;
        let mut socket = Socket::subscribed(proxy.address, "/a").await;
        let client_id = socket.client_id.clone();
        drop(proxy);
        // Whatever it says or does not say at its end.
        held.connection.closed().await;
        socket.websocket.end().await;

        let proxy = ReverseProxy::start(kind, broker.address).await;
        polling.move_to(proxy.address).await;
        assert_eq!(polling.fetch().await, [connected("f", 20_000)]);
        let mut socket = Socket::adopt(proxy.address, &client_id).await;
        assert_eq!(socket.one(connect_now("4")).await, connected("4", 20_000));
        Polling::connected(proxy.address).await.publish("/a", "after").await;
        assert_eq!(deliveries(&polling.fetch().await), [delivery("/a", "after")]);
        assert_eq!(socket.recv().await, [delivery("/a", "after")]);
    }
}

#[tokio::test]
async fn a_broker_that_is_away_is_a_bad_gateway_and_comes_back() {
    let broker = Broker::holding(20_000).await;
    for kind in Kind::ALL {
        println!("{kind}");
        let between = Proxy::start(broker.address).await;
        let proxy = ReverseProxy::start(kind, between.address).await;
        let mut session = Polling::subscribed(proxy.address, "/a").await;
        let mut held = session.hold("3").await;
        between.redirect(([127, 0, 0, 1], 1).into());
        between.cut(End::Reset);
        let lost = held.connection.response_or_end().await;
        assert!(lost.is_none_or(|answer| [502, 503].contains(&answer.status)));
        // HAProxy may close a client's connection whose counterpart has ended, as if it had been idle.
        session.move_to(proxy.address).await;
        let away = session.post(json!([connect_now("4")])).await;
        assert!([502, 503].contains(&away.status), "{kind}: {away:?}");
        between.redirect(broker.address);
        session.move_to(proxy.address).await;
        let reply = within(Duration::from_secs(10), "the broker again", async {
            loop {
                let answer = session.post(json!([connect_now("5")])).await;
                if answer.status == 200 {
                    return answer.messages();
                }
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        assert_eq!(reply, [connected("5", 20_000)]);
        Polling::connected(proxy.address).await.publish("/a", "after").await;
        assert_eq!(deliveries(&session.fetch().await), [delivery("/a", "after")]);
    }
}
