//! What happens next: clients act, connections run, walks go on, faults strike.

use std::sync::Arc;

use bayeuxd::broker::{Batch, Carrier, Cause, Generation, Ready, Session, Take};

use crate::{
    task::{Bell, End, Kind, Task, Writing, numbers},
    world::{HOLD_MS, World},
};

impl World {
    /// Does one random thing.
    pub(crate) fn act(&mut self) {
        let client = self.random.index(self.clients.len());
        let present = self.clients[client].silent_until <= self.now;
        match self.random.below(100) {
            0..20 => {
                let ms = self.random.pick(&[0, 1, 10, 100, 700]);
                let ms = self.random_below_or_zero(ms);
                self.pass(ms);
                if self.may_be_parked() && self.random.once_in(100) {
                    self.pass_claim_time();
                }
            }
            20..45 => self.run_one(),
            45..60 => self.step_walk(),
            60..62 => self.drop_walk(),
            62 => self.pause_sometimes(),
            63..75 => drop(self.publish(None)),
            _ if present => self.client_acts(client),
            _ => {}
        }
    }

    fn random_below_or_zero(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.random.below(bound) }
    }

    fn pause_sometimes(&mut self) {
        if self.random.once_in(8) {
            self.pause();
        }
    }

    fn client_acts(&mut self, client: usize) {
        let Some((reader, session)) = self.clients[client].session.clone() else {
            return self.handshake(client);
        };
        if self.lives[reader].ended.is_some() && self.random.once_in(2) {
            // It is answered 402.
            self.clients[client].session = None;
            return;
        }
        if session.is_leaving() && self.random.once_in(3) {
            return self.succeed(client);
        }
        match self.random.below(40) {
            0..3 => self.open_poll(client, reader, &session),
            3..8 => self.open_socket(client, reader, &session),
            8..10 => drop(self.connect_on_socket(client, reader)),
            10..15 => self.open_request(client, reader, &session),
            15..18 => self.subscribe(client),
            18 => self.unsubscribe(client),
            19..25 => drop(self.publish(Some(client))),
            25 => self.leave(client),
            26 => self.vanish(client),
            27 if self.random.once_in(3) => self.end(client, Cause::Client),
            28 if self.random.once_in(3) => self.end(client, Cause::Kicked),
            29 => self.clients[client].silent_until = self.now + self.random.below(9_000),
            30..33 => self.steer(reader, &session),
            33..35 => self.renew(client, reader),
            35..38 => self.deliver(reader, &session),
            _ => self.touch(client),
        }
    }

    // Connections.

    fn start(&mut self, client: usize, reader: usize, session: &Arc<Session>, kind: Kind) {
        self.tasks.push(Task {
            client,
            reader,
            session: Arc::clone(session),
            bell: Bell::new(),
            kind,
            writing: None,
            deserted: false,
        });
    }

    /// Sends a connect over HTTP; an earlier one may still be held.
    pub(crate) fn open_poll(&mut self, client: usize, reader: usize, session: &Arc<Session>) {
        self.acknowledge(reader, session);
        let (first, generation) = self.connect(reader, session, Carrier::Poll);
        let hold = self.random.pick(&[0, 300, HOLD_MS, HOLD_MS, 3 * HOLD_MS]);
        let at_once = first || session.must_resend();
        let hold_until = self.now + if at_once { 0 } else { hold };
        let interval = self.random.pick(&[0, 0, 0, 1_000]);
        self.clients[client].connect_at = None;
        self.start(client, reader, session, Kind::Poll { generation, hold_until, interval });
    }

    fn open_socket(&mut self, client: usize, reader: usize, session: &Arc<Session>) {
        let generation = self.claim(reader, session);
        let frames_max = 1 + self.random.index(5);
        let take = Take { frames_max, ..Take::WRITE };
        self.clients[client].connect_at = Some(self.now + 10);
        self.start(
            client,
            reader,
            session,
            Kind::Socket { generation, connect: None, take, dies_at: u64::MAX },
        );
    }

    /// Sends a connect over the client's newest socket; false if it has none.
    fn connect_on_socket(&mut self, client: usize, reader: usize) -> bool {
        let open = |task: &Task| {
            let own = task.client == client && task.reader == reader && self.is_current(task);
            task.is_socket() && own && !task.deserted
        };
        let Some(index) = self.tasks.iter().rposition(open) else { return false };
        let session = Arc::clone(&self.tasks[index].session);
        self.acknowledge(reader, &session);
        let (first, newer) = self.connect(reader, &session, Carrier::Socket);
        let at_once = first || session.must_resend();
        let until = self.now + if at_once { 0 } else { self.random.pick(&[HOLD_MS, 3 * HOLD_MS]) };
        let task = &mut self.tasks[index];
        // The loop of the connection goes on with the new generation.
        task.bell.ring();
        if let Kind::Socket { generation, connect, .. } = &mut task.kind {
            *generation = newer;
            *connect = Some((until, 0));
        }
        true
    }

    fn open_request(&mut self, client: usize, reader: usize, session: &Arc<Session>) {
        self.touch(client);
        let guard = Some(session.begin_request());
        let count = self.random.below(4);
        let waits = (0..count).filter_map(|_| self.publish(Some(client))).collect();
        let ready_at = self.now + self.random.below(50);
        self.start(client, reader, session, Kind::Request { guard, waits, ready_at });
    }

    /// A client gives one of its connections up, and the broker notices.
    fn leave(&mut self, client: usize) {
        if let Some(index) = self.tasks.iter().position(|task| task.client == client) {
            let task = self.tasks.swap_remove(index);
            self.close(task, End::Cut);
        }
    }

    /// A client is gone and its connections do not know.
    fn vanish(&mut self, client: usize) {
        self.clients[client].silent_until = self.now + self.random.below(15_000);
        self.clients[client].connect_at = None;
        let now = self.now;
        for task in self.tasks.iter_mut().filter(|task| task.client == client) {
            task.deserted = true;
            if let Kind::Socket { dies_at, .. } = &mut task.kind {
                *dies_at = now + self.random.below(HOLD_MS);
            }
        }
    }

    /// Runs one of the connections that have something to do; false if none has.
    pub(crate) fn run_one_of_all(&mut self) -> bool {
        let due: Vec<usize> = (0..self.tasks.len()).filter(|index| self.is_due(*index)).collect();
        if !due.is_empty() {
            let index = self.random.pick(&due);
            let task = self.tasks.swap_remove(index);
            self.run(task);
        }
        !due.is_empty()
    }

    fn run_one(&mut self) {
        self.run_one_of_all();
        self.connect_again();
    }

    /// Healthy clients send their next connect, on the socket if they have one.
    pub(crate) fn connect_again(&mut self) {
        for client in 0..self.clients.len() {
            let state = &mut self.clients[client];
            if state.connect_at.take_if(|at| *at <= self.now).is_none() {
                continue;
            }
            let session = state.session.clone();
            let Some((reader, session)) = session else { continue };
            if session.is_leaving() {
                self.succeed(client);
            } else if !self.connect_on_socket(client, reader) {
                self.open_poll(client, reader, &session);
            }
        }
    }

    /// A client whose connect is over sends the next one, unless a newer connection does that.
    fn connect_later(&mut self, task: &Task, generation: Generation, interval: u64) {
        let owner = self.is_current(task) && self.lives[task.reader].is_owner(generation);
        if !task.deserted && owner {
            let pause = if self.healthy { 0 } else { self.random.pick(&[0, 0, 500, 4_000]) };
            self.clients[task.client].connect_at = Some(self.now + interval + pause);
        }
    }

    fn is_due(&self, index: usize) -> bool {
        let task = &self.tasks[index];
        if let Some(writing) = &task.writing {
            return writing.done_at <= self.now;
        }
        match &task.kind {
            Kind::Poll { hold_until, .. } => task.bell.has_rung() || *hold_until <= self.now,
            Kind::Socket { connect, dies_at, .. } => {
                let timer = connect.is_some_and(|(until, _)| until <= self.now);
                timer || *dies_at <= self.now || task.bell.has_rung()
            }
            Kind::Request { waits, ready_at, .. } => {
                *ready_at <= self.now
                    && waits.iter().all(|number| self.ledger.is_delivered(*number))
            }
        }
    }

    fn run(&mut self, mut task: Task) {
        if task.writing.is_some() {
            return self.finish_write(task);
        }
        match &mut task.kind {
            Kind::Request { guard, .. } => {
                // Over once it has what its response takes.
                let batch = guard.take().and_then(|guard| guard.take());
                self.write(task, batch, None);
            }
            Kind::Poll { generation, hold_until, .. } => {
                let (generation, over) = (*generation, *hold_until <= self.now);
                match task.signal(generation) {
                    Some(Ready::Messages) => {
                        let (batch, number) = self.take(&task, generation, Take::ALL);
                        assert!(batch.is_some(), "called for nothing");
                        self.write(task, batch, number);
                    }
                    None if over => {
                        let (batch, number) = self.take(&task, generation, Take::ALL);
                        self.write(task, batch, number);
                    }
                    None => self.tasks.push(task),
                    Some(ready) => self.dismissed(task, ready),
                }
            }
            Kind::Socket { .. } => self.run_socket(task),
        }
    }

    fn run_socket(&mut self, mut task: Task) {
        let waits_as = task.waits_as();
        let Kind::Socket { generation, connect, take, dies_at } = &mut task.kind else { return };
        let (owner, take) = (*generation, *take);
        if *dies_at <= self.now {
            return self.close(task, End::Cut);
        }
        let over = connect.is_some_and(|(until, _)| until <= self.now);
        let life = &self.lives[task.reader];
        if over && life.acks.is_some() && !life.leaving {
            // Every connect reply of an acknowledging session has a number, unless another carrier
            // has taken over, as will be heard at once, or the session is leaving.
            let (batch, number) = self.take(&task, owner, take);
            if number.is_some() {
                return self.write(task, batch, number);
            }
        } else if let Some((_, interval)) = connect.take_if(|(until, _)| *until <= self.now) {
            self.left(&task, owner, interval);
            self.connect_later(&task, owner, interval);
            task.bell.ring();
            return self.tasks.push(task);
        }
        if waits_as.is_none() {
            // Deliveries wait for a connect.
            task.bell.quiet();
            return self.tasks.push(task);
        }
        match task.signal(owner) {
            Some(Ready::Messages) => {
                let (batch, number) = self.take(&task, owner, take);
                assert!(batch.is_some(), "called for nothing");
                self.write(task, batch, number);
            }
            None => self.tasks.push(task),
            Some(ready) => self.dismissed(task, ready),
        }
    }

    fn dismissed(&mut self, task: Task, ready: Ready) {
        self.saw(match (ready, task.is_socket()) {
            (Ready::Ended(_), _) => "carriers told of the end",
            (_, true) => "sockets superseded",
            (_, false) => "polls superseded",
        });
        self.close(task, End::Arrives);
    }

    /// Takes what waits; with its number, if the session acknowledges.
    fn take(&mut self, task: &Task, owner: Generation, take: Take) -> (Option<Batch>, Option<u64>) {
        let Some(acks) = &mut self.lives[task.reader].acks else {
            return (task.session.take(owner, take), None);
        };
        let (number, batch) = task.session.take_numbered(owner).unzip();
        if let (Some(number), Some(batch)) = (number, &batch) {
            acks.sends(number, numbers(batch));
        }
        (batch, number)
    }

    fn write(&mut self, mut task: Task, batch: Option<Batch>, number: Option<u64>) {
        let slow = if self.healthy { 0 } else { self.random.pick(&[0, 0, 20, 2_000]) };
        let done_at = self.now + self.random_below_or_zero(slow);
        let end = match self.random.below(10) {
            _ if self.healthy => End::Arrives,
            _ if task.deserted => self.random.pick(&[End::Lost, End::Cut]),
            0 => End::Lost,
            1 => End::Cut,
            _ => End::Arrives,
        };
        task.writing = Some(Writing { batch, number, done_at, end });
        self.tasks.push(task);
    }

    fn finish_write(&mut self, mut task: Task) {
        let end = task.writing.as_ref().map_or(End::Arrives, |writing| writing.end);
        let end = if task.deserted && end == End::Arrives { End::Lost } else { end };
        if end != End::Arrives || !task.is_socket() {
            return self.close(task, end);
        }
        self.settle(&mut task, end);
        if let Kind::Socket { generation, connect, .. } = &mut task.kind {
            let (generation, released) =
                (*generation, connect.take_if(|_| task.session.is_deliver_only()));
            if let Some((_, interval)) = released {
                self.left(&task, generation, interval);
                self.connect_later(&task, generation, interval);
            }
        }
        task.bell.ring();
        self.tasks.push(task);
    }

    /// Ends a connection; what it was writing ends as `end`.
    pub(crate) fn close(&mut self, mut task: Task, end: End) {
        self.settle(&mut task, end);
        match task.kind {
            Kind::Poll { generation, interval, .. } => {
                self.connect_later(&task, generation, interval);
                self.left(&task, generation, interval);
            }
            Kind::Socket { generation, .. } => {
                self.connect_later(&task, generation, 0);
                self.detach(&task, generation);
            }
            Kind::Request { .. } => {}
        }
    }

    /// What an acknowledging client gets of a reply. A part of a WebSocket's frames is of use; the
    /// number comes last.
    fn settle_numbered(&mut self, task: &Task, end: End, number: u64, batch: &Batch) {
        self.saw("numbered replies");
        let numbers = numbers(batch);
        let arrived = match end {
            // Its client has given the connection up; all of it comes again.
            _ if !self.is_current(task) => 0,
            End::Arrives => numbers.len(),
            End::Cut if task.is_socket() => self.random.index(numbers.len() + 1),
            End::Cut | End::Lost => 0,
        };
        for message in numbers.iter().take(arrived) {
            if self.ledger.arrived_unacknowledged(task.reader, *message) {
                self.saw("messages that came again");
            }
        }
        if !self.is_current(task) {
            numbers.into_iter().for_each(|it| self.ledger.settled_late(task.reader, it, false));
        } else if let Some(acks) = &mut self.lives[task.reader].acks
            && end == End::Arrives
        {
            acks.arrived = number;
        }
    }

    fn settle(&mut self, task: &mut Task, end: End) {
        let Some(writing) = task.writing.take() else { return };
        let Some(mut batch) = writing.batch else { return };
        if let Some(number) = writing.number {
            return self.settle_numbered(task, end, number, &batch);
        }
        self.saw(match task.kind {
            Kind::Poll { .. } => "poll responses",
            Kind::Socket { .. } => "socket writes",
            Kind::Request { .. } => "request responses",
        });
        if end == End::Cut {
            self.saw("batches cut");
        }
        let numbers = numbers(&batch);
        let (arrived, written) = match end {
            End::Arrives => (numbers.len(), numbers.len()),
            End::Lost => (0, numbers.len()),
            // Half a response is no response; half a WebSocket's frames are.
            End::Cut if !task.is_socket() => (0, 0),
            End::Cut => {
                let written = self.random.index(numbers.len() + 1);
                (self.random.index(written + 1), written)
            }
        };
        for (index, number) in numbers.iter().take(written).enumerate() {
            if index < arrived {
                self.ledger.arrived(task.reader, *number);
            } else {
                self.ledger.lost_in_flight(task.reader, *number);
            }
        }
        if !self.is_current(task) {
            self.saw("batches settled after a move");
            for (index, number) in numbers.iter().enumerate() {
                self.ledger.settled_late(task.reader, *number, index >= written);
            }
        }
        if written == numbers.len() {
            batch.settle();
        } else {
            *batch.progress().1 = written;
        }
    }
}
