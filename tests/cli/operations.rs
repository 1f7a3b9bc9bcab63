//! Walks through docs/operations.md: runs its commands as they stand and compares what it prints.
//!
//! `bayeuxd`, `bayeuxd tail` and `bayeuxd sub` run on beside the others, as in terminals of their own. Each
//! line of a `text` block has to come, in this order, in one of the terminals; `…` stands for anything.
//! Needs bash and curl.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::process::Folder;

/// What runs, and what it has printed.
struct Terminal {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    /// Lines before this one were compared.
    read: usize,
}

impl Terminal {
    fn new(mut child: Child) -> Self {
        let lines = Arc::default();
        collect(child.stdout.take().unwrap(), &lines);
        Self { child, lines, read: 0 }
    }

    /// Whether a line matches; what comes next has to come behind it.
    fn shows(&mut self, pattern: &str) -> bool {
        let lines = self.lines.lock();
        let found = lines.iter().skip(self.read).position(|line| matches(pattern, line));
        self.read += found.map_or(0, |index| index + 1);
        found.is_some()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Most have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(out: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            lines.lock().push(line);
        }
    });
}

/// Whether a line has the pieces between the `…` of a pattern in their order, and nothing else.
fn matches(pattern: &str, line: &str) -> bool {
    let mut pieces = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The blocks of a document: their language and lines.
fn blocks(document: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks = Vec::new();
    let mut inside = None;
    for line in document.lines() {
        match (line.strip_prefix("```"), &mut inside) {
            (Some(language), None) => inside = Some((language, Vec::new())),
            (Some(_), Some(_)) => blocks.extend(inside.take()),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    blocks
}

/// Those who walk: where they are, and where the broker is.
struct Walk {
    folder: Folder,
    terminals: Vec<Terminal>,
    main: String,
    admin: String,
}

impl Walk {
    fn start(&self, line: &str) -> Child {
        let line = self.real(line);
        let program = Path::new(env!("CARGO_BIN_EXE_bayeuxd")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut shell = Command::new("bash");
        shell.args(["-c", &line]).current_dir(&self.folder.0).env_clear();
        shell.env("PATH", format!("{}:{path}", program.display()));
        shell.env("XDG_RUNTIME_DIR", &self.folder.0).env("HOME", &self.folder.0);
        shell.env("BAYEUXD_SERVER__LISTEN", "127.0.0.1:0");
        shell.env("BAYEUXD_ADMIN__LISTEN", "127.0.0.1:0");
        if !self.main.is_empty() {
            shell.env("BAYEUXD_URL", format!("http://{}", self.main));
            shell.env("BAYEUXD_ADMIN_URL", format!("http://{}", self.admin));
        }
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell.spawn().unwrap()
    }

    /// A line of the document with the addresses that the broker has here.
    fn real(&self, line: &str) -> String {
        if self.main.is_empty() {
            // Of the first block; the ports are free ones.
            return line.replace(":8080", ":…").replace(":8081", ":…");
        }
        line.replace("127.0.0.1:8080", &self.main).replace("127.0.0.1:8081", &self.admin)
    }

    fn run(&mut self, line: &str) {
        let child = self.start(line);
        let stays = matches!(line, "bayeuxd" | "bayeuxd tail") || line.starts_with("bayeuxd sub ");
        let mut terminal = Terminal::new(child);
        if !stays {
            let status = terminal.child.wait().unwrap();
            let mut err = String::new();
            terminal.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
            assert!(status.success(), "{line}: {status} {err}");
        }
        self.terminals.push(terminal);
        if line == "bayeuxd tail" {
            // Whether the feed has begun, nobody says but the feed.
            while self.terminals.iter().all(|terminal| {
                terminal.lines.lock().iter().all(|line| !line.contains(" handshake "))
            }) {
                self.start("bayeuxd sub /x --count 0").wait_with_output().unwrap();
            }
        }
    }

    fn expect(&mut self, pattern: &str) {
        let pattern = self.real(pattern);
        let comes = (0..LOOKS_MAX).any(|_| {
            // The last terminal is the one that somebody looks at.
            let shown = self.terminals.iter_mut().rev().any(|terminal| terminal.shows(&pattern));
            if !shown {
                thread::sleep(LOOK);
            }
            shown
        });
        let shown: Vec<Vec<String>> =
            self.terminals.iter().map(|terminal| terminal.lines.lock().clone()).collect();
        assert!(comes, "{pattern:?} does not come: {shown:#?}");
    }

    /// The address in a line of the broker.
    fn address(&self, name: &str) -> String {
        let lines = self.terminals.first().unwrap().lines.lock();
        let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
        line.split("http://").nth(1).unwrap().split([' ', '/']).next().unwrap().to_owned()
    }
}

#[test]
fn the_first_ten_minutes_of_an_operator_go_as_documented() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let document = fs::read_to_string(document).unwrap();
    let folder = Folder::new("operations");
    let mut walk =
        Walk { folder, terminals: Vec::new(), main: String::new(), admin: String::new() };
    for (language, lines) in blocks(&document) {
        match language {
            "sh" => lines.iter().for_each(|line| walk.run(line)),
            "text" => lines.iter().for_each(|line| walk.expect(line)),
            other => panic!("a block of docs/operations.md that nobody runs: {other:?}"),
        }
        if walk.main.is_empty() && language == "text" {
            (walk.main, walk.admin) = (walk.address("bayeux "), walk.address("admin "));
        }
    }
    let mut broker = walk.terminals.remove(0);
    assert_eq!(broker.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_pattern_is_compared_as_a_whole() {
    assert!(matches("a … c", "a b c") && matches("…b…", "abc") && matches("a", "a"));
    assert!(!matches("a … c", "a b c d") && !matches("a", "ab") && !matches("a…b…c", "a c b"));
}

const LOOK: Duration = Duration::from_millis(20);
/// Twenty seconds.
const LOOKS_MAX: u32 = 1_000;
