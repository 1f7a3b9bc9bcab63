//! (being built)

pub mod admin;
pub mod clock;
pub mod cookie;
pub mod files;
pub mod forwarded;
pub mod listen;
pub mod origin;
pub mod pace;
pub mod websocket;
