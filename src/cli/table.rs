//! Answers for people: columns that line up, ages and sizes in words.

use serde_json::Value;

use super::remote::{clean, colour};

/// Longest cell; a user agent may be any length.
const CELL_CHARS_MAX: usize = 48;

/// Writes rows below their headings. Numbers are set to the right.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).fold(heading.chars().count(), usize::max)
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, &width)| {
                let is_number = width < 12 && cell.starts_with(|c: char| c.is_ascii_digit());
                if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            })
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let head = line(&mut headings.iter().copied());
    let head = if colour() { format!("\u{1b}[1m{}\u{1b}[0m\n", head.trim_end()) } else { head };
    rows.iter().fold(head, |text, row| text + &line(&mut row.iter().map(String::as_str)))
}

/// A field of an answer as a cell: empty if it is absent.
pub(super) fn cell(item: &Value, field: &str) -> String {
    let text = match item.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => clean(text),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(other) => other.to_string(),
    };
    if text.chars().count() <= CELL_CHARS_MAX {
        return text;
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

/// A field in seconds as a time for people.
pub(super) fn age(item: &Value, field: &str) -> String {
    let Some(seconds) = item.get(field).and_then(Value::as_u64) else { return String::new() };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes}B"),
        1_024..1_048_576 => format!("{}KiB", bytes >> 10),
        _ => format!("{}MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows =
            [vec!["/a".to_owned(), "1".to_owned()], vec!["/abc".to_owned(), "12".to_owned()]];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME  N\n/a     1\n/abc  12\n");
    }

    #[test]
    fn cells_are_short_and_harmless() {
        let item: Value =
            serde_json::from_str(r#"{"t":"a\u001b[2J","b":true,"n":7,"age":3725}"#).unwrap();
        assert_eq!(cell(&item, "t"), "a\u{fffd}[2J");
        assert_eq!(
            (cell(&item, "b"), cell(&item, "n"), cell(&item, "x")),
            ("yes".into(), "7".into(), String::new())
        );
        assert_eq!(age(&item, "age"), "1h02m");
        let long: Value =
            serde_json::from_str(&format!("{{\"t\":\"{}\"}}", "ä".repeat(99))).unwrap();
        assert_eq!(cell(&long, "t").chars().count(), CELL_CHARS_MAX);
        assert_eq!(
            (size(1), size(2048), size(3 << 20)),
            ("1B".into(), "2KiB".into(), "3MiB".into())
        );
    }
}
