//! Keeps `docs/conformance.md` true.

use std::fs;

use protocol_tests::conformance::{find_tests, render, root, untested};

#[test]
fn every_must_and_should_has_a_test() {
    let untested = untested(&find_tests(&root()));
    assert!(untested.is_empty(), "items without a test: {untested:#?}");
}

/// With `BLESS=1` in the environment the file is written instead of compared.
#[test]
fn the_table_is_up_to_date() {
    let path = root().join("docs/conformance.md");
    let current = render(&find_tests(&root()));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &current).expect("docs/conformance.md can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == current,
        "docs/conformance.md is out of date: run BLESS=1 cargo test -p protocol-tests --test conformance"
    );
}
