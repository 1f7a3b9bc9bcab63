//! Scans over the bytes of JSON text, before or without parsing it.
//!
//! They know strings, brackets and line breaks, nothing else: that a text *is* JSON is the parser's
//! business.
//! Source: protocol.md 14; serde_json's `RawValue`, which has no limit of depth and keeps the
//! sender's line breaks.

/// Whether arrays and objects are nested more than `depth_max` deep in `json`. Brackets inside of
/// strings do not count. Reads each byte at most once and keeps no stack.
///
/// For text that is not JSON the answer is still defined: a closing bracket too many is passed
/// over, an unfinished string reaches to the end.
pub fn deeper_than(json: &[u8], depth_max: usize) -> bool {
    let mut depth = 0usize;
    let mut rest = json.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(rest.as_slice()).iter(),
            _ => {}
        }
    }
    false
}

/// Appends a raw JSON value and turns each CR and LF into a space, so that the result is one line.
///
/// In valid JSON a line break stands only between tokens (inside of a string it is written `\n`), so
/// the value stays the same, and so does its length. Transports that frame by lines depend on it.
pub fn append_as_one_line(out: &mut Vec<u8>, json: &str) {
    let start = out.len();
    out.extend_from_slice(json.as_bytes());
    if let Some(first) = memchr::memchr2(b'\r', b'\n', json.as_bytes()) {
        for byte in out.iter_mut().skip(start + first) {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }
}

/// What follows the closing quote of a string whose opening quote has just been read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        // An escape is two bytes: an escaped quote does not close the string.
        let escape = rest.get(at) == Some(&b'\\');
        rest = rest.get(at + 1 + usize::from(escape)..).unwrap_or_default();
        if !escape {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests;
