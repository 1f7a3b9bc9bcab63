//! The span of a caller, as its `traceparent` header names it, and what `tracestate` says beside it.
//!
//! A header that breaks a rule is treated as none at all: the caller's tracing must never be the reason
//! that a message is refused. `tracestate` belongs to the systems that trace, and goes on with every span as
//! it came. Source: W3C Trace Context, sections 3.2, 3.3 and 4.3; OTLP, `Span.trace_state`.

use std::sync::Arc;

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Never 0.
    pub(super) trace_id: u128,
    /// Never 0.
    pub(super) span_id: u64,
    /// Whether the caller records its own part.
    pub(super) sampled: bool,
    /// The header `tracestate`.
    pub(super) state: Option<Arc<str>>,
}

impl Parent {
    /// Reads the values of all headers `traceparent` of a request; `None` unless there is exactly one that
    /// holds `VERSION-TRACE-PARENT-FLAGS` in lower-case hex. Of a higher version than 00 what is known of
    /// it counts.
    #[must_use]
    pub fn read<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut values = values.into_iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        let (known, more) = value.split_at_checked(LENGTH)?;
        let known = str::from_utf8(known).ok()?;
        let mut parts = known.splitn(4, '-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32).filter(|id| *id != 0)?;
        let span_id = hex(parts.next()?, 16).filter(|id| *id != 0)?;
        let flags = hex(parts.next()?, 2)?;
        let ends = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.is_empty() || more.starts_with(b"-"),
        };
        let span_id = u64::try_from(span_id).ok()?;
        let sampled = flags & SAMPLED != 0;
        ends.then_some(Self { trace_id, span_id, sampled, state: None })
    }

    /// Takes along the values of all headers `tracestate` of the request, which are one list; none of it, if
    /// it is longer than 512 bytes or breaks a rule.
    #[must_use]
    pub fn with_state<'a>(mut self, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        self.state = state(values);
        self
    }
}

fn state<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Arc<str>> {
    let mut all = Vec::new();
    for value in values {
        if !all.is_empty() {
            all.push(b',');
        }
        all.extend_from_slice(value);
        if all.len() > STATE_BYTES_MAX {
            return None;
        }
    }
    let text = str::from_utf8(&all).ok()?.trim_matches(BLANK);
    let members = || text.split(',').map(|member| member.trim_matches(BLANK));
    // A member may be empty; what stands on the right of the first "=" belongs to whoever wrote it.
    let reads = |member: &str| {
        let pair =
            member.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
        member.is_empty() || pair.is_some_and(|(key, _)| key.bytes().all(is_of_a_key))
    };
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    let fits = printable && members().all(reads) && members().count() <= STATE_MEMBERS_MAX;
    (fits && members().any(|member| !member.is_empty())).then(|| text.into())
}

const fn is_of_a_key(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@')
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = text.len() == digits && text.bytes().all(lower);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Bytes of version 00.
const LENGTH: usize = 55;
const SAMPLED: u128 = 1;
/// Bytes of `tracestate` that everybody should carry (W3C Trace Context 3.3.1.5), and members that it may have.
const STATE_BYTES_MAX: usize = 512;
const STATE_MEMBERS_MAX: usize = 32;
const BLANK: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(value: &str) -> Option<Parent> {
        Parent::read([value.as_bytes()])
    }

    #[test]
    fn a_header_names_trace_parent_and_whether_it_is_sampled() {
        let parent = read(GOOD).unwrap();
        assert_eq!(parent.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((parent.span_id, parent.sampled), (0x00f0_67aa_0ba9_02b7, true));
        for (flags, sampled) in [("00", false), ("03", true), ("02", false), ("ff", true)] {
            let value = format!("{}{flags}", &GOOD[..53]);
            assert_eq!(read(&value).map(|parent| parent.sampled), Some(sampled), "{flags}");
        }
    }

    #[test]
    fn higher_versions_are_read_as_far_as_they_are_known() {
        let later = format!("cc{}", &GOOD[2..]);
        assert_eq!(read(&later), read(GOOD));
        assert_eq!(read(&format!("{later}-what-the-future-brings")), read(GOOD));
        for bad in [format!("{later}x"), format!("{GOOD}-x"), format!("ff{}", &GOOD[2..])] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_no_parent() {
        let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        let zero_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16));
        let upper = GOOD.to_uppercase();
        let shifted = "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01";
        let sign = "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let long = GOOD.repeat(1000);
        let umlaut = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ä";
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &GOOD.replace('-', "_"),
            &zero_trace,
            &zero_span,
            &upper,
            shifted,
            sign,
            &long,
            umlaut,
            &format!(" {GOOD}"),
            &format!("{GOOD} "),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(Parent::read([&b"\xff"[..]]), None);
    }

    fn state_of(values: &[&str]) -> Option<String> {
        let values = values.iter().map(|value| value.as_bytes());
        read(GOOD).unwrap().with_state(values).state.map(|state| (*state).to_owned())
    }

    #[test]
    fn state_goes_along_as_it_came() {
        for good in
            ["a=b", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "t@v=1 2=3 , x_-*/=~", "a=1,,b=2"]
        {
            assert_eq!(state_of(&[good]).as_deref(), Some(good));
        }
        assert_eq!(state_of(&[" a=1\t", "b=2"]).as_deref(), Some("a=1\t,b=2"));
    }

    #[test]
    fn state_that_is_too_long_or_breaks_a_rule_is_left_behind() {
        let long = |bytes: usize| format!("a={}", "x".repeat(bytes - 2));
        assert!(state_of(&[&long(512)]).is_some() && state_of(&[&long(513)]).is_none());
        assert!(state_of(&[&long(256), &long(255)]).is_some());
        assert!(state_of(&[&long(256), &long(256)]).is_none());
        let many = |members: usize| vec!["a=1"; members].join(",");
        assert!(state_of(&[&many(32)]).is_some() && state_of(&[&many(33)]).is_none());
        for bad in ["", " ", ",", "a", "a=", "=b", "A=b", "a b=c", "a=\u{e4}", "a=1,b", "a=\u{7f}"]
        {
            assert_eq!(state_of(&[bad]), None, "{bad}");
        }
    }

    #[test]
    fn there_is_one_header_or_no_parent() {
        assert_eq!(Parent::read([]), None);
        assert_eq!(Parent::read([GOOD.as_bytes(), GOOD.as_bytes()]), None);
    }
}
