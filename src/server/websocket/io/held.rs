//! Replies that are framed first and written later, so that several leave in one system call.
//!
//! Who holds bytes back decides when they go; here is only how. A text that goes into them is counted
//! as written when they are, never in parts.

use std::io::IoSlice;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Direct, SendError, Socket};
use crate::ws::{
    decode::Event,
    encode::{self, Opcode},
};

impl<S: AsyncRead + AsyncWrite + Direct + Unpin> Socket<S> {
    /// The next text, if all of it has come already and nothing else comes before it.
    pub fn next_text(&mut self) -> Option<Vec<u8>> {
        if !self.decoder.has_text() {
            return None;
        }
        match self.decoder.next() {
            Ok(Some(Event::Text(text))) => Some(text),
            // A violation: it is found again by whoever receives next.
            _ => None,
        }
    }

    /// Appends to `out` a text message with an array of `objects`, as it goes over the wire: deflated
    /// where that was agreed and pays. `objects` are UTF-8, separated by commas.
    pub fn append_array(&self, objects: &[u8], out: &mut Vec<u8>) {
        if self.deflate_bytes_max.is_some() {
            let array = array(objects);
            let (header, body) = self.message(Opcode::Text, &array);
            out.extend_from_slice(&header);
            out.extend_from_slice(&body);
        } else {
            let header = encode::header(Opcode::Text, false, objects.len() + BRACKETS);
            out.reserve(header.len() + objects.len() + BRACKETS);
            out.extend_from_slice(&header);
            append_array(objects, out);
        }
    }

    /// Writes as much of `held` as one system call without waiting takes, and removes that. A failure
    /// of the stream is left to [`Socket::send_bytes`].
    pub fn send_bytes_now(&self, held: &mut Vec<u8>) {
        write_now(&self.stream, held);
    }

    /// Writes bytes that were framed before.
    ///
    /// # Errors
    /// Those of the stream, and [`SendError::Stalled`].
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        // Usually there is room, and then no deadline is needed.
        let accepted = self.stream.write_now(&[IoSlice::new(bytes)]).unwrap_or(0);
        match bytes.get(accepted..) {
            None | Some([]) => Ok(()),
            Some(rest) => self.write_all([rest, &[]]).await,
        }
    }
}

/// See [`Socket::send_bytes_now`].
pub(in crate::server) fn write_now(stream: &impl Direct, held: &mut Vec<u8>) {
    if !held.is_empty()
        && let Ok(accepted) = stream.write_now(&[IoSlice::new(held)])
    {
        held.drain(..accepted.min(held.len()));
    }
}

/// An array of `objects`, which are separated by commas.
pub(in crate::server) fn array(objects: &[u8]) -> Vec<u8> {
    let mut array = Vec::with_capacity(objects.len() + BRACKETS);
    append_array(objects, &mut array);
    array
}

/// As [`array()`], behind what is in `out`.
pub(in crate::server) fn append_array(objects: &[u8], out: &mut Vec<u8>) {
    out.push(b'[');
    out.extend_from_slice(objects);
    out.push(b']');
}

const BRACKETS: usize = "[]".len();
