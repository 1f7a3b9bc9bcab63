//! `GET sessions` and `GET sessions/SID`.
//!
//! In the order of names a page costs as much as it has entries. Every other order, and every filter,
//! looks at all sessions, in pieces that hold no lock. Source: operations.md 6.

use std::{collections::HashMap, sync::Arc, time::Instant};

use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::sleep;

use super::{
    answer::{self, List},
    api::Call,
    page::{Chosen, Page, cursor, descending, place},
    problem::Problem,
    query::{Query, wrong},
    state::{Counts, RATE_TIME, Rates, look},
};
use crate::{
    bayeux::ChannelName,
    broker::{Overview, Session},
    config::Transport,
    events::{Page as WebPage, Peer, Sid},
    server::{app::App, body::Body, clock},
};

/// The query parameters of the list.
pub(super) const PARAMETERS: &[&str] =
    &["channel", "transport", "search", "connected", "sort", "limit", "cursor", "rates"];

/// What a list asks for.
struct Wanted {
    channel: Option<ChannelName>,
    transport: Option<Transport>,
    /// In lower case.
    search: Option<String>,
    connected: Option<bool>,
    sort: Sort,
    limit: usize,
    after: Option<(u64, Sid)>,
    rates: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Sid,
    Queue,
    Age,
    Rate,
}

/// A session, and the numbers of one look at it.
struct Found {
    session: Arc<Session>,
    overview: Overview,
    rates: Option<Rates>,
}

/// What all sessions had sent and got at one time.
struct Before {
    at: Instant,
    counts: HashMap<Sid, Counts>,
}

/// Answers `GET sessions`.
pub(super) async fn list(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let wanted = Arc::new(Wanted::read(&call.query, call.app)?);
    let before = if wanted.sort == Sort::Rate {
        let wanted = Arc::clone(&wanted);
        let before = look(call.app, move |app| before(app, &wanted)).await?;
        sleep(RATE_TIME).await;
        Some(before)
    } else {
        None
    };
    let asked = Arc::clone(&wanted);
    let Chosen { entries: mut found, next } =
        look(call.app, move |app| page(app, &asked, before.as_ref())).await?;
    if wanted.rates && wanted.sort != Sort::Rate {
        measure(call.app, &mut found).await;
    }
    let items = found.iter().map(|(sid, found)| Shown::new(*sid, found)).collect();
    let next = next.map(|(rank, sid)| cursor(rank, &sid.to_string(), wanted.sort != Sort::Sid));
    Ok(answer::json(StatusCode::OK, &List { items, next }))
}

/// Answers `GET sessions/SID`.
pub(super) async fn one(call: &Call<'_>, sid: &str) -> Result<Response<Body>, Problem> {
    let app = call.app;
    let rates = call.query.flag("rates")?.unwrap_or_default();
    let (sid, session) = find(app, sid)?;
    let overview = app.broker.overview(&session, clock::now());
    let mut found = vec![(sid, Found { session, overview, rates: None })];
    if rates {
        measure(app, &mut found).await;
    }
    let Some((sid, found)) = found.first() else { return Err(Problem::SessionUnknown) };
    let session = &found.session;
    let (messages, bytes) = session.queue_max();
    let detail = Detail {
        summary: Shown::new(*sid, found),
        channels: session.subscribed().iter().map(|name| name.as_ref().into()).collect(),
        extensions: if session.acknowledges() { vec!["ack"] } else { Vec::new() },
        deliver_only: session.is_deliver_only(),
        queue_limit: Queue { messages, bytes },
        events: events(app, *sid),
    };
    Ok(answer::json(StatusCode::OK, &detail))
}

/// Finds the session that a path names.
pub(super) fn find(app: &App, sid: &str) -> Result<(Sid, Arc<Session>), Problem> {
    let sid = Sid::parse(sid).ok_or(Problem::SessionUnknown)?;
    let session = app.broker.session_called(sid).ok_or(Problem::SessionUnknown)?;
    Ok((sid, session))
}

impl Wanted {
    fn read(query: &Query<'_>, app: &App) -> Result<Self, Problem> {
        let transports = Transport::ALL.map(|transport| (transport.name(), transport));
        let sorts =
            [("sid", Sort::Sid), ("queue", Sort::Queue), ("age", Sort::Age), ("rate", Sort::Rate)];
        let sort = query.choice("sort", &sorts)?.unwrap_or(Sort::Sid);
        let cursor = query.text("cursor").map(|text| {
            place(text, sort != Sort::Sid)
                .and_then(|(rank, sid)| Some((rank, Sid::parse(sid)?)))
                .ok_or_else(|| wrong("cursor", "the `next` of the page before"))
        });
        Ok(Self {
            channel: query.channel("channel", app.live.name)?,
            transport: query.choice("transport", &transports)?,
            search: query.text("search").map(str::to_lowercase),
            connected: query.flag("connected")?,
            sort,
            limit: query.limit()?,
            after: cursor.transpose()?,
            rates: query.flag("rates")?.unwrap_or_default(),
        })
    }

    /// Whether a session is one of those asked for; what needs an overview is asked later.
    fn admits(&self, sid: Sid, session: &Session) -> bool {
        self.transport.is_none_or(|transport| session.transport() == Some(transport))
            && self.channel.as_ref().is_none_or(|channel| session.concerns(channel))
            && self.search.as_ref().is_none_or(|part| matches(sid, session, part))
    }

    /// The place of a session in the order; lower ranks come first.
    fn rank(&self, found: &Found) -> u64 {
        match self.sort {
            Sort::Sid => 0,
            Sort::Queue => descending(found.overview.queue_bytes as u64),
            // Not the age, which is another one when the next page is asked for.
            Sort::Age => found.overview.created,
            Sort::Rate => {
                let rates = found.rates.map_or(0.0, |rates| rates.published + rates.delivered);
                descending((rates * 10.0) as u64)
            }
        }
    }
}

/// Whether something by which people know a session has `part` in it.
fn matches(sid: Sid, session: &Session, part: &str) -> bool {
    let within = |text: &str| text.to_lowercase().contains(part);
    let peer = session.peer();
    let texts = peer.into_iter().flat_map(|peer| {
        [
            peer.ip.as_deref(),
            page_of(peer).and_then(|page| page.origin.as_deref()),
            page_of(peer).and_then(|page| page.agent.as_deref()),
        ]
        .into_iter()
        .flatten()
    });
    within(&sid.to_string()) || texts.into_iter().any(within)
}

fn page_of(peer: &Peer) -> Option<&WebPage> {
    peer.page.as_deref()
}

/// Visits sessions in the order of names until `visit` has seen enough.
fn each_after(app: &App, mut after: Option<Sid>, mut visit: impl FnMut(Sid, Arc<Session>) -> bool) {
    loop {
        let chunk = app.broker.sessions_after(after, CHUNK);
        let Some((last, _)) = chunk.last() else { return };
        after = Some(*last);
        for (sid, session) in chunk {
            if !visit(sid, session) {
                return;
            }
        }
    }
}

fn before(app: &App, wanted: &Wanted) -> Before {
    let mut counts = HashMap::new();
    each_after(app, None, |sid, session| {
        if wanted.admits(sid, &session) {
            counts.insert(sid, counts_of(&app.broker.overview(&session, clock::now())));
        }
        true
    });
    Before { at: clock::now(), counts }
}

/// Chooses the entries of a page.
fn page(app: &App, wanted: &Wanted, before: Option<&Before>) -> Chosen<Sid, Found> {
    let mut page = Page::new(wanted.after, wanted.limit);
    let in_order = wanted.sort == Sort::Sid;
    let from = wanted.after.filter(|_| in_order).map(|(_, sid)| sid);
    let now = clock::now();
    each_after(app, from, |sid, session| {
        if wanted.admits(sid, &session) {
            let overview = app.broker.overview(&session, now);
            if wanted.connected.is_none_or(|connected| overview.connected == connected) {
                let rates = before.map(|before| before.rates(sid, &overview, now));
                let found = Found { session, overview, rates };
                page.offer(wanted.rank(&found), sid, found);
            }
        }
        !(in_order && page.is_full())
    });
    page.finish()
}

impl Before {
    /// A session that came since has no rate yet.
    fn rates(&self, sid: Sid, overview: &Overview, now: Instant) -> Rates {
        let after = counts_of(overview);
        let before = self.counts.get(&sid).copied().unwrap_or(after);
        before.rates(after, now.saturating_duration_since(self.at))
    }
}

/// Looks at sessions once more, a second later, for their rates.
async fn measure(app: &App, all: &mut [(Sid, Found)]) {
    let before = clock::now();
    sleep(RATE_TIME).await;
    let now = clock::now();
    for (_, found) in all {
        let overview = app.broker.overview(&found.session, now);
        let elapsed = now.saturating_duration_since(before);
        found.rates = Some(counts_of(&found.overview).rates(counts_of(&overview), elapsed));
        found.overview = overview;
    }
}

const fn counts_of(overview: &Overview) -> Counts {
    Counts { published: overview.received, delivered: overview.delivered }
}

/// The last events of a session, as JSON objects.
fn events(app: &App, sid: Sid) -> Vec<Box<RawValue>> {
    let recent = app.broker.events().recent(Some(sid), EVENTS_MAX);
    let texts = recent.iter().filter_map(|event| {
        let mut text = Vec::new();
        event.write(false, &mut text);
        String::from_utf8(text).ok()
    });
    texts.filter_map(|text| RawValue::from_string(text).ok()).collect()
}

/// A session in a list.
#[derive(Serialize)]
struct Shown {
    sid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<&'static str>,
    connected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    age_s: u64,
    idle_s: u64,
    subscriptions: usize,
    queue: Queue,
    unacked: usize,
    received: u64,
    delivered: u64,
    dropped: u64,
    monitor: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_per_s: Option<f64>,
}

#[derive(Serialize)]
struct Queue {
    messages: usize,
    bytes: usize,
}

/// A session by itself.
#[derive(Serialize)]
struct Detail {
    #[serde(flatten)]
    summary: Shown,
    channels: Vec<String>,
    extensions: Vec<&'static str>,
    deliver_only: bool,
    queue_limit: Queue,
    events: Vec<Box<RawValue>>,
}

impl Shown {
    fn new(sid: Sid, found: &Found) -> Self {
        let Found { session, overview, rates } = found;
        let peer = session.peer();
        Self {
            sid: sid.to_string(),
            transport: session.transport().map(Transport::name),
            connected: overview.connected,
            expires_s: overview.expires.map(|expires| expires.as_secs()),
            ip: peer.and_then(|peer| peer.ip.as_deref()).map(str::to_owned),
            origin: peer
                .and_then(|peer| page_of(peer).and_then(|page| page.origin.as_deref()))
                .map(str::to_owned),
            client: peer
                .and_then(|peer| page_of(peer).and_then(|page| page.agent.as_deref()))
                .map(str::to_owned),
            age_s: overview.age.as_secs(),
            idle_s: overview.idle.as_secs(),
            subscriptions: overview.subscriptions,
            queue: Queue { messages: overview.queue_messages, bytes: overview.queue_bytes },
            unacked: overview.unacknowledged,
            received: overview.received,
            delivered: overview.delivered,
            dropped: overview.dropped,
            monitor: session.is_monitor(),
            in_per_s: rates.map(|rates| rates.published),
            out_per_s: rates.map(|rates| rates.delivered),
        }
    }
}

/// Events that the detail of a session shows (operations.md 6).
const EVENTS_MAX: usize = 50;
/// Sessions taken from the index at a time, which bounds how long its lock is held.
const CHUNK: usize = 1_000;
