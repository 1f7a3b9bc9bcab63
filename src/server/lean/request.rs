//! The one definition of a plain request.
//!
//! `POST` of a Bayeux path by HTTP/1.1, head and body complete, its length told once and in digits,
//! nothing told twice, nothing that concerns the connection or the framing, and within all limits.
//! Every doubt is hyper's to settle: `None` is not an error, it costs the request some microseconds. So
//! two readers cannot disagree on where a request ends: one that leaves any choice is read by hyper
//! alone. The head is cut into lines by the parser that hyper uses, with the same settings.
//! Source: RFC 9112 2 to 9.

use bytes::Bytes;
use httparse::{EMPTY_HEADER, Status};
use hyper::{
    HeaderMap,
    header::{
        CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE,
        TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};

use crate::{
    config::Config,
    server::{host, live::Live, route},
};

/// A plain request.
pub(in crate::server) struct Request {
    pub(in crate::server) headers: HeaderMap,
    pub(in crate::server) body: Bytes,
}

/// Reads the request that `bytes` begin with, if it is plain; also returns where it ends.
pub(super) fn parse(config: &Config, limits: &Live, bytes: &Bytes) -> Option<(Request, usize)> {
    if !bytes.starts_with(b"POST /") {
        return None;
    }
    let mut slots = [EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut slots);
    let Ok(Status::Complete(head_length)) = head.parse(bytes) else { return None };
    let path = head.path?;
    let is_plain = head.method == Some("POST")
        && head.version == Some(1)
        && is_plain_path(path)
        && path.len() <= limits.uri_bytes.now()
        && route::is_bayeux(config, path)
        && head.headers.len() <= limits.header_count.now()
        && has_whole_lines(bytes.get(..head_length)?);
    if !is_plain {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    let mut header_bytes = 0;
    for header in head.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(header.value)).ok()?;
        header_bytes += route::header_line_bytes(&name, &value);
        if NOT_PLAIN.contains(&name) || headers.insert(name, value).is_some() {
            return None;
        }
    }
    let stays_open =
        headers.get(CONNECTION).is_none_or(|v| v.as_bytes().eq_ignore_ascii_case(b"keep-alive"));
    let length = length(headers.get(CONTENT_LENGTH)?.as_bytes())?;
    if !stays_open || header_bytes > limits.header_bytes.now() || length > limits.message_size.now()
    {
        return None;
    }
    // Without a host it is refused, which is not plain.
    if !host::is_host(headers.get(HOST)?.as_bytes()) {
        return None;
    }
    let end = head_length.checked_add(length)?;
    (end <= bytes.len()).then(|| (Request { headers, body: bytes.slice(head_length..end) }, end))
}

/// Letters and signs that mean themselves: no query, nothing encoded, no other form of target.
fn is_plain_path(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte))
}

/// Whether each line of the head ends in CR LF: the parser takes LF alone as well.
fn has_whole_lines(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head)
        .all(|at| at.checked_sub(1).and_then(|before| head.get(before)) == Some(&b'\r'))
}

/// Digits and nothing else, few enough not to overflow.
fn length(text: &[u8]) -> Option<usize> {
    if !(1..=LENGTH_DIGITS_MAX).contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + usize::from(byte - b'0'))
    })
}

/// Headers that say how to read or to treat the connection or the body. `Connection` itself is looked at
/// apart.
const NOT_PLAIN: [HeaderName; 6] =
    [TRANSFER_ENCODING, EXPECT, UPGRADE, TRAILER, TE, CONTENT_ENCODING];
/// Twice what browsers send behind two proxies.
const HEADERS_MAX: usize = 48;
const LENGTH_DIGITS_MAX: usize = 8;

#[cfg(test)]
mod tests;
