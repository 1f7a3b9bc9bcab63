//! Whether a page of another origin may connect: preflight, the request itself, the upgrade.
//! Source: Fetch standard, sections on CORS; docs/configuration.md, `server.allowed_origins`.

use hyper::{
    HeaderMap, Method,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_ORIGIN, HeaderName,
    },
};

use super::{
    finding::Finding,
    fix::{self, Server, Software},
    site::{Answer, Session, Site, handshake},
    way::TYPES,
    websocket,
};

const CHECK: &str = "cors";

/// Asks as the browser of such a page does; `offered` tells whether to try an upgrade too. Returns the
/// answer to the page's handshake as well.
pub(super) async fn check(
    site: &Site,
    origin: Option<&str>,
    offered: &Session,
    software: Software,
) -> (Finding, Option<Answer>) {
    let Some(origin) = origin else {
        let text = "say for which pages: --origin https://app.example.com";
        return (Finding::skip(CHECK, text), None);
    };
    let page = site.seen_from(Some(origin));
    let failed = |text: String| {
        let finding = Finding::fail(CHECK, text, &fix::ORIGIN, software);
        match software.server {
            Server::Bayeuxd => finding.first(format!(
                "bayeuxd: add \"{origin}\" to server.allowed_origins (the list is all that may \
                 connect, also of this machine and of the broker's own pages)"
            )),
            // It lets every page in.
            Server::Faye => finding,
            Server::Other => finding.first(format!(
                "CometD: Jetty's CrossOriginHandler (before Jetty 12 the CrossOriginFilter) has to \
                 allow {origin}, with credentials"
            )),
        }
    };
    let shaken = match page.post(&handshake(&TYPES, ""), "").await {
        Ok(answer) => answer,
        Err(error) => return (failed(error.to_string()), None),
    };
    let Some(session) = Session::of(&shaken) else {
        return (failed(format!("a POST of a page of {origin} is {}", shaken.summary())), None);
    };
    page.leave(&session).await;
    if offered.offers("websocket") {
        match websocket::open(&page, software).await {
            Ok(socket) => socket.close().await,
            Err(finding) if finding.text.ends_with("403") => {
                let text = format!("for a page of {origin} {}", finding.text);
                return (failed(text), Some(shaken));
            }
            // All other ends of it are those of every WebSocket, which has its own check.
            Err(_) => {}
        }
    }
    if site.remote.is_origin(origin) {
        return (
            Finding::pass(CHECK, format!("{origin} is the server's own origin")),
            Some(shaken),
        );
    }
    let finding = match preflight(&page).await {
        Err(text) => failed(format!("the preflight of a page of {origin} is {text}")),
        Ok(headers) => {
            let allowed = one(&headers, &ACCESS_CONTROL_ALLOW_HEADERS).unwrap_or_default();
            let mut allowed = allowed.split(',').map(str::trim);
            let trouble = trouble(&headers, origin).or_else(|| trouble(&shaken.headers, origin));
            match trouble {
                Some((text, Cause::Twice)) => {
                    Finding::fail(CHECK, text, &fix::CORS_TWICE, software)
                }
                Some((text, Cause::Missing)) => failed(text),
                None if !allowed.any(|name| name.eq_ignore_ascii_case("content-type")) => {
                    failed("the preflight does not allow the header Content-Type".to_owned())
                }
                None => {
                    let text = format!("pages of {origin} may connect, with their cookies");
                    Finding::pass(CHECK, text)
                }
            }
        }
    };
    (finding, Some(shaken))
}

/// The headers that answer a preflight.
///
/// # Errors
///
/// What came instead, in words.
async fn preflight(page: &Site) -> Result<HeaderMap, String> {
    let asked = [
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let answer = page.request(Method::OPTIONS, &page.path, String::new(), &asked).await;
    let answer = answer.map_err(|error| format!("not answered: {error}"))?;
    if answer.status.is_success() { Ok(answer.headers) } else { Err(answer.summary()) }
}

/// What is wrong with the headers of a response.
#[derive(Debug, PartialEq, Eq)]
enum Cause {
    Missing,
    /// Two write them.
    Twice,
}

/// Why a browser would keep a response from the page.
fn trouble(headers: &HeaderMap, origin: &str) -> Option<(String, Cause)> {
    let values = headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().count();
    if values > 1 {
        let text =
            format!("Access-Control-Allow-Origin comes {values} times, which no browser takes");
        return Some((text, Cause::Twice));
    }
    match one(headers, &ACCESS_CONTROL_ALLOW_ORIGIN) {
        None => Some(("no Access-Control-Allow-Origin".to_owned(), Cause::Missing)),
        Some(allowed) if allowed != origin => {
            let text = format!("Access-Control-Allow-Origin is {allowed}, not {origin}");
            Some((text, Cause::Missing))
        }
        // XMLHttpRequests of CometD's clients carry cookies.
        _ if one(headers, &ACCESS_CONTROL_ALLOW_CREDENTIALS) != Some("true") => {
            Some(("no Access-Control-Allow-Credentials: true".to_owned(), Cause::Missing))
        }
        _ => None,
    }
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_takes_one_origin_with_credentials() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            trouble(&headers, "https://a").map(|(text, _)| text)
        };
        let origin = ("access-control-allow-origin", "https://a");
        let credentials = ("access-control-allow-credentials", "true");
        assert_eq!(headers(&[origin, credentials]), None);
        let twice = headers(&[origin, credentials, origin]).unwrap();
        assert!(twice.contains("2 times"), "{twice}");
        assert!(headers(&[credentials]).unwrap().contains("no Access-Control-Allow-Origin"));
        assert!(headers(&[("access-control-allow-origin", "*"), credentials]).is_some());
        assert!(headers(&[origin]).unwrap().contains("Credentials"));
    }
}
