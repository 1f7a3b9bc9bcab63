//! The back-end of a service channel, played by the test: it sees each request and decides when to
//! answer, and what.

use std::net::SocketAddr;

use bayeuxd::config::{Config, Service};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

use crate::{
    bayeux::{Socket, publish, published},
    broker::Broker,
    deadline::{QUIET, soon},
};

/// A listening back-end.
#[derive(Debug)]
pub struct BackEnd {
    /// Where it listens.
    pub address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Call>,
    closed: mpsc::UnboundedReceiver<usize>,
}

/// A request that waits for its answer. Dropped, its connection is closed without one.
#[derive(Debug)]
pub struct Call {
    /// Which connection it came over, counted from 0.
    pub connection: usize,
    /// Request line and headers.
    pub head: String,
    /// The posted JSON.
    pub body: Value,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
struct Answer {
    bytes: Vec<u8>,
    close: bool,
}

impl BackEnd {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts one at an address.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("bind a loopback port");
        let address = listener.local_addr().expect("its address");
        let (tell, requests) = mpsc::unbounded_channel();
        let (tell_closed, closed) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (tell, tell_closed) = (tell.clone(), tell_closed.clone());
                tokio::spawn(async move {
                    let _ = serve(connection, stream, tell).await;
                    let _ = tell_closed.send(connection);
                });
            }
        });
        Self { address, requests, closed }
    }

    /// An entry that sends the channels under `channel` here.
    pub fn entry(&self, channel: &str) -> Service {
        let (channel, url) = (channel.into(), format!("http://{}/quote?v=1", self.address));
        Service { channel, url, ..Service::default() }
    }

    /// The next request.
    pub async fn call(&mut self) -> Call {
        soon("a call of the back-end", self.requests.recv()).await.expect("the back-end runs")
    }

    /// The next request, whenever it comes.
    pub async fn next(&mut self) -> Option<Call> {
        self.requests.recv().await
    }

    /// Asserts that nobody calls for a moment.
    pub async fn idle(&mut self) {
        let call = tokio::time::timeout(QUIET, self.requests.recv()).await;
        assert!(call.is_err(), "nobody should call: {call:?}");
    }

    /// Waits until a connection is closed, and says which.
    pub async fn closed(&mut self) -> usize {
        soon("the end of a connection", self.closed.recv()).await.expect("the back-end runs")
    }
}

impl Call {
    /// Answers with a status and a body.
    pub fn answer(self, status: u16, body: &str) {
        let length = body.len();
        self.raw(format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}"), false);
    }

    /// Answers with bytes, whatever they are; `close` ends the connection behind them.
    pub fn raw(self, bytes: impl Into<Vec<u8>>, close: bool) {
        // Who asked may have left.
        let _ = self.answer.send(Answer { bytes: bytes.into(), close });
    }
}

/// The channel of all these calls.
pub const CHANNEL: &str = "/service/quote/acme";

/// A broker whose `/service/quote/**` is answered by the back-end, as `change` wants it.
pub async fn serving(change: impl FnOnce(&mut Service)) -> (Broker, BackEnd) {
    serving_with(|config| change(&mut config.services[0])).await
}

/// The same; `change` sees the whole configuration.
pub async fn serving_with(change: impl FnOnce(&mut Config)) -> (Broker, BackEnd) {
    let back_end = BackEnd::start().await;
    let broker = Broker::with(|config| {
        config.services.push(back_end.entry("/service/quote/**"));
        change(config);
    })
    .await;
    (broker, back_end)
}

/// The reply to a remote call.
pub fn answer(id: &str, data: impl Into<Value>) -> Value {
    json!({"channel": CHANNEL, "data": data.into(), "id": id, "successful": true})
}

/// The failure of a remote call.
pub fn failure(id: &str, error: &str, class: &str, message: &str) -> Value {
    json!({
        "channel": CHANNEL, "id": id, "successful": false, "error": error,
        "data": {"class": class, "message": message},
    })
}

/// The failure of a service that speaks itself, under a name of its own.
pub fn refusal(id: &str, class: &str, name: &str, message: &str) -> Value {
    let mut failure = failure(id, "500::service_failed", class, message);
    failure["data"]["name"] = name.into();
    failure
}

/// The failure of a back-end that does not work as it should.
pub fn unavailable(id: &str, message: &str) -> Value {
    failure(id, "502::service_unavailable", "java.io.IOException", message)
}

/// The failure of a call above a bound.
pub fn overloaded(id: &str) -> Value {
    failure(
        id,
        "503::overloaded",
        "java.util.concurrent.RejectedExecutionException",
        "too many calls are in flight",
    )
}

/// Calls, and takes the reply to the publish, which does not wait for the service.
///
/// # Panics
/// If the broker refuses it.
pub async fn begin(socket: &mut Socket, id: &str) {
    assert_eq!(socket.one(publish(id, CHANNEL, 1)).await, published(id, CHANNEL));
}

/// Calls, and lets the back-end do what it will; what comes of it.
pub async fn outcome(socket: &mut Socket, back_end: &mut BackEnd, act: impl FnOnce(Call)) -> Value {
    begin(socket, "7").await;
    act(back_end.call().await);
    socket.recv_messages(1).await.remove(0)
}

/// Reads request after request; ends when either side has enough.
async fn serve(
    connection: usize,
    mut stream: TcpStream,
    tell: mpsc::UnboundedSender<Call>,
) -> Option<()> {
    let mut unread = Vec::new();
    loop {
        let (head, body) = read(&mut stream, &mut unread).await?;
        let (answer, answered) = oneshot::channel();
        tell.send(Call { connection, head, body, answer }).ok()?;
        let answer = tokio::select! {
            answer = answered => answer.ok()?,
            // Nothing but the end can come before the answer.
            _ = stream.read_u8() => return None,
        };
        stream.write_all(&answer.bytes).await.ok()?;
        if answer.close {
            return None;
        }
    }
}

async fn read(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<(String, Value)> {
    loop {
        if let Some(end) = unread.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(unread[..end].to_vec()).expect("a head of text");
            let length: usize = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                })
                .expect("a length");
            let (from, to) = (end + 4, end + 4 + length);
            if unread.len() >= to {
                let body = serde_json::from_slice(&unread[from..to]).expect("a body of JSON");
                unread.drain(..to);
                return Some((head, body));
            }
        }
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
}
