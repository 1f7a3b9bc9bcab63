//! The keys of the publish API: `[api]` and the entries of `[[auth.keys]]`.

use super::{Setting, syntax};
use crate::config::{
    ApiKey, Config, Reload, Role,
    form::{Choice, Count, FilePath, Flag, List, Optional, Size, Span, Text},
};

/// The key of the list of API keys.
pub(crate) const KEYS: &str = "auth.keys";

/// Builds the list of the keys of one `[[auth.keys]]` entry.
pub(in crate::config) fn key_settings() -> Vec<Setting<ApiKey>> {
    vec![
        Setting::new(
            "id",
            |k| &mut k.id,
            Text {
                allowed: "a name of letters, digits, \"_\" and \"-\"",
                valid: syntax::is_key_id,
            },
            "Name of the key, for logs and answers. Required, and each only once; `local-user` and \
             `local-admin` are names of the keys that the broker makes itself.",
        ),
        Setting::new(
            "secret_file",
            |k| &mut k.secret_file,
            Optional { word: None, form: FilePath },
            "File that holds the secret, at least 16 characters on one line. It should be readable \
             by the broker only.",
        ),
        Setting::new(
            "secret_sha256",
            |k| &mut k.secret_sha256,
            Optional {
                word: None,
                form: Text { allowed: "64 hex digits", valid: syntax::is_sha256 },
            },
            "In place of the file: the SHA-256 of the secret. `bayeuxd key gen` prints both.",
        ),
        Setting::new(
            "role",
            |k| &mut k.role,
            Choice(&[
                ("publish", Role::Publish),
                ("monitor", Role::Monitor),
                ("admin", Role::Admin),
            ]),
            "What the key is for: `publish` to `channels`, `monitor` (read what the broker does), \
             or `admin` (both, and change it; publishes everywhere).",
        ),
        Setting::new(
            "channels",
            |k| &mut k.channels,
            List {
                min: 0,
                of: Text {
                    allowed: "a channel or pattern, like \"/orders/**\"",
                    valid: syntax::is_rooted,
                },
            },
            "Where a key of the role `publish` may publish; at least one channel or pattern. Of a key \
             of the role `monitor`: events about other channels are hidden, and sessions without a \
             subscription inside. Empty for a monitor: all. A key of the role `admin` has none, because \
             it publishes everywhere.",
        ),
        Setting::new(
            "types",
            |k| &mut k.types,
            List {
                min: 0,
                of: Text {
                    allowed: "a type of docs/monitoring.md, like \"subscribe\"",
                    valid: syntax::is_event_type,
                },
            },
            "Events that a key of the role `monitor` gets. Empty: all but `publish`, which reveals \
             traffic. Not for keys of the role `publish`.",
        ),
        Setting::new(
            "payload",
            |k| &mut k.payload,
            Flag,
            "Whether a key of the role `monitor` sees what is published, if `monitor.payloads` is on. Not \
             for keys of the role `publish`.",
        ),
    ]
}

/// Builds the list of the keys of `[api]`.
pub(super) fn settings() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "api.enabled",
            |c| &mut c.api.enabled,
            Flag,
            "Whether `/api/v1` and `/openapi.json` exist on the Bayeux listener.",
        ),
        Setting::new(
            "api.key_file",
            |c| &mut c.api.key_file,
            Optional { word: Some("auto"), form: FilePath },
            "Where the key is kept that the broker makes when it listens on loopback only and no \
             key may publish. `auto`: `bayeuxd/publish.key` in the user's runtime directory \
             (`$XDG_RUNTIME_DIR`), else in `$XDG_STATE_HOME` or `~/.local/state`. A key that is \
             there already is used again.",
        ),
        Setting::live(
            Reload::Now,
            "api.message_size",
            |c| &mut c.api.message_size,
            Size(64, 1 << 20),
            "Largest message: channel, `data`, `ext` and own fields together. Above 64 KiB raise \
             `session.queue.max_bytes` as well.",
        ),
        Setting::live(
            Reload::Now,
            "api.max_body",
            |c| &mut c.api.max_body,
            Size(1 << 10, 64 << 20),
            "Largest request body; a stream has no bound, but each of its lines the one of a message.",
        ),
        Setting::live(
            Reload::Now,
            "api.max_batch",
            |c| &mut c.api.max_batch,
            Count(1, 100_000),
            "Most messages of a batch, and channels of a broadcast.",
        ),
        Setting::live(
            Reload::Now,
            "api.messages_per_second",
            |c| &mut c.api.messages_per_second,
            Count(1, 10_000_000),
            "Messages that one key may publish per second; as many may come at once after a pause. \
             Above, requests get 429, and streams are read more slowly.",
        ),
        Setting::live(
            Reload::Now,
            "api.idempotency_ttl",
            |c| &mut c.api.idempotency_ttl,
            Span(1_000, 86_400_000),
            "How long the answer to a message with an idempotency key is remembered.",
        ),
        Setting::live(
            Reload::Now,
            "api.idempotency_entries",
            |c| &mut c.api.idempotency_entries,
            Count(1, 10_000_000),
            "Most answers remembered for one API key, about 300 bytes each; above, its oldest are \
             forgotten and counted (`idempotency_evicted` of `GET /admin/v1/stats`).",
        ),
    ]
}
