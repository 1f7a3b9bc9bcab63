//! A publish: its checks, its encoding and its place in the order of its channel.
//!
//! What carries it on from there is the walk of [`Delivery`].
//! Source: Bayeux 1.0 on publishing; protocol.md 61-64, 113, 116.

use std::{sync::Arc, time::Instant};

use super::{
    Broker,
    deliver::Delivery,
    deliveries::is_timed,
    follow::FOLLOWS,
    monitor::is_feed_b,
    payload::Payload,
    reach::Reach,
    session::Session,
    subscribe::SECURITY_POLICY,
    topic::{Delivered, Pending, Retired},
};
use crate::bayeux::{ChannelName, Frame, Handling, Kind, Mark, Refusal};

/// What a publish led to: nothing left to do, or a walk that the caller steps to its end.
#[must_use = "an unfinished delivery must be stepped"]
pub enum Published {
    /// The caller carries this walk on, for itself and for publishers that came meanwhile.
    Walk(Delivery),
    /// Another publisher of the channel is walking and takes this message along; wait for it.
    Behind(Delivered),
}

/// Who publishes, and when.
struct Sending<'a> {
    publisher: Option<&'a Session>,
    reach: Option<Arc<Reach>>,
    now: Instant,
}

impl Broker {
    /// Encodes a message and starts its way to every matching session.
    ///
    /// `publisher` is left out when the channel's rule says so (protocol.md 63). Wakers of sessions
    /// that became readable are collected in `wakes` by [`Delivery::step`].
    ///
    /// # Errors
    /// Refusals of protocol.md 113 and 116, and `503::overloaded` at the ceiling of queued bytes.
    pub fn publish(
        self: &Arc<Self>,
        publisher: Option<&Session>,
        channel: &ChannelName,
        message: Payload<'_>,
        now: Instant,
    ) -> Result<Published, Refusal> {
        self.send(Sending { publisher, reach: None, now }, channel, message)
    }

    /// As [`Self::publish`]; `reach` leaves sessions out and counts those that get the message.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub fn publish_counted(
        self: &Arc<Self>,
        publisher: Option<&Session>,
        channel: &ChannelName,
        message: Payload<'_>,
        reach: Arc<Reach>,
        now: Instant,
    ) -> Result<Published, Refusal> {
        self.send(Sending { publisher, reach: Some(reach), now }, channel, message)
    }

    fn send(
        self: &Arc<Self>,
        sending: Sending<'_>,
        channel: &ChannelName,
        message: Payload<'_>,
    ) -> Result<Published, Refusal> {
        if channel.kind() != Kind::Broadcast {
            return Err(Refusal::ChannelCreateDenied { reason: SECURITY_POLICY });
        }
        if is_feed_b(&self.settings.monitor_prefix, channel.as_str()) {
            return Err(Refusal::PublishDenied { reason: "monitor_channel" });
        }
        if channel.is_pattern() {
            return Err(Refusal::PublishDenied { reason: "wildcard_channel" });
        }
        self.admit()?;
        let Sending { publisher, reach, now } = sending;
        let rule = self.rules.of(channel);
        let lazy_until = (!rule.lazy.is_zero()).then(|| self.clock.after(now, rule.lazy));
        let timed = is_timed(self.counters.published.value());
        let trail = if FOLLOWS { reach.as_ref().and_then(|reach| reach.trail()) } else { None };
        let mark = (timed || trail.is_some())
            .then(|| Mark::new(self.clock.micros(now), timed, trail))
            .flatten();
        let frame = Frame::encode(
            channel,
            message.data,
            message.ext,
            message.extra,
            Handling { policy: rule.queue_policy, lazy_until, mark },
            &self.meter,
        );
        let except = publisher.filter(|_| !rule.broadcast_to_publisher).map(Session::kin);
        let mut pending = Pending { frame, except, reach };
        loop {
            let topic = self
                .topic(channel)
                .ok_or(Refusal::ChannelCreateDenied { reason: "channel_limit" })?;
            let (seq, holder) = match topic.enqueue(pending) {
                Ok(place) => place,
                Err(Retired(message)) => {
                    pending = message;
                    continue;
                }
            };
            self.counters.published.add(1);
            topic.note_publish(self.clock.latest());
            if let Some(publisher) = publisher {
                publisher.note_publish();
            }
            return Ok(if holder {
                Published::Walk(Delivery::new(Arc::clone(self), topic, seq))
            } else {
                Published::Behind(Delivered::new(topic, seq))
            });
        }
    }
}
