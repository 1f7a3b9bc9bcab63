//! From a request to its handler.
//!
//! One URL serves POST, GET and the WebSocket upgrade, because clients only replace the scheme; any
//! path below a Bayeux path is the same (protocol.md 82, 143). Everything else is a static file or
//! a 404 that names the Bayeux paths.

use std::{borrow::Cow, sync::Arc};

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Body as _,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue,
        RETRY_AFTER, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
    },
};
use tokio::time::timeout;

use super::{
    app::App,
    body::Body,
    connect::Connect,
    drain::retry_after,
    files::Files,
    forwarded::Client,
    host,
    http::Http,
    inbound::Inbound,
    lean,
    origin::{self, RequestKind, Verdict},
    polling::{Answer, Polled, Poller},
    publish, query, report, streaming,
    websocket::upgrade,
};
use crate::{
    config::{Config, Transport},
    metrics::{BadRequest, HttpPath, LimitHit, StatusClass},
};

/// Where a request has led.
pub(super) enum Routed {
    Ready(Response<Body>),
    Held(Box<Held>),
    /// The body of the response goes on while that of the request comes in; it tells the head clock
    /// when it ends.
    Streaming(Response<Body>),
}

impl Routed {
    fn no_store(self) -> Self {
        match self {
            Self::Ready(response) => Self::Ready(no_store(response)),
            later @ (Self::Held(_) | Self::Streaming(_)) => later,
        }
    }

    /// Counts the answer, if there is one already.
    fn counted(self, app: &App, path: HttpPath) -> Self {
        match self {
            Self::Ready(response) => Self::Ready(counted(app, path, response)),
            Self::Streaming(response) => Self::Streaming(counted(app, path, response)),
            Self::Held(held) => Self::Held(held),
        }
    }
}

/// Counts the answer to a request for `path`. By value, so that no future keeps it for that.
pub(super) fn counted(app: &App, path: HttpPath, response: Response<Body>) -> Response<Body> {
    let class = StatusClass::of(response.status().as_u16());
    app.metrics.http_requests.add((path, class), 1);
    response
}

/// A connect to be held. All else of its request, body and processing included, is gone.
pub(super) struct Held {
    dress: Dress,
    poller: Poller,
    connect: Connect,
}

impl Held {
    /// Waits for something to answer with. The caller counts the answer.
    pub(super) async fn respond(self: Box<Self>, app: &App) -> Response<Body> {
        let release = self.poller.wait(app, &self.connect).await;
        let Self { dress, poller, connect } = *self;
        no_store(dress.put_on(poller.release(connect, release)))
    }
}

/// Answers one request of the main listener.
pub(super) async fn respond(
    http: &Http,
    files: Option<&Files>,
    mut request: Request<Inbound>,
) -> Routed {
    if let Err((status, problem)) = check_head(http, &mut request) {
        return Routed::Ready(text(status, problem)).counted(&http.app, HttpPath::Other);
    }
    if !is_bayeux(&http.app.config, request.uri().path()) {
        if publish::serves(&http.app, request.uri().path()) {
            return publish::respond(http, request).await.counted(&http.app, HttpPath::Api);
        }
        let response = elsewhere(&http.app, files, &request).await;
        return Routed::Ready(response).counted(&http.app, HttpPath::Other);
    }
    let client = http.app.live.client(http.peer.ip(), request.headers());
    let routed = match *request.method() {
        // Boxed, so that the other kinds of requests do not pay for its size.
        Method::POST => Box::pin(poll(&http.app, request, client)).await,
        Method::GET if upgrade::is_upgrade(request.headers()) => {
            Routed::Ready(upgrade::respond(http, request, client))
        }
        Method::GET => match streaming::respond(&http.app, &request, client) {
            Some(response) => Routed::Ready(response),
            None => script(&http.app, &request, client).await,
        },
        Method::OPTIONS => {
            Routed::Ready(match http.app.preflight(request.headers(), client.scheme) {
                Ok(response) => response.map(|()| Body::default()),
                Err(problem) => text(StatusCode::FORBIDDEN, problem),
            })
        }
        _ => {
            let mut response =
                text(StatusCode::METHOD_NOT_ALLOWED, "Bayeux uses POST, GET and OPTIONS\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, GET, OPTIONS"));
            Routed::Ready(response)
        }
    };
    routed.no_store().counted(&http.app, HttpPath::Bayeux)
}

/// Answers a POST to a Bayeux path that was read without hyper, within the limits of heads and bodies.
pub(super) async fn respond_read(http: &Http, request: lean::Request) -> Routed {
    let client = http.app.live.client(http.peer.ip(), &request.headers);
    let routed = match admit(&http.app, &request.headers, client) {
        Ok((dress, poller)) => dress.poll(poller, &http.app, &request.headers, &request.body).await,
        Err((status, problem)) => Routed::Ready(text(status, problem)),
    };
    routed.no_store().counted(&http.app, HttpPath::Bayeux)
}

/// long-polling.
async fn poll(app: &Arc<App>, request: Request<Inbound>, client: Client) -> Routed {
    let (dress, poller) = match admit(app, request.headers(), client) {
        Ok(admitted) => admitted,
        Err((status, problem)) => return Routed::Ready(text(status, problem)),
    };
    let (head, body) = request.into_parts();
    let read = if is_encoded(&head.headers) {
        report::bad_request(app, client.address, BadRequest::Json, &publish::NO_ENCODING);
        Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{}\n", publish::NO_ENCODING)))
    } else {
        read(app, client, body).await
    };
    match read {
        Ok(bytes) => dress.poll(poller, app, &head.headers, &bytes).await,
        // What is left of the body is not read, so the connection is of no further use.
        Err((status, problem)) => Routed::Ready(closing(
            dress.put_on(Answer { status, ..Answer::from(Body::text(problem)) }),
        )),
    }
}

/// Reads from the headers of a POST who polls, and what the response will carry.
fn admit(
    app: &App,
    headers: &HeaderMap,
    client: Client,
) -> Result<(Dress, Poller), (StatusCode, String)> {
    if !app.offers(Transport::LongPolling) {
        let problem = "the transport long-polling is not enabled\n";
        return Err((StatusCode::BAD_REQUEST, problem.to_owned()));
    }
    let page = match app.check_origin(RequestKind::Post, headers, client.scheme) {
        Verdict::Refused(problem) => return Err((StatusCode::FORBIDDEN, problem)),
        // A copy: the value is a piece of the request, which a held poll must not keep.
        Verdict::Allowed(page) => Some(HeaderValue::from_bytes(page.as_bytes()).unwrap_or(page)),
        Verdict::NoOrigin => None,
    };
    let (poller, set_cookie) = Poller::new(app, headers, client, None);
    Ok((Dress { page, set_cookie, script: false }, poller))
}

/// callback-polling: a GET by a `<script>` element (protocol.md 95-97).
async fn script(app: &Arc<App>, request: &Request<Inbound>, client: Client) -> Routed {
    if !app.offers(Transport::CallbackPolling) {
        let problem =
            "here clients such as cometd.js connect; a GET has to be a WebSocket upgrade\n";
        return Routed::Ready(text(StatusCode::BAD_REQUEST, problem));
    }
    if let Verdict::Refused(problem) =
        app.check_origin(RequestKind::Jsonp, request.headers(), client.scheme)
    {
        let mut refusal = text(StatusCode::FORBIDDEN, problem);
        // With it Chromium drops a response to a script without a word in the console of the page. No browser
        // runs the script of a 403.
        refusal.headers_mut().remove(X_CONTENT_TYPE_OPTIONS);
        return Routed::Ready(refusal);
    }
    let parameter = app.config.transports.callback_polling.parameter.as_str();
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let (mut callbacks, mut messages) = (Vec::new(), Vec::new());
    for (name, value) in query::parameters(query) {
        if name == parameter.as_bytes() {
            callbacks.push(value);
        } else if *name == *b"message" {
            messages.push(value);
        }
    }
    let callback = match callbacks.as_slice() {
        [name] => std::str::from_utf8(name).ok().filter(|name| is_callback(name)),
        _ => None,
    };
    let callback = match callback {
        Some(name) => name.to_owned(),
        None => {
            let problem = format!(
                "callback-polling needs one parameter '{parameter}': dotted identifiers, at most \
                 {CALLBACK_BYTES_MAX} characters\n"
            );
            return Routed::Ready(text(StatusCode::BAD_REQUEST, problem));
        }
    };
    if messages.is_empty() {
        let problem = "callback-polling needs a parameter 'message' with Bayeux messages\n";
        return Routed::Ready(text(StatusCode::BAD_REQUEST, problem));
    }
    let (poller, set_cookie) = Poller::new(app, request.headers(), client, Some(callback));
    let dress = Dress { page: None, set_cookie, script: true };
    dress.routed(poller.poll(app, request.headers(), &messages).await)
}

/// What a request decides about the headers of its response.
struct Dress {
    /// The origin of the page that may read the response.
    page: Option<HeaderValue>,
    /// Goes out with the handshake that binds its session to this browser (protocol.md 87).
    set_cookie: Option<HeaderValue>,
    script: bool,
}

impl Dress {
    async fn poll(
        self,
        poller: Poller,
        app: &Arc<App>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Routed {
        self.routed(poller.poll(app, headers, &[Cow::Borrowed(body)]).await)
    }

    fn routed(self, polled: Polled) -> Routed {
        match polled {
            Polled::Answered(answer) => Routed::Ready(self.put_on(answer)),
            Polled::Held(poller, connect) => {
                Routed::Held(Box::new(Held { dress: self, poller, connect }))
            }
        }
    }

    fn put_on(self, answer: Answer) -> Response<Body> {
        let Answer { status, body, opened, overloaded } = answer;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let content_type = match (status, self.script) {
            (StatusCode::OK, false) => JSON,
            (StatusCode::OK, true) => SCRIPT,
            _ => TEXT,
        };
        headers.insert(CONTENT_TYPE, content_type);
        // A stranger's words may be in a text, and a page may take it for a script.
        if self.script || status != StatusCode::OK {
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        if let Some(cookie) = self.set_cookie.filter(|_| opened) {
            headers.insert(SET_COOKIE, cookie);
        }
        if let Some(page) = &self.page {
            origin::cors(page, headers);
        }
        if overloaded {
            headers.insert(RETRY_AFTER, retry_after());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }
}

/// Whether a body is something else than it says, such as compressed. Nobody here inflates it, and taken
/// as it is it would look like bad JSON.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let plain =
        |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    !headers.get_all(CONTENT_ENCODING).iter().all(plain)
}

/// Reads a request body within its bounds of size and time.
async fn read(app: &App, client: Client, body: Inbound) -> Result<Vec<u8>, (StatusCode, String)> {
    let limit = app.live.message_size.now();
    let too_large = || {
        let problem = format!("the body is larger than {limit} bytes (limits.message_size)\n");
        report::limited(app, client.address, LimitHit::MessageSize, limit);
        (StatusCode::PAYLOAD_TOO_LARGE, problem)
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let collected = Limited::new(body, limit).collect();
    let body_timeout = app.live.body_timeout.now();
    match timeout(body_timeout, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body is not complete\n".to_owned())),
        Err(_) => {
            let seconds = body_timeout.as_secs();
            let problem = format!("the body did not arrive within {seconds} s\n");
            Err((StatusCode::REQUEST_TIMEOUT, problem))
        }
    }
}

/// Bounds that hyper does not have (architecture.md 12).
fn check_head(http: &Http, request: &mut Request<Inbound>) -> Result<(), (StatusCode, String)> {
    let (uri_bytes_max, header_bytes_max) =
        (http.app.live.uri_bytes.now(), http.app.live.header_bytes.now());
    let uri = request.uri();
    let uri_bytes = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if uri_bytes > uri_bytes_max {
        let problem = format!("the URI is longer than {uri_bytes_max} bytes\n");
        return Err((StatusCode::URI_TOO_LONG, problem));
    }
    let header_bytes: usize =
        request.headers().iter().map(|(name, value)| header_line_bytes(name, value)).sum();
    if header_bytes > header_bytes_max {
        let problem = format!("the headers are longer than {header_bytes_max} bytes\n");
        return Err((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, problem));
    }
    host::settle(request).map_err(|problem| (StatusCode::BAD_REQUEST, problem.to_owned()))
}

/// What a header counts for `limits.header_bytes`.
pub(super) fn header_line_bytes(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + HEADER_PUNCTUATION
}

/// Whether a path is that of Bayeux clients.
pub(super) fn is_bayeux(config: &Config, path: &str) -> bool {
    config.server.paths.iter().any(|prefix| {
        path.strip_prefix(prefix.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

async fn elsewhere(app: &App, files: Option<&Files>, request: &Request<Inbound>) -> Response<Body> {
    if let Some(files) = files {
        if !app.live.ask_origins(|rule| rule.admits_host(request.headers())) {
            let problem = "this server answers on this machine only: use localhost or 127.0.0.1\n";
            return text(StatusCode::MISDIRECTED_REQUEST, problem);
        }
        let (method, path) = (request.method(), request.uri().path());
        return files.serve(method, path, request.headers()).await.map(Body::from);
    }
    let paths = app.config.server.paths.join(" ");
    text(StatusCode::NOT_FOUND, format!("nothing here; Bayeux clients connect to: {paths}\n"))
}

/// A callback is what may stand before a parenthesis in script, and nothing else.
pub(super) fn is_callback(name: &str) -> bool {
    let is_identifier = |part: &str| {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
        part.starts_with(letter) && part.chars().all(|c| letter(c) || c.is_ascii_digit())
    };
    name.len() <= CALLBACK_BYTES_MAX && name.split('.').all(is_identifier)
}

/// What every Bayeux response carries, lest a proxy cache or hold it back (protocol.md 141).
fn no_store(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

pub(super) fn text(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::text(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript;charset=UTF-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// nginx's word for "pass it on as it comes".
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// CometD's bound (protocol.md 95).
pub(super) const CALLBACK_BYTES_MAX: usize = 64;
/// Colon, space and line end of a header line.
const HEADER_PUNCTUATION: usize = 4;

#[cfg(test)]
mod tests {
    use super::is_callback;

    #[test]
    fn only_dotted_identifiers_are_callbacks() {
        for good in ["f", "_cometd._jsonp_0", "$.a1", &"a".repeat(64)] {
            assert!(is_callback(good), "{good}");
        }
        for bad in ["", ".", "a.", "1a", "a(b)", "a b", "a-b", "alert//", "ä", &"a".repeat(65)] {
            assert!(!is_callback(bad), "{bad}");
        }
    }
}
