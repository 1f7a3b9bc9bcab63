//! Answers: JSON objects, one per message, and the responses that carry them.

use hyper::{
    Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
        WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    },
};
use serde::Serialize;

use super::{Body, Caller, idempotency::Outcome, problem::Problem};

/// The result of one message, as it is written.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Done {
        ok: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
        sessions: usize,
        queued: usize,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        replayed: bool,
    },
    Refused {
        ok: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
        error: &'a Problem,
    },
}

impl<'a> Shown<'a> {
    fn new(outcome: &'a Outcome, line: Option<u64>) -> Self {
        match outcome {
            Ok(receipt) => Self::Done {
                ok: true,
                line,
                sessions: receipt.sessions,
                queued: receipt.queued,
                replayed: receipt.replayed,
            },
            Err(error) => Self::Refused { ok: false, line, error },
        }
    }
}

/// Appends the result of a message of a stream and a line end; only failures tell their line.
pub(super) fn write_line(out: &mut Vec<u8>, outcome: &Outcome, line: u64) {
    write(out, &Shown::new(outcome, outcome.is_err().then_some(line)));
    out.push(b'\n');
}

/// The response to one message.
pub(super) fn single(outcome: &Outcome) -> Response<Body> {
    match outcome {
        Ok(_) => {
            let mut body = Vec::new();
            write(&mut body, &Shown::new(outcome, None));
            respond(StatusCode::OK, body)
        }
        Err(problem) => refusal(problem),
    }
}

/// The response to several messages, whatever became of each.
pub(super) fn results(outcomes: &[Outcome]) -> Response<Body> {
    #[derive(Serialize)]
    struct Results<'a> {
        results: Vec<Shown<'a>>,
    }
    let results = outcomes.iter().map(|outcome| Shown::new(outcome, None)).collect();
    let mut body = Vec::new();
    write(&mut body, &Results { results });
    respond(StatusCode::OK, body)
}

/// The response to a request that is refused as a whole, which is told.
pub(super) fn refused(caller: &Caller, problem: &Problem) -> Response<Body> {
    caller.log(problem, None);
    refusal(problem)
}

fn refusal(problem: &Problem) -> Response<Body> {
    let mut body = Vec::new();
    write(&mut body, &Shown::Refused { ok: false, line: None, error: problem });
    let mut response = respond(problem.status(), body);
    let headers = response.headers_mut();
    if !problem.retry_after().is_zero() {
        // Whole seconds, and never too early.
        let seconds = problem.retry_after().as_millis().div_ceil(1000) as u64;
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    match problem {
        Problem::Unauthorized { .. } => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bayeuxd\""));
        }
        Problem::MethodNotAllowed { allowed } => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        _ => {}
    }
    response
}

/// Ends the connection with this response, because what follows in it was not read.
pub(super) fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A response whose body is JSON.
pub(super) fn respond(status: StatusCode, body: impl Into<bytes::Bytes>) -> Response<Body> {
    dressed(status, Body::text(body), JSON)
}

/// A response that no proxy keeps or holds back.
pub(super) fn dressed(status: StatusCode, body: Body, kind: HeaderValue) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Appends a value as JSON.
fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    // Neither our values nor a vector can fail to be written.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "{written:?}");
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::publish::message::Receipt;

    fn line(outcome: &Outcome) -> String {
        let mut out = Vec::new();
        write_line(&mut out, outcome, 17);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn results_are_short_and_failures_tell_their_line() {
        let receipt = Receipt { sessions: 3, queued: 1, replayed: false };
        assert_eq!(line(&Ok(receipt)), "{\"ok\":true,\"sessions\":3,\"queued\":1}\n");
        let replayed = Receipt { replayed: true, ..receipt };
        assert_eq!(
            line(&Ok(replayed)),
            "{\"ok\":true,\"sessions\":3,\"queued\":1,\"replayed\":true}\n"
        );
        let failed = line(&Err(Problem::DataMissing));
        assert!(
            failed.starts_with("{\"ok\":false,\"line\":17,\"error\":{\"code\":\"data_missing\"")
        );
    }
}
