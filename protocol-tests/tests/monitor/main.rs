//! Monitoring by channels, with raw bytes: docs/monitoring.md.

mod bounds;
mod feeds;
mod filters;
mod refusals;
mod secrets;
mod sessions;
