//! Whether the cookie that binds a session to its browser is set, kept and presented.
//! Source: protocol.md 87, 88; RFC 6265 5.3; RFC 6265bis 5.6 (`SameSite`, `Secure`).

use hyper::header::SET_COOKIE;

use super::{
    finding::Finding,
    fix::{self, Fix, Server, Software},
    site::{Answer, Site},
    way::TYPES,
};

const CHECK: &str = "cookies";

/// A `Set-Cookie` line, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cookie {
    name: String,
    domain: Option<String>,
    path: Option<String>,
    secure: bool,
    same_site: Option<String>,
}

impl Cookie {
    fn parse(line: &str) -> Self {
        let mut parts = line.split(';').map(str::trim);
        let first = parts.next().unwrap_or_default();
        let name = first.split('=').next().unwrap_or_default().to_owned();
        let mut cookie = Self { name, ..Self::default() };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim().to_ascii_lowercase();
            match name.trim().to_ascii_lowercase().as_str() {
                "domain" => cookie.domain = Some(value.trim_start_matches('.').to_owned()),
                "path" => {
                    cookie.path = part.split_once('=').map(|(_, path)| path.trim().to_owned());
                }
                "secure" => cookie.secure = true,
                "samesite" => cookie.same_site = Some(value),
                _ => {}
            }
        }
        cookie
    }

    /// Why a browser would not keep it or not send it back, and what to change; `None`: its attributes
    /// do not fit the scheme.
    fn trouble(&self, host: &str, path: &str, tls: bool) -> Option<(String, Option<&'static Fix>)> {
        let Self { name, domain, path: scope, secure, same_site } = self;
        if let Some(domain) = domain
            && host != domain
            && !host.ends_with(&format!(".{domain}"))
        {
            let text = format!("{name} is for {domain}, not for {host}");
            return Some((text, Some(&fix::COOKIE_SCOPE)));
        }
        if let Some(scope) = scope
            && !path.starts_with(scope.as_str())
        {
            return Some((
                format!("{name} is for the path {scope}, not {path}"),
                Some(&fix::COOKIE_SCOPE),
            ));
        }
        if *secure && !tls && !is_loopback(host) {
            return Some((format!("{name} is Secure, and this is plain HTTP"), None));
        }
        if same_site.as_deref() == Some("none") && !secure {
            return Some((format!("{name} is SameSite=None without Secure"), None));
        }
        None
    }
}

fn is_loopback(host: &str) -> bool {
    let address: Result<std::net::IpAddr, _> = host.parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Looks at the cookies of a handshake's answer, then presents a forged one, which has to be noticed.
pub(super) async fn check(site: &Site, shaken: &Answer, software: Software) -> Finding {
    let (host, _, tls) = site.remote.place();
    let lines = shaken.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies: Vec<Cookie> = lines.map(Cookie::parse).collect();
    if cookies.is_empty() {
        let text = "the answer to a handshake brings no cookie";
        return match software.server {
            Server::Bayeuxd => {
                let text = format!("{text}, though bayeuxd sets one: it is removed on the way");
                Finding::fail(CHECK, text, &fix::SET_COOKIE, software)
            }
            Server::Faye => Finding::skip(CHECK, "Faye sets none"),
            Server::Other => {
                let text = format!("{text}; CometD sets one, BAYEUX_BROWSER by default");
                Finding::warn(CHECK, text, &fix::SET_COOKIE, software)
            }
        };
    }
    let of_scheme = match software.server {
        Server::Other => &fix::COMETD_COOKIE,
        Server::Bayeuxd | Server::Faye => &fix::SCHEME,
    };
    let trouble = cookies.iter().find_map(|cookie| cookie.trouble(host, &site.path, tls));
    if let Some((text, of_scope)) = trouble {
        let fix = of_scope.unwrap_or(of_scheme);
        return Finding::fail(CHECK, format!("browsers drop it: {text}"), fix, software);
    }
    let presented = forged(site, &cookies).await;
    let names: Vec<&str> = cookies.iter().map(|cookie| cookie.name.as_str()).collect();
    let names = names.join(", ");
    match presented {
        Ok(true) => {}
        // The cookie is another program's, a balancer's perhaps.
        Ok(false) if software.server == Server::Faye => {}
        Ok(false) if software.server == Server::Bayeuxd => {
            let text = format!(
                "{names} is set, but a forged one is not noticed: Cookie is removed \
                                on the way to the broker"
            );
            return Finding::fail(CHECK, text, &fix::COOKIE, software);
        }
        Ok(false) => {
            let text = format!(
                "{names} is set, but a forged one is not noticed: removed on the way, \
                                or the server does not compare (CometD: trustClientSession)"
            );
            return Finding::warn(CHECK, text, &fix::COOKIE, software);
        }
        Err(text) => return Finding::fail(CHECK, text, &fix::COOKIE, software),
    }
    if tls && cookies.iter().any(|cookie| !cookie.secure) {
        let text = format!("{names} is set and presented, but not Secure over https");
        return Finding::warn(CHECK, text, of_scheme, software);
    }
    let foreign = site.origin.as_deref().is_some_and(|origin| is_cross_site(origin, host));
    let third_party = |cookie: &Cookie| cookie.same_site.as_deref() == Some("none");
    if foreign && !cookies.iter().any(third_party) {
        let text = format!(
            "{names} is not SameSite=None: browsers do not send it for pages of \
                            another site"
        );
        return Finding::warn(CHECK, text, of_scheme, software);
    }
    Finding::pass(CHECK, format!("{names} is set, kept and presented"))
}

/// Whether a request with forged cookies is refused, as it must be.
async fn forged(site: &Site, cookies: &[Cookie]) -> Result<bool, String> {
    let session = site.session(&TYPES).await?;
    let pairs: Vec<String> =
        cookies.iter().map(|cookie| format!("{}=doctor-was-here", cookie.name)).collect();
    let connect = session.connect("long-polling", true);
    let answer = site.post(&connect, &pairs.join("; ")).await.map_err(|error| error.to_string())?;
    site.leave(&session).await;
    Ok(!answer.succeeds("/meta/connect"))
}

/// Whether a page of `origin` is of another site than `host`, told by the last two labels of both. A
/// list of public suffixes would know better; this is a warning only.
fn is_cross_site(origin: &str, host: &str) -> bool {
    let page = origin.split("://").nth(1).unwrap_or(origin);
    let page = page.split(':').next().unwrap_or(page);
    let site = |name: &str| {
        let labels: Vec<&str> = name.rsplit('.').take(2).collect();
        labels.join(".")
    };
    !(is_loopback(page) && is_loopback(host)) && site(page) != site(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_for_somewhere_else_is_of_no_use() {
        let trouble = |line: &str, tls: bool| {
            Cookie::parse(line).trouble("push.example.com", "/cometd", tls).map(|(text, _)| text)
        };
        for line in [
            "B=1; Path=/; HttpOnly; SameSite=Lax",
            "B=1; Domain=.example.com; path=/cometd",
            "B=1",
            "B=1; samesite=none; SECURE",
        ] {
            assert_eq!(trouble(line, true), None, "{line}");
        }
        for (line, tls, text) in [
            ("B=1; Domain=ample.com", true, "B is for ample.com, not for push.example.com"),
            ("B=1; Path=/app", true, "B is for the path /app, not /cometd"),
            ("B=1; Secure", false, "B is Secure, and this is plain HTTP"),
            ("B=1; SameSite=None", true, "B is SameSite=None without Secure"),
        ] {
            assert_eq!(trouble(line, tls).as_deref(), Some(text));
        }
    }

    #[test]
    fn sites_are_told_by_their_last_two_labels() {
        assert!(!is_cross_site("https://app.example.com", "push.example.com"));
        assert!(!is_cross_site("http://localhost:3000", "127.0.0.1"));
        assert!(is_cross_site("https://app.example.org:8443", "push.example.com"));
    }
}
