//! The door: listening sockets, the accept loop, and what every accepted connection is given.
//!
//! Three floods end here. Connections beyond the cap get a short 503 and leave ([`Connections`]); when
//! descriptors run out, accepting pauses instead of spinning ([`Acceptor`]); and a peer that dribbles a
//! request head or does not read its response is cut off by the I/O wrapper ([`Timed`]), because hyper
//! has no such deadlines. What a connection says is not looked at here.
//! Source: architecture.md 11 (traps 9 to 11), 12; reliability.md T2, T17, F13.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};
use tracing::{debug, warn};

pub use self::{
    connections::{Connections, Permit},
    timed::{Deadlines, HeadClock, Timed},
};
use crate::server::{clock, pace::Pace};

mod connections;
mod timed;

/// Opens a listening socket. `key` is the setting that `address` comes from, and its flag, for the
/// error text.
/// Must be called inside the runtime.
///
/// # Errors
/// The operator's to correct; the text says how.
pub fn bind(address: SocketAddr, key: &'static str) -> Result<TcpListener, BindError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait a minute for the connections of the last run (TIME_WAIT). On Unix
        // this still refuses a port that somebody listens on.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|source: io::Error| {
        let (ip, port) = (address.ip(), address.port());
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Busy { address, port, key },
            io::ErrorKind::PermissionDenied => BindError::Denied { address, port, key },
            io::ErrorKind::AddrNotAvailable => BindError::NotLocal { address, ip, key },
            _ => BindError::Other { address, key, source },
        }
    })
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address}: the port is in use; stop the other program (`ss -ltnp 'sport = :{port}'` names it) or choose another port in {key}"
    )]
    Busy {
        /// The address asked for.
        address: SocketAddr,
        /// Its port.
        port: u16,
        /// The setting.
        key: &'static str,
    },
    /// A privileged port.
    #[error(
        "cannot listen on {address}: no permission for port {port}; choose one above 1023 in {key}, or grant CAP_NET_BIND_SERVICE"
    )]
    Denied {
        /// The address asked for.
        address: SocketAddr,
        /// Its port.
        port: u16,
        /// The setting.
        key: &'static str,
    },
    /// The address belongs to another machine, or to nobody.
    #[error(
        "cannot listen on {address}: {ip} is no address of this machine (`ip addr` lists them); set {key} to one of them, or to 0.0.0.0 for all"
    )]
    NotLocal {
        /// The address asked for.
        address: SocketAddr,
        /// The address without its port.
        ip: IpAddr,
        /// The setting.
        key: &'static str,
    },
    /// Anything else, in the system's words.
    #[error("cannot listen on {address} ({key}): {source}")]
    Other {
        /// The address asked for.
        address: SocketAddr,
        /// The setting.
        key: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, with its options set.
    pub stream: TcpStream,
    /// The other end; a proxy, perhaps (forwarded.rs).
    pub peer: SocketAddr,
    /// Its place among the connections; belongs to the socket, also through an upgrade.
    pub permit: Permit,
}

/// Accepts connections of one listener while there is room for them.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    connections: Connections,
    /// How many refused connections may linger to read their 503.
    refusals: Arc<Semaphore>,
    /// Refused connections are told so in HTTP.
    speaks_http: bool,
    failing: bool,
    pace: Pace,
}

impl Acceptor {
    /// Serves `listener`; all listeners of a broker share clones of one `connections`.
    pub fn new(listener: TcpListener, connections: Connections) -> Self {
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        let pace = Pace::new(LOG_PERIOD);
        Self { listener, connections, refusals, speaks_http: true, failing: false, pace }
    }

    /// Closes refused connections without a word, because their clients speak no HTTP.
    #[must_use]
    pub fn without_http(self) -> Self {
        Self { speaks_http: false, ..self }
    }

    /// Waits for the next connection that is let in. Cancel-safe: a dropped call loses no connection.
    ///
    /// Never fails and never spins: connections over the cap are refused on the way, an error of one
    /// connection is skipped, and any other error (no descriptors, no memory) pauses for 50–100 ms.
    pub async fn accept(&mut self) -> Accepted {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    self.failing = false;
                    set_options(&stream);
                    match self.connections.admit() {
                        Some(permit) => return Accepted { stream, peer, permit },
                        None => self.refuse(stream, peer),
                    }
                }
                Err(error) if is_about_one_connection(&error) => {
                    debug!(%error, "a connection broke before it was accepted");
                }
                Err(error) => {
                    if let Some(suppressed) = self.pace.permit(clock::now()) {
                        warn!(event = "error", %error, suppressed, "accepting pauses");
                    }
                    let pause = if self.failing { PAUSE_MAX } else { PAUSE_MIN };
                    self.failing = true;
                    time::sleep(pause).await;
                }
            }
        }
    }

    /// Answers 503 in a task of its own, if not too many do that already, else just closes.
    fn refuse(&self, stream: TcpStream, peer: SocketAddr) {
        if let Some(suppressed) = self.pace.permit(clock::now()) {
            let max = self.connections.max();
            warn!(
                event = "limit",
                limit = "limits.connections",
                value = max,
                suppressed,
                "connection refused"
            );
        }
        if !self.speaks_http {
            return;
        }
        let Ok(place) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        tokio::spawn(async move {
            // What the client then does is its own business.
            let _ = time::timeout(REFUSAL_TIME, turn_away(stream, peer)).await;
            drop(place);
        });
    }
}

/// Writes the 503, then reads for a moment: a socket that is closed with unread bytes sends a reset,
/// and that makes the client's system throw the response away.
async fn turn_away(mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    // The port is random enough to keep refused clients from coming back together.
    let retry_after_s = RETRY_AFTER_MIN_S + peer.port() % RETRY_AFTER_SPREAD_S;
    let body = "the broker has no room for further connections\n";
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {retry_after_s}\r\nconnection: close\r\n\
         content-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await?;
    let mut scratch = [0; 512];
    for _ in 0..REFUSAL_READS_MAX {
        if stream.read(&mut scratch).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Small frames leave at once, and a peer that is gone ends the connection although the kernel still
/// holds bytes for it (reliability.md F1).
fn set_options(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let mut result = socket.set_tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        result = result.and_then(|()| socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX)));
    }
    if let Err(error) = result {
        debug!(%error, "socket option refused");
    }
}

/// Errors of accept(2) that concern the connection at the head of the queue, not the listener.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted,
        NetworkDown, NetworkUnreachable, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    )
}

/// Enough for the reconnects of a whole site in one moment; the kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;
/// How long sent bytes may stay unacknowledged (reliability.md F1).
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(20);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(100);
const LOG_PERIOD: Duration = Duration::from_secs(60);
/// A quarter of the descriptors that the cap leaves in reserve.
const REFUSALS_MAX: usize = 64;
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// Times 512 bytes: the largest head we would have read.
const REFUSAL_READS_MAX: usize = 32;
const RETRY_AFTER_MIN_S: u16 = 2;
const RETRY_AFTER_SPREAD_S: u16 = 9;

#[cfg(test)]
mod tests;
