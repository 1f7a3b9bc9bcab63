//! From what a service said to a message in the queue of its caller.
//!
//! To a remote call: `{"channel":…,"data":…,"id":…,"successful":true}`. cometd.js finds the call by
//! its `id`, and gives the message to listeners of the channel if there is no such call; so this form
//! serves `publish` too. The other form is a plain delivery, `{"channel":…,"data":…}`: clients older
//! than remote calls take anything with `successful` for the reply to their publish, and aiocometd
//! anything with an `id`. A failure has `successful`, `error` and `data:{class,message}` in both.
//! Source: protocol.md 114, 115; cometd.js Client.js `#messageResponse`.

use std::{borrow::Cow, sync::Arc};

use serde_json::value::{RawValue, to_raw_value};

use super::Failure;
use crate::{
    bayeux::ChannelName,
    broker::{Payload, Session},
    config::ServiceReply,
    server::{app::App, dispatch::stamped, report},
};

/// Where a reply goes.
pub(super) struct Caller {
    pub(super) app: Arc<App>,
    pub(super) session: Arc<Session>,
    pub(super) channel: ChannelName,
    pub(super) id: Option<Box<str>>,
    pub(super) form: ServiceReply,
}

impl Caller {
    /// Ends a call: counts it, tells the caller, and the log if it failed.
    pub(super) fn settle(
        &self,
        service: &ChannelName,
        said: Result<Option<Box<RawValue>>, Failure>,
    ) {
        let counters = self.app.services.counters();
        let arrived = match said {
            Ok(None) => return counters.silent.add(1),
            Ok(Some(data)) => {
                let arrived = self.deliver(&data, None);
                counters.replied.add(usize::from(arrived));
                arrived
            }
            Err(failure) => {
                match failure {
                    Failure::Overloaded => counters.overloaded.add(1),
                    Failure::Timeout => counters.timed_out.add(1),
                    _ => counters.failed.add(1),
                }
                report::service_failed(&self.app, service, &self.session, &failure);
                self.deliver(&failure.data(), Some(failure.error()))
            }
        };
        counters.dropped.add(usize::from(!arrived));
    }

    /// False if the session is no more.
    fn deliver(&self, data: &RawValue, error: Option<&'static str>) -> bool {
        let text = |text: &str| to_raw_value(text).ok();
        let id = self.id.as_deref().filter(|_| self.form == ServiceReply::Call).and_then(text);
        let successful = if error.is_none() { RawValue::TRUE } else { RawValue::FALSE };
        let says_so = id.is_some() || error.is_some();
        let error = error.and_then(text);
        let fields = [
            ("id", id.as_deref()),
            ("successful", says_so.then_some(successful)),
            ("error", error.as_deref()),
        ];
        let extra: Vec<_> = fields
            .into_iter()
            .filter_map(|(name, value)| Some((Cow::Borrowed(name), value?)))
            .collect();
        stamped(&self.app, Payload { data, ext: None, extra: &extra }, |payload| {
            self.app.broker.deliver(&self.session, &self.channel, payload)
        })
    }
}
