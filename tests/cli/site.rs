//! A broker with its operators' listener, for commands that talk to it; and servers that follow a script.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::process::{Broker, Folder, Outcome};

/// A broker, and commands of the same user who find it and its keys by themselves.
pub(super) struct Site {
    pub(super) folder: Folder,
    pub(super) broker: Broker,
    pub(super) variables: [(&'static str, String); 3],
}

impl Site {
    pub(super) fn new(name: &str) -> Self {
        Self::with(name, &[])
    }

    pub(super) fn with(name: &str, flags: &[&str]) -> Self {
        let folder = Folder::new(name);
        let keys = folder.0.to_str().unwrap().to_owned();
        let key = ("XDG_RUNTIME_DIR", keys.as_str());
        let flags = [&["--admin", "127.0.0.1:0"], flags].concat();
        let (broker, banner) = Broker::start_with(&folder, &flags, &[key]);
        let address = |name: &str| {
            let line = banner.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        let (main, admin) = (address("bayeux "), address("admin "));
        let variables =
            [("XDG_RUNTIME_DIR", keys), ("BAYEUXD_URL", main), ("BAYEUXD_ADMIN_URL", admin)];
        Self { folder, broker, variables }
    }

    pub(super) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.folder.command(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.start(arguments).wait_with_output().unwrap())
    }

    pub(super) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        serde_json::from_str(&outcome.out).unwrap()
    }

    /// Starts a subscriber and waits until the broker knows of it; returns it with its sid.
    pub(super) fn subscriber(&self, arguments: &[&str]) -> (Child, String) {
        let child = self.start(&[&["sub"], arguments].concat());
        (child, std::iter::repeat_with(|| self.subscribed()).flatten().next().unwrap())
    }

    /// The sid of a session that has subscribed.
    pub(super) fn subscribed(&self) -> Option<String> {
        let listed = self.json(&["sessions", "--json", "--search", "bayeuxd"]);
        let items = listed.get("items")?.as_array()?;
        let item = items.iter().find(|item| item.get("subscriptions") != Some(&0.into()))?;
        Some(item.get("sid")?.as_str()?.to_owned())
    }

    /// The operators' listener, as host and port.
    pub(super) fn admin(&self) -> &str {
        self.variables[2].1.trim_start_matches("http://").trim_end_matches('/')
    }

    /// WebSocket connections that have ended, with 1000 and without a close frame, as soon as the broker
    /// has counted `total` of them.
    pub(super) fn closes(&self, total: u64) -> (u64, u64) {
        let count = || (self.close("1000"), self.close("1006"));
        for _ in 0..LOOKS_MAX {
            let (closed, lost) = count();
            if closed + lost >= total {
                break;
            }
            thread::sleep(LOOK);
        }
        count()
    }

    fn close(&self, code: &str) -> u64 {
        let host = self.admin();
        let mut socket = TcpStream::connect(host).unwrap();
        write!(socket, "GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut page = String::new();
        socket.read_to_string(&mut page).unwrap();
        let name = format!("bayeuxd_websocket_closes_total{{code=\"{code}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
    }
}

/// Gives one answer to each request, each over a connection of its own, and returns the requests. An
/// empty answer breaks off.
pub(super) fn scripted(answers: Vec<(String, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let serve = |(head, body): &(String, String)| {
            let mut stream = listener.accept().unwrap().0;
            let request = request(&mut stream);
            if !head.is_empty() {
                let length = body.len();
                write!(stream, "HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}")
                    .unwrap();
            }
            request
        };
        answers.iter().map(serve).collect()
    });
    (url, server)
}

/// Reads a request with its body.
fn request(stream: &mut TcpStream) -> String {
    let mut request = String::new();
    let mut stream = BufReader::new(stream);
    while !request.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut request).unwrap() > 0, "the request ends early");
    }
    let length = request.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    stream.take(length.parse().unwrap()).read_to_string(&mut request).unwrap();
    request
}

const LOOK: Duration = Duration::from_millis(20);
/// Twenty seconds.
const LOOKS_MAX: u32 = 1_000;
