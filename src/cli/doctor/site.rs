//! The server that is examined, and requests to it as a page would send them.

use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    body::Incoming,
    header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::fix::Software;
use crate::cli::{Failure, remote::Remote};

/// What is examined, and as whom.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) remote: Remote,
    /// The Bayeux path, without a `/` at its end.
    pub(super) path: String,
    /// The origin of the page that is played; `None`: a program.
    pub(super) origin: Option<String>,
}

/// A response with its body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// From the connection to the end of the body.
    pub(super) took: Duration,
}

/// A session for the checks.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: String,
    /// As a browser would send them back; empty: none was set.
    pub(super) cookies: String,
    /// What the server offers.
    pub(super) types: Vec<String>,
    /// How long it holds a connect, as it advises.
    pub(super) timeout: Duration,
}

impl Site {
    /// Sends a request and reads the response.
    ///
    /// # Errors
    ///
    /// Nobody there, or no end of the response in time.
    pub(super) async fn request(
        &self,
        method: Method,
        target: &str,
        body: String,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, Failure> {
        let start = Instant::now();
        let headers = self.with_origin(headers);
        // Boxed: a check makes many requests, and would be as large as all of them.
        let response = Box::pin(self.remote.send(method, target, body, &headers)).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = body_of(response).await?;
        Ok(Answer { status, headers, body, took: start.elapsed() })
    }

    /// Posts messages to the Bayeux path.
    ///
    /// # Errors
    ///
    /// See [`Self::request`].
    pub(super) async fn post(&self, messages: &Value, cookies: &str) -> Result<Answer, Failure> {
        let headers: &[_] = if cookies.is_empty() { &[] } else { &[(COOKIE.as_str(), cookies)] };
        self.request(Method::POST, &self.path, messages.to_string(), headers).await
    }

    /// Opens a session that asks for these connection types.
    ///
    /// # Errors
    ///
    /// What came instead, in words.
    pub(super) async fn session(&self, types: &[&str]) -> Result<Session, String> {
        let answer =
            self.post(&handshake(types, ""), "").await.map_err(|error| error.to_string())?;
        Session::of(&answer).ok_or_else(|| answer.summary())
    }

    /// Ends a session; best effort, without it the session expires.
    pub(super) async fn leave(&self, session: &Session) {
        let messages = json!([{ "channel": "/meta/disconnect", "clientId": session.id }]);
        let _: Result<Answer, Failure> = self.post(&messages, &session.cookies).await;
    }

    /// The same server, asked by a page of this origin, or by a program.
    pub(super) fn seen_from(&self, origin: Option<&str>) -> Self {
        let origin = origin.map(str::to_owned);
        Self { remote: self.remote.clone(), path: self.path.clone(), origin }
    }

    /// The headers of a request of the page that is played.
    pub(super) fn with_origin<'a>(
        &'a self,
        headers: &[(&'static str, &'a str)],
    ) -> Vec<(&'static str, &'a str)> {
        let origin = self.origin.as_deref().map(|origin| (ORIGIN.as_str(), origin));
        headers.iter().copied().chain(origin).collect()
    }
}

impl Session {
    /// The session that a successful reply to a handshake has opened.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        let reply = answer.reply("/meta/handshake")?;
        if reply.get("successful") != Some(&Value::Bool(true)) {
            return None;
        }
        let types = reply.get("supportedConnectionTypes").and_then(Value::as_array);
        let types = types.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        let timeout = reply.pointer("/advice/timeout").and_then(Value::as_u64);
        Some(Self {
            id: reply.get("clientId")?.as_str()?.to_owned(),
            cookies: answer.cookies(),
            types: types.collect(),
            timeout: timeout.map_or(HOLD, Duration::from_millis).min(HOLD_MAX),
        })
    }

    /// A connect; `at_once`: not to be held.
    pub(super) fn connect(&self, transport: &str, at_once: bool) -> Value {
        let mut connect = json!({
            "channel": "/meta/connect", "clientId": self.id, "connectionType": transport, "id": "c",
        });
        if let (true, Some(fields)) = (at_once, connect.as_object_mut()) {
            fields.insert("advice".to_owned(), json!({ "timeout": 0 }));
        }
        json!([connect])
    }

    /// Whether the server offers a connection type.
    pub(super) fn offers(&self, name: &str) -> bool {
        self.types.iter().any(|offered| offered == name)
    }
}

impl Answer {
    /// The messages, if it is an answer of a Bayeux server.
    pub(super) fn messages(&self) -> Vec<Value> {
        match serde_json::from_slice(&self.body) {
            Ok(Value::Array(messages)) if self.status.is_success() => messages,
            _ => Vec::new(),
        }
    }

    /// The reply on a meta channel.
    pub(super) fn reply(&self, channel: &str) -> Option<Value> {
        self.messages().into_iter().find(|message| of(message, channel))
    }

    /// Whether it has a successful reply on a meta channel.
    pub(super) fn succeeds(&self, channel: &str) -> bool {
        self.reply(channel).is_some_and(|reply| reply.get("successful") == Some(&Value::Bool(true)))
    }

    pub(super) fn software(&self) -> Software {
        Software::of(&self.headers)
    }

    /// What browsers would send back, as the value of a `Cookie` header.
    fn cookies(&self) -> String {
        let set = self.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = set.map(|line| line.split(';').next().unwrap_or_default().trim());
        pairs.take(COOKIES_MAX).collect::<Vec<_>>().join("; ")
    }

    /// What it is, in words: the refusal, or status and beginning of the body.
    pub(super) fn summary(&self) -> String {
        let error = |message: &Value| message.get("error")?.as_str().map(str::to_owned);
        if let Some(error) = self.messages().iter().find_map(error) {
            return format!("refused with {error}");
        }
        let mut text = format!("answered with {}", self.status.as_u16());
        if let Some(location) = self.headers.get(LOCATION).and_then(|value| value.to_str().ok()) {
            text += &format!(", see {location}");
        }
        let body = String::from_utf8_lossy(&self.body);
        let line = body.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
        let line: String = line.chars().take(LINE_CHARS_MAX).collect();
        if line.is_empty() { text } else { format!("{text}: {line}") }
    }
}

/// Whether a message is of a channel.
pub(super) fn of(message: &Value, channel: &str) -> bool {
    message.get("channel").and_then(Value::as_str) == Some(channel)
}

/// A handshake; `filling` makes it larger.
pub(super) fn handshake(types: &[&str], filling: &str) -> Value {
    let mut message = json!({
        "channel": "/meta/handshake", "version": "1.0", "minimumVersion": "1.0", "id": "h",
        "supportedConnectionTypes": types,
    });
    if let (false, Some(fields)) = (filling.is_empty(), message.as_object_mut()) {
        fields.insert("ext".to_owned(), json!({ "doctor": filling }));
    }
    json!([message])
}

/// Reads a body within bounds.
async fn body_of(response: Response<Incoming>) -> Result<Vec<u8>, Failure> {
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect();
    let late = |_| Failure::Failed("the response does not end".to_owned());
    let broken = |error| Failure::Failed(format!("the response broke off: {error}"));
    Ok(timeout(BODY_TIME, body).await.map_err(late)?.map_err(broken)?.to_bytes().into())
}

/// The advised hold of a server that advises none (Bayeux 1.0 leaves it to the client).
const HOLD: Duration = Duration::from_secs(30);
/// Who advises more is examined for so long.
const HOLD_MAX: Duration = Duration::from_secs(10 * 60);
const BODY_TIME: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: usize = 1 << 20;
const COOKIES_MAX: usize = 8;
const LINE_CHARS_MAX: usize = 120;
