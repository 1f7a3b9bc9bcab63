//! A broker process on a free port, and a publisher by plain HTTP.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

/// A running broker; killed when dropped.
pub struct Broker {
    /// `127.0.0.1:PORT`.
    pub address: String,
    _process: Child,
}

impl Broker {
    /// Starts `$BAYEUXD` with holds of two seconds and reads its address from the start output.
    pub async fn start() -> Self {
        let binary = std::env::var("BAYEUXD").expect("BAYEUXD names the broker's binary");
        let mut process = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--set", "session.timeout=2s", "--log-level", "warn"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the broker starts");
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        while let Some(line) = lines.next_line().await.expect("start output") {
            let words = line.strip_prefix("bayeux ").unwrap_or_default().split_whitespace();
            if let Some(url) = words.filter_map(|word| word.strip_prefix("http://")).next() {
                return Self { address: url.to_owned(), _process: process };
            }
        }
        panic!("the broker ended without telling its address");
    }
}

/// A session that only publishes, over one connection.
pub struct Publisher {
    stream: TcpStream,
    client_id: String,
}

impl Publisher {
    /// Shakes hands.
    pub async fn open(broker: &Broker) -> Self {
        let stream = TcpStream::connect(&broker.address).await.expect("a connection");
        let mut publisher = Self { stream, client_id: String::new() };
        let handshake = json!({"channel": "/meta/handshake", "version": "1.0", "id": "1"});
        let reply = publisher.exchange(&handshake).await;
        publisher.client_id = reply["clientId"].as_str().expect("a clientId").to_owned();
        publisher
    }

    /// Publishes and waits for the positive reply.
    pub async fn publish(&mut self, channel: &str, data: &str) {
        let (id, data): (_, Value) = (&self.client_id, serde_json::from_str(data).expect("JSON"));
        let message = json!({"channel": channel, "id": "2", "clientId": id, "data": data});
        let reply = self.exchange(&message).await;
        assert_eq!(reply, json!({"channel": channel, "id": "2", "successful": true}));
    }

    async fn exchange(&mut self, message: &Value) -> Value {
        let body = json!([message]).to_string();
        let head = format!(
            "POST /cometd HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.stream.write_all(format!("{head}{body}").as_bytes()).await.expect("a request");
        let mut response = Vec::new();
        loop {
            self.stream.read_buf(&mut response).await.expect("a response");
            let text = String::from_utf8_lossy(&response);
            // Replies are short and their arrays end the response.
            if let Some((_, body)) = text.split_once("\r\n\r\n")
                && let Ok(replies) = serde_json::from_str::<Value>(body)
            {
                return replies[0].clone();
            }
        }
    }
}
