//! Messages that go on whatever happens to their receivers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use protocol_tests::{
    bayeux::{Socket, publish},
    ledger::{Event, Ledger, Post, body},
};
use serde_json::Value;
use tokio::{task::JoinHandle, time::interval};

/// The channel of every flow.
pub(crate) const CHANNEL: &str = "/flow";

/// A publisher of numbered messages.
pub(crate) struct Flow {
    stop: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Flow {
    /// Publishes a message every `period_ms` milliseconds, each recorded in `ledger`.
    pub(crate) async fn start(address: SocketAddr, ledger: &Ledger, period_ms: u64) -> Self {
        let (stop, ledger) = (Arc::new(AtomicBool::new(false)), ledger.clone());
        let mut publisher = Socket::connected(address).await;
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(period_ms));
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                ticks.tick().await;
                let post = Post { publisher: "p".into(), channel: CHANNEL.into(), number };
                ledger.record(Event::Publishing(post.clone()));
                let reply = publisher.one(publish("p", CHANNEL, body(&post))).await;
                assert_eq!(reply["successful"], true, "{reply}");
                ledger.record(Event::Published(post));
                number += 1;
            }
            number
        });
        Self { stop, task }
    }

    /// Ends it; returns how many messages there were.
    pub(crate) async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the publisher is served")
    }
}

/// Notes that `session` is subscribed from now on.
pub(crate) fn subscribed(ledger: &Ledger, session: &str) {
    let (session, channel) = (session.to_owned(), CHANNEL.to_owned());
    ledger.record(Event::Subscribed { session, channel });
}

/// Notes the deliveries among `messages`.
pub(crate) fn received(ledger: &Ledger, session: &str, messages: &[Value]) {
    messages.iter().for_each(|message| ledger.received(session, message));
}
