//! What a frame remembers of its arrival, if anybody wants to know: when, and under which number a
//! trace of it is kept.
//!
//! One word, because every frame has the room for it: 48 bits for the time, 15 for the number, one that
//! says whether its deliveries are measured. Nothing of it is on the wire.

use std::num::{NonZeroU16, NonZeroU64};

/// See the module documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(NonZeroU64);

/// Under which number somebody follows a message; numbers are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trail(NonZeroU16);

// === impl Mark ===

impl Mark {
    /// The mark of a message that arrived at `micros` of the broker's time, which wraps here after nine
    /// years. `None`: nobody wants to know.
    #[must_use]
    pub fn new(micros: u64, timed: bool, trail: Option<Trail>) -> Option<Self> {
        let number = trail.map_or(0, |trail| u64::from(trail.0.get()));
        if !timed && number == 0 {
            return None;
        }
        let timed = if timed { TIMED } else { 0 };
        NonZeroU64::new(micros & TIME | number << TIME_BITS | timed).map(Self)
    }

    /// Whether its deliveries are measured.
    #[must_use]
    pub const fn is_timed(self) -> bool {
        self.0.get() & TIMED != 0
    }

    /// The number of its trace, if there is one.
    #[must_use]
    pub fn trail(self) -> Option<Trail> {
        NonZeroU16::new((self.0.get() >> TIME_BITS) as u16 & Trail::MAX).map(Trail)
    }

    /// Microseconds from its arrival to `now` of the broker's time.
    #[must_use]
    pub const fn age(self, now: u64) -> u64 {
        now.wrapping_sub(self.0.get()) & TIME
    }

    /// Whether a message that arrived at `micros` has this mark, as far as the time tells.
    #[must_use]
    pub const fn is_of(self, micros: u64) -> bool {
        self.age(micros) == 0
    }
}

// === impl Trail ===

impl Trail {
    /// The highest number.
    pub const MAX: u16 = (1 << 15) - 1;

    /// A number from 1 to [`Self::MAX`]; `None` for others.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).filter(|number| number.get() <= Self::MAX).map(Self)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

const TIME_BITS: u32 = 48;
const TIME: u64 = (1 << TIME_BITS) - 1;
const TIMED: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_what_it_was_made_of() {
        for timed in [false, true] {
            for number in [0, 1, 77, Trail::MAX] {
                for micros in [0, 1, 123_456_789, TIME] {
                    let trail = Trail::new(number);
                    let Some(mark) = Mark::new(micros, timed, trail) else {
                        assert!(!timed && number == 0, "{timed} {number}");
                        continue;
                    };
                    assert_eq!((mark.is_timed(), mark.trail()), (timed, trail));
                    assert_eq!(mark.age(micros + 5), 5);
                    assert!(mark.is_of(micros) && !mark.is_of(micros + 1));
                }
            }
        }
    }

    #[test]
    fn time_goes_on_where_it_wraps() {
        let mark = Mark::new(TIME - 1, true, None).unwrap();
        assert_eq!(mark.age(TIME + 9), 10);
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!((Trail::new(0), Trail::new(Trail::MAX + 1)), (None, None));
        assert_eq!(Trail::new(Trail::MAX).map(Trail::get), Some(Trail::MAX));
    }
}
