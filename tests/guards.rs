//! That the guard of instruction counts (`benches/guards.rs`) fails when it should.

#[path = "../benches/baseline.rs"]
mod baseline;

use baseline::{Counts, compare, parse, write};

fn counts(entries: &[(&str, u64)]) -> Counts {
    entries.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn passes(agreed: &[(&str, u64)], measured: &[(&str, u64)]) -> bool {
    let verdicts = compare(&counts(agreed), &counts(measured));
    assert!(!verdicts.is_empty(), "nothing was compared");
    verdicts.iter().all(baseline::Verdict::passes)
}

#[test]
fn a_slower_scene_fails_and_its_line_says_so() {
    assert!(passes(&[("push", 1_000)], &[("push", 1_050)]), "as much as is tolerated");
    assert!(!passes(&[("push", 1_000)], &[("push", 1_051)]));
    assert!(!passes(&[("pull", 10), ("push", 1_000)], &[("pull", 10), ("push", 1_051)]));
    let [verdict] = compare(&counts(&[("push", 1_000)]), &counts(&[("push", 1_200)]))
        .try_into()
        .expect("one scene");
    assert!(verdict.to_string().ends_with("1200   +20.0 %  SLOWER"), "{verdict}");
}

#[test]
fn a_faster_scene_passes_with_a_hint() {
    assert!(passes(&[("push", 1_000)], &[("push", 10)]));
    let [verdict] = compare(&counts(&[("push", 1_000)]), &counts(&[("push", 900)]))
        .try_into()
        .expect("one scene");
    assert!(verdict.to_string().contains("-10.0 %  faster: bless"), "{verdict}");
}

#[test]
fn a_scene_that_only_one_side_knows_fails() {
    assert!(!passes(&[("push", 1)], &[("push", 1), ("new", 1)]));
    assert!(!passes(&[("push", 1), ("gone", 1)], &[("push", 1)]));
}

#[test]
fn a_written_baseline_reads_back() {
    let agreed = counts(&[("publish_1", 2_345), ("a_name_longer_than_the_column", 6)]);
    let text = write(&agreed, &["one comment".into(), "another".into()]);
    assert_eq!(parse(&text), Ok(agreed));
    assert!(text.starts_with("# one comment\n# another\n"));
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    assert_eq!(parse("push 1\n\npull many\n"), Err("pull many".to_owned()));
    assert_eq!(parse("push"), Err("push".to_owned()));
}

#[test]
fn the_committed_baseline_can_be_read() {
    let agreed = parse(include_str!("../benches/guards.txt")).expect("lines of name and count");
    assert!(agreed.len() >= 10 && agreed.values().all(|count| *count > 0), "{agreed:?}");
}
