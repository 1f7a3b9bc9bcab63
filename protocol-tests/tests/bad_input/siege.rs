//! What holds during every attack.

use std::{net::SocketAddr, time::Duration};

use protocol_tests::{canary::Canary, deadline::within, process::Process};
use tokio::time::{Instant, sleep};

/// Connections that a test may still have open at its end.
const OWN: usize = 6;

/// The program under attack, and the clients that must not notice.
pub(crate) struct Siege {
    pub(crate) process: Process,
    canary: Canary,
    memory: usize,
    descriptors: usize,
    start: Instant,
}

impl Siege {
    /// Starts the program with `settings`, each `KEY=VALUE`, and the clients.
    pub(crate) async fn begin(settings: &[&str]) -> Self {
        let process = Process::start(settings);
        let canary = Canary::start(process.address).await;
        // Their first messages: what every broker needs is no growth.
        sleep(Duration::from_millis(200)).await;
        process.forget_peak();
        let (memory, descriptors) = (process.memory(), process.descriptors());
        Self { process, canary, memory, descriptors, start: Instant::now() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// Bytes of memory that the attack has cost at its height so far.
    pub(crate) fn growth(&self) -> usize {
        self.process.peak().saturating_sub(self.memory)
    }

    /// Ends the attack named `row`, which may have cost `growth_max` MiB of memory for a while.
    pub(crate) async fn end(mut self, row: &str, growth_max: usize) {
        let attack = self.start.elapsed();
        within(Duration::from_secs(10), "return of the descriptors", async {
            while self.process.descriptors() > self.descriptors + OWN {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let growth = self.growth();
        let felt = self.canary.finish().await;
        println!(
            "{row}: {attack:.1?}, memory {} + {:.1} MiB at most, p99 {:.1?}, worst {:.1?}",
            self.memory >> 20,
            growth as f64 / f64::from(1 << 20),
            felt.p99,
            felt.worst,
        );
        assert!(growth <= growth_max << 20, "{row}: {} MiB of growth", growth >> 20);
        self.process.assert_well();
    }
}

/// The clients do notice a broker that stands still.
#[tokio::test]
#[should_panic(expected = "worst")]
async fn a_stall_is_noticed() {
    let siege = Siege::begin(&[]).await;
    siege.process.signal("STOP");
    sleep(Duration::from_secs(3)).await;
    siege.process.signal("CONT");
    siege.canary.finish().await;
}
