//! Which pages may talk to the broker, and what they are answered.

use super::*;

const NONE: &[&str] = &[];

/// Header lines of a request.
type Lines<'a> = &'a [(&'static str, &'a str)];

fn rule(allowed: &[&str], loopback_only: bool) -> OriginRule {
    let allowed: Vec<_> = allowed.iter().map(|text| (*text).to_owned()).collect();
    OriginRule::new(&allowed, loopback_only).unwrap()
}

fn headers(lines: Lines<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

/// Whether a POST and an upgrade from `origin` to `host` pass; both must agree.
fn passes(rule: &OriginRule, origin: &str, host: &str, scheme: Scheme) -> bool {
    let headers = headers(&[("host", host), ("origin", origin)]);
    let post = rule.check(RequestKind::Post, &headers, scheme);
    assert_eq!(post, rule.check(RequestKind::Upgrade, &headers, scheme), "{origin}");
    match post {
        Verdict::NoOrigin => panic!("{origin} was overlooked"),
        Verdict::Allowed(value) => value == origin,
        Verdict::Refused(text) => {
            assert!(text.contains("server.allowed_origins") || text.contains("trusted_proxies"));
            false
        }
    }
}

#[test]
fn p108_a_list_is_the_whole_list_and_says_so_to_whom_it_leaves_out() {
    let listed = ["https://app.example.com"];
    for loopback_only in [true, false] {
        let rule = rule(&listed, loopback_only);
        assert!(passes(&rule, listed[0], "localhost:8080", Scheme::Http));
        for (origin, host, left_out) in [
            ("http://localhost:8080", "localhost:8080", true),
            ("http://127.0.0.1:3000", "localhost:8080", true),
            // Its own origin, as far as `Host` can be believed: a page that reached us by DNS rebinding
            // says the same.
            ("http://evil.example:8080", "evil.example:8080", true),
            ("http://evil.example", "localhost:8080", false),
        ] {
            let headers = headers(&[("host", host), ("origin", origin)]);
            let verdict = rule.check(RequestKind::Upgrade, &headers, Scheme::Http);
            let Verdict::Refused(text) = verdict else { panic!("{origin} is allowed") };
            assert_eq!(text.contains("it is the whole list"), left_out, "{text}");
        }
    }
}

#[test]
fn p108_a_loopback_listener_allows_loopback_pages_of_any_port() {
    let rule = rule(NONE, true);
    let cases = [
        ("http://localhost", true),
        ("http://localhost:3000", true),
        ("https://localhost:3000", true),
        ("http://LOCALHOST:3000", true),
        ("http://app.localhost:5173", true),
        ("http://127.0.0.1:8080", true),
        ("http://127.8.9.10", true),
        ("http://[::1]:8080", true),
        ("http://localhost.", false),
        ("http://localhost.evil.com", false),
        ("http://evillocalhost", false),
        ("http://127.0.0.1.evil.com", false),
        ("http://127.1", false),
        ("http://0.0.0.0:8080", false),
        ("http://[::2]", false),
        ("http://[::1].evil.com", false),
        ("http://localhost:", false),
        ("http://localhost:70000", false),
        ("http://localhost@evil.com", false),
        ("http://evil.com", false),
        ("null", false),
        ("", false),
    ];
    for (origin, expected) in cases {
        assert_eq!(passes(&rule, origin, "localhost:8080", Scheme::Http), expected, "{origin}");
    }
}

#[test]
fn p108_a_loopback_listener_refuses_a_host_that_is_not_loopback() {
    let rule = rule(NONE, true);
    for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "x.localhost"] {
        assert!(passes(&rule, "http://localhost:3000", host, Scheme::Http), "{host}");
    }
    // After DNS rebinding the page's own name leads to 127.0.0.1.
    for host in ["evil.com:8080", "localhost.evil.com", "", "localhost:x", "user@localhost"] {
        assert!(!passes(&rule, "http://localhost:3000", host, Scheme::Http), "{host}");
        assert!(!passes(&rule, &format!("http://{host}"), host, Scheme::Http), "{host}");
    }
}

#[test]
fn p108_another_listener_allows_its_own_origin() {
    let rule = rule(NONE, false);
    let cases = [
        ("http://push.example.com", "push.example.com", Scheme::Http, true),
        ("http://push.example.com", "PUSH.example.com:80", Scheme::Http, true),
        ("http://push.example.com:80", "push.example.com", Scheme::Http, true),
        ("https://push.example.com", "push.example.com:443", Scheme::Https, true),
        ("http://push.example.com:8080", "push.example.com:8080", Scheme::Http, true),
        ("http://192.0.2.1:8080", "192.0.2.1:8080", Scheme::Http, true),
        ("http://push.example.com:8081", "push.example.com:8080", Scheme::Http, false),
        ("https://push.example.com", "push.example.com", Scheme::Http, false),
        ("http://push.example.com", "push.example.com", Scheme::Https, false),
        ("http://example.com", "push.example.com", Scheme::Http, false),
        ("http://push.example.com.evil.com", "push.example.com", Scheme::Http, false),
        ("http://localhost:8080", "push.example.com", Scheme::Http, false),
        ("null", "push.example.com", Scheme::Http, false),
    ];
    for (origin, host, scheme, expected) in cases {
        assert_eq!(passes(&rule, origin, host, scheme), expected, "{origin} to {host}");
    }
}

#[test]
fn p108_a_list_is_exhaustive_and_compares_whole_parts() {
    let listed = ["https://good.com", "https://*.example.com", "http://dev.test:3000"];
    let rule = rule(&listed, true);
    let cases = [
        ("https://good.com", true),
        ("https://GOOD.com:443", true),
        ("http://good.com", false),
        ("https://good.com:8443", false),
        ("https://good.com.evil.com", false),
        ("https://evilgood.com", false),
        ("https://sub.good.com", false),
        ("https://good.com/", false),
        ("https://good.com https://evil.com", false),
        ("https://a.example.com", true),
        ("https://a.b.example.com", true),
        ("https://example.com", false),
        ("https://.example.com", false),
        ("https://evilexample.com", false),
        ("https://a.example.com.evil.com", false),
        ("https://a.example.com:444", false),
        ("http://a.example.com", false),
        ("http://dev.test:3000", true),
        ("http://dev.test", false),
        ("http://localhost:3000", false),
        ("https://host.of.the.broker", false),
        ("https://g\u{f6}\u{f6}d.com", false),
        ("null", false),
    ];
    for (origin, expected) in cases {
        let passed = passes(&rule, origin, "host.of.the.broker", Scheme::Https);
        assert_eq!(passed, expected, "{origin}");
    }
}

#[test]
fn p108_null_passes_only_if_listed_by_name() {
    for (listed, expected) in [(vec!["*"], false), (vec!["null"], true), (vec!["*", "null"], true)]
    {
        let rule = rule(&listed, false);
        assert_eq!(passes(&rule, "null", "a.com", Scheme::Http), expected, "{listed:?}");
    }
    assert!(passes(&rule(&["*"], true), "https://any.thing:1", "evil.com", Scheme::Http));
    assert!(!passes(&rule(&["null"], true), "http://localhost", "localhost", Scheme::Http));
}

#[test]
fn p108_two_origins_are_refused() {
    let headers = headers(&[
        ("host", "localhost"),
        ("origin", "http://localhost"),
        ("origin", "http://localhost"),
    ]);
    let verdict = rule(NONE, true).check(RequestKind::Post, &headers, Scheme::Http);
    assert!(matches!(verdict, Verdict::Refused(_)), "{verdict:?}");
}

#[test]
fn p108_a_post_or_upgrade_without_origin_is_no_browsers() {
    for kind in [RequestKind::Post, RequestKind::Upgrade] {
        let headers = headers(&[("host", "anything.example")]);
        assert_eq!(rule(NONE, true).check(kind, &headers, Scheme::Http), Verdict::NoOrigin);
        assert_eq!(
            rule(&["https://a.com"], false).check(kind, &headers, Scheme::Http),
            Verdict::NoOrigin
        );
    }
}

#[test]
fn p108_a_jsonp_get_is_judged_by_fetch_metadata_then_by_referer() {
    let local = rule(NONE, true);
    let listed = rule(&["https://good.com"], false);
    let any = rule(&["*"], false);
    let own = ("host", "localhost:8080");
    let public = ("host", "push.example.com");
    let cases: [(&OriginRule, Lines<'_>, bool); 16] = [
        (&local, &[own], false),
        (&local, &[own, ("sec-fetch-site", "same-origin")], true),
        (&local, &[own, ("sec-fetch-site", "none")], true),
        (&local, &[own, ("sec-fetch-site", "cross-site")], false),
        // Rebinding: for the browser the attacker's page and we have one origin.
        (&local, &[("host", "evil.com:8080"), ("sec-fetch-site", "same-origin")], false),
        (&local, &[own, ("referer", "http://localhost:3000/page?x#y")], true),
        (&local, &[own, ("referer", "http://evil.com/http://localhost/")], false),
        (&local, &[own, ("referer", "http://localhost@evil.com/")], false),
        (&local, &[own, ("referer", "about:blank")], false),
        (&local, &[own, ("sec-fetch-site", "same-site"), ("referer", "http://localhost:1/")], true),
        (
            &listed,
            &[public, ("sec-fetch-site", "cross-site"), ("referer", "https://good.com/")],
            true,
        ),
        (
            &listed,
            &[public, ("sec-fetch-site", "cross-site"), ("referer", "https://evil.com/")],
            false,
        ),
        (&listed, &[public, ("sec-fetch-site", "same-origin")], false), // the list is exhaustive
        (&listed, &[public, ("origin", "https://good.com")], true),
        (&listed, &[public, ("origin", "null"), ("sec-fetch-site", "none")], false),
        (&any, &[public], true),
    ];
    for (rule, lines, expected) in cases {
        let verdict = rule.check(RequestKind::Jsonp, &headers(lines), Scheme::Http);
        let passed = !matches!(verdict, Verdict::Refused(_));
        assert_eq!(passed, expected, "{lines:?}: {verdict:?}");
    }
}

#[test]
fn a_refusal_names_the_setting_and_escapes_what_it_repeats() {
    let text = |rule: &OriginRule, lines: Lines<'_>| match rule.check(
        RequestKind::Post,
        &headers(lines),
        Scheme::Http,
    ) {
        Verdict::Refused(text) => text,
        passed => panic!("{passed:?}"),
    };
    let foreign = text(&rule(NONE, true), &[("host", "localhost"), ("origin", "http://evil.com")]);
    assert!(foreign.contains("http://evil.com"), "{foreign}");
    assert!(foreign.contains("server.allowed_origins"), "{foreign}");
    let proxied = text(&rule(NONE, false), &[("host", "a.com"), ("origin", "https://a.com")]);
    assert!(proxied.contains("server.trusted_proxies"), "{proxied}");
    let long = format!("http://\"\t{}", "x".repeat(500));
    let odd = text(&rule(NONE, true), &[("host", "localhost"), ("origin", &long)]);
    assert!(odd.len() < 250 && !odd.contains('\t'), "{odd}");
}

#[test]
fn p091_a_preflight_of_an_allowed_page_lists_what_it_may_send() {
    let rule = rule(&["https://app.example.com"], false);
    let asked = |extra: Lines<'_>| {
        let mut lines = vec![("host", "b.com"), ("origin", "https://app.example.com")];
        lines.extend_from_slice(extra);
        rule.preflight(&headers(&lines), Scheme::Https).unwrap()
    };
    let response = asked(&[("access-control-request-headers", "content-type,x-tenant")]);
    assert_eq!(response.status(), 204);
    let expected = [
        ("access-control-allow-origin", "https://app.example.com"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "POST, GET, OPTIONS"),
        ("access-control-max-age", "7200"),
        ("vary", "Origin"),
    ];
    for (name, value) in expected {
        assert_eq!(response.headers()[name], value, "{name}");
    }
    let allowed = |response: &Response<()>| {
        response.headers()["access-control-allow-headers"].to_str().unwrap().to_owned()
    };
    assert_eq!(allowed(&response), format!("{ALLOWED_HEADERS}, content-type,x-tenant"));
    assert_eq!(allowed(&asked(&[])), ALLOWED_HEADERS);
    let odd = [("access-control-request-headers", "x;y=\"z\"")];
    assert_eq!(allowed(&asked(&odd)), ALLOWED_HEADERS);
}

#[test]
fn p091_a_preflight_of_a_foreign_page_fails_and_a_plain_options_passes_bare() {
    let rule = rule(&["https://app.example.com"], false);
    let foreign = headers(&[("host", "b.com"), ("origin", "https://evil.com")]);
    assert!(rule.preflight(&foreign, Scheme::Https).unwrap_err().contains("https://evil.com"));
    let plain = rule.preflight(&headers(&[("host", "b.com")]), Scheme::Https).unwrap();
    assert_eq!(plain.status(), 204);
    assert_eq!(plain.headers().len(), 1, "{:?}", plain.headers());
}

#[test]
fn cross_site_means_https_and_another_site() {
    let cases: [(Lines<'_>, bool); 6] = [
        (&[("host", "a.com")], false),
        (&[("host", "a.com"), ("origin", "https://a.com")], false),
        (&[("host", "a.com"), ("origin", "https://b.com")], true),
        (&[("host", "a.com"), ("origin", "http://b.com")], false),
        (
            &[("host", "push.b.com"), ("origin", "https://b.com"), ("sec-fetch-site", "same-site")],
            false,
        ),
        (&[("host", "a.com"), ("origin", "https://b.com"), ("sec-fetch-site", "cross-site")], true),
    ];
    for (lines, expected) in cases {
        assert_eq!(is_cross_site(&headers(lines)), expected, "{lines:?}");
    }
}

#[test]
fn entries_that_are_no_origin_are_refused_with_an_example() {
    let texts = [
        "",
        "example.com",
        "https://example.com/",
        "https://*",
        "https://*.",
        "https://a.*.com",
        "*.example.com",
        "https://user@example.com",
        "://example.com",
        "https://example.com:port",
    ];
    for text in texts {
        let error = OriginRule::new(&[text.to_owned()], false).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("https://app.example.com"), "{text}: {error}");
    }
}

#[test]
fn t15_static_files_of_a_loopback_listener_are_not_read_under_a_rebound_name() {
    let local = rule(NONE, true);
    for host in ["localhost:8080", "127.0.0.1:8080", "[::1]", "app.localhost"] {
        assert!(local.admits_host(&headers(&[("host", host)])), "{host}");
    }
    assert!(local.admits_host(&headers(&[])), "HTTP/1.0");
    let rebound = headers(&[("host", "evil.example:8080")]);
    assert!(!local.admits_host(&rebound));
    assert!(rule(NONE, false).admits_host(&rebound), "a public listener has any name");
    assert!(rule(&["https://a.example"], true).admits_host(&rebound), "behind a proxy");
}
