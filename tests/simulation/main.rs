//! Thousands of seeded histories of the synchronous core, each judged by a ledger.
//!
//! A history is drawn from one seed: clients on polls and sockets that shake hands, connect twice,
//! switch transports, lose replies, read slowly, vanish and come back, are moved to another session;
//! publishers whose walks are interleaved step by step; a clock that is only a number. After every step the invariants of
//! `check.rs` hold; after a quiet time everything that was due has arrived, and after everybody has
//! gone nothing is left. Source: reliability.md, sections 1 and 4.
//!
//! A failure prints its seed. `BAYEUXD_SEED=x` repeats it, `BAYEUXD_SEEDS=n` runs more of them.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a simulation that breaks has to stop, and indices are its own"
)]

mod acks;
mod check;
mod ledger;
mod life;
mod moves;
mod play;
mod random;
mod task;
mod walks;
mod world;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
};

use world::World;

/// Seeds that once showed a bug of the broker, each with what it was.
const REGRESSIONS: [(u64, &str); 0] = [];
/// Seeds of an ordinary run; more by `BAYEUXD_SEEDS`.
const SEEDS: u64 = 4_000;
/// Things that happen in a history before its quiet end.
const STEPS: usize = 250;

/// Names the seed when a history fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("seed {seed} fails: BAYEUXD_SEED={seed} cargo test --test simulation");
        }
    }
}

/// What happened in all histories together. Zero anywhere means that the simulation has lost a part.
#[derive(Default)]
struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    fn add(&mut self, what: &'static str, count: u64) {
        *self.0.entry(what).or_default() += count;
    }

    fn count(&mut self, world: &World) {
        let counters = world.broker.counters();
        let (arrived, lost) = world.ledger.arrivals();
        self.add("histories", 1);
        self.add("virtual seconds", world.now / 1_000);
        self.add("published", counters.published.value());
        self.add("publishes refused", counters.publishes_refused.value());
        self.add("handshakes refused", counters.handshakes_refused.value());
        self.add("queued", counters.queued.value());
        self.add("arrived", arrived);
        self.add("lost in flight", lost);
        self.add("dropped as oldest", counters.dropped_oldest.value());
        self.add("dropped for latest", counters.dropped_latest.value());
        self.add("discarded", counters.discarded.value());
        for cause in world.lives.iter().filter_map(|life| life.ended) {
            self.add(cause.as_str(), 1);
        }
        for (what, count) in &world.seen {
            self.add(what, *count);
        }
    }

    fn assert_everything_happened(&self) {
        eprintln!("{:#?}", self.0);
        assert_eq!(self.0.len(), 34, "some things never happened");
    }
}

fn history(seed: u64, tally: &mut Tally) {
    let _named = Named(seed);
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.act();
        world.check();
    }
    world.calm_down();
    world.everybody_leaves();
    tally.count(&world);
}

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn seeded_histories_keep_every_promise() {
    if let Some(seed) = number_from_environment("BAYEUXD_SEED") {
        return history(seed, &mut Tally::default());
    }
    let mut tally = Tally::default();
    let seeds = number_from_environment("BAYEUXD_SEEDS").unwrap_or(SEEDS);
    REGRESSIONS.iter().for_each(|(seed, _)| history(*seed, &mut tally));
    (0..seeds).for_each(|seed| history(seed, &mut tally));
    if seeds >= SEEDS {
        tally.assert_everything_happened();
    }
}

#[test]
fn fresh_histories_keep_every_promise() {
    let first = RandomState::new().hash_one("seed") >> 16;
    eprintln!("fresh seeds from {first}");
    (first..first + SEEDS / 10).for_each(|seed| history(seed, &mut Tally::default()));
}
