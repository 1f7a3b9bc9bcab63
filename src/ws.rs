//! WebSocket (RFC 6455, RFC 7692) from the server's side, without a socket.
//!
//! Bytes in, events out ([`decode`]); values in, bytes out ([`encode`]); compression by message
//! ([`deflate`]). Nothing here waits, reads a clock or knows Bayeux: `server::websocket::io` puts a
//! stream below it. A client's side (masking) is not offered.

pub mod close;
pub mod decode;
pub mod deflate;
pub mod encode;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

/// Answers `Sec-WebSocket-Key` with the value of `Sec-WebSocket-Accept`.
///
/// `None` if `key` is not the base64 form of 16 bytes; such an upgrade is refused with 400.
/// Source: RFC 6455 4.2.1 item 5 and 4.2.2 item 5.4.
///
/// ```
/// // The example of RFC 6455 1.3.
/// assert_eq!(
///     bayeuxd::ws::accept_key("dGhlIHNhbXBsZSBub25jZQ==").as_deref(),
///     Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
/// );
/// ```
pub fn accept_key(key: &str) -> Option<String> {
    let nonce = STANDARD.decode(key).ok()?;
    if nonce.len() != NONCE_BYTES {
        return None;
    }
    let digest = Sha1::new().chain_update(key).chain_update(PROTOCOL_GUID).finalize();
    Some(STANDARD.encode(digest))
}

/// Length of the random value behind `Sec-WebSocket-Key` (RFC 6455 4.1 item 7).
const NONCE_BYTES: usize = 16;

/// Proves that the peer speaks WebSocket and is not a mere HTTP cache (RFC 6455 1.3).
const PROTOCOL_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::accept_key;

    #[test]
    fn a_key_that_is_not_16_bytes_of_base64_is_refused() {
        for key in
            ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZQ==="]
        {
            assert_eq!(accept_key(key), None, "key {key:?}");
        }
    }
}
