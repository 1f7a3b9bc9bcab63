//! Response bodies, made of shared pieces.
//!
//! A poll response is a rope: `[`, the deliveries as they lie in shared frames, replies, `]`. hyper
//! writes its pieces with `writev` and tells the rope how many bytes the socket took. Only when all
//! are taken are the deliveries settled; dropped earlier, the rope drops its batch, which returns to
//! the queue: a client cannot use half a response, so nothing of it counts as delivered.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame as HttpFrame, SizeHint};
use tokio::sync::mpsc;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{connect::Connect, files::FileBody, publish::Results, streaming::Stream};
use crate::broker::{Batch, Session};

/// A response body.
pub(super) enum Body {
    /// Complete and of known length; `None`: empty, or written.
    Whole(Option<Rope>),
    /// A static file, in chunks.
    File(FileBody),
    /// Messages as they come.
    Stream(Stream),
    /// Results of a stream of messages.
    Results(Results),
    /// Text as it comes.
    Feed(Feed),
}

/// Text that a task makes.
pub(super) struct Feed {
    chunks: mpsc::Receiver<Bytes>,
    /// Keeps a stop waiting until the end is read; the task that made the text is gone by then.
    _unread: TaskTrackerToken,
}

impl Feed {
    /// `unread` is given back when the end has been read.
    pub(super) fn new(chunks: mpsc::Receiver<Bytes>, unread: TaskTrackerToken) -> Self {
        Self { chunks, _unread: unread }
    }
}

/// See the module documentation.
pub(super) struct Rope {
    head: Bytes,
    batch: Option<Batch>,
    tail: Bytes,
    /// Index of the piece that is being written, and the bytes of it that are.
    piece: usize,
    offset: usize,
    remaining: usize,
    /// Whether the deliveries are pieces of their own, or copied into `head`.
    spliced: bool,
    /// Expiry of the session starts when the response is written, or given up.
    _connect: Option<Connect>,
}

impl Body {
    /// A body that is one text.
    pub(super) fn text(text: impl Into<Bytes>) -> Self {
        let head = text.into();
        Self::Whole((!head.is_empty()).then(|| Rope::new(head, None, Bytes::new(), None)))
    }

    /// An array of messages: handshake reply or nothing, deliveries, other replies (protocol.md 9).
    ///
    /// `first` and `replies` are JSON objects separated by commas.
    pub(super) fn messages(
        first: &[u8],
        batch: Option<Batch>,
        replies: &[u8],
        connect: Option<Connect>,
    ) -> Self {
        let deliveries = batch.as_ref().is_some_and(|batch| !batch.frames().is_empty());
        let mut head = Vec::with_capacity(first.len() + 2);
        head.push(b'[');
        head.extend_from_slice(first);
        if !first.is_empty() && deliveries {
            head.push(b',');
        }
        let mut tail = Vec::with_capacity(replies.len() + 2);
        if !replies.is_empty() && (deliveries || !first.is_empty()) {
            tail.push(b',');
        }
        tail.extend_from_slice(replies);
        tail.push(b']');
        Self::Whole(Some(Rope::new(head.into(), batch, tail.into(), connect)))
    }

    /// The call of a callback-polling client: a copy, because the JSON has to be escaped for script
    /// (protocol.md 96).
    pub(super) fn script(
        callback: &str,
        batch: Option<Batch>,
        replies: &[u8],
        connect: Option<Connect>,
    ) -> Self {
        let mut head = format!("/**/{callback}([").into_bytes();
        let frames = batch.as_ref().map(Batch::frames).unwrap_or_default();
        let objects = frames.iter().map(crate::bayeux::Frame::object);
        let replies = Some(replies).filter(|replies| !replies.is_empty());
        for (index, object) in objects.chain(replies).enumerate() {
            if index > 0 {
                head.push(b',');
            }
            append_for_script(&mut head, object);
        }
        head.extend_from_slice(b"])");
        let mut rope = Rope::new(head.into(), None, Bytes::new(), connect);
        (rope.batch, rope.spliced) = (batch, false);
        Self::Whole(Some(rope))
    }
}

/// Appends JSON with U+2028 and U+2029 escaped: before ES2019 they end a line of script.
pub(super) fn append_for_script(out: &mut Vec<u8>, json: &[u8]) {
    let mut rest = json;
    while let Some(at) = memchr::memmem::find(rest, b"\xE2\x80") {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        let (escaped, length): (&[u8], usize) = match from.get(2) {
            Some(0xA8) => (b"\\u2028", 3),
            Some(0xA9) => (b"\\u2029", 3),
            _ => (b"\xE2\x80", 2),
        };
        out.extend_from_slice(escaped);
        rest = from.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

impl Rope {
    /// Deliveries between `head` and `tail`.
    pub(super) fn line(head: &'static [u8], batch: Batch, tail: &'static [u8]) -> Self {
        Self::new(Bytes::from_static(head), Some(batch), Bytes::from_static(tail), None)
    }

    /// Text into which the deliveries of `batch` were copied.
    pub(super) fn copy(text: Vec<u8>, batch: Batch) -> Self {
        let mut rope = Self::from(Bytes::from(text));
        (rope.batch, rope.spliced) = (Some(batch), false);
        rope
    }

    fn new(head: Bytes, batch: Option<Batch>, tail: Bytes, connect: Option<Connect>) -> Self {
        let frames = batch.as_ref().map(Batch::frames).unwrap_or_default();
        let objects: usize = frames.iter().map(|frame| frame.object().len()).sum();
        let commas = frames.len().saturating_sub(1);
        let remaining = head.len() + objects + commas + tail.len();
        Self { head, batch, tail, piece: 0, offset: 0, remaining, spliced: true, _connect: connect }
    }

    /// The session that keeps newer carriers waiting until these deliveries are written, or given up.
    pub(super) fn lender(&self) -> Option<&Arc<Session>> {
        self.batch.as_ref().and_then(Batch::lender)
    }

    /// As [`Session::poll_overtaken`], for who writes this and cannot go on.
    pub(super) fn poll_overtaken(&self, cx: &Context<'_>) -> Poll<()> {
        self.lender().map_or(Poll::Pending, |session| session.poll_overtaken(cx))
    }

    /// The pieces in order: head, then deliveries with commas between them, then tail.
    fn piece(&self, index: usize) -> Option<&[u8]> {
        let frames = self.batch.as_ref().filter(|_| self.spliced).map(Batch::frames);
        let frames = frames.unwrap_or_default();
        let last = (frames.len() * 2).max(1);
        match index {
            0 => Some(&self.head),
            _ if index == last => Some(&self.tail),
            _ if index > last => None,
            _ if index.is_multiple_of(2) => Some(b","),
            _ => frames.get(index / 2).map(crate::bayeux::Frame::object),
        }
    }
}

impl Buf for Rope {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        let rest = self.piece(self.piece).and_then(|piece| piece.get(self.offset..));
        rest.unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut offset = self.offset;
        let pieces = (self.piece..).map_while(|index| self.piece(index));
        for (slot, piece) in slices.iter_mut().zip(pieces) {
            *slot = IoSlice::new(piece.get(offset..).unwrap_or_default());
            offset = 0;
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, count: usize) {
        let mut left = count.min(self.remaining);
        self.remaining -= left;
        // Empty pieces are stepped over as well: `chunk` may be empty only at the end.
        while let Some(length) = self.piece(self.piece).map(<[u8]>::len) {
            let here = length.saturating_sub(self.offset);
            if left < here {
                self.offset += left;
                break;
            }
            left -= here;
            self.piece += 1;
            self.offset = 0;
        }
        if self.remaining == 0
            && let Some(batch) = &mut self.batch
        {
            batch.settle();
        }
    }
}

impl From<Bytes> for Rope {
    fn from(text: Bytes) -> Self {
        Self::new(text, None, Bytes::new(), None)
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(None)
    }
}

impl From<FileBody> for Body {
    fn from(file: FileBody) -> Self {
        Self::File(file)
    }
}

impl From<Full<Bytes>> for Body {
    fn from(full: Full<Bytes>) -> Self {
        Self::text(full.into_inner().unwrap_or_default())
    }
}

impl HttpBody for Body {
    type Data = Rope;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<HttpFrame<Rope>>>> {
        match self.get_mut() {
            Self::Whole(rope) => Poll::Ready(rope.take().map(|rope| Ok(HttpFrame::data(rope)))),
            Self::File(file) => {
                Pin::new(file).poll_frame(cx).map_ok(|frame| frame.map_data(Rope::from))
            }
            Self::Stream(stream) => {
                stream.poll_next(cx).map(|rope| rope.map(|rope| Ok(HttpFrame::data(rope))))
            }
            Self::Results(results) => results
                .poll_next(cx)
                .map(|chunk| chunk.map(|chunk| Ok(HttpFrame::data(Rope::from(chunk))))),
            Self::Feed(feed) => feed
                .chunks
                .poll_recv(cx)
                .map(|chunk| chunk.map(|chunk| Ok(HttpFrame::data(Rope::from(chunk))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(rope) => rope.is_none(),
            Self::File(file) => file.is_end_stream(),
            Self::Stream(_) | Self::Results(_) | Self::Feed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(rope) => {
                SizeHint::with_exact(rope.as_ref().map_or(0, |rope| rope.remaining as u64))
            }
            Self::File(file) => file.size_hint(),
            Self::Stream(_) | Self::Results(_) | Self::Feed(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
