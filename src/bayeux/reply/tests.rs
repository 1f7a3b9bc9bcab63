//! Replies and advice, letter by letter.

use super::*;

fn written(reply: Reply<'_>) -> String {
    let mut out = Vec::new();
    reply.write(&mut out);
    String::from_utf8(out).unwrap()
}

const RETRY: Advice = Advice {
    reconnect: Reconnect::Retry,
    interval: Some(Duration::ZERO),
    timeout: Some(Duration::from_secs(45)),
    max_interval: None,
    multiple_clients: false,
};

#[test]
fn p015_a_handshake_reply_has_all_its_fields() {
    let reply = Reply {
        channel: Some("/meta/handshake"),
        id: Some("1"),
        successful: true,
        advice: Some(RETRY),
        handshake: Some(HandshakeFields {
            client_id: "1f6krxl2m6fm3eeqr640008yk",
            connection_types: &["websocket", "long-polling"],
            messages: None,
        }),
        ..Reply::default()
    };
    assert_eq!(
        written(reply),
        "{\"channel\":\"/meta/handshake\",\"id\":\"1\",\"successful\":true,\"version\":\"1.0\",\
         \"minimumVersion\":\"1.0\",\"clientId\":\"1f6krxl2m6fm3eeqr640008yk\",\
         \"supportedConnectionTypes\":[\"websocket\",\"long-polling\"],\
         \"advice\":{\"reconnect\":\"retry\",\"interval\":0,\"timeout\":45000}}"
    );
}

#[test]
fn p037_an_unknown_session_is_told_to_handshake() {
    let advice = Advice { reconnect: Reconnect::Handshake, timeout: None, ..RETRY };
    let reply = Reply {
        channel: Some("/meta/connect"),
        id: Some("30"),
        error: Some(Refusal::SessionUnknown),
        advice: Some(advice),
        ..Reply::default()
    };
    assert_eq!(
        written(reply),
        "{\"channel\":\"/meta/connect\",\"id\":\"30\",\"successful\":false,\
         \"error\":\"402::session_unknown\",\"advice\":{\"reconnect\":\"handshake\",\"interval\":0}}"
    );
}

#[test]
fn p003_without_an_id_the_reply_has_none() {
    let reply = Reply { channel: Some("/foo"), successful: true, ..Reply::default() };
    assert_eq!(written(reply), "{\"channel\":\"/foo\",\"successful\":true}");
    assert_eq!(written(Reply::default()), "{\"successful\":false}");
}

#[test]
fn p066_the_subscription_is_echoed_on_one_line() {
    let raw: &RawValue = serde_json::from_str("[\"/a\",\r\n \"/\\u0062\"]").unwrap();
    let reply = Reply {
        successful: true,
        subscription: Some(raw),
        error: Some(Refusal::SubscribeDenied { reason: "subscription_limit" }),
        ..Reply::default()
    };
    assert_eq!(
        written(reply),
        "{\"successful\":true,\"error\":\"403:subscription_limit:subscribe_denied\",\
         \"subscription\":[\"/a\",   \"/\\u0062\"]}"
    );
}

#[test]
fn what_the_client_sent_is_escaped() {
    let reply = Reply { channel: Some("\"\n\u{2028}"), id: Some("\\"), ..Reply::default() };
    assert_eq!(
        written(reply),
        "{\"channel\":\"\\\"\\u000a\u{2028}\",\"id\":\"\\\\\",\"successful\":false}"
    );
}

#[test]
fn p075_advice_names_multiple_clients_only_if_so() {
    let mut out = Vec::new();
    let advice = Advice {
        interval: Some(Duration::from_millis(2000)),
        timeout: None,
        max_interval: Some(Duration::from_secs(60)),
        multiple_clients: true,
        reconnect: Reconnect::None,
    };
    advice.write(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{\"reconnect\":\"none\",\"interval\":2000,\"maxInterval\":60000,\"multiple-clients\":true}"
    );
}
