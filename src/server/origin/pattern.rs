//! Origins and the entries of `server.allowed_origins`, parsed.
//!
//! Origins are compared part by part after parsing, never as text: prefixes and suffixes of strings
//! are how such checks fail (`https://good.com.evil.com`). Source: RFC 6454 sections 4 to 6.

use std::{fmt, net::IpAddr};

/// Scheme, host and port. Letters are lower-case, a port that the scheme implies is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: String,
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// Reads `scheme://host[:port]`, nothing before and nothing after.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let starts_well = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
        let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !starts_well || !scheme.bytes().all(in_scheme) {
            return None;
        }
        let (host, port) = split_port(authority)?;
        let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_host = match literal {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(in_host),
        };
        if !is_host || host.len() > HOST_BYTES_MAX {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let implied = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let port = port.filter(|port| Some(*port) != implied);
        Some(Self { scheme, host: host.to_ascii_lowercase(), port })
    }

    /// The origin of a whole URL, as in `Referer`. One with user information is refused: browsers
    /// remove it, and `https://good.com@evil.com/` is a classic.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        Self::parse(&format!("{scheme}://{authority}"))
    }

    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    pub(super) fn same_host(&self, other: &Self) -> bool {
        self.host == other.host
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// `*`: every origin but `null`.
    Any,
    /// `null`: pages without an origin of their own (sandboxed frames, local files).
    Null,
    /// `https://app.example.com`
    Exact(Origin),
    /// `https://*.example.com`: every name below, at any depth, and not `example.com` itself.
    Below(Origin),
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, BadOrigin> {
        let bad = || BadOrigin(text.to_owned());
        match text {
            "*" => return Ok(Self::Any),
            "null" => return Ok(Self::Null),
            _ => {}
        }
        match text.split_once("://*.") {
            Some((scheme, rest)) => {
                let parent = Origin::parse(&format!("{scheme}://{rest}")).ok_or_else(bad)?;
                Ok(Self::Below(parent))
            }
            None => Origin::parse(text).map(Self::Exact).ok_or_else(bad),
        }
    }

    pub(super) fn matches(&self, origin: &Origin) -> bool {
        match self {
            Self::Any => true,
            Self::Null => false,
            Self::Exact(exact) => exact == origin,
            Self::Below(parent) => {
                let label = origin.host.strip_suffix(&parent.host);
                let label = label.and_then(|rest| rest.strip_suffix('.'));
                label.is_some_and(|label| !label.is_empty())
                    && (&parent.scheme, parent.port) == (&origin.scheme, origin.port)
            }
        }
    }
}

/// An entry of `server.allowed_origins` that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "server.allowed_origins: {0:?} is no origin; write \"https://app.example.com\" (scheme, host and, if unusual, :port; no path), \"https://*.example.com\", \"*\" or \"null\""
)]
pub struct BadOrigin(String);

/// `localhost`, any name below it (RFC 6761 6.3), 127.0.0.0/8 or `[::1]`; `host` in lower case.
pub(super) fn is_loopback(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    match literal.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Splits `host[:port]`; the colons of an IPv6 address stand inside brackets.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket.saturating_add(1));
    match authority.get(after_host..)?.find(':') {
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = authority.split_at_checked(after_host.checked_add(colon)?)?;
            let digits = port.strip_prefix(':')?;
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            Some((host, Some(is_number.then(|| digits.parse().ok())??)))
        }
    }
}

/// The longest name of DNS (RFC 1035 2.3.4), with room for the brackets of an address.
const HOST_BYTES_MAX: usize = 255;
