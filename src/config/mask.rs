//! What of a configuration nobody but its file shall show.
//!
//! Answers of the admin API, `config check --json` and messages are copied into tickets and logs; a digest
//! is a secret too, because a weak one can be guessed from it.

use std::borrow::Cow;

use toml::Value;

/// A value of a key, both as they were written, as messages may show it.
pub(super) fn harmless<'a>(key: &str, value: &'a str) -> Cow<'a, str> {
    let name = key.rsplit_once('.').map_or(key, |(_, name)| name);
    match value.split_once('?') {
        _ if is_secret(name) => MASK.into(),
        Some((place, _)) if URL.contains(&name) => format!("{place}?{MASK}").into(),
        _ => value.into(),
    }
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
                    && let Some((place, _)) = value.as_str().and_then(|url| url.split_once('?'))
                {
                    *value = format!("{place}?{MASK}").into();
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
/// The field of `services`, and the key of `otel`, whose query may be one.
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
                r#"[{ headers = ["X-Key: d"], url = "http://a/b?key=c" }, { url = "http://a/b" }]"#,
                r#"[{ headers = "***", url = "http://a/b?***" }, { url = "http://a/b" }]"#,
            ),
            (r#"["a"]"#, r#"["a"]"#),
            (r#""45s""#, r#""45s""#),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn a_message_shows_no_query_of_a_url() {
        let url = "\"https://a/b?token=c\"";
        assert_eq!(harmless("otel.endpoint", url), "\"https://a/b?***");
        assert_eq!(harmless("services[0].url", url), "\"https://a/b?***");
        assert_eq!(harmless("otel.service_name", url), url);
    }
}
