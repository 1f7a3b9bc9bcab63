//! Bayeux without a socket: bytes in, bytes out, through the dispatch that every transport uses.
//!
//! For measuring what a message costs besides the kernel and the framing (`benches`). A client over it
//! is like one over a WebSocket that carries one batch at a time; what is delivered to it stays in its
//! queue, and a connect must not ask to be held.

use std::{net::Ipv4Addr, sync::Arc};

use super::{
    app::App,
    cookie::Presented,
    dispatch::{Outcome, Sender, dispatch},
    whence::Whence,
};
use crate::{
    bayeux::{BadBatch, parse_batch},
    broker::{Carrier, Session, Wakes},
    config::Transport,
};

/// One client of a server, without a connection.
pub struct Exchange {
    app: Arc<App>,
    cookies: Presented,
    session: Option<Arc<Session>>,
}

impl Exchange {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self { app, cookies: Presented::default(), session: None }
    }

    /// Processes a batch of messages and returns the replies, an array as on the wire.
    ///
    /// # Errors
    /// Not a batch. A handshake among other messages counts as an empty one.
    pub async fn send(&mut self, batch: &[u8]) -> Result<Vec<u8>, BadBatch> {
        let messages = parse_batch(batch, &self.app.live.messages())?;
        let sender = Sender {
            carrier: Carrier::Socket,
            transport: Transport::WebSocket,
            whence: Whence::Upgrade(None),
            cookies: &self.cookies,
            browser: None,
            bound: self.session.as_ref(),
            counts_seconds: false,
            address: Ipv4Addr::LOCALHOST.into(),
            principal: None,
            monitors_only: false,
        };
        let outcome = dispatch(&self.app, &sender, &messages, &mut Wakes::default()).await;
        let Outcome { session, replies, .. } = outcome.map_err(|_| BadBatch::Empty)?;
        if session.is_some() {
            self.session = session;
        }
        let mut array = Vec::with_capacity(replies.len() + "[]".len());
        array.push(b'[');
        array.extend_from_slice(&replies);
        array.push(b']');
        Ok(array)
    }

    /// The session that the client has, if it has one.
    #[must_use]
    pub const fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Config, Server};

    #[tokio::test]
    async fn a_client_without_a_connection_shakes_hands_subscribes_publishes_and_connects() {
        let server = Server::from_listeners(Vec::new(), None, Config::default()).unwrap();
        let mut client = server.exchange();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let hello = br#"[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"]}]"#;
        let reply = text(client.send(hello).await.unwrap());
        assert!(reply.contains("\"successful\":true"), "{reply}");
        let session = client.session().unwrap().clone();
        let id = session.id().client_id();
        let batch = format!(
            r#"[{{"channel":"/meta/subscribe","clientId":"{id}","subscription":"/a","id":"1"}},
                {{"channel":"/a","clientId":"{id}","data":1,"id":"2"}},
                {{"channel":"/meta/connect","clientId":"{id}","id":"3","advice":{{"timeout":0}}}}]"#
        );
        let reply = text(client.send(batch.as_bytes()).await.unwrap());
        assert_eq!(reply.matches("\"successful\":true").count(), 3, "{reply}");
        assert_eq!(session.queued(), 1);
        assert!(client.send(b"[").await.is_err());
        assert!(client.send(&[b"[", &hello[1..hello.len() - 1], b",{}]"].concat()).await.is_err());
    }
}
