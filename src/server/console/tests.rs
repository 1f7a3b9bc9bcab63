//! The files as a browser gets them, and the policy that comes with them.

use std::collections::BTreeSet;

use super::*;

fn console(bayeux: &[&str]) -> Console {
    let addresses = bayeux.iter().map(|address| address.parse().unwrap()).collect();
    Console::new(addresses, "/cometd".into())
}

fn ask(console: &Console, path: &str, fields: &[(HeaderName, &str)]) -> Response<Full<Bytes>> {
    let fields =
        fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
    console.respond(&Method::GET, path, &fields.collect()).expect(path)
}

fn policy_of(response: &Response<Full<Bytes>>) -> &str {
    response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap()
}

#[test]
fn every_file_of_the_folder_is_served_and_no_other() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/console");
    let names = std::fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let on_disk: BTreeSet<String> = names.filter(|name| name != "tests.rs").collect();
    let served = FILES.iter().map(|(path, _)| match *path {
        "/" => "index.html".to_owned(),
        path => path.strip_prefix("/console/").unwrap().to_owned(),
    });
    assert_eq!(served.collect::<BTreeSet<_>>(), on_disk);
    assert!(console(&[]).respond(&Method::GET, "/console/", &HeaderMap::new()).is_none());
}

#[test]
fn no_file_needs_more_than_the_policy_allows() {
    for (path, text) in FILES {
        for banned in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " style=",
            "//cdn",
            "https://",
        ] {
            assert!(!text.contains(banned), "{path} has {banned}");
        }
        assert!(text.lines().count() < 300, "{path} is long");
    }
    let (_, page) = FILES[0];
    assert_eq!(
        page.matches("<script").count(),
        page.matches("<script type=\"module\" src=").count()
    );
    assert!(!page.contains("<style"));
}

#[test]
fn a_known_file_is_not_sent_again() {
    let console = console(&["127.0.0.1:8080"]);
    let first = ask(&console, "/console/main.js", &[]);
    assert_eq!(first.status(), 200);
    assert_eq!(first.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
    let tag = first.headers()[ETAG].to_str().unwrap();
    for known in [tag.to_owned(), format!("\"x\", W/{tag}")] {
        let again = ask(&console, "/console/main.js", &[(IF_NONE_MATCH, &known)]);
        assert_eq!(again.status(), 304, "{known}");
        assert_eq!(policy_of(&again), policy_of(&first));
    }
    assert_eq!(ask(&console, "/console/main.js", &[(IF_NONE_MATCH, "\"other\"")]).status(), 200);
}

#[test]
fn the_policy_names_where_clients_connect_and_nothing_a_host_can_add() {
    let connect = |bayeux: &[&str], host: &str| {
        let response = ask(&console(bayeux), "/", &[(HOST, host)]);
        let policy = policy_of(&response).to_owned();
        let (_, rest) = policy.split_once("connect-src 'self'").unwrap();
        rest.split(';').next().unwrap().trim().to_owned()
    };
    let near = "http://127.0.0.1:8080 ws://127.0.0.1:8080";
    let own = "ws://localhost:8081 wss://localhost:8081";
    assert_eq!(connect(&["127.0.0.1:8080"], "localhost:8081"), format!("{own} {near}"));
    assert_eq!(connect(&["[::1]:80"], "[::1]:8081"), "http://localhost:80 ws://localhost:80");
    let own = "ws://push.example.com:8081 wss://push.example.com:8081";
    let named = format!("{own} http://push.example.com:80 ws://push.example.com:80");
    for listen in ["0.0.0.0:80", "[::]:80", "[2001:db8::1]:80"] {
        assert_eq!(connect(&[listen], "push.example.com:8081"), named, "{listen}");
    }
    for host in ["a b:1", "a;script-src *", "a'b", "", "[::1]:8081", "x,y"] {
        assert_eq!(connect(&["0.0.0.0:80"], host), "", "{host}");
    }
}

#[test]
fn only_reading_works() {
    let console = console(&[]);
    for path in ["/", "/console/addresses.json"] {
        let answer = console.respond(&Method::POST, path, &HeaderMap::new()).unwrap();
        assert_eq!(answer.status(), 405, "{path}");
        assert_eq!(answer.headers()[ALLOW], "GET, HEAD");
        assert!(answer.headers().contains_key(CONTENT_SECURITY_POLICY));
        assert_eq!(console.respond(&Method::HEAD, path, &HeaderMap::new()).unwrap().status(), 200);
    }
    assert!(console.respond(&Method::POST, "/admin/v1/stats", &HeaderMap::new()).is_none());
}
