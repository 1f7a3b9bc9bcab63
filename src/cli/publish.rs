//! `bayeuxd pub`: publishes over HTTP and says how many sessions that reached.

mod batch;
mod progress;
mod size;

use std::{
    io::{IsTerminal as _, Read as _, stdin},
    path::PathBuf,
};

use clap::Args;
use hyper::Method;
use serde_json::{Value, value::RawValue};

use self::batch::Batch;
use super::{
    Failure,
    channel::channel,
    print,
    remote::{MainServer, harmless, tree, wait},
};

/// Arguments of `pub`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The channel, like /chat/demo.
    #[arg(required_unless_present = "batch", conflicts_with = "batch", value_parser = channel)]
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
        return wait(Batch::new(options.json).publish(&remote, file));
    }
    let data = data(options.data.as_deref())?;
    let message = Message { channel: options.channel.as_deref().unwrap_or_default(), data: &data };
    let body =
        serde_json::to_string(&message).map_err(|error| Failure::Failed(error.to_string()))?;
    let key = options.idempotency_key.as_deref().map(|key| ("idempotency-key", key));
    let answer = wait(remote.ask(Method::POST, "/api/v1/publish", body, key.as_slice()))?;
    if options.json {
        print(format_args!("{}\n", harmless(answer.get())));
        return Ok(());
    }
    let answer = tree(&answer);
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

/// Largest data or line that is read: no broker takes more, `api.message_size` is at most that.
const INPUT_BYTES_MAX: u64 = 1 << 20;
const TOO_LONG: &str = "more than 1 MiB, the most that api.message_size can be";
