//! The keys of `[transports]`.

use super::{Setting, syntax};
use crate::config::{
    Config, Promote, Reload, Transport,
    form::{Address, Choice, Count, Flag, List, Optional, Span, Text},
};

/// Builds the list of the keys of `[transports]`.
pub(super) fn settings() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "transports.enabled",
            |c| &mut c.transports.enabled,
            List {
                min: 1,
                of: Choice(&[
                    ("websocket", Transport::WebSocket),
                    ("long-polling", Transport::LongPolling),
                    ("callback-polling", Transport::CallbackPolling),
                    ("eventsource", Transport::EventSource),
                    ("streaming", Transport::Streaming),
                    ("iframe", Transport::Iframe),
                ]),
            },
            "Offered transports, in the order of the handshake reply. `callback-polling` is JSONP. \
             `eventsource`, `streaming` (a JSON array a line) and `iframe` (a script a line) are \
             responses that never end; their requests go by POST, so enable `long-polling` too.",
        ),
        Setting::new(
            "transports.callback_polling.parameter",
            |c| &mut c.transports.callback_polling.parameter,
            Text { allowed: "a name of letters, digits and \"_\"", valid: syntax::is_word },
            "Query parameter that names the callback function. The function's name is an \
             identifier, dots allowed, of at most 64 characters.",
        ),
        Setting::new(
            "transports.websocket.ping",
            |c| &mut c.transports.websocket.ping,
            Span(100, 3_600_000),
            "Silence from a client after which it is pinged. Keep it below the idle timeout of \
             every proxy on the way, commonly 60 s.",
        ),
        Setting::new(
            "transports.websocket.pong_timeout",
            |c| &mut c.transports.websocket.pong_timeout,
            Span(100, 600_000),
            "Time for the answer. A dead client is gone after `ping` + `pong_timeout`.",
        ),
        Setting::live(
            Reload::Connections,
            "transports.websocket.max_fragments",
            |c| &mut c.transports.websocket.max_fragments,
            Count(1, 65_536),
            "Most frames that one message may come in; above, the connection is closed with 1009.",
        ),
        Setting::new(
            "transports.websocket.compression",
            |c| &mut c.transports.websocket.compression,
            Flag,
            "Offers permessage-deflate without context takeover in either direction: a message is \
             compressed once for all subscribers. Costs CPU time, saves bandwidth.",
        ),
        Setting::new(
            "transports.websocket.protocol",
            |c| &mut c.transports.websocket.protocol,
            Text {
                allowed: "a sub-protocol name, or \"\"",
                valid: |text| text.is_empty() || syntax::is_token(text),
            },
            "WebSocket sub-protocol that clients must offer. Empty: the first offer of a client is \
             accepted.",
        ),
        Setting::new(
            "transports.websocket.handshake_per_connection",
            |c| &mut c.transports.websocket.handshake_per_connection,
            Flag,
            "Ties a session to the socket of its handshake. Breaks page reload and the switch \
             between transports; a proxy that checks each socket may want it.",
        ),
        Setting::new(
            "transports.websocket.demote_after",
            |c| &mut c.transports.websocket.demote_after,
            Count(0, 100),
            "After so many broken WebSockets within `demote_window` a client is led to long-polling, \
             and what waits for it goes along; docs/transports.md says where that cannot work. 0: never.",
        ),
        Setting::new(
            "transports.websocket.demote_window",
            |c| &mut c.transports.websocket.demote_window,
            Span(100, 3_600_000),
            "The time in which broken WebSockets are counted.",
        ),
        Setting::new(
            "transports.websocket.demote_young",
            |c| &mut c.transports.websocket.demote_young,
            Span(0, 3_600_000),
            "Only WebSockets that broke before this age count. `\"0s\"`: all.",
        ),
        Setting::new(
            "transports.websocket.demote_for",
            |c| &mut c.transports.websocket.demote_for,
            Span(100, 14_400_000),
            "How long handshakes then leave WebSocket out. Each time that it happens again within a \
             day doubles it, up to 4 h.",
        ),
        Setting::new(
            "transports.websocket.promote",
            |c| &mut c.transports.websocket.promote,
            Choice(&[("handshake", Promote::Handshake), ("steer", Promote::Steer)]),
            "How a client comes back to WebSocket after that: with its next handshake, or at once, \
             when it is told to shake hands. The latter costs an application its subscriptions if it \
             does not renew them after a handshake.",
        ),
        Setting::new(
            "transports.streaming.heartbeat",
            |c| &mut c.transports.streaming.heartbeat,
            Span(100, 3_600_000),
            "Silence after which a few bytes are sent, so that no proxy takes the connection for \
             dead and a client that is gone is noticed. Keep it below the idle timeout of every \
             proxy on the way, commonly 60 s.",
        ),
        Setting::new(
            "transports.socket.listen",
            |c| &mut c.transports.socket.listen,
            Optional { word: Some(""), form: Address },
            "Address of the raw TCP listener; handshake replies then offer `socket` too. With any \
             address other than loopback, `auth.anonymous` must be true. Empty: none.",
        ),
    ]
}
