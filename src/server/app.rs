//! What every connection of one running server shares.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::{HeaderMap, Response, header::HeaderValue};
use sha2::Sha256;
use tokio_util::task::TaskTracker;

use super::{
    StartError, admin, clock,
    cookie::{Cookies, Occasion, Presented},
    credentials::Keys,
    drain::Drain,
    fallback::Fallback,
    forwarded::Scheme,
    listen::Connections,
    live::Live,
    origin::{self, RequestKind, Verdict},
    publish::Api,
    services::Services,
    websocket,
};
use crate::{
    auth::Keyring,
    bayeux::Timestamp,
    broker::{Broker, BrowserId, Session, SessionId, Sid},
    config::{Config, Transport, UNLIMITED},
    events::Pages,
    metrics::{Denied, Metrics},
    otel::Tracer,
    telemetry::Sampler,
    ws::decode::DecodeLimits,
};

/// See the module documentation.
pub(crate) struct App {
    pub(crate) broker: Arc<Broker>,
    /// As the server was started with. What a reload changes is read from `live`.
    pub(crate) config: Config,
    pub(crate) live: Live,
    pub(crate) cookies: Cookies,
    pub(crate) keys: Keys,
    pub(super) api: Api,
    pub(super) services: Services,
    pub(super) admin: admin::State,
    pub(crate) drain: Drain,
    pub(super) fallback: Fallback,
    /// Those of the Bayeux listeners.
    pub(super) connections: Connections,
    /// Every task that outlives its caller, so that a stop can wait for them.
    pub(crate) tasks: TaskTracker,
    /// Connections of operators: served until the end, which waits only for what they are writing.
    pub(crate) admin_tasks: TaskTracker,
    /// What a handshake reply offers.
    pub(crate) connection_types: Vec<&'static str>,
    /// Pages that sessions share.
    pub(crate) pages: Pages,
    /// Keeps what clients cause from filling the log.
    pub(crate) sampler: Sampler,
    /// Of events about bad requests.
    pub(crate) told: Sampler,
    pub(crate) metrics: Metrics,
    /// Follows messages, if somebody wants to know and this build can.
    pub(crate) tracer: Option<Tracer>,
    started: Instant,
    sid_key: Hmac<Sha256>,
}

impl App {
    pub(super) fn new(
        config: Config,
        broker: Arc<Broker>,
        loopback_only: bool,
    ) -> Result<Self, StartError> {
        let mut sid_key = [0; 32];
        getrandom::fill(&mut sid_key).map_err(|error| StartError::Random(error.to_string()))?;
        Ok(Self {
            live: Live::new(&config, broker.name_limits(), loopback_only)?,
            cookies: Cookies::new(&config.session.browser_cookie)?,
            keys: Keys::new(Keyring::new(&config.auth.keys, broker.name_limits())?),
            api: Api::new(&config, clock::now()),
            services: Services::new(&config, broker.name_limits())?,
            admin: admin::State::new(clock::now()),
            drain: Drain::new(),
            fallback: Fallback::new(&config),
            // Both of `limits` that may be "auto" are numbers by now.
            connections: Connections::new(config.limits.connections.unwrap_or(UNLIMITED)),
            tasks: TaskTracker::new(),
            admin_tasks: TaskTracker::new(),
            connection_types: config.transports.names(),
            pages: Pages::default(),
            sampler: Sampler::new(config.log.errors_per_second),
            told: Sampler::new(config.monitor.errors_per_second),
            metrics: Metrics::default(),
            tracer: Tracer::new(&config.otel)?,
            started: clock::now(),
            sid_key: Hmac::new_from_slice(&sid_key).map_err(|_| StartError::Key)?,
            broker,
            config,
        })
    }

    /// Time since the server's start.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// Milliseconds since the server's start; they wrap after 49 days.
    pub(crate) fn age_ms(&self, now: Instant) -> u32 {
        self.age(now).as_millis() as u32
    }

    /// Whether a transport is offered at all.
    pub(crate) fn offers(&self, transport: Transport) -> bool {
        self.config.transports.enabled.contains(&transport)
    }

    /// Bounds on what a WebSocket sends.
    pub(crate) fn decode_limits(&self) -> DecodeLimits {
        DecodeLimits {
            message_bytes: self.live.message_size.now(),
            fragments: u32::try_from(self.live.fragments.now()).unwrap_or(u32::MAX),
            excess_factor: websocket::EXCESS,
        }
    }

    /// The name of a session in logs: of no use for taking the session over (operations.md 6).
    pub(crate) fn sid(&self, id: &SessionId) -> Sid {
        let digest = self.sid_key.clone().chain_update(id.as_bytes()).finalize().into_bytes();
        let [a, b, c, d, e, f, ..] = digest.0;
        Sid::from_bytes([a, b, c, d, e, f])
    }

    /// What replies and deliveries say of the time, if they do (protocol.md 131).
    pub(crate) fn timestamp(&self) -> Option<Timestamp> {
        self.config.session.timestamp.then(|| Timestamp(clock::time_of_day().as_secs()))
    }

    /// The browser of a request, and the cookie that makes it known if it presents none of ours.
    pub(crate) fn browser(
        &self,
        cookies: &Presented,
        headers: &HeaderMap,
        scheme: Scheme,
        occasion: Occasion,
    ) -> (BrowserId, Option<HeaderValue>) {
        if let Some(known) = cookies.ids.first() {
            return (*known, None);
        }
        let secure = scheme == Scheme::Https;
        let (browser, cookie) =
            self.cookies.issue(occasion, secure, origin::is_cross_site(headers));
        (browser, Some(cookie))
    }

    /// Judges the page that a request comes from; see [`OriginRule::check`](super::origin::OriginRule::check).
    pub(crate) fn check_origin(
        &self,
        kind: RequestKind,
        headers: &HeaderMap,
        scheme: Scheme,
    ) -> Verdict {
        let verdict = self.live.check_origin(kind, headers, scheme);
        if matches!(verdict, Verdict::Refused(_)) {
            self.metrics.denied.add(Denied::RequestOrigin, 1);
        }
        verdict
    }

    /// Answers a preflight; see [`OriginRule::preflight`](super::origin::OriginRule::preflight).
    pub(crate) fn preflight(
        &self,
        headers: &HeaderMap,
        scheme: Scheme,
    ) -> Result<Response<()>, String> {
        let answer = self.live.ask_origins(|rule| rule.preflight(headers, scheme));
        if answer.is_err() {
            self.metrics.denied.add(Denied::RequestOrigin, 1);
        }
        answer
    }

    /// Whether a request that presents these cookies may use `session` (protocol.md 88).
    ///
    /// A cookie that is presented has to be the session's. None at all is accepted, because clients
    /// drop cookies for reasons of their own, unless the configuration asks for it on HTTP.
    pub(crate) fn admits(&self, session: &Session, cookies: &Presented, over_http: bool) -> bool {
        let admitted = if cookies.any {
            session.browser().is_some_and(|browser| cookies.ids.contains(&browser))
        } else {
            !(over_http && self.config.session.browser_cookie.require)
        };
        if !admitted {
            self.metrics.denied.add(Denied::RequestCookie, 1);
        }
        admitted
    }
}
