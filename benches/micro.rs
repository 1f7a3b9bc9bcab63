//! Times of the hot paths, for people: `cargo bench --bench micro [NAME]`.

#![expect(clippy::expect_used, clippy::panic, reason = "a scene that cannot be set ends the run")]

use std::cell::RefCell;

mod input;
mod node;
mod pipeline;
mod scenes;

use scenes::SCENES;

#[divan::bench(args = SCENES.map(|entry| entry.name))]
fn scene(bencher: divan::Bencher<'_, '_>, name: &str) {
    let entry = SCENES.iter().find(|entry| entry.name == name).expect("divan takes it from there");
    let scene = RefCell::new((entry.make)());
    bencher
        .with_inputs(|| scene.borrow_mut().prepare())
        .bench_local_values(|()| scene.borrow_mut().run());
}

fn main() {
    divan::main();
}
