//! A response as it came: status, headers in order, body.

use serde_json::Value;

/// A header's name and value, in the spelling of the sender.
pub type Header = (String, String);

/// One HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers in their order.
    pub headers: Vec<Header>,
    /// The body with any chunked framing removed.
    pub body: Vec<u8>,
}

impl Response {
    /// The only value of a header; `None` if it is absent.
    ///
    /// # Panics
    /// If it occurs more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers_named(name);
        let first = values.next();
        assert!(values.next().is_none(), "header {name} occurs more than once: {self:?}");
        first
    }

    /// Every value of a header, in order.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        let wanted = name.to_ascii_lowercase();
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(&wanted))
            .map(|(_, value)| value.as_str())
    }

    /// The items of a comma-separated header in lower case, over all its lines.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.headers_named(name)
            .flat_map(|line| line.split(','))
            .map(|item| item.trim().to_ascii_lowercase())
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// The `NAME=value` part of the cookie that this response sets.
    ///
    /// # Panics
    /// If it sets none, or several.
    pub fn cookie(&self) -> String {
        let line = self.header("set-cookie").unwrap_or_else(|| panic!("no cookie in {self:?}"));
        line.split(';').next().expect("split yields one item").to_owned()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The messages of a Bayeux response, which is always 200 and a non-empty array (protocol.md
    /// 1, 83).
    ///
    /// # Panics
    /// If it is anything else.
    pub fn messages(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{self:?}");
        let Ok(Value::Array(messages)) = serde_json::from_slice(&self.body) else {
            panic!("not a JSON array: {}", self.text());
        };
        assert!(!messages.is_empty(), "an empty array");
        messages
    }
}

/// Reads the head of a response from the front of `bytes`: a response without its body and the
/// length of the head, or `None` while it is incomplete.
pub(super) fn parse_head(bytes: &[u8]) -> Option<(Response, usize)> {
    let head_length = find(bytes, b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_length]).expect("a response head in UTF-8");
    let mut lines = head.split("\r\n");
    let status_line = lines.next().expect("split yields one item");
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("not a status line: {status_line:?}"));
    let headers: Vec<Header> = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(':').unwrap_or_else(|| panic!("not a header: {line:?}")))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Some((Response { status, headers, body: Vec::new() }, head_length))
}

/// Reads one response from the front of `bytes`: the response and its length, or `None` while it
/// is incomplete.
pub(super) fn parse(bytes: &[u8]) -> Option<(Response, usize)> {
    let (mut response, head_length) = parse_head(bytes)?;
    let status = response.status;
    let rest = &bytes[head_length..];
    let body_length = if status < 200 || status == 204 || status == 304 {
        0
    } else if response.header("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        let (body, length) = dechunk(rest)?;
        response.body = body;
        length
    } else {
        let length = response
            .header("content-length")
            .map_or(0, |text| text.parse().unwrap_or_else(|_| panic!("not a length: {text:?}")));
        response.body = rest.get(..length)?.to_vec();
        length
    };
    Some((response, head_length + body_length))
}

/// Joins the chunks of a whole chunked body; `None` while its end is missing. Trailers are refused.
fn dechunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).expect("a chunk size in ASCII");
        let size = usize::from_str_radix(size, 16).expect("a chunk size in hexadecimal");
        at += line + 2;
        body.extend_from_slice(bytes.get(at..at + size)?);
        assert_eq!(bytes.get(at + size..at + size + 2)?, b"\r\n", "the end of a chunk");
        at += size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_the_whole_body_and_leaves_the_next_response() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[{}]HTTP/1.1 500";
        assert_eq!(parse(&bytes[..bytes.len() - 13]), None);
        let (response, length) = parse(bytes).expect("a whole response");
        assert_eq!((response.status, response.text(), length), (200, "[{}]", bytes.len() - 12));
    }

    #[test]
    fn joins_chunks() {
        let bytes =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[{\r\n2\r\n}]\r\n0\r\n\r\n";
        let (response, length) = parse(bytes).expect("a whole response");
        assert_eq!((response.text(), length), ("[{}]", bytes.len()));
    }
}
