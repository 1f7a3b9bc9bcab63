//! The collector of OpenTelemetry, played by the test: it takes OTLP as JSON, as strictly as real ones.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use bayeuxd::config::Config;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{
    back_end::BackEnd,
    deadline::{QUIET, until},
};

/// A collector that takes everything.
#[derive(Debug)]
pub struct Collector {
    /// Where it listens.
    pub address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
    serving: JoinHandle<()>,
}

/// What it has got so far.
#[derive(Debug, Default)]
struct Taken {
    /// Heads and bodies as they came.
    text: String,
    requests: usize,
    spans: Vec<Span>,
}

/// A span of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// `publish` or `deliver`.
    pub name: String,
    /// 32 hex digits.
    pub trace: String,
    /// 16 hex digits.
    pub id: String,
    /// 16 hex digits, if it is part of another span.
    pub parent: Option<String>,
    /// What goes along with the trace.
    pub state: Option<String>,
    /// 4: producer; 5: consumer.
    pub kind: u64,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// The same.
    pub end: u64,
    /// Flags of the trace, and whether the parent is remote.
    pub flags: u64,
    /// Values of any type, as text.
    pub attributes: BTreeMap<String, String>,
}

impl Collector {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let mut back_end = BackEnd::start().await;
        let (address, taken) = (back_end.address, Arc::<Mutex<Taken>>::default());
        let taking = Arc::clone(&taken);
        let serving = tokio::spawn(async move {
            while let Some(call) = back_end.next().await {
                assert!(call.head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{}", call.head);
                let kind = "content-type: application/json";
                assert!(call.head.to_ascii_lowercase().contains(kind), "{}", call.head);
                let spans = spans(&call.body);
                let mut taken = taking.lock();
                taken.text += &format!("{}\n{}\n", call.head, call.body);
                taken.requests += 1;
                taken.spans.extend(spans);
                drop(taken);
                call.answer(200, "{}");
            }
        });
        Self { address, taken, serving }
    }

    /// Waits until it has at least `count` spans; all that it has, in the order of their beginnings.
    ///
    /// # Panics
    /// If they do not come, or one broke the form.
    pub async fn spans(&self, count: usize) -> Vec<Span> {
        until("spans", || self.count() >= count || self.serving.is_finished()).await;
        self.all()
    }

    /// Asserts that no more than `count` spans come, and returns them.
    pub async fn exactly(&self, count: usize) -> Vec<Span> {
        self.spans(count).await;
        tokio::time::sleep(QUIET).await;
        let spans = self.all();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }

    /// All that it has now.
    pub fn all(&self) -> Vec<Span> {
        assert!(!self.serving.is_finished(), "a request broke the form");
        let mut spans = self.taken.lock().spans.clone();
        spans.sort_by_key(|span| span.start);
        spans
    }

    /// Spans that it has.
    pub fn count(&self) -> usize {
        self.taken.lock().spans.len()
    }

    /// Requests that brought them.
    pub fn requests(&self) -> usize {
        self.taken.lock().requests
    }

    /// Everything that came, heads too.
    pub fn text(&self) -> String {
        self.taken.lock().text.clone()
    }

    /// Has a broker trace every message and send soon.
    pub fn settings(&self, config: &mut Config) {
        settings(self.address, config);
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Span {
    /// The value of an attribute.
    ///
    /// # Panics
    /// If there is none.
    pub fn value(&self, key: &str) -> &str {
        self.attributes.get(key).unwrap_or_else(|| panic!("no {key} in {self:#?}"))
    }

    /// Whether it is part of `other`.
    pub fn is_child_of(&self, other: &Self) -> bool {
        self.trace == other.trace && self.parent.as_ref() == Some(&other.id)
    }
}

/// Has a broker trace every message, and send soon to whoever listens at `address`.
pub fn settings(address: SocketAddr, config: &mut Config) {
    config.otel.endpoint = format!("http://{address}");
    config.otel.sample_ratio = 1.0;
    config.otel.interval = std::time::Duration::from_millis(20);
}

/// A `traceparent` header, and the ids in it.
pub fn traceparent(number: u8, flags: &str) -> (String, String, String) {
    let (trace, span) = (format!("{number:032x}"), format!("ab{number:014x}"));
    (format!("00-{trace}-{span}-{flags}"), trace, span)
}

/// The spans of an OTLP request.
///
/// # Panics
/// If it has not the form of one.
pub fn spans(body: &Value) -> Vec<Span> {
    let mut found = Vec::new();
    for resource in list(&body["resourceSpans"]) {
        let attributes = attributes(&resource["resource"]);
        for key in ["service.name", "service.version", "service.instance.id"] {
            assert!(attributes.contains_key(key), "{attributes:?}");
        }
        for scope in list(&resource["scopeSpans"]) {
            assert_eq!(scope["scope"]["name"], "bayeuxd");
            found.extend(list(&scope["spans"]).iter().map(span));
        }
    }
    assert!(!found.is_empty(), "a request brings something: {body}");
    found
}

fn span(value: &Value) -> Span {
    let known = [
        "traceId",
        "spanId",
        "parentSpanId",
        "traceState",
        "flags",
        "name",
        "kind",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "attributes",
    ];
    let fields = value.as_object().expect("a span");
    fields.keys().for_each(|key| assert!(known.contains(&key.as_str()), "{key}"));
    let parent = fields.get("parentSpanId").map(|id| hex(id, 16));
    let found = Span {
        name: text(&value["name"]),
        trace: hex(&value["traceId"], 32),
        id: hex(&value["spanId"], 16),
        parent,
        state: fields.get("traceState").map(text),
        kind: value["kind"].as_u64().expect("enums are numbers"),
        start: text(&value["startTimeUnixNano"]).parse().expect("64-bit numbers are texts"),
        end: text(&value["endTimeUnixNano"]).parse().expect("64-bit numbers are texts"),
        flags: value["flags"].as_u64().expect("a 32-bit number"),
        attributes: attributes(value),
    };
    assert!(found.start <= found.end, "{found:#?}");
    found
}

fn attributes(of: &Value) -> BTreeMap<String, String> {
    let all = list(&of["attributes"]).iter();
    let read = all.map(|pair| {
        let value = pair["value"].as_object().expect("a value");
        assert_eq!(value.len(), 1, "{pair}");
        let (kind, value) = value.iter().next().expect("one field");
        let value = match (kind.as_str(), value) {
            ("stringValue" | "intValue", Value::String(text)) => text.clone(),
            ("boolValue", Value::Bool(flag)) => flag.to_string(),
            _ => panic!("{pair}"),
        };
        (text(&pair["key"]), value)
    });
    let found: BTreeMap<_, _> = read.collect();
    assert_eq!(found.len(), list(&of["attributes"]).len(), "no key comes twice: {of}");
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn hex(value: &Value, digits: usize) -> String {
    let id = text(value);
    let lower = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    assert!(id.len() == digits && id.chars().all(lower), "{id}");
    assert!(id.chars().any(|c| c != '0'), "an id is not 0");
    id
}
