//! Joins the sources of the configuration and collects every mistake.
//!
//! Reads no files and no environment itself: callers hand over texts, so all of it is testable. Each
//! source is walked key by key, so a message can name the line, the variable or the flag.

use std::{collections::BTreeMap, ops::Range, path::Path};

use serde::Deserialize as _;
use toml::{
    Spanned, Value,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::{
    Config, Fault, Origin, Problem, Warning, check, hint,
    nearest::nearest,
    reference::variable,
    settings::{
        KEYS, RULES, SECTIONS, SERVICES, Setting, key_settings, rule_settings, service_settings,
        settings,
    },
};

/// Joins sources; later ones win, so call in the order file, environment, flags.
pub struct Loader {
    config: Config,
    settings: Vec<Setting<Config>>,
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

/// A configuration without mistakes, and where its values came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// What works but is probably not meant.
    pub warnings: Vec<Warning>,
    pub(super) origins: BTreeMap<String, Origin>,
}

/// A list of tables: its key, the settings of an entry, those that each entry has to have with their
/// meaning, and an entry to show.
struct Tables<T> {
    key: &'static str,
    of: Vec<Setting<T>>,
    required: &'static [(&'static str, &'static str)],
    example: &'static str,
}

/// The text a value stands in.
struct Source<'a> {
    text: &'a str,
    kind: Kind<'a>,
}

enum Kind<'a> {
    File(&'a Path),
    /// The whole text is one value; the origin is the same for all parts of it.
    Single(Origin),
}

impl Loader {
    /// Starts with the defaults.
    pub fn new() -> Self {
        Self {
            config: Config::default(),
            settings: settings(),
            origins: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds a file; `path` is used in messages only.
    pub fn file(&mut self, path: &Path, text: &str) {
        let source = Source { text, kind: Kind::File(path) };
        match DeTable::parse(text) {
            Ok(table) => self.table("", table.get_ref(), &source),
            Err(error) => {
                let at = source.at(&error.span().unwrap_or_default());
                // The parser may explain in several lines; ours is one.
                let message = error.message().lines().collect::<Vec<_>>().join(", ");
                self.problems.push(Problem { at, fault: Fault::Syntax(message) });
            }
        }
    }

    /// Adds environment variables: `BAYEUXD_SESSION__MAX_INTERVAL` is `session.max_interval`, and
    /// `BAYEUXD_CHANNELS`, `BAYEUXD_SERVICES` and `BAYEUXD_AUTH__KEYS` are the lists of that name. All others are none of ours; Kubernetes, for one, sets
    /// `BAYEUXD_SERVICE_HOST` for a service of that name. A key with too few `_` or without
    /// its section is warned of.
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        let mut ours: Vec<(String, String)> = variables.into_iter().collect();
        ours.sort();
        for (name, value) in ours {
            let Some(path) = name.strip_prefix("BAYEUXD_") else { continue };
            let is_list = [RULES, SERVICES].iter().any(|list| path.eq_ignore_ascii_case(list));
            if path.contains("__") || is_list {
                let key = path.to_ascii_lowercase().replace("__", ".");
                self.single(&key, &value, Origin::Environment(name));
            } else if let Some(meant) = self.with_single_underscores(path) {
                let text = format!("not read; did you mean {meant}?");
                self.warnings.push(Warning { at: Origin::Environment(name), key: None, text });
            }
        }
    }

    /// Adds one value of the command line. `text` is a TOML value, or a bare string.
    pub fn flag(&mut self, flag: &'static str, key: &str, text: &str) {
        self.single(key.trim(), text.trim(), Origin::Flag(flag));
    }

    /// Checks what only the whole can show.
    ///
    /// # Errors
    ///
    /// Every mistake of all sources, in the order of the sources.
    pub fn finish(mut self) -> Result<Loaded, Vec<Problem>> {
        let mut loaded = Loaded {
            config: self.config,
            warnings: Vec::new(),
            origins: std::mem::take(&mut self.origins),
        };
        // Conflicts of a half-read configuration would be misleading.
        if self.problems.is_empty() {
            self.problems = check::conflicts(&loaded);
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        loaded.warnings = self.warnings;
        let found = check::warnings(&loaded);
        loaded.warnings.extend(found);
        Ok(loaded)
    }

    /// The variable that was meant by one in which `_` stands for the `__` between section and key, or
    /// which has no section.
    fn with_single_underscores(&self, path: &str) -> Option<String> {
        let whole = |key: &str| key.replace('.', "_").eq_ignore_ascii_case(path);
        let last = |key: &str| {
            key.rsplit_once('.').is_some_and(|(_, name)| name.eq_ignore_ascii_case(path))
        };
        let keys = || self.settings.iter().map(|setting| setting.key);
        keys().find(|key| whole(key)).or_else(|| keys().find(|key| last(key))).map(variable)
    }

    /// Reads a value that stands alone: as TOML if that is allowed for the key, else as a string.
    fn single(&mut self, key: &str, text: &str, origin: Origin) {
        let source = Source { text, kind: Kind::Single(origin) };
        let bare = Spanned::new(0..text.len(), DeValue::String(text.into()));
        let parsed = DeValue::parse(text).unwrap_or_else(|_| bare.clone());
        let setting = self.settings.iter().find(|setting| setting.key == key);
        // `123` may be meant as text, for a cookie's name say: the key decides.
        let as_text = setting.is_some_and(|setting| {
            let allowed =
                |value| plain(value).is_some_and(|v| setting.read(&mut Config::default(), &v));
            !allowed(&parsed) && allowed(&bare)
        });
        self.entry(key, 0..0, if as_text { &bare } else { &parsed }, &source);
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>, source: &Source<'_>) {
        // The parser sorts by name; mistakes are reported from top to bottom.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let path = join(prefix, key.get_ref());
            self.entry(&path, key.span(), value, source);
        }
    }

    fn entry(
        &mut self,
        key: &str,
        span: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        source: &Source<'_>,
    ) {
        let at = source.at(&span);
        if key == RULES {
            let example = "{ match = \"/ticker/**\" }";
            let required = &[("match", "which channels the entry is for")];
            let list = Tables { key: RULES, of: rule_settings(), required, example };
            if let Some(rules) = self.tables(&list, at, value, source) {
                self.config.channels = rules;
            }
            return;
        }
        if key == KEYS {
            let example = "{ id = \"orders\" }";
            let required = &[("id", "how logs and answers call the key")];
            let list = Tables { key: KEYS, of: key_settings(), required, example };
            if let Some(keys) = self.tables(&list, at, value, source) {
                self.config.auth.keys = keys;
            }
            return;
        }
        if key == SERVICES {
            let example = "{ channel = \"/service/quote/**\", url = \"http://127.0.0.1:9000/\" }";
            let required =
                &[("channel", "which channels the entry is for"), ("url", "where the back-end is")];
            let list = Tables { key: SERVICES, of: service_settings(), required, example };
            if let Some(services) = self.tables(&list, at, value, source) {
                self.config.services = services;
            }
            return;
        }
        if let Some(setting) = self.settings.iter().find(|setting| setting.key == key) {
            if plain(value).is_some_and(|value| setting.read(&mut self.config, &value)) {
                self.origins.insert(key.into(), at);
            } else {
                self.problems.push(bad_setting(at, key, setting, value, source));
            }
            return;
        }
        if SECTIONS.iter().any(|section| section.name == key) {
            match value.get_ref() {
                DeValue::Table(table) => self.table(key, table, source),
                _ => {
                    let allowed = format!("a section, written as [{key}]");
                    self.problems.push(bad_value(at, key, value, source, allowed));
                }
            }
            return;
        }
        let names = self.settings.iter().map(|setting| setting.key);
        let sections = SECTIONS.iter().map(|section| section.name);
        let names: Vec<&str> = match value.get_ref() {
            // `[sessions]` is no `limits.sessions`.
            DeValue::Table(_) => sections.collect(),
            _ => names.chain(sections).collect(),
        };
        let nearest = nearest(key, &names).map(String::from);
        let fault = Fault::UnknownKey { key: key.into(), nearest, hint: hint::of_key(key) };
        self.problems.push(Problem { at, fault });
    }

    /// Reads a list of tables, which replaces the one of an earlier source: they are not mixed.
    /// `None` if it is none.
    fn tables<T: Default + 'static>(
        &mut self,
        list: &Tables<T>,
        at: Origin,
        value: &Spanned<DeValue<'_>>,
        source: &Source<'_>,
    ) -> Option<Vec<T>> {
        let key = list.key;
        let DeValue::Array(entries) = value.get_ref() else {
            let allowed = format!("a list of tables, each written as [[{key}]]");
            self.problems.push(bad_value(at, key, value, source, allowed));
            return None;
        };
        let mut items = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let at = source.at(&entry.span());
            let key = format!("{key}[{index}]");
            match entry.get_ref() {
                DeValue::Table(table) => items.push(self.item(list, &key, at, table, source)),
                _ => {
                    let allowed = format!("a table like {}", list.example);
                    self.problems.push(bad_value(at, &key, entry, source, allowed));
                }
            }
        }
        self.origins.insert(key.into(), at);
        Some(items)
    }

    fn item<T: Default>(
        &mut self,
        list: &Tables<T>,
        prefix: &str,
        at: Origin,
        table: &DeTable<'_>,
        source: &Source<'_>,
    ) -> T {
        let mut item = T::default();
        for (name, value) in table {
            let (key, here) = (join(prefix, name.get_ref()), source.at(&name.span()));
            let Some(setting) = list.of.iter().find(|setting| setting.key == name.get_ref()) else {
                let names: Vec<&str> = list.of.iter().map(|setting| setting.key).collect();
                let nearest = nearest(name.get_ref(), &names).map(|name| join(prefix, name));
                let hint = hint::of_key(&key);
                let fault = Fault::UnknownKey { key, nearest, hint };
                self.problems.push(Problem { at: here, fault });
                continue;
            };
            if plain(value).is_some_and(|value| setting.read(&mut item, &value)) {
                self.origins.insert(key, here);
            } else {
                self.problems.push(bad_setting(here, &key, setting, value, source));
            }
        }
        for (required, meaning) in list.required {
            if !table.contains_key(*required) {
                let fault = Fault::MissingKey { key: join(prefix, required), meaning };
                self.problems.push(Problem { at: at.clone(), fault });
            }
        }
        item
    }
}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

impl Loaded {
    /// Returns where the value of a key came from; rules are `channels[0].match` and so on.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Makes a problem of a value that reads well but cannot be used; `reason` says why and what to
    /// do.
    pub fn conflict(
        &self,
        key: &str,
        value: impl Into<Value>,
        reason: impl Into<String>,
    ) -> Problem {
        let (value, reason) = (value.into().to_string(), reason.into());
        Problem { at: self.origin(key), fault: Fault::Conflict { key: key.into(), value, reason } }
    }

    /// Makes a problem of an entry of a list of tables; `field` is one that each entry has, and `reason`
    /// names the entry.
    pub fn bad_entry(
        &self,
        list: &str,
        index: usize,
        field: &str,
        reason: impl Into<String>,
    ) -> Problem {
        let key = format!("{list}[{index}]");
        let at = self.origin(&join(&key, field));
        Problem { at, fault: Fault::Entry { key, reason: reason.into() } }
    }

    /// Makes a warning of the value of a key, or of an entry of a list of tables (`channels[0].match`).
    pub fn doubt(&self, key: impl Into<String>, text: impl Into<String>) -> Warning {
        let key = key.into();
        Warning { at: self.origin(&key), key: Some(key), text: text.into() }
    }
}

impl Source<'_> {
    fn at(&self, span: &Range<usize>) -> Origin {
        match &self.kind {
            Kind::File(path) => {
                let before = self.text.as_bytes().iter().take(span.start);
                let line = 1 + before.filter(|byte| **byte == b'\n').count();
                Origin::File { path: path.to_path_buf(), line }
            }
            Kind::Single(origin) => origin.clone(),
        }
    }
}

/// Names what is wrong with a value of a setting: of a list the entry.
fn bad_setting<T>(
    at: Origin,
    key: &str,
    setting: &Setting<T>,
    value: &Spanned<DeValue<'_>>,
    source: &Source<'_>,
) -> Problem {
    let wrong = plain(value).and_then(|value| setting.wrong_entry(&value));
    let (index, allowed) = match wrong {
        Some((index, allowed)) => (Some(index), allowed),
        None => (None, setting.allowed()),
    };
    let entry = match value.get_ref() {
        DeValue::Array(entries) => index.and_then(|index| entries.get(index)),
        _ => None,
    };
    let (shown, at) = entry.map_or((value, at), |entry| (entry, source.at(&entry.span())));
    let hint = shown.get_ref().as_str().and_then(|text| hint::of_value(key, text));
    let allowed = match hint {
        Some(hint) => format!("{allowed}; {hint}"),
        None => allowed,
    };
    let key = index.map_or_else(|| key.to_owned(), |index| format!("{key}[{index}]"));
    bad_value(at, &key, shown, source, allowed)
}

fn bad_value(
    at: Origin,
    key: &str,
    value: &Spanned<DeValue<'_>>,
    source: &Source<'_>,
    allowed: String,
) -> Problem {
    let written = source.text.get(value.span()).unwrap_or_default();
    // A table or list may fill many lines; the message is one.
    let mut value = written.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = value.char_indices().nth(VALUE_SHOWN) {
        value.truncate(end);
        value.push('…');
    }
    Problem { at, fault: Fault::BadValue { key: key.into(), value, allowed } }
}

/// Detaches a value from its source; `None` for integers of more than 64 bits.
fn plain(value: &Spanned<DeValue<'_>>) -> Option<Value> {
    Value::deserialize(ValueDeserializer::from(value.clone())).ok()
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.into() } else { format!("{prefix}.{name}") }
}

/// Characters of a wrong value that a message shows.
const VALUE_SHOWN: usize = 60;
