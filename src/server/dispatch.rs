//! From parsed messages to replies: the one way in, shared by all transports.
//!
//! Finds the session of a batch, checks each message, asks the broker and writes the replies in
//! request order. What a transport does with the result, holding a connect or carrying the queue, is
//! its own business. Every publish, from wherever it comes, passes `publish`.
//! Source: Bayeux 1.0 on meta channels; protocol.md 1-47, 65-81, 111-121.

mod publish;

use std::{net::IpAddr, sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tokio::time::sleep;

pub(super) use self::publish::{Taken, carry, carry_told, publish, stamped};
use super::{
    app::App,
    clock,
    connect::{Connect, ConnectRequest, Release, START_ANEW, streamed_advice, unknown_advice},
    cookie::Presented,
    credentials::WRONG_KEY_DELAY,
    handshake::{handshake, monitor_rights},
    report,
    services::Services,
    timesync::Timesync,
    whence::Whence,
};
use crate::{
    auth::Principal,
    bayeux::{
        AckRequest, Advice, ChannelName, ClientId, Kind, Message, MonitorRequest, Names, Refusal,
        Reply, ReplyExt, RequestExt,
    },
    broker::{Batch, BrowserId, Carrier, Cause, Payload, RequestGuard, Session, SessionId, Wakes},
    config::Transport,
    events::ConnectKind,
};

/// Who sends a batch, and how.
pub(super) struct Sender<'a> {
    pub(super) carrier: Carrier,
    /// How, in the words of the protocol.
    pub(super) transport: Transport,
    /// What its request says of it, for events.
    pub(super) whence: Whence<'a>,
    /// Cookies of the request, or of the upgrade that made the WebSocket.
    pub(super) cookies: &'a Presented,
    /// The browser that a new session is bound to.
    pub(super) browser: Option<BrowserId>,
    /// The session that a WebSocket already speaks for.
    pub(super) bound: Option<&'a Arc<Session>>,
    /// The client takes `advice.interval` for seconds (protocol.md 140).
    pub(super) counts_seconds: bool,
    /// Where it comes from.
    pub(super) address: IpAddr,
    /// The key of the request, under which messages without a clientId are published.
    pub(super) principal: Option<&'a Principal>,
    /// It came to the operators' listener, where a session may monitor and nothing else.
    pub(super) monitors_only: bool,
}

impl Sender<'_> {
    pub(super) fn advised(&self, pause: Duration) -> Duration {
        if self.counts_seconds { Duration::ZERO } else { pause }
    }
}

/// What came of a batch.
#[derive(Default)]
pub(super) struct Outcome {
    /// The session that all messages belong to, or that the handshake opened.
    pub(super) session: Option<Arc<Session>>,
    /// A handshake opened `session`; its reply is the only one.
    pub(super) opened: bool,
    /// A handshake was refused for want of room.
    pub(super) overloaded: bool,
    /// The client said goodbye.
    pub(super) disconnected: bool,
    /// The client was sent to a handshake, because it is to change its transport.
    pub(super) steered: bool,
    /// Why no more of the batch is published: what follows would overtake what was refused. The rate of a
    /// key ends only what is published under it.
    publishing_ended: Option<Refusal>,
    /// Replies in request order, separated by commas.
    pub(super) replies: Vec<u8>,
    /// The connect of the batch. If its hold is not zero its reply is still to be written.
    pub(super) connect: Option<Connect>,
    /// Messages that belong to a reply and were taken with it: of a session that acknowledges, or of
    /// a handshake.
    pub(super) taken: Option<Batch>,
    /// Keeps a held poll asleep until this request's response has taken the queue.
    pub(super) request: Option<RequestGuard>,
}

/// A batch that is refused as a whole: HTTP 400, WebSocket 1011 (protocol.md 21).
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a handshake has to be alone in its batch")]
pub(super) struct HandshakeInBatch;

/// Processes a batch. Receivers of what it publishes are collected in `wakes`, so that a burst wakes each
/// once; the caller fires them when it has no more batches at hand. They are never left to wait: whatever
/// takes time here fires them before.
pub(super) fn dispatch(
    app: &Arc<App>,
    sender: &Sender<'_>,
    batch: &[Message<'_>],
    wakes: &mut Wakes,
) -> impl Future<Output = Result<Outcome, HandshakeInBatch>> {
    let mut outcome = Outcome::default();
    // Not an `async fn`, which would keep its arguments twice.
    async move {
        if batch.iter().any(|message| message.channel.as_deref() == Some(HANDSHAKE)) {
            let [message] = batch else { return Err(HandshakeInBatch) };
            if monitor_rights(app, sender, message).is_err() {
                wakes.fire();
                Box::pin(sleep(WRONG_KEY_DELAY)).await;
            }
            handshake(app, sender, message, &mut outcome);
            return Ok(outcome);
        }
        let mut session = select_session(app, sender, batch);
        outcome.session.clone_from(&session);
        let lone_connect = batch.len() == 1 && is_connect(batch);
        if let Some(session) = session.as_ref().filter(|_| sender.carrier == Carrier::Poll) {
            outcome.request = (!lone_connect).then(|| session.begin_request());
        }
        for message in batch {
            let is_meta = message.channel.as_ref().is_some_and(|name| name.starts_with("/meta/"));
            let ext = RequestExt::read(message.ext.filter(|_| is_meta));
            let timesync = Timesync::begin(app, &ext);
            let outcome = &mut outcome;
            let mut turn =
                Turn { app, sender, message, ext, timesync, lone_connect, outcome, wakes };
            turn.take(&mut session).await;
        }
        Ok(outcome)
    }
}

/// The session of a batch: the one that its first message names, if the sender may use it
/// (protocol.md 88, 89, 99).
fn select_session(app: &App, sender: &Sender<'_>, batch: &[Message<'_>]) -> Option<Arc<Session>> {
    let client_id = batch.first()?.client_id.as_text()?;
    if sender.monitors_only && sender.bound.is_none() {
        return None;
    }
    if let Some(bound) = sender.bound {
        let session = app.broker.session(client_id)?;
        return (session.id() == bound.id()).then_some(session);
    }
    let over_http = sender.carrier == Carrier::Poll;
    if !over_http && app.config.transports.websocket.handshake_per_connection {
        return None;
    }
    app.broker.session(client_id).filter(|session| app.admits(session, sender.cookies, over_http))
}

/// Whether a message asks to be published without a session, as Faye's servers allow it (protocol.md 117).
pub(super) fn is_bare_publish(message: &Message<'_>) -> bool {
    let is_meta = message.channel.as_ref().is_some_and(|name| name.starts_with("/meta/"));
    message.client_id == ClientId::Absent && !is_meta
}

fn is_connect(batch: &[Message<'_>]) -> bool {
    batch.iter().any(|message| message.channel.as_deref() == Some(CONNECT))
}

/// One message of a batch.
struct Turn<'a, 'm> {
    app: &'a Arc<App>,
    sender: &'a Sender<'a>,
    message: &'a Message<'m>,
    ext: RequestExt,
    timesync: Option<Timesync>,
    lone_connect: bool,
    outcome: &'a mut Outcome,
    wakes: &'a mut Wakes,
}

impl<'a> Turn<'a, '_> {
    /// Carries the message out and writes its reply. `session` becomes `None` with a disconnect.
    async fn take(&mut self, session: &mut Option<Arc<Session>>) {
        let name = match self.name() {
            Ok(name) => name,
            Err(refusal) => return self.refuse(refusal, None),
        };
        if let Some(principal) = self.bare_publisher() {
            // Boxed: rare, and every request would keep the room for it.
            return match Box::pin(self.publish_under(principal, &name)).await {
                Ok(()) => self.succeed(),
                Err(refusal) => {
                    if let Refusal::RateLimited { .. } = refusal {
                        self.outcome.publishing_ended = Some(refusal);
                    }
                    self.refuse_publish(refusal);
                }
            };
        }
        let named = self.message.client_id.as_text().and_then(SessionId::parse);
        let own = |session: &Arc<Session>| named == Some(session.id());
        let Some(current) = session.clone().filter(own) else {
            let advice = (self.command() == CONNECT).then(|| unknown_advice(self.app, named));
            return self.refuse(Refusal::SessionUnknown, advice);
        };
        match self.command() {
            CONNECT if self.app.broker.is_idle(&current, clock::now()) => {
                self.send_away(&current);
                *session = None;
            }
            CONNECT if self.app.fallback.steers(self.app, self.sender, &current) => {
                self.steer(&current);
            }
            CONNECT => self.connect(&current),
            command if self.sender.monitors_only && !MONITORS_USE.contains(&command) => {
                self.refuse(Refusal::PublishDenied { reason: MONITORS_ONLY }, None);
            }
            SUBSCRIBE => self.each_subscription(&current, true),
            UNSUBSCRIBE => self.each_subscription(&current, false),
            DISCONNECT => {
                self.app.broker.end(&current, Cause::Client);
                self.outcome.disconnected = true;
                *session = None;
                self.succeed();
            }
            _ => match self.publish(&current, &name).await {
                Ok(()) => self.succeed(),
                Err(refusal) => self.refuse_publish(refusal),
            },
        }
        if self.command() != CONNECT {
            self.app.broker.touch(&current, clock::now());
        }
    }

    /// The channel exactly as sent: `/meta/connect/` is no connect, though it parses to that name, or
    /// a rule written for the one could be passed by with the other (reliability.md T13).
    fn command(&self) -> &str {
        self.message.channel.as_deref().unwrap_or_default()
    }

    /// The channel of the message, after the checks of protocol.md 12.
    fn name(&self) -> Result<ChannelName, Refusal> {
        let channel = self.message.channel.as_deref().ok_or(Refusal::ChannelMissing)?;
        let name = ChannelName::parse(channel, self.app.live.name)
            .map_err(|error| Refusal::ChannelInvalid { reason: error.reason() })?;
        if self.message.id.is_valid() { Ok(name) } else { Err(Refusal::MessageIdInvalid) }
    }

    fn begin_connect(&mut self, session: &Arc<Session>) -> Connect {
        let advice = self.message.advice.unwrap_or_default();
        let acknowledged = match self.ext.ack {
            Some(AckRequest::UpTo(number)) => Some(number),
            Some(AckRequest::Offered) | None => None,
        };
        let request = ConnectRequest {
            id: self.message.id.echo(),
            timeout: advice.timeout,
            interval: advice.interval,
            acknowledged,
            timesync: self.timesync.take().map(Box::new),
            counts_seconds: self.sender.counts_seconds,
        };
        Connect::begin(self.app, session, self.sender.carrier, request)
    }

    fn connect(&mut self, session: &Arc<Session>) {
        let carrier = self.sender.carrier;
        self.tell_connect(session);
        // The first connect has the type of the handshake, and may arrive after the stream.
        if carrier == Carrier::Poll
            && session.is_streamed()
            && (self.app.broker.set_connected(session) || self.is_of_a_stream())
        {
            return self.write(None, Some(streamed_advice(self.app)));
        }
        let mut connect = self.begin_connect(session);
        // Over HTTP only a connect alone in its request is held (protocol.md 38); a WebSocket whose
        // queue has something answers at once as well (39).
        let may_hold = match carrier {
            Carrier::Socket => !session.is_due(),
            Carrier::Poll | Carrier::Stream | Carrier::None => self.lone_connect,
        };
        if !may_hold {
            connect.hold = Duration::ZERO;
        }
        if connect.hold.is_zero() {
            self.separate();
            let taken = connect.write_reply(Release::Due, &mut self.outcome.replies);
            self.outcome.taken = taken.or_else(|| self.outcome.taken.take());
        }
        self.outcome.connect = Some(connect);
    }

    /// Tells listeners of a connect: what is remarkable about it, or that it is one of many.
    fn tell_connect(&self, session: &Session) {
        let app = self.app;
        let sent_by = self.sender.transport;
        // The connect of a stream comes by POST beside it.
        let streamed = self.sender.carrier == Carrier::Poll && session.is_streamed();
        let now = session.transport().filter(|_| streamed).unwrap_or(sent_by);
        let gap = app.broker.overdue(session, clock::now());
        let before = session.set_transport(now).filter(|before| *before != now);
        let over_new_socket = self.sender.carrier == Carrier::Socket && self.sender.bound.is_none();
        let kind = match (before, gap) {
            _ if !session.is_connected() => ConnectKind::First,
            (Some(before), _) => {
                report::switched(app, session, before, now);
                ConnectKind::Switch
            }
            // Over HTTP an older connect that is still held was given up by its client.
            (None, None) if self.sender.carrier == Carrier::Poll => ConnectKind::Resume,
            (None, Some(gap)) if gap >= INTERRUPTION => ConnectKind::Resume,
            _ if over_new_socket => ConnectKind::Resume,
            _ if app.broker.events().wants_polls() => ConnectKind::Poll,
            _ => return,
        };
        let told = matches!(kind, ConnectKind::Resume | ConnectKind::Switch | ConnectKind::Poll);
        report::connected(app, session, kind, gap.filter(|_| told));
    }

    /// Whether the client of a connect relies on a stream; one that polls has given its stream up.
    fn is_of_a_stream(&self) -> bool {
        let streams = [Transport::EventSource, Transport::Streaming, Transport::Iframe];
        let name = self.message.connection_type.as_deref();
        name.is_some_and(|name| streams.iter().any(|stream| stream.name() == name))
    }

    /// Ends a session whose client only connects (protocol.md 132).
    fn send_away(&mut self, session: &Arc<Session>) {
        let mut connect = self.begin_connect(session);
        connect.hold = Duration::ZERO;
        self.app.broker.end(session, Cause::Idle);
        self.separate();
        let ended = Release::Ended(Cause::Idle);
        self.outcome.taken = connect.write_reply(ended, &mut self.outcome.replies);
        self.outcome.connect = Some(connect);
        self.outcome.disconnected = true;
    }

    /// Sends the client of a session that is to move to a handshake (protocol.md SF5).
    fn steer(&mut self, session: &Session) {
        if let Some(AckRequest::UpTo(number)) = self.ext.ack {
            session.acknowledge(number);
        }
        self.outcome.steered = true;
        self.refuse(Refusal::SessionUnknown, Some(START_ANEW));
    }

    fn each_subscription(&mut self, session: &Arc<Session>, subscribe: bool) {
        let names = match &self.message.subscription.value {
            Names::Absent => return self.refuse(Refusal::SubscriptionMissing, None),
            Names::Invalid => {
                let sent = self.message.subscription.raw.map(RawValue::get);
                self.report(UNUSABLE, sent);
                return self.write(Some(UNUSABLE), None);
            }
            Names::TooMany => {
                let reason = "subscription_limit";
                return self.refuse(Refusal::SubscribeDenied { reason }, None);
            }
            Names::One(name) => std::slice::from_ref(name),
            Names::Many(names) => names.as_slice(),
        };
        if names.is_empty() {
            return self.refuse(UNUSABLE, None);
        }
        // In order, up to the first refusal; what went before stays (protocol.md 67).
        for name in names {
            let done = ChannelName::parse(name, self.app.live.name)
                .map_err(|error| Refusal::SubscriptionInvalid { reason: error.reason() })
                .and_then(|name| {
                    let broker = &self.app.broker;
                    match subscribe {
                        true if self.sender.monitors_only && !broker.is_monitoring(&name) => {
                            return Err(Refusal::SubscribeDenied { reason: MONITORS_ONLY });
                        }
                        true if broker.is_monitoring(&name) => {
                            let request = MonitorRequest::read(self.message.ext);
                            let request = request.map_err(|_| Refusal::MonitorFilterInvalid);
                            broker.monitor(session, &name, request)?;
                        }
                        true => broker.subscribe(session, &name)?,
                        false => broker.unsubscribe(session, &name)?,
                    }
                    report::subscribed(self.app, session, subscribe, &name);
                    Ok(())
                });
            if let Err(refusal) = done {
                self.report(refusal, Some(name));
                return self.write(Some(refusal), None);
            }
        }
        self.succeed();
    }

    async fn publish(
        &mut self,
        session: &Arc<Session>,
        channel: &ChannelName,
    ) -> Result<(), Refusal> {
        let message = self.message;
        let data = message.data.ok_or(Refusal::DataMissing)?;
        if channel.kind() == Kind::Service {
            return Services::call(self.app, session, channel, data, message.id.echo());
        }
        if self.outcome.publishing_ended == Some(Refusal::Overloaded) {
            return Err(Refusal::Overloaded);
        }
        let payload = Payload { data, ext: message.ext, extra: &message.extra };
        publish(self.app, Some(session), channel, payload, self.wakes).await
    }

    fn bare_publisher(&self) -> Option<&'a Principal> {
        self.sender.principal.filter(|_| is_bare_publish(self.message))
    }

    async fn publish_under(
        &mut self,
        principal: &Principal,
        channel: &ChannelName,
    ) -> Result<(), Refusal> {
        let data = self.message.data.ok_or(Refusal::DataMissing)?;
        if !principal.may_publish(channel) {
            return Err(Refusal::PublishDenied { reason: "not_in_key_channels" });
        }
        if let Some(refusal) = self.outcome.publishing_ended {
            return Err(refusal);
        }
        if self.app.api.admit(principal, clock::now()).is_err() {
            return Err(Refusal::RateLimited { reason: "publish_rate" });
        }
        let payload = Payload { data, ext: self.message.ext, extra: &self.message.extra };
        publish(self.app, None, channel, payload, self.wakes).await
    }

    fn succeed(&mut self) {
        self.write(None, None);
    }

    fn refuse(&mut self, refusal: Refusal, advice: Option<Advice>) {
        self.report(refusal, None);
        self.write(Some(refusal), advice);
    }

    /// Refuses a publish, and if the broker is full all that follow it in the batch: there may be room for
    /// them by then, and subscribers would miss one in the middle of what its publisher believes in order.
    fn refuse_publish(&mut self, refusal: Refusal) {
        if refusal == Refusal::Overloaded {
            self.outcome.publishing_ended = Some(refusal);
        }
        self.refuse(refusal, None);
    }

    fn report(&self, refusal: Refusal, name: Option<&str>) {
        let session = self.outcome.session.as_deref();
        report::refused(self.app, self.sender, self.message, name, session, refusal);
    }

    fn write(&mut self, error: Option<Refusal>, advice: Option<Advice>) {
        self.separate();
        Reply {
            channel: self.message.channel.as_deref(),
            id: self.message.id.echo(),
            successful: error.is_none(),
            error,
            subscription: self.message.subscription.raw,
            advice,
            ext: ReplyExt {
                ack: None,
                timesync: self.timesync.as_ref().and_then(Timesync::answer),
            },
            timestamp: self.app.timestamp(),
            ..Reply::default()
        }
        .write(&mut self.outcome.replies);
    }

    fn separate(&mut self) {
        if !self.outcome.replies.is_empty() {
            self.outcome.replies.push(b',');
        }
    }
}

pub(super) const HANDSHAKE: &str = "/meta/handshake";
const CONNECT: &str = "/meta/connect";
const SUBSCRIBE: &str = "/meta/subscribe";
/// A client that is away for less is only slow.
const INTERRUPTION: Duration = Duration::from_secs(2);
const UNSUBSCRIBE: &str = "/meta/unsubscribe";
const DISCONNECT: &str = "/meta/disconnect";
/// What a session on the operators' listener may send, beside connects.
const MONITORS_USE: [&str; 3] = [SUBSCRIBE, UNSUBSCRIBE, DISCONNECT];
const MONITORS_ONLY: &str = "monitors_only";
/// Of a `subscription` without a name (protocol.md 67, 72).
const UNUSABLE: Refusal = Refusal::SubscriptionInvalid { reason: "" };
