//! What is decided without a connection.

use super::*;

#[test]
fn sf13_who_is_in_service_is_not_refused_and_not_asked_for_again_soon() {
    let (fallback, now) = (Fallback::new(&Config::default()), clock::now());
    let browser = BrowserId::from_bytes([1; BrowserId::LENGTH]);
    let mute_twice = || {
        let mut state = fallback.state.lock();
        (0..2).for_each(|_| state.books.mute(browser, now));
    };
    mute_twice();
    assert!(!fallback.begins_to_refuse(browser, now, || true), "it is in service");
    assert!(!fallback.begins_to_refuse(browser, now, || panic!("it is not asked for again")));
    mute_twice();
    assert!(fallback.begins_to_refuse(browser, now, || false));
    assert!(fallback.state.lock().books.is_refused(browser, now));
    assert!(!fallback.begins_to_refuse(browser, now, || panic!("it is refused already")));
}
