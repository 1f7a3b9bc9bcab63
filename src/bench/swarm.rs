//! All sessions of a run and the event loop that serves them, on one thread.
//!
//! One thread, because the figures of a load tool are worth something only while it is not the
//! limit, and of one thread it is easy to see when it is ([`super::process::Usage::own_thread_ns`]).

mod receive;
mod send;

use std::{io, mem, net::Ipv4Addr, time::Duration};

use hdrhistogram::Histogram;
use memchr::memmem::Finder;
use mio::{Events, Poll, Token};

use super::{
    clock::{Clock, SECOND_NS},
    error::BenchError,
    inflate::Inflater,
    ledger::{Ledger, histogram},
    line::Line,
    marker::Scanner,
    session::{Lane, Phase, Session},
    target::Target,
    wire::Transport,
};

/// What holds for all sessions of a swarm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    /// How they connect.
    pub(super) transport: Transport,
    /// How many may be on their way to [`Phase::Ready`] at a time.
    pub(super) opening_max: usize,
    /// Source addresses 127.0.0.1 and following; 1: the system chooses.
    pub(super) sources: u8,
    /// What becomes of connects after the first.
    pub(super) connects: Connects,
    /// Whether they use the acknowledgement extension.
    pub(super) acks: bool,
    /// Whether they ask for permessage-deflate.
    pub(super) deflate: bool,
    /// Time without news after which nothing more is expected.
    pub(super) patience_ns: u64,
}

/// What becomes of the connects of a session that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connects {
    /// The server holds them; the next one follows each reply.
    Held,
    /// They ask for their reply at once, and the next one follows it.
    Rapid,
    /// They ask for their reply at once; the workload sends them with [`Swarm::pull`].
    Pulled,
}

/// The sessions, the loop, the account.
#[derive(Debug)]
pub(super) struct Swarm {
    target: Target,
    habits: Habits,
    channels: Vec<String>,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    scanner: Scanner,
    inflater: Inflater,
    connect_reply: Finder<'static>,
    refusal: Finder<'static>,
    sessions: Vec<Session>,
    begun: usize,
    opening: usize,
    leaving: usize,
    /// The run's time.
    pub(super) clock: Clock,
    /// What was sent and came.
    pub(super) ledger: Ledger,
    /// Sums beside the ledger.
    pub(super) counts: Counts,
    /// From the first packet to the answer to the first connect, nanoseconds.
    pub(super) opened: Histogram<u64>,
    /// From a connect to its reply, nanoseconds; filled only if they ask for it at once.
    pub(super) cycles: Histogram<u64>,
}

/// Sums of a [`Swarm`].
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Sessions that got as far as holding a connect.
    pub(super) ready: usize,
    /// Sessions that failed, before or after.
    pub(super) failed: usize,
    /// Why the first one failed.
    pub(super) first_failure: Option<String>,
    /// Whether that was because nobody listened.
    pub(super) unreachable: bool,
    /// WebSocket messages and HTTP responses with deliveries.
    pub(super) responses: u64,
    /// Bytes received, HTTP heads and frame headers included.
    pub(super) bytes: u64,
    /// Bytes sent, likewise.
    pub(super) sent_bytes: u64,
    /// Replies to connects after the first.
    pub(super) cycles: u64,
    /// Those of them that went to a subscriber.
    pub(super) answered: u64,
    /// Those of `answered` that brought no delivery.
    pub(super) vain: u64,
}

impl Swarm {
    /// Plans sessions: one for each entry of `memberships`, which lists indices into `channels`.
    ///
    /// # Errors
    ///
    /// The event queue cannot be had.
    pub(super) fn new(
        target: Target,
        habits: Habits,
        channels: Vec<String>,
        memberships: Vec<Vec<u32>>,
        ledger: Ledger,
    ) -> Result<Self, BenchError> {
        Ok(Self {
            target,
            habits,
            channels,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            scratch: vec![0; SCRATCH_BYTES],
            scanner: Scanner::new(),
            inflater: Inflater::new(),
            connect_reply: Finder::new("\"/meta/connect\""),
            refusal: Finder::new("\"successful\":false"),
            sessions: memberships.into_iter().map(Session::new).collect(),
            begun: 0,
            opening: 0,
            leaving: 0,
            clock: Clock::start(),
            ledger,
            counts: Counts::default(),
            opened: histogram(),
            cycles: histogram(),
        })
    }

    /// Returns how many sessions there are, in any phase.
    pub(super) const fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Opens the first `count` sessions; `tick` is called every now and then.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, refuses a session, or is silent for too long.
    pub(super) fn open(
        &mut self,
        count: usize,
        mut tick: impl FnMut(&Self),
    ) -> Result<(), BenchError> {
        let count = count.min(self.sessions.len());
        let mut news = (0, self.clock.now_ns());
        while self.counts.ready < count {
            self.begin(count);
            self.turn(Duration::from_millis(100))?;
            tick(self);
            if self.counts.failed > 0 {
                return Err(self.failure());
            }
            let now = self.clock.now_ns();
            if news.0 != self.counts.ready {
                news = (self.counts.ready, now);
            } else if now - news.1 > self.habits.patience_ns {
                return Err(BenchError::Refused(format!(
                    "the server is silent: {} of {} sessions are open, and no other came",
                    self.counts.ready, count
                )));
            }
        }
        Ok(())
    }

    /// Says good-bye with every session and closes the connections; gives up after 3 s, because a
    /// server that is slow at this has already been measured.
    ///
    /// # Errors
    ///
    /// The event queue has failed.
    pub(super) fn close_all(&mut self) -> Result<(), BenchError> {
        let end_ns = self.clock.now_ns() + 3 * SECOND_NS;
        let mut next = 0;
        while (next < self.sessions.len() || self.leaving > 0) && self.clock.now_ns() < end_ns {
            while next < self.sessions.len() && self.leaving < self.habits.opening_max {
                self.leave(next);
                next += 1;
            }
            self.turn(Duration::from_millis(10))?;
        }
        self.sessions.iter_mut().for_each(|session| {
            session.end();
        });
        Ok(())
    }

    /// Waits for events, for `wait` at most, and handles them.
    ///
    /// The event queue counts in milliseconds and rounds up. A shorter wait is slept in steps of
    /// 0.1 ms: spinning would take the CPU from a server on the same machine.
    ///
    /// # Errors
    ///
    /// The event queue has failed.
    pub(super) fn turn(&mut self, wait: Duration) -> Result<(), BenchError> {
        let mut events = mem::replace(&mut self.events, Events::with_capacity(0));
        let whole = Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        let polled = self.poll.poll(&mut events, Some(whole));
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        if events.is_empty() && whole.is_zero() && !wait.is_zero() {
            std::thread::sleep(wait.min(Duration::from_micros(100)));
        }
        for event in &events {
            let Token(number) = event.token();
            let lane = if number & 1 == 0 { Lane::Main } else { Lane::Command };
            let id = number >> 1;
            if event.is_writable() {
                self.writable(id, lane);
            }
            if event.is_readable() || event.is_error() {
                self.readable(id, lane);
            }
        }
        self.events = events;
        Ok(())
    }

    /// Waits until the ledger has everything, or nothing new came for as long as the
    /// patience lasts. Returns the time of the last delivery.
    ///
    /// # Errors
    ///
    /// The event queue has failed.
    pub(super) fn settle(&mut self, mut tick: impl FnMut(&Self)) -> Result<u64, BenchError> {
        let mut news = (self.ledger.totals.delivered, self.clock.now_ns());
        while self.ledger.totals.lost() > 0 && self.counts.failed < self.sessions.len() {
            self.turn(Duration::from_millis(100))?;
            tick(self);
            let now = self.clock.now_ns();
            if news.0 != self.ledger.totals.delivered {
                news = (self.ledger.totals.delivered, now);
            } else if now - news.1 > self.habits.patience_ns {
                break;
            }
        }
        Ok(news.1)
    }

    /// Makes an error of the first failure.
    pub(super) fn failure(&self) -> BenchError {
        let reason = self.counts.first_failure.clone().unwrap_or_else(|| "unknown".to_owned());
        if self.counts.unreachable && self.counts.ready == 0 {
            BenchError::Unreachable { address: self.target.address, reason }
        } else {
            BenchError::Refused(reason)
        }
    }

    /// Begins sessions up to `count`, and to the number that may be on their way.
    fn begin(&mut self, count: usize) {
        while self.begun < count && self.opening < self.habits.opening_max {
            let id = self.begun;
            self.begun += 1;
            self.opening += 1;
            let now_ns = self.clock.now_ns();
            if let Some(session) = self.sessions.get_mut(id) {
                session.asked_ns = now_ns;
                session.phase = match self.habits.transport {
                    Transport::WebSocket => Phase::Upgrading,
                    Transport::LongPolling => Phase::Handshaking,
                };
            }
            self.dial(id, Lane::Main);
            self.greet(id);
        }
    }

    /// Opens a connection of a session; what is to be sent over it waits in its output.
    fn dial(&mut self, id: usize, lane: Lane) {
        let token = Token(id << 1 | usize::from(lane == Lane::Command));
        let source = (self.habits.sources > 1).then(|| {
            let number = u8::try_from(id % usize::from(self.habits.sources)).unwrap_or(0);
            Ipv4Addr::new(127, 0, 0, number.saturating_add(1))
        });
        let dialled = Line::dial(self.target.address, source, self.poll.registry(), token);
        match (dialled, self.sessions.get_mut(id)) {
            (Ok(line), Some(session)) => match lane {
                Lane::Main => session.main = Some(line),
                Lane::Command => session.command = Some(line),
            },
            (Err(error), _) => self.lost(id, &error),
            (Ok(_), None) => {}
        }
    }

    /// Ends a session because its connection failed.
    fn lost(&mut self, id: usize, error: &io::Error) {
        let Some(session) = self.sessions.get(id) else { return };
        let unmet = matches!(session.phase, Phase::Upgrading | Phase::Handshaking);
        self.counts.unreachable |= unmet && self.counts.first_failure.is_none();
        self.fail(id, format!("a connection failed: {error}"));
    }

    /// Ends a session.
    fn fail(&mut self, id: usize, reason: String) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let phase = session.end();
        self.opening -= usize::from(phase.is_opening());
        match phase {
            Phase::Leaving => self.leaving -= 1,
            Phase::Gone => {}
            _ => {
                self.counts.failed += 1;
                self.counts.first_failure.get_or_insert(reason);
            }
        }
    }
}

/// Events taken at a time.
const EVENTS: usize = 1024;
/// One buffer for all reads.
const SCRATCH_BYTES: usize = 256 << 10;
