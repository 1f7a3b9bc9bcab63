//! Requests to a broker that runs, for the commands that ask it something.
//!
//! HTTP/1.1, with TLS for `https://`, one connection a request. The key comes from `--key-file`, from `BAYEUXD_KEY`, or
//! from the file in which a broker of the same user keeps the one that it made.
//! Source: operations.md 3, 6.

mod key;

use std::{
    env,
    fmt::{Display, Write as _},
    future::Future,
    io::IsTerminal as _,
    io::stdout,
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{runtime::Builder, time::timeout};

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
    host: String,
    port: u16,
    tls: bool,
    authority: HeaderValue,
    authorization: Option<HeaderValue>,
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
        let key = key::find("publish", self.key_file.as_deref(), is_here(url))?;
        Remote::new(url, key.as_ref(), "--url", self.patience.timeout)
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
        let key = key::find("admin", self.key_file.as_deref(), is_here(url))?;
        Remote::new(url, key.as_ref(), "--admin-url", self.patience.timeout)
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
        key: Option<&bayeuxd::auth::Secret>,
        flag: &'static str,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let bad = || {
            let reason = "expected http://HOST:PORT or https://HOST:PORT";
            Failure::Usage(format!("{flag} {url}: {reason}"))
        };
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad()),
        };
        if authority.as_str().contains('@') {
            return Err(bad());
        }
        let bearer = |key: &bayeuxd::auth::Secret| {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
            value.map_err(|_| Failure::Usage("the key does not fit into a header".to_owned()))
        };
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| bad())?,
            authorization: key.map(bearer).transpose()?,
            flag,
            timeout,
        })
    }

    /// Longest wait for an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Name or address, port, and whether with TLS.
    pub(super) fn place(&self) -> (&str, u16, bool) {
        (&self.host, self.port, self.tls)
    }

    /// Whether pages of this origin come from this very address.
    pub(super) fn is_origin(&self, origin: &str) -> bool {
        let scheme = if self.tls { "https" } else { "http" };
        origin.split_once("://") == Some((scheme, self.authority.to_str().unwrap_or_default()))
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
            let (at, flag) = (format!("{}:{}", self.host, self.port), self.flag);
            Failure::Unreachable(format!(
                "{at} {error}; is the broker running, and there? ({flag})"
            ))
        };
        let limit = CONNECT_TIMEOUT.min(self.timeout);
        // Boxed for its size, which is that of a TLS handshake.
        let connecting = Box::pin(dial::connect(&self.host, self.port, self.tls));
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
            .header(HOST, &self.authority)
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
        let Self { host, port, timeout, .. } = self;
        let hint = "it hangs or has too much to do; --timeout allows more";
        Failure::Unreachable(format!(
            "{host}:{port} accepted the connection and did not answer within {timeout:?}; {hint}"
        ))
    }

    /// Sends a request and reads the JSON answer.
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
    ) -> Result<Value, Failure> {
        let response = self.send(method, target, body, headers).await?;
        if response.status().is_success() {
            self.read(response).await
        } else {
            Err(self.refusal(response).await)
        }
    }

    /// Reads the JSON body of a response.
    ///
    /// # Errors
    ///
    /// It breaks off, does not end in time, is too large or no JSON.
    pub(super) async fn read(&self, response: Response<Incoming>) -> Result<Value, Failure> {
        timeout(self.timeout, read(response)).await.map_err(|_| self.silent())?
    }

    /// What a response other than a success means.
    pub(super) async fn refusal(&self, response: Response<Incoming>) -> Failure {
        let status = response.status();
        match self.read(response).await {
            Ok(answer) => refused(status, &answer),
            Err(silent @ Failure::Unreachable(_)) => silent,
            // Not in our form: another program, the other listener, or an older broker.
            Err(_) => {
                let flag = self.flag;
                Failure::Failed(format!(
                    "the answer is {status}; is this the right listener? ({flag})"
                ))
            }
        }
    }

    /// Reads the answer to a GET.
    ///
    /// # Errors
    ///
    /// See [`Self::ask`].
    pub(super) async fn get(&self, target: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, target, String::new(), &[]).await
    }

    /// Posts JSON and reads the answer.
    ///
    /// # Errors
    ///
    /// See [`Self::ask`].
    pub(super) async fn post(&self, target: &str, body: String) -> Result<Value, Failure> {
        self.ask(Method::POST, target, body, &[]).await
    }
}

/// Whether a URL names this machine: only here a key that a broker made for itself is shown.
fn is_here(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let Some(host) = uri.as_ref().and_then(Uri::host) else { return false };
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Reads the JSON body of a response.
///
/// # Errors
///
/// It breaks off, is too large or no JSON.
async fn read(response: Response<Incoming>) -> Result<Value, Failure> {
    let status = response.status();
    let odd = |error: &dyn std::fmt::Display| {
        Failure::Failed(format!("the answer ({status}) is not a broker's: {error}"))
    };
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let bytes = body.map_err(|error| odd(&error))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| odd(&error))
}

/// What a refusal means for the exit code, in the broker's own words.
fn refused(status: StatusCode, answer: &Value) -> Failure {
    let error = answer.get("error").unwrap_or(answer);
    let message = error.get("message").and_then(Value::as_str).unwrap_or("no reason given");
    let mut line = format!("refused ({}): {}", status.as_u16(), clean(message));
    let problems = error.get("problems").and_then(Value::as_array);
    for problem in problems.into_iter().flatten().filter_map(Value::as_str) {
        line.push_str("\n  ");
        line.push_str(&clean(problem));
    }
    match status {
        StatusCode::UNAUTHORIZED => {
            Failure::Denied(format!("{line}; give --key-file or BAYEUXD_KEY"))
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

/// JSON of others, fit for a terminal: control characters that JSON lets stand are escaped.
pub(super) fn harmless(json: &impl Display) -> String {
    let mut text = String::new();
    for c in json.to_string().chars() {
        // The others are escaped already, or white space between values.
        if matches!(c, '\u{7f}'..='\u{9f}') {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
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
    fn a_url_names_host_and_port() {
        let remote = Remote::new("http://[::1]:8081/x", None, "--url", CONNECT_TIMEOUT).unwrap();
        assert_eq!((remote.host.as_str(), remote.port), ("::1", 8081));
        let remote = Remote::new("https://a", None, "--url", CONNECT_TIMEOUT).unwrap();
        assert_eq!((remote.host.as_str(), remote.port), ("a", 443));
        for url in ["ftp://a", "a:80", "http://u:p@a", "http://", ""] {
            assert!(
                matches!(Remote::new(url, None, "--url", CONNECT_TIMEOUT), Err(Failure::Usage(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn a_generated_key_is_for_this_machine_only() {
        for url in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"] {
            assert!(is_here(url), "{url}");
        }
        for url in ["http://10.0.0.1", "http://localhost.a.example", "http://a@127.0.0.1.b", ""] {
            assert!(!is_here(url), "{url}");
        }
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        assert_eq!(clean("a\u{1b}[31m\u{9b}\n"), "a\u{fffd}[31m\u{fffd}\u{fffd}");
    }

    #[test]
    fn json_for_a_terminal_is_the_same_without_raw_control_characters() {
        let text = "{\"a\u{9b}\":\"\u{7f}\u{85}ä\\u009b\"}";
        let shown = harmless(&text);
        assert_eq!(shown, "{\"a\\u009b\":\"\\u007f\\u0085ä\\u009b\"}");
        let (before, after): (Value, Value) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(&shown).unwrap());
        assert_eq!(before, after);
    }

    #[test]
    fn refusals_have_the_exit_code_of_their_status() {
        let answer: Value = serde_json::from_str(r#"{"error":{"message":"no"}}"#).unwrap();
        let of = |status| refused(status, &answer);
        assert!(matches!(of(StatusCode::UNAUTHORIZED), Failure::Denied(_)));
        assert!(matches!(of(StatusCode::FORBIDDEN), Failure::Denied(_)));
        assert!(matches!(of(StatusCode::CONFLICT), Failure::Failed(_)));
    }
}
