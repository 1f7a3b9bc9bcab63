//! Cookies that come back, were planted or altered, and the attributes they get.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use super::*;

fn cookies(change: impl FnOnce(&mut BrowserCookie)) -> Cookies {
    let mut config = BrowserCookie::default();
    change(&mut config);
    Cookies::new(&config).unwrap()
}

/// The `NAME=VALUE` part of what a browser was given.
fn pair(header: &HeaderValue) -> String {
    header.to_str().unwrap().split(';').next().unwrap().to_owned()
}

fn presented(cookies: &Cookies, lines: &[&str]) -> Presented {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
    }
    cookies.presented(&headers)
}

#[test]
fn an_issued_cookie_comes_back_as_its_identity() {
    let cookies = cookies(|_| ());
    let (id, header) = cookies.issue(Occasion::Handshake, false, false);
    let expected = Presented { any: true, ids: vec![id] };
    assert_eq!(presented(&cookies, &[&pair(&header)]), expected);
    let among_others = format!("a=b;{}  ; theme=dark", pair(&header));
    assert_eq!(presented(&cookies, &["", &among_others]), expected);
}

#[test]
fn a_value_may_stand_in_quotes() {
    let cookies = cookies(|_| ());
    let (id, header) = cookies.issue(Occasion::Handshake, false, false);
    let pair = pair(&header);
    let value = pair.strip_prefix("BAYEUX_BROWSER=").unwrap();
    // As the JDK's HttpClient sends it with its CookieManager.
    let line = format!("$Version=\"1\"; BAYEUX_BROWSER=\"{value}\";$Path=\"/\";$Domain=\"a.b\"");
    assert_eq!(presented(&cookies, &[&line]), Presented { any: true, ids: vec![id] });
}

#[test]
fn the_cookies_of_handshake_and_upgrade_live_side_by_side() {
    let cookies = cookies(|_| ());
    let (polled, handshake) = cookies.issue(Occasion::Handshake, false, false);
    let (upgraded, upgrade) = cookies.issue(Occasion::Upgrade, false, false);
    assert!(pair(&handshake).starts_with("BAYEUX_BROWSER="));
    assert!(pair(&upgrade).starts_with("BAYEUX_BROWSER_WS="));
    let line = format!("{}; {}", pair(&handshake), pair(&upgrade));
    assert_eq!(presented(&cookies, &[&line]).ids, [polled, upgraded]);
}

#[test]
fn no_cookie_is_presented_by_absent_empty_and_foreign_ones() {
    let cookies = cookies(|_| ());
    let lines: [&[&str]; 6] = [
        &[],
        &[""],
        &[";;="],
        &["theme=dark"],
        &["XBAYEUX_BROWSER=a", "BAYEUX_BROWSERX=a"],
        &["BAYEUX_BROWSER", "bayeux_browser=a"],
    ];
    for lines in lines {
        assert_eq!(presented(&cookies, lines), Presented::default(), "{lines:?}");
    }
}

#[test]
fn a_planted_or_altered_cookie_is_presented_but_names_nobody() {
    let cookies = cookies(|_| ());
    let (_, header) = cookies.issue(Occasion::Handshake, false, false);
    let good = pair(&header);
    let (name, value) = good.split_once('=').unwrap();
    let (id, tag) = value.split_once('.').unwrap();
    let forged = Presented { any: true, ids: Vec::new() };
    let short_tag = tag.get(..4).unwrap();
    let values = [
        String::new(),
        "1h9mmmod53ls81ck".to_owned(), // CometD would take it
        id.to_owned(),
        format!("{id}."),
        format!(".{tag}"),
        format!("{id}.{short_tag}"), // a prefix of the tag is no tag
        format!("{tag}.{id}"),
        format!("{id}.{tag}."),
        format!("{id}.{tag}=="),
        format!("{id}.{tag}AAAA"),
        format!("\"{id}.{tag}"),
        format!("{id}.{tag}\""),
        format!("\"\"{id}.{tag}\"\""),
        format!("\"{id}\".\"{tag}\""),
        "\"".to_owned(),
    ];
    for value in values {
        assert_eq!(presented(&cookies, &[&format!("{name}={value}")]), forged, "{value}");
    }
    for position in 0..value.len() {
        let mut altered = value.as_bytes().to_vec();
        altered[position] = if altered[position] == b'A' { b'B' } else { b'A' };
        let line = format!("{name}={}", String::from_utf8(altered).unwrap());
        assert_eq!(presented(&cookies, &[&line]), forged, "{line}");
    }
}

#[test]
fn brokers_with_different_secrets_refuse_each_others_cookies() {
    let (one, other) = (cookies(|_| ()), cookies(|_| ()));
    let (_, header) = one.issue(Occasion::Handshake, false, false);
    assert_eq!(presented(&other, &[&pair(&header)]), Presented { any: true, ids: Vec::new() });
}

#[test]
fn all_of_several_cookies_are_read_up_to_eight() {
    let cookies = cookies(|_| ());
    let issued: Vec<_> = (0..9).map(|_| cookies.issue(Occasion::Handshake, false, false)).collect();
    let line: Vec<_> = issued.iter().map(|(_, header)| pair(header)).collect();
    let expected: Vec<_> = issued.iter().take(8).map(|(id, _)| *id).collect();
    assert_eq!(presented(&cookies, &[&line.join("; ")]).ids, expected);
    let planted = "BAYEUX_BROWSER=planted; ".repeat(20);
    assert_eq!(presented(&cookies, &[&planted, &line[0]]).ids, [issued[0].0]);
}

#[test]
fn identities_do_not_repeat() {
    let cookies = cookies(|_| ());
    let ids: HashSet<_> =
        (0..1000).map(|_| cookies.issue(Occasion::Handshake, false, false).0).collect();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn attributes_follow_the_connection_and_the_settings() {
    type Change = fn(&mut BrowserCookie);
    let cases: [(Change, bool, bool, &str); 11] = [
        (|_| (), false, false, "Path=/; HttpOnly; SameSite=Lax"),
        (|_| (), true, false, "Path=/; HttpOnly; SameSite=Lax; Secure"),
        (|_| (), true, true, "Path=/; HttpOnly; SameSite=None; Secure; Partitioned"),
        (|_| (), false, true, "Path=/; HttpOnly; SameSite=None; Secure; Partitioned"),
        (|c| c.secure = Auto::Off, true, true, "Path=/; HttpOnly; SameSite=Lax"),
        (|c| c.secure = Auto::On, false, false, "Path=/; HttpOnly; SameSite=Lax; Secure"),
        (
            |c| c.same_site = SameSite::Strict,
            true,
            true,
            "Path=/; HttpOnly; SameSite=Strict; Secure",
        ),
        (|c| c.same_site = SameSite::None, false, false, "Path=/; HttpOnly; SameSite=None; Secure"),
        (|c| c.partitioned = Auto::Off, true, true, "Path=/; HttpOnly; SameSite=None; Secure"),
        (
            |c| {
                c.path = "/cometd".into();
                c.domain = "example.com".into();
            },
            false,
            false,
            "Path=/cometd; HttpOnly; SameSite=Lax; Domain=example.com",
        ),
        (
            |c| c.max_age = Some(Duration::from_secs(3600)),
            false,
            false,
            "Path=/; HttpOnly; SameSite=Lax; Max-Age=3600",
        ),
    ];
    for (change, secure, cross_site, expected) in cases {
        let (_, header) = cookies(change).issue(Occasion::Handshake, secure, cross_site);
        let (_, attributes) = header.to_str().unwrap().split_once("; ").unwrap();
        assert_eq!(attributes, expected, "secure {secure}, cross_site {cross_site}");
    }
}

/// A file in the system's temporary directory that goes when the test ends.
struct Secret(PathBuf);

impl Secret {
    fn new(name: &str, content: &[u8]) -> Self {
        let file = format!("bayeuxd-cookie-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(file);
        fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn brokers_that_share_a_secret_file_share_their_cookies() {
    let secret = Secret::new("shared", &[9; 32]);
    let with_file = |c: &mut BrowserCookie| c.secret_file = Some(secret.0.clone());
    let (one, other) = (cookies(with_file), cookies(with_file));
    let (id, header) = one.issue(Occasion::Handshake, false, false);
    assert_eq!(presented(&other, &[&pair(&header)]), Presented { any: true, ids: vec![id] });
}

#[test]
fn bad_settings_are_refused_with_the_key_and_the_remedy() {
    let short = Secret::new("short", &[9; 31]);
    type Change<'a> = Box<dyn Fn(&mut BrowserCookie) + 'a>;
    let cases: [(Change<'_>, &str); 7] = [
        (
            Box::new(|c| c.secret_file = Some("/nonexistent/secret".into())),
            "head -c 32 /dev/urandom",
        ),
        (Box::new(|c| c.secret_file = Some(short.0.clone())), "holds 31 bytes, at least 32"),
        (Box::new(|c| c.name = String::new()), "browser_cookie.name"),
        (Box::new(|c| c.name = "a=b".into()), "browser_cookie.name"),
        (Box::new(|c| c.path = "cometd".into()), "browser_cookie.path"),
        (Box::new(|c| c.path = "/; Domain=evil".into()), "browser_cookie.path"),
        (Box::new(|c| c.domain = "a\r\nX: y".into()), "browser_cookie.domain"),
    ];
    for (change, expected) in cases {
        let mut config = BrowserCookie::default();
        change(&mut config);
        let error = Cookies::new(&config).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
    }
}
