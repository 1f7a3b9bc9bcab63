//! The WebSocket codec over a stream: read events, write frames in batches.
//!
//! Knows neither Bayeux nor when to ping. Reading borrows stack space for one `poll`, so an idle
//! connection owns no buffer; writing hands shared frames to one `writev` and copies nothing.
//!
//! A write that makes no progress within its deadline fails. The kernel reports room only when a
//! third of the send buffer is free, over a megabyte if it has grown, so a slow reader can look dead.
//! Therefore the buffer is filled by a direct attempt before the deadline starts, and another one
//! when it ends shows whether a single byte has left ([`Direct`]).
//! Source: RFC 6455; performance.md 1 and 7 (a write per batch, not per message); reliability.md F4.

use std::{
    borrow::Cow,
    future::poll_fn,
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::timeout,
};

use crate::{
    bayeux::Frame,
    ws::{
        decode::{DecodeLimits, Decoder, Event, Violation},
        deflate::{Negotiated, compress_message},
        encode::{self, Header, Opcode},
    },
};

pub(in crate::server) mod held;

/// What was agreed and configured for a connection.
#[derive(Debug, Clone)]
pub struct SocketOptions {
    /// Bounds on incoming messages.
    pub limits: DecodeLimits,
    /// permessage-deflate, if the upgrade agreed on it.
    pub deflate: Option<Negotiated>,
    /// A write that makes no progress for so long fails.
    pub write_timeout: Duration,
}

/// Why no event came.
#[derive(Debug, thiserror::Error)]
pub enum RecvError {
    /// The stream ended or failed, without the courtesy of a close frame or after it.
    #[error("connection lost")]
    Closed(#[from] io::Error),
    /// The client broke a rule; it is owed a close frame with this code.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// Why a write did not finish. The stream may stand in the middle of a frame: drop the socket.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The client read nothing for [`SocketOptions::write_timeout`].
    #[error("no progress in writing")]
    Stalled,
    /// The stream failed.
    #[error("connection lost")]
    Closed(#[from] io::Error),
}

/// A stream that can be asked to take bytes now, whether or not it has been reported writable.
pub trait Direct {
    /// Writes what there is room for; fails with `WouldBlock` if there is none at all.
    ///
    /// # Errors
    /// `WouldBlock`, or the failure of the stream.
    fn write_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

impl Direct for TcpStream {
    fn write_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // Both skip the layers of files that `write` goes through; `send` the copy of the vector, too.
        match slices {
            [slice] => SockRef::from(self).send(slice),
            _ => SockRef::from(self).send_vectored(slices),
        }
    }
}

/// A WebSocket connection after its upgrade.
///
/// Only receiving is cancel-safe. A send that is dropped half-way leaves the stream in the middle of
/// a frame, and nothing may be sent after that.
#[derive(Debug)]
pub struct Socket<S> {
    stream: S,
    decoder: Decoder,
    /// As in [`Negotiated::deflate_bytes_max`]; `None` without permessage-deflate.
    deflate_bytes_max: Option<usize>,
    write_timeout: Duration,
    /// Bytes have come since this was last asked.
    active: bool,
}

impl<S: AsyncRead + AsyncWrite + Direct + Unpin> Socket<S> {
    /// Takes over `stream` after the 101 response. `read_ahead` is what the HTTP layer has read
    /// beyond the request.
    pub fn new(stream: S, read_ahead: &[u8], options: &SocketOptions) -> Self {
        let mut decoder = Decoder::new(options.limits, options.deflate.is_some());
        decoder.feed(read_ahead);
        let deflate_bytes_max = options.deflate.as_ref().map(|agreed| agreed.deflate_bytes_max);
        Self {
            stream,
            decoder,
            deflate_bytes_max,
            write_timeout: options.write_timeout,
            active: false,
        }
    }

    /// Waits for the next event. Cancel-safe. Pings are not answered here.
    ///
    /// After [`Event::Close`] it discards what comes and returns [`RecvError::Closed`] at the end of
    /// the stream.
    pub async fn recv(&mut self) -> Result<Event, RecvError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`Socket::recv`], for a task that polls several things.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, RecvError>> {
        loop {
            if let Some(event) = self.decoder.next()? {
                return Poll::Ready(Ok(event));
            }
            let decoder = &mut self.decoder;
            ready!(read_some(&mut self.stream, cx, |bytes| decoder.feed(bytes)))?;
            self.active = true;
        }
    }

    /// The next event if it is there already.
    pub async fn try_recv(&mut self) -> Option<Result<Event, RecvError>> {
        poll_fn(|cx| match self.poll_recv(cx) {
            Poll::Ready(event) => Poll::Ready(Some(event)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Whether bytes have come since the last call, be it the beginning of a message only.
    pub const fn take_activity(&mut self) -> bool {
        std::mem::replace(&mut self.active, false)
    }

    /// Writes deliveries, up to 64 in one system call, deflated where that was agreed and pays.
    ///
    /// Starts at `frames[*written]`, of which `offset` bytes have gone out, and counts in `written` each
    /// frame that the stream has accepted in full, also when it fails later: the rest can go to another
    /// connection.
    pub async fn send_frames(
        &mut self,
        frames: &[Frame],
        written: &mut usize,
        mut offset: usize,
    ) -> Result<(), SendError> {
        let deflate_bytes_max = self.deflate_bytes_max;
        while let Some(rest) = frames.get(*written..).filter(|rest| !rest.is_empty()) {
            let write = |stream: &mut S, attempt: Attempt<'_, '_>| {
                gather(rest, deflate_bytes_max, offset, |slices| attempt.write(stream, slices))
            };
            let accepted = write_in_time(&mut self.stream, self.write_timeout, write).await?;
            offset = count(rest, deflate_bytes_max, offset, accepted, written)?;
        }
        self.flush().await
    }

    /// Writes deliveries as far as one system call without waiting takes them, for the price of that
    /// call: no timer, no question whether there is room. Counts in `written` as
    /// [`Socket::send_frames`] does, and returns the `offset` with which that goes on.
    ///
    /// # Errors
    /// Those of the stream; no room is not one.
    pub fn send_now(&self, frames: &[Frame], written: &mut usize) -> io::Result<usize> {
        let write = |slices: &[IoSlice<'_>]| self.stream.write_now(slices);
        match gather(frames, self.deflate_bytes_max, 0, write) {
            Ok(accepted) => count(frames, self.deflate_bytes_max, 0, accepted, written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// As [`Socket::send_now`], with a text message behind the deliveries in the same system call: what
    /// belongs together is not torn apart, neither by a connection that ends between two calls nor by a
    /// network that holds the second small packet back. Also returns what is left of the message, if
    /// some of it has gone out; [`Socket::send_bytes`] sends that. Of more deliveries than one system call
    /// takes nothing goes out here.
    ///
    /// # Errors
    /// As [`Socket::send_now`].
    pub fn send_now_with(
        &self,
        frames: &[Frame],
        written: &mut usize,
        payload: &[u8],
    ) -> io::Result<(usize, Option<Vec<u8>>)> {
        let (header, body) = self.message(Opcode::Text, payload);
        let mut text = [&*header, &*body].concat();
        let length = |frame| wire(frame, self.deflate_bytes_max).len();
        let before: usize = frames.iter().map(length).sum();
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let Some(slices) = slices.get_mut(..=frames.len()) else { return Ok((0, None)) };
        for (slice, frame) in slices.iter_mut().zip(frames) {
            *slice = IoSlice::new(wire(frame, self.deflate_bytes_max));
        }
        if let Some(last) = slices.last_mut() {
            *last = IoSlice::new(&text);
        }
        match self.stream.write_now(slices) {
            Ok(accepted) if accepted > before => {
                *written = frames.len();
                text.drain(..accepted - before);
                Ok((0, Some(text)))
            }
            Ok(accepted) => {
                Ok((count(frames, self.deflate_bytes_max, 0, accepted, written)?, None))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok((0, None)),
            Err(error) => Err(error),
        }
    }

    /// Sends a text message, deflated where that was agreed and pays. `payload` is UTF-8.
    pub async fn send_text(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.send_message(Opcode::Text, payload).await
    }

    /// Sends a message of bytes, deflated where that was agreed and pays.
    pub async fn send_binary(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.send_message(Opcode::Binary, payload).await
    }

    /// Sends an empty ping: any sign of life answers it.
    pub async fn send_ping(&mut self) -> Result<(), SendError> {
        self.write_all([&encode::ping(&[]), &[]]).await
    }

    /// Answers a ping that carried `payload`.
    pub async fn send_pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.write_all([&encode::pong(payload), &[]]).await
    }

    /// Sends a close frame; nothing may be sent after it. `None` answers a close without a code.
    pub async fn send_close(&mut self, code: Option<u16>, reason: &str) -> Result<(), SendError> {
        self.write_all([&encode::close(code, reason), &[]]).await
    }

    /// Ends the connection: stops sending, then discards what the client still sends until it ends
    /// its side too, for `linger` at most.
    ///
    /// Without that wait, bytes which nobody has read make the kernel reset the connection, and the
    /// reset destroys a close frame that is still under way (RFC 6455 7.1.1).
    pub async fn shut_down(&mut self, linger: Duration) {
        shut_down(&mut self.stream, linger).await;
    }

    async fn send_message(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        let (header, body) = self.message(opcode, payload);
        self.write_all([&header, &body]).await
    }

    /// Header and body of a message, deflated where that was agreed and pays.
    fn message<'a>(&self, opcode: Opcode, payload: &'a [u8]) -> (Header, Cow<'a, [u8]>) {
        let suits = self.deflate_bytes_max.is_some_and(|bytes_max| payload.len() <= bytes_max);
        let deflated = if suits { compress_message(payload) } else { None };
        let is_deflated = deflated.is_some();
        let body = deflated.map_or(Cow::Borrowed(payload), Cow::Owned);
        (encode::header(opcode, is_deflated, body.len()), body)
    }

    async fn write_all(&mut self, parts: [&[u8]; 2]) -> Result<(), SendError> {
        let mut slices = parts.map(IoSlice::new);
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let accepted = write_some(&mut self.stream, self.write_timeout, rest).await?;
            IoSlice::advance_slices(&mut rest, accepted);
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), SendError> {
        let stream = &mut self.stream;
        let flushed = poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx));
        match timeout(self.write_timeout, flushed).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(SendError::Stalled),
        }
    }
}

/// Hands up to [`SLICES_MAX`] of `frames` to one `write`, the first without its `offset` bytes.
fn gather<R>(
    frames: &[Frame],
    deflate_bytes_max: Option<usize>,
    offset: usize,
    write: impl FnOnce(&[IoSlice<'_>]) -> R,
) -> R {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    for (slice, frame) in slices.iter_mut().zip(frames) {
        *slice = IoSlice::new(wire(frame, deflate_bytes_max));
    }
    if let Some(first) = slices.first_mut() {
        first.advance(offset);
    }
    write(slices.get(..frames.len()).unwrap_or(&slices))
}

/// Counts the frames that are done after a write of `accepted` bytes; returns the new offset.
fn count(
    frames: &[Frame],
    deflate_bytes_max: Option<usize>,
    mut offset: usize,
    mut accepted: usize,
    written: &mut usize,
) -> io::Result<usize> {
    if accepted == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    for frame in frames {
        let left = wire(frame, deflate_bytes_max).len() - offset;
        if accepted < left {
            return Ok(offset + accepted);
        }
        accepted -= left;
        offset = 0;
        *written += 1;
    }
    Ok(0)
}

/// The form in which `frame` goes to a client that agreed on `deflate_bytes_max`.
fn wire(frame: &Frame, deflate_bytes_max: Option<usize>) -> &Bytes {
    match deflate_bytes_max {
        // `bytes` counts the header too, which errs on the safe side.
        Some(bytes_max) if frame.bytes() <= bytes_max => {
            frame.deflated().unwrap_or_else(|| frame.wire())
        }
        _ => frame.wire(),
    }
}

/// See [`Socket::shut_down`].
pub(in crate::server) async fn shut_down<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    linger: Duration,
) {
    let farewell = async {
        stream.shutdown().await?;
        loop {
            poll_fn(|cx| read_some(stream, cx, |_| ())).await?;
        }
    };
    // Both outcomes, the end of the stream and the end of patience, are as good.
    let _: Result<io::Result<()>, _> = timeout(linger, farewell).await;
}

/// Hands what one read gives to `consume`. Fails at the end of the stream.
pub(in crate::server) fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    consume: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    let mut scratch = [const { MaybeUninit::uninit() }; SCRATCH_BYTES];
    let mut buffer = ReadBuf::uninit(&mut scratch);
    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
    if buffer.filled().is_empty() {
        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
    }
    consume(buffer.filled());
    Poll::Ready(Ok(()))
}

/// How a write goes about a stream without room.
enum Attempt<'a, 'cx> {
    /// The task is woken when the stream is reported writable.
    Poll(&'a mut Context<'cx>),
    /// Pending means that there is no room for a single byte.
    Now,
}

impl Attempt<'_, '_> {
    fn write<S: AsyncWrite + Direct + Unpin>(
        self,
        stream: &mut S,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Poll(cx) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Now => match stream.write_now(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                written => Poll::Ready(written),
            },
        }
    }
}

/// Writes as much of `slices`, which are not all empty, as there is room for: at least a byte.
pub(in crate::server) async fn write_some<S: AsyncWrite + Direct + Unpin>(
    stream: &mut S,
    limit: Duration,
    slices: &[IoSlice<'_>],
) -> Result<usize, SendError> {
    let write = |stream: &mut S, attempt: Attempt<'_, '_>| attempt.write(stream, slices);
    match write_in_time(stream, limit, write).await? {
        0 => Err(SendError::Closed(io::ErrorKind::WriteZero.into())),
        accepted => Ok(accepted),
    }
}

/// Waits up to `limit` for a write to make progress.
async fn write_in_time<S: Direct>(
    stream: &mut S,
    limit: Duration,
    mut write: impl FnMut(&mut S, Attempt<'_, '_>) -> Poll<io::Result<usize>>,
) -> Result<usize, SendError> {
    let mut is_full = false;
    let written = poll_fn(|cx| {
        let polled = write(stream, Attempt::Poll(cx));
        if polled.is_ready() || is_full {
            return polled;
        }
        is_full = true;
        write(stream, Attempt::Now)
    });
    if let Ok(outcome) = timeout(limit, written).await {
        return Ok(outcome?);
    }
    match write(stream, Attempt::Now) {
        Poll::Ready(written) => Ok(written?),
        Poll::Pending => Err(SendError::Stalled),
    }
}

/// Slices of one `writev` (performance.md 1). Only the batch of a client that acknowledges may be larger.
const SLICES_MAX: usize = 64;

/// Space for one read, on the stack of the polling thread and not zeroed.
const SCRATCH_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests;
