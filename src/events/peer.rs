//! Where a session, or a message without one, comes from; and what its holder may see.
//!
//! Made once at the handshake and shared by the session and by everything told of it. Text of the
//! client is cut here, so what keeps a peer keeps a known number of bytes.
//! Source: monitoring.md 4 (common fields), 7.

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;

use super::{rights::Rights, sid::Sid};

/// See the module documentation.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Peer {
    /// The session's public name; `None`: no session.
    pub sid: Option<Sid>,
    /// As much of the address as `monitor.ip` lets through.
    pub ip: Option<Box<str>>,
    /// What its requests say of page and program.
    pub page: Option<Arc<Page>>,
    /// What the session may see of others; `None`: nothing.
    pub rights: Option<Arc<Rights>>,
}

/// A page and the program that shows it. Most sessions share theirs with many others.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub struct Page {
    /// The page's origin.
    pub origin: Option<Box<str>>,
    /// The user agent.
    pub agent: Option<Box<str>>,
}

/// All pages in use, each kept once.
#[derive(Debug, Default)]
pub struct Pages(
    /// Held for one look-up per handshake.
    Mutex<Known>,
);

#[derive(Debug, Default)]
struct Known {
    pages: HashSet<Arc<Page>>,
    /// How many more new pages find the table full before it is looked through again.
    pause: usize,
}

impl Page {
    /// Cuts both texts to [`TEXT_CHARS_MAX`] characters.
    #[must_use]
    pub fn new(origin: Option<&str>, agent: Option<&str>) -> Self {
        let short = |text: &str| Box::from(cut(text, TEXT_CHARS_MAX));
        Self { origin: origin.map(short), agent: agent.map(short) }
    }
}

impl Pages {
    /// The shared copy of `page`.
    #[must_use]
    pub fn share(&self, page: Page) -> Arc<Page> {
        let mut known = self.0.lock();
        if let Some(shared) = known.pages.get(&page) {
            return Arc::clone(shared);
        }
        let shared = Arc::new(page);
        if known.pages.len() >= PAGES_MAX {
            match known.pause.checked_sub(1) {
                Some(pause) => known.pause = pause,
                None => {
                    known.pages.retain(|page| Arc::strong_count(page) > 1);
                    known.pause = TIDY_PAUSE;
                }
            }
        }
        // Whoever makes up a new agent for every session gets a copy of its own each time.
        if known.pages.len() < PAGES_MAX {
            known.pages.insert(Arc::clone(&shared));
        }
        shared
    }
}

/// The first `chars_max` characters of a text.
#[must_use]
pub fn cut(text: &str, chars_max: usize) -> &str {
    let end = text.char_indices().nth(chars_max).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default()
}

/// Characters of a user agent or origin that are kept (monitoring.md 4).
pub const TEXT_CHARS_MAX: usize = 120;
/// So that a made-up page costs a look at 16 others, not at all of them.
const TIDY_PAUSE: usize = PAGES_MAX / 16;
/// Different pages that are shared.
const PAGES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn page(agent: &str) -> Page {
        Page::new(None, Some(agent))
    }

    #[test]
    fn equal_pages_are_one_and_long_texts_are_cut() {
        let pages = Pages::default();
        let one = pages.share(page("Mozilla"));
        assert!(Arc::ptr_eq(&one, &pages.share(page("Mozilla"))));
        let long = page(&"ä".repeat(500)).agent.unwrap();
        assert_eq!(long.chars().count(), TEXT_CHARS_MAX);
    }

    #[test]
    fn pages_that_nobody_has_any_more_make_room() {
        let pages = Pages::default();
        let kept: Vec<_> = (0..PAGES_MAX).map(|n| pages.share(page(&n.to_string()))).collect();
        let extra = pages.share(page("extra"));
        assert!(!Arc::ptr_eq(&extra, &pages.share(page("extra"))), "no room");
        drop(kept);
        for n in 1..TIDY_PAUSE {
            drop(pages.share(page("extra")));
            assert_eq!(pages.0.lock().pages.len(), PAGES_MAX, "{n}: looked through too early");
        }
        drop(pages.share(page("extra")));
        let shared = pages.share(page("extra"));
        assert!(Arc::ptr_eq(&shared, &pages.share(page("extra"))));
        assert!(pages.0.lock().pages.len() <= 2);
    }
}
