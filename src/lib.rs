//! A Bayeux publish/subscribe broker: the library behind the `bayeuxd` binary.

pub mod bayeux;
pub mod broker;
pub mod config;
pub mod server;
pub mod telemetry;
pub mod ws;
