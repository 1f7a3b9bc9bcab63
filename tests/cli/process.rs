//! A broker's process and the folder that it runs in.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

/// A folder of its own for each test, so that no bayeuxd.toml of somebody else is found.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn with(self, file: &str, text: &str) -> Self {
        fs::write(self.0.join(file), text).unwrap();
        self
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bayeuxd"));
        command.args(arguments).current_dir(&self.0).env_clear().stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }
}

#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Outcome {
    pub(super) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(super) fn assert_refused(&self, code: i32, err: &str) {
        assert_eq!((self.code, self.err.as_str()), (Some(code), err), "{self:?}");
    }
}

/// A broker that is ended with its test.
pub(super) struct Broker(Child);

impl Broker {
    /// Starts on free ports and returns with the banner.
    pub(super) fn start(folder: &Folder, arguments: &[&str]) -> (Self, String) {
        Self::start_with(folder, arguments, &[])
    }

    pub(super) fn start_with(
        folder: &Folder,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> (Self, String) {
        let mut all = vec!["--listen", "127.0.0.1:0"];
        if !arguments.contains(&"--admin") {
            all.extend(["--admin", ""]);
        }
        all.extend(arguments);
        let mut command = folder.command(&all);
        command.envs(variables.iter().copied());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut broker = Self(child);
        let mut banner = String::new();
        let mut out = BufReader::new(broker.0.stdout.as_mut().unwrap());
        while !banner.contains("\nnext: ") {
            assert!(out.read_line(&mut banner).unwrap() > 0, "the banner ends early: {banner}");
        }
        (broker, banner)
    }

    pub(super) fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// The log up to the first line that has `text` in it.
    pub(super) fn log_until(&mut self, text: &str) -> String {
        let mut log = String::new();
        let mut err = BufReader::new(self.0.stderr.as_mut().unwrap());
        while !log.contains(text) {
            assert!(err.read_line(&mut log).unwrap() > 0, "the log ends early: {log}");
        }
        log
    }

    pub(super) fn wait(mut self) -> Outcome {
        let (mut out, mut err) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        Outcome { code: self.0.wait().unwrap().code(), out, err }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
