//! What delivers for a session: which kind of connection, which of several, and since when.

/// Counts the carriers that a session has had; only the newest may take messages.
///
/// The lower 40 bits say when it began, in milliseconds of the broker's time, for want of room elsewhere:
/// enough for 34 years. Those above are the number. One integer, because it is compared at every delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generation(u64);

/// What kind of connection delivers for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Nothing: messages wait. Who has claimed it so is told only when another carrier comes.
    None,
    /// A `/meta/connect` over HTTP.
    Poll,
    /// A WebSocket, which needs no held connect to deliver.
    Socket,
    /// An HTTP response without an end, which is a held connect itself.
    Stream,
}

impl Generation {
    /// Before the first carrier.
    pub(in crate::broker) const NONE: Self = Self(0);

    /// The one after it, which begins at `now`.
    pub(super) const fn next(self, now: u64) -> Self {
        let number = self.0 >> TIME_BITS;
        // 0 is nobody's.
        let next = if number == NUMBER_MAX { 1 } else { number + 1 };
        Self(next << TIME_BITS | now & TIME_MAX)
    }

    /// Whether the carrier had its session already when a message arrived: at `accepted`, in
    /// microseconds of the broker's time.
    pub(in crate::broker) const fn was_there(self, accepted: u64) -> bool {
        self.0 >> TIME_BITS != 0 && accepted / 1_000 >= self.0 & TIME_MAX
    }
}

impl Carrier {
    /// Whether it delivers by itself, so that no response of a request may take the queue away.
    pub(super) const fn flows(self) -> bool {
        matches!(self, Self::Socket | Self::Stream)
    }
}

/// Bits of a generation that say when it began.
const TIME_BITS: u32 = 40;
const TIME_MAX: u64 = (1 << TIME_BITS) - 1;
/// The largest number of a carrier: sixteen million.
const NUMBER_MAX: u64 = u64::MAX >> TIME_BITS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_was_there_for_what_came_after_its_claim() {
        let first = Generation::NONE.next(70);
        assert!(first.was_there(70_000) && first.was_there(90_000_000));
        assert!(!first.was_there(69_999));
        assert!(!Generation::NONE.was_there(70_000), "nobody was");
        // In half of the 49 days that 32 bits can hold, this turned round.
        let year_us = 365 * 86_400 * 1_000_000;
        assert!(first.was_there(25 * 86_400 * 1_000_000) && first.was_there(30 * year_us));
        let late = first.next(30 * year_us / 1_000);
        assert!(late.was_there(30 * year_us) && !late.was_there(30 * year_us - 1));
    }

    #[test]
    fn two_claims_of_one_moment_differ() {
        let first = Generation::NONE.next(70);
        assert_ne!(first, first.next(70));
        let mut last = Generation(NUMBER_MAX << TIME_BITS);
        assert_ne!(last, Generation::NONE);
        last = last.next(7);
        assert_eq!(last, Generation::NONE.next(7), "it begins anew, and is a carrier");
    }
}
