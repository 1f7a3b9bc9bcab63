//! Extensions in requests and replies.

use super::*;

fn read(ext: &str) -> RequestExt {
    RequestExt::read(Some(serde_json::from_str(ext).unwrap()))
}

fn written(ext: ReplyExt) -> String {
    let mut out = Vec::new();
    ext.write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn p123_only_true_offers_acknowledgement() {
    assert_eq!(read(r#"{"ack":true}"#).ack, Some(AckRequest::Offered));
    assert_eq!(read(r#"{"\u0061ck":true}"#).ack, Some(AckRequest::Offered), "an escaped name");
    for odd in ["{}", r#"{"ack":false}"#, r#"{"ack":"true"}"#, r#"{"ack":[true]}"#, "[]", "null"] {
        assert_eq!(read(odd), RequestExt::default(), "{odd}");
    }
    assert_eq!(RequestExt::read(None), RequestExt::default());
}

#[test]
fn p125_an_acknowledgement_is_a_whole_number_that_fits() {
    for (ext, number) in [
        (r#"{"ack":0}"#, Some(0)),
        (r#"{"other":{"ack":3},"ack":12}"#, Some(12)),
        (r#"{"ack":18446744073709551615}"#, Some(u64::MAX)),
        (r#"{"ack":18446744073709551616}"#, None),
        (r#"{"ack":-1}"#, None),
        (r#"{"ack":1.0}"#, None),
        (r#"{"ack":1e0}"#, None),
        (r#"{"ack":"1"}"#, None),
        (r#"{"ack":null}"#, None),
    ] {
        assert_eq!(read(ext).ack, number.map(AckRequest::UpTo), "{ext}");
    }
}

#[test]
fn a_reply_says_what_there_is_to_say() {
    assert_eq!(written(ReplyExt::default()), "");
    let ack = |ack| written(ReplyExt { ack: Some(ack) });
    assert_eq!(ack(AckReply::Accepted), r#","ext":{"ack":true}"#);
    assert_eq!(ack(AckReply::Batch(7)), r#","ext":{"ack":7}"#);
}
