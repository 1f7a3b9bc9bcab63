//! What a delivery holds and leaves out, and what it counts on its meter.

use std::io::Read;

use serde_json::Value;

use super::*;
use crate::bayeux::NameLimits;

fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).unwrap()
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name, NameLimits { bytes: 255, segments: 16 }).unwrap()
}

fn frame(data: &str, meter: &Arc<Meter>) -> Frame {
    Frame::encode(&channel("/foo"), raw(data), None, &[], QueuePolicy::Disconnect, meter)
}

#[test]
fn p007_a_delivery_holds_channel_and_data() {
    let frame = frame("{\"a\":1}", &Arc::default());
    let object = b"{\"channel\":\"/foo\",\"data\":{\"a\":1}}";
    assert_eq!(frame.object(), object);
    assert_eq!(frame.channel().as_str(), "/foo");
    assert_eq!(frame.policy(), QueuePolicy::Disconnect);
    // FIN and text; no mask, 35 bytes of payload.
    assert_eq!(frame.wire()[..3], [0x81, 35, b'[']);
    assert_eq!(frame.bytes(), 2 + 1 + object.len() + 1);
}

#[test]
fn p008_ext_and_unknown_fields_follow_in_order() {
    let extra = [("custom".into(), raw("7")), ("a\"b".into(), raw("[\n]"))];
    let frame = Frame::encode(
        &channel("/foo"),
        raw("12345678901234567890"),
        Some(raw("{\"authentication\":{\"token\":\"x\"},\"k\":1}")),
        &extra,
        QueuePolicy::Latest,
        &Arc::default(),
    );
    assert_eq!(
        str::from_utf8(frame.object()).unwrap(),
        "{\"channel\":\"/foo\",\"data\":12345678901234567890,\"ext\":{\"k\":1},\"custom\":7,\
         \"a\\\"b\":[ ]}"
    );
}

#[test]
fn p006_null_is_data() {
    let frame = frame("null", &Arc::default());
    assert_eq!(frame.object(), b"{\"channel\":\"/foo\",\"data\":null}");
}

#[test]
fn line_breaks_of_the_publisher_become_spaces() {
    let frame = frame("{\r\n\"a\":\n1}", &Arc::default());
    assert_eq!(frame.object(), b"{\"channel\":\"/foo\",\"data\":{  \"a\": 1}}");
}

#[test]
fn the_header_tells_the_length_at_each_of_its_sizes() {
    let around = "[{\"channel\":\"/foo\",\"data\":\"\"}]".len();
    for (payload, header) in [(125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
        let data = format!("\"{}\"", "x".repeat(payload - around));
        let frame = frame(&data, &Arc::default());
        assert_eq!(frame.bytes(), header + payload, "payload of {payload} bytes");
        assert_eq!(frame.wire()[header], b'[');
        assert_eq!(frame.wire().last(), Some(&b']'));
        let value: Value = serde_json::from_slice(frame.object()).unwrap();
        assert_eq!(value["data"].as_str().map(str::len), Some(payload - around));
    }
}

#[test]
fn the_meter_counts_a_shared_frame_once_until_its_last_clone_is_gone() {
    let meter = Arc::new(Meter::new());
    let first = frame("1", &meter);
    let clone = first.clone();
    let second = frame("22", &meter);
    assert_eq!(meter.bytes(), first.bytes() + second.bytes());
    drop(first);
    assert_eq!(meter.bytes(), clone.bytes() + second.bytes());
    drop(clone);
    drop(second);
    assert_eq!(meter.bytes(), 0);
}

#[test]
fn the_deflated_message_is_the_same_one_and_on_the_meter() {
    let meter = Arc::new(Meter::new());
    let frame = frame(&format!("\"{}\"", "abc".repeat(500)), &meter);
    let plain = frame.bytes();
    let deflated = frame.deflated().unwrap().clone();
    assert_eq!(meter.bytes(), plain + deflated.len());
    // FIN, RSV1 and text; a short length.
    assert_eq!(deflated[0], 0xc1);
    assert_eq!(usize::from(deflated[1]), deflated.len() - 2);
    // RFC 7692 7.2.2: the receiver appends the four bytes; a final empty block ends the stream.
    let body = [&deflated[2..], &[0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff]].concat();
    let mut inflated = Vec::new();
    flate2::read::DeflateDecoder::new(&body[..]).read_to_end(&mut inflated).unwrap();
    assert_eq!(inflated, frame.wire()[4..]);
    drop(frame);
    assert_eq!(meter.bytes(), 0);
}

#[test]
fn what_does_not_shrink_is_not_deflated() {
    assert_eq!(frame("1", &Arc::default()).deflated(), None);
}
