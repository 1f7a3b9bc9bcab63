//! Close codes: those this server sends, and which ones a peer may send.
//!
//! Source: RFC 6455 7.4 and the IANA registry it opened (1012 to 1014 came later).

/// The purpose of the connection is fulfilled.
pub const NORMAL: u16 = 1000;
/// The server is stopping, or the peer was silent for too long.
pub const GOING_AWAY: u16 = 1001;
/// The peer broke the framing rules.
pub const PROTOCOL_ERROR: u16 = 1002;
/// A binary message came where only text is understood.
pub const UNSUPPORTED: u16 = 1003;
/// A text is not UTF-8, or a compressed message does not inflate.
pub const INVALID_PAYLOAD: u16 = 1007;
/// The peer broke a rule of the house, such as not reading what it subscribed to.
pub const POLICY: u16 = 1008;
/// A message exceeds a limit.
pub const TOO_BIG: u16 = 1009;
/// The server cannot go on, or the message makes no sense to it.
pub const INTERNAL_ERROR: u16 = 1011;

/// Tells whether `code` may stand in a close frame.
///
/// 1004, 1005, 1006 and 1015 never travel; 3000 to 4999 belong to libraries and applications.
pub fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::may_be_sent;

    #[test]
    fn codes_outside_the_registry_may_not_be_sent() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert!(!may_be_sent(code), "{code}");
        }
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
            assert!(may_be_sent(code), "{code}");
        }
    }
}
