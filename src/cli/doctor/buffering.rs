//! Whether bytes of a response arrive as they are written.
//!
//! Only streams need that. Where the server offers none, a message into a held poll is timed instead.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::{Method, Response, body::Incoming, header::COOKIE};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::{
    finding::Finding,
    fix::{self, Software},
    site::{Session, Site},
};

const CHECK: &str = "buffering";

/// Publishes to a session that waits, and times the arrival.
pub(super) async fn check(site: &Site, offered: &Session, software: Software) -> Finding {
    let stream = STREAMS.into_iter().find(|name| offered.offers(name));
    match Box::pin(examine(site, stream, software)).await {
        Ok(finding) => finding,
        Err(text) => Finding::skip(CHECK, text),
    }
}

/// # Errors
///
/// Why it cannot be examined here.
async fn examine(site: &Site, stream: Option<&str>, software: Software) -> Result<Finding, String> {
    let subscriber = site.session(&[stream.unwrap_or("long-polling"), "long-polling"]).await?;
    let publisher = site.session(&["long-polling"]).await?;
    // Names that nobody else uses: the server made them for these two.
    let channel: String = publisher.id.chars().filter(char::is_ascii_alphanumeric).collect();
    let channel = format!("/doctor/{channel}");
    let subscribe = json!([{
        "channel": "/meta/subscribe", "clientId": subscriber.id, "subscription": channel, "id": "s",
    }]);
    let answer = site.post(&subscribe, &subscriber.cookies).await.map_err(|e| e.to_string())?;
    if !answer.succeeds("/meta/subscribe") {
        return Err(format!("a subscription to {channel} is {}", answer.summary()));
    }
    let publish = async {
        // Behind the request that waits: a message that is there before is no test of anything.
        sleep(LEAD).await;
        let message = json!([{
            "channel": channel, "clientId": publisher.id, "data": { "doctor": MARK }, "id": "p",
        }]);
        let start = Instant::now();
        let answer = site.post(&message, &publisher.cookies).await.map_err(|e| e.to_string())?;
        if !answer.succeeds(&channel) {
            return Err(format!("a publish to {channel} is {}", answer.summary()));
        }
        Ok(start)
    };
    let arrived = async {
        let seen = match stream {
            Some(form) => streamed(site, &subscriber, form).await,
            None => polled(site, &subscriber).await,
        };
        seen.map(|()| Instant::now())
    };
    let (start, arrived) = tokio::join!(publish, timeout(ARRIVAL_TIME, arrived));
    let start = start?;
    site.leave(&subscriber).await;
    site.leave(&publisher).await;
    let what = stream.map_or_else(|| "a held poll".to_owned(), |form| format!("a stream ({form})"));
    let failed = |text| Ok(Finding::fail(CHECK, text, &fix::BUFFERING, software));
    match arrived {
        Ok(Ok(end)) => {
            let took = end.saturating_duration_since(start).as_millis();
            let note = if stream.is_some() { "" } else { "; the server offers no streams" };
            Ok(Finding::pass(CHECK, format!("a message arrives in {what} in {took} ms{note}")))
        }
        Ok(Err(text)) => failed(format!("{what}: {text}")),
        Err(_) => {
            failed(format!("a message has not arrived in {what} within 5 s: it is collected"))
        }
    }
}

/// Reads a stream until the message comes.
async fn streamed(site: &Site, session: &Session, form: &str) -> Result<(), String> {
    let mut target = format!("{}/{}", site.path, session.id);
    if form == "iframe" {
        target += "?callback=doctor";
    }
    let accept = if form == "eventsource" { "text/event-stream" } else { "*/*" };
    let mut headers = vec![("accept", accept)];
    if !session.cookies.is_empty() {
        headers.push((COOKIE.as_str(), session.cookies.as_str()));
    }
    let headers = site.with_origin(&headers);
    let response = site.remote.send(Method::GET, &target, String::new(), &headers).await;
    let response = response.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("answered with {}", response.status().as_u16()));
    }
    find_mark(response).await
}

async fn find_mark(response: Response<Incoming>) -> Result<(), String> {
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("broke off: {error}"))?;
        text.extend(frame.into_data().unwrap_or_default());
        if memchr::memmem::find(&text, MARK.as_bytes()).is_some() {
            return Ok(());
        }
        if text.len() > STREAM_BYTES_MAX {
            return Err("it sends other things".to_owned());
        }
    }
    Err("it ends before the message".to_owned())
}

/// Polls until the message comes.
async fn polled(site: &Site, session: &Session) -> Result<(), String> {
    // CometD answers the first connect at once.
    for at_once in [true, false] {
        let connect = session.connect("long-polling", at_once);
        let answer = site.post(&connect, &session.cookies).await.map_err(|e| e.to_string())?;
        if memchr::memmem::find(&answer.body, MARK.as_bytes()).is_some() {
            return Ok(());
        }
        if !answer.succeeds("/meta/connect") {
            return Err(answer.summary());
        }
    }
    Err("the poll was answered without the message".to_owned())
}

/// Forms of streams, the simplest first.
const STREAMS: [&str; 3] = ["streaming", "eventsource", "iframe"];
const MARK: &str = "bayeuxd-doctor-was-here";
/// From the beginning of the request that waits until the publish.
const LEAD: Duration = Duration::from_millis(500);
const ARRIVAL_TIME: Duration = Duration::from_millis(5_500);
const STREAM_BYTES_MAX: usize = 64 << 10;
