//! The window by example, and against a client that loses, repeats and reorders replies.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    broker::tests::{frame_of, numbers},
    config::QueuePolicy,
};

fn frames(range: std::ops::Range<usize>) -> Vec<Frame> {
    range.map(|number| frame_of("/a", number, 0, QueuePolicy::Disconnect)).collect()
}

fn send(window: &mut AckWindow, range: std::ops::Range<usize>) -> (u64, Vec<usize>) {
    let (number, batch) = window.send(frames(range));
    (number, numbers(&batch))
}

#[test]
fn p125_numbers_start_at_1_and_grow_with_empty_batches_too() {
    let mut window = AckWindow::default();
    for expected in 1..=5 {
        assert_eq!(send(&mut window, 0..0), (expected, vec![]));
    }
}

#[test]
fn p126_a_batch_carries_everything_unacknowledged_older_first() {
    let mut window = AckWindow::default();
    assert_eq!(send(&mut window, 0..2), (1, vec![0, 1]));
    assert_eq!(send(&mut window, 2..3), (2, vec![0, 1, 2]));
    assert_eq!(window.acknowledge(2), 3);
    assert_eq!(send(&mut window, 3..4), (3, vec![3]));
    assert_eq!((window.len(), window.bytes()), (1, frames(3..4)[0].bytes()));
}

#[test]
fn a_message_that_was_in_two_batches_is_acknowledged_by_either() {
    let mut window = AckWindow::default();
    send(&mut window, 0..1);
    send(&mut window, 1..2);
    assert_eq!(window.acknowledge(1), 1, "the second reply was lost, the first was not");
    assert_eq!(send(&mut window, 2..2), (3, vec![1]));
}

#[test]
fn p125_a_number_that_was_never_given_out_acknowledges_nothing() {
    let mut window = AckWindow::default();
    send(&mut window, 0..3);
    for number in [2, 3, 1 << 63, u64::MAX, 0] {
        assert_eq!(window.acknowledge(number), 0, "{number}");
    }
    assert_eq!(window.acknowledge(1), 3);
}

#[test]
fn what_is_acknowledged_leaves_no_memory_behind() {
    let mut window = AckWindow::default();
    send(&mut window, 0..100);
    for _ in 0..100 {
        assert_eq!(window.acknowledge(0), 0);
    }
    assert_eq!(window.sent.len(), 100);
    window.acknowledge(1);
    assert_eq!((window.sent.capacity(), window.bytes()), (0, 0));
}

/// One exchange over a bad network: so many new messages, and what becomes of the reply.
#[derive(Debug, Clone)]
enum Reply {
    Arrives,
    Lost,
    /// It arrives after the next `.0` exchanges: its connect was overtaken.
    Late(usize),
}

fn exchange() -> impl Strategy<Value = (usize, Reply)> {
    let reply = prop_oneof![
        4 => Just(Reply::Arrives),
        2 => Just(Reply::Lost),
        2 => (1..4_usize).prop_map(Reply::Late),
    ];
    (0..4_usize, reply)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The client acknowledges the last number that reached it, as cometd.js does, even one that an
    /// overtaken reply brought late. Nothing gets lost, and nothing comes again in a batch that was
    /// made after its acknowledgement.
    #[test]
    fn p126_nothing_is_lost_and_nothing_comes_after_its_acknowledgement(
        exchanges in prop::collection::vec(exchange(), 1..60),
    ) {
        let mut window = AckWindow::default();
        let (mut published, mut said) = (0, 0);
        let (mut has, mut acknowledged) = (BTreeSet::new(), BTreeSet::new());
        // Batches that once arrived, by number, to know what an acknowledgement covers.
        let mut known: Vec<(u64, Vec<usize>)> = Vec::new();
        let mut late: Vec<(usize, u64, Vec<usize>)> = Vec::new();
        for (fresh, reply) in exchanges {
            window.acknowledge(said);
            for (_, batch) in known.iter().filter(|(number, _)| *number <= said) {
                acknowledged.extend(batch.iter().copied());
            }
            let (number, batch) = send(&mut window, published..published + fresh);
            published += fresh;
            prop_assert!(batch.is_sorted() , "{batch:?}");
            prop_assert!(batch.iter().all(|message| !acknowledged.contains(message)));
            prop_assert!(
                (0..published).all(|message| has.contains(&message) || batch.contains(&message)),
                "a message is neither at the client nor on its way"
            );
            for (wait, ..) in &mut late {
                *wait -= 1;
            }
            match reply {
                Reply::Arrives => late.push((0, number, batch)),
                Reply::Late(wait) => late.push((wait, number, batch)),
                Reply::Lost => {}
            }
            for (_, number, batch) in late.extract_if(.., |(wait, ..)| *wait == 0) {
                has.extend(batch.iter().copied());
                known.push((number, batch));
                said = number;
            }
        }
    }
}
