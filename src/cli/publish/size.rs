//! How many lines go into a request of `pub --batch`.
//!
//! The broker refuses a request as a whole if one of its lines is no message, or if it is larger than
//! `api.max_batch` or `api.max_body`. Halves find the line, and the bounds; a line that is refused alone
//! is the culprit. Source: docs/publishing.md.

use hyper::StatusCode;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Size {
    /// Lines of the next request.
    lines: usize,
    /// Most lines, and bytes, that this broker may take.
    lines_max: usize,
    bytes_max: usize,
}

impl Size {
    pub(super) fn new() -> Self {
        Self { lines: LINES_MAX, lines_max: LINES_MAX, bytes_max: BYTES_MAX }
    }

    /// How many of these lines to send, at least one.
    pub(super) fn of(&self, pending: &[(usize, String)]) -> usize {
        let mut bytes = 0;
        let fits = pending.iter().take(self.lines).take_while(|(_, line)| {
            bytes += line.len();
            bytes <= self.bytes_max
        });
        fits.count().max(1)
    }

    /// A request was accepted: the next may be larger.
    pub(super) fn accepted(&mut self) {
        self.lines = self.lines.saturating_mul(2).min(self.lines_max);
    }

    /// A request of so many lines and bytes was refused as a whole.
    pub(super) fn refused(&mut self, lines: usize, bytes: usize, status: StatusCode, reason: &str) {
        let half = (lines / 2).max(1);
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            self.bytes_max = (bytes / 2).min(self.bytes_max);
        } else if reason.contains("api.max_batch") {
            (self.lines, self.lines_max) = (half, half);
        } else {
            self.lines = half;
        }
    }
}

/// Below `api.max_batch` and `api.max_body` as they are by default.
pub(super) const LINES_MAX: usize = 500;
pub(super) const BYTES_MAX: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends numbered lines of 10 bytes as `Batch` does; returns the culprits and how many requests it
    /// took.
    fn send(
        total: usize,
        refuses: impl Fn(&[(usize, String)]) -> Option<&'static str>,
    ) -> (Vec<usize>, usize) {
        let mut pending: Vec<_> = (1..=total).map(|line| (line, "x".repeat(10))).collect();
        let (mut size, mut culprits, mut requests) = (Size::new(), Vec::new(), 0);
        while !pending.is_empty() {
            let count = size.of(&pending);
            requests += 1;
            let Some(reason) = refuses(&pending[..count]) else {
                size.accepted();
                pending.drain(..count);
                continue;
            };
            if count == 1 {
                culprits.push(pending.remove(0).0);
            }
            let large = reason == "larger";
            let status =
                if large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
            size.refused(count, count * 10, status, reason);
        }
        (culprits, requests)
    }

    #[test]
    fn a_line_that_spoils_a_request_is_found_by_halves() {
        let has = |bad: usize| {
            move |lines: &[(usize, String)]| {
                lines.iter().any(|(line, _)| *line == bad).then_some("ill-formed")
            }
        };
        for bad in [1, 2, 250, 251, 499, 500] {
            let (culprits, requests) = send(500, has(bad));
            assert_eq!(culprits, [bad]);
            assert!(requests <= 45, "{bad}: {requests} requests");
        }
        let (culprits, requests) = send(500, |_| Some("ill-formed"));
        assert_eq!((culprits.len(), requests), (500, 508), "all: each alone, after the halves");
        assert_eq!(send(1_000, |_| None), (vec![], 2));
    }

    #[test]
    fn bounds_of_a_broker_are_found_once_and_kept() {
        let (culprits, requests) =
            send(5_000, |lines| (lines.len() > 100).then_some("more messages than api.max_batch"));
        assert_eq!((culprits, requests), (vec![], 3 + 5_000_usize.div_ceil(62)));
        let (culprits, _) = send(500, |lines| (lines.len() > 7).then_some("larger"));
        assert_eq!(culprits, [0usize; 0]);
        let (culprits, requests) = send(3, |_| Some("larger"));
        assert_eq!((culprits, requests), (vec![1, 2, 3], 4));
    }
}
