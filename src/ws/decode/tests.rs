//! What bytes become events, at every split, and which become a violation.

use proptest::prelude::*;

use super::*;
use crate::ws::{
    deflate::compress_message,
    encode::{FIN, RSV1},
};

const LIMITS: DecodeLimits = DecodeLimits { message_bytes: 1000, fragments: 4, excess_factor: 0 };
const TEXT: u8 = FIN | 0x1;
const BINARY: u8 = FIN | 0x2;
const CLOSE: u8 = FIN | 0x8;
const PING: u8 = FIN | 0x9;
const PONG: u8 = FIN | 0xA;

/// A client's frame with `first` as its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = crate::ws::encode::header(Opcode::Text, false, payload.len()).to_vec();
    bytes[0] = first;
    bytes[1] |= 0x80;
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// All events of `pieces`, and the violation that ended them.
fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    compression: bool,
) -> (Vec<Event>, Option<Violation>) {
    let mut decoder = Decoder::new(LIMITS, compression);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(violation) => return (events, Some(violation)),
            }
        }
    }
    (events, None)
}

/// The violation that `bytes` end in.
fn violation(bytes: &[u8]) -> (u16, &'static str) {
    let (events, violation) = decode([bytes], false);
    let violation = violation.unwrap_or_else(|| panic!("accepted: {events:?}"));
    (violation.code, violation.reason)
}

#[test]
fn messages_and_control_frames_become_events() {
    let bytes = [
        frame(TEXT, "Grüße".as_bytes()),
        frame(BINARY, &[0xff, 0x00]),
        frame(PING, b"are you there"),
        frame(PONG, b""),
        frame(CLOSE, &[0x03, 0xe8, b'o', b'k']),
    ]
    .concat();
    let (events, violation) = decode([&bytes[..]], false);
    assert_eq!(violation, None);
    assert_eq!(
        events,
        [
            Event::Text("Grüße".into()),
            Event::Binary(vec![0xff, 0x00]),
            Event::Ping(Bytes::from_static(b"are you there")),
            Event::Pong,
            Event::Close(Some(1000), "ok".into()),
        ]
    );
}

#[test]
fn fragments_are_joined_around_a_ping() {
    let bytes = [frame(0x1, b"a"), frame(PING, b"!"), frame(0x0, b"b"), frame(FIN, b"c")].concat();
    let expected = vec![Event::Ping(Bytes::from_static(b"!")), Event::Text(b"abc".to_vec())];
    assert_eq!(decode([&bytes[..]], false), (expected, None));
}

#[test]
fn nothing_is_read_after_a_close() {
    let bytes = [frame(CLOSE, b""), frame(TEXT, b"late"), vec![0xff]].concat();
    assert_eq!(decode([&bytes[..]], false), (vec![Event::Close(None, "".into())], None));
}

#[test]
fn each_broken_framing_rule_is_1002() {
    let cases: [(&str, Vec<u8>); 16] = [
        ("reserved bit set", frame(TEXT | 0x20, b"")),
        ("reserved bit set", frame(TEXT | 0x10, b"")),
        ("RSV1 without an extension", frame(TEXT | RSV1, b"")),
        ("RSV1 on a control frame", frame(PING | RSV1, b"")),
        ("RSV1 on a continuation", [frame(0x1, b""), frame(FIN | RSV1, b"")].concat()),
        ("reserved opcode", frame(FIN | 0x3, b"")),
        ("reserved opcode", frame(FIN | 0xB, b"")),
        ("fragmented control frame", frame(0x9, b"")),
        ("control frame too long", frame(PING, &[0; 126])),
        ("unmasked frame", vec![0x81, 0x01, b'a']),
        ("continuation without a message", frame(FIN, b"")),
        ("message inside a message", [frame(0x1, b""), frame(TEXT, b"")].concat()),
        ("length above 2^63", vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("close code cut short", frame(CLOSE, &[3])),
        ("invalid close code", frame(CLOSE, &1005_u16.to_be_bytes())),
        ("invalid close code", frame(CLOSE, &0_u16.to_be_bytes())),
    ];
    for (reason, bytes) in cases {
        assert_eq!(violation(&bytes), (1002, reason), "{bytes:02x?}");
    }
}

#[test]
fn text_that_is_not_utf8_is_1007() {
    for text in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xe2\x82"] {
        assert_eq!(violation(&frame(TEXT, text)), (1007, "text is not UTF-8"), "{text:02x?}");
    }
    let reason = frame(CLOSE, &[0x03, 0xe8, 0xff]);
    assert_eq!(violation(&reason), (1007, "close reason is not UTF-8"));
}

#[test]
fn a_character_may_be_cut_by_fragments() {
    let bytes = [frame(0x1, b"\xf0\x9f"), frame(0x0, b"\xa6"), frame(FIN, b"\x80")].concat();
    assert_eq!(decode([&bytes[..]], false).0, [Event::Text("🦀".into())]);
}

#[test]
fn bad_text_fails_before_its_frame_is_complete() {
    let bytes = frame(TEXT, b"\xf4\x90 and more that never has to come");
    assert_eq!(violation(&bytes[..8]), (1007, "text is not UTF-8"));
}

#[test]
fn the_message_limit_counts_what_is_declared() {
    let declared = [0x82, 0xfe, 0x03, 0xe9];
    assert_eq!(violation(&[&declared[..], &[0; 4]].concat()), (1009, "message too large"));
    let huge = [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    assert_eq!(violation(&huge), (1009, "message too large"));
    let (events, _) = decode([&frame(BINARY, &[7; 1000])[..]], false);
    assert_eq!(events, [Event::Binary(vec![7; 1000])]);
}

#[test]
fn the_message_limit_counts_all_fragments() {
    let fits = [frame(0x2, &[7; 999]), frame(FIN, &[7; 1])].concat();
    assert_eq!(decode([&fits[..]], false).0, [Event::Binary(vec![7; 1000])]);
    let too_long = [frame(0x2, &[7; 999]), frame(FIN, &[7; 2])].concat();
    assert_eq!(violation(&too_long), (1009, "message too large"));
}

#[test]
fn the_number_of_fragments_is_bounded() {
    let fits = [frame(0x2, b""), frame(0x0, b""), frame(0x0, b""), frame(FIN, b"")].concat();
    assert_eq!(decode([&fits[..]], false).0, [Event::Binary(Vec::new())]);
    let too_many = [&frame(0x2, b"")[..], &frame(0x0, b"").repeat(4)].concat();
    assert_eq!(violation(&too_many), (1009, "too many fragments"));
}

#[test]
fn a_compressed_message_is_inflated() {
    let payload = b"compress me, compress me, compress me".to_vec();
    let body = compress_message(&payload).unwrap();
    let (head, tail) = body.split_at(body.len() / 2);
    let bytes = [frame(0x1 | RSV1, head), frame(PONG, b""), frame(FIN, tail)].concat();
    let expected = vec![Event::Pong, Event::Text(payload)];
    assert_eq!(decode([&bytes[..]], true), (expected, None));
}

#[test]
fn a_compressed_message_is_checked_after_inflating() {
    let cases = [
        (compress_message(&[0xff; 100]).unwrap(), 1007, "text is not UTF-8"),
        (compress_message(&[b'a'; 1001]).unwrap(), 1009, "message too large"),
        (vec![0xff; 20], 1007, "message does not inflate"),
        (vec![0; 1190], 1009, "message too large"),
    ];
    for (body, code, reason) in cases {
        let (_, violation) = decode([&frame(TEXT | RSV1, &body)[..]], true);
        let bound = (code == 1009).then_some(Bound::MessageBytes(LIMITS.message_bytes));
        assert_eq!(violation, Some(Violation { code, reason, bound }));
    }
}

#[test]
fn an_incompressible_message_of_full_size_fits_when_deflated() {
    // One stored block: five bytes of block header and one of padding more than the limit.
    let payload: Vec<u8> =
        (0..1000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let body = [&[0x00, 0xe8, 0x03, 0x17, 0xfc][..], &payload, &[0x00]].concat();
    let (events, violation) = decode([&frame(BINARY | RSV1, &body)[..]], true);
    assert_eq!((events, violation), (vec![Event::Binary(payload)], None));
}

#[test]
fn an_idle_decoder_owns_no_memory() {
    let mut decoder = Decoder::new(LIMITS, true);
    decoder.feed(&[frame(0x1, b"one "), frame(FIN, b"message")].concat());
    assert_eq!(decoder.next(), Ok(Some(Event::Text(b"one message".to_vec()))));
    assert_eq!(decoder.next(), Ok(None));
    assert_eq!(decoder.unread.bytes.capacity(), 0);
    assert!(decoder.message.is_none());
    assert!(size_of::<Decoder>() <= 192, "{}", size_of::<Decoder>());
}

#[test]
fn a_declared_length_costs_nothing_until_it_arrives() {
    let mut decoder = Decoder::new(
        DecodeLimits { message_bytes: 1 << 30, fragments: 1, excess_factor: 0 },
        false,
    );
    decoder.feed(&[0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, b'x']);
    assert_eq!(decoder.next(), Ok(None));
    assert!(decoder.message.as_ref().unwrap().payload.capacity() <= 64);
}

const TOO_LARGE: Violation = Violation::too_large(LIMITS.message_bytes);

/// Pieces of texts over the limit, put together; whatever else comes stands alone.
fn excess(chunks: &[&[u8]]) -> (Vec<u8>, bool, Option<Violation>) {
    let mut decoder = Decoder::new(DecodeLimits { excess_factor: 4, ..LIMITS }, true);
    let (mut text, mut is_whole) = (Vec::new(), false);
    for chunk in chunks {
        decoder.feed(chunk);
        loop {
            match decoder.next() {
                Ok(Some(Event::Excess(excess))) => {
                    assert!(std::str::from_utf8(&excess.piece).is_ok() && !is_whole);
                    text.extend(excess.piece);
                    is_whole = excess.is_last;
                }
                Ok(Some(event)) => panic!("{event:?}"),
                Ok(None) => break,
                Err(violation) => return (text, is_whole, Some(violation)),
            }
        }
    }
    let kept = decoder.message.as_ref().map_or(0, |message| message.payload.len());
    assert!(kept < 4, "{kept} bytes are kept");
    (text, is_whole, None)
}

#[test]
fn a_text_over_the_limit_comes_in_pieces_and_is_kept_nowhere() {
    let text = "aé😀".repeat(571);
    for length in [1001, 3980] {
        let text = &text.as_bytes()[..length];
        let text =
            &text[..text.len() - text.iter().rev().take_while(|byte| !byte.is_ascii()).count()];
        assert!(text.len() > 1000 - 7);
        let text = &[text, &b"!".repeat(7)[..]].concat()[..];
        let (head, tail) = text.split_at(700);
        let whole = frame(TEXT, text);
        let halves = [frame(0x1, head), frame(FIN, tail)].concat();
        for bytes in [&whole, &halves] {
            for size in [1, 7, 64, 5000] {
                let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
                assert_eq!(excess(&chunks), (text.to_vec(), true, None), "by {size}");
            }
        }
    }
}

#[test]
fn beyond_the_excess_and_for_bytes_a_long_message_is_a_violation() {
    let beyond = frame(TEXT, &[b'a'; 4001]);
    assert_eq!(excess(&[&beyond]), (Vec::new(), false, Some(TOO_LARGE)));
    let later = [frame(0x1, &[b'a'; 3000]), frame(FIN, &[b'a'; 1001])].concat();
    assert_eq!(excess(&[&later]), (vec![b'a'; 3000], false, Some(TOO_LARGE)));
    assert_eq!(excess(&[&frame(BINARY, &[0; 1001])]).2, Some(TOO_LARGE));
    let deflated = compress_message(&[b'a'; 1001]).unwrap();
    assert_eq!(excess(&[&frame(TEXT | RSV1, &deflated)]).2, Some(TOO_LARGE));
    let not_text = [&[b'a'; 1001][..], &[0xff]].concat();
    assert_eq!(excess(&[&frame(TEXT, &not_text)]).2.map(|it| it.code), Some(1007));
    let cut = [&[b'a'; 1001][..], &[0xc3]].concat();
    assert_eq!(excess(&[&frame(TEXT, &cut)]).2.map(|it| it.code), Some(1007));
}

#[test]
fn a_violation_is_final() {
    let mut decoder = Decoder::new(LIMITS, false);
    decoder.feed(&[0xff]);
    let first = decoder.next();
    assert!(first.is_err());
    decoder.feed(&frame(TEXT, b"hello"));
    assert_eq!(decoder.next(), first);
    assert_eq!(decoder.unread.bytes.capacity(), 0);
}

#[test]
fn a_text_is_known_to_be_next_once_it_is_whole() {
    let mut decoder = Decoder::new(LIMITS, false);
    let known = |bytes: &[u8]| {
        let mut decoder = Decoder::new(LIMITS, false);
        decoder.feed(bytes);
        decoder.has_text()
    };
    let text = frame(TEXT, b"hello");
    for cut in 0..text.len() {
        assert!(!known(&text[..cut]), "{cut} bytes");
    }
    assert!(known(&text) && known(&[&text[..], &text].concat()));
    assert!(known(&frame(TEXT, &[0xff])), "`next` finds out");
    assert!(!known(&frame(TEXT, &[b'x'; LIMITS.message_bytes + 1])), "it may come in pieces");
    for other in [frame(BINARY, b"x"), frame(PING, b"x"), frame(0x1, b"x"), vec![0xff; 20]] {
        assert!(!known(&[&other[..], &text].concat()), "{other:?}");
    }
    // The last piece of a message that came in several.
    decoder.feed(&frame(0x1, b"x"));
    assert_eq!(decoder.next(), Ok(None));
    decoder.feed(&frame(FIN, b"y"));
    assert!(!decoder.has_text());
    assert!(matches!(decoder.next(), Ok(Some(Event::Text(_)))));
    decoder.feed(&text[..8]);
    assert_eq!(decoder.next(), Ok(None));
    decoder.feed(&text[8..]);
    assert!(!decoder.has_text(), "a part of it was taken already");
}

/// A stream of mostly valid frames, as bytes.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        4 => "\\PC{0,40}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..300),
    ];
    let first = prop_oneof![
        8 => prop::sample::select(vec![TEXT, BINARY, PING, PONG, 0x1, 0x2, 0x0, FIN]),
        1 => any::<u8>(),
    ];
    let piece = (first, payload).prop_map(|(first, payload)| frame(first, &payload));
    proptest::collection::vec(piece, 0..12).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        bytes in stream(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
        compression in any::<bool>(),
    ) {
        let whole = decode([&bytes[..]], compression);
        prop_assert_eq!(&decode(bytes.chunks(1), compression), &whole, "byte by byte");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
        prop_assert_eq!(&decode(pieces, compression), &whole, "cut at {:?}", cuts);
    }

    #[test]
    fn a_message_comes_back_whole(
        payload in proptest::collection::vec(any::<u8>(), 0..=1000),
        cut in any::<prop::sample::Index>(),
    ) {
        let (head, tail) = payload.split_at(cut.index(payload.len() + 1));
        let bytes = [frame(0x2, head), frame(FIN, tail)].concat();
        prop_assert_eq!(decode([&bytes[..]], false), (vec![Event::Binary(payload)], None));
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        decode([&bytes[..]], true);
    }
}
