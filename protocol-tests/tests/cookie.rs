//! The browser cookie: protocol.md 23, 75–77 and 87–90, 110; reliability.md T9.

use std::time::Duration;

use bayeuxd::config::{Auto, SameSite};
use protocol_tests::{
    bayeux::{
        Polling, Socket, connect, connect_now, connected, delivery, disconnect, handshake, publish,
        published, refused, stamp, subscribe, unknown_connect,
    },
    broker::Broker,
    http::{self, Connection, Request, Response, post},
    websocket::{WebSocket, upgrade_request},
};
use serde_json::{Value, json};

async fn handshake_with_cookie(broker: &Broker, cookie: &str) -> Response {
    let body = json!([handshake()]).to_string();
    let request = Request::post("/cometd", body).header("Cookie", cookie);
    http::request(broker.address, &request).await
}

/// A second session of the browser that `first` is in.
async fn second_tab(broker: &Broker, first: &Polling) -> Polling {
    let mut tab = Polling::connected(broker.address).await;
    let cookie = first.cookie.clone().expect("a cookie");
    let response = handshake_with_cookie(broker, &cookie).await;
    tab.client_id = response.messages()[0]["clientId"].as_str().expect("a clientId").to_owned();
    tab.cookie = Some(cookie);
    tab.one(connect_now("2")).await;
    tab
}

#[tokio::test]
async fn p075_a_second_tab_is_answered_at_once_while_the_first_holds() {
    let broker = Broker::start().await;
    let first = Polling::connected(broker.address).await;
    let mut tab = second_tab(&broker, &first).await;
    let mut held = first.hold("3").await;
    let expected = json!({"channel": "/meta/connect", "id": "10", "successful": true,
        "advice": {"multiple-clients": true, "reconnect": "retry", "interval": 2000,
            "timeout": 45_000}});
    assert_eq!(tab.one(connect("10")).await, expected);
    held.connection.quiet().await;
}

#[tokio::test]
async fn p075_neither_websockets_nor_requests_without_cookie_count() {
    let broker = Broker::start().await;
    let first = Polling::connected(broker.address).await;
    let _held = first.hold("3").await;
    let mut without = Polling::connected(broker.address).await;
    without.cookie = None;
    let _held_too = without.hold("3").await;
    let cookie = first.cookie.as_deref().expect("a cookie");
    let request = upgrade_request("/cometd").header("Cookie", cookie);
    let websocket = WebSocket::open_with(broker.address, &request).await;
    let mut socket = Socket { websocket, client_id: String::new() };
    socket.renew().await;
    socket.one(connect_now("2")).await;
    socket.send(json!([connect("3")])).await;
    socket.websocket.quiet().await;
}

#[tokio::test]
async fn p075_connects_over_http2_before_a_trusted_proxy_have_a_limit_of_their_own() {
    let broker = Broker::with(|config| {
        config.server.trusted_proxies = vec!["127.0.0.1".into()];
        config.session.http2_max_per_browser = Some(1);
    })
    .await;
    let first = Polling::connected(broker.address).await;
    let mut tab = second_tab(&broker, &first).await;
    let third = second_tab(&broker, &first).await;
    let _held = first.hold("3").await;
    let over_http2 = |of: &Polling, id| {
        let mut messages = json!([connect(id)]);
        stamp(&mut messages, &of.client_id);
        let cookie = of.cookie.as_deref().expect("a cookie");
        let request = Request::post("/cometd", messages.to_string());
        request.header("Cookie", cookie).header("Via", "2.0 edge")
    };
    let mut held_too = Connection::open(broker.address).await;
    held_too.send(over_http2(&tab, "4").bytes()).await;
    held_too.quiet().await;
    let told = http::request(broker.address, &over_http2(&third, "5")).await;
    assert_eq!(told.messages()[0]["advice"]["multiple-clients"], true);
    assert_eq!(tab.one(connect("6")).await["advice"]["multiple-clients"], true, "HTTP/1.1");
}

#[tokio::test]
async fn p076_without_an_interval_a_second_tab_is_told_to_stay_away() {
    let broker =
        Broker::with(|config| config.session.multi_session_interval = Duration::ZERO).await;
    let first = Polling::connected(broker.address).await;
    let mut tab = second_tab(&broker, &first).await;
    let _held = first.hold("3").await;
    let expected = json!({"channel": "/meta/connect", "id": "10", "successful": false,
        "advice": {"multiple-clients": true, "reconnect": "none"}});
    assert_eq!(tab.one(connect("10")).await, expected);
}

#[tokio::test]
async fn p076_a_limit_of_0_never_holds_and_none_always() {
    let broker = Broker::with(|config| config.session.max_per_browser = Some(0)).await;
    let mut only = Polling::connected(broker.address).await;
    assert_eq!(only.one(connect("3")).await["advice"]["multiple-clients"], true);
    let broker = Broker::with(|config| config.session.max_per_browser = None).await;
    let first = Polling::connected(broker.address).await;
    let tab = second_tab(&broker, &first).await;
    let _held = first.hold("3").await;
    tab.hold("3").await;
}

#[tokio::test]
async fn p077_the_next_ordinary_reply_restores_the_advice() {
    let broker = Broker::start().await;
    let mut first = Polling::connected(broker.address).await;
    let mut tab = second_tab(&broker, &first).await;
    let _held = first.hold("3").await;
    assert_eq!(tab.one(connect("3")).await["advice"]["interval"], 2000);
    first.one(disconnect("4")).await;
    let mut held = tab.hold("4").await;
    tab.subscribe("/a").await;
    Polling::connected(broker.address).await.publish("/a", 1).await;
    assert_eq!(held.messages().await, [delivery("/a", 1), connected("4", 45_000)]);
}

#[tokio::test]
async fn p087_the_cookie_and_its_attributes() {
    let broker = Broker::start().await;
    let response = post(broker.address, &json!([handshake()])).await;
    let line = response.header("set-cookie").expect("a cookie");
    let mut parts = line.split("; ");
    let value = parts.next().and_then(|pair| pair.strip_prefix("BAYEUX_BROWSER="));
    assert!(value.is_some_and(|value| value.len() >= 22), "at least 128 bits: {line}");
    let mut attributes: Vec<&str> = parts.collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Lax"], "plain HTTP: not Secure");
}

#[tokio::test]
async fn p087_the_attributes_follow_the_configuration() {
    let broker = Broker::with(|config| {
        let cookie = &mut config.session.browser_cookie;
        cookie.name = "OWN".into();
        cookie.same_site = SameSite::Strict;
        cookie.secure = Auto::On;
        cookie.domain = "example.com".into();
        cookie.path = "/cometd".into();
        cookie.max_age = Some(Duration::from_secs(60));
    })
    .await;
    let response = post(broker.address, &json!([handshake()])).await;
    let line = response.header("set-cookie").expect("a cookie");
    assert!(line.starts_with("OWN="), "{line}");
    for attribute in [
        "HttpOnly",
        "Path=/cometd",
        "SameSite=Strict",
        "Secure",
        "Domain=example.com",
        "Max-Age=60",
    ] {
        assert!(line.split("; ").any(|part| part == attribute), "{attribute} in {line}");
    }
}

#[tokio::test]
async fn p087_a_good_cookie_is_not_sent_again() {
    let broker = Broker::start().await;
    let session = Polling::handshake(broker.address).await;
    let response =
        handshake_with_cookie(&broker, session.cookie.as_deref().expect("a cookie")).await;
    assert_eq!(response.header("set-cookie"), None);
    let mut session = session;
    let response = session.post(connect_now("2")).await;
    assert_eq!(response.header("set-cookie"), None, "only handshakes set it");
}

#[tokio::test]
async fn p087_a_foreign_cookie_is_replaced() {
    let broker = Broker::start().await;
    let other = Broker::start().await;
    let stolen = Polling::handshake(other.address).await.cookie.expect("a cookie");
    for planted in ["BAYEUX_BROWSER=planted", "BAYEUX_BROWSER=", &stolen] {
        let response = handshake_with_cookie(&broker, planted).await;
        assert_ne!(response.cookie(), planted);
    }
}

#[tokio::test]
async fn p087_a_websocket_gets_its_cookie_with_the_101() {
    let broker = Broker::start().await;
    let websocket = WebSocket::open(broker.address).await;
    let cookie = websocket.response.cookie();
    assert!(cookie.starts_with("BAYEUX_BROWSER_WS="), "{cookie}");
    let request = upgrade_request("/cometd").header("Cookie", &cookie);
    let websocket = WebSocket::open_with(broker.address, &request).await;
    assert_eq!(websocket.response.header("set-cookie"), None);
}

#[tokio::test]
async fn p088_another_browsers_cookie_is_refused() {
    let broker = Broker::start().await;
    let mut victim = Polling::subscribed(broker.address, "/a").await;
    let cookie = Polling::handshake(broker.address).await.cookie;
    let own = std::mem::replace(&mut victim.cookie, cookie);
    let error = "402::session_unknown";
    assert_eq!(victim.one(connect_now("3")).await, unknown_connect("3"));
    assert_eq!(victim.one(publish("4", "/a", 1)).await, refused("4", "/a", error));
    assert_eq!(victim.one(disconnect("5")).await, refused("5", "/meta/disconnect", error));
    victim.cookie = own;
    assert_eq!(victim.one(connect_now("6")).await, connected("6", 45_000), "unharmed");
}

#[tokio::test]
async fn p088_a_planted_cookie_is_refused_and_none_is_accepted() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    session.cookie = Some("BAYEUX_BROWSER=planted".into());
    assert_eq!(session.one(connect_now("3")).await, unknown_connect("3"));
    session.cookie = None;
    assert_eq!(session.one(connect_now("4")).await, connected("4", 45_000));
}

#[tokio::test]
async fn p088_one_matching_cookie_of_several_suffices() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let good = session.cookie.clone().expect("a cookie");
    let other = Polling::handshake(broker.address).await.cookie.expect("a cookie");
    session.cookie = Some(format!("x=1; {other}; {good}; y=2"));
    assert_eq!(session.one(connect_now("3")).await, connected("3", 45_000));
}

#[tokio::test]
async fn p088_a_required_cookie_must_be_there_over_http() {
    let broker = Broker::with(|config| config.session.browser_cookie.require = true).await;
    let mut session = Polling::connected(broker.address).await;
    let cookie = session.cookie.take();
    assert_eq!(session.one(connect_now("3")).await, unknown_connect("3"));
    session.cookie = cookie;
    assert_eq!(session.one(connect_now("4")).await, connected("4", 45_000));
    let mut socket = Socket::adopt(broker.address, &session.client_id).await;
    assert_eq!(socket.one(connect_now("5")).await, connected("5", 45_000), "not over WebSocket");
}

#[tokio::test]
async fn p089_the_first_message_names_the_session_of_all() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let mut other = Polling::subscribed(broker.address, "/a").await;
    let error = "402::session_unknown";
    let mut foreign = publish("4", "/a", 1);
    foreign["clientId"] = other.client_id.as_str().into();
    let batch = json!([publish("3", "/b", 1), foreign, publish("5", "/c", 1)]);
    let replies = session.send(batch).await;
    assert_eq!(replies, [published("3", "/b"), refused("4", "/a", error), published("5", "/c")]);
    assert_eq!(other.fetch().await.len(), 1, "nothing was published in its name");
}

#[tokio::test]
async fn p089_an_unknown_first_message_spoils_the_rest() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let mut unknown = publish("3", "/a", 1);
    unknown["clientId"] = "0123456789abcdef0123456789abcdef".into();
    let replies = session.send(json!([unknown, publish("4", "/b", 1), connect_now("5")])).await;
    let error = "402::session_unknown";
    let expected = [refused("3", "/a", error), refused("4", "/b", error), unknown_connect("5")];
    assert_eq!(replies, expected);
}

#[tokio::test]
async fn p089_a_missing_client_id_is_refused_even_with_a_good_cookie() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let mut message = publish("3", "/a", 1);
    message["clientId"] = Value::Null;
    assert_eq!(session.one(message).await, refused("3", "/a", "402::session_unknown"));
}

#[tokio::test]
async fn p090_a_cookie_counts_on_every_transport() {
    let broker = Broker::with_jsonp(20_000).await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let cookie = session.cookie.as_deref().expect("a cookie");
    let message = json!({"id": "3", "channel": "/meta/connect", "clientId": session.client_id,
        "advice": {"timeout": 0}});
    let encoded: String = message.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
    let get = Request::get(&format!("/cometd?jsonp=cb&message={encoded}"))
        .header("Sec-Fetch-Site", "same-origin")
        .header("Cookie", cookie);
    let response = http::request(broker.address, &get).await;
    assert!(response.text().contains("\"successful\":true"), "{}", response.text());
    let upgrade = upgrade_request("/cometd").header("Cookie", cookie);
    let websocket = WebSocket::open_with(broker.address, &upgrade).await;
    let mut socket = Socket { websocket, client_id: session.client_id.clone() };
    assert_eq!(socket.one(connect_now("4")).await, connected("4", 20_000));
}

#[tokio::test]
async fn p110_the_cookie_of_the_upgrade_binds_the_session() {
    let broker = Broker::start().await;
    let websocket = WebSocket::open(broker.address).await;
    let own = websocket.response.cookie();
    let mut socket = Socket { websocket, client_id: String::new() };
    socket.renew().await;
    let mut poller = Polling::connected(broker.address).await;
    let foreign = poller.cookie.replace(own);
    poller.client_id = socket.client_id.clone();
    assert_eq!(poller.one(connect_now("3")).await, connected("3", 45_000));
    poller.cookie = foreign;
    assert_eq!(poller.one(connect_now("4")).await, unknown_connect("4"));
}

#[tokio::test]
async fn p110_a_socket_with_a_foreign_cookie_adopts_nothing() {
    let broker = Broker::start().await;
    let victim = Polling::subscribed(broker.address, "/a").await;
    let foreign = Polling::handshake(broker.address).await.cookie.expect("a cookie");
    let upgrade = upgrade_request("/cometd").header("Cookie", &foreign);
    let websocket = WebSocket::open_with(broker.address, &upgrade).await;
    let mut thief = Socket { websocket, client_id: victim.client_id.clone() };
    assert_eq!(thief.one(connect_now("3")).await, unknown_connect("3"));
    let error = "402::session_unknown";
    let mut expected = refused("4", "/meta/subscribe", error);
    expected["subscription"] = "/b".into();
    assert_eq!(thief.one(subscribe("4", "/b")).await, expected);
    let mut victim = victim;
    assert_eq!(victim.publish("/a", 1).await, [delivery("/a", 1), published("p", "/a")]);
}
