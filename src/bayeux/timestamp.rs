//! The time of day, always UTC: as CometD's timestamp extension writes it, and for machines.
//!
//! Source: protocol.md 131, Java's pattern `EEE MMM dd HH:mm:ss zzz yyyy`; RFC 3339.

use std::{fmt, time::Duration};

/// A moment, in seconds since 1970. `Sat Nov 21 19:22:35 UTC 2026`, which no client parses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(pub u64);

/// A moment, since 1970, to the millisecond: `2026-11-21T19:22:35.042Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339(pub Duration);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / DAY_S, self.0 % DAY_S);
        let (year, month, day) = date(days);
        // 1970 began on a Thursday.
        let weekday = name(&WEEKDAYS, (days + 4) % 7);
        let month = name(&MONTHS, month);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.as_secs() / DAY_S, self.0.as_secs() % DAY_S);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let (month, millis) = (month + 1, self.0.subsec_millis());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// Year, month from 0 and day from 1 of a day since 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970 + days / ERA_DAYS * ERA_YEARS;
    days %= ERA_DAYS;
    while days >= year_days(year) {
        days -= year_days(year);
        year += 1;
    }
    let mut month = 0;
    while days >= month_days(year, month) {
        days -= month_days(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn year_days(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn month_days(year: u64, month: u64) -> u64 {
    match month {
        1 if is_leap(year) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

fn name(names: &[&'static str], index: u64) -> &'static str {
    names.get(index as usize).copied().unwrap_or_default()
}

const DAY_S: u64 = 86_400;
/// After 400 years the calendar repeats itself.
const ERA_YEARS: u64 = 400;
const ERA_DAYS: u64 = 146_097;
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p131_moments_are_written_as_java_does() {
        // From `date -u -d @N`.
        for (seconds, text) in [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (951_782_399, "Mon Feb 28 23:59:59 UTC 2000"),
            (951_782_400, "Tue Feb 29 00:00:00 UTC 2000"),
            (1_795_289_755, "Sat Nov 21 19:35:55 UTC 2026"),
            (4_107_542_400, "Mon Mar 01 00:00:00 UTC 2100"),
            (13_574_563_200, "Tue Feb 29 00:00:00 UTC 2400"),
        ] {
            assert_eq!(Timestamp(seconds).to_string(), text, "{seconds}");
        }
    }

    #[test]
    fn machines_read_moments_to_the_millisecond() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (1_795_289_755_042, "2026-11-21T19:35:55.042Z"),
        ] {
            assert_eq!(Rfc3339(Duration::from_millis(millis)).to_string(), text);
        }
    }
}
