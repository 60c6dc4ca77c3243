//! Each route of the router is thought of, and only those are.

use std::collections::BTreeSet;

use axum::http::Method;

use super::*;

#[test]
fn each_route_has_its_role_and_no_other_is_listed() {
    let routes = super::super::every_route::routes().into_iter();
    let routes: BTreeSet<(bool, String)> = routes
        .map(|(method, path)| (method != Method::GET, path))
        .collect();
    assert!(routes.len() > 70, "{}", routes.len());
    let unlisted = |(changes, path): &&(bool, String)| listed(*changes, path).is_none();
    let without: Vec<_> = routes.iter().filter(unlisted).collect();
    assert!(
        without.is_empty(),
        "routes without a role (see policy.rs): {without:?}"
    );
    for (changes, rules) in [(false, READS), (true, CHANGES)] {
        let all = rules.iter().flat_map(|(paths, _)| paths.iter().copied());
        let all: Vec<&str> = all.collect();
        let once: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(once.len(), all.len(), "a route stands twice");
        // Those that are open are listed once for both.
        let is_there = |path: &&str| {
            routes.contains(&(changes, (*path).to_owned())) || changes && OPEN.contains(path)
        };
        let gone: Vec<&str> = once.into_iter().filter(|path| !is_there(path)).collect();
        assert!(gone.is_empty(), "roles without a route: {gone:?}");
    }
}
