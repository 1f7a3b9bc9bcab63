//! Publishes over a WebSocket, from the bytes of their frames to those of the replies: a server and its
//! client on one thread.
//!
//! What is counted besides a publish is the framing, the loop of the connection and the runtime; of the
//! kernel nothing, and of the client two calls.

use std::net::TcpListener;

use bayeuxd::{Config, Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::{Builder, Runtime},
};

use crate::scenes::{HANDSHAKE, Scene, publish_request};

/// A client that sends so many publishes together and then reads the replies.
pub(crate) struct Pipeline {
    runtime: Runtime,
    client: TcpStream,
    request: Vec<u8>,
    /// As long as the replies to `request`.
    replies: Vec<u8>,
}

impl Pipeline {
    pub(crate) fn of(publishes: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("it is bound");
        let (client, id) = runtime.block_on(async {
            let server = Server::from_listeners(vec![listener], None, Config::default());
            let server = server.expect("a server");
            tokio::spawn(server.run(std::future::pending(), std::future::pending()));
            let mut client = TcpStream::connect(address).await.expect("it listens");
            client.set_nodelay(true).expect("a TCP socket");
            let (host, upgrade) = (address.to_string(), UPGRADE);
            let head = format!("GET /cometd HTTP/1.1\r\nHost: {host}\r\n{upgrade}\r\n");
            client.write_all(head.as_bytes()).await.expect("it is open");
            read_to(&mut client, "\r\n\r\n").await;
            client.write_all(&frame(HANDSHAKE)).await.expect("it is open");
            let reply = read_to(&mut client, "}]").await;
            let (_, rest) = reply.split_once("clientId\":\"").expect("a session");
            let id = rest.split('"').next().expect("its id").to_owned();
            (client, id)
        });
        let request = frame(&publish_request(&id)).repeat(publishes);
        let mut pipeline = Self { runtime, client, request, replies: Vec::new() };
        // The replies to one publish end with the first of these.
        let first = pipeline.runtime.block_on(async {
            let one = frame(&publish_request(&id));
            pipeline.client.write_all(&one).await.expect("it is open");
            read_to(&mut pipeline.client, "}]").await
        });
        assert!(first.contains("\"successful\":true"), "{first}");
        pipeline.replies = vec![0; first.chars().count() * publishes];
        pipeline
    }
}

impl Scene for Pipeline {
    fn run(&mut self) {
        let Self { runtime, client, request, replies } = self;
        runtime.block_on(async {
            client.write_all(request).await.expect("it is open");
            client.read_exact(replies).await.expect("as many replies");
        });
    }
}

/// A text frame of a client whose mask changes nothing.
fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    let [high, low] = length.to_be_bytes();
    [&[0x81, 0x80 | 126, high, low, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// Reads up to `end`, as characters of which none is lost.
async fn read_to(client: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        client.read_buf(&mut bytes).await.expect("more");
    }
    bytes.into_iter().map(char::from).collect()
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
