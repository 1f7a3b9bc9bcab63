//! Changes to whole requests and responses, as plain functions over bytes.

use super::{Act, Alter, End};

/// The state of one direction's changes.
#[derive(Debug)]
pub(super) enum Filter {
    /// Everything passes.
    Pass,
    /// Nothing passes any more.
    Swallow,
    /// The head of the first request is awaited, then stripped of its upgrade.
    Strip(Vec<u8>),
    /// The head of the first message passes, nothing else.
    HeadOnly(Vec<u8>),
    /// Responses are counted; the one numbered 0 is changed.
    Responses { left: usize, alter: Alter, buffer: Vec<u8> },
}

/// What a filter makes of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filtered {
    /// These pass on.
    pub(super) bytes: Vec<u8>,
    /// And then the connection ends so.
    pub(super) end: Option<End>,
}

impl Filter {
    /// The filter of what goes to the broker.
    pub(super) fn to_broker(act: &Act) -> Self {
        match act {
            Act::StripUpgrade => Self::Strip(Vec::new()),
            Act::SwallowFrames => Self::HeadOnly(Vec::new()),
            Act::Relay | Act::Answer(_) | Act::Response { .. } => Self::Pass,
        }
    }

    /// The filter of what goes to the client.
    pub(super) fn to_client(act: &Act) -> Self {
        match act {
            Act::SwallowFrames => Self::HeadOnly(Vec::new()),
            Act::Response { nth, alter } => {
                Self::Responses { left: *nth, alter: alter.clone(), buffer: Vec::new() }
            }
            Act::Relay | Act::Answer(_) | Act::StripUpgrade => Self::Pass,
        }
    }

    /// Takes bytes as they were read and says what passes on.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Filtered {
        match self {
            Self::Pass => pass(bytes.to_vec()),
            Self::Swallow => pass(Vec::new()),
            Self::Strip(buffer) => {
                buffer.extend_from_slice(bytes);
                let Some(length) = head_length(buffer) else { return pass(Vec::new()) };
                let mut stripped = without_upgrade(&buffer[..length]);
                stripped.extend_from_slice(&buffer[length..]);
                *self = Self::Pass;
                pass(stripped)
            }
            Self::HeadOnly(buffer) => {
                buffer.extend_from_slice(bytes);
                let Some(length) = head_length(buffer) else { return pass(Vec::new()) };
                let head = buffer[..length].to_vec();
                *self = Self::Swallow;
                pass(head)
            }
            Self::Responses { left, alter, buffer } => {
                buffer.extend_from_slice(bytes);
                let mut passed = Vec::new();
                while let Some(length) = response_length(buffer) {
                    let response: Vec<u8> = buffer.drain(..length).collect();
                    if *left > 0 {
                        *left -= 1;
                        passed.extend(response);
                        continue;
                    }
                    let (altered, end) = apply(alter, response);
                    passed.extend(altered);
                    passed.append(buffer);
                    *self = Self::Pass;
                    return Filtered { bytes: passed, end };
                }
                pass(passed)
            }
        }
    }
}

fn pass(bytes: Vec<u8>) -> Filtered {
    Filtered { bytes, end: None }
}

fn apply(alter: &Alter, response: Vec<u8>) -> (Vec<u8>, Option<End>) {
    match alter {
        Alter::Double => (response.repeat(2), None),
        Alter::Truncate(length) => {
            (response[..response.len().min(*length)].to_vec(), Some(End::Close))
        }
        Alter::Swallow => (Vec::new(), None),
        Alter::Replace(other) => (other.clone(), None),
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    Some(bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4)
}

/// Length of the whole response at the front. The broker sends `Content-Length` or nothing; a
/// response without it is its head.
fn response_length(bytes: &[u8]) -> Option<usize> {
    let head = head_length(bytes)?;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let body = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    (bytes.len() >= head + body).then_some(head + body)
}

fn without_upgrade(head: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(head);
    let is_kept = |line: &&str| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("upgrade:") && !line.starts_with("connection:")
    };
    text.split("\r\n").filter(is_kept).collect::<Vec<_>>().join("\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";

    fn alter(nth: usize, alter: Alter) -> Filter {
        Filter::to_client(&Act::Response { nth, alter })
    }

    #[test]
    fn only_the_nth_response_is_doubled() {
        let mut filter = alter(1, Alter::Double);
        assert_eq!(filter.feed(RESPONSE).bytes, RESPONSE);
        assert_eq!(filter.feed(&RESPONSE[..9]).bytes, b"");
        assert_eq!(filter.feed(&RESPONSE[9..]).bytes, RESPONSE.repeat(2));
        assert_eq!(filter.feed(RESPONSE).bytes, RESPONSE);
    }

    #[test]
    fn a_truncated_response_ends_the_connection() {
        let filtered = alter(0, Alter::Truncate(5)).feed(RESPONSE);
        assert_eq!(filtered, Filtered { bytes: b"HTTP/".to_vec(), end: Some(End::Close) });
    }

    #[test]
    fn the_upgrade_is_stripped_and_the_rest_passes() {
        let mut filter = Filter::to_broker(&Act::StripUpgrade);
        let head =
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nx";
        assert_eq!(filter.feed(head).bytes, b"GET / HTTP/1.1\r\nHost: a\r\n\r\nx");
    }

    #[test]
    fn frames_behind_the_head_are_swallowed() {
        let mut filter = Filter::to_client(&Act::SwallowFrames);
        assert_eq!(filter.feed(b"HTTP/1.1 101 S\r\n\r\n\x81\x00").bytes, b"HTTP/1.1 101 S\r\n\r\n");
        assert_eq!(filter.feed(b"\x81\x00").bytes, b"");
    }
}
