//! Why a measurement gave no result.

use std::{io, net::SocketAddr};

/// A measurement that ended without figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The operator's: options that do not fit together, or a URL that is none.
    #[error("{0}")]
    Usage(String),
    /// The operator's: nobody listens there, or the server went away while sessions were opened.
    #[error("cannot reach {address}: {reason}; is the server running?")]
    Unreachable {
        /// Where the server should be.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// The operator's: the run needs more sockets than the process may have.
    #[error(
        "the run needs {needed} file descriptors, the limit is {limit}; raise it (ulimit -n), or \
         use fewer clients in each of several processes"
    )]
    Descriptors {
        /// Sockets, the event queue, files.
        needed: usize,
        /// The soft limit of the process.
        limit: usize,
    },
    /// The server's: it answered, but not as a Bayeux server that accepts the session.
    #[error("{0}")]
    Refused(String),
    /// The machine's.
    #[error("{0}")]
    Io(#[from] io::Error),
}
