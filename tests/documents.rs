//! The documents by themselves: a link leads somewhere, and a key of the configuration that is named exists.
//!
//! Reads the Markdown as text, fenced blocks left out. Addresses on the network are not asked.
#![expect(clippy::expect_used, reason = "a document that cannot be read fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const FOLDERS: [&str; 7] = [
    "",
    "docs",
    "deploy",
    "examples",
    "examples/service-quotes",
    "protocol-tests",
    "benches/peers",
];

/// Sections of the configuration: `session.timeout` is a key, `server.rs` a file.
const SECTIONS: [&str; 12] = [
    "server",
    "transports",
    "session",
    "limits",
    "auth",
    "admin",
    "api",
    "log",
    "metrics",
    "monitor",
    "otel",
    "services",
];

const FILE_TYPES: [&str; 7] = ["rs", "js", "md", "toml", "json", "yaml", "key"];

struct Document {
    path: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<Document> {
    let files =
        FOLDERS.iter().filter_map(|folder| fs::read_dir(root().join(folder)).ok()).flatten();
    let paths = files.map(|entry| entry.expect("an entry of a folder").path());
    paths.filter(|path| path.extension().is_some_and(|kind| kind == "md")).map(read).collect()
}

fn read(path: PathBuf) -> Document {
    let text = fs::read_to_string(&path).expect("a document");
    let mut is_code = false;
    let prose = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    Document { path, text: prose.collect::<Vec<_>>().join("\n") }
}

/// What stands between `open` and the next `close`, wherever that is.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

/// The name by which a heading is linked: lower case, spaces as hyphens, other signs left out.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// Why a link of `document` leads nowhere.
fn fault(document: &Document, link: &str) -> Option<String> {
    let (file, part) = link.split_once('#').unwrap_or((link, ""));
    let folder = document.path.parent().expect("a folder");
    let target = if file.is_empty() { document.path.clone() } else { folder.join(file) };
    if !target.exists() {
        return Some(format!("{}: {link}: no such file", document.path.display()));
    }
    let is_missing = !part.is_empty() && !anchors(&read(target).text).contains(part);
    is_missing.then(|| format!("{}: {link}: no such heading", document.path.display()))
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    let mut links = 0;
    let mut faults = Vec::new();
    for document in &documents {
        for link in between(&document.text, "](", ')').filter(|link| !link.contains("://")) {
            links += 1;
            faults.extend(fault(document, link));
        }
    }
    assert!(links > 100, "only {links} links were found in {} documents", documents.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn is_key(code: &str) -> bool {
    let (section, name) = code.split_once('.').unwrap_or((code, ""));
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.');
    SECTIONS.contains(&section)
        && !name.is_empty()
        && !FILE_TYPES.contains(&name.rsplit('.').next().unwrap_or(""))
        && name.chars().all(is_name)
}

#[test]
fn keys_that_are_named_exist() {
    let reference = read(root().join("docs/configuration.md")).text;
    let lists = between(&reference, "## `[[", ']');
    let keys: BTreeSet<&str> = between(&reference, "### `", '`').chain(lists).collect();
    let exists =
        |code: &str| keys.iter().any(|key| *key == code || key.starts_with(&format!("{code}.")));
    let mut named = 0;
    let mut faults = Vec::new();
    for Document { path, text } in &documents() {
        for line in text.lines() {
            for code in line.split('`').skip(1).step_by(2).filter(|code| is_key(code)) {
                named += 1;
                if !exists(code) {
                    faults.push(format!("{}: {code}", path.display()));
                }
            }
        }
    }
    assert!(named > 100, "only {named} keys were found");
    assert!(
        faults.is_empty(),
        "keys that docs/configuration.md does not have:\n{}",
        faults.join("\n")
    );
}
