//! Names that pass, names that do not, and who matches whom.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const LIMITS: NameLimits = NameLimits { bytes: 255, segments: 16 };

fn name(text: &str) -> ChannelName {
    ChannelName::parse(text, LIMITS).unwrap()
}

fn error(text: &str) -> Option<InvalidName> {
    ChannelName::parse(text, LIMITS).err()
}

#[test]
fn p118_every_allowed_character_passes() {
    let text = "/AZaz09 !#$()+-./@_{~}";
    assert_eq!(name(text).as_str(), text);
}

#[test]
fn p118_other_characters_are_refused() {
    for bad in ['"', '%', '&', '\'', ',', ':', ';', '<', '=', '>', '?', '[', '\\', ']', '^', '`'] {
        assert_eq!(error(&format!("/a{bad}")), Some(InvalidName::Character), "{bad:?}");
    }
    for bad in ['|', '\0', '\n', '\u{7f}', 'é', '\u{2028}'] {
        assert_eq!(error(&format!("/a{bad}")), Some(InvalidName::Character), "{bad:?}");
    }
}

#[test]
fn a_name_starts_with_a_slash_and_has_a_segment() {
    assert_eq!(error(""), Some(InvalidName::NotAbsolute));
    assert_eq!(error("foo"), Some(InvalidName::NotAbsolute));
    assert_eq!(error("foo/"), Some(InvalidName::NotAbsolute));
    assert_eq!(error("/"), Some(InvalidName::EmptySegment));
    assert_eq!(error("//"), Some(InvalidName::EmptySegment));
    assert_eq!(error("/a//b"), Some(InvalidName::EmptySegment));
    assert_eq!(error("/a//"), Some(InvalidName::EmptySegment));
}

#[test]
fn p073_one_trailing_slash_is_dropped() {
    assert_eq!(name("/a/b/").as_str(), "/a/b");
}

#[test]
fn p074_a_template_is_an_ordinary_name() {
    assert!(!name("/foo/{id}").is_pattern());
}

#[test]
fn p119_a_wildcard_is_a_whole_last_segment() {
    for text in ["/*", "/**", "/a/*", "/a/**", "/a/**/"] {
        assert!(name(text).is_pattern(), "{text}");
    }
    for text in ["/a*", "/*a", "/a/***", "/**/a", "/a/*/b", "/a/**/b", "/*/*"] {
        assert_eq!(error(text), Some(InvalidName::Wildcard), "{text}");
    }
}

#[test]
fn the_limits_hold_from_both_sides() {
    let limits = NameLimits { bytes: 6, segments: 3 };
    assert!(ChannelName::parse("/a/b/c", limits).is_ok());
    assert!(ChannelName::parse("/a/b/c/", limits).is_ok());
    assert_eq!(ChannelName::parse("/a/b/cd", limits), Err(InvalidName::TooLong(limits.bytes)));
    let limits = NameLimits { bytes: 100, segments: 3 };
    assert_eq!(
        ChannelName::parse("/a/b/c/*", limits),
        Err(InvalidName::TooManySegments(limits.segments))
    );
}

#[test]
fn p119_the_prefix_tells_the_kind() {
    assert_eq!(name("/meta/connect").kind(), Kind::Meta);
    assert_eq!(name("/meta/**").kind(), Kind::Meta);
    assert_eq!(name("/service/echo").kind(), Kind::Service);
    for text in ["/meta", "/service", "/metadata/x", "/**", "/a/meta/b"] {
        assert_eq!(name(text).kind(), Kind::Broadcast, "{text}");
    }
}

#[test]
fn p119_patterns_come_most_general_first() {
    assert_eq!(patterns("/a/b/c"), ["/**", "/a/**", "/a/b/**", "/a/b/*", "/a/b/c"]);
    assert_eq!(patterns("/t"), ["/**", "/*", "/t"]);
}

#[test]
fn p119_a_deep_pattern_does_not_match_its_own_root() {
    assert!(!name("/t/**").matches(&name("/t")));
    assert!(name("/t/**").matches(&name("/t/a/b")));
    assert!(!name("/t/**").matches(&name("/ta")));
}

#[test]
fn p119_a_star_matches_exactly_one_segment() {
    assert!(name("/t/*").matches(&name("/t/a")));
    assert!(!name("/t/*").matches(&name("/t/a/b")));
    assert!(!name("/t/*").matches(&name("/t")));
}

#[test]
fn a_map_of_names_is_asked_with_a_text() {
    let map = HashMap::from([(name("/a/b"), 1)]);
    assert_eq!(map.get("/a/b"), Some(&1));
}

fn patterns(channel: &str) -> Vec<String> {
    let mut visited = Vec::new();
    name(channel).for_each_pattern(|pattern| visited.push(pattern.to_owned()));
    visited
}

/// Compares segment by segment, as the protocol tells it.
fn naive_match(pattern: &[&str], channel: &[&str]) -> bool {
    match (pattern, channel) {
        ([], []) | (["*"], [_]) | (["**"], [_, ..]) => true,
        ([p, pattern @ ..], [c, channel @ ..]) => p == c && naive_match(pattern, channel),
        _ => false,
    }
}

fn segments(text: &str) -> Vec<&str> {
    text.split('/').skip(1).collect()
}

/// The rules of protocol.md 118 and 119, one after the other.
fn naive_valid(text: &str) -> bool {
    let text = text.strip_suffix('/').unwrap_or(text);
    let segments = segments(text);
    let last = segments.len().saturating_sub(1);
    text.len() >= 2
        && text.len() <= LIMITS.bytes
        && text.starts_with('/')
        && segments.len() <= LIMITS.segments
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " !#$()*+-./@_{~}".contains(c))
        && segments.iter().enumerate().all(|(nth, segment)| {
            let wild = ["*", "**"].contains(segment);
            !segment.is_empty() && (!segment.contains('*') || (wild && nth == last))
        })
}

proptest! {
    #[test]
    fn matching_agrees_with_the_naive_matcher(
        pattern in "(/[ab]){0,3}/([ab]|[*]|[*]{2})",
        channel in "(/[ab]){1,4}",
    ) {
        let naive = naive_match(&segments(&pattern), &segments(&channel));
        prop_assert_eq!(name(&pattern).matches(&name(&channel)), naive);
        // The look-up by names finds the same subscribers.
        prop_assert_eq!(patterns(&channel).contains(&pattern), naive);
    }

    #[test]
    fn a_channel_has_its_depth_and_two_patterns(channel in "(/[a-z]{1,3}){1,6}") {
        prop_assert_eq!(patterns(&channel).len(), segments(&channel).len() + 2);
    }

    #[test]
    fn parsing_agrees_with_the_naive_rules(text in "(/?[a*!é]{0,3}){0,18}/?") {
        let parsed = ChannelName::parse(&text, LIMITS);
        prop_assert_eq!(parsed.is_ok(), naive_valid(&text), "{:?}", parsed);
    }

    #[test]
    fn a_parsed_name_parses_to_itself(text in any::<String>()) {
        if let Ok(parsed) = ChannelName::parse(&text, LIMITS) {
            prop_assert_eq!(name(parsed.as_str()), parsed);
        }
    }
}
