//! From a request below `/admin/v1` to its answer.
//!
//! Every request needs a key of the role admin, on loopback too: whoever runs as another user of the
//! machine is on loopback as well. The one that becomes a WebSocket shows it in its handshake.
//! Source: operations.md 6; docs/admin-api.md for users.

use std::{net::IpAddr, sync::Arc};

use hyper::{
    HeaderMap, Method, Request, Response,
    header::{HOST, ORIGIN},
};
use tokio::time::sleep;

use super::{
    actions, answer, channels, feed, node, openapi, problem::Problem, query::Query, sessions,
};
use crate::{
    auth::Principal,
    events::Operation,
    metrics::Denied,
    server::{
        app::App,
        body::Body,
        credentials::{Credentials, WRONG_KEY_DELAY},
        http::Http,
        inbound::Inbound,
        publish, report,
        websocket::upgrade,
    },
};

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    Sessions,
    /// With the sid, here and below.
    Session(&'a str),
    Disconnect(&'a str),
    Subscribe(&'a str),
    Unsubscribe(&'a str),
    Channels,
    /// What follows `/channels`, with its slash.
    Channel(&'a str),
    Stats,
    Config,
    Events,
    Bayeux,
    Publish,
    Drain,
    Reload,
    OpenApi,
    Nothing,
}

impl<'a> Endpoint<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        match path.strip_prefix(PREFIX).unwrap_or_default() {
            "/sessions" => Self::Sessions,
            "/channels" => Self::Channels,
            "/stats" => Self::Stats,
            "/config" => Self::Config,
            "/events" => Self::Events,
            "/bayeux" => Self::Bayeux,
            "/publish" => Self::Publish,
            "/drain" => Self::Drain,
            "/reload" => Self::Reload,
            "/openapi.json" => Self::OpenApi,
            rest => {
                if let Some(name) = rest.strip_prefix("/channels").filter(|name| name.len() > 1) {
                    return if name.starts_with('/') { Self::Channel(name) } else { Self::Nothing };
                }
                let Some(session) = rest.strip_prefix("/sessions/") else { return Self::Nothing };
                match session.split_once('/') {
                    None if session.is_empty() => Self::Nothing,
                    None => Self::Session(session),
                    Some((sid, "disconnect")) => Self::Disconnect(sid),
                    Some((sid, "subscribe")) => Self::Subscribe(sid),
                    Some((sid, "unsubscribe")) => Self::Unsubscribe(sid),
                    Some(_) => Self::Nothing,
                }
            }
        }
    }

    /// The one method that it has.
    pub(super) const fn method(self) -> Method {
        match self {
            Self::Disconnect(_)
            | Self::Subscribe(_)
            | Self::Unsubscribe(_)
            | Self::Publish
            | Self::Drain
            | Self::Reload => Method::POST,
            _ => Method::GET,
        }
    }

    /// The query parameters that it knows.
    pub(super) const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Sessions => sessions::PARAMETERS,
            Self::Session(_) | Self::Channel(_) => &["rates"],
            Self::Channels => channels::PARAMETERS,
            Self::Events => feed::PARAMETERS,
            _ => &[],
        }
    }
}

/// Whether a path belongs to the API.
pub(in crate::server) fn serves(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Who asks for what.
pub(super) struct Call<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) address: IpAddr,
    pub(super) principal: Principal,
    pub(super) query: Query<'a>,
}

impl Call<'_> {
    /// What of the caller's address the log may hold.
    pub(super) fn ip(&self) -> Option<String> {
        self.app.live.log_ip.now().shorten(self.address).map(|ip| ip.to_string())
    }
}

/// Answers a request below `/admin/v1`.
pub(in crate::server) async fn respond(http: &Http, request: Request<Inbound>) -> Response<Body> {
    let (app, address) = (&http.app, http.peer.ip());
    let (uri, method) = (request.uri().clone(), request.method().clone());
    let endpoint = Endpoint::of(uri.path());
    if endpoint == Endpoint::Bayeux {
        return attach(http, request);
    }
    let admitted = admit(app, address, endpoint, &method, request.headers()).await;
    let query = Query::read(uri.query(), endpoint.parameters());
    let call = match admitted.and_then(|principal| Ok((principal, query?))) {
        Ok((principal, query)) => Call { app, address, principal, query },
        Err(problem) => return problem.respond(),
    };
    let answered = match endpoint {
        Endpoint::Sessions => sessions::list(&call).await,
        Endpoint::Session(sid) => sessions::one(&call, sid).await,
        Endpoint::Channels => channels::list(&call).await,
        Endpoint::Channel(path) => channels::one(&call, path).await,
        Endpoint::Stats => Ok(node::stats(app)),
        Endpoint::Config => Ok(node::config(app)),
        Endpoint::Events => feed::respond(&call, request.headers()),
        Endpoint::OpenApi => Ok(answer::written(openapi::DESCRIPTION)),
        Endpoint::Publish => {
            let publishing = publish::respond_to(app, address, call.principal.clone(), request);
            Ok(Box::pin(publishing).await)
        }
        Endpoint::Bayeux | Endpoint::Nothing => Err(Problem::NotFound),
        _ => actions::act(&call, endpoint, request.into_body()).await,
    };
    answered.unwrap_or_else(|problem| problem.respond())
}

/// Opens a WebSocket to the monitoring channels. Pages cannot send a key along with an upgrade: it comes
/// with the handshake, without which nothing goes over this socket.
fn attach(http: &Http, request: Request<Inbound>) -> Response<Body> {
    let query = Query::read(request.uri().query(), Endpoint::Bayeux.parameters());
    let refused = if is_foreign(request.headers()) {
        Some(Problem::OriginDenied)
    } else if request.method() != Method::GET {
        Some(Problem::MethodNotAllowed { allowed: "GET" })
    } else if !upgrade::is_upgrade(request.headers()) {
        Some(Problem::UpgradeRequired)
    } else {
        query.err()
    };
    match refused {
        Some(problem) => problem.respond(),
        None => upgrade::respond_to_operator(http, request, http.peer.ip()),
    }
}

/// Checks origin, endpoint, method and key, in this order.
async fn admit(
    app: &App,
    address: IpAddr,
    endpoint: Endpoint<'_>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Principal, Problem> {
    if is_foreign(headers) {
        return Err(Problem::OriginDenied);
    }
    if endpoint == Endpoint::Nothing {
        return Err(Problem::NotFound);
    }
    if endpoint.method() != method {
        let allowed = if endpoint.method() == Method::GET { "GET" } else { "POST" };
        return Err(Problem::MethodNotAllowed { allowed });
    }
    match app.keys.credentials(headers) {
        Credentials::Key(principal) if principal.may_administer() => Ok(principal),
        Credentials::Key(principal) => {
            report::key_refused(app, address, Operation::Admin);
            Err(Problem::RoleDenied { key: principal.id().to_string() })
        }
        Credentials::None => {
            app.metrics.denied.add(Denied::AdminKey, 1);
            Err(Problem::Unauthorized { presented: false })
        }
        Credentials::Wrong => {
            report::key_refused(app, address, Operation::Admin);
            sleep(WRONG_KEY_DELAY).await;
            Err(Problem::Unauthorized { presented: true })
        }
    }
}

/// Whether a page of another origin sends this. The listener speaks plain HTTP, so its own origin is
/// `http://` and the host that the browser addressed; a proxy that ends TLS before it has `https://`.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let host = headers.get(HOST).map(|host| host.as_bytes());
    let of_host = |scheme: &[u8]| {
        let rest = origin.as_bytes().strip_prefix(scheme);
        rest.zip(host).is_some_and(|(rest, host)| rest.eq_ignore_ascii_case(host))
    };
    !of_host(b"http://") && !of_host(b"https://")
}

const PREFIX: &str = "/admin/v1";

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn paths_lead_to_their_endpoints() {
        for (path, endpoint) in [
            ("/admin/v1/sessions", Endpoint::Sessions),
            ("/admin/v1/sessions/", Endpoint::Nothing),
            ("/admin/v1/sessions/ab", Endpoint::Session("ab")),
            ("/admin/v1/sessions/ab/disconnect", Endpoint::Disconnect("ab")),
            ("/admin/v1/sessions/ab/subscribe", Endpoint::Subscribe("ab")),
            ("/admin/v1/sessions/ab/unsubscribe", Endpoint::Unsubscribe("ab")),
            ("/admin/v1/sessions/ab/", Endpoint::Nothing),
            ("/admin/v1/channels", Endpoint::Channels),
            ("/admin/v1/channels/", Endpoint::Nothing),
            ("/admin/v1/channels/a/**", Endpoint::Channel("/a/**")),
            ("/admin/v1/channelsa", Endpoint::Nothing),
            ("/admin/v1/openapi.json", Endpoint::OpenApi),
            ("/admin/v1/bayeux", Endpoint::Bayeux),
            ("/admin/v1/bayeux/", Endpoint::Nothing),
            ("/admin/v1", Endpoint::Nothing),
            ("/admin/v1/", Endpoint::Nothing),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
        }
        assert!(serves("/admin/v1") && serves("/admin/v1/x") && !serves("/admin/v12"));
    }

    #[test]
    fn only_the_listeners_own_origin_is_no_foreign_one() {
        let foreign = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost:8081"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            is_foreign(&headers)
        };
        for own in [
            None,
            Some("http://localhost:8081"),
            Some("http://LOCALHOST:8081"),
            Some("https://localhost:8081"),
        ] {
            assert!(!foreign(own), "{own:?}");
        }
        for other in [
            "null",
            "",
            "http://localhost",
            "http://localhost:80810",
            "http://evil.com",
            "localhost:8081",
        ] {
            assert!(foreign(Some(other)), "{other}");
        }
    }
}
