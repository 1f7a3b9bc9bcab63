//! Times as arguments: `500ms`, `60s`, `5m`, `1h`, with the units of the configuration.

use std::time::Duration;

/// Reads a time.
///
/// # Errors
///
/// No number, no unit, or more than a year.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time like 500ms, 60s, 5m or 1h".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = number.checked_mul(unit_ms).filter(|&millis| millis <= MILLIS_MAX);
    millis.map(Duration::from_millis).ok_or_else(|| "expected no more than a year".to_owned())
}

/// Far from where the arithmetic of deadlines ends.
const MILLIS_MAX: u64 = 365 * 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_a_bound() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse("8760h"), Ok(Duration::from_secs(365 * 24 * 3_600)));
        for wrong in ["5", "", "xs", "-1s", "1.5s", "8761h", "99999999999999999999h"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
