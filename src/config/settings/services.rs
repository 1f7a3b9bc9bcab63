//! The keys of service channels: the entries of `[[services]]`, and the limits on all of them.

use super::{Setting, syntax};
use crate::config::{
    Config, Reload, Service, ServiceReply,
    form::{Choice, Count, FilePath, List, Optional, Size, Span, Text},
};

/// The key of the list of back-ends.
pub(in crate::config) const SERVICES: &str = "services";

/// Builds the list of the keys of one `[[services]]` entry.
pub(in crate::config) fn service_settings() -> Vec<Setting<Service>> {
    vec![
        Setting::new(
            "channel",
            |s| &mut s.channel,
            Text {
                allowed: "a service channel or pattern, like \"/service/quote/**\"",
                valid: syntax::is_rooted,
            },
            "Service channel, or pattern: `/service/a/*` covers one more segment, `/service/a/**` \
             any number. Required.",
        ),
        Setting::new(
            "url",
            |s| &mut s.url,
            Text {
                allowed: "a URL like \"http://127.0.0.1:9000/quote\" (https:// is not supported \
                          yet: put a proxy beside the broker that speaks TLS to the back-end)",
                valid: syntax::is_http_url,
            },
            "Where each message is posted to, as JSON. Redirects are not followed. Required.",
        ),
        Setting::new(
            "reply",
            |s| &mut s.reply,
            Choice(&[("call", ServiceReply::Call), ("message", ServiceReply::Message)]),
            "The form of what goes back. `call` (the default): with the `id` of the message and \
             `successful`, which is what `remoteCall` waits for; listeners of the channel get it \
             too. `message`: a plain message of the channel, for clients older than `remoteCall` \
             that publish and listen.",
        ),
        Setting::new(
            "timeout",
            |s| &mut s.timeout,
            Span(10, 300_000),
            "Time for a call, from its arrival to the end of the back-end's answer; `5s` by \
             default. `remoteCall` itself gives up after 10 s unless told otherwise.",
        ),
        Setting::new(
            "max_in_flight",
            |s| &mut s.max_in_flight,
            Count(1, 10_000),
            "Most calls in flight at a time, and so most connections to the back-end; 64 by \
             default. Above, callers are told `503::overloaded`: no call waits for another.",
        ),
        Setting::new(
            "max_reply",
            |s| &mut s.max_reply,
            Size(64, 16 << 20),
            "Largest answer of the back-end; `64KiB` by default. It goes into the queue of the \
             session, so keep it below `session.queue.max_bytes`.",
        ),
        Setting::new(
            "retries",
            |s| &mut s.retries,
            Count(0, 10),
            "How often a call is repeated, within `timeout`, if the back-end cannot be reached, \
             breaks the connection or answers 502, 503 or 504. None by default: the back-end may \
             see a repeated call twice.",
        ),
        Setting::new(
            "headers",
            |s| &mut s.headers,
            List {
                min: 0,
                of: Text {
                    allowed: "a header line like \"X-Tenant: acme\"; not Host, Content-Length, \
                              Transfer-Encoding or Connection",
                    valid: syntax::is_header_line,
                },
            },
            "Further header lines of each request.",
        ),
        Setting::new(
            "secret_file",
            |s| &mut s.secret_file,
            Optional { word: None, form: FilePath },
            "File that holds a secret of at least 16 characters, sent as `Authorization: Bearer \
             SECRET`, by which the back-end knows the broker.",
        ),
    ]
}

/// Builds the list of the limits on calls of services, which are part of `[limits]`.
pub(super) fn limits() -> Vec<Setting<Config>> {
    vec![
        Setting::live(
            Reload::Now,
            "limits.service_calls",
            |c| &mut c.limits.service_calls,
            Count(1, 1_000_000),
            "Most calls of services (`[[services]]` and handlers of an embedding program) in flight \
             at a time, of all together. Above, callers are told `503::overloaded`.",
        ),
        Setting::live(
            Reload::Now,
            "limits.service_calls_per_session",
            |c| &mut c.limits.service_calls_per_session,
            Count(1, 1_000_000),
            "Most calls of services that one session has in flight at a time.",
        ),
    ]
}
