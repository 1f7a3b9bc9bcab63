//! The command line: arguments, sub-commands, exit codes.
//!
//! Standard output is for people (banner, the line about the drain, what a command was asked for),
//! standard error for mistakes and the log.
//! Source: docs/operations.md, section on the command line.

use std::{
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

mod banner;
mod bench;
mod check;
mod key;
mod load;
mod local_keys;
mod reload;
mod serve;
mod signals;
mod supervisor;

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
    /// 1: address in use, drain timed out, and the like.
    Failed(String),
    /// 2: arguments that do not fit together.
    Usage(String),
    /// 3: the configuration, a line per mistake.
    Configuration(Vec<String>),
    /// 4: no server where one should be.
    Unreachable(String),
}

/// Runs the command that the arguments ask for.
///
/// Exit codes: 0 success, 1 failure, 2 usage, 3 configuration, 4 server unreachable.
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
    let mut out = io::stdout().lock();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

/// Writes a line about a mistake to standard error.
fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "bayeuxd: {line}");
}
