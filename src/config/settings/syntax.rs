//! What texts look like: paths, origins, networks, names.
//!
//! Checks of form only, so that a slip of the pen is found at start; the parts that use a value
//! parse it themselves.

use std::net::IpAddr;

/// A path with a segment and without a trailing slash: `/cometd`, `/push/v1`.
pub(super) fn is_path(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|segment| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
            !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(plain)
        })
    })
}

/// A channel pattern at first sight; the broker's own parser decides later.
pub(super) fn is_rooted(text: &str) -> bool {
    text.len() > 1 && text.starts_with('/')
}

/// The name of an API key: short and without anything that would need quoting.
pub(in crate::config) fn is_key_id(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(plain)
}

/// The name of the second feed: nothing, or a channel for messages without a wildcard.
pub(super) fn is_monitor_prefix(text: &str) -> bool {
    let reserved = |name: &str| text == name || text.starts_with(&format!("{name}/"));
    text.is_empty()
        || (is_path(text) && text.len() <= 64 && !reserved("/meta") && !reserved("/service"))
}

/// The type of an event; a test compares the list with the one that counts.
pub(super) fn is_event_type(text: &str) -> bool {
    EVENT_TYPES.contains(&text)
}

/// What monitors are told of.
pub(crate) const EVENT_TYPES: [&str; 14] = [
    "handshake",
    "connect",
    "subscribe",
    "unsubscribe",
    "disconnect",
    "publish",
    "queue",
    "auth",
    "transport",
    "limit",
    "error",
    "node",
    "stats",
    "lost",
];

/// A SHA-256 in hex.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// `*`, `null`, or scheme, host and perhaps a port; the host may begin with `*.`.
pub(in crate::config) fn is_origin(text: &str) -> bool {
    if text == "*" || text == "null" {
        return true;
    }
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let bare = authority.strip_prefix("*.").unwrap_or(authority);
    let (host, port) = match bare.rsplit_once(':') {
        // An IPv6 host has its colons inside brackets.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (bare, None),
    };
    let scheme_ok =
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    scheme_ok
        && (is_host(host) || is_ipv6(host))
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_ipv6(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

/// A host name or IPv4 address.
pub(super) fn is_host(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        })
}

/// An address, or an address and the length of its network part.
pub(super) fn is_network(text: &str) -> bool {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|prefix| prefix <= bits))
}

/// An absolute URL with the scheme http: a host, perhaps a port, perhaps path and query.
pub(super) fn is_http_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://") else { return false };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let in_path = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:@?".contains(c);
    (is_host(host) || is_ipv6(host))
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
        && path.chars().all(in_path)
}

/// A header line `Name: value` that does not change how the request is framed or where it goes.
pub(super) fn is_header_line(text: &str) -> bool {
    let Some((name, value)) = text.split_once(':') else { return false };
    let ours = ["host", "content-length", "transfer-encoding", "connection"];
    is_token(name)
        && !ours.contains(&name.to_ascii_lowercase().as_str())
        && value.chars().all(|c| c.is_ascii_graphic() || c == ' ')
}

/// A token of HTTP (RFC 9110 5.6.2): cookie names, sub-protocols.
pub(super) fn is_token(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

/// Letters, digits and `_`.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The value of a cookie's `Path` attribute (RFC 6265 4.1.1).
pub(super) fn is_cookie_path(text: &str) -> bool {
    text.starts_with('/') && text.chars().all(|c| c.is_ascii_graphic() && c != ';')
}

/// Levels, comma-separated: one for all, and `target=level`.
pub(super) fn is_level(text: &str) -> bool {
    text.split(',').all(|part| match part.split_once('=') {
        Some((target, level)) => is_target(target) && LEVELS.contains(&level),
        None => LEVELS.contains(&part),
    })
}

fn is_target(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_:-".contains(c))
}

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_a_scheme_and_no_path() {
        for good in [
            "*",
            "null",
            "https://app.example.com",
            "https://*.example.com",
            "http://localhost:3000",
            "http://[::1]:8080",
            "capacitor://localhost",
            "http://127.0.0.1",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "app.example.com",
            "https://",
            "https://app.example.com/",
            "https://a*.example.com",
            "https://*",
            "http://h:99999",
            "http://user@host",
            "HTTPS://host",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn networks_keep_the_prefix_of_their_family() {
        for good in ["10.0.0.0/8", "10.1.2.3", "::1/128", "fc00::/7"] {
            assert!(is_network(good), "{good}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::1/129", "proxy.local", "10.0.0.0/"] {
            assert!(!is_network(bad), "{bad}");
        }
    }

    #[test]
    fn paths_are_plain() {
        for good in ["/cometd", "/push/v1.0"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "/", "cometd", "/cometd/", "//x", "/a/../b", "/a b", "/a?b"] {
            assert!(!is_path(bad), "{bad}");
        }
    }

    #[test]
    fn back_ends_are_plain_http_urls() {
        for good in [
            "http://127.0.0.1:9000/quote",
            "http://quotes.internal",
            "http://[::1]:9000/a/b?c=d",
            "http://h/",
        ] {
            assert!(is_http_url(good), "{good}");
        }
        for bad in [
            "",
            "https://h/",
            "HTTP://h/",
            "http://",
            "http:///a",
            "http://user@h/",
            "http://h:0/",
            "http://h:99999/",
            "http://h?a",
            "http://h/a b",
            "http://h/#a",
            "http://h/\r\nX: y",
        ] {
            assert!(!is_http_url(bad), "{bad}");
        }
    }

    #[test]
    fn header_lines_cannot_break_a_request() {
        for good in ["X-Tenant: acme", "X-Empty:", "Accept-Language: de, en;q=0.5"] {
            assert!(is_header_line(good), "{good}");
        }
        for bad in ["", "X-Tenant", ": x", "X Y: z", "X: a\r\nY: b", "HOST: x", "Content-Length: 1"]
        {
            assert!(!is_header_line(bad), "{bad}");
        }
    }

    #[test]
    fn a_misspelt_level_is_no_target() {
        assert!(is_level("info,bayeuxd::ws=debug"));
        assert!(!is_level("inof"));
        assert!(!is_level("info,bayeuxd::ws"));
        assert!(!is_level(""));
    }
}
