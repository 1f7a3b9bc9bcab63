//! One TCP connection of the tool: bytes to be sent, and the incomplete rest of what came.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use mio::{Interest, Registry, Token, net::TcpStream};
use socket2::{Domain, Socket, Type};

/// A connection, from the first packet on.
#[derive(Debug)]
pub(super) struct Line {
    socket: TcpStream,
    open: bool,
    output: Vec<u8>,
    /// What came and is not yet complete.
    pub(super) input: Vec<u8>,
}

impl Line {
    /// Begins to connect, from `source` if given, and registers for edge-triggered events.
    ///
    /// # Errors
    ///
    /// Those of the system: no descriptor, no port, an address that is not local, or, at once,
    /// nobody listening.
    pub(super) fn dial(
        address: SocketAddr,
        source: Option<Ipv4Addr>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            socket.bind(&SocketAddrV4::new(source, 0).into())?;
        }
        match socket.connect(&address.into()) {
            Err(error)
                if error.kind() != io::ErrorKind::WouldBlock
                    && error.raw_os_error() != Some(IN_PROGRESS) =>
            {
                return Err(error);
            }
            _ => {}
        }
        let mut socket = TcpStream::from_std(socket.into());
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { socket, open: false, output: Vec::new(), input: Vec::new() })
    }

    /// Sends what waits, once the connection stands; returns how many bytes the socket took. To be
    /// called when the socket is writable.
    ///
    /// # Errors
    ///
    /// The connection could not be made, or has failed.
    pub(super) fn writable(&mut self) -> io::Result<usize> {
        if !self.open {
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
            if self.socket.peer_addr().is_err() {
                return Ok(0);
            }
            self.open = true;
        }
        self.flush()
    }

    /// Queues `bytes`; they leave with the next [`Line::flush`].
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Gives room to write into what leaves with the next [`Line::flush`].
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Writes as much as the socket takes; returns how many bytes that were.
    ///
    /// # Errors
    ///
    /// The connection has failed.
    pub(super) fn flush(&mut self) -> io::Result<usize> {
        let mut written = 0;
        while self.open && written < self.output.len() {
            match self.socket.write(self.output.get(written..).unwrap_or_default()) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if written == self.output.len() && written <= KEPT_BYTES {
            self.output.clear();
        } else if written > 0 {
            // Nothing large is kept by an idle line; the rest is short.
            self.output = self.output.split_off(written);
        }
        Ok(written)
    }

    /// Reads once; `None` if nothing is there, 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// The connection has failed.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.socket.read(scratch) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// EINPROGRESS of Linux, which has no stable name in std; other systems refuse `--sources` anyway.
const IN_PROGRESS: i32 = 115;
/// Output capacity that a line may keep.
const KEPT_BYTES: usize = 4096;
