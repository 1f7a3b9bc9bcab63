//! What a client sends: texts of messages are dispatched and answered in order.
//!
//! A client may send on without waiting for replies. Of the texts that have come already the replies leave
//! in one write, each in a frame of its own: a write of its own would cost more than its publish. A reply is
//! held back only from one text to the next. It goes out before anything else is written and before the
//! connection waits, be it for a client's next byte, for a timer or for other publishers.
//! Source: protocol.md 9, 27, 42, 63, 81, 102-104; performance.md 1.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use tokio::{join, task::coop::poll_proceed};

use super::{Connection, End, LINGER, Upgraded};
use crate::{
    bayeux::parse_batch,
    broker::{Carrier, Cause, Session, Wakes},
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

/// Most texts whose replies leave together. More would save little, and keep the first reply, and all else
/// that the connection has to do, waiting.
const BURST_TEXTS_MAX: usize = 16;

/// Bytes of replies after which no more are added.
const BURST_BYTES_MAX: usize = 16 * 1024;

/// What a burst of texts has led to, and what is still to be done.
#[derive(Default)]
struct Burst {
    /// Replies, framed.
    held: Vec<u8>,
    /// Receivers of what was published.
    wakes: Wakes,
    /// A text had to wait for something. That ends the burst, for time has passed.
    waited: bool,
}

impl Outcome {
    /// Whether there is nothing to it but replies.
    const fn is_plain(&self) -> bool {
        let changes = self.opened || self.disconnected || self.steered;
        !changes && self.connect.is_none() && self.taken.is_none()
    }
}

impl Connection {
    /// Processes a text, and those behind it that have come already (protocol.md 102-104).
    #[expect(clippy::large_futures, reason = "a part of this one, which its caller boxes")]
    pub(super) async fn burst(&mut self, first: Vec<u8>) -> Result<(), End> {
        let mut burst = Burst::default();
        let mut text = first;
        let mut count = 1;
        while self.text(&text, &mut burst).await?
            && count < BURST_TEXTS_MAX
            && burst.held.len() < BURST_BYTES_MAX
            && let Some(next) = self.socket.next_text()
        {
            text = next;
            count += 1;
        }
        self.write_held(&mut burst).await
    }

    /// Processes a text. True if another one may be processed before the replies are written.
    async fn text(&mut self, text: &[u8], burst: &mut Burst) -> Result<bool, End> {
        self.texts = (true, self.texts.0);
        match self.process(text, burst).await {
            Ok(outcome) => self.respond(outcome, burst).await,
            Err(end) => {
                // What went before was in order.
                self.write_held(burst).await?;
                Err(end)
            }
        }
    }

    /// Has a text dispatched. If that takes time, what is held back is written meanwhile.
    async fn process(&mut self, text: &[u8], burst: &mut Burst) -> Result<Outcome, End> {
        let app = &self.app;
        app.metrics.bytes_received.add(Source::Client(self.upgraded.transport), text.len());
        let batch = parse_batch(text, &app.live.messages()).map_err(|error| {
            report::bad_request(app, self.upgraded.address, BadRequest::Json, &error);
            End::Close(close::INTERNAL_ERROR, "not a Bayeux message")
        })?;
        let sender = self.upgraded.sender(self.binding.session());
        let Burst { held, wakes, waited } = burst;
        let mut dispatched = pin!(dispatch(app, &sender, &batch, wakes));
        let at_once = poll_fn(|cx| {
            // A text uses up as much of the task's budget as a write does: the next ones need no read.
            if let Poll::Ready(unit) = poll_proceed(cx) {
                unit.made_progress();
            }
            let polled = dispatched.as_mut().poll(cx).map(Some);
            if polled.is_pending() {
                *waited = true;
                self.socket.send_bytes_now(held);
                if !held.is_empty() {
                    return Poll::Ready(None);
                }
            }
            polled
        });
        let outcome = match at_once.await {
            Some(outcome) => outcome,
            None => {
                // Side by side: other publishers may be waiting for this one, and are not to wait for a
                // slow reader.
                let send = Box::pin(self.socket.send_bytes(held));
                let (sent, outcome) = join!(send, dispatched);
                held.clear();
                sent.map_err(|error| self.lost(&error))?;
                outcome
            }
        };
        outcome.map_err(|_| End::Close(close::INTERNAL_ERROR, "handshake in a batch"))
    }

    /// Writes what is held back, if anything is, and wakes the receivers of what was published.
    async fn write_held(&mut self, burst: &mut Burst) -> Result<(), End> {
        burst.wakes.fire();
        if burst.held.is_empty() {
            return Ok(());
        }
        let sent = self.socket.send_bytes(&burst.held).await;
        // Also after a failure: nothing can follow half a frame.
        burst.held.clear();
        sent.map_err(|error| self.lost(&error))
    }

    /// Does what follows from a text. Its replies are added to those that are held back; whatever else is
    /// to be written goes behind those.
    async fn respond(&mut self, outcome: Outcome, burst: &mut Burst) -> Result<bool, End> {
        let is_plain = outcome.is_plain();
        if !is_plain {
            self.write_held(burst).await?;
        }
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
        if (answered || !self.binding.is_deliver_only()) && self.backlog() > 0 {
            self.write_held(burst).await?;
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
                self.socket.append_array(&replies, &mut burst.held);
            }
        }
        if disconnected {
            self.let_go(LINGER, close::NORMAL);
        }
        if let Some(connect) = connect {
            let until = clock::now() + connect.hold;
            self.connect = (!answered).then_some((connect, until));
        }
        // The next text of a session that has ended meanwhile comes behind the news of that.
        let has_ended = || self.binding.session().is_some_and(|session| session.has_ended());
        Ok(is_plain && !burst.waited && !burst.wakes.is_due() && !has_ended())
    }
}
