//! `bayeuxd doctor`: examines the way to a Bayeux server as its clients use it, through whatever proxies
//! there are, and says what to change.
//!
//! Each check opens sessions of its own and ends them. Nothing is changed on the server; one message is
//! published below `/doctor/`. Source: operations.md 2; docs/proxies.md.

mod buffering;
mod cookies;
mod cors;
mod finding;
mod fix;
mod hold;
mod site;
mod way;
mod websocket;

use clap::Args;
use hyper::Uri;
use serde_json::json;

use self::{
    finding::{Finding, Status},
    site::Site,
};
use super::{
    Failure, complain, print,
    remote::{Patience, Remote, wait},
};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where clients connect, like https://push.example.com/cometd.
    url: String,
    /// Play a page of this origin, like https://app.example.com.
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    origin: Option<String>,
    /// Leave out what takes as long as the server holds a connect.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    patience: Patience,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Reads an origin as browsers write it.
fn origin(text: &str) -> Result<String, String> {
    let wrong = || "expected an origin like https://app.example.com, without a path".to_owned();
    let text = text.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, host) = text.split_once("://").ok_or_else(wrong)?;
    let fits = matches!(scheme, "http" | "https")
        && !host.is_empty()
        && !host.contains(['/', '?', '#', '@', ' ', ',', ';']);
    if fits { Ok(text) } else { Err(wrong()) }
}

/// Runs all checks.
///
/// # Errors
///
/// Nobody is there, or a check failed; what it was is printed before.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let site = site(options)?;
    let mut report = Report { json: options.json, findings: Vec::new() };
    let reached = wait(async { Ok(Box::pin(examine(&site, options, &mut report)).await) })?;
    report.finish(&options.url);
    let failed = report.findings.iter().filter(|f| f.status == Status::Fail).count();
    match failed {
        0 => Ok(()),
        _ if !reached => Err(Failure::Unreachable("nobody answers there".to_owned())),
        1 => Err(Failure::Failed("1 check failed".to_owned())),
        _ => Err(Failure::Failed(format!("{failed} checks failed"))),
    }
}

fn site(options: &Options) -> Result<Site, Failure> {
    // Clients replace the scheme for WebSockets; people paste either.
    let url = match options.url.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => options.url.clone(),
    };
    let remote = Remote::new(&url, None, "URL", options.patience.timeout())?;
    let uri: Uri = url.parse().map_err(|error| Failure::Usage(format!("URL {url}: {error}")))?;
    let path = match uri.path().trim_end_matches('/') {
        "" => "/cometd",
        path => path,
    };
    Ok(Site { remote, path: path.to_owned(), origin: None })
}

/// Returns whether there is anybody.
async fn examine(site: &Site, options: &Options, report: &mut Report) -> bool {
    match way::reach(site).await {
        Ok(finding) => report.add(finding),
        Err((finding, there)) => {
            report.add(finding);
            return there;
        }
    }
    let (session, shaken) = match way::post(site).await {
        Ok((finding, session, answer)) => {
            report.add(finding);
            (session, answer)
        }
        Err((finding, there)) => {
            report.add(finding);
            return there;
        }
    };
    site.leave(&session).await;
    let software = shaken.software().to(way::server(site, &session).await);
    report.add(way::path(site, software).await);
    report.add(way::affinity(site, software).await);
    let socket = websocket::check(site, &session, software).await;
    let opens = socket.status == Status::Pass;
    report.add(socket);
    let (finding, page) = cors::check(site, options.origin.as_deref(), &session, software).await;
    report.add(finding);
    let page_or_program = site.seen_from(page.as_ref().and(options.origin.as_deref()));
    let shaken = page.unwrap_or(shaken);
    report.add(cookies::check(&page_or_program, &shaken, software).await);
    report.add(way::body(site, software).await);
    report.add(buffering::check(site, &session, software).await);
    if options.quick {
        report.add(Finding::skip("hold", "left out by --quick"));
        report.add(Finding::skip("idle", "left out by --quick"));
        return true;
    }
    let seconds = session.timeout.as_secs_f64();
    complain(format_args!(
        "waiting {seconds} s, as long as the server holds a connect (--quick: not)"
    ));
    let idle = async {
        if opens {
            hold::idle(site, &session, software).await
        } else {
            Finding::skip("idle", "no WebSocket opens")
        }
    };
    let (poll, idle) = tokio::join!(hold::poll(site, software), idle);
    report.add(poll);
    report.add(idle);
    true
}

/// What was found so far; for people it is shown at once.
#[derive(Debug)]
struct Report {
    json: bool,
    findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, finding: Finding) {
        if !self.json {
            print(finding.show());
        }
        self.findings.push(finding);
    }

    fn finish(&self, url: &str) {
        if self.json {
            let ok = self.findings.iter().all(|finding| finding.status != Status::Fail);
            let whole = json!({ "url": url, "ok": ok, "checks": self.findings });
            print(format_args!("{whole}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_and_host() {
        assert_eq!(origin("HTTPS://App.example.com/"), Ok("https://app.example.com".to_owned()));
        assert_eq!(origin("http://localhost:3000"), Ok("http://localhost:3000".to_owned()));
        for wrong in ["app.example.com", "https://", "https://a/b", "ftp://a", "https://u@a"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
