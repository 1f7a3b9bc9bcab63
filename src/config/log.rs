//! `[log]`: what is logged, and how much of an address anything shows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `[log]`: what is logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// A level, and levels per target: `info,bayeuxd::ws=debug`.
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
    /// How much of a client's address is logged.
    pub ip: LogIp,
    /// Lines per second and reason that clients can cause.
    pub errors_per_second: u32,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// How much of a client's address is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogIp {
    /// All of it.
    Full,
    /// The network: /24 of IPv4, /48 of IPv6.
    Truncate,
    /// Nothing.
    None,
}

impl LogIp {
    /// Returns what of a client's address may be logged; `None`: nothing.
    pub fn shorten(self, address: IpAddr) -> Option<IpAddr> {
        match (self, address.to_canonical()) {
            (Self::None, _) => None,
            (Self::Full, address) => Some(address),
            (Self::Truncate, IpAddr::V4(address)) => {
                Some(Ipv4Addr::from_bits(address.to_bits() & (!0 << 8)).into())
            }
            (Self::Truncate, IpAddr::V6(address)) => {
                Some(Ipv6Addr::from_bits(address.to_bits() & (!0 << 80)).into())
            }
        }
    }
}
