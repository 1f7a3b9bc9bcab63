//! Traces of what is published: where they begin, and the task that sends them.
//!
//! In a build without the feature `otel` no [`Tracer`](crate::otel::Tracer) has a value, and all of this
//! compiles to nothing.

use std::{sync::Arc, time::Instant};

use hyper::HeaderMap;
use tokio::{sync::oneshot, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::{app::App, clock};
use crate::{
    bayeux::ChannelName,
    broker::Payload,
    events::Via,
    otel::{Parent, Publishing, Start},
};

/// Begins the trace of a message that comes at `now`, if it is one of those that are traced.
pub(super) fn begin(
    app: &App,
    channel: &ChannelName,
    payload: &Payload<'_>,
    via: Via,
    parent: Option<&Parent>,
    now: Instant,
) -> Option<Publishing> {
    let tracer = app.tracer.as_ref()?;
    if !tracer.wants(parent, app.age(now)) {
        return None;
    }
    tracer.begin(&Start {
        channel,
        body_bytes: payload.data.get().len(),
        via,
        parent,
        accepted: app.broker.micros(now),
        time: clock::time_of_day(),
    })
}

/// The span of a caller, if anybody traces.
pub(super) fn parent(app: &App, headers: &HeaderMap) -> Option<Parent> {
    app.tracer.as_ref()?;
    let values = |name| headers.get_all(name).iter().map(|value| value.as_bytes());
    Some(Parent::read(values("traceparent"))?.with_state(values("tracestate")))
}

/// The task that sends spans; ends when dropped.
pub(super) struct Exporting {
    task: AbortOnDropHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Exporting {
    /// Begins to send, if anybody traces.
    pub(super) fn start(app: &Arc<App>) -> Option<Self> {
        app.tracer.as_ref()?;
        let (stop, stopped) = oneshot::channel();
        let app = Arc::clone(app);
        let task = tokio::spawn(async move {
            if let Some(tracer) = &app.tracer {
                tracer.export(async { drop(stopped.await) }).await;
            }
        });
        Some(Self { task: AbortOnDropHandle::new(task), stop })
    }

    /// Sends what waits, for `otel.timeout` at most; what the collector has not taken then is lost.
    pub(super) async fn finish(self, app: &App) {
        let (Self { mut task, stop }, Some(tracer)) = (self, &app.tracer) else { return };
        let _ = stop.send(());
        let mut under_way = 0;
        if timeout(app.config.otel.timeout, &mut task).await.is_err() {
            let lost: u64 = tracer.lost().iter().sum();
            task.abort();
            let _ = task.await;
            under_way = tracer.lost().iter().sum::<u64>() - lost;
        }
        let spans = tracer.waiting() as u64 + under_way;
        if spans > 0 {
            warn!(event = "node", spans, key = "otel.timeout", "spans of traces were not sent");
        }
    }
}
