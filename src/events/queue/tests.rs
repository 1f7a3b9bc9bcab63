//! Bounds, pace and the word about what is missing.

use super::*;

const BOUNDS: Bounds =
    Bounds { per_second: 1_000, burst: 1_000, events_max: 4, bytes_max: 1 << 20 };

fn event(seq: u64) -> Arc<Event> {
    let what = What::Error { status: "x", detail: "".into() };
    Arc::new(Event { seq, at: Duration::ZERO, subject: Subject::default(), error: None, what })
}

fn seqs(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|(event, _)| event.seq).collect()
}

fn merged(event: &Event) -> Option<(EventType, u64)> {
    match event.what {
        What::Merged { of, count, .. } => Some((of, count)),
        _ => None,
    }
}

#[test]
fn the_oldest_go_first_and_one_event_says_which() {
    let mut queue = Queue::new(BOUNDS);
    let dropped: u64 = (1..=7).map(|seq| queue.push(event(seq), 1)).sum();
    assert_eq!(dropped, 3);
    let taken = queue.take(10, Duration::ZERO, 2);
    assert_eq!(seqs(&taken), [3, 4, 5, 6, 7]);
    let What::Lost { count, from_seq, to_seq } = taken[0].0.what else { panic!("{taken:?}") };
    assert_eq!((count, from_seq, to_seq, taken[0].1), (3, 1, 3, 2));
    assert!(queue.is_empty());
    assert_eq!(queue.bytes, 0);
}

#[test]
fn exactly_as_many_as_the_ring_holds_lose_nothing() {
    let mut queue = Queue::new(BOUNDS);
    assert_eq!((1..=4).map(|seq| queue.push(event(seq), 1)).sum::<u64>(), 0);
    assert_eq!(seqs(&queue.take(3, Duration::ZERO, 1)), [1, 2, 3]);
    assert_eq!(seqs(&queue.take(3, Duration::ZERO, 1)), [4]);
}

#[test]
fn bytes_are_bounded_too() {
    let size = event(1).bytes();
    let mut queue = Queue::new(Bounds { bytes_max: 2 * size, ..BOUNDS });
    assert_eq!(queue.push(event(1), 1) + queue.push(event(2), 1), 0);
    assert_eq!(queue.push(event(3), 1), 1);
    assert_eq!(queue.bytes, 2 * size);
}

#[test]
fn an_event_larger_than_the_ring_is_lost_and_told() {
    let mut queue = Queue::new(Bounds { bytes_max: 1, ..BOUNDS });
    assert_eq!(queue.push(event(1), 1), 1);
    assert_eq!(seqs(&queue.take(1, Duration::ZERO, 1)), [1]);
    assert!(queue.is_empty());
}

#[test]
fn above_the_pace_events_of_one_type_become_one() {
    let mut queue = Queue::new(Bounds { per_second: 10, burst: 2, events_max: 100, ..BOUNDS });
    let kinds = [EventType::Publish, EventType::Publish, EventType::Publish, EventType::Connect];
    let admitted: Vec<bool> =
        (1..).zip(kinds).map(|(seq, kind)| queue.admit(kind, seq, 1)).collect();
    assert_eq!(admitted, [true, true, false, false]);
    assert!(!queue.admit(EventType::Publish, 5, 2));
    assert!(queue.is_empty(), "counted, and not told yet");
    queue.pass(Duration::from_millis(100), Duration::ZERO);
    let taken = queue.take(9, Duration::ZERO, 1);
    let told: Vec<_> = taken.iter().map(|(event, places)| (merged(event), *places)).collect();
    assert_eq!(
        told,
        [(Some((EventType::Connect, 1)), 1), (Some((EventType::Publish, 2)), 3)],
        "in the order of the types"
    );
    assert!(queue.admit(EventType::Publish, 6, 1), "100 ms at 10 per second are one event");
    assert!(!queue.admit(EventType::Publish, 7, 1));
}

#[test]
fn a_pause_saves_up_no_more_than_the_burst() {
    let mut queue = Queue::new(Bounds { per_second: 10, burst: 2, ..BOUNDS });
    queue.pass(Duration::from_secs(3_600), Duration::ZERO);
    let admitted = (0..10).filter(|seq| queue.admit(EventType::Publish, *seq, 1)).count();
    assert_eq!(admitted, 2);
}

#[test]
fn what_is_lost_has_no_holes_though_types_were_merged() {
    let mut queue =
        Queue::new(Bounds { per_second: 10, burst: 1, events_max: 3, bytes_max: 1 << 20 });
    for seq in 1..=40 {
        let kind = if seq % 2 == 0 { EventType::Publish } else { EventType::Connect };
        if queue.admit(kind, seq, 1) {
            queue.push(event(seq), 1);
        }
        if seq % 10 == 0 {
            queue.pass(Duration::from_millis(100), Duration::ZERO);
        }
    }
    let taken = queue.take(9, Duration::ZERO, 1);
    let What::Lost { count, from_seq, to_seq } = taken[0].0.what else { panic!("{taken:?}") };
    assert_eq!(from_seq, 1);
    assert_eq!(count, to_seq - from_seq + 1);
}
