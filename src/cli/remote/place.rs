//! Where a server is, as a URL says it.

use std::net::IpAddr;

use hyper::{Uri, header::HeaderValue};

use super::Failure;

/// Host and port of a server, and whether with TLS.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    /// Both as the URL has them, for the header `Host`.
    pub(super) authority: HeaderValue,
}

impl Place {
    /// Reads a URL; its path is not looked at. `flag` is what error texts call it.
    ///
    /// # Errors
    ///
    /// A scheme other than HTTP's, a user, or a port that is none: no other one is guessed, since a key
    /// may go there.
    pub(super) fn parse(url: &str, flag: &str) -> Result<Self, Failure> {
        let bad = || {
            let reason = "expected http://HOST:PORT or https://HOST:PORT";
            Failure::Usage(format!("{flag} {url}: {reason}"))
        };
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad()),
        };
        if authority.as_str().contains('@') {
            return Err(bad());
        }
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => {
                if tls {
                    443
                } else {
                    80
                }
            }
            // Not so for 0, and for what is more than 65535 or nothing.
            _ => authority.port_u16().filter(|&port| port != 0).ok_or_else(bad)?,
        };
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port,
            tls,
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| bad())?,
        })
    }
}

/// Refuses a URL with more behind the place than a `/`: the paths of a broker are fixed.
///
/// # Errors
///
/// There is a path or a query; `hint` says what to do instead.
pub(super) fn without_path(url: &str, flag: &str, hint: &str) -> Result<(), Failure> {
    let uri: Option<Uri> = url.parse().ok();
    let behind = uri.as_ref().and_then(Uri::path_and_query).map_or("", |path| path.as_str());
    if matches!(behind, "" | "/") {
        return Ok(());
    }
    let line = format!("{flag} {url}: {behind} has no place here; {hint}");
    Err(Failure::Usage(line))
}

/// Whether a URL names this machine: only here a key that a broker made for itself is shown.
pub(super) fn is_here(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let Some(host) = uri.as_ref().and_then(Uri::host) else { return false };
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_and_port() {
        let place = |url| {
            let place = Place::parse(url, "--url").unwrap();
            (place.host, place.port, place.tls)
        };
        assert_eq!(place("http://[::1]:8081/x"), ("::1".to_owned(), 8081, false));
        assert_eq!(place("http://[::1]"), ("::1".to_owned(), 80, false));
        assert_eq!(place("https://a"), ("a".to_owned(), 443, true));
        assert_eq!(place("http://a:65535"), ("a".to_owned(), 65535, false));
        for url in ["ftp://a", "a:80", "http://u:p@a", "http://", "", "http://a:0", "http://a:"] {
            assert!(matches!(Place::parse(url, "--url"), Err(Failure::Usage(_))), "{url}");
        }
        for url in ["http://127.0.0.1:99999", "http://[::1]:65536", "http://a:b", "http://a:-1"] {
            assert!(matches!(Place::parse(url, "--url"), Err(Failure::Usage(_))), "{url}");
        }
    }

    #[test]
    fn a_path_is_refused_and_not_left_out() {
        for url in ["http://a", "http://a/", "http://a:1/#key=x"] {
            assert!(without_path(url, "--url", "").is_ok(), "{url}");
        }
        for url in ["http://a/x", "http://a/x/", "http://a//", "http://a/?x", "http://a?x"] {
            assert!(matches!(without_path(url, "--url", ""), Err(Failure::Usage(_))), "{url}");
        }
    }

    #[test]
    fn a_generated_key_is_for_this_machine_only() {
        for url in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"] {
            assert!(is_here(url), "{url}");
        }
        for url in ["http://10.0.0.1", "http://localhost.a.example", "http://a@127.0.0.1.b", ""] {
            assert!(!is_here(url), "{url}");
        }
    }
}
