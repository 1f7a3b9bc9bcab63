//! What a client that acknowledges has been sent and has said: the promise P4 of reliability.md.

use std::collections::{BTreeMap, HashSet};

use crate::ledger::Number;

/// One client's view. An honest client: it says numbers of replies that arrived, and a number from
/// the future now and then, which must not matter.
#[derive(Default)]
pub(crate) struct Acks {
    /// Messages of each batch that was sent and not acknowledged.
    batches: BTreeMap<u64, Vec<Number>>,
    acknowledged: HashSet<Number>,
    /// Number of the last batch that was sent.
    sent: u64,
    /// Number of the reply that arrived last.
    pub(crate) arrived: u64,
}

impl Acks {
    /// Goes on in the session that the client moves to, whose batches are numbered anew.
    pub(crate) fn of_next_session(self) -> Self {
        Self { acknowledged: self.acknowledged, ..Self::default() }
    }

    /// A batch leaves; nothing in it may be acknowledged, and its number is the next one.
    pub(crate) fn sends(&mut self, number: u64, messages: Vec<Number>) {
        assert_eq!(number, self.sent + 1, "batches are numbered one by one");
        let again = messages.iter().find(|message| self.acknowledged.contains(message));
        assert_eq!(again, None, "sent again after its acknowledgement");
        self.sent = number;
        self.batches.insert(number, messages);
    }

    /// The client says in a connect that it has all batches up to `number`.
    pub(crate) fn says(&mut self, number: u64) {
        if number > self.sent {
            return;
        }
        let later = self.batches.split_off(&(number + 1));
        let covered = std::mem::replace(&mut self.batches, later);
        self.acknowledged.extend(covered.into_values().flatten());
    }

    /// A number that no reply has had.
    pub(crate) const fn future(&self) -> u64 {
        self.sent + 1
    }
}
