//! A WebSocket client for tests, built by hand so that it can also break the rules.
//!
//! Sends any opcode, flag, length and fragment, masked or not, and shows every frame that comes,
//! control frames included. It answers no ping and echoes no close by itself.
//! Source: RFC 6455 sections 4 and 5.

use std::{future::pending, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    select,
    time::timeout,
};

use crate::{
    deadline::{QUIET, soon},
    http::{Connection, Request, Response},
};

mod frame;

pub use frame::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT};

/// The key that every opening handshake of this client sends (the sample of RFC 6455 1.3).
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What a server answers to [`KEY`].
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An upgraded connection.
#[derive(Debug)]
pub struct WebSocket {
    stream: TcpStream,
    unread: Vec<u8>,
    /// The 101 response that opened it.
    pub response: Response,
}

/// The opening handshake for `target`, to be changed by the test.
pub fn upgrade_request(target: &str) -> Request {
    Request::get(target)
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY)
}

impl WebSocket {
    /// Opens `/cometd`.
    pub async fn open(address: SocketAddr) -> Self {
        Self::open_with(address, &upgrade_request("/cometd")).await
    }

    /// Opens with the given handshake.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn open_with(address: SocketAddr, request: &Request) -> Self {
        Self::try_open(address, request).await.unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    /// Opens with the given handshake, or returns the refusal.
    pub async fn try_open(address: SocketAddr, request: &Request) -> Result<Self, Response> {
        let mut connection = Connection::open(address).await;
        let response = connection.exchange(request).await;
        Self::upgraded(connection, response)
    }

    /// Goes on with a connection that was answered with `response`; or returns that as the refusal.
    pub fn upgraded(connection: Connection, response: Response) -> Result<Self, Response> {
        if response.status != 101 {
            return Err(response);
        }
        let (stream, unread) = connection.into_parts();
        Ok(Self { stream, unread, response })
    }

    /// Sends one frame.
    pub async fn send(&mut self, frame: &Frame) {
        self.send_bytes(&frame.bytes()).await;
    }

    /// Sends raw bytes. A connection that the broker has closed meanwhile is no failure: a test of
    /// a violation reads the close frame next.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = soon("room to write", self.stream.write_all(bytes)).await;
    }

    /// Sends as much of `bytes` as there is room for; `None` if there has been none for a while.
    ///
    /// # Panics
    /// If the connection ends.
    pub async fn send_some(&mut self, bytes: &[u8]) -> Option<usize> {
        let sent = timeout(4 * QUIET, self.stream.write(bytes)).await.ok()?;
        Some(sent.expect("an open connection"))
    }

    /// Reads the next frame.
    ///
    /// # Panics
    /// If the connection ends first.
    pub async fn frame(&mut self) -> Frame {
        self.frame_or_end().await.expect("a frame, not the end of the connection")
    }

    /// Reads the next frame, or `None` at the end of the connection.
    pub async fn frame_or_end(&mut self) -> Option<Frame> {
        soon("WebSocket frame", self.next_frame()).await
    }

    /// Reads the next frame without a deadline, for tests that wait long; cancel-safe.
    pub async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, length)) = Frame::parse(&self.unread) {
                self.unread.drain(..length);
                return Some(frame);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Sends `flood` over and over and reads meanwhile, up to the frame that is `last`.
    ///
    /// Reading waits for no write: once the send buffer is full the kernel reports room only when a third of
    /// it has been taken, and by then a slow broker has answered for seconds.
    ///
    /// # Panics
    /// If the connection ends first.
    pub async fn flood(&mut self, flood: &[u8], mut last: impl FnMut(&Frame) -> bool) {
        let Self { stream, unread, .. } = self;
        let (mut reader, mut writer) = stream.split();
        let send = async {
            while writer.write_all(flood).await.is_ok() {}
            pending::<()>().await;
        };
        let read = async {
            loop {
                while let Some((frame, length)) = Frame::parse(unread) {
                    unread.drain(..length);
                    if last(&frame) {
                        return;
                    }
                }
                let read = reader.read_buf(unread).await;
                assert!(
                    matches!(read, Ok(1..)),
                    "no frame, but the end of the connection: {read:?}"
                );
            }
        };
        select! {
            () = send => {}
            () = read => {}
        }
    }

    /// The frames that have arrived, up to the first [`QUIET`].
    pub async fn whole_frames(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = timeout(QUIET, self.next_frame()).await {
            frames.push(frame);
        }
        frames
    }

    /// Asserts that nothing arrives for [`QUIET`].
    pub async fn quiet(&mut self) {
        let read = timeout(QUIET, self.fill()).await;
        assert!(
            read.is_err() && self.unread.is_empty(),
            "expected silence, got {:?}",
            String::from_utf8_lossy(&self.unread)
        );
    }

    /// Skips to the close frame and returns its code and reason; `None` if the connection ended
    /// without one. A close frame without a code counts as 1005, as RFC 6455 7.1.5 has it.
    pub async fn close(&mut self) -> Option<(u16, String)> {
        while let Some(frame) = self.frame_or_end().await {
            if frame.opcode == CLOSE {
                return Some(frame.close_reason());
            }
        }
        None
    }

    /// Waits for the end of the TCP connection; frames before it are returned.
    pub async fn end(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame_or_end().await {
            frames.push(frame);
        }
        frames
    }

    /// Gives up the WebSocket view of the connection: the socket, and what was read too far.
    pub fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.unread)
    }

    /// Ends the TCP connection with RST, as a crashed client's kernel does.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("set linger");
    }

    async fn fill(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.unread).await, Ok(1..))
    }
}
