//! The command line: arguments, sub-commands, exit codes.
//!
//! Standard output is for people (banner, the line about the drain, what a command was asked for),
//! standard error for mistakes and the log.
//! Source: operations.md 3; docs/command-line.md for users.

use std::{
    fmt::{self, Display},
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

mod banner;
mod bench;
mod channel;
mod check;
mod dial;
mod doctor;
mod health;
mod key;
mod load;
mod local_keys;
mod operate;
mod publish;
mod reload;
mod remote;
mod serve;
mod signals;
mod socket;
mod span;
mod subscribe;
mod supervisor;
mod table;
mod tail;

/// A stand-alone Bayeux (CometD) publish/subscribe broker.
///
/// Without a sub-command it serves: no configuration is needed, and only this machine can connect.
#[derive(Debug, Parser)]
#[command(name = "bayeuxd", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    serve: serve::Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve Bayeux clients (the default).
    Serve(serve::Options),
    /// Check or create the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Measure a Bayeux server, this one or another.
    #[command(subcommand)]
    Bench(crate::bench::Command),
    /// Make API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Publish a message, and say how many sessions it reached.
    Pub(publish::Options),
    /// Subscribe to channels and print what is published.
    Sub(subscribe::Options),
    /// Show who connects, subscribes and leaves, as it happens.
    Tail(tail::Options),
    /// Show what one session did lately and does now.
    Trace(tail::Trace),
    /// List sessions.
    Sessions(operate::Sessions),
    /// Show one session.
    Session(operate::Session),
    /// End a session.
    Kick(operate::Kick),
    /// List channels.
    Channels(operate::Channels),
    /// Show one channel.
    Channel(operate::Channel),
    /// Begin the graceful stop of a broker, as SIGTERM does.
    Drain(operate::Common),
    /// Have a broker read its configuration again, as SIGHUP does.
    Reload(operate::Common),
    /// Say whether a broker is ready: a check for containers, which need no shell for it.
    Health(health::Options),
    /// Examine the way to a Bayeux server, through its proxies, and say what to change.
    Doctor(doctor::Options),
    /// Print the completions of a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the version.
    Version {
        /// As a JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Report mistakes, or the values that differ from the defaults.
    Check(check::Options),
    /// Print a bayeuxd.toml that names every key with its meaning and default.
    Init,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Print a new secret and the lines that put it into the configuration.
    Gen(key::Options),
}

/// Why a command did not do what it was asked for; the variants are the exit codes.
#[derive(Debug)]
enum Failure {
    /// 1: address in use, refused message, and the like.
    Failed(String),
    /// 2: arguments that do not fit together.
    Usage(String),
    /// 3: the configuration, a line per mistake.
    Configuration(Vec<String>),
    /// 4: no server where one should be.
    Unreachable(String),
    /// 5: a server that wants another key.
    Denied(String),
    /// 6: a drain that was cut short. A code of its own, so that a service manager which restarts after
    /// failures can tell the end that an operator asked for (deploy/systemd/bayeuxd.service).
    CutShort(String),
}

impl Failure {
    /// The same with more to its text.
    fn with(self, more: &str) -> Self {
        let add = |line: String| format!("{line}; {more}");
        match self {
            Self::Failed(line) => Self::Failed(add(line)),
            Self::Usage(line) => Self::Usage(add(line)),
            Self::Configuration(mut lines) => {
                lines.push(more.to_owned());
                Self::Configuration(lines)
            }
            Self::Unreachable(line) => Self::Unreachable(add(line)),
            Self::Denied(line) => Self::Denied(add(line)),
            Self::CutShort(line) => Self::CutShort(add(line)),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(line)
            | Self::Usage(line)
            | Self::Unreachable(line)
            | Self::Denied(line)
            | Self::CutShort(line) => formatter.write_str(line),
            Self::Configuration(lines) => formatter.write_str(&lines.join("; ")),
        }
    }
}

/// Runs the command that the arguments ask for.
///
/// Exit codes: 0 success, 1 failure, 2 usage, 3 configuration, 4 server unreachable, 5 denied,
/// 6 drain cut short.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    // The soft limit that shells give, often 1024, is for programs that use select(2). A system that
    // refuses leaves things as they are, and `config check` then shows the smaller number.
    let _: Result<u64, _> = rlimit::increase_nofile_limit(u64::MAX);
    let result = match arguments.command {
        None => serve::run(&arguments.serve),
        Some(Command::Serve(options)) => serve::run(&options),
        Some(Command::Config(ConfigCommand::Check(options))) => check::run(&options),
        Some(Command::Config(ConfigCommand::Init)) => {
            print(bayeuxd::config::example_file());
            Ok(())
        }
        Some(Command::Bench(command)) => bench::run(command),
        Some(Command::Key(KeyCommand::Gen(options))) => key::generate(&options),
        Some(Command::Pub(options)) => publish::run(&options),
        Some(Command::Sub(options)) => subscribe::run(&options),
        Some(Command::Tail(options)) => tail::tail(&options),
        Some(Command::Trace(options)) => tail::trace(&options),
        Some(Command::Sessions(options)) => operate::sessions(&options),
        Some(Command::Session(options)) => operate::session(&options),
        Some(Command::Kick(options)) => operate::kick(&options),
        Some(Command::Channels(options)) => operate::channels(&options),
        Some(Command::Channel(options)) => operate::channel(&options),
        Some(Command::Drain(options)) => operate::drain(&options),
        Some(Command::Reload(options)) => operate::reload(&options),
        Some(Command::Health(options)) => health::run(&options),
        Some(Command::Doctor(options)) => doctor::run(&options),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "bayeuxd", &mut script);
            print(String::from_utf8_lossy(&script));
            Ok(())
        }
        Some(Command::Version { json }) => {
            print(version(json));
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Failed(line) => {
            complain(line);
            ExitCode::from(1)
        }
        Failure::Usage(line) => {
            complain(line);
            ExitCode::from(2)
        }
        Failure::Configuration(lines) => {
            lines.iter().for_each(complain);
            ExitCode::from(3)
        }
        Failure::Unreachable(line) => {
            complain(line);
            ExitCode::from(4)
        }
        Failure::Denied(line) => {
            complain(line);
            ExitCode::from(5)
        }
        Failure::CutShort(line) => {
            complain(line);
            ExitCode::from(6)
        }
    }
}

fn version(json: bool) -> String {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        format!("{{\"name\":\"bayeuxd\",\"version\":\"{version}\",\"bayeux\":\"1.0\"}}\n")
    } else {
        format!("bayeuxd {version}\n")
    }
}

/// Writes to standard output. Whoever closed it does not want to read it: no error.
fn print(text: impl Display) {
    let _ = try_print(text);
}

/// Writes to standard output; `false`: nobody reads it any more.
#[must_use]
fn try_print(text: impl Display) -> bool {
    let mut out = io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// Writes a line about a mistake to standard error.
fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "bayeuxd: {line}");
}
