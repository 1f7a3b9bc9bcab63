//! The harness of the wire tests.
//!
//! Nothing here is shared with the broker: requests are raw bytes, WebSocket frames are built by
//! hand, so that a mistake in the broker's own codecs cannot hide itself.
//!
//! - [`http`]: an HTTP/1.1 client that sends exactly the bytes it is given
//! - [`websocket`]: a WebSocket client that can also send what the standard forbids
//! - [`bayeux`]: sessions over both, replies as exact JSON
//! - [`proxy`]: a TCP proxy that delays, cuts, stalls, doubles and lies, by plan
//! - [`ledger`]: who published and who received what, and the verdict on it
//! - [`deadline`]: waiting for events, never for luck
//! - [`random`]: the seeded generator behind random plans

pub mod bayeux;
pub mod deadline;
pub mod http;
pub mod ledger;
pub mod proxy;
pub mod random;
pub mod websocket;
