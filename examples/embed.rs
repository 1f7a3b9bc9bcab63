//! A broker inside a Rust program: publish from code, observe a channel.
//!
//! Run it with `cargo run --example embed`. It starts on a free port, publishes a few messages, prints
//! what its own subscription receives, and stops.

use std::future::pending;

use bayeuxd::{
    Config, Server,
    config::{self, Admin},
};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config {
        server: config::Server { listen: vec!["127.0.0.1:0".parse()?], ..Default::default() },
        admin: Admin { listen: None },
        ..Config::default()
    };
    let server = Server::bind(config).await?;
    let [address] = server.addresses() else { return Err("one listener".into()) };
    show(&format!("listening on http://{address}/cometd"));

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

    drop(weather);
    drop(stop);
    let drained = running.await?;
    show(&format!("stopped after {} ms", drained.elapsed.as_millis()));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example talks to its terminal")]
fn show(line: &str) {
    println!("{line}");
}
