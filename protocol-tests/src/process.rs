//! The real program as a child, for what only a process shows: memory, descriptors, signals, the
//! exit code, a panic on stderr.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::{http, metrics::Scrape};

/// A running bayeuxd; killed when dropped.
#[derive(Debug)]
pub struct Process {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where operators ask for health.
    pub admin: SocketAddr,
    child: Child,
    stderr: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it on free loopback ports with further settings, each `KEY=VALUE`.
    pub fn start(settings: &[&str]) -> Self {
        Self::launch(Command::new(program()), None, settings)
    }

    /// Starts it with a configuration file; further settings win over it.
    pub fn reading(file: &Path, settings: &[&str]) -> Self {
        Self::launch(Command::new(program()), Some(file), settings)
    }

    /// Starts it with a hard limit on its descriptors.
    pub fn with_descriptors(count: usize, settings: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {count} && exec \"$0\" \"$@\"")).arg(program());
        Self::launch(shell, None, settings)
    }

    fn launch(mut command: Command, file: Option<&Path>, settings: &[&str]) -> Self {
        let addresses = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        // Settings that come later win.
        command.arg("serve").args(addresses).args(["--set", "log.format=json"]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        if let Some(file) = file {
            command.arg("--config").arg(file);
        }
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("start bayeuxd");
        let mut errors = BufReader::new(child.stderr.take().expect("a piped stderr"));
        let stderr = Arc::new(Mutex::new(String::new()));
        let log = Arc::clone(&stderr);
        thread::spawn(move || {
            let mut line = String::new();
            while matches!(errors.read_line(&mut line), Ok(1..)) {
                log.lock().push_str(&line);
                line.clear();
            }
        });
        let mut lines = BufReader::new(child.stdout.take().expect("a piped stdout"));
        let mut banner = |word: &str| {
            let mut line = String::new();
            while !line.starts_with(word) {
                line.clear();
                let count = lines.read_line(&mut line).expect("read stdout");
                assert!(count > 0, "bayeuxd did not start: {}", stderr.lock());
            }
            let address = line.split_ascii_whitespace().nth(1).expect("an address");
            address.trim_start_matches("http://").parse().expect("an address")
        };
        let (address, admin) = (banner("bayeux "), banner("admin "));
        // What it says later must find a reader.
        thread::spawn(move || lines.read_to_string(&mut String::new()));
        Self { address, admin, child, stderr }
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> usize {
        self.status("VmRSS:") << 10
    }

    /// The most it has been since the start or the last [`Process::forget_peak`], in bytes.
    pub fn peak(&self) -> usize {
        self.status("VmHWM:") << 10
    }

    /// Starts the measurement of [`Process::peak`] anew.
    pub fn forget_peak(&self) {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(path, "5").expect("reset the peak");
    }

    fn status(&self, line: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("bayeuxd is running");
        let value = status.lines().find_map(|known| known.strip_prefix(line));
        let value = value.and_then(|text| text.split_ascii_whitespace().next()?.parse().ok());
        value.unwrap_or_else(|| panic!("no {line} in {status}"))
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(path).expect("bayeuxd is running").count()
    }

    /// Processor time used so far, in all its threads.
    pub fn cpu(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(path).expect("bayeuxd is running");
        // The name before the last parenthesis may hold anything; user and system time are the
        // 12th and 13th field after it, in ticks of 10 ms.
        let fields = stat.rsplit_once(')').expect("a name").1;
        let ticks = fields.split_ascii_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|text| text.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Sends a signal by its name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").arg("-c").arg(kill).status().expect("run a shell");
        assert!(status.success(), "bayeuxd takes signals");
    }

    /// Its page of metrics.
    pub async fn scrape(&self) -> Scrape {
        let response = http::request(self.admin, &http::Request::get("/metrics")).await;
        Scrape::read(response.text())
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.stderr.lock().clone()
    }

    /// Asserts that it runs and that nothing in it has panicked.
    pub fn assert_well(&mut self) {
        let log = self.log();
        let ended = self.child.try_wait().expect("wait for a child");
        assert!(ended.is_none() && !log.contains("panicked"), "{ended:?}: {log}");
    }

    /// Waits for it to end by itself.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "still running after {limit:?}: {}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// The program of this build. It is brought up to date once, since cargo builds the program of
/// another package only when all packages are tested.
pub fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            let test = std::env::current_exe().expect("a running test has a path");
            let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/test");
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--quiet", "--package", "bayeuxd", "--bin", "bayeuxd"]);
            cargo.args(["--features", "otel"]);
            // What cargo says to this test would make it build packages anew that look at it.
            for (name, _) in std::env::vars_os() {
                let text = name.to_string_lossy();
                if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                    cargo.env_remove(name);
                }
            }
            if folder.file_name().is_some_and(|name| name == "release") {
                cargo.arg("--release");
            }
            let status = cargo.status().expect("run cargo");
            assert!(status.success(), "bayeuxd has to build");
            folder.join("bayeuxd")
        })
        .clone()
}
