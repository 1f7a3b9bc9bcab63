//! A connection that ends at every byte offset of an exchange, in either direction.
//!
//! The exchange is a whole life: upgrade, handshake, connect, subscribe, a publish of the client's
//! own, a held connect with two deliveries. Even offsets end by FIN, odd ones by RST. The client comes
//! back on the same clientId and submits again what was not answered. One message is published while
//! it is away: the broker knows by then, so that one is never lost. With the ack extension none is.

use std::{collections::HashSet, marker::PhantomData, sync::Arc};

use protocol_tests::{
    bayeux::{Polling, connect_now, handshake, publish, subscribe},
    broker::Broker,
    ledger::{Event, Ledger, Post, body},
    tap::{Cut, Direction, Tap},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    acks::Acks,
    carrier::{Carrier, Poll, Ws},
};

/// Lives led at the same time.
const WORKERS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polling_survives_a_cut_at_every_byte_to_the_client() {
    every_offset::<Poll>(Direction::ToClient, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polling_survives_a_cut_at_every_byte_to_the_broker() {
    every_offset::<Poll>(Direction::ToBroker, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_session_survives_a_cut_at_every_byte_to_the_client() {
    every_offset::<Ws>(Direction::ToClient, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_session_survives_a_cut_at_every_byte_to_the_broker() {
    every_offset::<Ws>(Direction::ToBroker, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p126_polling_that_acknowledges_loses_nothing_at_any_byte() {
    every_offset::<Poll>(Direction::ToClient, true).await;
    every_offset::<Poll>(Direction::ToBroker, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p126_a_websocket_session_that_acknowledges_loses_nothing_at_any_byte() {
    every_offset::<Ws>(Direction::ToClient, true).await;
    every_offset::<Ws>(Direction::ToBroker, true).await;
}

async fn every_offset<C: Carrier + 'static>(direction: Direction, acknowledges: bool) {
    let broker = Arc::new(Broker::start().await);
    let mut publisher = Polling::connected(broker.address).await;
    let whole = Life::<C>::lead(&broker, &mut publisher, 0, None, acknowledges).await;
    assert_eq!(whole.lost, 0, "without a cut");
    let (to_broker, to_client) = whole.passed;
    let bytes = if direction == Direction::ToBroker { to_broker } else { to_client };
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let broker = Arc::clone(&broker);
        workers.spawn(async move {
            let mut publisher = Polling::connected(broker.address).await;
            let (mut lost, mut lives_with_loss) = (0, 0);
            for after_bytes in (worker..bytes).step_by(WORKERS) {
                let cut = Cut { direction, after_bytes, reset: after_bytes % 2 == 1 };
                let (broker, publisher) = (&broker, &mut publisher);
                let end =
                    Life::<C>::lead(broker, publisher, after_bytes, Some(cut), acknowledges).await;
                lost += end.lost;
                lives_with_loss += usize::from(end.lost > 0);
            }
            (lost, lives_with_loss)
        });
    }
    let losses = workers.join_all().await;
    let lost: usize = losses.iter().map(|(lost, _)| lost).sum();
    let lives: usize = losses.iter().map(|(_, lives)| lives).sum();
    println!(
        "{} {direction:?}: {bytes} offsets, lost in flight {lost} messages of {lives} lives, ack: {acknowledges}",
        C::NAME
    );
    if direction == Direction::ToBroker || acknowledges {
        assert_eq!(lost, 0, "a cut request carries no delivery, an acknowledged one comes again");
    }
}

/// What came of a life.
struct End {
    /// Messages lost in flight.
    lost: usize,
    /// Bytes on the first connection, to the broker and to the client.
    passed: (usize, usize),
}

/// One client and its exchange.
struct Life<'a, C> {
    tap: Tap,
    carrier: Option<C>,
    breaks: usize,
    publisher: &'a mut Polling,
    ledger: Ledger,
    channel: String,
    client_id: Option<String>,
    is_subscribed: bool,
    /// The next number to be published to `channel`, and to be received from it at the least.
    next: u64,
    due: u64,
    is_published: bool,
    /// `None`: the client does not acknowledge.
    acks: Option<Acks>,
    of: PhantomData<C>,
}

impl<'a, C: Carrier> Life<'a, C> {
    async fn lead(
        broker: &Broker,
        publisher: &'a mut Polling,
        number: usize,
        cut: Option<Cut>,
        acknowledges: bool,
    ) -> End {
        let tap = Tap::start(broker.address, cut).await;
        let mut life = Self {
            tap,
            carrier: None,
            breaks: 0,
            publisher,
            ledger: Ledger::default(),
            channel: format!("/{}/{number:05}", C::NAME),
            client_id: None,
            is_subscribed: false,
            next: 0,
            due: 0,
            is_published: false,
            acks: acknowledges.then(Acks::default),
            of: PhantomData,
        };
        // One try more than there are cuts, and one for luck: an endless loop helps nobody.
        let mut tries = 0;
        while life.exchange().await.is_none() {
            life.break_down().await;
            tries += 1;
            assert!(tries < 3, "a life with {cut:?} does not come to its end");
        }
        life.judge(cut)
    }

    /// Does all that has not been done yet.
    async fn exchange(&mut self) -> Option<()> {
        self.carrier = Some(C::open(self.tap.address).await?);
        if self.client_id.is_none() {
            let mut handshake = handshake();
            if self.acks.is_some() {
                Acks::offer(&mut handshake);
            }
            let replies = self.call(json!([handshake])).await?;
            self.client_id = replies[0]["clientId"].as_str().map(str::to_owned);
        }
        let mut batch = vec![self.acknowledging(connect_now("2"))];
        if !self.is_subscribed {
            batch.push(subscribe("3", &self.channel));
        }
        self.call(batch.into()).await?;
        if !self.is_subscribed {
            self.is_subscribed = true;
            let (session, channel) = (C::NAME.to_owned(), self.channel.clone());
            self.ledger.record(Event::Subscribed { session, channel });
        }
        if !C::IS_DUPLEX {
            self.publish_own().await?;
        }
        self.hold().await
    }

    /// Sent once: without a reply nobody knows whether it arrived (reliability.md P2).
    async fn publish_own(&mut self) -> Option<()> {
        if !std::mem::replace(&mut self.is_published, true) {
            self.call(json!([publish("4", "/elsewhere", 1)])).await?;
        }
        Some(())
    }

    /// Sends messages and waits until each is answered; deliveries on the way are recorded.
    async fn call(&mut self, mut messages: Value) -> Option<Vec<Value>> {
        let mut missing: HashSet<Value> =
            messages.as_array()?.iter().map(|message| message["id"].clone()).collect();
        self.stamp(&mut messages);
        self.carrier.as_mut()?.send(&messages).await;
        let mut replies = Vec::new();
        while !missing.is_empty() {
            for message in self.recv().await? {
                missing.remove(&message["id"]);
                replies.push(message);
            }
        }
        Some(replies)
    }

    /// Connects, has two messages published meanwhile, and waits for all that is due.
    async fn hold(&mut self) -> Option<()> {
        self.send_connect().await?;
        if C::IS_DUPLEX {
            // Its reply shows that the connect has passed, too: what is published now meets no cut
            // of that direction half-way.
            self.publish_own().await?;
        }
        self.publish(2).await;
        while self.due < self.next {
            let replies = self.recv().await?;
            if self.due < self.next && replies.iter().any(|reply| reply["id"] == "5") {
                self.send_connect().await?;
            }
        }
        Some(())
    }

    async fn send_connect(&mut self) -> Option<()> {
        let mut messages =
            json!([self.acknowledging(json!({"channel": "/meta/connect", "id": "5"}))]);
        self.stamp(&mut messages);
        self.carrier.as_mut()?.send(&messages).await;
        Some(())
    }

    fn acknowledging(&mut self, mut connect: Value) -> Value {
        if let Some(acks) = &mut self.acks {
            acks.say(&mut connect);
        }
        connect
    }

    /// The next replies, after the deliveries among them have been recorded.
    async fn recv(&mut self) -> Option<Vec<Value>> {
        let messages = self.carrier.as_mut()?.recv().await?;
        for message in messages.iter().filter(|message| message.get("data").is_some()) {
            self.ledger.received(C::NAME, message);
            let number = message["data"]["number"].as_u64()?;
            self.due = self.due.max(number + 1);
            if let Some(acks) = &mut self.acks {
                acks.received(number);
            }
        }
        for reply in messages.iter().filter(|message| message.get("data").is_none()) {
            if let Some(acks) = &mut self.acks {
                acks.replied(reply);
            }
        }
        Some(messages.into_iter().filter(|message| message.get("id").is_some()).collect())
    }

    /// The connection is gone; the broker learns of it, and something happens meanwhile.
    async fn break_down(&mut self) {
        self.carrier = None;
        self.breaks += 1;
        self.tap.ended(self.breaks).await;
        if self.is_subscribed {
            let gap = self.next;
            self.publish(1).await;
            assert_eq!(self.next, gap + 1);
        }
    }

    /// Publishes to this client, in one batch, over a connection that nothing happens to.
    async fn publish(&mut self, count: u64) {
        let posts: Vec<Post> = (self.next..self.next + count).map(|n| self.post(n)).collect();
        self.next += count;
        posts.iter().for_each(|post| self.ledger.record(Event::Publishing(post.clone())));
        let batch: Value =
            posts.iter().map(|post| publish("p", &post.channel, body(post))).collect();
        for (post, reply) in posts.into_iter().zip(self.publisher.send(batch).await) {
            assert_eq!(reply["successful"], true, "{reply}");
            self.ledger.record(Event::Published(post));
        }
    }

    fn post(&self, number: u64) -> Post {
        Post { publisher: "p".into(), channel: self.channel.clone(), number }
    }

    fn stamp(&self, messages: &mut Value) {
        for message in messages.as_array_mut().into_iter().flatten() {
            if let Some(client_id) = &self.client_id {
                message["clientId"] = client_id.as_str().into();
            }
        }
    }

    fn judge(&self, cut: Option<Cut>) -> End {
        let mut report = self.ledger.report();
        let lost = std::mem::take(&mut report.lost);
        if self.acks.is_some() {
            // A message may come again until it is acknowledged; `Acks` sees to the rest.
            report.doubled.clear();
        }
        report.assert_clean();
        for message in &lost {
            let number = message.rsplit('#').next().and_then(|text| text.parse().ok());
            let data = body(&self.post(number.expect("a number"))).to_string();
            assert!(
                self.tap.saw(data.as_bytes()),
                "{message} was lost by {cut:?} although the broker had not written it"
            );
        }
        End { lost: lost.len(), passed: self.tap.passed() }
    }
}
