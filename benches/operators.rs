//! What a page of the admin API costs while there are many sessions, and what clients notice of it.
//!
//! ```text
//! cargo bench --bench operators              200,000 sessions and as many channels
//! cargo bench --bench operators -- 20000     as many as one likes
//! ```
//!
//! The server runs in this process, and the pages are asked for over HTTP. The sessions have no sockets,
//! which one process could not hold. Meanwhile a client's work is done over and over: a handshake with all
//! that belongs to it, a new channel, a publish, an end. A timer on the threads that serve connections tells
//! whether one was kept.
//!
//! Whether somebody waited for a lock or for a processor, the kernel knows: it counts for each thread how
//! often it gave the processor up and how often it was taken from it. So the table says how often a client's
//! work *waited*, which is for a lock, and leaves out of its times what the machine took away. Who waits for
//! a lock whose holder lost its processor waits long: what matters is how often anybody waits at all.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a program that prints a table"
)]

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bayeuxd::{
    Config,
    auth::Secret,
    broker::{Broker, Carrier, Cause, Session, Sid},
    config::{ApiKey, Role},
    events::{Page, Peer},
    server::{Server, clock},
};
use parking_lot::Mutex;

mod input;

use input::{data, id, mixed, name, publish};

fn main() {
    let words = env::args().skip(1).find(|word| word != "--bench");
    let sessions = words.map_or(200_000, |word| word.parse().expect("a number of sessions"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let server = runtime.block_on(Server::bind(config(sessions))).expect("a server");
    let address = server.admin_address().expect("a listener");
    let broker = Arc::clone(server.broker());
    let _serving = runtime.spawn(server.run(std::future::pending(), std::future::pending()));
    let began = clock::now();
    for number in 0..sessions {
        open(&broker, number);
    }
    for crowd in 0..CROWDS {
        publish(&broker, &name(&format!("/crowd/{crowd}")), &data(), clock::now());
    }
    println!(
        "{sessions} sessions and {} channels after {:?}\n",
        broker.channels(),
        began.elapsed()
    );
    let watch = Arc::new(Watch::default());
    runtime.spawn(keep_time(Arc::clone(&watch)));
    thread::spawn({
        let (broker, watch) = (Arc::clone(&broker), Arc::clone(&watch));
        move || be_a_client(&broker, &watch, sessions)
    });
    table(&broker, &watch, address);
    watch.done.store(true, Ordering::Relaxed);
    runtime.shutdown_background();
}

fn table(broker: &Broker, watch: &Watch, address: SocketAddr) {
    println!(
        "{:<44} {:>9} {:>9} | {:>6} {:>9} {:>6} {:>9} {:>6} | {:>9}",
        "", "answer", "size", "a", "client's", "work", "", "", "a timer"
    );
    println!(
        "{:<44} {:>9} {:>9} | {:>6} {:>9} {:>6} {:>9} {:>6} | {:>9}",
        "", "median", "", "times", "longest", "waited", "longest", "lost", "latest"
    );
    let (last, _) = broker.sessions_after(None, usize::MAX).pop().expect("a session");
    let pages = [
        "stats",
        "sessions?limit=50",
        "sessions?limit=1000",
        "sessions?limit=50&search=10.7.7.7",
        "sessions?limit=50&search=nobody-is-called-so",
        "sessions?limit=50&channel=/crowd/3",
        "sessions?limit=50&connected=false",
        "sessions?limit=50&sort=queue",
        "sessions?limit=50&sort=age",
        "sessions?limit=50&sort=rate",
        &format!("sessions/{last}"),
        "channels?limit=50",
        "channels?limit=1000",
        "channels?limit=1000&sort=subscribers",
        "channels?limit=50&pattern=/crowd/**",
        "channels?limit=50&sort=rate",
        "channels/crowd/3",
        "config",
    ];
    watch.take();
    thread::sleep(Duration::from_secs(1));
    row(watch, "(nothing asked for, 1 s)", Vec::new(), 0);
    for page in pages {
        let mut times = Vec::new();
        let mut size = 0;
        watch.take();
        for _ in 0..if page.contains("rate") { 3 } else { ROUNDS } {
            let began = clock::now();
            size = get(address, page);
            times.push(began.elapsed());
        }
        row(watch, page, times, size);
    }
}

fn row(watch: &Watch, page: &str, mut times: Vec<Duration>, size: usize) {
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    times.sort();
    let median = times.get(times.len() / 2).map(|time| ms(*time)).unwrap_or_default();
    let (Works { done, longest, waited, longest_wait, lost }, timer) = watch.take();
    println!(
        "{page:<44} {median:>9} {size:>9} | {done:>6} {:>9} {waited:>6} {:>9} {lost:>6} | {:>9}",
        ms(longest),
        ms(longest_wait),
        ms(timer)
    );
}

fn config(sessions: usize) -> Config {
    let mut config = Config::default();
    config.server.listen = vec!["127.0.0.1:0".parse().expect("an address")];
    config.admin.listen = Some("127.0.0.1:0".parse().expect("an address"));
    config.limits.sessions = sessions * 2;
    config.limits.channels = sessions * 4;
    config.auth.keys = vec![ApiKey {
        id: "bench".to_owned(),
        secret_sha256: Some(Secret::from_bytes(KEY).digest().to_string()),
        role: Role::Admin,
        ..ApiKey::default()
    }];
    config
}

/// Opens a session that polls, with a channel of its own and a shared one.
fn open(broker: &Arc<Broker>, number: usize) -> Arc<Session> {
    let now = clock::now();
    let session = broker.handshake(id(number as u64), None, now).expect("there is room");
    // The server would take it from a keyed hash.
    let [a, b, c, d, e, f, ..] = mixed(number as u64).to_be_bytes();
    let agent =
        format!("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{}", number % 40);
    let peer = Peer {
        sid: Some(Sid::from_bytes([a, b, c, d, e, f])),
        ip: Some(format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255).into()),
        page: Some(Arc::new(Page::new(Some("https://app.example.com"), Some(&agent)))),
        ..Peer::default()
    };
    broker.introduce(&session, Arc::new(peer));
    for channel in [format!("/user/{number}"), format!("/crowd/{}", number % CROWDS)] {
        broker.subscribe(&session, &name(&channel)).expect("it may subscribe");
    }
    broker.connect(&session, Carrier::Poll, now);
    session
}

/// What was noted since somebody asked.
#[derive(Default)]
struct Watch {
    works: Mutex<Works>,
    /// In microseconds.
    timer: AtomicU64,
    done: AtomicBool,
}

/// A client's work, done over and over.
#[derive(Default)]
struct Works {
    done: usize,
    /// Of those that neither waited nor lost the processor.
    longest: Duration,
    /// Those that waited for somebody and did not lose the processor.
    waited: usize,
    longest_wait: Duration,
    /// Those from which the machine took the processor.
    lost: usize,
}

impl Watch {
    fn take(&self) -> (Works, Duration) {
        let works = std::mem::take(&mut *self.works.lock());
        (works, Duration::from_micros(self.timer.swap(0, Ordering::Relaxed)))
    }
}

impl Works {
    /// Notes one; `before` and `after` are what [`switches`] said.
    fn note(&mut self, time: Duration, before: (u64, u64), after: (u64, u64)) {
        self.done += 1;
        if after.1 > before.1 {
            self.lost += 1;
        } else if after.0 > before.0 {
            self.waited += 1;
            self.longest_wait = self.longest_wait.max(time);
        } else {
            self.longest = self.longest.max(time);
        }
    }
}

/// How often this thread gave its processor up, and how often it lost it.
fn switches() -> (u64, u64) {
    let status = fs::read_to_string("/proc/thread-self/status").expect("Linux");
    let count = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|count| count.trim().parse().ok()).expect("a count")
    };
    (count("voluntary_ctxt_switches:"), count("nonvoluntary_ctxt_switches:"))
}

/// Does what a client makes the broker do, a thousand times a second.
fn be_a_client(broker: &Arc<Broker>, watch: &Watch, sessions: usize) {
    let data = data();
    for number in sessions.. {
        if watch.done.load(Ordering::Relaxed) {
            return;
        }
        let before = switches();
        let began = clock::now();
        let session = open(broker, number);
        publish(broker, &name(&format!("/user/{}", number % sessions)), &data, clock::now());
        broker.end(&session, Cause::Client);
        let time = began.elapsed();
        watch.works.lock().note(time, before, switches());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Wakes up each millisecond on the threads that serve connections, and notes how late that is.
async fn keep_time(watch: Arc<Watch>) {
    while !watch.done.load(Ordering::Relaxed) {
        let began = clock::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let late = began.elapsed().saturating_sub(Duration::from_millis(1));
        watch.timer.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
    }
}

/// Asks for a page of the admin API; returns the size of the answer.
fn get(address: SocketAddr, page: &str) -> usize {
    let mut socket = TcpStream::connect(address).expect("a connection");
    let key = Secret::from_bytes(KEY);
    let request = format!(
        "GET /admin/v1/{page} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: \
         close\r\n\r\n",
        key.expose()
    );
    socket.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("it is answered");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{page}: {}", String::from_utf8_lossy(&answer));
    answer.len()
}

const KEY: [u8; 32] = *b"a key of this program alone 1234";
const CROWDS: usize = 10;
const ROUNDS: usize = 11;
