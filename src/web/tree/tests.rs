use std::sync::Arc;

use super::*;
use crate::catalog::CatalogView;

fn index(places: &[(&str, &str)]) -> Index {
    let one = |(n, (host, template)): (usize, &(&str, &str))| {
        Arc::new(EndpointView {
            key: format!("k{n}"),
            method: "GET".into(),
            host: (*host).into(),
            template: (*template).into(),
            requests: 1 << n,
            risk: 1 + n as u8,
            ..EndpointView::default()
        })
    };
    let endpoints = places.iter().enumerate().map(one).collect();
    let view = CatalogView {
        endpoints,
        ..CatalogView::default()
    };
    Index::new(Arc::new(view), None)
}

/// Name, endpoints and requests of each node of a level, and what it opens.
fn level(index: &Index, at: &str, cursor: &str) -> Vec<(String, usize, u64, bool)> {
    let rows: Vec<u32> = (0..index.rows.len() as u32).collect();
    let place = Place {
        view: "tree".into(),
        at: at.into(),
        cursor: cursor.into(),
        ..Place::default()
    };
    let nodes = tree(index, &rows, &place).nodes.into_iter();
    nodes
        .map(|n| (n.name, n.sum.endpoints, n.sum.requests, n.link.is_some()))
        .collect()
}

#[test]
fn sums_go_up_and_lone_parts_are_one_node() {
    let index = index(&[
        ("a", "/"),
        ("a", "/v1/users"),
        ("a", "/v1/users/{id}"),
        ("a", "/v1/users-x"),
        ("b", "/api/v2/deep/er"),
        ("b", "/api/v2/deep/er"),
    ]);
    let node =
        |name: &str, endpoints, requests, opens| (String::from(name), endpoints, requests, opens);
    assert_eq!(
        level(&index, "", ""),
        [
            node("All hosts", 6, 63, true),
            node("a", 4, 15, true),
            node("b", 2, 48, true)
        ]
    );
    assert_eq!(
        level(&index, "a", ""),
        [
            node("All hosts", 6, 63, true),
            node("a", 4, 15, true),
            node("/", 1, 1, false),
            node("/v1", 3, 14, true)
        ]
    );
    assert_eq!(
        level(&index, "a/v1", "")[2..],
        [
            node("/v1", 3, 14, true),
            node("/users", 2, 6, true),
            node("/users-x", 1, 8, false)
        ]
    );
    assert_eq!(
        level(&index, "a/v1/users", "")[3..],
        [
            node("/users", 2, 6, true),
            node("/", 1, 2, false),
            node("/{id}", 1, 4, false)
        ]
    );
    assert_eq!(
        level(&index, "b", "")[2..],
        [node("/api/v2/deep/er", 2, 48, false)]
    );
    assert_eq!(level(&index, "nowhere/x", "").len(), 3);
}

#[test]
fn a_level_has_a_bound_and_goes_on() {
    let hosts: Vec<String> = (0..NODES + 5).map(|n| format!("h{n:04}")).collect();
    let places: Vec<_> = hosts.iter().map(|h| (h.as_str(), "/x")).collect();
    let endpoints = places.iter().map(|(host, template)| {
        Arc::new(EndpointView {
            host: (*host).into(),
            template: (*template).into(),
            ..Default::default()
        })
    });
    let view = CatalogView {
        endpoints: endpoints.collect(),
        ..CatalogView::default()
    };
    let index = Index::new(Arc::new(view), None);
    assert_eq!(level(&index, "", "").len(), 1 + NODES);
    let last = format!("h{:04}", NODES - 1);
    assert_eq!(level(&index, "", &last).len(), 1 + 5);
}
