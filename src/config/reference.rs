//! Prints the list of settings: docs/configuration.md, `bayeuxd.toml` and effective values.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::{
    ChannelRule, Config,
    settings::{RULES, SECTIONS, Section, Setting, rule_settings, settings},
};

/// A key and its value, both as they would be written in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Dotted, as in `session.queue.max_bytes`.
    pub key: &'static str,
    /// TOML, on one line.
    pub value: String,
    /// Whether the value is the default.
    pub is_default: bool,
}

impl Config {
    /// Lists every key with its value, in the order of the documentation. Written one per line as
    /// `key = value` they are a configuration file that gives this configuration.
    pub fn assignments(&self) -> Vec<Assignment> {
        let default = Self::default();
        let mut list: Vec<Assignment> = settings()
            .iter()
            .filter_map(|setting| {
                let value = setting.show(self)?;
                let is_default = setting.show(&default).as_ref() == Some(&value);
                Some(Assignment { key: setting.key, value: value.to_string(), is_default })
            })
            .collect();
        let rules = Value::Array(self.channels.iter().map(rule_value).collect());
        let is_default = self.channels.is_empty();
        list.push(Assignment { key: RULES, value: rules.to_string(), is_default });
        list
    }
}

fn rule_value(rule: &ChannelRule) -> Value {
    let entries = rule_settings();
    let shown = entries.iter().filter_map(|s| Some((s.key.to_owned(), s.show(rule)?)));
    Value::Table(shown.collect::<Table>())
}

/// Returns a `bayeuxd.toml` that names every key with its meaning and default. All values are
/// comments, so that a later version's better default is not pinned.
pub fn example_file() -> String {
    let mut out = String::from(
        "# Configuration of bayeuxd. Every key shows its default; remove the # in front to change it.\n",
    );
    for section in SECTIONS {
        out.push('\n');
        comment(&mut out, section.doc);
        if section.name == RULES {
            let _ = writeln!(out, "#[[{RULES}]]");
            for setting in rule_settings() {
                comment(&mut out, setting.doc);
                let _ = writeln!(out, "#{} = {}", setting.key, rule_example(setting.key));
            }
            continue;
        }
        let _ = writeln!(out, "[{}]", section.name);
        for setting in keys_of(section) {
            out.push('\n');
            comment(&mut out, setting.doc);
            comment(&mut out, &format!("Expected: {}.", setting.allowed()));
            let _ = writeln!(out, "#{} = {}", setting.split().1, default_of(&setting));
        }
    }
    out
}

/// Returns docs/configuration.md's part about the keys, in Markdown.
pub fn configuration_md() -> String {
    let mut out = String::new();
    for section in SECTIONS {
        if section.name == RULES {
            let _ = writeln!(out, "## `[[{RULES}]]`\n\n{}\n", section.doc);
            for setting in rule_settings() {
                let _ = writeln!(out, "### `{}`\n\n{}\n", setting.key, setting.doc);
                let _ = writeln!(out, "Expected: {}.\n", setting.allowed());
            }
            continue;
        }
        let _ = writeln!(out, "## `[{}]`\n\n{}\n", section.name, section.doc);
        for setting in keys_of(section) {
            let _ = writeln!(out, "### `{}`\n\n{}\n", setting.key, setting.doc);
            let _ = writeln!(out, "- Default: `{}`", default_of(&setting));
            let _ = writeln!(out, "- Expected: {}", setting.allowed());
            let _ = writeln!(out, "- Environment: `{}`\n", variable(setting.key));
        }
    }
    out
}

fn keys_of(section: &Section) -> impl Iterator<Item = Setting<Config>> + use<'_> {
    settings().into_iter().filter(|setting| setting.split().0 == section.name)
}

fn default_of(setting: &Setting<Config>) -> String {
    setting.show(&Config::default()).map(|value| value.to_string()).unwrap_or_default()
}

fn rule_example(key: &str) -> &'static str {
    match key {
        "match" => "\"/ticker/**\"",
        "queue_policy" => "\"latest\"",
        "lazy" => "\"2s\"",
        _ => "true",
    }
}

pub(super) fn variable(key: &str) -> String {
    format!("BAYEUXD_{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// Writes a text as comment lines of at most 100 characters.
fn comment(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width == 0 || width + 1 + length > COMMENT_WIDTH {
            out.push_str(if width == 0 { "# " } else { "\n# " });
            width = 2;
        } else {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
}

const COMMENT_WIDTH: usize = 100;
