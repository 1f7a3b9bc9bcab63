//! `GET channels` and `GET channels/NAME`.
//!
//! A list looks at every channel once; no more than a page is kept. Source: operations.md 6.

use std::{collections::HashMap, sync::Arc, time::Instant};

use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::time::sleep;

use super::{
    answer::{self, List},
    api::Call,
    page::{Chosen, Page, cursor, descending, place},
    problem::Problem,
    query::{Query, wrong},
    state::{Counts, RATE_TIME, look},
};
use crate::{
    bayeux::ChannelName,
    broker::ChannelOverview,
    server::{app::App, body::Body, clock, publish},
};

/// The query parameters of the list.
pub(super) const PARAMETERS: &[&str] = &["pattern", "sort", "limit", "cursor", "rates"];

/// What a list asks for.
struct Wanted {
    pattern: Option<ChannelName>,
    sort: Sort,
    limit: usize,
    after: Option<(u64, Arc<str>)>,
    rates: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Channel,
    Subscribers,
    Rate,
}

/// A channel, and messages per second.
struct Found {
    overview: ChannelOverview,
    rate: Option<f64>,
}

/// What had been published to all channels at one time.
struct Before {
    at: Instant,
    counts: HashMap<Arc<str>, u64>,
}

/// Answers `GET channels`.
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
        measure(call.app, found.iter_mut().map(|(_, found)| found)).await;
    }
    let items = found.iter().map(|(_, found)| Shown::new(found)).collect();
    let next = next.map(|(rank, name)| cursor(rank, &name, wanted.sort != Sort::Channel));
    Ok(answer::json(StatusCode::OK, &List { items, next }))
}

/// Answers `GET channels/NAME`; `path` is the name with its segments percent-encoded.
pub(super) async fn one(call: &Call<'_>, path: &str) -> Result<Response<Body>, Problem> {
    let app = call.app;
    let rates = call.query.flag("rates")?.unwrap_or_default();
    let name = publish::decode_channel(path)
        .ok()
        .and_then(|text| ChannelName::parse(&text, app.live.name).ok())
        .ok_or(Problem::ChannelUnknown)?;
    let asked = name.clone();
    let (overview, (patterns, receivers)) = look(app, move |app| {
        let all =
            if asked.is_pattern() { Default::default() } else { app.broker.receivers(&asked) };
        (app.broker.channel(&asked), all)
    })
    .await?;
    let overview = match overview {
        Some(overview) => overview,
        None if patterns.is_empty() => return Err(Problem::ChannelUnknown),
        None => unused(name.clone()),
    };
    let mut found = Found { overview, rate: None };
    if rates {
        measure(app, std::iter::once(&mut found)).await;
    }
    let alone = !name.is_pattern();
    let patterns = patterns.iter().map(|(channel, subscribers)| Pattern {
        channel: channel.as_ref().into(),
        subscribers: *subscribers,
    });
    let detail = Detail {
        summary: Shown::new(&found),
        receivers: alone.then_some(receivers),
        patterns: alone.then(|| patterns.collect()),
    };
    Ok(answer::json(StatusCode::OK, &detail))
}

/// A channel that nobody has used by its own name.
const fn unused(name: ChannelName) -> ChannelOverview {
    ChannelOverview { name, subscribers: 0, published: 0, last_publish: None, persistent: false }
}

impl Wanted {
    fn read(query: &Query<'_>, app: &App) -> Result<Self, Problem> {
        let sorts =
            [("channel", Sort::Channel), ("subscribers", Sort::Subscribers), ("rate", Sort::Rate)];
        let sort = query.choice("sort", &sorts)?.unwrap_or(Sort::Channel);
        let cursor = query.text("cursor").map(|text| {
            place(text, sort != Sort::Channel)
                .filter(|(_, name)| name.starts_with('/'))
                .map(|(rank, name)| (rank, Arc::from(name)))
                .ok_or_else(|| wrong("cursor", "the `next` of the page before"))
        });
        Ok(Self {
            pattern: query.channel("pattern", app.live.name)?,
            sort,
            limit: query.limit()?,
            after: cursor.transpose()?,
            rates: query.flag("rates")?.unwrap_or_default(),
        })
    }

    fn admits(&self, name: &ChannelName) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.covers(name.as_str()))
    }

    /// The place of a channel in the order; lower ranks come first.
    fn rank(&self, found: &Found) -> u64 {
        match self.sort {
            Sort::Channel => 0,
            Sort::Subscribers => descending(found.overview.subscribers as u64),
            Sort::Rate => descending((found.rate.unwrap_or_default() * 10.0) as u64),
        }
    }
}

fn before(app: &App, wanted: &Wanted) -> Before {
    let mut counts = HashMap::new();
    app.broker.each_channel(|name, look| {
        if wanted.admits(name) {
            counts.insert(name.to_shared(), look().published);
        }
    });
    Before { at: clock::now(), counts }
}

/// Chooses the entries of a page.
fn page(app: &App, wanted: &Wanted, before: Option<&Before>) -> Chosen<Arc<str>, Found> {
    let mut page = Page::new(wanted.after.clone(), wanted.limit);
    let now = clock::now();
    app.broker.each_channel(|name, look| {
        let shared = name.to_shared();
        // Without a look at the channel itself, if the name decides.
        if !wanted.admits(name) || (wanted.sort == Sort::Channel && !page.wants(0, &shared)) {
            return;
        }
        let overview = look();
        let rate = before.map(|before| before.rate(&shared, overview.published, now));
        let found = Found { overview, rate };
        page.offer(wanted.rank(&found), shared, found);
    });
    page.finish()
}

impl Before {
    /// A channel that came since has had all its messages since.
    fn rate(&self, name: &Arc<str>, published: u64, now: Instant) -> f64 {
        let before = self.counts.get(name).copied().unwrap_or_default();
        rate(before, published, self.at, now)
    }
}

/// Looks at channels once more, a second later, for their rates.
async fn measure<'a>(app: &App, all: impl Iterator<Item = &'a mut Found>) {
    let before = clock::now();
    sleep(RATE_TIME).await;
    for found in all {
        let Some(overview) = app.broker.channel(&found.overview.name) else {
            found.rate = Some(0.0);
            continue;
        };
        found.rate = Some(rate(found.overview.published, overview.published, before, clock::now()));
        found.overview = overview;
    }
}

fn rate(before: u64, after: u64, since: Instant, now: Instant) -> f64 {
    let counts = |published| Counts { published, delivered: 0 };
    counts(before).rates(counts(after), now.saturating_duration_since(since)).published
}

/// A channel in a list.
#[derive(Serialize)]
struct Shown {
    channel: String,
    pattern: bool,
    subscribers: usize,
    published: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_publish_s: Option<u64>,
    persistent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_per_s: Option<f64>,
}

/// A channel by itself.
#[derive(Serialize)]
struct Detail {
    #[serde(flatten)]
    summary: Shown,
    #[serde(skip_serializing_if = "Option::is_none")]
    receivers: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patterns: Option<Vec<Pattern>>,
}

#[derive(Serialize)]
struct Pattern {
    channel: String,
    subscribers: usize,
}

impl Shown {
    fn new(found: &Found) -> Self {
        let Found { overview, rate } = found;
        Self {
            channel: overview.name.as_str().to_owned(),
            pattern: overview.name.is_pattern(),
            subscribers: overview.subscribers,
            published: overview.published,
            last_publish_s: overview.last_publish.map(|since| since.as_secs()),
            persistent: overview.persistent,
            in_per_s: *rate,
        }
    }
}
