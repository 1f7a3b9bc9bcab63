//! One event, one line, in both formats.

use std::{io, sync::Arc};

use parking_lot::Mutex;
use tracing::{info, info_span, warn};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns what is logged while `body` runs.
fn logged(json: bool, body: impl FnOnce()) -> String {
    let sink = Sink::default();
    let copy = sink.clone();
    let lines = Lines::new(json, move || copy.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), body);
    let bytes = sink.0.lock().clone();
    String::from_utf8(bytes).unwrap()
}

/// Everything that ends a line, steers a terminal or hides text.
const HOSTILE: &str = "a\r\nb\u{1b}[31m\u{9b}2J\u{0}\u{7f}\u{85}\u{2028}\u{202e}\"\\\t";

#[test]
fn one_event_is_one_line_whatever_a_client_sends() {
    for json in [true, false] {
        let line = logged(json, || warn!(channel = HOSTILE, error = %HOSTILE, "said {HOSTILE}"));
        let body = line.strip_suffix('\n').expect("a line end");
        let harmful = |c: char| c.is_control() || "\u{2028}\u{202e}".contains(c);
        assert_eq!(body.chars().filter(|c| harmful(*c)).count(), 0, "{body:?}");
    }
}

#[test]
fn json_keeps_the_value() {
    let line = logged(true, || warn!(channel = HOSTILE, "refused"));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["channel"], HOSTILE);
}

#[test]
fn json_has_flat_fields_of_their_types() {
    let line = logged(true, || info!(event = "subscribe", ok = false, took_ms = 3, "denied"));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["level"], "info");
    assert_eq!(value["target"], module_path!());
    assert_eq!(value["event"], "subscribe");
    assert_eq!(value["ok"], false);
    assert_eq!(value["took_ms"], 3);
    assert_eq!(value["message"], "denied");
    assert!(value["ts"].as_str().unwrap().ends_with('Z'), "{line}");
}

#[test]
fn text_quotes_only_what_needs_it() {
    let line = logged(false, || info!(sid = "9c1f02ab77d0", cause = "two words", "ended"));
    let expected = format!(" INFO {} ended sid=9c1f02ab77d0 cause=\"two words\"\n", module_path!());
    assert!(line.ends_with(&expected), "{line}");
}

#[test]
fn spans_give_their_fields_and_the_event_replaces_them() {
    let line = logged(true, || {
        let span = info_span!("connection", conn = 7, ip = "10.0.0.0", sid = "a");
        span.in_scope(|| info!(sid = "b", "hello"));
    });
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((value["conn"].as_i64(), value["sid"].as_str()), (Some(7), Some("b")));
    assert_eq!(line.matches("\"sid\"").count(), 1);
}

#[test]
fn long_values_are_cut() {
    let line = logged(true, || info!(channel = "x".repeat(VALUE_MAX + 1), "long"));
    assert!(line.contains("x…\""), "no cut");
}
