//! Which bodies become messages, and what is wrong with the others.

use super::*;
use crate::config::Limits;

fn limits() -> MessageLimits {
    MessageLimits { batch: 3, ..MessageLimits::from(&Limits::default()) }
}

fn one_of(body: &str) -> Read<'_> {
    one(body.as_bytes(), None, &limits())
}

#[track_caller]
fn code_of(read: Result<impl Sized, Problem>) -> &'static str {
    read.err().expect("refused").code()
}

#[test]
fn own_fields_are_carried_and_fields_of_the_protocol_are_not() {
    let body = r#"{"channel":"/a","data":1,"ext":{"t":1},"kind":"x","id":"7","clientId":"c",
        "exclude":["0123456789ab"],"idempotency_key":"k"}"#;
    let entry = one_of(body).unwrap();
    assert_eq!(entry.channel.as_deref(), Some("/a"));
    assert_eq!((entry.data.unwrap().get(), entry.ext.unwrap().get()), ("1", r#"{"t":1}"#));
    let names: Vec<&str> = entry.extra.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["kind"]);
    assert_eq!(entry.exclude, [Sid::parse("0123456789ab").unwrap()]);
    assert_eq!(entry.idempotency_key.as_deref(), Some("k"));
}

#[test]
fn a_body_that_is_not_one_object_is_refused() {
    for body in ["", "1", "[]", r#"[{"channel":"/a","data":1}]"#, "{", "{}x", "\u{feff}{}"] {
        assert_eq!(code_of(one_of(body)), "bad_json", "{body}");
    }
    assert_eq!(code_of(one(b"{\"a\":\"\xff\"}", None, &limits())), "bad_json");
    assert_eq!(code_of(one_of(r#"{"data":1,"data":2}"#)), "bad_json");
    let deep = format!("{{\"data\":{}}}", "[".repeat(100));
    assert_eq!(code_of(one_of(&deep)), "bad_json");
}

#[test]
fn fields_of_the_api_that_cannot_be_used_are_named() {
    let long = format!(r#"{{"idempotency_key":"{}"}}"#, "k".repeat(129));
    for body in [
        r#"{"exclude":"0123456789ab"}"#,
        r#"{"exclude":["x"]}"#,
        r#"{"idempotency_key":1}"#,
        r#"{"idempotency_key":""}"#,
        &long,
    ] {
        assert_eq!(code_of(one_of(body)), "field_invalid", "{body}");
    }
    assert_eq!(code_of(one(b"{}", Some(""), &limits())), "field_invalid");
}

#[test]
fn header_and_message_do_not_name_different_keys() {
    let read = |body: &'static str| one(body.as_bytes(), Some("header"), &limits());
    for body in ["{}", r#"{"idempotency_key":"header"}"#] {
        assert_eq!(read(body).unwrap().idempotency_key.unwrap(), "header");
    }
    assert_eq!(code_of(read(r#"{"idempotency_key":"field"}"#)), "field_invalid");
    let several = br#"{"channels":["/a"],"data":1,"idempotency_key":"field"}"#;
    assert_eq!(code_of(broadcast(several, Some("header"), &limits())), "field_invalid");
}

#[test]
fn a_path_names_the_channel_and_is_decoded_once() {
    let channel = |path: &'static str| {
        raw(path, b"{}", None, &limits()).map(|entry| entry.channel.unwrap().into_owned())
    };
    assert_eq!(channel("/orders/7").unwrap(), "/orders/7");
    assert_eq!(channel("/a%20b/%2525").unwrap(), "/a b/%25");
    for bad in ["/a%2Fb", "/a%2fb", "/a%", "/a%2", "/a%zz", "/a%ff", "/%+1"] {
        assert_eq!(code_of(channel(bad)), "channel_invalid", "{bad}");
    }
    for (bad, told) in [("/a/%zz", "\"%zz\""), ("/a%2", "\"%2\""), ("/a%2F", "no slash")] {
        let problem = channel(bad).unwrap_err().message().into_owned();
        assert!(problem.contains(told), "{problem}");
    }
    assert_eq!(code_of(raw("/a", b" \n", None, &limits())), "data_missing");
    assert_eq!(code_of(raw("/a", b"{]", None, &limits())), "bad_json");
}

#[test]
fn a_batch_is_an_object_with_messages_and_each_has_its_own_errors() {
    let read = |body: &'static str| batch(body.as_bytes(), &limits());
    let entries = read(r#"{"messages":[{"channel":"/a"},{"exclude":1},{}]}"#).unwrap();
    let codes: Vec<_> = entries.iter().map(|e| e.as_ref().map_err(Problem::code).err()).collect();
    assert_eq!(codes, [None, Some("field_invalid"), None]);
    for bad in [
        "[]",
        r#"[[{"channel":"/a"}]]"#,
        "{}",
        r#"{"messages":{}}"#,
        r#"{"messages":[]}"#,
        r#"{"messages":[1]}"#,
        r#"{"messages":[{}],"more":1}"#,
        r#"{"messages":[{},{},{},{}]}"#,
        r#"{"messages":[{"data":1,"data":2}]}"#,
    ] {
        assert_eq!(code_of(read(bad)), "bad_json", "{bad}");
    }
}

#[test]
fn a_broadcast_is_one_message_for_several_channels() {
    let body = br#"{"channels":["/a","/b"],"data":1,"x":2,"idempotency_key":"k"}"#;
    let entries = broadcast(body, None, &limits()).unwrap();
    let channels: Vec<_> =
        entries.iter().map(|e| e.as_ref().unwrap().channel.as_deref().unwrap()).collect();
    assert_eq!(channels, ["/a", "/b"]);
    assert!(entries.iter().flatten().all(|e| e.broadcast && e.extra.len() == 1));
    for bad in [
        r#"{"data":1}"#,
        r#"{"channels":[],"data":1}"#,
        r#"{"channels":"/a","data":1}"#,
        r#"{"channels":["/a"],"channel":"/b","data":1}"#,
        r#"{"channels":["/a","/b","/c","/d"],"data":1}"#,
    ] {
        assert_eq!(code_of(broadcast(bad.as_bytes(), None, &limits())), "field_invalid", "{bad}");
    }
}
