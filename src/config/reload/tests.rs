//! Two configurations compared, and what a running broker makes of the second.

use super::*;
use crate::config::{ApiKey, Loader, Role};

fn loaded(file: &str) -> Loaded {
    let mut loader = Loader::new();
    loader.file("bayeuxd.toml".as_ref(), file);
    loader.finish().expect("no mistake")
}

#[test]
fn changes_are_told_with_both_values_and_when_they_are_in_force() {
    let before = loaded("[limits]\nbatch = 50\n");
    let after = loaded("[limits]\nmessage_size = \"1MiB\"\n[session]\ntimeout = \"20s\"\n");
    let changes = before.config.changes(&after.config);
    let told: Vec<_> =
        changes.iter().map(|c| (c.key, c.shown_before(), c.shown_after(), c.reload)).collect();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        told,
        [
            ("session.timeout", text("\"45s\""), text("\"20s\""), Reload::Restart),
            ("limits.message_size", text("\"64KiB\""), text("\"1MiB\""), Reload::Connections),
            ("limits.batch", text("50"), text("100"), Reload::Now),
        ]
    );
    assert_eq!(before.config.changes(&before.config), []);
}

#[test]
fn a_secret_that_changes_is_told_and_not_shown() {
    let key = |digit: &str| ApiKey {
        id: "a".into(),
        secret_sha256: Some(digit.repeat(64)),
        role: Role::Admin,
        ..ApiKey::default()
    };
    let (mut before, mut after) = (Config::default(), Config::default());
    before.auth.keys.push(key("a"));
    after.auth.keys.push(key("b"));
    let changes = before.changes(&after);
    assert_eq!(changes, [Change::of_keys(&before)]);
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert!(change.shown_after().contains("secret_sha256 = \"***\""), "{change:?}");
}

#[test]
fn a_running_broker_takes_what_is_live_and_nothing_else() {
    let before = loaded("[limits]\nbatch = 50\n\n[session]\ntimeout = \"30s\"\n");
    let after = loaded(
        "[session]\ntimeout = \"20s\"\n[limits]\nbatch = 60\n[[channels]]\nmatch = \"/a\"\n",
    );
    let merged = before.reloaded(&after).expect("it goes together");
    assert_eq!(merged.config.limits.batch, 60);
    assert_eq!(merged.config.session, before.config.session);
    assert_eq!(merged.config.channels, []);
    assert_eq!(merged.origin("limits.batch").to_string(), "bayeuxd.toml:4");
    assert_eq!(merged.origin("session.timeout").to_string(), "bayeuxd.toml:5", "as it was read");
    let rest: Vec<_> = merged.config.changes(&after.config).iter().map(|c| c.key).collect();
    assert_eq!(rest, ["session.timeout", "channels"]);
}

#[test]
fn what_is_sound_only_after_a_restart_is_refused() {
    let key = "[[auth.keys]]\nid = \"root\"\nrole = \"admin\"\n";
    let open = "[auth]\nanonymous = true\n[admin]\nlisten = \"192.0.2.1:8081\"\n";
    let before = loaded(&format!("{open}{key}"));
    let after = loaded("[admin]\nlisten = \"127.0.0.1:8081\"\n");
    let problems = before.reloaded(&after).expect_err("the listener stays where it is");
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("bayeuxd.toml:4: admin.listen = \"192.0.2.1:8081\""), "{told:?}");
}

#[test]
fn a_long_list_is_cut() {
    let mut config = Config::default();
    config.server.allowed_origins = vec!["https://a.example.com".into(); 100];
    let changes = Config::default().changes(&config);
    let shown = changes[0].shown_after();
    assert_eq!((shown.chars().count(), shown.ends_with('…')), (VALUE_CHARS_MAX + 1, true));
}

#[test]
fn warnings_are_about_what_is_in_force() {
    let before = loaded("");
    let after = loaded(
        "[server]\nallowed_origins = [\"*\"]\n[[channels]]\nmatch = \"/a\"\n[[channels]]\nmatch = \"/a\"\n",
    );
    let merged = before.reloaded(&after).expect("it goes together");
    let told: Vec<_> = merged.warnings.iter().map(|warning| warning.text.as_str()).collect();
    assert_eq!(told, ["server.allowed_origins has \"*\": any page may connect"]);
}
