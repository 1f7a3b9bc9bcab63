//! The verdict: one pass over the events in their order.
//!
//! Order in the record is the only clock. That is exact for events of one process, which is where
//! this ledger is used.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use super::{Event, Post};

/// What a run amounts to. Only [`Report::lost`] to [`Report::leaked`] are violations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Publishes sent.
    pub attempted: usize,
    /// Publishes confirmed.
    pub confirmed: usize,
    /// Deliveries received.
    pub delivered: usize,
    /// Missing deliveries for which the subscriber was told that something is missing.
    pub told: usize,
    /// Confirmed inside a live subscription, never received, and nobody said so.
    pub lost: Vec<String>,
    /// Received a second time.
    pub doubled: Vec<String>,
    /// Received after a later message of the same publisher and channel.
    pub reordered: Vec<String>,
    /// Received and never published.
    pub phantom: Vec<String>,
    /// Received although published after the unsubscribe was confirmed.
    pub leaked: Vec<String>,
}

impl Report {
    /// Asserts that no promise was broken.
    ///
    /// # Panics
    /// With the whole report if one was.
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "{self}");
    }

    /// True if no promise was broken.
    pub fn is_clean(&self) -> bool {
        [&self.lost, &self.doubled, &self.reordered, &self.phantom, &self.leaked]
            .iter()
            .all(|violations| violations.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "attempted={} confirmed={} delivered={} told={} lost={:?} doubled={:?} reordered={:?} \
             phantom={:?} leaked={:?}",
            self.attempted,
            self.confirmed,
            self.delivered,
            self.told,
            self.lost,
            self.doubled,
            self.reordered,
            self.phantom,
            self.leaked,
        )
    }
}

/// Where in the record a subscription lives; positions are indices of events.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// The subscribe reply.
    from: usize,
    /// The unsubscribe request: later publishes may or may not arrive.
    until: usize,
    /// The unsubscribe reply: later publishes must not arrive.
    closed: usize,
}

/// Judges a record.
pub fn check(events: &[Event]) -> Report {
    let mut record = Record::default();
    for (at, event) in events.iter().enumerate() {
        record.take(at, event);
    }
    record.judge_missing();
    record.report
}

/// What was read of the events so far.
#[derive(Default)]
struct Record<'a> {
    report: Report,
    sent: HashMap<&'a Post, usize>,
    confirmed: Vec<&'a Post>,
    received: HashSet<(&'a str, &'a Post)>,
    /// The highest number by session, channel and publisher.
    newest: HashMap<(&'a str, &'a str, &'a str), u64>,
    /// By session and channel.
    spans: BTreeMap<(&'a str, &'a str), Vec<Span>>,
    last_told: HashMap<&'a str, usize>,
}

impl<'a> Record<'a> {
    fn take(&mut self, at: usize, event: &'a Event) {
        match event {
            Event::Publishing(post) => {
                self.sent.insert(post, at);
                self.report.attempted += 1;
            }
            Event::Published(post) => {
                self.confirmed.push(post);
                self.report.confirmed += 1;
            }
            Event::Unconfirmed(_) => {}
            Event::Received { session, post } => self.receive(session, post),
            Event::Subscribed { session, channel } => {
                let span = Span { from: at, until: usize::MAX, closed: usize::MAX };
                self.spans.entry((session, channel)).or_default().push(span);
            }
            Event::Unsubscribing { session, channel } => {
                if let Some(span) = self.newest_span(session, channel) {
                    span.until = span.until.min(at);
                }
            }
            Event::Unsubscribed { session, channel } => {
                if let Some(span) = self.newest_span(session, channel) {
                    span.until = span.until.min(at);
                    span.closed = at;
                }
            }
            Event::Told { session } => {
                self.last_told.insert(session, at);
            }
        }
    }

    fn receive(&mut self, session: &'a str, post: &'a Post) {
        self.report.delivered += 1;
        if !self.received.insert((session, post)) {
            self.report.doubled.push(describe(session, post));
            return;
        }
        let key = (session, post.channel.as_str(), post.publisher.as_str());
        let newest = self.newest.entry(key).or_insert(post.number);
        if post.number < *newest {
            self.report.reordered.push(describe(session, post));
        }
        *newest = post.number.max(*newest);
        let Some(&sent_at) = self.sent.get(post) else {
            self.report.phantom.push(describe(session, post));
            return;
        };
        let spans = self.spans.get(&(session, post.channel.as_str()));
        if spans.is_some_and(|spans| spans.iter().all(|span| span.closed < sent_at)) {
            self.report.leaked.push(describe(session, post));
        }
    }

    /// At the end: looks for each confirmed message at each session that was to have it.
    fn judge_missing(&mut self) {
        for post in &self.confirmed {
            let sent_at = self.sent.get(post).copied().unwrap_or_default();
            for ((session, channel), spans) in &self.spans {
                let covered = spans.iter().any(|span| (span.from..span.until).contains(&sent_at));
                if *channel != post.channel || !covered || self.received.contains(&(session, *post))
                {
                    continue;
                }
                if self.last_told.get(session).is_some_and(|&told| told > sent_at) {
                    self.report.told += 1;
                } else {
                    self.report.lost.push(describe(session, post));
                }
            }
        }
    }

    fn newest_span(&mut self, session: &'a str, channel: &'a str) -> Option<&mut Span> {
        self.spans.get_mut(&(session, channel))?.last_mut()
    }
}

fn describe(session: &str, post: &Post) -> String {
    format!("{session}: {} {} #{}", post.publisher, post.channel, post.number)
}

#[cfg(test)]
mod tests;
