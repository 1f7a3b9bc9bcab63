//! Mutations of a clean record: every single one must be reported, and as what it is.

use super::*;
use crate::random::Random;

const MESSAGES: u64 = 10_000;

fn post(number: u64) -> Post {
    Post { publisher: "p".into(), channel: "/a".into(), number }
}

fn received(number: u64) -> Event {
    Event::Received { session: "s".into(), post: post(number) }
}

fn subscribed() -> Event {
    Event::Subscribed { session: "s".into(), channel: "/a".into() }
}

/// One subscriber, one publisher, every message received right after its publish.
fn clean_run() -> Vec<Event> {
    let exchange = |n| [Event::Publishing(post(n)), received(n), Event::Published(post(n))];
    std::iter::once(subscribed()).chain((0..MESSAGES).flat_map(exchange)).collect()
}

/// Where `clean_run` holds the receipt of message `n`.
fn receipt(n: u64) -> usize {
    2 + 3 * n as usize
}

#[test]
fn a_clean_run_is_clean() {
    let report = check(&clean_run());
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.attempted, report.confirmed, report.delivered), (10_000, 10_000, 10_000));
}

#[test]
fn one_dropped_message_in_ten_thousand_is_lost() {
    let mut random = Random::new(1);
    for _ in 0..5 {
        let n = random.below(0..MESSAGES);
        let mut events = clean_run();
        events.remove(receipt(n));
        let report = check(&events);
        assert_eq!(report.lost, [format!("s: p /a #{n}")]);
    }
}

#[test]
fn one_doubled_message_in_ten_thousand_is_doubled() {
    let mut random = Random::new(2);
    for _ in 0..5 {
        let n = random.below(0..MESSAGES);
        let mut events = clean_run();
        events.insert(receipt(n), received(n));
        let report = check(&events);
        assert_eq!(report.doubled, [format!("s: p /a #{n}")]);
    }
}

#[test]
fn two_swapped_messages_in_ten_thousand_are_reordered() {
    let mut random = Random::new(3);
    for _ in 0..5 {
        let n = random.below(1..MESSAGES);
        let mut events = clean_run();
        events.remove(receipt(n - 1));
        events.insert(receipt(n), received(n - 1));
        let report = check(&events);
        assert_eq!(report.reordered, [format!("s: p /a #{}", n - 1)], "swap at {n}");
        assert!(report.lost.is_empty());
    }
}

#[test]
fn a_message_nobody_published_is_a_phantom() {
    let report = check(&[subscribed(), received(7)]);
    assert_eq!(report.phantom, ["s: p /a #7"]);
}

#[test]
fn a_missing_message_of_a_session_that_was_told_is_not_lost() {
    let told = Event::Told { session: "s".into() };
    let report =
        check(&[subscribed(), Event::Publishing(post(0)), Event::Published(post(0)), told]);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.told, 1);
}

#[test]
fn being_told_explains_nothing_that_is_published_later() {
    let told = Event::Told { session: "s".into() };
    let report =
        check(&[subscribed(), told, Event::Publishing(post(0)), Event::Published(post(0))]);
    assert_eq!(report.lost, ["s: p /a #0"]);
}

#[test]
fn an_unconfirmed_message_may_arrive_or_not() {
    let unconfirmed = [subscribed(), Event::Publishing(post(0)), Event::Unconfirmed(post(0))];
    assert!(check(&unconfirmed).is_clean());
    let arrived = [&unconfirmed[..], &[received(0)]].concat();
    assert!(check(&arrived).is_clean());
}

#[test]
fn after_the_unsubscribe_reply_nothing_new_may_arrive() {
    let (session, channel) = (String::from("s"), String::from("/a"));
    let events = [
        subscribed(),
        Event::Unsubscribing { session: session.clone(), channel: channel.clone() },
        Event::Publishing(post(0)),
        received(0),
        Event::Unsubscribed { session, channel },
        Event::Publishing(post(1)),
        received(1),
    ];
    assert_eq!(check(&events).leaked, ["s: p /a #1"]);
}
