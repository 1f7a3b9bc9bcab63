//! What else may be read from `ext`: the names in it, and a key that a client shows.
//!
//! Source: monitoring.md 4 (`ext_keys`), 6 (`ext.authentication.key`).

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::bayeux::json;

/// The first names in `ext`, never their values.
#[must_use]
pub fn ext_keys(ext: Option<&RawValue>, count_max: usize) -> Vec<String> {
    let mut names = Vec::new();
    each(ext, |name, _| {
        if names.len() < count_max {
            names.extend(json::text(name).map(Cow::into_owned));
        }
    });
    names
}

/// `ext.authentication.key`: the API key that a client shows in its handshake.
#[must_use]
pub fn shown_key(ext: Option<&RawValue>) -> Option<Cow<'_, str>> {
    field(field(ext, "authentication"), "key").and_then(json::text)
}

/// The last field of that name.
pub(super) fn field<'a>(object: Option<&'a RawValue>, wanted: &str) -> Option<&'a RawValue> {
    let mut found = None;
    each(object, |name, value| {
        if json::text(name).as_deref() == Some(wanted) {
            found = Some(value);
        }
    });
    found
}

/// Visits the fields of an object; what is none has no fields.
pub(super) fn each<'a>(
    object: Option<&'a RawValue>,
    visit: impl FnMut(&'a RawValue, &'a RawValue),
) {
    if let Some(object) = object {
        let fields = Fields(visit);
        // What ends in an error here was no object.
        let _ = serde_json::Deserializer::from_str(object.get()).deserialize_any(fields);
    }
}

struct Fields<F>(F);

impl<'de, F: FnMut(&'de RawValue, &'de RawValue)> Visitor<'de> for Fields<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        while let Some((name, value)) = fields.next_entry::<&RawValue, &RawValue>()? {
            (self.0)(name, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn names_are_read_and_values_are_not() {
        let ext = raw(r#"{"ack":true,"authentication":{"key":"secret"},"\u0061":1}"#);
        assert_eq!(ext_keys(Some(ext), 16), ["ack", "authentication", "a"]);
        assert_eq!(ext_keys(Some(ext), 1), ["ack"]);
        for odd in ["1", "[]", "null", "\"x\"", "{}"] {
            assert!(ext_keys(Some(raw(odd)), 16).is_empty(), "{odd}");
        }
        assert!(ext_keys(None, 16).is_empty());
    }

    #[test]
    fn a_key_is_a_string_in_its_place() {
        let key = |json| shown_key(Some(raw(json)));
        assert_eq!(key(r#"{"authentication":{"key":"k"}}"#).as_deref(), Some("k"));
        for odd in [
            r#"{"authentication":"k"}"#,
            r#"{"authentication":{"token":"k"}}"#,
            r#"{"authentication":{"key":1}}"#,
            r#"{"key":"k"}"#,
            "null",
        ] {
            assert_eq!(key(odd), None, "{odd}");
        }
    }
}
