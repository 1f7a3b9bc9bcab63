//! Which messages a queue drops, and which have no room in it: the policies of channels.
//!
//! Source: protocol.md 64.

use super::{Dropped, Mailbox, Pushed, QueueBounds, aside::SEARCHED_MAX};
use crate::bayeux::{Frame, QueuePolicy};

/// What was done so that a message fits.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) dropped: Dropped,
    /// Messages in the queue that were looked at or dropped, if they were more than a few.
    pub(super) looked: usize,
}

impl Mailbox {
    /// Appends a frame to a queue in which others may have to make room for it, or to which it is refused.
    #[inline(never)] // the push of other frames is small and stays so
    pub(super) fn push_making_room(&mut self, frame: &Frame, bounds: QueueBounds) -> Pushed {
        if self.is_empty() {
            self.patience.calm();
        }
        let room = self.make_room(frame, bounds);
        if !self.fits(frame, bounds) {
            return self.refuse(frame, room);
        }
        self.dropped += room.dropped.total();
        self.append(frame.clone());
        self.pushed(frame, room)
    }

    /// Drops what a frame replaces, or what has to make room for it.
    fn make_room(&mut self, frame: &Frame, bounds: QueueBounds) -> Room {
        let mut room = Room { looked: self.make_ready_for(frame), ..Room::default() };
        if frame.policy() == QueuePolicy::Latest {
            room.dropped.latest += self.forget_channel(frame);
        }
        if !self.fits(frame, bounds) {
            room.looked += self.set_aside();
            self.drop_oldest(frame, bounds, &mut room);
        }
        room
    }

    /// What a frame leads to for which there is no room.
    fn refuse(&mut self, frame: &Frame, room: Room) -> Pushed {
        let Room { mut dropped, looked } = room;
        let overflow = frame.policy() == QueuePolicy::Disconnect;
        match frame.policy() {
            QueuePolicy::Disconnect => {}
            QueuePolicy::DropOldest => dropped.oldest += 1,
            QueuePolicy::Latest => dropped.latest += 1,
        }
        self.dropped += dropped.total();
        let carried = self.is_carried();
        Pushed { dropped, looked, entered: !overflow, carried, overflow, ..Pushed::default() }
    }

    /// Drops the queued message of the same channel that a newer one, of the policy `latest`, replaces.
    pub(super) fn forget_channel(&mut self, newer: &Frame) -> usize {
        let gone = match &mut self.aside {
            Some(aside) => aside.remove_latest(newer.channel()),
            None => self.latest_of(newer).and_then(|index| self.queue.remove(index)),
        };
        gone.map_or(0, |frame| {
            self.queue_bytes -= frame.bytes();
            1
        })
    }

    /// Whether a queued message of the same channel replaces `older`.
    pub(super) fn has_newer(&mut self, older: &Frame) -> bool {
        if older.policy() != QueuePolicy::Latest {
            return false;
        }
        self.make_ready_for(older);
        match &self.aside {
            Some(aside) => aside.has_latest(older.channel()),
            None => self.latest_of(older).is_some(),
        }
    }

    /// Where the one queued message of a channel with the policy `latest` is, in a short queue.
    fn latest_of(&self, other: &Frame) -> Option<usize> {
        debug_assert!(self.queue.len() < SEARCHED_MAX, "it should have been set aside");
        self.queue.iter().position(|frame| {
            frame.policy() == QueuePolicy::Latest && frame.channel() == other.channel()
        })
    }

    /// Drops lossy messages, oldest first, until `frame` fits; none if that is in vain.
    ///
    /// A lossy message never displaces a lossless one, whichever came first.
    fn drop_oldest(&mut self, frame: &Frame, bounds: QueueBounds, room: &mut Room) {
        let (elsewhere, bytes) = self.elsewhere();
        let lossy_bytes = self.aside.as_ref().map_or(0, |aside| aside.bytes());
        let kept = self.queue.len() + elsewhere;
        let kept_bytes = self.queue_bytes - lossy_bytes + bytes;
        if kept >= bounds.messages_max || kept_bytes + frame.bytes() > bounds.bytes_max {
            return;
        }
        let mut count = 0;
        while !self.fits(frame, bounds)
            && let Some(gone) = self.aside.as_mut().and_then(|aside| aside.pop_oldest())
        {
            self.queue_bytes -= gone.bytes();
            match gone.policy() {
                QueuePolicy::Latest => room.dropped.latest += 1,
                _ => room.dropped.oldest += 1,
            }
            count += 1;
        }
        if count > 1 {
            room.looked += count;
        }
    }
}
