//! A broker in this process.
//!
//! It listens on free loopback ports and runs as a task of the test's own runtime, so that it ends
//! with the test. What no client can see (counters, live sessions) is read from its core.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use bayeuxd::{
    broker::{Cause, Counters},
    config::{ApiKey, Config, Transport},
    server::{Drained, Handle, Reloader, Server},
};
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle, time::sleep};

use crate::deadline::{soon, until, within};

/// A running broker.
pub struct Broker {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where operators ask for health.
    pub admin: SocketAddr,
    /// Where clients connect that speak raw TCP, if `transports.socket.listen` is set.
    pub socket: Option<SocketAddr>,
    /// Publishes and subscribes without a connection.
    pub handle: Handle,
    core: Arc<bayeuxd::broker::Broker>,
    reloader: Reloader,
    shutdown: Option<oneshot::Sender<()>>,
    abort: Option<oneshot::Sender<()>>,
    running: JoinHandle<Drained>,
}

impl Broker {
    /// Starts a broker with the defaults of a fresh installation.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a broker whose hold lasts `hold_ms` milliseconds.
    pub async fn holding(hold_ms: u64) -> Self {
        Self::with(|config| config.session.timeout = Duration::from_millis(hold_ms)).await
    }

    /// Starts a broker that offers callback-polling too, and holds for `hold_ms` milliseconds.
    pub async fn with_jsonp(hold_ms: u64) -> Self {
        Self::with(|config| {
            config.session.timeout = Duration::from_millis(hold_ms);
            config.transports.enabled.push(Transport::CallbackPolling);
        })
        .await
    }

    /// Starts a broker after `change` has had its way with the default configuration.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let bind = || TcpListener::bind("127.0.0.1:0").expect("bind a loopback port");
        let server = Server::from_listeners(vec![bind()], Some(bind()), config)
            .expect("the configuration of this test is valid");
        let address = server.addresses()[0];
        let admin = server.admin_address().expect("an admin listener was given");
        let socket = server.socket_address();
        let (core, handle) = (server.broker().clone(), server.handle());
        let reloader = server.reloader();
        let (shutdown, shutting_down) = oneshot::channel();
        let (abort, aborting) = oneshot::channel();
        let running = tokio::spawn(server.run(settled(shutting_down), settled(aborting)));
        Self {
            address,
            admin,
            socket,
            handle,
            core,
            reloader,
            shutdown: Some(shutdown),
            abort: Some(abort),
            running,
        }
    }

    /// Begins the graceful stop, as SIGTERM does.
    pub fn drain(&mut self) {
        self.shutdown.take();
    }

    /// Begins the graceful stop and waits for its end.
    pub async fn stop(mut self) -> Drained {
        self.drain();
        self.ended().await
    }

    /// Waits for the end of a stop that somebody else has begun.
    pub async fn ended(mut self) -> Drained {
        within(Duration::from_secs(10), "end of the drain", &mut self.running)
            .await
            .expect("the server does not panic")
    }

    /// Stops without a word to anyone, as SIGKILL would.
    pub async fn kill(mut self) {
        self.drain();
        self.abort.take();
        let _ = within(Duration::from_secs(10), "end of the broker", &mut self.running).await;
    }

    /// Everything counted since the start.
    pub fn counters(&self) -> &Counters {
        self.core.counters()
    }

    /// Where everything that happens is told.
    pub fn events(&self) -> &Arc<bayeuxd::events::Events> {
        self.core.events()
    }

    /// Number of live sessions.
    pub fn sessions(&self) -> usize {
        self.core.sessions()
    }

    /// Number of live channels, patterns included.
    pub fn channels(&self) -> usize {
        self.core.channels()
    }

    /// Whether a session lives.
    pub fn knows(&self, client_id: &str) -> bool {
        self.core.session(client_id).is_some()
    }

    /// Messages that wait for a session; 0 for an unknown one.
    pub fn queued(&self, client_id: &str) -> usize {
        self.core.session(client_id).map_or(0, |session| session.queued())
    }

    /// Whether a stream of the session is open.
    pub fn is_streamed(&self, client_id: &str) -> bool {
        self.core.session(client_id).is_some_and(|session| session.is_streamed())
    }

    /// Waits until a session has gone.
    ///
    /// # Panics
    /// If it lives on.
    pub async fn until_gone(&self, client_id: &str) {
        until("the end of the session", || !self.knows(client_id)).await;
    }

    /// The public name of a session.
    ///
    /// # Panics
    /// If there is no such session.
    pub fn sid(&self, client_id: &str) -> String {
        let sid = self.core.session(client_id).and_then(|session| session.sid());
        sid.expect("a live session").to_string()
    }

    /// Replaces the API keys, as SIGHUP does.
    ///
    /// # Panics
    /// If one of them cannot be used.
    pub fn replace_keys(&self, keys: &[ApiKey]) {
        let mut config = self.reloader.config();
        config.auth.keys = keys.to_vec();
        self.reloader.reload(&config).expect("keys that can be used");
    }

    /// Waits until the broker no longer accepts connections.
    pub async fn draining(&self) {
        soon("the end of accepting", async {
            while TcpStream::connect(self.address).await.is_ok() {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Ends a session as the server's own program would.
    pub fn kick(&self, client_id: &str) {
        let session = self.core.session(client_id).expect("a live session");
        assert!(self.core.end(&session, Cause::Kicked), "the session has ended before");
    }
}

/// Completes when the sender is dropped.
async fn settled(receiver: oneshot::Receiver<()>) {
    let _ = receiver.await;
}
