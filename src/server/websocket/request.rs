//! What a client sends: one frame of messages is dispatched and answered in order.
//!
//! Source: protocol.md 9, 27, 42, 63, 81, 102-104.

use std::{sync::Arc, time::Duration};

use super::{Connection, End, LINGER, Upgraded};
use crate::{
    bayeux::parse_batch,
    broker::{Carrier, Cause, Session},
    metrics::{BadRequest, Source},
    server::{
        clock,
        connect::Release,
        dispatch::{Outcome, Sender, dispatch},
        report,
        whence::Whence,
    },
    ws::close,
};

impl Upgraded {
    /// Who sends over this connection, which is `bound` to a session or not yet.
    pub(super) fn sender<'a>(&'a self, bound: Option<&'a Arc<Session>>) -> Sender<'a> {
        Sender {
            carrier: Carrier::Socket,
            transport: self.transport,
            whence: Whence::Upgrade(self.page.as_ref()),
            cookies: &self.cookies,
            browser: self.browser,
            bound,
            counts_seconds: self.counts_seconds,
            address: self.address,
            principal: None,
            monitors_only: self.monitors_only,
        }
    }
}

impl Connection {
    /// Processes a frame of messages and writes what it leads to (protocol.md 102-104).
    pub(super) async fn text(&mut self, text: &[u8]) -> Result<(), End> {
        let app = Arc::clone(&self.app);
        app.metrics.bytes_received.add(Source::Client(self.upgraded.transport), text.len());
        let batch = parse_batch(text, &app.live.messages()).map_err(|error| {
            report::bad_request(&app, self.upgraded.address, BadRequest::Json, &error);
            End::Close(close::INTERNAL_ERROR, "not a Bayeux message")
        })?;
        let sender = self.upgraded.sender(self.binding.session());
        let outcome = dispatch(&app, &sender, &batch)
            .await
            .map_err(|_| End::Close(close::INTERNAL_ERROR, "handshake in a batch"))?;
        drop(batch);
        self.respond(outcome).await
    }

    async fn respond(&mut self, outcome: Outcome) -> Result<(), End> {
        let Outcome { session, opened, disconnected, steered, replies, mut connect, taken, .. } =
            outcome;
        if let Some(session) = session {
            if steered {
                self.steered(session);
            } else {
                self.bind(session, opened, connect.as_ref());
            }
        }
        // A connect with a hold replaces the one before, which gets no reply (42).
        let answered = connect.as_ref().is_some_and(|connect| connect.hold.is_zero());
        if disconnected {
            if let Some(connect) = connect.take_if(|_| !answered) {
                self.connect = Some((connect, clock::now()));
            }
            // Before the reply to the disconnect, or cometd.js does not close its end (81).
            self.answer_connect(Release::Ended(Cause::Client)).await?;
        }
        if answered || !self.binding.is_deliver_only() {
            // All of it: an echo comes before the reply to its publish (63).
            self.deliver_backlog(Duration::MAX).await?;
        }
        if opened {
            // A client counts what follows its handshake reply (27).
            self.send_array(&replies).await?;
            self.deliver(taken).await?;
        } else {
            self.deliver(taken).await?;
            if !replies.is_empty() {
                self.send_array(&replies).await?;
            }
        }
        if disconnected {
            self.let_go(LINGER, close::NORMAL);
        }
        if let Some(connect) = connect {
            let until = clock::now() + connect.hold;
            self.connect = (!answered).then_some((connect, until));
        }
        Ok(())
    }
}
