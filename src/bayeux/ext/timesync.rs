//! Time synchronisation: what a client needs to know the server's clock.
//!
//! The client sends `{"tc":…,"l":…,"o":…}`: its time, the network lag and the offset to the server's
//! time that it has worked out so far. The reply is `{"tc":…,"ts":…,"p":…,"a":…}`: its time again, the
//! server's time at the receipt, how long the server kept the message, and how far off the client was.
//! All in milliseconds, on wall clocks. Source: protocol.md 130; CometD's `TimesyncExtension`.

use std::{fmt, io::Write};

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::bayeux::json;

/// An error of the client below this is not worth telling.
const ACCURACY_MS: u64 = 25;

/// `ext.timesync` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimesyncRequest {
    /// The client's time.
    pub tc: i64,
    /// The network lag that it knows. `None`: no idea yet.
    pub l: Option<i64>,
    /// The offset of the server's clock that it knows.
    pub o: i64,
}

/// `ext.timesync` of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimesyncReply {
    /// The client's time, as it said.
    pub tc: i64,
    /// The server's time at the receipt.
    pub ts: i64,
    /// How long the server took to reply, a hold included.
    pub p: i64,
    /// The error of the client; `None` if it knows no lag yet.
    pub a: Option<i64>,
}

impl TimesyncRequest {
    pub(super) fn read(value: &RawValue) -> Option<Self> {
        serde_json::Deserializer::from_str(value.get()).deserialize_any(TimesyncVisitor).ok()?
    }

    /// The reply to a request received at `ts` and kept for `p` milliseconds. `None`: the client is
    /// accurate enough.
    #[must_use]
    pub fn answer(self, ts: i64, p: i64) -> Option<TimesyncReply> {
        let Self { tc, l, o } = self;
        let a = l.map(|l| tc.saturating_add(o).saturating_add(l).saturating_sub(ts));
        let accurate = a.is_some_and(|a| l != Some(0) && a.unsigned_abs() < ACCURACY_MS);
        (!accurate).then_some(TimesyncReply { tc, ts, p, a })
    }
}

impl TimesyncReply {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { tc, ts, p, a } = self;
        // Writing into a vector cannot fail: it grows, or the process ends.
        let _ = write!(out, "\"timesync\":{{\"tc\":{tc},\"ts\":{ts},\"p\":{p}");
        if let Some(a) = a {
            let _ = write!(out, ",\"a\":{a}");
        }
        out.push(b'}');
    }
}

/// A number of milliseconds; clients that divide send fractions.
fn milliseconds(value: &RawValue) -> Option<i64> {
    let number = value.get();
    let rounded = || number.parse::<f64>().ok().map(|number| number.round() as i64);
    number.parse().ok().or_else(rounded)
}

struct TimesyncVisitor;

impl<'de> Visitor<'de> for TimesyncVisitor {
    type Value = Option<TimesyncRequest>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timesync")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut tc, mut l, mut o) = (None, None, None);
        while let Some((name, value)) = entries.next_entry::<&RawValue, &RawValue>()? {
            match json::text(name).as_deref() {
                Some("tc") => tc = milliseconds(value),
                Some("l") => l = milliseconds(value),
                Some("o") => o = milliseconds(value),
                _ => {}
            }
        }
        Ok(tc.map(|tc| TimesyncRequest { tc, l, o: o.unwrap_or_default() }))
    }
}
