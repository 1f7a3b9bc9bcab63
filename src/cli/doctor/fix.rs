//! What to change where, for each thing that can be wrong. Source: docs/proxies.md.

use hyper::{HeaderMap, header::SERVER};

/// Who answers: a proxy in front, as far as it says so, and the Bayeux server behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Software {
    proxy: Proxy,
    /// Who answers Bayeux.
    pub(super) server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proxy {
    Nginx,
    Apache,
    /// HAProxy does not tell its name; nor do Bayeux servers.
    Unknown,
}

/// A Bayeux server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// bayeuxd, or nobody has answered yet.
    Bayeuxd,
    /// Faye.
    Faye,
    /// CometD, or one that is not known here.
    Other,
}

impl Software {
    /// When nothing has answered yet.
    pub(super) const UNKNOWN: Self = Self { proxy: Proxy::Unknown, server: Server::Bayeuxd };

    /// Reads the `Server` header.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let server = headers.get(SERVER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let proxy = if server.starts_with("nginx") || server.starts_with("openresty") {
            Proxy::Nginx
        } else if server.starts_with("Apache") {
            Proxy::Apache
        } else {
            Proxy::Unknown
        };
        Self { proxy, ..Self::UNKNOWN }
    }

    /// The same way to this server.
    pub(super) const fn to(self, server: Server) -> Self {
        Self { server, ..self }
    }
}

/// The places where something can be changed; an empty text: not there.
#[derive(Debug)]
pub(super) struct Fix {
    pub(super) nginx: &'static str,
    pub(super) haproxy: &'static str,
    pub(super) apache: &'static str,
    pub(super) bayeuxd: &'static str,
    pub(super) faye: &'static str,
    pub(super) cometd: &'static str,
}

impl Fix {
    /// Nothing to change that could be named.
    pub(super) const NONE: Self =
        Self { nginx: "", haproxy: "", apache: "", bayeuxd: "", faye: "", cometd: "" };

    /// A line for each place; the other proxies are left out if it is known which one it is, and the
    /// other servers.
    pub(super) fn lines(&self, software: Software) -> Vec<String> {
        let Self { nginx, haproxy, apache, bayeuxd, faye, cometd } = self;
        let proxies = [
            (Proxy::Nginx, "nginx", nginx),
            (Proxy::Unknown, "HAProxy", haproxy),
            (Proxy::Apache, "Apache", apache),
        ];
        let Software { proxy, server } = software;
        let wanted = |place: Proxy| proxy == Proxy::Unknown || proxy == place;
        let proxies = proxies.into_iter().filter(|(place, ..)| wanted(*place));
        let server = match server {
            Server::Bayeuxd => ("bayeuxd", bayeuxd),
            Server::Faye => ("Faye", faye),
            Server::Other => ("CometD", cometd),
        };
        let places = proxies.map(|(_, name, text)| (name, text)).chain([server]);
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
    bayeuxd: "server.paths has to hold the path; POST, GET, OPTIONS and upgrade share it",
    faye: "the adapter's `mount` has to be the path",
    cometd: "the servlet's mapping and ws.cometdURLMapping have to hold the path, like /cometd/*",
};

/// The proxy does not reach the broker.
pub(super) const BACKEND: Fix = Fix {
    nginx: "proxy_pass has to name an address where bayeuxd listens (error_log tells why not)",
    haproxy: "the `server` line of the backend has to name an address where bayeuxd listens",
    apache: "ProxyPass has to name an address where bayeuxd listens; retry=0",
    bayeuxd: "is it running, and is server.listen what the proxy connects to?",
    ..Fix::NONE
};

/// An upgrade that does not come through.
pub(super) const UPGRADE: Fix = Fix {
    nginx: "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header \
            Connection \"upgrade\";",
    haproxy: "passes upgrades by itself; no `http-request del-header upgrade`, no `mode tcp` before",
    apache: "ProxyPass /cometd http://127.0.0.1:8080/cometd upgrade=websocket  (2.4.47 or later)",
    cometd: "a WebSocket transport has to be there, with the path in ws.cometdURLMapping",
    ..Fix::NONE
};

/// A broker that takes no messages by POST.
pub(super) const TRANSPORTS: Fix = Fix {
    bayeuxd: "transports.enabled has to hold \"long-polling\": where WebSocket does not pass it is all that \
              clients have, and streams need it to send",
    ..Fix::NONE
};

/// A response that was not waited for.
pub(super) const HOLD: Fix = Fix {
    nginx: "proxy_read_timeout 60s;  (longer than session.timeout)",
    haproxy: "timeout server 60s  and  timeout client 60s  (longer than session.timeout)",
    apache: "ProxyPass … timeout=75  (longer than session.timeout)",
    bayeuxd: "or a session.timeout below what the proxies allow",
    faye: "or a `timeout` below what the proxies allow",
    cometd: "or a `timeout` below what the proxies allow",
};

/// A WebSocket that was cut while nothing was said.
pub(super) const IDLE: Fix = Fix {
    nginx: "proxy_read_timeout 60s; proxy_send_timeout 60s;  (longer than the time between pings)",
    haproxy: "timeout tunnel 75s  (longer than the time between pings)",
    apache: "ProxyPass … timeout=75  (longer than the time between pings)",
    bayeuxd: "or a transports.websocket.ping below what the proxies allow",
    faye: "or a `timeout` below what the proxies allow",
    cometd: "or a `timeout` below what the proxies allow, and ws.idleTimeout above it",
};

/// A response that was collected before it was passed on.
pub(super) const BUFFERING: Fix = Fix {
    nginx: "proxy_buffering off; gzip off;  (and no `proxy_ignore_headers X-Accel-Buffering`)",
    haproxy: "option http-no-delay",
    apache: "SetEnv no-gzip 1  and  ProxyPass … flushpackets=on",
    ..Fix::NONE
};

/// A cookie that does not come out.
pub(super) const SET_COOKIE: Fix = Fix {
    nginx: "no `proxy_hide_header Set-Cookie` and no cache on this path",
    haproxy: "no `http-response del-header Set-Cookie` and no cache on this path",
    apache: "no `Header unset Set-Cookie` and no cache on this path",
    ..Fix::NONE
};

/// A cookie that does not go in.
pub(super) const COOKIE: Fix = Fix {
    nginx: "no `proxy_set_header Cookie` other than $http_cookie",
    haproxy: "no `http-request del-header Cookie`",
    apache: "no `RequestHeader unset Cookie`",
    ..Fix::NONE
};

/// A cookie with a domain or path that browsers do not accept here.
pub(super) const COOKIE_SCOPE: Fix = Fix {
    nginx: "proxy_cookie_domain, proxy_cookie_path, if the proxy changes names or paths",
    haproxy: "http-response replace-header Set-Cookie, if the proxy changes names or paths",
    apache: "ProxyPassReverseCookieDomain, ProxyPassReverseCookiePath, if it changes them",
    bayeuxd: "session.browser_cookie.domain and session.browser_cookie.path",
    cometd: "browserCookieDomain and browserCookiePath",
    ..Fix::NONE
};

/// A broker that does not know that its client speaks TLS.
pub(super) const SCHEME: Fix = Fix {
    nginx: "proxy_set_header X-Forwarded-Proto $scheme;",
    haproxy: "http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]",
    apache: "RequestHeader set X-Forwarded-Proto expr=%{REQUEST_SCHEME}",
    bayeuxd: "server.trusted_proxies has to hold the address that the proxy connects from",
    ..Fix::NONE
};

/// A cookie of CometD, which takes its attributes from its own settings only.
pub(super) const COMETD_COOKIE: Fix =
    Fix { cometd: "browserCookieSecure = true and browserCookieSameSite = None", ..Fix::NONE };

/// A page that may not connect.
pub(super) const ORIGIN: Fix = Fix {
    nginx: "pass it: `proxy_set_header Host $http_host;`, no `proxy_set_header Origin`, no `proxy_hide_header Access-Control-…`",
    haproxy: "pass it: no `http-request del-header Origin`, no `http-response del-header Access-…`",
    apache: "pass it: no `RequestHeader unset Origin`, no `Header unset Access-Control-…`",
    ..Fix::NONE
};

/// CORS answered by two.
pub(super) const CORS_TWICE: Fix = Fix {
    nginx: "remove `add_header Access-Control-…`: the broker adds these headers",
    haproxy: "remove `http-response add-header Access-Control-…`: the broker adds these headers",
    apache: "remove `Header add Access-Control-…`: the broker adds these headers",
    ..Fix::NONE
};

/// A body that is too large for somebody.
pub(super) const BODY: Fix = Fix {
    nginx: "client_max_body_size 1m; client_body_buffer_size 64k;",
    haproxy: "",
    apache: "LimitRequestBody 1048576",
    bayeuxd: "limits.message_size (64 KiB by default)",
    cometd: "maxMessageSize and ws.maxMessageSize (64 KiB by default)",
    ..Fix::NONE
};

/// Several servers that do not know each other's sessions.
pub(super) const AFFINITY: Fix = Fix {
    nginx: "upstream bayeuxd { ip_hash; server …; server …; }",
    haproxy: "balance source, or: cookie SERVER insert indirect nocache",
    apache: "BalancerMember … route=a  with  ProxySet stickysession=…",
    bayeuxd: "a session lives on one broker; send all requests of a client to the same one",
    faye: "its sessions are in one process, unless it has an engine like faye-redis",
    cometd: "a session lives on one server; send all requests of a client to the same one",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_change_is_told_for_the_proxy_and_the_server_that_are_there() {
        let lines = |name: &str, server| {
            let mut headers = HeaderMap::new();
            headers.insert(SERVER, name.parse().unwrap());
            HOLD.lines(Software::of(&headers).to(server))
        };
        let names = |lines: Vec<String>| -> Vec<String> {
            lines.iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(names(lines("nginx/1.26", Server::Bayeuxd)), ["nginx", "bayeuxd"]);
        assert_eq!(names(lines("Apache/2.4", Server::Faye)), ["Apache", "Faye"]);
        let all = ["nginx", "HAProxy", "Apache", "CometD"];
        assert_eq!(names(lines("Jetty(12.0.16)", Server::Other)), all);
        assert_eq!(COMETD_COOKIE.lines(Software::UNKNOWN.to(Server::Other)).len(), 1);
        assert!(SET_COOKIE.lines(Software::UNKNOWN).iter().all(|line| !line.ends_with(": ")));
    }
}
