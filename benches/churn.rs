//! Sessions that come and go while a monitor stalls: what it costs them, and whether memory stays.
//!
//! ```text
//! cargo bench --bench churn              10,000 sessions a second, 30 pairs of turns of a second
//! cargo bench --bench churn -- 5         as many pairs as one likes
//! ```
//!
//! A server in this process, without sockets, which would cost more than all that is compared here: bytes go
//! in and out by [`Exchange`], through the dispatch of all transports. In every second turn a session monitors
//! everything and never reads; first under the pace of `[monitor]`, then with none, so that each event is
//! told by itself and its ring is always full. CPU is that of the whole process, pulses included, for each
//! session of a turn. At last the monitor comes back and reads what is left for it.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a program that prints a table")]

use std::{env, fs, sync::Arc, thread, time::Duration};

use bayeuxd::{
    Config,
    broker::{Broker, Carrier, Session, Take},
    config::Monitor,
    server::{Exchange, Server, clock},
};
use serde_json::Value;
use tokio::runtime::Runtime;

fn main() {
    let words = env::args().skip(1).find(|word| word != "--bench");
    let pairs = words.map_or(30, |word| word.parse().expect("a number of pairs"));
    // One that has stalled for long has had its burst, which each turn would begin with.
    let pace = Monitor { everybody: true, stats_interval: HOUR, burst: 1, ..Monitor::default() };
    let free = Monitor { events_per_second: u32::MAX, burst: u32::MAX, ..pace.clone() };
    println!("{PER_SECOND} sessions a second; medians of {pairs} pairs of turns\n");
    for (name, monitor, is_free) in [("pace of [monitor]", pace, false), ("no pace", free, true)] {
        let mut stage = Stage::new(monitor);
        println!("{name}");
        stage.compare(pairs);
        stage.end(is_free);
    }
}

/// A server, and those who use it.
struct Stage {
    runtime: Runtime,
    broker: Arc<Broker>,
    client: Exchange,
    monitor: Exchange,
    lives: u64,
}

/// What a turn cost.
struct Turn {
    /// CPU of the process for each session, in microseconds.
    cpu: f64,
    /// Sessions a second that came and went when nothing held them up.
    rate: f64,
    /// Bytes.
    resident: usize,
}

impl Stage {
    fn new(monitor: Monitor) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let mut config = Config { monitor, ..Config::default() };
        // Everything that a session leaves behind for a time is gone before the first turn ends.
        config.session.max_interval = Duration::from_secs(5);
        let server = {
            let _inside = runtime.enter();
            Server::from_listeners(Vec::new(), None, config).expect("a server")
        };
        let (client, monitor) = (server.exchange(), server.exchange());
        let broker = Arc::clone(server.broker());
        runtime.spawn(server.run(std::future::pending(), std::future::pending()));
        let mut stage = Self { runtime, broker, client, monitor, lives: 0 };
        stage.live_for(Duration::from_secs(10));
        stage
    }

    fn compare(&mut self, pairs: usize) {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for pair in 0..pairs * 2 {
            // Without, with, with, without: what drifts meets both.
            if pair % 4 == 0 || pair % 4 == 3 {
                without.push(self.turn());
            } else {
                self.begin_to_monitor();
                with.push(self.turn());
                let left = self.monitor.session().is_some_and(|session| !session.has_ended());
                assert!(left, "the session of the stalled monitor lives on");
                ask(&self.runtime, &mut self.monitor, "meta/disconnect", "");
            }
        }
        let compared = |what: fn(&Turn) -> f64| {
            let pairs = with.iter().zip(&without);
            Spread::of(pairs.map(|(with, without)| what(with) / what(without)))
        };
        let of = |turns: &[Turn], what: fn(&Turn) -> f64| Spread::of(turns.iter().map(what)).median;
        for (label, what) in [
            ("CPU of a session, us", (|turn| turn.cpu) as fn(&Turn) -> f64),
            ("sessions a second, flat out", |turn| turn.rate),
        ] {
            let Spread { median, low, high } = compared(what);
            println!(
                "  {label:<28} without {:>9.2}, with {:>9.2}; with / without {median:.3} [{low:.3}-{high:.3}]",
                of(&without, what),
                of(&with, what)
            );
        }
        let resident = |turn: Option<&Turn>| turn.map_or(0, |turn| turn.resident) >> 10;
        println!(
            "  resident, KiB: first turns {} without, {} with; last {} and {}",
            resident(without.first()),
            resident(with.first()),
            resident(without.last()),
            resident(with.last())
        );
    }

    /// A second at the rate, and a fifth of one flat out.
    fn turn(&mut self) -> Turn {
        let (before, lives) = (cpu(), self.lives);
        self.live_for(TURN);
        let each = (cpu() - before).as_secs_f64() * 1e6 / (self.lives - lives) as f64;
        let (began, lives) = (clock::now(), self.lives);
        while began.elapsed() < TURN / 5 {
            self.live();
        }
        let rate = (self.lives - lives) as f64 / began.elapsed().as_secs_f64();
        Turn { cpu: each, rate, resident: resident() }
    }

    /// Sessions that come when they are due, ten milliseconds' worth at a time.
    fn live_for(&mut self, time: Duration) {
        let began = clock::now();
        let mut due = 0;
        while began.elapsed() < time {
            while due < (began.elapsed().as_secs_f64() * f64::from(PER_SECOND)) as u64 {
                self.live();
                due += 1;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// One session comes, subscribes, connects and goes.
    fn live(&mut self) {
        self.lives += 1;
        let (runtime, client) = (&self.runtime, &mut self.client);
        shake(runtime, client);
        let subscription = format!(r#","subscription":"/user/{}""#, self.lives % CHANNELS);
        ask(runtime, client, "meta/subscribe", &subscription);
        ask(
            runtime,
            client,
            "meta/connect",
            r#","connectionType":"websocket","advice":{"timeout":0}"#,
        );
        ask(runtime, client, "meta/disconnect", "");
    }

    fn begin_to_monitor(&mut self) {
        shake(&self.runtime, &mut self.monitor);
        let all = r#","subscription":"/meta/monitor/**""#;
        ask(&self.runtime, &mut self.monitor, "meta/subscribe", all);
    }

    /// The monitor stalls once more, and then reads all that is left for it.
    fn end(mut self, is_free: bool) {
        let lost = self.broker.events().lost();
        self.begin_to_monitor();
        self.live_for(TURN);
        let session = self.monitor.session().expect("it has one");
        let events = read_all(&self.broker, session);
        println!("  left for the monitor: {} events; {lost} were lost in all\n", events.len());
        if is_free {
            check_lost(&events);
        }
        self.runtime.shutdown_background();
    }
}

/// Takes events until there are none for a while.
fn read_all(broker: &Broker, session: &Arc<Session>) -> Vec<Value> {
    let owner = broker.claim(session, Carrier::Socket, true, clock::now());
    let (mut events, mut latest) = (Vec::new(), clock::now());
    while latest.elapsed() < Duration::from_millis(500) {
        let Some(mut batch) = session.take(owner, Take::WRITE) else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        for frame in batch.frames() {
            let messages: Vec<Value> = serde_json::from_slice(frame.array()).expect("it is JSON");
            let data = |mut message: Value| message.get_mut("data").expect("an event").take();
            events.extend(messages.into_iter().map(data));
        }
        batch.settle();
        latest = clock::now();
    }
    events
}

/// What was lost is told by one event, and all that follows is there.
fn check_lost(events: &[Value]) {
    let number = |event: &Value, field: &str| event[field].as_u64().expect("a number");
    let (lost, rest) = events.split_first().expect("events");
    assert_eq!(lost["type"], "lost", "{lost}");
    assert_eq!(number(lost, "n"), number(lost, "to_seq") - number(lost, "from_seq") + 1, "{lost}");
    let seqs: Vec<u64> = rest.iter().map(|event| number(event, "seq")).collect();
    assert_eq!(seqs.first(), Some(&(number(lost, "to_seq") + 1)));
    let follows = |(before, after): (&u64, &u64)| *after == before + 1;
    assert!(seqs.iter().zip(seqs.iter().skip(1)).all(follows), "nothing is missing after it");
}

fn shake(runtime: &Runtime, client: &mut Exchange) {
    let hello = br#"[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"]}]"#;
    let reply = runtime.block_on(client.send(hello)).expect("a batch");
    assert!(is_successful(&reply), "{}", String::from_utf8_lossy(&reply));
}

fn ask(runtime: &Runtime, client: &mut Exchange, channel: &str, fields: &str) {
    let id = client.session().expect("it has shaken hands").id().client_id();
    let message = format!(r#"[{{"channel":"/{channel}","clientId":"{id}","id":"1"{fields}}}]"#);
    let reply = runtime.block_on(client.send(message.as_bytes())).expect("a batch");
    assert!(is_successful(&reply), "{}", String::from_utf8_lossy(&reply));
}

fn is_successful(reply: &[u8]) -> bool {
    reply.windows(17).any(|part| part == br#""successful":true"#)
}

/// The middle of some values, and the 95 % interval that their order gives it.
struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let count = values.len() as f64;
        let at = |place: f64| {
            let place = place.clamp(0.0, (count - 1.0).max(0.0)) as usize;
            values.get(place).copied().unwrap_or(f64::NAN)
        };
        let half = 0.98 * count.sqrt();
        Self {
            median: at(count / 2.0),
            low: at((count / 2.0 - half).floor()),
            high: at((count / 2.0 + half).ceil()),
        }
    }
}

/// CPU that all threads of this process have used, as the scheduler counts it.
fn cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let nanos = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// Memory that this process has written to, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

const PER_SECOND: u32 = 10_000;
const CHANNELS: u64 = 1_000;
const TURN: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
