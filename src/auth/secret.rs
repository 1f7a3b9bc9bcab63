//! The secret of an API key, and its digest, which is all that the broker keeps.
//!
//! Secrets that we make have 256 random bits, so a plain SHA-256 cannot be searched for them and needs
//! neither salt nor stretching. Comparing digests of fixed length in constant time tells a guesser
//! nothing, not even how long a secret is. Source: reliability.md T21.

use std::{fmt, hint::black_box};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// A secret as its owner presents it. Its `Debug` form shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The SHA-256 of a secret. Its `Debug` form shows nothing, since a weak secret could be found by it.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

/// A text that is no usable secret. Whoever chose it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret has {SECRET_CHARS_MIN} to {SECRET_CHARS_MAX} visible ASCII characters")]
pub struct WeakSecret;

impl Secret {
    /// Makes a secret of 32 bytes from a secure random source, 43 characters long.
    #[must_use]
    pub fn from_bytes(random: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random))
    }

    /// Takes over a secret that somebody chose; white space around it does not count.
    ///
    /// # Errors
    /// Too short, too long, or not fit for a header.
    pub fn parse(text: &str) -> Result<Self, WeakSecret> {
        let text = text.trim();
        let fits = (SECRET_CHARS_MIN..=SECRET_CHARS_MAX).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(WeakSecret)
        }
    }

    /// The secret itself, for its owner's eyes only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl Digest {
    /// Hashes what somebody presented.
    #[must_use]
    pub fn of(presented: &[u8]) -> Self {
        Self(Sha256::digest(presented).into())
    }

    /// Reads 64 hex digits.
    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Compares in a time that does not depend on where the two differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0, |sum, (a, b)| black_box(sum | (a ^ b)));
        differing == 0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// Shorter ones are words.
const SECRET_CHARS_MIN: usize = 16;
/// Longer ones are a mistake, such as a whole file.
const SECRET_CHARS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_match_only_when_every_byte_does() {
        let digest = Digest::of(b"secret");
        assert!(digest.matches(&Digest::of(b"secret")));
        for index in 0..32 {
            for bit in [1, 0x80] {
                let mut other = digest;
                other.0[index] ^= bit;
                assert!(!digest.matches(&other), "byte {index}");
            }
        }
    }

    #[test]
    fn a_printed_digest_reads_back() {
        let digest = Digest::of(b"test");
        let text = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert_eq!(digest.to_string(), text);
        assert!(Digest::parse(text).unwrap().matches(&digest));
        for bad in ["", &text[1..], &"+".repeat(64), &"ä".repeat(32)] {
            assert!(Digest::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_visible_ascii_of_some_length_and_hide_themselves() {
        let long = "x".repeat(513);
        for bad in ["", "fifteen-letters", &long, "with space in it", "mit-umlaut-ärger-1"] {
            assert_eq!(Secret::parse(bad), Err(WeakSecret), "{bad}");
        }
        let secret = Secret::parse(" sixteen-letters!\n").unwrap();
        assert_eq!(secret.expose(), "sixteen-letters!");
        assert_eq!(format!("{secret:?} {:?}", secret.digest()), "Secret(..) Digest(..)");
        assert_eq!(Secret::from_bytes([0xff; 32]).expose().len(), 43);
    }
}
