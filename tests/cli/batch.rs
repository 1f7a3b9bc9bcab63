//! `bayeuxd pub --batch`, and input of any size.

use std::io::Write as _;

use super::{
    process::{Folder, Outcome},
    site::{Site, scripted},
};

#[test]
fn input_that_no_broker_takes_is_refused_and_not_cut() {
    let site = Site::new("too_long");
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let publish = |arguments: &[&str], input: &str| {
        let mut child = site.start(&[&["pub"], arguments].concat());
        // It may stop to read before the end.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Outcome::of(child.wait_with_output().unwrap())
    };
    let longest = publish(&["/a", "-"], &text(1 << 20));
    assert_eq!(longest.code, Some(1), "{longest:?}");
    assert!(longest.err.contains("refused (413)"), "as a whole to the broker: {longest:?}");
    let longer = publish(&["/a", "-"], &text((1 << 20) + 1));
    assert_eq!((longer.code, longer.out.as_str()), (Some(2), ""), "{longer:?}");
    assert!(longer.err.contains("standard input: more than 1 MiB"), "{longer:?}");
    let message = "{\"channel\":\"/a\",\"data\":1}\n";
    let lines = format!("{message}{}\n{message}", text((1 << 20) + 1));
    let batch = publish(&["--batch", "-"], &lines);
    assert_eq!((batch.code, batch.out.as_str()), (Some(1), "published: 2, deliveries: 0\n"));
    assert!(batch.err.starts_with("bayeuxd: line 2: more than 1 MiB"), "{batch:?}");
}

#[test]
fn a_file_above_the_rate_is_published_whole_and_in_order() {
    let site = Site::with("above_the_rate", &["--set", "api.messages_per_second=500"]);
    let (subscriber, _) = site.subscriber(&["/a", "--count", "1200"]);
    let lines: String =
        (0..1200).map(|n| format!("{{\"channel\":\"/a\",\"data\":{n}}}\n")).collect();
    std::fs::write(site.folder.0.join("messages.ndjson"), lines).unwrap();
    let outcome = site.run(&["pub", "--batch", "messages.ndjson"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""), "{}", outcome.out);
    assert_eq!(outcome.out, "published: 1200, deliveries: 1200\n");
    let heard = Outcome::of(subscriber.wait_with_output().unwrap());
    let expected: String = (0..1200).map(|n| format!("/a {n}\n")).collect();
    assert_eq!(heard.out, expected);
}

/// Numbered messages, a line each.
fn lines(numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|n| format!("{{\"channel\":\"/a\",\"data\":{n}}}\n")).collect()
}

fn write(folder: &Folder, lines: &[String]) {
    std::fs::write(folder.0.join("messages.ndjson"), lines.concat()).unwrap();
}

const BATCH: [&str; 3] = ["pub", "--batch", "messages.ndjson"];

#[test]
fn a_line_that_spoils_its_request_is_named_and_the_others_are_published() {
    let site = Site::new("spoiled");
    let (subscriber, _) = site.subscriber(&["/a", "--count", "897"]);
    let mut lines = lines(1..=900);
    lines[99] = "[1]\n".to_owned();
    lines[700] = "{\"channel\":\"/a\",\"channel\":\"/a\",\"data\":701}\n".to_owned();
    lines[701] = "{\"channel\":7,\"data\":702}\n".to_owned();
    write(&site.folder, &lines);
    let outcome = site.run(&BATCH);
    assert_eq!(
        (outcome.code, outcome.out.as_str()),
        (Some(1), "published: 897, deliveries: 897\n")
    );
    let told: Vec<&str> = outcome.err.lines().collect();
    assert_eq!(told.len(), 4, "{outcome:?}");
    for (line, text) in told.iter().zip(["100: a message", "701: ", "702: "]) {
        assert!(line.starts_with(&format!("bayeuxd: line {text}")), "{outcome:?}");
    }
    assert_eq!(told[3], "bayeuxd: 3 lines were refused");
    let heard = Outcome::of(subscriber.wait_with_output().unwrap());
    let numbers = (1..=900).filter(|n| ![100, 701, 702].contains(n));
    assert_eq!(heard.out, numbers.map(|n| format!("/a {n}\n")).collect::<String>());
}

#[test]
fn a_broker_with_smaller_bounds_gets_smaller_requests() {
    let flags = [
        "--set",
        "api.max_batch=7",
        "--set",
        "api.max_body=2KiB",
        "--set",
        "api.message_size=1KiB",
    ];
    let site = Site::with("smaller_bounds", &flags);
    let mut lines = lines(1..=600);
    lines.insert(300, format!("{{\"channel\":\"/a\",\"data\":\"{}\"}}\n", "x".repeat(2 << 10)));
    write(&site.folder, &lines);
    let outcome = site.run(&BATCH);
    assert_eq!((outcome.code, outcome.out.as_str()), (Some(1), "published: 600, deliveries: 0\n"));
    let expected =
        "bayeuxd: line 301: larger than 2048 bytes (api.max_body)\nbayeuxd: 1 line was refused\n";
    assert_eq!(outcome.err, expected);
}

#[test]
fn who_is_interrupted_learns_where_to_go_on() {
    let results = vec!["{\"sessions\":1}"; 500].join(",");
    let first = ("200 OK".to_owned(), format!("{{\"results\":[{results}]}}"));
    let draining = r#"{"ok":false,"error":{"code":"draining","message":"this broker stops"}}"#;
    let folder = Folder::new("interrupted");
    write(&folder, &lines(1..=900));
    let run = |answers| {
        let (url, server) = scripted(answers);
        let outcome = folder.run(&[&BATCH[..], &["--url", &url]].concat());
        server.join().unwrap();
        assert_eq!(outcome.out, "");
        (outcome.code, outcome.err)
    };
    let (code, told) = run(vec![first.clone(), ("503 X".to_owned(), draining.to_owned())]);
    let expected =
        "bayeuxd: refused (503): this broker stops; published: 500, and line 501 comes next\n";
    assert_eq!((code, told.as_str()), (Some(1), expected));
    let (code, told) = run(vec![first, Default::default()]);
    let doubt = "; published: 500, and line 501 comes next, unless the broker took lines 501 to 900 and \
                 only its answer is missing\n";
    assert!(code == Some(4) && told.ends_with(doubt), "{code:?} {told}");
    let (code, told) = run(vec![("403 X".to_owned(), "{}".to_owned())]);
    assert!(code == Some(5) && told.ends_with("; published: 0, and line 1 comes next\n"), "{told}");
}
