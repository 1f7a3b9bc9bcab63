//! The `bayeuxd` binary.

fn main() {}
