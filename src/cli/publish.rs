//! `bayeuxd pub`: publishes over HTTP and says how many sessions that reached.

mod progress;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal as _, Read as _, stdin},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use hyper::Method;
use serde_json::{Value, value::RawValue};
use tokio::time::{Instant, sleep};

use self::progress::Progress;
use super::{
    Failure, complain, print,
    remote::{MainServer, Remote, clean, harmless, wait},
};

/// Arguments of `pub`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The channel, like /chat/demo.
    #[arg(required_unless_present = "batch", conflicts_with = "batch")]
    channel: Option<String>,
    /// The data as JSON; "-" or nothing: from standard input.
    #[arg(conflicts_with = "batch")]
    data: Option<String>,
    /// Publish the messages of a file ("-": standard input), one {"channel":…,"data":…} a line.
    #[arg(long, value_name = "FILE")]
    batch: Option<PathBuf>,
    /// A repeat with the same key publishes nothing and gets the first answer.
    #[arg(long, value_name = "TEXT", conflicts_with = "batch")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    server: MainServer,
    /// Print the broker's answer as it is.
    #[arg(long)]
    json: bool,
}

/// Publishes.
///
/// # Errors
///
/// Data that is no JSON, or whatever the broker refuses.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let remote = options.server.remote()?;
    if let Some(file) = &options.batch {
        return wait(batch(&remote, file, options.json));
    }
    let data = data(options.data.as_deref())?;
    let message = Message { channel: options.channel.as_deref().unwrap_or_default(), data: &data };
    let body =
        serde_json::to_string(&message).map_err(|error| Failure::Failed(error.to_string()))?;
    let key = options.idempotency_key.as_deref().map(|key| ("idempotency-key", key));
    let answer = wait(remote.ask(Method::POST, "/api/v1/publish", body, key.as_slice()))?;
    if options.json {
        print(format_args!("{}\n", harmless(&answer)));
        return Ok(());
    }
    let count = |field| answer.get(field).and_then(Value::as_u64).unwrap_or(0);
    let (sessions, queued) = (count("sessions"), count("queued"));
    let plural = if sessions == 1 { "" } else { "s" };
    let again = if answer.get("replayed").is_some() { ", by an earlier request" } else { "" };
    print(format_args!("delivered to {sessions} session{plural} ({queued} queued){again}\n"));
    Ok(())
}

#[derive(serde::Serialize)]
struct Message<'a> {
    channel: &'a str,
    data: &'a RawValue,
}

/// The data to publish, as the text that it is.
fn data(argument: Option<&str>) -> Result<Box<RawValue>, Failure> {
    let text = match argument {
        Some(text) if text != "-" => text.to_owned(),
        None if stdin().is_terminal() => {
            return Err(Failure::Usage(
                "say what to publish, like '{\"text\":\"hello\"}'".to_owned(),
            ));
        }
        _ => {
            let failed = |error| Failure::Failed(format!("standard input: {error}"));
            let mut bytes = Vec::new();
            let mut input = stdin().lock().take(INPUT_BYTES_MAX + 1);
            input.read_to_end(&mut bytes).map_err(failed)?;
            if bytes.len() as u64 > INPUT_BYTES_MAX {
                return Err(Failure::Usage(format!("standard input: {TOO_LONG}")));
            }
            String::from_utf8(bytes)
                .map_err(|_| Failure::Usage("standard input is no UTF-8 text".to_owned()))?
        }
    };
    serde_json::from_str(&text).map_err(|error| {
        let hint = "the data has to be JSON; a text stands in quotes: '\"hello\"'";
        Failure::Usage(format!("{hint} ({error})"))
    })
}

/// Publishes the lines of a file in as few requests as fit, in their order.
async fn batch(remote: &Remote, file: &Path, json: bool) -> Result<(), Failure> {
    let failed = |error| Failure::Failed(format!("{}: {error}", file.display()));
    let input: Box<dyn std::io::Read> = if file == Path::new("-") {
        Box::new(stdin())
    } else {
        Box::new(File::open(file).map_err(failed)?)
    };
    let mut tally = Tally::new(json);
    let mut lines = Vec::new();
    let mut bytes = 0;
    let mut input = BufReader::new(input);
    for number in 1.. {
        let Some(line) = next_line(&mut input).map_err(failed)? else { break };
        let line = match line {
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => line,
            Err(reason) => {
                tally.bad(number, reason);
                continue;
            }
        };
        if lines.len() >= BATCH_MESSAGES_MAX || bytes + line.len() > BATCH_BYTES_MAX {
            tally.send(remote, &mut lines).await?;
            bytes = 0;
        }
        let known: Result<&RawValue, _> = serde_json::from_str(&line);
        if let Err(error) = known {
            tally.bad(number, &error.to_string());
            continue;
        }
        bytes += line.len();
        lines.push((number, line));
    }
    tally.send(remote, &mut lines).await?;
    tally.finish()
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

/// What became of a file so far.
struct Tally {
    published: usize,
    refused: usize,
    sessions: u64,
    json: bool,
    progress: Progress,
}

impl Tally {
    fn new(json: bool) -> Self {
        Self { published: 0, refused: 0, sessions: 0, json, progress: Progress::new() }
    }

    fn bad(&mut self, line: usize, reason: &str) {
        self.refused += 1;
        self.progress.clear();
        complain(format_args!("line {line}: {}", clean(reason)));
    }

    /// Publishes lines in their order, at the pace that the broker allows.
    async fn send(
        &mut self,
        remote: &Remote,
        lines: &mut Vec<(usize, String)>,
    ) -> Result<(), Failure> {
        let mut since = Instant::now();
        while !lines.is_empty() {
            let before = lines.len();
            let pause = self.send_once(remote, lines).await?;
            self.progress.show(self.published);
            if lines.len() < before {
                since = Instant::now();
            }
            let Some(pause) = pause else { continue };
            if since.elapsed() > PLACE_WAIT_MAX {
                return Err(Failure::Failed(format!(
                    "line {}: no place for {PLACE_WAIT_MAX:?}, others use up the rate of this key \
                     (api.messages_per_second); {} lines were published",
                    lines.first().map_or(0, |(line, _)| *line),
                    self.published
                )));
            }
            // After the shortest pause there is room for one message, and a request is worth more.
            sleep(pause.max(PAUSE_MIN)).await;
        }
        Ok(())
    }

    /// Publishes lines; those that came too fast stay, in their order, and the pause that the broker
    /// asks for is returned.
    async fn send_once(
        &mut self,
        remote: &Remote,
        lines: &mut Vec<(usize, String)>,
    ) -> Result<Option<Duration>, Failure> {
        let messages: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        let body = format!("{{\"messages\":[{}]}}", messages.join(","));
        let answer = remote.post("/api/v1/batch", body).await?;
        let results = answer.get("results").and_then(Value::as_array);
        let results = results.filter(|results| results.len() == lines.len());
        let results = results.ok_or_else(|| {
            Failure::Failed("the answer is not a broker's: a result for each message".to_owned())
        })?;
        let mut pause = None;
        for ((line, text), result) in std::mem::take(lines).into_iter().zip(results) {
            let error = result.get("error");
            if error.and_then(|error| error.get("code")) == Some(&Value::from("rate_limited")) {
                let asked = error.and_then(|error| error.get("retry_after_ms"));
                let asked = Duration::from_millis(asked.and_then(Value::as_u64).unwrap_or(0));
                pause = Some(asked.max(pause.unwrap_or_default()));
                lines.push((line, text));
                continue;
            }
            if self.json {
                self.progress.clear();
                print(format_args!("{}\n", harmless(result)));
            }
            match error.and_then(|error| error.get("message")).and_then(Value::as_str) {
                Some(reason) => self.bad(line, reason),
                None => {
                    self.published += 1;
                    self.sessions += result.get("sessions").and_then(Value::as_u64).unwrap_or(0);
                }
            }
        }
        Ok(pause)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.progress.clear();
        let Self { published, refused, sessions, json, .. } = self;
        if !*json {
            print(format_args!("published: {published}, deliveries: {sessions}\n"));
        }
        if *refused == 0 {
            Ok(())
        } else {
            Err(Failure::Failed(format!("{refused} lines were refused")))
        }
    }
}

/// Largest data or line that is read: no broker takes more, `api.message_size` is at most that.
const INPUT_BYTES_MAX: u64 = 1 << 20;
const TOO_LONG: &str = "more than 1 MiB, the most that api.message_size can be";
/// Below `api.max_batch` and `api.max_body` as they are by default.
const BATCH_MESSAGES_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 512 << 10;
/// Shortest pause when the broker asks for one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest time without a single place; the broker hands them out one by one, each after a moment.
const PLACE_WAIT_MAX: Duration = Duration::from_secs(60);
