//! Finds the key that a misspelt one was meant to be.

/// Returns the candidate most like `name`, or `None` if all are too different.
///
/// Case, `-` and `_` do not count (CometD writes `maxInterval`), nor does a forgotten section:
/// `timeout` finds `session.timeout`.
pub(super) fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let name = plain(name);
    let allowed = (name.len() / 3).clamp(1, 4);
    let scored = candidates.iter().map(|candidate| {
        let whole = plain(candidate);
        let last = whole.rsplit('.').next().unwrap_or_default();
        let given_last = name.rsplit('.').next().unwrap_or_default();
        // A right name in a wrong section is a better guess than a wrong name in the right one.
        let moved = if last == given_last { 1 } else { usize::MAX };
        (distance(&name, &whole).min(moved), *candidate)
    });
    scored.filter(|(score, _)| *score <= allowed).min_by_key(|(score, _)| *score).map(|(_, c)| c)
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !"-_".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}

/// Levenshtein's distance: insertions, deletions and replacements of characters.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            *cell = replaced.min(diagonal + 1).min(left + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[&str] =
        &["session.timeout", "session.max_interval", "limits.body_timeout", "server", "log.level"];

    #[test]
    fn a_slip_finds_its_key() {
        assert_eq!(nearest("session.timout", KEYS), Some("session.timeout"));
        assert_eq!(nearest("sever", KEYS), Some("server"));
    }

    #[test]
    fn other_spellings_and_forgotten_sections_count() {
        assert_eq!(nearest("session.maxInterval", KEYS), Some("session.max_interval"));
        assert_eq!(nearest("maxInterval", KEYS), Some("session.max_interval"));
        assert_eq!(nearest("server.level", KEYS), Some("log.level"));
    }

    #[test]
    fn nothing_alike_finds_nothing() {
        assert_eq!(nearest("tls.certificate", KEYS), None);
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
