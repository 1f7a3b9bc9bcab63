//! A monitor has bounds of its own, and is told what it did not get.

use std::time::Duration;

use bayeuxd::events::{EventType, What};
use protocol_tests::{
    bayeux::{Socket, connect, connect_now, publish},
    broker::Broker,
    deadline::soon,
    http::{Request, request},
    monitor::{KEY, assert_envelope, broker_with, mark, monitor, polling_with},
};
use serde_json::{Value, json};
use tokio::select;

#[tokio::test]
async fn a_monitor_that_stays_away_loses_the_oldest_and_hears_which() {
    let broker = broker_with(|config| {
        config.monitor.ring_events = 20;
        config.monitor.burst = 100_000;
        config.monitor.events_per_second = 100_000;
    })
    .await;
    let mut polling = polling_with(&broker, KEY).await;
    polling.subscribe("/meta/**").await;
    let mut client = Socket::connected(broker.address).await;
    for number in 0..100 {
        client.subscribe(&format!("/s/{number}")).await;
    }
    let messages = polling.fetch().await;
    let (reply, events) = messages.split_last().unwrap();
    assert_eq!(reply["successful"], true, "its session lives on: {reply}");
    let lost = &events[0]["data"];
    assert_eq!(lost["type"], "lost");
    let number = |name: &str| lost[name].as_u64().unwrap();
    assert_eq!(number("n"), number("to_seq") - number("from_seq") + 1, "{lost}");
    let seqs: Vec<u64> =
        events[1..].iter().map(|event| event["data"]["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs.len(), 20);
    assert_eq!(seqs[0], number("to_seq") + 1);
    assert_eq!(events.last().unwrap()["data"]["channel"], "/s/99");
    assert_eq!(broker.events().lost(), number("n"));
}

#[tokio::test]
async fn a_ring_that_is_just_full_loses_nothing() {
    let broker = broker_with(|config| config.monitor.ring_events = 20).await;
    let mut client = Socket::connected(broker.address).await;
    let mut polling = polling_with(&broker, KEY).await;
    polling.subscribe("/meta/monitor/subscribe").await;
    for number in 0..19 {
        client.subscribe(&format!("/s/{number}")).await;
    }
    let messages = polling.fetch().await;
    assert_eq!(messages.len(), 21, "its own, 19, and the reply: {messages:?}");
    assert!(messages.iter().all(|message| message["data"]["type"] != "lost"));
}

#[tokio::test]
async fn above_the_pace_events_are_merged_by_type() {
    let broker = broker_with(|config| {
        config.monitor.burst = 5;
        config.monitor.events_per_second = 1;
    })
    .await;
    let mut monitor = monitor(&broker, "/meta/monitor/subscribe").await;
    let mut client = Socket::connected(broker.address).await;
    for number in 0..100 {
        client.subscribe(&format!("/s/{number}")).await;
    }
    let (mut single, mut merged) = (0, 0);
    while single + merged < 101 {
        let event = monitor.event().await;
        match event["merged"].as_u64() {
            Some(count) => {
                assert_eq!(event["type"], "subscribe");
                merged += count;
            }
            None => single += 1,
        }
    }
    assert!((5..=8).contains(&single), "{single}");
}

#[tokio::test]
async fn events_do_not_count_in_the_queue_and_do_not_end_the_session() {
    let broker = broker_with(|config| {
        config.session.queue.max_messages = 2;
        config.session.queue.max_bytes = 2_000;
    })
    .await;
    let mut polling = polling_with(&broker, KEY).await;
    polling.subscribe("/meta/**").await;
    polling.subscribe("/a").await;
    let mut client = Socket::connected(broker.address).await;
    for number in 0..50 {
        client.subscribe(&format!("/s/{number}")).await;
    }
    for number in 0..2 {
        client.one(publish("3", "/a", number)).await;
    }
    assert_eq!(broker.queued(&polling.client_id), 2);
    let messages = polling.fetch().await;
    assert_eq!(json!([messages[0]["data"], messages[1]["data"]]), json!([0, 1]), "messages first");
    let events = &messages[2..messages.len() - 1];
    assert!(events.len() > 50);
    events.iter().for_each(assert_envelope);
}

#[tokio::test]
async fn what_a_dying_connection_did_not_write_comes_with_the_next() {
    let broker = broker_with(|config| {
        config.limits.write_timeout = Duration::from_millis(300);
        config.monitor.events_per_second = 1_000_000;
        config.monitor.burst = 1_000_000;
        config.monitor.ring_events = 100_000;
        config.monitor.ring_bytes = 64 << 20;
    })
    .await;
    let stuck = monitor(&broker, "/meta/**").await.socket;
    // It reads nothing while far more is told than sockets hold.
    let mut client = Socket::connected(broker.address).await;
    let name = format!("/{}", "x".repeat(200));
    let pair = [
        json!({"channel": "/meta/subscribe", "id": "s", "subscription": name}),
        json!({"channel": "/meta/unsubscribe", "id": "u", "subscription": name}),
    ];
    let batch: Vec<&Value> = pair.iter().cycle().take(100).collect();
    for _ in 0..500 {
        client.send(json!(batch)).await;
        client.recv_messages(100).await;
    }
    mark(&broker, "/mark").await;
    let mut socket = Socket::adopt(broker.address, &stuck.client_id).await;
    socket.send(json!([connect_now("9")])).await;
    let (mut seqs, mut last) = (Vec::new(), Value::Null);
    while last["channel"] != "/mark" {
        for message in socket.recv().await {
            if message.get("data").is_some() {
                last = message["data"].clone();
                seqs.push(last["seq"].as_u64().unwrap());
            }
        }
    }
    let gaps: Vec<&[u64]> = seqs.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
    assert!(gaps.is_empty(), "something is missing from where it goes on: {gaps:?}");
    assert!(seqs.len() > 1_000, "{}", seqs.len());
}

#[tokio::test]
async fn a_poll_is_not_answered_for_events_more_often_than_four_times_a_second() {
    let broker = broker_with(|_| {}).await;
    let mut polling = polling_with(&broker, KEY).await;
    polling.subscribe("/meta/**").await;
    let address = broker.address;
    let mut busy = tokio::spawn(async move {
        let mut client = Socket::connected(address).await;
        for number in 0..400 {
            client.subscribe(&format!("/s/{}", number % 100)).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut polls = 0_u128;
    let begun = tokio::time::Instant::now();
    // The poll under way at the end is not waited for: with nothing left to tell it is held.
    while select! {
        _ = polling.send(json!([connect("c")])) => true,
        ended = &mut busy => { ended.unwrap(); false }
    } {
        polls += 1;
    }
    let most = begun.elapsed().as_millis() / 250 + 3;
    assert!((3..=most).contains(&polls), "{polls} polls, {most} allowed");
}

#[tokio::test]
async fn events_do_not_thin_out_with_the_log() {
    let broker = Broker::with(|config| config.log.errors_per_second = 1).await;
    let told = |kind| broker.events().told(kind);
    let before = told(EventType::Error);
    for _ in 0..5 {
        let broken = Request::post("/cometd", "{");
        assert_eq!(request(broker.address, &broken).await.status, 400);
    }
    assert_eq!(told(EventType::Error), before + 5);
}

#[tokio::test]
async fn a_flood_of_bad_requests_is_a_few_events_that_say_how_many() {
    let broker = Broker::with(|config| config.monitor.errors_per_second = 1).await;
    let mut sent = 0_u64;
    let told = soon("the event after a second", async {
        loop {
            request(broker.address, &Request::post("/cometd", "{")).await;
            sent += 1;
            let newest = broker.events().recent(None, 1);
            let What::Error { detail, .. } = &newest[0].what else { panic!("{newest:?}") };
            if let Some((_, rest)) = detail.split_once("(and ") {
                return rest.split(' ').next().unwrap().parse::<u64>().unwrap();
            }
        }
    })
    .await;
    assert_eq!((told + 2, broker.events().told(EventType::Error)), (sent, 2));
}
