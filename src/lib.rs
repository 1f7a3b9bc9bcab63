//! A stand-alone Bayeux (CometD) publish/subscribe broker: the library behind the `bayeuxd` binary.
//!
//! Layout, from the wire inwards; each layer knows only those above it in this list:
//!
//! - [`bayeux`]: what Bayeux is: channel names, messages, frames, replies. Pure.
//! - [`ws`]: WebSocket without a socket: bytes to events and back. Pure.
//! - [`events`]: what happens, told to monitors and operators. Synchronous, without a clock.
//! - [`broker`]: sessions, subscriptions, queues, expiry. Synchronous, without a clock.
//! - [`auth`]: API keys and what each may do. Pure but for the files that hold secrets.
//! - [`server`]: what waits: listeners, HTTP, polling, WebSocket connections, stopping.
//!
//! Beside them [`config`] (settings, their defaults and bounds), [`telemetry`] (the log) and [`otel`]
//! (traces). The
//! command line belongs to the binary. A program that embeds a broker needs [`Server`] and
//! [`Config`]; `examples/embed.rs` shows how.

pub mod auth;
pub mod bayeux;
pub mod broker;
pub mod config;
pub mod events;
pub mod metrics;
pub mod otel;
pub mod server;
pub mod telemetry;
pub mod ws;

mod place;
mod rate;
mod words;

pub use self::{broker::Broker, config::Config, server::Server};
