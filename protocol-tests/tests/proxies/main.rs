//! The broker behind nginx, HAProxy and Apache, with the settings of docs/proxies.md.
//!
//! Runs as the suite `proxies` of protocol-tests/run, which brings the proxies.
//! Source: reliability.md rows T10 and F2; RFC 9110 7.6, RFC 9112 9.

mod connections;
mod doctor;
mod documentation;
mod headers;
mod smuggling;
mod transports;
