//! `bayeuxd config check`: mistakes, warnings, and what differs from the defaults.

use std::path::PathBuf;

use bayeuxd::config::{Config, Loaded, Machine};
use clap::Args;

use super::{Failure, complain, load, print};

/// Arguments of `config check`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The file; without it bayeuxd.toml in the working directory.
    file: Option<PathBuf>,
    /// Print every value, not only those that differ from the defaults.
    #[arg(long)]
    print_effective: bool,
}

/// Loads the configuration as `serve` would, environment included, and prints it.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let loaded = load::load(options.file.as_deref(), &[])?;
    let machine = Machine::read();
    loaded.warnings.iter().for_each(|warning| complain(format_args!("warning: {warning}")));
    let effective = loaded.config.clone().effective(&machine);
    if let Some(warning) = descriptors(&effective, &machine) {
        complain(format_args!("warning: {warning}"));
    }
    print(listing(&loaded, &effective, options.print_effective));
    Ok(())
}

/// Lists `key = value  # origin`, which is again a configuration file.
fn listing(loaded: &Loaded, effective: &Config, all: bool) -> String {
    let (written, values) = (loaded.config.assignments(), effective.assignments());
    let shown = written.iter().zip(&values).filter(|(written, _)| all || !written.is_default);
    let lines: Vec<String> = shown
        .map(|(written, value)| {
            let origin = loaded.origin(written.key);
            let auto = if written.value == value.value { "" } else { ", auto" };
            format!("{} = {}  # {origin}{auto}\n", value.key, value.value)
        })
        .collect();
    if lines.is_empty() { "# every value is the default\n".into() } else { lines.concat() }
}

/// Compares the descriptor limit with what the sessions need: a client that polls has up to two
/// connections.
fn descriptors(effective: &Config, machine: &Machine) -> Option<String> {
    let wanted = effective.limits.sessions.saturating_mul(2);
    let connections = effective.limits.connections.unwrap_or_default();
    (machine.descriptors < wanted).then(|| {
        format!(
            "the descriptor limit of {} is below 2 x limits.sessions = {wanted}; at most \
             {connections} connections are accepted; raise it (ulimit -n, or LimitNOFILE= of \
             systemd), or lower limits.sessions",
            machine.descriptors
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(file: &str) -> Loaded {
        let mut loader = bayeuxd::config::Loader::new();
        loader.file("x.toml".as_ref(), file);
        loader.finish().unwrap()
    }

    const MACHINE: Machine = Machine { descriptors: 1024, memory_bytes: 1 << 30 };

    #[test]
    fn what_differs_is_listed_with_its_origin() {
        let loaded = loaded("[session]\ntimeout = \"30s\"\ninterval = \"0s\"\n");
        let effective = loaded.config.clone().effective(&MACHINE);
        assert_eq!(listing(&loaded, &effective, false), "session.timeout = \"30s\"  # x.toml:2\n");
    }

    #[test]
    fn the_full_list_shows_what_auto_became() {
        let loaded = loaded("");
        let effective = loaded.config.clone().effective(&MACHINE);
        let list = listing(&loaded, &effective, true);
        assert!(list.contains("limits.connections = 768  # default, auto\n"), "{list}");
        assert!(list.contains("limits.queued_bytes = \"512MiB\"  # default, auto\n"), "{list}");
    }

    #[test]
    fn few_descriptors_are_warned_of() {
        let warning = |sessions: usize| {
            let mut config = Config::default();
            config.limits.sessions = sessions;
            descriptors(&config.effective(&MACHINE), &MACHINE)
        };
        assert_eq!(warning(512), None);
        assert!(warning(513).unwrap().contains("at most 768 connections"));
    }
}
