//! The keys of one `[[channels]]` entry.

use super::{Setting, syntax};
use crate::config::{
    ChannelRule, QueuePolicy,
    form::{Choice, Flag, Optional, Span, Text},
};

/// Builds the list of the keys of one `[[channels]]` entry.
pub(in crate::config) fn rule_settings() -> Vec<Setting<ChannelRule>> {
    vec![
        Setting::new(
            "match",
            |r| &mut r.pattern,
            Text { allowed: "a channel or pattern, like \"/ticker/**\"", valid: syntax::is_rooted },
            "Channel, or pattern: `/a/*` covers one more segment, `/a/**` any number. Required.",
        ),
        Setting::new(
            "queue_policy",
            |r| &mut r.queue_policy,
            Optional {
                word: None,
                form: Choice(&[
                    ("disconnect", QueuePolicy::Disconnect),
                    ("drop_oldest", QueuePolicy::DropOldest),
                    ("latest", QueuePolicy::Latest),
                ]),
            },
            "What happens when a queue is full: the session ends (`disconnect`, the default), or \
             the oldest messages make room (`drop_oldest`). `latest` keeps at most one queued \
             message per channel, the newest, whether the queue is full or not.",
        ),
        Setting::new(
            "broadcast_to_publisher",
            |r| &mut r.broadcast_to_publisher,
            Optional { word: None, form: Flag },
            "Overrides `session.broadcast_to_publisher`.",
        ),
        Setting::new(
            "lazy",
            |r| &mut r.lazy,
            Optional { word: None, form: Span(0, 3_600_000) },
            "Makes messages lazy: they wake no client, but wait so long for others to go along \
             with, at most `session.max_lazy_timeout`. `0s`: not lazy, although a more general \
             entry says so.",
        ),
        Setting::new(
            "persistent",
            |r| &mut r.persistent,
            Optional { word: None, form: Flag },
            "Keeps a channel that nobody uses. One that `match` names in full exists from the \
             start. With a pattern, every name below it that a client makes up stays until a restart and \
             counts towards `limits.channels`: name channels in full unless you trust all clients.",
        ),
    ]
}
