//! `bayeuxd tail` and `bayeuxd trace`: what happens in a broker, as it happens.

use std::{collections::BTreeMap, time::Duration};

use clap::Args;
use http_body_util::BodyExt as _;
use hyper::{Method, StatusCode};
use serde_json::{Value, value::RawValue};
use tokio::time::timeout;

use super::{
    Failure, complain,
    remote::{AdminServer, Remote, clean, colour, encode, harmless, wait},
    span, try_print,
};

/// Arguments of `tail`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only these types, like handshake,disconnect. Default: all but publish.
    #[arg(long, value_delimiter = ',', value_name = "TYPE")]
    types: Vec<String>,
    /// Only events about channels within this pattern.
    #[arg(long, value_name = "PATTERN")]
    channel: Option<String>,
    /// Only events of this session.
    #[arg(long, value_name = "SID")]
    sid: Option<String>,
    /// Show what is published too; needs monitor.payloads.
    #[arg(long)]
    payloads: bool,
    #[command(flatten)]
    server: AdminServer,
    /// Print events as they are, one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub(super) struct Trace {
    /// The session's name in lists and logs: 12 hex digits.
    sid: String,
    /// How long to look.
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = span::parse)]
    time: Duration,
    #[command(flatten)]
    server: AdminServer,
    /// Print events as they are, one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Shows events until the broker stops.
///
/// # Errors
///
/// Whatever the broker refuses, or a feed that breaks off.
pub(super) fn tail(options: &Options) -> Result<(), Failure> {
    let mut query = String::from("recent=0");
    if !options.types.is_empty() {
        query += &format!("&types={}", encode(&options.types.join(",")));
    }
    for (name, value) in [("channel", &options.channel), ("sid", &options.sid)] {
        if let Some(value) = value {
            query += &format!("&{name}={}", encode(value));
        }
    }
    if options.payloads {
        query += "&payloads=true";
    }
    let remote = options.server.remote()?;
    wait(follow(&remote, &query, options.json)).map(|_| ())
}

/// Shows what a session did lately and what it does now, polls and holds that end included. Of one that has ended only the
/// former is shown.
///
/// # Errors
///
/// See [`tail`]; nothing is known of such a session.
pub(super) fn trace(options: &Trace) -> Result<(), Failure> {
    let sid = encode(&options.sid);
    let query = format!("sid={sid}&recent=50&polls=true");
    let remote = options.server.remote()?;
    wait(async {
        let target = format!("/admin/v1/sessions/{sid}");
        let response = remote.send(Method::GET, &target, String::new(), &[]).await?;
        if response.status() == StatusCode::NOT_FOUND {
            let query = format!("{query}&follow=false");
            if follow(&remote, &query, options.json).await? == 0 {
                return Err(Failure::Failed("no session of this name is known".to_owned()));
            }
            complain("the session has ended; these are the last events that are kept of it");
            return Ok(());
        }
        if !response.status().is_success() {
            return Err(remote.refusal(response).await);
        }
        // Time that is up is the end that was asked for.
        let followed = timeout(options.time, follow(&remote, &query, options.json)).await;
        followed.map_or(Ok(()), |ended| ended.map(|_| ()))
    })
}

/// Shows events until the feed ends; returns how many there were.
async fn follow(remote: &Remote, query: &str, json: bool) -> Result<u64, Failure> {
    let target = format!("/admin/v1/events?{query}");
    let response = remote.send(Method::GET, &target, String::new(), &[]).await?;
    if !response.status().is_success() {
        return Err(remote.refusal(response).await);
    }
    let mut body = response.into_body();
    let mut shown = 0;
    let mut pending = Vec::new();
    // Every 15 s there is at least an empty line.
    while let Some(frame) = timeout(SILENCE_MAX, body.frame())
        .await
        .map_err(|_| Failure::Unreachable("the broker has fallen silent".to_owned()))?
    {
        let frame =
            frame.map_err(|error| Failure::Failed(format!("the feed broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        pending.extend_from_slice(&data);
        while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
            let rest = pending.split_off(end + 1);
            let text = std::mem::replace(&mut pending, rest);
            shown += u64::from(!text.trim_ascii().is_empty());
            if !show(&text, json) {
                return Ok(shown);
            }
            if is_revocation(&text) {
                return Err(Failure::Denied("the key is no longer known to the broker".to_owned()));
            }
        }
        if pending.len() > LINE_BYTES_MAX {
            return Err(Failure::Failed("the feed has a line without end".to_owned()));
        }
    }
    Ok(shown)
}

/// Whether the broker says that it ends the feed because the key was taken back.
fn is_revocation(text: &[u8]) -> bool {
    let event: Value = serde_json::from_slice(text).unwrap_or_default();
    let said = |field: &str| event.get(field).and_then(Value::as_str);
    said("type") == Some("end") && said("reason") == Some("key_revoked")
}

/// Prints an event; `false`: nobody reads it any more.
fn show(text: &[u8], json: bool) -> bool {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    if text.is_empty() {
        return true;
    }
    let line = if !json {
        line(text)
    } else if serde_json::from_str::<&RawValue>(text).is_ok() {
        harmless(text)
    } else {
        clean(text)
    };
    try_print(format_args!("{line}\n"))
}

/// One event as a line for people: time, type, outcome, then what is worth most. What is no event
/// stays as it is.
pub(super) fn line(event: &str) -> String {
    // Values stay text: those of payloads are of clients.
    let Ok(event) = serde_json::from_str::<BTreeMap<String, &RawValue>>(event) else {
        return clean(event);
    };
    let text = |field: &str| event.get(field).and_then(|value| string(value)).unwrap_or_default();
    let (time, kind) = (text("ts"), text("type"));
    let time = time.get(11..23).unwrap_or_default();
    let outcome = match event.get("ok").map(|value| value.get()) {
        Some("true") => "ok",
        Some("false") => "REFUSED",
        _ => "",
    };
    let (kind, outcome) = (clean(&kind), paint(outcome));
    let mut line = format!("{time} {kind:<11} {outcome:<3}");
    let first = FIRST.iter().filter_map(|&name| Some((name, event.get(name)?)));
    let rest = event
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .filter(|(name, _)| !FIRST.contains(name) && !SHOWN.contains(name));
    for (name, value) in first.chain(rest) {
        let value = match string(value) {
            Some(text) if text.contains(' ') => format!("{text:?}"),
            Some(text) => clean(&text),
            None => harmless(value.get()),
        };
        line += &format!(" {}={value}", clean(name));
    }
    line
}

/// The text that a value is, if it is one.
fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn paint(outcome: &str) -> String {
    match (outcome, colour()) {
        ("REFUSED", true) => format!("\u{1b}[31m{outcome}\u{1b}[0m"),
        _ => outcome.to_owned(),
    }
}

/// Fields in the order in which people look for them.
const FIRST: [&str; 6] = ["sid", "transport", "channel", "cause", "kind", "error"];
/// Fields that the line says in its own way, or that are of no use there.
const SHOWN: [&str; 5] = ["v", "type", "ts", "ok", "seq"];
/// Time without a byte after which the broker counts as gone.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Longest event; payloads have the size of a message at most.
const LINE_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_harmless_line() {
        let event = r#"{"v":1,"type":"subscribe","seq":7,"ts":"2026-01-05T10:00:00.123Z","sid":"9c1f02ab77d0",
                "ok":false,"error":"403:x:subscribe_denied","channel":"/a\u001b[2J","total":4,"ua":"A B",
                "data":{"b":1.10,"a":12345678901234567890}}"#;
        assert_eq!(
            line(event),
            "10:00:00.123 subscribe   REFUSED sid=9c1f02ab77d0 channel=/a\u{fffd}[2J \
             error=403:x:subscribe_denied data={\"b\":1.10,\"a\":12345678901234567890} total=4 ua=\"A B\""
        );
        assert_eq!(line("no\tevent"), "no\u{fffd}event");
    }

    #[test]
    fn only_the_word_of_a_revocation_is_one() {
        assert!(is_revocation(b"{\"v\":1,\"type\":\"end\",\"reason\":\"key_revoked\"}\n"));
        for other in
            ["\n", "{", "{\"type\":\"end\"}", "{\"type\":\"auth\",\"reason\":\"key_revoked\"}"]
        {
            assert!(!is_revocation(other.as_bytes()), "{other}");
        }
    }
}
