//! The mark that a measured message carries, and the scan that finds it again.
//!
//! A mark is text inside a JSON string, so it survives servers that parse and rewrite messages, and
//! is found by a byte search: the delivery path parses no JSON.
//! Form: `@b:` and 24 hexadecimal digits, 8 each for run, room and index.

use memchr::memmem::Finder;

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Tells apart runs that use the same channels, one after the other.
    pub(super) run: u32,
    /// Number of the channel.
    pub(super) room: u32,
    /// Number of the message within the room.
    pub(super) index: u32,
}

impl Mark {
    /// Writes the mark.
    pub(super) fn text(self) -> String {
        format!("{PREFIX}{:08x}{:08x}{:08x}", self.run, self.room, self.index)
    }
}

/// Finds marks.
#[derive(Debug)]
pub(super) struct Scanner(Finder<'static>);

impl Scanner {
    /// Prepares the search.
    pub(super) fn new() -> Self {
        Self(Finder::new(PREFIX))
    }

    /// Finds the marks in `bytes`, in their order; a broken one is passed over.
    pub(super) fn marks<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Mark> + 'a {
        self.0.find_iter(bytes).filter_map(move |at| {
            let digits = bytes.get(at + PREFIX.len()..)?;
            let (run, rest) = digits.split_first_chunk::<8>()?;
            let (room, rest) = rest.split_first_chunk::<8>()?;
            let (index, _) = rest.split_first_chunk::<8>()?;
            Some(Mark { run: hex(*run)?, room: hex(*room)?, index: hex(*index)? })
        })
    }
}

fn hex(digits: [u8; 8]) -> Option<u32> {
    digits.iter().try_fold(0, |value: u32, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u32::from(digit))
    })
}

const PREFIX: &str = "@b:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_their_order() {
        let marks = [Mark { run: 1, room: 2, index: 3 }, Mark { run: u32::MAX, room: 0, index: 9 }];
        let text =
            format!("[{{\"m\":\"{}\"}},{{\"m\": \"{}\"}}]", marks[0].text(), marks[1].text());
        assert_eq!(Scanner::new().marks(text.as_bytes()).collect::<Vec<_>>(), marks);
    }

    #[test]
    fn broken_marks_are_passed_over() {
        let scanner = Scanner::new();
        for text in ["", "@b:", "@b:0000000100000002000000", "@b:0000000g0000000200000003"] {
            assert_eq!(scanner.marks(text.as_bytes()).count(), 0, "{text}");
        }
    }
}
