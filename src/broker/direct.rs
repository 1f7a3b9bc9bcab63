//! A message for one session alone: what a service answers its caller.
//!
//! No topic has a part in it, so nothing orders it among what others publish.
//! Source: protocol.md 114, 115.

use std::sync::Arc;

use super::{Broker, payload::Payload, session::Session};
use crate::{
    bayeux::{ChannelName, Frame, Handling, QueuePolicy, Refusal},
    events::{Cause, Policy},
};

impl Broker {
    /// Asks for room for what a client is about to cause.
    ///
    /// # Errors
    /// `503::overloaded` at the ceiling of queued bytes.
    pub fn admit(&self) -> Result<(), Refusal> {
        if self.pressure_percent() >= 100 {
            self.counters.publishes_refused.add(1);
            return Err(Refusal::Overloaded);
        }
        Ok(())
    }

    /// Puts a message into the queue of `session`, whatever it subscribed to.
    ///
    /// False if it did not get there: the session has ended, or ends now because its queue is full.
    pub fn deliver(
        &self,
        session: &Arc<Session>,
        channel: &ChannelName,
        message: Payload<'_>,
    ) -> bool {
        let handling = Handling::from(QueuePolicy::Disconnect);
        let frame =
            Frame::encode(channel, message.data, message.ext, message.extra, handling, &self.meter);
        let pushed = session.push(&frame);
        if let Some(policy) = pushed.dropped.policy() {
            self.counters.dropped(pushed.dropped);
            self.tell_queue(session, policy);
        }
        self.counters.queued.add(usize::from(pushed.entered));
        if let Some(waker) = pushed.waker {
            waker.wake();
        }
        if pushed.overflow {
            let session = session.latest();
            self.tell_queue(&session, Policy::Disconnect);
            self.end(&session, Cause::Slow);
        }
        pushed.entered
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use super::*;
    use crate::{
        broker::{
            Carrier,
            tests::{Bell, drain, id, name, raw, start},
        },
        config::Config,
    };

    #[test]
    fn a_message_for_one_session_wakes_it_and_no_other_has_it() {
        let broker = Broker::new(&Config::default(), start());
        let open = |number| {
            let session = broker.handshake(id(number), None, start()).unwrap();
            broker.subscribe(&session, &name("/**")).unwrap();
            let (_, owner) = broker.connect(&session, Carrier::Socket, start());
            (session, owner)
        };
        let ((one, owner), (other, _)) = (open(1), open(2));
        let (bell, waker) = Bell::new();
        let signal = &mut std::pin::pin!(one.signal(owner));
        assert!(Future::poll(signal.as_mut(), &mut Context::from_waker(&waker)).is_pending());
        assert!(broker.deliver(&one, &name("/service/a"), Payload::from(&*raw("7"))));
        assert_eq!((bell.rings(), drain(&one, owner), other.queued()), (1, vec![7], 0));
        assert_eq!(broker.channels(), 1, "no topic was made");
    }

    #[test]
    fn a_full_queue_ends_the_session_and_an_ended_one_takes_nothing() {
        let mut config = Config::default();
        config.session.queue.max_messages = 1;
        let broker = Broker::new(&config, start());
        let session = broker.handshake(id(1), None, start()).unwrap();
        let deliver = || broker.deliver(&session, &name("/service/a"), Payload::from(&*raw("7")));
        assert_eq!((deliver(), deliver(), deliver()), (true, false, false));
        assert_eq!(broker.counters().sessions_ended.of(Cause::Slow), 1);
        assert_eq!(broker.sessions(), 0);
    }

    #[test]
    fn at_the_ceiling_of_queued_bytes_nothing_is_admitted() {
        let mut config = Config::default();
        config.limits.queued_bytes = Some(100);
        let broker = Broker::new(&config, start());
        let session = broker.handshake(id(1), None, start()).unwrap();
        assert_eq!(broker.admit(), Ok(()));
        let long = raw(&format!("\"{}\"", "x".repeat(100)));
        assert!(broker.deliver(&session, &name("/service/a"), Payload::from(&*long)));
        assert_eq!(broker.admit(), Err(Refusal::Overloaded));
        assert_eq!(broker.counters().publishes_refused.value(), 1);
    }
}
