//! One path with many operations is many entries.

use super::*;
use crate::exchange::{Operation, OperationKind};

impl Bench {
    fn asks(&mut self, kind: OperationKind, path: &str, operation: &str, status: u16) -> Access {
        self.now += 1;
        let mut x = Exchange::at(Timestamp::from_secs(self.now));
        x.method = Some("POST".into());
        x.host = Some("api.example".into());
        x.path = Some(path.into());
        x.status = Some(status);
        x.response_bytes = Some(40_000);
        let mut asked = Operation::new(kind, Some(operation.into()));
        asked.introspection = operation.contains("Introspection");
        asked.depth = Some(self.now as u16 % 7);
        x.operation = Some(Box::new(asked));
        self.catalog.apply(&x, &mut self.changes)
    }

    fn query(&mut self, operation: &str) -> Access {
        self.asks(OperationKind::Graphql, "/graphql", operation, 200)
    }
}

#[test]
fn each_operation_of_a_path_is_an_entry() {
    let mut b = Bench::new();
    for round in 0..3 {
        for n in 0..300 {
            let access = b.query(&format!("query Get{n}"));
            assert_eq!(access.confirmed, round > 0);
        }
        b.asks(OperationKind::JsonRpc, "/rpc", "eth_call", 200);
        b.call("POST", "api.example", "/graphql", 200);
    }
    let view = b.catalog.view();
    assert_eq!(view.endpoints.len(), 302);
    let labels = b.labels();
    assert_eq!(labels[0], "POST api.example /graphql");
    assert_eq!(labels[1], "POST api.example /graphql query Get0");
    assert_eq!(labels[301], "POST api.example /rpc eth_call");
    let rpc = b.endpoint("/rpc");
    assert_eq!(rpc.operation_kind, Some(OperationKind::JsonRpc));
    assert!(rpc.confirmed && rpc.requests == 3);
    let keys: std::collections::BTreeSet<_> = view.endpoints.iter().map(|e| &e.key).collect();
    assert_eq!(keys.len(), 302);

    let assign = |path, operation| b.catalog.assign("POST", "api.example", path, operation);
    let known = assign("/graphql", Some("query Get7"));
    assert_eq!(
        known.as_deref(),
        Some("POST api.example /graphql query Get7")
    );
    let unknown = assign("/graphql", Some("query Other"));
    assert_eq!(unknown.as_deref(), Some("POST api.example /graphql"));
    assert_eq!(
        assign("/rpc", None).as_deref(),
        Some("POST api.example /rpc")
    );
    assert_eq!(assign("/else", Some("eth_call")), None);
}

#[test]
fn operations_survive_a_restart_and_the_merge_of_their_paths() {
    let mut b = Bench::new();
    for n in 0..60 {
        for _ in 0..2 {
            b.asks(
                OperationKind::Graphql,
                &format!("/t/tenant{}x/graphql", (b'a' + n % 26) as char),
                "query A",
                200,
            );
            b.asks(
                OperationKind::Graphql,
                &format!("/t/{}/graphql", 1_000 + u32::from(n)),
                "query B",
                200,
            );
        }
    }
    let labels = b.labels();
    let merged = labels
        .iter()
        .filter(|l| l.ends_with("/graphql query B"))
        .count();
    assert_eq!(merged, 1, "{labels:?}");
    let saved = b.catalog.save();
    b.catalog = Catalog::restore(Settings::default(), &saved).unwrap();
    assert_eq!(b.labels(), labels);
}

#[test]
fn invented_operations_find_an_end() {
    let mut b = Bench::new();
    for n in 0..5_000 {
        b.query(&format!("query Name{n}"));
    }
    let view = b.catalog.view();
    assert_eq!(view.endpoints.len(), 2_001);
    let own = view
        .endpoints
        .iter()
        .find(|e| e.operation.is_none())
        .unwrap();
    assert_eq!(own.requests, 3_000);
    assert_eq!(own.operation_kind, Some(OperationKind::Graphql));

    let mut b = Bench::with(Settings {
        max_endpoints: 100,
        ..Settings::default()
    });
    for n in 0..5_000 {
        b.query(&format!("query Name{n}"));
    }
    assert!(b.catalog.view().endpoints.len() <= 100);
}

#[test]
fn an_operation_that_is_refused_makes_no_entry() {
    let mut b = Bench::new();
    assert_eq!(
        b.asks(OperationKind::Graphql, "/graphql", "query A", 400)
            .endpoint,
        None
    );
    for _ in 0..2 {
        b.query("query A");
    }
    let access = b.asks(OperationKind::Graphql, "/graphql", "query Guess", 400);
    assert_eq!(access.endpoint, None);
    // The path is known all the same: this is no search for paths.
    assert!(access.confirmed && access.node.is_some());
    assert_eq!(b.labels(), ["POST api.example /graphql query A"]);
}

#[test]
fn specs_own_a_path_with_all_its_operations() {
    let spec = "
openapi: 3.0.3
info: { title: Api, version: '1' }
servers: [{ url: 'https://api.example' }]
paths:
  /graphql: { post: { operationId: graphql, deprecated: true } }
";
    let mut b = Bench::new();
    b.specs(&[spec]);
    for _ in 0..2 {
        b.query("query A");
        b.query("mutation B");
        b.asks(OperationKind::Soap, "/soap", "Find", 200);
        b.asks(OperationKind::Soap, "/soap", "Delete", 200);
    }
    let view = b.catalog.view();
    let documented = view
        .endpoints
        .iter()
        .filter(|e| e.operation_id.as_deref() == Some("graphql"));
    assert_eq!(documented.count(), 2);
    // What is true of the path is told once.
    assert_eq!(b.found(FindingKind::DeprecatedInUse).len(), 1);
    assert_eq!(b.found(FindingKind::Shadow).len(), 1);
    let endpoints: Vec<&EndpointView> = view.endpoints.iter().map(AsRef::as_ref).collect();
    let document = openapi::documents(&endpoints).remove(0);
    let post = &document["paths"]["/graphql"]["post"];
    assert_eq!(post["x-apitap-operations"].as_array().unwrap().len(), 2);
    assert_eq!(post["x-apitap-operations"][0]["name"], "mutation B");
    assert_eq!(post["responses"]["200"]["description"], "4 seen.");
}

#[test]
fn a_schema_that_is_given_away_is_found() {
    let mut b = Bench::new();
    for status in [400, 400, 200, 200, 200] {
        b.asks(
            OperationKind::Graphql,
            "/graphql",
            "query IntrospectionQuery",
            status,
        );
    }
    assert_eq!(
        b.found(FindingKind::Introspection),
        ["POST api.example /graphql query IntrospectionQuery"]
    );
    assert!(b.endpoint("/graphql").introspection);
}
