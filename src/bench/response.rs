//! Reads HTTP/1.1 responses: status, body, the browser cookie. Nothing else of HTTP is needed.
//!
//! Source: RFC 9112 6 and 7.1.

use std::borrow::Cow;

/// A complete response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response<'a> {
    /// The status code.
    pub(super) status: u16,
    /// The body, joined if it came in chunks.
    pub(super) body: Cow<'a, [u8]>,
    /// Name and value of the cookies, as a request sends them back.
    pub(super) cookies: String,
    /// Whether the server closes the connection.
    pub(super) closes: bool,
    /// Bytes it took, head included.
    pub(super) length: usize,
}

/// Reads the response at the start of `bytes`; `None` while it is incomplete.
///
/// # Errors
///
/// What no HTTP/1.1 server sends: the server is at fault, or is none.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Response<'_>>, &'static str> {
    let Some(head) = head(bytes)? else { return Ok(None) };
    let rest = bytes.get(head.length..).unwrap_or_default();
    let (body, body_length) = match head.framing {
        Framing::Length(length) if length > BODY_BYTES_MAX => {
            return Err("the server sent a body of more than 16 MiB");
        }
        Framing::Length(length) => match rest.get(..length) {
            Some(body) => (Cow::Borrowed(body), length),
            None => return Ok(None),
        },
        Framing::Chunked => match chunks(rest)? {
            Some((body, length)) => (Cow::Owned(body), length),
            None => return Ok(None),
        },
    };
    let length = head.length + body_length;
    let Head { status, cookies, closes, .. } = head;
    Ok(Some(Response { status, body, cookies, closes, length }))
}

/// What stands above a body.
#[derive(Debug)]
pub(super) struct Head {
    /// The status code.
    pub(super) status: u16,
    /// Bytes it took, the empty line included.
    pub(super) length: usize,
    /// WebSocket extensions that the server has accepted.
    pub(super) extensions: String,
    cookies: String,
    closes: bool,
    framing: Framing,
}

#[derive(Debug)]
enum Framing {
    Length(usize),
    Chunked,
}

/// Reads the head alone, as of an upgrade; `None` while it is incomplete.
///
/// # Errors
///
/// As [`parse`].
pub(super) fn head(bytes: &[u8]) -> Result<Option<Head>, &'static str> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX {
            Err("the server sent no HTTP head")
        } else {
            Ok(None)
        };
    };
    let Ok(text) = str::from_utf8(bytes.get(..end).unwrap_or_default()) else {
        return Err("the server sent an HTTP head that is no text");
    };
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1."))
        .and_then(|line| line.get(2..5)?.parse().ok())
        .ok_or("the server does not speak HTTP/1.1")?;
    let mut head = Head {
        status,
        length: end + 4,
        extensions: String::new(),
        cookies: String::new(),
        closes: false,
        framing: Framing::Length(0),
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        head.field(name, value.trim())?;
    }
    Ok(Some(head))
}

impl Head {
    fn field(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.parse().map_err(|_| "the server sent a bad Content-Length")?;
            self.framing = Framing::Length(length);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            self.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("sec-websocket-extensions") {
            value.clone_into(&mut self.extensions);
        } else if name.eq_ignore_ascii_case("connection") {
            self.closes = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("set-cookie") {
            if !self.cookies.is_empty() {
                self.cookies.push_str("; ");
            }
            self.cookies.push_str(value.split(';').next().unwrap_or_default());
        }
        Ok(())
    }
}

/// Joins chunks up to the last one; the second value is the length with all framing.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line_end) = memchr::memmem::find(rest, b"\r\n") else { return Ok(None) };
        let size = str::from_utf8(rest.get(..line_end).unwrap_or_default())
            .ok()
            .and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok())
            .filter(|size| body.len().saturating_add(*size) <= BODY_BYTES_MAX)
            .ok_or("the server sent a bad chunk")?;
        let start = line_end + 2;
        let Some(chunk) = rest.get(start..start + size + 2) else { return Ok(None) };
        body.extend_from_slice(chunk.get(..size).unwrap_or_default());
        at += start + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

/// Bounds what a broken server can make the tool collect.
const BODY_BYTES_MAX: usize = 16 << 20;
const HEAD_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_once_it_is_complete() {
        let text = b"HTTP/1.1 200 OK\r\nSet-Cookie: A=1; Path=/\r\nset-cookie: B=2\r\ncontent-length: 2\r\n\r\n[]HTTP";
        for cut in 0..text.len() - 4 {
            assert_eq!(parse(&text[..cut]), Ok(None), "{cut}");
        }
        let response = parse(text).unwrap().unwrap();
        assert_eq!((response.status, &*response.body), (200, &b"[]"[..]));
        assert_eq!((&*response.cookies, response.closes), ("A=1; B=2", false));
        assert_eq!(response.length, text.len() - 4);
    }

    #[test]
    fn chunks_are_joined() {
        let text = b"HTTP/1.1 200 OK\r\nConnection: Close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[{}\r\n1;x=y\r\n]\r\n0\r\n\r\n";
        for cut in 0..text.len() {
            assert_eq!(parse(&text[..cut]), Ok(None), "{cut}");
        }
        let response = parse(text).unwrap().unwrap();
        assert_eq!((&*response.body, response.closes), (&b"[{}]"[..], true));
        assert_eq!(response.length, text.len());
    }

    #[test]
    fn what_is_no_http_is_refused() {
        let long = vec![b'x'; HEAD_BYTES_MAX + 1];
        for text in [
            &b"SSH-2.0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            &long,
        ] {
            assert!(parse(text).is_err());
        }
    }
}
