//! Service channels: messages to `/service/**` that the application answers.
//!
//! A service is a handler of the embedding program ([`Handle::serve`](super::Handle::serve)) or a
//! back-end over HTTP (`[[services]]`, `back_end`). A call runs as a task of its own: the publish is
//! answered at once, and what the service says comes later as a message for this session alone, so a
//! slow service holds up nobody. No call waits for another: where a bound is reached (`slots`), its
//! caller is told so. A message to a service channel that nobody serves is answered and goes nowhere.
//! Source: protocol.md 114, 115; CometD's `AbstractService` and `@RemoteCall`.

mod back_end;
mod call;
mod counters;
mod failure;
mod reply;
mod slots;

use std::{
    collections::{HashMap, hash_map::Entry},
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    time::Instant,
};

use parking_lot::{Mutex, RwLock};
use serde_json::value::RawValue;
use tokio::{select, time::timeout};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

pub(super) use self::failure::Failure;
use self::{back_end::BackEnd, reply::Caller, slots::Slots};
pub use self::{
    call::{BadService, Call, ServiceError, ServiceOptions},
    counters::ServiceCounters,
};
use super::app::App;
use crate::{
    bayeux::{ChannelName, Kind, NameLimits, Refusal, deeper_than},
    broker::Session,
    config::{self, Config},
};

/// What a service says: data, nothing (then the caller gets nothing), or why it failed.
pub type ServiceResult = Result<Option<Box<RawValue>>, ServiceError>;

type Handler =
    Arc<dyn Fn(Call) -> Pin<Box<dyn Future<Output = ServiceResult> + Send>> + Send + Sync>;

/// Everything that is served, and the calls in flight.
pub(crate) struct Services {
    by_pattern: RwLock<HashMap<ChannelName, Arc<Service>>>,
    slots: Arc<Slots>,
    counters: ServiceCounters,
    /// The calls of before a stop, which waits for them; replaced when it begins.
    calls: Mutex<TaskTracker>,
}

/// What answers the channels under one pattern.
struct Service {
    pattern: ChannelName,
    options: ServiceOptions,
    slots: Arc<slots::InFlight>,
    provider: Provider,
}

enum Provider {
    Handler(Handler),
    BackEnd(Box<BackEnd>),
}

impl Services {
    /// Makes the back-ends of the configuration; reads the files that hold secrets.
    ///
    /// # Errors
    /// The first entry that cannot be used.
    pub(crate) fn new(config: &Config, names: NameLimits) -> Result<Self, BadService> {
        let limits = &config.limits;
        let services = Self {
            by_pattern: RwLock::default(),
            slots: Slots::new(limits.service_calls, limits.service_calls_per_session),
            counters: ServiceCounters::default(),
            calls: Mutex::new(TaskTracker::new()),
        };
        for entry in &config.services {
            let options = ServiceOptions::from(entry);
            let provider = Provider::BackEnd(Box::new(BackEnd::new(entry)?));
            services.add(&entry.channel, names, options, provider)?;
        }
        Ok(services)
    }

    /// Lets `handler` answer the channels under `pattern`.
    ///
    /// # Errors
    /// A pattern that is no service channel, or that is served already.
    pub(super) fn serve<F, Fut>(
        &self,
        pattern: &str,
        names: NameLimits,
        options: ServiceOptions,
        handler: F,
    ) -> Result<(), BadService>
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ServiceResult> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |call| Box::pin(handler(call)));
        self.add(pattern, names, options, Provider::Handler(handler))
    }

    fn add(
        &self,
        pattern: &str,
        names: NameLimits,
        options: ServiceOptions,
        provider: Provider,
    ) -> Result<(), BadService> {
        let bad = |error| BadService::Name { channel: pattern.to_owned(), error };
        let pattern = ChannelName::parse(pattern, names).map_err(bad)?;
        if pattern.kind() != Kind::Service {
            return Err(BadService::Kind(pattern));
        }
        let slots = Arc::new(slots::InFlight::new(options.max_in_flight));
        match self.by_pattern.write().entry(pattern.clone()) {
            Entry::Occupied(_) => Err(BadService::Twice(pattern)),
            Entry::Vacant(entry) => {
                entry.insert(Arc::new(Service { pattern, options, slots, provider }));
                Ok(())
            }
        }
    }

    /// Hands a client's message to the service of its channel, if there is one, and does not wait for
    /// it: what comes of the call goes into the queue of `session`.
    ///
    /// # Errors
    /// `503::overloaded` at the ceiling of queued bytes. Other failures are the call's own.
    pub(super) fn call(
        app: &Arc<App>,
        session: &Arc<Session>,
        channel: &ChannelName,
        data: &RawValue,
        id: Option<&str>,
    ) -> Result<(), Refusal> {
        let services = &app.services;
        let Some(service) = services.find(channel) else { return Ok(()) };
        app.broker.admit()?;
        services.counters.calls.add(1);
        let call = Call::new(app.sid(&session.id()), channel.clone(), data.to_owned(), id);
        let caller = Caller {
            app: Arc::clone(app),
            session: Arc::clone(session),
            channel: channel.clone(),
            id: call.id().map(Into::into),
            form: service.options.reply,
        };
        let Some(slot) = services.slots.take(&service.slots, session.id()) else {
            caller.settle(&service.pattern, Err(Failure::Overloaded));
            return Ok(());
        };
        let token = services.calls.lock().token();
        let depth_max = app.live.json_depth.now();
        app.tasks.spawn(async move {
            let _token = token;
            let said = select! {
                said = service.answer(call, depth_max) => said,
                // Nobody is there any more who could be told.
                () = caller.app.drain.ended() => return,
            };
            // First, so that whoever has a reply may call again.
            drop(slot);
            caller.settle(&service.pattern, said);
        });
        Ok(())
    }

    /// The most specific service of a channel. A pattern is no channel to send to.
    fn find(&self, channel: &ChannelName) -> Option<Arc<Service>> {
        let by_pattern = self.by_pattern.read();
        if by_pattern.is_empty() || channel.is_pattern() {
            return None;
        }
        let mut found = None;
        // Most general first, so the most specific has the last word.
        channel.for_each_pattern(|name| found = by_pattern.get(name).or(found));
        found.map(Arc::clone)
    }

    /// Waits for the calls that are in flight now.
    pub(super) async fn finish(&self) {
        let calls = mem::take(&mut *self.calls.lock());
        calls.close();
        calls.wait().await;
    }

    /// Closes connections to back-ends that have been idle for some time.
    pub(super) fn tick(&self, now: Instant) {
        for service in self.by_pattern.read().values() {
            if let Provider::BackEnd(back_end) = &service.provider {
                back_end.close_idle(now);
            }
        }
    }

    /// Forgets handlers and connections. Handlers may hold what holds this.
    pub(super) fn close(&self) {
        // Dropped after the lock is released, for handlers are foreign code.
        drop(mem::take(&mut *self.by_pattern.write()));
    }

    /// Takes the bounds on calls that are made from now on.
    pub(super) fn reload(&self, limits: &config::Limits) {
        self.slots.calls_max.turn(limits.service_calls);
        self.slots.per_session_max.turn(limits.service_calls_per_session);
    }

    /// Counters since the start.
    pub(super) const fn counters(&self) -> &ServiceCounters {
        &self.counters
    }
}

#[cfg(test)]
impl Services {
    /// What a reload can change.
    pub(super) fn held(&self) -> String {
        format!("{:?} {:?}", self.slots.calls_max, self.slots.per_session_max)
    }
}

impl Service {
    /// Asks the handler or the back-end, and checks what it says.
    async fn answer(&self, call: Call, depth_max: usize) -> Result<Option<Box<RawValue>>, Failure> {
        let asking = async {
            match &self.provider {
                Provider::Handler(handler) => ask(Arc::clone(handler), call).await,
                Provider::BackEnd(back_end) => back_end.ask(&call).await,
            }
        };
        let said = timeout(self.options.timeout, asking).await.map_err(|_| Failure::Timeout)??;
        let Some(data) = said.as_deref().map(RawValue::get) else { return Ok(None) };
        if data.len() > self.options.max_reply {
            return Err(Failure::TooLarge);
        }
        // In a batch, and in its object, it lies two levels deeper.
        if deeper_than(data.as_bytes(), depth_max.saturating_sub(2)) {
            return Err(Failure::TooDeep);
        }
        Ok(said)
    }
}

/// Runs a handler as a task of its own, so that its panic is an answer too.
async fn ask(handler: Handler, call: Call) -> Result<Option<Box<RawValue>>, Failure> {
    let running = tokio::spawn(async move { handler(call).await });
    match AbortOnDropHandle::new(running).await {
        Ok(said) => said.map_err(Failure::Said),
        Err(_) => Err(Failure::Panicked),
    }
}

/// Checks the services of a configuration without starting anything.
///
/// # Errors
/// The first entry that cannot be used.
pub fn check_services(config: &Config, names: NameLimits) -> Result<(), BadService> {
    Services::new(config, names).map(drop)
}

impl From<&config::Service> for ServiceOptions {
    fn from(entry: &config::Service) -> Self {
        Self {
            reply: entry.reply,
            timeout: entry.timeout,
            max_in_flight: entry.max_in_flight,
            max_reply: entry.max_reply,
        }
    }
}
