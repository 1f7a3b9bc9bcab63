//! A small seeded generator: the same seed gives the same plan on every machine.
//!
//! Algorithm: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").

use std::ops::Range;

/// A stream of numbers fixed by its seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts a stream. Tests print the seed before they use it.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed of this run: environment variable `SEED`, else `fallback`. Printed, so that a
    /// failure can be repeated.
    pub fn seed_or(fallback: u64) -> u64 {
        let seed =
            std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(fallback);
        println!("SEED={seed}");
        seed
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `range`, which must not be empty. The bias of the remainder is of no account here.
    pub fn below(&mut self, range: Range<u64>) -> u64 {
        range.start + self.bits() % (range.end - range.start)
    }

    /// True once in `n` calls on average.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(0..n) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_streams() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|_| a.bits() == b.bits()));
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| (3..5).contains(&random.below(3..5))));
    }
}
