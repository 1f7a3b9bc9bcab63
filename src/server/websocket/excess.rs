//! A text over `limits.message_size`: its publishes are refused, and the connection goes on.
//!
//! To close the WebSocket tells no client which message was to blame: cometd.js fails all that it waits
//! for, and Faye sends the same message again over its next WebSocket, for ever. So the text is read away
//! and kept nowhere but for the names of its messages, and these are answered.
//! It is closed for all the same: a text beyond [`EXCESS`] times the limit, a binary or compressed one, one
//! with meta messages, whose refusal would need advice, and one of nobody with a session.
//! Source: protocol.md 104.

use super::{Connection, End};
use crate::{
    bayeux::{Message, Refusal, Reply, parse_batch},
    metrics::Source,
    server::report,
    ws::decode::{Bound, Excess},
};

/// A text is read away up to so many times `limits.message_size`.
pub(in crate::server) const EXCESS: u32 = 16;

impl Connection {
    /// Takes a piece of a text over the limit; the last one is answered for.
    pub(super) async fn excess(&mut self, excess: &Excess) -> Result<(), End> {
        let Excess { ref piece, is_last, limit } = *excess;
        let received = &self.app.metrics.bytes_received;
        received.add(Source::Client(self.upgraded.transport), piece.len());
        if self.binding.session().is_none() {
            return Err(self.beyond(Bound::MessageBytes(limit)));
        }
        let mut skim = self.skim.take().unwrap_or_default();
        skim.take(piece);
        if !is_last {
            self.skim = Some(skim);
            return Ok(());
        }
        self.texts = (true, self.texts.0);
        let replies = skim.finish().and_then(|left| self.refuse_all(&left, limit));
        let replies = replies.ok_or_else(|| self.beyond(Bound::MessageBytes(limit)))?;
        self.send_array(&replies).await
    }

    /// The replies to what is left of the messages; `None` if not all of them are publishes.
    fn refuse_all(&self, left: &[u8], limit: usize) -> Option<Vec<u8>> {
        let app = &self.app;
        let batch = parse_batch(left, &app.live.messages()).ok()?;
        let is_publish = |message: &Message<'_>| {
            message.channel.as_deref().is_some_and(|channel| !channel.starts_with("/meta/"))
        };
        if !batch.iter().all(is_publish) {
            return None;
        }
        let error = Refusal::MessageTooLarge { bytes: limit };
        let session = self.binding.session();
        let sender = self.upgraded.sender(session);
        let mut replies = Vec::new();
        for message in &batch {
            report::refused(app, &sender, message, None, session.map(AsRef::as_ref), error);
            if !replies.is_empty() {
                replies.push(b',');
            }
            Reply {
                channel: message.channel.as_deref(),
                id: message.id.echo(),
                error: Some(error),
                timestamp: app.timestamp(),
                ..Reply::default()
            }
            .write(&mut replies);
        }
        Some(replies)
    }
}
