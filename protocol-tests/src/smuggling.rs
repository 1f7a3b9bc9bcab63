//! Requests on whose end two readers might disagree.
//!
//! Source: RFC 9112 2.2, 5, 6, 7, 11.2; the cases are those of hyper's advisories RUSTSEC-2020-0008,
//! 2021-0020, -0078, -0079 and of the usual catalogues.

/// What has to become of the bytes of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Refused, nothing behind it is read, the connection is closed.
    Refused,
    /// Read in the one way that RFC 9112 6.3 allows, with nothing behind it: the connection is closed.
    ReadLast(u16),
    /// As many responses as there are requests by the standard, with these statuses.
    Read(&'static [u16]),
}

use Fate::{Read, ReadLast, Refused};

/// Would be answered with 404 if it were taken for a request.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
/// A body that is answered with 200.
const BODY: &str = r#"[{"channel":"/meta/handshake"}]"#;

/// A POST with these header lines, and what follows its head.
fn post(headers: &str, rest: &str) -> String {
    format!("POST /cometd HTTP/1.1\r\nHost: a\r\n{headers}\r\n{rest}")
}

/// `BODY` as one chunk, with `extension` behind its size.
fn chunked(extension: &str) -> String {
    format!("{:x}{extension}\r\n{BODY}\r\n0\r\n\r\n", BODY.len())
}

/// All cases: their names, the bytes of one connection, and what the broker has to make of them.
pub fn cases() -> Vec<(String, String, Fate)> {
    [lengths(), codings(), chunks(), heads()].concat()
}

fn lengths() -> Vec<(String, String, Fate)> {
    let length = BODY.len();
    let whole = |value: String| post(&format!("Content-Length:{value}\r\n"), BODY) + HIDDEN;
    let case = |name: &str, value: String, fate| (format!("length {name}"), whole(value), fate);
    let mut cases = vec![
        case("as it should be", format!(" {length}"), Read(&[200, 404])),
        case("without a space", format!("{length}"), Read(&[200, 404])),
        case("between spaces", format!(" \t {length} \t"), Read(&[200, 404])),
        case("with a sign", format!(" +{length}"), Refused),
        case("negative", format!(" -{length}"), Refused),
        case("hexadecimal", format!(" 0x{length:x}"), Refused),
        case("with letters", format!(" {length}a"), Refused),
        case("with a point", format!(" {length}.0"), Refused),
        case("split by a space", " 3 1".into(), Refused),
        case("quoted", format!(" \"{length}\""), Refused),
        case("empty", String::new(), Refused),
        case("list of two", format!(" {length}, 0"), Refused),
        case("over 64 bits", format!(" 1844674407370955{}", 1616 + length), Refused),
        case("with a vertical tab", format!(" {length}\x0b"), Refused),
        case("with a zero byte", format!(" {length}\0"), Refused),
    ];
    let twice = |first: usize, second: usize| {
        post(&format!("Content-Length: {first}\r\nContent-Length: {second}\r\n"), BODY) + HIDDEN
    };
    cases.push(("two lengths that differ".into(), twice(length, 0), Refused));
    cases.push(("two lengths, the first 0".into(), twice(0, length), Refused));
    cases
}

fn codings() -> Vec<(String, String, Fate)> {
    let whole = |headers: &str| post(headers, &chunked("")) + HIDDEN;
    let case = |headers: &str, fate| (format!("{headers:?}"), whole(headers), fate);
    vec![
        case("Transfer-Encoding: chunked\r\n", Read(&[200, 404])),
        case("transfer-encoding: Chunked\r\n", Read(&[200, 404])),
        case("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", ReadLast(200)),
        case("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", ReadLast(200)),
        case("Transfer-Encoding: \x0bchunked\r\n", Refused),
        case("Transfer-Encoding: \x0cchunked\r\n", Refused),
        case("Transfer-Encoding: chunked\0\r\n", Refused),
        case("Transfer-Encoding: xchunked\r\n", Refused),
        case("Transfer-Encoding: chunkedx\r\n", Refused),
        case("Transfer-Encoding: identity\r\n", Refused),
        case("Transfer-Encoding: chunked, identity\r\n", Refused),
        case("Transfer-Encoding: chunked;q=1\r\n", Refused),
        case("Transfer-Encoding: \"chunked\"\r\n", Refused),
        case("Transfer-Encoding:\r\n chunked\r\n", Refused),
        case("Transfer-Encoding : chunked\r\n", Refused),
        case(" Transfer-Encoding: chunked\r\n", Refused),
        case("X: y\n Transfer-Encoding: chunked\r\n", Refused),
        case("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Refused),
        case("Transfer-Encoding: identity\r\nTransfer-Encoding: cow\r\n", Refused),
    ]
}

fn chunks() -> Vec<(String, String, Fate)> {
    let coded = |rest: &str| post("Transfer-Encoding: chunked\r\n", rest) + HIDDEN;
    let length = BODY.len();
    let case = |name: &str, rest: String, fate| (format!("chunk {name}"), coded(&rest), fate);
    vec![
        case("with an extension", chunked(";a=b"), Read(&[200, 404])),
        case(
            "with a trailer",
            format!("{length:x}\r\n{BODY}\r\n0\r\nX: y\r\n\r\n"),
            Read(&[200, 404]),
        ),
        case("with leading zeros", format!("000{}", chunked("")), Read(&[200, 404])),
        case("with 64 KiB of extension", chunked(&format!(";{}", "a".repeat(65_536))), Refused),
        case("size of 2^64", format!("10000000000000000\r\n{BODY}"), Refused),
        case("size that wraps to 31", format!("1000000000000001f\r\n{BODY}\r\n0\r\n\r\n"), Refused),
        case("size with a sign", format!("+{}", chunked("")), Refused),
        case("size with 0x", format!("0x{}", chunked("")), Refused),
        case("negative size", format!("-1\r\n{BODY}\r\n0\r\n\r\n"), Refused),
        case("empty size", format!("\r\n{BODY}\r\n0\r\n\r\n"), Refused),
        case("size in letters", format!("xyz\r\n{BODY}\r\n0\r\n\r\n"), Refused),
        case("ended by LF", format!("{length:x}\n{BODY}\n0\n\n"), Refused),
        case("extension with LF", chunked(";a\nb"), Refused),
        case("longer than its size", format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", length - 1), Refused),
        case("ended by other bytes", format!("{length:x}\r\n{BODY}xx0\r\n\r\n"), Refused),
    ]
}

fn heads() -> Vec<(String, String, Fate)> {
    let case = |name: &str, bytes: String, fate| (name.to_owned(), bytes, fate);
    let length = BODY.len();
    let get = |headers: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    vec![
        case("pipelined", get("") + HIDDEN, Read(&[404, 404])),
        case("empty lines first", format!("\r\n\r\n{}", get("")) + HIDDEN, Read(&[404, 404])),
        case(
            "body in a GET",
            get(&format!("Content-Length: {length}\r\n")) + BODY + HIDDEN,
            Read(&[404, 404]),
        ),
        case(
            "request in the body of a GET",
            get(&format!("Content-Length: {}\r\n", HIDDEN.len())) + HIDDEN,
            Read(&[404]),
        ),
        case("folded line", get("X: y\r\n z\r\n") + HIDDEN, Refused),
        case("space before the colon", get("X : y\r\n") + HIDDEN, Refused),
        case("line without colon", get("X\r\n") + HIDDEN, Refused),
        case("empty name", get(": y\r\n") + HIDDEN, Refused),
        case("control in a name", get("X\x01: y\r\n") + HIDDEN, Refused),
        case("zero byte in a value", get("X: a\0b\r\n") + HIDDEN, Refused),
        case("CR in a value", get("X: a\rContent-Length: 4\r\n") + HIDDEN, Refused),
        case("no version", "GET /\r\n\r\n".to_owned() + HIDDEN, Refused),
        case("HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned() + HIDDEN, Refused),
        case("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n".to_owned() + HIDDEN, Refused),
        case(
            "the preface of HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned() + HIDDEN,
            Refused,
        ),
        case(
            "spaces in the target",
            "GET / / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned() + HIDDEN,
            Refused,
        ),
        case("method in parts", "GE T / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned() + HIDDEN, Refused),
    ]
}
