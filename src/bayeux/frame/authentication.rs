//! Takes `authentication` out of the `ext` of a publish.
//!
//! That field holds what a client proves itself with, and is for the server alone. Other fields of
//! `ext` reach the subscribers: the binary extension depends on them (protocol.md 8).

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::bayeux::json;

/// `ext` without its field `authentication`, however that name is escaped. Borrowed and untouched
/// when there is nothing to take out, so also when it is no object.
pub(super) fn without(ext: &RawValue) -> Cow<'_, str> {
    let text = ext.get();
    // The name in plain letters, or an escape that might hide it. Nearly no message has either.
    let suspicious = text.contains('\\') || text.contains(NAME);
    if !suspicious || !text.starts_with('{') {
        return Cow::Borrowed(text);
    }
    // `deserialize_map` cannot fail on a raw value that is an object; if it does, `ext` stays home.
    let kept = serde_json::Deserializer::from_str(text).deserialize_map(Strip);
    Cow::Owned(kept.unwrap_or_else(|_| "{}".to_owned()))
}

const NAME: &str = "authentication";

/// Copies the entries of an object, raw, except for those named [`NAME`].
struct Strip;

impl<'de> Visitor<'de> for Strip {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<String, A::Error> {
        let mut kept = String::from("{");
        while let Some((name, value)) = entries.next_entry::<&RawValue, &RawValue>()? {
            // A name that is no text (a lone surrogate) is not this one.
            if json::text(name).is_some_and(|name| name == NAME) {
                continue;
            }
            if kept.len() > 1 {
                kept.push(',');
            }
            kept.push_str(name.get());
            kept.push(':');
            kept.push_str(value.get());
        }
        kept.push('}');
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(json: &str) -> String {
        without(serde_json::from_str(json).unwrap()).into_owned()
    }

    #[test]
    fn only_the_field_of_that_name_goes() {
        assert_eq!(stripped(r#"{"a":1,"authentication":{"t":"x"},"b":[2]}"#), r#"{"a":1,"b":[2]}"#);
        assert_eq!(stripped(r#"{"authentication":1}"#), "{}");
    }

    #[test]
    fn an_escaped_name_is_recognised() {
        assert_eq!(stripped(r#"{"\u0061uthenticatio\u006e":1,"k":2}"#), r#"{"k":2}"#);
    }

    #[test]
    fn all_duplicates_go() {
        assert_eq!(stripped(r#"{"authentication":1,"authentication":2}"#), "{}");
    }

    #[test]
    fn what_lies_deeper_or_only_mentions_the_name_stays() {
        for json in [
            r#"{"k":{"authentication":1}}"#,
            r#"{"k":"authentication"}"#,
            r#"["authentication"]"#,
            r#""authentication""#,
            r#"{"\ud800":"\ud800"}"#,
            "null",
        ] {
            assert_eq!(stripped(json), json);
        }
    }
}
