//! The first entries of a list after a cursor, by rank and then by name, without sorting the list.
//!
//! What is met in any order goes in; no more than a page is kept. Source: operations.md 6 (paging).

use std::collections::BTreeMap;

/// Collects the entries of one page.
pub(super) struct Page<K, T> {
    after: Option<(u64, K)>,
    limit: usize,
    /// One more than the page has, which tells whether there is another.
    best: BTreeMap<(u64, K), T>,
}

/// The entries of a page.
pub(super) struct Chosen<K, T> {
    /// In order.
    pub(super) entries: Vec<(K, T)>,
    /// The place of the last one, if there are more.
    pub(super) next: Option<(u64, K)>,
}

impl<K: Ord + Clone, T> Page<K, T> {
    pub(super) fn new(after: Option<(u64, K)>, limit: usize) -> Self {
        Self { after, limit, best: BTreeMap::new() }
    }

    /// Whether an entry would have a place: lower ranks come first.
    pub(super) fn wants(&self, rank: u64, name: &K) -> bool {
        let place = (rank, name);
        let comes_after = |(rank, name): &(u64, K)| place > (*rank, name);
        let in_time = |((rank, name), _): (&(u64, K), &T)| place < (*rank, name);
        self.after.as_ref().is_none_or(comes_after)
            && (self.best.len() <= self.limit || self.best.last_key_value().is_some_and(in_time))
    }

    /// Takes an entry, if it has a place.
    pub(super) fn offer(&mut self, rank: u64, name: K, entry: T) {
        if self.wants(rank, &name) {
            self.best.insert((rank, name), entry);
            if self.best.len() > self.limit + 1 {
                self.best.pop_last();
            }
        }
    }

    /// Whether no entry that comes later has a place, if entries come in order.
    pub(super) fn is_full(&self) -> bool {
        self.best.len() > self.limit
    }

    /// What the page holds.
    pub(super) fn finish(mut self) -> Chosen<K, T> {
        let more = self.is_full();
        if more {
            self.best.pop_last();
        }
        let last = self.best.last_key_value().map(|(place, _)| place.clone());
        let entries = self.best.into_iter().map(|((_, name), entry)| (name, entry)).collect();
        Chosen { entries, next: last.filter(|_| more) }
    }
}

/// The cursor after an entry: its name, behind its rank if the list is not in the order of names.
pub(super) fn cursor(rank: u64, name: &str, is_ranked: bool) -> String {
    if is_ranked { format!("{rank:x}.{name}") } else { name.to_owned() }
}

/// Reads what [`cursor`] writes.
pub(super) fn place(cursor: &str, is_ranked: bool) -> Option<(u64, &str)> {
    if !is_ranked {
        return Some((0, cursor));
    }
    let (rank, name) = cursor.split_once('.')?;
    Some((u64::from_str_radix(rank, 16).ok()?, name))
}

/// The rank of what is to come first when it is large.
pub(super) const fn descending(value: u64) -> u64 {
    u64::MAX - value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        // Each rank many times, met in an order of no meaning.
        let all: Vec<(u64, u64)> =
            (0..100).map(|n| ((n * 37) % 100 / 10, (n * 37) % 100)).collect();
        let (mut after, mut met) = (None, Vec::new());
        loop {
            let mut page = Page::new(after, 7);
            all.iter().for_each(|(rank, name)| page.offer(*rank, *name, *rank));
            let Chosen { entries, next } = page.finish();
            assert!(entries.len() <= 7);
            met.extend(entries.into_iter().map(|(name, rank)| (rank, name)));
            after = next;
            if after.is_none() {
                break;
            }
        }
        let mut sorted = all;
        sorted.sort_unstable();
        assert_eq!(met, sorted);
    }

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        for (rank, name, is_ranked) in
            [(0, "/a.b", false), (0, "/a.b", true), (u64::MAX, "/a", true)]
        {
            assert_eq!(place(&cursor(rank, name, is_ranked), is_ranked), Some((rank, name)));
        }
        for bad in ["", "/a", "x./a", "-1./a", "10000000000000000./a"] {
            assert_eq!(place(bad, true), None, "{bad}");
        }
    }

    #[test]
    fn a_page_that_just_fits_has_no_next() {
        let mut page = Page::new(None, 2);
        assert!(page.wants(descending(1), &1));
        page.offer(descending(1), 1, ());
        page.offer(descending(2), 2, ());
        let Chosen { entries, next } = page.finish();
        assert_eq!(entries, [(2, ()), (1, ())]);
        assert_eq!(next, None);
    }
}
