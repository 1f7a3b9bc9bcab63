//! The page of metrics, read as Prometheus reads it.

use std::collections::BTreeMap;

use crate::{
    broker::Broker,
    http::{Request, request},
};

/// One scrape.
#[derive(Debug)]
pub struct Scrape {
    /// The page itself.
    pub text: String,
    /// Types of the families by name.
    pub families: BTreeMap<String, String>,
    /// Values of the series: `name{label="value"}`.
    pub series: BTreeMap<String, f64>,
}

impl Scrape {
    /// Scrapes a broker that asks for no key.
    pub async fn of(broker: &Broker) -> Self {
        let response = request(broker.admin, &Request::get("/metrics")).await;
        assert_eq!(response.status, 200, "{response:?}");
        Self::read(response.text())
    }

    /// Reads a page.
    ///
    /// # Panics
    /// If a line is none of the format, a series comes twice, or one has no family.
    pub fn read(text: &str) -> Self {
        let (mut families, mut series) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else if !line.starts_with("# HELP ") {
                let (name, value) = line.rsplit_once(' ').expect("a sample");
                let value = value.parse().expect("a number");
                assert!(series.insert(name.to_owned(), value).is_none(), "{line} comes twice");
            }
        }
        let scrape = Self { text: text.to_owned(), families, series };
        scrape
            .series
            .keys()
            .for_each(|series| assert!(scrape.family(series).is_some(), "{series}"));
        scrape
    }

    /// The value of a series of a `bayeuxd_` family, named without that.
    ///
    /// # Panics
    /// If there is none.
    pub fn value(&self, series: &str) -> f64 {
        let value = self.series.get(&format!("bayeuxd_{series}"));
        *value.unwrap_or_else(|| panic!("no series {series}"))
    }

    /// The family that a series belongs to.
    pub fn family(&self, series: &str) -> Option<&str> {
        let name = series.split('{').next()?;
        let stems = ["", "_bucket", "_sum", "_count"];
        let mut names = stems.iter().filter_map(|stem| name.strip_suffix(stem));
        names.find_map(|name| self.families.get_key_value(name)).map(|(name, _)| name.as_str())
    }

    /// Names of the labels of a family, but for `le`.
    pub fn labels(&self, family: &str) -> Vec<String> {
        let of_it = |series: &&String| self.family(series) == Some(family);
        let series = self.series.keys().find(of_it).expect("a series of it");
        let labels = series.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
        let names = labels.split(',').filter_map(|pair| pair.split_once('='));
        names.map(|(name, _)| name.to_owned()).filter(|name| name != "le").collect()
    }
}
