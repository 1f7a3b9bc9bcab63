//! The files of the console: operations.md 6, docs/console.md.

use protocol_tests::{
    broker::Broker,
    http::{Request, request},
    operator::{asking, broker, broker_with},
};

/// What the page may load, but for where clients connect.
const POLICY: [&str; 9] = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
];

#[tokio::test]
async fn the_console_comes_with_a_strict_policy_and_without_a_key() {
    let broker = broker().await;
    let at = broker.address;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/console/main.js", "text/javascript; charset=utf-8"),
        ("/console/style.css", "text/css; charset=utf-8"),
        ("/console/addresses.json", "application/json"),
    ] {
        let response = request(broker.admin, &Request::new("GET", path)).await;
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.header("content-type"), Some(kind));
        let policy = response.header("content-security-policy").unwrap();
        let mut rules: Vec<&str> = policy.split("; ").collect();
        let connect =
            format!("connect-src 'self' ws://localhost wss://localhost http://{at} ws://{at}");
        let position = rules.iter().position(|rule| **rule == *connect).expect(policy);
        rules.remove(position);
        assert_eq!(rules, POLICY, "{path}");
        for (field, value) in [
            ("cache-control", "no-cache"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(response.header(field), Some(value), "{path}");
        }
        assert_eq!(response.header("set-cookie"), None);
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_again() {
    let broker = broker().await;
    let asked = Request::new("GET", "/console/main.js");
    let first = request(broker.admin, &asked).await;
    let tag = first.header("etag").unwrap();
    let again = request(broker.admin, &asked.header("If-None-Match", tag)).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("content-security-policy"), first.header("content-security-policy"));
}

#[tokio::test]
async fn the_console_is_read_only_and_stays_on_this_machine() {
    let broker = broker().await;
    for method in ["POST", "PUT", "DELETE"] {
        let refused = request(broker.admin, &Request::new(method, "/")).await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    }
    for path in ["/", "/console/addresses.json"] {
        let foreign = Request::bare("GET", path).header("Host", "evil.com");
        assert_eq!(request(broker.admin, &foreign).await.status, 421, "{path}");
    }
    for path in
        ["/console", "/console/", "/console/../Cargo.toml", "/console/tests.rs", "/index.html"]
    {
        assert_eq!(request(broker.admin, &Request::new("GET", path)).await.status, 404, "{path}");
    }
    let main = request(broker.address, &Request::new("GET", "/console/main.js")).await;
    assert_eq!(main.status, 404, "the main listener has no console");
}

#[tokio::test]
async fn without_the_console_the_admin_api_works() {
    let broker: Broker = broker_with(|config| config.admin.console = false).await;
    for path in ["/", "/console/main.js", "/console/addresses.json"] {
        assert_eq!(request(broker.admin, &Request::new("GET", path)).await.status, 404, "{path}");
    }
    assert_eq!(request(broker.admin, &asking("GET", "/stats")).await.status, 200);
}
