//! What is remembered of a message, for how long, and who waits for whom.

use super::*;
use crate::server::clock;

const TTL: Duration = Duration::from_secs(600);
const RECEIPT: Receipt = Receipt { sessions: 3, queued: 1, replayed: false };

fn name(key: &str) -> Name {
    Name::new(&Arc::from("orders"), key, "")
}

fn first(table: &Arc<Idempotency>, key: &str, now: Instant) -> Ticket {
    match table.claim(name(key), [0; 32], now) {
        Claim::First(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn is_first(table: &Arc<Idempotency>, key: &str, now: Instant) -> bool {
    matches!(table.claim(name(key), [0; 32], now), Claim::First(_))
}

fn is_done(table: &Arc<Idempotency>, key: &str, now: Instant) -> bool {
    matches!(table.claim(name(key), [0; 32], now), Claim::Done(_))
}

#[test]
fn a_repeat_gets_the_first_result_until_its_time_is_over() {
    let (table, now) = (Arc::new(Idempotency::new(TTL, 10)), clock::now());
    first(&table, "a", now).settle(Ok(RECEIPT), now);
    let almost = now + TTL - Duration::from_millis(1);
    assert!(matches!(table.claim(name("a"), [0; 32], almost), Claim::Done(RECEIPT)));
    assert!(matches!(table.claim(name("a"), [1; 32], almost), Claim::Conflict));
    let foreign = Name::new(&Arc::from("other-key"), "a", "");
    assert!(matches!(table.claim(foreign, [1; 32], almost), Claim::First(_)));
    assert!(is_first(&table, "a", now + TTL));
}

#[test]
fn a_repeat_waits_for_the_first_and_a_failure_is_not_remembered() {
    let (table, now) = (Arc::new(Idempotency::new(TTL, 10)), clock::now());
    let ticket = first(&table, "a", now);
    let Claim::Wait(waiting) = table.claim(name("a"), [0; 32], now) else { panic!("not waiting") };
    assert!(waiting.borrow().is_none());
    ticket.settle(Err(Problem::Overloaded), now);
    assert_eq!(*waiting.borrow(), Some(Err(Problem::Overloaded)));
    assert!(is_first(&table, "a", now));
}

#[test]
fn a_ticket_that_is_given_up_lets_the_next_one_try() {
    let (table, now) = (Arc::new(Idempotency::new(TTL, 10)), clock::now());
    let ticket = first(&table, "a", now);
    let Claim::Wait(waiting) = table.claim(name("a"), [0; 32], now) else { panic!("not waiting") };
    drop(ticket);
    assert!(waiting.has_changed().is_err(), "whoever waits is told");
    assert!(is_first(&table, "a", now));
}

#[test]
fn the_oldest_results_are_forgotten_at_the_bound() {
    let (table, now) = (Arc::new(Idempotency::new(TTL, 3)), clock::now());
    for key in ["a", "b", "c", "d"] {
        first(&table, key, now).settle(Ok(RECEIPT), now);
    }
    assert!(is_done(&table, "d", now) && is_done(&table, "b", now));
    assert!(is_first(&table, "a", now));
    assert_eq!(table.evicted(), 1);
}

#[test]
fn failures_do_not_push_out_what_succeeded() {
    let (table, now) = (Arc::new(Idempotency::new(TTL, 3)), clock::now());
    first(&table, "a", now).settle(Ok(RECEIPT), now);
    for _ in 0..100 {
        first(&table, "b", now).settle(Err(Problem::Overloaded), now);
        drop(first(&table, "c", now));
    }
    assert!(is_done(&table, "a", now));
    assert_eq!(table.evicted(), 0);
    let known = table.tables.get("orders").unwrap();
    assert_eq!((known.entries.len(), known.order.len()), (1, 1), "failures leave nothing behind");
}

#[test]
fn a_key_does_not_push_out_what_another_one_published() {
    let (table, now) = (Arc::new(Idempotency::new(TTL, 3)), clock::now());
    first(&table, "a", now).settle(Ok(RECEIPT), now);
    let other = Arc::from("other-key");
    for number in 0..100 {
        let name = Name::new(&other, &number.to_string(), "");
        let Claim::First(ticket) = table.claim(name, [0; 32], now) else { panic!("not first") };
        ticket.settle(Ok(RECEIPT), now);
    }
    assert!(is_done(&table, "a", now));
    assert_eq!(table.evicted(), 97);
}

#[test]
fn what_is_under_way_is_not_forgotten() {
    let (table, now) = (Arc::new(Idempotency::new(TTL, 3)), clock::now());
    let ticket = first(&table, "a", now);
    for number in 0..10 {
        first(&table, &number.to_string(), now).settle(Ok(RECEIPT), now);
    }
    assert!(matches!(table.claim(name("a"), [0; 32], now + TTL), Claim::Wait(_)));
    ticket.settle(Ok(RECEIPT), now);
    assert!(is_done(&table, "a", now));
}

#[test]
fn old_results_go_a_few_at_a_time_and_are_not_given_out_meanwhile() {
    let (table, now) = (Arc::new(Idempotency::new(TTL, 100)), clock::now());
    for number in 0..100 {
        first(&table, &number.to_string(), now).settle(Ok(RECEIPT), now);
    }
    let later = now + TTL;
    first(&table, "99", later).settle(Ok(RECEIPT), later);
    let count = || table.tables.get("orders").map_or(0, |known| known.entries.len());
    assert_eq!(count(), 100 - FORGOTTEN_PER_CLAIM);
    table.tick(later);
    assert_eq!(count(), 1);
    assert!(is_done(&table, "99", later));
    table.tick(later + TTL);
    assert_eq!((count(), table.tables.len()), (0, 0));
    assert_eq!(table.evicted(), 0);
}
