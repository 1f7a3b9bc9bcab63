//! An HTTP/1.1 client for tests: sends the bytes it is given, reads one response at a time.
//!
//! It knows `Content-Length` and chunked bodies and nothing else: no redirects, no cookies, no
//! retries. What the broker wrote is what the test sees.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::deadline::{QUIET, soon};

mod request;
mod response;
mod stream;

pub use request::Request;
pub use response::{Header, Response};
pub use stream::Stream;

/// One TCP connection to the broker, kept alive between requests.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Bytes that arrived behind the response read last.
    unread: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = soon("TCP connection", TcpStream::connect(address)).await.expect("connect");
        stream.set_nodelay(true).expect("set nodelay");
        Self { stream, unread: Vec::new() }
    }

    /// Connects from a chosen loopback address.
    pub async fn open_from(source: SocketAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(source).expect("bind a loopback address");
        let stream = soon("TCP connection", socket.connect(address)).await.expect("connect");
        Self { stream, unread: Vec::new() }
    }

    /// Connects with a receive buffer of a few kilobytes: what the client does not read soon stays
    /// with the broker.
    pub async fn open_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("set the receive buffer");
        let stream = soon("TCP connection", socket.connect(address)).await.expect("connect");
        Self { stream, unread: Vec::new() }
    }

    /// Sends a request and reads its response.
    pub async fn exchange(&mut self, request: &Request) -> Response {
        self.send(request.bytes()).await;
        self.response().await
    }

    /// Sends raw bytes, whatever they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("room to write", self.stream.write_all(bytes.as_ref())).await.expect("write");
    }

    /// Sends raw bytes; a connection that the broker has closed meanwhile is no failure.
    pub async fn send_even_if_closed(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = soon("room to write", self.stream.write_all(bytes.as_ref())).await;
    }

    /// Sends raw bytes; false once the connection is of no use any more.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        soon("room to write", self.stream.write_all(bytes)).await.is_ok()
    }

    /// The next response if it comes within `limit`.
    pub async fn response_within(&mut self, limit: Duration) -> Option<Response> {
        timeout(limit, self.response_or_end()).await.ok().flatten()
    }

    /// Whether the broker ends this connection within `limit`.
    pub async fn ended_within(&mut self, limit: Duration) -> bool {
        timeout(limit, async { while self.fill().await {} }).await.is_ok()
    }

    /// Ends the sending side and goes on reading.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.expect("shut down the sending side");
    }

    /// Closes with RST instead of FIN, as a crashed client's kernel does.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("set linger");
    }

    /// Reads the next response.
    ///
    /// # Panics
    /// If the connection ends before the response does.
    pub async fn response(&mut self) -> Response {
        self.response_or_end().await.expect("a response, not the end of the connection")
    }

    /// Reads the next response, or `None` if the connection ends (or is reset) before it is whole.
    pub async fn response_or_end(&mut self) -> Option<Response> {
        soon("response", async {
            loop {
                if let Some((response, length)) = response::parse(&self.unread) {
                    self.unread.drain(..length);
                    return Some(response);
                }
                if !self.fill().await {
                    return None;
                }
            }
        })
        .await
    }

    /// Waits, without a deadline, until bytes have arrived or the connection has ended.
    pub async fn readable(&mut self) {
        self.fill().await;
    }

    /// Asserts that nothing arrives for [`QUIET`]: the request in flight is being held.
    pub async fn quiet(&mut self) {
        let read = timeout(QUIET, self.fill()).await;
        assert!(read.is_err(), "expected silence, got {:?}", String::from_utf8_lossy(&self.unread));
    }

    /// Waits until the broker closes this connection; bytes that arrive before that are returned.
    pub async fn closed(&mut self) -> Vec<u8> {
        soon("end of the connection", async { while self.fill().await {} }).await;
        std::mem::take(&mut self.unread)
    }

    /// Gives up the HTTP view of the connection: the socket, and what was read too far.
    pub fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.unread)
    }

    /// Reads once; false at the end of the stream. Cancel-safe: bytes land in `unread` at once.
    async fn fill(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.unread).await, Ok(1..))
    }
}

/// Sends one request on a connection of its own.
pub async fn request(address: SocketAddr, request: &Request) -> Response {
    Connection::open(address).await.exchange(request).await
}

/// Posts a JSON value to `/cometd` on a connection of its own.
pub async fn post(address: SocketAddr, body: &Value) -> Response {
    request(address, &Request::post("/cometd", body.to_string())).await
}
