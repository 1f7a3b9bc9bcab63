//! What changes something: sessions, the stop, the configuration.
//!
//! Each call is one line of the log, with the name of the key that was shown.

use std::sync::Arc;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    Response, StatusCode,
    body::{Body as _, Bytes},
    header::{CONNECTION, HeaderValue},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;
use tracing::info;

use super::{
    answer,
    api::{Call, Endpoint},
    problem::{Problem, bad},
    sessions::find,
};
use crate::{
    bayeux::{ChannelName, Refusal},
    broker::Session,
    events::Sid,
    server::{app::App, body::Body, inbound::Inbound, report},
};

/// Answers a call that changes something, and says so in the log.
pub(super) async fn act(
    call: &Call<'_>,
    endpoint: Endpoint<'_>,
    body: Inbound,
) -> Result<Response<Body>, Problem> {
    let body = match read(call.app, body).await {
        Ok(body) => body,
        Err(problem) => {
            // What is left of the body is not read, so the connection is of no further use.
            let mut response = problem.respond();
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return Ok(response);
        }
    };
    match endpoint {
        Endpoint::Disconnect(sid) => disconnect(call, sid, &body),
        Endpoint::Subscribe(sid) => subscribe(call, sid, &body, true),
        Endpoint::Unsubscribe(sid) => subscribe(call, sid, &body, false),
        Endpoint::Drain => Ok(drain(call)),
        Endpoint::Reload => reload(call).await,
        _ => Err(Problem::NotFound),
    }
}

/// The body of `disconnect`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Disconnect {
    reason: String,
    reconnect: bool,
}

/// The body of `subscribe` and `unsubscribe`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    channel: String,
}

/// What a change of a session led to.
#[derive(Serialize)]
struct Changed {
    ok: bool,
    sid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions: Option<usize>,
}

fn disconnect(call: &Call<'_>, sid: &str, body: &[u8]) -> Result<Response<Body>, Problem> {
    let Disconnect { reason, reconnect } = parse(body)?.unwrap_or_default();
    if reason.chars().count() > REASON_CHARS_MAX {
        return Err(bad("reason: expected at most 200 characters"));
    }
    let (sid, session) = find(call.app, sid)?;
    if !call.app.broker.kick(&session, reconnect) {
        return Err(Problem::SessionUnknown);
    }
    let (key, ip, call) = (call.principal.id(), call.ip(), "disconnect");
    info!(event = "admin", ok = true, %key, ip, call, %sid, reconnect, reason);
    Ok(changed(sid, None, None))
}

fn subscribe(
    call: &Call<'_>,
    sid: &str,
    body: &[u8],
    subscribe: bool,
) -> Result<Response<Body>, Problem> {
    let app = call.app;
    let wanted: Subscribe =
        parse(body)?.ok_or_else(|| Problem::BadJson("expected {\"channel\":\"/a\"}".into()))?;
    let name = ChannelName::parse(&wanted.channel, app.live.name)
        .map_err(|_| bad("channel: expected a channel or pattern, like /a/**"))?;
    let (sid, session) = find(app, sid)?;
    let done = change(app, &session, &name, subscribe);
    let (key, ip, ok) = (call.principal.id(), call.ip(), done.is_ok());
    let call = if subscribe { "subscribe" } else { "unsubscribe" };
    let error = done.err().map(tracing::field::display);
    info!(event = "admin", ok, %key, ip, call, %sid, channel = name.as_str(), error);
    done.map_err(|refusal| match refusal {
        Refusal::SessionUnknown => Problem::SessionUnknown,
        refusal => Problem::Refused(refusal),
    })?;
    report::subscribed(app, &session, subscribe, &name);
    Ok(changed(sid, Some(name.as_str().to_owned()), Some(session.subscriptions())))
}

fn change(
    app: &App,
    session: &Arc<Session>,
    name: &ChannelName,
    subscribe: bool,
) -> Result<(), Refusal> {
    if subscribe {
        app.broker.subscribe(session, name)
    } else {
        app.broker.unsubscribe(session, name)
    }
}

fn changed(sid: Sid, channel: Option<String>, subscriptions: Option<usize>) -> Response<Body> {
    let changed = Changed { ok: true, sid: sid.to_string(), channel, subscriptions };
    answer::json(StatusCode::OK, &changed)
}

fn drain(call: &Call<'_>) -> Response<Body> {
    #[derive(Serialize)]
    struct Draining {
        ok: bool,
        draining: bool,
        sessions: usize,
    }
    let (key, ip, sessions) = (call.principal.id(), call.ip(), call.app.broker.sessions());
    info!(event = "admin", ok = true, %key, ip, call = "drain", sessions);
    call.app.admin.stop.cancel();
    answer::json(StatusCode::ACCEPTED, &Draining { ok: true, draining: true, sessions })
}

async fn reload(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    #[derive(Serialize)]
    struct Shown<'a> {
        ok: bool,
        reloaded: Vec<&'a str>,
        restart: Vec<&'a str>,
        changes: Vec<ShownChange>,
    }
    #[derive(Serialize)]
    struct ShownChange {
        key: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<Value>,
        reload: &'static str,
    }
    let (key, ip) = (call.principal.id(), call.ip());
    let done = call.app.admin.reload().await;
    info!(event = "admin", ok = done.is_ok(), %key, ip, call = "reload");
    let done = done?;
    let json =
        |value: &Option<_>| value.as_ref().and_then(|value| serde_json::to_value(value).ok());
    let changes = done.changes.iter().map(|change| ShownChange {
        key: change.key,
        before: json(&change.before),
        after: json(&change.after),
        reload: change.reload.word(),
    });
    let shown = Shown {
        ok: true,
        reloaded: done.keys(true),
        restart: done.keys(false),
        changes: changes.collect(),
    };
    Ok(answer::json(StatusCode::OK, &shown))
}

/// Reads a body that is a JSON object; `None`: an empty one.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<Option<T>, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::BadJson("expected a JSON object".into()));
    }
    serde_json::from_slice(body).map(Some).map_err(|error| Problem::BadJson(error.to_string()))
}

/// Reads a body within its bounds of size and time.
async fn read(app: &App, body: Inbound) -> Result<Bytes, Problem> {
    let too_large = || Problem::TooLarge { limit: BODY_BYTES_MAX };
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let collected = Limited::new(body, BODY_BYTES_MAX).collect();
    match timeout(app.live.body_timeout.now(), collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::BadJson("the body is not complete".into())),
        Err(_) => Err(Problem::Timeout),
    }
}

/// All that these calls need.
const BODY_BYTES_MAX: usize = 4 << 10;
const REASON_CHARS_MAX: usize = 200;
