//! The span of a caller, as its `traceparent` header names it.
//!
//! A header that breaks a rule is treated as none at all: the caller's tracing must never be the reason
//! that a message is refused. `tracestate` is not read, since nothing goes on from here that would carry
//! it. Source: W3C Trace Context, sections 3.2 and 4.3.

/// See the module documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Never 0.
    pub(super) trace_id: u128,
    /// Never 0.
    pub(super) span_id: u64,
    /// Whether the caller records its own part.
    pub(super) sampled: bool,
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
        ends.then_some(Self { trace_id, span_id, sampled: flags & SAMPLED != 0 })
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = text.len() == digits && text.bytes().all(lower);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Bytes of version 00.
const LENGTH: usize = 55;
const SAMPLED: u128 = 1;

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

    #[test]
    fn there_is_one_header_or_no_parent() {
        assert_eq!(Parent::read([]), None);
        assert_eq!(Parent::read([GOOD.as_bytes(), GOOD.as_bytes()]), None);
    }
}
