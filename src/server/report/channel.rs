//! The channel of a message, as far as it may be told: it is the client's text.

use crate::events::EventType;

/// The type of the event in which a channel plays a part: from a closed list. A disconnect that was
/// refused is an error, because no session ended.
pub(super) fn event(channel: &str) -> EventType {
    match channel {
        "/meta/handshake" => EventType::Handshake,
        "/meta/connect" => EventType::Connect,
        "/meta/subscribe" => EventType::Subscribe,
        "/meta/unsubscribe" => EventType::Unsubscribe,
        "/meta/disconnect" => EventType::Error,
        _ => EventType::Publish,
    }
}

/// As much of a channel as is shown: a refused one may be as long as a message.
pub(super) fn shown(channel: &str) -> &str {
    channel.get(..channel.floor_char_boundary(CHANNEL_BYTES_SHOWN)).unwrap_or_default()
}

/// The default of `limits.channel_length`.
const CHANNEL_BYTES_SHOWN: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_client_becomes_the_name_of_an_event() {
        assert_eq!(event("/meta/connect"), EventType::Connect);
        for channel in ["", "/a", "/meta/", "/meta/connect/", "/meta/panic", "/meta/error\n"] {
            assert_eq!(event(channel), EventType::Publish, "{channel:?}");
        }
    }

    #[test]
    fn a_long_channel_is_cut_at_a_character() {
        assert_eq!(shown("/a"), "/a");
        assert_eq!(shown(&"ä".repeat(200)).len(), 254);
    }
}
