//! Panics of the process: bugs of ours, each of which has ended a connection.

use std::{
    panic,
    sync::atomic::{AtomicU64, Ordering},
};

/// Of the process, as the hook is.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Counts panics from now on, beside whatever else becomes of them. For a program that calls it once.
pub fn count_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
}

/// Panics since [`count_panics`].
pub(super) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}
