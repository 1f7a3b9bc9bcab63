//! What a reload changes of a running server, and the reload itself.
//!
//! Numbers are dials, which whoever serves a request, a message or a connection reads when it needs them.
//! Lists stand behind a lock that is held for one look. Everything is prepared before anything changes, so
//! a configuration that cannot be used changes nothing. Which keys these are says the list of settings
//! (`config/settings.rs`); the tests compare both. Source: operations.md 2.7.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{HeaderMap, header::ORIGIN};
use parking_lot::{Mutex, RwLock};

use super::{
    StartError,
    app::App,
    forwarded::{BadRange, Client, Proxies, Scheme},
    origin::{BadOrigin, OriginRule, RequestKind, Verdict},
};
use crate::{
    auth::{BadKey, Keyring},
    bayeux::{MessageLimits, NameLimits},
    config::{self, Change, Config, Dial, LogIp, Machine, Remark, UNLIMITED},
};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Live {
    /// For the names of channels and patterns. No reload changes it: a name that is in use has to stay
    /// one that can be given up.
    pub(crate) name: NameLimits,
    pub(crate) message_size: Dial<usize>,
    pub(crate) batch: Dial<usize>,
    pub(crate) json_depth: Dial<usize>,
    pub(crate) envelope_keys: Dial<usize>,
    pub(crate) id_length: Dial<usize>,
    pub(crate) subscriptions: Dial<usize>,
    pub(crate) fragments: Dial<usize>,
    pub(crate) header_count: Dial<usize>,
    pub(crate) header_bytes: Dial<usize>,
    pub(crate) uri_bytes: Dial<usize>,
    pub(crate) header_timeout: Dial<Duration>,
    pub(crate) body_timeout: Dial<Duration>,
    pub(crate) keep_alive: Dial<Duration>,
    pub(crate) write_timeout: Dial<Duration>,
    pub(crate) api_message_size: Dial<usize>,
    pub(crate) api_body: Dial<usize>,
    pub(crate) api_batch: Dial<usize>,
    pub(crate) api_per_second: Dial<u32>,
    pub(crate) drain_delay: Dial<Duration>,
    pub(crate) drain_timeout: Dial<Duration>,
    /// Of addresses in the log.
    pub(crate) log_ip: Dial<LogIp>,
    /// Of addresses that monitors and operators see.
    pub(crate) monitor_ip: Dial<LogIp>,
    rules: RwLock<Rules>,
    /// Most brokers trust no proxy, and each request asks.
    trusts_proxies: AtomicBool,
    loopback_only: bool,
    /// Held during a reload: one at a time.
    in_force: Mutex<InForce>,
}

/// The configuration of a running server.
#[derive(Debug, Clone)]
struct InForce {
    /// As it was given.
    written: Config,
    /// With what the machine decided.
    effective: Config,
}

/// Whom the server talks to.
#[derive(Debug)]
struct Rules {
    origins: OriginRule,
    proxies: Proxies,
}

/// What a reload came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reloaded {
    /// Every key whose value differs, in the order of the documentation: those that are in force now, and
    /// those that need a restart. Last comes `auth.keys` if only secrets in files have changed.
    pub changes: Vec<Change>,
}

impl Reloaded {
    /// The keys that are in force, or those that are not.
    pub(super) fn keys(&self, live: bool) -> Vec<&'static str> {
        let changes = self.changes.iter().filter(|change| change.reload.is_live() == live);
        changes.map(|change| change.key).collect()
    }
}

/// Why a configuration cannot be put into force. The operator is at fault; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// `server.allowed_origins` does not work.
    #[error(transparent)]
    Origin(#[from] BadOrigin),
    /// `server.trusted_proxies` does not work.
    #[error(transparent)]
    Proxies(#[from] BadRange),
    /// `auth.keys` does not work.
    #[error(transparent)]
    Keys(#[from] BadKey),
}

/// Changes settings of a running server, without a disconnect.
#[derive(Clone)]
pub struct Reloader {
    app: Arc<App>,
}

impl Live {
    /// Stands as a configuration says.
    pub(super) fn new(
        config: &Config,
        name: NameLimits,
        loopback_only: bool,
    ) -> Result<Self, StartError> {
        let rules = Rules {
            origins: OriginRule::new(&config.server.allowed_origins, loopback_only)?,
            proxies: Proxies::new(&config.server.trusted_proxies)?,
        };
        let live = Self {
            name,
            message_size: Dial::default(),
            batch: Dial::default(),
            json_depth: Dial::default(),
            envelope_keys: Dial::default(),
            id_length: Dial::default(),
            subscriptions: Dial::default(),
            fragments: Dial::default(),
            header_count: Dial::default(),
            header_bytes: Dial::default(),
            uri_bytes: Dial::default(),
            header_timeout: Dial::default(),
            body_timeout: Dial::default(),
            keep_alive: Dial::default(),
            write_timeout: Dial::default(),
            api_message_size: Dial::default(),
            api_body: Dial::default(),
            api_batch: Dial::default(),
            api_per_second: Dial::default(),
            drain_delay: Dial::default(),
            drain_timeout: Dial::default(),
            log_ip: Dial::new(config.log.ip),
            monitor_ip: Dial::new(config.monitor.ip),
            trusts_proxies: AtomicBool::new(false),
            rules: RwLock::new(rules),
            loopback_only,
            in_force: Mutex::new(InForce { written: config.clone(), effective: config.clone() }),
        };
        live.turn(config);
        Ok(live)
    }

    fn turn(&self, config: &Config) {
        let Config { limits, api, server, .. } = config;
        self.message_size.turn(limits.message_size);
        self.batch.turn(limits.batch);
        self.json_depth.turn(limits.json_depth);
        self.envelope_keys.turn(limits.envelope_keys);
        self.id_length.turn(limits.id_length);
        self.subscriptions.turn(limits.subscriptions);
        self.fragments.turn(config.transports.websocket.max_fragments);
        self.header_count.turn(limits.header_count);
        self.header_bytes.turn(limits.header_bytes);
        self.uri_bytes.turn(limits.uri_bytes);
        self.header_timeout.turn(limits.header_timeout);
        self.body_timeout.turn(limits.body_timeout);
        self.keep_alive.turn(limits.keep_alive);
        self.write_timeout.turn(limits.write_timeout);
        self.api_message_size.turn(api.message_size);
        self.api_body.turn(api.max_body);
        self.api_batch.turn(api.max_batch);
        self.api_per_second.turn(api.messages_per_second);
        self.drain_delay.turn(server.drain_delay);
        self.drain_timeout.turn(server.drain_timeout);
        self.log_ip.turn(config.log.ip);
        self.monitor_ip.turn(config.monitor.ip);
        self.trusts_proxies.store(!server.trusted_proxies.is_empty(), Ordering::Relaxed);
    }

    /// Bounds on the messages of a client.
    pub(crate) fn messages(&self) -> MessageLimits {
        MessageLimits {
            batch: self.batch.now(),
            json_depth: self.json_depth.now(),
            envelope_keys: self.envelope_keys.now(),
            id_length: self.id_length.now(),
            subscriptions: self.subscriptions.now(),
            name: self.name,
        }
    }

    /// Notes the configuration as it was given, before the machine decided anything.
    pub(super) fn was_written(&self, written: Config) {
        self.in_force.lock().written = written;
    }

    /// Bounds on the messages of a request of the publish API, which have `own_fields` of theirs.
    pub(super) fn api_messages(&self, own_fields: usize) -> MessageLimits {
        let messages = self.messages();
        let envelope_keys = messages.envelope_keys + own_fields;
        MessageLimits { batch: self.api_batch.now(), envelope_keys, ..messages }
    }

    /// The configuration in force, with what the machine decided.
    pub(super) fn config(&self) -> Config {
        self.in_force.lock().effective.clone()
    }

    /// The keys whose value the machine decided.
    pub(super) fn auto(&self) -> Vec<&'static str> {
        let in_force = self.in_force.lock();
        let changes = in_force.written.changes(&in_force.effective);
        changes.into_iter().map(|change| change.key).collect()
    }

    /// Finds the client behind `peer`; see [`Proxies::client`].
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        if !self.trusts_proxies.load(Ordering::Relaxed) {
            return Client::direct(peer.to_canonical());
        }
        self.rules.read().proxies.client(peer, headers)
    }

    /// Judges the page that a request comes from; see [`OriginRule::check`].
    pub(super) fn check_origin(
        &self,
        kind: RequestKind,
        headers: &HeaderMap,
        scheme: Scheme,
    ) -> Verdict {
        // What comes from no browser does not wait for the list.
        if kind != RequestKind::Jsonp && !headers.contains_key(ORIGIN) {
            return Verdict::NoOrigin;
        }
        self.rules.read().origins.check(kind, headers, scheme)
    }

    /// Asks the rule about origins something else.
    pub(super) fn ask_origins<T>(&self, ask: impl FnOnce(&OriginRule) -> T) -> T {
        ask(&self.rules.read().origins)
    }
}

impl Reloader {
    /// The configuration in force, as it was given.
    #[must_use]
    pub fn config(&self) -> Config {
        self.app.live.in_force.lock().written.clone()
    }

    /// Puts into force what a running server can take of `next`, and says what that is and what needs a
    /// restart. Nobody is disconnected and nothing ends that is beyond a lower bound.
    ///
    /// A key of `auth.keys` that is not among the new ones, with the same secret and rights, is taken back:
    /// feeds of events and sessions that monitor under it end, and so do streams of messages. Other requests
    /// that are being answered go on.
    ///
    /// # Errors
    /// A configuration that cannot be used: then all stays as it was.
    pub fn reload(&self, next: &Config) -> Result<Reloaded, ReloadError> {
        let (app, live) = (&*self.app, &self.app.live);
        let mut in_force = live.in_force.lock();
        let mut changes = in_force.written.changes(next);
        let written = in_force.written.reloaded(next);
        let keyring = Keyring::new(&written.auth.keys, live.name)?;
        let rules = Rules {
            origins: OriginRule::new(&written.server.allowed_origins, live.loopback_only)?,
            proxies: Proxies::new(&written.server.trusted_proxies)?,
        };
        // Nothing fails from here.
        let effective = written.clone().effective(&Machine::read());
        if app.keys.replace(keyring) && changes.iter().all(|change| change.key != config::KEYS) {
            changes.push(Change::of_keys(&written));
        }
        *live.rules.write() = rules;
        live.turn(&effective);
        app.connections.allow(effective.limits.connections.unwrap_or(UNLIMITED));
        app.broker.reload(&effective);
        app.api.reload(&effective.api);
        app.services.reload(&effective.limits);
        app.sampler.adjust(effective.log.errors_per_second);
        app.told.adjust(effective.monitor.errors_per_second);
        *in_force = InForce { written, effective };
        Ok(Reloaded { changes })
    }

    /// Says where values of the configuration came from, by their keys, for operators to read.
    pub fn tell_origins(&self, origins: HashMap<&'static str, String>) {
        self.app.admin.set_origins(origins);
    }

    /// Says what is doubtful about the configuration, for operators to read.
    pub fn tell_warnings(&self, warnings: Vec<Remark>) {
        self.app.admin.set_warnings(warnings);
    }

    pub(super) const fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[cfg(test)]
mod tests;
