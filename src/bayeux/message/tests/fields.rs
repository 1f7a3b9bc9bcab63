//! What is read from the fields of one message.

use super::*;

fn client_id(json: &str) -> Option<String> {
    one(json).client_id.as_text().map(str::to_owned)
}

fn advice(json: &str) -> Option<RequestAdvice> {
    one(json).advice
}

fn names(value: &str) -> Names<'static> {
    let text = format!("{{\"subscription\":{value}}}");
    let message = one(&text);
    assert_eq!(message.subscription.raw.map(RawValue::get), Some(value));
    match message.subscription.value {
        Names::Absent => Names::Absent,
        Names::One(name) => Names::One(name.into_owned().into()),
        Names::Many(names) => {
            Names::Many(names.into_iter().map(|name| name.into_owned().into()).collect())
        }
        Names::TooMany => Names::TooMany,
        Names::Invalid => Names::Invalid,
    }
}

#[test]
fn plain_texts_are_borrowed() {
    let message = one(r#"{"channel":"/foo","clientId":"abc","id":12}"#);
    assert!(matches!(message.channel, Some(Cow::Borrowed("/foo"))));
    assert!(matches!(message.client_id, ClientId::Text(Cow::Borrowed("abc"))));
    assert!(matches!(message.id, MessageId::Text(Cow::Borrowed("12"))));
}

#[test]
fn p010_names_and_values_are_unescaped() {
    let message = one(r#"{"ch\u0061nnel":"\/f\u006fo","\ud83d\ude00":1}"#);
    assert_eq!(message.channel.as_deref(), Some("/foo"));
    assert_eq!(message.extra[0].0, "😀");
}

#[test]
fn p012_a_channel_that_is_no_text_is_missing() {
    for json in ["{}", r#"{"channel":null}"#, r#"{"channel":1}"#, r#"{"channel":["/a"]}"#] {
        assert_eq!(one(json).channel, None, "{json}");
    }
}

#[test]
fn p003_an_id_comes_back_character_for_character() {
    for (json, echo) in [
        (r#"{"id":"16"}"#, "16"),
        (r#"{"id":16}"#, "16"),
        (r#"{"id":"aZ09"}"#, "aZ09"),
        (r#"{"id":12345678901234567890}"#, "12345678901234567890"),
    ] {
        let id = one(json).id;
        assert_eq!((id.echo(), id.is_valid()), (Some(echo), true), "{json}");
    }
}

#[test]
fn p003_a_null_or_absent_id_is_none_at_all() {
    for json in ["{}", r#"{"id":null}"#] {
        let id = one(json).id;
        assert_eq!((id.echo(), id.is_valid()), (None, true), "{json}");
    }
}

#[test]
fn p012_an_invalid_id_is_echoed_all_the_same() {
    for (json, echo) in [
        (r#"{"id":"a-b"}"#, Some("a-b")),
        (r#"{"id":""}"#, Some("")),
        (r#"{"id":-1}"#, Some("-1")),
        (r#"{"id":"é"}"#, Some("é")),
        (r#"{"id":true}"#, None),
        (r#"{"id":{}}"#, None),
    ] {
        let id = one(json).id;
        assert_eq!((id.echo(), id.is_valid()), (echo, false), "{json}");
    }
}

#[test]
fn p014_the_length_of_ids_is_limited() {
    for (length, valid) in [(64, true), (65, false)] {
        let text = "a".repeat(length);
        let json = format!(r#"{{"id":"{text}","clientId":"{text}"}}"#);
        let message = one(&json);
        assert_eq!(message.id.is_valid(), valid, "{length}");
        assert_eq!(message.id.echo(), Some(text.as_str()));
        assert_eq!(message.client_id.as_text().is_some(), valid, "{length}");
    }
}

#[test]
fn p013_a_client_id_that_is_no_text_is_invalid() {
    assert_eq!(client_id(r#"{"clientId":"abc"}"#).as_deref(), Some("abc"));
    assert_eq!(one("{}").client_id, ClientId::Absent);
    assert_eq!(one(r#"{"clientId":null}"#).client_id, ClientId::Absent);
    for json in [r#"{"clientId":1}"#, r#"{"clientId":{}}"#, r#"{"clientId":"\udc00"}"#] {
        assert_eq!(one(json).client_id, ClientId::Invalid, "{json}");
    }
}

#[test]
fn p006_null_is_data() {
    assert_eq!(one(r#"{"data":null}"#).data.map(RawValue::get), Some("null"));
    assert!(one("{}").data.is_none());
}

#[test]
fn p032_p033_advice_overrides_in_milliseconds() {
    let ms = |ms| Some(Duration::from_millis(ms));
    assert_eq!(
        advice(r#"{"advice":{"timeout":0,"interval":1234,"reconnect":"retry"}}"#),
        Some(RequestAdvice { timeout: ms(0), interval: ms(1234) })
    );
    assert_eq!(
        advice(r#"{"advice":{"timeout":1.5e3,"interval":0.5}}"#),
        Some(RequestAdvice { timeout: ms(1500), interval: Some(Duration::from_micros(500)) })
    );
}

#[test]
fn p013_unusable_advice_is_there_but_empty() {
    for json in [
        r#"{"advice":{}}"#,
        r#"{"advice":"x"}"#,
        r#"{"advice":[1]}"#,
        r#"{"advice":7}"#,
        r#"{"advice":{"timeout":"0","interval":null}}"#,
        r#"{"advice":{"timeout":-1,"interval":1e400}}"#,
        r#"{"advice":{"timeout":-1,"\ud800":1}}"#,
    ] {
        assert_eq!(advice(json), Some(RequestAdvice::default()), "{json}");
    }
    assert_eq!(advice("{}"), None);
    assert_eq!(advice(r#"{"advice":null}"#), None);
}

#[test]
fn p065_one_or_several_names_are_read() {
    assert_eq!(names("\"/foo\""), Names::One("/foo".into()));
    assert_eq!(names("[\"/a\", \"\\/b\"]"), Names::Many(vec!["/a".into(), "/b".into()]));
    assert_eq!(names("[]"), Names::Many(Vec::new()));
    assert_eq!(names("null"), Names::Absent);
    assert_eq!(one("{}").subscription.value, Names::Absent);
}

#[test]
fn p072_other_subscriptions_are_invalid() {
    for value in
        ["1", "true", "{}", "{\"a\":1}", "[1]", "[\"/a\",null]", "[[\"/a\"]]", "\"\\ud800\""]
    {
        assert_eq!(names(value), Names::Invalid, "{value}");
    }
}

#[test]
fn the_number_of_names_is_limited() {
    let array = |count| format!("[{}]", vec!["\"/a\""; count].join(","));
    assert!(matches!(names(&array(128)), Names::Many(names) if names.len() == 128));
    assert_eq!(names(&array(129)), Names::TooMany);
}

#[test]
fn p019_odd_connection_types_are_as_good_as_none() {
    let types = |json| one(json).connection_types.map(|types| types.len());
    assert_eq!(types(r#"{"supportedConnectionTypes":["a","b"]}"#), Some(2));
    assert_eq!(types(r#"{"supportedConnectionTypes":[]}"#), Some(0));
    for json in [
        "{}",
        r#"{"supportedConnectionTypes":"websocket"}"#,
        r#"{"supportedConnectionTypes":[1]}"#,
        r#"{"supportedConnectionTypes":null}"#,
    ] {
        assert_eq!(types(json), None, "{json}");
    }
    let many = format!(r#"{{"supportedConnectionTypes":[{}"a"]}}"#, "\"a\",".repeat(32));
    assert!(one(&many).connection_types.is_none());
}

#[test]
fn p008_only_fields_unknown_to_the_protocol_are_forwarded() {
    let message = one(
        r#"{"channel":"/a","id":"1","clientId":"c","data":1,"ext":{},"advice":{},"subscription":"/a",
            "supportedConnectionTypes":[],"connectionType":"x","version":"1.0","minimumVersion":"1.0",
            "successful":true,"error":"e","authSuccessful":true,"x-messages":3,
            "custom":7,"dataset":{"a": 1}}"#,
    );
    let extra: Vec<_> =
        message.extra.iter().map(|(name, raw)| (name.as_ref(), raw.get())).collect();
    assert_eq!(extra, [("custom", "7"), ("dataset", "{\"a\": 1}")]);
}
