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

#[test]
fn a_repeat_gets_the_first_result_until_its_time_is_over() {
    let (table, now) = (Arc::new(Idempotency::new(TTL, 10)), clock::now());
    first(&table, "a", now).settle(Ok(RECEIPT));
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
    ticket.settle(Err(Problem::Overloaded));
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
        first(&table, key, now).settle(Ok(RECEIPT));
    }
    assert!(table.table.lock().entries.len() <= 3);
    assert!(matches!(table.claim(name("d"), [0; 32], now), Claim::Done(_)));
    assert!(is_first(&table, "a", now));
    for _ in 0..100 {
        drop(first(&table, "x", now));
    }
    assert!(table.table.lock().order.len() <= 3, "failures leave nothing behind");
}
