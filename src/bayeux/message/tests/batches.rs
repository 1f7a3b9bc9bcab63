//! What is taken and what is refused as a whole.

use super::*;

fn error(json: &str) -> Option<BadBatch> {
    parse(json).err()
}

#[test]
fn p002_an_array_and_a_single_object_are_taken() {
    assert_eq!(parse(" [ {\"id\":\"1\"} , {} ] ").unwrap().len(), 2);
    assert_eq!(one("\n{\"id\":\"1\"}\t").id.echo(), Some("1"));
}

#[test]
fn p014_text_that_is_not_json_is_refused_with_its_place() {
    assert_eq!(error("[{}\n,]"), Some(BadBatch::Json { line: 2, column: 2 }));
    for json in ["", "[", "[{}", "{", "{\"a\"}", "[{}]x", "[{}][{}]", "{\"a\":\"\n\"}"] {
        assert!(matches!(error(json), Some(BadBatch::Json { .. })), "{json:?}: {:?}", error(json));
    }
}

#[test]
fn every_prefix_of_a_batch_is_refused() {
    let whole = r#"[{"channel":"/é","id":"1","data":{"a":[1e4,"\u00e9"]},"x":true}]"#;
    assert!(parse(whole).is_ok());
    for end in 0..whole.len() {
        assert!(parse_batch(&whole.as_bytes()[..end], &limits()).is_err(), "{end} bytes");
    }
}

#[test]
fn bad_utf8_is_refused() {
    assert_eq!(parse_batch(b"[{\"a\":\"\xff\"}]", &limits()).err(), Some(BadBatch::Utf8));
}

#[test]
fn a_byte_order_mark_is_called_by_its_name() {
    assert_eq!(error("\u{feff}[{}]"), Some(BadBatch::ByteOrderMark));
}

#[test]
fn what_holds_no_messages_is_refused() {
    assert_eq!(error("[]"), Some(BadBatch::Empty));
    for json in ["1", "null", "\"a\""] {
        assert_eq!(error(json), Some(BadBatch::NotAMessage), "{json}");
    }
}

#[test]
fn a_bad_message_of_an_array_is_refused_with_its_place() {
    for (json, place) in [("[1]", 1), ("[{},[]]", 2), ("[null]", 1), ("[{},{},\"a\",{}]", 3)] {
        assert_eq!(error(json), Some(BadBatch::NoMessageAt(place)), "{json}");
    }
    let twice = r#"[{},{"a":1,"a":1}]"#;
    assert_eq!(error(twice), Some(BadBatch::DuplicateKey(At(Some(2)))));
    let many =
        format!("[{{{}}}]", (0..33).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));
    assert_eq!(error(&many), Some(BadBatch::TooManyKeys(At(Some(1)))));
    // What is no JSON has a better place than that.
    assert!(matches!(error("[{},{]"), Some(BadBatch::Json { .. })));
}

#[test]
fn p014_the_number_of_messages_is_limited() {
    let batch = |count| format!("[{}]", vec!["{}"; count].join(","));
    assert_eq!(parse(&batch(100)).unwrap().len(), 100);
    assert_eq!(error(&batch(101)), Some(BadBatch::TooMany));
}

#[test]
fn too_many_messages_are_refused_before_the_rest_is_read() {
    let batch = format!("[{} and no JSON from here on", "{},".repeat(101));
    assert_eq!(error(&batch), Some(BadBatch::TooMany));
}

#[test]
fn p014_the_depth_is_limited() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let message = |depth: usize| format!("[{{\"data\":{}}}]", nested(depth - 2));
    assert!(parse(&message(64)).is_ok());
    assert_eq!(error(&message(65)), Some(BadBatch::Depth));
}

#[test]
fn p014_the_number_of_fields_is_limited() {
    let message = |keys| {
        let fields: Vec<String> = (0..keys).map(|nth| format!("\"k{nth}\":0")).collect();
        format!("{{{}}}", fields.join(","))
    };
    assert_eq!(one(&message(32)).extra.len(), 32);
    assert_eq!(error(&message(33)), Some(BadBatch::TooManyKeys(At(None))));
}

#[test]
fn p014_a_field_stands_once_however_it_is_escaped() {
    for json in [
        r#"{"channel":"/a","channel":"/b"}"#,
        r#"{"channel":"/a","ch\u0061nnel":"/b"}"#,
        r#"{"custom":1,"custom":1}"#,
        r#"{"custom":1,"\u0063ustom":1}"#,
        r#"{"version":"1.0","version":"1.0"}"#,
    ] {
        assert_eq!(error(json), Some(BadBatch::DuplicateKey(At(None))), "{json}");
    }
    assert!(parse(r#"[{"channel":"/a"},{"channel":"/a"}]"#).is_ok());
    assert!(parse(r#"{"data":{"a":1,"a":2}}"#).is_ok());
}

#[test]
fn the_name_of_a_field_is_text() {
    assert_eq!(error(r#"{"\ud800":1}"#), Some(BadBatch::NotAMessage));
}

#[test]
fn json_that_no_number_or_text_can_hold_is_relayed() {
    let message = one(r#"{"data":[1e400,"\ud800",123456789012345678901234567890]}"#);
    assert_eq!(
        message.data.map(RawValue::get),
        Some(r#"[1e400,"\ud800",123456789012345678901234567890]"#)
    );
}
