//! A TCP stream with the deadlines that hyper lacks.
//!
//! *Heads.* hyper's `header_read_timeout` runs on idle keep-alive connections too, so it gets the
//! keep-alive figure, and a head that has begun is timed here. Bytes alone do not tell whether they
//! belong to a head or a body. So the service tells when it has been called and when it has answered,
//! through the [`HeadClock`] it shares with the stream: the first byte that arrives *between* requests
//! begins a head, and the next call of the service ends it. A head that arrives in one piece costs one
//! look at the clock; a timer exists only while the rest of a head is awaited.
//!
//! *Writes.* A write that makes no progress within `write_timeout` fails. The kernel reports room only
//! when a third of the send buffer is free, over a megabyte if it has grown, so a slow reader can look
//! dead. Therefore a direct attempt to send fills the buffer before the deadline starts, and another one
//! when it ends shows whether a single byte has left. While a write is pending, and again after each one
//! that makes progress, the head clock starts anew: a client may send its next head early (pipelining),
//! and hyper reads it only after the response has left.
//!
//! *Ends.* After a response that leaves a body unread the stream reads on for a moment.
//!
//! One gap is left on purpose: the beginning of a pipelined head that arrives *during* a request is not
//! seen, and falls under the keep-alive deadline. It holds no more than an idle connection may.
//! Source: architecture.md 11 (traps 9, 11); reliability.md T2.

use std::{
    future::Future as _,
    io::{self, IoSlice},
    mem::{self, MaybeUninit},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{self, Sleep},
};

use crate::server::clock;

/// How patient a [`Timed`] stream is.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// From the first byte of a request head to its end.
    pub header_timeout: Duration,
    /// Without progress of a pending write.
    pub write_timeout: Duration,
}

/// Tells a [`Timed`] stream what the service of its connection does, and the other way round whether it is
/// stuck.
///
/// An even number: between requests. An odd number: a request is in work. The number changes with
/// every request. One task polls both the stream and the service, so there is nothing to order.
#[derive(Debug, Default)]
pub struct HeadClock {
    number: AtomicU32,
    body_unread: AtomicBool,
    /// Told by the stream, not to it: whoever has handed it to hyper cannot ask it.
    write_pending: AtomicBool,
    /// Not for the stream: whoever ends the connection at a stop asks.
    body_awaited: AtomicBool,
}

impl HeadClock {
    /// Notes that a head is complete; called first thing by the service, not by the future it returns.
    pub fn request_received(&self) {
        let mark = self.mark();
        let odd = if is_between(mark) { mark.wrapping_add(1) } else { mark.wrapping_add(2) };
        self.number.store(odd, Ordering::Relaxed);
    }

    /// Notes that the service has answered; the body of the response may still be on its way.
    pub fn response_done(&self) {
        let mark = self.mark();
        if !is_between(mark) {
            self.number.store(mark.wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Notes that the last response of the connection leaves a body unread: the stream lingers.
    pub fn leave_body(&self) {
        self.body_unread.store(true, Ordering::Relaxed);
    }

    /// Notes whether the service waits for the body of its request.
    pub fn set_body_awaited(&self, awaited: bool) {
        self.body_awaited.store(awaited, Ordering::Relaxed);
    }

    /// Whether the service waits for the body of its request.
    pub fn is_body_awaited(&self) -> bool {
        self.body_awaited.load(Ordering::Relaxed)
    }

    /// Whether bytes wait that the kernel has not taken yet.
    pub fn is_write_pending(&self) -> bool {
        self.write_pending.load(Ordering::Relaxed)
    }

    fn mark(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }
}

const fn is_between(mark: u32) -> bool {
    mark & 1 == 0
}

/// A TCP stream that fails with `TimedOut` when its peer keeps it waiting.
#[derive(Debug)]
pub struct Timed {
    stream: TcpStream,
    deadlines: Deadlines,
    clock: Arc<HeadClock>,
    /// Bytes to be read before those of the stream.
    ahead: Bytes,
    head: Option<Head>,
    /// Exists while a write is pending.
    write_stall: Option<Pin<Box<Sleep>>>,
    /// Exists while what the peer still sends is thrown away.
    linger: Option<Pin<Box<Sleep>>>,
}

/// A head of which the first bytes have been read.
#[derive(Debug)]
struct Head {
    /// The clock when they came; another value means that the head is complete.
    mark: u32,
    since: Instant,
    /// Made when the rest is not there yet.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    /// Guards `stream` on behalf of the connection whose service marks `clock`.
    pub const fn new(stream: TcpStream, deadlines: Deadlines, clock: Arc<HeadClock>) -> Self {
        let ahead = Bytes::new();
        Self { stream, deadlines, clock, ahead, head: None, write_stall: None, linger: None }
    }

    /// Gives the bare stream back, after an upgrade, and what is to be read before it.
    pub fn into_parts(self) -> (TcpStream, Bytes) {
        (self.stream, self.ahead)
    }

    /// Waits until something can be read, without reading it; 0: the peer has closed its side.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn peek(&self) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            return Ok(self.ahead.len());
        }
        self.stream.peek(&mut [0]).await
    }

    /// Has `bytes`, which were read too far, read again before all others.
    pub fn unread(&mut self, bytes: Bytes) {
        self.ahead = if self.ahead.is_empty() {
            bytes
        } else {
            [bytes, mem::take(&mut self.ahead)].concat().into()
        };
    }

    /// Reads all that has arrived, as far as there is room, without a deadline: the head clock belongs
    /// to who reads a head in several steps.
    pub fn poll_arrival(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        self.read_ahead(buffer);
        // The rest of a request of which the beginning came with the one before. An error, or the
        // end, is met again by the next read.
        if buffer.remaining() > 0 {
            let _ = Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        Poll::Ready(Ok(()))
    }

    fn read_ahead(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead.split_to(length));
    }

    /// The head in arrival, forgotten once the service has been called.
    fn head(&mut self) -> Option<&mut Head> {
        let mark = self.clock.mark();
        self.head.take_if(|head| head.mark != mark);
        self.head.as_mut()
    }

    /// Ready when the head in arrival has used up its time.
    fn poll_head_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.write_stall.is_some() {
            return Poll::Pending;
        }
        let header_timeout = self.deadlines.header_timeout;
        let Some(head) = self.head() else { return Poll::Pending };
        let since = head.since;
        let timer = head.timer.get_or_insert_with(|| {
            let deadline = time::Instant::from_std(since) + header_timeout;
            Box::pin(time::sleep_until(deadline))
        });
        timer.as_mut().poll(cx)
    }

    /// Keeps the account of a write: progress ends its deadline, a pending one has one. `bytes` is the
    /// beginning of what is to be written.
    fn settle_write(
        &mut self,
        polled: Poll<io::Result<usize>>,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let written = match polled {
            Poll::Ready(written) => written,
            Poll::Pending => {
                let expired = match &mut self.write_stall {
                    Some(stall) => {
                        ready!(stall.as_mut().poll(cx));
                        true
                    }
                    None => false,
                };
                match SockRef::from(&self.stream).send(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if !expired {
                            return self.await_room(cx);
                        }
                        Err(timed_out("the peer does not read its response"))
                    }
                    written => written,
                }
            }
        };
        self.write_stall = None;
        self.clock.write_pending.store(false, Ordering::Relaxed);
        if let Some(head) = self.head() {
            head.since = clock::now();
            head.timer = None;
        }
        Poll::Ready(written)
    }

    /// Ends our side, then throws away what the peer still sends, for a moment. Bytes that nobody has
    /// read make the kernel reset the connection, and a reset destroys a response under way: who
    /// sent too large a body would see a broken pipe instead of the 413.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        let patience = self.linger.get_or_insert_with(|| Box::pin(time::sleep(LINGER)));
        if patience.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [const { MaybeUninit::uninit() }; SCRATCH_BYTES];
        loop {
            let mut buffer = ReadBuf::uninit(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Starts the deadline of a write for which the kernel has no room at all.
    fn await_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut stall = Box::pin(time::sleep(self.deadlines.write_timeout));
        let waiting = stall.as_mut().poll(cx);
        self.write_stall = Some(stall);
        self.clock.write_pending.store(true, Ordering::Relaxed);
        match waiting {
            Poll::Pending => Poll::Pending,
            // Only with a deadline of zero, or on a machine that stood still just now.
            Poll::Ready(()) => Poll::Ready(Err(timed_out("the peer does not read its response"))),
        }
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled_before = buffer.filled().len();
        let polled = if this.ahead.is_empty() {
            Pin::new(&mut this.stream).poll_read(cx, buffer)
        } else {
            this.read_ahead(buffer);
            Poll::Ready(Ok(()))
        };
        let mark = this.clock.mark();
        let arrived = polled.is_ready() && buffer.filled().len() > filled_before;
        if arrived && is_between(mark) && this.head().is_none() {
            this.head = Some(Head { mark, since: clock::now(), timer: None });
        }
        // A peer that dribbles is waited for again and again, so this is where its time runs out.
        if polled.is_pending() && this.poll_head_deadline(cx).is_ready() {
            return Poll::Ready(Err(timed_out("the request head is not complete")));
        }
        polled
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.settle_write(polled, bytes, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        let first = slices.iter().find(|slice| !slice.is_empty());
        this.settle_write(polled, first.map_or(&[], |slice| slice), cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.clock.body_unread.load(Ordering::Relaxed) {
            return this.poll_linger(cx);
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

/// Long enough for a response to cross the world and for most senders to notice it.
const LINGER: Duration = Duration::from_secs(2);

/// Space for one read, on the stack and not zeroed.
const SCRATCH_BYTES: usize = 16 * 1024;

fn timed_out(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, reason)
}

#[cfg(test)]
mod tests;
