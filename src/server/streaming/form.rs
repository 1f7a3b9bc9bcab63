//! How the lines of a stream look.
//!
//! - `eventsource`: `data: [message, …]` and an empty line; its heartbeat is a comment.
//! - `streaming`: `[message, …]` and a line feed (NDJSON); its heartbeat is the empty array.
//! - `iframe`: `<script>b([message, …])</script>`, which calls a function of the parent page; its
//!   heartbeat is a line feed.
//!
//! JSON that leaves here has no line break in it: frames are written without, replies have none.
//! Source: protocol.md 138; WHATWG HTML, 9.2 (event streams) and 4.12.1 (what ends a script).

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use hyper::{
    Request,
    header::{ACCEPT, HeaderValue},
};

use crate::{
    bayeux::Frame,
    broker::Batch,
    config::Transport,
    server::{
        body::{Rope, append_for_script},
        drain::jitter,
        inbound::Inbound,
        route::{CALLBACK_BYTES_MAX, is_callback},
    },
};

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    EventSource,
    Streaming,
    /// `callback` is a validated path of identifiers below `parent`.
    Iframe {
        callback: String,
    },
}

impl Form {
    /// Which form a GET asks for: an iframe names the function to call, `EventSource` says what it
    /// accepts, everybody else gets lines. `None`: it has a Bayeux message and is no stream at all.
    ///
    /// # Errors
    /// The text of a 400.
    pub(super) fn asked_for(request: &Request<Inbound>) -> Option<Result<Self, String>> {
        let query = request.uri().query().unwrap_or_default().as_bytes();
        let mut callbacks: Vec<Cow<'_, str>> = Vec::new();
        for (name, value) in form_urlencoded::parse(query) {
            match &*name {
                "message" => return None,
                "callback" => callbacks.push(value),
                _ => {}
            }
        }
        let events =
            request.headers().get_all(ACCEPT).iter().any(|accept| {
                memchr::memmem::find(accept.as_bytes(), b"text/event-stream").is_some()
            });
        Some(match callbacks.as_slice() {
            [] if events => Ok(Self::EventSource),
            [] => Ok(Self::Streaming),
            [name] if is_callback(name) => Ok(Self::Iframe { callback: name.to_string() }),
            _ => Err(format!(
                "an iframe names one function of its parent page in the parameter 'callback': \
                 dotted identifiers, at most {CALLBACK_BYTES_MAX} characters\n"
            )),
        })
    }

    pub(super) const fn transport(&self) -> Transport {
        match self {
            Self::EventSource => Transport::EventSource,
            Self::Streaming => Transport::Streaming,
            Self::Iframe { .. } => Transport::Iframe,
        }
    }

    pub(super) const fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::EventSource => "text/event-stream",
            Self::Streaming => "application/x-ndjson",
            Self::Iframe { .. } => "text/html;charset=UTF-8",
        })
    }

    /// What comes first. Also shows a proxy that waits for a first byte that there is one.
    pub(super) fn opening(&self) -> Bytes {
        match self {
            // Browsers come again after this time, all of them when a server has died: spread them.
            Self::EventSource => {
                format!("retry: {}\n\n", (RETRY + jitter(RETRY)).as_millis()).into()
            }
            Self::Streaming => Bytes::from_static(self.heartbeat()),
            Self::Iframe { callback } => {
                let mut page = format!(
                    "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>Bayeux</title>\
                     <script>function b(m){{document.currentScript.remove();parent.{callback}(m)}}\
                     </script></head><body>"
                );
                // Browsers look at so much of a page before they begin to run it.
                let padding = SNIFFED_BYTES.saturating_sub(page.len());
                page.extend(std::iter::repeat_n(' ', padding));
                page.push('\n');
                page.into()
            }
        }
    }

    /// Bytes without meaning.
    pub(super) const fn heartbeat(&self) -> &'static [u8] {
        match self {
            Self::EventSource => b":\n\n",
            Self::Streaming => b"[]\n",
            Self::Iframe { .. } => b"\n",
        }
    }

    /// A line of deliveries, settled when it is written.
    pub(super) fn deliveries(&self, batch: Batch) -> Rope {
        match self {
            Self::EventSource => Rope::line(b"data: [", batch, b"]\n\n"),
            Self::Streaming => Rope::line(b"[", batch, b"]\n"),
            Self::Iframe { .. } => {
                let line = script(batch.frames().iter().map(Frame::object));
                Rope::copy(line, batch)
            }
        }
    }

    /// The last line: `replies` are JSON objects separated by commas, `pause` is how long the client
    /// had better stay away.
    pub(super) fn last(&self, replies: &[u8], pause: Option<Duration>) -> Bytes {
        let (before, after): (Cow<'_, str>, &str) = match (self, pause) {
            (Self::EventSource, Some(pause)) => {
                (format!("retry: {}\ndata: [", pause.as_millis()).into(), "]\n\n")
            }
            (Self::EventSource, None) => ("data: [".into(), "]\n\n"),
            (Self::Streaming, _) => ("[".into(), "]\n"),
            (Self::Iframe { .. }, _) => return script([replies].into_iter()).into(),
        };
        [before.as_bytes(), replies, after.as_bytes()].concat().into()
    }
}

/// A script element with the array of `objects`.
fn script<'a>(objects: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut line = b"<script>b([".to_vec();
    for (index, object) in objects.enumerate() {
        if index > 0 {
            line.push(b',');
        }
        append_for_page(&mut line, object);
    }
    line.extend_from_slice(b"])</script>\n");
    line
}

/// Appends JSON so that it can stand in a script element: `<`, which in JSON occurs in texts only,
/// is escaped, or `</script>` and `<!--` in somebody's message would end the script.
fn append_for_page(out: &mut Vec<u8>, json: &[u8]) {
    for (index, part) in json.split(|byte| *byte == b'<').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\\u003c");
        }
        append_for_script(out, part);
    }
}

/// The pause before a browser comes again is between once and twice this.
const RETRY: Duration = Duration::from_secs(1);
/// Chromium and Safari sniff the first kilobyte.
const SNIFFED_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_message_ends_a_script() {
        let json = "{\"data\":\"</script><!-- \u{2028} é\"}".as_bytes();
        let line = String::from_utf8(script([json, b"{}".as_slice()].into_iter())).unwrap();
        let expected =
            "<script>b([{\"data\":\"\\u003c/script>\\u003c!-- \\u2028 é\"},{}])</script>\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn the_page_is_long_enough_for_browsers_to_begin() {
        let form = Form::Iframe { callback: "a.b".into() };
        let page = form.opening();
        assert!(page.len() > SNIFFED_BYTES, "{}", page.len());
        assert!(page.windows(15).any(|part| part == b"parent.a.b(m)}<"), "{page:?}");
    }

    #[test]
    fn the_last_event_says_when_to_come_again() {
        let last = Form::EventSource.last(b"{}", Some(Duration::from_millis(1500)));
        assert_eq!(&last[..], b"retry: 1500\ndata: [{}]\n\n");
        assert_eq!(&Form::EventSource.last(b"{}", None)[..], b"data: [{}]\n\n");
        assert_eq!(&Form::Streaming.last(b"{}", Some(Duration::ZERO))[..], b"[{}]\n");
    }
}
