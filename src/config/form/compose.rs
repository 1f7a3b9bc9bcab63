//! Forms made of another form: lists, optional values, "unlimited".

use toml::Value;

use super::Form;
use crate::config::UNLIMITED;

/// A list of at least `min` different values; a single value counts as a list of one.
pub(in crate::config) struct List<F> {
    /// Fewest entries.
    pub(in crate::config) min: usize,
    /// The form of an entry.
    pub(in crate::config) of: F,
}

impl<V: PartialEq, F: Form<V>> Form<Vec<V>> for List<F> {
    fn read(&self, value: &Value) -> Option<Vec<V>> {
        let list = match value {
            Value::Array(entries) => {
                entries.iter().map(|entry| self.of.read(entry)).collect::<Option<Vec<V>>>()?
            }
            single => vec![self.of.read(single)?],
        };
        let repeated =
            list.iter().enumerate().any(|(i, entry)| list.iter().take(i).any(|e| e == entry));
        (list.len() >= self.min && !repeated).then_some(list)
    }

    fn show(&self, value: &Vec<V>) -> Option<Value> {
        value.iter().map(|entry| self.of.show(entry)).collect::<Option<Vec<_>>>().map(Value::Array)
    }

    fn allowed(&self) -> String {
        let least = if self.min == 0 { "a list" } else { "a list, not empty," };
        format!("{least} without repetition; each entry: {}", self.of.allowed())
    }

    fn wrong_entry(&self, value: &Value) -> Option<(usize, String)> {
        let mut before = Vec::new();
        for (index, entry) in value.as_array()?.iter().enumerate() {
            match self.of.read(entry) {
                None => return Some((index, self.of.allowed())),
                Some(again) if before.contains(&again) => {
                    return Some((index, "each entry once".into()));
                }
                Some(entry) => before.push(entry),
            }
        }
        None
    }
}

/// A form, or nothing; nothing is written as `word` or, without one, left out.
pub(in crate::config) struct Optional<F> {
    /// How `None` is written.
    pub(in crate::config) word: Option<&'static str>,
    /// The form of a value.
    pub(in crate::config) form: F,
}

impl<V, F: Form<V>> Form<Option<V>> for Optional<F> {
    fn read(&self, value: &Value) -> Option<Option<V>> {
        if value.as_str().is_some_and(|text| Some(text) == self.word) {
            return Some(None);
        }
        self.form.read(value).map(Some)
    }

    fn show(&self, value: &Option<V>) -> Option<Value> {
        match value {
            Some(value) => self.form.show(value),
            None => self.word.map(Value::from),
        }
    }

    fn allowed(&self) -> String {
        match self.word {
            Some(word) => format!("{}, or \"{word}\"", self.form.allowed()),
            None => self.form.allowed(),
        }
    }
}

/// A form, or `"unlimited"` for [`UNLIMITED`].
pub(in crate::config) struct OrUnlimited<F>(pub(in crate::config) F);

impl<F: Form<usize>> Form<usize> for OrUnlimited<F> {
    fn read(&self, value: &Value) -> Option<usize> {
        if value.as_str() == Some("unlimited") {
            return Some(UNLIMITED);
        }
        self.0.read(value)
    }

    fn show(&self, value: &usize) -> Option<Value> {
        if *value == UNLIMITED {
            return Some(Value::from("unlimited"));
        }
        self.0.show(value)
    }

    fn allowed(&self) -> String {
        format!("{}, or \"unlimited\"", self.0.allowed())
    }
}
