//! What a carrier holds of its session: the wait for something to do, and a request in progress.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::Session;
use crate::broker::{
    batch::Batch,
    mailbox::{Generation, Ready, Take},
};

/// Future of [`Session::signal`], built on std alone.
#[derive(Debug)]
pub struct Signal<'a> {
    pub(super) session: &'a Session,
    pub(super) owner: Generation,
}

impl Future for Signal<'_> {
    type Output = Ready;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ready> {
        let ready = self.session.mailbox.lock().ready(self.owner, cx.waker());
        ready.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Session {
    /// Ready once a newer carrier waits for the batch that is out. Asked by the writer of that batch when
    /// the connection takes nothing more at the moment: it should drop the batch then.
    pub fn poll_overtaken(&self, cx: &Context<'_>) -> Poll<()> {
        let mut mailbox = self.mailbox.lock();
        if let Some(heir) = mailbox.heir().cloned() {
            drop(mailbox);
            return heir.poll_overtaken(cx);
        }
        mailbox.poll_overtaken(cx)
    }
}

/// While it lives a held connect sleeps on, because this request's response carries the queue.
#[derive(Debug)]
pub struct RequestGuard(pub(super) Arc<Session>);

impl RequestGuard {
    /// Takes the queue for the response, unless a WebSocket or only connect replies may carry it.
    #[must_use]
    pub fn take(&self) -> Option<Batch> {
        let frames = self.0.mailbox.lock().take(None, Take::ALL)?;
        Some(Batch::new(Arc::clone(&self.0), frames, Generation::NONE))
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let waker = self.0.mailbox.lock().request_ended();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
