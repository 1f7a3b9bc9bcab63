//! The harness of the wire tests.
//!
//! Nothing here is shared with the broker: requests are raw bytes, WebSocket frames are built by
//! hand, so that a mistake in the broker's own codecs cannot hide itself.
//!
//! - [`broker`]: a broker in this process, on a free loopback port
//! - [`http`]: an HTTP/1.1 client that sends exactly the bytes it is given
//! - [`websocket`]: a WebSocket client that can also send what the standard forbids
//! - [`bayeux`]: sessions over both, replies as exact JSON
//! - [`back_end`]: the back-end of a service channel
//! - [`collector`]: the collector of OpenTelemetry, which takes traces
//! - [`monitor`]: a client that sees what the broker does, with an API key
//! - [`service`]: a service that publishes over HTTP with an API key
//! - [`operator`]: an operator with a key for the admin API
//! - [`proxy`]: a TCP proxy that delays, cuts, stalls, doubles and lies, by plan
//! - [`metrics`]: the page of metrics, read as Prometheus reads it
//! - [`reverse_proxy`]: nginx, HAProxy and Apache before the broker
//! - [`tap`]: a relay that cuts at an exact byte and knows what the broker had written
//! - [`process`]: the real program, watched from outside
//! - [`canary`]: clients that must notice nothing of an attack on their broker
//! - [`ledger`]: who published and who received what, and the verdict on it
//! - [`deadline`]: waiting for events, never for luck
//! - [`random`]: the seeded generator behind random plans
//! - [`smuggling`]: requests on whose end two readers might disagree
//! - [`conformance`]: the table of protocol items and the tests that prove them

pub mod back_end;
pub mod bayeux;
pub mod broker;
pub mod canary;
pub mod collector;
pub mod conformance;
pub mod deadline;
pub mod http;
pub mod ledger;
pub mod metrics;
pub mod monitor;
pub mod operator;
pub mod process;
pub mod proxy;
pub mod random;
pub mod reverse_proxy;
pub mod service;
pub mod smuggling;
pub mod tap;
pub mod websocket;
