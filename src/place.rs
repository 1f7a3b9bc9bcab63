//! Where a program is that the broker calls over HTTP, as a URL says it: a service, a collector of traces.

use std::io;

use hyper::{
    HeaderMap, Uri,
    header::{self, HeaderValue},
    http::uri::PathAndQuery,
};
use tokio::net::TcpStream;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Place {
    /// A name or an address, without brackets.
    host: String,
    port: u16,
    /// Both as the URL has them.
    authority: HeaderValue,
    /// What is behind them; at least `/`.
    pub(crate) target: PathAndQuery,
}

impl Place {
    /// Reads `http://host[:port][/path][?query]`. `None` for anything else, such as a URL with a user or
    /// with a port that is none: no other port is guessed, since a secret may go there.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let url: Uri = url.parse().ok()?;
        let authority = url.authority()?;
        if url.scheme_str() != Some("http") || authority.as_str().contains('@') {
            return None;
        }
        let port = match authority.as_str().strip_prefix(authority.host())? {
            "" => 80,
            _ => authority.port_u16().filter(|&port| port != 0)?,
        };
        Some(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port,
            authority: HeaderValue::from_str(authority.as_str()).ok()?,
            target: url.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")),
        })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Nobody can be reached there.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // A request is written in one go: without this its end may wait for an acknowledgement.
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// What every request with JSON says of where it goes, what it is and whose.
    pub(crate) fn headers(&self) -> HeaderMap {
        let json = HeaderValue::from_static("application/json");
        let agent = HeaderValue::from_static(concat!("bayeuxd/", env!("CARGO_PKG_VERSION")));
        [
            (header::HOST, self.authority.clone()),
            (header::CONTENT_TYPE, json),
            (header::USER_AGENT, agent),
        ]
        .into_iter()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_and_what_is_behind() {
        for (url, host, port, target) in [
            ("http://127.0.0.1:4318", "127.0.0.1", 4318, "/"),
            ("http://quotes.internal/a/b?c=d", "quotes.internal", 80, "/a/b?c=d"),
            ("http://[::1]:9000/a", "::1", 9000, "/a"),
            ("http://[::1]", "::1", 80, "/"),
        ] {
            let place = Place::parse(url).unwrap();
            assert_eq!((place.host.as_str(), place.port), (host, port), "{url}");
            assert_eq!(place.target, target, "{url}");
        }
    }

    #[test]
    fn no_port_is_guessed_and_no_user_is_taken() {
        for bad in
            ["https://h", "http://user@h", "http://h:99999", "http://h:0", "http://h:", "h:1", "/x"]
        {
            assert!(Place::parse(bad).is_none(), "{bad}");
        }
    }
}
