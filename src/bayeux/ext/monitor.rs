//! `ext.monitor` of a subscribe message: which events a monitor wants.
//!
//! Unlike other extensions a mistake fails the message: whoever narrows and is not understood would be
//! flooded. Source: monitoring.md 5.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::keys::{each, field};
use crate::bayeux::json;

/// The fields of the filter as they were written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MonitorRequest<'a> {
    /// Only these types.
    pub types: Option<Vec<Cow<'a, str>>>,
    /// Only events about channels that this pattern covers.
    pub channel: Option<Cow<'a, str>>,
    /// Only one session.
    pub sid: Option<Cow<'a, str>>,
    /// The share of frequent events, from 0 to 1.
    pub sample: Option<f64>,
    /// Polls too.
    pub polls: Option<bool>,
}

/// An unknown field, or a value that makes no sense. The client is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadMonitorRequest;

impl<'a> MonitorRequest<'a> {
    /// Reads `ext.monitor`; without it nothing is narrowed.
    ///
    /// # Errors
    /// See [`BadMonitorRequest`].
    pub fn read(ext: Option<&'a RawValue>) -> Result<Self, BadMonitorRequest> {
        let Some(request) = field(ext, "monitor") else { return Ok(Self::default()) };
        if !request.get().starts_with('{') {
            return Err(BadMonitorRequest);
        }
        let (mut read, mut good) = (Self::default(), true);
        each(Some(request), |name, value| {
            good &= json::text(name).is_some_and(|name| read.take(&name, value));
        });
        if good { Ok(read) } else { Err(BadMonitorRequest) }
    }

    /// Takes a field over; false if it cannot be used.
    fn take(&mut self, name: &str, value: &'a RawValue) -> bool {
        match name {
            "types" => {
                self.types = types(value);
                self.types.is_some()
            }
            "channel" => {
                self.channel = json::text(value);
                self.channel.is_some()
            }
            "sid" => {
                self.sid = json::text(value);
                self.sid.is_some()
            }
            "sample" => {
                let number = value.get().parse::<f64>().ok();
                self.sample = number.filter(|share| (0.0..=1.0).contains(share));
                self.sample.is_some()
            }
            "polls" => {
                self.polls = value.get().parse().ok();
                self.polls.is_some()
            }
            _ => false,
        }
    }
}

/// A list of words that is not empty.
fn types(value: &RawValue) -> Option<Vec<Cow<'_, str>>> {
    let list: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
    if list.is_empty() || list.len() > TYPES_MAX {
        return None;
    }
    list.into_iter().map(json::text).collect()
}

/// More than there are types.
const TYPES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<MonitorRequest<'_>, BadMonitorRequest> {
        MonitorRequest::read(Some(serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn every_field_is_optional() {
        assert_eq!(MonitorRequest::read(None), Ok(MonitorRequest::default()));
        for nothing in ["{}", r#"{"ack":true}"#, r#"{"monitor":{}}"#, "7"] {
            assert_eq!(read(nothing), Ok(MonitorRequest::default()), "{nothing}");
        }
        let all = read(
            r#"{"monitor":{"types":["subscribe"],"channel":"/a/**","sid":"9c1f02ab77d0","sample":0.01,"polls":true}}"#,
        )
        .unwrap();
        assert_eq!(all.types, Some(vec!["subscribe".into()]));
        assert_eq!(all.channel.as_deref(), Some("/a/**"));
        assert_eq!(all.sid.as_deref(), Some("9c1f02ab77d0"));
        assert_eq!((all.sample, all.polls), (Some(0.01), Some(true)));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "1",
            "[]",
            "null",
            r#""x""#,
            r#"{"type":"subscribe"}"#,
            r#"{"user":"alice"}"#,
            r#"{"types":[]}"#,
            r#"{"types":"subscribe"}"#,
            r#"{"types":[1]}"#,
            r#"{"channel":1}"#,
            r#"{"sid":null}"#,
            r#"{"sample":1.5}"#,
            r#"{"sample":-1}"#,
            r#"{"sample":"1"}"#,
            r#"{"polls":1}"#,
        ] {
            assert_eq!(read(&format!(r#"{{"monitor":{bad}}}"#)), Err(BadMonitorRequest), "{bad}");
        }
    }
}
