//! Random faults, fixed by a printed seed, on every connection of many clients at once.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use protocol_tests::{
    bayeux::{Polling, connect, connect_now, handshake, publish, subscribe},
    broker::Broker,
    deadline::within,
    ledger::Ledger,
    proxy::{Counts, End, Plan, Proxy, Stop},
    random::Random,
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    carrier::{Carrier, Poll, Ws},
    flow::{CHANNEL, Flow, received, subscribed},
};

/// Clients of each kind.
const CLIENTS: usize = 10;
/// How long connections are broken.
const TURMOIL: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_repeat_and_reorder_nothing() {
    let mut random = Random::new(Random::seed_or(0x5EED));
    let broker = Broker::with(|config| {
        config.session.timeout = Duration::from_millis(300);
        // These clients do not shake hands anew.
        config.transports.websocket.demote_after = 0;
    })
    .await;
    let proxy = Proxy::start(broker.address).await;
    for _ in 0..20_000 {
        proxy.next(mortal(&mut random));
    }
    let ledger = Ledger::default();
    let flow = Flow::start(broker.address, &ledger, 3).await;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        for carrier in [Poll::NAME, Ws::NAME] {
            let client = Client::new(format!("{carrier}-{number}"), &proxy, &ledger);
            match carrier {
                Poll::NAME => clients.spawn(client.live::<Poll>()),
                _ => clients.spawn(client.live::<Ws>()),
            };
        }
    }
    sleep(TURMOIL).await;
    // Two kinds of clients: on a slow machine too each has lost a connection, on average.
    let many = |counts: &Counts| counts.accepted > 4 * CLIENTS;
    proxy.until("broken connections", many).await;
    let count = flow.stop().await;
    proxy.heal();
    proxy.cut(End::Reset);
    // The farewell itself may be in flight on a dying connection, so it is said until all have heard.
    let farewell = tokio::spawn(say_farewell(broker.address));
    let connections =
        within(Duration::from_secs(20), "farewell at every client", clients.join_all());
    let connections: usize = connections.await.iter().sum();
    farewell.abort();
    let mut report = ledger.report();
    let lost = std::mem::take(&mut report.lost).len();
    println!(
        "{count} messages, {connections} connections, {lost} of {} lost in flight",
        report.delivered + lost
    );
    report.assert_clean();
    assert!(connections > 4 * CLIENTS, "{connections} connections: too few were broken");
    let sessions = broker.counters().sessions_ended.value();
    assert_eq!(sessions, 0, "every session outlived its connections");
}

/// A random plan, and none that lets its connection live for ever.
fn mortal(random: &mut Random) -> Plan {
    let mut plan = Plan::random(random);
    if plan.to_client.stop.is_none() && plan.to_broker.stop.is_none() {
        let how = if random.one_in(2) { End::Reset } else { End::Close };
        plan.to_client.stop = Some(Stop { after_bytes: random.below(0..20_000), how });
    }
    plan
}

async fn say_farewell(address: SocketAddr) {
    let mut speaker = Polling::connected(address).await;
    loop {
        speaker.send(json!([publish("p", CHANNEL, "farewell")])).await;
        sleep(Duration::from_millis(50)).await;
    }
}

/// A client that comes back on the same clientId, as cometd.js does.
struct Client {
    name: String,
    address: SocketAddr,
    ledger: Ledger,
    client_id: Option<Arc<str>>,
    is_subscribed: bool,
    heard_farewell: bool,
}

impl Client {
    fn new(name: String, proxy: &Proxy, ledger: &Ledger) -> Self {
        Self {
            name,
            address: proxy.address,
            ledger: ledger.clone(),
            client_id: None,
            is_subscribed: false,
            heard_farewell: false,
        }
    }

    /// Lives until it has heard the farewell; returns the number of its connections.
    async fn live<C: Carrier>(mut self) -> usize {
        let mut connections = 0;
        while !self.heard_farewell {
            connections += 1;
            if let Some(carrier) = C::open(self.address).await {
                self.connected(carrier).await;
            }
        }
        connections
    }

    /// Uses one connection to its end.
    async fn connected<C: Carrier>(&mut self, mut carrier: C) -> Option<()> {
        if self.client_id.is_none() {
            let reply = self.call(&mut carrier, json!([handshake()])).await?;
            self.client_id = reply["clientId"].as_str().map(Arc::from);
        }
        let reply = self.call(&mut carrier, json!([connect_now("2")])).await?;
        assert_eq!(reply["successful"], true, "{}: {reply}", self.name);
        if !self.is_subscribed {
            let reply = self.call(&mut carrier, json!([subscribe("3", CHANNEL)])).await?;
            assert_eq!(reply["successful"], true, "{}: {reply}", self.name);
            self.is_subscribed = true;
            subscribed(&self.ledger, &self.name);
        }
        while !self.heard_farewell {
            self.call(&mut carrier, json!([connect("4")])).await?;
        }
        Some(())
    }

    /// Sends one message and receives until its reply has come.
    async fn call<C: Carrier>(&mut self, carrier: &mut C, mut messages: Value) -> Option<Value> {
        let id = messages[0]["id"].clone();
        if let Some(client_id) = &self.client_id {
            messages[0]["clientId"] = client_id.as_ref().into();
        }
        carrier.send(&messages).await;
        loop {
            let messages = carrier.recv().await?;
            received(&self.ledger, &self.name, &messages);
            self.heard_farewell |= messages.iter().any(|message| message["data"] == "farewell");
            if let Some(reply) = messages.into_iter().find(|message| message["id"] == id) {
                return Some(reply);
            }
        }
    }
}
