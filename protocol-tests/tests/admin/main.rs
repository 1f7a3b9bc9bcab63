//! The admin API: operations.md 6, docs/admin-api.md.

mod access;
mod actions;
mod bayeux;
mod console;
mod events;
mod node;
mod sessions;
