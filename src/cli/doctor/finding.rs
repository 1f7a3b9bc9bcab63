//! What a check has found, for people and for scripts.

use serde::Serialize;

use super::fix::{Fix, Software};
use crate::cli::remote::{clean, colour};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Pass,
    /// Works, and somebody should look.
    Warn,
    /// Something has to be changed.
    Fail,
    /// Was not checked, and why.
    Skip,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) status: Status,
    /// What was seen.
    pub(super) text: String,
    /// What to change, one line for each place where it may be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fix: Vec<String>,
}

impl Finding {
    pub(super) fn pass(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, status: Status::Pass, text: text.into(), fix: Vec::new() }
    }

    pub(super) fn skip(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, status: Status::Skip, text: text.into(), fix: Vec::new() }
    }

    pub(super) fn warn(
        check: &'static str,
        text: impl Into<String>,
        fix: &Fix,
        software: Software,
    ) -> Self {
        Self { check, status: Status::Warn, text: text.into(), fix: fix.lines(software) }
    }

    pub(super) fn fail(
        check: &'static str,
        text: impl Into<String>,
        fix: &Fix,
        software: Software,
    ) -> Self {
        Self { check, status: Status::Fail, text: text.into(), fix: fix.lines(software) }
    }

    /// With this to do before all else.
    pub(super) fn first(mut self, line: String) -> Self {
        self.fix.insert(0, line);
        self
    }

    /// The lines for people.
    pub(super) fn show(&self) -> String {
        let Self { check, status, text, fix } = self;
        let (word, paint) = match status {
            Status::Pass => ("PASS", "32"),
            Status::Warn => ("WARN", "33"),
            Status::Fail => ("FAIL", "31"),
            Status::Skip => ("SKIP", "2"),
        };
        let word =
            if colour() { format!("\u{1b}[{paint}m{word}\u{1b}[0m") } else { word.to_owned() };
        let mut lines = format!("{word}  {check:<10} {}\n", clean(text));
        for line in fix {
            lines += &format!("      {line}\n");
        }
        lines
    }
}
