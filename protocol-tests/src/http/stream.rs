//! A response that does not end by itself: its body is read as it grows.

use std::net::SocketAddr;

use serde_json::Value;

use super::{Connection, Request, Response, response};
use crate::deadline::soon;

/// A chunked response in arrival.
#[derive(Debug)]
pub struct Stream {
    /// The response without its body.
    pub head: Response,
    connection: Connection,
    /// What has arrived of the body and was not handed out.
    body: Vec<u8>,
    ended: bool,
}

impl Stream {
    /// Sends `request` on a connection of its own and reads the head of the response.
    ///
    /// # Panics
    /// If the response is not a stream.
    pub async fn open(address: SocketAddr, request: &Request) -> Self {
        Self::begin(Connection::open(address).await, request).await
    }

    /// As [`Stream::open`], over a connection that takes little of what is not read.
    pub async fn open_narrow(address: SocketAddr, request: &Request) -> Self {
        Self::begin(Connection::open_narrow(address).await, request).await
    }

    async fn begin(mut connection: Connection, request: &Request) -> Self {
        connection.send(request.bytes()).await;
        let head = soon("head of a stream", async {
            loop {
                if let Some((head, length)) = response::parse_head(&connection.unread) {
                    connection.unread.drain(..length);
                    return head;
                }
                assert!(connection.fill().await, "the connection ended");
            }
        })
        .await;
        assert_eq!(head.status, 200, "{head:?} {}", String::from_utf8_lossy(&connection.unread));
        assert_eq!(head.header("transfer-encoding"), Some("chunked"), "{head:?}");
        Self { head, connection, body: Vec::new(), ended: false }
    }

    /// Takes the line with which each stream opens: from then on its session is carried by it.
    pub async fn opened(&mut self) {
        let line = self.until("\n").await;
        if line.starts_with("retry:") {
            assert_eq!(self.until("\n").await, "\n");
        }
    }

    /// Takes the body up to and including `end`.
    ///
    /// # Panics
    /// If the stream ends first.
    pub async fn until(&mut self, end: &str) -> String {
        soon(end, async {
            loop {
                if let Some(at) = response::find(&self.body, end.as_bytes()) {
                    let taken: Vec<u8> = self.body.drain(..at + end.len()).collect();
                    return String::from_utf8(taken).expect("a body in UTF-8");
                }
                let left = String::from_utf8_lossy(&self.body).into_owned();
                assert!(self.grow().await, "no {end:?} before the end, only {left:?}");
            }
        })
        .await
    }

    /// Takes lines of JSON arrays until they held `count` messages.
    ///
    /// # Panics
    /// If a line has more than that.
    pub async fn messages(&mut self, count: usize) -> Vec<Value> {
        let mut messages: Vec<Value> = Vec::new();
        while messages.len() < count {
            let line = self.until("\n").await;
            let Ok(Value::Array(more)) = serde_json::from_str(&line) else {
                panic!("not an array: {line:?}");
            };
            messages.extend(more);
        }
        assert_eq!(messages.len(), count, "{messages:?}");
        messages
    }

    /// Waits for the end of the body; returns what was left of it.
    pub async fn rest(&mut self) -> String {
        soon("end of the stream", async { while self.grow().await {} }).await;
        String::from_utf8(std::mem::take(&mut self.body)).expect("a body in UTF-8")
    }

    /// Reads the next chunk; false at the end of the body, by its last chunk or by a cut.
    async fn grow(&mut self) -> bool {
        while !self.ended {
            let unread = &self.connection.unread;
            if let Some(at) = response::find(unread, b"\r\n") {
                let size = std::str::from_utf8(&unread[..at]).expect("a chunk size in ASCII");
                let size = usize::from_str_radix(size, 16).expect("a chunk size in hexadecimal");
                let (start, end) = (at + 2, at + 2 + size);
                if unread.len() >= end + 2 {
                    self.body.extend_from_slice(&unread[start..end]);
                    self.ended = size == 0;
                    self.connection.unread.drain(..end + 2);
                    return !self.ended;
                }
            }
            self.ended = !self.connection.fill().await;
        }
        false
    }
}
