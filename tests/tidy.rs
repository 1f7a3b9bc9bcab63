//! What no compiler checks: which layer may know which, where every file says what it is for, how
//! long files are, and that nothing on the way of a message may panic.
//!
//! Reads the sources as text; a word in a comment or a string is nothing to it. Source:
//! architecture.md 3 and style.md 2, 4, 5, whose short forms are in docs/architecture.md.
#![expect(clippy::expect_used, reason = "a source that cannot be read fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use bayeuxd::{config::Config, events::EventType};

/// Longer files hold two subjects.
const LINES_MAX: usize = 500;

/// A layer: what it may name of this crate and which packages it may use.
struct Layer {
    name: &'static str,
    modules: &'static [&'static str],
    packages: &'static [&'static str],
}

const LAYERS: [Layer; 10] = [
    Layer {
        name: "ws",
        modules: &[],
        packages: &["base64", "bytes", "flate2", "memchr", "sha1", "thiserror"],
    },
    Layer {
        name: "bayeux",
        modules: &["ws", "config"],
        packages: &["bytes", "memchr", "serde", "serde_json", "thiserror"],
    },
    Layer {
        name: "events",
        modules: &["bayeux", "config", "words"],
        packages: &["parking_lot", "thiserror"],
    },
    Layer { name: "metrics", modules: &["config", "events", "words"], packages: &["prometheus"] },
    Layer {
        name: "broker",
        modules: &["bayeux", "config", "events", "metrics"],
        packages: &["dashmap", "parking_lot", "serde_json", "slab", "uuid"],
    },
    Layer {
        name: "auth",
        modules: &["bayeux", "config", "events"],
        packages: &["base64", "sha2", "thiserror"],
    },
    Layer { name: "config", modules: &[], packages: &["serde", "thiserror", "toml"] },
    Layer {
        name: "telemetry",
        modules: &["config"],
        packages: &["parking_lot", "serde_json", "thiserror", "tracing", "tracing_subscriber"],
    },
    Layer {
        name: "otel",
        modules: &["bayeux", "broker", "config", "events", "metrics", "place", "rate"],
        packages: &[
            "bytes",
            "getrandom",
            "http_body_util",
            "hyper",
            "hyper_util",
            "parking_lot",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio_util",
            "tracing",
            "uuid",
        ],
    },
    Layer {
        name: "server",
        modules: &[
            "ws",
            "bayeux",
            "events",
            "metrics",
            "broker",
            "auth",
            "config",
            "otel",
            "place",
            "rate",
            "telemetry",
        ],
        packages: &[
            "base64",
            "bytes",
            "dashmap",
            "form_urlencoded",
            "getrandom",
            "hmac",
            "http_body_util",
            "httparse",
            "httpdate",
            "hyper",
            "hyper_util",
            "memchr",
            "parking_lot",
            "serde",
            "serde_json",
            "sha2",
            "socket2",
            "thiserror",
            "tokio",
            "tokio_util",
            "tracing",
        ],
    },
];

/// Words of the layers that never wait and know no clock, socket or file.
const PURE: [&str; 5] = ["ws", "bayeux", "events", "metrics", "broker"];
const NOT_PURE: [&str; 8] = [
    "async fn",
    "async {",
    "async move",
    ".await",
    "Instant::now",
    "SystemTime",
    "std::net",
    "std::fs",
];

struct Source {
    /// Below `src`, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    fn layer(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// Line number and text of what is neither comment nor test.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let code = if self.is_test() { "" } else { self.text.get(..end).unwrap_or_default() };
        let lines = code.lines().enumerate();
        lines
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(n, line)| (n + 1, line))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder below src") {
            let path: PathBuf = entry.expect("an entry of it").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source in UTF-8");
                let path = path.strip_prefix(&root).expect("below src").to_string_lossy();
                found.push(Source { path: path.replace('\\', "/"), text });
            }
        }
    }
    assert!(!found.is_empty(), "src is empty");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// The packages of Cargo.toml that a binary is built with, as they are written in paths.
fn packages() -> BTreeSet<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let text = fs::read_to_string(manifest).expect("Cargo.toml");
    let section = text.split("\n[dependencies]\n").nth(1).expect("dependencies");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split_once([' ', '.']));
    names.map(|(name, _)| name.replace('-', "_")).filter(|name| !name.is_empty()).collect()
}

/// Names that directly follow `crate::`, also within braces: `crate::{a::B, c}` gives a and c.
fn modules_named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, after) in code.match_indices("crate::").map(|(at, word)| code.split_at(at + word.len()))
    {
        let Some(group) = after.strip_prefix('{') else {
            found.insert(word(after));
            continue;
        };
        let mut depth = 1_usize;
        let mut begins = true;
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' => begins = depth == 1,
                _ if begins && !character.is_whitespace() => {
                    found.insert(word(group.get(at..).unwrap_or_default()));
                    begins = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// Packages named at the beginning of a path.
fn packages_named(code: &str, packages: &BTreeSet<String>) -> BTreeSet<String> {
    let named = |package: &&String| {
        code.match_indices(&format!("{package}::")).any(|(at, _)| {
            let before = code.get(..at).and_then(|before| before.chars().next_back());
            !before.is_some_and(|c| c.is_ascii_alphanumeric() || "_:".contains(c))
        })
    };
    packages.iter().filter(named).cloned().collect()
}

fn assert_none(what: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{what}:\n  {}", offences.join("\n  "));
}

#[test]
fn each_layer_knows_only_those_below_it() {
    let packages = packages();
    assert!(packages.contains("tokio") && packages.contains("hyper_util"), "{packages:?}");
    let mut offences = Vec::new();
    for source in sources() {
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == source.layer()) else {
            continue;
        };
        let code: String = source.code().flat_map(|(_, line)| [line, "\n"]).collect();
        for module in modules_named(&code) {
            if module != layer.name && !layer.modules.contains(&module.as_str()) {
                offences.push(format!("{} names crate::{module}", source.path));
            }
        }
        for package in packages_named(&code, &packages) {
            if !layer.packages.contains(&package.as_str()) {
                offences.push(format!("{} uses {package}", source.path));
            }
        }
    }
    assert_none("layering (architecture.md 3)", &offences);
}

#[test]
fn the_core_never_waits_and_reads_no_clock() {
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.layer())) {
        for (number, line) in source.code() {
            if let Some(word) = NOT_PURE.iter().find(|word| line.contains(**word)) {
                offences.push(format!("{}:{number} has {word}", source.path));
            }
        }
    }
    assert_none("the layers below server stay pure", &offences);
}

#[test]
fn every_file_says_what_it_is_for() {
    let sources = sources();
    let silent = sources.iter().filter(|source| !source.text.starts_with("//! "));
    let offences: Vec<String> = silent.map(|source| source.path.clone()).collect();
    assert_none("files without a module documentation on top", &offences);
}

#[test]
fn files_are_short() {
    let mut sizes: Vec<(usize, String)> =
        sources().into_iter().map(|source| (source.text.lines().count(), source.path)).collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    for (lines, path) in sizes.iter().take(10) {
        eprintln!("{lines:5} {path}");
    }
    sizes.retain(|(lines, _)| *lines > LINES_MAX);
    let offences: Vec<String> =
        sizes.iter().map(|(lines, path)| format!("{path} has {lines} lines")).collect();
    assert_none("look for the second subject in these files", &offences);
}

/// Whoever reads log, feed and metrics meets the same words. Two things that operators and services do
/// are in the log only.
#[test]
fn events_in_the_log_are_named_as_for_monitors() {
    let known = EventType::ALL.iter().map(|kind| kind.as_str()).chain(["admin", "service"]);
    let known: Vec<String> = known.map(|word| format!("\"{word}\"")).collect();
    let mut found = 0;
    let mut offences = Vec::new();
    for source in sources() {
        for (index, line) in source.text.lines().enumerate() {
            let Some((_, word)) = line.split_once("event = ") else { continue };
            let word = word.split([',', ')', ';']).next().unwrap_or_default();
            found += usize::from(word.starts_with('"'));
            if word.starts_with('"') && !known.iter().any(|known| known == word) {
                offences.push(format!("{}:{} has {word}", source.path, index + 1));
            }
        }
    }
    assert!(found > 20, "{found}");
    assert_none("events of the log are named as those of monitors", &offences);
}

/// The configuration that a server was started with says nothing about what a reload changes.
#[test]
fn what_a_reload_changes_is_not_read_from_the_start() {
    let live = Config::default().entries().into_iter().filter(|entry| entry.reload.is_live());
    let mut keys: Vec<String> = live.map(|entry| format!("app.config.{}", entry.key)).collect();
    // Whole sections, as they are borrowed.
    keys.extend(["app.config.limits", "app.config.session.queue"].map(String::from));
    assert!(keys.len() > 40, "{keys:?}");
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.layer() == "server") {
        for (number, line) in source.code() {
            if let Some(key) = keys.iter().find(|key| line.contains(*key)) {
                offences.push(format!("{}:{number} has {key}", source.path));
            }
        }
    }
    assert_none("read these from `app.live` (docs/architecture.md, A reload)", &offences);
}

/// `expect` stands where an invariant is provable on the spot, under `#[expect(…, reason = …)]`.
#[test]
fn nothing_outside_tests_may_panic() {
    const WORDS: [&str; 7] = [
        ".unwrap()",
        ".expect(",
        ".unwrap_err()",
        "panic!(",
        "unreachable!(",
        "todo!(",
        "unimplemented!(",
    ];
    let mut offences = Vec::new();
    for source in sources() {
        let mut excused_until = 0;
        for (number, line) in source.code() {
            if line.contains("clippy::expect_used") || line.contains("clippy::panic") {
                // The function below it.
                excused_until = number + 20;
            }
            if let Some(word) = WORDS.iter().find(|word| line.contains(**word))
                && number > excused_until
            {
                offences.push(format!("{}:{number} has {word}", source.path));
            }
        }
    }
    assert_none("return an error instead", &offences);
}

#[test]
fn the_reader_of_paths_reads_them() {
    let code = "use crate::{\n    bayeux::{Frame, Kind},\n    config::Config,\n};\nfn f(x: crate::ws::X) {}\n";
    assert_eq!(modules_named(code).into_iter().collect::<Vec<_>>(), ["bayeux", "config", "ws"]);
    let packages = ["hyper".to_owned(), "tokio".to_owned()].into();
    assert_eq!(packages_named("use tokio::net; my_hyper::x; a::hyper::y", &packages).len(), 1);
}
