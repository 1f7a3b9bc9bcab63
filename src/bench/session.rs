//! One Bayeux session of the tool: where it stands on its way from a connection to held connects.

use std::{collections::VecDeque, mem};

use super::line::Line;

/// A session and its connections.
#[derive(Debug)]
pub(super) struct Session {
    /// How far it has come.
    pub(super) phase: Phase,
    /// Numbers of the channels it subscribes to.
    pub(super) rooms: Vec<u32>,
    /// Given by the server.
    pub(super) client_id: String,
    /// Given by the server over HTTP, which may insist on getting them back.
    pub(super) cookies: String,
    /// Carries everything over WebSocket, connects over long-polling.
    pub(super) main: Option<Line>,
    /// Carries what a long-polling session sends.
    pub(super) command: Option<Line>,
    /// Requests for `command` that wait for the response to the one before.
    pub(super) commands: VecDeque<Vec<u8>>,
    /// Whether `command` waits for a response.
    pub(super) commanding: bool,
    /// Number of the last batch, with the acknowledgement extension.
    pub(super) ack: u64,
    /// The connect as it goes over the wire, written once unless it acknowledges.
    pub(super) connect: Vec<u8>,
    /// Whether the connect waits for its reply.
    pub(super) asking: bool,
    /// When the connect was sent, or, before there is one, when the session was begun.
    pub(super) asked_ns: u64,
    /// The begun WebSocket message that came in several frames.
    pub(super) fragments: Vec<u8>,
    /// Whether it is compressed.
    pub(super) is_compressed: bool,
}

/// The life of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not begun.
    Waiting,
    /// The WebSocket upgrade was sent.
    Upgrading,
    /// The handshake was sent.
    Handshaking,
    /// Subscribes were sent; so many answers are missing.
    Subscribing(usize),
    /// The first connect was sent.
    Connecting,
    /// It holds a connect.
    Ready,
    /// It has said good-bye.
    Leaving,
    /// Ended, by good-bye or failure.
    Gone,
}

/// The connection an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// [`Session::main`].
    Main,
    /// [`Session::command`].
    Command,
}

impl Session {
    /// Plans a session that will subscribe to `rooms`.
    pub(super) fn new(rooms: Vec<u32>) -> Self {
        Self {
            phase: Phase::Waiting,
            rooms,
            client_id: String::new(),
            cookies: String::new(),
            main: None,
            command: None,
            commands: VecDeque::new(),
            commanding: false,
            ack: 0,
            connect: Vec::new(),
            asking: false,
            asked_ns: 0,
            fragments: Vec::new(),
            is_compressed: false,
        }
    }

    /// Gives one of the connections.
    pub(super) fn line(&mut self, lane: Lane) -> Option<&mut Line> {
        match lane {
            Lane::Main => self.main.as_mut(),
            Lane::Command => self.command.as_mut(),
        }
    }

    /// Closes both connections; returns the phase it was in.
    pub(super) fn end(&mut self) -> Phase {
        self.main = None;
        self.command = None;
        self.commands = VecDeque::new();
        self.fragments = Vec::new();
        mem::replace(&mut self.phase, Phase::Gone)
    }
}

impl Phase {
    /// Tells whether the session was begun and is not ready yet.
    pub(super) const fn is_opening(self) -> bool {
        matches!(
            self,
            Self::Upgrading | Self::Handshaking | Self::Subscribing(_) | Self::Connecting
        )
    }
}
