//! Texts on a TCP stream, each ended by one byte.
//!
//! The first text decides which byte that is, NUL or line feed; answers end with the same. Empty texts
//! mean nothing, so a client may send them to keep its connection alive.
//! Source: protocol.md 151.

use std::{
    future::poll_fn,
    io::IoSlice,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::net::TcpStream;

use crate::{
    bayeux::Frame,
    server::websocket::io::{
        RecvError, SendError,
        held::{append_array, write_now},
        read_some, shut_down, write_some,
    },
    ws::{
        close,
        decode::{Event, Violation},
    },
};

/// A connection that carries such texts.
pub(in crate::server) struct Lines {
    stream: TcpStream,
    splitter: Splitter,
    write_timeout: Duration,
    /// Bytes have come since this was last asked.
    active: bool,
}

impl Lines {
    pub(in crate::server) const fn new(
        stream: TcpStream,
        bytes_max: usize,
        write_timeout: Duration,
    ) -> Self {
        Self { stream, splitter: Splitter::new(bytes_max), write_timeout, active: false }
    }

    /// Waits for the first byte that means something, and leaves it there.
    pub(in crate::server) async fn first_byte(&mut self) -> Result<u8, RecvError> {
        poll_fn(|cx| {
            loop {
                if let Some(first) = self.splitter.first_byte() {
                    return Poll::Ready(Ok(first));
                }
                ready!(self.poll_fill(cx))?;
            }
        })
        .await
    }

    /// The port that the client has connected to; 0 if the system does not say.
    pub(in crate::server) fn local_port(&self) -> u16 {
        self.stream.local_addr().map_or(0, |address| address.port())
    }

    /// Waits for the next text. Cancel-safe.
    pub(in crate::server) async fn recv(&mut self) -> Result<Event, RecvError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next text if it is there already.
    pub(in crate::server) async fn try_recv(&mut self) -> Option<Result<Event, RecvError>> {
        poll_fn(|cx| match self.poll_recv(cx) {
            Poll::Ready(event) => Poll::Ready(Some(event)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Whether bytes have come since the last call.
    pub(in crate::server) const fn take_activity(&mut self) -> bool {
        std::mem::replace(&mut self.active, false)
    }

    /// Writes deliveries, one text each; counts as [`super::super::websocket::io::Socket`] does.
    pub(in crate::server) async fn send_frames(
        &mut self,
        frames: &[Frame],
        written: &mut usize,
    ) -> Result<(), SendError> {
        let end = [self.splitter.end()];
        // How much of the first unwritten text has gone out.
        let mut offset = 0;
        while let Some(rest) = frames.get(*written..).filter(|rest| !rest.is_empty()) {
            let rest = rest.get(..TEXTS_MAX).unwrap_or(rest);
            let parts = rest.iter().flat_map(|frame| [frame.array(), &end]);
            let mut slices: Vec<IoSlice<'_>> = parts.map(IoSlice::new).collect();
            let mut unwritten = slices.as_mut_slice();
            IoSlice::advance_slices(&mut unwritten, offset);
            let mut accepted = write_some(&mut self.stream, self.write_timeout, unwritten).await?;
            for frame in rest {
                let left = frame.array().len() + end.len() - offset;
                if accepted < left {
                    offset += accepted;
                    break;
                }
                accepted -= left;
                offset = 0;
                *written += 1;
            }
        }
        Ok(())
    }

    /// Writes one text.
    pub(in crate::server) async fn send_text(&mut self, text: &[u8]) -> Result<(), SendError> {
        let end = [self.splitter.end()];
        self.write_all(&mut [text, &end].map(IoSlice::new)).await
    }

    /// The next text, if all of it has come already.
    pub(in crate::server) fn next_text(&mut self) -> Option<Vec<u8>> {
        // A text that is too long is found again by whoever receives next.
        self.splitter.next().ok().flatten()
    }

    /// Appends a text with an array of `objects`, with its end, to what is to be written.
    pub(in crate::server) fn append_array(&self, objects: &[u8], out: &mut Vec<u8>) {
        append_array(objects, out);
        out.push(self.splitter.end());
    }

    /// Writes what can be written of `held` without waiting, and removes that.
    pub(in crate::server) fn send_bytes_now(&self, held: &mut Vec<u8>) {
        write_now(&self.stream, held);
    }

    /// Writes bytes that were framed before.
    pub(in crate::server) async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.write_all(&mut [IoSlice::new(bytes)]).await
    }

    async fn write_all(&mut self, slices: &mut [IoSlice<'_>]) -> Result<(), SendError> {
        let mut rest = slices;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let accepted = write_some(&mut self.stream, self.write_timeout, rest).await?;
            IoSlice::advance_slices(&mut rest, accepted);
        }
        Ok(())
    }

    /// Says why the connection is closed, if the client is at fault: raw TCP has no close codes.
    pub(in crate::server) async fn send_close(
        &mut self,
        code: Option<u16>,
        reason: &str,
    ) -> Result<(), SendError> {
        match code {
            None | Some(close::NORMAL | close::GOING_AWAY) => Ok(()),
            Some(_) => {
                // A program looks at the name; which limit it was stands in the log.
                let name = match code {
                    Some(close::TOO_BIG) => "message_too_big".into(),
                    _ => reason.to_ascii_lowercase().replace(' ', "_"),
                };
                let text = format!("[{{\"successful\":false,\"error\":\"400::{name}\"}}]");
                self.send_text(text.as_bytes()).await
            }
        }
    }

    /// Ends the connection as [`super::super::websocket::io::Socket::shut_down`] does.
    pub(in crate::server) async fn shut_down(&mut self, linger: Duration) {
        shut_down(&mut self.stream, linger).await;
    }

    pub(in crate::server) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Event, RecvError>> {
        loop {
            if let Some(text) = self.splitter.next()? {
                return Poll::Ready(Ok(Event::Text(text)));
            }
            ready!(self.poll_fill(cx))?;
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RecvError>> {
        let splitter = &mut self.splitter;
        ready!(read_some(&mut self.stream, cx, |bytes| splitter.feed(bytes)))?;
        self.active = true;
        Poll::Ready(Ok(()))
    }
}

/// Bytes in, texts out.
#[derive(Debug)]
struct Splitter {
    /// Only what is not a whole text yet; no allocation when idle.
    buffer: Vec<u8>,
    /// Where the next text begins, and how far it has been searched for its end.
    start: usize,
    searched: usize,
    /// What texts end with; `None` before the first.
    end: Option<u8>,
    bytes_max: usize,
}

impl Splitter {
    const fn new(bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, searched: 0, end: None, bytes_max }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The first byte of the first text. White space, and what ends an empty text, comes before: it
    /// is dropped, or a client could send nothing else and have it all kept.
    fn first_byte(&mut self) -> Option<u8> {
        let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
        let blank = self.buffer.iter().take_while(|byte| is_blank(byte)).count();
        self.buffer.drain(..blank);
        let first = self.buffer.first().copied();
        if first.is_none() {
            self.buffer = Vec::new();
        }
        first
    }

    /// What answers end with.
    fn end(&self) -> u8 {
        self.end.unwrap_or(0)
    }

    /// The next whole text that is not empty.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Violation> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let found = match self.end {
                Some(end) => memchr::memchr(end, unsearched),
                None => memchr::memchr2(0, b'\n', unsearched),
            };
            let end = found.map_or(self.buffer.len(), |at| self.searched + at);
            if end - self.start > self.bytes_max {
                return Err(Violation::too_large(self.bytes_max));
            }
            if found.is_none() {
                self.buffer.drain(..self.start);
                self.searched = self.buffer.len();
                self.start = 0;
                // Only after a text has left: a buffer that grows is at most twice as large as what is in it.
                if self.buffer.capacity() > SLACK * self.buffer.len().max(SHORT_BYTES) {
                    self.buffer = self.buffer.as_slice().to_vec();
                }
                if self.buffer.is_empty() {
                    self.buffer = Vec::new();
                }
                return Ok(None);
            }
            let text = self.buffer.get(self.start..end).unwrap_or_default().trim_ascii();
            let text = (!text.is_empty()).then(|| text.to_vec());
            let by = self.buffer.get(end).copied();
            self.start = end + 1;
            self.searched = self.start;
            if let Some(text) = text {
                self.end = self.end.or(by);
                return Ok(Some(text));
            }
        }
    }
}

/// How many times as large as its content a buffer may stay, and what is too short to count.
const SLACK: usize = 4;
const SHORT_BYTES: usize = 64;
/// Texts of one `writev`: two slices each, and the kernel takes 64 (performance.md 7).
const TEXTS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(splitter: &mut Splitter, bytes: &[u8]) -> Vec<String> {
        splitter.feed(bytes);
        std::iter::from_fn(|| splitter.next().unwrap())
            .map(|text| String::from_utf8(text).unwrap())
            .collect()
    }

    #[test]
    fn a_text_may_come_in_any_pieces() {
        for step in 1..20 {
            let mut splitter = Splitter::new(100);
            let all: Vec<String> = b"[1]\n\r\n[2]\r\n \n[3]\n"
                .chunks(step)
                .flat_map(|piece| texts(&mut splitter, piece))
                .collect();
            assert_eq!(all, ["[1]", "[2]", "[3]"]);
            assert_eq!(splitter.buffer.capacity(), 0, "idle");
        }
    }

    #[test]
    fn the_first_text_decides_what_ends_one() {
        let mut splitter = Splitter::new(100);
        assert_eq!(splitter.end(), 0);
        assert_eq!(texts(&mut splitter, b"\n\0[1]\0[2,\n3]\0"), ["[1]", "[2,\n3]"]);
        assert_eq!(splitter.end(), 0);
        let mut splitter = Splitter::new(100);
        assert_eq!(texts(&mut splitter, b"[1]\n[2]\0\n"), ["[1]", "[2]\0"]);
        assert_eq!(splitter.end(), b'\n');
    }

    #[test]
    fn a_text_is_bounded_with_and_without_its_end() {
        let mut splitter = Splitter::new(4);
        assert_eq!(texts(&mut splitter, b"1234\n"), ["1234"]);
        splitter.feed(b"12345\n");
        assert_eq!(splitter.next().unwrap_err().code, close::TOO_BIG);
        let mut splitter = Splitter::new(4);
        splitter.feed(b"1234");
        assert_eq!(splitter.next().unwrap(), None);
        splitter.feed(b"5");
        assert_eq!(splitter.next().unwrap_err().code, close::TOO_BIG);
    }

    #[test]
    fn a_long_text_leaves_no_large_buffer_to_the_beginning_of_the_next() {
        let mut splitter = Splitter::new(1 << 20);
        let long = [b"[".repeat(64 << 10), b"\n[".to_vec()].concat();
        assert_eq!(texts(&mut splitter, &long).len(), 1);
        assert!(
            splitter.buffer.capacity() <= SLACK * SHORT_BYTES,
            "{}",
            splitter.buffer.capacity()
        );
        let (mut copies, mut capacity) = (0, splitter.buffer.capacity());
        for _ in 0..10_000 {
            texts(&mut splitter, b"[");
            copies += usize::from(splitter.buffer.capacity() != capacity);
            capacity = splitter.buffer.capacity();
        }
        assert!(copies < 20, "{copies} times anew");
    }

    #[test]
    fn the_first_byte_is_looked_at_and_left() {
        let mut splitter = Splitter::new(100);
        assert_eq!(splitter.first_byte(), None);
        splitter.feed(b"\r\n\0<a");
        assert_eq!(splitter.first_byte(), Some(b'<'));
        assert_eq!(texts(&mut splitter, b"/>\0"), ["<a/>"]);
    }

    #[test]
    fn what_comes_before_the_first_text_is_not_kept() {
        let mut splitter = Splitter::new(100);
        for _ in 0..3 {
            splitter.feed(&b" \r\n\0".repeat(1000));
            assert_eq!(splitter.first_byte(), None);
            assert_eq!(splitter.buffer.capacity(), 0, "idle");
        }
        splitter.feed(b"\n[1]\n");
        assert_eq!(splitter.first_byte(), Some(b'['));
        assert_eq!(texts(&mut splitter, b"[2]\n"), ["[1]", "[2]"]);
    }
}
