//! What a session has sent and its client has not yet acknowledged.
//!
//! Every connect reply has the next number, and carries everything that is not acknowledged, older
//! first. A message remembers the number of the *first* batch that it was in: whichever of its
//! batches arrived, the client then acknowledges at least that number. So nothing is sent again
//! after its acknowledgement, and nothing is forgotten before it, in whatever order replies get lost,
//! overtake each other or come twice. A number that was never given out acknowledges nothing.
//! Source: protocol.md 125-129; CometD's `BatchArrayQueue`, which a number from the future empties.

use std::collections::VecDeque;

use crate::bayeux::{Frame, Mark};

/// See the module documentation. A session without the extension has none.
#[derive(Debug, Default)]
pub(super) struct AckWindow {
    /// Frames with the numbers of their first batches, which never fall.
    sent: VecDeque<(u64, Frame)>,
    bytes: usize,
    /// Number of the last batch; 0: none yet.
    last: u64,
}

impl AckWindow {
    /// Adds `fresh` frames and numbers the batch of all that is unacknowledged.
    pub(super) fn send(&mut self, fresh: impl IntoIterator<Item = Frame>) -> (u64, Vec<Frame>) {
        self.last += 1;
        for frame in fresh {
            self.bytes += frame.bytes();
            self.sent.push_back((self.last, frame));
        }
        (self.last, self.sent.iter().map(|(_, frame)| frame.clone()).collect())
    }

    /// The client has every batch up to `number`: forgets their messages and says how many.
    pub(super) fn acknowledge(&mut self, number: u64) -> usize {
        if number > self.last {
            return 0;
        }
        let mut count = 0;
        while let Some((_, frame)) = self.sent.pop_front_if(|(first, _)| *first <= number) {
            self.bytes -= frame.bytes();
            count += 1;
        }
        if self.sent.is_empty() {
            // An idle session keeps no memory for the burst that it once had.
            self.sent = VecDeque::new();
        }
        count
    }

    /// Marks of the followed ones among the messages that an acknowledgement up to `number` forgets.
    pub(super) fn followed_until(&self, number: u64) -> impl Iterator<Item = Mark> {
        let known = if number > self.last { 0 } else { number };
        let forgotten = self.sent.iter().take_while(move |(first, _)| *first <= known);
        forgotten.filter_map(|(_, frame)| frame.mark()).filter(|mark| mark.trail().is_some())
    }

    /// What is not acknowledged, oldest first.
    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.sent.iter().map(|(_, frame)| frame)
    }

    /// Everything that is not acknowledged, oldest first.
    pub(super) fn into_frames(self) -> Vec<Frame> {
        self.sent.into_iter().map(|(_, frame)| frame).collect()
    }

    /// Number of messages that are not acknowledged.
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// Their bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
