//! Which rule of the protocol is proved by which test: the source of `docs/conformance.md`.
//!
//! A test belongs to the item whose number its name starts with (`p041_…`, `sf09_…`). Names are found in the
//! sources, so a test cannot be claimed that does not exist; the table of items is [`ITEMS`].

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

mod items;

pub use items::ITEMS;

/// How much depends on an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A client breaks or loses data without it.
    Must,
    /// Some deployments notice its absence.
    Should,
    /// Optional.
    May,
}

/// One rule of the wire protocol.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// Its stable number; [`FALLBACK`] and above: that of fallback.
    pub number: u16,
    /// Its level.
    pub level: Level,
    /// What it asks for, in one line.
    pub title: &'static str,
}

/// Above this are the items SF1, SF2, … of server-steered fallback, which are counted by themselves.
pub const FALLBACK: u16 = 1000;

/// The tests of each item: path below the repository and name.
pub type Tests = BTreeMap<u16, Vec<(String, String)>>;

/// Root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate lies in the repository")
        .into()
}

/// Finds the numbered tests below `protocol-tests/`: Rust functions, and strings that begin with a
/// number in JavaScript, Python and Java.
pub fn find_tests(root: &Path) -> Tests {
    let mut tests = Tests::new();
    for file in sources(&root.join("protocol-tests")) {
        let text = fs::read_to_string(&file).expect("a source file in UTF-8");
        let path = file.strip_prefix(root).expect("found below the root").display().to_string();
        for name in names(&text) {
            let number = number_of(&name).expect("`names` yields names with a number");
            tests.entry(number).or_default().push((path.clone(), name));
        }
    }
    tests.values_mut().for_each(|list| list.sort());
    tests
}

/// The numbered items without a test that must have one.
pub fn untested(tests: &Tests) -> Vec<Item> {
    let needs_test = |item: &&Item| matches!(item.level, Level::Must | Level::Should);
    ITEMS.iter().filter(needs_test).filter(|i| !tests.contains_key(&i.number)).copied().collect()
}

/// The text of `docs/conformance.md`.
pub fn render(tests: &Tests) -> String {
    let mut text = String::from(HEAD);
    for item in ITEMS {
        let level = match item.level {
            Level::Must => "must",
            Level::Should => "should",
            Level::May => "may",
        };
        let proofs = tests.get(&item.number).map(Vec::as_slice).unwrap_or_default();
        let proofs: Vec<String> =
            proofs.iter().map(|(path, name)| format!("[`{name}`](../{path})")).collect();
        let proofs = if proofs.is_empty() { "–".into() } else { proofs.join("<br>") };
        let number = match item.number.checked_sub(FALLBACK) {
            Some(number) => format!("SF{number}"),
            None => item.number.to_string(),
        };
        writeln!(text, "| {number} | {level} | {} | {proofs} |", item.title)
            .expect("writing to a string cannot fail");
    }
    text
}

const HEAD: &str = "\
# Conformance

Every rule of the wire protocol and the tests that prove it. Generated from the names of the tests by
`BLESS=1 cargo test -p protocol-tests --test conformance`; CI fails if it is out of date or if a rule
of level *must* or *should* has no test.

*must*: an existing client breaks or loses data without it. *should*: some deployments notice.
*may*: optional.

| item | level | rule | tests |
|---|---|---|---|
";

/// The source files below `folder`, without packages and build results.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_dir()
            && !matches!(name, "node_modules" | "target" | "src")
            && !name.starts_with('.')
        {
            found.extend(sources(&path));
        } else if matches!(extension, "rs" | "js" | "mjs" | "cjs" | "py" | "java") {
            found.push(path);
        }
    }
    found
}

/// Names of numbered tests in a source text, each once: words `pNNN_…` and `sfNN_…` behind `fn `, a
/// quote, or a back-tick, where a name in quotes may also go on with spaces.
fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")) {
        for (at, _) in line.match_indices(['p', 's']) {
            let is_opened = line[..at].ends_with("fn ") || line[..at].ends_with(['"', '\'', '`']);
            if is_opened && let Some(name) = name_at(&line[at..]) {
                names.push(name);
            }
        }
    }
    names.dedup();
    names
}

fn name_at(text: &str) -> Option<String> {
    let end = text.find(['"', '\'', '`', '(']).unwrap_or(text.len());
    let name = &text[..end];
    number_of(name).map(|_| name.to_owned())
}

/// The item of a test, by its name.
fn number_of(name: &str) -> Option<u16> {
    let (base, digits) = match name.get(..2)? {
        "sf" => (FALLBACK, name.get(2..4)?),
        _ => (0, name.strip_prefix('p')?.get(..3)?),
    };
    let is_numbered = digits.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(name.as_bytes().get(4), Some(b'_' | b' '));
    let number: u16 = digits.parse().ok().filter(|_| is_numbered)?;
    Some(base + number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_in_order_and_unique() {
        assert!(ITEMS.is_sorted_by(|a, b| a.number < b.number));
    }

    #[test]
    fn names_are_found_in_rust_and_in_strings() {
        let text = "async fn p041_a_b() {\n  check(\"p063 own message\", 1);\n  // fn p001_no()\n p12\n\
                    fn sf09_c() {}\n check(`sf13 d`)\n \"safe_99 e\" \"sf1_f\"";
        assert_eq!(names(text), ["p041_a_b", "p063 own message", "sf09_c", "sf13 d"]);
        assert_eq!((number_of("p041_a_b"), number_of("sf09_c")), (Some(41), Some(FALLBACK + 9)));
    }
}
