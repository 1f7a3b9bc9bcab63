//! `bayeuxd sub`: a small Bayeux client that prints what it gets.
//!
//! It comes back after an interruption, as a client of any library does, and begins anew if the broker
//! does not know its session any more. Source: protocol.md 2, 34-43, 57.

mod carrier;
mod patience;
mod printer;

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::{
    select,
    time::{sleep, timeout},
};

use self::{
    carrier::{Carrier, Transport, Trouble},
    patience::{Patience, WAITED_MAX},
    printer::Printer,
};
use super::{
    Failure,
    channel::channel,
    complain,
    remote::{MainServer, Remote, clean, wait},
    signals,
};

/// Arguments of `sub`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Channels and patterns, like /chat/**.
    #[arg(required = true, value_parser = channel)]
    channels: Vec<String>,
    /// End after so many messages.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// How to connect. Default: by WebSocket if that is possible.
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// The path of the broker's Bayeux endpoint.
    #[arg(long, default_value = "/cometd", value_parser = path)]
    path: String,
    #[command(flatten)]
    server: MainServer,
    /// Print messages as they are, one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Reads a path as requests have it.
fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err("expected a path that begins with /, like /cometd".to_owned())
    }
}

/// Prints messages until it is interrupted.
///
/// # Errors
///
/// Nobody listens there, or the broker refuses a subscription.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let remote = options.server.remote()?;
    wait(async {
        let interrupted =
            signals::interrupted().map_err(|error| Failure::Failed(error.to_string()))?;
        let mut client = Client {
            options,
            remote: &remote,
            carrier: Carrier::new(&remote, &options.path, options.transport),
            id: None,
            unsubscribed: None,
            hold: HOLD,
            printer: Printer::new(options.json, options.count),
        };
        let ended = select! {
            ended = client.receive() => ended,
            () = interrupted => Ok(()),
        };
        // Who waits for nothing any more does not wait for a broker that does not answer.
        let _ = timeout(LEAVE, client.leave()).await;
        client.carrier.hang_up().await;
        ended
    })
}

struct Client<'a> {
    options: &'a Options,
    remote: &'a Remote,
    carrier: Carrier<'a>,
    /// The clientId; `None` before it has subscribed.
    id: Option<String>,
    /// The clientId of a session that has not subscribed.
    unsubscribed: Option<String>,
    /// How long the broker holds a connect, as it advises.
    hold: Duration,
    printer: Printer,
}

impl Client<'_> {
    async fn receive(&mut self) -> Result<(), Failure> {
        let mut patience = Patience::default();
        let mut met = false;
        loop {
            // Also who wants no message at all learns whether it may subscribe.
            if self.id.is_some() && self.printer.is_done() {
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
                    if !self.printer.is_done() {
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

    /// Handshakes and subscribes.
    async fn begin(&mut self) -> Result<(), Trouble> {
        let mut handshake = json!({
            "channel": "/meta/handshake", "version": "1.0",
            "supportedConnectionTypes": ["websocket", "long-polling"],
        });
        if let (Some(key), Some(fields)) = (self.remote.given_key(), handshake.as_object_mut()) {
            // What a session may see is decided here; the header is for each request.
            fields.insert("ext".to_owned(), json!({ "authentication": { "key": key } }));
        }
        let answer = self.exchange(&json!([handshake]), "/meta/handshake").await?;
        let reply = reply(&answer, "/meta/handshake", "the handshake")?;
        let id = reply.get("clientId").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.hold = advised(reply, "timeout").unwrap_or(self.hold);
        self.carrier.follow(reply).await;
        // From here on there is a session to leave, but none to connect with before it has subscribed.
        self.unsubscribed = Some(id.clone());
        // One by one: of a list nobody says which name was refused.
        for name in &self.options.channels {
            let subscribe = json!([{
                "channel": "/meta/subscribe", "clientId": id, "subscription": name,
            }]);
            let answer = self.exchange(&subscribe, "/meta/subscribe").await?;
            self::reply(&answer, "/meta/subscribe", &format!("the subscription to {name}"))?;
        }
        self.id = self.unsubscribed.take();
        Ok(())
    }

    /// Waits for messages; returns the pause that the broker advises.
    async fn connect(&mut self) -> Result<Duration, Trouble> {
        let connect = json!([{
            "channel": "/meta/connect", "clientId": self.id,
            "connectionType": self.carrier.connection_type(),
        }]);
        let answer = self.exchange(&connect, "/meta/connect").await?;
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

    async fn leave(&mut self) {
        if let Some(id) = self.id.as_ref().or(self.unsubscribed.as_ref()) {
            let disconnect = json!([{ "channel": "/meta/disconnect", "clientId": id }]);
            // Best effort: without it the session expires.
            let _: Result<Value, Trouble> = self.exchange(&disconnect, "/meta/disconnect").await;
        }
    }

    async fn exchange(&mut self, messages: &Value, channel: &str) -> Result<Value, Trouble> {
        self.carrier.exchange(messages, channel, self.hold, &mut self.printer).await
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

/// The reply on a meta channel, if it is a success; `what` it answers, for people.
fn reply<'a>(answer: &'a Value, channel: &str, what: &str) -> Result<&'a Value, Trouble> {
    let reply = of_channel(answer, channel)
        .ok_or_else(|| Failure::Failed("the answer is not that of a Bayeux server".to_owned()))?;
    if reply.get("successful") == Some(&Value::Bool(true)) {
        return Ok(reply);
    }
    let error = clean(reply.get("error").and_then(Value::as_str).unwrap_or("no reason given"));
    let line = format!("{what} is refused: {error}");
    Err(Trouble::from(match error.split(':').next() {
        Some("503") => return Err(Trouble::Later { line, pause: advised(reply, "interval") }),
        Some("403") if error.ends_with(":subscription_invalid") => Failure::Usage(line),
        Some("403") => Failure::Denied(line),
        _ => Failure::Failed(line),
    }))
}

/// How long a connect may be held before the broker has said it.
const HOLD: Duration = Duration::from_secs(60);
/// Pause after an answer without the reply that was asked for.
const RETRY: Duration = Duration::from_secs(1);
/// Longest wait for the reply to a disconnect.
const LEAVE: Duration = Duration::from_secs(2);
