//! The parameters of a query, as bytes.
//!
//! What is no UTF-8 stays what it is, so that who reads a message refuses it; decoders that answer with
//! text put a replacement for it, and a message that the client has not sent would be published.
//! Source: WHATWG URL, application/x-www-form-urlencoded parsing; reliability.md T6.

use std::borrow::Cow;

/// Names and values in order.
pub(super) fn parameters(query: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    let pairs = query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_at(memchr::memchr(b'=', pair).unwrap_or(pair.len()));
        (decode(name), decode(value.get(1..).unwrap_or_default()))
    })
}

/// `+` is a space, `%41` an A; a `%` that no two hex digits follow is itself.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        rest = after;
        match escaped {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            None if *first == b'+' => decoded.push(b' '),
            None => decoded.push(*first),
        }
    }
    Cow::Owned(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(query: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        parameters(query).map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn parameters_are_decoded_to_the_bytes_that_were_meant() {
        let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        assert_eq!(
            all(b"a=1&&b+c=%5b%5D+%2B&d&e==&=f&%C3%a4=%FF%fe"),
            [
                pair(b"a", b"1"),
                pair(b"b c", b"[] +"),
                pair(b"d", b""),
                pair(b"e", b"="),
                pair(b"", b"f"),
                pair(b"\xC3\xA4", b"\xFF\xFE"),
            ]
        );
        for literal in ["%", "%4", "%g1", "%1g", "%%"] {
            assert_eq!(all(literal.as_bytes()), [pair(literal.as_bytes(), b"")], "{literal}");
        }
        assert_eq!(all(b""), []);
    }
}
