//! Bayeux for the program that the broker runs in: publish, subscribe and serve without a connection.

use std::{future::Future, sync::Arc};

use serde_json::value::RawValue;
use tokio::select;

use super::{
    app::App,
    clock,
    dispatch::publish,
    services::{BadService, Call, ServiceCounters, ServiceOptions, ServiceResult},
};
use crate::{
    bayeux::{ChannelName, Frame, InvalidName, Kind, Refusal},
    broker::{Carrier, Cause, Generation, Payload, Ready, Session, SessionId, Take, Wakes},
};

/// Publishes to a running server, subscribes to it and serves channels of it; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    app: Arc<App>,
}

/// Why a call was refused; the caller is at fault, except for `503::overloaded`.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// Not a channel name.
    #[error("{0}")]
    Name(#[from] InvalidName),
    /// Refused as a client's message would be.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The system has no random bytes.
    #[error("the system's random source does not work")]
    Random,
}

impl Handle {
    pub(super) const fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Publishes `data` and waits until it is in the queue of every matching session.
    ///
    /// # Errors
    /// A bad channel name, or a refusal as for a client.
    pub async fn publish(&self, channel: &str, data: &RawValue) -> Result<(), HandleError> {
        let channel = ChannelName::parse(channel, self.app.live.name)?;
        let mut wakes = Wakes::default();
        publish(&self.app, None, &channel, Payload::from(data), &mut wakes).await?;
        Ok(())
    }

    /// Subscribes to a channel or pattern. The bounds of `[session.queue]` hold here too: whoever
    /// does not read loses the subscription.
    ///
    /// # Errors
    /// A bad channel name, or a refusal as for a client; also for a service channel, which clients may
    /// subscribe to in vain (protocol.md 69).
    pub fn subscribe(&self, channel: &str) -> Result<Subscription, HandleError> {
        let channel = ChannelName::parse(channel, self.app.live.name)?;
        if channel.kind() == Kind::Service {
            return Err(Refusal::SubscribeDenied { reason: "service_channel" }.into());
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| HandleError::Random)?;
        let now = clock::now();
        let session = self.app.broker.handshake(SessionId::from_bytes(random), None, now)?;
        let (_, generation) = self.app.broker.connect(&session, Carrier::Socket, now);
        let subscription =
            Subscription { app: Arc::clone(&self.app), session, generation, ready: Vec::new() };
        self.app.broker.subscribe(&subscription.session, &channel)?;
        Ok(subscription)
    }

    /// Lets `handler` answer what clients send to a service channel or pattern, until the server ends.
    /// Of several that cover a channel the most specific is asked.
    ///
    /// Calls run side by side, also those of one session. What the handler returns goes to the session
    /// that called and to nobody else: data, nothing, or an error that the client sees as
    /// `successful:false` and `data:{class,message}`. A panic is such an error too. A handler that
    /// takes longer than `options.timeout` is dropped.
    ///
    /// ```no_run
    /// # fn serve(handle: &bayeuxd::server::Handle) -> Result<(), bayeuxd::server::BadService> {
    /// use bayeuxd::server::{ServiceError, ServiceOptions};
    ///
    /// // Clients call `cometd.remoteCall("square", 7, reply => …)`.
    /// handle.serve("/service/square", ServiceOptions::default(), async |call| {
    ///     let Ok(number) = serde_json::from_str::<i32>(call.data().get()) else {
    ///         return Err(ServiceError::new("NotANumber", "a whole number, please"));
    ///     };
    ///     let square = i64::from(number).pow(2);
    ///     Ok(serde_json::value::to_raw_value(&square).ok())
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// A pattern that is not below `/service/`, or that is served already.
    pub fn serve<F, Fut>(
        &self,
        pattern: &str,
        options: ServiceOptions,
        handler: F,
    ) -> Result<(), BadService>
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ServiceResult> + Send + 'static,
    {
        self.app.services.serve(pattern, self.app.live.name, options, handler)
    }

    /// What became of messages to service channels, since the start.
    #[must_use]
    pub fn service_counters(&self) -> &ServiceCounters {
        self.app.services.counters()
    }
}

/// Messages of one channel or pattern; ends when dropped.
pub struct Subscription {
    app: Arc<App>,
    session: Arc<Session>,
    generation: Generation,
    /// Taken from the queue, newest first.
    ready: Vec<Frame>,
}

/// A message as a subscriber receives it.
#[derive(Debug, Clone)]
pub struct Message(Frame);

impl Message {
    /// The channel that it was published to.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        self.0.channel()
    }

    /// The whole message as JSON: `{"channel":…,"data":…}`.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        self.0.object()
    }
}

impl Subscription {
    /// Waits for the next message; `None` when the subscription has ended because its queue
    /// overflowed, or because the server has. Cancel-safe.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(frame) = self.ready.pop() {
                return Some(Message(frame));
            }
            let ready = select! {
                ready = self.session.signal(self.generation) => ready,
                () = self.app.drain.ended() => return None,
            };
            match ready {
                Ready::Messages => {
                    if let Some(mut batch) = self.session.take(self.generation, Take::WRITE) {
                        self.ready.extend(batch.frames().iter().rev().cloned());
                        batch.settle();
                    }
                }
                Ready::Superseded | Ready::Ended(_) => return None,
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.app.broker.end(&self.session, Cause::Client);
    }
}
