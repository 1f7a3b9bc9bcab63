//! The line that shows a run is alive: rewritten on a terminal, else a plain line now and then.

use std::io::{IsTerminal as _, Write as _, stderr};

use super::clock::{Clock, SECOND_NS};

/// Writes to standard error; standard output belongs to the result.
#[derive(Debug)]
pub(super) struct Progress {
    clock: Clock,
    terminal: bool,
    last_ns: u64,
    dirty: bool,
}

impl Progress {
    /// Begins to wait for its first line.
    pub(super) fn new() -> Self {
        Self { clock: Clock::start(), terminal: stderr().is_terminal(), last_ns: 0, dirty: false }
    }

    /// Writes `line` if it is time again.
    pub(super) fn tick(&mut self, line: impl FnOnce() -> String) {
        let now_ns = self.clock.now_ns();
        let pause_ns = if self.terminal { SECOND_NS / 4 } else { 5 * SECOND_NS };
        if now_ns.saturating_sub(self.last_ns) < pause_ns {
            return;
        }
        self.last_ns = now_ns;
        let line = line();
        // Whoever closed standard error does not want to read it.
        let _ = if self.terminal {
            self.dirty = true;
            write!(stderr().lock(), "\r\x1b[K{line}")
        } else {
            writeln!(stderr().lock(), "{line}")
        };
    }

    /// Removes the line from a terminal, so that what follows begins at the left.
    pub(super) fn clear(&mut self) {
        if self.dirty {
            self.dirty = false;
            let _ = write!(stderr().lock(), "\r\x1b[K");
        }
    }
}
