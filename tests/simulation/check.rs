//! The invariants: after every step, after a quiet time, and when everybody has gone.

use std::{collections::HashMap, sync::Arc};

use bayeuxd::broker::Take;

use crate::{
    life::Life,
    task::{End, Task},
    world::{HOLD_MS, World},
};

impl World {
    /// Holds after every step.
    pub(crate) fn check(&mut self) {
        self.note_ends();
        let live = self.lives.iter().filter(|life| life.ended.is_none());
        assert_eq!(self.broker.sessions(), live.count(), "live sessions");
        self.check_bounds();
        self.check_counters();
        self.check_carriers();
        self.check_subscriptions();
    }

    /// Subscriptions are kept until their client or its time gives them up, and counted.
    fn check_subscriptions(&self) {
        let mut sum = 0;
        for (reader, life) in self.lives.iter().enumerate().filter(|(_, it)| it.ended.is_none()) {
            let subscriptions = life.session.subscriptions();
            assert_eq!(subscriptions, self.ledger.subscriptions(reader), "of session {reader}");
            sum += subscriptions;
        }
        assert_eq!(self.broker.counters().subscriptions.value(), sum, "the count of subscriptions");
    }

    fn check_bounds(&self) {
        let queue = &self.config.session.queue;
        let mut out: HashMap<usize, Vec<usize>> = HashMap::new();
        for task in self.tasks.iter().filter(|task| task.frames() > 0) {
            out.entry(task.reader).or_default().push(task.frames());
        }
        let (mut sum, mut largest) = (0, 0);
        for (reader, life) in self.lives.iter().enumerate() {
            let bytes = life.session.queued_bytes();
            let messages = life.session.queued() + life.session.unacknowledged();
            let out = out.get(&reader).map_or(&[][..], Vec::as_slice);
            assert!(out.len() <= 1, "two batches of one session are out");
            assert!(life.ended.is_none() || messages == 0, "an ended session keeps messages");
            let held = messages + out.iter().sum::<usize>();
            assert!(held <= queue.max_messages, "{held} messages in one queue");
            assert!(bytes <= queue.max_bytes, "{bytes} bytes in one queue");
            assert_eq!(held == 0, bytes == 0, "{held} messages of {bytes} bytes");
            assert!(life.session.subscriptions() <= self.config.limits.subscriptions);
            sum += bytes;
            largest = largest.max(bytes);
        }
        assert!(self.broker.channels() <= self.config.limits.channels);
        assert!(self.broker.sessions() <= self.config.limits.sessions);
        let meter = self.broker.queued_bytes();
        assert!(meter >= largest, "the meter says {meter}, one queue holds {largest}");
        if self.walks.is_empty() {
            // What was acknowledged while it was written once more.
            sum += self.tasks.iter().map(Task::shared_bytes).sum::<usize>();
            assert!(meter <= sum, "the meter says {meter}, all queues hold {sum}");
        }
    }

    fn check_counters(&self) {
        let counters = self.broker.counters();
        let dropped = counters.dropped_oldest.value() + counters.dropped_latest.value();
        let gone = counters.delivered.value() + counters.discarded.value() + dropped;
        let waits = |life: &Life| life.session.queued() + life.session.unacknowledged();
        let waiting: usize = self.lives.iter().map(waits).sum();
        let out: usize = self.tasks.iter().map(Task::frames).sum();
        assert_eq!(counters.queued.value(), gone + (waiting + out) as u64, "messages add up");
        let published = self.ledger.next() - self.ledger.direct;
        assert_eq!(counters.published.value(), published as u64);
        let created = self.lives.len() + self.moved.count();
        assert_eq!(counters.sessions_created.value(), created as u64);
    }

    /// A carrier that waits does so for a reason: no wake-up was lost.
    fn check_carriers(&self) {
        let mut busy = vec![(false, false); self.lives.len()];
        for task in &self.tasks {
            busy[task.reader].0 |= task.frames() > 0;
            busy[task.reader].1 |= task.is_request();
        }
        for task in &self.tasks {
            let Some(generation) = task.waits_as() else { continue };
            let life = &self.lives[task.reader];
            let session = &task.session;
            let owner = self.is_current(task) && life.is_owner(generation);
            assert_eq!(session.is_owner(generation), owner);
            assert!(owner || session.take(generation, Take::ALL).is_none(), "an old carrier takes");
            if task.bell.has_rung() {
                continue;
            }
            // Wake-ups that a walk has collected are as good as fired.
            let collected = !self.walks.is_empty();
            assert!(owner || collected, "a carrier sleeps on after its end");
            let (out, request) = busy[task.reader];
            let held_off =
                life.leaving || request && !task.is_socket() && !session.is_deliver_only();
            let waits = !session.is_due() || out || held_off || collected;
            assert!(waits, "a wake-up was lost: {} messages wait", session.queued());
        }
    }

    /// No faults any more: within twice the hold everything arrives that is due (P9).
    pub(crate) fn calm_down(&mut self) {
        self.healthy = true;
        while !self.walks.is_empty() {
            self.step_walk();
            self.check();
        }
        assert!(self.behind.is_empty(), "a publisher waits for ever");
        assert_eq!(self.ledger.on_the_way(), 0);
        for client in 0..self.clients.len() {
            let session = self.clients[client].session.clone();
            let Some((reader, session)) = session.filter(|(reader, _)| self.is_live(*reader))
            else {
                continue;
            };
            if session.is_leaving() {
                self.succeed(client);
            } else {
                self.open_poll(client, reader, &session);
            }
        }
        let until = self.now + 2 * HOLD_MS;
        while self.now < until {
            while self.run_one_of_all() {
                self.check();
            }
            self.connect_again();
            self.pass(100);
            self.check();
        }
        if self.may_be_parked() {
            self.pass_claim_time();
        }
        let clients = self.clients.iter().filter_map(|client| client.session.as_ref());
        for (reader, session) in clients.filter(|(reader, _)| self.is_live(*reader)) {
            let out = self.tasks.iter().any(|task| task.reader == *reader && task.frames() > 0);
            assert!(session.queued() == 0 && !out, "messages wait in spite of a healthy client");
        }
        self.ledger.assert_nothing_lost();
    }

    fn is_live(&self, reader: usize) -> bool {
        self.lives[reader].ended.is_none()
    }

    /// Connections close, sessions expire, channels are swept, and nothing is left.
    pub(crate) fn everybody_leaves(&mut self) {
        while let Some(task) = self.tasks.pop() {
            self.close(task, End::Cut);
        }
        self.clients.clear();
        self.pass(30_000);
        self.note_ends();
        assert_eq!((self.broker.sessions(), self.broker.channels()), (0, 0));
        assert_eq!(self.broker.queued_bytes(), 0, "frames outlive everybody");
        self.check_counters();
        self.moved.assert_gone();
        for life in &self.lives {
            assert_eq!(Arc::strong_count(&life.session), 1, "somebody keeps an ended session");
        }
        let counters = self.broker.counters();
        assert_eq!(counters.sessions_created.value(), counters.sessions_ended.value());
    }
}
