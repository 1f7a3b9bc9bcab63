//! A listener of the program: what the admin API shows live comes through one.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    Events,
    event::{Event, Types},
    filter::Filter,
    listener::{Interest, Listener, ListenerId, TooMany},
    rights::Rights,
};
use crate::bayeux::ChannelName;

/// Takes events until it is dropped.
#[derive(Debug)]
pub struct Tap {
    events: Arc<Events>,
    id: ListenerId,
    payload: bool,
}

impl Events {
    /// Begins to listen. The bounds are those of `[monitor]`, and there are at most
    /// `monitor.max_subscribers` taps, besides the sessions that monitor.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn tap(self: &Arc<Self>, rights: Rights, filter: Filter) -> Result<Tap, TooMany> {
        let payload = rights.payload && self.payloads;
        let interest = Interest { name: ChannelName::root(), places: 1, types: Types::ALL, filter };
        let id = self.add(Arc::new(rights), vec![interest], true)?;
        Ok(Tap { events: Arc::clone(self), id, payload })
    }
}

impl Tap {
    /// Takes what waits, oldest first, at most `count_max` and the word about lost ones.
    #[must_use]
    pub fn take(&self, count_max: usize) -> Vec<Arc<Event>> {
        self.events.take(self.id, count_max).into_iter().map(|(event, _)| event).collect()
    }

    /// Waits until there is something to take. Cancel-safe: it takes nothing.
    #[must_use]
    pub const fn ready(&self) -> TapReady<'_> {
        TapReady(self)
    }

    /// Appends an event as JSON, with what was published if the holder may see it.
    pub fn write(&self, event: &Event, out: &mut Vec<u8>) {
        event.write(self.payload, out);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.events.forget(self.id);
    }
}

/// Future of [`Tap::ready`], built on std alone.
#[derive(Debug)]
pub struct TapReady<'a>(&'a Tap);

impl Future for TapReady<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.events.state();
        let waits = |listener: &mut Listener| listener.waits(cx.waker());
        if state.listener(self.0.id).is_some_and(waits) { Poll::Pending } else { Poll::Ready(()) }
    }
}
