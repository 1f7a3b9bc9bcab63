//! The configuration read again while clients are connected: the real program, its file and raw bytes.
//! Source: operations.md 2.7.

mod levels;
mod limits;
mod mistakes;
mod origins;

use std::{fs, net::SocketAddr, path::PathBuf};

use protocol_tests::{
    deadline::until,
    operator::{act, admin_key, read},
    process::Process,
};
use serde_json::Value;

/// A broker with a file that the test changes.
struct Site {
    process: Process,
    file: PathBuf,
}

impl Site {
    /// Starts with `text` and an admin key in the file `name`.
    fn start(name: &str, text: &str) -> Self {
        let file = std::env::temp_dir().join(format!("bayeuxd-{name}-{}.toml", std::process::id()));
        write(&file, text);
        Self { process: Process::reading(&file, &[]), file }
    }

    fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// Writes the file anew.
    fn write(&self, text: &str) {
        write(&self.file, text);
    }

    /// Writes the file anew and reloads by a signal; the log is to say `word` of it.
    async fn hang_up(&self, text: &str, word: &str) {
        self.write(text);
        let before = self.process.log().len();
        self.process.signal("HUP");
        until("the end of the reload", || {
            self.process.log().get(before..).is_some_and(|log| log.contains(word))
        })
        .await;
    }

    /// Writes the file anew and reloads over the admin API.
    async fn reload(&self, text: &str) -> Value {
        self.write(text);
        let (status, answer) = act(self.process.admin, "/reload", "").await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Writes the file anew and has a reload refused; what is wrong.
    async fn refused(&self, text: &str) -> Vec<String> {
        self.write(text);
        self.refused_as_it_is().await
    }

    async fn refused_as_it_is(&self) -> Vec<String> {
        let (status, answer) = act(self.process.admin, "/reload", "").await;
        let error = &answer["error"];
        assert_eq!((status, error["code"].as_str()), (409, Some("reload_refused")), "{answer}");
        let problems = error["problems"].as_array().expect("a list of problems");
        problems.iter().map(|problem| problem.as_str().expect("a text").to_owned()).collect()
    }

    /// The value of a key that is in force, as operators see it.
    async fn value(&self, key: &str) -> Value {
        let config = read(self.process.admin, "/config").await;
        let items = config["items"].as_array().expect("a list of keys");
        items.iter().find(|item| item["key"] == key).expect("a key")["value"].clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// Replaces the file at once, as an editor does: a reload meanwhile finds the old or the new one.
fn write(file: &PathBuf, text: &str) {
    let digest = admin_key().secret_sha256.expect("a key has a secret");
    let key =
        format!("[[auth.keys]]\nid = \"root\"\nrole = \"admin\"\nsecret_sha256 = \"{digest}\"\n");
    let next = file.with_extension("next");
    fs::write(&next, format!("{text}\n{key}")).expect("write a file");
    fs::rename(&next, file).expect("rename a file");
}

/// The names in a list of an answer.
fn names<'a>(answer: &'a Value, list: &str) -> Vec<&'a str> {
    answer[list].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
