//! What to change where, for each thing that can be wrong. Source: docs/proxies.md.

use hyper::{HeaderMap, header::SERVER};

/// Who answers in front of the broker, as far as it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Software {
    Nginx,
    Apache,
    /// HAProxy does not tell its name; nor does the broker.
    Unknown,
}

impl Software {
    /// Reads the `Server` header.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let server = headers.get(SERVER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if server.starts_with("nginx") || server.starts_with("openresty") {
            Self::Nginx
        } else if server.starts_with("Apache") {
            Self::Apache
        } else {
            Self::Unknown
        }
    }
}

/// The places where something can be changed; an empty text: not there.
#[derive(Debug)]
pub(super) struct Fix {
    pub(super) nginx: &'static str,
    pub(super) haproxy: &'static str,
    pub(super) apache: &'static str,
    pub(super) broker: &'static str,
}

impl Fix {
    /// Nothing to change that could be named.
    pub(super) const NONE: Self = Self { nginx: "", haproxy: "", apache: "", broker: "" };

    /// A line for each place; the other proxies are left out if it is known which one it is.
    pub(super) fn lines(&self, software: Software) -> Vec<String> {
        let Self { nginx, haproxy, apache, broker } = self;
        let proxies = [
            (Software::Nginx, "nginx", nginx),
            (Software::Unknown, "HAProxy", haproxy),
            (Software::Apache, "Apache", apache),
        ];
        let wanted = |place: Software| software == Software::Unknown || software == place;
        let proxies = proxies.into_iter().filter(|(place, ..)| wanted(*place));
        let places = proxies.map(|(_, name, text)| (name, text)).chain([("bayeuxd", broker)]);
        let said = places.filter(|(_, text)| !text.is_empty());
        said.map(|(name, text)| format!("{name}: {text}")).collect()
    }
}

/// The path does not lead to the broker.
pub(super) const PATH: Fix = Fix {
    nginx: "location /cometd { proxy_pass http://127.0.0.1:8080; }  (a prefix: not `location =`, \
            and no `limit_except`)",
    haproxy: "acl is_bayeux path_beg /cometd  and  use_backend bayeuxd if is_bayeux",
    apache: "ProxyPass /cometd http://127.0.0.1:8080/cometd upgrade=websocket",
    broker: "server.paths has to hold the path; POST, GET, OPTIONS and upgrade share it",
};

/// The proxy does not reach the broker.
pub(super) const BACKEND: Fix = Fix {
    nginx: "proxy_pass has to name an address where bayeuxd listens (error_log tells why not)",
    haproxy: "the `server` line of the backend has to name an address where bayeuxd listens",
    apache: "ProxyPass has to name an address where bayeuxd listens; retry=0",
    broker: "is it running, and is server.listen what the proxy connects to?",
};

/// An upgrade that does not come through.
pub(super) const UPGRADE: Fix = Fix {
    nginx: "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header \
            Connection \"upgrade\";",
    haproxy: "passes upgrades by itself; no `http-request del-header upgrade`, no `mode tcp` before",
    apache: "ProxyPass /cometd http://127.0.0.1:8080/cometd upgrade=websocket  (2.4.47 or later)",
    broker: "",
};

/// A response that was not waited for.
pub(super) const HOLD: Fix = Fix {
    nginx: "proxy_read_timeout 60s;  (longer than session.timeout)",
    haproxy: "timeout server 60s  and  timeout client 60s  (longer than session.timeout)",
    apache: "ProxyPass … timeout=75  (longer than session.timeout)",
    broker: "or a session.timeout below what the proxies allow",
};

/// A WebSocket that was cut while nothing was said.
pub(super) const IDLE: Fix = Fix {
    nginx: "proxy_read_timeout 60s; proxy_send_timeout 60s;  (longer than the time between pings)",
    haproxy: "timeout tunnel 75s  (longer than the time between pings)",
    apache: "ProxyPass … timeout=75  (longer than the time between pings)",
    broker: "or a transports.websocket.ping below what the proxies allow",
};

/// A response that was collected before it was passed on.
pub(super) const BUFFERING: Fix = Fix {
    nginx: "proxy_buffering off; gzip off;  (and no `proxy_ignore_headers X-Accel-Buffering`)",
    haproxy: "option http-no-delay",
    apache: "SetEnv no-gzip 1  and  ProxyPass … flushpackets=on",
    broker: "",
};

/// A cookie that does not come out.
pub(super) const SET_COOKIE: Fix = Fix {
    nginx: "no `proxy_hide_header Set-Cookie` and no cache on this path",
    haproxy: "no `http-response del-header Set-Cookie` and no cache on this path",
    apache: "no `Header unset Set-Cookie` and no cache on this path",
    broker: "",
};

/// A cookie that does not go in.
pub(super) const COOKIE: Fix = Fix {
    nginx: "no `proxy_set_header Cookie` other than $http_cookie",
    haproxy: "no `http-request del-header Cookie`",
    apache: "no `RequestHeader unset Cookie`",
    broker: "",
};

/// A cookie with a domain or path that browsers do not accept here.
pub(super) const COOKIE_SCOPE: Fix = Fix {
    nginx: "proxy_cookie_domain, proxy_cookie_path, if the proxy changes names or paths",
    haproxy: "http-response replace-header Set-Cookie, if the proxy changes names or paths",
    apache: "ProxyPassReverseCookieDomain, ProxyPassReverseCookiePath, if it changes them",
    broker: "session.browser_cookie.domain and session.browser_cookie.path",
};

/// A broker that does not know that its client speaks TLS.
pub(super) const SCHEME: Fix = Fix {
    nginx: "proxy_set_header X-Forwarded-Proto $scheme;",
    haproxy: "http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]",
    apache: "RequestHeader set X-Forwarded-Proto expr=%{REQUEST_SCHEME}",
    broker: "server.trusted_proxies has to hold the address that the proxy connects from",
};

/// A page that may not connect.
pub(super) const ORIGIN: Fix = Fix {
    nginx: "pass it: `proxy_set_header Host $http_host;`, no `proxy_set_header Origin`, no `proxy_hide_header Access-Control-…`",
    haproxy: "pass it: no `http-request del-header Origin`, no `http-response del-header Access-…`",
    apache: "pass it: no `RequestHeader unset Origin`, no `Header unset Access-Control-…`",
    broker: "",
};

/// CORS answered by two.
pub(super) const CORS_TWICE: Fix = Fix {
    nginx: "remove `add_header Access-Control-…`: the broker adds these headers",
    haproxy: "remove `http-response add-header Access-Control-…`: the broker adds these headers",
    apache: "remove `Header add Access-Control-…`: the broker adds these headers",
    broker: "",
};

/// A body that is too large for somebody.
pub(super) const BODY: Fix = Fix {
    nginx: "client_max_body_size 1m; client_body_buffer_size 64k;",
    haproxy: "",
    apache: "LimitRequestBody 1048576",
    broker: "limits.message_size (64 KiB by default)",
};

/// Several servers that do not know each other's sessions.
pub(super) const AFFINITY: Fix = Fix {
    nginx: "upstream bayeuxd { ip_hash; server …; server …; }",
    haproxy: "balance source, or: cookie SERVER insert indirect nocache",
    apache: "BalancerMember … route=a  with  ProxySet stickysession=…",
    broker: "a session lives on one broker; send all requests of a client to the same one",
};
