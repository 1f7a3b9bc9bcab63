//! Bayeux over raw TCP, for native and embedded clients: JSON texts that end with NUL, as Flash's
//! XMLSocket framed them, or with a line feed.
//!
//! Only the door and the framing ([`lines`]) are here. The loop of a connection is that of a WebSocket
//! (`websocket.rs`), over a [`Link`]: same binding, hold, order, bounds and drain. There is no ping: a
//! client shows by its connects that it lives. There are no cookies and no origins either: browsers
//! cannot open such a connection, and an HTTP request that a page sends here ends at its first line,
//! which is no JSON.
//! Source: protocol.md 151; Adobe, "Policy file changes in Flash Player 9" (the policy request).

pub(super) mod lines;

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{select, time::timeout};

use self::lines::Lines;
use super::{
    app::App,
    cookie::Presented,
    link::Link,
    listen::{Accepted, Acceptor},
    websocket::{Connection, Upgraded, connection, io::RecvError},
};
use crate::{config::Transport, ws::decode::Event};

/// Accepts connections for ever; dropped, it lets go of its listener only.
pub(super) async fn accept(app: Arc<App>, mut acceptor: Acceptor) {
    loop {
        let accepted = acceptor.accept().await;
        app.tasks.spawn(serve(Arc::clone(&app), accepted));
    }
}

async fn serve(app: Arc<App>, accepted: Accepted) {
    let Accepted { stream, peer, permit } = accepted;
    let limits = &app.live;
    let lines = Lines::new(stream, limits.message_size.now(), limits.write_timeout.now());
    // Boxed apart, so that the connection does not keep what only its beginning needs.
    let connection = Box::pin(begin(Arc::clone(&app), lines, peer.ip())).await;
    if let Some(connection) = connection {
        connection.serve().await;
    }
    drop(permit);
}

/// Waits for the first byte, which tells a Bayeux client from a Flash player that asks first whether
/// it may connect. `None`: the connection has served its purpose.
async fn begin(app: Arc<App>, mut lines: Lines, address: IpAddr) -> Option<Box<Connection>> {
    let first = select! {
        first = timeout(app.config.session.max_interval, lines.first_byte()) => first.ok()?.ok()?,
        () = app.drain.begins() => return None,
    };
    if first != b'<' {
        let cookies = Presented::default();
        let client = Upgraded {
            cookies,
            browser: None,
            counts_seconds: false,
            address,
            transport: Transport::Socket,
            page: None,
            monitors_only: false,
        };
        return Some(connection(app, Link::Lines(lines), client));
    }
    let request = select! {
        request = timeout(app.live.header_timeout.now(), lines.recv()) => request.ok()?,
        () = app.drain.begins() => return None,
    };
    if is_policy_request(&request) {
        let policy = policy(&app.live.config().server.allowed_origins, lines.local_port());
        // What the player then does is its own business.
        let _ = lines.send_text(policy.as_bytes()).await;
        lines.shut_down(LINGER).await;
    }
    None
}

fn is_policy_request(request: &Result<Event, RecvError>) -> bool {
    let Ok(Event::Text(text)) = request else { return false };
    text.trim_ascii() == b"<policy-file-request/>"
}

/// The policy file: players from the hosts of `server.allowed_origins` may connect to this port, from
/// this machine if there are none.
fn policy(allowed_origins: &[String], port: u16) -> String {
    let mut hosts: Vec<&str> = allowed_origins.iter().filter_map(|origin| host(origin)).collect();
    if allowed_origins.is_empty() {
        hosts = vec!["localhost", "127.0.0.1"];
    }
    let mut policy = "<?xml version=\"1.0\"?><cross-domain-policy>".to_owned();
    for host in hosts {
        policy += &format!("<allow-access-from domain=\"{host}\" to-ports=\"{port}\"/>");
    }
    policy + "</cross-domain-policy>"
}

/// The host of an origin, as checked when the configuration was loaded, without its port. `None` for
/// `null`, and for anything that would need an escape in XML.
fn host(origin: &str) -> Option<&str> {
    if origin == "*" {
        return Some(origin);
    }
    let (_, authority) = origin.split_once("://")?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-*:[]".contains(&byte);
    host.bytes().all(plain).then_some(host)
}

/// How long a player may take to read the policy.
const LINGER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_hosts_of_the_allowed_origins() {
        let origins = ["https://a.example", "http://*.b.example:8080", "null"].map(String::from);
        assert_eq!(
            policy(&origins, 843),
            "<?xml version=\"1.0\"?><cross-domain-policy>\
             <allow-access-from domain=\"a.example\" to-ports=\"843\"/>\
             <allow-access-from domain=\"*.b.example\" to-ports=\"843\"/></cross-domain-policy>"
        );
        assert!(policy(&["*".into()], 1).contains("domain=\"*\""));
        assert!(policy(&[], 1).contains("domain=\"localhost\""));
        assert!(!policy(&["null".into()], 1).contains("allow"));
    }
}
