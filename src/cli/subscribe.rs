//! `bayeuxd sub`: a small Bayeux client over long-polling that prints what it gets.
//!
//! It comes back after an interruption, as a client of any library does, and begins anew if the broker
//! does not know its session any more. Source: protocol.md 2, 34-43, 57.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::{
    select,
    signal::ctrl_c,
    time::{sleep, timeout},
};

use super::{
    Failure, complain,
    remote::{MainServer, Remote, clean, wait},
    try_print,
};

/// Arguments of `sub`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Channels and patterns, like /chat/**.
    #[arg(required = true)]
    channels: Vec<String>,
    /// End after so many messages.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// The path of the broker's Bayeux endpoint.
    #[arg(long, default_value = "/cometd")]
    path: String,
    #[command(flatten)]
    server: MainServer,
    /// Print messages as they are, one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Prints messages until it is interrupted.
///
/// # Errors
///
/// Nobody listens there, or the broker refuses a subscription.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let remote = options.server.remote()?;
    wait(async {
        let mut client = Client { remote: &remote, options, id: None, received: 0, closed: false };
        let ended = select! {
            ended = client.receive() => ended,
            _ = ctrl_c() => Ok(()),
        };
        // Who waits for nothing any more does not wait for a broker that does not answer.
        let _ = timeout(LEAVE, client.leave()).await;
        ended
    })
}

struct Client<'a> {
    remote: &'a Remote,
    options: &'a Options,
    /// The clientId; `None` before the handshake.
    id: Option<String>,
    received: u64,
    /// Nobody reads what is printed any more.
    closed: bool,
}

impl Client<'_> {
    async fn receive(&mut self) -> Result<(), Failure> {
        let mut pause = Duration::ZERO;
        self.begin().await?;
        while !self.closed && self.options.count.is_none_or(|count| self.received < count) {
            sleep(pause).await;
            let answered = match &self.id {
                Some(_) => self.connect().await,
                None => self.begin().await.map(|()| Duration::ZERO),
            };
            pause = match answered {
                Ok(pause) => pause,
                Err(Failure::Unreachable(line)) => {
                    complain(format_args!("{line}; trying again"));
                    RETRY
                }
                Err(failure) => return Err(failure),
            };
        }
        Ok(())
    }

    /// Handshakes and subscribes.
    async fn begin(&mut self) -> Result<(), Failure> {
        let handshake = json!([{
            "channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"],
        }]);
        let answer = self.exchange(&handshake).await?;
        let reply = reply(&answer, "/meta/handshake")?;
        let id = reply.get("clientId").and_then(Value::as_str).unwrap_or_default().to_owned();
        // From here on there is a session to leave.
        self.id = Some(id.clone());
        let subscribe = json!([{
            "channel": "/meta/subscribe", "clientId": id, "subscription": self.options.channels,
        }]);
        let answer = self.exchange(&subscribe).await?;
        self.show(&answer);
        self::reply(&answer, "/meta/subscribe").map(drop)
    }

    /// Waits for messages; returns the pause that the broker advises.
    async fn connect(&mut self) -> Result<Duration, Failure> {
        let connect = json!([{
            "channel": "/meta/connect", "clientId": self.id, "connectionType": "long-polling",
        }]);
        let answer = self.exchange(&connect).await?;
        self.show(&answer);
        let Some(reply) = of_channel(&answer, "/meta/connect") else { return Ok(RETRY) };
        match reply.pointer("/advice/reconnect").and_then(Value::as_str) {
            Some("handshake") => {
                complain("the broker does not know the session any more; beginning anew");
                self.id = None;
            }
            Some("none") => return Err(Failure::Failed("the broker ended the session".to_owned())),
            _ => {}
        }
        let interval = reply.pointer("/advice/interval").and_then(Value::as_u64).unwrap_or(0);
        Ok(Duration::from_millis(interval))
    }

    async fn leave(&self) {
        if self.id.is_some() {
            let disconnect = json!([{ "channel": "/meta/disconnect", "clientId": self.id }]);
            // Best effort: without it the session expires.
            let _: Result<Value, Failure> = self.exchange(&disconnect).await;
        }
    }

    async fn exchange(&self, messages: &Value) -> Result<Value, Failure> {
        self.remote.post(&self.options.path, messages.to_string()).await
    }

    fn show(&mut self, answer: &Value) {
        for message in answer.as_array().into_iter().flatten() {
            let Some(data) = message.get("data") else { continue };
            if self.options.count.is_some_and(|count| self.received >= count) {
                return;
            }
            self.received += 1;
            let line = if self.options.json {
                message.to_string()
            } else {
                let channel = message.get("channel").and_then(Value::as_str).unwrap_or_default();
                format!("{} {}", clean(channel), clean(&data.to_string()))
            };
            self.closed |= !try_print(format_args!("{line}\n"));
        }
    }
}

fn of_channel<'a>(answer: &'a Value, channel: &str) -> Option<&'a Value> {
    let mut messages = answer.as_array().into_iter().flatten();
    messages.find(|message| message.get("channel").and_then(Value::as_str) == Some(channel))
}

/// The reply on a meta channel, if it is a success.
fn reply<'a>(answer: &'a Value, channel: &str) -> Result<&'a Value, Failure> {
    let reply = of_channel(answer, channel)
        .ok_or_else(|| Failure::Failed("the answer is not that of a Bayeux server".to_owned()))?;
    if reply.get("successful") == Some(&Value::Bool(true)) {
        return Ok(reply);
    }
    let error = clean(reply.get("error").and_then(Value::as_str).unwrap_or("no reason given"));
    let line = format!("{channel} is refused: {error}");
    Err(if error.starts_with("403") { Failure::Denied(line) } else { Failure::Failed(line) })
}

/// Pause before another attempt to reach a broker that has gone.
const RETRY: Duration = Duration::from_secs(1);
/// Longest wait for the reply to a disconnect.
const LEAVE: Duration = Duration::from_secs(2);
