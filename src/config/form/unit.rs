//! Numbers with a unit: durations in milliseconds and sizes in bytes.

/// The units of one quantity, smallest first, each with its worth in the smallest.
pub(super) type Units = &'static [(&'static str, u64)];

/// Durations, counted in milliseconds: the finest grain of Bayeux advice.
pub(super) const SPAN_UNITS: Units = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// Sizes, counted in bytes. Decimal units are left out: "64KB" would mean 64,000 to some and 65,536
/// to others.
pub(super) const SIZE_UNITS: Units =
    &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads digits followed by a unit; `None` if it is anything else or does not fit.
pub(super) fn with_unit(text: &str, units: Units) -> Option<u64> {
    let (number, name) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, worth) = units.iter().find(|(unit, _)| *unit == name.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*worth)
}

/// Prints with the largest unit that needs no fraction; 0 with the smallest.
pub(super) fn in_unit(number: u64, units: Units) -> String {
    let fitting =
        units.iter().rev().find(|(_, worth)| number != 0 && number.is_multiple_of(*worth));
    let (unit, worth) = fitting.or_else(|| units.first()).copied().unwrap_or(("", 1));
    format!("{}{unit}", number / worth)
}

/// Prints a duration; zero as "0s", which is how people write it.
pub(super) fn show_millis(millis: u64) -> String {
    if millis == 0 { "0s".into() } else { in_unit(millis, SPAN_UNITS) }
}
