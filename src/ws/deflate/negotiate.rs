//! The answer to a client's `Sec-WebSocket-Extensions`.
//!
//! Offers are tried in the client's order; one that we do not understand in full is declined and the
//! next one tried. Source: RFC 6455 9.1 (syntax), RFC 7692 5 and 7.1 (parameters).

/// permessage-deflate as agreed for one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The value of the response's `Sec-WebSocket-Extensions`.
    pub response: String,
    /// Longest message that may be sent deflated; a longer one goes as it is (RFC 7692 6).
    ///
    /// The size of the client's window (`server_max_window_bits`), because a message that fits into
    /// it cannot refer beyond it, so the shared deflated form suits every client. No bound for the
    /// largest window, 32 KiB.
    pub deflate_bytes_max: usize,
}

/// Picks the first acceptable offer from the values of `Sec-WebSocket-Extensions`.
///
/// Each value may hold several offers. The answer always carries both `no_context_takeover`
/// parameters, and `server_max_window_bits` if it was asked for. `client_max_window_bits` needs no
/// answer: our inflaters have the largest window.
///
/// ```
/// let agreed = bayeuxd::ws::deflate::negotiate(&["permessage-deflate; client_max_window_bits"]);
/// assert_eq!(
///     agreed.unwrap().response,
///     "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
/// );
/// ```
pub fn negotiate(values: &[&str]) -> Option<Negotiated> {
    values.iter().flat_map(|value| value.split(',')).find_map(accept)
}

fn accept(offer: &str) -> Option<Negotiated> {
    let mut parts = offer.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("permessage-deflate") {
        return None;
    }
    let mut seen = Vec::new();
    let mut server_bits = None;
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquote(value.trim_start())?)),
            None => (part, None),
        };
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
        match (name, value) {
            ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
            ("client_max_window_bits", None) => {}
            ("client_max_window_bits", Some(value)) => {
                window_bits(value)?;
            }
            ("server_max_window_bits", Some(value)) => server_bits = Some(window_bits(value)?),
            _ => return None,
        }
    }
    let mut response =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover".to_owned();
    if let Some(bits) = server_bits {
        response.push_str(&format!("; server_max_window_bits={bits}"));
    }
    let deflate_bytes_max = match server_bits {
        None | Some(WINDOW_BITS_MAX) => usize::MAX,
        Some(bits) => 1 << bits,
    };
    Some(Negotiated { response, deflate_bytes_max })
}

/// Strips the quotes that RFC 6455 9.1 allows around a value; the values in use need no escapes.
fn unquote(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

/// Reads 8 to 15, decimal without leading zeros (RFC 7692 7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    match value {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

/// The largest window of DEFLATE (RFC 1951 2).
const WINDOW_BITS_MAX: u8 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    fn response(values: &[&str]) -> Option<String> {
        negotiate(values).map(|agreed| agreed.response)
    }

    #[test]
    fn the_usual_offers_of_browsers_and_libraries_are_accepted() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=15",
            "Permessage-Deflate; server_no_context_takeover; client_no_context_takeover",
        ] {
            assert_eq!(response(&[offer]).as_deref(), Some(PLAIN), "{offer}");
        }
    }

    #[test]
    fn a_window_asked_of_the_server_is_promised() {
        let agreed = negotiate(&["permessage-deflate; server_max_window_bits=\"9\""]).unwrap();
        assert_eq!(agreed.response, format!("{PLAIN}; server_max_window_bits=9"));
        assert_eq!(agreed.deflate_bytes_max, 512);
    }

    #[test]
    fn the_largest_window_suits_every_message() {
        for offer in ["permessage-deflate", "permessage-deflate; server_max_window_bits=15"] {
            assert_eq!(negotiate(&[offer]).unwrap().deflate_bytes_max, usize::MAX, "{offer}");
        }
    }

    #[test]
    fn an_offer_not_understood_is_skipped() {
        for odd in [
            "permessage-bzip2",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=08",
            "permessage-deflate; server_max_window_bits=\"9",
            "permessage-deflate; client_max_window_bits=0",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; speed=9",
            "permessage-deflate;",
        ] {
            assert_eq!(response(&[odd]), None, "{odd}");
            let both = format!("{odd}, permessage-deflate");
            assert_eq!(response(&[&both]).as_deref(), Some(PLAIN), "{both}");
            assert_eq!(response(&[odd, "permessage-deflate"]).as_deref(), Some(PLAIN), "{odd}");
        }
    }

    #[test]
    fn no_offer_gives_no_answer() {
        assert_eq!(response(&[]), None);
        assert_eq!(response(&[""]), None);
    }
}
