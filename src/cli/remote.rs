//! Requests to a broker that runs, for the commands that ask it something.
//!
//! HTTP/1.1, with TLS for `https://`, one connection a request. The key comes from `--key-file`, from `BAYEUXD_KEY`, or
//! from the file in which a broker of the same user keeps the one that it made.
//! Source: operations.md 3, 6.

mod key;
mod place;

use std::{
    env, fmt::Write as _, future::Future, io::IsTerminal as _, io::stdout, path::PathBuf,
    time::Duration,
};

use bayeuxd::auth::Secret;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, value::RawValue};
use tokio::{runtime::Builder, time::timeout};

use self::{
    key::{Key, Sought},
    place::{Place, is_here, without_path},
};
use super::{Failure, dial, span};

/// Where clients connect, for `pub` and `sub`.
#[derive(Debug, Args)]
pub(super) struct MainServer {
    /// The broker; also by BAYEUXD_URL. Default: http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// File with the API key; also the key itself by BAYEUXD_KEY.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    patience: Patience,
}

/// Where operators look.
#[derive(Debug, Args)]
pub(super) struct AdminServer {
    /// The broker's operators' listener; also by BAYEUXD_ADMIN_URL. Default: http://127.0.0.1:8081
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,
    /// File with a key of the role admin; also the key itself by BAYEUXD_KEY.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    patience: Patience,
}

/// How long to wait for a broker.
#[derive(Debug, Args)]
pub(super) struct Patience {
    /// Longest wait for an answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = span::parse)]
    timeout: Duration,
}

/// A broker to ask.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    place: Place,
    authorization: Option<HeaderValue>,
    /// The key, if somebody chose it for this command.
    given: Option<Secret>,
    /// Where a key was looked for in vain, for error texts; empty if there is one, or none was looked for.
    looked: String,
    /// The flag by which another broker is named, for error texts.
    flag: &'static str,
    /// Longest wait for an answer.
    timeout: Duration,
}

impl Patience {
    /// Longest wait for an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl MainServer {
    /// The broker that was named, with a publish key if there is one.
    ///
    /// # Errors
    ///
    /// A URL or key that cannot be used.
    pub(super) fn remote(&self) -> Result<Remote, Failure> {
        let url = self.url.clone().or_else(|| env::var("BAYEUXD_URL").ok());
        let url = url.as_deref().unwrap_or("http://127.0.0.1:8080");
        without_path(url, "--url", "expected http://HOST:PORT; `sub` takes the path by --path")?;
        let key = key::find("publish", self.key_file.as_deref(), is_here(url))?;
        Remote::new(url, Some(key), "--url", self.patience.timeout)
    }
}

impl AdminServer {
    /// The broker that was named, with an admin key if there is one.
    ///
    /// # Errors
    ///
    /// A URL or key that cannot be used.
    pub(super) fn remote(&self) -> Result<Remote, Failure> {
        let url = self.admin_url.clone().or_else(|| env::var("BAYEUXD_ADMIN_URL").ok());
        let url = url.as_deref().unwrap_or("http://127.0.0.1:8081");
        without_path(url, "--admin-url", "expected http://HOST:PORT")?;
        let key = key::find("admin", self.key_file.as_deref(), is_here(url))?;
        Remote::new(url, Some(key), "--admin-url", self.patience.timeout)
    }
}

impl Remote {
    /// A server by its address. `flag` is what error texts call it.
    ///
    /// # Errors
    ///
    /// A URL or key that cannot be used.
    pub(super) fn new(
        url: &str,
        sought: Option<Sought>,
        flag: &'static str,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let bearer = |key: &Key| {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.secret.expose()));
            value.map_err(|_| Failure::Usage("the key does not fit into a header".to_owned()))
        };
        let (key, looked) = sought.map_or((None, String::new()), |it| (it.key, it.looked));
        Ok(Self {
            place: Place::parse(url, flag)?,
            looked,
            authorization: key.as_ref().map(bearer).transpose()?,
            given: key.filter(|key| key.given).map(|key| key.secret),
            flag,
            timeout,
        })
    }

    /// The key that somebody chose for this command; not one that a broker made for its user.
    pub(super) fn given_key(&self) -> Option<&str> {
        self.given.as_ref().map(Secret::expose)
    }

    /// Longest wait for an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Name or address, port, and whether with TLS.
    pub(super) fn place(&self) -> (&str, u16, bool) {
        (&self.place.host, self.place.port, self.place.tls)
    }

    /// Whether pages of this origin come from this very address.
    pub(super) fn is_origin(&self, origin: &str) -> bool {
        let scheme = if self.place.tls { "https" } else { "http" };
        let authority = self.place.authority.to_str().unwrap_or_default();
        origin.split_once("://") == Some((scheme, authority))
    }

    /// The same broker, whose answers may take so much longer.
    pub(super) fn holding(&self, hold: Duration) -> Self {
        Self { timeout: self.timeout.saturating_add(hold), ..self.clone() }
    }

    /// Sends a request and waits for the head of the response, whatever its status.
    ///
    /// # Errors
    ///
    /// Nobody listens there, what does speaks no HTTP, or the head does not come in time.
    pub(super) async fn send(
        &self,
        method: Method,
        target: &str,
        body: String,
        headers: &[(&'static str, &str)],
    ) -> Result<Response<Incoming>, Failure> {
        let unreachable = |error: &dyn std::fmt::Display| {
            let (host, port, _) = self.place();
            let flag = self.flag;
            Failure::Unreachable(format!(
                "{host}:{port} {error}; is the broker running, and there? ({flag})"
            ))
        };
        let limit = CONNECT_TIMEOUT.min(self.timeout);
        // Boxed for its size, which is that of a TLS handshake.
        let connecting = Box::pin(dial::connect(&self.place.host, self.place.port, self.place.tls));
        let stream = timeout(limit, connecting)
            .await
            .map_err(|_| unreachable(&"does not answer"))?
            .map_err(|error| unreachable(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(&format_args!("speaks no HTTP: {error}")))?;
        tokio::spawn(connection.with_upgrades());
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, &self.place.authority)
            .header(USER_AGENT, concat!("bayeuxd/", env!("CARGO_PKG_VERSION")));
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::Usage(format!("{target}: {error}")))?;
        timeout(self.timeout, sender.send_request(request))
            .await
            .map_err(|_| self.silent())?
            .map_err(|error| unreachable(&format_args!("broke off: {error}")))
    }

    /// There is somebody, but no answer.
    pub(super) fn silent(&self) -> Failure {
        let ((host, port, _), timeout) = (self.place(), self.timeout);
        let hint = "it hangs or has too much to do; --timeout allows more";
        Failure::Unreachable(format!(
            "{host}:{port} accepted the connection and did not answer within {timeout:?}; {hint}"
        ))
    }

    /// Sends a request and reads the JSON answer, as the text that it is.
    ///
    /// # Errors
    ///
    /// As [`Self::send`]; the broker refuses, with its words.
    pub(super) async fn ask(
        &self,
        method: Method,
        target: &str,
        body: String,
        headers: &[(&'static str, &str)],
    ) -> Result<Box<RawValue>, Failure> {
        let response = self.send(method, target, body, headers).await?;
        if response.status().is_success() {
            self.read(response).await
        } else {
            Err(self.refusal(response).await)
        }
    }

    /// Reads the JSON body of a response, as the text that it is.
    ///
    /// # Errors
    ///
    /// It breaks off, does not end in time, is too large or no JSON.
    pub(super) async fn read(
        &self,
        response: Response<Incoming>,
    ) -> Result<Box<RawValue>, Failure> {
        timeout(self.timeout, read(response)).await.map_err(|_| self.silent())?
    }

    /// What a response other than a success means.
    pub(super) async fn refusal(&self, response: Response<Incoming>) -> Failure {
        let status = response.status();
        match self.read(response).await {
            Ok(answer) => refused(status, &tree(&answer), &self.looked),
            Err(silent @ Failure::Unreachable(_)) => silent,
            Err(_) => self.stranger(status),
        }
    }

    /// The answer is not in our form: of another program, the other listener, or an older broker.
    pub(super) fn stranger(&self, status: StatusCode) -> Failure {
        let flag = self.flag;
        let line = format!("the answer is {status}; is this the right listener? ({flag})");
        Failure::Failed(line)
    }

    /// Reads the answer to a GET.
    ///
    /// # Errors
    ///
    /// See [`Self::ask`].
    pub(super) async fn get(&self, target: &str) -> Result<Box<RawValue>, Failure> {
        self.ask(Method::GET, target, String::new(), &[]).await
    }

    /// Posts JSON and reads the answer.
    ///
    /// # Errors
    ///
    /// See [`Self::ask`].
    pub(super) async fn post(&self, target: &str, body: String) -> Result<Box<RawValue>, Failure> {
        self.ask(Method::POST, target, body, &[]).await
    }
}

/// Reads the JSON body of a response.
///
/// # Errors
///
/// It breaks off, is too large or no JSON.
async fn read(response: Response<Incoming>) -> Result<Box<RawValue>, Failure> {
    let status = response.status();
    let odd = |error: &dyn std::fmt::Display| {
        Failure::Failed(format!("the answer ({status}) is not a broker's: {error}"))
    };
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let bytes = body.map_err(|error| odd(&error))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| odd(&error))
}

/// The parts of an answer, to look at. To be printed it stays text: a number of others need not fit
/// into one of ours, and the order of fields is theirs.
pub(super) fn tree(answer: &RawValue) -> Value {
    // Null for what is nested deeper than any answer of a broker.
    serde_json::from_str(answer.get()).unwrap_or_default()
}

/// What a refusal means for the exit code, in the broker's own words.
fn refused(status: StatusCode, answer: &Value, looked: &str) -> Failure {
    let error = answer.get("error").unwrap_or(answer);
    let message = match error.get("code").and_then(Value::as_str) {
        // The broker's words are for those who use its API.
        Some("session_unknown") => {
            "there is no session of this name; `bayeuxd trace SID` tells what became of it"
        }
        _ => error.get("message").and_then(Value::as_str).unwrap_or("no reason given"),
    };
    let mut line = format!("refused ({}): {}", status.as_u16(), clean(message));
    let problems = error.get("problems").and_then(Value::as_array);
    for problem in problems.into_iter().flatten().filter_map(Value::as_str) {
        line.push_str("\n  ");
        line.push_str(&clean(problem));
    }
    match status {
        StatusCode::UNAUTHORIZED => {
            let looked = if looked.is_empty() { String::new() } else { format!("; {looked}") };
            Failure::Denied(format!("{line}{looked}; give --key-file or BAYEUXD_KEY"))
        }
        StatusCode::FORBIDDEN => Failure::Denied(line),
        _ => Failure::Failed(line),
    }
}

/// Runs a command that waits.
///
/// # Errors
///
/// Those of the command, or a system without event loop.
pub(super) fn wait<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Failed(error.to_string()))?.block_on(command)
}

/// Text of others, fit for a terminal: no control characters.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// JSON of others, fit for a line of a terminal: control characters that JSON lets stand are escaped,
/// and there are no line breaks.
pub(super) fn harmless(json: &str) -> String {
    let mut text = String::new();
    for c in json.chars() {
        match c {
            // Within texts they are escaped already, so these are between values.
            '\n' | '\r' => {}
            '\u{7f}'..='\u{9f}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            _ => text.push(c),
        }
    }
    text
}

/// Whether to colour what goes to standard output.
pub(super) fn colour() -> bool {
    stdout().is_terminal() && env::var_os("NO_COLOR").is_none()
}

/// One segment of a path or one value of a query.
pub(super) fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer that is read: 1,000 sessions are well below.
const ANSWER_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_control_characters() {
        assert_eq!(clean("a\u{1b}[31m\u{9b}\n"), "a\u{fffd}[31m\u{fffd}\u{fffd}");
    }

    #[test]
    fn json_for_a_terminal_is_the_same_without_raw_control_characters() {
        let text = "{\"a\u{9b}\":\r\n\"\u{7f}\u{85}ä\\u009b\"}";
        let shown = harmless(text);
        assert_eq!(shown, "{\"a\\u009b\":\"\\u007f\\u0085ä\\u009b\"}");
        let (before, after): (Value, Value) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(&shown).unwrap());
        assert_eq!(before, after);
    }

    #[test]
    fn refusals_have_the_exit_code_of_their_status() {
        let answer: Value = serde_json::from_str(r#"{"error":{"message":"no"}}"#).unwrap();
        let of = |status| refused(status, &answer, "");
        assert!(matches!(of(StatusCode::UNAUTHORIZED), Failure::Denied(_)));
        assert!(matches!(of(StatusCode::FORBIDDEN), Failure::Denied(_)));
        assert!(matches!(of(StatusCode::CONFLICT), Failure::Failed(_)));
    }
}
