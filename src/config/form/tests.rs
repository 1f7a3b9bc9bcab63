//! How each form of a value is read, bounded and shown.

use super::*;

fn read<V>(form: &impl Form<V>, toml: &str) -> Option<V> {
    form.read(&toml.parse::<Value>().unwrap())
}

#[test]
fn durations_need_a_unit_and_keep_the_bounds() {
    let form = Span(500, 60_000);
    assert_eq!(read(&form, "\"45s\""), Some(Duration::from_secs(45)));
    assert_eq!(read(&form, "\"500ms\""), Some(Duration::from_millis(500)));
    assert_eq!(read(&form, "\"1m\""), Some(Duration::from_secs(60)));
    for wrong in ["\"499ms\"", "\"61s\"", "45", "\"45\"", "\"s\"", "\"-1s\"", "\"1.5s\"", "\"1d\""]
    {
        assert_eq!(read(&form, wrong), None, "{wrong}");
    }
    assert_eq!(read(&form, "\"99999999999999999999h\""), None);
}

#[test]
fn sizes_are_bytes_or_binary_units() {
    let form = Size(1, 1 << 30);
    assert_eq!(read(&form, "\"64KiB\""), Some(65_536));
    assert_eq!(read(&form, "4096"), Some(4096));
    assert_eq!(read(&form, "\"1 GiB\""), Some(1 << 30));
    for wrong in ["0", "-1", "\"64KB\"", "\"2GiB\"", "true"] {
        assert_eq!(read(&form, wrong), None, "{wrong}");
    }
}

#[test]
fn a_ratio_is_from_nothing_to_all() {
    for (toml, ratio) in [("0.01", 0.01), ("0", 0.0), ("1", 1.0), ("1.0", 1.0)] {
        assert_eq!(read(&Ratio, toml), Some(ratio), "{toml}");
        assert_eq!(Ratio.read(&Ratio.show(&ratio).unwrap()), Some(ratio));
    }
    for wrong in ["-0.1", "1.1", "2", "-1", "nan", "inf", "\"1\""] {
        assert_eq!(read(&Ratio, wrong), None, "{wrong}");
    }
}

#[test]
fn what_is_shown_reads_back() {
    for millis in [0, 1, 999, 1000, 1500, 60_000, 3_600_000, 5_400_000] {
        let duration = Duration::from_millis(millis);
        let form = Span(0, u64::MAX);
        assert_eq!(form.read(&form.show(&duration).unwrap()), Some(duration));
    }
    for bytes in [1usize, 1023, 1024, 65_536, 3 << 30] {
        let form = Size(1, u64::MAX);
        assert_eq!(form.read(&form.show(&bytes).unwrap()), Some(bytes));
    }
}

#[test]
fn an_optional_value_has_a_word_for_nothing() {
    let form = Optional { word: Some("auto"), form: OrUnlimited(Count(1, 10)) };
    assert_eq!(read(&form, "\"auto\""), Some(None));
    assert_eq!(read(&form, "10"), Some(Some(10)));
    assert_eq!(read(&form, "\"unlimited\""), Some(Some(crate::config::UNLIMITED)));
    assert_eq!(read(&form, "0"), None);
    assert_eq!(
        Form::<Option<usize>>::allowed(&form),
        "a number from 1 to 10, or \"unlimited\", or \"auto\""
    );
}

#[test]
fn a_list_takes_a_single_value_and_refuses_repetition() {
    let form = List { min: 1, of: Address };
    assert_eq!(read(&form, "\"127.0.0.1:80\"").map(|list| list.len()), Some(1));
    assert_eq!(read(&form, "[\"127.0.0.1:80\", \"[::1]:80\"]").map(|list| list.len()), Some(2));
    assert_eq!(read(&form, "[]"), None);
    assert_eq!(read(&form, "[\"127.0.0.1:80\", \"127.0.0.1:80\"]"), None);
}

#[test]
fn a_choice_names_its_words() {
    let form = Choice(&[("a", 1), ("b", 2), ("c", 3)]);
    assert_eq!(read(&form, "\"b\""), Some(2));
    assert_eq!(read(&form, "\"d\""), None);
    assert_eq!(form.allowed(), "\"a\", \"b\" or \"c\"");
}
