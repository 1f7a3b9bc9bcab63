//! What operators say by signals: stop, and stop now.

use std::{future::Future, io};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Tokens that are cancelled by signals.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    /// Cancelled by the first SIGTERM or SIGINT: tell the clients, then end.
    pub(super) drain: CancellationToken,
    /// Cancelled by the second: end.
    pub(super) abort: CancellationToken,
}

/// Starts to listen for signals.
///
/// # Errors
///
/// The system's, if handlers cannot be installed.
pub(super) fn listen() -> io::Result<Stop> {
    let stop = Stop { drain: CancellationToken::new(), abort: CancellationToken::new() };
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let tokens = stop.clone();
    tokio::spawn(async move {
        next(&mut term, &mut int).await;
        info!(event = "node", "draining; a second signal ends at once");
        tokens.drain.cancel();
        next(&mut term, &mut int).await;
        tokens.abort.cancel();
    });
    Ok(stop)
}

/// Makes ready for the end of a command that would run on: SIGINT or SIGTERM.
///
/// # Errors
///
/// The system's, if handlers cannot be installed.
pub(super) fn interrupted() -> io::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move { next(&mut term, &mut int).await })
}

/// Makes ready for SIGHUP: the configuration is to be read again.
///
/// # Errors
///
/// The system's, if the handler cannot be installed.
pub(super) fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

async fn next(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
