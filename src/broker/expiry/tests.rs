//! The clock with its pauses, the wheel against a sorted map, and expiry in a whole broker.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    broker::{
        Broker, Carrier, Cause, Session,
        sweep::STEP,
        tests::{id, start},
    },
    config::Config,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn number(value: u16) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&value.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// A broker, its time, and a session that has connected once.
struct Node {
    broker: Arc<Broker>,
    now: Instant,
    session: Arc<Session>,
}

impl Node {
    fn new() -> Self {
        let now = start();
        let broker = Broker::new(&Config::default(), now);
        let session = broker.handshake(id(1), None, now).unwrap();
        Self { broker, now, session }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += TICK;
            self.broker.tick(self.now);
        }
    }

    fn wheel(&self) -> usize {
        self.broker.wheel.lock().len()
    }

    /// Lives at least `life` and at most a second longer.
    fn assert_lives(&mut self, life: Duration) {
        self.pass(life.saturating_sub(TICK));
        assert_eq!(self.broker.sessions(), 1, "ended too early");
        self.pass(TICK + SECOND);
        assert_eq!(self.broker.sessions(), 0, "ended too late");
        assert_eq!(self.broker.take_ended().first().map(|ended| ended.cause), Some(Cause::Expired));
        assert_eq!(self.wheel(), 0);
    }
}

#[test]
fn p052_a_session_without_connect_lives_its_grace_anew_with_each_message() {
    let mut node = Node::new();
    for _ in 0..5 {
        node.pass(9 * SECOND);
        node.broker.touch(&node.session, node.now);
    }
    assert_eq!(node.wheel(), 1, "heartbeats do not touch the wheel");
    node.assert_lives(10 * SECOND);
}

#[test]
fn p050_expiry_is_interval_and_max_interval_after_the_reply() {
    let mut node = Node::new();
    let (first, owner) = node.broker.connect(&node.session, Carrier::Poll, node.now);
    assert!(first);
    node.pass(3 * SECOND);
    node.broker.left(&node.session, owner, 2 * SECOND, node.now);
    node.assert_lives(62 * SECOND);
}

#[test]
fn p051_a_held_session_never_expires_and_keeps_one_entry() {
    let mut node = Node::new();
    let (_, owner) = node.broker.connect(&node.session, Carrier::Poll, node.now);
    node.pass(3600 * SECOND);
    assert_eq!((node.broker.sessions(), node.wheel()), (1, 1));
    node.broker.left(&node.session, owner, Duration::ZERO, node.now);
    node.assert_lives(60 * SECOND);
}

#[test]
fn p055_a_closed_socket_starts_max_interval() {
    let mut node = Node::new();
    let (_, owner) = node.broker.connect(&node.session, Carrier::Socket, node.now);
    node.pass(100 * SECOND);
    node.broker.detach(&node.session, owner, node.now);
    node.assert_lives(60 * SECOND);
}

#[test]
fn an_earlier_deadline_is_kept_by_the_entry_of_the_later_one() {
    let mut node = Node::new();
    let (_, owner) = node.broker.connect(&node.session, Carrier::Poll, node.now);
    node.broker.left(&node.session, owner, 300 * SECOND, node.now);
    node.pass(11 * SECOND);
    let (first, owner) = node.broker.connect(&node.session, Carrier::Poll, node.now);
    assert!(!first);
    node.broker.left(&node.session, owner, Duration::ZERO, node.now);
    assert_eq!(node.wheel(), 1);
    node.assert_lives(60 * SECOND);
}

#[test]
fn ever_shorter_pauses_leave_one_entry_at_any_phase_of_the_tick() {
    let mut node = Node::new();
    for pause_ms in (0..600_000_u32).rev().step_by(149) {
        node.now += Duration::from_millis(7);
        if pause_ms % 70 == 0 {
            node.broker.tick(node.now);
        }
        let (_, owner) = node.broker.connect(&node.session, Carrier::Poll, node.now);
        node.broker.left(&node.session, owner, pause_ms * MS, node.now);
        assert_eq!(node.wheel(), 1, "after a pause of {pause_ms} ms");
    }
    node.broker.end(&node.session, Cause::Client);
    node.pass(61 * SECOND);
    assert_eq!(node.wheel(), 0, "what a session leaves goes within max_interval");
}

#[test]
fn a_long_pause_is_kept_to_the_second() {
    let mut node = Node::new();
    let (_, owner) = node.broker.connect(&node.session, Carrier::Poll, node.now);
    node.broker.left(&node.session, owner, 600 * SECOND, node.now);
    node.assert_lives(660 * SECOND);
}

#[test]
fn messages_far_before_the_deadline_add_no_entries() {
    let mut node = Node::new();
    let (_, owner) = node.broker.connect(&node.session, Carrier::Poll, node.now);
    node.broker.left(&node.session, owner, 3600 * SECOND, node.now);
    for _ in 0..100 {
        node.pass(20 * SECOND);
        node.broker.touch(&node.session, node.now);
    }
    assert_eq!((node.broker.sessions(), node.wheel()), (1, 1));
}

#[test]
fn an_endless_interval_still_leaves_a_deadline() {
    let mut node = Node::new();
    let (_, owner) = node.broker.connect(&node.session, Carrier::Poll, node.now);
    node.broker.left(&node.session, owner, Duration::MAX, node.now);
    node.pass(11 * SECOND);
    let (_, owner) = node.broker.connect(&node.session, Carrier::Poll, node.now);
    node.broker.left(&node.session, owner, Duration::ZERO, node.now);
    node.pass(61 * SECOND);
    assert_eq!(node.broker.sessions(), 0, "it is not taken for a held one");
}

#[test]
fn f19_a_pause_of_the_process_expires_nobody() {
    let mut node = Node::new();
    node.pass(5 * SECOND);
    node.now += 3600 * SECOND;
    node.broker.tick(node.now);
    node.assert_lives(5 * SECOND);
}

#[test]
fn f19_a_deadline_set_before_the_first_tick_after_a_pause_is_not_late_by_the_pause() {
    let mut node = Node::new();
    node.pass(5 * SECOND);
    node.now += 3600 * SECOND;
    node.broker.touch(&node.session, node.now);
    node.broker.tick(node.now);
    node.pass(17 * SECOND);
    assert_eq!(node.broker.sessions(), 0);
}

#[test]
fn a_slow_tick_is_no_pause() {
    let clock = Clock::new(start());
    let now = start();
    clock.tick(now);
    let before = clock.at(now);
    clock.tick(now + Duration::from_millis(PAUSE_MS));
    assert_eq!(clock.at(now + Duration::from_millis(PAUSE_MS)) - before, PAUSE_MS);
    let late = now + Duration::from_millis(2 * PAUSE_MS + 1);
    clock.tick(late);
    assert_eq!(clock.at(late) - before, PAUSE_MS, "one millisecond more is a pause");
    assert_eq!(clock.latest(), clock.at(late));
}

#[derive(Debug, Clone)]
enum Step {
    /// Asks for an entry this many milliseconds from now, or before now.
    Insert { from_now_ms: i64 },
    /// Lets so many milliseconds pass and ticks.
    Tick { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (-1_000..10_000_i64).prop_map(|from_now_ms| Step::Insert { from_now_ms }),
        1 => (100_000..1_000_000_i64).prop_map(|from_now_ms| Step::Insert { from_now_ms }),
        4 => (490..510_u64).prop_map(|ms| Step::Tick { ms }),
        1 => (0..400_000_u64).prop_map(|ms| Step::Tick { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The model: a map from entry to the end of the slot in which it has to be asked.
    #[test]
    fn the_wheel_gives_each_entry_once_never_early_and_at_most_a_slot_late(
        steps in prop::collection::vec(step(), 1..200)
    ) {
        let slot = slot_ms();
        let (mut wheel, mut model) = (Wheel::new(), BTreeMap::<[u8; 16], u64>::new());
        let (mut now, mut next) = (0_u64, 0_u16);
        let last = Step::Tick { ms: 2_000_000 };
        for step in steps.into_iter().chain([last]) {
            match step {
                Step::Insert { from_now_ms } => {
                    let due = now.saturating_add_signed(from_now_ms);
                    wheel.insert(number(next), due);
                    let latest = due.div_ceil(slot).max(now / slot + 1) * slot;
                    model.insert(*number(next).as_bytes(), latest);
                    next += 1;
                }
                Step::Tick { ms } => {
                    now += ms;
                    for (id, due) in wheel.due(now, usize::MAX).0 {
                        prop_assert!(due <= now, "{due} is early at {now}");
                        prop_assert!(model.remove(id.as_bytes()).is_some(), "{due} came twice");
                    }
                    let late: Vec<_> = model.values().filter(|latest| **latest <= now).collect();
                    prop_assert!(late.is_empty(), "at {now} these are late: {late:?}");
                    prop_assert_eq!(wheel.len(), model.len());
                }
            }
        }
        prop_assert_eq!(wheel.len(), 0);
    }

    /// Ticks at any phase, as a real timer gives them.
    #[test]
    fn p053_a_session_is_removed_at_most_a_second_late(
        phase in 0..500_u32, life_ms in 0..300_000_u32
    ) {
        let now = start();
        let broker = Broker::new(&Config::default(), now);
        let session = broker.handshake(id(1), None, now).unwrap();
        let (_, owner) = broker.connect(&session, Carrier::Poll, now);
        broker.left(&session, owner, life_ms * MS, now);
        let due = now + life_ms * MS + 60 * SECOND;
        let mut at = now + phase * MS;
        while broker.sessions() > 0 {
            at += TICK;
            broker.tick(at);
        }
        prop_assert!(at >= due && at < due + SECOND, "{:?} late", at - due);
    }
}

#[test]
fn a_crowd_expires_in_steps_and_the_tick_says_when_it_is_done() {
    const CROWD: u16 = STEP as u16 * 2 + 1;
    let now = start();
    let mut config = Config::default();
    config.limits.sessions = usize::from(CROWD);
    let broker = Broker::new(&config, now);
    for each in 0..CROWD {
        broker.handshake(number(each), None, now).unwrap();
    }
    let grace = config.session.handshake_grace;
    let ticks = (1..).map(|count| now + count * TICK).take_while(|at| *at < now + grace + TICK);
    let mut steps = Vec::new();
    for at in ticks {
        while broker.tick(at) {
            steps.push(broker.sessions());
        }
    }
    assert_eq!(steps, [STEP + 1, 1]);
    assert_eq!((broker.sessions(), broker.wheel.lock().len()), (0, 0));
}
