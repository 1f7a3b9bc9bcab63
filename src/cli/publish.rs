//! `bayeuxd pub`: publishes over HTTP and says how many sessions that reached.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal as _, Read as _, stdin},
    path::{Path, PathBuf},
};

use clap::Args;
use hyper::Method;
use serde_json::{Value, value::RawValue};

use super::{
    Failure, complain, print,
    remote::{MainServer, Remote, clean, wait},
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
        print(format_args!("{answer}\n"));
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
    let mut tally = Tally { json, ..Tally::default() };
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
#[derive(Default)]
struct Tally {
    published: usize,
    refused: usize,
    sessions: u64,
    json: bool,
}

impl Tally {
    fn bad(&mut self, line: usize, reason: &str) {
        self.refused += 1;
        complain(format_args!("line {line}: {}", clean(reason)));
    }

    async fn send(
        &mut self,
        remote: &Remote,
        lines: &mut Vec<(usize, String)>,
    ) -> Result<(), Failure> {
        if lines.is_empty() {
            return Ok(());
        }
        let messages: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        let body = format!("{{\"messages\":[{}]}}", messages.join(","));
        let answer = remote.post("/api/v1/batch", body).await?;
        let results = answer.get("results").and_then(Value::as_array);
        for ((line, _), result) in lines.drain(..).zip(results.into_iter().flatten()) {
            if self.json {
                print(format_args!("{result}\n"));
            }
            match result.pointer("/error/message").and_then(Value::as_str) {
                Some(reason) => self.bad(line, reason),
                None => {
                    self.published += 1;
                    self.sessions += result.get("sessions").and_then(Value::as_u64).unwrap_or(0);
                }
            }
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Failure> {
        let Self { published, refused, sessions, json } = self;
        if !json {
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
