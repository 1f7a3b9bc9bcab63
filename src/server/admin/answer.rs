//! Answers of the admin API: JSON, never cached.

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS},
};
use serde::Serialize;

use crate::server::body::Body;

/// A page of a list.
#[derive(Serialize)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    /// The cursor of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// Responds with a value as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(text) => of_kind(status, Body::text(text), "application/json"),
        // Only a map with keys that are no texts fails, and there is none.
        Err(_) => of_kind(StatusCode::INTERNAL_SERVER_ERROR, Body::default(), "application/json"),
    }
}

/// Responds with JSON that is written already.
pub(super) fn written(text: &'static str) -> Response<Body> {
    let body = Body::text(Bytes::from_static(text.as_bytes()));
    of_kind(StatusCode::OK, body, "application/json")
}

/// Responds with a body of some type.
pub(super) fn of_kind(status: StatusCode, body: Body, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
