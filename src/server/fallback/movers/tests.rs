//! Who moves, with invented time.

use std::net::Ipv4Addr;

use super::*;

#[expect(clippy::disallowed_methods, reason = "a starting point for made-up times")]
fn start() -> Instant {
    Instant::now()
}

const fn session(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

const fn browser(byte: u8) -> BrowserId {
    BrowserId::from_bytes([byte; 16])
}

#[test]
fn sf10_one_session_of_a_browser_moves_at_a_time() {
    let (mut movers, now) = (Movers::new(9), start());
    assert!(movers.begin((browser(1), session(1), Way::Down), now, |_| true));
    assert!(!movers.begin((browser(1), session(2), Way::Down), now, |_| true));
    assert!(movers.begin((browser(2), session(3), Way::Up), now, |_| true));
    assert_eq!(movers.of(browser(1)), Some((session(1), Way::Down)));
    movers.end(browser(1));
    assert_eq!(movers.of(browser(1)), None);
    assert!(movers.begin((browser(1), session(2), Way::Down), now, |_| true));
}

#[test]
fn sf10_a_session_that_expired_on_its_way_makes_room() {
    let (mut movers, now) = (Movers::new(9), start());
    assert!(movers.begin((browser(1), session(1), Way::Down), now, |_| true));
    assert!(movers.begin((browser(1), session(2), Way::Up), now, |id| id != session(1)));
    assert_eq!(movers.of(browser(1)), Some((session(2), Way::Up)));
}

#[test]
fn sf10_as_many_handshakes_of_an_address_are_expected_as_were_sent_away_for_10_s() {
    let (mut movers, now) = (Movers::new(9), start());
    let origin = Origin::new(Ipv4Addr::LOCALHOST.into(), None);
    assert!(!movers.meets(origin.clone(), now));
    movers.announce(origin.clone(), now);
    movers.announce(origin.clone(), now);
    let page = Page::new(None, Some("another agent"));
    let other = Origin::new(Ipv4Addr::LOCALHOST.into(), Some(Arc::new(page)));
    assert!(!movers.meets(other, now));
    assert!(movers.meets(origin.clone(), now) && movers.meets(origin.clone(), now));
    assert!(!movers.meets(origin.clone(), now));
    movers.announce(origin.clone(), now);
    assert!(!movers.meets(origin, now + EXPECTED_FOR), "too late");
    assert!(movers.expected.is_empty());
}

#[test]
fn sf02_addresses_of_one_ipv6_network_are_one() {
    let origin = |text: &str| Origin::new(text.parse().unwrap(), None);
    assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::9"));
    assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
    assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
}

#[test]
fn a_full_table_takes_nothing_until_something_is_over_and_looks_for_that_once_a_second() {
    let (mut movers, now) = (Movers::new(2), start());
    let mut begin = |n, after_ms, over: u8| {
        let (asked, at) = (std::cell::Cell::new(0), now + Duration::from_millis(after_ms));
        let begun = movers.begin((browser(n), session(n), Way::Down), at, |id| {
            asked.set(asked.get() + 1);
            id != session(over)
        });
        (begun, asked.get())
    };
    assert_eq!([begin(1, 0, 0), begin(2, 0, 0)], [(true, 0), (true, 0)]);
    assert_eq!(begin(3, 0, 0), (false, 2), "nothing is over");
    assert_eq!(begin(3, 999, 1), (false, 0), "too early to look again");
    assert_eq!(begin(3, 1_000, 1), (true, 2));
    assert_eq!(
        begin(2, 1_000, 0),
        (false, 1),
        "of a browser that is noted only its own session is asked for"
    );

    let origin = |n: u8| Origin::new(Ipv4Addr::new(192, 0, 2, n).into(), None);
    (1..=3).for_each(|n| movers.announce(origin(n), now));
    assert!(!movers.meets(origin(3), now), "there was no room");
    let later = now + EXPECTED_FOR;
    movers.announce(origin(3), later);
    assert!(movers.meets(origin(3), later));
}
