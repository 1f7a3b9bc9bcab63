//! How long a batch keeps others from running.

use std::{cell::Cell, rc::Rc};

use tokio::task::LocalSet;

use super::*;
use crate::{broker::SessionId, config::Config};

/// Publishes so many messages to so many sessions, in one batch; how often another task could run.
async fn turns_of_others(messages: u32, sessions: u128) -> u32 {
    let config = Config::default();
    let app = App::new(config.clone(), Broker::new(&config, clock::now()), true).unwrap();
    let channel = ChannelName::parse("/a", app.live.name).unwrap();
    for id in 0..sessions {
        let id = SessionId::from_bytes(id.to_be_bytes());
        let session = app.broker.handshake(id, None, clock::now()).unwrap();
        app.broker.subscribe(&session, &channel).unwrap();
    }
    let turns = Rc::new(Cell::new(0));
    let counted = Rc::clone(&turns);
    let other = tokio::task::spawn_local(async move {
        loop {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
    });
    let data = RawValue::from_string("1".into()).unwrap();
    let mut wakes = Wakes::default();
    for _ in 0..messages {
        let payload = Payload { data: &data, ext: None, extra: &[] };
        publish(&app, None, &channel, payload, &mut wakes).await.unwrap();
    }
    other.abort();
    turns.get()
}

#[tokio::test(flavor = "current_thread")]
async fn small_walks_of_one_batch_pause_as_a_large_one_does() {
    let turns = LocalSet::new().run_until(Box::pin(turns_of_others(100, 1_000))).await;
    assert_eq!(
        turns,
        100_000 / 5_000,
        "after every fifth walk, the first of more than 4,096 pushes"
    );
    let turns = LocalSet::new().run_until(Box::pin(turns_of_others(4, 1_000))).await;
    assert_eq!(turns, 0, "what is short enough is not interrupted");
}
