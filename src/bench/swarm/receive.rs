//! What the sessions receive: bytes to messages, messages to the next step.

use std::mem;

use serde_json::Value;

use super::{
    super::{
        frame, response,
        session::{Lane, Phase},
        wire::{self, Reply, Transport},
    },
    Connects, Swarm,
};

impl Swarm {
    /// Reads a connection until it has no more.
    pub(super) fn readable(&mut self, id: usize, lane: Lane) {
        let mut scratch = mem::take(&mut self.scratch);
        loop {
            let line = self.sessions.get_mut(id).and_then(|session| session.line(lane));
            let Some(line) = line else { break };
            let read = line.read(&mut scratch);
            let mut input = mem::take(&mut line.input);
            match read {
                Ok(Some(0)) => self.closed(id, lane),
                Ok(Some(count)) => {
                    self.counts.bytes += count as u64;
                    let fresh = scratch.get(..count).unwrap_or_default();
                    let rest = if input.is_empty() {
                        self.take(id, lane, fresh)
                            .map(|used| fresh.get(used..).unwrap_or_default().to_vec())
                    } else {
                        input.extend_from_slice(fresh);
                        self.take(id, lane, &input).map(|used| input.split_off(used))
                    };
                    self.keep(id, lane, rest);
                    // A short read means that the socket is empty: edge-triggered events tell
                    // about more (epoll(7)).
                    if count == scratch.len() {
                        continue;
                    }
                }
                Ok(None) => line.input = input,
                Err(error) => self.lost(id, &error),
            }
            break;
        }
        self.scratch = scratch;
    }

    /// Puts the incomplete rest back, or ends the session that got nonsense.
    fn keep(&mut self, id: usize, lane: Lane, rest: Result<Vec<u8>, String>) {
        match rest {
            Ok(rest) => {
                let line = self.sessions.get_mut(id).and_then(|session| session.line(lane));
                if let Some(line) = line {
                    line.input = rest;
                }
            }
            Err(reason) => self.fail(id, reason),
        }
    }

    /// Takes what is complete in `bytes`; returns how much that was.
    fn take(&mut self, id: usize, lane: Lane, bytes: &[u8]) -> Result<usize, String> {
        let mut used = 0;
        if self.phase(id) == Phase::Upgrading {
            let Some(head) = response::head(bytes)? else { return Ok(0) };
            if head.status != 101 {
                return Err(format!(
                    "the server answered {} to the WebSocket upgrade",
                    head.status
                ));
            }
            if self.habits.deflate && !head.extensions.contains("server_no_context_takeover") {
                let accepted = if head.extensions.is_empty() { "none" } else { &head.extensions };
                return Err(format!(
                    "the server does not compress each message by itself; accepted extensions: \
                     {accepted}"
                ));
            }
            used = head.length;
            self.set_phase(id, Phase::Handshaking);
            self.request(id, &wire::handshake(Transport::WebSocket, self.habits.acks));
        }
        while self.phase(id) != Phase::Gone {
            let rest = bytes.get(used..).unwrap_or_default();
            let taken = match self.habits.transport {
                Transport::WebSocket => self.take_frame(id, rest)?,
                Transport::LongPolling => self.take_response(id, lane, rest)?,
            };
            if taken == 0 {
                return Ok(used);
            }
            used += taken;
        }
        Ok(bytes.len())
    }

    fn take_frame(&mut self, id: usize, bytes: &[u8]) -> Result<usize, String> {
        let Some((frame, length)) = frame::next(bytes, self.habits.deflate)? else { return Ok(0) };
        match frame.opcode {
            frame::PING => {
                let line = self.sessions.get_mut(id).and_then(|session| session.main.as_mut());
                if let Some(line) = line {
                    frame::write(frame::PONG, frame.payload, line.output());
                }
                self.flush(id, Lane::Main);
            }
            frame::PONG => {}
            frame::CLOSE => self.closed(id, Lane::Main),
            _ => {
                let Some(session) = self.sessions.get_mut(id) else { return Ok(length) };
                session.is_compressed |= frame.compressed;
                if frame.last && session.fragments.is_empty() {
                    self.message(id, frame.payload)?;
                } else {
                    session.fragments.extend_from_slice(frame.payload);
                    if frame.last {
                        let whole = mem::take(&mut session.fragments);
                        self.message(id, &whole)?;
                    }
                }
            }
        }
        Ok(length)
    }

    /// Takes a whole WebSocket message, compressed or not.
    fn message(&mut self, id: usize, body: &[u8]) -> Result<(), String> {
        let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
        if !mem::take(&mut session.is_compressed) {
            return self.payload(id, Lane::Main, body);
        }
        let mut inflater = mem::take(&mut self.inflater);
        let taken = match inflater.inflate(body) {
            Ok(payload) => self.payload(id, Lane::Main, payload),
            Err(reason) => Err(reason.to_owned()),
        };
        self.inflater = inflater;
        taken
    }

    fn take_response(&mut self, id: usize, lane: Lane, bytes: &[u8]) -> Result<usize, String> {
        let Some(response) = response::parse(bytes)? else { return Ok(0) };
        if response.status != 200 {
            let body = String::from_utf8_lossy(&response.body);
            let start: String = body.chars().take(200).collect();
            return Err(format!("the server answered {}: {start}", response.status));
        }
        if let Some(session) = self.sessions.get_mut(id) {
            if session.phase == Phase::Handshaking && !response.cookies.is_empty() {
                session.cookies.clone_from(&response.cookies);
            }
            if lane == Lane::Command {
                session.commanding = false;
            }
            if response.closes && lane == Lane::Command {
                session.command = None;
            }
        }
        if response.closes && lane == Lane::Main {
            self.dial(id, Lane::Main);
        }
        self.payload(id, lane, &response.body)?;
        if lane == Lane::Command {
            self.next_command(id);
        }
        Ok(response.length)
    }

    /// Counts the deliveries of a payload and takes the step it allows. No JSON is parsed unless a
    /// session is being opened or something was refused.
    fn payload(&mut self, id: usize, lane: Lane, payload: &[u8]) -> Result<(), String> {
        let now_ns = self.clock.now_ns();
        let mut delivers = false;
        for mark in self.scanner.marks(payload) {
            self.ledger.receive(id, mark, now_ns);
            delivers = true;
        }
        self.counts.responses += u64::from(delivers);
        match self.phase(id) {
            Phase::Ready => {
                if self.refusal.find(payload).is_some() {
                    self.refused(payload)?;
                }
                let over_http = self.habits.transport == Transport::LongPolling;
                if lane == Lane::Main && (over_http || self.connect_reply.find(payload).is_some()) {
                    self.note_ack(id, payload);
                    self.cycle(id, now_ns, delivers);
                }
            }
            Phase::Leaving => {
                // Whatever comes now: a held connect, or the answer to the good-bye.
                if memchr::memmem::find(payload, b"\"/meta/disconnect\"").is_some() {
                    self.fail(id, String::new());
                }
            }
            _ => {
                let replies = wire::replies(payload)
                    .ok_or("the server's answer is no array of Bayeux messages")?;
                for reply in replies.iter().filter(|reply| reply.successful.is_some()) {
                    self.opened_further(id, reply, now_ns)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the step that a reply allows while a session is opened.
    fn opened_further(&mut self, id: usize, reply: &Reply, now_ns: u64) -> Result<(), String> {
        if reply.successful != Some(true) {
            return Err(reply.refusal());
        }
        match (self.phase(id), &*reply.channel) {
            (Phase::Handshaking, "/meta/handshake") => {
                let offered = reply.ext.get("ack").is_some_and(|ack| *ack != false);
                if self.habits.acks && !offered {
                    return Err("the server has no acknowledgement extension".to_owned());
                }
                let client_id =
                    reply.client_id.clone().ok_or("the handshake reply has no clientId")?;
                let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
                session.client_id = client_id;
                if session.rooms.is_empty() {
                    self.first_connect(id);
                } else {
                    session.phase = Phase::Subscribing(session.rooms.len());
                    self.subscribe(id);
                }
            }
            (Phase::Subscribing(1), "/meta/subscribe") => self.first_connect(id),
            (Phase::Subscribing(missing), "/meta/subscribe") => {
                self.set_phase(id, Phase::Subscribing(missing - 1));
            }
            (Phase::Connecting, "/meta/connect") => {
                if let Some(session) = self.sessions.get_mut(id) {
                    session.ack = reply.ext.get("ack").and_then(Value::as_u64).unwrap_or(0);
                }
                self.compose_connect(id);
                let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
                session.phase = Phase::Ready;
                self.opened.saturating_record(now_ns.saturating_sub(session.asked_ns));
                self.opening -= 1;
                self.counts.ready += 1;
                if self.habits.connects != Connects::Pulled {
                    self.connect(id, now_ns);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn subscribe(&mut self, id: usize) {
        let Some(session) = self.sessions.get(id) else { return };
        let channels = session.rooms.iter().filter_map(|room| self.channels.get(*room as usize));
        let text = wire::subscribe(&session.client_id, channels.map(String::as_str));
        self.request(id, &text);
    }

    fn first_connect(&mut self, id: usize) {
        self.set_phase(id, Phase::Connecting);
        let ack = self.habits.acks.then_some(0);
        let text = wire::connect(self.client_id(id), self.habits.transport, true, ack);
        self.request(id, &text);
    }

    /// Notes what the next connect acknowledges.
    fn note_ack(&mut self, id: usize, payload: &[u8]) {
        if self.habits.acks
            && let Some(ack) = wire::ack(payload)
            && let Some(session) = self.sessions.get_mut(id)
        {
            session.ack = ack;
        }
    }

    /// A connect was answered: send the next, unless the workload does that.
    fn cycle(&mut self, id: usize, now_ns: u64, delivers: bool) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.asking = false;
        self.counts.cycles += 1;
        if !session.rooms.is_empty() {
            self.counts.answered += 1;
            self.counts.vain += u64::from(!delivers);
        }
        if self.habits.connects != Connects::Held {
            self.cycles.saturating_record(now_ns.saturating_sub(session.asked_ns));
        }
        if self.habits.connects != Connects::Pulled {
            self.connect(id, now_ns);
        }
    }

    /// Finds out what was refused: a publish is entered, anything else ends the session.
    fn refused(&mut self, payload: &[u8]) -> Result<(), String> {
        let replies = wire::replies(payload).unwrap_or_default();
        for reply in replies.iter().filter(|reply| reply.successful == Some(false)) {
            let publish = reply.id.as_ref().and_then(|id| wire::published(id.as_str()?));
            let Some((room, index)) = publish else { return Err(reply.refusal()) };
            self.ledger.refuse(room, index);
            self.counts.first_failure.get_or_insert_with(|| reply.refusal());
        }
        Ok(())
    }

    /// The server has closed a connection.
    fn closed(&mut self, id: usize, lane: Lane) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        // An idle keep-alive connection may be closed; the next request opens another.
        match lane {
            Lane::Command if !session.commanding => session.command = None,
            Lane::Main if self.habits.connects == Connects::Pulled && !session.asking => {
                session.main = None;
            }
            _ => self.fail(id, "the server closed a connection of a session".to_owned()),
        }
    }

    fn phase(&self, id: usize) -> Phase {
        self.sessions.get(id).map_or(Phase::Gone, |session| session.phase)
    }

    fn set_phase(&mut self, id: usize, phase: Phase) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.phase = phase;
        }
    }
}
