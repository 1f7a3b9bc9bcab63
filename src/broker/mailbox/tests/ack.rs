//! The mailbox of a session that acknowledges.

use super::*;

fn acknowledging(held: impl IntoIterator<Item = usize>) -> (Mailbox, Generation) {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, held);
    mailbox.start_acknowledging();
    (mailbox, owner)
}

fn take(mailbox: &mut Mailbox, owner: Generation) -> (u64, Vec<usize>) {
    let (number, frames) = mailbox.take_numbered(owner).expect("the owner may take");
    (number, numbers(&frames))
}

#[test]
fn p126_what_is_taken_stays_until_it_is_acknowledged() {
    let (mut mailbox, owner) = acknowledging(1..=2);
    assert_eq!(take(&mut mailbox, owner), (1, vec![1, 2]));
    assert_eq!((mailbox.len(), mailbox.unacknowledged()), (0, 2));
    mailbox.push(&lossless(3), WIDE);
    assert_eq!(take(&mut mailbox, owner), (2, vec![1, 2, 3]));
    assert!(mailbox.must_resend());
    assert_eq!(mailbox.acknowledge(2).0, 3);
    assert!(!mailbox.must_resend());
    assert_eq!(mailbox.bytes(), 0);
}

#[test]
fn p124_only_a_connect_reply_takes() {
    let (mut mailbox, owner) = acknowledging(1..=1);
    assert!(mailbox.deliver_only());
    assert!(mailbox.take(None, Take::ALL).is_none());
    assert!(mailbox.take(Some(owner), Take::ALL).is_none());
}

#[test]
fn a_superseded_carrier_gets_neither_messages_nor_a_number() {
    let (mut mailbox, older) = acknowledging(1..=1);
    let (newer, _) = mailbox.claim(Carrier::Socket, 0);
    assert!(mailbox.take_numbered(older).is_none());
    assert_eq!(take(&mut mailbox, newer), (1, vec![1]));
}

#[test]
fn a_newer_carrier_does_not_wait_for_the_batch_of_the_older() {
    let (mut mailbox, older) = acknowledging(1..=1);
    assert_eq!(take(&mut mailbox, older), (1, vec![1]));
    let (newer, _) = mailbox.claim(Carrier::Poll, 0);
    assert_eq!(take(&mut mailbox, newer), (2, vec![1]));
}

#[test]
fn without_the_extension_there_are_no_numbers() {
    let (mut mailbox, owner) = mailbox(Carrier::Poll, 1..=1);
    assert!(mailbox.take_numbered(owner).is_none());
    assert_eq!(mailbox.acknowledge(1), (0, 0));
    assert!(!mailbox.must_resend());
}

#[test]
fn p129_unacknowledged_messages_count_into_the_bound() {
    let bounds = QueueBounds { messages_max: 3, ..WIDE };
    let (mut mailbox, owner) = acknowledging([]);
    for number in 0..3 {
        assert!(!mailbox.push(&lossless(number), bounds).overflow);
        take(&mut mailbox, owner);
    }
    assert!(mailbox.push(&lossless(3), bounds).overflow);
    mailbox.acknowledge(1);
    assert!(!mailbox.push(&lossless(3), bounds).overflow);
}

#[test]
fn p129_the_end_of_the_session_discards_what_is_unacknowledged() {
    let (mut mailbox, owner) = acknowledging(1..=2);
    take(&mut mailbox, owner);
    mailbox.push(&lossless(3), WIDE);
    assert_eq!(mailbox.close(Cause::Expired).1.discarded, 3);
    assert!(mailbox.take_numbered(owner).is_none());
    assert_eq!((mailbox.bytes(), mailbox.unacknowledged()), (0, 0));
}
