//! A relay that ends its first connection at an exact byte and remembers all that the broker wrote.
//!
//! Of a message that never reached the client it can therefore tell whether the broker had handed it
//! to the kernel, where it is lost without the ack extension, or still held it and has to deliver it
//! later. Later connections are relayed faithfully.
//! Source: protocol.md 56; reliability.md P3, F2, F3.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    select,
    sync::watch,
    task::JoinHandle,
};

use crate::deadline::soon;

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the broker.
    ToBroker,
    /// From the broker to the client.
    ToClient,
}

/// Where and how the first connection ends.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Whose bytes are counted.
    pub direction: Direction,
    /// So many of them pass, and nothing after them.
    pub after_bytes: usize,
    /// Ended by RST; otherwise by FIN.
    pub reset: bool,
}

/// A running relay; it stops accepting when it is dropped.
#[derive(Debug)]
pub struct Tap {
    /// Where the client connects.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    /// All that was read from the broker.
    transcript: Mutex<Vec<u8>>,
    /// Bytes of the first connection, to the broker and to the client.
    passed: Mutex<(usize, usize)>,
    /// Connections that have ended on both sides.
    ended: watch::Sender<usize>,
}

impl Tap {
    /// Starts a relay before `upstream`.
    pub async fn start(upstream: SocketAddr, cut: Option<Cut>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            upstream,
            transcript: Mutex::default(),
            passed: Mutex::default(),
            ended: watch::Sender::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), cut));
        Self { address, shared, accepting }
    }

    /// Whether the broker has written these bytes in one piece.
    pub fn saw(&self, bytes: &[u8]) -> bool {
        self.shared.transcript.lock().windows(bytes.len()).any(|window| window == bytes)
    }

    /// Bytes that passed on the first connection: to the broker, to the client.
    pub fn passed(&self) -> (usize, usize) {
        *self.shared.passed.lock()
    }

    /// Waits until so many connections have ended on both sides: the broker knows.
    pub async fn ended(&self, count: usize) {
        let mut ended = self.shared.ended.subscribe();
        let _ = soon("the end of a connection", ended.wait_for(|ended| *ended >= count)).await;
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut cut: Option<Cut>) {
    let mut first = true;
    while let Ok((client, _)) = listener.accept().await {
        let relay = Relay { shared: Arc::clone(&shared), cut: cut.take(), first };
        first = false;
        tokio::spawn(async move {
            let Ok(broker) = TcpStream::connect(relay.shared.upstream).await else { return };
            relay.run(client, broker).await;
            relay.shared.ended.send_modify(|ended| *ended += 1);
        });
    }
}

/// One connection.
struct Relay {
    shared: Arc<Shared>,
    cut: Option<Cut>,
    first: bool,
}

impl Relay {
    async fn run(&self, mut client: TcpStream, mut broker: TcpStream) {
        let _ = (client.set_nodelay(true), broker.set_nodelay(true));
        let mut passed = (0, 0);
        let mut up = [0; 4096];
        let mut down = [0; 4096];
        loop {
            let room_up = self.room(Direction::ToBroker, passed.0);
            let room_down = self.room(Direction::ToClient, passed.1);
            if room_up.min(room_down) == 0 {
                return self.end(client, broker).await;
            }
            select! {
                read = client.read(&mut up) => {
                    let Ok(count @ 1..) = read else { break };
                    let count = count.min(room_up);
                    passed.0 += count;
                    if broker.write_all(&up[..count]).await.is_err() {
                        break;
                    }
                }
                read = broker.read(&mut down) => {
                    let Ok(count @ 1..) = read else { break };
                    self.note(&down[..count]);
                    let count = count.min(room_down);
                    passed.1 += count;
                    if client.write_all(&down[..count]).await.is_err() {
                        break;
                    }
                }
            }
            if self.first {
                *self.shared.passed.lock() = passed;
            }
        }
        self.close(client, broker).await;
    }

    /// How many bytes may still pass.
    fn room(&self, direction: Direction, passed: usize) -> usize {
        let cut = self.cut.filter(|cut| cut.direction == direction);
        cut.map_or(usize::MAX, |cut| cut.after_bytes - passed)
    }

    fn note(&self, bytes: &[u8]) {
        self.shared.transcript.lock().extend_from_slice(bytes);
    }

    async fn end(&self, client: TcpStream, broker: TcpStream) {
        if self.cut.is_none_or(|cut| !cut.reset) {
            return self.close(client, broker).await;
        }
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = broker.try_read(&mut bytes) {
            self.note(&bytes[..count]);
        }
        let _ = (client.set_zero_linger(), broker.set_zero_linger());
    }

    /// Ends both sides by FIN and listens to the broker until it has closed, too.
    async fn close(&self, mut client: TcpStream, mut broker: TcpStream) {
        let _ = (client.shutdown().await, broker.shutdown().await);
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = broker.read(&mut bytes).await {
            self.note(&bytes[..count]);
        }
        while matches!(client.read(&mut bytes).await, Ok(1..)) {}
    }
}
