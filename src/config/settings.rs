//! The one list of keys: what each is called, means and allows, and where its value lives.
//!
//! Reading, printing, `config init` and docs/configuration.md all follow this list, so a key exists
//! in all of them or in none. Defaults are those of `Config::default()`.

use toml::Value;

use super::{Config, Reload, form::Form};

mod api;
mod channels;
mod limits;
mod monitor;
mod operators;
mod otel;
mod server;
mod services;
mod session;
mod syntax;
mod transports;

pub(crate) use self::api::KEYS;
#[cfg(test)]
pub(crate) use self::syntax::EVENT_TYPES;
pub(super) use self::{
    api::key_settings,
    channels::rule_settings,
    services::{SERVICES, service_settings},
    syntax::{is_key_id, is_origin},
};

/// A section of the file, in the order of the documentation.
pub(super) struct Section {
    /// Its dotted name.
    pub(super) name: &'static str,
    /// What it is about; one sentence.
    pub(super) doc: &'static str,
}

/// One key of a `T`: of [`Config`], or of [`ChannelRule`](super::ChannelRule).
pub(super) struct Setting<T> {
    /// Dotted, as in `session.queue.max_bytes`.
    pub(super) key: &'static str,
    /// What operators should know, in Markdown; allowed values and default are not repeated here.
    pub(super) doc: &'static str,
    /// What a reload makes of it.
    pub(super) reload: Reload,
    field: Box<dyn Field<T>>,
}

/// A field of a `T`, read and printed without knowing its type.
trait Field<T> {
    fn read(&self, target: &mut T, value: &Value) -> bool;
    fn show(&self, target: &mut T) -> Option<Value>;
    fn copy(&self, from: &mut T, to: &mut T);
    fn allowed(&self) -> String;
    fn wrong_entry(&self, value: &Value) -> Option<(usize, String)>;
}

/// A field of type `V` and the form it is written in. One accessor serves reading and printing.
struct Slot<T, V, F> {
    at: fn(&mut T) -> &mut V,
    form: F,
}

impl<T> Setting<T> {
    /// A key whose value a broker takes when it starts.
    fn new<V: Clone + 'static, F: Form<V> + 'static>(
        key: &'static str,
        at: fn(&mut T) -> &mut V,
        form: F,
        doc: &'static str,
    ) -> Self
    where
        T: 'static,
    {
        Self::live(Reload::Restart, key, at, form, doc)
    }

    /// A key whose value a running broker takes too.
    fn live<V: Clone + 'static, F: Form<V> + 'static>(
        reload: Reload,
        key: &'static str,
        at: fn(&mut T) -> &mut V,
        form: F,
        doc: &'static str,
    ) -> Self
    where
        T: 'static,
    {
        Self { key, doc, reload, field: Box::new(Slot { at, form }) }
    }

    /// Puts a value into its field; false, and nothing changed, if the value is not allowed.
    pub(super) fn read(&self, target: &mut T, value: &Value) -> bool {
        self.field.read(target, value)
    }

    /// Returns the value as it would be written; `None` if it is said by leaving the key out.
    pub(super) fn show(&self, target: &T) -> Option<Value>
    where
        T: Clone,
    {
        self.field.show(&mut target.clone())
    }

    /// Copies the value of the field.
    pub(super) fn copy(&self, from: &T, to: &mut T)
    where
        T: Clone,
    {
        self.field.copy(&mut from.clone(), to);
    }

    /// Names the allowed values; completes "expected …".
    pub(super) fn allowed(&self) -> String {
        self.field.allowed()
    }

    /// The first entry of a list that cannot be read, and what is allowed in its place.
    pub(super) fn wrong_entry(&self, value: &Value) -> Option<(usize, String)> {
        self.field.wrong_entry(value)
    }

    /// Returns the section and the name in it.
    pub(super) fn split(&self) -> (&'static str, &'static str) {
        self.key.rsplit_once('.').unwrap_or(("", self.key))
    }
}

impl<T, V: Clone, F: Form<V>> Field<T> for Slot<T, V, F> {
    fn read(&self, target: &mut T, value: &Value) -> bool {
        match self.form.read(value) {
            Some(value) => {
                *(self.at)(target) = value;
                true
            }
            None => false,
        }
    }

    fn show(&self, target: &mut T) -> Option<Value> {
        self.form.show((self.at)(target))
    }

    fn copy(&self, from: &mut T, to: &mut T) {
        (self.at)(to).clone_from((self.at)(from));
    }

    fn allowed(&self) -> String {
        self.form.allowed()
    }

    fn wrong_entry(&self, value: &Value) -> Option<(usize, String)> {
        self.form.wrong_entry(value)
    }
}

/// The key of the list of channel rules, which is no plain setting.
pub(super) const RULES: &str = "channels";

/// What a reload makes of a list of tables.
pub(super) fn reload_of_list(key: &str) -> Reload {
    if key == KEYS { Reload::Now } else { Reload::Restart }
}

/// Every section, in the order of the documentation.
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "server", doc: "Listening, origins, stopping." },
    Section { name: "transports", doc: "Which transports are offered and how they behave." },
    Section { name: "transports.callback_polling", doc: "JSONP, for browsers without CORS." },
    Section { name: "transports.websocket", doc: "WebSocket connections." },
    Section {
        name: "transports.streaming",
        doc: "Responses without an end: `eventsource`, `streaming` and `iframe`.",
    },
    Section {
        name: "transports.socket",
        doc: "Bayeux over raw TCP: JSON texts that end with NUL, as Flash's XMLSocket framed them, \
              or with a line feed. For native and embedded clients.",
    },
    Section { name: "session", doc: "The life of a session." },
    Section {
        name: "session.queue",
        doc: "What may wait for one session, unacknowledged messages included. Over it the session \
              ends, unless the rule of the channel drops messages instead.",
    },
    Section {
        name: "session.browser_cookie",
        doc: "The cookie that tells browsers apart. It is signed and `HttpOnly`; one that was \
              changed is refused with `402::session_unknown`.",
    },
    Section {
        name: "limits",
        doc: "Bounds against hostile or broken peers. 0 is refused; `\"unlimited\"` says it where \
              it is possible.",
    },
    Section {
        name: RULES,
        doc: "Rules by channel. For each key the most specific `[[channels]]` entry that covers a \
              channel and has the key decides, wherever it stands: `/a/b` before `/a/*` before \
              `/a/**` before `/**`. Without one the values of `[session]` hold.",
    },
    Section {
        name: SERVICES,
        doc: "Back-ends that answer messages to `/service/**`; see docs/services.md. Of several \
              entries that cover a channel the most specific is asked. The bounds on all of them \
              together are `limits.service_calls` and `limits.service_calls_per_session`.",
    },
    Section { name: "auth", doc: "Who may connect." },
    Section {
        name: KEYS,
        doc: "Keys of services and operators, presented as `Authorization: Bearer KEY` or \
              `X-API-Key: KEY`. A reload also reads the files of secrets anew. What is served under a key that \
              is gone, or has another secret or other rights, ends.",
    },
    Section { name: "api", doc: "Publishing over HTTP; see docs/publishing.md." },
    Section {
        name: "monitor",
        doc: "What monitors and operators see of clients while the broker runs; see \
              docs/monitoring.md.",
    },
    Section {
        name: "admin",
        doc: "The operators' listener: `/healthz`, `/readyz`, `/metrics`, the console and the \
              admin API; see docs/console.md and docs/admin-api.md.",
    },
    Section { name: "metrics", doc: "Who may read `/metrics`; see docs/metrics.md." },
    Section {
        name: "otel",
        doc: "Traces of messages from publisher to receivers, for an OpenTelemetry collector; see \
              docs/tracing.md. A binary built without `--features otel` refuses an endpoint.",
    },
    Section { name: "log", doc: "What is written to standard error, one line per event." },
];

/// Builds the list of all keys outside `[[channels]]`, in the order of the documentation.
pub(super) fn settings() -> Vec<Setting<Config>> {
    let mut all = Vec::new();
    all.extend(server::settings());
    all.extend(transports::settings());
    all.extend(session::settings());
    all.extend(session::browser_cookie());
    all.extend(limits::of_messages());
    all.extend(limits::of_connections());
    all.extend(services::limits());
    all.extend(operators::settings());
    all.extend(api::settings());
    all.extend(monitor::settings());
    all.extend(otel::settings());
    all
}
