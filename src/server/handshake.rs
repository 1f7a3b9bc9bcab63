//! `/meta/handshake`: opens a session, or says why not.
//!
//! Extensions are agreed here, for the life of the session. What waits already may travel with the
//! reply. Source: protocol.md 15-29, 123.

use std::{sync::Arc, time::Duration};

use super::{
    app::App,
    clock,
    connect::{START_ANEW, STOP, regular_advice},
    dispatch::{HANDSHAKE, Outcome, Sender},
    drain::jitter,
    fallback::Welcome,
    report,
    timesync::Timesync,
};
use crate::{
    bayeux::{
        AckReply, AckRequest, Advice, HandshakeFields, Message, Refusal, Reply, ReplyExt,
        RequestExt, shown_key,
    },
    broker::{Batch, Generation, Moved, Session, SessionId},
    events::{Operation, Rights},
};

/// Answers a handshake.
pub(super) fn handshake(
    app: &Arc<App>,
    sender: &Sender<'_>,
    message: &Message<'_>,
    outcome: &mut Outcome,
) {
    let types = app.connection_types.as_slice();
    let common = sender.monitors_only
        || message
            .connection_types
            .as_ref()
            .is_none_or(|offered| offered.iter().any(|name| types.contains(&name.as_ref())));
    let rights = monitor_rights(app, sender, message);
    let opened = if !message.id.is_valid() {
        Err(Refusal::MessageIdInvalid)
    } else if let Err(WrongKey) = rights {
        report::key_refused(app, sender.address, Operation::Handshake);
        Err(Refusal::HandshakeDenied)
    } else if sender.monitors_only && matches!(rights, Ok(None)) {
        Err(Refusal::HandshakeDenied)
    } else if !common {
        Err(Refusal::HandshakeFailed)
    } else {
        open(app, sender, message)
    };
    match opened {
        Ok((session, moved)) => {
            let rights = rights.unwrap_or_default();
            let sid = Some(app.sid(&session.id()));
            let peer = sender.whence.peer(app, sender.address, sid, rights);
            app.broker.introduce(&session, peer);
            session.set_transport(sender.transport);
            let moved_from = moved.as_ref().and_then(Moved::sid);
            report::handshake(app, sender, &session, message, moved_from);
            if let Some(moved) = moved {
                app.broker.tell_moved(moved, &session);
            }
            welcome(app, sender, session, message, outcome);
        }
        Err(refusal) => refuse(app, sender, message, refusal, outcome),
    }
}

/// Opens a session; for a client that was steered here, the heir of the one that it had, whose end is
/// still to be told.
fn open(
    app: &App,
    sender: &Sender<'_>,
    message: &Message<'_>,
) -> Result<(Arc<Session>, Option<Moved>), Refusal> {
    let Welcome { old, routes } = app.fallback.welcomes(app, sender, message);
    let (id, now) = (new_session_id()?, clock::now());
    let heir = old.and_then(|old| {
        let (session, moved) = app.broker.succeed(&old, id, sender.browser, now).ok()?;
        app.fallback.moved(&old, &session);
        Some((session, Some(moved)))
    });
    let (session, moved) = match heir {
        Some(heir) => heir,
        None => (app.broker.handshake(id, sender.browser, now)?, None),
    };
    session.set_routes(routes);
    Ok((session, moved))
}

/// The client shows a key that is not, or no longer, one of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrongKey;

/// What the client of a handshake may see of others, by the key that it shows in
/// `ext.authentication.key`, or because everybody may (monitoring.md 6). On the operators' listener the
/// key alone counts, as for the feed of the admin API.
pub(super) fn monitor_rights(
    app: &App,
    sender: &Sender<'_>,
    message: &Message<'_>,
) -> Result<Option<Arc<Rights>>, WrongKey> {
    let holder = match shown_key(message.ext) {
        Some(key) => Some(app.keys.holder(key.as_bytes()).ok_or(WrongKey)?),
        None => None,
    };
    if sender.monitors_only {
        return Ok(holder.and_then(|holder| holder.monitor_rights().cloned()));
    }
    if !app.config.monitor.enabled {
        return Ok(None);
    }
    if app.config.monitor.everybody {
        return Ok(Some(Arc::new(Rights::all())));
    }
    Ok(holder.and_then(|holder| holder.monitor_rights().cloned()))
}

/// Agrees on extensions with the client of a new session and tells it all it has to know.
fn welcome(
    app: &App,
    sender: &Sender<'_>,
    session: Arc<Session>,
    message: &Message<'_>,
    outcome: &mut Outcome,
) {
    let ext = RequestExt::read(message.ext);
    let timesync = Timesync::begin(app, &ext).and_then(|timesync| timesync.answer());
    let config = &app.config.session;
    let mut ack = None;
    if config.ack && ext.ack == Some(AckRequest::Offered) {
        session.start_acknowledging();
        ack = Some(AckReply::Accepted);
    }
    if config.deliver_during_handshake {
        let (number, batch) = take_waiting(&session);
        ack = number.map(AckReply::AcceptedWithBatch).or(ack);
        outcome.taken = batch;
    }
    let messages = config
        .deliver_during_handshake
        .then(|| outcome.taken.as_ref().map_or(0, |batch| batch.frames().len()));
    let mut advice = regular_advice(app, sender.advised(config.interval));
    advice.max_interval = config.handshake_reconnect.then_some(config.max_interval);
    let client_id = session.id().client_id();
    let connection_types = app.fallback.offered(app, session.routes());
    Reply {
        channel: Some(HANDSHAKE),
        id: message.id.echo(),
        successful: true,
        advice: Some(advice),
        handshake: Some(HandshakeFields { client_id: &client_id, connection_types, messages }),
        ext: ReplyExt { ack, timesync },
        timestamp: app.timestamp(),
        ..Reply::default()
    }
    .write(&mut outcome.replies);
    outcome.session = Some(session);
    outcome.opened = true;
}

/// Takes what waits in a session that no carrier has claimed yet; with its number, if the session
/// acknowledges (protocol.md 27).
fn take_waiting(session: &Arc<Session>) -> (Option<u64>, Option<Batch>) {
    match session.take_numbered(Generation::default()) {
        Some((number, batch)) => (Some(number), Some(batch)),
        None => (None, session.begin_request().take()),
    }
}

fn refuse(
    app: &App,
    sender: &Sender<'_>,
    message: &Message<'_>,
    refusal: Refusal,
    outcome: &mut Outcome,
) {
    report::refused(app, sender, message, None, None, refusal);
    // Without room the client may try again later; otherwise it had better not.
    outcome.overloaded = refusal == Refusal::Overloaded;
    let again = Advice { interval: Some(sender.advised(jitter(RETRY_SPREAD))), ..START_ANEW };
    Reply {
        channel: Some(HANDSHAKE),
        id: message.id.echo(),
        error: Some(refusal),
        advice: Some(if outcome.overloaded { again } else { STOP }),
        timestamp: app.timestamp(),
        ..Reply::default()
    }
    .write(&mut outcome.replies);
}

/// 128 random bits (protocol.md 22).
fn new_session_id() -> Result<SessionId, Refusal> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Refusal::Overloaded)?;
    Ok(SessionId::from_bytes(random))
}

/// Over so long the clients spread that come again after a refused handshake.
const RETRY_SPREAD: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
