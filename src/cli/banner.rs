//! What a newcomer reads at start: where the broker is, who may connect, what to try next.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use bayeuxd::config::Config;

use super::local_keys::{LocalKeys, MadeKey};

/// What there is to tell.
pub(super) struct Facts<'a> {
    pub(super) config: &'a Config,
    /// The addresses that were bound, so a port 0 is told as what it became.
    pub(super) main: &'a [SocketAddr],
    pub(super) admin: Option<SocketAddr>,
    pub(super) socket: Option<SocketAddr>,
    pub(super) static_dir: Option<&'a Path>,
    /// The keys that were made because none were configured.
    pub(super) local: &'a LocalKeys,
}

/// Writes the banner.
pub(super) fn banner(facts: &Facts<'_>) -> String {
    let &Facts { config, main, admin, socket, static_dir, local } = facts;
    let mut out = format!("bayeuxd {}\n", env!("CARGO_PKG_VERSION"));
    let paths = config.server.paths.join(" ");
    let names: Vec<&str> = config.transports.enabled.iter().map(|t| t.name()).collect();
    for address in main {
        let _ = writeln!(out, "bayeux   http://{address}   {paths}   {}", names.join(", "));
    }
    let near = main.first().copied().map(reachable);
    if let Some(near) = near.filter(|_| config.api.enabled) {
        let kept = kept(local.publish.as_ref());
        let _ = writeln!(out, "publish  http://{near}/api/v1/publish{kept}");
    }
    if let (Some(dir), Some(near)) = (static_dir, near) {
        let _ = writeln!(out, "static   http://{near}/   files of {}", dir.display());
    }
    if let Some(socket) = socket {
        let _ = writeln!(out, "socket   tcp://{socket}   JSON texts, NUL or line feed at the end");
    }
    if let Some(admin) = admin {
        let kept = kept(local.admin.as_ref());
        let _ =
            writeln!(out, "admin    http://{admin}   /healthz, /readyz, /metrics, /admin/v1{kept}");
        if config.admin.console {
            let made = local.admin.as_ref().and_then(MadeKey::for_terminal);
            let rest = made.map_or_else(
                || "   asks for a key of the role admin".to_owned(),
                |key| format!("#key={key}"),
            );
            let _ = writeln!(out, "console  http://{}/{rest}", reachable(admin));
        }
    }
    let _ = writeln!(out, "{}", who_may_connect(config));
    if config.monitor.everybody {
        let _ = writeln!(
            out,
            "--dev: every session may subscribe to /meta/monitor/** and see all others"
        );
    }
    if let (Some(near), Some(path)) = (near, config.server.paths.first()) {
        let _ =
            writeln!(out, "next: cometd.configure({{url: \"http://{near}{path}\"}}) in your page");
    }
    if let (Some(near), Some(key)) = (near, local.publish.as_ref().and_then(MadeKey::for_shell)) {
        let _ = writeln!(
            out,
            "      curl -H \"X-API-Key: {key}\" -d '{{\"text\":\"hello\"}}' \
             http://{near}/api/v1/publish/chat/demo"
        );
    }
    out
}

/// Where a key that was made is kept.
fn kept(key: Option<&MadeKey>) -> String {
    let path = key.and_then(|key| key.path.as_ref());
    path.map(|path| format!("   key in {}", path.display())).unwrap_or_default()
}

fn who_may_connect(config: &Config) -> String {
    let loopback = config.server.loopback_only();
    let who = if loopback {
        "loopback only: no authentication"
    } else {
        "anonymous: whoever reaches these addresses may connect"
    };
    let origins = &config.server.allowed_origins;
    let pages = if origins.iter().any(|origin| origin == "*") {
        "all pages may connect".into()
    } else if !origins.is_empty() {
        format!("pages of {} may connect", origins.join(", "))
    } else if loopback {
        "pages of loopback origins may connect".into()
    } else {
        "pages of the same origin may connect, others by server.allowed_origins".to_owned()
    };
    format!("{who}; {pages}")
}

/// Replaces "all addresses" by one that a browser on this machine can open.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_start_shows_where_who_and_what_next() {
        let config = Config::default();
        let text = banner(&Facts {
            config: &config,
            main: &config.server.listen,
            admin: config.admin.listen,
            socket: None,
            static_dir: Some(Path::new("public")),
            local: &LocalKeys::default(),
        });
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "bayeux   http://127.0.0.1:8080   /cometd /bayeux /faye   websocket, long-polling",
                "publish  http://127.0.0.1:8080/api/v1/publish",
                "static   http://127.0.0.1:8080/   files of public",
                "admin    http://127.0.0.1:8081   /healthz, /readyz, /metrics, /admin/v1",
                "console  http://127.0.0.1:8081/   asks for a key of the role admin",
                "loopback only: no authentication; pages of loopback origins may connect",
                "next: cometd.configure({url: \"http://127.0.0.1:8080/cometd\"}) in your page",
            ]
        );
    }

    fn of(config: &Config) -> String {
        let main = &config.server.listen;
        banner(&Facts {
            config,
            main,
            admin: None,
            socket: None,
            static_dir: None,
            local: &LocalKeys::default(),
        })
    }

    #[test]
    fn a_public_listener_is_told_as_such() {
        let mut config = Config::default();
        config.server.listen = vec![address("0.0.0.0:80")];
        let text = of(&config);
        assert!(text.contains("anonymous: whoever"), "{text}");
        assert!(text.contains("same origin"), "{text}");
        assert!(text.contains("\"http://127.0.0.1:80/cometd\""), "{text}");
        assert!(!text.contains("--dev"), "{text}");
        config.monitor.everybody = true;
        assert!(of(&config).contains("--dev: every session may subscribe"));
        config.server.allowed_origins = vec!["https://a.example".into()];
        let text = of(&config);
        assert!(text.contains("pages of https://a.example may connect"), "{text}");
    }
}
