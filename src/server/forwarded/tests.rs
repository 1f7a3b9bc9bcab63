//! Whom a proxy's header names, and whom it is believed.

use hyper::header::HeaderValue;

use super::*;

fn proxies(list: &[&str]) -> Result<Proxies, BadRange> {
    Proxies::new(&list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
}

fn client(peer: &str, lines: &[(&HeaderName, &str)]) -> (String, Scheme) {
    let client = whole_client(peer, lines);
    (client.address.to_string(), client.scheme)
}

fn whole_client(peer: &str, lines: &[(&HeaderName, &str)]) -> Client {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let trusted = proxies(&["10.0.0.0/8", "fd00::/8", "192.0.2.7"]).unwrap();
    trusted.client(peer.parse().unwrap(), &headers)
}

#[test]
fn the_outermost_trusted_proxy_says_what_the_client_speaks() {
    let cases = [
        ("10.0.0.1", "203.0.113.9", "2.0 edge", true),
        ("10.0.0.1", "203.0.113.9", "HTTP/2.0 edge", true),
        ("10.0.0.1", "203.0.113.9", "http/3 edge (quic)", true),
        ("10.0.0.1", "", "2 edge", true), // the proxy does not add addresses
        ("10.0.0.1", "203.0.113.9", "1.1 edge", false),
        ("10.0.0.1", "203.0.113.9", "2.0 claimed, 1.1 edge", false), // by the client itself
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "2.0 edge, 1.1 inner", true),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "1.1 edge, 2.0 inner", false),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "2.0 inner", false), // the edge says nothing
        ("10.0.0.1", "203.0.113.9", "SPDY/3 edge", false),
        ("10.0.0.1", "203.0.113.9", ", x", false),
        ("198.51.100.1", "203.0.113.9", "2.0 edge", false), // a stranger's header is ignored
    ];
    for (peer, chain, via, expected) in cases {
        let client = whole_client(peer, &[(&FORWARDED_FOR, chain), (&VIA, via)]);
        assert_eq!(client.multiplexed, expected, "{peer}, X-Forwarded-For: {chain}, Via: {via}");
    }
    assert!(!whole_client("10.0.0.1", &[]).multiplexed);
}

#[test]
fn takes_the_right_most_address_that_is_no_trusted_proxy() {
    let cases = [
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"), // a stranger's header is ignored
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"), // 1.1.1.1 is the client's own claim
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2, 192.0.2.7", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"), // an inner client
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("fd00::1", "[2001:db8::5]:4711", "2001:db8::5"),
        ("fd00::1", "[2001:db8::5]", "2001:db8::5"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("192.0.2.8", "203.0.113.9", "192.0.2.8"),
    ];
    for (peer, header, expected) in cases {
        let (address, _) = client(peer, &[(&FORWARDED_FOR, header)]);
        assert_eq!(address, expected, "peer {peer}, X-Forwarded-For: {header}");
    }
}

#[test]
fn reads_several_header_lines_as_one_list() {
    let lines = [(&FORWARDED_FOR, "203.0.113.9"), (&FORWARDED_FOR, "10.0.0.2")];
    assert_eq!(client("10.0.0.1", &lines).0, "203.0.113.9");
}

#[test]
fn stops_after_sixteen_hops() {
    let chain = vec!["10.0.0.2"; 40].join(",");
    let header = format!("203.0.113.9,{chain}");
    assert_eq!(client("10.0.0.1", &[(&FORWARDED_FOR, &header)]).0, "10.0.0.2");
}

#[test]
fn believes_the_last_scheme_of_a_trusted_proxy_only() {
    let cases = [
        ("10.0.0.1", "https", Scheme::Https),
        ("10.0.0.1", "HTTPS", Scheme::Https),
        ("10.0.0.1", "wss", Scheme::Https),
        ("10.0.0.1", "http", Scheme::Http),
        ("10.0.0.1", "https, http", Scheme::Http),
        ("10.0.0.1", "http, https", Scheme::Https),
        ("10.0.0.1", "httpsx", Scheme::Http),
        ("198.51.100.1", "https", Scheme::Http),
    ];
    for (peer, header, expected) in cases {
        let (_, scheme) = client(peer, &[(&FORWARDED_PROTO, header)]);
        assert_eq!(scheme, expected, "peer {peer}, X-Forwarded-Proto: {header}");
    }
}

#[test]
fn matches_ranges_at_their_edges() {
    let cases = [
        ("10.0.0.0/8", "10.255.255.255", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.1.2.3/8", "10.9.9.9", true), // host bits of the range do not matter
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "2001:db8::1", true),
        ("::1", "::1", true),
        ("::1", "::2", false),
        ("203.0.113.9/32", "203.0.113.9", true),
        ("203.0.113.9/32", "203.0.113.8", false),
        ("::ffff:10.0.0.0/104", "10.255.255.255", true),
        ("::ffff:10.0.0.0/104", "11.0.0.0", false),
        ("::ffff:203.0.113.9", "203.0.113.9", true),
        ("::ffff:0:0/96", "203.0.113.9", true),
    ];
    for (range, address, expected) in cases {
        let trusted = proxies(&[range]).unwrap();
        assert_eq!(trusted.trusts(address.parse().unwrap()), expected, "{address} in {range}");
    }
}

#[test]
fn refuses_what_is_no_range_and_says_what_to_write() {
    for text in [
        "",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "proxy",
        "10.0.0/8",
        "::ffff:10.0.0.0/8",
    ] {
        let error = proxies(&[text]).unwrap_err().to_string();
        assert!(error.contains("server.trusted_proxies"), "{text}: {error}");
        assert!(error.contains("10.0.0.0/8"), "{text}: {error}");
    }
}
