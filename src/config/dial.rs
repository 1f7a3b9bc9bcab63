//! A setting that a reload changes while others read it.
//!
//! One word, read by one relaxed load: what serves every request or message may read it each time, where a
//! lock or a shared snapshot would cost more than the limit it holds. Dials change one by one, so two that
//! are read together may be of different reloads; nothing here depends on more than one.

use std::{
    fmt,
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::LogIp;

/// See the module documentation.
pub struct Dial<T> {
    word: AtomicU64,
    kind: PhantomData<T>,
}

/// What fits into a [`Dial`].
pub trait Word: Copy {
    /// Packs the value.
    fn pack(self) -> u64;
    /// Unpacks what [`Word::pack`] made.
    fn unpack(word: u64) -> Self;
}

impl<T: Word> Dial<T> {
    /// Stands at `value`.
    pub fn new(value: T) -> Self {
        Self { word: AtomicU64::new(value.pack()), kind: PhantomData }
    }

    /// The value now.
    pub fn now(&self) -> T {
        // Relaxed: the value guards no other memory.
        T::unpack(self.word.load(Ordering::Relaxed))
    }

    /// Changes the value.
    pub fn turn(&self, value: T) {
        self.word.store(value.pack(), Ordering::Relaxed);
    }
}

impl<T: Word + Default> Default for Dial<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Word + fmt::Debug> fmt::Debug for Dial<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(f)
    }
}

impl Word for usize {
    fn pack(self) -> u64 {
        self as u64
    }

    fn unpack(word: u64) -> Self {
        word as Self
    }
}

impl Word for u32 {
    fn pack(self) -> u64 {
        self.into()
    }

    fn unpack(word: u64) -> Self {
        word as Self
    }
}

impl Word for bool {
    fn pack(self) -> u64 {
        self.into()
    }

    fn unpack(word: u64) -> Self {
        word != 0
    }
}

/// Longer than 584 years is as long as that.
impl Word for Duration {
    fn pack(self) -> u64 {
        u64::try_from(self.as_nanos()).unwrap_or(u64::MAX)
    }

    fn unpack(word: u64) -> Self {
        Self::from_nanos(word)
    }
}

impl Word for Option<u32> {
    fn pack(self) -> u64 {
        self.map_or(u64::MAX, u64::from)
    }

    fn unpack(word: u64) -> Self {
        u32::try_from(word).ok()
    }
}

impl Word for LogIp {
    fn pack(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Truncate => 1,
            Self::Full => 2,
        }
    }

    fn unpack(word: u64) -> Self {
        match word {
            0 => Self::None,
            1 => Self::Truncate,
            _ => Self::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds<T: Word + PartialEq + fmt::Debug>(values: &[T]) {
        for value in values {
            assert_eq!(Dial::new(*value).now(), *value);
        }
    }

    #[test]
    fn a_dial_says_what_it_was_turned_to() {
        holds(&[0, 1, usize::MAX]);
        holds(&[0, u32::MAX]);
        holds(&[false, true]);
        holds(&[Duration::ZERO, Duration::from_micros(1), Duration::from_secs(1 << 33)]);
        holds(&[None, Some(0), Some(u32::MAX)]);
        holds(&[LogIp::Full, LogIp::Truncate, LogIp::None]);
        let dial = Dial::new(Duration::MAX);
        assert_eq!(dial.now(), Duration::from_nanos(u64::MAX), "as long as it gets");
        dial.turn(Duration::from_secs(1));
        assert_eq!(format!("{dial:?}"), "1s");
    }
}
