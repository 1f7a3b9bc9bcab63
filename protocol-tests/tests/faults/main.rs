//! Nothing is lost between reconnects, whatever breaks.
//!
//! A message may be missing at the end only if the broker had written it before the break: such bytes
//! belong to the kernel, and only the ack extension gets them back (protocol.md 56). Every test that
//! allows for that counts and prints them.
//! Source: reliability.md P1-P3, P6, P9 and section 3; clients.md 5.

mod acks;
mod carrier;
mod cut;
mod flow;
mod give_back;
mod give_way;
mod moves;
mod program;
mod random;
mod restart;
mod silence;
