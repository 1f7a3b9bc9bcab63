//! `GET events`: what happens, live, a line an event.
//!
//! A task takes from a [`Tap`], whose ring is bounded and tells what it lost, and waits while the reader
//! does not read. It ends with the broker, or when the key of its reader is taken back.
//! Source: operations.md 6; monitoring.md 4, 5.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{HeaderMap, Response, StatusCode, header::ACCEPT};
use tokio::{select, sync::mpsc, time::sleep};

use super::{
    answer,
    api::Call,
    problem::Problem,
    query::{Query, wrong},
};
use crate::{
    auth::Principal,
    events::{Event, EventType, Filter, Glance, Rights, Tap, Types, What},
    server::{
        app::App,
        body::{self, Body},
    },
};

/// The query parameters.
pub(super) const PARAMETERS: &[&str] =
    &["types", "channel", "sid", "polls", "payloads", "recent", "follow"];

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One JSON object a line.
    Lines,
    /// Server-sent events.
    Stream,
}

/// One reader of the events.
struct Feed {
    app: Arc<App>,
    principal: Principal,
    tap: Tap,
    form: Form,
    chunks: mpsc::Sender<Bytes>,
    /// Events up to this one were sent when the feed began.
    seen: u64,
    /// Silence after which something is sent, so that proxies and readers know the feed is alive.
    heartbeat: Duration,
}

/// Answers `GET events`.
pub(super) fn respond(call: &Call<'_>, headers: &HeaderMap) -> Result<Response<Body>, Problem> {
    let (app, query) = (call.app, &call.query);
    let filter = filter(query, app)?;
    let payloads = query.flag("payloads")?.unwrap_or_default();
    if payloads && !app.config.monitor.payloads {
        return Err(Problem::PayloadsDenied);
    }
    let recent = query.number("recent", 0, RECENT_MAX)?.unwrap_or_default();
    let follow = query.flag("follow")?.unwrap_or(true);
    if follow && app.drain.is_begun() {
        return Err(Problem::Draining);
    }
    let form = if prefers_stream(headers) { Form::Stream } else { Form::Lines };
    let rights = Rights { payload: payloads, ..Rights::all() };
    // Begins to listen before the look back, so that no event falls between.
    let tap = app.broker.events().tap(rights, filter.clone()).map_err(|_| Problem::TooManyFeeds)?;
    let mut begin = Vec::new();
    let mut seen = 0;
    for event in past(app, &filter, recent) {
        seen = event.seq;
        form.write(&tap, &event, &mut begin);
    }
    let kind = form.content_type();
    if !follow {
        return Ok(answer::of_kind(StatusCode::OK, Body::text(begin), kind));
    }
    let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
    let principal = call.principal.clone();
    let feed = Feed {
        app: Arc::clone(app),
        principal,
        tap,
        form,
        chunks: sender,
        seen,
        heartbeat: HEARTBEAT,
    };
    app.tasks.spawn(feed.run(begin.into()));
    let body = body::Feed::new(chunks, app.tasks.token());
    Ok(answer::of_kind(StatusCode::OK, Body::Feed(body), kind))
}

/// Reads what a reader wants to hear of.
fn filter(query: &Query<'_>, app: &App) -> Result<Filter, Problem> {
    let types = match query.text("types") {
        Some(words) => words
            .split(',')
            .map(|word| EventType::parse(word).ok_or_else(unknown_type))
            .collect::<Result<Types, _>>()?,
        None => Types::ALL.without(EventType::Publish),
    };
    Ok(Filter {
        types,
        channel: query.channel("channel", app.live.name)?,
        sid: query.sid("sid")?,
        polls: query.flag("polls")?.unwrap_or_default(),
        ..Filter::default()
    })
}

fn unknown_type() -> Problem {
    let words: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    wrong("types", &format!("some of {}, separated by commas", words.join(",")))
}

/// The newest of the kept events that pass, oldest first.
fn past(app: &App, filter: &Filter, count: usize) -> Vec<Arc<Event>> {
    if count == 0 {
        return Vec::new();
    }
    let mut kept = app.broker.events().recent(filter.sid, usize::MAX);
    kept.retain(|event| {
        let glance = Glance {
            sid: event.sid(),
            channel: event.what.channel(),
            refused: event.error.is_some(),
            ..Glance::of(event.kind())
        };
        filter.passes(&glance, event.seq)
    });
    kept.split_off(kept.len().saturating_sub(count))
}

/// Whether the reader asks for server-sent events rather than lines.
fn prefers_stream(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(ACCEPT).iter();
    accepts.filter_map(|accept| accept.to_str().ok()).any(|accept| accept.contains(EVENT_STREAM))
}

impl Form {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Stream => EVENT_STREAM,
        }
    }

    /// Something that is no event, to be sent when nothing happens.
    const fn heartbeat(self) -> &'static [u8] {
        match self {
            Self::Lines => b"\n",
            Self::Stream => b":\n\n",
        }
    }

    /// The last word to a reader who may read no more.
    const fn revoked(self) -> &'static [u8] {
        match self {
            Self::Lines => b"{\"v\":1,\"type\":\"end\",\"reason\":\"key_revoked\"}\n",
            Self::Stream => {
                b"event: end\ndata: {\"v\":1,\"type\":\"end\",\"reason\":\"key_revoked\"}\n\n"
            }
        }
    }

    fn write(self, tap: &Tap, event: &Event, out: &mut Vec<u8>) {
        if self == Self::Stream {
            let (kind, seq) = (event.kind().as_str(), event.seq);
            out.extend_from_slice(format!("event: {kind}\nid: {seq}\ndata: ").as_bytes());
        }
        tap.write(event, out);
        out.extend_from_slice(if self == Self::Stream { b"\n\n" } else { b"\n" });
    }
}

impl Feed {
    async fn run(self, begin: Bytes) {
        // At once, so that the reader sees that it listens.
        let begin =
            if begin.is_empty() { Bytes::from_static(self.form.heartbeat()) } else { begin };
        if self.send(begin).await.is_err() {
            return;
        }
        let mut drain = pin!(self.app.drain.begins());
        let mut revocation = pin!(self.app.keys.revocation(&self.principal));
        loop {
            let last = select! {
                biased;
                () = self.chunks.closed() => return,
                () = revocation.as_mut() => {
                    let _ = self.send(Bytes::from_static(self.form.revoked())).await;
                    return;
                }
                () = drain.as_mut() => true,
                () = self.tap.ready() => false,
                () = sleep(self.heartbeat) => {
                    if self.send(Bytes::from_static(self.form.heartbeat())).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            let sent = self.send(self.take(if last { usize::MAX } else { EVENTS_AT_ONCE })).await;
            if last || sent.is_err() {
                return;
            }
        }
    }

    /// What waits, as text.
    fn take(&self, count_max: usize) -> Bytes {
        let mut text = Vec::new();
        for event in self.tap.take(count_max) {
            let told = matches!(event.what, What::Merged { .. } | What::Lost { .. });
            if told || event.seq > self.seen {
                self.form.write(&self.tap, &event, &mut text);
            }
        }
        text.into()
    }

    /// Waits while the reader does not read, but not beyond the end of the broker.
    async fn send(&self, chunk: Bytes) -> Result<(), Ended> {
        if chunk.is_empty() {
            return Ok(());
        }
        select! {
            sent = self.chunks.send(chunk) => sent.map_err(|_| Ended),
            () = self.app.drain.ended() => Err(Ended),
        }
    }
}

/// Nobody reads any more.
struct Ended;

const EVENT_STREAM: &str = "text/event-stream";
/// Half of the usual patience of proxies, 30 s at the least.
const HEARTBEAT: Duration = Duration::from_secs(15);
const RECENT_MAX: usize = 1_000;
/// Chunks that wait for a reader that is behind; what waits longer stays in the ring of the tap.
const CHUNKS_MAX: usize = 2;
const EVENTS_AT_ONCE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::Role,
        broker::Broker,
        config::Config,
        events::{Glance, NodeEvent, Subject},
        server::clock,
    };

    #[tokio::test]
    async fn a_silent_feed_shows_again_and_again_that_it_is_alive() {
        for (form, sign) in [(Form::Lines, "\n"), (Form::Stream, ":\n\n")] {
            let config = Config::default();
            let broker = Broker::new(&config, clock::now());
            let app = Arc::new(App::new(config, broker, true).unwrap());
            let tap = app.broker.events().tap(Rights::all(), Filter::default()).unwrap();
            let principal = Principal::new("root", Role::Admin, Vec::new());
            let (sender, mut chunks) = mpsc::channel(CHUNKS_MAX);
            let heartbeat = Duration::from_millis(1);
            let feed = Feed {
                app: Arc::clone(&app),
                principal,
                tap,
                form,
                chunks: sender,
                seen: 0,
                heartbeat,
            };
            let running = tokio::spawn(feed.run(Bytes::new()));
            for _ in 0..3 {
                assert_eq!(chunks.recv().await.unwrap(), sign, "{form:?}");
            }
            let event = || (Subject::default(), What::Node { event: NodeEvent::Start });
            app.broker.events().emit(&Glance::of(EventType::Node), event);
            app.broker.pulse(clock::now());
            while chunks.recv().await.unwrap() == sign {}
            drop(chunks);
            running.await.unwrap();
        }
    }
}
