//! `bayeuxd serve`: from arguments to a running broker and back to an exit code.

use std::{
    collections::HashMap,
    fmt::Display,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use bayeuxd::{
    config::{Config, Loaded, Machine, Origin, Remark, Warning},
    metrics,
    server::{Drained, Server, StartError},
    telemetry::{self, Levels},
};
use clap::{Args, ValueEnum};
use tokio::runtime::{Builder, Runtime};
use tracing::{info, warn};

use super::{
    Failure,
    banner::{Facts, banner},
    check,
    load::{self, Flag},
    local_keys::LocalKeys,
    print,
    reload::{self, InForce},
    signals, supervisor,
};

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Configuration file; without it bayeuxd.toml in the working directory, if there is one.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the Bayeux listener (server.listen); can be repeated.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Address of the operators' listener (admin.listen); "" for none.
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Serve the files of this folder too, to try out pages without a web server.
    #[arg(long = "static", value_name = "DIR")]
    static_dir: Option<PathBuf>,
    /// For development: every session may monitor what the broker does, and more is logged. On
    /// loopback only.
    #[arg(long)]
    dev: bool,
    /// Set a configuration key, like session.timeout=30s; can be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// How much is logged (log.level).
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// The form of a log line (log.format).
    #[arg(long, value_enum)]
    log_format: Option<Format>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').ok_or("expected KEY=VALUE, like session.timeout=30s")?;
    Ok((parts.0.into(), parts.1.into()))
}

impl Options {
    fn flags(&self) -> Vec<Flag> {
        let flag =
            |name, key: &str, value: &str| Flag { name, key: key.into(), value: value.into() };
        let mut flags: Vec<Flag> = Vec::new();
        if self.dev {
            flags.push(flag("--dev", "log.level", "debug"));
        }
        flags.extend(self.set.iter().map(|(key, value)| flag("--set", key, value)));
        if !self.listen.is_empty() {
            let list = toml::Value::from(self.listen.clone()).to_string();
            flags.push(flag("--listen", "server.listen", &list));
        }
        if let Some(address) = &self.admin {
            flags.push(flag("--admin", "admin.listen", address));
        }
        if let Some(level) = &self.log_level {
            flags.push(flag("--log-level", "log.level", level));
        }
        if let Some(format) = self.log_format {
            let name = match format {
                Format::Text => "text",
                Format::Json => "json",
            };
            flags.push(flag("--log-format", "log.format", name));
        }
        flags
    }
}

/// Serves until a signal ends it.
///
/// # Errors
///
/// A configuration that cannot be used, an address that cannot be had, or a drain that was cut
/// short.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let loaded = load::load(options.config.as_deref(), &options.flags())?;
    if options.dev && !loaded.config.is_loopback_only() {
        let text = "--dev lets everybody see everybody, so it is for loopback listeners only";
        return Err(Failure::Usage(text.into()));
    }
    let levels = telemetry::init(&loaded.config.log).map_err(failed)?;
    metrics::count_panics();
    doubts(&loaded, options).iter().for_each(|warning| warn!(event = "node", "{warning}"));
    let runtime = runtime(&loaded.config)?;
    let ended = runtime.block_on(serve(loaded, levels, options));
    // What still runs was told to end; it must not hold up the process.
    runtime.shutdown_background();
    finish(&ended?)
}

async fn serve(loaded: Loaded, levels: Levels, options: &Options) -> Result<Drained, Failure> {
    // Before the listeners: a signal that comes during start is not lost.
    let stop = signals::listen().map_err(failed)?;
    let mut hangup = signals::hangup().map_err(failed)?;
    let mut config = loaded.config.clone();
    config.monitor.everybody = options.dev;
    let local = LocalKeys::of(&config, None)?;
    config.auth.keys.extend(local.entries());
    let static_dir = options.static_dir.as_deref();
    let mut server = Server::bind(config.clone()).await.map_err(start_failed)?;
    if let Some(dir) = static_dir {
        server = server.serve_static(dir).map_err(start_failed)?;
    }
    let reloader = server.reloader();
    reloader.tell_origins(origins(&loaded));
    reloader.tell_warnings(remarks(&loaded, options));
    let file = load::found(options.config.as_deref()).map(|file| file.display());
    let version = env!("CARGO_PKG_VERSION");
    info!(event = "node", version, config = file.map(tracing::field::display), "starting");
    for address in server.addresses() {
        info!(event = "node", %address, "listening for Bayeux clients");
    }
    if let Some(address) = server.admin_address() {
        info!(event = "node", %address, "listening for operators");
    }
    print(banner(&Facts {
        config: &config,
        main: server.addresses(),
        admin: server.admin_address(),
        socket: server.socket_address(),
        static_dir,
        local: &local,
    }));
    let serving = format!("serving on {}", list(server.addresses()));
    supervisor::ready(&serving);
    // Behind STOPPING=1 the service manager must hear of nothing else: READY=1 would tell it that the
    // broker serves again.
    let stopping = AtomicBool::new(false);
    let mut calls = server.reload_calls();
    let mut in_force = InForce { loaded, local, levels, reloader };
    let reloading = async {
        loop {
            let call = tokio::select! {
                signal = hangup.recv() => match signal {
                    Some(()) => None,
                    None => return,
                },
                call = calls.recv() => call,
            };
            if !stopping.load(Ordering::Relaxed) {
                supervisor::reloading();
            }
            let reloaded = load::load(options.config.as_deref(), &options.flags())
                .and_then(|again| in_force.reload(&again));
            if reloaded.is_ok() {
                in_force.reloader.tell_origins(origins(&in_force.loaded));
                in_force.reloader.tell_warnings(remarks(&in_force.loaded, options));
            }
            let outcome = reloaded.map_err(|failure| reload::report(&failure));
            if let Some(call) = call {
                call.answer(outcome);
            }
            if !stopping.load(Ordering::Relaxed) {
                supervisor::ready(&serving);
            }
        }
    };
    let wish = server.stop_wish();
    let told = async {
        tokio::select! {
            () = stop.drain.cancelled() => {}
            () = wish => {}
        }
        stopping.store(true, Ordering::Relaxed);
        supervisor::stopping();
    };
    let alive = tokio::spawn(supervisor::stay_alive());
    let running = server.run(told, stop.abort.cancelled());
    // The stream of signals does not end, so the other branch is the one that does.
    let ended = tokio::select! {
        drained = running => Ok(drained),
        () = reloading => Err(Failure::Failed("the system delivers no more signals".into())),
    };
    alive.abort();
    ended
}

/// What is doubtful about the configuration, for operators to read.
fn doubts(loaded: &Loaded, options: &Options) -> Vec<Warning> {
    let machine = Machine::read();
    let effective = loaded.config.clone().effective(&machine);
    let mut warnings = loaded.warnings.clone();
    warnings.extend(check::descriptors(loaded, &effective, &machine, "of this process"));
    if options.dev {
        let (at, text) = (Origin::Flag("--dev"), "every session may monitor all others".into());
        warnings.push(Warning { at, key: None, text });
    }
    warnings
}

/// The same for the admin API.
fn remarks(loaded: &Loaded, options: &Options) -> Vec<Remark> {
    doubts(loaded, options).iter().map(Remark::from).collect()
}

/// Where each value of the configuration came from.
fn origins(loaded: &Loaded) -> HashMap<&'static str, String> {
    let entries = loaded.config.entries().into_iter();
    entries.map(|entry| (entry.key, loaded.origin(entry.key).to_string())).collect()
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
}

fn runtime(config: &Config) -> Result<Runtime, Failure> {
    let mut builder = Builder::new_multi_thread();
    if config.server.workers > 0 {
        builder.worker_threads(config.server.workers);
    }
    builder.thread_name("bayeuxd").enable_all().build().map_err(failed)
}

fn finish(drained: &Drained) -> Result<(), Failure> {
    let Drained { told, open, unsent, elapsed, aborted } = drained;
    let seconds = elapsed.as_secs_f64();
    info!(event = "node", told, open, unsent, seconds, "drained");
    print(format_args!(
        "drain: {told} sessions told, {open} open, {unsent} messages unsent, {seconds:.1} s\n"
    ));
    if *aborted {
        return Err(Failure::CutShort("a second signal cut the drain short".into()));
    }
    if *open > 0 {
        let advice = "a longer server.drain_timeout gives them time";
        return Err(Failure::CutShort(format!("{open} connections were cut; {advice}")));
    }
    Ok(())
}

/// Tells a configuration that reads well but does not work from a system that refuses.
fn start_failed(error: StartError) -> Failure {
    match error {
        StartError::Cookie(_)
        | StartError::Origin(_)
        | StartError::Proxies(_)
        | StartError::Keys(_)
        | StartError::Otel(_)
        | StartError::Services(_) => Failure::Configuration(vec![error.to_string()]),
        _ => failed(error),
    }
}

fn failed(error: impl Display) -> Failure {
    Failure::Failed(error.to_string())
}
