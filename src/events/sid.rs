//! The public name of a session: what operators and services may call it by.
//!
//! A clientId is a secret that takes the session over; a `sid` is 48 bits of a keyed hash of it, which
//! the shell computes. Source: operations.md 6, 8.

use std::fmt;

/// See the module documentation. Written as 12 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid([u8; 6]);

impl Sid {
    /// Takes the first bytes of a keyed hash of the session's id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// Its first byte, by which names can be dealt out evenly and in order.
    pub(crate) const fn first(self) -> u8 {
        let [first, ..] = self.0;
        first
    }

    /// Reads what [`Display`](fmt::Display) writes; anything else is no sid.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 12 || !text.as_bytes().iter().all(hex) {
            return None;
        }
        let [_, _, bytes @ ..] = u64::from_str_radix(text, 16).ok()?.to_be_bytes();
        Some(Self(bytes))
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_sid_reads_back_and_nothing_else_does() {
        let sid = Sid::from_bytes([0, 0x1f, 0xa0, 3, 4, 0xff]);
        assert_eq!(sid.to_string(), "001fa00304ff");
        assert_eq!(Sid::parse("001fa00304ff"), Some(sid));
        for bad in
            ["", "001fa00304f", "001fa00304ff0", "001FA00304FF", "+01fa00304ff", "g01fa00304ff"]
        {
            assert_eq!(Sid::parse(bad), None, "{bad}");
        }
    }
}
