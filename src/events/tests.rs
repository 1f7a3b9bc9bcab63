//! Who is told what, and what it costs when nobody listens.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::Wake,
};

use super::*;
use crate::bayeux::{ChannelName, NameLimits};

const NOON: Duration = Duration::from_secs(43_200);

fn events(change: impl FnOnce(&mut Monitor)) -> Arc<Events> {
    let mut config = Monitor::default();
    change(&mut config);
    Arc::new(Events::new(&config, || NOON))
}

fn name(text: &str) -> ChannelName {
    ChannelName::parse(text, NameLimits { bytes: 255, segments: 16 }).unwrap()
}

fn error() -> (Subject, What) {
    (Subject::default(), What::Error { status: "x", detail: "".into() })
}

fn happen(events: &Events, kind: EventType) {
    events.emit(&Glance::of(kind), error);
}

fn interest(name_of: &str, places: u8) -> Interest {
    Interest { name: name(name_of), places, types: Types::ALL, filter: Filter::default() }
}

fn seqs(taken: &[Arc<Event>]) -> Vec<u64> {
    taken.iter().map(|event| event.seq).collect()
}

#[test]
fn nothing_is_put_together_that_nobody_wants() {
    let events = events(|config| config.recent_events = 0);
    for kind in EventType::ALL {
        assert!(!events.wants(*kind), "{kind:?}");
        events.emit(&Glance::of(*kind), || panic!("nobody listens"));
    }
    assert_eq!(events.told(EventType::Error), 0);
}

#[test]
fn by_default_the_newest_are_kept_but_no_publish_and_no_poll() {
    let events = events(|config| config.recent_events = 30);
    assert!(!events.wants(EventType::Publish) && !events.wants_polls());
    events.emit(&Glance { poll: true, ..Glance::of(EventType::Connect) }, || panic!("a poll"));
    events.emit(&Glance::of(EventType::Publish), || panic!("a publish"));
    for _ in 0..5 {
        happen(&events, EventType::Error);
    }
    assert_eq!(seqs(&events.recent(None, 10)), [3, 4, 5]);
    assert_eq!(seqs(&events.recent(None, 1)), [5]);
    events.emit(&Glance { refused: true, ..Glance::of(EventType::Publish) }, error);
    assert_eq!(seqs(&events.recent(None, 1)), [6], "a refused publish tells why");
}

#[test]
fn what_happened_to_one_session_can_be_asked_for() {
    let events = events(|_| {});
    let sids = [Sid::from_bytes([1; 6]), Sid::from_bytes([2; 6])];
    for sid in sids.iter().cycle().take(6) {
        let peer = Arc::new(Peer { sid: Some(*sid), ..Peer::default() });
        let subject = Subject { peer: Some(peer), transport: None };
        let glance = Glance { sid: Some(*sid), ..Glance::of(EventType::Auth) };
        events.emit(&glance, || (subject, What::Auth { op: Operation::Api }));
    }
    assert_eq!(seqs(&events.recent(Some(sids[1]), 2)), [4, 6]);
    assert_eq!(events.recent(Some(Sid::from_bytes([3; 6])), 9), []);
}

fn limit_of(sid: Option<Sid>) -> (Subject, What) {
    let peer = sid.map(|sid| Arc::new(Peer { sid: Some(sid), ..Peer::default() }));
    (Subject { peer, transport: None }, What::Limit { limit: "x", value: 1 })
}

#[test]
fn strangers_push_out_strangers_and_no_session() {
    let events = events(|config| config.recent_events = 20);
    let sid = Some(Sid::from_bytes([1; 6]));
    events.emit(&Glance { sid, ..Glance::of(EventType::Limit) }, || limit_of(sid));
    for _ in 0..50 {
        happen(&events, EventType::Error);
        let refused = Glance { refused: true, sid, ..Glance::of(EventType::Publish) };
        let data = None;
        let what = What::Publish { channel: "/a".into(), size: 1, fanout: 0, via: Via::Http, data };
        events.emit(&refused, || (limit_of(sid).0, what));
    }
    assert_eq!(seqs(&events.recent(sid, 99)), [1, 101]);
    assert_eq!(seqs(&events.recent(None, 99)), [1, 100, 101], "a tenth of the room, in order");
    assert_eq!(seqs(&events.recent(None, 2)), [100, 101]);
}

#[test]
fn what_is_kept_is_bounded_in_bytes_too() {
    let events = events(|config| config.ring_bytes = 60 << 10);
    let sid = Some(Sid::from_bytes([1; 6]));
    let types = || vec!["x".repeat(1_000).into_boxed_str(); 16].into_boxed_slice();
    for _ in 0..50 {
        events.emit(&Glance { sid, ..Glance::of(EventType::Handshake) }, || {
            let (ext_keys, auth) = (Box::default(), Auth::Anonymous);
            (limit_of(sid).0, What::Handshake { types: types(), ext_keys, moved_from: None, auth })
        });
    }
    assert_eq!(seqs(&events.recent(sid, 99)), [48, 49, 50], "16 KB each");
}

#[test]
fn a_tap_gets_what_it_wants_and_may_have() {
    let events = events(|_| {});
    let filter = Filter { types: Types::ALL.without(EventType::Limit), ..Filter::default() };
    let tap = events.tap(Rights::usual(), filter).unwrap();
    for kind in [EventType::Error, EventType::Limit, EventType::Publish, EventType::Auth] {
        happen(&events, kind);
    }
    assert_eq!(seqs(&tap.take(9)), [1, 3], "a publish that nobody may see has no number");
    assert!(tap.take(9).is_empty());
    drop(tap);
    assert!(events.state().listeners.is_empty());
}

#[test]
fn a_waiting_tap_is_woken_by_the_next_pulse_and_not_by_the_event() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let events = events(|_| {});
    let tap = events.tap(Rights::usual(), Filter::default()).unwrap();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut ready = tap.ready();
    let mut cx = Context::from_waker(&waker);
    assert!(std::pin::Pin::new(&mut ready).poll(&mut cx).is_pending());
    happen(&events, EventType::Error);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    let now = crate::server::clock::now();
    events.pulse(now).fire();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(std::pin::Pin::new(&mut ready).poll(&mut cx).is_ready());
}

#[test]
fn listeners_are_limited_each_kind_by_itself() {
    let events = events(|config| config.max_subscribers = 2);
    let rights = Arc::new(Rights::usual());
    let taps: Vec<_> =
        (0..2).map(|_| events.tap(Rights::usual(), Filter::default()).unwrap()).collect();
    assert_eq!(events.tap(Rights::usual(), Filter::default()).err(), Some(TooMany));
    let first = events.listen(Arc::clone(&rights)).unwrap();
    events.listen(Arc::clone(&rights)).unwrap();
    assert_eq!(events.listen(Arc::clone(&rights)), Err(TooMany));
    events.forget(first);
    events.listen(rights).unwrap();
    assert_eq!((taps.len(), events.monitors()), (2, 2));
}

#[test]
fn an_event_goes_once_to_all_places_that_want_it() {
    let events = events(|_| {});
    let id = events.listen(Arc::new(Rights::all())).unwrap();
    let none = || panic!("no interest covers stats");
    let only = |kind| Filter { types: Types::NONE.with(kind), ..Filter::default() };
    for (text, places, kind) in
        [("/a", 1, EventType::Error), ("/b", 2, EventType::Error), ("/c", 4, EventType::Limit)]
    {
        events.want(id, Interest { filter: only(kind), ..interest(text, places) }, none);
    }
    happen(&events, EventType::Error);
    happen(&events, EventType::Limit);
    let places: Vec<u8> = events.take(id, 9).into_iter().map(|(_, places)| places).collect();
    assert_eq!(places, [3, 4]);
    assert!(events.unwant(id, &name("/b")) && !events.unwant(id, &name("/b")));
    happen(&events, EventType::Error);
    assert_eq!(events.take(id, 9)[0].1, 1);
}

#[test]
fn an_interest_in_stats_begins_with_a_snapshot_and_is_replaced_by_its_name() {
    let events = events(|_| {});
    let id = events.listen(Arc::new(Rights::usual())).unwrap();
    let stats = || Stats { sessions: 7, ..Stats::default() };
    events.want(id, interest("/a", 1), stats);
    happen(&events, EventType::Error);
    let taken = events.take(id, 9);
    let What::Stats(first) = &taken[0].0.what else { panic!("{taken:?}") };
    assert!(first.snapshot && first.sessions == 7);
    assert_eq!(taken.len(), 2);
    let filter = Filter { types: Types::NONE.with(EventType::Limit), ..Filter::default() };
    events.want(id, Interest { filter, ..interest("/a", 1) }, stats);
    happen(&events, EventType::Error);
    assert!(events.take(id, 9).is_empty() && events.interests(id) == 1);
}

#[test]
fn without_a_filter_numbers_have_no_gap_whatever_the_type() {
    let events = events(|_| {});
    let tap = events.tap(Rights::all(), Filter { polls: true, ..Filter::default() }).unwrap();
    for kind in EventType::ALL {
        happen(&events, *kind);
    }
    let all: Vec<u64> = (1..=EventType::ALL.len() as u64).collect();
    assert_eq!(seqs(&tap.take(99)), all);
}

#[test]
fn the_task_that_pulses_sleeps_while_nobody_listens() {
    let events = events(|_| {});
    let mut cx = Context::from_waker(Waker::noop());
    assert!(events.poll_listened(&mut cx).is_pending());
    let tap = events.tap(Rights::usual(), Filter::default()).unwrap();
    assert!(events.poll_listened(&mut cx).is_ready());
    drop(tap);
    assert!(events.poll_listened(&mut cx).is_pending());
}

#[test]
fn the_configuration_knows_every_type() {
    let words: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(crate::config::EVENT_TYPES.as_slice(), words);
}

#[test]
fn what_nobody_would_get_by_itself_is_only_counted() {
    let events = events(|config| (config.burst, config.events_per_second) = (1, 10));
    let publish = Glance { channel: Some("/a"), ..Glance::of(EventType::Publish) };
    assert!(!events.heeds_publish(&publish), "nobody wants it at all");
    let channel = Some(name("/b"));
    let other = events.tap(Rights::all(), Filter { channel, ..Filter::default() }).unwrap();
    assert!(!events.heeds_publish(&publish), "nobody wants this one");
    let tap = events.tap(Rights::all(), Filter::default()).unwrap();
    assert!(events.heeds_publish(&publish));
    events.emit(&publish, error);
    assert!(!events.heeds_publish(&publish), "it has had its one");
    let begun = crate::server::clock::now();
    events.pulse(begun).fire();
    events.pulse(begun + MERGE).fire();
    let told: Vec<What> = tap.take(9).iter().map(|event| event.what.clone()).collect();
    let merged = What::Merged { of: EventType::Publish, count: 1, first_seq: 3 };
    assert_eq!(told, [error().1, merged]);
    assert!(events.heeds_publish(&publish), "100 ms later it may have another");
    assert!(other.take(9).is_empty());
    assert_eq!(events.told(EventType::Publish), 3);
}

/// Passes some publishes by, as a publisher does; how many were heeded.
fn publish(events: &Events, channel: &'static str, count: usize) -> usize {
    let glance = Glance { channel: Some(channel), ..Glance::of(EventType::Publish) };
    let heeded = || !events.passes_over_publish() && events.heeds_publish(&glance);
    (0..count).filter(|_| heeded()).count()
}

#[test]
fn once_nobody_has_leave_publishes_are_counted_in_passing() {
    let events = events(|config| (config.burst, config.events_per_second) = (0, 10));
    let tap = events.tap(Rights::all(), Filter::default()).unwrap();
    assert!(!events.passes_over_publish(), "nobody has looked yet");
    assert_eq!(publish(&events, "/a", 1), 0);
    assert!(events.passes_over_publish(), "and counts it");
    assert_eq!(events.state.lock().seq, 1, "without the lock");
    happen(&events, EventType::Error);
    assert_eq!(publish(&events, "/a", 3), 0);
    let begun = crate::server::clock::now();
    events.pulse(begun).fire();
    events.pulse(begun + MERGE).fire();
    let told: Vec<(u64, What)> =
        tap.take(9).iter().map(|event| (event.seq, event.what.clone())).collect();
    let merged = |of, count, first_seq| What::Merged { of, count, first_seq };
    let publishes = (6, merged(EventType::Publish, 5, 1));
    assert_eq!(told, [publishes, (3, merged(EventType::Error, 1, 3))], "numbers have no gap");
    assert_eq!(events.told(EventType::Publish), 5);
    assert_eq!(publish(&events, "/a", 1), 1, "100 ms later it may have another");
}

#[test]
fn a_listener_that_is_choosy_is_asked_about_each_publish() {
    let events = events(|config| (config.burst, config.events_per_second) = (0, 10));
    let plain = events.tap(Rights::all(), Filter::default()).unwrap();
    assert_eq!(publish(&events, "/a", 4), 0);
    let channel = Some(name("/b"));
    let choosy = events.tap(Rights::all(), Filter { channel, ..Filter::default() }).unwrap();
    assert_eq!(publish(&events, "/a", 2) + publish(&events, "/b", 3), 0);
    let begun = crate::server::clock::now();
    events.pulse(begun).fire();
    events.pulse(begun + MERGE).fire();
    let counts = |tap: &Tap| -> Vec<u64> {
        let count = |event: &Arc<Event>| match event.what {
            What::Merged { count, .. } => count,
            _ => 0,
        };
        tap.take(9).iter().map(count).collect()
    };
    assert_eq!((counts(&plain), counts(&choosy)), (vec![9], vec![3]));
}
