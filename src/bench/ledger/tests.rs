//! The account of deliveries.

use super::*;

fn times(at_ns: u64) -> Times {
    Times { sent_ns: at_ns, due_ns: at_ns / 2, measured: true }
}

/// Two receivers in room 0, one of them in room 1 too; `count` messages of sender 0 in room 0.
fn ledger(count: u32) -> (Ledger, Vec<Mark>) {
    let mut ledger = Ledger::new(9, 2, 1, &[vec![0], vec![0, 1]]);
    let marks = (0..count).map(|i| ledger.publish(0, 0, times(100), i.checked_sub(1))).collect();
    (ledger, marks)
}

#[test]
fn all_once_and_in_order_is_complete() {
    let (mut ledger, marks) = ledger(200);
    for mark in &marks {
        assert_eq!(ledger.outstanding(0), 200 - mark.index);
        ledger.receive(0, *mark, 150);
        ledger.receive(1, *mark, 150);
    }
    assert_eq!(ledger.outstanding(0), 0);
    assert_eq!((ledger.totals.expected, ledger.totals.delivered), (400, 400));
    assert!(ledger.totals.is_complete(), "{:?}", ledger.totals);
    assert_eq!((ledger.latency.max(), ledger.scheduled.max()), (50, 100));
}

#[test]
fn what_is_missing_is_lost_and_stays_outstanding() {
    let (mut ledger, marks) = ledger(1);
    ledger.receive(0, marks[0], 1);
    assert_eq!((ledger.totals.lost(), ledger.outstanding(0)), (1, 1));
    assert!(!ledger.totals.is_complete());
}

#[test]
fn a_second_copy_is_a_duplicate() {
    let (mut ledger, marks) = ledger(1);
    ledger.receive(0, marks[0], 1);
    ledger.receive(0, marks[0], 1);
    assert_eq!((ledger.totals.delivered, ledger.totals.duplicates), (1, 1));
}

#[test]
fn order_is_judged_by_receiver_and_sender() {
    let (mut ledger, marks) = ledger(3);
    for index in [0, 2, 1] {
        ledger.receive(0, marks[index], 1);
    }
    for mark in marks {
        ledger.receive(1, mark, 1);
    }
    assert_eq!(ledger.totals.out_of_order, 1);
    assert_eq!(ledger.totals.lost(), 0);

    let mut two_senders = Ledger::new(9, 1, 2, &[vec![0]]);
    let first = two_senders.publish(0, 0, times(1), None);
    let second = two_senders.publish(1, 0, times(1), None);
    two_senders.receive(0, second, 2);
    two_senders.receive(0, first, 2);
    assert_eq!(two_senders.totals.out_of_order, 0);
}

#[test]
fn foreign_deliveries_count_apart() {
    let (mut ledger, marks) = ledger(1);
    ledger.receive(0, Mark { run: 8, ..marks[0] }, 1);
    ledger.receive(0, Mark { room: 1, ..marks[0] }, 1);
    ledger.receive(0, Mark { index: 1, ..marks[0] }, 1);
    ledger.receive(7, marks[0], 1);
    assert_eq!((ledger.totals.foreign, ledger.totals.delivered), (4, 0));
}

#[test]
fn nothing_is_expected_of_a_refused_publish() {
    let (mut ledger, marks) = ledger(2);
    ledger.refuse(0, marks[1].index);
    ledger.refuse(0, marks[1].index);
    assert_eq!((ledger.totals.refused, ledger.totals.expected), (1, 2));
    assert_eq!(ledger.outstanding(0), 1);
    assert!(!ledger.totals.is_complete());
}

#[test]
fn a_message_to_nobody_is_not_outstanding() {
    let mut ledger = Ledger::new(1, 1, 1, &[]);
    ledger.publish(0, 0, times(1), None);
    assert_eq!((ledger.outstanding(0), ledger.totals.expected, ledger.members(0)), (0, 0, 0));
}
