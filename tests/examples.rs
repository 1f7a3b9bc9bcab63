//! The Rust examples do what their first lines say. The others are run by `protocol-tests`.

use std::process::{Command, Stdio};

#[test]
fn the_embedding_example_publishes_receives_serves_and_stops() {
    // `cargo test` builds the examples beside the folder of this test.
    let folder = std::env::current_exe().unwrap();
    let example = folder.parent().and_then(|deps| deps.parent()).unwrap().join("examples/embed");
    assert!(example.exists(), "build it first: cargo build --example embed");
    let output = Command::new(example).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    let [first, received @ .., last] = lines.as_slice() else { panic!("{text}") };
    assert!(first.starts_with("listening on http://127.0.0.1:"), "{text}");
    assert_eq!(
        received,
        [
            r#"/weather/oslo {"channel":"/weather/oslo","data":{"degrees":-3}}"#,
            r#"/weather/delft {"channel":"/weather/delft","data":{"degrees":9}}"#,
            r#"/weather/rome {"channel":"/weather/rome","data":{"degrees":17}}"#,
            r#"[{"channel":"/service/forecast/oslo","data":-5,"id":"2","successful":true}]"#,
            r#"[{"channel":"/service/forecast/atlantis","data":{"class":"java.lang.RuntimeException","name":"NoSuchCity","message":"no forecast for atlantis"},"id":"2","successful":false,"error":"500::service_failed"}]"#,
        ]
    );
    assert!(last.starts_with("stopped after "), "{text}");
}
