//! What delivers for a session: which kind of connection, which of several, and since when.

/// Counts the carriers that a session has had; only the newest may take messages.
///
/// The upper half is the number; the lower one says when it began, in milliseconds of the broker's time,
/// for want of room elsewhere. One integer, because it is compared at every delivery.
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
    pub(super) const fn next(self, now: u32) -> Self {
        let number = (self.0 >> u32::BITS) + 1;
        Self(number << u32::BITS | now as u64)
    }

    /// Whether the carrier had its session already when a message arrived: at `accepted`, in
    /// microseconds of the broker's time.
    pub(in crate::broker) const fn was_there(self, accepted: u64) -> bool {
        // Both wrap after 49 days.
        let since = ((accepted / 1_000) as u32).wrapping_sub(self.0 as u32);
        self.0 >> u32::BITS != 0 && since <= u32::MAX / 2
    }
}

impl Carrier {
    /// Whether it delivers by itself, so that no response of a request may take the queue away.
    pub(super) const fn flows(self) -> bool {
        matches!(self, Self::Socket | Self::Stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_was_there_for_what_came_after_its_claim() {
        let first = Generation::NONE.next(70);
        assert!(first.was_there(70_000) && first.was_there(90_000_000));
        assert!(!first.was_there(69_999));
        assert!(!Generation::NONE.was_there(70_000), "nobody was");
        // The clock of claims wraps.
        let late = first.next(u32::MAX);
        assert!(late.was_there((u64::from(u32::MAX) + 5) * 1_000));
        assert!(!late.was_there((u64::from(u32::MAX) - 5) * 1_000));
    }

    #[test]
    fn two_claims_of_one_moment_differ() {
        let first = Generation::NONE.next(70);
        assert_ne!(first, first.next(70));
        let last = Generation(u64::from(u32::MAX) << u32::BITS).next(7);
        assert_eq!(last, Generation(7), "it begins anew");
    }
}
