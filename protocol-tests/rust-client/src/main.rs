//! The crate cometd-client (long-polling, subscribe only) against the broker `$BAYEUXD`.
//!
//! Prints `ok   NAME (MS ms)` or `FAIL NAME` for each check; the exit code is 1 if any failed.

mod broker;

use std::{
    process::ExitCode,
    rc::Rc,
    time::{Duration, Instant},
};

use broker::{Broker, Publisher};
use cometd_client::{
    CometdClient, CometdClientBuilder,
    types::{CometdClientEvent, CometdEventReceiver},
};
use serde_json::{Value, json};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

/// A client, which must stay alive for its events to come.
struct Reader {
    _client: CometdClient<Value>,
    events: CometdEventReceiver<Value>,
}

impl Reader {
    /// Subscribes to all `channels` with one message, and returns when that is in force.
    async fn open(broker: &Broker, publisher: &mut Publisher, channels: &[&str]) -> Self {
        let url = format!("http://{}/cometd/", broker.address);
        let client = CometdClientBuilder::new(&url.parse().expect("a URL")).build();
        let client: CometdClient<Value> = client.expect("a client");
        let events = client.rx();
        client.subscribe(channels).await;
        let mut reader = Self { _client: client, events };
        // The client does not tell when it is ready, so publish until it hears.
        for n in 0.. {
            publisher.publish(channels[0], &format!("[\"ready\", {n}]")).await;
            let heard = timeout(Duration::from_millis(100), reader.next()).await;
            if heard.is_ok_and(|message| message.1 == json!(["ready", n])) {
                break;
            }
        }
        reader
    }

    /// Channel and data of one message.
    async fn next(&mut self) -> (String, Value) {
        let mut messages = self.batch().await;
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    /// Channel and data of the messages of one reply, which may be none.
    async fn batch(&mut self) -> Vec<(String, Value)> {
        loop {
            match self.events.recv().await.expect("the client runs") {
                CometdClientEvent::Message(messages) if messages.is_empty() => {}
                CometdClientEvent::Message(messages) => {
                    let pair = |m: &cometd_client::types::Data<Value>| {
                        let channel = m.channel.clone().expect("a channel");
                        (channel, m.message.clone().expect("data"))
                    };
                    return messages.iter().map(pair).collect();
                }
                CometdClientEvent::Error(error) => panic!("{error}"),
            }
        }
    }
}

async fn order(broker: Rc<Broker>) {
    let mut publisher = Publisher::open(&broker).await;
    let mut reader = Reader::open(&broker, &mut publisher, &["/rust/a", "/rust/b/*"]).await;
    let channel = |n: usize| ["/rust/a", "/rust/b/c"][n % 2].to_owned();
    let publishing = async {
        for n in 0..200 {
            publisher.publish(&channel(n), &format!("{{\"n\": {n}}}")).await;
        }
    };
    let reading = async {
        let mut received = Vec::new();
        while received.len() < 200 {
            received.extend(reader.batch().await);
        }
        received
    };
    let ((), received) = tokio::join!(publishing, reading);
    let expected: Vec<_> = (0..200).map(|n| (channel(n), json!({ "n": n }))).collect();
    assert_eq!(received, expected);
}

async fn numbers(broker: Rc<Broker>) {
    let mut publisher = Publisher::open(&broker).await;
    let mut reader = Reader::open(&broker, &mut publisher, &["/rust/numbers"]).await;
    for number in ["9223372036854775807", "-9223372036854775808", "18446744073709551615"] {
        publisher.publish("/rust/numbers", number).await;
        assert_eq!(reader.next().await.1.to_string(), number);
    }
}

async fn holds(broker: Rc<Broker>) {
    let mut publisher = Publisher::open(&broker).await;
    let mut reader = Reader::open(&broker, &mut publisher, &["/rust/holds"]).await;
    tokio::time::sleep(Duration::from_secs(5)).await; // two holds of two seconds end
    publisher.publish("/rust/holds", "\"after\"").await;
    assert_eq!(reader.next().await, ("/rust/holds".to_owned(), json!("after")));
}

/// Runs one check in a task of its own, so that a failed one ends alone.
async fn run(name: &str, check: impl Future<Output = ()> + 'static) -> bool {
    let start = Instant::now();
    let task = tokio::task::spawn_local(timeout(LIMIT, check));
    let passed = matches!(task.await, Ok(Ok(())));
    if passed {
        println!("ok   {name} ({} ms)", start.elapsed().as_millis());
    } else {
        println!("FAIL {name}"); // why stands above, on standard error
    }
    passed
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let broker = Rc::new(Broker::start().await);
    let new = || Rc::clone(&broker);
    let checks = async {
        [
            run("p065 channels of one subscribe bring 200 messages in order", order(new())).await,
            run("p008 64-bit integers pass digit by digit", numbers(new())).await,
            run("p034 holds end and are repeated, and messages still come", holds(new())).await,
        ]
    };
    let passed = tokio::task::LocalSet::new().run_until(checks).await;
    ExitCode::from(u8::from(passed.contains(&false)))
}
