//! How long a batch keeps others from running.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::Poll,
};

use tokio::task::LocalSet;

use super::*;
use crate::{broker::SessionId, config::Config};

/// A server where so many sessions subscribed to a channel.
fn crowd(sessions: u128) -> (App, ChannelName) {
    let config = Config::default();
    let app = App::new(config.clone(), Broker::new(&config, clock::now()), true).unwrap();
    let channel = ChannelName::parse("/a", app.live.name).unwrap();
    for id in 0..sessions {
        let id = SessionId::from_bytes(id.to_be_bytes());
        let session = app.broker.handshake(id, None, clock::now()).unwrap();
        app.broker.subscribe(&session, &channel).unwrap();
    }
    (app, channel)
}

/// Publishes so many messages to so many sessions, in one batch; how often another task could run.
async fn turns_of_others(messages: u32, sessions: u128) -> u32 {
    let (app, channel) = crowd(sessions);
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

/// A flood of two seconds kept the thread that dropped a cancelled publish for two and a half: its walk was
/// finished in one go, with all that others published meanwhile.
#[tokio::test(flavor = "current_thread")]
async fn a_cancelled_publish_carries_nothing_for_others_while_it_is_dropped() {
    const SESSIONS: u128 = 5_000;
    let (app, channel) = crowd(SESSIONS);
    let data = RawValue::from_string("1".into()).unwrap();
    let payload = || Payload { data: &data, ext: None, extra: &[] };
    let queued = || app.broker.counters().queued.value();
    let mut wakes = Wakes::default();
    let mut first = Box::pin(publish(&app, None, &channel, payload(), &mut wakes));
    assert!(is_pending(&mut first).await, "it pauses after a step");
    let mut wakes_of_other = Wakes::default();
    let mut other = Box::pin(publish(&app, None, &channel, payload(), &mut wakes_of_other));
    assert!(is_pending(&mut other).await, "the first one carries it");

    let before = queued();
    drop(first);
    assert_eq!(queued(), before, "the walk goes on elsewhere");
    other.await.unwrap();
    assert_eq!(u128::from(queued()), 2 * SESSIONS);
}

/// Polls once; whether the future waits.
async fn is_pending<F: Future>(future: &mut Pin<Box<F>>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}
