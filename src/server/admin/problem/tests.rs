//! Codes, statuses and sentences; and one problem of each kind, for other tests.

use super::*;

/// One of each.
pub(in crate::server::admin) fn all() -> Vec<Problem> {
    vec![
        bad(""),
        Problem::BadJson(String::new()),
        Problem::Unauthorized { presented: false },
        Problem::OriginDenied,
        Problem::RoleDenied { key: "a".into() },
        Problem::PayloadsDenied,
        Problem::NotFound,
        Problem::SessionUnknown,
        Problem::ChannelUnknown,
        Problem::MethodNotAllowed { allowed: "GET" },
        Problem::Timeout,
        Problem::UpgradeRequired,
        Problem::Refused(Refusal::SessionUnknown),
        Problem::ReloadRefused(vec!["a".into()]),
        Problem::TooLarge { limit: 1 },
        Problem::TooManyFeeds,
        Problem::Draining,
    ]
}

#[test]
fn the_page_for_users_lists_every_code_with_its_status() {
    let page = include_str!("../../../../docs/admin-api.md");
    for problem in all() {
        let quoted = format!("`{}`", problem.code());
        let row = page.lines().find(|line| line.starts_with('|') && line.contains(&quoted));
        let status = problem.status().as_u16().to_string();
        assert!(row.is_some_and(|row| row.contains(&status)), "{quoted} {row:?}");
    }
}

#[test]
fn an_error_has_code_and_sentence_and_what_else_is_known() {
    let text = |problem: &Problem| serde_json::to_string(problem).unwrap();
    assert_eq!(
        text(&Problem::Refused(Refusal::SessionUnknown)),
        r#"{"code":"refused","message":"the broker refuses this; see `bayeux`","bayeux":"402::session_unknown"}"#
    );
    for problem in all() {
        let sentence = matches!(problem, Problem::BadParameter(_) | Problem::BadJson(_));
        assert!(sentence || !problem.message().is_empty(), "{problem:?}");
    }
}
