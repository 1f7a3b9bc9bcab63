//! `/metrics` of the operators' listener, for Prometheus.
//!
//! Who may read it says `metrics.open`: while the listener is on loopback everybody, otherwise whoever
//! shows a key of the role `monitor` or `admin`. Nothing on the page is about a single client.
//! Source: operations.md 7.

mod families;

use std::net::IpAddr;

use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE},
};
use tokio::time::sleep;

use super::{
    admin,
    app::App,
    body::Body,
    credentials::{Credentials, WRONG_KEY_DELAY},
    report,
};
use crate::{
    config::OpenMetrics,
    events::Operation,
    metrics::{Denied, Page},
};

/// Where the page is.
pub(super) const PATH: &str = "/metrics";

/// Answers a request for [`PATH`]. `loopback_only`: the listener is on loopback.
pub(super) async fn respond(
    app: &App,
    address: IpAddr,
    method: &Method,
    headers: &HeaderMap,
    loopback_only: bool,
) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        return admin::not_readable().map(Body::from);
    }
    let open = match app.config.metrics.open {
        OpenMetrics::Loopback => loopback_only,
        OpenMetrics::Always => true,
        OpenMetrics::Never => false,
    };
    if !open && let Err(refusal) = admit(app, address, headers).await {
        return refusal;
    }
    let mut response = Response::new(Body::text(families::page(app).into_text()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(Page::CONTENT_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Asks for a key that may read what the broker does.
async fn admit(app: &App, address: IpAddr, headers: &HeaderMap) -> Result<(), Response<Body>> {
    let (status, problem) = match app.keys.credentials(headers) {
        Credentials::Key(principal) if principal.may_monitor() => return Ok(()),
        Credentials::Key(_) => {
            report::key_refused(app, address, Operation::Admin);
            (StatusCode::FORBIDDEN, "this key's role is not monitor or admin\n")
        }
        Credentials::Wrong => {
            report::key_refused(app, address, Operation::Admin);
            sleep(WRONG_KEY_DELAY).await;
            (StatusCode::UNAUTHORIZED, "this key is not, or no longer, known\n")
        }
        Credentials::None => {
            app.metrics.denied.add(Denied::AdminKey, 1);
            let problem =
                "a key of the role monitor or admin is needed: Authorization: Bearer KEY\n";
            (StatusCode::UNAUTHORIZED, problem)
        }
    };
    let mut response = admin::text(status, problem).map(Body::from);
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    Err(response)
}
