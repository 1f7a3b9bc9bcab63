//! nginx, HAProxy and Apache between clients and the broker, with the settings of docs/proxies.md.
//!
//! `proxies/start` writes the configuration and becomes the proxy, an ordinary child without rights
//! or system service. It keeps to a folder of its own, which goes when the proxy goes.

use std::{
    fmt, fs,
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::deadline::PATIENCE;

/// Which proxy, with which file of `examples/proxies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// nginx.conf: everything works.
    Nginx,
    /// nginx-plain.conf: HTTP/1.0 to the broker, no WebSocket.
    NginxPlain,
    /// haproxy.cfg.
    HaProxy,
    /// apache.conf.
    Apache,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nginx, Self::NginxPlain, Self::HaProxy, Self::Apache];

    /// Those whose settings pass WebSockets on, and keep connections to the broker.
    pub const FULL: [Self; 3] = [Self::Nginx, Self::HaProxy, Self::Apache];
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Nginx => "nginx",
            Self::NginxPlain => "nginx-plain",
            Self::HaProxy => "haproxy",
            Self::Apache => "apache",
        })
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct ReverseProxy {
    /// Where clients connect.
    pub address: SocketAddr,
    child: Child,
    folder: PathBuf,
}

impl ReverseProxy {
    /// Starts a proxy before `upstream`.
    pub async fn start(kind: Kind, upstream: SocketAddr) -> Self {
        Self::launch(&kind.to_string(), upstream, None, &[]).await
    }

    /// Starts nginx with settings of its own: the text of a site, with LISTEN and UPSTREAM in place of
    /// addresses and FOLDER in place of the folder in which `files` are.
    pub async fn nginx(site: &str, files: &[(&str, &str)], upstream: SocketAddr) -> Self {
        Self::launch("nginx-site", upstream, None, &[&[("site.in", site)], files].concat()).await
    }

    /// Starts a proxy that gives up on a response after a silence of `seconds`.
    pub async fn impatient(kind: Kind, upstream: SocketAddr, seconds: u8) -> Self {
        Self::launch(&kind.to_string(), upstream, Some(seconds), &[]).await
    }

    async fn launch(
        kind: &str,
        upstream: SocketAddr,
        seconds: Option<u8>,
        files: &[(&str, &str)],
    ) -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            let number = free_port();
            let folder = std::env::temp_dir().join(format!("bayeuxd-{kind}-{number}"));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).expect("create a folder for a proxy");
            for (name, text) in files {
                fs::write(folder.join(name), text).expect("write a file for a proxy");
            }
            let mut command =
                Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("proxies/start"));
            command.arg(kind).arg(&folder);
            command.arg(number.to_string()).arg(upstream.port().to_string());
            command.args(seconds.map(|seconds| format!("{seconds}s")));
            let output = fs::File::create(folder.join("output")).expect("create a log");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).process_group(0);
            let child = command.spawn();
            let address = SocketAddr::from(([127, 0, 0, 1], number));
            let mut proxy = Self { address, child: child.expect("run proxies/start"), folder };
            if proxy.answers().await {
                return proxy;
            }
            said = proxy.written();
        }
        panic!("{kind} does not start; run protocol-tests/run proxies, which fetches it.\n{said}");
    }

    /// Waits until it accepts connections; false if it has ended instead.
    async fn answers(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().expect("wait for a child").is_some() {
                return false;
            }
            if TcpStream::connect(self.address).await.is_ok() {
                return true;
            }
            sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// Signals the proxy, or with the sign `-` its whole process group.
    fn signal(&self, name: &str, sign: &str) {
        let kill = format!("kill -s {name} -- {sign}{}", self.child.id());
        let _ = Command::new("sh").arg("-c").arg(kill).stderr(Stdio::null()).status();
    }

    /// All that it has written: its logs, and its configuration.
    pub fn written(&self) -> String {
        let files = fs::read_dir(&self.folder).expect("the folder of a proxy");
        let texts = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
        texts.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for ReverseProxy {
    fn drop(&mut self) {
        // Apache would wait 10 s for workers that still have a client, so it gets only a moment to end
        // in order. Then all of its processes go: killed alone, it would leave its workers behind.
        self.signal("TERM", "");
        for _ in 0..GRACE_MS / 10 {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.signal("KILL", "-");
        let _ = (self.child.wait(), fs::remove_dir_all(&self.folder));
    }
}

/// A port that nobody listens on, below those that the system gives to connections. None of these
/// proxies tells which port it was given for 0.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 100) as u16 * 100;
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Another process may take a port first.
const TRIES: usize = 5;

/// How long a proxy may take to end in order.
const GRACE_MS: u64 = 300;
