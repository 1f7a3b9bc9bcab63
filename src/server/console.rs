//! The operators' console: a page and its scripts, in the binary, on the admin listener.
//!
//! Files only. What they show they ask of the admin API, with the operator's key, as `curl` would; so
//! the files need no key and know nothing. Their policy lets them talk to this listener, over a WebSocket
//! too, and, for the page Try it, to where clients connect; nothing else, and nothing in them comes from
//! elsewhere.
//! Source: operations.md 6; docs/console.md for users.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, HeaderName,
        HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// See the module documentation.
pub(super) struct Console {
    files: Vec<File>,
    /// Where clients connect, and the Bayeux path there.
    bayeux: Vec<SocketAddr>,
    path: String,
}

struct File {
    path: &'static str,
    body: Bytes,
    content_type: &'static str,
    etag: HeaderValue,
}

impl Console {
    /// `bayeux` are the addresses that clients connect to, `path` the Bayeux path there.
    pub(super) fn new(bayeux: Vec<SocketAddr>, path: String) -> Self {
        let files = FILES.iter().map(|&(path, text)| File::new(path, text)).collect();
        Self { files, bayeux, path }
    }

    /// Answers a request for one of the console's paths; `None` for any other.
    pub(super) fn respond(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Response<Full<Bytes>>> {
        let origins = self.origins(headers);
        let mut response = if path == ADDRESSES {
            let urls = origins.iter().map(|origin| format!("http://{origin}{}", self.path));
            let body = serde_json::to_vec(&Addresses { bayeux: urls.collect() }).ok()?;
            let mut response = Response::new(Full::new(Bytes::from(body)));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        } else {
            self.files.iter().find(|file| file.path == path)?.respond(headers)
        };
        if method != Method::GET && method != Method::HEAD {
            response = Response::new(Full::from("only GET and HEAD work here\n"));
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        let policy = HeaderValue::from_str(&policy(own_host(headers), &origins)).ok()?;
        let fields = response.headers_mut();
        fields.insert(CONTENT_SECURITY_POLICY, policy);
        for (name, value) in FIELDS {
            fields.insert(name, HeaderValue::from_static(value));
        }
        Some(response)
    }

    /// Host and port of each address that clients connect to, as this operator's browser reaches it. An
    /// IPv6 address cannot be named in a policy: it goes under the name of the host, if it has one.
    fn origins(&self, headers: &HeaderMap) -> Vec<String> {
        let asked = headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(host_name);
        let named = asked.filter(|host| !host.starts_with('['));
        let origin = |address: &SocketAddr| {
            let port = address.port();
            match address.ip() {
                ip if ip.is_unspecified() => named.map(|host| format!("{host}:{port}")),
                IpAddr::V4(ip) => Some(format!("{ip}:{port}")),
                IpAddr::V6(ip) if ip.is_loopback() => Some(format!("localhost:{port}")),
                IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                    Some(ip) if ip == Ipv4Addr::UNSPECIFIED => {
                        named.map(|host| format!("{host}:{port}"))
                    }
                    Some(ip) => Some(format!("{ip}:{port}")),
                    None => named.map(|host| format!("{host}:{port}")),
                },
            }
        };
        self.bayeux.iter().filter_map(origin).collect()
    }
}

#[derive(Serialize)]
struct Addresses {
    bayeux: Vec<String>,
}

impl File {
    fn new(path: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let tag = digest.iter().take(8).fold(String::new(), |tag, byte| format!("{tag}{byte:02x}"));
        let etag = HeaderValue::from_str(&format!("\"{tag}\""));
        let content_type = match path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            _ => "text/html; charset=utf-8",
        };
        Self {
            path,
            body: Bytes::from_static(text.as_bytes()),
            content_type,
            etag: etag.unwrap_or(HeaderValue::from_static("\"\"")),
        }
    }

    fn respond(&self, request: &HeaderMap) -> Response<Full<Bytes>> {
        let known = request.get_all(IF_NONE_MATCH).iter().any(|line| {
            let tags = line.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            tags.map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag)).any(|tag| self.etag == tag)
        });
        let mut response = Response::new(Full::default());
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = Full::new(self.body.clone());
        }
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        fields.insert(ETAG, self.etag.clone());
        response
    }
}

/// What the page may load and where it may connect. Not every browser counts the WebSockets of its `own`
/// host among `'self'`.
fn policy(own: Option<&str>, origins: &[String]) -> String {
    let own = own.map(|host| format!(" ws://{host} wss://{host}")).unwrap_or_default();
    let bayeux: String =
        origins.iter().map(|origin| format!(" http://{origin} ws://{origin}")).collect();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'{own}{bayeux}; \
         img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// The `Host` of a request as it can stand in a policy, which has no place for addresses of IPv6.
fn own_host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    host_name(host).filter(|name| !name.contains(['[', ']'])).map(|_| host)
}

/// The host of a `Host` field without its port, if it is a name or an address and nothing else: it is to
/// stand in a policy.
fn host_name(host: &str) -> Option<&str> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.[]:".contains(&byte);
    (!name.is_empty() && name.bytes().all(plain)).then_some(name)
}

/// Where the page learns the addresses for Try it.
const ADDRESSES: &str = "/console/addresses.json";

const FIELDS: [(HeaderName, &str); 5] = [
    // Kept by the browser, but asked for each time: after an upgrade the page is of the new broker.
    (CACHE_CONTROL, "no-cache"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

macro_rules! files {
    ($($path:literal = $file:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("console/", $file)))),*]
    };
}

/// The paths and what is there. The files name each other relatively, so that the console also works
/// below a path of a proxy.
const FILES: &[(&str, &str)] = files! {
    "/" = "index.html",
    "/console/style.css" = "style.css",
    "/console/main.js" = "main.js",
    "/console/api.js" = "api.js",
    "/console/bayeux.js" = "bayeux.js",
    "/console/channels.js" = "channels.js",
    "/console/chart.js" = "chart.js",
    "/console/config.js" = "config.js",
    "/console/dom.js" = "dom.js",
    "/console/events.js" = "events.js",
    "/console/feed.js" = "feed.js",
    "/console/format.js" = "format.js",
    "/console/icons.js" = "icons.js",
    "/console/live.js" = "live.js",
    "/console/metrics.js" = "metrics.js",
    "/console/node.js" = "node.js",
    "/console/overview.js" = "overview.js",
    "/console/security.js" = "security.js",
    "/console/session.js" = "session.js",
    "/console/sessions.js" = "sessions.js",
    "/console/try.js" = "try.js",
};

#[cfg(test)]
mod tests;
