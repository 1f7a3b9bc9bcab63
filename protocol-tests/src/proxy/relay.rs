//! One connection through the proxy.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    time::sleep,
};

use super::{End, Live, Orders, Plan, Way, alter::Filter};

/// How much is read at once; small, so that delays and rates are fine-grained.
const CHUNK_BYTES: usize = 4096;

/// Answers the first request by itself and closes.
pub(super) async fn answer(mut client: TcpStream, bytes: &[u8]) {
    let mut request = [0; CHUNK_BYTES];
    let _ = client.read(&mut request).await;
    let _ = client.write_all(bytes).await;
    close(&mut client).await;
}

/// Relays until one side is done, the plan ends the connection, or a cut arrives.
pub(super) async fn run(
    mut client: TcpStream,
    mut upstream: TcpStream,
    plan: Plan,
    Orders { born, mut live }: Orders,
) {
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let end = {
        let (from_client, to_client) = client.split();
        let (from_broker, to_broker) = upstream.split();
        let up = Pump {
            way: plan.to_broker,
            filter: Filter::to_broker(&plan.act),
            live: live.clone(),
            passed: 0,
        };
        let down = Pump {
            way: plan.to_client,
            filter: Filter::to_client(&plan.act),
            live: live.clone(),
            passed: 0,
        };
        tokio::select! {
            both = async { tokio::try_join!(up.run(from_client, to_broker), down.run(from_broker, to_client)) } => {
                both.err()
            }
            cut = live.wait_for(|live| live.cuts > born) => {
                cut.ok().and_then(|live| live.how)
            }
        }
    };
    if end == Some(End::Reset) {
        let _ = (client.set_zero_linger(), upstream.set_zero_linger());
    } else {
        tokio::join!(close(&mut client), close(&mut upstream));
    }
}

/// One direction of a connection.
struct Pump {
    way: Way,
    filter: Filter,
    live: watch::Receiver<Live>,
    passed: u64,
}

impl Pump {
    /// Runs to the end of the stream (`Ok`, and the end is passed on) or to the planned end.
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), End> {
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            if self.is_spent() {
                self.end(&mut from).await?;
            }
            let count = match from.read(&mut chunk).await {
                Ok(0) => {
                    let _ = to.shutdown().await;
                    return Ok(());
                }
                Ok(count) => count,
                Err(_) => return Err(End::Reset),
            };
            let filtered = self.filter.feed(&chunk[..count]);
            self.pass(&filtered.bytes, &mut to).await?;
            if let Some(end) = filtered.end {
                return Err(end);
            }
        }
    }

    /// Passes bytes on, late, slowly, or only up to the planned end.
    async fn pass(&mut self, bytes: &[u8], to: &mut WriteHalf<'_>) -> Result<(), End> {
        let room = self.way.stop.map_or(u64::MAX, |stop| stop.after_bytes - self.passed);
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        if bytes.is_empty() {
            return Ok(());
        }
        sleep(self.way.delay).await;
        if let Some(rate) = self.way.bytes_per_second {
            sleep(Duration::from_secs_f64(bytes.len() as f64 / f64::from(rate))).await;
        }
        let _ = self.live.wait_for(|live| !live.frozen).await;
        to.write_all(bytes).await.map_err(|_| End::Reset)?;
        self.passed += bytes.len() as u64;
        Ok(())
    }

    fn is_spent(&self) -> bool {
        self.way.stop.is_some_and(|stop| self.passed >= stop.after_bytes)
    }

    /// The planned end. Returns only for a swallowed stream that has ended by itself.
    async fn end(&mut self, from: &mut ReadHalf<'_>) -> Result<(), End> {
        match self.way.stop.map(|stop| stop.how) {
            Some(End::Stall) => std::future::pending().await,
            Some(End::Swallow) => {
                let mut chunk = [0; CHUNK_BYTES];
                while matches!(from.read(&mut chunk).await, Ok(1..)) {}
                Ok(())
            }
            Some(end) => Err(end),
            None => Ok(()),
        }
    }
}

/// Closes with FIN: unread bytes would turn it into a reset, so they are read first, for as long
/// as the peer needs to close in turn.
async fn close(socket: &mut TcpStream) {
    let _ = socket.shutdown().await;
    let drain = async {
        let mut chunk = [0; CHUNK_BYTES];
        while matches!(socket.read(&mut chunk).await, Ok(1..)) {}
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), drain).await;
}
