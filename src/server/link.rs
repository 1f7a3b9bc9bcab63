//! What the loop of one connection (`websocket.rs`) asks of the way in which messages lie on the wire.
//!
//! A WebSocket and a raw TCP connection differ in framing only; binding, backlog, hold, order and
//! drain are the same, so the loop exists once. An enum, because there are two kinds and no third in
//! sight: a trait would make the loop generic, and compile it twice.

use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};

use tokio::net::TcpStream;

use super::{
    socket::lines::Lines,
    websocket::io::{RecvError, SendError, Socket},
};
use crate::{bayeux::Frame, ws::decode::Event};

/// A connection on which Bayeux messages travel in both directions. The methods are those of
/// [`Socket`].
pub(super) enum Link {
    WebSocket(Socket<TcpStream>),
    Lines(Lines),
}

impl Link {
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, RecvError>> {
        match self {
            Self::WebSocket(socket) => socket.poll_recv(cx),
            Self::Lines(lines) => lines.poll_recv(cx),
        }
    }

    pub(super) async fn try_recv(&mut self) -> Option<Result<Event, RecvError>> {
        match self {
            Self::WebSocket(socket) => socket.try_recv().await,
            Self::Lines(lines) => lines.try_recv().await,
        }
    }

    pub(super) const fn take_activity(&mut self) -> bool {
        match self {
            Self::WebSocket(socket) => socket.take_activity(),
            Self::Lines(lines) => lines.take_activity(),
        }
    }

    pub(super) async fn send_frames(
        &mut self,
        frames: &[Frame],
        written: &mut usize,
        offset: usize,
    ) -> Result<(), SendError> {
        match self {
            Self::WebSocket(socket) => socket.send_frames(frames, written, offset).await,
            Self::Lines(lines) => lines.send_frames(frames, written).await,
        }
    }

    /// What can be written without waiting; nothing of a text, which is framed anew for each connection.
    pub(super) fn send_now(&self, frames: &[Frame], written: &mut usize) -> io::Result<usize> {
        match self {
            Self::WebSocket(socket) => socket.send_now(frames, written),
            Self::Lines(_) => Ok(0),
        }
    }

    /// As [`Link::send_now`], with a text behind the deliveries.
    pub(super) fn send_now_with(
        &self,
        frames: &[Frame],
        written: &mut usize,
        payload: &[u8],
    ) -> io::Result<(usize, Option<Vec<u8>>)> {
        match self {
            Self::WebSocket(socket) => socket.send_now_with(frames, written, payload),
            Self::Lines(_) => Ok((0, None)),
        }
    }

    /// The next text, if all of it has come already and nothing else comes before it.
    pub(super) fn next_text(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::WebSocket(socket) => socket.next_text(),
            Self::Lines(lines) => lines.next_text(),
        }
    }

    /// Appends a text with an array of `objects` to what [`Link::send_bytes`] is to write.
    pub(super) fn append_array(&self, objects: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::WebSocket(socket) => socket.append_array(objects, out),
            Self::Lines(lines) => lines.append_array(objects, out),
        }
    }

    /// Writes what can be written of `held` without waiting, and removes that.
    pub(super) fn send_bytes_now(&self, held: &mut Vec<u8>) {
        match self {
            Self::WebSocket(socket) => socket.send_bytes_now(held),
            Self::Lines(lines) => lines.send_bytes_now(held),
        }
    }

    /// Writes what was framed before.
    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        match self {
            Self::WebSocket(socket) => socket.send_bytes(bytes).await,
            Self::Lines(lines) => lines.send_bytes(bytes).await,
        }
    }

    pub(super) async fn send_text(&mut self, payload: &[u8]) -> Result<(), SendError> {
        match self {
            Self::WebSocket(socket) => socket.send_text(payload).await,
            Self::Lines(lines) => lines.send_text(payload).await,
        }
    }

    /// Asks for a sign of life; false if the framing has no such question.
    pub(super) async fn ping(&mut self) -> Result<bool, SendError> {
        match self {
            Self::WebSocket(socket) => socket.send_ping().await.map(|()| true),
            Self::Lines(_) => Ok(false),
        }
    }

    pub(super) async fn send_pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        match self {
            Self::WebSocket(socket) => socket.send_pong(payload).await,
            Self::Lines(_) => Ok(()),
        }
    }

    pub(super) async fn send_close(
        &mut self,
        code: Option<u16>,
        reason: &str,
    ) -> Result<(), SendError> {
        match self {
            Self::WebSocket(socket) => socket.send_close(code, reason).await,
            Self::Lines(lines) => lines.send_close(code, reason).await,
        }
    }

    pub(super) async fn shut_down(&mut self, linger: Duration) {
        match self {
            Self::WebSocket(socket) => socket.shut_down(linger).await,
            Self::Lines(lines) => lines.shut_down(linger).await,
        }
    }
}
