//! One message of the API: its checks, its way to the subscribers, its receipt.

use std::{borrow::Cow, sync::Arc, time::Instant};

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{
    Api, Caller,
    idempotency::{Claim, Fingerprint, Name, Outcome, Ticket},
    now,
    problem::Problem,
};
use crate::{
    auth::Principal,
    bayeux::{ChannelName, Kind, Refusal},
    broker::{Payload, Published, Reach, Sid, Wakes},
    events::Via,
    otel::Publishing,
    server::{
        app::App,
        dispatch::{Taken, carry, carry_told, stamped},
        report::Notice,
        trace,
    },
};

/// Who publishes.
pub(super) struct Publisher {
    pub(super) caller: Caller,
    pub(super) principal: Principal,
}

/// A message as it was sent, its channel not yet checked.
#[derive(Debug, Default)]
pub(super) struct Entry<'a> {
    pub(super) channel: Option<Cow<'a, str>>,
    pub(super) data: Option<&'a RawValue>,
    pub(super) ext: Option<&'a RawValue>,
    /// Fields of the publisher's own, which subscribers get.
    pub(super) extra: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// Sessions that shall not get it.
    pub(super) exclude: Vec<Sid>,
    pub(super) idempotency_key: Option<Cow<'a, str>>,
    /// The message is one of a broadcast, whose key covers several channels.
    pub(super) broadcast: bool,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    /// Sessions in whose queue it is.
    pub(super) sessions: usize,
    /// Those of them without an open carrier.
    pub(super) queued: usize,
    /// The message was published before; this is the result of then.
    pub(super) replayed: bool,
}

/// A message that passed its checks.
struct Checked<'e, 'a> {
    channel: ChannelName,
    data: &'a RawValue,
    entry: &'e Entry<'a>,
}

/// A message that is about to be published.
struct Begun {
    reach: Arc<Reach>,
    notice: Option<Notice>,
    now: Instant,
}

impl Publisher {
    /// Publishes messages one after the other; those that could not be read keep their places. Tells
    /// what is refused.
    ///
    /// Once the key has used up its rate, or the broker is full, the rest is refused too, though there may
    /// be a place for it meanwhile: sent again it follows what was refused before it, so the order of a
    /// channel holds.
    pub(super) async fn publish_all(
        &self,
        entries: Vec<Result<Entry<'_>, Problem>>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(entries.len());
        // Fired when the request is done, so that a burst wakes each receiver once.
        let mut wakes = Wakes::default();
        let mut end = None;
        for entry in entries {
            let outcome = match (&entry, &end) {
                (Ok(entry), None) => self.publish(entry, &mut wakes).await,
                (Ok(entry), Some(problem)) => {
                    self.check(entry).and_then(|_| Err(Problem::clone(problem)))
                }
                (Err(problem), _) => Err(problem.clone()),
            };
            if let Err(problem) = &outcome {
                let channel = entry.as_ref().ok().and_then(|entry| entry.channel.as_deref());
                self.caller.log(problem, channel);
            }
            if let Err(problem @ (Problem::RateLimited(_) | Problem::Overloaded)) = &outcome {
                end = Some(problem.clone());
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Publishes a message, unless its key has used up its rate.
    pub(super) async fn publish(&self, entry: &Entry<'_>, wakes: &mut Wakes) -> Outcome {
        let checked = self.check(entry)?;
        self.api().admit(&self.principal, now()).map_err(Problem::RateLimited)?;
        self.send(checked, wakes).await
    }

    fn api(&self) -> &Api {
        &self.caller.app.api
    }

    fn check<'e, 'a>(&self, entry: &'e Entry<'a>) -> Result<Checked<'e, 'a>, Problem> {
        let limit = self.caller.app.live.api_message_size.now();
        if entry.bytes() > limit {
            return Err(Problem::TooLarge { limit, key: "api.message_size" });
        }
        let text = entry.channel.as_deref().ok_or(Problem::ChannelInvalid(None))?;
        let channel = ChannelName::parse(text, self.caller.app.live.name)
            .map_err(|error| Problem::ChannelInvalid(Some(error)))?;
        if channel.kind() != Kind::Broadcast || self.caller.app.broker.is_monitoring(&channel) {
            return Err(Problem::ChannelReserved);
        }
        if channel.is_pattern() {
            return Err(Problem::ChannelPattern);
        }
        let data = entry.data.ok_or(Problem::DataMissing)?;
        if !self.principal.may_publish(&channel) {
            let key = Arc::clone(self.principal.id());
            return Err(match self.principal.publishes() {
                true => Problem::ChannelDenied { key },
                false => Problem::RoleDenied { key },
            });
        }
        Ok(Checked { channel, data, entry })
    }

    async fn send(&self, message: Checked<'_, '_>, wakes: &mut Wakes) -> Outcome {
        let Some(key) = message.entry.idempotency_key.as_deref() else {
            let Begun { reach, notice, now } = self.start(&message);
            let (published, taken) = self.enter(&message, &reach, now)?;
            arrive(&self.caller.app, published, notice, wakes).await;
            taken.settle(&self.caller.app);
            return Ok(Receipt::of(&reach));
        };
        let fingerprint = message.fingerprint();
        let channel = if message.entry.broadcast { message.channel.as_str() } else { "" };
        loop {
            let name = Name::new(self.principal.id(), key, channel);
            match self.api().idempotency.claim(name, fingerprint, now()) {
                Claim::First(ticket) => return self.send_first(&message, ticket).await,
                Claim::Done(receipt) => return Ok(Receipt { replayed: true, ..receipt }),
                Claim::Conflict => return Err(Problem::IdempotencyConflict),
                Claim::Wait(mut first) => {
                    wakes.fire();
                    let told = first.wait_for(Option::is_some).await;
                    let outcome = told.ok().and_then(|outcome| outcome.clone());
                    if let Some(outcome) = outcome {
                        return outcome.map(|receipt| Receipt { replayed: true, ..receipt });
                    }
                }
            }
        }
    }

    fn enter(
        &self,
        message: &Checked<'_, '_>,
        reach: &Arc<Reach>,
        now: Instant,
    ) -> Result<(Published, Taken), Refusal> {
        let app = &self.caller.app;
        let published = stamped(app, message.payload(), |payload| {
            app.broker.publish_counted(None, &message.channel, payload, Arc::clone(reach), now)
        })?;
        Ok((published, Taken::count(app, Via::Http, &message.payload(), now)))
    }

    /// Looks who wants to know of a message: its publisher how many it reaches, listeners what it is, and
    /// a tracer how it goes on.
    fn start(&self, message: &Checked<'_, '_>) -> Begun {
        let (app, payload, channel) = (&self.caller.app, message.payload(), &message.channel);
        let now = now();
        let trace =
            trace::begin(app, channel, &payload, Via::Http, self.caller.parent.as_ref(), now);
        let reach = Reach::new(message.entry.exclude.as_slice());
        let reach = Arc::new(reach.followed(trace.as_ref().map(Publishing::trail)));
        let heeded = trace.is_some() || app.broker.heeds_publish(None, channel);
        let notice = || Notice::new(app, None, channel, &payload, Via::Http, &reach).traced(trace);
        Begun { notice: heeded.then(notice), reach, now }
    }

    /// Publishes in a task of its own: a client that gives up meanwhile and tries again, which is
    /// what the key is for, must not find the first attempt forgotten.
    async fn send_first(&self, message: &Checked<'_, '_>, ticket: Ticket) -> Outcome {
        let app = Arc::clone(&self.caller.app);
        let Begun { reach, notice, now: began } = self.start(message);
        let published = self.enter(message, &reach, began);
        let rest = async move {
            let outcome = match published {
                Ok((published, taken)) => {
                    arrive(&app, published, notice, &mut Wakes::default()).await;
                    taken.settle(&app);
                    Ok(Receipt::of(&reach))
                }
                Err(refusal) => Err(Problem::from(refusal)),
            };
            ticket.settle(outcome.clone(), now());
            outcome
        };
        // The task fails only with the runtime, at the very end of a stop.
        self.caller.app.tasks.spawn(rest).await.unwrap_or(Err(Problem::Draining))
    }
}

/// Waits until a message is in every queue, and tells listeners, if there are any.
async fn arrive(app: &App, published: Published, notice: Option<Notice>, wakes: &mut Wakes) {
    match notice {
        None => carry(app, published, wakes).await,
        // Boxed: few are listened to, and every request would keep the room for it.
        Some(notice) => Box::pin(carry_told(app, published, notice, wakes)).await,
    }
}

impl Entry<'_> {
    /// The size that `api.message_size` bounds.
    fn bytes(&self) -> usize {
        let raw = |value: Option<&RawValue>| value.map_or(0, |value| value.get().len());
        let extra: usize =
            self.extra.iter().map(|(name, value)| name.len() + value.get().len()).sum();
        self.channel.as_deref().map_or(0, str::len) + raw(self.data) + raw(self.ext) + extra
    }
}

impl<'e> Checked<'e, '_> {
    fn payload(&self) -> Payload<'e> {
        Payload { data: self.data, ext: self.entry.ext, extra: &self.entry.extra }
    }

    /// A hash of all that makes this message. Lengths stand before the parts, so that no two
    /// messages run into the same bytes.
    fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(self.channel.as_str());
        add(self.data.get());
        add(self.entry.ext.map_or("", RawValue::get));
        for (name, value) in &self.entry.extra {
            add(name);
            add(value.get());
        }
        self.entry.exclude.iter().for_each(|sid| add(&sid.to_string()));
        hash.finalize().into()
    }
}

impl Receipt {
    fn of(reach: &Reach) -> Self {
        Self { sessions: reach.sessions(), queued: reach.queued(), replayed: false }
    }
}

#[cfg(test)]
mod tests;
