//! A floor in a process of its own, so that its CPU time can be told from the tool's.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{self, Command, Stdio},
};

use super::super::{error::BenchError, options::Mode};

/// A running floor; ends when dropped, and by itself after its lifetime if this process is killed.
#[derive(Debug)]
pub(in super::super) struct Child {
    process: process::Child,
    url: String,
}

impl Child {
    /// Starts this program again as the floor, on a free port.
    ///
    /// # Errors
    ///
    /// The program cannot be started, or does not tell its address.
    pub(in super::super) fn start(mode: Mode) -> Result<Self, BenchError> {
        let mut process = Command::new(env::current_exe()?)
            .args(["bench", "floor", "--listen", "127.0.0.1:0", "--mode", mode.name()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let url = line.trim_end().split(' ').next_back().unwrap_or_default().to_owned();
        let child = Self { process, url };
        if child.url.is_empty() {
            return Err(BenchError::Refused("the floor did not start".to_owned()));
        }
        Ok(child)
    }

    /// Where it listens.
    pub(in super::super) fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub(in super::super) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
