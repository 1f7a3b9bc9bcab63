//! The acknowledging half of a client, and what it may rely on: reliability.md P4.

use std::collections::HashSet;

use serde_json::{Value, json};

/// What a client has received and has said of it.
#[derive(Default)]
pub(crate) struct Acks {
    /// Number of the last batch that arrived whole.
    last: u64,
    received: HashSet<u64>,
    /// Messages of batches that arrived whole.
    whole: HashSet<u64>,
    /// Messages that the connect under way acknowledges.
    said: HashSet<u64>,
}

impl Acks {
    /// Offers to acknowledge.
    pub(crate) fn offer(handshake: &mut Value) {
        handshake["ext"] = json!({"ack": true});
    }

    /// Acknowledges in a connect what has arrived.
    pub(crate) fn say(&mut self, connect: &mut Value) {
        connect["ext"] = json!({"ack": self.last});
        self.said.clone_from(&self.whole);
    }

    /// A message has arrived.
    ///
    /// # Panics
    /// If the connect that it comes with had acknowledged it.
    pub(crate) fn received(&mut self, number: u64) {
        assert!(!self.said.contains(&number), "message {number} came after its acknowledgement");
        self.received.insert(number);
    }

    /// A connect reply has arrived, and with it the whole of its batch.
    pub(crate) fn replied(&mut self, reply: &Value) {
        if let Some(number) = reply["ext"]["ack"].as_u64() {
            self.last = number;
            self.whole.clone_from(&self.received);
        }
    }
}
