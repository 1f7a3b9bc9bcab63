//! Sessions, subscriptions and deliveries of the floor.

use std::{collections::VecDeque, io::Write as _};

use bayeuxd::ws::encode::{Opcode, header};
use slab::Slab;

use super::{HOLD_NS, Mode, Topics, connection::Connection, request};

/// What the floor knows.
#[derive(Debug)]
pub(super) struct Node {
    mode: Mode,
    sessions: Vec<Session>,
    topics: Topics,
    /// Connections with collected output.
    dirty: Vec<usize>,
    /// Sessions with collected deliveries and a held poll.
    due: Vec<usize>,
    /// Held connects in the order of their ends: end, session, number of the hold.
    holds: VecDeque<(u64, usize, u64)>,
}

#[derive(Debug, Default)]
struct Session {
    /// Its WebSocket.
    socket: Option<usize>,
    /// The connection of its held poll.
    poll: Option<usize>,
    /// Tells its holds apart.
    hold: u64,
    /// Deliveries that wait for a poll, with commas between them.
    queue: Vec<u8>,
    /// Whether it has ended; its number is not used again.
    has_left: bool,
}

impl Node {
    /// Begins empty.
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            sessions: Vec::new(),
            topics: Topics::new(),
            dirty: Vec::new(),
            due: Vec::new(),
            holds: VecDeque::new(),
        }
    }

    /// Handles the messages of one request and answers what is not held.
    pub(super) fn batch(
        &mut self,
        connections: &mut Slab<Connection>,
        number: usize,
        batch: &[u8],
        now_ns: u64,
    ) {
        let mut replies = Vec::new();
        for message in request::messages(batch) {
            let Some(channel) = request::text(message, b"\"channel\":\"") else { continue };
            let session = request::text(message, b"\"clientId\":\"").and_then(session_number);
            match (channel, session) {
                (b"/meta/handshake", _) => {
                    let name = client_id(self.sessions.len());
                    self.sessions.push(Session::default());
                    let fields = format!(
                        r#","version":"1.0","clientId":"{name}","supportedConnectionTypes":["websocket","long-polling"],"advice":{{"reconnect":"retry","interval":0,"timeout":30000}}"#
                    );
                    reply(&mut replies, channel, message, &fields);
                }
                (b"/meta/subscribe", Some(session)) => {
                    if let Some(topic) = request::text(message, b"\"subscription\":\"") {
                        self.topics.entry(topic.to_vec()).or_default().push(session);
                    }
                    reply(&mut replies, channel, message, "");
                }
                (b"/meta/connect", Some(session)) => {
                    let at_once = memchr::memmem::find(message, b"\"timeout\":0").is_some();
                    self.connect(connections, (number, session), at_once, now_ns, &mut replies);
                }
                (b"/meta/disconnect", Some(session)) => {
                    self.remove(session);
                    reply(&mut replies, channel, message, "");
                }
                _ => {
                    if let Some(data) = request::data(message) {
                        self.publish(connections, channel, data);
                    }
                    reply(&mut replies, channel, message, "");
                }
            }
        }
        if !replies.is_empty()
            && let Some(connection) = connections.get_mut(number)
        {
            connection.respond(&closed(replies));
        }
    }

    fn connect(
        &mut self,
        connections: &mut Slab<Connection>,
        (number, session): (usize, usize),
        at_once: bool,
        now_ns: u64,
        replies: &mut Vec<u8>,
    ) {
        let Some(connection) = connections.get_mut(number) else { return };
        connection.session = Some(session);
        let over_socket = connection.is_websocket;
        let Some(entry) = self.sessions.get_mut(session) else { return };
        if over_socket {
            entry.socket = Some(number);
        }
        if at_once || !entry.queue.is_empty() {
            append(replies, &std::mem::take(&mut entry.queue));
            append(replies, CONNECT_REPLY);
            return;
        }
        if !over_socket {
            entry.poll = Some(number);
        }
        entry.hold += 1;
        self.holds.push_back((now_ns + HOLD_NS, session, entry.hold));
    }

    /// Delivers to everybody who subscribed.
    fn publish(&mut self, connections: &mut Slab<Connection>, channel: &[u8], data: &[u8]) {
        let Some(subscribers) = self.topics.get(channel) else { return };
        let mut object = Vec::with_capacity(channel.len() + data.len() + 32);
        // Writing to memory does not fail.
        let _ = object.write_all(b"{\"channel\":\"");
        let _ = object.write_all(channel);
        let _ = object.write_all(b"\",\"data\":");
        let _ = object.write_all(data);
        object.push(b'}');
        let mut frame = header(Opcode::Text, false, object.len() + 2).to_vec();
        frame.push(b'[');
        frame.extend_from_slice(&object);
        frame.push(b']');

        for session in subscribers {
            let Some(entry) = self.sessions.get_mut(*session) else { continue };
            match (entry.socket, self.mode) {
                (Some(number), Mode::Direct) => {
                    if let Some(connection) = connections.get_mut(number) {
                        connection.write(&frame);
                    }
                }
                (Some(number), Mode::Coalesced) => {
                    if let Some(connection) = connections.get_mut(number) {
                        connection.output.extend_from_slice(&frame);
                        if !connection.is_dirty {
                            connection.is_dirty = true;
                            self.dirty.push(number);
                        }
                    }
                }
                (None, Mode::Direct) if entry.poll.is_some() => {
                    append(&mut entry.queue, &object);
                    entry.release(connections);
                }
                (None, _) => {
                    if entry.queue.is_empty() && entry.poll.is_some() {
                        self.due.push(*session);
                    }
                    append(&mut entry.queue, &object);
                }
            }
        }
    }

    /// Writes what was collected during a turn.
    pub(super) fn flush(&mut self, connections: &mut Slab<Connection>) {
        for number in self.dirty.drain(..) {
            if let Some(connection) = connections.get_mut(number) {
                connection.is_dirty = false;
                connection.flush();
            }
        }
        for session in self.due.drain(..) {
            if let Some(entry) = self.sessions.get_mut(session) {
                entry.release(connections);
            }
        }
    }

    /// Answers connects that were held long enough.
    pub(super) fn end_holds(&mut self, connections: &mut Slab<Connection>, now_ns: u64) {
        while let Some((end_ns, session, hold)) = self.holds.front().copied() {
            if end_ns > now_ns {
                break;
            }
            self.holds.pop_front();
            let Some(entry) = self.sessions.get_mut(session) else { continue };
            if entry.hold == hold {
                match entry.socket.and_then(|number| connections.get_mut(number)) {
                    Some(connection) => connection.respond(&closed(CONNECT_REPLY.to_vec())),
                    None => entry.release(connections),
                }
            }
        }
    }

    /// Ends what a closed connection carried, whose number will be given to another one.
    pub(super) fn forget(&mut self, number: usize, session: usize) {
        let Some(entry) = self.sessions.get_mut(session) else { return };
        if entry.poll == Some(number) {
            entry.poll = None;
        }
        if entry.socket == Some(number) {
            entry.socket = None;
            self.remove(session);
        }
    }

    /// Ends a session.
    fn remove(&mut self, session: usize) {
        let Some(entry) = self.sessions.get_mut(session).filter(|entry| !entry.has_left) else {
            return;
        };
        entry.has_left = true;
        entry.hold += 1;
        self.topics.values_mut().for_each(|topic| topic.retain(|entry| *entry != session));
    }
}

impl Session {
    /// Answers the held poll with everything that waits.
    fn release(&mut self, connections: &mut Slab<Connection>) {
        self.hold += 1;
        let Some(number) = self.poll.take() else { return };
        if let Some(connection) = connections.get_mut(number) {
            let mut messages = std::mem::take(&mut self.queue);
            append(&mut messages, CONNECT_REPLY);
            connection.respond(&closed(messages));
        }
    }
}

fn reply(replies: &mut Vec<u8>, channel: &[u8], message: &[u8], fields: &str) {
    if !replies.is_empty() {
        replies.push(b',');
    }
    let id = request::text(message, b"\"id\":\"").unwrap_or_default();
    for part in [
        b"{\"channel\":\"",
        channel,
        b"\",\"id\":\"",
        id,
        b"\",\"successful\":true",
        fields.as_bytes(),
        b"}",
    ] {
        replies.extend_from_slice(part);
    }
}

fn append(list: &mut Vec<u8>, object: &[u8]) {
    if !list.is_empty() && !object.is_empty() {
        list.push(b',');
    }
    list.extend_from_slice(object);
}

/// Makes an array of objects with commas between them.
fn closed(mut objects: Vec<u8>) -> Vec<u8> {
    objects.insert(0, b'[');
    objects.push(b']');
    objects
}

fn client_id(session: usize) -> String {
    format!("floor{session}")
}

fn session_number(client_id: &[u8]) -> Option<usize> {
    str::from_utf8(client_id.strip_prefix(b"floor")?).ok()?.parse().ok()
}

/// The reply to every connect: the tool gives them all the same id.
const CONNECT_REPLY: &[u8] = br#"{"channel":"/meta/connect","id":"c","successful":true}"#;
