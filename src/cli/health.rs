//! `bayeuxd health`: whether a broker is ready, for checks of containers that have no shell and no curl.

use std::{env, time::Duration};

use clap::Args;
use hyper::{Method, StatusCode};

use super::{
    Failure, print,
    remote::{Remote, wait},
    span,
};

/// Arguments of `health`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The operators' listener (BAYEUXD_ADMIN_URL) [default: http://127.0.0.1:8081].
    url: Option<String>,
    /// Longest wait for an answer.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = span::parse)]
    timeout: Duration,
}

/// Asks `/readyz`, which needs no key.
///
/// # Errors
///
/// The broker drains, does not answer, or is none.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let url = options.url.clone().or_else(|| env::var("BAYEUXD_ADMIN_URL").ok());
    let url = url.as_deref().unwrap_or("http://127.0.0.1:8081");
    let remote = Remote::new(url, None, "URL", options.timeout)?;
    wait(async {
        let response = remote.send(Method::GET, "/readyz", String::new(), &[]).await?;
        match response.status() {
            StatusCode::OK => {
                print("ready\n");
                Ok(())
            }
            StatusCode::SERVICE_UNAVAILABLE => Err(Failure::Failed("the broker drains".to_owned())),
            status => Err(remote.stranger(status)),
        }
    })
}
