//! The examples of RFC 7692, the limit from both sides, and bombs.

use proptest::prelude::*;

use super::*;

#[test]
fn the_example_of_the_rfc_inflates() {
    // RFC 7692 7.2.3.1: one compressed block.
    let body = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflate_message(&body, 5), Ok(b"Hello".to_vec()));
}

#[test]
fn a_block_without_compression_inflates() {
    // RFC 7692 7.2.3.3.
    let body = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(inflate_message(&body, 5), Ok(b"Hello".to_vec()));
}

#[test]
fn a_final_block_ends_the_message() {
    // RFC 7692 7.2.3.4: BFINAL set, one byte of padding.
    let body = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    assert_eq!(inflate_message(&body, 5), Ok(b"Hello".to_vec()));
    let followed = [&body[..], b"hidden"].concat();
    assert_eq!(inflate_message(&followed, 64), Err(InflateError::Corrupt));
}

#[test]
fn an_empty_message_inflates() {
    // RFC 7692 7.2.3.6.
    assert_eq!(inflate_message(&[0x00], 0), Ok(Vec::new()));
}

#[test]
fn the_limit_holds_from_both_sides() {
    let payload = vec![b'a'; 1000];
    let body = compress_message(&payload).unwrap();
    assert_eq!(inflate_message(&body, 1000), Ok(payload));
    assert_eq!(inflate_message(&body, 999), Err(InflateError::TooLarge));
    assert_eq!(inflate_message(&body, 0), Err(InflateError::TooLarge));
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    let bomb = compress_message(&vec![0; 8 << 20]).unwrap();
    assert!(bomb.len() < 16 << 10, "{}", bomb.len());
    assert_eq!(inflate_message(&bomb, 64 << 10), Err(InflateError::TooLarge));
}

#[test]
fn what_would_not_shrink_is_not_compressed() {
    assert_eq!(compress_message(b""), None);
    assert_eq!(compress_message(b"[{}]"), None);
    assert_eq!(compress_message(b"q8Zk1xWv"), None);
}

proptest! {
    #[test]
    fn a_compressed_message_is_smaller_and_comes_back(
        unit in proptest::collection::vec(any::<u8>(), 1..64),
        times in 1_usize..400,
    ) {
        let payload = unit.repeat(times);
        if let Some(body) = compress_message(&payload) {
            prop_assert!(body.len() < payload.len());
            prop_assert_eq!(inflate_message(&body, payload.len()), Ok(payload));
        }
    }

    #[test]
    fn any_bytes_inflate_within_the_limit_or_are_refused(
        body in proptest::collection::vec(any::<u8>(), 0..512),
        bytes_max in 0_usize..2048,
    ) {
        if let Ok(payload) = inflate_message(&body, bytes_max) {
            prop_assert!(payload.len() <= bytes_max);
        }
    }
}
