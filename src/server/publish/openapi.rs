//! The description of the API for tools: written by hand, checked against the code here.

use bytes::Bytes;
use hyper::{Response, StatusCode};

use super::{Body, answer};

/// OpenAPI 3.1, as it is served.
const DESCRIPTION: &str = include_str!("openapi.json");

/// Answers `GET /openapi.json`.
pub(super) fn respond() -> Response<Body> {
    answer::respond(StatusCode::OK, Bytes::from_static(DESCRIPTION.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::server::publish::{Endpoint, problem::Problem};

    fn description() -> Value {
        serde_json::from_str(DESCRIPTION).unwrap()
    }

    #[test]
    fn every_described_path_leads_somewhere_and_every_endpoint_is_described() {
        let description = description();
        let paths = description["paths"].as_object().unwrap();
        let mut endpoints = BTreeSet::new();
        for (path, item) in paths {
            let path = path.replace("{channel}", "a");
            let endpoint = Endpoint::of(&path);
            assert_ne!(endpoint, Endpoint::Nothing, "{path}");
            let method = if endpoint == Endpoint::OpenApi { "get" } else { "post" };
            assert!(item[method].is_object() && item.as_object().unwrap().len() == 1, "{path}");
            endpoints.insert(format!("{endpoint:?}"));
        }
        let all = [
            Endpoint::Publish,
            Endpoint::Channel("/a"),
            Endpoint::Batch,
            Endpoint::Broadcast,
            Endpoint::Stream,
            Endpoint::OpenApi,
        ];
        assert_eq!(endpoints, all.iter().map(|e| format!("{e:?}")).collect());
    }

    #[test]
    fn the_described_error_codes_are_those_of_the_code() {
        let description = description();
        let described =
            &description["components"]["schemas"]["Error"]["properties"]["code"]["enum"];
        let codes: Vec<&str> =
            described.as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
        assert_eq!(codes, Problem::CODES.iter().map(|(code, _)| *code).collect::<Vec<_>>());
    }

    #[test]
    fn every_publishing_endpoint_describes_every_status_it_may_answer() {
        let description = description();
        let whole = ["400", "401", "403", "404", "405", "408", "413", "414", "415", "431", "503"];
        for (path, item) in description["paths"].as_object().unwrap() {
            let Some(post) = item.get("post") else { continue };
            let described = post["responses"].as_object().unwrap();
            let single = path.starts_with("/api/v1/publish");
            let more: &[&str] = if single { &["409", "429"] } else { &[] };
            // A stream is answered before its lines are read.
            let late = ["408", "413", "503"];
            let stream = path.ends_with("/stream");
            let expected: BTreeSet<&str> = whole
                .iter()
                .chain(more)
                .chain(&["200"])
                .copied()
                .filter(|status| !(stream && late.contains(status)))
                .collect();
            let described: BTreeSet<&str> = described.keys().map(String::as_str).collect();
            assert_eq!(described, expected, "{path}");
        }
    }
}
