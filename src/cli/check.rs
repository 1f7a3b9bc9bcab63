//! `bayeuxd config check`: mistakes, warnings, and what differs from the defaults.

use std::path::PathBuf;

use bayeuxd::config::{Config, Loaded, Machine, Origin, Remark, ShownValue, Warning};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Failure, complain, load, print, remote::harmless};

/// Arguments of `config check`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The file; without it bayeuxd.toml in the working directory.
    file: Option<PathBuf>,
    /// Print every value, not only those that differ from the defaults.
    #[arg(long)]
    print_effective: bool,
    /// Print one JSON object: every value, warnings, mistakes.
    #[arg(long)]
    json: bool,
}

/// Loads the configuration as `serve` would, environment included, and prints it.
///
/// # Errors
///
/// A configuration that cannot be used. With `--json` it is told on standard output, and here only the
/// exit code is left to say.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let file = load::found(options.file.as_deref());
    let loaded = match load::examine(options.file.as_deref(), &[]) {
        Ok(loaded) => loaded,
        Err(problems) if options.json => {
            let problems: Vec<Remark> = problems.iter().map(Remark::from).collect();
            let told = json!({
                "ok": false, "file": file, "items": [], "warnings": [], "problems": problems,
            });
            print(format_args!("{}\n", harmless(&told.to_string())));
            return Err(Failure::Configuration(Vec::new()));
        }
        Err(problems) => return Err(load::refused(&problems)),
    };
    let machine = Machine::read();
    let effective = loaded.config.clone().effective(&machine);
    let mut warnings = loaded.warnings.clone();
    warnings.extend(descriptors(&loaded, &effective, &machine, "of this shell"));
    if options.json {
        let items = items(&loaded, &effective);
        let warnings: Vec<Remark> = warnings.iter().map(Remark::from).collect();
        let told = json!({
            "ok": true, "file": file, "items": items, "warnings": warnings, "problems": [],
        });
        print(format_args!("{}\n", harmless(&told.to_string())));
    } else {
        warnings.iter().for_each(|warning| complain(format_args!("warning: {warning}")));
        match file {
            Some(file) => print(format_args!("# read: {}\n", file.display())),
            None => print("# read: no file, there is no bayeuxd.toml here\n"),
        }
        print(listing(&loaded, &effective, options.print_effective));
    }
    Ok(())
}

/// Every key, as `GET /admin/v1/config` of a broker with this configuration would list them.
fn items(loaded: &Loaded, effective: &Config) -> Vec<Item> {
    let entries = loaded.config.entries().into_iter().zip(effective.entries());
    let item = |(written, entry): (ShownValue, ShownValue)| Item {
        key: entry.key,
        auto: written.value != entry.value,
        value: entry.value.and_then(|value| serde_json::to_value(value).ok()),
        default: written.is_default,
        origin: loaded.origin(entry.key).to_string(),
        doc: entry.doc,
    };
    entries.map(item).collect()
}

/// A key of the configuration.
#[derive(Serialize)]
struct Item {
    key: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    default: bool,
    origin: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    auto: bool,
    doc: &'static str,
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

/// Compares the descriptor limit of `whose` process with what the configuration asks for: a client that polls
/// has up to two connections. The defaults ask for nothing.
pub(super) fn descriptors(
    loaded: &Loaded,
    effective: &Config,
    machine: &Machine,
    whose: &str,
) -> Option<Warning> {
    let chosen = |key: &&str| loaded.origin(key) != Origin::Default;
    let key = ["limits.connections", "limits.sessions"].into_iter().find(chosen)?;
    let connections = effective.limits.connections.unwrap_or_default();
    let (wanted, asked) = if key == "limits.connections" {
        (connections, key.to_owned())
    } else {
        let wanted = effective.limits.sessions.saturating_mul(2);
        (wanted, format!("2 x {key}"))
    };
    (machine.descriptors < wanted).then(|| {
        let descriptors = machine.descriptors;
        let most = connections.min(descriptors);
        let text = format!(
            "the descriptor limit {whose}, {descriptors}, is below {asked} = {wanted}: at most {most} \
             connections are accepted; raise it (ulimit -n, or LimitNOFILE= of systemd), or lower {key}"
        );
        loaded.doubt(key, text)
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
    fn few_descriptors_are_warned_of_if_more_are_asked_for() {
        let warning = |file: &str| {
            let loaded = loaded(file);
            let effective = loaded.config.clone().effective(&MACHINE);
            descriptors(&loaded, &effective, &MACHINE, "of this shell").map(|told| told.to_string())
        };
        assert_eq!(warning(""), None, "the defaults are nobody's wish");
        assert_eq!(warning("limits.sessions = 512"), None);
        let text = warning("limits.sessions = 513").unwrap();
        assert!(
            text.starts_with("x.toml:1: the descriptor limit of this shell, 1024, is"),
            "{text}"
        );
        assert!(text.contains("2 x limits.sessions = 1026: at most 768 connections"), "{text}");
        assert_eq!(warning("limits.connections = 1024"), None);
        let text = warning("limits.connections = 1025\nlimits.sessions = 10").unwrap();
        assert!(
            text.contains("below limits.connections = 1025: at most 1024 connections"),
            "{text}"
        );
    }
}
