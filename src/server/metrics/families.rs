//! What is on the page: every family, its help, and where its numbers come from.
//!
//! Reading costs the same whatever the broker holds: no session, channel or queue is looked at.
//! docs/metrics.md explains the same list, and a test compares the two.

use crate::{
    broker::Counter,
    events::{Cause, EventType, TransportKind, Via},
    metrics::{
        BadRequest, CallResult, Denied, HandshakeResult, HttpPath, LimitHit, Loss, Page, Reply,
        Route, SocketClose, Source, SpanLoss, StatusClass, UNITS_PER_SECOND, UnknownOn,
    },
    otel::Tracer,
    server::app::App,
};

/// Puts the page together.
pub(super) fn page(app: &App) -> Page {
    let mut page = Page::default();
    node(app, &mut page);
    sessions(app, &mut page);
    messages(app, &mut page);
    queues(app, &mut page);
    services(app, &mut page);
    timing(app, &mut page);
    trouble(app, &mut page);
    traces(app, &mut page);
    page.process();
    page
}

fn node(app: &App, page: &mut Page) {
    let metrics = &app.metrics;
    page.info(
        "build_info",
        "Always 1; the version is in the label.",
        &[("version", env!("CARGO_PKG_VERSION"))],
    );
    let draining = u64::from(app.drain.is_announced());
    page.gauge::<()>("draining", "1 while the broker stops.", &[], [draining]);
    page.histogram(
        "runtime_lag_seconds",
        "How late the runtime runs what is due, asked twice a second.",
        UNITS_PER_SECOND,
        &metrics.runtime_lag,
    );
    page.counter::<(HttpPath, StatusClass)>(
        "http_requests_total",
        "HTTP requests answered, by what they were for.",
        &["path", "code"],
        &metrics.http_requests,
    );
    let events = app.broker.events();
    page.counter_values::<EventType>(
        "monitor_events_total",
        "Events that a monitor listened for or that are kept for a while, by type.",
        &["type"],
        EventType::ALL.iter().map(|kind| events.told(*kind)),
    );
    page.counter_values::<()>(
        "monitor_lost_total",
        "Events that monitors did not get because they read too slowly.",
        &[],
        [events.lost()],
    );
}

fn sessions(app: &App, page: &mut Page) {
    let (metrics, broker) = (&app.metrics, &app.broker);
    let counters = broker.counters();
    page.gauge::<Route>(
        "sessions",
        "Sessions that live, by the transport of their last connect.",
        &["transport"],
        counters.sessions.values(),
    );
    page.counter::<Route>(
        "sessions_created_total",
        "Sessions opened, by the transport of their handshake.",
        &["transport"],
        &metrics.sessions_created,
    );
    page.counter::<Cause>(
        "sessions_closed_total",
        "Sessions ended, by cause.",
        &["cause"],
        &counters.sessions_ended,
    );
    page.counter::<HandshakeResult>(
        "handshakes_total",
        "Handshakes answered, by result.",
        &["result"],
        &metrics.handshakes,
    );
    page.counter::<UnknownOn>(
        "unknown_session_total",
        "Messages answered with 402, their session being unknown, by what they wanted.",
        &["on"],
        &metrics.unknown_session,
    );
    page.gauge::<()>(
        "websocket_connections",
        "Open WebSocket connections.",
        &[],
        metrics.websocket_connections.values(),
    );
    page.counter::<SocketClose>(
        "websocket_closes_total",
        "WebSocket connections ended, by close code; 1006: without one.",
        &["code"],
        &metrics.websocket_closes,
    );
    page.counter_values::<TransportKind>(
        "transport_changes_total",
        "Sessions that changed their transport, or were steered to another.",
        &["kind"],
        [metrics.transport_switches.value(), counters.demoted.value(), counters.promoted.value()],
    );
    let held = counters.connects_held.value() as u64;
    page.gauge::<()>("connects_held", "Connects and streams that are held.", &[], [held]);
    page.counter::<Reply>(
        "connect_replies_total",
        "Connects answered, by the reason why then.",
        &["kind"],
        &metrics.connect_replies,
    );
    let connections = app.connections.open() as u64;
    page.gauge::<()>("connections", "Open connections of Bayeux listeners.", &[], [connections]);
    let most = app.connections.max() as u64;
    page.gauge::<()>("connections_limit", "limits.connections.", &[], [most]);
    let monitors = broker.events().monitors() as u64;
    page.gauge::<()>("monitor_subscribers", "Sessions that monitor.", &[], [monitors]);
}

fn messages(app: &App, page: &mut Page) {
    let (metrics, counters) = (&app.metrics, app.broker.counters());
    page.counter::<Via>(
        "messages_received_total",
        "Messages taken from publishers, to broadcast channels.",
        &["via"],
        &metrics.received,
    );
    page.counter_values::<()>(
        "messages_queued_total",
        "Messages put into the queues of sessions: one for each session reached.",
        &[],
        [counters.queued.value()],
    );
    page.counter_values::<Route>(
        "messages_delivered_total",
        "Messages written to clients; with the ack extension, acknowledged ones.",
        &["transport"],
        counters.delivered.messages(),
    );
    page.counter_values::<()>(
        "messages_refused_total",
        "Publishes refused because all queues together were full.",
        &[],
        [counters.publishes_refused.value()],
    );
    page.counter::<Source>(
        "bytes_received_total",
        "Bytes of request bodies and WebSocket messages that clients and publishers sent.",
        &["from"],
        &metrics.bytes_received,
    );
    page.counter_values::<Route>(
        "bytes_delivered_total",
        "Bytes of the messages delivered, before compression.",
        &["transport"],
        counters.delivered.bytes(),
    );
    page.histogram(
        "message_size_bytes",
        "Size of the data of published messages.",
        1.0,
        &metrics.message_size,
    );
    page.histogram("fanout", "Sessions that a published message reached.", 1.0, &counters.fan_out);
}

fn services(app: &App, page: &mut Page) {
    let counters = app.services.counters();
    page.counter_values::<CallResult>(
        "service_calls_total",
        "Messages to service channels, by what came of them.",
        &["result"],
        [
            &counters.replied,
            &counters.silent,
            &counters.failed,
            &counters.timed_out,
            &counters.overloaded,
        ]
        .map(Counter::value),
    );
    page.counter_values::<()>(
        "service_replies_lost_total",
        "Replies and failures of services whose session had ended meanwhile.",
        &[],
        [counters.dropped.value()],
    );
}

fn queues(app: &App, page: &mut Page) {
    let (broker, counters) = (&app.broker, app.broker.counters());
    let channels = broker.channels() as u64;
    page.gauge::<()>("channels", "Live channels and patterns.", &[], [channels]);
    let subscriptions = counters.subscriptions.value() as u64;
    page.gauge::<()>("subscriptions", "Subscriptions of all sessions.", &[], [subscriptions]);
    page.gauge::<()>(
        "queue_messages",
        "Messages that wait in queues, on their way out or for an acknowledgement.",
        &[],
        [counters.waiting()],
    );
    let bytes = broker.queued_bytes() as u64;
    page.gauge::<()>(
        "queue_bytes",
        "Bytes of all waiting messages, each counted once however many sessions it waits for.",
        &[],
        [bytes],
    );
    let limit = broker.queued_bytes_max() as u64;
    page.gauge::<()>(
        "queue_bytes_limit",
        "limits.queued_bytes: at 70 % of it handshakes are refused.",
        &[],
        [limit],
    );
    page.histogram(
        "delivery_batch_messages",
        "Messages that were written together; sampled, as delivery_latency_seconds.",
        1.0,
        counters.delivered.batches(),
    );
    page.counter_values::<Loss>(
        "messages_dropped_total",
        "Messages of lossy channels dropped from queues, by policy.",
        &["reason"],
        [counters.dropped_oldest.value(), counters.dropped_latest.value()],
    );
    page.counter::<Cause>(
        "messages_discarded_total",
        "Messages that waited for a session when it ended, by the cause of its end.",
        &["cause"],
        &counters.discarded,
    );
}

fn timing(app: &App, page: &mut Page) {
    let (metrics, counters) = (&app.metrics, app.broker.counters());
    page.histograms::<Route>(
        "delivery_latency_seconds",
        "From a message's arrival until it is written, of one message in eight, for clients that were there when it arrived.",
        &["transport"],
        UNITS_PER_SECOND,
        counters.delivered.latencies(),
    );
    page.histograms::<Via>(
        "publish_duration_seconds",
        "From a message's arrival until it is in every queue, of one message in eight.",
        &["via"],
        UNITS_PER_SECOND,
        metrics.publish_duration.iter(),
    );
    page.histogram(
        "connect_hold_seconds",
        "From a connect's arrival to its reply.",
        UNITS_PER_SECOND,
        &metrics.connect_hold,
    );
}

fn trouble(app: &App, page: &mut Page) {
    let metrics = &app.metrics;
    page.counter::<Denied>(
        "denied_total",
        "What was refused because its sender may not do it.",
        &["op", "reason"],
        &metrics.denied,
    );
    page.counter_values::<LimitHit>(
        "limit_hits_total",
        "What was refused because it went beyond a limit, by configuration key.",
        &["limit"],
        LimitHit::ALL.iter().map(|limit| match limit {
            LimitHit::Connections => app.connections.refused(),
            LimitHit::ServiceCalls => app.services.counters().overloaded.value(),
            LimitHit::Traces => app.tracer.as_ref().map_or(0, Tracer::limited),
            limit => metrics.limit_hits.of(*limit),
        }),
    );
    page.counter::<BadRequest>(
        "bad_requests_total",
        "What could not be used, by reason.",
        &["reason"],
        &metrics.bad_requests,
    );
    page.counter_values::<()>(
        "idempotency_evicted_total",
        "Results of messages with an idempotency key that were forgotten before their time.",
        &[],
        [app.api.results_forgotten()],
    );
}

fn traces(app: &App, page: &mut Page) {
    let tracer = app.tracer.as_ref();
    page.counter_values::<()>(
        "otel_spans_exported_total",
        "Spans of traces that the OpenTelemetry collector has taken.",
        &[],
        [tracer.map_or(0, Tracer::exported)],
    );
    let lost = tracer.map(Tracer::lost).unwrap_or_else(|| vec![0; SpanLoss::ALL.len()]);
    page.counter_values::<SpanLoss>(
        "otel_spans_dropped_total",
        "Spans of traces that it did not get, by reason.",
        &["reason"],
        lost,
    );
}
