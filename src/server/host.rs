//! The one host that a request is for.
//!
//! Rules of origins look at it, a proxy before us perhaps at another one: so it is told once and is a host,
//! or the request is refused. An empty one is allowed, and is nobody's own.
//! Source: RFC 9112 3.2, 3.3; RFC 3986 3.2.2.

use hyper::{
    Request, Version,
    header::{HOST, HeaderValue},
};

/// Refuses a request without a host, with several, or with something else in its place. The host of an
/// absolute target takes the place of the header's (RFC 9112 3.2.2).
pub(super) fn settle<B>(request: &mut Request<B>) -> Result<(), &'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let may_lack = request.version() != Version::HTTP_11;
    match (hosts.next(), hosts.next()) {
        (None, _) if may_lack => {}
        (Some(host), None) if is_host(host.as_bytes()) => {}
        (Some(_), None) => return Err("the Host header names no host\n"),
        _ => return Err("a request has exactly one Host header\n"),
    }
    if let Some(target) = request.uri().authority() {
        let host = HeaderValue::from_str(target.as_str()).ok();
        let host = host.filter(|host| is_host(host.as_bytes()));
        let host = host.ok_or("the target of the request names no host\n")?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(())
}

/// Whether `text` is `host[:port]`, or empty.
pub(super) fn is_host(text: &[u8]) -> bool {
    let (host, port) = match text.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = memchr::memchr(b']', rest) else { return false };
            let (address, after) = rest.split_at(end);
            if !address.iter().all(|byte| *byte == b':' || is_name_byte(*byte)) {
                return false;
            }
            (&[][..], after.get(1..).unwrap_or_default())
        }
        None => text.split_at(memchr::memchr(b':', text).unwrap_or(text.len())),
    };
    let has_port = |port: &[u8]| port.iter().all(u8::is_ascii_digit);
    host.iter().all(|byte| is_name_byte(*byte))
        && (port.is_empty() || port.strip_prefix(b":").is_some_and(has_port))
}

/// What a registered name is made of; what follows `%` is not looked at.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        let good =
            ["", "a", "a_b.example:8080", "127.0.0.1", "[::1]", "[::1]:80", "a:", "xn--a.example"];
        for host in good {
            assert!(is_host(host.as_bytes()), "{host:?}");
        }
        let bad = ["a b", "a/b", "u@a", "a:b", "a:1:2", "[::1", "[::1]a", "[a/b]", "\u{e4}", "a?b"];
        for host in bad {
            assert!(!is_host(host.as_bytes()), "{host:?}");
        }
    }

    #[test]
    fn an_absolute_target_takes_the_place_of_the_header() {
        let mut request = Request::get("http://a.example:81/b").header(HOST, "c").body(()).unwrap();
        assert_eq!(settle(&mut request), Ok(()));
        assert_eq!(request.headers().get(HOST).unwrap(), "a.example:81");
        let mut request = Request::get("http://u@a/b").header(HOST, "a").body(()).unwrap();
        assert!(settle(&mut request).is_err());
    }
}
