//! Writing: what the mailbox holds, the reply to the connect, replies to requests.
//!
//! One batch is out at a time; what of it was not written returns to the queue (protocol.md 56).

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{select, task::coop::consume_budget};

use super::{
    Connection, End, Wake,
    binding::Binding,
    io::{SendError, held::array},
};
use crate::{
    broker::{Batch, Take},
    metrics::BadRequest,
    server::{clock, connect::Release, report},
};

impl Connection {
    /// Writes one batch of what waits, if the socket takes it at once: the usual case, and what a
    /// delivery costs. More of it comes after whatever else this connection has to do.
    pub(super) fn poll_deliver(&self, cx: &Context<'_>) -> Poll<Wake> {
        let (session, generation, connect) = match &self.binding {
            Binding::Carrier { session, generation } => {
                (session, generation, self.connect.is_some())
            }
            // Nothing is delivered here; the end of the wait is told as if there were a connect.
            Binding::Leaving { session, generation, .. } => (session, generation, true),
            Binding::Nobody(_) | Binding::Former { .. } => return Poll::Pending,
        };
        let flow = session.poll_flow(*generation, connect, cx);
        let mut batch = match ready!(flow) {
            Ok(batch) => batch,
            Err(ready) => return Poll::Ready(Wake::Session(ready)),
        };
        let (frames, written) = batch.progress();
        match self.socket.send_now(frames, written) {
            Ok(_) if *written == frames.len() => {
                if batch.flowed(*generation, cx) {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            Ok(offset) => Poll::Ready(Wake::Stuck(batch, offset)),
            Err(_) => Poll::Ready(Wake::Lost),
        }
    }

    /// Writes one batch of what waits.
    pub(super) async fn deliver_some(&mut self) -> Result<usize, End> {
        let Binding::Carrier { session, generation } = &self.binding else { return Ok(0) };
        let batch = session.take(*generation, Take::WRITE);
        self.deliver(batch).await
    }

    /// Writes a batch, if there is one, and says how many messages that were.
    pub(super) async fn deliver(&mut self, batch: Option<Batch>) -> Result<usize, End> {
        let Some(batch) = batch else { return Ok(0) };
        let count = batch.frames().len();
        self.write(batch, 0).await.map(|()| count)
    }

    /// Writes the rest of a batch that the socket did not take at once, and lets other tasks run if it is
    /// their turn: a reader that is just fast enough would keep this one from waiting for anything.
    pub(super) async fn write_stuck(&mut self, batch: Batch, offset: usize) -> Result<(), End> {
        self.write(batch, offset).await?;
        consume_budget().await;
        Ok(())
    }

    /// Writes a batch, of whose first unwritten frame `offset` bytes have gone out.
    async fn write(&mut self, mut batch: Batch, offset: usize) -> Result<(), End> {
        let (frames, written) = batch.progress();
        let sent = select! {
            biased;
            sent = self.socket.send_frames(frames, written, offset) => Some(sent),
            () = self.binding.taken_over() => None,
        };
        let Some(sent) = sent else {
            // The client goes on elsewhere, so this is no break of its connection.
            self.hand_over();
            return Err(End::GivenUp);
        };
        sent.map_err(|error| self.lost(&error))
    }

    /// Writes what waits now, ahead of the replies that follow (protocol.md 9, 63); begins no batch after
    /// so much time.
    pub(super) async fn deliver_backlog(&mut self, time_max: Duration) -> Result<(), End> {
        let mut left = self.backlog();
        if left == 0 {
            return Ok(());
        }
        let begun = clock::now();
        while left > 0 && clock::now().saturating_duration_since(begun) < time_max {
            match self.deliver_some().await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        Ok(())
    }

    /// How much waits now.
    pub(super) fn backlog(&self) -> usize {
        self.binding.session().map_or(0, |session| session.backlog())
    }

    /// Answers the pending connect, if there is one.
    ///
    /// Messages and their number go out together: a client that got the messages and not the number
    /// would get them again.
    pub(super) async fn answer_connect(&mut self, release: Release) -> Result<(), End> {
        let Some((mut connect, _)) = self.connect.take() else { return Ok(()) };
        let mut reply = Vec::new();
        let Some(mut batch) = connect.write_reply(release, &mut reply) else {
            return self.send_array(&reply).await;
        };
        let reply = array(&reply);
        let (frames, written) = batch.progress();
        let sent = self.socket.send_now_with(frames, written, &reply);
        let is_written = *written == frames.len();
        let (offset, rest) = sent.map_err(|error| self.lost(&error.into()))?;
        if !is_written {
            self.write(batch, offset).await?;
        }
        let sent = match rest {
            Some(rest) => self.socket.send_bytes(&rest).await,
            None => self.socket.send_text(&reply).await,
        };
        sent.map_err(|error| self.lost(&error))
    }

    pub(super) async fn send_array(&mut self, objects: &[u8]) -> Result<(), End> {
        let mut text = Vec::new();
        self.socket.append_array(objects, &mut text);
        let sent = self.socket.send_bytes(&text).await;
        sent.map_err(|error| self.lost(&error))
    }

    pub(super) fn lost(&self, error: &SendError) -> End {
        match error {
            SendError::Stalled => {
                report::bad_request(&self.app, self.upgraded.address, BadRequest::Stalled, error);
                End::GivenUp
            }
            SendError::Closed(_) => End::Lost,
        }
    }
}

impl From<SendError> for End {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Stalled => Self::GivenUp,
            SendError::Closed(_) => Self::Lost,
        }
    }
}
