//! What `sub` prints: messages as they were published.
//!
//! They stay the text that came. A tree of values would round numbers, sort fields and drop all but the
//! last of those with the same name.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};

use crate::cli::{
    remote::{clean, harmless},
    try_print,
};

/// Prints messages, as many as are wanted.
#[derive(Debug)]
pub(super) struct Printer {
    json: bool,
    /// Most messages to print.
    count: Option<u64>,
    received: u64,
    /// Nobody reads what is printed any more.
    closed: bool,
}

impl Printer {
    pub(super) fn new(json: bool, count: Option<u64>) -> Self {
        Self { json, count, received: 0, closed: false }
    }

    /// Whether nothing more is wanted.
    pub(super) fn is_done(&self) -> bool {
        self.closed || self.count.is_some_and(|count| self.received >= count)
    }

    /// Prints what an answer delivers, and returns the rest of it: the replies.
    pub(super) fn show(&mut self, answer: &str) -> Value {
        let messages: Vec<&RawValue> = serde_json::from_str(answer).unwrap_or_default();
        let mut replies = Vec::new();
        for message in messages {
            let Some(line) = self.line(message) else {
                replies.extend(serde_json::from_str::<Value>(message.get()));
                continue;
            };
            if self.is_done() {
                continue;
            }
            self.received += 1;
            self.closed |= !try_print(format_args!("{line}\n"));
        }
        Value::Array(replies)
    }

    /// The line about a message; `None`: it delivers nothing.
    fn line(&self, message: &RawValue) -> Option<String> {
        let delivery: Delivery<'_> = serde_json::from_str(message.get()).ok()?;
        let data = delivery.data?;
        Some(if self.json {
            harmless(message.get())
        } else {
            format!("{} {}", clean(&delivery.channel), harmless(data.get()))
        })
    }
}

/// What has to be known of a message.
#[derive(Deserialize)]
struct Delivery<'a> {
    #[serde(borrow, default)]
    channel: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

/// Reads a field that is there, be it null.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(data: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(data).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_printed_as_it_was_published() {
        let data = r#"{"b":1,"a":1.10,"n":123456789012345678901234567890,"e":1e2,"a":null}"#;
        let message = format!(r#"{{"channel":"/x\u0041","data":{data},"z":[ 1 ],"id":"1"}}"#);
        let line = |json, text: &str| {
            let message: &RawValue = serde_json::from_str(text).unwrap();
            Printer::new(json, None).line(message)
        };
        assert_eq!(line(true, &message), Some(message.clone()));
        assert_eq!(line(false, &message), Some(format!("/xA {data}")));
        let broken = "{\"channel\":\"/a\",\"data\":[1,\r\n\"\u{9b}\"]}";
        assert_eq!(line(false, broken).as_deref(), Some("/a [1,\"\\u009b\"]"));
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let message = format!(r#"{{"channel":"/a","data":{deep}}}"#);
        assert_eq!(line(false, &message), Some(format!("/a {deep}")), "deeper than a tree may be");
        assert_eq!(line(false, r#"{"channel":"/a","data":null}"#).as_deref(), Some("/a null"));
        assert_eq!(line(false, r#"{"channel":"/meta/connect","successful":true}"#), None);
    }

    #[test]
    fn replies_are_kept_and_nothing_else() {
        let mut printer = Printer::new(false, Some(0));
        let answer = r#"[{"channel":"/a","data":1},{"channel":"/meta/connect"}]"#;
        assert_eq!(printer.show(answer), serde_json::json!([{ "channel": "/meta/connect" }]));
        assert_eq!(printer.show("no JSON"), serde_json::json!([]));
    }
}
