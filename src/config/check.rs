//! What only the whole configuration can show: values that do not go together.

use toml::Value;

use super::{
    Auto, ChannelRule, Config, Loaded, Origin, Otel, Problem, Role, SameSite, Transport, Warning,
    settings::{key_settings, settings},
};

/// Returns what makes the configuration unusable.
pub(super) fn conflicts(loaded: &Loaded) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut conflict = |key: &str, reason: &str| {
        let setting = settings().into_iter().find(|setting| setting.key == key);
        let value = setting.and_then(|setting| setting.show(&loaded.config));
        found.push(loaded.conflict(key, value.unwrap_or_else(|| Value::from("")), reason));
    };
    listeners(&loaded.config, &mut conflict);
    intervals(&loaded.config, &mut conflict);
    cookie(&loaded.config, &mut conflict);
    let api = &loaded.config.api;
    if api.message_size > api.max_body {
        conflict("api.message_size", "no body would be large enough; raise api.max_body");
    }
    transports(&loaded.config, &mut conflict);
    paths(&loaded.config, &mut conflict);
    monitor_prefix(&loaded.config, &mut conflict);
    otel(&loaded.config, Otel::BUILT_IN, &mut conflict);
    for (index, key) in loaded.config.auth.keys.iter().enumerate() {
        if let Some((field, reason)) = key.misfit() {
            let value = key_settings().into_iter().find(|setting| setting.key == field);
            let value = value.and_then(|setting| setting.show(key));
            let (value, at) =
                (value.unwrap_or_else(|| Value::from("")), format!("auth.keys[{index}].{field}"));
            found.push(loaded.conflict(&at, value, reason));
        }
    }
    found
}

/// Whoever reads a stream sends by POST, the handshake first.
fn transports(config: &Config, conflict: &mut impl FnMut(&str, &str)) {
    let enabled = &config.transports.enabled;
    let streams = [Transport::EventSource, Transport::Streaming, Transport::Iframe];
    if streams.iter().any(|stream| enabled.contains(stream))
        && !enabled.contains(&Transport::LongPolling)
    {
        conflict(
            "transports.enabled",
            "eventsource, streaming and iframe carry messages to the client only, its requests go by \
             POST; add \"long-polling\"",
        );
    }
}

/// Bayeux paths go before those of the publish API, which nobody would find any more.
fn paths(config: &Config, conflict: &mut impl FnMut(&str, &str)) {
    let below = |path: &str, prefix: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let hides =
        |path: &String| API_PATHS.iter().any(|api| below(api, path)) || below(path, "/api/v1");
    if config.api.enabled && config.server.paths.iter().any(hides) {
        conflict(
            "server.paths",
            "this would hide /api/v1 or /openapi.json, where publishing over HTTP is; choose another \
             path, or set api.enabled = false",
        );
    }
}

/// Nobody could subscribe to the second feed if no name below the prefix were a channel.
fn monitor_prefix(config: &Config, conflict: &mut impl FnMut(&str, &str)) {
    let (prefix, limits) = (config.monitor.prefix.as_str(), &config.limits);
    let segments = prefix.matches('/').count() + 1;
    let too_long = prefix.len() + "/**".len() > limits.channel_length;
    if !prefix.is_empty() && (too_long || segments > limits.channel_segments) {
        conflict(
            "monitor.prefix",
            "the names below it would be longer than limits.channel_length, or have more segments than \
             limits.channel_segments; shorten it, or raise these",
        );
    }
}

/// Traces that nobody sends would be missed only when they are needed.
fn otel(config: &Config, built_in: bool, conflict: &mut impl FnMut(&str, &str)) {
    if config.otel.is_on() && !built_in {
        conflict(
            "otel.endpoint",
            "it is set, but this binary was built without OpenTelemetry; build with --features otel, \
             or remove the section",
        );
    }
}

fn listeners(config: &Config, conflict: &mut impl FnMut(&str, &str)) {
    let open = "whoever reaches this address could connect without credentials; set \
                auth.anonymous = true to allow that, or listen on 127.0.0.1";
    if !config.server.loopback_only() && !config.auth.anonymous {
        conflict("server.listen", open);
    }
    if let Some(socket) = config.transports.socket.listen {
        if !socket.ip().to_canonical().is_loopback() && !config.auth.anonymous {
            conflict("transports.socket.listen", open);
        }
        if socket.port() != 0
            && (config.server.listen.contains(&socket) || config.admin.listen == Some(socket))
        {
            let reason = "another listener has the same address; choose another port";
            conflict("transports.socket.listen", reason);
        }
    }
    let Some(admin) = config.admin.listen else { return };
    let has_operator = config.auth.keys.iter().any(|key| key.role == Role::Admin);
    if !admin.ip().to_canonical().is_loopback() && !has_operator {
        conflict(
            "admin.listen",
            "others than this machine's users could reach it, and no entry of auth.keys has the role \
             \"admin\"; `bayeuxd key gen` makes one, or listen on \"127.0.0.1:8081\"",
        );
    }
    if admin.port() != 0 && config.server.listen.contains(&admin) {
        conflict("admin.listen", "server.listen has the same address; choose another port");
    }
}

fn intervals(config: &Config, conflict: &mut impl FnMut(&str, &str)) {
    let life = config.session.max_interval;
    let reason = "must be shorter than session.max_interval, or sessions end before their client \
                  may come back";
    if config.session.interval >= life {
        conflict("session.interval", reason);
    }
    if config.session.multi_session_interval >= life {
        conflict("session.multi_session_interval", reason);
    }
}

fn cookie(config: &Config, conflict: &mut impl FnMut(&str, &str)) {
    let cookie = &config.session.browser_cookie;
    if cookie.secure != Auto::Off {
        return;
    }
    let reason = "browsers drop such a cookie unless it is Secure; remove \
                  session.browser_cookie.secure = false";
    if cookie.same_site == SameSite::None {
        conflict("session.browser_cookie.same_site", reason);
    }
    if cookie.partitioned == Auto::On {
        conflict("session.browser_cookie.partitioned", reason);
    }
}

/// Returns what works but is probably not meant.
pub(super) fn warnings(loaded: &Loaded) -> Vec<Warning> {
    let config = &loaded.config;
    let mut found = Vec::new();
    if config.server.allowed_origins.iter().any(|origin| origin == "*") {
        let text = "server.allowed_origins has \"*\": any page may connect";
        found.push(loaded.doubt("server.allowed_origins", text));
    }
    if !config.server.loopback_only() && config.server.allowed_origins.is_empty() {
        let text = "server.allowed_origins is empty: any page may connect whose host name leads here, \
                    also one that a stranger lets point here (DNS rebinding); list your origins";
        found.push(loaded.doubt("server.allowed_origins", text));
    }
    let queue = config.session.queue.max_bytes;
    let ends = |key: &str| {
        let text = format!(
            "session.queue.max_bytes is below {key}: one large message ends the sessions that should \
             get it"
        );
        loaded.doubt("session.queue.max_bytes", text)
    };
    if queue < config.limits.message_size {
        found.push(ends("limits.message_size"));
    }
    if config.api.enabled && (config.limits.message_size..config.api.message_size).contains(&queue)
    {
        found.push(ends("api.message_size"));
    }
    for (index, service) in config.services.iter().enumerate() {
        let reply = format!("services[{index}].max_reply");
        if service.max_reply > queue {
            let text = format!(
                "{reply} is above session.queue.max_bytes: one large reply ends the session that called"
            );
            found.push(loaded.doubt(reply, text));
        }
        let in_flight = format!("services[{index}].max_in_flight");
        if service.max_in_flight > config.limits.service_calls {
            let text = format!(
                "{in_flight} is above limits.service_calls, which bounds all services together"
            );
            found.push(loaded.doubt(in_flight, text));
        }
    }
    found.extend(few_connections(loaded));
    for (index, rule) in config.channels.iter().enumerate() {
        found.extend(idle_rule(loaded, index, rule));
        if config.channels.iter().take(index).any(|earlier| earlier.pattern == rule.pattern) {
            let text = format!(
                "channels[{index}] is never used: an earlier entry matches \"{}\"",
                rule.pattern
            );
            found.push(loaded.doubt(format!("channels[{index}].match"), text));
        }
        if rule.persistent == Some(true) && rule.pattern.ends_with('*') {
            let text = format!(
                "channels[{index}].persistent is true for \"{}\": each name that a client makes up stays \
                 until a restart, up to limits.channels",
                rule.pattern
            );
            found.push(loaded.doubt(format!("channels[{index}].persistent"), text));
        }
    }
    found
}

/// Warns where somebody asks for more sessions than can be connected.
fn few_connections(loaded: &Loaded) -> Option<Warning> {
    let limits = &loaded.config.limits;
    let connections = limits.connections?;
    let chosen = loaded.origin("limits.sessions") != Origin::Default;
    (chosen && connections < limits.sessions).then(|| {
        let text = format!(
            "limits.connections is below limits.sessions = {}: so many cannot be connected at a time",
            limits.sessions
        );
        loaded.doubt("limits.connections", text)
    })
}

/// Warns of a rule that rules nothing, or less than it says.
fn idle_rule(loaded: &Loaded, index: usize, rule: &ChannelRule) -> Option<Warning> {
    let ChannelRule { pattern, queue_policy, broadcast_to_publisher, lazy, persistent } = rule;
    if queue_policy.is_none()
        && broadcast_to_publisher.is_none()
        && lazy.is_none()
        && persistent.is_none()
    {
        let text =
            format!("channels[{index}] says nothing about \"{pattern}\" and changes nothing");
        return Some(loaded.doubt(format!("channels[{index}].match"), text));
    }
    let key = format!("channels[{index}].lazy");
    (*lazy > Some(loaded.config.session.max_lazy_timeout)).then(|| {
        let text = format!(
            "{key} is above session.max_lazy_timeout, after which messages go out all the same"
        );
        loaded.doubt(key, text)
    })
}

/// Paths of the publish API on the same listener, the first with all below it.
const API_PATHS: [&str; 2] = ["/api/v1", "/openapi.json"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_needs_a_binary_that_can_trace() {
        let mut config = Config::default();
        let refused = |config: &Config, built_in| {
            let mut found = Vec::new();
            otel(config, built_in, &mut |key, reason| {
                found.push((key.to_owned(), reason.to_owned()));
            });
            found
        };
        assert_eq!(refused(&config, false), []);
        config.otel.endpoint = "http://127.0.0.1:4318".into();
        assert_eq!(refused(&config, true), []);
        let found = refused(&config, false);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].0 == "otel.endpoint" && found[0].1.contains("--features otel"),
            "{found:?}"
        );
    }
}
