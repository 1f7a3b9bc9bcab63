//! What listeners are told of a published message, once it is in every queue; its trace ends with it.
//!
//! Made before the message goes on its way and owning all that it says, because it may outlive the
//! request: whoever publishes may leave, and the message arrives all the same.

use std::sync::Arc;

use crate::{
    bayeux::ChannelName,
    broker::{About, Broker, Payload, Reach, Session},
    events::{EventType, Glance, Subject, Via, What},
    otel::Publishing,
    server::{app::App, clock},
};

/// See the module documentation.
pub(in crate::server) struct Notice {
    broker: Arc<Broker>,
    /// The publisher, if it is a session that has a public name.
    session: Option<Arc<Session>>,
    channel: Arc<str>,
    size: usize,
    via: Via,
    /// The message itself, if somebody may see it.
    data: Option<Box<str>>,
    reach: Arc<Reach>,
    trace: Option<Publishing>,
}

impl Notice {
    /// Prepares what to tell of a message whose receivers `reach` counts.
    pub(in crate::server) fn new(
        app: &App,
        session: Option<&Arc<Session>>,
        channel: &ChannelName,
        payload: &Payload<'_>,
        via: Via,
        reach: &Arc<Reach>,
    ) -> Self {
        let data = payload.data.get();
        Self {
            broker: Arc::clone(&app.broker),
            session: session.filter(|session| session.sid().is_some()).cloned(),
            channel: channel.to_shared(),
            size: data.len(),
            via,
            data: app.broker.events().wants_payloads().then(|| data.into()),
            reach: Arc::clone(reach),
            trace: None,
        }
    }

    /// Ends the span of the message with the telling.
    pub(in crate::server) fn traced(self, trace: Option<Publishing>) -> Self {
        Self { trace, ..self }
    }

    /// Tells that the message is in every queue.
    pub(in crate::server) fn tell(self) {
        let Self { broker, session, channel, size, via, data, reach, trace } = self;
        if let Some(trace) = trace {
            trace.arrived(broker.micros(clock::now()), &reach);
        }
        let what = || What::Publish {
            channel: Arc::clone(&channel),
            size,
            fanout: reach.sessions(),
            via,
            data,
        };
        match session {
            Some(session) => {
                broker.tell(&session, About::of(EventType::Publish).on(&channel), what);
            }
            None => {
                let glance = Glance { channel: Some(&channel), ..Glance::of(EventType::Publish) };
                broker.events().emit(&glance, || (Subject::default(), what()));
            }
        }
    }
}
