//! What operators ask of a broker that runs, and tell it: the admin API as commands.
//! Source: docs/admin-api.md.

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum, value_parser};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    Failure, print,
    remote::{AdminServer, Remote, clean, encode, harmless, tree, wait},
    table::{age, cell, size, table},
    tail,
};

/// Arguments of `sessions`.
#[derive(Debug, Args)]
pub(super) struct Sessions {
    /// Only sessions that get what is published to this channel.
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Only sessions with this in their sid, address, origin or user agent.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// What comes first.
    #[arg(long, value_enum)]
    sort: Option<Sort>,
    /// Most sessions to list.
    #[arg(long, default_value = "100")]
    limit: NonZeroUsize,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sort {
    Queue,
    Age,
    Rate,
}

/// Arguments of a command about one session.
#[derive(Debug, Args)]
pub(super) struct Session {
    /// The session's name in lists and logs: 12 hex digits.
    sid: String,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `kick`.
#[derive(Debug, Args)]
pub(super) struct Kick {
    /// The session's name in lists and logs: 12 hex digits.
    sid: String,
    /// Why, for the log.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Let the client begin anew instead of staying away.
    #[arg(long)]
    reconnect: bool,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `channels`.
#[derive(Debug, Args)]
pub(super) struct Channels {
    /// Only channels within this pattern, like /chat/**.
    pattern: Option<String>,
    /// Most channels to list, up to 10000. The broker looks at all that it has for each 1000 of them:
    /// among many, rather name a pattern.
    #[arg(long, value_name = "N", default_value = "100", value_parser = value_parser!(u16).range(1..=10_000))]
    limit: u16,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `channel`.
#[derive(Debug, Args)]
pub(super) struct Channel {
    /// Its name, or a pattern.
    name: String,
    #[command(flatten)]
    common: Common,
}

/// Arguments of a command without any of its own.
#[derive(Debug, Args)]
pub(super) struct Common {
    #[command(flatten)]
    server: AdminServer,
    /// Print the broker's answer as it is.
    #[arg(long)]
    json: bool,
}

/// Lists sessions.
///
/// # Errors
///
/// Whatever the broker refuses; so for all commands here.
pub(super) fn sessions(options: &Sessions) -> Result<(), Failure> {
    let mut query = String::new();
    let mut add = |name, value: Option<&str>| {
        if let Some(value) = value {
            query += &format!("&{name}={}", encode(value));
        }
    };
    add("channel", options.channel.as_deref());
    add("search", options.search.as_deref());
    add(
        "sort",
        options.sort.map(|sort| match sort {
            Sort::Queue => "queue",
            Sort::Age => "age",
            Sort::Rate => "rate",
        }),
    );
    let listed =
        wait(list(&options.common.server.remote()?, "sessions", &query, options.limit.get()))?;
    if options.common.json {
        listed.print_json();
        return Ok(());
    }
    let rows: Vec<Vec<String>> = listed.items.iter().map(|item| session_row(&tree(item))).collect();
    print(table(&SESSION_HEADINGS, &rows));
    listed.print_count("session");
    Ok(())
}

const SESSION_HEADINGS: [&str; 10] =
    ["SID", "TRANSPORT", "OPEN", "IP", "AGE", "IDLE", "SUBS", "QUEUED", "DELIVERED", "CLIENT"];

fn session_row(item: &Value) -> Vec<String> {
    let queued = |field| item.pointer(field).and_then(Value::as_u64).unwrap_or(0);
    let queue = match queued("/queue/messages") {
        0 => "0".to_owned(),
        messages => format!("{messages} ({})", size(queued("/queue/bytes"))),
    };
    vec![
        cell(item, "sid"),
        cell(item, "transport"),
        cell(item, "connected"),
        cell(item, "ip"),
        age(item, "age_s"),
        age(item, "idle_s"),
        cell(item, "subscriptions"),
        queue,
        cell(item, "delivered"),
        cell(item, "client"),
    ]
}

/// Lists channels and patterns.
pub(super) fn channels(options: &Channels) -> Result<(), Failure> {
    let query = options.pattern.as_deref().map(|pattern| format!("&pattern={}", encode(pattern)));
    let remote = options.common.server.remote()?;
    let query = query.unwrap_or_default();
    let listed = wait(list(&remote, "channels", &query, options.limit.into()))?;
    if options.common.json {
        listed.print_json();
        return Ok(());
    }
    let row = |item: &RawValue| {
        let item = &tree(item);
        let last = age(item, "last_publish_s");
        vec![cell(item, "channel"), cell(item, "subscribers"), cell(item, "published"), last]
    };
    let rows: Vec<Vec<String>> = listed.items.iter().map(|item| row(item)).collect();
    print(table(&["CHANNEL", "SUBSCRIBERS", "PUBLISHED", "LAST"], &rows));
    listed.print_count("channel");
    Ok(())
}

/// Shows one session with its subscriptions and recent events.
pub(super) fn session(options: &Session) -> Result<(), Failure> {
    show(&options.common, &format!("sessions/{}", encode(&options.sid)))
}

/// Shows one channel or pattern.
pub(super) fn channel(options: &Channel) -> Result<(), Failure> {
    let Some(name) = options.name.strip_prefix('/') else {
        return Err(Failure::Usage("a channel begins with /".to_owned()));
    };
    let segments: Vec<String> = name.split('/').map(encode).collect();
    show(&options.common, &format!("channels/{}", segments.join("/")))
}

/// Ends a session.
pub(super) fn kick(options: &Kick) -> Result<(), Failure> {
    let body = match &options.reason {
        Some(reason) => json!({ "reason": reason, "reconnect": options.reconnect }),
        None => json!({ "reconnect": options.reconnect }),
    };
    let target = format!("/admin/v1/sessions/{}/disconnect", encode(&options.sid));
    let what = if options.reconnect { "begins anew" } else { "is told to stay away" };
    act(&options.common, &target, body.to_string(), |_| format!("{} {what}", options.sid))
}

/// Begins the graceful stop.
pub(super) fn drain(options: &Common) -> Result<(), Failure> {
    act(options, "/admin/v1/drain", String::new(), |answer| {
        format!("draining; sessions told to come back: {}", cell(answer, "sessions"))
    })
}

/// Has the configuration read again.
pub(super) fn reload(options: &Common) -> Result<(), Failure> {
    act(options, "/admin/v1/reload", String::new(), |answer| {
        let changes = answer.get("changes").and_then(Value::as_array);
        let lines = |restart: bool| -> Vec<String> {
            let changes = changes.into_iter().flatten();
            changes
                .filter(|change| (change["reload"] == "restart") == restart)
                .map(changed)
                .collect()
        };
        let joined = |lines: &[String]| match lines {
            [] => " nothing".to_owned(),
            _ => lines.iter().map(|line| format!("\n  {line}")).collect(),
        };
        let (live, restart) = (lines(false), lines(true));
        format!("in force:{}\nneeds a restart:{}", joined(&live), joined(&restart))
    })
}

/// A key with both values, and from when on if that is not at once.
fn changed(change: &Value) -> String {
    let value =
        |name| change.get(name).map_or_else(|| "unset".to_owned(), |v| clean(&v.to_string()));
    let from = match change.get("reload").and_then(Value::as_str) {
        None | Some("now" | "restart") => String::new(),
        Some(who) => format!(" (for new {})", clean(who)),
    };
    format!("{} {} -> {}{from}", cell(change, "key"), value("before"), value("after"))
}

fn act(
    common: &Common,
    target: &str,
    body: String,
    say: impl FnOnce(&Value) -> String,
) -> Result<(), Failure> {
    let remote = common.server.remote()?;
    let answer = wait(remote.post(target, body))?;
    if common.json {
        print(format_args!("{}\n", harmless(answer.get())));
    } else {
        print(format_args!("{}\n", say(&tree(&answer))));
    }
    Ok(())
}

fn show(common: &Common, what: &str) -> Result<(), Failure> {
    let remote = common.server.remote()?;
    let answer = wait(remote.get(&format!("/admin/v1/{what}")))?;
    if common.json {
        print(format_args!("{}\n", harmless(answer.get())));
    } else {
        print(fields(&tree(&answer)));
    }
    Ok(())
}

/// Writes an answer as one line a field; lists below their name.
fn fields(answer: &Value) -> String {
    let mut text = String::new();
    for (name, value) in answer.as_object().into_iter().flatten() {
        match value {
            Value::Array(items) => {
                text += &format!("{name}:\n");
                for item in items {
                    let line = item.as_str().map_or_else(|| tail::line(&item.to_string()), clean);
                    text += &format!("  {}\n", line.trim_end());
                }
            }
            Value::Object(_) => text += &format!("{name}: {value}\n"),
            _ => text += &format!("{name}: {}\n", cell(answer, name)),
        }
    }
    text
}

/// Some of a list.
struct Listed {
    items: Vec<Box<RawValue>>,
    /// Whether there are others.
    more: bool,
}

impl Listed {
    fn print_json(&self) {
        let items: Vec<&str> = self.items.iter().map(|item| item.get()).collect();
        let whole = format!("{{\"items\":[{}],\"more\":{}}}", items.join(","), self.more);
        print(format_args!("{}\n", harmless(&whole)));
    }

    fn print_count(&self, what: &str) {
        let count = self.items.len();
        let plural = if count == 1 { "" } else { "s" };
        let more = if self.more { ", and more: raise --limit" } else { "" };
        print(format_args!("{count} {what}{plural}{more}\n"));
    }
}

/// Reads a list page by page.
async fn list(remote: &Remote, what: &str, query: &str, limit: usize) -> Result<Listed, Failure> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<Box<RawValue>>,
        next: Option<String>,
    }
    let mut listed = Listed { items: Vec::new(), more: true };
    let mut cursor = String::new();
    while listed.more && listed.items.len() < limit {
        let page = (limit - listed.items.len()).min(PAGE_MAX);
        let answer = remote.get(&format!("/admin/v1/{what}?limit={page}{query}{cursor}")).await?;
        let page: Page = serde_json::from_str(answer.get())
            .map_err(|_| Failure::Failed("the answer is not a broker's: no list".to_owned()))?;
        listed.more = page.next.is_some() && !page.items.is_empty();
        cursor = page.next.map(|next| format!("&cursor={}", encode(&next))).unwrap_or_default();
        listed.items.extend(page.items);
    }
    Ok(listed)
}

/// Most items of a page of the admin API.
const PAGE_MAX: usize = 1_000;
