//! What the sessions send.

use std::io;

use super::{
    super::{
        frame,
        session::{Lane, Phase},
        wire,
        wire::Transport,
    },
    Connects, Habits, Swarm,
};

impl Swarm {
    /// Sends the first request of a session.
    pub(super) fn greet(&mut self, id: usize) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let (path, host) = (&self.target.path, &self.target.host);
        let request = match self.habits.transport {
            Transport::WebSocket => wire::upgrade(path, host, self.habits.deflate),
            Transport::LongPolling => {
                let handshake = wire::handshake(Transport::LongPolling, self.habits.acks);
                wire::post(path, host, "", &handshake)
            }
        };
        if let Some(line) = session.main.as_mut() {
            line.queue(&request);
        }
    }

    /// Sends `messages`, a JSON array, over the main connection.
    pub(super) fn request(&mut self, id: usize, messages: &str) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some(line) = session.main.as_mut() else { return };
        match self.habits.transport {
            Transport::WebSocket => frame::write(frame::TEXT, messages.as_bytes(), line.output()),
            Transport::LongPolling => line.queue(&wire::post(
                &self.target.path,
                &self.target.host,
                &session.cookies,
                messages,
            )),
        }
        self.flush(id, Lane::Main);
    }

    /// Sends `messages`, a JSON array, beside the held connect. Over WebSocket they leave with the
    /// next [`Swarm::flush_main`], so that several messages share a write.
    pub(in super::super) fn publish(&mut self, id: usize, messages: &str) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if session.phase != Phase::Ready && session.phase != Phase::Leaving {
            return;
        }
        match self.habits.transport {
            Transport::WebSocket => {
                if let Some(line) = session.main.as_mut() {
                    frame::write(frame::TEXT, messages.as_bytes(), line.output());
                }
            }
            Transport::LongPolling => {
                let (path, host) = (&self.target.path, &self.target.host);
                let request = wire::post(path, host, &session.cookies, messages);
                session.commands.push_back(request);
                self.next_command(id);
            }
        }
    }

    /// Writes what [`Swarm::publish`] has queued.
    pub(in super::super) fn flush_main(&mut self, id: usize) {
        self.flush(id, Lane::Main);
    }

    /// Tells whether a session can send at once: its last request was answered.
    pub(in super::super) fn is_free(&self, id: usize) -> bool {
        self.sessions.get(id).is_some_and(|session| {
            session.phase == Phase::Ready && !session.commanding && session.commands.is_empty()
        })
    }

    /// Gives a session's id at the server; empty before its handshake.
    pub(in super::super) fn client_id(&self, id: usize) -> &str {
        self.sessions.get(id).map_or("", |session| &session.client_id)
    }

    /// Pulls: sends the connect of a session whose last one was answered, over a new connection if
    /// the server has closed the old one. False if it is still under way.
    pub(in super::super) fn pull(&mut self, id: usize) -> bool {
        let Some(session) = self.sessions.get(id) else { return false };
        if session.phase != Phase::Ready || session.asking {
            return false;
        }
        if session.main.is_none() {
            self.dial(id, Lane::Main);
        }
        self.connect(id, self.clock.now_ns());
        true
    }

    /// Writes the connect that a session repeats, or, if it acknowledges, its next one.
    pub(super) fn compose_connect(&mut self, id: usize) {
        let (path, host) = (&self.target.path, &self.target.host);
        let Habits { transport, connects, acks, .. } = self.habits;
        let Some(session) = self.sessions.get_mut(id) else { return };
        let ack = acks.then_some(session.ack);
        let text = wire::connect(&session.client_id, transport, connects != Connects::Held, ack);
        session.connect = match transport {
            Transport::WebSocket => {
                let mut bytes = Vec::new();
                frame::write(frame::TEXT, text.as_bytes(), &mut bytes);
                bytes
            }
            Transport::LongPolling => wire::post(path, host, &session.cookies, &text),
        };
    }

    /// Sends the connect, which was written once the session had its id.
    pub(super) fn connect(&mut self, id: usize, now_ns: u64) {
        if self.habits.acks {
            self.compose_connect(id);
        }
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.asked_ns = now_ns;
        session.asking = true;
        if let Some(line) = session.main.as_mut() {
            line.queue(&session.connect);
        }
        self.flush(id, Lane::Main);
    }

    /// Sends the next waiting request of a long-polling session, if none is under way.
    pub(super) fn next_command(&mut self, id: usize) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if session.commanding || session.commands.is_empty() {
            return;
        }
        if session.command.is_none() {
            self.dial(id, Lane::Command);
        }
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some(line) = session.command.as_mut() else { return };
        if let Some(request) = session.commands.pop_front() {
            line.queue(&request);
            session.commanding = true;
        }
        self.flush(id, Lane::Command);
    }

    /// Says good-bye.
    pub(super) fn leave(&mut self, id: usize) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if session.phase != Phase::Ready {
            let was_opening = session.end().is_opening();
            self.opening -= usize::from(was_opening);
            return;
        }
        session.phase = Phase::Leaving;
        self.leaving += 1;
        let farewell = wire::disconnect(&session.client_id);
        if self.habits.transport == Transport::LongPolling {
            // The descriptor of the held connect is needed for the good-bye.
            session.main = None;
        }
        self.publish(id, &farewell);
        self.flush(id, Lane::Main);
    }

    /// Writes what waits in a connection.
    pub(super) fn flush(&mut self, id: usize, lane: Lane) {
        let line = self.sessions.get_mut(id).and_then(|session| session.line(lane));
        let written = line.map(|line| line.flush());
        self.wrote(id, written);
    }

    /// Goes on with a connection that can be written to.
    pub(super) fn writable(&mut self, id: usize, lane: Lane) {
        let line = self.sessions.get_mut(id).and_then(|session| session.line(lane));
        let written = line.map(|line| line.writable());
        self.wrote(id, written);
    }

    fn wrote(&mut self, id: usize, written: Option<io::Result<usize>>) {
        match written {
            Some(Ok(count)) => self.counts.sent_bytes += count as u64,
            Some(Err(error)) => self.lost(id, &error),
            None => {}
        }
    }
}
