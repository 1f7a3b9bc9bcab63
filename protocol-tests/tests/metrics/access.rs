//! Who may read the page.

use bayeuxd::{
    auth::Digest,
    config::{ApiKey, OpenMetrics, Role},
};
use protocol_tests::{
    broker::Broker,
    http::{Request, Response, request},
    metrics::Scrape,
};

fn key(secret: &str, role: Role, channels: &[&str]) -> ApiKey {
    ApiKey {
        id: secret.into(),
        secret_sha256: Some(Digest::of(secret.as_bytes()).to_string()),
        role,
        channels: channels.iter().map(|channel| (*channel).to_owned()).collect(),
        ..ApiKey::default()
    }
}

async fn opened(open: OpenMetrics) -> Broker {
    Broker::with(|config| {
        config.metrics.open = open;
        config.auth.keys = vec![
            key("secret-of-a-monitor", Role::Monitor, &[]),
            key("secret-of-an-admin", Role::Admin, &[]),
            key("secret-of-a-publisher", Role::Publish, &["/**"]),
        ];
    })
    .await
}

async fn get(broker: &Broker, secret: Option<&str>) -> Response {
    let get = Request::get("/metrics");
    let get = secret
        .iter()
        .fold(get, |get, secret| get.header("Authorization", &format!("Bearer {secret}")));
    request(broker.admin, &get).await
}

#[tokio::test]
async fn on_loopback_everybody_reads_it_in_the_text_format() {
    let broker = Broker::start().await;
    let page = get(&broker, None).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(Scrape::read(page.text()).families.len() > 40, "{}", page.text());
    let post = request(broker.admin, &Request::post("/metrics", "")).await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn a_page_with_another_name_for_this_machine_reads_nothing() {
    let broker = opened(OpenMetrics::Always).await;
    let get = Request::get("/metrics").without("Host").header("Host", "evil.example");
    assert_eq!(request(broker.admin, &get).await.status, 421);
}

#[tokio::test]
async fn elsewhere_a_key_of_a_monitor_or_an_admin_is_needed() {
    let broker = opened(OpenMetrics::Never).await;
    for (secret, status) in [
        (None, 401),
        (Some("no-key-of-this-broker"), 401),
        (Some("secret-of-a-publisher"), 403),
        (Some("secret-of-a-monitor"), 200),
        (Some("secret-of-an-admin"), 200),
    ] {
        let response = get(&broker, secret).await;
        assert_eq!(response.status, status, "{secret:?}");
        let challenge = response.header("www-authenticate");
        assert_eq!(challenge.is_some(), status == 401, "{secret:?}: {challenge:?}");
        assert_eq!(response.text().contains("bayeuxd_"), status == 200, "{secret:?}");
    }
    let with_header = Request::get("/metrics").header("X-API-Key", "secret-of-a-monitor");
    let page = request(broker.admin, &with_header).await;
    let scrape = Scrape::read(page.text());
    assert_eq!(scrape.value("denied_total{op=\"admin\",reason=\"key\"}"), 3.0);
}

#[tokio::test]
async fn health_is_where_it_was() {
    let broker = opened(OpenMetrics::Never).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(request(broker.admin, &Request::get(path)).await.status, 200, "{path}");
    }
    let elsewhere = request(broker.admin, &Request::get("/metrics/")).await;
    assert_eq!(elsewhere.status, 404);
    assert!(elsewhere.text().contains("/metrics"), "{elsewhere:?}");
}
