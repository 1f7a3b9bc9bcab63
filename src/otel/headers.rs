//! The header lines of requests to the collector: ours, and those of a file, which are secrets.

use std::{fs, path::Path};

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use super::BadOtel;
use crate::place::Place;

/// All headers of a request to `place`. Those of the file are marked so that nothing shows them.
///
/// # Errors
/// The file cannot be read, or has a line that is no header or would change how requests are framed.
pub(super) fn headers(place: &Place, file: Option<&Path>) -> Result<HeaderMap, BadOtel> {
    let mut headers = place.headers();
    let Some(path) = file else { return Ok(headers) };
    let text = fs::read_to_string(path)
        .map_err(|error| BadOtel::File { path: path.to_path_buf(), error })?;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = read(line)
            .ok_or_else(|| BadOtel::Header { path: path.to_path_buf(), line: index + 1 })?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn read(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let mut value = HeaderValue::from_str(value.trim()).ok()?;
    value.set_sensitive(true);
    (!OURS.contains(&name)).then_some((name, value))
}

const OURS: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_headers_that_do_not_show_themselves() {
        let (name, value) = read("Authorization: Bearer abc:def").unwrap();
        assert_eq!((name, value.to_str().unwrap()), (header::AUTHORIZATION, "Bearer abc:def"));
        assert!(value.is_sensitive() && format!("{value:?}") == "Sensitive");
    }

    #[test]
    fn lines_that_would_break_a_request_are_refused() {
        for bad in ["Authorization", ": x", "A B: c", "host: x", "Content-Length: 1", "X: a\u{1}b"]
        {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
