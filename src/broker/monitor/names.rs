//! The names of the monitoring channels: which a monitor may subscribe to, and what comes on which.
//!
//! Feed A is below `/meta/monitor`; feed B, below a prefix that can be chosen, is for clients that drop
//! everything below `/meta`. Patterns are told apart by this table and not by matching, or everybody who
//! subscribes to `/**` would see other people's sessions.
//! Source: monitoring.md 1, 2; protocol.md 70.

use crate::{
    bayeux::{ChannelName, Refusal},
    broker::subscribe::{SECURITY_POLICY, is_protocol_channel},
    events::EventType,
};

/// Where events go, as bits of an interest.
pub(super) mod places {
    /// `/meta/monitor/TYPE`.
    pub(in crate::broker::monitor) const A_TYPED: u8 = 1;
    /// `/meta/monitor`.
    pub(in crate::broker::monitor) const A_FLAT: u8 = 2;
    /// `PREFIX/TYPE`.
    pub(in crate::broker::monitor) const B_TYPED: u8 = 4;
    /// `PREFIX`.
    pub(in crate::broker::monitor) const B_FLAT: u8 = 8;
    /// `/meta/subscribe` and `/meta/unsubscribe`.
    pub(in crate::broker::monitor) const ALIAS: u8 = 16;
}

/// What a name brings: a place, and perhaps one type only.
pub(super) type Place = (u8, Option<EventType>);

/// Whether `name` is the prefix of feed B or lies below it.
pub(in crate::broker) fn is_feed_b(prefix: &str, name: &str) -> bool {
    let rest = name.strip_prefix(prefix).filter(|_| !prefix.is_empty());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a name exists without being created: the verbs of the protocol, either feed and all below.
pub(in crate::broker) fn is_known(prefix: &str, name: &ChannelName) -> bool {
    is_protocol_channel(name)
        || is_feed_b(FEED_A, name.as_str())
        || is_feed_b(prefix, name.as_str())
}

/// The refusal for who may not monitor (protocol.md 70): as CometD, that a channel exists is no secret.
pub(in crate::broker) fn denied(prefix: &str, name: &ChannelName) -> Refusal {
    if is_known(prefix, name) {
        Refusal::SubscribeDenied { reason: SECURITY_POLICY }
    } else {
        Refusal::CreateDenied { reason: SECURITY_POLICY }
    }
}

/// What a monitor gets by subscribing to `name`.
///
/// # Errors
/// A name that brings nothing: what it is called instead, if the client would suffer from it, an unknown
/// type, or no name of the table at all.
pub(super) fn place(prefix: &str, name: &str) -> Result<Place, Refusal> {
    match name {
        "/meta/**" => return Ok((places::A_TYPED, None)),
        "/meta/*" => return Ok((places::A_FLAT, None)),
        "/meta/subscribe" => return Ok((places::ALIAS, Some(EventType::Subscribe))),
        "/meta/unsubscribe" => return Ok((places::ALIAS, Some(EventType::Unsubscribe))),
        // No cometd.js can receive an event there: it takes all for replies of its own.
        "/meta/handshake" => return Err(Refusal::UseMonitor { verb: "handshake" }),
        "/meta/connect" => return Err(Refusal::UseMonitor { verb: "connect" }),
        "/meta/disconnect" => return Err(Refusal::UseMonitor { verb: "disconnect" }),
        _ => {}
    }
    let (rest, typed, flat) = if is_feed_b(FEED_A, name) {
        (name.strip_prefix(FEED_A), places::A_TYPED, places::A_FLAT)
    } else {
        (name.strip_prefix(prefix), places::B_TYPED, places::B_FLAT)
    };
    match rest.filter(|_| is_feed_b(FEED_A, name) || is_feed_b(prefix, name)) {
        Some("") => Ok((flat, None)),
        Some("/*" | "/**") => Ok((typed, None)),
        Some(word) => {
            let kind = word.strip_prefix('/').and_then(EventType::parse);
            let unknown = Refusal::CreateDenied { reason: "unknown_monitor_type" };
            kind.map(|kind| (typed, Some(kind))).ok_or(unknown)
        }
        None => Err(Refusal::CreateDenied { reason: SECURITY_POLICY }),
    }
}

pub(super) const FEED_A: &str = "/meta/monitor";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_names() {
        use EventType::{Disconnect, Subscribe, Unsubscribe};
        for (name, expected) in [
            ("/meta/**", (places::A_TYPED, None)),
            ("/meta/*", (places::A_FLAT, None)),
            ("/meta/monitor", (places::A_FLAT, None)),
            ("/meta/monitor/*", (places::A_TYPED, None)),
            ("/meta/monitor/**", (places::A_TYPED, None)),
            ("/meta/monitor/disconnect", (places::A_TYPED, Some(Disconnect))),
            ("/meta/subscribe", (places::ALIAS, Some(Subscribe))),
            ("/meta/unsubscribe", (places::ALIAS, Some(Unsubscribe))),
            ("/monitor", (places::B_FLAT, None)),
            ("/monitor/*", (places::B_TYPED, None)),
            ("/monitor/**", (places::B_TYPED, None)),
            ("/monitor/subscribe", (places::B_TYPED, Some(Subscribe))),
        ] {
            assert_eq!(place("/monitor", name), Ok(expected), "{name}");
        }
        for (name, text) in [
            ("/meta/handshake", "403:/meta/handshake:use_/meta/monitor/handshake"),
            ("/meta/connect", "403:/meta/connect:use_/meta/monitor/connect"),
            ("/meta/disconnect", "403:/meta/disconnect:use_/meta/monitor/disconnect"),
            ("/meta/monitor/x", "403:unknown_monitor_type:create_denied"),
            ("/monitor/subscribe/x", "403:unknown_monitor_type:create_denied"),
            ("/meta/subscribe/*", "403:denied_by_security_policy:create_denied"),
            ("/meta/monitors", "403:denied_by_security_policy:create_denied"),
        ] {
            assert_eq!(place("/monitor", name).unwrap_err().to_string(), text, "{name}");
        }
    }

    #[test]
    fn the_second_feed_is_where_its_prefix_says_or_nowhere() {
        assert_eq!(place("/ops/feed", "/ops/feed"), Ok((places::B_FLAT, None)));
        for (prefix, name, inside) in [
            ("/monitor", "/monitor", true),
            ("/monitor", "/monitor/a/b", true),
            ("/monitor", "/monitoring", false),
            ("", "/monitor", false),
            ("", "", false),
        ] {
            assert_eq!(is_feed_b(prefix, name), inside, "{prefix:?} {name:?}");
        }
        assert!(place("", "/meta/monitor").is_ok());
    }
}
