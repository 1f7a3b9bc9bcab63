//! A service behind HTTP: one POST for each call.
//!
//! Connections are kept for a second between calls and not longer: back-ends close idle ones after two
//! seconds or more, so none is used in the moment in which it is being closed, when nobody could say
//! whether the back-end has seen the call. Redirects are not followed. Time is bounded by the caller,
//! the number of connections by that of calls.

use std::{
    fs,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{self, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::sleep;

use super::{BadService, Call, Failure, ServiceError};
use crate::{
    auth::Secret,
    config,
    place::Place,
    server::{clock, drain::jitter},
};

/// See the module documentation.
pub(super) struct BackEnd {
    place: Place,
    headers: HeaderMap,
    retries: u32,
    max_reply: usize,
    /// Connections without a call, the newest last.
    idle: Mutex<Vec<Idle>>,
}

type Sender = SendRequest<Full<Bytes>>;

struct Idle {
    sender: Sender,
    since: Instant,
}

impl BackEnd {
    /// Makes the client of one `[[services]]` entry; reads the file with its secret.
    ///
    /// # Errors
    /// A URL, header or file that cannot be used.
    pub(super) fn new(entry: &config::Service) -> Result<Self, BadService> {
        let place = Place::parse(&entry.url).ok_or_else(|| BadService::Url(entry.url.clone()))?;
        Ok(Self {
            headers: headers(entry, &place)?,
            place,
            retries: entry.retries,
            max_reply: entry.max_reply,
            idle: Mutex::default(),
        })
    }

    /// Posts a call, again if it failed and may be repeated; waits longer before each attempt.
    pub(super) async fn ask(&self, call: &Call) -> Result<Option<Box<RawValue>>, Failure> {
        let body = Bytes::from(call.json());
        let mut pause = FIRST_PAUSE;
        for _ in 0..self.retries {
            match self.attempt(&body).await {
                Err(failure) if failure.may_pass() => sleep(pause + jitter(pause)).await,
                said => return said,
            }
            pause *= 2;
        }
        self.attempt(&body).await
    }

    /// Lets go of connections that nobody has used for [`IDLE_MAX`].
    pub(super) fn close_idle(&self, now: Instant) {
        self.idle.lock().retain(|idle| idle.is_of_use(now));
    }

    async fn attempt(&self, body: &Bytes) -> Result<Option<Box<RawValue>>, Failure> {
        let (response, sender) = self.send(self.request(body)).await?;
        let status = response.status();
        let body = response.into_body();
        if status == StatusCode::NO_CONTENT {
            self.keep(sender);
            return Ok(None);
        }
        let read = self.read(body).await;
        if read.is_ok() {
            self.keep(sender);
        }
        if status.is_client_error()
            && let Some(error) = read.as_ref().ok().and_then(|text| said(text))
        {
            return Err(Failure::Said(error));
        }
        if !status.is_success() {
            return Err(Failure::Status(status.as_u16()));
        }
        serde_json::from_slice(&read?).map(Some).map_err(|_| Failure::NotJson)
    }

    fn request(&self, body: &Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.place.target.clone().into();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Sends a request over an idle connection, else over a new one. A request that an idle one did
    /// not take at all goes over a new one too: the back-end has not seen it.
    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Sender), Failure> {
        let mut request = request;
        if let Some(mut sender) = self.idle_sender().await {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
                Err(mut error) => request = error.take_message().ok_or(Failure::Broken)?,
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await.map_err(|_| Failure::Broken)?;
        Ok((response, sender))
    }

    async fn idle_sender(&self) -> Option<Sender> {
        loop {
            let now = clock::now();
            let mut idle = self.idle.lock().pop()?;
            if idle.is_of_use(now) && idle.sender.ready().await.is_ok() {
                return Some(idle.sender);
            }
        }
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let stream = self.place.connect().await.map_err(|_| Failure::Unreachable)?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
        let shaken = builder.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|_| Failure::Broken)?;
        // It ends when its sender is dropped, or when the back-end closes it.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Failure> {
        if body.size_hint().lower() > self.max_reply as u64 {
            return Err(Failure::TooLarge);
        }
        match Limited::new(body, self.max_reply).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Failure::TooLarge),
            Err(_) => Err(Failure::Broken),
        }
    }

    /// Keeps a connection whose response was read to its end.
    fn keep(&self, sender: Sender) {
        if !sender.is_closed() {
            self.idle.lock().push(Idle { sender, since: clock::now() });
        }
    }
}

impl Idle {
    fn is_of_use(&self, now: Instant) -> bool {
        !self.sender.is_closed() && now.saturating_duration_since(self.since) < IDLE_MAX
    }
}

/// The header lines of every request.
fn headers(entry: &config::Service, place: &Place) -> Result<HeaderMap, BadService> {
    let mut headers = place.headers();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    for line in &entry.headers {
        let bad = || BadService::Header(line.clone());
        let (name, value) = line.split_once(':').ok_or_else(bad)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| bad())?;
        headers.insert(name, value);
    }
    if let Some(path) = &entry.secret_file {
        let text = fs::read_to_string(path)
            .map_err(|error| BadService::File { path: path.clone(), error })?;
        let weak = |error| BadService::Weak { path: path.clone(), error };
        let secret = Secret::parse(&text).map_err(weak)?;
        let bearer = format!("Bearer {}", secret.expose());
        let mut value = HeaderValue::from_str(&bearer)
            .map_err(|_| BadService::Header("Authorization".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

/// What a back-end says itself of a call that it refuses: `{"class":…,"message":…}`.
fn said(text: &[u8]) -> Option<ServiceError> {
    #[derive(Deserialize)]
    struct Said {
        class: String,
        message: String,
    }
    let said: Said = serde_json::from_slice(text).ok()?;
    Some(ServiceError::new(said.class, said.message))
}

/// How long a connection is kept without a call; Node closes after 5 s, gunicorn after 2.
const IDLE_MAX: Duration = Duration::from_secs(1);
/// Pause before the first repeat.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Largest head of a response, and buffer of a connection.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Most header lines of a response.
const HEADERS_MAX: usize = 100;
