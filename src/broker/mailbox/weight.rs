//! What the end of a session would free.

use super::Mailbox;
use crate::broker::shed::Weight;

impl Mailbox {
    /// Its weight, and how many messages were looked at for it; `None` if the end would free no more than
    /// `least` bytes at once, whatever the messages are.
    pub(in crate::broker) fn weight(&self, least: usize) -> Option<(Weight, usize)> {
        if self.bytes() <= least {
            return None;
        }
        let unacknowledged = self.unacknowledged.iter().flat_map(|window| window.frames());
        let frames = self.frames().chain(unacknowledged).chain(self.parked_frames());
        let carried = if self.acknowledges() { 0 } else { self.out_bytes() };
        let none = Weight { carried, ..Weight::default() };
        Some(frames.fold((none, 0), |(weight, looked), frame| {
            let share = frame.share();
            let alone = if share == frame.bytes() { share } else { 0 };
            let (kept, alone) = (weight.kept + share, weight.alone + alone);
            (Weight { kept, alone, ..weight }, looked + 1)
        }))
    }
}
