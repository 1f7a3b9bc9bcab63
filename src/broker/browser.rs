//! The identity of a browser, shared by all its tabs through a cookie.
//!
//! Only the value lives here, because sessions are bound to it. How it is signed, sent and verified
//! is `server::cookie`; the core sees verified identities only.
//! Source: protocol.md 87, 88.

use std::fmt;

/// 128 random bits that name one browser (or other user agent that keeps cookies).
///
/// A plain comparison is safe: a value gets here only after its signature was verified, so there is
/// nothing to learn by guessing prefixes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrowserId([u8; Self::LENGTH]);

impl BrowserId {
    /// The length in bytes.
    pub const LENGTH: usize = 16;

    /// Wraps random or verified bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they are signed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

/// Hides the value: cookies never reach a log, at any level (operations.md section 8).
impl fmt::Debug for BrowserId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BrowserId(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_bytes_and_hides_them_from_logs() {
        let id = BrowserId::from_bytes([7; BrowserId::LENGTH]);
        assert_eq!(id.as_bytes(), &[7; 16]);
        assert_eq!(format!("{id:?}"), "BrowserId(..)");
    }
}
