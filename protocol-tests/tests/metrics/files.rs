//! Documentation, dashboard and alerts speak of what there is.

use std::{collections::BTreeSet, fs, path::Path};

use protocol_tests::{broker::Broker, metrics::Scrape};
use serde_json::Value;

fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names of metrics in PromQL: words with one of our prefixes.
fn names(query: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = query.split(|c| !is_word(c));
    let ours = words.filter(|word| word.starts_with("bayeuxd_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

/// All texts under `key`, however deep.
fn under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if name == key => found.push(text),
                    _ => under(value, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| under(item, key, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_metric_is_documented_with_its_type_and_labels() {
    let broker = Broker::start().await;
    let scrape = Scrape::of(&broker).await;
    let exported: BTreeSet<[String; 3]> = scrape
        .families
        .iter()
        .map(|(name, kind)| [name.clone(), kind.clone(), scrape.labels(name).join(", ")])
        .collect();
    let documented: BTreeSet<[String; 3]> = file("docs/metrics.md")
        .lines()
        .filter_map(|line| {
            let cells = line.strip_prefix('|')?.split('|');
            let mut cells = cells.map(|cell| cell.trim().replace('`', ""));
            let (name, kind, labels) = (cells.next()?, cells.next()?, cells.next()?);
            let is_ours = name.starts_with("bayeuxd_") || name.starts_with("process_");
            is_ours.then_some([name, kind, labels])
        })
        .collect();
    let missing: Vec<_> = exported.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&exported).collect();
    assert!(missing.is_empty() && gone.is_empty(), "missing {missing:#?}\nno such {gone:#?}");
}

#[tokio::test]
async fn dashboard_and_alerts_ask_for_what_is_exported() {
    let broker = Broker::start().await;
    let scrape = Scrape::of(&broker).await;
    let dashboard: Value =
        serde_json::from_str(&file("deploy/grafana/bayeuxd.json")).expect("JSON");
    let mut queries = Vec::new();
    under(&dashboard["panels"], "expr", &mut queries);
    under(&dashboard["annotations"], "expr", &mut queries);
    under(&dashboard["templating"], "query", &mut queries);
    assert!(queries.len() > 50, "{queries:#?}");
    let mut asked: BTreeSet<String> = queries.iter().flat_map(|query| names(query)).collect();
    let alerts = file("deploy/prometheus/alerts.yaml");
    asked.extend(names(&alerts));
    asked.extend(names(&file("deploy/prometheus/alerts.test.yaml")));
    let unknown: Vec<_> = asked.iter().filter(|name| scrape.family(name).is_none()).collect();
    assert!(unknown.is_empty(), "nothing exports {unknown:?}");
    let on_the_board: BTreeSet<_> = queries
        .iter()
        .flat_map(|query| names(query))
        .filter_map(|name| scrape.family(&name).map(str::to_owned))
        .collect();
    let absent: Vec<_> = scrape
        .families
        .keys()
        .filter(|name| name.starts_with("bayeuxd_") && !on_the_board.contains(*name))
        .collect();
    assert!(absent.is_empty(), "not on the dashboard: {absent:?}");
}

#[test]
fn every_alert_has_a_case_and_a_line_in_the_documentation() {
    let alerts = file("deploy/prometheus/alerts.yaml");
    let names: Vec<&str> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 8, "{names:?}");
    let (cases, docs) = (file("deploy/prometheus/alerts.test.yaml"), file("docs/metrics.md"));
    for name in names {
        assert!(cases.contains(name), "no case for {name}");
        assert!(docs.contains(&format!("| {name} |")), "docs/metrics.md has nothing on {name}");
    }
}

#[test]
fn the_reader_of_queries_finds_names() {
    let query = "sum(rate(bayeuxd_a_total{job=~\"$job\"}[5m])) / process_b > 0";
    assert_eq!(names(query).into_iter().collect::<Vec<_>>(), ["bayeuxd_a_total", "process_b"]);
}
