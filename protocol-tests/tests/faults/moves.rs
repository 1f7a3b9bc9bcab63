//! A session that moves between connections while messages flow loses nothing at all: the client
//! reads every connection to its end, so nothing is in flight when it is abandoned.

use std::time::Duration;

use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, deliveries},
    broker::Broker,
    http::Response,
    ledger::Ledger,
    websocket::{Frame, PING, PONG, TEXT},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::{
    carrier::messages_of,
    flow::{CHANNEL, Flow, received, subscribed},
};

/// Moves in a test.
const ROUNDS: usize = 40;

/// A polling session in a running flow.
struct Mover {
    broker: Broker,
    session: Polling,
    ledger: Ledger,
    flow: Flow,
}

impl Mover {
    async fn start() -> Self {
        // It leaves its WebSockets without a word, and does not shake hands anew.
        let broker = Broker::with(|config| config.transports.websocket.demote_after = 0).await;
        let session = Polling::subscribed(broker.address, CHANNEL).await;
        let ledger = Ledger::default();
        subscribed(&ledger, "s");
        let flow = Flow::start(broker.address, &ledger, 1).await;
        Self { broker, session, ledger, flow }
    }

    fn receive(&self, messages: &[Value]) {
        received(&self.ledger, "s", messages);
    }

    /// Stops the flow, fetches the rest and judges.
    async fn finish(mut self) {
        let count = self.flow.stop().await;
        while (self.ledger.count("s") as u64) < count {
            let messages = self.session.fetch().await;
            received(&self.ledger, "s", &messages);
            assert!(messages.len() > 1, "{} of {count} came", self.ledger.count("s"));
        }
        self.ledger.report().assert_clean();
        println!("{count} messages over {ROUNDS} moves");
    }
}

/// What a poll brought: messages, or the 500 of a superseded one.
fn outcome(response: &Response) -> Vec<Value> {
    match response.status {
        500 => {
            assert_eq!(response.text(), "");
            Vec::new()
        }
        _ => response.messages(),
    }
}

/// Connects over the socket; all that comes up to the reply.
async fn until_reply(socket: &mut Socket, id: &str) -> Vec<Value> {
    socket.send(json!([connect_now(id)])).await;
    let mut messages = Vec::new();
    while messages.iter().all(|message: &Value| message["id"] != id) {
        messages.extend(socket.recv().await);
    }
    messages
}

/// All that has been written to the socket by now.
async fn until_pong(socket: &mut Socket) -> Vec<Value> {
    socket.websocket.send(&Frame::new(PING, "")).await;
    let mut messages = Vec::new();
    loop {
        let frame = socket.websocket.frame().await;
        match frame.opcode {
            TEXT => messages.extend(messages_of(&frame)),
            PONG => return messages,
            _ => panic!("unexpected {frame:?}"),
        }
    }
}

/// The number of the first delivery; none comes before all.
fn first_number(messages: &[Value]) -> Option<u64> {
    deliveries(messages).first().and_then(|message| message["data"]["number"].as_u64())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_to_and_fro_between_polling_and_websocket() {
    let mover = Mover::start().await;
    for round in 0..ROUNDS {
        let mut held = mover.session.begin(json!([connect("3")])).await;
        let mut socket = Socket::adopt(mover.broker.address, &mover.session.client_id).await;
        // Nobody knows which of the two connects arrives first; the messages tell. If it was the
        // socket's, more may have come over it before the poll took over.
        let mut streamed = until_reply(&mut socket, "4").await;
        let mut polled = outcome(&held.response().await);
        streamed.extend(until_pong(&mut socket).await);
        if first_number(&streamed) < first_number(&polled) {
            std::mem::swap(&mut streamed, &mut polled);
        }
        mover.receive(&polled);
        mover.receive(&streamed);
        mover.receive(&until_reply(&mut socket, "5").await);
        for _ in 0..round % 4 {
            mover.receive(&socket.recv().await);
        }
        let mut held = mover.session.begin(json!([connect("6")])).await;
        let polled = outcome(&held.response().await);
        // What the socket still brings was written before the poll took over.
        mover.receive(&until_pong(&mut socket).await);
        mover.receive(&polled);
    }
    mover.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_that_supersede_each_other_share_the_messages() {
    let mover = Mover::start().await;
    let mut superseded = 0;
    for _ in 0..ROUNDS {
        let mut polls = Vec::new();
        for _ in 0..3 {
            polls.push(mover.session.begin(json!([connect("3")])).await);
        }
        let mut outcomes = Vec::new();
        for mut poll in polls {
            let response = poll.response().await;
            superseded += usize::from(response.status == 500);
            outcomes.push(outcome(&response));
        }
        // Connections have no order among themselves; within each there is one.
        outcomes.sort_by_key(|messages| first_number(messages));
        outcomes.iter().for_each(|messages| mover.receive(messages));
    }
    println!("{superseded} polls were superseded");
    mover.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_its_poll_finds_the_messages_later() {
    let mover = Mover::start().await;
    let mut left = 0;
    for round in 0..ROUNDS {
        let mut held = mover.session.begin(json!([connect("3")])).await;
        sleep(Duration::from_micros(round as u64 * 50)).await;
        held.connection.finish().await;
        match held.connection.response_or_end().await {
            Some(response) => mover.receive(&response.messages()),
            None => left += 1,
        }
    }
    println!("{left} polls were left before their response");
    mover.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_its_websocket_finds_the_messages_later() {
    let mover = Mover::start().await;
    for round in 0..ROUNDS {
        let mut socket = Socket::adopt(mover.broker.address, &mover.session.client_id).await;
        socket.send(json!([connect_now("3")])).await;
        for _ in 0..round % 5 {
            mover.receive(&socket.recv().await);
        }
        let (mut stream, mut bytes) = socket.websocket.into_parts();
        stream.shutdown().await.expect("an open connection");
        stream.read_to_end(&mut bytes).await.expect("an end in order");
        let mut rest = bytes.as_slice();
        while let Some((frame, length)) = Frame::parse(rest) {
            mover.receive(&messages_of(&frame));
            rest = &rest[length..];
        }
        assert!(rest.is_empty(), "half a frame");
    }
    mover.finish().await;
}
