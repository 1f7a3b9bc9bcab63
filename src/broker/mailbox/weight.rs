//! What the end of a session would free.

use super::Mailbox;
use crate::{bayeux::Frame, broker::shed::Weight};

impl Mailbox {
    /// Its weight, and how many messages were looked at for it; `None` if the end would free no more than
    /// `least` bytes at once, whatever the messages are.
    pub(in crate::broker) fn weight(&self, least: usize) -> Option<(Weight, usize)> {
        if self.bytes() <= least {
            return None;
        }
        let unacknowledged = self.unacknowledged.iter().flat_map(|window| window.frames());
        let frames = self.frames().chain(unacknowledged).chain(self.parked_frames());
        let share = |(kept, looked), frame: &Frame| (kept + frame.share(), looked + 1);
        let (kept, looked) = frames.fold((0, 0), share);
        let carried = if self.acknowledges() { 0 } else { self.out_bytes() };
        Some((Weight { kept, carried }, looked))
    }
}
