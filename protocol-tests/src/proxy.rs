//! A TCP proxy that misbehaves by plan.
//!
//! It stands between a client and the broker and knows of HTTP only what a plan asks for. Each new
//! connection takes the next queued [`Plan`], else the standing one; what is open can be frozen or
//! cut at any moment. Nothing is random unless the plan comes from [`Plan::random`], and then the
//! seed fixes it.
//! Source: reliability.md section 4.2.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::deadline::soon;

mod alter;
mod plan;
mod relay;

pub use plan::{Act, Alter, End, Plan, Stop, Way};

/// A running proxy; it ends, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What the accept loop and the test share.
#[derive(Debug)]
struct Shared {
    upstream: Mutex<SocketAddr>,
    plans: Mutex<Plans>,
    live: watch::Sender<Live>,
    counts: watch::Sender<Counts>,
}

#[derive(Debug, Default)]
struct Plans {
    standing: Plan,
    next: VecDeque<Plan>,
}

/// Orders to the connections that are open.
#[derive(Debug, Clone, Copy, Default)]
struct Live {
    frozen: bool,
    /// Grows with every cut; a connection obeys only cuts younger than itself.
    cuts: u64,
    how: Option<End>,
}

/// What one connection sees of the orders.
#[derive(Debug)]
struct Orders {
    /// `cuts` when it was accepted.
    born: u64,
    live: watch::Receiver<Live>,
}

/// Connections that came, and those still open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted since the start.
    pub accepted: usize,
    /// Open now.
    pub open: usize,
}

impl Proxy {
    /// Starts a proxy that relays faithfully until told otherwise.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream),
            plans: Mutex::default(),
            live: watch::Sender::default(),
            counts: watch::Sender::default(),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self { address, shared, accepting }
    }

    /// Sets the plan of all later connections for which none is queued.
    pub fn always(&self, plan: Plan) {
        self.shared.plans.lock().standing = plan;
    }

    /// Queues a plan for one later connection.
    pub fn next(&self, plan: Plan) {
        self.shared.plans.lock().next.push_back(plan);
    }

    /// Drops every plan: later connections are relayed faithfully.
    pub fn heal(&self) {
        *self.shared.plans.lock() = Plans::default();
    }

    /// Sends later connections elsewhere: the broker was restarted on another port.
    pub fn redirect(&self, upstream: SocketAddr) {
        *self.shared.upstream.lock() = upstream;
    }

    /// Stops all bytes of all connections, in both directions, until [`Proxy::thaw`]. The peers
    /// notice nothing but silence.
    pub fn freeze(&self) {
        self.shared.live.send_modify(|live| live.frozen = true);
    }

    /// Lets the bytes flow again.
    pub fn thaw(&self) {
        self.shared.live.send_modify(|live| live.frozen = false);
    }

    /// Ends every open connection.
    pub fn cut(&self, how: End) {
        self.shared.live.send_modify(|live| {
            live.cuts += 1;
            live.how = Some(how);
        });
    }

    /// Connections so far.
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Waits until the counts satisfy `condition`.
    ///
    /// # Panics
    /// If they do not in time.
    pub async fn until(&self, what: &str, condition: impl FnMut(&Counts) -> bool) {
        let mut counts = self.shared.counts.subscribe();
        let _ = soon(what, counts.wait_for(condition)).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut(End::Reset);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let plan = {
            let mut plans = shared.plans.lock();
            plans.next.pop_front().unwrap_or_else(|| plans.standing.clone())
        };
        let live = shared.live.subscribe();
        let born = live.borrow().cuts;
        let upstream = *shared.upstream.lock();
        shared.counts.send_modify(|counts| {
            counts.accepted += 1;
            counts.open += 1;
        });
        let shared = shared.clone();
        tokio::spawn(async move {
            serve(client, upstream, plan, Orders { born, live }).await;
            shared.counts.send_modify(|counts| counts.open -= 1);
        });
    }
}

async fn serve(client: TcpStream, upstream: SocketAddr, plan: Plan, orders: Orders) {
    if let Act::Answer(bytes) = &plan.act {
        relay::answer(client, bytes).await;
        return;
    }
    // A broker that is down looks to the client as a proxy's dead upstream does: a closed socket.
    if let Ok(upstream) = TcpStream::connect(upstream).await {
        relay::run(client, upstream, plan, orders).await;
    }
}

#[cfg(test)]
mod tests;
