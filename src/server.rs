//! The asynchronous shell: sockets in, responses and frames out.
//!
//! What decides lives in [`crate::broker`]; here is what waits. A connection is accepted
//! ([`listen`]), speaks HTTP (`http`), is routed (`route`) to a poll (`polling`), a stream
//! (`streaming`) or becomes a WebSocket ([`websocket`]), or speaks raw TCP (`socket`);
//! all of them hand their messages to `dispatch`.
//! [`Server::run`] takes its sockets and its signals as arguments, so tests bring their own.

mod app;
mod body;
mod connect;
mod console;
mod credentials;
mod dispatch;
mod drain;
mod exchange;
mod fallback;
mod handshake;
mod host;
mod http;
mod inbound;
mod lean;
mod link;
mod live;
mod local;
mod metrics;
mod park;
mod polling;
mod publish;
mod query;
mod report;
mod route;
mod services;
mod socket;
mod streaming;
mod timesync;
mod trace;
mod unwritten;
mod whence;

pub mod admin;
pub mod clock;
pub mod cookie;
pub mod files;
pub mod forwarded;
pub mod listen;
pub mod origin;
pub mod pace;
pub mod websocket;

use std::{
    future::{Future, pending, poll_fn},
    net::{SocketAddr, TcpListener as StdListener},
    path::Path,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    select,
    sync::mpsc,
    task::{JoinSet, yield_now},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tracing::{error, warn};

pub use self::{
    admin::ReloadCall,
    drain::Drained,
    exchange::Exchange,
    live::{ReloadError, Reloaded, Reloader},
    local::{Handle, HandleError, Message, Subscription},
    services::{
        BadService, Call, ServiceCounters, ServiceError, ServiceOptions, ServiceResult,
        check_services,
    },
};
use self::{
    app::App,
    console::Console,
    cookie::CookieError,
    files::{Files, NoDirectory},
    forwarded::BadRange,
    http::Listener,
    listen::{Acceptor, BindError, Connections},
    origin::BadOrigin,
    trace::Exporting,
};
use crate::{
    auth::BadKey,
    broker::{Broker, LAZY_TICK, TICK},
    config::{Config, Machine},
    events::{NodeEvent, PULSE},
    otel::BadOtel,
};

/// Why a server cannot start. The operator is at fault unless the system itself fails.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// `session.browser_cookie` does not work.
    #[error(transparent)]
    Cookie(#[from] CookieError),
    /// `server.allowed_origins` does not work.
    #[error(transparent)]
    Origin(#[from] BadOrigin),
    /// `server.trusted_proxies` does not work.
    #[error(transparent)]
    Proxies(#[from] BadRange),
    /// `auth.keys` does not work.
    #[error(transparent)]
    Keys(#[from] BadKey),
    /// `services` does not work.
    #[error(transparent)]
    Services(#[from] BadService),
    /// `otel` does not work.
    #[error(transparent)]
    Otel(#[from] BadOtel),
    /// The directory of `--static` does not work.
    #[error(transparent)]
    Files(#[from] NoDirectory),
    /// A socket that was handed in does not work.
    #[error("cannot use a listening socket: {0}")]
    Listener(std::io::Error),
    /// The system has no random bytes.
    #[error("the system's random source does not work: {0}")]
    Random(String),
    /// The hash function refused its key; cannot happen with the keys we make.
    #[error("cannot set up a keyed hash")]
    Key,
}

/// A broker with its listeners, not yet running.
pub struct Server {
    app: Arc<App>,
    main: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    admin: Option<TcpListener>,
    admin_address: Option<SocketAddr>,
    socket: Option<TcpListener>,
    socket_address: Option<SocketAddr>,
    files: Option<Files>,
}

impl Server {
    /// Opens the listeners of `config`. Has to be called inside a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`]; its text says what to do.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let listen = |address: &SocketAddr| listen::bind(*address, "server.listen (--listen)");
        let main = config.server.listen.iter().map(listen).collect::<Result<_, _>>()?;
        let admin =
            config.admin.listen.map(|address| listen::bind(address, "admin.listen (--admin)"));
        Self::new(main, admin.transpose()?, config)
    }

    /// Uses sockets that already listen instead of `server.listen` and `admin.listen`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn from_listeners(
        main: Vec<StdListener>,
        admin: Option<StdListener>,
        config: Config,
    ) -> Result<Self, StartError> {
        let adopt = |listener: StdListener| {
            listener.set_nonblocking(true).map_err(StartError::Listener)?;
            TcpListener::from_std(listener).map_err(StartError::Listener)
        };
        let main = main.into_iter().map(adopt).collect::<Result<_, _>>()?;
        Self::new(main, admin.map(adopt).transpose()?, config)
    }

    fn new(
        main: Vec<TcpListener>,
        admin: Option<TcpListener>,
        config: Config,
    ) -> Result<Self, StartError> {
        let address = |listener: &TcpListener| listener.local_addr().map_err(StartError::Listener);
        let addresses: Vec<SocketAddr> = main.iter().map(address).collect::<Result<_, _>>()?;
        let admin_address = admin.as_ref().map(address).transpose()?;
        let socket = config
            .transports
            .socket
            .listen
            .map(|address| listen::bind(address, "transports.socket.listen"))
            .transpose()?;
        let socket_address = socket.as_ref().map(address).transpose()?;
        let loopback_only =
            addresses.iter().all(|address| origin::is_loopback_address(address.ip()));
        let written = config.clone();
        let config = config.effective(&Machine::read());
        let broker = Broker::telling_time(&config, clock::now(), clock::time_of_day);
        broker.measure_latency(clock::now);
        let app = Arc::new(App::new(config, broker, loopback_only)?);
        app.live.was_written(written);
        if let Some(tracer) = &app.tracer {
            app.broker.follow(tracer.follower());
        }
        let files = None;
        Ok(Self { app, main, addresses, admin, admin_address, socket, socket_address, files })
    }

    /// Also serves the files of `directory`, below every path that is not a Bayeux one.
    ///
    /// # Errors
    /// The directory does not exist or may not be read.
    pub fn serve_static(mut self, directory: &Path) -> Result<Self, StartError> {
        self.files = Some(Files::new(directory)?);
        Ok(self)
    }

    /// Where Bayeux clients connect.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where operators look.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Where clients connect that speak Bayeux over raw TCP.
    #[must_use]
    pub const fn socket_address(&self) -> Option<SocketAddr> {
        self.socket_address
    }

    /// The broker behind the listeners.
    #[must_use]
    pub fn broker(&self) -> &Arc<Broker> {
        &self.app.broker
    }

    /// A way to publish and subscribe from the program that the server runs in.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.app))
    }

    /// A client without a connection, to measure what a message costs by itself.
    #[must_use]
    pub fn exchange(&self) -> Exchange {
        Exchange::new(Arc::clone(&self.app))
    }

    /// Ready when an operator wants the broker to stop. [`Self::run`] follows such a wish by itself; this
    /// is for whoever else wants to know.
    pub fn stop_wish(&self) -> impl Future<Output = ()> + Send + use<> {
        let app = Arc::clone(&self.app);
        async move { app.admin.stops().await }
    }

    /// Operators' wishes to read the configuration again, each of which wants an answer. Without a
    /// receiver they are refused.
    #[must_use]
    pub fn reload_calls(&self) -> mpsc::Receiver<ReloadCall> {
        self.app.admin.reload_calls()
    }

    /// A way to change settings while the server runs.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader::new(Arc::clone(&self.app))
    }

    /// Serves until `shutdown`, then drains: clients are told to come back, connections close, all
    /// within `server.drain_timeout`. `abort` ends it at once, at any time; so does dropping the
    /// future. Afterwards what is left of the connections ends by itself.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()>,
        abort: impl Future<Output = ()>,
    ) -> Drained {
        let Self { app, main, addresses, admin, socket, files, .. } = self;
        let end = Ending(Arc::clone(&app));
        // Before anybody can listen, or a feed would sometimes begin with it.
        report::node(&app, NodeEvent::Start);
        let connections = app.connections.clone();
        let exporting = Exporting::start(&app);
        let mut service = JoinSet::new();
        let mut accepting = JoinSet::new();
        let files = files.map(Arc::new);
        for listener in main {
            let acceptor = Acceptor::new(listener, connections.clone());
            let listener = Listener::Main { files: files.clone() };
            accepting.spawn(http::accept(Arc::clone(&app), acceptor, listener));
        }
        if let Some(listener) = socket {
            let acceptor = Acceptor::new(listener, connections.clone()).without_http();
            accepting.spawn(socket::accept(Arc::clone(&app), acceptor));
        }
        if let Some(listener) = admin {
            let loopback_only = listener
                .local_addr()
                .is_ok_and(|address| origin::is_loopback_address(address.ip()));
            let acceptor = Acceptor::new(listener, Connections::new(ADMIN_CONNECTIONS));
            let console = app.config.admin.console.then(|| {
                let path = app.config.server.paths.first().cloned().unwrap_or_default();
                Arc::new(Console::new(addresses, path))
            });
            let listener = Listener::Admin { loopback_only, console };
            service.spawn(http::accept(Arc::clone(&app), acceptor, listener));
        }
        service.spawn(tick(Arc::clone(&app)));
        service.spawn(pulse(Arc::clone(&app)));
        if app.broker.has_lazy_channels() {
            service.spawn(wake_lazy(Arc::clone(&app)));
        }

        let mut abort = pin!(abort);
        let mut began = None;
        let drained = async {
            select! {
                () = shutdown => {}
                () = app.admin.stops() => {}
                () = one_died(&mut accepting) => {}
                () = one_died(&mut service) => {}
            }
            began = Some(clock::now());
            stop(&app, accepting, &connections).await;
        };
        let aborted = select! {
            () = drained => false,
            () = abort.as_mut() => true,
        };
        let drained = Drained {
            told: app.drain.told(),
            open: connections.open(),
            unsent: app.broker.unsent(),
            elapsed: began
                .map_or(Duration::ZERO, |began| clock::now().saturating_duration_since(began)),
            aborted,
        };
        app.broker.end_all();
        drop(end);
        // The process may end next: what is being written, the end of a feed say, must be written by then.
        app.admin_tasks.close();
        let _ = timeout(LAST_WRITES, app.admin_tasks.wait()).await;
        if let Some(exporting) = exporting.filter(|_| !aborted) {
            exporting.finish(&app).await;
        }
        service.shutdown().await;
        drained
    }
}

/// Ends the server when dropped, so also when [`Server::run`] is. Forgets services: a handler may hold a
/// [`Handle`], and so the server that holds it.
struct Ending(Arc<App>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.drain.end();
        self.0.services.close();
    }
}

/// Waits until one of the tasks that serve for ever has ended all the same: a bug of ours, after
/// which nobody would accept or expire any more. Stopping lets a supervisor start a whole broker.
async fn one_died(tasks: &mut JoinSet<()>) {
    match tasks.join_next().await {
        Some(ended) => error!(event = "error", panicked = ended.is_err(), "a service task ended"),
        None => pending().await,
    }
}

/// The steps of a graceful stop (architecture.md 8).
async fn stop(app: &Arc<App>, mut accepting: JoinSet<()>, connections: &Connections) {
    app.drain.announce();
    report::node(app, NodeEvent::Drain);
    sleep(app.live.drain_delay.now()).await;
    accepting.shutdown().await;
    let began = clock::now();
    let limit = app.live.drain_timeout.now();
    // A reply needs the connection of its caller, so calls of services come first. But what they take
    // of the time must leave enough for telling everybody.
    let _ = timeout(limit / 2, app.services.finish()).await;
    let left = limit.saturating_sub(clock::now().saturating_duration_since(began));
    app.drain.begin(app.broker.sessions(), left);
    app.tasks.close();
    let gone = timeout(left, app.tasks.wait()).await;
    if gone.is_err() {
        warn!(open = connections.open(), key = "server.drain_timeout", "drain timed out");
    }
}

/// Does what is due, until the server ends.
async fn tick(app: Arc<App>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = ticks.tick().await;
        let late = clock::now().saturating_duration_since(due.into_std());
        app.metrics.runtime_lag.record(late.as_micros() as u64);
        while app.broker.tick(clock::now()) {
            report::ended(&app);
            yield_now().await;
        }
        app.services.tick(clock::now());
        app.api.tick(clock::now());
        report::ended(&app);
    }
}

/// Brings events to listeners while there are any, until the server ends.
async fn pulse(app: Arc<App>) {
    let mut pulses = interval(PULSE);
    pulses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        poll_fn(|cx| app.broker.events().poll_listened(cx)).await;
        pulses.tick().await;
        app.broker.pulse(clock::now());
    }
}

/// Wakes whoever waits for lazy messages that are due, until the server ends.
async fn wake_lazy(app: Arc<App>) {
    let mut ticks = interval(LAZY_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        app.broker.wake_lazy(clock::now());
    }
}

/// Connections that the admin listener takes at once.
const ADMIN_CONNECTIONS: usize = 64;
/// Connections of operators end at once when told; this bounds what nobody expects.
const LAST_WRITES: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_dies_is_noticed() {
        let mut tasks = JoinSet::new();
        tasks.spawn(pending());
        tasks.spawn(async { panic!("a bug") });
        timeout(Duration::from_secs(5), one_died(&mut tasks)).await.expect("it is noticed");
    }
}
