//! long-polling and callback-polling: a request, perhaps held, and its response.
//!
//! A response carries everything that waits for the session, first the deliveries, then the replies.
//! A `/meta/connect` alone in its request is held until messages come, its time is up, another
//! carrier takes over, the session ends or the server stops.
//! Source: protocol.md 9, 31-48, 57-60, 75-97.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderValue, USER_AGENT},
};
use tokio::{select, task::yield_now, time::sleep};

use super::{
    app::App,
    body::Body,
    connect::{Connect, Release},
    cookie::{Occasion, Presented},
    credentials::{Credentials, WRONG_KEY_DELAY},
    dispatch::{Outcome, Sender, dispatch, is_bare_publish},
    forwarded::Client,
    report,
    whence::Whence,
};
use crate::{
    auth::Principal,
    bayeux::{Message, parse_batch},
    broker::{Batch, BrowserId, Carrier, HoldSlot, Ready, Session, Take, Wakes},
    config::Transport,
    events::Operation,
    metrics::{BadRequest, LimitHit, Reply, Source},
};

/// Who polls.
pub(super) struct Poller {
    pub(super) cookies: Presented,
    /// The browser that a new session is bound to.
    pub(super) browser: BrowserId,
    /// The client takes `advice.interval` for seconds (protocol.md 140).
    pub(super) counts_seconds: bool,
    pub(super) address: IpAddr,
    /// Its requests share a connection.
    pub(super) multiplexed: bool,
    /// The key that the request presents.
    pub(super) principal: Option<Principal>,
    /// Answer by calling this function: callback-polling.
    pub(super) callback: Option<String>,
}

/// What came of a poll.
pub(super) enum Polled {
    /// Its response is ready.
    Answered(Answer),
    /// It is a connect to be held: [`Poller::wait`], then [`Poller::release`]. Apart from the processing, whose
    /// memory a held poll must not keep.
    Held(Poller, Connect),
}

/// The answer to a poll.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Body,
    /// A handshake opened a session: the response sets the browser cookie if none was presented.
    pub(super) opened: bool,
    /// A handshake was refused for want of room.
    pub(super) overloaded: bool,
}

impl Answer {
    /// A sentence instead of messages.
    fn text(status: StatusCode, text: String) -> Self {
        Self { status, ..Self::from(Body::text(text)) }
    }
}

impl From<Body> for Answer {
    fn from(body: Body) -> Self {
        Self { status: StatusCode::OK, body, opened: false, overloaded: false }
    }
}

impl Poller {
    /// Reads from the headers who polls; also the cookie to set if a handshake succeeds.
    pub(super) fn new(
        app: &App,
        headers: &HeaderMap,
        client: Client,
        callback: Option<String>,
    ) -> (Self, Option<HeaderValue>) {
        let cookies = app.cookies.presented(headers);
        let Client { address, scheme, multiplexed } = client;
        let (browser, set_cookie) = app.browser(&cookies, headers, scheme, Occasion::Handshake);
        let counts_seconds = Self::counts_seconds(headers);
        let principal = match app.keys.credentials(headers) {
            Credentials::Key(principal) if app.config.api.enabled => Some(principal),
            _ => None,
        };
        let poller =
            Self { cookies, browser, counts_seconds, address, multiplexed, principal, callback };
        (poller, set_cookie)
    }

    /// Whether a request's user agent takes `advice.interval` for seconds (protocol.md 140).
    pub(super) fn counts_seconds(headers: &HeaderMap) -> bool {
        headers
            .get(USER_AGENT)
            .is_some_and(|agent| memchr::memmem::find(agent.as_bytes(), b"aiohttp").is_some())
    }

    const fn transport(&self) -> Transport {
        match self.callback {
            Some(_) => Transport::CallbackPolling,
            None => Transport::LongPolling,
        }
    }

    /// Processes the batches of one request; `texts` is one body, or each `message` of a GET.
    pub(super) async fn poll(
        self,
        app: &Arc<App>,
        headers: &HeaderMap,
        texts: &[Cow<'_, [u8]>],
    ) -> Polled {
        let transport = self.transport();
        let bytes = texts.iter().map(|text| text.len()).sum();
        app.metrics.bytes_received.add(Source::Client(transport), bytes);
        let batch = match parse(app, self.address, texts) {
            Ok(batch) => batch,
            Err(problem) => return Polled::Answered(bad_request(&problem)),
        };
        if self.shows_wrong_key(app, headers, &batch) {
            report::key_refused(app, self.address, Operation::Api);
            // Boxed: rare, and every poll would keep the room for it.
            Box::pin(sleep(WRONG_KEY_DELAY)).await;
            return Polled::Answered(Answer::text(StatusCode::UNAUTHORIZED, WRONG_KEY.to_owned()));
        }
        let sender = Sender {
            carrier: Carrier::Poll,
            transport,
            whence: Whence::Request(headers),
            cookies: &self.cookies,
            browser: Some(self.browser),
            bound: None,
            counts_seconds: self.counts_seconds,
            address: self.address,
            principal: self.principal.as_ref(),
            monitors_only: false,
        };
        let outcome = match dispatch(app, &sender, &batch, &mut Wakes::default()).await {
            Ok(outcome) => outcome,
            Err(error) => return Polled::Answered(bad_request(&error.to_string())),
        };
        let Outcome { connect, taken, replies, request, opened, overloaded, .. } = outcome;
        match connect {
            Some(connect) if !connect.hold.is_zero() => Polled::Held(self, connect),
            Some(connect) => {
                let batch =
                    taken.or_else(|| connect.session().take(connect.generation(), Take::ALL));
                Polled::Answered(self.answer(false, batch, &replies, Some(connect)))
            }
            None => {
                // Over callback-polling only connects deliver (protocol.md 59, 97).
                let request = request.filter(|_| self.callback.is_none());
                let batch = taken.or_else(|| request.and_then(|own| own.take()));
                let answer = self.answer(opened, batch, &replies, None);
                Polled::Answered(Answer { opened, overloaded, ..answer })
            }
        }
    }

    /// Whether it wants to publish without a session, under a key that is not one of ours. What has a
    /// session does not depend on its key.
    fn shows_wrong_key(&self, app: &App, headers: &HeaderMap, batch: &[Message<'_>]) -> bool {
        self.principal.is_none()
            && app.config.api.enabled
            && batch.iter().any(is_bare_publish)
            && matches!(app.keys.credentials(headers), Credentials::Wrong)
    }

    /// Answers a held connect; `None` for the reason: a newer connect has taken over.
    pub(super) fn release(self, mut connect: Connect, release: Option<Release>) -> Answer {
        let Some(release) = release else { return superseded() };
        let mut reply = Vec::new();
        let taken = connect.write_reply(release, &mut reply);
        let batch = taken.or_else(|| connect.session().take(connect.generation(), Take::ALL));
        self.answer(false, batch, &reply, Some(connect))
    }

    /// Waits until there is a reason to answer; `None`: a newer connect has taken over.
    pub(super) async fn wait(&self, app: &App, connect: &Connect) -> Option<Release> {
        let slot = hold_slot(app, connect.session(), &self.cookies, self.multiplexed);
        let (hold, due) = match slot {
            Ok(_) => (connect.hold, Release::Due),
            Err(TooManyHolds) => (connect.delay(), Release::TooManyHolds),
        };
        let ready = select! {
            ready = connect.session().signal(connect.generation()) => ready,
            () = sleep(hold) => return Some(connect.hold_ended(due, &self.cookies)),
            pause = app.drain.sends_away() => return Some(Release::Drain(pause)),
        };
        match ready {
            // Its own client's stream is no reason to fail.
            Ready::Superseded if connect.session().is_streamed() => Some(Release::Streamed),
            Ready::Superseded => {
                connect.count(Reply::Superseded);
                None
            }
            Ready::Ended(cause) => Some(Release::Ended(cause)),
            Ready::Messages => {
                // Lets a burst that has just begun arrive in the same response.
                yield_now().await;
                Some(due)
            }
        }
    }

    fn answer(
        &self,
        handshake: bool,
        batch: Option<Batch>,
        replies: &[u8],
        connect: Option<Connect>,
    ) -> Answer {
        let body = match &self.callback {
            Some(callback) => Body::script(callback, batch, replies, connect),
            None if handshake => Body::messages(replies, batch, &[], connect),
            None => Body::messages(&[], batch, replies, connect),
        };
        Answer::from(body)
    }
}

/// A browser holds as many connects already as it may (protocol.md 75).
#[derive(Debug)]
pub(super) struct TooManyHolds;

/// Counts a hold for the browser that presents `cookies`.
pub(super) fn hold_slot(
    app: &App,
    session: &Session,
    cookies: &Presented,
    multiplexed: bool,
) -> Result<Option<HoldSlot>, TooManyHolds> {
    match session.browser().filter(|_| cookies.any) {
        Some(browser) => {
            let slot = app.broker.hold_for(browser, multiplexed, session.id());
            if slot.is_none() {
                let limit =
                    if multiplexed { LimitHit::PerMultiplexer } else { LimitHit::PerBrowser };
                app.metrics.limit_hits.add(limit, 1);
            }
            slot.map(Some).ok_or(TooManyHolds)
        }
        None => Ok(None),
    }
}

/// Reads all messages of a request.
fn parse<'a>(
    app: &App,
    client: IpAddr,
    texts: &'a [Cow<'_, [u8]>],
) -> Result<Vec<Message<'a>>, String> {
    let limits = app.live.messages();
    let mut batch: Vec<Message<'a>> = Vec::new();
    for text in texts {
        let messages = parse_batch(text, &limits).map_err(|error| {
            report::bad_request(app, client, BadRequest::Json, &error);
            error.to_string()
        })?;
        if batch.len() + messages.len() > limits.batch {
            return Err(format!("more than {} messages", limits.batch));
        }
        if batch.is_empty() {
            batch = messages;
        } else {
            batch.extend(messages);
        }
    }
    Ok(batch)
}

/// An older connect fails with 500 and an empty body; Chrome repeats a 408 by itself
/// (protocol.md 41).
fn superseded() -> Answer {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Answer { status, ..Answer::from(Body::default()) }
}

/// Says what is wrong and what right looks like (protocol.md 85).
fn bad_request(problem: &str) -> Answer {
    let text =
        format!("{problem}\nA Bayeux request is a JSON array of messages, such as\n{EXAMPLE}\n");
    Answer::text(StatusCode::BAD_REQUEST, text)
}

const WRONG_KEY: &str = "this API key is not, or no longer, one of the broker's\n";
const EXAMPLE: &str = r#"[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"id":"1"}]"#;
