//! The reference floor: the least server that can answer the tool.
//!
//! One thread, no JSON parsing, no checks, prebuilt frames: what is left is what the kernel costs.
//! It answers this tool and nothing else, since it relies on how [`super::wire`] writes messages.
//! `direct` writes every delivery by itself; `coalesced` joins, for each subscriber, what one turn
//! of the event loop brings. A result means little by itself; its ratio to the floor of the same
//! run says what the protocol and its safety cost.

mod child;
mod connection;
mod node;
mod request;

use std::{
    collections::HashMap,
    io::{self, Write as _, stdout},
    mem,
    time::Duration,
};

use mio::{Events, Interest, Poll, Token, net::TcpListener};
use slab::Slab;

pub(super) use self::child::Child;
use self::{connection::Connection, node::Node};
use super::{
    clock::{Clock, SECOND_NS},
    error::BenchError,
    options::{self, Mode},
};

/// Serves until its time is over.
///
/// # Errors
///
/// The address cannot be had, or the event queue has failed.
pub(super) fn serve(options: &options::Floor) -> Result<(), BenchError> {
    let listener = TcpListener::bind(options.listen).map_err(|error| {
        BenchError::Usage(format!("cannot listen on {}: {error}", options.listen))
    })?;
    // The tool that started this process waits for the line; one that nobody reads is no error.
    let _ = writeln!(
        stdout().lock(),
        "floor ({}) on http://{}/cometd",
        options.mode.name(),
        listener.local_addr()?
    );
    let mut floor = Floor::new(listener, options.mode)?;
    let end_ns = u64::try_from(options.lifetime.as_nanos()).unwrap_or(u64::MAX);
    while floor.clock.now_ns() < end_ns {
        floor.turn()?;
    }
    Ok(())
}

/// The event loop and what it serves.
#[derive(Debug)]
struct Floor {
    poll: Poll,
    listener: TcpListener,
    clock: Clock,
    connections: Slab<Connection>,
    node: Node,
    scratch: Vec<u8>,
}

impl Floor {
    fn new(mut listener: TcpListener, mode: Mode) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            clock: Clock::start(),
            connections: Slab::new(),
            node: Node::new(mode),
            scratch: vec![0; SCRATCH_BYTES],
        })
    }

    /// Handles what one wait brings; then writes what was collected, and ends holds that are over.
    fn turn(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        match self.poll.poll(&mut events, Some(Duration::from_secs(1))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &events {
            match event.token() {
                LISTENER => self.accept(),
                Token(number) => {
                    if event.is_writable()
                        && let Some(connection) = self.connections.get_mut(number)
                    {
                        connection.flush();
                    }
                    if event.is_readable() {
                        self.read(number);
                    }
                }
            }
        }
        self.node.flush(&mut self.connections);
        self.node.end_holds(&mut self.connections, self.clock.now_ns());
        Ok(())
    }

    fn accept(&mut self) {
        // An error other than "no more" (no descriptor) leaves the client waiting, which it tells.
        while let Ok((mut socket, _)) = self.listener.accept() {
            let _ = socket.set_nodelay(true);
            let entry = self.connections.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut socket, Token(entry.key()), interest).is_ok() {
                entry.insert(Connection::new(socket));
            }
        }
    }

    /// Reads until the socket is empty and handles what is complete.
    fn read(&mut self, number: usize) {
        let mut scratch = mem::take(&mut self.scratch);
        while let Some(connection) = self.connections.get_mut(number) {
            let Some(count) = connection.read(&mut scratch) else { break };
            let mut input = mem::take(&mut connection.input);
            input.extend_from_slice(scratch.get(..count).unwrap_or_default());
            let used = self.handle(number, &mut input);
            match (used, self.connections.get_mut(number)) {
                (Some(used), Some(connection)) if count > 0 => {
                    connection.input = input.split_off(used);
                }
                _ => {
                    let closed = self.connections.try_remove(number);
                    if let Some(session) = closed.and_then(|closed| closed.session) {
                        self.node.forget(number, session);
                    }
                }
            }
            if count < scratch.len() {
                break;
            }
        }
        self.scratch = scratch;
    }

    /// Handles complete requests and messages; `None`: the connection is to be closed.
    fn handle(&mut self, number: usize, input: &mut [u8]) -> Option<usize> {
        let mut used = 0;
        loop {
            let connection = self.connections.get_mut(number)?;
            let rest = input.get_mut(used..)?;
            let (body, length) = if connection.is_websocket {
                match request::frame(rest)? {
                    None => return Some(used),
                    Some(frame) => frame,
                }
            } else {
                match request::http(rest)? {
                    request::Http::Incomplete => return Some(used),
                    request::Http::Upgrade { accept, length } => {
                        connection.upgrade(&accept);
                        used += length;
                        continue;
                    }
                    request::Http::Post { body, length } => (body, length),
                }
            };
            let body = rest.get(body)?;
            self.node.batch(&mut self.connections, number, body, self.clock.now_ns());
            used += length;
        }
    }
}

/// Channels and who subscribes to them.
type Topics = HashMap<Vec<u8>, Vec<usize>>;

/// How long a connect is held.
const HOLD_NS: u64 = 30 * SECOND_NS;
const LISTENER: Token = Token(usize::MAX);
const EVENTS: usize = 1024;
const SCRATCH_BYTES: usize = 256 << 10;
