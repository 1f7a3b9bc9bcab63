//! The way to the broker: name, addresses, TLS, the path of all kinds of requests, large bodies, one
//! broker behind it.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::Value;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{
    finding::Finding,
    fix::{self, Fix, Server, Software},
    site::{Answer, Session, Site, handshake},
};
use crate::cli::{Failure, dial, remote::encode};

/// Resolves the name and connects to each of its addresses.
///
/// # Errors
///
/// None of them answers (`false`), or not as it should (`true`); the finding says why.
pub(super) async fn reach(site: &Site) -> Result<Finding, (Finding, bool)> {
    const CHECK: &str = "reach";
    let (host, port, tls) = site.remote.place();
    let failed = |text: String| Finding::fail(CHECK, text, &Fix::NONE, Software::UNKNOWN);
    let nobody = |text: String| (failed(text), false);
    let start = Instant::now();
    let late = || nobody(format!("{host} is not found within 5 s: ask your name server"));
    let found = timeout(CONNECT_TIME, dial::addresses(host, port)).await.map_err(|_| late())?;
    let addresses = found.map_err(|error| nobody(format!("{host} {error}")))?;
    let mut silent = Vec::new();
    let mut open = None;
    for address in &addresses {
        match timeout(CONNECT_TIME, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => open = open.or(Some((address, stream))),
            Ok(Err(error)) => silent.push(format!("{address}: {error}")),
            Err(_) => silent.push(format!("{address}: no answer within 5 s")),
        }
    }
    let Some((address, stream)) = open else {
        let text = silent.join("; ");
        return Err(nobody(format!("nobody listens: {text}. A firewall, or another port?")));
    };
    if tls {
        let secured = timeout(CONNECT_TIME, dial::secure(host, stream)).await;
        let insecure = |text: String| (failed(text), true);
        let late = |_| insecure(format!("{address} begins no TLS within 5 s"));
        secured.map_err(late)?.map_err(|error| insecure(format!("{host} {error}")))?;
    }
    let took = start.elapsed().as_millis();
    let secure = if tls { ", with TLS and a certificate to trust" } else { "" };
    let text = format!("{host} is {address}, connected in {took} ms{secure}");
    if silent.is_empty() {
        Ok(Finding::pass(CHECK, text))
    } else {
        let text = format!("{text}; but not all of its addresses answer: {}", silent.join("; "));
        Ok(Finding::warn(CHECK, text, &Fix::NONE, Software::UNKNOWN))
    }
}

/// Shakes hands over HTTP.
///
/// # Errors
///
/// No Bayeux server answers there, so that nothing else can be examined: nobody does (`false`), or
/// somebody else (`true`).
pub(super) async fn post(site: &Site) -> Result<(Finding, Session, Answer), (Finding, bool)> {
    const CHECK: &str = "post";
    let failed = |text: String, fix, software| Finding::fail(CHECK, text, fix, software);
    let answer = match site.post(&handshake(&TYPES, ""), "").await {
        Ok(answer) => answer,
        Err(error) => {
            let there = !matches!(error, Failure::Unreachable(_));
            return Err((failed(error.to_string(), &fix::BACKEND, Software::UNKNOWN), there));
        }
    };
    if let Some(session) = Session::of(&answer) {
        let (took, types) = (answer.took.as_millis(), session.types.join(", "));
        let text = format!("a handshake is answered in {took} ms; the server offers {types}");
        return Ok((Finding::pass(CHECK, text), session, answer));
    }
    if answer.status == StatusCode::BAD_REQUEST && answer.summary().ends_with(NOT_ENABLED) {
        let text = format!("POST {} is {}", site.path, answer.summary());
        return Err((failed(text, &fix::TRANSPORTS, answer.software()), true));
    }
    if is_operators(site).await {
        let text = format!(
            "this is the operators' listener of bayeuxd (admin.listen), which serves no clients; give \
             the address of server.listen, by default http://127.0.0.1:8080{}",
            site.path
        );
        return Err((failed(text, &Fix::NONE, Software::UNKNOWN), true));
    }
    let advice = match answer.status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            &fix::BACKEND
        }
        _ => &fix::PATH,
    };
    let text = format!("POST {} is {}", site.path, answer.summary());
    Err((failed(text, advice, answer.software()), true))
}

/// Whether the admin API is there: it asks for a key, in its own words.
async fn is_operators(site: &Site) -> bool {
    let asked = site.request(Method::GET, "/admin/v1/stats", String::new(), &[]).await;
    asked.is_ok_and(|answer| {
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        answer.status == StatusCode::UNAUTHORIZED && told.pointer("/error/code").is_some()
    })
}

/// Whether what clients append to the path, and GET, lead to the same server.
pub(super) async fn path(site: &Site, software: Software) -> Finding {
    const CHECK: &str = "path";
    let below = format!("{}/handshake", site.path);
    let body = handshake(&TYPES, "").to_string();
    match site.request(Method::POST, &below, body, &[]).await {
        Ok(answer) => match Session::of(&answer) {
            Some(session) => site.leave(&session).await,
            None => {
                let text = format!("POST {below}, as CometD's clients do, is {}", answer.summary());
                return Finding::fail(CHECK, text, &fix::PATH, software);
            }
        },
        Err(error) => return Finding::fail(CHECK, error.to_string(), &fix::PATH, software),
    }
    let message = encode(&handshake(&["callback-polling"], "").to_string());
    let target = format!("{}?message={message}&jsonp=doctor", site.path);
    match site.request(Method::GET, &target, String::new(), &[]).await {
        // 400: a server that reached the request and does not offer the transport.
        Ok(answer) if matches!(answer.status, StatusCode::OK | StatusCode::BAD_REQUEST) => {
            Finding::pass(CHECK, format!("POST {below} and GET arrive at the same server"))
        }
        Ok(answer) => {
            let text = format!("POST arrives, but GET is {}", answer.summary());
            Finding::fail(CHECK, text, &fix::PATH, software)
        }
        Err(error) => Finding::fail(CHECK, error.to_string(), &fix::PATH, software),
    }
}

/// Whether a body of half the usual limit passes.
pub(super) async fn body(site: &Site, software: Software) -> Finding {
    const CHECK: &str = "body";
    let filling = "x".repeat(BODY_BYTES);
    let kib = BODY_BYTES >> 10;
    match site.post(&handshake(&TYPES, &filling), "").await {
        Ok(answer) => match Session::of(&answer) {
            Some(session) => {
                site.leave(&session).await;
                Finding::pass(CHECK, format!("a body of {kib} KiB passes"))
            }
            None => {
                let text = format!("a body of {kib} KiB is {}", answer.summary());
                Finding::fail(CHECK, text, &fix::BODY, software)
            }
        },
        Err(error) => {
            let text = format!("a body of {kib} KiB does not pass: {error}");
            Finding::fail(CHECK, text, &fix::BODY, software)
        }
    }
}

/// Whether requests over several connections meet the server that knows the session.
pub(super) async fn affinity(site: &Site, software: Software) -> Finding {
    const CHECK: &str = "affinity";
    let session = match site.session(&TYPES).await {
        Ok(session) => session,
        Err(text) => return Finding::fail(CHECK, text, &fix::BACKEND, software),
    };
    for number in 1..=CONNECTIONS {
        match site.post(&session.connect("long-polling", true), &session.cookies).await {
            Ok(answer) if answer.succeeds("/meta/connect") => {}
            Ok(answer) => {
                let text = format!(
                    "request {number} of a session is {}: another server?",
                    answer.summary()
                );
                return Finding::fail(CHECK, text, &fix::AFFINITY, software);
            }
            Err(error) => {
                let text = format!("request {number} of a session: {error}");
                return Finding::fail(CHECK, text, &fix::AFFINITY, software);
            }
        }
    }
    site.leave(&session).await;
    let text = format!("{CONNECTIONS} requests over as many connections meet one server");
    Finding::pass(CHECK, text)
}

/// Which server answers: bayeuxd is known by the words in which it refuses what is no message, Faye by a
/// connection type that nobody else offers.
pub(super) async fn server(site: &Site, session: &Session) -> Server {
    if session.offers("in-process") {
        return Server::Faye;
    }
    let answer = site.post(&Value::String("doctor".to_owned()), "").await;
    let is_bayeuxd = answer.is_ok_and(|answer| {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        answer.status == StatusCode::BAD_REQUEST && text.contains("supportedConnectionTypes")
    });
    if is_bayeuxd { Server::Bayeuxd } else { Server::Other }
}

/// What the checks ask for.
pub(super) const TYPES: [&str; 2] = ["websocket", "long-polling"];
/// What bayeuxd answers to a POST if nothing that it offers goes by POST.
const NOT_ENABLED: &str = "the transport long-polling is not enabled";
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Half of `limits.message_size`, and of CometD's 64 KiB.
const BODY_BYTES: usize = 32 << 10;
/// Enough to find a second server behind any balancer that takes turns.
const CONNECTIONS: usize = 8;
