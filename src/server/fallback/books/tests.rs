//! Counting with invented time.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const YOUNG: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "a starting point for made-up times")]
fn start() -> Instant {
    Instant::now()
}

fn books(change: impl FnOnce(&mut config::WebSocket)) -> Books {
    let mut config = config::Config::default();
    change(&mut config.transports.websocket);
    Books::new(Rules::new(&config.transports.websocket), 4)
}

const fn session(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

const fn browser(byte: u8) -> BrowserId {
    BrowserId::from_bytes([byte; 16])
}

#[test]
fn sf03_the_third_break_within_the_window_demotes_the_browser_and_not_the_second() {
    let (mut books, now) = (books(|_| ()), start());
    for (break_, second) in [0, 30, 59].into_iter().enumerate() {
        let at = now + SECOND * second;
        assert_eq!(books.demotion(session(1), &[browser(1)], at), None, "before break {break_}");
        books.broken(session(1), Some(browser(1)), YOUNG, at);
    }
    let at = now + SECOND * 59;
    let demotion = books.demotion(session(1), &[browser(1)], at).unwrap();
    assert_eq!((demotion.breaks, demotion.until), (3, at + SECOND * 600));
    assert!(books.is_demoted(Key::Browser(browser(1)), at + SECOND * 599));
    assert!(!books.is_demoted(Key::Browser(browser(1)), at + SECOND * 600));
}

#[test]
fn sf03_breaks_that_are_a_window_apart_do_not_add_up() {
    let (mut books, now) = (books(|_| ()), start());
    for second in [0, 30, 60, 90, 120] {
        books.broken(session(1), Some(browser(1)), YOUNG, now + SECOND * second);
    }
    assert!(!books.is_demoted(Key::Browser(browser(1)), now + SECOND * 120));
}

#[test]
fn sf03_only_young_sockets_count_unless_any_age_does() {
    for (young, age, counts) in [(15, 14, true), (15, 15, false), (0, 9_999, true)] {
        let mut books = books(|config| config.demote_young = SECOND * young);
        let now = start();
        (0..3).for_each(|_| books.broken(session(1), Some(browser(1)), SECOND * age, now));
        assert_eq!(books.is_demoted(Key::Browser(browser(1)), now), counts, "{young} {age}");
    }
}

#[test]
fn sf03_zero_switches_it_off() {
    let (mut books, now) = (books(|config| config.demote_after = 0), start());
    (0..9).for_each(|_| books.broken(session(1), Some(browser(1)), YOUNG, now));
    assert!(books.books.is_empty());
}

#[test]
fn sf05_only_a_session_that_lost_a_socket_within_the_window_is_concerned() {
    let (mut books, now) = (books(|_| ()), start());
    (1..=3).for_each(|n| books.broken(session(n), Some(browser(1)), YOUNG, now));
    assert!(books.demotion(session(1), &[browser(1)], now).is_some());
    assert!(books.demotion(session(9), &[browser(1)], now).is_none(), "it lost none");
    assert!(books.demotion(session(1), &[], now).is_none(), "nor is it demoted by itself");
    let later = now + MINUTE;
    assert!(books.demotion(session(1), &[browser(1)], later).is_none());
    assert!(books.is_demoted(Key::Browser(browser(1)), later));
}

#[test]
fn sf02_without_a_cookie_a_session_answers_for_itself_alone() {
    let (mut books, now) = (books(|_| ()), start());
    books.broken(session(2), None, YOUNG, now);
    (0..3).for_each(|_| books.broken(session(1), None, YOUNG, now));
    assert!(books.demotion(session(1), &[], now).is_some());
    assert!(books.demotion(session(2), &[], now).is_none());
}

#[test]
fn sf02_the_first_socket_of_a_browser_which_shows_no_cookie_yet_counts_too() {
    let (mut books, now) = (books(|_| ()), start());
    books.broken(session(1), None, YOUNG, now);
    books.broken(session(1), Some(browser(1)), YOUNG, now);
    assert!(books.demotion(session(1), &[browser(1)], now).is_none());
    books.broken(session(1), Some(browser(1)), YOUNG, now);
    assert!(books.demotion(session(1), &[browser(1)], now).is_some());
    assert!(books.is_demoted(Key::Browser(browser(1)), now));
}

#[test]
fn sf03_each_further_demotion_of_a_day_lasts_twice_as_long_up_to_four_hours() {
    let (mut books, mut now) = (books(|_| ()), start());
    let mut lengths = Vec::new();
    for _ in 0..7 {
        (0..3).for_each(|_| books.broken(session(1), Some(browser(1)), YOUNG, now));
        let until = books.demotion(session(1), &[browser(1)], now).unwrap().until;
        lengths.push((until - now).as_secs() / 60);
        // What breaks meanwhile is of no account.
        (0..9).for_each(|_| books.broken(session(1), Some(browser(1)), YOUNG, now));
        now = until;
    }
    assert_eq!(lengths, [10, 20, 40, 80, 160, 240, 240]);
    now += SECOND * 24 * 3600;
    (0..3).for_each(|_| books.broken(session(1), Some(browser(1)), YOUNG, now));
    let until = books.demotion(session(1), &[browser(1)], now).unwrap().until;
    assert_eq!(until - now, MINUTE * 10, "a day later it begins anew");
}

#[test]
fn sf12_a_demotion_without_a_cookie_goes_over_to_the_next_session() {
    let (mut books, now) = (books(|_| ()), start());
    (0..3).for_each(|_| books.broken(session(1), None, YOUNG, now));
    books.inherit(session(1), session(2));
    assert!(books.is_demoted(Key::Session(session(2)), now + MINUTE));
    assert!(!books.is_demoted(Key::Session(session(1)), now + MINUTE));
    books.inherit(session(8), session(9));
    assert_eq!(books.books.len(), 1, "nothing is inherited from nobody");
}

#[test]
fn sf02_the_table_is_bounded_and_forgets_the_longest_unused() {
    let (mut books, now) = (books(|_| ()), start());
    (1..=4).for_each(|n| books.broken(session(n), None, YOUNG, now));
    books.broken(session(1), None, YOUNG, now);
    books.broken(session(5), None, YOUNG, now);
    assert_eq!((books.books.len(), books.order.len()), (4, 4));
    assert!(!books.books.contains_key(&Key::Session(session(2))), "2 is the oldest now");
    books.broken(session(1), None, YOUNG, now);
    assert!(books.is_demoted(Key::Session(session(1)), now), "1 was remembered");
}

#[test]
fn sf13_two_mute_sockets_within_the_window_are_too_many() {
    let (mut books, now) = (books(|_| ()), start());
    books.mute(browser(1), now);
    assert!(!books.is_mute(browser(1), now));
    books.mute(browser(1), now + MINUTE);
    assert!(!books.is_mute(browser(1), now + MINUTE), "a window apart");
    books.mute(browser(1), now + MINUTE + SECOND);
    assert!(books.is_mute(browser(1), now + MINUTE + SECOND));
    assert!(!books.is_mute(browser(1), now + MINUTE * 3), "an old story");
    books.refuse(browser(1), now);
    assert!(books.is_refused(browser(1), now + SECOND * 599));
    assert!(!books.is_refused(browser(1), now + SECOND * 600));
}

#[test]
fn sf13_a_browser_that_speaks_is_not_mute() {
    let (mut books, now) = (books(|_| ()), start());
    books.mute(browser(1), now);
    books.spoke(browser(1));
    books.mute(browser(1), now);
    assert!(!books.is_mute(browser(1), now));
    assert!(!books.is_refused(browser(1), now));
    books.spoke(browser(2));
    assert_eq!(books.books.len(), 1, "who only speaks takes no room");
}

#[test]
fn sf03_breaks_before_and_during_a_demotion_do_not_count_after_it() {
    let (mut books, now) = (books(|config| config.demote_for = SECOND * 10), start());
    let mut lose = |count, second| {
        for _ in 0..count {
            books.broken(session(1), Some(browser(1)), YOUNG, now + SECOND * second);
        }
        let own = books.books.get(&Key::Session(session(1))).unwrap();
        assert_eq!(own.last_break, Some(now + SECOND * second));
        let is_demoted = books.is_demoted(Key::Browser(browser(1)), now + SECOND * second);
        (is_demoted, books.books.values().map(|book| book.breaks.len()).sum::<usize>())
    };
    assert_eq!(lose(3, 0), (true, 0));
    assert_eq!(lose(99, 5), (true, 0), "the list is bounded");
    assert_eq!(lose(1, 11), (false, 2), "one for the session and one for its browser");
    assert_eq!(lose(1, 12), (false, 4));
    assert_eq!(lose(1, 13), (true, 0));
}

#[test]
fn sf12_a_demotion_that_is_over_is_remembered() {
    let (mut books, now) = (books(|_| ()), start());
    let key = Key::Browser(browser(1));
    (0..3).for_each(|_| books.broken(session(1), Some(browser(1)), YOUNG, now));
    assert!(!books.was_demoted(key, now + SECOND * 599));
    assert!(books.was_demoted(key, now + SECOND * 600));
    assert!(!books.was_demoted(Key::Session(session(1)), now + SECOND * 600));
}
