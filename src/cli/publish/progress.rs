//! The line on a terminal that says how far long work is.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::Duration,
};

use tokio::time::Instant;

/// See the module documentation. Elsewhere than on a terminal nothing is shown.
pub(super) struct Progress {
    terminal: bool,
    next: Instant,
    shown: bool,
}

impl Progress {
    /// Begins; what is done within a second needs no line.
    pub(super) fn new() -> Self {
        Self { terminal: stderr().is_terminal(), next: Instant::now() + EACH, shown: false }
    }

    /// Shows how many messages are published, once a second.
    pub(super) fn show(&mut self, published: usize) {
        if !self.terminal || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + EACH;
        self.shown = true;
        let _ = write!(stderr().lock(), "{CLEAR}{published} published");
    }

    /// Makes room for another line.
    pub(super) fn clear(&mut self) {
        if self.shown {
            self.shown = false;
            let _ = write!(stderr().lock(), "{CLEAR}");
        }
    }
}

const EACH: Duration = Duration::from_secs(1);
/// To the start of the line, and nothing behind that.
const CLEAR: &str = "\r\u{1b}[K";
