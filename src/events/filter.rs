//! Which events a listener wants, and which it may have.
//!
//! Decided with a glance, before an event is put together: most publishes are of interest to nobody.
//! Source: monitoring.md 5, 6.

use super::{
    event::{EventType, Types},
    rights::Rights,
    sid::Sid,
};
use crate::bayeux::ChannelName;

/// What can be known of an event before it exists.
pub struct Glance<'a> {
    /// Its type.
    pub kind: EventType,
    /// The session that it is about.
    pub sid: Option<Sid>,
    /// The channel that it is about.
    pub channel: Option<&'a str>,
    /// Whether it is an ordinary connect or the end of its hold, of which there are very many.
    pub poll: bool,
    /// Whether it says that something was refused.
    pub refused: bool,
    /// Whether its session has a subscription that a pattern covers.
    pub subscribes: &'a dyn Fn(&ChannelName) -> bool,
}

/// What a listener wants; every field narrows.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Only these types.
    pub types: Types,
    /// Only events about matching channels, and about none.
    pub channel: Option<ChannelName>,
    /// Only events about one session.
    pub sid: Option<Sid>,
    /// The share of `publish` and `connect` events, from 0 to 1.
    pub sample: f64,
    /// Also a `connect` event for every poll and for every hold whose time is up.
    pub polls: bool,
}

impl Default for Filter {
    /// Everything but polls.
    fn default() -> Self {
        Self { types: Types::ALL, channel: None, sid: None, sample: 1.0, polls: false }
    }
}

impl<'a> Glance<'a> {
    /// A glance at an event that is about no session and no channel.
    #[must_use]
    pub fn of(kind: EventType) -> Self {
        Self { kind, sid: None, channel: None, poll: false, refused: false, subscribes: &|_| false }
    }
}

impl Filter {
    /// Whether the event numbered `seq` gets through.
    #[must_use]
    pub fn passes(&self, glance: &Glance<'_>, seq: u64) -> bool {
        if glance.kind == EventType::Lost {
            return true;
        }
        let thinned = matches!(glance.kind, EventType::Publish | EventType::Connect);
        self.covers(glance) && (!thinned || self.sample >= 1.0 || share_of(seq) < self.sample)
    }

    /// Whether every event of its types gets through, polls aside.
    pub(super) fn takes_all(&self) -> bool {
        self.channel.is_none() && self.sid.is_none() && self.sample >= 1.0
    }

    /// Whether the event gets through but for its luck in a sample.
    pub(super) fn covers(&self, glance: &Glance<'_>) -> bool {
        self.types.has(glance.kind)
            && (self.polls || !glance.poll)
            && self.sid.is_none_or(|sid| glance.sid == Some(sid))
            && match (&self.channel, glance.channel) {
                (Some(pattern), Some(channel)) => pattern.covers(channel),
                _ => true,
            }
    }
}

impl Rights {
    /// Whether an event may be seen.
    #[must_use]
    pub fn allow(&self, glance: &Glance<'_>) -> bool {
        if glance.kind == EventType::Lost {
            return true;
        }
        if !self.types.has(glance.kind) {
            return false;
        }
        if self.scope.is_empty() || matches!(glance.kind, EventType::Node | EventType::Stats) {
            return true;
        }
        self.scope.iter().any(|pattern| match glance.channel {
            Some(channel) => pattern.covers(channel),
            None => (glance.subscribes)(pattern),
        })
    }
}

/// A number from 0 to 1 that looks random: the finalizer of splitmix64. Reads no random source, and
/// two listeners with the same share get the same events.
fn share_of(seq: u64) -> f64 {
    let mut bits = seq.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bayeux::NameLimits;

    fn name(text: &str) -> ChannelName {
        ChannelName::parse(text, NameLimits { bytes: 255, segments: 16 }).unwrap()
    }

    fn about(kind: EventType, channel: Option<&str>) -> Glance<'_> {
        Glance { channel, ..Glance::of(kind) }
    }

    #[test]
    fn every_field_narrows_by_itself() {
        let subscribe = about(EventType::Subscribe, Some("/a/b"));
        assert!(Filter::default().passes(&subscribe, 1));
        let types = Types::NONE.with(EventType::Disconnect);
        assert!(!Filter { types, ..Filter::default() }.passes(&subscribe, 1));
        assert!(
            Filter { types, ..Filter::default() }.passes(&about(EventType::Disconnect, None), 1)
        );
        for (pattern, passes) in [("/a/**", true), ("/a/b", true), ("/b/**", false)] {
            let filter = Filter { channel: Some(name(pattern)), ..Filter::default() };
            assert_eq!(filter.passes(&subscribe, 1), passes, "{pattern}");
            assert!(filter.passes(&about(EventType::Handshake, None), 1), "no channel passes");
        }
        let sid = Sid::from_bytes([1; 6]);
        let filter = Filter { sid: Some(sid), ..Filter::default() };
        assert!(!filter.passes(&subscribe, 1));
        assert!(filter.passes(&Glance { sid: Some(sid), ..subscribe }, 1));
    }

    #[test]
    fn polls_come_only_on_request() {
        let poll = Glance { poll: true, ..Glance::of(EventType::Connect) };
        assert!(!Filter::default().passes(&poll, 1));
        assert!(Filter { polls: true, ..Filter::default() }.passes(&poll, 1));
    }

    #[test]
    fn a_sample_thins_publishes_and_connects_only() {
        let filter = Filter { sample: 0.1, ..Filter::default() };
        let passed =
            |kind| (0..10_000).filter(|seq| filter.passes(&Glance::of(kind), *seq)).count();
        assert!((900..1_100).contains(&passed(EventType::Publish)));
        assert_eq!(passed(EventType::Connect), passed(EventType::Publish));
        assert_eq!(passed(EventType::Handshake), 10_000);
        let none = Filter { sample: 0.0, ..Filter::default() };
        assert!(!(0..1_000).any(|seq| none.passes(&Glance::of(EventType::Publish), seq)));
    }

    #[test]
    fn a_scope_hides_other_channels_and_sessions_without_one_inside() {
        let rights = Rights { scope: [name("/orders/**")].into(), ..Rights::usual() };
        assert!(rights.allow(&about(EventType::Subscribe, Some("/orders/1"))));
        assert!(rights.allow(&about(EventType::Subscribe, Some("/orders/*"))));
        for wider in ["/orders", "/**", "/*", "/other/1"] {
            assert!(!rights.allow(&about(EventType::Subscribe, Some(wider))), "{wider}");
        }
        let inside = |pattern: &ChannelName| pattern.covers("/orders/1");
        let disconnect = Glance::of(EventType::Disconnect);
        assert!(!rights.allow(&disconnect));
        assert!(rights.allow(&Glance { subscribes: &inside, ..disconnect }));
        assert!(rights.allow(&Glance::of(EventType::Stats)));
        assert!(!rights.allow(&about(EventType::Publish, Some("/orders/1"))), "not granted");
    }

    #[test]
    fn one_level_does_not_cover_a_deeper_pattern() {
        assert!(!name("/orders/*").covers("/orders/**"));
        assert!(name("/orders/*").covers("/orders/*"));
        assert!(name("/orders/**").covers("/orders/**"));
    }
}
