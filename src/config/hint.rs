//! What was probably meant by a value or a key, where the allowed ones alone do not say it.

use super::settings::is_origin;

/// What to write instead of a wrong entry of a key.
pub(super) fn of_value(key: &str, text: &str) -> Option<String> {
    match key {
        "server.allowed_origins" => origin(text),
        _ => None,
    }
}

/// Where to find what a key stands for that does not exist.
pub(super) fn of_key(key: &str) -> Option<&'static str> {
    let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
    let names_tls = |part: &str| TLS.contains(&part);
    // Elsewhere it would be that of a program which the broker calls.
    let of_listener = ["", "server", "admin", "transports"].contains(&section);
    if (names_tls(name) && of_listener) || names_tls(section.split('.').next().unwrap_or_default())
    {
        return Some("TLS ends in a proxy before the broker: docs/proxies.md has settings for it");
    }
    if section.starts_with("auth.keys") && SECRETS.contains(&name) {
        return Some(
            "no secret stands in the configuration: name a file that has it (secret_file), or its \
             digest (secret_sha256); `bayeuxd key gen` prints both",
        );
    }
    None
}

/// An origin as browsers send it: they write it in lower case, with its scheme and without a path.
fn origin(text: &str) -> Option<String> {
    let plain = text.trim().to_ascii_lowercase();
    let (scheme, rest) = plain.split_once("://").unwrap_or(("https", &plain));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let meant = format!("{scheme}://{host}");
    (is_origin(&meant) && meant != text).then(|| {
        format!("browsers send {meant:?}: lower case, with its scheme, nothing behind the host")
    })
}

/// Names under which other servers have TLS.
const TLS: [&str; 6] = ["tls", "ssl", "https", "cert", "certificate", "cert_file"];
/// Names under which other servers have a secret as it is.
const SECRETS: [&str; 4] = ["secret", "key", "token", "password"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_mended() {
        let meant = Some("https://app.example.com");
        for (text, expected) in [
            ("https://app.example.com/", meant),
            ("HTTPS://App.Example.com", meant),
            ("app.example.com", meant),
            ("https://app.example.com/chat?x#y", meant),
            ("https://*.example.com/", Some("https://*.example.com")),
            ("http://user@host", None),
            ("", None),
        ] {
            let told = of_value("server.allowed_origins", text);
            let quoted = expected.map(|origin| format!("browsers send {origin:?}: "));
            assert_eq!(told.is_some(), expected.is_some(), "{text}: {told:?}");
            assert!(told.unwrap_or_default().starts_with(&quoted.unwrap_or_default()), "{text}");
        }
        assert_eq!(of_value("server.paths", "A/"), None);
    }

    #[test]
    fn what_is_elsewhere_is_named() {
        for key in ["tls", "tls.certificate", "server.tls", "server.cert"] {
            assert!(of_key(key).is_some_and(|hint| hint.contains("docs/proxies.md")), "{key}");
        }
        assert!(of_key("auth.keys[0].secret").is_some_and(|hint| hint.contains("key gen")));
        assert_eq!(of_key("session.secret"), None);
        assert_eq!(of_key("otel.cert"), None, "the collector's");
    }
}
