//! How the messages of `sub` travel: over a WebSocket if that is possible, else by long-polling.

use std::time::Duration;

use clap::ValueEnum;
use hyper::{Method, Response, StatusCode, body::Incoming, header::RETRY_AFTER};
use serde_json::{Value, value::RawValue};
use tokio::time::timeout;

use super::{Printer, advised, of_channel};
use crate::cli::{
    Failure,
    remote::{Remote, tree},
    socket::{self, Incident, Opening, Socket},
};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Transport {
    /// WebSocket.
    Ws,
    /// Long-polling.
    Lp,
}

/// Why an exchange brought nothing.
pub(super) enum Trouble {
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

/// The way to a broker.
pub(super) struct Carrier<'a> {
    remote: &'a Remote,
    path: &'a str,
    wanted: Option<Transport>,
    /// There is no WebSocket, or it is not wanted.
    polls: bool,
    /// `None` until it is needed, and after it broke.
    socket: Option<Socket>,
}

impl<'a> Carrier<'a> {
    pub(super) fn new(remote: &'a Remote, path: &'a str, wanted: Option<Transport>) -> Self {
        Self { remote, path, wanted, polls: wanted == Some(Transport::Lp), socket: None }
    }

    /// The `connectionType` of connects.
    pub(super) fn connection_type(&self) -> &'static str {
        if self.polls { "long-polling" } else { "websocket" }
    }

    /// Polls from here on if the reply to a handshake leaves WebSocket out (protocol.md 29).
    pub(super) async fn follow(&mut self, reply: &Value) {
        let types = reply.get("supportedConnectionTypes").and_then(Value::as_array);
        let offered = types.is_none_or(|types| types.iter().any(|name| name == "websocket"));
        if !offered && self.wanted.is_none() {
            self.polls = true;
            self.hang_up().await;
        }
    }

    /// Closes the WebSocket, if there is one.
    pub(super) async fn hang_up(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.close().await;
        }
    }

    /// Sends messages and waits for what has the reply on `channel` in it; what is delivered meanwhile
    /// is printed at once. The broker may take `hold` longer than for other answers.
    pub(super) async fn exchange(
        &mut self,
        messages: &Value,
        channel: &str,
        hold: Duration,
        printer: &mut Printer,
    ) -> Result<Value, Trouble> {
        if !self.polls && self.socket.is_none() {
            self.socket = Box::pin(self.open()).await?;
            self.polls = self.socket.is_none();
        }
        let Some(socket) = &mut self.socket else {
            let answer = Box::pin(self.poll(messages, hold)).await?;
            return Ok(printer.show(answer.get()));
        };
        let limit = self.remote.timeout().saturating_add(hold);
        let talked = timeout(limit, talk(socket, messages, channel, printer)).await;
        let broken = match talked {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(line)) => Failure::Unreachable(line),
            Err(_) => self.remote.silent(),
        };
        // The session goes on over another one.
        self.socket = None;
        Err(broken.into())
    }

    /// Opens a WebSocket; `None`: it has to be long-polling.
    async fn open(&self) -> Result<Option<Socket>, Trouble> {
        let refused = match socket::open(self.remote, self.path, &[]).await? {
            Opening::Open(socket) => return Ok(Some(socket)),
            Opening::Refused(response) => {
                let status = response.status();
                let away = matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
                // A broker that does not want WebSockets of this client may well want polls.
                if (away || self.wanted.is_some())
                    && let Ok(trouble) = self.busy(response).await
                {
                    return Err(trouble);
                }
                format!("the upgrade to WebSocket is answered with {status}")
            }
            Opening::Unproven => "what answers the upgrade is no WebSocket server".to_owned(),
        };
        if self.wanted.is_none() {
            return Ok(None);
        }
        Err(Failure::Failed(format!("{refused}; `bayeuxd doctor` tells more")).into())
    }

    async fn poll(&self, messages: &Value, hold: Duration) -> Result<Box<RawValue>, Trouble> {
        let remote = self.remote.holding(hold);
        let response = remote.send(Method::POST, self.path, messages.to_string(), &[]).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(remote.read(response).await?);
        }
        match self.busy(response).await {
            Ok(trouble) => Err(trouble),
            Err(response) => Err(remote.refusal(response).await.into()),
        }
    }

    /// Whether a response asks for patience, or comes from a proxy that does not reach the broker.
    async fn busy(&self, response: Response<Incoming>) -> Result<Trouble, Response<Incoming>> {
        let status = response.status();
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                let after =
                    response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let after = after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
                // Not in the form of Bayeux if it comes from a proxy.
                let answer = self.remote.read(response).await.map(|answer| tree(&answer));
                let answer = answer.unwrap_or_default();
                let advice = answer.as_array().and_then(|messages| messages.first());
                let interval = advice.and_then(|reply| advised(reply, "interval"));
                let line = format!("the broker has no room or no time ({status})");
                Ok(Trouble::Later { line, pause: after.max(interval) })
            }
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                let line = format!("the proxy does not reach the broker ({status})");
                Ok(Failure::Unreachable(line).into())
            }
            _ => Err(response),
        }
    }
}

/// One exchange over a WebSocket.
///
/// # Errors
///
/// It is broken, or ends, in words.
async fn talk(
    socket: &mut Socket,
    messages: &Value,
    channel: &str,
    printer: &mut Printer,
) -> Result<Value, String> {
    let broken = |error| format!("the WebSocket broke: {error}");
    socket.send(&messages.to_string()).await.map_err(broken)?;
    loop {
        let text = match socket.next().await.map_err(broken)? {
            Incident::Text(text) => text,
            Incident::Closed(code) => {
                return Err(format!("the broker closed the WebSocket ({code})"));
            }
        };
        let answer = printer.show(&text);
        // Who has got what they wanted does not wait for the end of a hold.
        if of_channel(&answer, channel).is_some()
            || (channel == "/meta/connect" && printer.is_done())
        {
            return Ok(answer);
        }
    }
}
