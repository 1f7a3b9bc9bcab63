//! `bayeuxd sub`: a small Bayeux client over long-polling that prints what it gets.
//!
//! It comes back after an interruption, as a client of any library does, and begins anew if the broker
//! does not know its session any more. Source: protocol.md 2, 34-43, 57.

mod patience;

use std::time::Duration;

use clap::Args;
use hyper::{Method, StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};
use tokio::{
    select,
    signal::ctrl_c,
    time::{sleep, timeout},
};

use self::patience::{Patience, WAITED_MAX};
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
        let mut client = Client {
            remote: &remote,
            options,
            id: None,
            unsubscribed: None,
            hold: HOLD,
            received: 0,
            closed: false,
        };
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
    /// The clientId; `None` before it has subscribed.
    id: Option<String>,
    /// The clientId of a session that has not subscribed.
    unsubscribed: Option<String>,
    /// How long the broker holds a connect, as it advises.
    hold: Duration,
    received: u64,
    /// Nobody reads what is printed any more.
    closed: bool,
}

/// Why an exchange brought nothing.
enum Trouble {
    /// The broker has too much to do and asks for patience.
    Later { line: String, pause: Option<Duration> },
    /// All else. A broker that cannot be reached may come back.
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Client<'_> {
    async fn receive(&mut self) -> Result<(), Failure> {
        let mut patience = Patience::default();
        let mut met = false;
        loop {
            // Also who wants no message at all learns whether it may subscribe.
            if self.id.is_some() && self.is_done() {
                return Ok(());
            }
            let answered = match &self.id {
                Some(_) => self.connect().await,
                None => self.begin().await.map(|()| Duration::ZERO),
            };
            let (line, advised) = match answered {
                Ok(pause) => {
                    met = true;
                    patience.renew();
                    if !self.is_done() {
                        sleep(pause).await;
                    }
                    continue;
                }
                Err(Trouble::Later { line, pause }) => (line, pause),
                // Who was never there is rather somebody else.
                Err(Trouble::Failed(Failure::Unreachable(line))) if met => (line, None),
                Err(Trouble::Failed(failure)) => return Err(failure),
            };
            let Some(pause) = patience.next(advised) else {
                let minutes = WAITED_MAX.as_secs() / 60;
                return Err(Failure::Unreachable(format!("{line}; gave up ({minutes} minutes)")));
            };
            complain(format_args!("{line}; trying again in {pause:?}"));
            sleep(pause).await;
        }
    }

    fn is_done(&self) -> bool {
        self.closed || self.options.count.is_some_and(|count| self.received >= count)
    }

    /// Handshakes and subscribes.
    async fn begin(&mut self) -> Result<(), Trouble> {
        let handshake = json!([{
            "channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"],
        }]);
        let answer = self.exchange(&handshake).await?;
        let reply = reply(&answer, "/meta/handshake")?;
        let id = reply.get("clientId").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.hold = advised(reply, "timeout").unwrap_or(self.hold);
        let subscribe = json!([{
            "channel": "/meta/subscribe", "clientId": id, "subscription": self.options.channels,
        }]);
        // From here on there is a session to leave, but none to connect with before it has subscribed.
        self.unsubscribed = Some(id);
        let answer = self.exchange(&subscribe).await?;
        self.show(&answer);
        self::reply(&answer, "/meta/subscribe")?;
        self.id = self.unsubscribed.take();
        Ok(())
    }

    /// Waits for messages; returns the pause that the broker advises.
    async fn connect(&mut self) -> Result<Duration, Trouble> {
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
            Some("none") => {
                return Err(Failure::Failed("the broker ended the session".to_owned()).into());
            }
            _ => {}
        }
        self.hold = advised(reply, "timeout").unwrap_or(self.hold);
        Ok(advised(reply, "interval").unwrap_or_default())
    }

    async fn leave(&self) {
        if let Some(id) = self.id.as_ref().or(self.unsubscribed.as_ref()) {
            let disconnect = json!([{ "channel": "/meta/disconnect", "clientId": id }]);
            // Best effort: without it the session expires.
            let _: Result<Value, Trouble> = self.exchange(&disconnect).await;
        }
    }

    async fn exchange(&self, messages: &Value) -> Result<Value, Trouble> {
        let remote = self.remote.holding(self.hold);
        let body = messages.to_string();
        let response = remote.send(Method::POST, &self.options.path, body, &[]).await?;
        let status = response.status();
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                let after =
                    response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let after = after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
                // Not in the form of Bayeux if it comes from a proxy.
                let answer = remote.read(response).await.unwrap_or_default();
                let advice = answer.as_array().and_then(|messages| messages.first());
                let interval = advice.and_then(|reply| advised(reply, "interval"));
                let line = format!("the broker has no room or no time ({status})");
                Err(Trouble::Later { line, pause: after.max(interval) })
            }
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                let line = format!("the proxy does not reach the broker ({status})");
                Err(Failure::Unreachable(line).into())
            }
            _ if status.is_success() => Ok(remote.read(response).await?),
            _ => Err(remote.refusal(response).await.into()),
        }
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

/// A time of the advice in a reply.
fn advised(reply: &Value, name: &str) -> Option<Duration> {
    reply.get("advice")?.get(name)?.as_u64().map(Duration::from_millis)
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

/// How long a connect may be held before the broker has said it.
const HOLD: Duration = Duration::from_secs(60);
/// Pause after an answer without the reply that was asked for.
const RETRY: Duration = Duration::from_secs(1);
/// Longest wait for the reply to a disconnect.
const LEAVE: Duration = Duration::from_secs(2);
