//! A million sessions in one process, without sockets: what each costs, and whether anything grows
//! faster than their number.
//!
//! ```text
//! cargo bench --bench million                     both cases, each in a fresh process
//! cargo bench --bench million -- shared 200000    one case: 10 channels for all, or an own one each
//! ```
//!
//! Sockets would add 5 KB of kernel memory and about 1 KB of the connection's task to each session; a
//! process may rarely hold so many descriptors.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a program that prints a table"
)]

use std::{
    env, fs,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use bayeuxd::{
    bayeux::ChannelName,
    broker::{Session, TICK},
    server::clock,
};
use hdrhistogram::Histogram;

mod input;
mod node;

use input::{data, name};
use node::Node;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let sessions = |number: &str| number.parse::<usize>().expect("a number of sessions");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => both(),
        [case] => run(case, 1_000_000),
        [case, number] => run(case, sessions(number)),
        _ => ExitCode::FAILURE,
    }
}

/// Each case in a process of its own: memory that was freed does not show in the next case.
fn both() -> ExitCode {
    let program = env::current_exe().expect("this program");
    let passed =
        |case| Command::new(&program).arg(case).status().is_ok_and(|status| status.success());
    if passed("shared") && passed("own") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(case: &str, sessions: usize) -> ExitCode {
    let mut node = Node::new();
    let before = resident();
    let began = clock::now();
    match case {
        "shared" => {
            let channels: Vec<ChannelName> =
                (0..CROWDS).map(|number| name(&format!("/crowd/{number}"))).collect();
            for number in 0..sessions {
                node.subscriber(channels.get(number % CROWDS).expect("it is in range"));
            }
        }
        "own" => {
            for number in 0..sessions {
                node.subscriber(&name(&format!("/user/{number}")));
            }
        }
        _ => return ExitCode::FAILURE,
    }
    println!("{sessions} sessions with a subscription and a connection, channels: {case}");
    show("opened in", began.elapsed(), sessions);
    let each = (resident() - before) / sessions;
    println!(
        "  {:<34} {each:>9} B, of which the struct {}",
        "memory of each",
        size_of::<Session>()
    );
    if case == "shared" {
        publishes(&node, sessions / CROWDS);
        for number in [sessions / CROWDS / 10, sessions / CROWDS] {
            storm(&node, number);
        }
    }
    expire(&mut node);
    ExitCode::SUCCESS
}

/// Publishes into a tenth of all queues, which connections empty each time.
fn publishes(node: &Node, subscribers: usize) {
    let (channel, data) = (name("/crowd/0"), data());
    let mut times =
        Histogram::<u64>::new_with_max(60_000_000_000, 3).expect("a minute, three digits");
    for _ in 0..PUBLISHES {
        let began = clock::now();
        node.publish(&channel, &data);
        times.saturating_record(began.elapsed().as_nanos() as u64);
        node.drain();
    }
    for (label, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let time = Duration::from_nanos(times.value_at_quantile(quantile));
        show(&format!("publish to {subscribers}, {label}"), time, subscribers);
    }
}

/// Everybody leaves one channel and comes back while messages are published to it, as after a
/// network failure. The number of messages is the same for any number of sessions, so the time of
/// each session stays the same unless something is quadratic.
fn storm(node: &Node, sessions: usize) {
    let (channel, data) = (name("/storm"), data());
    let crowd = node.sessions.get(..sessions).expect("there are more");
    for (session, _) in crowd {
        node.broker.subscribe(session, &channel).expect("it may subscribe");
    }
    let mut publishing = Duration::ZERO;
    let began = clock::now();
    for (number, (session, _)) in crowd.iter().enumerate() {
        node.broker.unsubscribe(session, &channel).expect("it may leave");
        node.broker.subscribe(session, &channel).expect("it may come back");
        if number % (sessions / STORM_PUBLISHES) == 0 {
            let began = clock::now();
            node.publish(&channel, &data);
            publishing += began.elapsed();
        }
    }
    let all = began.elapsed();
    show(&format!("storm of {sessions}"), all, sessions);
    show("  its resubscriptions alone", all.saturating_sub(publishing), sessions);
    for (session, _) in crowd {
        node.broker.unsubscribe(session, &channel).expect("it may leave");
    }
    node.drain();
}

/// All connections are lost at once; the sessions expire together.
fn expire(node: &mut Node) {
    let sessions = node.sessions.len();
    let began = clock::now();
    for (session, owner) in node.sessions.drain(..) {
        node.broker.detach(&session, owner, node.now);
    }
    show("all connections lost", began.elapsed(), sessions);
    let (mut all, mut longest) = (Duration::ZERO, Duration::ZERO);
    let mut now: Instant = node.now;
    while node.broker.sessions() + node.broker.channels() > 0 {
        now += TICK;
        let mut more = true;
        while more {
            let began = clock::now();
            more = node.broker.tick(now);
            let took = began.elapsed();
            all += took;
            longest = longest.max(took);
            // The log takes it between two steps.
            drop(node.broker.take_ended());
        }
    }
    show("all expired in", all, sessions);
    println!("  {:<34} {:>9.1} ms", "longest step of a tick", longest.as_secs_f64() * 1e3);
    assert_eq!(node.broker.queued_bytes(), 0, "nothing may be left behind");
}

fn show(label: &str, time: Duration, operations: usize) {
    let each = time.as_nanos() / operations.max(1) as u128;
    println!("  {label:<34} {:>9.1} ms, {each} ns each", time.as_secs_f64() * 1e3);
}

/// Memory that this process has written to, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

const CROWDS: usize = 10;
const PUBLISHES: usize = 200;
const STORM_PUBLISHES: usize = 100;
