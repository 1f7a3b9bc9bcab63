//! docs/proxies.md shows the settings that these tests use.

use std::fs;

use protocol_tests::{conformance::root, reverse_proxy::Kind};

#[test]
fn the_settings_in_the_documentation_are_those_that_are_tested() {
    let document = fs::read_to_string(root().join("docs/proxies.md")).expect("docs/proxies.md");
    for kind in Kind::ALL {
        let extension = if kind == Kind::HaProxy { "cfg" } else { "conf" };
        let file = root().join(format!("examples/proxies/{kind}.{extension}"));
        let text = fs::read_to_string(&file).expect("settings");
        // The first line says where the file belongs, which the text around it says too.
        let settings = text.split_once("\n\n").expect("an empty line below the comment").1;
        assert!(document.contains(settings), "docs/proxies.md does not show {}", file.display());
    }
}
