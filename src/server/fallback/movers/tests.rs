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
    let mut movers = Movers::default();
    assert!(movers.begin(browser(1), session(1), Way::Down, |_| true));
    assert!(!movers.begin(browser(1), session(2), Way::Down, |_| true));
    assert!(movers.begin(browser(2), session(3), Way::Up, |_| true));
    assert_eq!(movers.of(browser(1)), Some((session(1), Way::Down)));
    movers.end(browser(1));
    assert_eq!(movers.of(browser(1)), None);
    assert!(movers.begin(browser(1), session(2), Way::Down, |_| true));
}

#[test]
fn sf10_a_session_that_expired_on_its_way_makes_room() {
    let mut movers = Movers::default();
    assert!(movers.begin(browser(1), session(1), Way::Down, |_| true));
    assert!(movers.begin(browser(1), session(2), Way::Up, |id| id != session(1)));
    assert_eq!(movers.of(browser(1)), Some((session(2), Way::Up)));
}

#[test]
fn sf10_as_many_handshakes_of_an_address_are_expected_as_were_sent_away_for_10_s() {
    let (mut movers, now) = (Movers::default(), start());
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
