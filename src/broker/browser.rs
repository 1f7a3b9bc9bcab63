//! The identity of a browser, as its signed cookie carries it.

/// 128 random bits that a browser brings back with every request (protocol.md 87).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BrowserId([u8; 16]);

impl BrowserId {
    /// Makes an id of 16 bytes from a secure random source.
    #[must_use]
    pub const fn from_bytes(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The bytes, for the cookie's text.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}
