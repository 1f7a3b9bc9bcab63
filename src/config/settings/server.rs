//! The keys of `[server]`.

use super::{Setting, syntax};
use crate::config::{
    Config, Reload,
    form::{Address, Count, List, Span, Text},
};

/// Builds the list of the keys of `[server]`.
pub(super) fn settings() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "server.listen",
            |c| &mut c.server.listen,
            List { min: 1, of: Address },
            "Addresses of the Bayeux listener. With any address other than loopback, \
             `auth.anonymous` has to be true. Port 0 lets the system choose.",
        ),
        Setting::new(
            "server.paths",
            |c| &mut c.server.paths,
            List {
                min: 1,
                of: Text {
                    allowed: "a path like \"/cometd\", without \"/\" at the end",
                    valid: syntax::is_path,
                },
            },
            "Paths of the Bayeux endpoint, each with any sub-path. POST, GET, OPTIONS and the \
             WebSocket upgrade share them. None may cover `/api/v1` or `/openapi.json` while \
             `api.enabled`.",
        ),
        Setting::live(
            Reload::Now,
            "server.allowed_origins",
            |c| &mut c.server.allowed_origins,
            List {
                min: 0,
                of: Text {
                    allowed: "an origin like \"https://app.example.com\", \
                              \"https://*.example.com\", \"null\" or \"*\"",
                    valid: syntax::is_origin,
                },
            },
            "Origins of the pages that may connect, for CORS, JSONP and WebSocket alike. Empty: \
             pages of loopback origins, any port, if the broker listens on loopback only, else \
             pages of the same origin, by the host that the request names: a stranger's name that points \
             here passes too (DNS rebinding), so list origins there. A list replaces that: pages of the \
             broker itself, of `--static` or on localhost have to be in it too if they are to connect, \
             like `\"http://localhost:8080\"`. A request without `Origin` comes from no browser and passes.",
        ),
        Setting::live(
            Reload::Now,
            "server.trusted_proxies",
            |c| &mut c.server.trusted_proxies,
            List {
                min: 0,
                of: Text {
                    allowed: "an address or network, like \"10.0.0.0/8\"",
                    valid: syntax::is_network,
                },
            },
            "Proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `Via` are believed.",
        ),
        Setting::new(
            "server.workers",
            |c| &mut c.server.workers,
            Count(0, 1024),
            "Threads that serve connections; 0: one per core.",
        ),
        Setting::live(
            Reload::Now,
            "server.drain_delay",
            |c| &mut c.server.drain_delay,
            Span(0, 600_000),
            "On SIGTERM: how long the broker goes on serving after `/readyz` says 503, so that \
             balancers notice.",
        ),
        Setting::live(
            Reload::Now,
            "server.drain_timeout",
            |c| &mut c.server.drain_timeout,
            Span(100, 3_600_000),
            "Then: how long sessions are told to come back later and their connections closed: 2000 a \
             second, or more if they would take over 80 % of this. What is open after that is cut, and \
             the exit code is 6.",
        ),
    ]
}
