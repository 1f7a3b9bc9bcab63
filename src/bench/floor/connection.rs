//! One socket of the floor.

use std::io::{self, Read as _, Write as _};

use mio::net::TcpStream;

use bayeuxd::ws::encode::{Opcode, header};

/// A connection, first HTTP, then maybe a WebSocket.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    /// Whether it was upgraded.
    pub(super) is_websocket: bool,
    /// What came and is not yet complete.
    pub(super) input: Vec<u8>,
    /// What the socket did not take, or what is collected for one write.
    pub(super) output: Vec<u8>,
    /// The session it carries.
    pub(super) session: Option<usize>,
    /// Whether it is in the list of those with collected output.
    pub(super) is_dirty: bool,
}

impl Connection {
    /// Begins with HTTP.
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            is_websocket: false,
            input: Vec::new(),
            output: Vec::new(),
            session: None,
            is_dirty: false,
        }
    }

    /// Reads once; `None` if nothing is there, 0 at the end or after a failure.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Option<usize> {
        match self.socket.read(scratch) {
            Ok(count) => Some(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => Some(0),
        }
    }

    /// Answers the upgrade.
    pub(super) fn upgrade(&mut self, accept: &str) {
        self.is_websocket = true;
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.write(response.as_bytes());
    }

    /// Sends `messages`, a JSON array, as this connection carries them.
    pub(super) fn respond(&mut self, messages: &[u8]) {
        if self.is_websocket {
            self.output.extend_from_slice(&header(Opcode::Text, false, messages.len()));
            self.output.extend_from_slice(messages);
        } else {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                messages.len()
            );
            self.output.extend_from_slice(head.as_bytes());
            self.output.extend_from_slice(messages);
        }
        // Collected output waits for the end of the turn; what is added goes with it.
        if !self.is_dirty {
            self.flush();
        }
    }

    /// Writes at once, without a copy unless the socket is full.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if !self.output.is_empty() {
            self.output.extend_from_slice(bytes);
            self.bound();
            return;
        }
        let written = self.socket.write(bytes).unwrap_or(0);
        self.output.extend_from_slice(bytes.get(written..).unwrap_or_default());
    }

    /// Writes what waits. A failure shows at the next read.
    pub(super) fn flush(&mut self) {
        let mut written = 0;
        while written < self.output.len() {
            match self.socket.write(self.output.get(written..).unwrap_or_default()) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => written = self.output.len(),
            }
        }
        if written == self.output.len() && written <= KEPT_BYTES {
            self.output.clear();
        } else if written > 0 {
            self.output = self.output.split_off(written);
        }
    }

    /// A reader that does not keep up loses its connection: the floor stays bounded.
    fn bound(&mut self) {
        if self.output.len() > OUTPUT_BYTES_MAX {
            self.output = Vec::new();
            let _ = self.socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// Output capacity that a connection may keep.
const KEPT_BYTES: usize = 4096;
/// Output that may wait.
const OUTPUT_BYTES_MAX: usize = 64 << 20;
