//! The keys of `[auth]`, `[admin]`, `[metrics]` and `[log]`: who may, and what operators see.

use super::{Setting, syntax};
use crate::config::{
    Config, LogFormat, LogIp, OpenMetrics, Reload,
    form::{Address, Choice, Count, FilePath, Flag, Optional, Text},
};

/// Builds the list of these keys.
pub(super) fn settings() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "auth.anonymous",
            |c| &mut c.auth.anonymous,
            Flag,
            "Accepts sessions without credentials on listeners other than loopback. Without it the \
             broker refuses to start on such a listener.",
        ),
        Setting::new(
            "admin.listen",
            |c| &mut c.admin.listen,
            Optional { word: Some(""), form: Address },
            "Address of the operators' listener. Off loopback it needs an entry of `auth.keys` with the \
             role `admin`. Empty: none.",
        ),
        Setting::new(
            "admin.console",
            |c| &mut c.admin.console,
            Flag,
            "Whether a browser finds the console there, a page for what the admin API has; see \
             docs/console.md. It works with a key of the role `admin`.",
        ),
        Setting::new(
            "admin.key_file",
            |c| &mut c.admin.key_file,
            Optional { word: Some("auto"), form: FilePath },
            "Where the key is kept that the broker makes when `auth.keys` has none of the role \
             `admin`. `auto`: `bayeuxd/admin.key`, in the folder of `api.key_file`.",
        ),
        Setting::new(
            "metrics.open",
            |c| &mut c.metrics.open,
            Choice(&[
                ("loopback", OpenMetrics::Loopback),
                ("always", OpenMetrics::Always),
                ("never", OpenMetrics::Never),
            ]),
            "When `/metrics` needs no key: while the operators' listener is on loopback, always, or \
             never. A key of the role `monitor` or `admin` opens it in any case.",
        ),
        Setting::live(
            Reload::Now,
            "log.level",
            |c| &mut c.log.level,
            Text {
                allowed: "off, error, warn, info, debug or trace, also per target: \
                          \"info,bayeuxd::ws=debug\"",
                valid: syntax::is_level,
            },
            "How much is logged.",
        ),
        Setting::new(
            "log.format",
            |c| &mut c.log.format,
            Choice(&[
                ("auto", LogFormat::Auto),
                ("text", LogFormat::Text),
                ("json", LogFormat::Json),
            ]),
            "The form of a line. `auto`: text on a terminal, else JSON.",
        ),
        Setting::live(
            Reload::Now,
            "log.ip",
            |c| &mut c.log.ip,
            Choice(&[("full", LogIp::Full), ("truncate", LogIp::Truncate), ("none", LogIp::None)]),
            "How much of a client's address is logged. `truncate`: the /24 or /48 network.",
        ),
        Setting::live(
            Reload::Now,
            "log.errors_per_second",
            |c| &mut c.log.errors_per_second,
            Count(1, 1_000_000),
            "Most lines per second and reason that clients can cause; the next line then says how \
             many were left out (`suppressed`).",
        ),
    ]
}
