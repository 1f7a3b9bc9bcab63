//! Which messages a queue drops, and which have no room in it: the policies of channels.
//!
//! Source: protocol.md 64.

use super::{Dropped, Mailbox, Pushed, QueueBounds};
use crate::bayeux::{Frame, QueuePolicy};

impl Mailbox {
    /// Drops what a frame replaces, or what has to make room for it.
    pub(super) fn displace(&mut self, frame: &Frame, bounds: QueueBounds, dropped: &mut Dropped) {
        if frame.policy() == QueuePolicy::Latest {
            dropped.latest += self.forget_channel(frame);
        }
        if !self.fits(frame, bounds) {
            self.make_room(frame, bounds, dropped);
        }
    }

    /// What a frame leads to for which there is no room.
    pub(super) fn refuse(&mut self, frame: &Frame, mut dropped: Dropped) -> Pushed {
        let overflow = frame.policy() == QueuePolicy::Disconnect;
        match frame.policy() {
            QueuePolicy::Disconnect => {}
            QueuePolicy::DropOldest => dropped.oldest += 1,
            QueuePolicy::Latest => dropped.latest += 1,
        }
        self.dropped += dropped.total();
        let carried = self.is_carried();
        Pushed { dropped, entered: !overflow, carried, overflow, ..Pushed::default() }
    }

    /// Drops the queued message of the same channel that a newer one replaces.
    fn forget_channel(&mut self, newer: &Frame) -> usize {
        let older = self.latest_of(newer);
        older.and_then(|index| self.queue.remove(index)).map_or(0, |frame| {
            self.queue_bytes -= frame.bytes();
            1
        })
    }

    /// Where the one queued message of a channel with the policy `latest` is.
    pub(super) fn latest_of(&self, other: &Frame) -> Option<usize> {
        self.queue.iter().position(|frame| {
            frame.policy() == QueuePolicy::Latest && frame.channel() == other.channel()
        })
    }

    /// Drops lossy messages, oldest first, until `frame` fits; none if that is in vain.
    ///
    /// A lossy message never displaces a lossless one, whichever came first.
    fn make_room(&mut self, frame: &Frame, bounds: QueueBounds, dropped: &mut Dropped) {
        let lossless = |queued: &&Frame| queued.policy() == QueuePolicy::Disconnect;
        let (kept, kept_bytes) =
            self.queue.iter().filter(lossless).fold(self.elsewhere(), |(count, bytes), queued| {
                (count + 1, bytes + queued.bytes())
            });
        if kept >= bounds.messages_max || kept_bytes + frame.bytes() > bounds.bytes_max {
            return;
        }
        let mut index = 0;
        while !self.fits(frame, bounds) && index < self.queue.len() {
            let policy = self.queue.get(index).map(Frame::policy);
            match policy {
                Some(QueuePolicy::DropOldest) => dropped.oldest += 1,
                Some(QueuePolicy::Latest) => dropped.latest += 1,
                _ => {
                    index += 1;
                    continue;
                }
            }
            if let Some(gone) = self.queue.remove(index) {
                self.queue_bytes -= gone.bytes();
            }
        }
    }
}
