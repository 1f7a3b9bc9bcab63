//! What a service manager is told (`Type=notify` of systemd): that the broker serves, reads its
//! configuration again, stops, and is still alive.
//!
//! Without `NOTIFY_SOCKET` in the environment nobody asked, and nothing is sent.
//! Source: sd_notify(3), systemd.service(5) `WatchdogSec=`.

use std::{future::pending, io, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

/// The listeners are open. `status` is the line that `systemctl status` shows.
pub(super) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being read again; [`ready`] ends that.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => failed(&error),
    }
}

/// The drain has begun.
pub(super) fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("telling clients to come back")]);
}

/// Says that the broker is alive, at half the interval of the watchdog, for ever.
///
/// It runs as a task among those that serve: if they do not get their turn, it does not either, and
/// the service manager starts the broker anew.
pub(super) async fn stay_alive() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return pending().await };
    let mut beat = interval((limit / 2).max(Duration::from_millis(1)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        send(&[NotifyState::Watchdog]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        failed(&error);
    }
}

fn failed(error: &io::Error) {
    warn!(event = "node", %error, "cannot tell the service manager; is NotifyAccess= set?");
}
