//! What is left of messages that are too large to read: the names by which their sender knows them.
//!
//! A text comes in pieces and is kept nowhere. Short values of the fields of each message stay, all
//! others become `null`: `{"channel":"/a","data":"xxxx…","id":"7"}` leaves `{"channel":"/a","data":null,"id":"7"}`.
//! Both clients write `id` behind `data`, so the beginning of a message alone would not do. Checks
//! nothing: what is left is read by [`parse_batch`](super::parse_batch), and serves for refusals only.

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Skim {
    /// JSON, as far as it has come.
    left: Vec<u8>,
    /// Open arrays and objects.
    depth: usize,
    /// The depth within a message: 2 in an array of messages, 1 in a single one, 0 before it is known.
    message: usize,
    in_string: bool,
    is_escaped: bool,
    /// Where the value of a field begins in `left`.
    value: Option<usize>,
    /// The value has become `null`.
    is_cut: bool,
    is_full: bool,
}

impl Skim {
    /// Takes the next piece of the text. Costs a few instructions a byte.
    pub fn take(&mut self, piece: &[u8]) {
        for &byte in piece {
            self.byte(byte);
        }
    }

    /// What is left, or `None` if that is too much itself.
    pub fn finish(self) -> Option<Vec<u8>> {
        (!self.is_full).then_some(self.left)
    }

    fn byte(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'{' | b'[' => {
                if self.message == 0 {
                    self.message = if byte == b'[' { 2 } else { 1 };
                }
                self.depth = self.depth.saturating_add(1);
                if self.depth > self.message { self.cut() } else { self.keep(byte) }
            }
            b'}' | b']' => {
                if self.depth <= self.message {
                    self.end_value();
                    self.keep(byte);
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == self.message && self.value.is_none() => {
                self.keep(byte);
                self.value = Some(self.left.len());
            }
            b',' if self.depth <= self.message => {
                self.end_value();
                self.keep(byte);
            }
            _ => {
                self.in_string = byte == b'"';
                self.keep(byte);
            }
        }
    }

    fn end_value(&mut self) {
        (self.value, self.is_cut) = (None, false);
    }

    fn keep(&mut self, byte: u8) {
        if self.is_cut || self.depth > self.message {
            return;
        }
        if self.left.len() >= LEFT_BYTES_MAX {
            self.is_full = true;
            return;
        }
        self.left.push(byte);
        if self.value.is_some_and(|start| self.left.len() - start > VALUE_BYTES_MAX) {
            self.cut();
        }
    }

    /// Puts `null` in the place of a value.
    fn cut(&mut self) {
        let Some(start) = self.value.filter(|_| !self.is_cut) else { return };
        self.left.truncate(start);
        self.left.extend_from_slice(b"null");
        self.is_cut = true;
    }
}

/// Longest value that stays: channels and ids are shorter by default.
const VALUE_BYTES_MAX: usize = 512;
/// Room for a hundred messages with their channels.
const LEFT_BYTES_MAX: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn skim(pieces: &[&[u8]]) -> Option<String> {
        let mut skim = Skim::default();
        pieces.iter().for_each(|piece| skim.take(piece));
        skim.finish().map(|left| String::from_utf8(left).unwrap())
    }

    #[test]
    fn short_values_of_messages_stay_and_all_others_go() {
        let long = "x".repeat(VALUE_BYTES_MAX);
        for (text, left) in [
            (r#"{"a":1}"#.to_owned(), r#"{"a":1}"#),
            (
                r#" [ { "a" : "b c" , "d" : true } , {} ] "#.to_owned(),
                r#"[{"a":"b c","d":true},{}]"#,
            ),
            (format!(r#"{{"data":"{long}","id":"7"}}"#), r#"{"data":null,"id":"7"}"#),
            (format!(r#"[{{"data":"\"{long}\\","id":"7"}}]"#), r#"[{"data":null,"id":"7"}]"#),
            (
                format!(r#"[{{"data":{{"id":["{long}",{{}}]}},"id":7}}]"#),
                r#"[{"data":null,"id":7}]"#,
            ),
            (
                r#"{"data":[],"id":"7","ext":{"a":"]}"}}"#.to_owned(),
                r#"{"data":null,"id":"7","ext":null}"#,
            ),
            (format!(r#"{{"data":{},"id":"7"}}"#, "1".repeat(600)), r#"{"data":null,"id":"7"}"#),
        ] {
            assert_eq!(skim(&[text.as_bytes()]).as_deref(), Some(left), "{text:.60}");
        }
    }

    #[test]
    fn a_value_of_just_the_limit_stays() {
        let text = |length| format!(r#"{{"id":"{}"}}"#, "x".repeat(length - 2));
        let fits = text(VALUE_BYTES_MAX);
        assert_eq!(skim(&[fits.as_bytes()]), Some(fits));
        assert_eq!(skim(&[text(VALUE_BYTES_MAX + 1).as_bytes()]).unwrap(), r#"{"id":null}"#);
    }

    #[test]
    fn what_is_left_is_bounded() {
        for text in ["[", "{\"a\":1,", "\"", "1,", "[{\"a\":\"b\"},", "{\"a\"", "]", "}:"] {
            let mut skim = Skim::default();
            let piece = text.repeat(100);
            for _ in 0..1000 {
                skim.take(piece.as_bytes());
            }
            assert!(skim.left.capacity() <= 2 * LEFT_BYTES_MAX, "{text}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference_and_nothing_panics(
            text in "[\\[\\]{}:,\"\\\\ a1é]{0,300}",
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = skim(&[text.as_bytes()]);
            let (head, tail) = text.as_bytes().split_at(cut.index(text.len() + 1));
            let mut pieces = Skim::default();
            pieces.take(head);
            pieces.take(tail);
            prop_assert_eq!(pieces.finish(), whole.map(String::into_bytes));
        }
    }
}
