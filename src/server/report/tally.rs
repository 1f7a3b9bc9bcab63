//! What a refusal counts as. Counted always; the log and the events beside it are sampled.

use crate::{
    bayeux::Refusal,
    events::{EventType, Operation},
    metrics::{BadRequest, Denied, HandshakeResult, LimitHit, UnknownOn},
    server::app::App,
};

/// Counts a message that was answered with an error; `channel` is where it was sent.
pub(super) fn refused(app: &App, channel: &str, kind: EventType, refusal: Refusal) {
    let metrics = &app.metrics;
    if kind == EventType::Handshake {
        let result = match refusal {
            Refusal::HandshakeDenied => HandshakeResult::Denied,
            Refusal::Overloaded => HandshakeResult::Limited,
            _ => HandshakeResult::Bad,
        };
        metrics.handshakes.add(result, 1);
    }
    match refusal {
        // Counted where keys are judged.
        Refusal::HandshakeDenied => return,
        Refusal::SessionUnknown => metrics.unknown_session.add(unknown_on(channel), 1),
        Refusal::Overloaded => metrics.limit_hits.add(overload(app, kind), 1),
        Refusal::UseMonitor { .. } => metrics.denied.add(Denied::Subscribe, 1),
        Refusal::MessageTooLarge { .. } => metrics.limit_hits.add(LimitHit::MessageSize, 1),
        Refusal::RateLimited { .. } => metrics.limit_hits.add(LimitHit::ApiRate, 1),
        Refusal::CreateDenied { reason }
        | Refusal::SubscribeDenied { reason }
        | Refusal::ChannelCreateDenied { reason }
        | Refusal::PublishDenied { reason } => match (reason, kind) {
            ("channel_limit", _) => metrics.limit_hits.add(LimitHit::Channels, 1),
            ("subscription_limit", _) => metrics.limit_hits.add(LimitHit::Subscriptions, 1),
            (_, EventType::Publish) => metrics.denied.add(Denied::Publish, 1),
            _ => metrics.denied.add(Denied::Subscribe, 1),
        },
        Refusal::ChannelMissing | Refusal::ChannelInvalid { .. } => {
            metrics.bad_requests.add(BadRequest::Channel, 1)
        }
        Refusal::DataMissing
        | Refusal::HandshakeFailed
        | Refusal::SubscriptionMissing
        | Refusal::SubscriptionInvalid { .. }
        | Refusal::MonitorFilterInvalid
        | Refusal::MessageIdInvalid => metrics.bad_requests.add(BadRequest::Field, 1),
    };
}

/// Counts a key that is none, or does not cover what was asked.
pub(super) fn key_refused(app: &App, op: Operation) {
    let denied = match op {
        Operation::Handshake => Denied::HandshakeKey,
        Operation::Api => Denied::ApiKey,
        Operation::Admin => Denied::AdminKey,
    };
    app.metrics.denied.add(denied, 1);
}

/// Counts a publish over HTTP that was refused, by the code of its answer.
pub(super) fn publish_refused(app: &App, code: &str) {
    let metrics = &app.metrics;
    match code {
        "unauthorized" => metrics.denied.add(Denied::ApiKey, 1),
        "channel_denied" => metrics.denied.add(Denied::ApiPolicy, 1),
        "rate_limited" => metrics.limit_hits.add(LimitHit::ApiRate, 1),
        "too_large" => metrics.limit_hits.add(LimitHit::ApiSize, 1),
        "overloaded" => metrics.limit_hits.add(LimitHit::QueuedBytes, 1),
        // Counted where origins are judged.
        "origin_denied" | "draining" => return,
        _ => match api_fault(code) {
            Some(reason) => metrics.bad_requests.add(reason, 1),
            None => return,
        },
    };
}

/// The reason that stands for a code of the publish API.
fn api_fault(code: &str) -> Option<BadRequest> {
    let named = |reason: &BadRequest| reason.as_str().strip_prefix("api_") == Some(code);
    BadRequest::ALL.iter().copied().find(named)
}

/// Which limit makes the broker say that it is overloaded.
fn overload(app: &App, kind: EventType) -> LimitHit {
    let full = app.broker.sessions() >= app.broker.sessions_max();
    if kind == EventType::Handshake && full { LimitHit::Sessions } else { LimitHit::QueuedBytes }
}

fn unknown_on(channel: &str) -> UnknownOn {
    match channel {
        "/meta/connect" => UnknownOn::Connect,
        "/meta/subscribe" => UnknownOn::Subscribe,
        "/meta/unsubscribe" => UnknownOn::Unsubscribe,
        "/meta/disconnect" => UnknownOn::Disconnect,
        _ => UnknownOn::Publish,
    }
}
