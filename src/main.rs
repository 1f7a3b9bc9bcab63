//! The `bayeuxd` binary: hands over to [`cli::run`], which knows the exit codes.

mod bench;
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
