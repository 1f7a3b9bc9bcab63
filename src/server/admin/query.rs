//! The parameters of a request.
//!
//! Each is known to its endpoint; an unknown one is refused, because a misspelt filter that is ignored
//! would show everything.

use std::{borrow::Cow, str::FromStr};

use super::problem::{Problem, bad};
use crate::{
    bayeux::{ChannelName, NameLimits},
    events::Sid,
};

/// See the module documentation.
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Reads the query string of a request to an endpoint that knows the parameters `known`.
    ///
    /// # Errors
    /// A parameter that is unknown or stands there twice.
    pub(super) fn read(text: Option<&'a str>, known: &[&str]) -> Result<Self, Problem> {
        let mut all: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                let text = format!("there is no such parameter here; known: {known}");
                return Err(Problem::BadParameter(text.into()));
            }
            if all.iter().any(|(other, _)| *other == name) {
                return Err(bad("each parameter can be given once"));
            }
            all.push((name, value));
        }
        Ok(Self(all))
    }

    /// The text of a parameter; an empty one counts as none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_ref()).filter(|value| !value.is_empty())
    }

    /// A parameter that is `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.parsed(name, "true or false")
    }

    /// A number up to `max`.
    pub(super) fn number(
        &self,
        name: &str,
        min: usize,
        max: usize,
    ) -> Result<Option<usize>, Problem> {
        let wanted = || format!("a number from {min} to {max}");
        match self.parsed::<usize>(name, &wanted())? {
            Some(number) if !(min..=max).contains(&number) => Err(wrong(name, &wanted())),
            number => Ok(number),
        }
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text);
        let list = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found
            .map(|(_, value)| Some(*value))
            .ok_or_else(|| wrong(name, &format!("one of {}", list())))
    }

    /// A session's name.
    pub(super) fn sid(&self, name: &str) -> Result<Option<Sid>, Problem> {
        let read = |text| Sid::parse(text).ok_or_else(|| wrong(name, "12 hex digits"));
        self.text(name).map(read).transpose()
    }

    /// A channel or pattern.
    pub(super) fn channel(
        &self,
        name: &str,
        limits: NameLimits,
    ) -> Result<Option<ChannelName>, Problem> {
        let read = |text| {
            ChannelName::parse(text, limits)
                .map_err(|_| wrong(name, "a channel or pattern, like /a/**"))
        };
        self.text(name).map(read).transpose()
    }

    /// How many entries a page has.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        Ok(self.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT))
    }

    fn parsed<T: FromStr>(&self, name: &str, wanted: &str) -> Result<Option<T>, Problem> {
        let read = |text: &str| text.parse().map_err(|_| wrong(name, wanted));
        self.text(name).map(read).transpose()
    }
}

/// A parameter that is not what it should be.
pub(super) fn wrong(name: &str, wanted: &str) -> Problem {
    Problem::BadParameter(format!("{name}: expected {wanted}").into())
}

/// Entries of a page, unless asked for others, and the most of them.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<Query<'_>, Problem> {
        Query::read(Some(text), &["limit", "sid", "on", "channel", "sort"])
    }

    #[test]
    fn parameters_are_read_by_their_kind() {
        let query = query("limit=7&sid=00000000000a&on=true&channel=%2Fa%2F**&sort=age").unwrap();
        assert_eq!(query.limit().unwrap(), 7);
        assert_eq!(query.sid("sid").unwrap().unwrap().to_string(), "00000000000a");
        assert_eq!(query.flag("on").unwrap(), Some(true));
        let limits = NameLimits { bytes: 255, segments: 16 };
        assert_eq!(query.channel("channel", limits).unwrap().unwrap().as_str(), "/a/**");
        assert_eq!(query.choice("sort", &[("age", 1), ("sid", 2)]).unwrap(), Some(1));
        assert_eq!(query.text("none"), None);
    }

    #[test]
    fn what_cannot_be_used_is_refused_and_named() {
        for bad in ["limit=0", "limit=1001", "limit=x", "limit=-1"] {
            let text = format!("{:?}", query(bad).unwrap().limit().unwrap_err());
            assert!(text.contains("limit: expected a number from 1 to 1000"), "{text}");
        }
        assert!(query("sid=1").unwrap().sid("sid").is_err());
        assert!(query("on=yes").unwrap().flag("on").is_err());
        assert!(query("sort=x").unwrap().choice("sort", &[("age", ())]).is_err());
        assert!(query("limit=1&limit=2").is_err());
        assert!(query("limits=1").is_err());
        assert_eq!(query("limit=").unwrap().limit().unwrap(), LIMIT);
    }
}
