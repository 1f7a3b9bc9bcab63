//! Inflates what a server has compressed: one inflater for all sessions, since it forgets its window
//! after each message.
//!
//! Source: RFC 7692 7.2.2.

use flate2::{Decompress, FlushDecompress, Status};

use super::frame::FRAME_BYTES_MAX;

/// An inflater and its last message.
#[derive(Debug)]
pub(super) struct Inflater {
    state: Decompress,
    output: Vec<u8>,
}

impl Inflater {
    /// Begins with an empty window.
    pub(super) fn new() -> Self {
        Self { state: Decompress::new(false), output: Vec::new() }
    }

    /// Inflates the body of a compressed message.
    ///
    /// # Errors
    ///
    /// It is corrupt, or longer than a frame may be: the server is at fault.
    pub(super) fn inflate(&mut self, body: &[u8]) -> Result<&[u8], &'static str> {
        self.state.reset(false);
        self.output.clear();
        for part in [body, &TAIL] {
            let mut rest = part;
            loop {
                self.output.reserve(ROOM_BYTES);
                let before = self.state.total_in();
                let status = self
                    .state
                    .decompress_vec(rest, &mut self.output, FlushDecompress::Sync)
                    .map_err(|_| "the server sent a compressed message that is corrupt")?;
                let taken = usize::try_from(self.state.total_in() - before).unwrap_or(rest.len());
                rest = rest.get(taken..).unwrap_or_default();
                if self.output.len() > FRAME_BYTES_MAX {
                    return Err("the server sent a compressed message of more than 16 MiB");
                }
                // With room left everything that came has been written.
                let has_room = self.output.len() < self.output.capacity();
                if matches!(status, Status::StreamEnd) || (rest.is_empty() && has_room) {
                    break;
                }
                if has_room && taken == 0 {
                    return Err("the server sent a compressed message that does not end");
                }
            }
        }
        Ok(&self.output)
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

/// The end of a flushed DEFLATE stream, which is not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Room for more than most messages.
const ROOM_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use bayeuxd::ws::deflate::compress_message;

    use super::*;

    #[test]
    fn messages_of_all_lengths_come_back_whole() {
        let mut inflater = Inflater::new();
        for length in [20, 4096, 100_000] {
            let text: Vec<u8> = (0..length).map(|at: u32| b'a' + (at / 7 % 26) as u8).collect();
            let body = compress_message(&text).unwrap();
            assert_eq!(inflater.inflate(&body), Ok(&text[..]), "{length}");
        }
    }

    #[test]
    fn what_does_not_inflate_is_refused() {
        assert!(Inflater::new().inflate(&[0xff; 40]).is_err());
    }
}
