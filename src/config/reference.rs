//! Prints the list of settings: docs/configuration.md, `bayeuxd.toml` and effective values.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::{
    Config, Reload,
    mask::masked,
    settings::{
        KEYS, RULES, SECTIONS, SERVICES, Section, Setting, key_settings, reload_of_list,
        rule_settings, service_settings, settings,
    },
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

/// A key and its value, for those who look at a broker; without secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Dotted, as in `session.queue.max_bytes`.
    pub key: &'static str,
    /// As it would be written in the file; `None`: it is said by leaving the key out.
    pub value: Option<Value>,
    /// Whether the value is the default.
    pub is_default: bool,
    /// What operators should know, in Markdown.
    pub doc: &'static str,
    /// What a reload makes of it.
    pub reload: Reload,
}

impl Config {
    /// Lists every key with its value and meaning, in the order of the documentation; secrets are
    /// masked.
    #[must_use]
    pub fn entries(&self) -> Vec<Shown> {
        let default = Self::default();
        let plain = settings();
        let plain = plain.iter().map(|setting| {
            let value = setting.show(self);
            let is_default = setting.show(&default) == value;
            Shown { key: setting.key, value, is_default, doc: setting.doc, reload: setting.reload }
        });
        let list = |key, value: Value| {
            let is_default = value.as_array().is_some_and(Vec::is_empty);
            let section = SECTIONS.iter().find(|section| section.name == key);
            let (doc, reload) = (section.map_or("", |section| section.doc), reload_of_list(key));
            Shown { key, value: Some(masked(value)), is_default, doc, reload }
        };
        let lists = [KEYS, RULES, SERVICES].map(|key| list(key, self.list(key)));
        plain.chain(lists).collect()
    }

    /// The value of a list of tables, with its secrets.
    pub(super) fn list(&self, key: &str) -> Value {
        match key {
            KEYS => values(&self.auth.keys, &key_settings()),
            RULES => values(&self.channels, &rule_settings()),
            _ => values(&self.services, &service_settings()),
        }
    }

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
        for key in [KEYS, RULES, SERVICES] {
            let value = self.list(key);
            let is_default = value.as_array().is_some_and(Vec::is_empty);
            list.push(Assignment { key, value: value.to_string(), is_default });
        }
        list
    }
}

fn values<T: Clone + 'static>(items: &[T], settings: &[Setting<T>]) -> Value {
    let table = |item: &T| {
        let shown = settings.iter().filter_map(|s| Some((s.key.to_owned(), s.show(item)?)));
        Value::Table(shown.collect::<Table>())
    };
    Value::Array(items.iter().map(table).collect())
}

/// A key of a list of tables: its name, what it means, what it allows and an example.
struct Entry {
    key: &'static str,
    doc: &'static str,
    allowed: String,
    example: &'static str,
}

/// The keys of a section that is a list of tables; `None` for others.
fn entries_of(section: &Section) -> Option<Vec<Entry>> {
    fn of<T: Clone + 'static>(
        settings: Vec<Setting<T>>,
        example: fn(&str) -> &'static str,
    ) -> Vec<Entry> {
        let entry = |setting: Setting<T>| Entry {
            key: setting.key,
            doc: setting.doc,
            allowed: setting.allowed(),
            example: example(setting.key),
        };
        settings.into_iter().map(entry).collect()
    }
    match section.name {
        RULES => Some(of(rule_settings(), rule_example)),
        KEYS => Some(of(key_settings(), key_example)),
        SERVICES => Some(of(service_settings(), service_example)),
        _ => None,
    }
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
        if let Some(entries) = entries_of(section) {
            let _ = writeln!(out, "#[[{}]]", section.name);
            for entry in entries {
                comment(&mut out, entry.doc);
                let _ = writeln!(out, "#{} = {}", entry.key, entry.example);
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
        if let Some(entries) = entries_of(section) {
            let reload = reload_of_list(section.name);
            let _ = writeln!(out, "## `[[{}]]`\n\n{}\n", section.name, section.doc);
            let _ = writeln!(out, "Reload: {reload}.\n");
            for entry in entries {
                let _ = writeln!(out, "### `{}`\n\n{}\n", entry.key, entry.doc);
                let _ = writeln!(out, "Expected: {}.\n", entry.allowed);
            }
            continue;
        }
        let _ = writeln!(out, "## `[{}]`\n\n{}\n", section.name, section.doc);
        for setting in keys_of(section) {
            let _ = writeln!(out, "### `{}`\n\n{}\n", setting.key, setting.doc);
            let _ = writeln!(out, "- Default: `{}`", default_of(&setting));
            let _ = writeln!(out, "- Expected: {}", setting.allowed());
            let _ = writeln!(out, "- Environment: `{}`", variable(setting.key));
            let _ = writeln!(out, "- Reload: {}\n", setting.reload);
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

fn key_example(key: &str) -> &'static str {
    match key {
        "id" => "\"orders\"",
        "secret_file" => "\"orders.key\"",
        "secret_sha256" => "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        "role" => "\"publish\"",
        "types" => "[]",
        "payload" => "false",
        _ => "[\"/orders/**\"]",
    }
}

fn service_example(key: &str) -> &'static str {
    match key {
        "channel" => "\"/service/quote/**\"",
        "url" => "\"http://127.0.0.1:9000/quote\"",
        "reply" => "\"call\"",
        "timeout" => "\"5s\"",
        "max_in_flight" => "64",
        "max_reply" => "\"64KiB\"",
        "retries" => "0",
        "secret_file" => "\"quote.key\"",
        _ => "[\"X-Tenant: acme\"]",
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
