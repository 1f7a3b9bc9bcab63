//! Bayeux 1.0, as bytes and values: what a client may send, and what goes back to it.
//!
//! Bayeux carries publish/subscribe messages between browsers and a server. Every HTTP body and
//! every WebSocket text message is a JSON array of objects, and each object is a *message* on a
//! *channel*:
//!
//! ```json
//! [{"channel":"/meta/subscribe","id":"4","clientId":"1f6krxl2…","subscription":"/chat/**"}]
//! ```
//!
//! **Channels** are paths. `/meta/…` talks to the broker: `handshake` opens a session and answers
//! with its `clientId`, `connect` asks for deliveries and doubles as the heartbeat, `subscribe` and
//! `unsubscribe` say what is wanted, `disconnect` ends the session. `/service/…` is a request to
//! the server and reaches no subscriber. All others are broadcast channels: a message published
//! there goes to each session whose subscriptions match. A subscription is a channel name or a
//! *pattern*, whose last segment is `*` (one more segment) or `**` (one or more).
//!
//! **A session** outlives its connections. Over HTTP the client keeps one `/meta/connect` open,
//! which the server *holds* until something is to be delivered or its timeout is over (long-polling);
//! over a WebSocket deliveries go out at once and the connect is a heartbeat. With **advice** the
//! server tells the client how to go on: connect again (`retry`), open a new session (`handshake`)
//! or stop (`none`), and when.
//!
//! **A reply** answers one request: its `channel` and `id`, `successful`, perhaps an `error` such
//! as `403:denied_by_security_policy:subscribe_denied`. **A delivery** is what a subscriber gets.
//! It has `data`, which a reply never has, and this is all by which clients tell the two apart:
//!
//! ```json
//! [{"channel":"/chat/demo","data":{"text":"hello"}},
//!  {"channel":"/meta/connect","id":"9","successful":true,"advice":{"reconnect":"retry","interval":0,"timeout":45000}}]
//! ```
//!
//! The way of a publish through this module: [`parse_batch`] borrows the messages from the received
//! bytes, [`ChannelName::parse`] checks the name once, [`Frame::encode`] writes the delivery once
//! for all subscribers and transports, [`Reply::write`] answers the publisher, with a [`Refusal`]
//! when it was denied.
//!
//! Nothing here waits, locks, reads a clock or knows a session. A client's bytes reach another
//! client only inside an envelope that [`Frame::encode`] wrote; `id` and `clientId` never do.
//! Source: Bayeux 1.0; protocol.md sections 1 to 3, 6 and 12.

mod channel;
mod error;
mod ext;
mod frame;
mod json;
mod mark;
mod message;
mod reply;
mod scan;
mod skim;
mod timestamp;

pub use channel::{ChannelName, InvalidName, Kind, NameLimits};
pub use error::Refusal;
pub use ext::{
    AckReply, AckRequest, BadMonitorRequest, MonitorRequest, ReplyExt, RequestExt, TimesyncReply,
    TimesyncRequest, ext_keys, shown_key,
};
pub use frame::{Frame, Handling, Meter};
pub(crate) use json::write_string as write_json_string;
pub use mark::{Mark, Trail};
pub use message::{
    At, BadBatch, ClientId, Message, MessageId, MessageLimits, Names, RequestAdvice, Subscription,
    begins_with_mark, parse_batch,
};
pub use reply::{Advice, HandshakeFields, Reconnect, Reply};
pub use scan::{append_as_one_line, deeper_than};
pub use skim::Skim;
pub use timestamp::{Rfc3339, Timestamp};

pub use crate::config::QueuePolicy;
