//! Lossy messages of a long queue, set aside from those that must stay.
//!
//! Any of them may be the next to go: the oldest for want of room, or another because a newer one of its channel
//! replaces it. In one list with all others it would have to be searched for, under the lock and at each push, and a
//! queue is long just when its client has stalled. Here it is found in the logarithm of their number. A short
//! queue, which is what a client has that reads, is one list and pays nothing for this.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{Mailbox, Take};
use crate::bayeux::{ChannelName, Frame, QueuePolicy};

/// Messages of a queue among which one is searched for.
pub(super) const SEARCHED_MAX: usize = 32;

/// See the module documentation. While a mailbox has one, its queue holds lossless messages only.
///
/// Lossless messages are numbered in their order, so that nothing needs to be done about them when they are
/// pushed; each lossy one has the number of the first that is younger.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// In the order of their age, which is all that the keys mean.
    frames: BTreeMap<i64, Placed>,
    bytes: usize,
    /// Keys of those of the policy `latest`, of which each channel has one.
    latest: HashMap<ChannelName, i64>,
    /// The number of the first lossless message in the queue.
    front: i64,
}

#[derive(Debug)]
struct Placed {
    frame: Frame,
    /// The number of the lossless message before which it stands.
    before: i64,
}

impl Aside {
    /// Adds the youngest message; `lossless`: how many others the queue holds.
    fn push_back(&mut self, frame: Frame, lossless: usize) {
        let key = self.frames.last_key_value().map_or(0, |(last, _)| last + 1);
        self.insert(key, Placed { frame, before: self.front + lossless as i64 });
    }

    /// Adds a message that is older than all.
    fn push_front(&mut self, frame: Frame) {
        let key = self.frames.first_key_value().map_or(0, |(first, _)| first - 1);
        self.insert(key, Placed { frame, before: self.front });
    }

    fn insert(&mut self, key: i64, placed: Placed) {
        self.bytes += placed.frame.bytes();
        if placed.frame.policy() == QueuePolicy::Latest {
            let older = self.latest.insert(placed.frame.channel().clone(), key);
            debug_assert!(older.is_none(), "the older one should have been dropped");
        }
        self.frames.insert(key, placed);
    }

    /// The oldest message, if no lossless one is older.
    fn next(&self) -> Option<&Frame> {
        let (_, first) = self.frames.first_key_value()?;
        (first.before <= self.front).then_some(&first.frame)
    }

    /// Takes out the oldest message.
    pub(super) fn pop_oldest(&mut self) -> Option<Frame> {
        let (_, gone) = self.frames.pop_first()?;
        if gone.frame.policy() == QueuePolicy::Latest {
            self.latest.remove(gone.frame.channel());
        }
        self.bytes -= gone.frame.bytes();
        Some(gone.frame)
    }

    /// Takes out the message of a channel with the policy `latest`.
    pub(super) fn remove_latest(&mut self, channel: &ChannelName) -> Option<Frame> {
        let key = self.latest.remove(channel)?;
        let gone = self.frames.remove(&key)?;
        self.bytes -= gone.frame.bytes();
        Some(gone.frame)
    }

    pub(super) fn has_latest(&self, channel: &ChannelName) -> bool {
        self.latest.contains_key(channel)
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Mailbox {
    /// Appends a message to the queue; of its channel none may be left that it replaces.
    pub(super) fn append(&mut self, frame: Frame) {
        self.queue_bytes += frame.bytes();
        match &mut self.aside {
            Some(aside) if frame.is_lossy() => aside.push_back(frame, self.queue.len()),
            _ => self.queue.push_back(frame),
        }
    }

    /// Puts a message before all others, at once due, because a carrier had it already.
    pub(super) fn prepend(&mut self, frame: Frame) {
        self.make_ready_for(&frame);
        self.queue_bytes += frame.bytes();
        self.patience.lose();
        match &mut self.aside {
            Some(aside) if frame.is_lossy() => return aside.push_front(frame),
            Some(aside) => aside.front -= 1,
            None => {}
        }
        self.queue.push_front(frame);
    }

    /// Sets lossy messages aside if one more would join a long queue; says how many were looked at.
    pub(super) fn make_ready_for(&mut self, frame: &Frame) -> usize {
        if frame.is_lossy() && self.queue.len() >= SEARCHED_MAX { self.set_aside() } else { 0 }
    }

    /// Sets the lossy messages of the queue aside, unless they are; says how many were looked at.
    pub(super) fn set_aside(&mut self) -> usize {
        if self.aside.is_some() {
            return 0;
        }
        let (looked, mut lossless, mut aside) = (self.queue.len(), 0, Box::<Aside>::default());
        self.queue.retain(|frame| {
            let lossy = frame.is_lossy();
            if lossy {
                aside.push_back(frame.clone(), lossless);
            } else {
                lossless += 1;
            }
            !lossy
        });
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        self.aside = Some(aside);
        looked
    }

    /// Takes out everything, in order.
    pub(super) fn drain(&mut self) -> VecDeque<Frame> {
        if self.aside.is_some() {
            return self.take_apart(Take::ALL).0.into();
        }
        self.queue_bytes = 0;
        std::mem::take(&mut self.queue)
    }

    /// Takes frames out of a queue whose lossy ones are set aside; says how many bytes they have.
    #[cold]
    pub(super) fn take_apart(&mut self, take: Take) -> (Vec<Frame>, usize) {
        let mut frames = Vec::with_capacity(self.len().min(take.frames_max));
        let mut bytes = 0;
        while frames.len() < take.frames_max
            && let Some(next) = self.next()
        {
            if !frames.is_empty() && bytes + next.bytes() > take.bytes_max {
                break;
            }
            bytes += next.bytes();
            frames.extend(self.pop_next());
        }
        if self.is_empty() {
            // The next one is short again.
            (self.queue, self.aside) = (VecDeque::new(), None);
        }
        self.queue_bytes -= bytes;
        (frames, bytes)
    }

    fn next(&self) -> Option<&Frame> {
        let lossy = self.aside.as_ref().and_then(|aside| aside.next());
        lossy.or_else(|| self.queue.front())
    }

    fn pop_next(&mut self) -> Option<Frame> {
        if let Some(aside) = &mut self.aside {
            if aside.next().is_some() {
                return aside.pop_oldest();
            }
            aside.front += 1;
        }
        self.queue.pop_front()
    }

    /// Everything in the queue, in no order.
    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        let lossy = self.aside.iter().flat_map(|aside| aside.frames.values());
        self.queue.iter().chain(lossy.map(|placed| &placed.frame))
    }

    /// Everything in the queue, oldest first.
    #[cfg(test)]
    pub(super) fn in_order(&self) -> Vec<Frame> {
        let mut lossless = self.queue.iter().cloned();
        let (mut frames, mut lossy) = (Vec::new(), 0);
        if let Some(aside) = &self.aside {
            for placed in aside.frames.values() {
                let older = (placed.before - aside.front) as usize + lossy;
                frames.extend(lossless.by_ref().take(older - frames.len()));
                frames.push(placed.frame.clone());
                lossy += 1;
            }
        }
        frames.extend(lossless);
        frames
    }

    /// Messages in the queue.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.aside.as_ref().map_or(0, |aside| aside.len())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.aside.as_ref().is_none_or(|aside| aside.frames.is_empty())
    }
}
