//! Connections of the commands: TCP, and TLS for `https://`.
//!
//! Certificates are checked against those that the system trusts, as browsers do; there is no way to
//! skip that. `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

/// A connection, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why there is no connection; the texts follow on the name of the host.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// The name is nobody's.
    #[error("has no address: {0}")]
    Resolve(io::Error),
    /// Nobody listens there.
    #[error("cannot be reached: {0}")]
    Connect(io::Error),
    /// Somebody listens and no TLS comes about, or for another name.
    #[error("offers no TLS that can be trusted: {0}")]
    Tls(String),
}

/// Connects to the first address of a host that answers.
///
/// # Errors
///
/// See [`DialError`]. There is no time limit here.
pub(super) async fn connect(
    host: &str,
    port: u16,
    tls: bool,
) -> Result<Box<dyn Stream>, DialError> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses(host, port).await? {
        match TcpStream::connect(address).await {
            Ok(stream) if tls => return secure(host, stream).await,
            Ok(stream) => return Ok(Box::new(stream)),
            Err(error) => last = error,
        }
    }
    Err(DialError::Connect(last))
}

/// The addresses of a host, at most [`ADDRESSES_MAX`].
///
/// # Errors
///
/// There is none.
pub(super) async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let found = lookup_host((host, port)).await.map_err(DialError::Resolve)?;
    Ok(found.take(ADDRESSES_MAX).collect())
}

/// Begins TLS on a connection.
///
/// # Errors
///
/// [`DialError::Tls`].
pub(super) async fn secure(host: &str, stream: TcpStream) -> Result<Box<dyn Stream>, DialError> {
    let wrong = |error: &dyn std::fmt::Display| DialError::Tls(error.to_string());
    let mut roots = RootCertStore::empty();
    // Those that cannot be read are missing; the check of the server's then says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let text = "this system has no certificates to trust (package ca-certificates, or \
                    SSL_CERT_FILE)";
        return Err(DialError::Tls(text.to_owned()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| wrong(&error))?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(|error| wrong(&error))?;
    Ok(Box::new(stream))
}

/// Enough for any balancer, and a bound on what a resolver can make us do.
const ADDRESSES_MAX: usize = 8;
