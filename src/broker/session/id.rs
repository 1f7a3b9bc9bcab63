//! The secret name of a session.

use std::fmt;

use uuid::Uuid;

/// The secret name of a session: 128 random bits, written as 32 hex digits (protocol.md 22).
///
/// Its `Debug` form shows nothing: a clientId is a bearer secret and must not reach a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Makes an id of 16 bytes from a secure random source.
    #[must_use]
    pub const fn from_bytes(random: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(random))
    }

    /// Reads a clientId as written by [`Self::client_id`]; anything else is not ours.
    #[must_use]
    pub fn parse(client_id: &str) -> Option<Self> {
        let digits: &[u8; 32] = client_id.as_bytes().try_into().ok()?;
        let mut bytes = [0; 16];
        let mut all = 0;
        for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks().0) {
            let (high, low) = (hex_value(*high), hex_value(*low));
            all |= high | low;
            *byte = high << 4 | low;
        }
        // Asked once, because every message has an id to read.
        (all & NO_DIGIT == 0).then(|| Self::from_bytes(bytes))
    }

    /// The clientId on the wire.
    #[must_use]
    pub fn client_id(&self) -> String {
        self.0.simple().to_string()
    }

    /// The raw bytes, for keyed hashes that may be logged.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// What a hex digit stands for; clientIds have small letters only. Anything else is [`NO_DIGIT`].
const fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => NO_DIGIT,
    }
}

/// No value of a digit has this bit.
const NO_DIGIT: u8 = 0x80;
