//! The operators' listener: is the process alive, does it take clients.
//!
//! Both questions need no key. `/readyz` turns to 503 at the first step of a stop, before connections
//! are refused, so that a load balancer looks elsewhere in time. Source: operations.md 6, 9.

mod actions;
mod answer;
mod api;
mod channels;
mod feed;
mod node;
mod openapi;
mod page;
mod problem;
mod query;
mod sessions;
mod state;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS},
};

pub use self::state::ReloadCall;
pub(super) use self::{
    api::{respond as respond_to_operator, serves},
    state::State,
};
use crate::server::origin;

/// The state of the broker as load balancers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Takes clients.
    Ready,
    /// Stopping: existing clients are served, new ones should go elsewhere.
    Draining,
}

/// Answers one request of the admin listener. `loopback_only`: it is bound to a loopback address, and
/// then a web page that reaches it under a foreign name (DNS rebinding) is turned away.
pub fn respond(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    readiness: Readiness,
    loopback_only: bool,
) -> Response<Full<Bytes>> {
    if let Some(refused) = misdirected(headers, loopback_only) {
        return refused;
    }
    let (status, body) = match (path, readiness) {
        ("/healthz", _) => (StatusCode::OK, "ok\n"),
        ("/readyz", Readiness::Ready) => (StatusCode::OK, "ok\n"),
        ("/readyz", Readiness::Draining) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        _ => (
            StatusCode::NOT_FOUND,
            "not found; here are /healthz, /readyz, /metrics and /admin/v1\n",
        ),
    };
    let readable = method == Method::GET || method == Method::HEAD;
    if status != StatusCode::NOT_FOUND && !readable {
        return not_readable();
    }
    text(status, body)
}

/// Turns away who reached a loopback listener under a foreign name.
pub(super) fn misdirected(
    headers: &HeaderMap,
    loopback_only: bool,
) -> Option<Response<Full<Bytes>>> {
    let foreign = headers.contains_key(HOST) && !origin::is_loopback_host(headers);
    (loopback_only && foreign).then(|| {
        text(
            StatusCode::MISDIRECTED_REQUEST,
            "the admin listener answers on this machine only: use localhost or 127.0.0.1 as host\n",
        )
    })
}

/// The answer to any other method where only reading works.
pub(super) fn not_readable() -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD work here\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

pub(super) fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: &Method, path: &str, host: Option<&str>, readiness: Readiness) -> u16 {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        }
        respond(method, path, &headers, readiness, true).status().as_u16()
    }

    #[test]
    fn health_is_constant_and_readiness_follows_the_drain() {
        let cases = [
            ("/healthz", Readiness::Ready, 200),
            ("/healthz", Readiness::Draining, 200),
            ("/readyz", Readiness::Ready, 200),
            ("/readyz", Readiness::Draining, 503),
            ("/", Readiness::Ready, 404),
            ("/readyz/", Readiness::Ready, 404),
        ];
        for (path, readiness, expected) in cases {
            for method in [Method::GET, Method::HEAD] {
                let status = status(&method, path, Some("localhost:8081"), readiness);
                assert_eq!(status, expected, "{method} {path} {readiness:?}");
            }
        }
        assert_eq!(status(&Method::POST, "/readyz", None, Readiness::Ready), 405);
        assert_eq!(status(&Method::POST, "/", None, Readiness::Ready), 404);
    }

    #[test]
    fn a_loopback_listener_turns_foreign_hosts_away() {
        for host in [None, Some("localhost"), Some("127.0.0.1:8081"), Some("[::1]:8081")] {
            assert_eq!(status(&Method::GET, "/healthz", host, Readiness::Ready), 200, "{host:?}");
        }
        for host in ["evil.com", "evil.com:8081", "localhost.evil.com", ""] {
            let status = status(&Method::GET, "/healthz", Some(host), Readiness::Ready);
            assert_eq!(status, 421, "{host}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("10.1.2.3:8081"));
        let response = respond(&Method::GET, "/healthz", &headers, Readiness::Ready, false);
        assert_eq!(response.status(), 200, "a probe by address, on a public listener");
    }
}
