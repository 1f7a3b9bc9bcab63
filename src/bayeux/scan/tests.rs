//! Depth and line breaks, compared with a naive scan.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

#[test]
fn the_limit_holds_from_both_sides() {
    assert!(!deeper_than(b"[{\"a\":[1]}]", 3));
    assert!(deeper_than(b"[{\"a\":[1]}]", 2));
}

#[test]
fn brackets_side_by_side_do_not_add_up() {
    assert!(!deeper_than(b"[[],[],{},[]]", 2));
}

#[test]
fn brackets_in_strings_do_not_count() {
    assert!(!deeper_than(br#"["[[[[", "\"[[[[", "\\", "[["]"#, 1));
    assert!(deeper_than(br#"["\\",[]]"#, 1));
}

#[test]
fn an_unfinished_string_reaches_to_the_end() {
    assert!(!deeper_than(b"\"[[[\\", 0));
    assert!(!deeper_than(b"\"[[[\\\"[", 0));
}

#[test]
fn a_million_levels_are_refused_at_the_limit() {
    assert!(deeper_than(&vec![b'['; 1_000_000], 64));
}

#[test]
fn line_breaks_become_spaces_and_the_value_stays() {
    let raw = "{\r\n \"a\" :\n\"x\\r\\n\"\t}";
    let mut out = b"kept\n".to_vec();
    append_as_one_line(&mut out, raw);
    assert_eq!(out, b"kept\n{   \"a\" : \"x\\r\\n\"\t}");
}

/// One byte at a time, a flag for each state.
fn naive_depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

proptest! {
    #[test]
    fn the_scan_agrees_with_the_naive_one(
        json in r#"([\[\]{}"\\a]|\\"){0,40}"#,
        depth_max in 0usize..6,
    ) {
        let naive = naive_depth(json.as_bytes()) > depth_max;
        prop_assert_eq!(deeper_than(json.as_bytes(), depth_max), naive);
    }

    #[test]
    fn any_bytes_are_scanned(bytes: Vec<u8>, depth_max in 0usize..4) {
        prop_assert_eq!(deeper_than(&bytes, depth_max), naive_depth(&bytes) > depth_max);
    }

    #[test]
    fn one_line_is_the_same_value(text: String, spaces in "[ \r\n\t]{0,8}") {
        let json = format!("[{spaces}{}{spaces},{spaces}1]", serde_json::json!(text));
        let raw: &RawValue = serde_json::from_str(&json).unwrap();
        let mut out = Vec::new();
        append_as_one_line(&mut out, raw.get());
        prop_assert!(!out.contains(&b'\r') && !out.contains(&b'\n'));
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(value, serde_json::json!([text, 1]));
    }
}
