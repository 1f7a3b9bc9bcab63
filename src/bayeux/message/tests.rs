//! What is read from a batch, and which batches are refused.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    bayeux::{ChannelName, Frame, QueuePolicy},
    config::Limits,
};

fn limits() -> MessageLimits {
    MessageLimits::from(&Limits::default())
}

fn parse(json: &str) -> Result<Vec<Message<'_>>, BadBatch> {
    parse_batch(json.as_bytes(), &limits())
}

/// The only message of a batch.
fn one(json: &str) -> Message<'_> {
    let mut messages = parse(json).unwrap();
    assert_eq!(messages.len(), 1, "{json}");
    messages.remove(0)
}

mod batches;
mod fields;

/// Any JSON, three levels deep; its numbers are whole, so that `Value` compares them exactly.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn p008_what_is_published_is_what_is_delivered(
        data in any_json(),
        ext in prop::option::of(any_json()),
        extra in prop::collection::btree_map("x[a-z\"\\\\\n\u{1f600}]{0,6}", any_json(), 0..5),
        pretty: bool,
    ) {
        let mut published = json!({
            "channel": "/foo", "id": "7", "clientId": "abc", "data": data, "advice": {"timeout": 1},
        });
        let mut expected = json!({"channel": "/foo", "data": data});
        for object in [&mut published, &mut expected] {
            object.as_object_mut().unwrap().extend(extra.clone().into_iter());
            if let Some(ext) = &ext {
                object["ext"] = ext.clone();
            }
        }
        let text = if pretty {
            serde_json::to_string_pretty(&published).unwrap()
        } else {
            published.to_string()
        };
        let message = one(&text);
        let channel = ChannelName::parse(message.channel.as_deref().unwrap(), limits().name).unwrap();
        let frame = Frame::encode(
            &channel,
            message.data.unwrap(),
            message.ext,
            &message.extra,
            QueuePolicy::Disconnect,
            &Arc::default(),
        );
        prop_assert!(!frame.object().contains(&b'\n'));
        let delivered: Value = serde_json::from_slice(frame.object()).unwrap();
        prop_assert_eq!(delivered, expected);
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        let _ = parse_batch(&bytes, &limits());
    }

    #[test]
    fn any_text_of_json_tokens_is_answered(
        text in r#"(\[|\]|\{|\}|,|:|"id"|"data"|"ext"|"advice"|"timeout"|"\\ud800"|null|-1e9|\n){0,24}"#,
    ) {
        if let Ok(messages) = parse(&text) {
            // What we take is JSON for others too.
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
            prop_assert!(!messages.is_empty());
        }
    }

    #[test]
    fn any_field_may_hold_anything(
        field in "channel|id|clientId|data|ext|advice|subscription|supportedConnectionTypes|version",
        value in any_json(),
    ) {
        let text = json!({ field: value }).to_string();
        prop_assert!(parse(&text).is_ok(), "{}", text);
    }
}
