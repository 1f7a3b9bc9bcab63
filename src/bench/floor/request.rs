//! What the tool sends, taken apart by byte searches.

use std::ops::Range;

use memchr::memmem;

/// An HTTP request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Http {
    /// More is to come.
    Incomplete,
    /// To become a WebSocket.
    Upgrade {
        /// The answer to its key.
        accept: String,
        /// Bytes it took.
        length: usize,
    },
    /// With messages.
    Post {
        /// Where they are.
        body: Range<usize>,
        /// Bytes it took.
        length: usize,
    },
}

/// Reads an HTTP request; `None` if it is none of the tool's.
pub(super) fn http(bytes: &[u8]) -> Option<Http> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return (bytes.len() <= HEAD_BYTES_MAX).then_some(Http::Incomplete);
    };
    let head = bytes.get(..end)?;
    let start = end + 4;
    if head.starts_with(b"GET ") {
        let accept = bayeuxd::ws::accept_key(&field(head, b"Sec-WebSocket-Key: ")?)?;
        return Some(Http::Upgrade { accept, length: start });
    }
    let length: usize = field(head, b"Content-Length: ")?.parse().ok()?;
    if length > BODY_BYTES_MAX {
        return None;
    }
    let length = start + length;
    Some(if bytes.len() < length {
        Http::Incomplete
    } else {
        Http::Post { body: start..length, length }
    })
}

/// Reads a WebSocket frame and unmasks it in place; the outer `None` closes the connection, the
/// inner one waits for more.
#[expect(clippy::option_option, reason = "two different reasons to have no frame")]
pub(super) fn frame(bytes: &mut [u8]) -> Option<Option<(Range<usize>, usize)>> {
    let [first, second, rest @ ..] = &*bytes else { return Some(None) };
    if first & 0x0f != 1 {
        return None;
    }
    let (length, start) = match second & 0x7f {
        126 => match rest.first_chunk::<2>() {
            Some(length) => (usize::from(u16::from_be_bytes(*length)), 4),
            None => return Some(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (usize::try_from(u64::from_be_bytes(*length)).ok()?, 10),
            None => return Some(None),
        },
        short => (usize::from(short), 2),
    };
    if length > BODY_BYTES_MAX {
        return None;
    }
    let (body, end) = (start + 4, start + 4 + length);
    if bytes.len() < end {
        return Some(None);
    }
    let key: [u8; 4] = bytes.get(start..body)?.try_into().ok()?;
    for (byte, key) in bytes.get_mut(body..end)?.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    Some(Some((body..end, end)))
}

/// Cuts a batch into its messages, which all begin with their channel.
pub(super) fn messages(batch: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts = memmem::find_iter(batch, MESSAGE_START).peekable();
    std::iter::from_fn(move || {
        let start = starts.next()?;
        // Before the next message is a comma, at the end of the batch a bracket.
        let end = starts.peek().copied().unwrap_or(batch.len()).checked_sub(1)?;
        batch.get(start..end)
    })
}

/// Reads a text field of a message.
pub(super) fn text<'a>(message: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let start = memmem::find(message, key)? + key.len();
    let rest = message.get(start..)?;
    rest.get(..memchr::memchr(b'"', rest)?)
}

/// Reads the data of a publish, which comes last.
pub(super) fn data(message: &[u8]) -> Option<&[u8]> {
    let start = memmem::find(message, b"\"data\":")? + 7;
    message.get(start..message.len().checked_sub(1)?)
}

fn field(head: &[u8], key: &[u8]) -> Option<String> {
    let start = memmem::find(head, key)? + key.len();
    let rest = head.get(start..)?;
    let end = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
    String::from_utf8(rest.get(..end)?.to_vec()).ok()
}

const MESSAGE_START: &[u8] = b"{\"channel\":\"";
const HEAD_BYTES_MAX: usize = 16 << 10;
const BODY_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::{
        super::super::{frame as client_frame, wire},
        *,
    };

    #[test]
    fn the_tools_requests_are_understood() {
        let post = wire::post("/x", "h", "", "[{}]");
        for cut in 0..post.len() {
            assert_eq!(http(&post[..cut]), Some(Http::Incomplete), "{cut}");
        }
        let length = post.len();
        assert_eq!(http(&post), Some(Http::Post { body: length - 4..length, length }));
        let upgrade = wire::upgrade("/x", "h", false);
        let Some(Http::Upgrade { accept, .. }) = http(&upgrade) else { panic!("no upgrade") };
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_tools_frames_are_unmasked() {
        for length in [5, 200, 70_000] {
            let mut bytes = Vec::new();
            client_frame::write(client_frame::TEXT, &vec![b'x'; length], &mut bytes);
            assert_eq!(frame(&mut bytes[..3]), Some(None));
            let (body, end) = frame(&mut bytes).unwrap().unwrap();
            assert_eq!((bytes[body].to_vec(), end), (vec![b'x'; length], bytes.len()));
        }
    }

    #[test]
    fn a_batch_is_cut_into_messages() {
        let batch = br#"[{"channel":"/a","id":"1","data":{"x":[1]}},{"channel":"/b","data":2}]"#;
        let found: Vec<_> = messages(batch)
            .map(|message| (text(message, b"\"channel\":\"").unwrap(), data(message).unwrap()))
            .collect();
        assert_eq!(found, [(&b"/a"[..], &br#"{"x":[1]}"#[..]), (b"/b", b"2")]);
    }
}
