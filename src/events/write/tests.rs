//! Events as JSON: exactly these fields, each where it applies.

use std::sync::Arc;

use super::*;
use crate::{
    bayeux::Refusal,
    config::Transport,
    events::{Auth, Cause, Page, Peer, Sid, TransportKind, Via},
};

fn written(event: &Event, payload: bool) -> String {
    let mut out = Vec::new();
    event.write(payload, &mut out);
    String::from_utf8(out).unwrap()
}

fn event(what: What) -> Event {
    let peer = Peer {
        sid: Some(Sid::from_bytes([0x9c, 0x1f, 2, 0xab, 0x77, 0xd0])),
        ip: Some("203.0.113.0".into()),
        page: Some(Arc::new(Page::new(Some("https://app.example"), Some("a\"\u{1b}b")))),
        rights: None,
    };
    let subject = Subject { peer: Some(Arc::new(peer)), transport: Some(Transport::WebSocket) };
    Event { seq: 7, at: Duration::from_millis(1_500), subject, error: None, what }
}

const HEAD: &str = r#","seq":7,"ts":"1970-01-01T00:00:01.500Z","sid":"9c1f02ab77d0","ip":"203.0.113.0","origin":"https://app.example","ua":"a\"\u001bb","transport":"websocket""#;

#[test]
fn a_subscription_says_who_what_and_whether() {
    let it = Subscribed { channel: "/a/**".into(), pattern: true, total: 4 };
    let granted = event(What::Subscribe(it));
    assert_eq!(
        written(&granted, false),
        format!(
            r#"{{"v":1,"type":"subscribe"{HEAD},"ok":true,"channel":"/a/**","pattern":true,"total":4}}"#
        )
    );
    let refused = Event { error: Some(Refusal::SubscriptionInvalid { reason: "" }), ..granted };
    assert!(
        written(&refused, false).contains(r#""ok":false,"error":"403::subscription_invalid","#)
    );
}

#[test]
fn what_does_not_apply_is_absent() {
    let what = What::Disconnect {
        cause: Cause::Expired,
        age: Duration::from_secs(312),
        delivered: 87,
        discarded: 3,
    };
    let event = Event { subject: Subject::default(), ..event(what) };
    assert_eq!(
        written(&event, false),
        r#"{"v":1,"type":"disconnect","seq":7,"ts":"1970-01-01T00:00:01.500Z","cause":"expired","age_s":312,"delivered":87,"discarded":3}"#
    );
}

#[test]
fn data_is_shown_to_those_who_may_see_it() {
    let publish = event(What::Publish {
        channel: "/a".into(),
        size: 7,
        fanout: 2,
        via: Via::Http,
        data: Some(r#"{"a":1}"#.into()),
    });
    assert!(
        written(&publish, true).ends_with(
            r#""ok":true,"channel":"/a","size":7,"fanout":2,"via":"http","data":{"a":1}}"#
        )
    );
    assert!(!written(&publish, false).contains("data"));
}

#[test]
fn line_breaks_in_data_do_not_end_the_line() {
    let data = "[1,\r\n\n{\"type\":\"disconnect\"}\n]";
    let what = What::Publish {
        channel: "/a".into(),
        size: data.len(),
        fanout: 0,
        via: Via::Bayeux,
        data: Some(data.into()),
    };
    let text = written(&event(what), true);
    assert!(text.ends_with(r#""data":[1,   {"type":"disconnect"} ]}"#), "{text}");
}

#[test]
fn the_other_types_are_json_too() {
    let all = [
        What::Handshake {
            types: ["websocket".into()].into(),
            ext_keys: ["a\"b".into(), "c".into()].into(),
            moved_from: Some(Sid::from_bytes([1; 6])),
            auth: Auth::Key,
        },
        What::Transport {
            kind: TransportKind::Demoted,
            from: Transport::WebSocket,
            to: Transport::LongPolling,
            breaks: Some(3),
            window: Some(Duration::from_secs(60)),
            until: Some(Duration::from_secs(86_400)),
        },
        What::Stats(Box::new(Stats { snapshot: true, in_per_s: 1.25, ..Stats::default() })),
        What::Merged { of: EventType::Publish, count: 9, first_seq: 1 },
        What::Lost { count: 3, from_seq: 1, to_seq: 3 },
        What::Error { status: "json", detail: "line\nbreak".into() },
        What::Limit { limit: "limits.batch", value: 100 },
    ];
    let tails = [
        r#""ok":true,"types":["websocket"],"ext_keys":["a\"b","c"],"moved_from":"010101010101","auth":"key"}"#,
        r#""kind":"demoted","from":"websocket","to":"long-polling","breaks":3,"window_s":60,"until":"1970-01-02T00:00:00.000Z"}"#,
        r#""snapshot":true,"sessions":0,"connects_held":0,"channels":0,"subscriptions":0,"in_per_s":1.2,"out_per_s":0.0,"queue_bytes":0}"#,
        r#""merged":9}"#,
        r#""n":3,"from_seq":1,"to_seq":3}"#,
        r#""status":"json","detail":"line\u000abreak"}"#,
        r#""limit":"limits.batch","value":100}"#,
    ];
    for (what, tail) in all.into_iter().zip(tails) {
        let text = written(&event(what), false);
        assert!(text.ends_with(tail), "{text}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
}

#[test]
fn no_control_character_is_left_in_a_text() {
    let mut out = Vec::new();
    write_text(&mut out, "a\u{7}\u{7f}\u{9b}\u{2028}\"ä");
    assert_eq!(String::from_utf8(out).unwrap(), r#""a\u0007\u007f\u009b\u2028\"ä""#);
}
