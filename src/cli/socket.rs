//! A WebSocket as a client has it, for `sub` and `doctor`.
//!
//! Whole text messages in both directions; no extension is offered. Pings are answered while somebody
//! waits for a message. Source: RFC 6455 4.1, 5.

use std::{io, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bayeuxd::ws::accept_key;
use hyper::{
    Method, Response, StatusCode,
    body::Incoming,
    header::SEC_WEBSOCKET_ACCEPT,
    upgrade::{self, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::{Failure, remote::Remote};
use crate::bench::frame::{self, FRAME_BYTES_MAX};

/// An open WebSocket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TokioIo<Upgraded>,
    /// Read and not yet looked at.
    unread: Vec<u8>,
    /// The fragments of the message that arrives.
    message: Vec<u8>,
    /// The last frame of this side is sent.
    closed: bool,
}

/// What became of an attempt to open one.
#[derive(Debug)]
pub(super) enum Opening {
    /// It is open.
    Open(Socket),
    /// The server, or somebody before it, gave another answer than 101.
    Refused(Response<Incoming>),
    /// 101 from somebody who does not speak WebSocket: the proof is wrong or missing.
    Unproven,
}

/// What comes in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incident {
    /// A message.
    Text(String),
    /// The other side ends it; 1005 if it gives no code (RFC 6455 7.1.5).
    Closed(u16),
}

/// Asks for an upgrade.
///
/// # Errors
///
/// Those of [`Remote::send`].
pub(super) async fn open(
    remote: &Remote,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Result<Opening, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| failed(&error))?;
    let key = STANDARD.encode(nonce);
    let mut all = vec![
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", key.as_str()),
    ];
    all.extend(headers);
    let mut response = remote.send(Method::GET, target, String::new(), &all).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Opening::Refused(response));
    }
    let proof = response.headers().get(SEC_WEBSOCKET_ACCEPT).and_then(|value| value.to_str().ok());
    if proof.is_none() || proof != accept_key(&key).as_deref() {
        return Ok(Opening::Unproven);
    }
    let upgraded = upgrade::on(&mut response).await.map_err(|error| failed(&error))?;
    let stream = TokioIo::new(upgraded);
    Ok(Opening::Open(Socket { stream, unread: Vec::new(), message: Vec::new(), closed: false }))
}

impl Socket {
    /// Sends a message.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub(super) async fn send(&mut self, text: &str) -> io::Result<()> {
        self.write(frame::TEXT, text.as_bytes()).await
    }

    /// Waits for what comes next. May be dropped and called again.
    ///
    /// # Errors
    ///
    /// The connection is broken or ends without a close frame, or what comes is no WebSocket.
    pub(super) async fn next(&mut self) -> io::Result<Incident> {
        loop {
            if let Some(incident) = self.take().await? {
                return Ok(incident);
            }
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "cut without a close"));
            }
        }
    }

    /// Ends it as RFC 6455 7.1.1 wants: says so and waits for the other side, which closes the
    /// connection. Best effort, within [`CLOSE_TIME`].
    ///
    /// A socket that is merely dropped counts as broken over there, and one that is dropped with
    /// something unread may take the close frame with it.
    pub(super) async fn close(mut self) {
        let _ = timeout(CLOSE_TIME, async {
            self.write(frame::CLOSE, &NORMAL.to_be_bytes()).await?;
            self.closed = true;
            while let Incident::Text(_) = self.next().await? {}
            Ok::<_, io::Error>(())
        })
        .await;
    }

    /// Looks at the frames that have come; `None`: more bytes are needed.
    async fn take(&mut self) -> io::Result<Option<Incident>> {
        let odd = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text);
        while let Some((frame, length)) = frame::next(&self.unread, false).map_err(odd)? {
            let (opcode, last, payload) = (frame.opcode, frame.last, frame.payload.to_vec());
            self.unread.drain(..length);
            match opcode {
                frame::PING if !self.closed => self.write(frame::PONG, &payload).await?,
                frame::PING | frame::PONG => {}
                frame::CLOSE => {
                    let code = payload.first_chunk().map_or(NO_CODE, |b| u16::from_be_bytes(*b));
                    if !self.closed {
                        // Best effort: the other side has said all that it will.
                        let _ = self.write(frame::CLOSE, &code_of_answer(code)).await;
                    }
                    return Ok(Some(Incident::Closed(code)));
                }
                _ => {
                    if self.message.len() + payload.len() > FRAME_BYTES_MAX {
                        return Err(odd("a message of more than 16 MiB"));
                    }
                    self.message.extend_from_slice(&payload);
                    if last {
                        let text = String::from_utf8(std::mem::take(&mut self.message));
                        let text = text.map_err(|_| odd("a message that is no UTF-8 text"))?;
                        return Ok(Some(Incident::Text(text)));
                    }
                }
            }
        }
        Ok(None)
    }

    async fn write(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let mut mask = [0; 4];
        getrandom::fill(&mut mask).map_err(|error| io::Error::other(error.to_string()))?;
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        frame::write_masked(opcode, payload, mask, &mut bytes);
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }
}

/// The payload that answers a close: its code, if it has one.
fn code_of_answer(code: u16) -> Vec<u8> {
    if code == NO_CODE { Vec::new() } else { code.to_be_bytes().to_vec() }
}

/// Longest wait for the other side to close too.
const CLOSE_TIME: Duration = Duration::from_secs(1);
const NORMAL: u16 = 1000;
const NO_CODE: u16 = 1005;
