//! Spans as the JSON of an OTLP request.
//!
//! Ids are hex, 64-bit numbers are texts, enums are numbers, and fields with their default are left out.
//! Source: OTLP 1.x, "JSON Protobuf Encoding"; opentelemetry/proto/trace/v1; conventions on messaging.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use super::span::{Kind, Span};
use crate::metrics::{Labels as _, Route};

/// Knows what all requests have in common.
#[derive(Debug)]
pub(super) struct Encoder {
    service: String,
    /// Which of several processes of the same service.
    instance: String,
}

impl Encoder {
    /// For the spans of a service; `instance` are random bytes.
    pub(super) fn new(service: &str, instance: [u8; 16]) -> Self {
        let instance = uuid::Builder::from_random_bytes(instance).into_uuid();
        Self { service: service.to_owned(), instance: Uuid::to_string(&instance) }
    }

    /// The body of a request.
    ///
    /// # Errors
    /// A bug of ours: nothing of it cannot be written.
    pub(super) fn encode(&self, spans: &[Span]) -> Result<Bytes, serde_json::Error> {
        let resource = Resource {
            attributes: vec![
                text("service.name", &self.service),
                text("service.version", VERSION),
                text("service.instance.id", &self.instance),
            ],
        };
        let scope = Scope { name: "bayeuxd", version: VERSION };
        let spans = spans.iter().map(written).collect();
        let request = Request {
            resource_spans: [ResourceSpans {
                resource,
                scope_spans: [ScopeSpans { scope, spans }],
            }],
        };
        serde_json::to_vec(&request).map(Bytes::from)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Written<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_state: Option<&'a str>,
    /// Of W3C Trace Context, and whether the parent is another program's.
    flags: u32,
    name: &'static str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'static str,
    value: Value<'a>,
}

#[derive(Serialize)]
enum Value<'a> {
    #[serde(rename = "stringValue")]
    Text(Cow<'a, str>),
    #[serde(rename = "intValue")]
    Number(String),
    #[serde(rename = "boolValue")]
    Flag(bool),
}

fn written(span: &Span) -> Written<'_> {
    let mut attributes =
        vec![text("messaging.system", "bayeux"), text("messaging.destination.name", &span.channel)];
    // Channels are many, so they are no part of names.
    let (name, kind, operation, remote) = match span.kind {
        Kind::Publish { via, body_bytes, sessions, queued, untraced } => {
            attributes.extend([
                number("messaging.message.body.size", body_bytes),
                text("bayeux.via", via.as_str()),
                number("bayeux.sessions.reached", sessions),
                number("bayeux.sessions.queued", queued),
            ]);
            if untraced > 0 {
                attributes.push(number("bayeux.sessions.untraced", untraced));
            }
            ("publish", PRODUCER, "send", span.parent.is_some())
        }
        Kind::Deliver { route, sid, acknowledged, waited } => {
            if let Some(transport) = Route::words(route).first() {
                attributes.push(text("bayeux.transport", transport));
            }
            if let Some(sid) = sid {
                let value = Value::Text(sid.to_string().into());
                attributes.push(Attribute { key: "bayeux.session", value });
            }
            let flags = [("bayeux.acknowledged", acknowledged), ("bayeux.waited", waited)];
            let set = flags.into_iter().filter(|(_, set)| *set);
            attributes.extend(set.map(|(key, _)| Attribute { key, value: Value::Flag(true) }));
            ("deliver", CONSUMER, "process", false)
        }
    };
    attributes.extend([
        text("messaging.operation.name", name),
        text("messaging.operation.type", operation),
    ]);
    Written {
        trace_id: format!("{:032x}", span.trace_id),
        span_id: format!("{:016x}", span.id),
        parent_span_id: span.parent.map(|id| format!("{id:016x}")),
        trace_state: span.state.as_deref(),
        flags: SAMPLED | REMOTE_KNOWN | if remote { REMOTE } else { 0 },
        name,
        kind,
        start_time_unix_nano: span.start.to_string(),
        end_time_unix_nano: span.end.to_string(),
        attributes,
    }
}

const fn text<'a>(key: &'static str, value: &'a str) -> Attribute<'a> {
    Attribute { key, value: Value::Text(Cow::Borrowed(value)) }
}

fn number(key: &'static str, value: usize) -> Attribute<'static> {
    Attribute { key, value: Value::Number(value.to_string()) }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
const PRODUCER: u8 = 4;
const CONSUMER: u8 = 5;
const SAMPLED: u32 = 1;
const REMOTE_KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        config::Transport,
        events::{Sid, Via},
    };

    fn encoded(kind: Kind, parent: Option<u64>) -> Value {
        let channel = "/a/\"b\"".into();
        let span = Span {
            trace_id: 0xabc,
            id: 0xd,
            parent,
            state: parent.map(|_| "a=b,c=d".into()),
            start: 1_700_000_000_000_000_001,
            end: 7,
            channel,
            kind,
        };
        let body = Encoder::new("s", [0; 16]).encode(&[span]).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_request_has_the_form_that_collectors_read() {
        let kind =
            Kind::Publish { via: Via::Http, body_bytes: 9, sessions: 12, queued: 3, untraced: 2 };
        let body = encoded(kind, Some(0xe));
        let attribute = |key: &str, value: Value| json!({"key": key, "value": value});
        let resource = &body["resourceSpans"][0]["resource"]["attributes"];
        assert_eq!(resource[0], attribute("service.name", json!({"stringValue": "s"})));
        assert_eq!(resource[2]["value"]["stringValue"], "00000000-0000-4000-8000-000000000000");
        let scope = &body["resourceSpans"][0]["scopeSpans"][0];
        assert_eq!(scope["scope"]["name"], "bayeuxd");
        let expected = json!([{
            "traceId": "00000000000000000000000000000abc",
            "spanId": "000000000000000d",
            "parentSpanId": "000000000000000e",
            "traceState": "a=b,c=d",
            "flags": 0x301,
            "name": "publish",
            "kind": 4,
            "startTimeUnixNano": "1700000000000000001",
            "endTimeUnixNano": "7",
            "attributes": [
                attribute("messaging.system", json!({"stringValue": "bayeux"})),
                attribute("messaging.destination.name", json!({"stringValue": "/a/\"b\""})),
                attribute("messaging.message.body.size", json!({"intValue": "9"})),
                attribute("bayeux.via", json!({"stringValue": "http"})),
                attribute("bayeux.sessions.reached", json!({"intValue": "12"})),
                attribute("bayeux.sessions.queued", json!({"intValue": "3"})),
                attribute("bayeux.sessions.untraced", json!({"intValue": "2"})),
                attribute("messaging.operation.name", json!({"stringValue": "publish"})),
                attribute("messaging.operation.type", json!({"stringValue": "send"})),
            ],
        }]);
        assert_eq!(scope["spans"], expected);
    }

    #[test]
    fn a_delivery_says_to_whom_and_how() {
        let route = Route::By(Transport::LongPolling).index();
        let sid = Some(Sid::from_bytes([0, 1, 2, 3, 4, 5]));
        let body = encoded(Kind::Deliver { route, sid, acknowledged: true, waited: true }, Some(3));
        let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(
            (&span["name"], &span["kind"], &span["flags"]),
            (&json!("deliver"), &json!(5), &json!(0x101))
        );
        let found = |key: &str| {
            let all = span["attributes"].as_array().unwrap();
            all.iter().find(|attribute| attribute["key"] == key).map(|found| &found["value"])
        };
        assert_eq!(found("bayeux.transport"), Some(&json!({"stringValue": "long-polling"})));
        assert_eq!(found("bayeux.session"), Some(&json!({"stringValue": "000102030405"})));
        assert_eq!(found("bayeux.acknowledged"), Some(&json!({"boolValue": true})));
        assert_eq!(found("bayeux.waited"), Some(&json!({"boolValue": true})));
        let body =
            encoded(Kind::Deliver { route, sid: None, acknowledged: false, waited: false }, None);
        let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["attributes"].as_array().unwrap().len(), 5, "{span}");
        assert!(span.get("parentSpanId").is_none() && span.get("traceState").is_none(), "{span}");
    }
}
