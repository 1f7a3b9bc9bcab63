//! The description of the API for tools: written by hand, checked against the code here.

/// OpenAPI 3.1, as it is served.
pub(super) const DESCRIPTION: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::{
        events::EventType,
        server::admin::{api::Endpoint, problem},
    };

    fn description() -> Value {
        serde_json::from_str(DESCRIPTION).unwrap()
    }

    #[test]
    fn every_described_path_leads_somewhere_and_every_endpoint_is_described() {
        let description = description();
        let mut described = BTreeSet::new();
        for (path, item) in description["paths"].as_object().unwrap() {
            let path = path.replace("{channel}", "a").replace("{sid}", "s");
            let endpoint = Endpoint::of(&path);
            assert_ne!(endpoint, Endpoint::Nothing, "{path}");
            let method = endpoint.method().as_str().to_lowercase();
            assert!(item[method].is_object() && item.as_object().unwrap().len() == 1, "{path}");
            described.insert(format!("{endpoint:?}"));
        }
        let all = [
            Endpoint::Sessions,
            Endpoint::Session("s"),
            Endpoint::Disconnect("s"),
            Endpoint::Subscribe("s"),
            Endpoint::Unsubscribe("s"),
            Endpoint::Channels,
            Endpoint::Channel("/a"),
            Endpoint::Stats,
            Endpoint::Config,
            Endpoint::Events,
            Endpoint::Bayeux,
            Endpoint::Publish,
            Endpoint::Drain,
            Endpoint::Reload,
            Endpoint::OpenApi,
        ];
        assert_eq!(described, all.iter().map(|endpoint| format!("{endpoint:?}")).collect());
    }

    #[test]
    fn the_described_parameters_are_those_that_endpoints_know() {
        for (path, item) in description()["paths"].as_object().unwrap() {
            let path = path.replace("{channel}", "a").replace("{sid}", "s");
            let operation = item.as_object().unwrap().values().next().unwrap();
            let described: BTreeSet<&str> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let known: BTreeSet<&str> = Endpoint::of(&path).parameters().iter().copied().collect();
            assert_eq!(described, known, "{path}");
        }
    }

    #[test]
    fn the_described_error_codes_begin_with_those_of_the_code() {
        let description = description();
        let described =
            &description["components"]["schemas"]["Error"]["properties"]["code"]["enum"];
        let described: Vec<&str> =
            described.as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
        let codes: Vec<&str> = problem::tests::all().iter().map(problem::Problem::code).collect();
        assert_eq!(
            described.get(..codes.len()),
            Some(codes.as_slice()),
            "then those of publishing"
        );
    }

    #[test]
    fn the_described_types_of_events_are_all() {
        let description = description();
        let described =
            &description["components"]["schemas"]["Event"]["properties"]["type"]["enum"];
        let types: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(*described, serde_json::json!(types));
    }
}
