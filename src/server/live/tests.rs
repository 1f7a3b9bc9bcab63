//! The list of settings says which keys a reload takes. Here each of them is changed by itself, and what the
//! parts of the server hold is compared before and after.

use super::*;
use crate::{broker::Broker, config::Loader, server::clock};

fn reloader(config: &Config) -> Reloader {
    let effective = config.clone().effective(&Machine::read());
    let broker = Broker::new(&effective, clock::now());
    let app = App::new(effective, broker, true).expect("it can be used");
    app.live.was_written(config.clone());
    Reloader::new(Arc::new(app))
}

/// Everything that a reload changes, wherever it is held.
fn held(app: &App) -> String {
    let live = format!("{:?}", app.live);
    // Without the configuration itself, which shows every change.
    let (live, _) = live.split_once("in_force").expect("it is the last field");
    let connections = app.connections.max();
    let (broker, api, services) = (app.broker.held(), app.api.held(), app.services.held());
    format!("{live}\n{connections} {broker}\n{api}\n{services} {:?} {:?}", app.sampler, app.told)
}

/// A configuration that differs from the default in `key` alone; `None` if no value here fits.
fn differing_in(key: &str) -> Option<Config> {
    let values = [
        "true",
        "false",
        "17",
        "900",
        "\"7s\"",
        "\"4KiB\"",
        "\"70KiB\"",
        "\"3MiB\"",
        "[\"https://a.example\"]",
        "[\"10.0.0.0/8\"]",
        "\"full\"",
        "\"debug\"",
    ];
    values.into_iter().find_map(|value| {
        let mut loader = Loader::new();
        loader.flag("--set", key, value);
        let config = loader.finish().ok()?.config;
        let changes = Config::default().changes(&config);
        matches!(changes.as_slice(), [change] if change.key == key).then_some(config)
    })
}

#[test]
fn every_key_that_claims_to_be_live_is_in_force_after_a_reload() {
    let default = Config::default();
    let reloader = reloader(&default);
    let before = held(&reloader.app);
    let mut tried = 0;
    for entry in default.entries() {
        let key = entry.key;
        let Some(changed) = differing_in(key) else {
            // Lists of tables, addresses and the like. What is live has no excuse.
            assert!(!entry.reload.is_live() || key == config::KEYS, "no value to try {key} with");
            continue;
        };
        let told = reloader.reload(&changed).expect("it can be used");
        let keys: Vec<_> = told.changes.iter().map(|change| change.key).collect();
        assert_eq!(keys, [key]);
        let differs = held(&reloader.app) != before;
        // Its own levels are the process's business (`telemetry`).
        assert_eq!(differs, entry.reload.is_live() && key != "log.level", "{key}");
        assert_eq!(reloader.config() != default, entry.reload.is_live(), "{key}");
        reloader.reload(&default).expect("it can be used");
        assert_eq!(held(&reloader.app), before, "{key} goes back");
        tried += usize::from(entry.reload.is_live());
    }
    assert!(tried > 40, "{tried} keys were changed");
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let reloader = reloader(&Config::default());
    let before = held(&reloader.app);
    let mut next = Config::default();
    next.limits.batch = 17;
    next.server.allowed_origins.push("no origin".into());
    let error = reloader.reload(&next).expect_err("it is no origin");
    assert!(error.to_string().contains("no origin"), "{error}");
    assert_eq!(held(&reloader.app), before);
    assert_eq!(reloader.config(), Config::default());
}

#[test]
fn what_the_machine_decides_is_shown_as_such() {
    let reloader = reloader(&Config::default());
    assert_eq!(reloader.app.live.auto(), ["limits.queued_bytes", "limits.connections"]);
    let mut next = Config::default();
    next.limits.connections = Some(17);
    reloader.reload(&next).expect("it can be used");
    assert_eq!(reloader.app.live.auto(), ["limits.queued_bytes"]);
    assert_eq!(reloader.app.live.config().limits.connections, Some(17));
    assert_eq!(reloader.app.connections.max(), 17);
}
