//! `POST /stream`: one message per line in, one result per line out, for as long as both sides like.
//!
//! Results keep the order of their lines. Back-pressure is plain HTTP: while a message waits, for its
//! turn under the key's rate or because nobody reads the results, no further line is read. A line that
//! is too long, the end of the broker, a key that was taken back and a long silence end the stream;
//! what has no result was not published. Source: operations.md 5.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response, StatusCode,
    body::{Body as _, Frame},
    header::{EXPECT, HeaderValue},
};
use tokio::{
    select,
    sync::mpsc,
    task::yield_now,
    time::{Instant, sleep, sleep_until},
};

use super::{
    answer,
    idempotency::Outcome,
    message::{Entry, Publisher},
    problem::Problem,
    request,
};
use crate::{
    broker::Wakes,
    metrics::Source,
    server::{
        body::Body,
        http::{Answering, Http},
        inbound::Inbound,
    },
};

/// The body of the response: results as they come.
pub(in crate::server) struct Results {
    chunks: mpsc::Receiver<Bytes>,
    /// The bytes that arrive meanwhile belong to this request.
    _answering: Answering,
}

impl Results {
    /// The next chunk; `None` at the end of the stream.
    pub(in crate::server) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Pin::new(&mut self.chunks).get_mut().poll_recv(cx)
    }
}

/// Answers at once, and goes on reading and writing in a task.
pub(super) async fn respond(
    http: &Http,
    publisher: Publisher,
    request: Request<Inbound>,
) -> Response<Body> {
    let waits = request.headers().contains_key(EXPECT);
    let mut body = request.into_body();
    body.heeds_the_stop();
    let first = if waits { invite(&mut body).await } else { None };
    let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
    let app = publisher.caller.app.clone();
    let stream = Stream {
        publisher,
        results: sender,
        unread: Vec::new(),
        unsent: Vec::new(),
        unsent_results: 0,
        flush_at: None,
        line: 0,
    };
    app.tasks.spawn(stream.run(first, body));
    let results = Results { chunks, _answering: http.answering() };
    let kind = HeaderValue::from_static("application/x-ndjson");
    answer::dressed(StatusCode::OK, Body::Results(results), kind)
}

/// What a body gives when it is asked for more; `None`: its end.
type Read = Option<Result<Frame<Bytes>, hyper::Error>>;

/// Lets hyper send the `100 Continue` that a client waits for: it does so when it is asked for the
/// body, and not any more once the response has begun. Returns what has come already.
async fn invite(body: &mut Inbound) -> Option<Read> {
    let asked = poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await;
    yield_now().await;
    match asked {
        Poll::Ready(read) => Some(read),
        Poll::Pending => None,
    }
}

struct Stream {
    publisher: Publisher,
    results: mpsc::Sender<Bytes>,
    /// The beginning of a line whose end has not come.
    unread: Vec<u8>,
    unsent: Vec<u8>,
    unsent_results: usize,
    flush_at: Option<Instant>,
    /// Number of the line read last, from 1.
    line: u64,
}

/// The stream is over.
struct Ended;

impl Stream {
    async fn run(mut self, first: Option<Read>, body: Inbound) {
        // Ended early or not, what has a result is told.
        let _ = Box::pin(self.read(first, body)).await;
        let _ = self.flush().await;
    }

    async fn read(&mut self, mut first: Option<Read>, mut body: Inbound) -> Result<(), Ended> {
        let app = self.publisher.caller.app.clone();
        let mut drain = pin!(app.drain.begins());
        loop {
            let flush_at = self.flush_at;
            let frame = select! {
                biased;
                () = drain.as_mut() => return Err(self.fail(Problem::Draining)),
                () = self.results.closed() => return Err(Ended),
                () = sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => {
                    self.flush().await?;
                    continue;
                }
                frame = next(&mut first, &mut body) => frame,
                () = sleep(app.live.keep_alive.now()) => return Err(Ended),
            };
            match frame {
                Some(Ok(frame)) => {
                    let Ok(chunk) = frame.into_data() else { continue };
                    self.take(&chunk).await?;
                }
                Some(Err(_)) => return Err(Ended),
                None => {
                    let last = std::mem::take(&mut self.unread);
                    return self.publish(&last, &mut Wakes::default()).await;
                }
            }
        }
    }

    /// Publishes the lines that a chunk completes.
    async fn take(&mut self, chunk: &[u8]) -> Result<(), Ended> {
        let metrics = &self.publisher.caller.app.metrics;
        metrics.bytes_received.add(Source::Api, chunk.len());
        let mut wakes = Wakes::default();
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if self.unread.is_empty() {
                self.publish(line, &mut wakes).await?;
            } else {
                let mut whole = std::mem::take(&mut self.unread);
                whole.extend_from_slice(line);
                self.publish(&whole, &mut wakes).await?;
            }
        }
        self.unread.extend_from_slice(rest);
        if self.unread.len() > self.line_bytes_max() {
            self.line += 1;
            return Err(self.fail(self.too_long()));
        }
        Ok(())
    }

    /// Publishes the message of one line. An empty line is none.
    async fn publish(&mut self, line: &[u8], wakes: &mut Wakes) -> Result<(), Ended> {
        self.line += 1;
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        if line.len() > self.line_bytes_max() {
            return Err(self.fail(self.too_long()));
        }
        let app = self.publisher.caller.app.clone();
        let entry = request::one(line, None, &app.live.api_messages(request::OWN_FIELDS));
        let outcome = match &entry {
            Ok(entry) => self.publish_in_turn(entry, wakes).await?,
            Err(problem) => Err(problem.clone()),
        };
        if let Err(problem) = &outcome {
            let channel = entry.as_ref().ok().and_then(|entry| entry.channel.as_deref());
            self.publisher.caller.log(problem, channel);
        }
        self.tell(&outcome);
        if outcome == Err(Problem::Overloaded) {
            // The next line might find room and overtake this one.
            return Err(Ended);
        }
        // Lines that come in one piece may take longer than results may wait.
        let due = self.flush_at.is_some_and(|flush_at| flush_at <= Instant::now());
        if due || self.unsent_results >= RESULTS_PER_FLUSH {
            wakes.fire();
            self.flush().await?;
        }
        Ok(())
    }

    /// Publishes a message when its key has a place for it: a stream waits instead of failing.
    ///
    /// Lines that came in one piece may wait for long, so what is known is told meanwhile, and the end
    /// of the broker ends the stream here too.
    async fn publish_in_turn(
        &mut self,
        entry: &Entry<'_>,
        wakes: &mut Wakes,
    ) -> Result<Outcome, Ended> {
        loop {
            if self.publisher.caller.app.drain.is_begun() {
                return Err(self.fail(Problem::Draining));
            }
            if self.publisher.principal.is_revoked() {
                return Err(self.fail(Problem::Unauthorized { presented: true }));
            }
            let pause = match self.publisher.publish(entry, wakes).await {
                Err(Problem::RateLimited(pause)) => pause,
                outcome => return Ok(outcome),
            };
            wakes.fire();
            // Timers count in milliseconds; shorter pauses would be a busy loop.
            let again = Instant::now() + pause.max(Duration::from_millis(1));
            if self.flush_at.is_some_and(|flush_at| flush_at < again) {
                self.flush().await?;
            }
            sleep_until(again).await;
        }
    }

    fn tell(&mut self, outcome: &Outcome) {
        answer::write_line(&mut self.unsent, outcome, self.line);
        self.unsent_results += 1;
        self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH_INTERVAL);
    }

    /// Says why the stream ends here.
    fn fail(&mut self, problem: Problem) -> Ended {
        self.publisher.caller.log(&problem, None);
        self.tell(&Err(problem));
        Ended
    }

    /// Hands over what is to be sent; waits while the client does not read.
    async fn flush(&mut self) -> Result<(), Ended> {
        self.flush_at = None;
        self.unsent_results = 0;
        if self.unsent.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.unsent));
        self.results.send(chunk).await.map_err(|_| Ended)
    }

    fn line_bytes_max(&self) -> usize {
        self.publisher.caller.app.live.api_message_size.now() + LINE_MARGIN
    }

    fn too_long(&self) -> Problem {
        let limit = self.publisher.caller.app.live.api_message_size.now();
        Problem::TooLarge { limit, key: "api.message_size" }
    }
}

/// What comes next: `first`, if there is one, and after it what the body gives.
async fn next(first: &mut Option<Read>, body: &mut Inbound) -> Read {
    match first.take() {
        Some(read) => read,
        None => body.frame().await,
    }
}

/// Chunks of results that wait for a client that does not read.
const CHUNKS_MAX: usize = 4;
const RESULTS_PER_FLUSH: usize = 100;
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
/// Room for what `api.message_size` does not count: names, keys, white space.
const LINE_MARGIN: usize = 1024;

#[cfg(test)]
mod tests;
