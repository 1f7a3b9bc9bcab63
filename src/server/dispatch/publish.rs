//! One message from its publisher into every matching mailbox. Every publish, from wherever it comes,
//! goes this way.
//!
//! Source: protocol.md 61-64, 111-117, 131.

use std::{borrow::Cow, sync::Arc, time::Instant};

use serde_json::value::RawValue;
use tokio::{runtime::Handle, task::yield_now};

use crate::{
    bayeux::{ChannelName, Refusal},
    broker::{Broker, Delivered, Delivery, Payload, Progress, Published, Reach, Session, Wakes},
    events::Via,
    otel::Publishing,
    server::{app::App, clock, report::Notice, trace},
};

/// Publishes a message and waits until it is in every matching mailbox.
///
/// # Errors
/// Those of [`Broker::publish`].
pub(in crate::server) async fn publish(
    app: &App,
    publisher: Option<&Arc<Session>>,
    channel: &ChannelName,
    payload: Payload<'_>,
    wakes: &mut Wakes,
) -> Result<(), Refusal> {
    let (now, from) = (clock::now(), publisher.map(|session| &**session));
    let trace = trace::begin(app, channel, &payload, Via::Bayeux, None, now);
    if trace.is_none() && !app.broker.heeds_publish(from, channel) {
        let published = stamped(app, payload, |payload| {
            Broker::publish(&app.broker, from, channel, payload, now)
        })?;
        let taken = Taken::count(app, Via::Bayeux, &payload, now);
        carry(app, published, wakes).await;
        taken.settle(app);
        return Ok(());
    }
    let reach = Reach::default().followed(trace.as_ref().map(Publishing::trail));
    let reach = Arc::new(reach);
    let notice = Notice::new(app, publisher, channel, &payload, Via::Bayeux, &reach).traced(trace);
    let published = stamped(app, payload, |payload| {
        app.broker.publish_counted(from, channel, payload, reach, now)
    })?;
    let taken = Taken::count(app, Via::Bayeux, &payload, now);
    // Boxed: few are listened to, and every request would keep the room for it.
    Box::pin(carry_told(app, published, notice, wakes)).await;
    taken.settle(app);
    Ok(())
}

/// A message that the broker has taken from its publisher.
pub(in crate::server) struct Taken {
    via: Via,
    /// When it came, of one message in eight; of the others nobody asks how long they take.
    at: Option<Instant>,
}

impl Taken {
    /// Counts a message that came at `now`.
    pub(in crate::server) fn count(
        app: &App,
        via: Via,
        payload: &Payload<'_>,
        now: Instant,
    ) -> Self {
        app.metrics.message_size.record(payload.data.get().len() as u64);
        let before = app.metrics.received.add(via, 1);
        Self { via, at: before.is_multiple_of(MEASURED_EVERY).then_some(now) }
    }

    /// It is in every queue: notes how long that took.
    pub(in crate::server) fn settle(self, app: &App) {
        let Some(at) = self.at else { return };
        let took = clock::now().saturating_duration_since(at);
        app.metrics.publish_duration.record(self.via, took.as_micros() as u64);
    }
}

/// Adds the time to what is published, if deliveries say it (protocol.md 131).
pub(in crate::server) fn stamped<R>(
    app: &App,
    payload: Payload<'_>,
    send: impl FnOnce(Payload<'_>) -> R,
) -> R {
    let stamp = app.timestamp().and_then(|now| RawValue::from_string(format!("\"{now}\"")).ok());
    let extra = stamp.as_deref().map(|stamp| with_timestamp(payload.extra, stamp));
    let extra = extra.as_deref().unwrap_or(payload.extra);
    send(Payload { extra, ..payload })
}

/// Waits until a published message is in every matching mailbox, carrying it there if need be.
pub(in crate::server) async fn carry(app: &App, published: Published, wakes: &mut Wakes) {
    match published {
        Published::Walk(delivery) => {
            let mut walk = Walk { app, delivery: Some(delivery) };
            loop {
                match walk.step(wakes) {
                    // A batch of small walks is as long as a large one.
                    Progress::Done if wakes.is_tired() => {
                        wakes.rest();
                        return yield_now().await;
                    }
                    // The rest, if any, belongs to other publishers: this one need not wait for it.
                    Progress::Done | Progress::Others => return,
                    Progress::More => {
                        wakes.rest();
                        yield_now().await;
                    }
                }
            }
        }
        Published::Behind(delivered) => {
            wakes.fire();
            delivered.await;
        }
    }
}

/// As [`carry`], and tells listeners; also if the publisher leaves before.
pub(in crate::server) async fn carry_told(
    app: &App,
    published: Published,
    notice: Notice,
    wakes: &mut Wakes,
) {
    let mut telling = Telling { app, notice: Some(notice), behind: None };
    match published {
        Published::Behind(delivered) => {
            wakes.fire();
            telling.behind.insert(delivered).await;
            telling.behind = None;
        }
        // Cancelled, this future ends before `telling` does: the walk goes on elsewhere then.
        Published::Walk(delivery) => {
            telling.behind = Some(delivery.arrival());
            carry(app, Published::Walk(delivery), wakes).await;
            telling.behind = None;
        }
    }
}

/// A walk whose publisher may leave, done or not. What is left of it then goes on in a task of its own, with
/// pauses: dropped, a [`Delivery`] would finish in one go all that others publish meanwhile.
struct Walk<'a> {
    app: &'a App,
    /// Always there; taken at the end.
    delivery: Option<Delivery>,
}

impl Walk<'_> {
    fn step(&mut self, wakes: &mut Wakes) -> Progress {
        self.delivery.as_mut().map_or(Progress::Done, |delivery| delivery.step(wakes))
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        let Some(rest) = self.delivery.take().filter(|delivery| !delivery.is_done()) else {
            return;
        };
        if let Ok(runtime) = Handle::try_current() {
            self.app.tasks.spawn_on(finish(rest), &runtime);
        }
    }
}

/// Tells of a message when it ends, once the message has arrived.
struct Telling<'a> {
    app: &'a App,
    notice: Option<Notice>,
    /// The message has not arrived; if its publisher leaves, others will deliver it.
    behind: Option<Delivered>,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        let Some(notice) = self.notice.take() else { return };
        match (self.behind.take(), Handle::try_current()) {
            (Some(delivered), Ok(runtime)) => {
                let arrival = async move {
                    delivered.await;
                    notice.tell();
                };
                self.app.tasks.spawn_on(arrival, &runtime);
            }
            _ => notice.tell(),
        }
    }
}

/// The unknown fields of a message with our `timestamp` instead of the publisher's (protocol.md 131).
fn with_timestamp<'a>(
    extra: &[(Cow<'a, str>, &'a RawValue)],
    stamp: &'a RawValue,
) -> Vec<(Cow<'a, str>, &'a RawValue)> {
    let others = extra.iter().filter(|(name, _)| name != TIMESTAMP).cloned();
    others.chain([(Cow::Borrowed(TIMESTAMP), stamp)]).collect()
}

async fn finish(mut delivery: Delivery) {
    let mut wakes = Wakes::default();
    while delivery.step(&mut wakes) != Progress::Done {
        wakes.rest();
        yield_now().await;
    }
}

const TIMESTAMP: &str = "timestamp";
/// The clock is not read for every message.
const MEASURED_EVERY: u64 = 8;

#[cfg(test)]
mod tests;
