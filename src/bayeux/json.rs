//! Strings between raw JSON and text: reading one out of a raw value, writing one.
//!
//! A string without escapes, as nearly all are, is borrowed. Escapes are left to `serde_json`.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// The text of a JSON string, or `None` if the value is no string, or one with a lone surrogate
/// (`"\ud800"`), which is JSON but not Unicode text.
pub(super) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = value.get();
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(quoted).ok().map(Cow::Owned)
}

/// Appends `text` as a JSON string with its quotes. Escapes only what RFC 8259, section 7 demands.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    out.push(b'"');
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend([byte >> 4, byte & 0xf].map(hex_digit));
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// How many bytes [`write_string`] appends for `text`.
pub(super) fn string_len(text: &str) -> usize {
    let escaped = |byte| match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    "\"\"".len() + text.bytes().map(escaped).sum::<usize>()
}

/// The digit of a value below 16.
fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_string_is_borrowed() {
        let value: &RawValue = serde_json::from_str(r#""/foo""#).unwrap();
        assert!(matches!(text(value), Some(Cow::Borrowed("/foo"))));
    }

    #[test]
    fn escapes_are_undone() {
        let value: &RawValue = serde_json::from_str(r#""\u002ffoo\\""#).unwrap();
        assert_eq!(text(value).as_deref(), Some("/foo\\"));
    }

    #[test]
    fn what_is_no_text_is_none() {
        for json in [r#""\ud800""#, "1", "null", "[\"a\"]", "{}"] {
            let value: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(text(value), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn a_written_string_has_the_foretold_length_and_reads_back(string in any::<String>()) {
            let mut out = Vec::new();
            write_string(&mut out, &string);
            prop_assert_eq!(out.len(), string_len(&string));
            let value: &RawValue = serde_json::from_slice(&out).unwrap();
            let read = text(value);
            prop_assert_eq!(read.as_deref(), Some(string.as_str()));
        }
    }
}
