//! A broker inside a Rust program: publish from code, observe a channel, answer clients.
//!
//! Run it with `cargo run --example embed`. It starts on a free port, publishes a few messages, prints
//! what its own subscription receives, lets a client call a service, and stops.

use std::{collections::HashMap, future::pending, io, net::SocketAddr};

use bayeuxd::{
    Config, Server,
    config::{self, Admin, Socket, Transports},
    server::{ServiceError, ServiceOptions},
};
use serde_json::value::{RawValue, to_raw_value};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::oneshot,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config {
        server: config::Server { listen: vec!["127.0.0.1:0".parse()?], ..Default::default() },
        admin: Admin { listen: None, ..Admin::default() },
        transports: Transports {
            socket: Socket { listen: Some("127.0.0.1:0".parse()?) },
            ..Default::default()
        },
        ..Config::default()
    };
    let server = Server::bind(config).await?;
    let [address] = server.addresses() else { return Err("one listener".into()) };
    show(&format!("listening on http://{address}/cometd"));

    let socket = server.socket_address().ok_or("a raw listener")?;

    // The handle works from any task, as long as the server runs.
    let handle = server.handle();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(
        async {
            // An error means that the sender is gone, which is a reason to stop as well.
            let _ = stopped.await;
        },
        pending(),
    ));

    let mut weather = handle.subscribe("/weather/**")?;
    for (city, degrees) in [("oslo", -3), ("delft", 9), ("rome", 17)] {
        let data = RawValue::from_string(format!(r#"{{"degrees":{degrees}}}"#))?;
        handle.publish(&format!("/weather/{city}"), &data).await?;
    }
    for _ in 0..3 {
        let message = weather.next().await.ok_or("the subscription has ended")?;
        show(&format!("{} {}", message.channel(), String::from_utf8_lossy(message.json())));
    }

    // What clients send to /service/forecast/CITY is answered here, and to nobody else.
    let degrees = HashMap::from([("oslo", -5), ("delft", 8)]);
    handle.serve("/service/forecast/*", ServiceOptions::default(), move |call| {
        let city = call.channel().as_str().rsplit('/').next().unwrap_or_default();
        let answer = match degrees.get(city) {
            Some(degrees) => Ok(to_raw_value(degrees).ok()),
            None => Err(ServiceError::new("NoSuchCity", format!("no forecast for {city}"))),
        };
        async { answer }
    })?;
    for city in ["oslo", "atlantis"] {
        show(&remote_call(socket, &format!("/service/forecast/{city}")).await?);
    }

    drop(weather);
    drop(stop);
    let drained = running.await?;
    show(&format!("stopped after {} ms", drained.elapsed.as_millis()));
    Ok(())
}

/// A client of a few lines that calls a service over raw TCP, a JSON text a line. A page writes
/// `cometd.remoteCall("forecast/oslo", {}, reply => …)`.
async fn remote_call(address: SocketAddr, channel: &str) -> io::Result<String> {
    let (reader, mut writer) = TcpStream::connect(address).await?.into_split();
    let mut lines = BufReader::new(reader).lines();
    let handshake = r#"{"channel":"/meta/handshake","supportedConnectionTypes":["socket"]}"#;
    writer.write_all(format!("{handshake}\n").as_bytes()).await?;
    let reply = lines.next_line().await?.unwrap_or_default();
    let session = reply.split("\"clientId\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let session = session.unwrap_or_default();
    let call = format!(r#"{{"channel":"{channel}","id":"2","data":{{}},"clientId":"{session}"}}"#);
    writer.write_all(format!("{call}\n").as_bytes()).await?;
    // The broker says that it has the message, and the service says something: whichever comes first.
    while let Some(line) = lines.next_line().await? {
        if line.contains("\"data\":") {
            return Ok(line);
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

#[expect(clippy::print_stdout, reason = "an example talks to its terminal")]
fn show(line: &str) {
    println!("{line}");
}
