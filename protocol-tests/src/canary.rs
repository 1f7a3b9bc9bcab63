//! Clients that must notice nothing of what others do to their broker.
//!
//! Half of them over WebSocket, half over long-polling, all subscribed to one channel on which
//! numbered messages flow. At the end every message must have come, once, in order, and none late.
//! Late is measured in beats of this process ([`Heart`]).
//! Source: reliability.md section 2, CORE.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::interval};

use crate::{
    bayeux::{Polling, Socket, connect, publish},
    deadline::{Heart, within},
};

/// Subscribers of each kind.
const CLIENTS: usize = 10;
/// Time between two messages.
const PERIOD: Duration = Duration::from_millis(20);
/// No message may take longer, by beats. Far above what the broker needs.
const LATENCY_MAX: Duration = Duration::from_millis(1500);
/// Time for what does come, however busy the machine is.
const END_MAX: Duration = Duration::from_secs(20);

/// The group at work.
#[derive(Debug)]
pub struct Canary {
    clients: JoinSet<Vec<Duration>>,
    publisher: tokio::task::JoinHandle<usize>,
    stop: Arc<AtomicBool>,
}

/// What the group felt; times are beats.
#[derive(Debug, Clone, Copy)]
pub struct Felt {
    /// Messages published.
    pub messages: usize,
    /// 99 of 100 deliveries were faster.
    pub p99: Duration,
    /// The slowest delivery.
    pub worst: Duration,
}

impl Canary {
    /// Starts the group; messages flow when this returns.
    pub async fn start(address: SocketAddr) -> Self {
        let heart = Arc::new(Heart::start());
        let song = Song { heart, sent: Arc::default(), latencies: Vec::new() };
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let socket = Socket::subscribed(address, "/canary").await;
            clients.spawn(listen_socket(socket, song.clone()));
            let poll = Polling::subscribed(address, "/canary").await;
            clients.spawn(listen_polling(poll, song.clone()));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let publisher = tokio::spawn(sing(address, song, Arc::clone(&stop)));
        Self { clients, publisher, stop }
    }

    /// Ends the group and judges it.
    ///
    /// # Panics
    /// If a message was lost, repeated, out of order or late.
    pub async fn finish(mut self) -> Felt {
        self.stop.store(true, Ordering::Relaxed);
        let messages = self.publisher.await.expect("the publisher is served");
        let mut latencies = Vec::new();
        while let Some(client) =
            within(END_MAX, "the end of a canary", self.clients.join_next()).await
        {
            latencies.extend(client.expect("every canary is served"));
        }
        latencies.sort_unstable();
        assert_eq!(latencies.len(), messages * CLIENTS * 2);
        let worst = latencies.last().copied().unwrap_or_default();
        let felt = Felt { messages, p99: latencies[latencies.len() * 99 / 100], worst };
        assert!(worst < LATENCY_MAX, "{felt:?}");
        felt
    }
}

/// Publishes until told to stop; the last message says so. Returns how many there were.
async fn sing(address: SocketAddr, song: Song, stop: Arc<AtomicBool>) -> usize {
    let mut publisher = Socket::connected(address).await;
    let mut ticks = interval(PERIOD);
    for number in 0.. {
        ticks.tick().await;
        let last = stop.load(Ordering::Relaxed);
        song.sent.lock().push(song.heart.felt());
        let data = json!({"number": number, "last": last});
        let reply = publisher.one(publish("p", "/canary", data)).await;
        assert_eq!(reply["successful"], true, "{reply}");
        if last {
            return number + 1;
        }
    }
    unreachable!("the loop has no end of its own")
}

async fn listen_socket(mut socket: Socket, mut song: Song) -> Vec<Duration> {
    loop {
        if song.hear(&socket.recv().await) {
            return song.latencies;
        }
    }
}

async fn listen_polling(mut session: Polling, mut song: Song) -> Vec<Duration> {
    loop {
        if song.hear(&session.send(json!([connect("c")])).await) {
            return song.latencies;
        }
    }
}

/// What one client has heard.
#[derive(Clone)]
struct Song {
    heart: Arc<Heart>,
    /// When each message was sent.
    sent: Arc<Mutex<Vec<Duration>>>,
    latencies: Vec<Duration>,
}

impl Song {
    /// True after the last message.
    fn hear(&mut self, messages: &[Value]) -> bool {
        for message in messages {
            let Some(data) = message.get("data") else { continue };
            assert_eq!(data["number"], self.latencies.len(), "each once and in order");
            let sent = self.sent.lock()[self.latencies.len()];
            self.latencies.push(self.heart.felt() - sent);
            if data["last"] == true {
                return true;
            }
        }
        false
    }
}
