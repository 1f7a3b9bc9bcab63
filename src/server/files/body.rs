//! The body of a file response: read in chunks, one at a time, when the connection wants more.
//!
//! Reading blocks, so each chunk is read on a blocking thread; the file travels there and back.

use std::{
    fs::File,
    future::Future as _,
    io::{self, Read as _},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::{self, JoinHandle};

/// A body of known length: a file, a short text, or nothing.
#[derive(Debug)]
pub struct FileBody {
    state: State,
    /// Bytes that have not been handed out.
    remaining: u64,
}

#[derive(Debug)]
enum State {
    Empty,
    Text(Bytes),
    Idle(File),
    Reading(JoinHandle<io::Result<(File, Bytes)>>),
}

impl FileBody {
    pub(super) const fn empty() -> Self {
        Self { state: State::Empty, remaining: 0 }
    }

    pub(super) const fn text(text: &'static str) -> Self {
        let remaining = text.len() as u64;
        Self { state: State::Text(Bytes::from_static(text.as_bytes())), remaining }
    }

    /// The first `length` bytes of `file`. A file that shrinks meanwhile is an error in the middle of
    /// the body, which ends the connection: the client must not take the rest for complete.
    pub(super) const fn file(file: File, length: u64) -> Self {
        Self { state: State::Idle(file), remaining: length }
    }

    /// Hands out `chunk` and remembers where the next one comes from.
    fn advance(&mut self, chunk: Bytes, next: State) -> Frame<Bytes> {
        self.remaining = self.remaining.saturating_sub(chunk.len() as u64);
        self.state = next;
        Frame::data(chunk)
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.remaining == 0 {
            return Poll::Ready(None);
        }
        loop {
            match std::mem::replace(&mut this.state, State::Empty) {
                State::Empty => return Poll::Ready(None),
                State::Text(text) => {
                    return Poll::Ready(Some(Ok(this.advance(text, State::Empty))));
                }
                State::Idle(file) => {
                    let length = this.remaining.min(CHUNK_BYTES_MAX);
                    let reading = task::spawn_blocking(move || read_chunk(file, length));
                    this.state = State::Reading(reading);
                }
                State::Reading(mut reading) => {
                    let polled = Pin::new(&mut reading).poll(cx);
                    if polled.is_pending() {
                        this.state = State::Reading(reading);
                    }
                    return match ready!(polled).map_err(io::Error::other).flatten() {
                        Ok((file, chunk)) => {
                            Poll::Ready(Some(Ok(this.advance(chunk, State::Idle(file)))))
                        }
                        Err(error) => Poll::Ready(Some(Err(error))),
                    };
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

fn read_chunk(mut file: File, length: u64) -> io::Result<(File, Bytes)> {
    let mut chunk = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact(&mut chunk)?;
    Ok((file, chunk.into()))
}

/// Large enough that a thread hop per chunk does not matter, small enough for many slow readers.
const CHUNK_BYTES_MAX: u64 = 64 << 10;
