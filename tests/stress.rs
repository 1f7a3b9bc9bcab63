//! The core under real threads: publishers, racing carriers, sessions that come and go.
//!
//! What `simulation/` does one step after another happens here at once. Every waiter polls only after
//! its waker was called, so a lost wake-up or a baton that nobody carries on stops the test, which a
//! deadline turns into a failure. Source: reliability.md 1 (P1, P3) and 4.5.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test of threads that has to stop when something is wrong, and needs a deadline"
)]

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use bayeuxd::{
    bayeux::{ChannelName, NameLimits},
    broker::{
        Broker, Carrier, Cause, Payload, Progress, Published, Ready, Session, SessionId, TICK,
        Take, Wakes,
    },
    config::Config,
};
use parking_lot::{Condvar, Mutex};
use serde_json::value::RawValue;

const PUBLISHERS: usize = 3;
const CHANNELS: usize = 2;
const MESSAGES: usize = 6_000;
const TOTAL: usize = PUBLISHERS * MESSAGES;
/// Nothing here takes so long unless somebody waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// One message: channel, publisher, and how many the publisher sent before.
type Message = (usize, usize, usize);

/// What a session has received, and a bell for whoever waits for all of it.
#[derive(Default)]
struct Log {
    messages: Mutex<Vec<Message>>,
    grown: Condvar,
}

/// Wakes the thread that runs a future.
struct Parked(Thread, AtomicBool);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.1.store(true, Ordering::SeqCst);
        self.0.unpark();
    }
}

/// Runs a future, polling it only when it was woken.
fn wait<F: Future>(future: F) -> F::Output {
    let parked = Arc::new(Parked(thread::current(), AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&parked));
    let mut future = pin!(future);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if parked.1.swap(false, Ordering::SeqCst)
            && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            return output;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "nobody woke this thread");
        thread::park_timeout(left);
    }
}

/// xorshift64: cheap variety; threads make the rest of it unrepeatable anyway.
struct Variety(u64);

impl Variety {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn name(text: &str) -> ChannelName {
    ChannelName::parse(text, NameLimits { bytes: 255, segments: 16 }).expect("a channel name")
}

fn id(number: usize) -> SessionId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// Publishes its messages one after the other, as `dispatch` does; now and then it is cancelled.
fn publisher(broker: &Arc<Broker>, who: usize) {
    let mut variety = Variety(who as u64 + 1);
    for count in 0..MESSAGES {
        let channel = variety.below(CHANNELS);
        let json = format!("[{channel},{who},{count}]");
        let data = RawValue::from_string(json).expect("JSON");
        let channel = name(&format!("/s/{channel}"));
        match broker.publish(None, &channel, Payload::from(&*data)).expect("no limit is near") {
            Published::Behind(delivered) => wait(delivered),
            Published::Walk(_) if variety.below(10) == 0 => {}
            Published::Walk(mut delivery) => {
                let mut wakes = Wakes::default();
                let pushes = 1 + variety.below(20);
                while delivery.step_by(pushes, &mut wakes) != Progress::Done {
                    wakes.fire();
                }
            }
        }
    }
}

/// Takes batches for a session until it ends; drops many of them half written. When another carrier
/// supersedes it, it claims the session back.
fn carrier(broker: &Arc<Broker>, session: &Arc<Session>, log: &Log, seed: u64) {
    let mut variety = Variety(seed);
    loop {
        let kind = [Carrier::Poll, Carrier::Socket][variety.below(2)];
        let (_, generation) = broker.connect(session, kind, Instant::now());
        loop {
            match wait(session.signal(generation)) {
                Ready::Ended(_) => return,
                Ready::Superseded => break,
                Ready::Messages => {}
            }
            let take = [Take::ALL, Take::WRITE][variety.below(2)];
            // A newer carrier may have come in between.
            let Some(mut batch) = session.take(generation, take) else { continue };
            let (frames, written) = batch.progress();
            *written =
                if variety.below(3) == 0 { variety.below(frames.len() + 1) } else { frames.len() };
            let read = frames[..*written].iter().map(|frame| message(frame.object()));
            log.messages.lock().extend(read);
            log.grown.notify_all();
        }
        broker.detach(session, generation, Instant::now());
    }
}

fn message(object: &[u8]) -> Message {
    let text = std::str::from_utf8(object).expect("UTF-8");
    let (_, data) = text.split_once("\"data\":[").expect("an array");
    let mut numbers = data.trim_end_matches(['}', ']']).split(',');
    let mut next = || numbers.next().and_then(|text| text.parse().ok()).expect("a number");
    (next(), next(), next())
}

/// Subscribes, unsubscribes, reads now and then, says goodbye and comes back. Returns everything
/// that each of its sessions received.
fn visitor(broker: &Arc<Broker>, over: &AtomicBool, seed: usize) -> Vec<Vec<Message>> {
    let mut variety = Variety(seed as u64 + 99);
    let mut logs = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let now = Instant::now();
        let session = broker.handshake(id(1_000 * seed + logs.len()), None, now).expect("room");
        let (_, generation) = broker.connect(&session, Carrier::Poll, now);
        let mut log = Vec::new();
        for _ in 0..variety.below(60) {
            let pattern = name(["/s/0", "/s/*", "/**", "/s/1"][variety.below(4)]);
            match variety.below(4) {
                0 => drop(broker.unsubscribe(&session, &pattern)),
                1 => broker.subscribe(&session, &pattern).expect("no limit is near"),
                2 => {
                    let request = session.begin_request();
                    if let Some(mut batch) = request.take() {
                        log.extend(batch.frames().iter().map(|frame| message(frame.object())));
                        batch.settle();
                    }
                }
                _ => {
                    if let Some(mut batch) = session.take(generation, Take::WRITE) {
                        log.extend(batch.frames().iter().map(|frame| message(frame.object())));
                        batch.settle();
                    }
                }
            }
        }
        assert!(broker.end(&session, Cause::Client));
        logs.push(log);
    }
    logs
}

/// Splits by channel, keeping the order.
fn by_channel(messages: &[Message]) -> Vec<Vec<Message>> {
    let of = |channel| messages.iter().filter(|message| message.0 == channel).copied().collect();
    (0..CHANNELS).map(of).collect()
}

#[test]
fn threads_lose_nothing_double_nothing_and_agree_on_the_order() {
    let now = Instant::now();
    let mut config = Config::default();
    config.session.queue.max_messages = TOTAL;
    config.session.queue.max_bytes = usize::MAX;
    let broker = Broker::new(&config, now);
    let readers: Vec<(Arc<Session>, Log, &str, u64)> =
        [("/s/*", 1), ("/**", 2), ("/s/**", 1), ("/s/*", 2)]
            .into_iter()
            .enumerate()
            .map(|(number, (pattern, carriers))| {
                let session = broker.handshake(id(number), None, now).expect("room");
                broker.subscribe(&session, &name(pattern)).expect("no limit is near");
                (session, Log::default(), pattern, carriers)
            })
            .collect();
    let over = AtomicBool::new(false);
    let visits = thread::scope(|scope| {
        for (session, log, _, carriers) in &readers {
            for seed in 0..*carriers {
                let broker = &broker;
                scope.spawn(move || carrier(broker, session, log, 5 + seed));
            }
        }
        let (broker, over) = (&broker, &over);
        let visitors = [1, 2].map(|seed| scope.spawn(move || visitor(broker, over, seed)));
        let publishers: Vec<_> =
            (0..PUBLISHERS).map(|who| scope.spawn(move || publisher(broker, who))).collect();
        for thread in publishers {
            thread.join().expect("a publisher finishes");
        }
        over.store(true, Ordering::SeqCst);
        let visits: Vec<_> = visitors
            .into_iter()
            .flat_map(|thread| thread.join().expect("a visitor leaves"))
            .collect();
        for (session, log, pattern, _) in &readers {
            let mut messages = log.messages.lock();
            let timeout = log.grown.wait_while_for(
                &mut messages,
                |messages| messages.len() < TOTAL,
                PATIENCE,
            );
            assert!(!timeout.timed_out(), "{} of {TOTAL} for {pattern}", messages.len());
            drop(messages);
            assert!(broker.end(session, Cause::Client));
        }
        visits
    });
    judge(&broker, readers, &visits, now);
}

fn judge(
    broker: &Arc<Broker>,
    readers: Vec<(Arc<Session>, Log, &str, u64)>,
    visits: &[Vec<Message>],
    now: Instant,
) {
    let common = by_channel(&readers[0].1.messages.lock());
    assert_eq!(common.iter().map(Vec::len).sum::<usize>(), TOTAL, "nothing twice");
    assert!(visits.iter().any(|visit| !visit.is_empty()), "nobody came by");
    for (_, log, pattern, _) in &readers {
        assert!(by_channel(&log.messages.lock()) == common, "{pattern} saw another order");
    }
    let place: HashMap<Message, usize> = common
        .iter()
        .flat_map(|channel| channel.iter().enumerate().map(|(place, message)| (*message, place)))
        .collect();
    for who in 0..PUBLISHERS {
        for channel in &common {
            let own = channel.iter().filter(|message| message.1 == who);
            assert!(own.is_sorted_by(|one, next| one.2 < next.2), "publisher {who} out of order");
        }
    }
    for channel in visits.iter().flat_map(|visit| by_channel(visit)) {
        assert!(channel.is_sorted_by(|one, next| place[one] < place[next]), "a visitor's order");
    }
    for tick in 1..10 {
        broker.tick(now + tick * TICK);
    }
    assert_eq!((broker.sessions(), broker.channels(), broker.queued_bytes()), (0, 0, 0));
    assert!(readers.iter().all(|(session, ..)| Arc::strong_count(session) == 1));
    let counters = broker.counters();
    assert_eq!(counters.queued.value(), counters.delivered.value() + counters.discarded.value());
}
