//! What is plain and what is not, by requests on either side of each rule.

use super::*;
use crate::bayeux::NameLimits;

const BODY: &str = r#"[{"channel":"/meta/connect"}]"#;

fn read(text: impl Into<Vec<u8>>) -> Option<(Request, usize)> {
    read_under(&Config::default(), &Bytes::from(text.into()))
}

fn read_under(config: &Config, bytes: &Bytes) -> Option<(Request, usize)> {
    let name = NameLimits { bytes: 255, segments: 16 };
    parse(config, &Live::new(config, name, true).expect("it can be used"), bytes)
}

/// A request with these header lines besides its length.
fn with(headers: &str) -> String {
    let length = BODY.len();
    format!("POST /cometd HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n{BODY}")
}

#[test]
fn what_clients_send_is_plain() {
    for headers in [
        "",
        "Connection: keep-alive\r\n",
        "connection: Keep-Alive\r\n",
        "Content-Type: application/json;charset=UTF-8\r\nAccept: */*\r\nCookie: A=1; B=2\r\n",
        "Origin: https://a.example\r\nReferer: https://a.example/?q=1\r\nX-Empty:\r\n",
        "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\nX-Latin: \u{e4}\r\n",
    ] {
        let text = with(headers);
        let (request, end) = read(text.clone()).unwrap_or_else(|| panic!("{headers:?}"));
        assert_eq!((&request.body[..], end), (BODY.as_bytes(), text.len()), "{headers:?}");
        assert_eq!(request.headers.len(), headers.lines().count() + 2, "{headers:?}");
    }
    for path in ["/cometd", "/cometd/", "/cometd/connect", "/bayeux", "/cometd/a-b_c.d~/e"] {
        assert!(read(with("").replacen("/cometd", path, 1)).is_some(), "{path}");
    }
}

#[test]
fn whatever_leaves_a_choice_is_not_plain() {
    let length = format!("Content-Length: {}\r\n", BODY.len());
    for headers in [
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding : chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "Expect: 100-continue\r\n",
        "Content-Encoding: gzip\r\n",
        "Upgrade: websocket\r\n",
        "Trailer: X\r\n",
        "TE: trailers\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive, Upgrade\r\n",
        "Connection: Content-Length\r\n",
        "Connection:\r\n",
        "Connection: keep-alive\r\nConnection: keep-alive\r\n",
        "Cookie: A=1\r\nCookie: B=2\r\n",
        "X-Forwarded-For: 10.0.0.1\r\nx-forwarded-for: 10.0.0.2\r\n",
        "HOST: b\r\n",
        length.as_str(),
        "Content-Length: 0\r\n",
        "X: y\r\n z\r\n",
        "X\r\n",
        ": y\r\n",
        "X: a\0b\r\n",
        "X: a\rb\r\n",
        "X: y\n",
        "\u{e4}: y\r\n",
    ] {
        assert!(read(with(headers)).is_none(), "{headers:?}");
    }
    for (from, to) in [
        ("POST ", "post "),
        ("POST ", "POST  "),
        ("POST ", "\r\nPOST "),
        ("POST ", "PUT "),
        ("HTTP/1.1", "HTTP/1.0"),
        ("HTTP/1.1", "HTTP/2.0"),
        ("HTTP/1.1\r\n", "HTTP/1.1\n"),
        ("\r\n\r\n", "\n\n"),
        ("\r\n\r\n", "\r\n\n"),
        ("/cometd", "/cometdx"),
        ("/cometd", "/publish"),
        ("/cometd", "/cometd?a=b"),
        ("/cometd", "/cometd#a"),
        ("/cometd", "/cometd/%41"),
        ("/cometd", "/cometd/;a"),
        ("/cometd", "http://a/cometd"),
        ("/cometd", "//cometd"),
        ("/cometd", "*"),
        ("Host: ", "Host: a b/c@"),
    ] {
        assert!(read(with("").replacen(from, to, 1)).is_none(), "{from:?} to {to:?}");
    }
}

#[test]
fn a_length_is_digits_only() {
    let of = |value: &str| {
        read(format!("POST /cometd HTTP/1.1\r\nHost: a\r\nContent-Length:{value}\r\n\r\n{BODY}"))
            .map(|(request, _)| request.body.len())
    };
    assert_eq!(of(" 5"), Some(5));
    assert_eq!(of("5 \t"), Some(5));
    assert_eq!(of(" 0"), Some(0));
    assert_eq!(of(" 00000005"), Some(5));
    for value in ["", " +5", " -5", " 0x5", " 5a", " 5.0", " 5, 5", " 1 1", " \"5\"", " 000000005"]
    {
        assert_eq!(of(value), None, "{value:?}");
    }
    assert!(read("POST /cometd HTTP/1.1\r\nHost: a\r\n\r\n").is_none(), "no length");
}

#[test]
fn only_a_whole_request_is_plain_and_what_follows_is_left() {
    let text = with("X: y\r\n");
    for length in 0..text.len() {
        assert!(read(&text.as_bytes()[..length]).is_none(), "{length}");
    }
    let (_, end) = read(format!("{text}POST /hidden")).expect("the first of two");
    assert_eq!(end, text.len());
}

#[test]
fn a_request_over_a_limit_is_left_to_hyper() {
    let mut config = Config::default();
    let is_plain = |config: &Config, text: &str| {
        read_under(config, &Bytes::copy_from_slice(text.as_bytes())).is_some()
    };
    let text = with("");
    config.limits.message_size = BODY.len();
    config.limits.header_count = 2;
    config.limits.uri_bytes = "/cometd".len();
    config.limits.header_bytes = "Host: a\r\nContent-Length: 29\r\n".len();
    assert!(is_plain(&config, &text));
    for lower in [
        |config: &mut Config| config.limits.message_size -= 1,
        |config: &mut Config| config.limits.header_count -= 1,
        |config: &mut Config| config.limits.uri_bytes -= 1,
        |config: &mut Config| config.limits.header_bytes -= 1,
    ] {
        let mut config = config.clone();
        lower(&mut config);
        assert!(!is_plain(&config, &text), "{:?}", config.limits);
    }
    let headers = |count: usize| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    assert!(read(with(&headers(HEADERS_MAX - 2))).is_some());
    assert!(read(with(&headers(HEADERS_MAX - 1))).is_none());
}
