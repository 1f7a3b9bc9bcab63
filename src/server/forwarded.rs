//! Who a client is and how it reached us, when trusted proxies stand in between.
//!
//! `X-Forwarded-For`, `X-Forwarded-Proto` and `Via` are text that anybody can send. They are believed
//! only from a peer whose address is in `server.trusted_proxies`, and only as far back as the chain of
//! trusted proxies reaches. `Forwarded` (RFC 7239) is not read: one header that a proxy forgets to
//! clear is enough.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use hyper::{
    HeaderMap,
    header::{HeaderName, VIA},
};

/// The scheme under which the client, not the last proxy, speaks to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http` or `ws`.
    Http,
    /// `https` or `wss`.
    Https,
}

impl Scheme {
    /// The scheme as it stands in an origin.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What is known of the far end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The address of the client, IPv4-mapped IPv6 addresses in their IPv4 form.
    pub address: IpAddr,
    /// The scheme of the URL that the client used.
    pub scheme: Scheme,
    /// Whether its requests share a connection, as HTTP/2 and later have it: a held one then takes
    /// no connection from the rest of the page.
    pub multiplexed: bool,
}

impl Client {
    /// A client that nothing stands before.
    pub(super) const fn direct(address: IpAddr) -> Self {
        Self { address, scheme: Scheme::Http, multiplexed: false }
    }
}

/// The proxies whose word is taken, from `server.trusted_proxies`.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    ranges: Vec<Range>,
}

impl Proxies {
    /// Parses the list of addresses (`10.1.2.3`) and ranges (`10.0.0.0/8`, `fd00::/8`).
    ///
    /// # Errors
    /// The first entry that is neither; the operator's to correct.
    pub fn new(trusted_proxies: &[String]) -> Result<Self, BadRange> {
        let ranges = trusted_proxies.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        Ok(Self { ranges })
    }

    /// Finds the client behind `peer`, the other end of the TCP connection.
    ///
    /// The address is the right-most entry of `X-Forwarded-For` that is no trusted proxy: everything
    /// to the left of it was claimed by the client itself. The scheme is the *last* value of
    /// `X-Forwarded-Proto`, the one that the nearest proxy wrote. Each proxy adds to `Via` the protocol
    /// by which it received the request (RFC 9110 7.6.3), so the outermost trusted one says what the
    /// client speaks; one that adds nothing leaves it at HTTP/1.1. Our own listeners speak plain HTTP/1.1.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return Client::direct(peer);
        }
        let (mut address, mut proxies) = (peer, 0);
        for hop in values(headers, &FORWARDED_FOR).take(HOPS_MAX) {
            // An entry that is no address ("unknown", garbage) ends what we can know.
            let Some(hop) = address_of(hop) else { break };
            address = hop;
            proxies += 1;
            if !self.trusts(hop) {
                break;
            }
        }
        let scheme = match values(headers, &FORWARDED_PROTO).next() {
            Some(proto) if ["https", "wss"].iter().any(|tls| proto.eq_ignore_ascii_case(tls)) => {
                Scheme::Https
            }
            _ => Scheme::Http,
        };
        let multiplexed = values(headers, &VIA)
            .nth(usize::saturating_sub(proxies, 1))
            .and_then(major_version)
            .is_some_and(|version| version >= 2);
        Client { address, scheme, multiplexed }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }
}

/// An entry of `server.trusted_proxies` that is neither an address nor a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "server.trusted_proxies: {0:?} is neither an address nor a range; write \"10.1.2.3\" or \"10.0.0.0/8\""
)]
pub struct BadRange(String);

/// A range of addresses: those that share the first `bits` bits with `network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    network: IpAddr,
    bits: u8,
}

impl Range {
    fn contains(self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl FromStr for Range {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let bad = || BadRange(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| bad())?)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| bad())?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        if bits > width {
            return Err(bad());
        }
        // Peers are compared in their IPv4 form.
        match network.to_canonical() {
            canonical if canonical == network => Ok(Self { network, bits }),
            canonical => {
                let bits = bits.checked_sub(MAPPED_BITS).ok_or_else(bad)?;
                Ok(Self { network: canonical, bits })
            }
        }
    }
}

/// The elements of a comma-separated header, last one first, over all its lines.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("")).collect();
    lines.into_iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim)
}

/// An entry of `X-Forwarded-For`; some proxies add the port (`1.2.3.4:5`, `[::1]:5`).
fn address_of(hop: &str) -> Option<IpAddr> {
    let address = hop
        .parse::<IpAddr>()
        .or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()))
        .or_else(|error| match hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<IpAddr>().map_err(|_| error),
            None => Err(error),
        })
        .ok()?;
    Some(address.to_canonical())
}

/// The version in an entry of `Via`: `2.0 proxy`, and with the optional name `HTTP/2.0 proxy`.
fn major_version(entry: &str) -> Option<u32> {
    let protocol = entry.split_ascii_whitespace().next()?;
    let version = match protocol.split_once('/') {
        Some((name, version)) => name.eq_ignore_ascii_case("HTTP").then_some(version)?,
        None => protocol,
    };
    version.split('.').next()?.parse().ok()
}

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The bits that all IPv4-mapped IPv6 addresses have in common.
const MAPPED_BITS: u8 = 96;
/// Longer chains of proxies do not occur; a header of 16 KiB could hold thousands of entries.
const HOPS_MAX: usize = 16;

#[cfg(test)]
mod tests;
