//! Publishing over HTTP, for services that are no Bayeux clients: `/api/v1` on the main listener.
//!
//! A request shows an API key, its messages go the way of all others ([`dispatch`](super::dispatch)),
//! and the answer says how many sessions they reached. Here a request finds its endpoint; the parts
//! have a file each: reading (`request`), one message (`message`), repeats (`idempotency`), streams
//! (`stream`), errors (`problem`) and answers (`answer`).
//! Source: operations.md 5; docs/publishing.md for users.

mod answer;
mod idempotency;
mod message;
mod openapi;
mod problem;
mod request;
mod stream;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dashmap::DashMap;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{HeaderMap, Method, Request, Response, body::Body as _, header::HeaderValue};
use tokio::time::{sleep, timeout};

use self::{idempotency::Idempotency, message::Publisher, problem::Problem};
pub(super) use self::{problem::NO_ENCODING, request::decode as decode_channel, stream::Results};
use super::{
    app::App,
    body::Body,
    clock,
    credentials::{Credentials, WRONG_KEY_DELAY},
    forwarded::Client,
    http::Http,
    inbound::Inbound,
    origin::{self, RequestKind, Verdict},
    report,
    route::{Routed, is_encoded},
    trace,
};
use crate::{
    auth::Principal,
    config::{Api as Settings, Config, Dial},
    metrics::Source,
    otel::Parent,
    rate::Gcra,
};

/// What the API remembers between requests.
pub(super) struct Api {
    idempotency: Arc<Idempotency>,
    /// By the id of the key; as many as keys were ever configured.
    rates: DashMap<Arc<str>, Arc<Gcra>>,
    messages_per_second: Dial<u32>,
    started: Instant,
}

impl Api {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let settings = &config.api;
        Self {
            idempotency: Arc::new(Idempotency::new(
                settings.idempotency_ttl,
                settings.idempotency_entries,
            )),
            rates: DashMap::new(),
            messages_per_second: Dial::new(settings.messages_per_second),
            started: now,
        }
    }

    /// Takes the pace of keys and what is remembered for repeats.
    pub(super) fn reload(&self, settings: &Settings) {
        // First, so that a key which comes up meanwhile has the new pace or is found below.
        self.messages_per_second.turn(settings.messages_per_second);
        for rate in &self.rates {
            rate.adjust(settings.messages_per_second);
        }
        self.idempotency.adjust(settings.idempotency_ttl, settings.idempotency_entries);
    }

    /// Asks for leave to publish one more message under a key.
    ///
    /// # Errors
    /// The time after which to ask again.
    pub(super) fn admit(&self, principal: &Principal, now: Instant) -> Result<(), Duration> {
        let rate = self.rates.get(principal.id()).map(|entry| Arc::clone(entry.value()));
        let rate = rate.unwrap_or_else(|| {
            let entry = self.rates.entry(Arc::clone(principal.id()));
            let new = || Arc::new(Gcra::new(self.messages_per_second.now()));
            Arc::clone(entry.or_insert_with(new).value())
        });
        rate.take(now.saturating_duration_since(self.started))
    }

    /// Forgets what is remembered of messages long ago.
    pub(super) fn tick(&self, now: Instant) {
        self.idempotency.tick(now);
    }

    /// Remembered results that were forgotten before their time, since the start.
    pub(super) fn results_forgotten(&self) -> u64 {
        self.idempotency.evicted()
    }
}

#[cfg(test)]
impl Api {
    /// What a reload can change.
    pub(super) fn held(&self) -> String {
        format!("{:?} {:?}", self.messages_per_second, self.idempotency)
    }
}

/// Where a request comes from.
struct Caller {
    app: Arc<App>,
    address: IpAddr,
    /// The id of its key, once it has shown one of ours.
    key: Option<Arc<str>>,
    /// Its span, if it sent one and anybody traces.
    parent: Option<Parent>,
}

impl Caller {
    /// Says in the log and to listeners why something was refused, unless there were too many such lines.
    /// `channel` is that of the message; `None`: of the whole request.
    fn log(&self, problem: &Problem, channel: Option<&str>) {
        let detail = problem.message();
        let (code, detail, key) = (problem.code(), detail.as_ref(), self.key.as_deref());
        let limit = problem.limit(self.app.live.api_per_second.now());
        let refused = report::RefusedPublish { code, detail, limit, key, channel };
        report::publish_refused(&self.app, self.address, &refused);
    }
}

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint<'a> {
    Publish,
    /// What follows `/publish`, with its slash.
    Channel(&'a str),
    Batch,
    Broadcast,
    Stream,
    OpenApi,
    /// As `Publish`, below `/admin/v1`.
    Operator,
    Nothing,
}

impl<'a> Endpoint<'a> {
    fn of(path: &'a str) -> Self {
        if path == OPENAPI_PATH {
            return Self::OpenApi;
        }
        let rest = path.strip_prefix(PREFIX).unwrap_or_default();
        match rest {
            "/publish" => Self::Publish,
            "/batch" => Self::Batch,
            "/broadcast" => Self::Broadcast,
            "/stream" => Self::Stream,
            _ => match rest.strip_prefix("/publish") {
                Some(channel) if channel.len() > 1 && channel.starts_with('/') => {
                    Self::Channel(channel)
                }
                _ => Self::Nothing,
            },
        }
    }
}

/// Whether a path belongs to the API.
pub(super) fn serves(app: &App, path: &str) -> bool {
    let rest = path.strip_prefix(PREFIX);
    app.config.api.enabled
        && (path == OPENAPI_PATH
            || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Answers a request below `/api/v1`, or for `/openapi.json`.
pub(super) async fn respond(http: &Http, request: Request<Inbound>) -> Routed {
    let app = &http.app;
    let Client { address, scheme, .. } = app.live.client(http.peer.ip(), request.headers());
    let parent = trace::parent(app, request.headers());
    let mut caller = Caller { app: Arc::clone(app), address, key: None, parent };
    let page = match app.check_origin(RequestKind::Post, request.headers(), scheme) {
        Verdict::Refused(text) => {
            return Routed::Ready(answer::refused(&caller, &Problem::OriginDenied(text)));
        }
        Verdict::Allowed(page) => Some(page),
        Verdict::NoOrigin => None,
    };
    if request.method() == Method::OPTIONS {
        return Routed::Ready(match app.preflight(request.headers(), scheme) {
            Ok(response) => response.map(|()| Body::default()),
            Err(text) => answer::refused(&caller, &Problem::OriginDenied(text)),
        });
    }
    let path = request.uri().path().to_owned();
    let endpoint = Endpoint::of(&path);
    let response = match admit(app, endpoint, &request).await {
        Ok(Admitted::Reader) => openapi::respond(),
        Ok(Admitted::Publisher(principal)) => {
            caller.key = Some(Arc::clone(principal.id()));
            let publisher = Publisher { caller, principal };
            if endpoint == Endpoint::Stream && !is_encoded(request.headers()) {
                let response = Box::pin(stream::respond(http, publisher, request)).await;
                return Routed::Streaming(readable_by(page.as_ref(), response));
            }
            // Boxed: only one request in many is of this kind, and it is large.
            Box::pin(publish(&publisher, endpoint, request)).await
        }
        Err(problem) => answer::refused(&caller, &problem),
    };
    Routed::Ready(readable_by(page.as_ref(), response))
}

/// Whom a request was let in as.
enum Admitted {
    /// Somebody who reads the description, for which no key is needed.
    Reader,
    Publisher(Principal),
}

/// Checks endpoint, method and key, in this order.
async fn admit(
    app: &App,
    endpoint: Endpoint<'_>,
    request: &Request<Inbound>,
) -> Result<Admitted, Problem> {
    let (expected, allowed) = match endpoint {
        Endpoint::Nothing => return Err(Problem::NotFound),
        Endpoint::OpenApi => (Method::GET, "GET, OPTIONS"),
        _ => (Method::POST, "POST, OPTIONS"),
    };
    if *request.method() != expected {
        return Err(Problem::MethodNotAllowed { allowed });
    }
    if endpoint == Endpoint::OpenApi {
        return Ok(Admitted::Reader);
    }
    match app.keys.credentials(request.headers()) {
        Credentials::Key(principal) => Ok(Admitted::Publisher(principal)),
        Credentials::None => Err(Problem::Unauthorized { presented: false }),
        Credentials::Wrong => {
            sleep(WRONG_KEY_DELAY).await;
            Err(Problem::Unauthorized { presented: true })
        }
    }
}

/// Publishes the one message of a request of an operator, whose key was checked, and says so in the log.
pub(super) async fn respond_to(
    app: &Arc<App>,
    address: IpAddr,
    principal: Principal,
    request: Request<Inbound>,
) -> Response<Body> {
    let parent = trace::parent(app, request.headers());
    let key = Some(Arc::clone(principal.id()));
    let caller = Caller { app: Arc::clone(app), address, key, parent };
    // Boxed: an operator's request need not be fast, and every other would keep the room for it.
    Box::pin(publish(&Publisher { caller, principal }, Endpoint::Operator, request)).await
}

/// Reads the body of a request and publishes what is in it.
async fn publish(
    publisher: &Publisher,
    endpoint: Endpoint<'_>,
    request: Request<Inbound>,
) -> Response<Body> {
    let caller = &publisher.caller;
    let app = &caller.app;
    let (head, body) = request.into_parts();
    if is_encoded(&head.headers) {
        // The body is not read, and may be long.
        return answer::closing(answer::refused(caller, &Problem::EncodingUnsupported));
    }
    let header = match idempotency_header(&head.headers) {
        Ok(header) => header,
        Err(problem) => return answer::refused(caller, &problem),
    };
    let body = match read(app, body).await {
        Ok(body) => body,
        Err(problem) => return answer::closing(answer::refused(caller, &problem)),
    };
    if app.drain.is_begun() {
        return answer::refused(caller, &Problem::Draining);
    }
    let limits = &app.live.api_messages(request::OWN_FIELDS);
    match endpoint {
        Endpoint::Batch if header.is_some() => {
            let problem = "a batch has an idempotency_key in each message, not a header";
            answer::refused(caller, &Problem::FieldInvalid(problem.into()))
        }
        Endpoint::Batch => match request::batch(&body, limits) {
            Ok(entries) => answer::results(&publisher.publish_all(entries).await),
            Err(problem) => answer::refused(caller, &problem),
        },
        Endpoint::Broadcast => match request::broadcast(&body, header, limits) {
            Ok(entries) => answer::results(&publisher.publish_all(entries).await),
            Err(problem) => answer::refused(caller, &problem),
        },
        _ => {
            let entry = match endpoint {
                Endpoint::Channel(path) => request::raw(path, &body, header, limits),
                _ => request::one(&body, header, limits),
            };
            let channel = entry.as_ref().ok().and_then(|entry| entry.channel.clone());
            let mut outcomes = publisher.publish_all(vec![entry]).await;
            let outcome = outcomes.pop().unwrap_or(Err(Problem::NotFound));
            if endpoint == Endpoint::Operator {
                let (code, key) =
                    (outcome.as_ref().err().map(Problem::code), publisher.principal.id());
                report::operator_published(app, caller.address, key, channel.as_deref(), code);
            }
            answer::single(&outcome)
        }
    }
}

fn idempotency_header(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::FieldInvalid("there is more than one header Idempotency-Key".into()));
    }
    let not_ascii = "the header Idempotency-Key holds ASCII characters only; others are for the \
                     field idempotency_key";
    value.to_str().map(Some).map_err(|_| Problem::FieldInvalid(not_ascii.into()))
}

/// Reads a body within its bounds of size and time.
async fn read(app: &App, body: Inbound) -> Result<Bytes, Problem> {
    let limit = app.live.api_body.now();
    let too_large = || Problem::TooLarge { limit, key: "api.max_body" };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    match timeout(app.live.body_timeout.now(), Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => {
            let body = body.to_bytes();
            app.metrics.bytes_received.add(Source::Api, body.len());
            Ok(body)
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::BadJson("the body is not complete".into())),
        Err(_) => Err(Problem::Timeout),
    }
}

/// Lets the page of an allowed origin read the response.
fn readable_by(page: Option<&HeaderValue>, mut response: Response<Body>) -> Response<Body> {
    if let Some(page) = page {
        origin::cors(page, response.headers_mut());
    }
    response
}

const PREFIX: &str = "/api/v1";
const OPENAPI_PATH: &str = "/openapi.json";

/// The clock of a running API.
fn now() -> Instant {
    clock::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_their_endpoints() {
        for (path, endpoint) in [
            ("/api/v1/publish", Endpoint::Publish),
            ("/api/v1/publish/a/b", Endpoint::Channel("/a/b")),
            ("/api/v1/publish/a/", Endpoint::Channel("/a/")),
            ("/api/v1/publish/", Endpoint::Nothing),
            ("/api/v1/publisher", Endpoint::Nothing),
            ("/api/v1/batch", Endpoint::Batch),
            ("/api/v1/batch/", Endpoint::Nothing),
            ("/api/v1/broadcast", Endpoint::Broadcast),
            ("/api/v1/stream", Endpoint::Stream),
            ("/openapi.json", Endpoint::OpenApi),
            ("/api/v1", Endpoint::Nothing),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
        }
    }
}
