//! What a connection through the proxy shall suffer.

use std::time::Duration;

use crate::random::Random;

/// The fate of one connection. The default is to relay faithfully.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// From the client to the broker.
    pub to_broker: Way,
    /// From the broker to the client.
    pub to_client: Way,
    /// What is done to whole requests and responses.
    pub act: Act,
}

/// The bytes of one direction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way {
    /// Every read waits this long before it is passed on.
    pub delay: Duration,
    /// At most this many bytes a second.
    pub bytes_per_second: Option<u32>,
    /// The end of this direction.
    pub stop: Option<Stop>,
}

/// Where a direction ends, counted in bytes passed on, and how.
#[derive(Debug, Clone, Copy)]
pub struct Stop {
    /// So many bytes still pass.
    pub after_bytes: u64,
    /// What happens then.
    pub how: End,
}

/// How a direction, or a connection, ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Both sockets are reset (RST).
    Reset,
    /// Both sockets are closed in order (FIN).
    Close,
    /// This direction is no longer read: the sender's buffers fill.
    Stall,
    /// This direction is read and thrown away: a black hole.
    Swallow,
}

/// What is done to whole requests and responses.
#[derive(Debug, Clone, Default)]
pub enum Act {
    /// Nothing.
    #[default]
    Relay,
    /// The request is answered with these bytes, the broker never sees it, and the connection ends.
    Answer(Vec<u8>),
    /// The `nth` response of the connection, counted from 0, is changed.
    Response {
        /// Which one.
        nth: usize,
        /// How.
        alter: Alter,
    },
    /// The `Upgrade` and `Connection` headers of the first request are removed.
    StripUpgrade,
    /// The 101 passes, and no frame after it, in either direction.
    SwallowFrames,
}

/// A change to one response.
#[derive(Debug, Clone)]
pub enum Alter {
    /// It comes twice.
    Double,
    /// Only its first bytes come; then the connection is closed.
    Truncate(usize),
    /// It never comes.
    Swallow,
    /// Something else comes.
    Replace(Vec<u8>),
}

impl Plan {
    /// A plan that ends the connection after so many bytes from the broker.
    pub fn cut_to_client(after_bytes: u64, how: End) -> Self {
        let to_client = Way { stop: Some(Stop { after_bytes, how }), ..Way::default() };
        Self { to_client, ..Self::default() }
    }

    /// A plan that ends the connection after so many bytes from the client.
    pub fn cut_to_broker(after_bytes: u64, how: End) -> Self {
        let to_broker = Way { stop: Some(Stop { after_bytes, how }), ..Way::default() };
        Self { to_broker, ..Self::default() }
    }

    /// A plan that does something to requests or responses.
    pub fn act(act: Act) -> Self {
        Self { act, ..Self::default() }
    }

    /// A plan that answers with a status and an empty body instead of the broker.
    pub fn status(status: u16) -> Self {
        let head =
            format!("HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Self::act(Act::Answer(head.into_bytes()))
    }

    /// A plan of moderate malice: half of the connections are faithful, the others are delayed,
    /// slowed or cut somewhere in their first 4 KiB.
    pub fn random(random: &mut Random) -> Self {
        let how = if random.one_in(2) { End::Reset } else { End::Close };
        match random.below(0..8) {
            0 => Self::cut_to_client(random.below(0..4096), how),
            1 => Self::cut_to_broker(random.below(0..4096), how),
            2 => {
                let delay = Duration::from_millis(random.below(1..30));
                let way = Way { delay, ..Way::default() };
                Self { to_broker: way, to_client: way, ..Self::default() }
            }
            3 => {
                let bytes_per_second = Some(random.below(5_000..100_000) as u32);
                let way = Way { bytes_per_second, ..Way::default() };
                Self { to_broker: way, to_client: way, ..Self::default() }
            }
            _ => Self::default(),
        }
    }
}
