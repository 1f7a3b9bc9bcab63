//! Hashes session ids, which need none: they are random already.
//!
//! A keyed hash keeps a client from choosing keys that collide. Nobody chooses an id: the shell makes
//! it of 128 random bits, and an id that a client invents is only looked up, never stored.

use std::hash::{BuildHasher, Hasher};

/// Takes eight bytes of a [`SessionId`](super::SessionId) as its hash.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct IdHash;

/// See [`IdHash`].
#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher::default()
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    /// The length of the id, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::SessionId;

    #[test]
    fn the_hash_of_an_id_is_its_first_bytes() {
        let id = SessionId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        assert_eq!(IdHash.hash_one(id), 0x0807_0605_0403_0201);
    }
}
