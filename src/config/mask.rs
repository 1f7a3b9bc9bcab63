//! What of a configuration nobody but its file shall show.
//!
//! Answers of the admin API, `config check --json` and messages are copied into tickets and logs; a digest
//! is a secret too, because a weak one can be guessed from it.

use std::borrow::Cow;

use toml::Value;

/// A value of a key, both as they were written, as messages may show it.
pub(super) fn harmless<'a>(key: &str, value: &'a str) -> Cow<'a, str> {
    let name = key.rsplit_once('.').map_or(key, |(_, name)| name);
    // An entry of a list: `headers[0]`.
    let name = name.split_once('[').map_or(name, |(name, _)| name);
    if is_secret(name) {
        MASK.into()
    } else if URL.contains(&name) {
        harmless_url(value)
    } else {
        value.into()
    }
}

/// A URL that was refused, perhaps because it names a user: the last `@` ends a password that is not written
/// as it should be.
fn harmless_url(url: &str) -> Cow<'_, str> {
    let url = without_query(url);
    let named =
        url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1)));
    match named {
        Some((scheme, host)) => format!("{scheme}://{MASK}@{host}").into(),
        None => url,
    }
}

fn without_query(url: &str) -> Cow<'_, str> {
    url.split_once('?').map_or_else(|| url.into(), |(place, _)| format!("{place}?{MASK}").into())
}

/// Takes the secrets out of a value of a key: in lists of tables, and out of the queries of their URLs.
pub(super) fn masked(value: Value) -> Value {
    let Value::Array(tables) = value else { return value };
    let mask = |mut table: Value| {
        if let Value::Table(fields) = &mut table {
            for (name, value) in fields {
                if is_secret(name) {
                    *value = MASK.into();
                } else if URL.contains(&name.as_str())
                    && let Some(url) = value.as_str()
                {
                    *value = without_query(url).into_owned().into();
                }
            }
        }
        table
    };
    Value::Array(tables.into_iter().map(mask).collect())
}

fn is_secret(name: &str) -> bool {
    SECRET.contains(&name)
}

/// Fields of the tables of `auth.keys` and `services`.
const SECRET: &[&str] = &["secret_sha256", "headers"];
/// The field of `services`, and the key of `otel`, of which a part may be one.
const URL: &[&str] = &["url", "endpoint"];
/// What stands for a secret.
const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        let masked = |text: &str| {
            let table: toml::Table = format!("value = {text}").parse().unwrap();
            masked(table["value"].clone()).to_string()
        };
        for (text, shown) in [
            (
                r#"[{ id = "a", secret_file = "a.key", secret_sha256 = "ab" }]"#,
                r#"[{ id = "a", secret_file = "a.key", secret_sha256 = "***" }]"#,
            ),
            (
                r#"[{ headers = ["X-Key: d"], url = "http://a/b?key=c" }, { url = "http://a/b@c" }]"#,
                r#"[{ headers = "***", url = "http://a/b?***" }, { url = "http://a/b@c" }]"#,
            ),
            (r#"["a"]"#, r#"["a"]"#),
            (r#""45s""#, r#""45s""#),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn a_message_shows_no_user_and_no_query_of_a_url() {
        let url = "\"https://a/b?token=c\"";
        assert_eq!(harmless("otel.endpoint", url), "\"https://a/b?***");
        assert_eq!(harmless("services[0].url", url), "\"https://a/b?***");
        assert_eq!(harmless("otel.service_name", url), url);
        for (url, shown) in [
            ("\"http://user:pw@h:1/a?k=v\"", "\"http://***@h:1/a?***"),
            ("\"http://user:p@w/d@h\"", "\"http://***@h\""),
            ("\"h?k=v\"", "\"h?***"),
            ("\"http://h/a\"", "\"http://h/a\""),
        ] {
            assert_eq!(harmless("otel.endpoint", url), shown);
        }
    }
}
