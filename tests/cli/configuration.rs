//! `config check --json` and `key gen --json`, for scripts and deployment pipelines.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use serde_json::{Value, json};

use super::process::{Folder, Outcome};

fn answer(outcome: &Outcome, code: i32) -> Value {
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(code), ""), "{outcome:?}");
    assert_eq!(outcome.out.lines().count(), 1, "{outcome:?}");
    serde_json::from_str(&outcome.out).unwrap()
}

fn check(folder: &Folder, code: i32) -> Value {
    answer(&folder.run(&["config", "check", "--json"]), code)
}

/// The item of a key, without its text.
fn item(told: &Value, key: &str) -> Value {
    let items = told["items"].as_array().unwrap();
    let mut item = items.iter().find(|item| item["key"] == key).unwrap().clone();
    item.as_object_mut().unwrap().remove("doc");
    item
}

#[test]
fn check_as_json_has_every_value_and_where_it_comes_from() {
    let folder = Folder::new("check_json")
        .with("bayeuxd.toml", "session.timeout = \"30s\"\n[session.queue]\nmax_bytes = \"1KiB\"\n");
    let output = folder
        .command(&["config", "check", "--json"])
        .env("BAYEUXD_SESSION__INTERVAL", "2s")
        .env("BAYEUXD_SESSION_ACK", "true")
        .output()
        .unwrap();
    let told = answer(&Outcome::of(output), 0);
    assert_eq!((&told["ok"], &told["problems"]), (&json!(true), &json!([])));
    assert_eq!(
        item(&told, "session.timeout"),
        json!({"key": "session.timeout", "value": "30s", "default": false, "origin": "bayeuxd.toml:1"})
    );
    assert_eq!(item(&told, "session.interval")["origin"], "environment BAYEUXD_SESSION__INTERVAL");
    assert_eq!(
        item(&told, "session.max_interval"),
        json!({"key": "session.max_interval", "value": "1m", "default": true, "origin": "default"})
    );
    let chosen = item(&told, "limits.connections");
    assert!(chosen["value"].is_u64() && chosen["auto"] == true, "{chosen}");
    let warnings = told["warnings"].as_array().unwrap();
    assert_eq!(
        warnings[0],
        json!({"origin": "environment BAYEUXD_SESSION_ACK", "text": "not read; did you mean \
            BAYEUXD_SESSION__ACK?"})
    );
    assert_eq!(
        warnings[1],
        json!({"origin": "bayeuxd.toml:3", "file": "bayeuxd.toml", "line": 3,
            "key": "session.queue.max_bytes",
            "text": "session.queue.max_bytes is below limits.message_size: one large message ends the \
            sessions that should get it"})
    );
}

#[test]
fn check_as_json_names_every_mistake_with_its_place() {
    let folder = Folder::new("check_json_bad")
        .with("bayeuxd.toml", "[session]\ntimout = \"45s\"\ninterval = 3\n");
    let told = check(&folder, 3);
    assert_eq!(
        told,
        json!({"ok": false, "file": "bayeuxd.toml", "items": [], "warnings": [], "problems": [
            {"origin": "bayeuxd.toml:2", "file": "bayeuxd.toml", "line": 2, "key": "session.timout",
                "text": "unknown key session.timout; did you mean session.timeout?"},
            {"origin": "bayeuxd.toml:3", "file": "bayeuxd.toml", "line": 3, "key": "session.interval",
                "text": "session.interval = 3: expected a duration from \"0s\" to \"1h\" (units ms, s, \
                m, h)"},
        ]})
    );
    let missing = answer(&folder.run(&["config", "check", "--json", "none.toml"]), 3);
    assert_eq!(
        missing["problems"],
        json!([{"origin": "none.toml", "file": "none.toml", "text": "cannot be read: there is no such \
            file; `bayeuxd config init` prints one to start with"}])
    );
}

#[test]
fn an_entry_that_cannot_be_used_is_named_with_its_place() {
    let key = |id, file| format!("[[auth.keys]]\nid = \"{id}\"\n{file}\nchannels = [\"/a\"]\n");
    let keys = key("a", "secret_file = \"a.key\"") + &key("b", "secret_file = \"b.key\"");
    let service = "[[services]]\nchannel = \"/service/a\"\nurl = \"http://h/\"\n".repeat(2);
    let folder = Folder::new("check_json_entries")
        .with("a.key", "a-secret-of-some-length")
        .with("bayeuxd.toml", &(keys + &service));
    let problems = check(&folder, 3)["problems"].clone();
    assert_eq!(
        problems,
        json!([
            {"origin": "bayeuxd.toml:6", "file": "bayeuxd.toml", "line": 6, "key": "auth.keys[1]",
                "text": "auth.keys 'b': cannot read b.key: No such file or directory (os error 2)"},
            {"origin": "bayeuxd.toml:13", "file": "bayeuxd.toml", "line": 13, "key": "services[1]",
                "text": "services: \"/service/a\" is served twice"},
        ])
    );
    let text = folder.run(&["config", "check"]);
    assert!(
        text.err.starts_with("bayeuxd: bayeuxd.toml:6: auth.keys 'b': cannot read"),
        "{text:?}"
    );
}

#[test]
fn check_as_json_shows_no_secret() {
    const CANARY: &str = "canary-secret";
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let good = format!(
        "[[auth.keys]]\nid = \"a\"\nsecret_sha256 = \"{digest}\"\nchannels = [\"/a\"]\n[[services]]\n\
         channel = \"/service/a\"\nurl = \"http://h/?k={CANARY}\"\nheaders = [\"X-Key: {CANARY}\"]\n"
    );
    let folder = Folder::new("check_json_secret").with("bayeuxd.toml", &good);
    let told = check(&folder, 0);
    assert_eq!(item(&told, "auth.keys")["value"][0]["secret_sha256"], "***");
    assert_eq!(item(&told, "services")["value"][0]["url"], "http://h/?***");
    let told = told.to_string();
    assert!(!told.contains(CANARY) && !told.contains(digest), "{told}");
    // In its place by mistake: messages of `serve` go to the log.
    let bad = format!("[[auth.keys]]\nid = \"a\"\nsecret_sha256 = \"{CANARY}\"\n");
    let folder = folder.with("bayeuxd.toml", &bad);
    let told = check(&folder, 3).to_string();
    assert!(told.contains("auth.keys[0].secret_sha256 = ***: expected"), "{told}");
    let served = folder.run(&[]);
    assert!(!served.err.contains(CANARY) && !told.contains(CANARY), "{served:?} {told}");
}

#[test]
fn a_generated_key_as_json_is_usable_at_once() {
    let folder = Folder::new("key_gen_json");
    let told = answer(
        &folder.run(&[
            "key",
            "gen",
            "--json",
            "--id",
            "a",
            "--role",
            "publish",
            "--channels",
            "/a",
        ]),
        0,
    );
    assert_eq!(
        (&told["id"], &told["role"], &told["channels"]),
        (&json!("a"), &json!("publish"), &json!(["/a"]))
    );
    let (secret, digest) =
        (told["secret"].as_str().unwrap(), told["secret_sha256"].as_str().unwrap());
    assert_eq!((secret.len(), digest.len()), (43, 64));
    let folder = folder.with("bayeuxd.toml", told["config"].as_str().unwrap());
    let checked = folder.run(&["config", "check"]);
    assert!(checked.code == Some(0) && checked.out.contains(digest), "{checked:?}");
}

#[test]
fn check_says_which_file_it_has_read() {
    let none = Folder::new("check_no_file").run(&["config", "check"]);
    assert_eq!((none.code, none.err.as_str()), (Some(0), ""), "{none:?}");
    assert_eq!(
        none.out,
        "# read: no file, there is no bayeuxd.toml here\n# every value is the default\n"
    );
    let folder = Folder::new("check_file").with("bayeuxd.toml", "session.timeout = \"30s\"\n");
    let some = folder.run(&["config", "check"]);
    assert_eq!(some.code, Some(0), "{some:?}");
    assert_eq!(some.out, "# read: bayeuxd.toml\nsession.timeout = \"30s\"  # bayeuxd.toml:1\n");
}

#[test]
fn a_secret_that_everybody_may_read_is_warned_of() {
    let key = "[[auth.keys]]\nid = \"a\"\nsecret_file = \"a.key\"\nchannels = [\"/a\"]\n";
    let folder = Folder::new("open_secret")
        .with("a.key", "a-secret-of-some-length")
        .with("bayeuxd.toml", key);
    let checked = |mode| {
        fs::set_permissions(folder.0.join("a.key"), Permissions::from_mode(mode)).unwrap();
        folder.run(&["config", "check"]).err
    };
    assert_eq!(
        checked(0o644),
        "bayeuxd: warning: bayeuxd.toml:3: auth.keys[0].secret_file: every user of this machine may read \
         a.key; chmod o= a.key\n"
    );
    assert_eq!(checked(0o640), "");
}
