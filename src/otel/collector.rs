//! The collector, and what it says to a batch of spans.
//!
//! A connection serves the batches of one round and is closed, so none is ever used that the other side
//! has given up meanwhile. Redirects are not followed. Source: OTLP 1.x, "OTLP/HTTP".

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::RETRY_AFTER,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{BadOtel, headers::headers};
use crate::{config::Otel, place::Place};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Collector {
    place: Place,
    target: Uri,
    headers: HeaderMap,
    limit: Duration,
}

/// A connection to it.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The collector has it, but for the spans that it did not want.
    Taken { refused: usize, why: String },
    /// It has nothing of it, and may take it later; perhaps it says when.
    Later { after: Option<Duration>, why: String },
    /// It does not want it.
    Refused { why: String },
    /// Nobody knows whether it has it.
    Unanswered { why: String },
}

impl Collector {
    /// The collector of the section. Reads the file of headers.
    ///
    /// # Errors
    /// A URL or file that cannot be used.
    pub(super) fn new(settings: &Otel) -> Result<Self, BadOtel> {
        let bad = || BadOtel::Endpoint(settings.endpoint.clone());
        let place = Place::parse(&settings.endpoint)
            .filter(|place| place.target.query().is_none())
            .ok_or_else(bad)?;
        let base = place.target.path().trim_end_matches('/');
        // Who copies the whole URL from somewhere means the same.
        let base = base.strip_suffix(TRACES).unwrap_or(base);
        Ok(Self {
            target: format!("{base}{TRACES}").parse().map_err(|_| bad())?,
            headers: headers(&place, settings.headers_file.as_deref())?,
            place,
            limit: settings.timeout,
        })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn connect(&self) -> Result<Connection, String> {
        let connecting = async {
            let stream = self.place.connect().await?;
            let mut builder = http1::Builder::new();
            builder.max_buf_size(HEAD_BYTES_MAX);
            Ok(builder.handshake(TokioIo::new(stream)).await?)
        };
        let shaken: Result<Result<_, Box<dyn Error + Send + Sync>>, _> =
            timeout(self.limit, connecting).await;
        let (sender, connection) =
            shaken.map_err(|_| self.late())?.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Connection { sender, _driver: AbortOnDropHandle::new(driver) })
    }

    /// Sends a batch and reads what the collector says.
    pub(super) async fn send(&self, connection: &mut Connection, body: Bytes) -> Answer {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        let asking = async {
            match connection.sender.send_request(request).await {
                Ok(response) => answer(response).await,
                Err(error) if error.is_canceled() => {
                    Answer::Later { after: None, why: error.to_string() }
                }
                Err(error) => Answer::Unanswered { why: error.to_string() },
            }
        };
        let answered = timeout(self.limit, asking).await;
        answered.unwrap_or_else(|_| Answer::Unanswered { why: self.late() })
    }

    /// Whether a connection takes another batch: not one whose other end has answered and reads no more.
    pub(super) async fn is_open(&self, connection: &mut Connection) -> bool {
        matches!(timeout(self.limit, connection.sender.ready()).await, Ok(Ok(())))
    }

    fn late(&self) -> String {
        format!("no answer within {:?}", self.limit)
    }
}

async fn answer(response: Response<Incoming>) -> Answer {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = after.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let why = format!("status {}", status.as_u16());
    match status {
        // The answer itself is of use only if some spans were refused.
        status if status.is_success() => {
            partly(&body.map(|body| body.to_bytes()).unwrap_or_default())
        }
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Answer::Later { after, why },
        _ => Answer::Refused { why },
    }
}

/// Reads `{"partialSuccess":{"rejectedSpans":"2","errorMessage":"…"}}`.
fn partly(body: &[u8]) -> Answer {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Response {
        partial_success: Option<Partial>,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Partial {
        rejected_spans: Count,
        error_message: String,
    }
    /// A 64-bit number is written as text, but not by everybody.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Count {
        Number(usize),
        Text(String),
    }
    impl Default for Count {
        fn default() -> Self {
            Self::Number(0)
        }
    }
    let response: Response = serde_json::from_slice(body).unwrap_or_default();
    let partial = response.partial_success.unwrap_or_default();
    let refused = match partial.rejected_spans {
        Count::Number(number) => number,
        Count::Text(text) => text.parse().unwrap_or_default(),
    };
    Answer::Taken { refused, why: partial.error_message.chars().take(WHY_CHARS).collect() }
}

/// Where traces go, below the endpoint.
const TRACES: &str = "/v1/traces";
/// Largest head of an answer, and buffer of a connection.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Largest body of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Characters of the collector's reason that the log shows.
const WHY_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(endpoint: &str) -> Option<Collector> {
        Collector::new(&Otel { endpoint: endpoint.into(), ..Otel::default() }).ok()
    }

    #[test]
    fn the_path_of_traces_is_put_behind_the_endpoint() {
        for (endpoint, target) in [
            ("http://127.0.0.1:4318", "/v1/traces"),
            ("http://collector/", "/v1/traces"),
            ("http://[::1]:4318/otlp/", "/otlp/v1/traces"),
            ("http://collector:4318/v1/traces", "/v1/traces"),
        ] {
            assert_eq!(collector(endpoint).unwrap().target, target, "{endpoint}");
        }
        for bad in ["https://h", "http://h:99999", "http://h/?a=b"] {
            assert!(collector(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_is_refused_of_a_batch_is_read_in_either_form() {
        let taken = |refused, why: &str| Answer::Taken { refused, why: why.into() };
        for (body, answer) in [
            ("", taken(0, "")),
            ("{}", taken(0, "")),
            ("no json", taken(0, "")),
            (r#"{"partialSuccess":{}}"#, taken(0, "")),
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"full"}}"#, taken(3, "full")),
            (r#"{"partialSuccess":{"rejectedSpans":4}}"#, taken(4, "")),
        ] {
            assert_eq!(partly(body.as_bytes()), answer, "{body}");
        }
        let long = format!(r#"{{"partialSuccess":{{"errorMessage":"{}"}}}}"#, "x".repeat(5000));
        assert_eq!(partly(long.as_bytes()), taken(0, &"x".repeat(200)));
    }
}
