//! Subscribing and unsubscribing: which names clients may use, and their places in the topics.
//!
//! Monitoring channels are no topics and never come here with success: see
//! `monitor`. Source: protocol.md 65-74, 116, 120.

use std::sync::Arc;

use super::{
    Broker,
    monitor::{denied, is_known},
    session::Session,
};
use crate::bayeux::{ChannelName, Kind, Refusal};

impl Broker {
    /// Subscribes `session` to a channel or pattern; idempotent (protocol.md 68).
    ///
    /// # Errors
    /// Refusals of protocol.md 70-72: meta channels, limits, an ended session.
    pub fn subscribe(&self, session: &Arc<Session>, name: &ChannelName) -> Result<(), Refusal> {
        if name.kind() == Kind::Service {
            return Ok(());
        }
        if self.is_monitoring(name) {
            return Err(denied(&self.settings.monitor_prefix, name));
        }
        if name.as_str() == "/**" && !self.settings.bounds.root_wildcard.now() {
            return Err(Refusal::SubscribeDenied { reason: "root_wildcard" });
        }
        session.subscribe(name, self.settings.bounds.subscriptions_max.now(), |session| {
            loop {
                let topic =
                    self.topic(name).ok_or(Refusal::CreateDenied { reason: "channel_limit" })?;
                if let Ok(key) = topic.add(Arc::clone(session)) {
                    return Ok((topic, key));
                }
            }
        })
    }

    /// Takes a subscription back; successful also when there was none (protocol.md 68).
    ///
    /// # Errors
    /// `400::channel_missing` when the channel does not exist at all.
    pub fn unsubscribe(&self, session: &Session, name: &ChannelName) -> Result<(), Refusal> {
        if let Some(was_last) = session.unsubscribe(name) {
            if was_last {
                self.sweep.list(name.clone());
            }
            return Ok(());
        }
        if name.kind() == Kind::Service
            || self.unmonitor(session, name)
            || is_known(&self.settings.monitor_prefix, name)
            || self.topics.contains_key(name)
        {
            return Ok(());
        }
        Err(Refusal::ChannelMissing)
    }
}

/// The five names that the protocol itself uses; they exist without being created.
pub(super) fn is_protocol_channel(name: &ChannelName) -> bool {
    matches!(
        name.as_str(),
        "/meta/handshake"
            | "/meta/connect"
            | "/meta/subscribe"
            | "/meta/unsubscribe"
            | "/meta/disconnect"
    )
}

/// Reason that CometD's default policy gives (protocol.md 116, 120).
pub(super) const SECURITY_POLICY: &str = "denied_by_security_policy";
