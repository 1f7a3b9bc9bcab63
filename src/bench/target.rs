//! Where the load goes: a URL, resolved once so that name look-ups stay out of the figures.

use std::net::{SocketAddr, ToSocketAddrs as _};

use super::error::BenchError;

/// A Bayeux server.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// What results call it.
    pub(super) name: String,
    /// Resolved address; IPv4 if the name has one, because `--sources` needs it.
    pub(super) address: SocketAddr,
    /// The `Host` header.
    pub(super) host: String,
    /// The request target, beginning with `/`.
    pub(super) path: String,
}

impl Target {
    /// Parses `http://host[:port][/path]` (or `ws://`) and resolves the host.
    ///
    /// # Errors
    ///
    /// Another scheme, no host, a port that is no number, or a name without an address.
    pub(super) fn parse(name: &str, url: &str) -> Result<Self, BenchError> {
        let unusable = |why: &str| BenchError::Usage(format!("the URL {url} {why}"));
        let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("ws://")) else {
            return Err(unusable("must begin with http:// (TLS is not offered)"));
        };
        let (host, path) = match rest.split_once('/') {
            Some((host, path)) => (host, format!("/{path}")),
            None => (rest, "/".to_owned()),
        };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let host_port = if has_port { host.to_owned() } else { format!("{host}:80") };
        let mut addresses: Vec<SocketAddr> = host_port
            .to_socket_addrs()
            .map_err(|error| unusable(&format!("names no address: {error}")))?
            .collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let address = *addresses.first().ok_or_else(|| unusable("names no address"))?;
        Ok(Self { name: name.to_owned(), address, host: host.to_owned(), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_cut_into_address_host_and_path() {
        let target = Target::parse("x", "http://127.0.0.1:9000/cometd/cometd").unwrap();
        assert_eq!(target.address.to_string(), "127.0.0.1:9000");
        assert_eq!((&*target.host, &*target.path), ("127.0.0.1:9000", "/cometd/cometd"));
        let bare = Target::parse("x", "ws://[::1]").unwrap();
        assert_eq!((bare.address.to_string(), &*bare.path), ("[::1]:80".into(), "/"));
    }

    #[test]
    fn what_is_no_plain_url_is_refused() {
        for url in ["https://localhost/", "localhost:8080", "http://", "http://a:b/"] {
            assert!(Target::parse("x", url).is_err(), "{url}");
        }
    }
}
