//! Counts what arrived: lost, duplicated, out of order, how late.
//!
//! Every message has a room (its channel) and an index within it. A receiver owns one bit a message
//! and room, so the account of a million deliveries is 125 kB and needs no hashing. The order is
//! judged per receiver, sender and room, because Bayeux promises no other: each message knows the
//! next one of its sender, and a message that comes after that one is out of order.

use hdrhistogram::Histogram;

use super::marker::Mark;

/// The account of one run.
#[derive(Debug)]
pub(super) struct Ledger {
    run: u32,
    rooms: Vec<Room>,
    receivers: Vec<Receiver>,
    outstanding: Vec<u32>,
    /// From sending to receiving, nanoseconds.
    pub(super) latency: Histogram<u64>,
    /// From the moment a message was due, so that a sender that stalls shows.
    pub(super) scheduled: Histogram<u64>,
    /// The sums.
    pub(super) totals: Totals,
}

/// Sums of a [`Ledger`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Messages sent.
    pub(super) published: u64,
    /// Publishes the server refused; nothing is expected of them.
    pub(super) refused: u64,
    /// Deliveries that should come.
    pub(super) expected: u64,
    /// Deliveries that came, each once.
    pub(super) delivered: u64,
    /// Deliveries that came again.
    pub(super) duplicates: u64,
    /// Deliveries that came after a later message of the same sender and room.
    pub(super) out_of_order: u64,
    /// Deliveries to sessions that did not subscribe, or of another run.
    pub(super) foreign: u64,
}

#[derive(Debug, Default)]
struct Room {
    members: u32,
    messages: Vec<Message>,
}

#[derive(Debug)]
struct Message {
    sender: u32,
    sent_ns: u64,
    due_ns: u64,
    remaining: u32,
    /// Index of the sender's next message in this room; 0 while there is none.
    next: u32,
    measured: bool,
    refused: bool,
}

/// The rooms of one session with a bit for every message that came.
#[derive(Debug, Default)]
struct Receiver(Vec<(u32, Vec<u64>)>);

impl Ledger {
    /// Opens an account for `senders` senders and as many receivers as `memberships` has entries,
    /// each a list of rooms below `rooms`.
    pub(super) fn new(run: u32, rooms: usize, senders: usize, memberships: &[Vec<u32>]) -> Self {
        let mut counted: Vec<Room> = (0..rooms).map(|_| Room::default()).collect();
        for room in memberships.iter().flatten() {
            if let Some(room) = counted.get_mut(*room as usize) {
                room.members += 1;
            }
        }
        let receiver =
            |rooms: &Vec<u32>| Receiver(rooms.iter().map(|room| (*room, Vec::new())).collect());
        Self {
            run,
            rooms: counted,
            receivers: memberships.iter().map(receiver).collect(),
            outstanding: vec![0; senders],
            latency: histogram(),
            scheduled: histogram(),
            totals: Totals::default(),
        }
    }

    /// Enters a message before it is sent. `previous` is the index of the sender's last message in
    /// this room; the caller keeps it, because only it knows how many there are. A message that is
    /// not `measured` counts, but not its latency.
    pub(super) fn publish(
        &mut self,
        sender: u32,
        room: u32,
        times: Times,
        previous: Option<u32>,
    ) -> Mark {
        let mark = |index| Mark { run: self.run, room, index };
        let Some(entry) = self.rooms.get_mut(room as usize) else { return mark(0) };
        let index = u32::try_from(entry.messages.len()).unwrap_or(u32::MAX);
        if let Some(last) = previous.and_then(|last| entry.messages.get_mut(last as usize)) {
            last.next = index;
        }
        entry.messages.push(Message {
            sender,
            sent_ns: times.sent_ns,
            due_ns: times.due_ns,
            remaining: entry.members,
            next: 0,
            measured: times.measured,
            refused: false,
        });
        self.totals.published += 1;
        self.totals.expected += u64::from(entry.members);
        if entry.members > 0
            && let Some(count) = self.outstanding.get_mut(sender as usize)
        {
            *count += 1;
        }
        mark(index)
    }

    /// Enters a delivery to `receiver`.
    pub(super) fn receive(&mut self, receiver: usize, mark: Mark, now_ns: u64) {
        let seen = self
            .receivers
            .get_mut(receiver)
            .and_then(|receiver| receiver.0.iter_mut().find(|(room, _)| *room == mark.room));
        let message = self
            .rooms
            .get_mut(mark.room as usize)
            .and_then(|room| room.messages.get_mut(mark.index as usize));
        let (Some((_, seen)), Some(message), true) = (seen, message, mark.run == self.run) else {
            self.totals.foreign += 1;
            return;
        };
        if !set(seen, mark.index) {
            self.totals.duplicates += 1;
            return;
        }
        self.totals.delivered += 1;
        if message.next != 0 && is_set(seen, message.next) {
            self.totals.out_of_order += 1;
        }
        if message.measured {
            self.latency.saturating_record(now_ns.saturating_sub(message.sent_ns));
            self.scheduled.saturating_record(now_ns.saturating_sub(message.due_ns));
        }
        message.remaining = message.remaining.saturating_sub(1);
        if message.remaining == 0 && !message.refused {
            settle(&mut self.outstanding, message.sender);
        }
    }

    /// Enters that the server refused a publish: what has not come of it is not expected.
    pub(super) fn refuse(&mut self, room: u32, index: u32) {
        let message = self
            .rooms
            .get_mut(room as usize)
            .and_then(|room| room.messages.get_mut(index as usize));
        let Some(message) = message.filter(|message| !message.refused) else { return };
        message.refused = true;
        self.totals.refused += 1;
        self.totals.expected -= u64::from(message.remaining);
        if message.remaining > 0 {
            settle(&mut self.outstanding, message.sender);
        }
    }

    /// Returns how many messages of `sender` have not reached everybody.
    pub(super) fn outstanding(&self, sender: u32) -> u32 {
        self.outstanding.get(sender as usize).copied().unwrap_or(0)
    }

    /// Returns how many sessions are in `room`.
    pub(super) fn members(&self, room: u32) -> u32 {
        self.rooms.get(room as usize).map_or(0, |room| room.members)
    }
}

/// When a message was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// The moment it was written.
    pub(super) sent_ns: u64,
    /// The moment it should have been written.
    pub(super) due_ns: u64,
    /// Whether its latency counts.
    pub(super) measured: bool,
}

impl Totals {
    /// Returns how many deliveries are missing.
    pub(super) const fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.delivered)
    }

    /// Tells whether everything came exactly once and in order, and nothing else.
    pub(super) const fn is_complete(&self) -> bool {
        self.lost() == 0 && self.refused == 0 && self.duplicates == 0 && self.out_of_order == 0
    }
}

/// Makes an empty histogram: three digits of nanoseconds up to ten minutes.
pub(super) fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants that the constructor accepts")]
    Histogram::new_with_bounds(1, 600 * super::clock::SECOND_NS, 3).expect("constant bounds")
}

fn settle(outstanding: &mut [u32], sender: u32) {
    if let Some(count) = outstanding.get_mut(sender as usize) {
        *count = count.saturating_sub(1);
    }
}

/// Sets a bit; false if it was set.
fn set(words: &mut Vec<u64>, index: u32) -> bool {
    let (word, bit) = (index as usize / 64, 1 << (index % 64));
    if words.len() <= word {
        words.resize(word + 1, 0);
    }
    let Some(word) = words.get_mut(word) else { return false };
    let fresh = *word & bit == 0;
    *word |= bit;
    fresh
}

fn is_set(words: &[u64], index: u32) -> bool {
    words.get(index as usize / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
}

#[cfg(test)]
mod tests;
