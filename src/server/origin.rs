//! The one rule about origins, for CORS, JSONP and the WebSocket upgrade alike.
//!
//! A browser lets any page send requests to any address and adds only an `Origin`; CORS hides the
//! *answer* of a POST and does not cover WebSocket at all. The broker trusts a bare clientId, so it
//! must refuse foreign pages itself. `server.allowed_origins` is the whole list if it has entries. If
//! it is empty, a broker that listens on loopback only allows pages from loopback (any port), and any
//! other broker allows its own origin. What is its own it takes from the `Host` of the request, which DNS
//! rebinding gets past; `config/check.rs` warns of it.
//! Source: protocol.md 91, 108; reliability.md T15; Fetch standard, sections on CORS and on `Origin`.

use std::time::Duration;

use hyper::{
    HeaderMap, Response, StatusCode,
    header::{
        self, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue, ORIGIN, REFERER, VARY,
    },
};
use tracing::warn;

pub use self::pattern::BadOrigin;
use self::pattern::{Origin, Pattern};
use crate::server::{clock, forwarded::Scheme, pace::Pace};

mod pattern;

/// How a request reaches the broker; decides what the absence of an `Origin` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A Bayeux POST. Browsers always send an `Origin` with it.
    Post,
    /// A WebSocket upgrade. Browsers always send an `Origin` with it.
    Upgrade,
    /// A callback-polling GET, made by a `<script>` element: browsers send no `Origin`.
    Jsonp,
}

/// What the rule says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Accepted, and the response needs no CORS headers.
    NoOrigin,
    /// Accepted from this origin; the response takes it through [`cors`].
    Allowed(HeaderValue),
    /// To be answered 403 with this text, which names the setting that would allow it.
    Refused(String),
}

/// `server.allowed_origins`, ready to be asked.
#[derive(Debug)]
pub struct OriginRule {
    patterns: Vec<Pattern>,
    loopback_only: bool,
    /// Refusals are logged once a minute: a hostile page can cause them at any rate.
    pace: Pace,
}

impl OriginRule {
    /// Reads the list. `loopback_only`: every main listener is bound to a loopback address.
    ///
    /// # Errors
    /// The first entry that is no origin; the operator's to correct.
    pub fn new(allowed: &[String], loopback_only: bool) -> Result<Self, BadOrigin> {
        let patterns =
            allowed.iter().map(|text| Pattern::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if patterns.contains(&Pattern::Any) {
            warn!(
                event = "node",
                "server.allowed_origins has \"*\": any web page that a user visits can use this broker"
            );
        }
        Ok(Self { patterns, loopback_only, pace: Pace::new(Duration::from_secs(60)) })
    }

    /// Judges a request by its headers. `scheme` is the one that the client used (forwarded.rs).
    pub fn check(&self, kind: RequestKind, headers: &HeaderMap, scheme: Scheme) -> Verdict {
        let mut origins = headers.get_all(ORIGIN).iter();
        let (origin, second) = (origins.next(), origins.next());
        let allowed = match origin {
            _ if second.is_some() => Err(Reason::Foreign("two Origin headers".to_owned())),
            Some(origin) => self.allows(origin, headers, scheme),
            None if kind == RequestKind::Jsonp => self.allows_script(headers, scheme),
            None => Ok(()),
        };
        match (allowed, origin) {
            (Ok(()), None) => Verdict::NoOrigin,
            (Ok(()), Some(origin)) => Verdict::Allowed(origin.clone()),
            (Err(reason), _) => {
                let text = reason.explain();
                if let Some(suppressed) = self.pace.permit(clock::now()) {
                    warn!(event = "error", reason = "origin", suppressed, "{text}");
                }
                Verdict::Refused(text)
            }
        }
    }

    /// Answers an OPTIONS request: 204, with CORS headers if it is the preflight of an allowed page.
    ///
    /// # Errors
    /// The text of a 403, as in [`Verdict::Refused`].
    pub fn preflight(&self, headers: &HeaderMap, scheme: Scheme) -> Result<Response<()>, String> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let reply = response.headers_mut();
        reply.insert(header::ALLOW, METHODS);
        match self.check(RequestKind::Post, headers, scheme) {
            Verdict::Refused(text) => return Err(text),
            Verdict::NoOrigin => {}
            Verdict::Allowed(origin) => {
                cors(&origin, reply);
                reply.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
                reply.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(headers));
                reply.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
            }
        }
        Ok(response)
    }

    /// Whether a page that reached us under this `Host` may read static files. Such requests have no
    /// `Origin`, so the name is all that tells DNS rebinding.
    pub fn admits_host(&self, headers: &HeaderMap) -> bool {
        let any = !self.loopback_only || !self.patterns.is_empty();
        any || !headers.contains_key(header::HOST) || is_loopback_host(headers)
    }

    /// Compares the text of an `Origin` header with the rule.
    fn allows(
        &self,
        text: &HeaderValue,
        headers: &HeaderMap,
        scheme: Scheme,
    ) -> Result<(), Reason> {
        let foreign = || Reason::Foreign(format!("origin {}", shown(text)));
        // `null` is the origin of sandboxed frames, which any page can make: only a listed one passes.
        if text == "null" {
            return if self.patterns.contains(&Pattern::Null) { Ok(()) } else { Err(foreign()) };
        }
        let origin = text.to_str().ok().and_then(Origin::parse).ok_or_else(foreign)?;
        self.allows_origin(&origin, headers, scheme)
            .then_some(())
            .ok_or_else(|| self.reason(&origin, headers, scheme))
    }

    /// Judges the GET of a `<script>`: by `Sec-Fetch-Site`, then by the origin of `Referer`. Browsers
    /// leave the first out on plain http, pages can suppress the second; a request with neither may
    /// come from anywhere and is refused.
    fn allows_script(&self, headers: &HeaderMap, scheme: Scheme) -> Result<(), Reason> {
        if self.patterns.contains(&Pattern::Any) {
            return Ok(());
        }
        let own_page = match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
            Some(b"same-origin") => true,
            // The user typed the address: no page is involved.
            Some(b"none") => return Ok(()),
            _ => false,
        };
        let origin = if own_page {
            own(headers, scheme)
        } else {
            let referer = headers.get(REFERER).and_then(|value| value.to_str().ok());
            Origin::of_url(referer.ok_or(Reason::Unknown)?)
        };
        let origin = origin.ok_or(Reason::Unknown)?;
        self.allows_origin(&origin, headers, scheme)
            .then_some(())
            .ok_or_else(|| self.reason(&origin, headers, scheme))
    }

    fn allows_origin(&self, origin: &Origin, headers: &HeaderMap, scheme: Scheme) -> bool {
        if !self.patterns.is_empty() {
            return self.patterns.iter().any(|pattern| pattern.matches(origin));
        }
        if self.loopback_only {
            // The `Host` tells a page that reached us under its own name (DNS rebinding).
            return origin.is_loopback() && is_loopback_host(headers);
        }
        own(headers, scheme).as_ref() == Some(origin)
    }

    /// A page of the same host under https while we see http: a proxy that ends TLS and that we were
    /// not told of. Adding the origin would help, trusting the proxy is right.
    ///
    /// A list stands for itself. The broker's own origin is not let in beside it: `Host` is what the
    /// client says, or a proxy, and names this broker for a page of somebody else as well.
    fn reason(&self, origin: &Origin, headers: &HeaderMap, scheme: Scheme) -> Reason {
        let was_default = origin.is_loopback() || own(headers, scheme).as_ref() == Some(origin);
        if !self.patterns.is_empty() && was_default {
            return Reason::Unlisted(format!("origin \"{origin}\""));
        }
        let behind_tls = self.patterns.is_empty()
            && scheme == Scheme::Http
            && own(headers, Scheme::Https).as_ref() == Some(origin);
        let shown = format!("origin \"{origin}\"");
        if behind_tls { Reason::UntrustedProxy(shown) } else { Reason::Foreign(shown) }
    }
}

/// Adds the headers that let a page of `origin` read the response. cometd.js sends credentials, so
/// the origin is named and never `*`.
pub fn cors(origin: &HeaderValue, response: &mut HeaderMap) {
    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    response.append(VARY, HeaderValue::from_static("Origin"));
}

/// Whether a page of another site under https sends this request, so that browsers keep our cookie
/// only as a third-party one (cookie.rs). Without `Sec-Fetch-Site` another host counts as another
/// site, which is wrong for sub-domains of one site, and harmless there.
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok()).and_then(Origin::parse);
    let Some(origin) = origin.filter(Origin::is_https) else { return false };
    match headers.get("sec-fetch-site") {
        Some(site) => site == "cross-site",
        None => own(headers, Scheme::Https).is_none_or(|own| !own.same_host(&origin)),
    }
}

/// Whether the `Host` header names this machine itself: `localhost`, a name below it, or a loopback
/// address. Guards loopback listeners against DNS rebinding. A missing header is no such name.
pub fn is_loopback_host(headers: &HeaderMap) -> bool {
    own(headers, Scheme::Http).is_some_and(|own| own.is_loopback())
}

/// Whether `address` can be reached from this machine only.
pub fn is_loopback_address(address: std::net::IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The origin under which the client addressed us.
fn own(headers: &HeaderMap, scheme: Scheme) -> Option<Origin> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    Origin::parse(&format!("{}://{host}", scheme.as_str()))
}

/// The base list and what the page asks for, if that is a sane list of header names.
fn allowed_headers(request: &HeaderMap) -> HeaderValue {
    let base = HeaderValue::from_static(ALLOWED_HEADERS);
    let Some(asked) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) else { return base };
    let is_list = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_, ".contains(byte);
    match asked.to_str() {
        Ok(asked) if asked.len() <= ASKED_HEADERS_MAX && asked.as_bytes().iter().all(is_list) => {
            HeaderValue::from_str(&format!("{ALLOWED_HEADERS}, {asked}")).unwrap_or(base)
        }
        _ => base,
    }
}

/// Text of a stranger in a log line or response: quoted, escaped, cut.
fn shown(text: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(text.as_bytes());
    format!("{:?}", text.chars().take(SHOWN_CHARS_MAX).collect::<String>())
}

/// Why a request is refused.
enum Reason {
    Foreign(String),
    /// As without a list it would perhaps be allowed.
    Unlisted(String),
    UntrustedProxy(String),
    Unknown,
}

impl Reason {
    fn explain(&self) -> String {
        match self {
            Self::Foreign(who) => format!(
                "{who} is not allowed; add it to server.allowed_origins if the page may use this broker"
            ),
            Self::Unlisted(who) => format!(
                "{who} is not allowed: server.allowed_origins is not empty, so it is the whole list, also for this \
                 broker's own pages; add the origin to it if the page may use this broker"
            ),
            Self::UntrustedProxy(who) => format!(
                "{who} is not allowed, because this broker was reached by plain http; if a proxy of yours ends TLS, \
                 add its address to server.trusted_proxies and let it send X-Forwarded-Proto"
            ),
            Self::Unknown => {
                "a callback-polling request must tell its page by Sec-Fetch-Site or Referer, \
                 so that server.allowed_origins can be applied"
                    .to_owned()
            }
        }
    }
}

const METHODS: HeaderValue = HeaderValue::from_static("POST, GET, OPTIONS");
/// What cometd.js, Faye and authenticating pages send (protocol.md 91).
const ALLOWED_HEADERS: &str =
    "Content-Type, X-Requested-With, Accept, Origin, Pragma, Authorization";
/// Two hours, the longest that Chromium honours.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const ASKED_HEADERS_MAX: usize = 1024;
const SHOWN_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests;
