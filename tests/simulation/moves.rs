//! Clients that are sent to another session, as fallback does with those whose WebSockets break: they
//! are told to shake hands anew, do so at some time, and claim what they had, in time or not.

use std::sync::{Arc, Weak};

use bayeuxd::broker::{CLAIM_TIME, Payload, Session, SessionId};

use crate::{
    acks::Acks,
    life::Life,
    task::{Task, numbers},
    world::{SERVICE, World, name},
};

/// Sessions whose clients have moved on.
#[derive(Default)]
pub(crate) struct Moved(Vec<Weak<Session>>);

impl Moved {
    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    /// Nobody keeps a session whose client has moved on, nor what it left.
    pub(crate) fn assert_gone(&self) {
        assert!(
            self.0.iter().all(|session| session.strong_count() == 0),
            "a moved session is kept"
        );
    }
}

impl World {
    /// Tells a client to shake hands anew.
    pub(crate) fn steer(&mut self, reader: usize, session: &Session) {
        let leaves = self.broker.leave(session, self.instant());
        let lives = self.lives[reader].ended.is_none() && !self.lives[reader].leaving;
        assert_eq!(leaves, lives, "whether a session leaves");
        if leaves {
            self.saw("clients steered");
            let now = self.broker_time();
            self.lives[reader].leave(now);
        }
    }

    /// The handshake of a client that was steered: its new session goes on with its account.
    pub(crate) fn succeed(&mut self, client: usize) {
        self.note_ends();
        let Some((reader, old)) = self.clients[client].session.clone() else { return };
        if self.lives[reader].ended.is_some() {
            self.clients[client].session = None;
            return;
        }
        let id = self.new_id();
        let (session, moved) =
            self.broker.succeed(&old, id, None, self.instant()).expect("both live");
        self.broker.tell_moved(moved, &session);
        let mut life = Life::new(Arc::clone(&session), self.broker_time());
        life.acks = self.lives[reader].acks.take().map(Acks::of_next_session);
        if life.acks.is_some() {
            session.start_acknowledging();
        }
        self.lives[reader] = life;
        // What its carriers so far have in hand may still arrive.
        let tasks = self.tasks.iter().filter(|task| task.reader == reader);
        let batches = tasks.filter_map(|task| task.writing.as_ref()?.batch.as_ref());
        self.ledger.moves(reader, batches.flat_map(numbers));
        self.moved.0.push(Arc::downgrade(&old));
        self.adopt(client, reader, id, session);
        for parked in self.ledger.parked(reader) {
            if self.random.once_in(3) {
                self.subscribe_to(client, &parked);
            }
        }
    }

    fn adopt(&mut self, client: usize, reader: usize, id: SessionId, session: Arc<Session>) {
        self.saw("sessions moved");
        self.readers.insert(id, reader);
        self.clients[client].session = Some((reader, session));
        self.clients[client].connect_at = Some(self.now);
    }

    /// Renews a subscription of the session before.
    pub(crate) fn renew(&mut self, client: usize, reader: usize) {
        let parked = self.ledger.parked(reader);
        if !parked.is_empty() {
            let index = self.random.index(parked.len());
            self.saw("subscriptions renewed later");
            self.subscribe_to(client, &parked[index]);
        }
    }

    /// A message for one client alone.
    pub(crate) fn deliver(&mut self, reader: usize, session: &Arc<Session>) {
        let (channel, data) = (name(SERVICE), self.next_data());
        if self.broker.deliver(session, &channel, Payload::from(&*data)) {
            self.saw("messages for one session");
            let waits = !session.is_connected();
            self.ledger.deliver(&channel, Some((reader, waits)));
        } else {
            self.ledger.deliver(&channel, None);
        }
    }

    /// Learns which subscriptions were given up.
    pub(crate) fn note_unclaimed(&mut self) {
        for unclaimed in self.broker.take_unclaimed() {
            self.saw("claims that ran out");
            let reader = self.readers[&unclaimed.id];
            let (subscriptions, messages) = self.ledger.gives_up(reader);
            assert_eq!(unclaimed.subscriptions, subscriptions, "subscriptions that were given up");
            assert!(unclaimed.discarded >= messages, "{messages} messages were given up untold");
        }
    }

    /// Time passes until nothing is parked any more, with everybody about his business.
    pub(crate) fn pass_claim_time(&mut self) {
        let until = self.now + CLAIM_TIME.as_millis() as u64 + 1_000;
        while self.now < until {
            while self.run_one_of_all() {
                self.check();
            }
            self.connect_again();
            self.pass(700);
            self.check();
        }
    }

    /// Whether something may be parked for some client.
    pub(crate) fn may_be_parked(&self) -> bool {
        let mut sessions = self.clients.iter().filter_map(|client| client.session.as_ref());
        sessions.any(|(reader, _)| {
            self.lives[*reader].ended.is_none() && self.ledger.may_be_parked(*reader)
        })
    }

    /// Whether `task` serves the session that its client has now.
    pub(crate) fn is_current(&self, task: &Task) -> bool {
        Arc::ptr_eq(&self.lives[task.reader].session, &task.session)
    }
}
