//! How a value of each kind is written in TOML: reading, printing and what is allowed.
//!
//! A form knows nothing of keys or sources; [`super::settings`] joins forms and fields.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use toml::Value;

use super::Auto;

mod compose;
mod unit;

pub(super) use self::compose::{List, Optional, OrUnlimited};
use self::unit::{SIZE_UNITS, SPAN_UNITS, in_unit, show_millis, with_unit};

/// One way of writing values of type `V`.
pub(super) trait Form<V> {
    /// Reads a value; `None` if it is of the wrong type or out of bounds.
    fn read(&self, value: &Value) -> Option<V>;

    /// Prints a value so that [`Form::read`] returns it; `None` if it is said by leaving it out.
    fn show(&self, value: &V) -> Option<Value>;

    /// Names the allowed values; completes "expected …".
    fn allowed(&self) -> String;

    /// The first entry of a list that cannot be read, and what is allowed in its place.
    fn wrong_entry(&self, _value: &Value) -> Option<(usize, String)> {
        None
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Form<bool> for Flag {
    fn read(&self, value: &Value) -> Option<bool> {
        value.as_bool()
    }

    fn show(&self, value: &bool) -> Option<Value> {
        Some(Value::Boolean(*value))
    }

    fn allowed(&self) -> String {
        "true or false".into()
    }
}

/// `"auto"`, `true` or `false`.
pub(super) struct AutoFlag;

impl Form<Auto> for AutoFlag {
    fn read(&self, value: &Value) -> Option<Auto> {
        match value {
            Value::String(text) if text == "auto" => Some(Auto::Auto),
            Value::Boolean(true) => Some(Auto::On),
            Value::Boolean(false) => Some(Auto::Off),
            _ => None,
        }
    }

    fn show(&self, value: &Auto) -> Option<Value> {
        Some(match value {
            Auto::Auto => Value::from("auto"),
            Auto::On => Value::Boolean(true),
            Auto::Off => Value::Boolean(false),
        })
    }

    fn allowed(&self) -> String {
        "\"auto\", true or false".into()
    }
}

/// An integer between two bounds, both included.
pub(super) struct Count(pub(super) i64, pub(super) i64);

impl<N: TryFrom<i64> + TryInto<i64> + Copy> Form<N> for Count {
    fn read(&self, value: &Value) -> Option<N> {
        let number = value.as_integer().filter(|number| (self.0..=self.1).contains(number))?;
        number.try_into().ok()
    }

    fn show(&self, value: &N) -> Option<Value> {
        (*value).try_into().ok().map(Value::Integer)
    }

    fn allowed(&self) -> String {
        format!("a number from {} to {}", self.0, self.1)
    }
}

/// A number from 0 to 1.
pub(super) struct Ratio;

impl Form<f64> for Ratio {
    fn read(&self, value: &Value) -> Option<f64> {
        let number = match value {
            Value::Float(number) => *number,
            Value::Integer(number @ 0..=1) => *number as f64,
            _ => return None,
        };
        (0.0..=1.0).contains(&number).then_some(number)
    }

    fn show(&self, value: &f64) -> Option<Value> {
        Some(Value::Float(*value))
    }

    fn allowed(&self) -> String {
        "a number from 0 to 1, like 0.01".into()
    }
}

/// A number of bytes between two bounds: an integer, or text with a unit (`"64KiB"`).
pub(super) struct Size(pub(super) u64, pub(super) u64);

impl Form<usize> for Size {
    fn read(&self, value: &Value) -> Option<usize> {
        let bytes = match value {
            Value::Integer(bytes) => u64::try_from(*bytes).ok()?,
            Value::String(text) => with_unit(text, SIZE_UNITS)?,
            _ => return None,
        };
        if !(self.0..=self.1).contains(&bytes) {
            return None;
        }
        bytes.try_into().ok()
    }

    fn show(&self, value: &usize) -> Option<Value> {
        Some(Value::String(in_unit(*value as u64, SIZE_UNITS)))
    }

    fn allowed(&self) -> String {
        let (min, max) = (in_unit(self.0, SIZE_UNITS), in_unit(self.1, SIZE_UNITS));
        format!("a size from \"{min}\" to \"{max}\" (units B, KiB, MiB, GiB)")
    }
}

/// A duration between two bounds in milliseconds, both included: text with a unit (`"45s"`).
pub(super) struct Span(pub(super) u64, pub(super) u64);

impl Form<Duration> for Span {
    fn read(&self, value: &Value) -> Option<Duration> {
        let millis = with_unit(value.as_str()?, SPAN_UNITS)?;
        (self.0..=self.1).contains(&millis).then(|| Duration::from_millis(millis))
    }

    fn show(&self, value: &Duration) -> Option<Value> {
        let millis = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
        Some(Value::String(show_millis(millis)))
    }

    fn allowed(&self) -> String {
        let (min, max) = (show_millis(self.0), show_millis(self.1));
        format!("a duration from \"{min}\" to \"{max}\" (units ms, s, m, h)")
    }
}

/// Text that passes a check.
pub(super) struct Text {
    /// Completes "expected …".
    pub(super) allowed: &'static str,
    /// Tells whether a text is allowed.
    pub(super) valid: fn(&str) -> bool,
}

impl Form<String> for Text {
    fn read(&self, value: &Value) -> Option<String> {
        value.as_str().filter(|text| (self.valid)(text)).map(String::from)
    }

    fn show(&self, value: &String) -> Option<Value> {
        Some(Value::from(value.as_str()))
    }

    fn allowed(&self) -> String {
        self.allowed.into()
    }
}

/// One of a few words.
pub(super) struct Choice<V: 'static>(pub(super) &'static [(&'static str, V)]);

impl<V: Copy + PartialEq> Form<V> for Choice<V> {
    fn read(&self, value: &Value) -> Option<V> {
        let text = value.as_str()?;
        self.0.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
    }

    fn show(&self, value: &V) -> Option<Value> {
        self.0.iter().find(|(_, other)| other == value).map(|(name, _)| Value::from(*name))
    }

    fn allowed(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => names.concat(),
        }
    }
}

/// A numeric address with a port. Names are left out on purpose: which of several addresses a name
/// gives would decide who can connect.
pub(super) struct Address;

impl Form<SocketAddr> for Address {
    fn read(&self, value: &Value) -> Option<SocketAddr> {
        value.as_str()?.parse().ok()
    }

    fn show(&self, value: &SocketAddr) -> Option<Value> {
        Some(Value::String(value.to_string()))
    }

    fn allowed(&self) -> String {
        "an IP address with a port, like \"127.0.0.1:8080\" or \"[::1]:8080\"".into()
    }
}

/// The path of a file.
pub(super) struct FilePath;

impl Form<PathBuf> for FilePath {
    fn read(&self, value: &Value) -> Option<PathBuf> {
        value.as_str().filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    fn show(&self, value: &PathBuf) -> Option<Value> {
        Some(Value::from(value.to_string_lossy().as_ref()))
    }

    fn allowed(&self) -> String {
        "the path of a file".into()
    }
}

#[cfg(test)]
mod tests;
