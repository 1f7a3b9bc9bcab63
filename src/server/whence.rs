//! Where messages come from, as far as events tell it: address, page and user agent.
//!
//! What could identify somebody else, cookies and query strings, is not read at all.
//! Source: monitoring.md 4, 7.

use std::{net::IpAddr, sync::Arc};

use hyper::{
    HeaderMap,
    header::{HeaderName, ORIGIN, USER_AGENT},
};

use super::app::App;
use crate::events::{Page, Peer, Rights, Sid};

/// See the module documentation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whence<'a> {
    /// The headers of a request, read when somebody wants to know.
    Request(&'a HeaderMap),
    /// What a connection keeps of those of its upgrade, if there was one.
    Upgrade(Option<&'a Arc<Page>>),
}

impl Whence<'_> {
    /// What is known of page and program.
    pub(super) fn page(&self, app: &App) -> Option<Arc<Page>> {
        match self {
            Self::Request(headers) => Some(page(app, headers)),
            Self::Upgrade(page) => page.cloned(),
        }
    }

    /// Who sends from there, for events.
    pub(super) fn peer(
        &self,
        app: &App,
        address: IpAddr,
        sid: Option<Sid>,
        rights: Option<Arc<Rights>>,
    ) -> Arc<Peer> {
        Arc::new(Peer { sid, ip: ip(app, address), page: self.page(app), rights })
    }
}

/// The page and program that a request names, shared with others of the same.
pub(super) fn page(app: &App, headers: &HeaderMap) -> Arc<Page> {
    let text =
        |name: HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    app.pages.share(Page::new(text(ORIGIN).as_deref(), text(USER_AGENT).as_deref()))
}

/// Somebody of whom only the address is known.
pub(super) fn stranger(app: &App, address: IpAddr) -> Arc<Peer> {
    Arc::new(Peer { ip: ip(app, address), ..Peer::default() })
}

fn ip(app: &App, address: IpAddr) -> Option<Box<str>> {
    let shown = app.live.monitor_ip.now().shorten(address)?;
    Some(shown.to_string().into())
}
