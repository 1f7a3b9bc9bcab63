//! Whoever publishes may leave: the message arrives, and listeners are told of it once.

use std::{
    net::Ipv4Addr,
    pin::Pin,
    task::{Context, Waker},
};

use super::*;
use crate::{
    broker::{Broker, SessionId},
    config::{Config, Role},
    events::{Filter, Rights, Tap, What},
    server::{clock, dispatch},
};

/// More than one step of a walk, so that it yields in between.
const CROWD: usize = 5_000;

/// A broker with a crowd on one channel, and somebody who listens to what is published.
fn site() -> (Publisher, Tap) {
    site_of(Config::default())
}

fn site_of(config: Config) -> (Publisher, Tap) {
    let broker = Broker::new(&config, clock::now());
    let app = Arc::new(App::new(config, broker, true).unwrap());
    for number in 0..CROWD as u128 {
        let id = SessionId::from_bytes(number.to_le_bytes());
        let session = app.broker.handshake(id, None, clock::now()).unwrap();
        app.broker.subscribe(&session, &channel(&app)).unwrap();
    }
    let tap = app.broker.events().tap(Rights::all(), Filter::default()).unwrap();
    let principal = Principal::new("all", Role::Admin, Vec::new());
    (
        Publisher {
            caller: Caller { app, address: Ipv4Addr::LOCALHOST.into(), key: None, parent: None },
            principal,
        },
        tap,
    )
}

fn channel(app: &App) -> ChannelName {
    ChannelName::parse("/a", app.live.name).unwrap()
}

fn entry(key: Option<&'static str>) -> Entry<'static> {
    Entry {
        channel: Some("/a".into()),
        data: Some(serde_json::from_str("[1]").unwrap()),
        idempotency_key: key.map(Cow::Borrowed),
        ..Entry::default()
    }
}

/// The receivers of each message that was told of.
fn told(tap: &Tap) -> Vec<usize> {
    let fanout = |what: &What| match what {
        What::Publish { fanout, .. } => Some(*fanout),
        _ => None,
    };
    tap.take(usize::MAX).iter().filter_map(|event| fanout(&event.what)).collect()
}

fn begin<T>(publishing: Pin<&mut impl Future<Output = T>>) {
    let begun = publishing.poll(&mut Context::from_waker(Waker::noop()));
    assert!(begun.is_pending(), "the walk takes more than one step");
}

/// Publishes two messages, and leaves the one behind, then the other; `between` looks when the first has left.
fn leave_behind_another(publisher: &Publisher, between: impl FnOnce()) {
    let (message, mut wakes, mut others) = (entry(None), Wakes::default(), Wakes::default());
    let mut first = Box::pin(publisher.publish(&message, &mut wakes));
    begin(first.as_mut());
    let mut second = Box::pin(publisher.publish(&message, &mut others));
    begin(second.as_mut());
    drop(second);
    between();
}

async fn tasks_end(publisher: &Publisher) {
    let tasks = &publisher.caller.app.tasks;
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn who_leaves_while_the_message_is_on_its_way_is_told_of() {
    let (publisher, tap) = site();
    let (message, mut wakes) = (entry(None), Wakes::default());
    {
        let mut publishing = Box::pin(publisher.publish(&message, &mut wakes));
        begin(publishing.as_mut());
    }
    assert!(told(&tap).is_empty(), "the walk goes on elsewhere");
    tasks_end(&publisher).await;
    assert_eq!(told(&tap), [CROWD]);
}

#[tokio::test]
async fn a_client_that_leaves_is_told_of_as_well() {
    let (publisher, tap) = site();
    let app = &publisher.caller.app;
    let (channel, mut wakes) = (channel(app), Wakes::default());
    let data: &RawValue = serde_json::from_str("[1]").unwrap();
    {
        let mut publishing =
            Box::pin(dispatch::publish(app, None, &channel, data.into(), &mut wakes));
        begin(publishing.as_mut());
    }
    tasks_end(&publisher).await;
    assert_eq!(told(&tap), [CROWD]);
}

#[tokio::test]
async fn who_leaves_behind_another_is_told_of_when_the_message_has_arrived() {
    let (publisher, tap) = site();
    leave_behind_another(&publisher, || assert!(told(&tap).is_empty()));
    tasks_end(&publisher).await;
    assert_eq!(told(&tap), [CROWD, CROWD]);
}

#[tokio::test]
async fn a_message_under_an_idempotency_key_is_told_of_once_whoever_leaves() {
    let (publisher, tap) = site();
    let (message, mut wakes) = (entry(Some("k")), Wakes::default());
    {
        let mut publishing = Box::pin(publisher.publish(&message, &mut wakes));
        begin(publishing.as_mut());
    }
    let repeat = publisher.publish(&message, &mut wakes).await.unwrap();
    assert!(repeat.replayed && repeat.sessions == CROWD, "{repeat:?}");
    tasks_end(&publisher).await;
    assert_eq!(told(&tap), [CROWD]);
}

#[cfg(feature = "otel")]
#[tokio::test]
async fn the_span_of_who_leaves_ends_when_the_message_has_arrived() {
    let mut config = Config::default();
    (config.otel.endpoint, config.otel.sample_ratio) = ("http://127.0.0.1:1".into(), 1.0);
    let (publisher, tap) = site_of(config);
    // Spans do not depend on listeners.
    drop(tap);
    let spans = || publisher.caller.app.tracer.as_ref().unwrap().waiting();
    leave_behind_another(&publisher, || assert_eq!(spans(), 0));
    tasks_end(&publisher).await;
    assert_eq!(spans(), 2);
}
