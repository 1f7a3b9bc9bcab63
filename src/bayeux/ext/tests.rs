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
    let ack = |ack| written(ReplyExt { ack: Some(ack), timesync: None });
    assert_eq!(ack(AckReply::Accepted), r#","ext":{"ack":true}"#);
    assert_eq!(ack(AckReply::Batch(7)), r#","ext":{"ack":7}"#);
    assert_eq!(ack(AckReply::AcceptedWithBatch(1)), r#","ext":{"ack":{"enabled":true,"batch":1}}"#);
    let timesync = Some(TimesyncReply { tc: 1, ts: 2, p: 3, a: None });
    assert_eq!(
        written(ReplyExt { ack: None, timesync }),
        r#","ext":{"timesync":{"tc":1,"ts":2,"p":3}}"#
    );
    let timesync = Some(TimesyncReply { tc: 1, ts: 2, p: 3, a: Some(-4) });
    assert_eq!(
        written(ReplyExt { ack: Some(AckReply::Batch(7)), timesync }),
        r#","ext":{"ack":7,"timesync":{"tc":1,"ts":2,"p":3,"a":-4}}"#
    );
}

#[test]
fn p130_a_request_needs_the_clients_time() {
    let timesync = |text: &str| read(text).timesync;
    let request = TimesyncRequest { tc: 1_000, l: Some(20), o: -5 };
    assert_eq!(timesync(r#"{"timesync":{"tc":1000,"l":20,"o":-5}}"#), Some(request));
    assert_eq!(timesync(r#"{"timesync":{"tc":999.6,"l":2e1,"o":-5.4,"x":1}}"#), Some(request));
    let first = TimesyncRequest { tc: 1_000, l: None, o: 0 };
    assert_eq!(timesync(r#"{"timesync":{"tc":1000}}"#), Some(first));
    for odd in [r#"{"l":1}"#, r#"{"tc":"1"}"#, "7", "null", "[]"] {
        assert_eq!(timesync(&format!(r#"{{"timesync":{odd}}}"#)), None, "{odd}");
    }
}

#[test]
fn p130_an_accurate_client_is_not_answered() {
    let request = |l, o| TimesyncRequest { tc: 10_000, l, o };
    let accuracy = |request: TimesyncRequest| request.answer(10_100, 3).map(|reply| reply.a);
    assert_eq!(accuracy(request(None, 0)), Some(None), "it knows no lag yet");
    assert_eq!(accuracy(request(Some(0), 100)), Some(Some(0)));
    assert_eq!(accuracy(request(Some(24), 100)), None);
    assert_eq!(accuracy(request(Some(25), 100)), Some(Some(25)));
    assert_eq!(accuracy(request(Some(75), 0)), Some(Some(-25)));
    assert_eq!(accuracy(request(Some(i64::MAX), i64::MAX)), Some(Some(i64::MAX - 10_100)));
    let reply = request(None, 0).answer(10_100, 3).expect("an answer");
    assert_eq!((reply.tc, reply.ts, reply.p), (10_000, 10_100, 3));
}
