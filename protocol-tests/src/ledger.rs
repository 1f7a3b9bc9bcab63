//! Who published what, who received what, and whether that keeps the promises.
//!
//! A test records events as they happen and calls [`Ledger::report`] when all is quiet. Messages
//! are numbered per publisher and channel; [`body`] makes the `data` that carries the number. The
//! ledger trusts nobody: [`check`](check::check) is itself tested by dropping, doubling and swapping
//! single messages.
//! Source: reliability.md section 1, promises P1, P2, P3 and P7.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

pub mod check;

pub use check::Report;

/// What a message is known by: its publisher, its channel and its number there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Post {
    /// The publisher's name.
    pub publisher: String,
    /// The channel published to.
    pub channel: String,
    /// Counts from 0 per publisher and channel.
    pub number: u64,
}

/// Something that happened. `session` is the subscriber's name, chosen by the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The publish is about to be sent.
    Publishing(Post),
    /// Its reply said `successful:true`.
    Published(Post),
    /// Its reply said no, or never came: delivered once or not at all.
    Unconfirmed(Post),
    /// A delivery arrived.
    Received {
        /// Who received it.
        session: String,
        /// What.
        post: Post,
    },
    /// The subscribe reply arrived.
    Subscribed {
        /// Who subscribed.
        session: String,
        /// The concrete channel; a pattern is recorded once for each channel in use.
        channel: String,
    },
    /// The unsubscribe is about to be sent.
    Unsubscribing {
        /// Who unsubscribes.
        session: String,
        /// From which channel.
        channel: String,
    },
    /// The unsubscribe reply arrived.
    Unsubscribed {
        /// Who unsubscribed.
        session: String,
        /// From which channel.
        channel: String,
    },
    /// The client was told that its session is over, or that messages are missing; what was
    /// published before and not received is thereby explained.
    Told {
        /// Who was told.
        session: String,
    },
}

/// The record of one run; clones write into the same one, in the order of their calls.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Vec<Event>>>);

impl Ledger {
    /// Records an event that has just happened (or is about to, where its name says so).
    pub fn record(&self, event: Event) {
        self.0.lock().push(event);
    }

    /// Records a delivery made by [`body`]; other messages are ignored.
    pub fn received(&self, session: &str, message: &Value) {
        if let Some(post) = post_of(message) {
            self.record(Event::Received { session: session.into(), post });
        }
    }

    /// How many deliveries `session` has received so far.
    pub fn count(&self, session: &str) -> usize {
        let is_his = |event: &&Event| matches!(event, Event::Received { session: his, .. } if his == session);
        self.0.lock().iter().filter(is_his).count()
    }

    /// Judges what was recorded so far.
    pub fn report(&self) -> Report {
        check::check(&self.0.lock())
    }
}

/// The `data` of a numbered message.
pub fn body(post: &Post) -> Value {
    json!({"publisher": post.publisher, "number": post.number})
}

/// The reverse of [`body`] for a whole delivery; `None` for anything else.
fn post_of(message: &Value) -> Option<Post> {
    Some(Post {
        channel: message.get("channel")?.as_str()?.into(),
        publisher: message.get("data")?.get("publisher")?.as_str()?.into(),
        number: message.get("data")?.get("number")?.as_u64()?,
    })
}
