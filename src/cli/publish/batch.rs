//! `bayeuxd pub --batch`: the lines of a file, in as few requests as fit, in their order.
//!
//! Whoever runs it always learns what became of each line: those that are refused are named, and when
//! something ends the work before the last line, where to go on.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _, stdin},
    path::Path,
    time::Duration,
};

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::time::{Instant, sleep};

use super::{
    INPUT_BYTES_MAX, TOO_LONG,
    progress::Progress,
    size::{BYTES_MAX, LINES_MAX, Size},
};
use crate::cli::{
    Failure, complain, print,
    remote::{Remote, clean, harmless, tree},
};

/// A file on its way, and what became of it so far.
pub(super) struct Batch {
    /// Lines that were read and are not done with, with their numbers.
    pending: Vec<(usize, String)>,
    /// Their bytes.
    bytes: usize,
    /// The last line that was read.
    line: usize,
    /// The last line of a request of which is not known what became of it.
    asked: Option<usize>,
    published: usize,
    refused: usize,
    sessions: u64,
    size: Size,
    json: bool,
    progress: Progress,
}

/// What became of a request.
enum Sent {
    /// A result for each line.
    Results(Box<RawValue>),
    /// Refused as a whole: a line is ill-formed, or there is too much of them. In words.
    Refused(StatusCode, String),
    /// Refused whatever the lines are.
    Stopped(Failure),
}

impl Batch {
    pub(super) fn new(json: bool) -> Self {
        Self {
            pending: Vec::new(),
            bytes: 0,
            line: 0,
            asked: None,
            published: 0,
            refused: 0,
            sessions: 0,
            size: Size::new(),
            json,
            progress: Progress::new(),
        }
    }

    /// Publishes the lines of a file; `-`: of standard input.
    ///
    /// # Errors
    ///
    /// Lines were refused; or the work ended early, and the text tells where to go on.
    pub(super) async fn publish(mut self, remote: &Remote, file: &Path) -> Result<(), Failure> {
        let ended = self.read(remote, file).await;
        self.progress.clear();
        if let Err(failure) = ended {
            if self.line == 0 {
                return Err(failure);
            }
            let next = self.pending.first().map_or(self.line + 1, |(line, _)| *line);
            let published = self.published;
            let doubt = self.asked.map_or_else(String::new, |last| {
                format!(
                    ", unless the broker took lines {next} to {last} and only its answer is missing"
                )
            });
            let told = format!("published: {published}, and line {next} comes next{doubt}");
            return Err(failure.with(&told));
        }
        let Self { published, refused, sessions, json, .. } = self;
        if !json {
            print(format_args!("published: {published}, deliveries: {sessions}\n"));
        }
        match refused {
            0 => Ok(()),
            1 => Err(Failure::Failed("1 line was refused".to_owned())),
            _ => Err(Failure::Failed(format!("{refused} lines were refused"))),
        }
    }

    /// Reads and sends all lines.
    async fn read(&mut self, remote: &Remote, file: &Path) -> Result<(), Failure> {
        let failed = |error| Failure::Failed(format!("{}: {error}", file.display()));
        let input: Box<dyn io::Read> = if file == Path::new("-") {
            Box::new(stdin())
        } else {
            Box::new(File::open(file).map_err(failed)?)
        };
        let mut input = BufReader::new(input);
        while let Some(line) = next_line(&mut input).map_err(failed)? {
            self.line += 1;
            match line {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => self.take(remote, line).await?,
                Err(reason) => self.bad(self.line, reason),
            }
        }
        self.send(remote).await
    }

    /// Takes the next line, after those that have to go before it.
    async fn take(&mut self, remote: &Remote, line: String) -> Result<(), Failure> {
        let known: Result<&RawValue, _> = serde_json::from_str(&line);
        match known {
            Err(error) => self.bad(self.line, &error.to_string()),
            Ok(json) if !json.get().starts_with('{') => self.bad(self.line, NO_MESSAGE),
            Ok(_) => {
                let full = self.pending.len() >= LINES_MAX;
                if full || self.bytes + line.len() > BYTES_MAX {
                    self.send(remote).await?;
                }
                self.bytes += line.len();
                self.pending.push((self.line, line));
            }
        }
        Ok(())
    }

    fn bad(&mut self, line: usize, reason: &str) {
        self.refused += 1;
        self.progress.clear();
        complain(format_args!("line {line}: {}", clean(reason)));
    }

    /// Publishes the pending lines in their order, at the pace that the broker allows.
    async fn send(&mut self, remote: &Remote) -> Result<(), Failure> {
        let mut since = Instant::now();
        while !self.pending.is_empty() {
            let before = self.pending.len();
            let pause = self.send_some(remote).await?;
            self.progress.show(self.published);
            if self.pending.len() < before {
                since = Instant::now();
            }
            let Some(pause) = pause else { continue };
            if since.elapsed() > PLACE_WAIT_MAX {
                return Err(Failure::Failed(format!(
                    "no place for {PLACE_WAIT_MAX:?}, others use up the rate of this key \
                     (api.messages_per_second)"
                )));
            }
            // After the shortest pause there is room for one message, and a request is worth more.
            sleep(pause.max(PAUSE_MIN)).await;
        }
        self.bytes = 0;
        Ok(())
    }

    /// Publishes the first of the pending lines; those that came too fast stay, and the pause that the
    /// broker asks for is returned.
    async fn send_some(&mut self, remote: &Remote) -> Result<Option<Duration>, Failure> {
        let count = self.size.of(&self.pending);
        let sent: Vec<&(usize, String)> = self.pending.iter().take(count).collect();
        let lines: Vec<&str> = sent.iter().map(|(_, line)| line.as_str()).collect();
        let body = format!("{{\"messages\":[{}]}}", lines.join(","));
        let length = body.len();
        self.asked = sent.last().map(|(line, _)| *line);
        let sent = post(remote, body).await?;
        let answer = match sent {
            Sent::Results(answer) => answer,
            Sent::Refused(status, reason) => {
                self.asked = None;
                if count == 1 {
                    let (line, _) = self.pending.remove(0);
                    self.bad(line, &reason);
                }
                self.size.refused(count, length, status, &reason);
                return Ok(None);
            }
            Sent::Stopped(failure) => {
                self.asked = None;
                return Err(failure);
            }
        };
        let results = results(&answer, count)?;
        self.asked = None;
        self.size.accepted();
        Ok(self.settle(count, &results))
    }

    /// Counts the results of the first lines, and keeps those that came too fast.
    fn settle(&mut self, count: usize, results: &[&RawValue]) -> Option<Duration> {
        let mut pause = None;
        let rest = self.pending.split_off(count);
        for ((line, text), raw) in std::mem::take(&mut self.pending).into_iter().zip(results) {
            let result = tree(raw);
            let error = result.get("error");
            if error.and_then(|error| error.get("code")) == Some(&Value::from("rate_limited")) {
                let asked = error.and_then(|error| error.get("retry_after_ms"));
                let asked = Duration::from_millis(asked.and_then(Value::as_u64).unwrap_or(0));
                pause = Some(asked.max(pause.unwrap_or_default()));
                self.pending.push((line, text));
                continue;
            }
            if self.json {
                self.progress.clear();
                print(format_args!("{}\n", harmless(raw.get())));
            }
            match error.and_then(|error| error.get("message")).and_then(Value::as_str) {
                Some(reason) => self.bad(line, reason),
                None => {
                    self.published += 1;
                    self.sessions += result.get("sessions").and_then(Value::as_u64).unwrap_or(0);
                }
            }
        }
        self.pending.extend(rest);
        pause
    }
}

/// Sends a request.
///
/// # Errors
///
/// Nobody is there, or no whole answer.
async fn post(remote: &Remote, body: String) -> Result<Sent, Failure> {
    let response = remote.send(Method::POST, "/api/v1/batch", body, &[]).await?;
    let status = response.status();
    if status.is_success() {
        return Ok(Sent::Results(remote.read(response).await?));
    }
    let is_of_lines = matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE);
    if !is_of_lines {
        return Ok(Sent::Stopped(remote.refusal(response).await));
    }
    let answer = remote.read(response).await.map(|answer| tree(&answer)).unwrap_or_default();
    let reason = answer.pointer("/error/message").and_then(Value::as_str);
    Ok(match (reason, status) {
        (Some(reason), _) => Sent::Refused(status, reason.to_owned()),
        // A proxy has bounds of its own, and other words.
        (None, StatusCode::PAYLOAD_TOO_LARGE) => Sent::Refused(status, status.to_string()),
        (None, _) => Sent::Stopped(remote.stranger(status)),
    })
}

/// The results of so many lines, each as the text that it is.
fn results(answer: &RawValue, count: usize) -> Result<Vec<&RawValue>, Failure> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    let answer: Option<Answer<'_>> = serde_json::from_str(answer.get()).ok();
    let results = answer.map(|answer| answer.results).filter(|results| results.len() == count);
    results.ok_or_else(|| {
        Failure::Failed("the answer is not a broker's: a result for each message".to_owned())
    })
}

/// Reads a line; `None`: the end. The inner error is one of the line, behind which the next is read.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Result<String, &'static str>>> {
    let mut line = Vec::new();
    if input.by_ref().take(INPUT_BYTES_MAX + 1).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 > INPUT_BYTES_MAX && !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
        return Ok(Some(Err(TOO_LONG)));
    }
    Ok(Some(String::from_utf8(line).map_err(|_| "no UTF-8 text")))
}

/// Of a line that is JSON.
const NO_MESSAGE: &str = "a message is a JSON object, {\"channel\":\"/a\",\"data\":…}";
/// Shortest pause when the broker asks for one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest time without a single place; the broker hands them out one by one, each after a moment.
const PLACE_WAIT_MAX: Duration = Duration::from_secs(60);
