//! Sources, their order, and the errors that an operator reads.

use std::path::Path;

use super::*;

fn load(file: &str) -> Result<Loaded, Vec<String>> {
    load_all(file, &[], &[])
}

fn load_all(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Loaded, Vec<String>> {
    let mut loader = Loader::new();
    loader.file(Path::new("bayeuxd.toml"), file);
    loader.environment(environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    for (key, value) in flags {
        loader.flag("--set", key, value);
    }
    loader.finish().map_err(|problems| problems.iter().map(Problem::to_string).collect())
}

fn error(file: &str) -> String {
    load(file).expect_err("a problem").join("\n")
}

fn told(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(Warning::to_string).collect()
}

#[test]
fn a_variable_with_too_few_underscores_is_warned_of() {
    let environment =
        [("BAYEUXD_SESSION_MAX_INTERVAL", "2s"), ("BAYEUXD_SERVICE_HOST", "10.0.0.1")];
    let warnings = load_all("", &environment, &[]).unwrap().warnings;
    assert_eq!(
        told(&warnings),
        ["environment BAYEUXD_SESSION_MAX_INTERVAL: not read; did you mean \
          BAYEUXD_SESSION__MAX_INTERVAL?"]
    );
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(load("").unwrap().config, Config::default());
}

#[test]
fn later_sources_win() {
    let file = "[session]\ntimeout = \"1s\"\ninterval = \"1s\"\nmax_interval = \"9s\"";
    let environment = [("BAYEUXD_SESSION__TIMEOUT", "2s"), ("BAYEUXD_SESSION__INTERVAL", "2s")];
    let loaded = load_all(file, &environment, &[("session.timeout", "3s")]).unwrap();
    assert_eq!(loaded.config.session.timeout, Duration::from_secs(3));
    assert_eq!(loaded.config.session.interval, Duration::from_secs(2));
    assert_eq!(loaded.config.session.max_interval, Duration::from_secs(9));
    assert_eq!(loaded.origin("session.timeout").to_string(), "--set");
    assert_eq!(
        loaded.origin("session.interval").to_string(),
        "environment BAYEUXD_SESSION__INTERVAL"
    );
    assert_eq!(loaded.origin("session.max_interval").to_string(), "bayeuxd.toml:4");
    assert_eq!(loaded.origin("log.level"), Origin::Default);
}

#[test]
fn variables_and_flags_hold_toml_or_bare_text() {
    let environment = [
        ("BAYEUXD_SERVER__LISTEN", "127.0.0.1:9000"),
        ("BAYEUXD_SERVER__ALLOWED_ORIGINS", r#"["http://localhost:3000"]"#),
        ("BAYEUXD_LIMITS__SESSIONS", "50"),
        ("BAYEUXD_SESSION__BROWSER_COOKIE__NAME", "123"),
        ("BAYEUXD_SERVICE_HOST", "10.0.0.1"),
        ("PATH", "/bin"),
    ];
    let rules = r#"[{match = "/a/**", queue_policy = "latest"}]"#;
    let config = load_all("", &environment, &[("channels", rules)]).unwrap().config;
    assert_eq!(config.server.listen, ["127.0.0.1:9000".parse().unwrap()]);
    assert_eq!(config.server.allowed_origins, ["http://localhost:3000"]);
    assert_eq!(config.limits.sessions, 50);
    assert_eq!(config.session.browser_cookie.name, "123");
    assert_eq!(config.channels[0].queue_policy, Some(QueuePolicy::Latest));
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest() {
    assert_eq!(
        error("[session]\n\ntimout = \"45s\"\n"),
        "bayeuxd.toml:3: unknown key session.timout; did you mean session.timeout?"
    );
    assert_eq!(
        error("[sesion]\ntimeout = \"45s\"\n"),
        "bayeuxd.toml:1: unknown key sesion; did you mean session?"
    );
    assert_eq!(
        error("[[channels]]\nmatch = \"/a\"\nqueue-policy = \"latest\"\n"),
        "bayeuxd.toml:3: unknown key channels[0].queue-policy; did you mean \
         channels[0].queue_policy?"
    );
    let problems = load_all("", &[("BAYEUXD_SESSION__MAXINTERVAL", "1s")], &[("colour", "red")]);
    assert_eq!(
        problems.expect_err("two problems"),
        [
            "environment BAYEUXD_SESSION__MAXINTERVAL: unknown key session.maxinterval; did you \
             mean session.max_interval?",
            "--set: unknown key colour",
        ]
    );
}

#[test]
fn a_wrong_value_is_named_with_the_allowed_ones() {
    assert_eq!(
        error("[session]\ntimeout = 45\n"),
        "bayeuxd.toml:2: session.timeout = 45: expected a duration from \"100ms\" to \"1h\" \
         (units ms, s, m, h)"
    );
    assert_eq!(
        error("log.format = \"xml\""),
        "bayeuxd.toml:1: log.format = \"xml\": expected \"auto\", \"text\" or \"json\""
    );
    assert_eq!(
        error("session = 3"),
        "bayeuxd.toml:1: session = 3: expected a section, written as [session]"
    );
    assert_eq!(
        error("[[channels]]\nqueue_policy = \"latest\""),
        "bayeuxd.toml:1: channels[0].match is missing; it says which channels the entry is for"
    );
}

#[test]
fn values_of_odd_size_and_shape_are_wrong_values() {
    let huge = error("limits.batch = 99999999999999999999");
    assert!(huge.starts_with("bayeuxd.toml:1: limits.batch = 99999999999999999999: "), "{huge}");
    let list = error("limits.batch = [\n  1,\n  2,\n]");
    assert!(list.starts_with("bayeuxd.toml:1: limits.batch = [ 1, 2, ]: "), "{list}");
    let long = error(&format!("log.level = \"{}\"", "é".repeat(500)));
    assert!(long.contains("éé…: expected "), "{long}");
    let rules = load_all("", &[("BAYEUXD_CHANNELS", "/a/**")], &[]).expect_err("no list");
    assert!(rules[0].starts_with("environment BAYEUXD_CHANNELS: channels = /a/**: "), "{rules:?}");
}

#[test]
fn sections_may_be_inline_or_dotted() {
    let config = load("limits = { batch = 7 }\nsession.queue.max_messages = 8").unwrap().config;
    assert_eq!((config.limits.batch, config.session.queue.max_messages), (7, 8));
}

#[test]
fn zero_is_refused_in_limits_and_unlimited_says_it() {
    let zeros = settings::settings()
        .iter()
        .filter(|setting| setting.key.starts_with("limits."))
        .filter(|setting| {
            ["0", "\"0s\"", "\"0B\""]
                .iter()
                .any(|zero| setting.read(&mut Config::default(), &zero.parse().unwrap()))
        })
        .map(|setting| setting.key)
        .collect::<Vec<_>>();
    assert_eq!(zeros, Vec::<&str>::new());
    let limits = load("[limits]\nsessions = \"unlimited\"").unwrap().config.limits;
    assert_eq!(limits.sessions, UNLIMITED);
}

#[test]
fn all_mistakes_are_reported_together() {
    let file = "[session]\ntimeout = 1\n[limits]\nbatch = 0\n[log]\nlevl = \"info\"";
    assert_eq!(load(file).expect_err("three problems").len(), 3);
}

#[test]
fn text_that_is_no_toml_is_reported_with_its_line() {
    let text = error("[session]\ntimeout = = 3\n");
    assert!(text.starts_with("bayeuxd.toml:2: "), "{text}");
    let twice = error("[log]\nlevel = \"info\"\nlevel = \"warn\"");
    assert!(twice.starts_with("bayeuxd.toml:3: duplicate key"), "{twice}");
}

#[test]
fn a_public_listener_wants_auth_anonymous() {
    let text = error("[server]\nlisten = \"0.0.0.0:8080\"");
    assert!(text.starts_with("bayeuxd.toml:2: server.listen = [\"0.0.0.0:8080\"]: "), "{text}");
    assert!(text.contains("auth.anonymous"), "{text}");
    let public = "server.listen = \"0.0.0.0:8080\"\nauth.anonymous = true";
    let warnings = told(&load(public).unwrap().warnings);
    assert!(warnings.len() == 1 && warnings[0].contains("DNS rebinding"), "{warnings:?}");
    let listed = format!("{public}\nserver.allowed_origins = \"https://app.example\"");
    assert_eq!(load(&listed).unwrap().warnings, []);
    load("server.listen = [\"127.0.0.2:80\", \"[::1]:80\"]").unwrap();
}

#[test]
fn the_admin_listener_leaves_loopback_with_a_key_only_and_stays_apart() {
    let public = "admin.listen = \"0.0.0.0:8081\"";
    assert!(error(public).contains("admin.listen"));
    let key = format!("[[auth.keys]]\nid = \"a\"\nsecret_sha256 = \"{}\"\n", "0".repeat(64));
    let publisher = format!("{public}\n{key}role = \"publish\"\nchannels = [\"/**\"]");
    assert!(error(&publisher).contains("bayeuxd key gen"));
    assert!(load(&format!("{public}\n{key}role = \"admin\"")).is_ok());
    assert!(error("admin.listen = \"127.0.0.1:8080\"").contains("another port"));
    assert_eq!(load("admin.listen = \"\"").unwrap().config.admin.listen, None);
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    assert!(error("session.interval = \"60s\"").contains("session.max_interval"));
    let cookie = "[session.browser_cookie]\nsame_site = \"none\"\nsecure = false";
    assert!(error(cookie).contains("Secure"));
}

#[test]
fn paths_that_hide_the_publish_api_are_refused() {
    for path in ["/api", "/api/v1", "/api/v1/batch", "/openapi.json"] {
        let file = format!("server.paths = [\"/cometd\", \"{path}\"]");
        assert!(error(&file).contains("api.enabled = false"), "{path}");
        assert!(load(&format!("{file}\napi.enabled = false")).is_ok(), "{path}");
    }
    for path in ["/api2", "/apis", "/api/v2", "/openapi", "/a/api/v1"] {
        assert!(load(&format!("server.paths = \"{path}\"")).is_ok(), "{path}");
    }
}

#[test]
fn a_monitoring_prefix_leaves_room_for_the_names_below_it() {
    let file = |length: usize| {
        format!("limits.channel_length = 40\nmonitor.prefix = \"/{}\"", "m".repeat(length - 1))
    };
    assert!(load(&file(37)).is_ok());
    assert!(error(&file(38)).contains("limits.channel_length"));
    let deep = "limits.channel_segments = 3\nmonitor.prefix = ";
    assert!(load(&format!("{deep}\"/a/b\"")).is_ok());
    assert!(error(&format!("{deep}\"/a/b/c\"")).contains("limits.channel_segments"));
    assert!(load("limits.channel_length = 32\nmonitor.prefix = \"\"").is_ok());
}

#[test]
fn a_key_with_a_field_of_no_effect_is_refused_at_that_field() {
    let key = format!("[[auth.keys]]\nid = \"a\"\nsecret_sha256 = \"{}\"\n", "0".repeat(64));
    let publisher = format!("{key}role = \"publish\"\nchannels = \"/a\"\n");
    assert!(load(&publisher).is_ok());
    let types = error(&format!("{publisher}types = \"connect\""));
    assert!(types.contains("auth.keys[0].types = [\"connect\"]"), "{types}");
    assert!(error(&format!("{publisher}payload = true")).contains("auth.keys[0].payload = true"));
    let admin = error(&format!("{key}role = \"admin\"\nchannels = \"/a\""));
    assert!(admin.contains("publishes everywhere"), "{admin}");
    for reserved in ["local-user", "local-admin"] {
        let named = publisher.replace("\"a\"", &format!("\"{reserved}\""));
        let text = error(&named);
        assert!(text.contains("auth.keys[0].id = ") && text.contains("take another"), "{text}");
    }
}

#[test]
fn a_wrong_value_of_a_secret_is_not_shown() {
    let key = "[[auth.keys]]\nid = \"a\"\nsecret_sha256 = \"hunter2\"";
    assert_eq!(
        error(key),
        "bayeuxd.toml:3: auth.keys[0].secret_sha256 = ***: expected 64 hex digits"
    );
    let service = "[[services]]\nchannel = \"/service/a\"\nurl = \"http://h/\"\n\
                   headers = [\"hunter2\"]";
    let text = error(service);
    assert!(text.contains("services[0].headers[0] = ***: expected "), "{text}");
    let query = error("[[services]]\nchannel = \"/service/a\"\nurl = \"https://h/?k=hunter2\"");
    assert!(query.contains("services[0].url = \"https://h/?***: expected "), "{query}");
}

#[test]
fn doubtful_values_are_warned_of() {
    let file = "[server]\nallowed_origins = \"*\"\n[session.queue]\nmax_bytes = \"1KiB\"\n\
                [[channels]]\nmatch = \"/a\"\npersistent = true\n[[channels]]\nmatch = \"/a\"\n\
                persistent = false\n[[channels]]\nmatch = \"/b/**\"\npersistent = true";
    assert_eq!(
        told(&load(file).unwrap().warnings),
        [
            "bayeuxd.toml:2: server.allowed_origins has \"*\": any page may connect",
            "bayeuxd.toml:4: session.queue.max_bytes is below limits.message_size: one large message \
             ends the sessions that should get it",
            "bayeuxd.toml:9: channels[1] is never used: an earlier entry matches \"/a\"",
            "bayeuxd.toml:13: channels[2].persistent is true for \"/b/**\": each name that a client makes up \
             stays until a restart, up to limits.channels",
        ]
    );
    assert_eq!(load("").unwrap().warnings, []);
}

#[test]
fn what_contradicts_itself_is_warned_of() {
    let file = "[limits]\nconnections = 100\nsessions = 1000\n[session]\nmax_lazy_timeout = \"2s\"\n\
                [[channels]]\nmatch = \"/a\"\n[[channels]]\nmatch = \"/b\"\nlazy = \"3s\"\n\
                [[channels]]\nmatch = \"/c\"\nlazy = \"2s\"\n";
    assert_eq!(
        told(&load(file).unwrap().warnings),
        [
            "bayeuxd.toml:2: limits.connections is below limits.sessions = 1000: so many cannot be \
             connected at a time",
            "bayeuxd.toml:7: channels[0] says nothing about \"/a\" and changes nothing",
            "bayeuxd.toml:10: channels[1].lazy is above session.max_lazy_timeout, after which messages \
             go out all the same",
        ]
    );
    // The default of limits.sessions is nobody's wish.
    assert_eq!(load("limits.connections = 100").unwrap().warnings, []);
}

#[test]
fn streams_need_long_polling() {
    let text = error("transports.enabled = [\"websocket\", \"eventsource\"]");
    assert!(text.starts_with("bayeuxd.toml:1: transports.enabled = "), "{text}");
    assert!(text.ends_with("add \"long-polling\""), "{text}");
    load("transports.enabled = [\"long-polling\", \"iframe\"]").unwrap();
    load("transports.enabled = [\"websocket\"]").unwrap();
}

#[test]
fn the_wrong_entry_of_a_list_is_named_with_its_line_and_why() {
    let file =
        "[server]\nallowed_origins = [\n  \"https://a.example\",\n  \"https://B.example/\",\n]\n";
    assert_eq!(
        error(file),
        "bayeuxd.toml:4: server.allowed_origins[1] = \"https://B.example/\": expected an origin like \
         \"https://app.example.com\", \"https://*.example.com\", \"null\" or \"*\"; browsers send \
         \"https://b.example\": lower case, with its scheme, nothing behind the host"
    );
    let twice = error("transports.enabled = [\"websocket\", \"websocket\"]");
    assert_eq!(
        twice,
        "bayeuxd.toml:1: transports.enabled[1] = \"websocket\": expected each entry once"
    );
    let secret = "[[services]]\nchannel = \"/service/a\"\nurl = \"http://h/\"\n\
                  headers = [\"A: b\", \"hunter2\"]";
    let text = error(secret);
    assert!(text.contains("services[0].headers[1] = ***: expected "), "{text}");
}

#[test]
fn what_other_servers_have_is_explained() {
    assert_eq!(error("[sessions]"), "bayeuxd.toml:1: unknown key sessions; did you mean session?");
    let tls = error("[tls]\ncert = \"a.pem\"");
    assert!(tls.starts_with("bayeuxd.toml:1: unknown key tls; TLS ends in a proxy"), "{tls}");
    let secret = error("[[auth.keys]]\nid = \"a\"\nsecret = \"hunter2\"");
    assert!(
        secret.starts_with("bayeuxd.toml:3: unknown key auth.keys[0].secret; no secret"),
        "{secret}"
    );
    assert!(!secret.contains("hunter2"), "{secret}");
    let listen = load_all("", &[("BAYEUXD_LISTEN", "0.0.0.0:80"), ("BAYEUXD_KEY", "k")], &[]);
    assert_eq!(
        told(&listen.unwrap().warnings),
        ["environment BAYEUXD_LISTEN: not read; did you mean BAYEUXD_SERVER__LISTEN?"]
    );
}

#[test]
fn addresses_are_shortened_to_their_network() {
    let truncated =
        |text: &str| LogIp::Truncate.shorten(text.parse().unwrap()).unwrap().to_string();
    assert_eq!(truncated("192.0.2.77"), "192.0.2.0");
    assert_eq!(truncated("::ffff:192.0.2.77"), "192.0.2.0");
    assert_eq!(truncated("2001:db8:1:2::3"), "2001:db8:1::");
    assert_eq!(LogIp::None.shorten("192.0.2.77".parse().unwrap()), None);
}

#[test]
fn every_key_belongs_to_a_section_and_prints_its_default() {
    for setting in settings::settings() {
        let section = setting.split().0;
        assert!(settings::SECTIONS.iter().any(|s| s.name == section), "{}", setting.key);
        let value = setting.show(&Config::default()).expect(setting.key);
        assert!(setting.read(&mut Config::default(), &value), "{} = {value}", setting.key);
    }
}

#[test]
fn printed_values_load_again() {
    let rules = "[[channels]]\nmatch = \"/a/*\"\nbroadcast_to_publisher = false";
    let config = load(rules).unwrap().config.effective(&Machine::read());
    let printed: Vec<String> =
        config.assignments().iter().map(|a| format!("{} = {}", a.key, a.value)).collect();
    let again = load(&printed.join("\n")).unwrap().config;
    assert_eq!(again.assignments(), config.assignments());
}

#[test]
fn the_example_file_shows_the_defaults() {
    let example = example_file();
    assert_eq!(load(&example).unwrap().config, Config::default());
    let uncommented: Vec<&str> = example
        .lines()
        .filter(|line| !line.starts_with("# "))
        .map(|line| line.trim_start_matches('#'))
        .collect();
    let mut config = load(&uncommented.join("\n")).unwrap().config;
    assert_eq!(config.channels.remove(0).pattern, "/ticker/**");
    assert_eq!(config.auth.keys.remove(0).id, "orders");
    assert_eq!(config.services.remove(0).channel, "/service/quote/**");
    assert_eq!(config, Config::default());
}

/// Set `BLESS=1` to rewrite the file instead.
#[test]
fn the_documentation_lists_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = "<!-- generated from src/config/settings.rs -->\n\n";
    let head = text.split(begin).next().unwrap();
    let expected = format!("{head}{begin}{}", configuration_md().trim_end().to_owned() + "\n");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(
        text == expected,
        "docs/configuration.md is old; run: BLESS=1 cargo test documentation"
    );
}

#[test]
fn services_are_a_list_of_tables() {
    let file = "[[services]]\nchannel = \"/service/a\"\nurl = \"http://h:9000/a\"\nretries = 2";
    let service = load(file).unwrap().config.services.remove(0);
    assert_eq!(service.url, "http://h:9000/a");
    assert_eq!((service.retries, service.timeout), (2, Duration::from_secs(5)));
    let https = error(&file.replace("http:", "https:"));
    assert!(https.contains("https:// is not supported yet"), "{https}");
    assert_eq!(
        load("[[services]]\ntimeout = \"1s\"").unwrap_err(),
        [
            "bayeuxd.toml:1: services[0].channel is missing; it says which channels the entry is \
             for",
            "bayeuxd.toml:1: services[0].url is missing; it says where the back-end is",
        ]
    );
    let list = r#"[{channel = "/service/b", url = "http://h/"}]"#;
    let config = load_all(file, &[("BAYEUXD_SERVICES", list)], &[]).unwrap().config;
    assert_eq!(config.services.len(), 1, "a later source replaces the list");
    assert_eq!(config.services[0].channel, "/service/b");
    let large = format!("{file}\nmax_reply = \"2MiB\"\nmax_in_flight = 1000");
    assert_eq!(load(&large).unwrap().warnings.len(), 2);
}

#[test]
fn api_keys_are_a_list_of_tables() {
    let file = "[[auth.keys]]\nid = \"a\"\nsecret_file = \"a.key\"\nchannels = [\"/a/**\"]\n\
                [[auth.keys]]\nid = \"b\"\nsecret_sha256 = \"0\"\nrole = \"admin\"";
    let error = load(file).unwrap_err().remove(0);
    assert_eq!(error, "bayeuxd.toml:7: auth.keys[1].secret_sha256 = ***: expected 64 hex digits");
    let file = file.replace("\"0\"", &format!("\"{}\"", "0".repeat(64)));
    let keys = load(&file).unwrap().config.auth.keys;
    assert_eq!((keys[0].id.as_str(), keys[0].role), ("a", Role::Publish));
    assert_eq!((keys[1].id.as_str(), keys[1].role), ("b", Role::Admin));
    assert_eq!(
        self::error("[[auth.keys]]\nrole = \"admin\""),
        "bayeuxd.toml:1: auth.keys[0].id is missing; it says how logs and answers call the key"
    );
}
