//! Faults of the whole process: stopped, out of descriptors or memory, told to end.
//! Source: reliability.md F5, F13, F14, F19.

use std::time::Duration;

use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, handshake, publish},
    canary::Canary,
    deadline::{soon, within},
    http::{Connection, Request, post},
    process::Process,
    websocket::{Frame, PING, PONG},
};
use serde_json::json;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

/// Longer than the broker takes for a pause, and than its clients' sessions live.
const PAUSE: Duration = Duration::from_millis(5700);

#[tokio::test]
async fn a_process_that_was_stopped_expires_nobody() {
    // Shorter than the pause, and far longer than what the clients do before and after it.
    let process = Process::start(&["session.max_interval=5s", "session.handshake_grace=5s"]);
    let mut sessions = Vec::new();
    for _ in 0..20 {
        sessions.push(Polling::connected(process.address).await);
    }
    process.signal("STOP");
    sleep(PAUSE).await;
    process.signal("CONT");
    // The sweeper runs every half second.
    sleep(Duration::from_millis(700)).await;
    for session in &mut sessions {
        let reply = session.one(connect_now("3")).await;
        assert_eq!(reply["successful"], true, "{reply}");
    }
    within(Duration::from_secs(20), "end of all sessions", async {
        while process.scrape().await.value("sessions{transport=\"long-polling\"}") > 0.0 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let reply = sessions[0].one(connect_now("4")).await;
    assert_eq!(reply["error"], "402::session_unknown", "expiry goes on");
}

/// After the pause every WebSocket had been silent for longer than ping and pong allow, and was
/// closed although nobody had asked its client for a sign of life. Found by this test.
#[tokio::test]
async fn a_process_that_was_stopped_closes_no_websocket() {
    let process =
        Process::start(&["transports.websocket.ping=2s", "transports.websocket.pong_timeout=2s"]);
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(Socket::connected(process.address).await);
    }
    process.signal("STOP");
    sleep(Duration::from_millis(4500)).await;
    process.signal("CONT");
    for socket in &mut sockets {
        // Pings are answered on the way; a close frame fails the test.
        let reply = socket.one(connect_now("3")).await;
        assert_eq!(reply["successful"], true, "{reply}");
    }
    // Once more, with the answer to a ping waiting in each socket when the process wakes.
    for socket in &mut sockets {
        assert_eq!(socket.websocket.frame().await.opcode, PING);
    }
    process.signal("STOP");
    for socket in &mut sockets {
        socket.websocket.send(&Frame::new(PONG, "")).await;
    }
    sleep(Duration::from_millis(3800)).await;
    process.signal("CONT");
    for socket in &mut sockets {
        let reply = socket.one(connect_now("4")).await;
        assert_eq!(reply["successful"], true, "{reply}");
    }
}

#[tokio::test]
async fn without_descriptors_those_who_are_in_notice_nothing() {
    // More connections allowed than there are descriptors, so that the system says no.
    let mut process = Process::with_descriptors(96, &["limits.connections=1000"]);
    let canary = Canary::start(process.address).await;
    let before = process.descriptors();
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(TcpStream::connect(process.address).await.expect("the backlog takes it"));
    }
    let cpu = process.cpu();
    let start = Instant::now();
    sleep(Duration::from_millis(1500)).await;
    let busy = (process.cpu() - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    println!("{} descriptors, {:.0} % processor time", process.descriptors(), busy * 100.0);
    assert!(process.descriptors() >= 90, "the limit was not reached");
    assert!(busy < 0.7, "accepting spins: {busy}");
    drop(crowd);
    // Whoever comes now is let in.
    let mut late = soon("a place", Polling::connected(process.address)).await;
    assert_eq!(late.one(connect_now("3")).await["successful"], true);
    println!("{:?}", canary.finish().await);
    within(Duration::from_secs(5), "descriptors back", async {
        while process.descriptors() > before {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    process.assert_well();
}

#[tokio::test]
async fn a_terminated_process_tells_its_clients_and_ends_well() {
    let mut process = Process::start(&[]);
    let polling = Polling::connected(process.address).await;
    let mut held = polling.hold("3").await;
    let mut socket = Socket::connected(process.address).await;
    socket.send(json!([connect("3")])).await;
    let mut admin = Connection::open(process.admin).await;
    assert_eq!(admin.exchange(&Request::get("/readyz")).await.status, 200);
    process.signal("TERM");
    assert_eq!(held.messages().await[0]["advice"]["reconnect"], "retry");
    assert_eq!(socket.recv().await[0]["advice"]["reconnect"], "retry");
    assert_eq!(socket.close_code().await, 1001);
    drop(socket);
    let status = process.ended(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0), "{}", process.log());
}

/// F14: queues that nobody empties reach the ceiling of all queues together. First handshakes are
/// refused, then the largest queues end, at last publishes are refused.
#[tokio::test]
async fn queues_that_grow_to_the_ceiling_cost_only_their_owners() {
    let mut process = Process::start(&["limits.queued_bytes=8MiB"]);
    let mut idlers = Vec::new();
    for number in 0..24 {
        idlers.push(Polling::subscribed(process.address, &format!("/fill/{number}")).await);
    }
    process.forget_peak();
    let before = process.memory();
    let mut publisher = Polling::connected(process.address).await;
    let (mut refused, mut turned_away) = (0, 0);
    let padding = "x".repeat(60_000);
    for _ in 0..12 {
        for number in 0..idlers.len() {
            let message = publish("p", &format!("/fill/{number}"), padding.as_str());
            let reply = publisher.one(message).await;
            if reply["successful"] == false {
                assert_eq!(reply["error"], "503::overloaded", "{reply}");
                refused += 1;
            }
        }
        let response = post(process.address, &json!([handshake()])).await;
        if response.status == 503 {
            assert!(response.header("retry-after").is_some(), "{response:?}");
            turned_away += 1;
        }
    }
    let growth = (process.peak() - before) >> 20;
    println!("+{growth} MiB, {refused} publishes refused, {turned_away} of 12 handshakes");
    assert!(turned_away > 0, "no handshake was refused");
    assert!(growth <= 24, "{growth} MiB");
    let mut ended = 0;
    for idler in &mut idlers {
        let messages = idler.fetch().await;
        let reply = messages.last().expect("a reply");
        ended += usize::from(reply["error"] == "402::session_unknown");
    }
    within(Duration::from_secs(5), "room once the queues are empty", async {
        while post(process.address, &json!([handshake()])).await.status == 503 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    println!("{ended} of {} idlers ended", idlers.len());
    assert!((1..idlers.len()).contains(&ended), "{ended}");
    process.assert_well();
}
