//! Publishing makes anew what changed and nothing else, and so must come to what a reader would see
//! who had seen nothing before.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

/// What readers see of an inventory that was never published.
fn anew(b: &Bench) -> Arc<CatalogView> {
    let saved = b.catalog.save();
    let mut catalog = Catalog::restore(Settings::default(), &saved).unwrap();
    catalog.view()
}

fn lines(view: &CatalogView) -> Vec<String> {
    let line = |e: &Arc<EndpointView>| serde_json::to_string(&**e).unwrap();
    view.endpoints.iter().map(line).collect()
}

fn hosts(view: &CatalogView) -> Vec<(String, usize, u64)> {
    let one = |h: &HostView| (h.host.clone(), h.endpoints, h.requests);
    view.hosts.iter().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_published_piece_by_piece_is_what_there_is(
        calls in prop::collection::vec((0..3_u8, 0..40_u8, 0..4_u8, any::<bool>()), 1..250),
    ) {
        let mut b = Bench::new();
        for (host, name, place, publish) in calls {
            let host = format!("h{host}.example");
            let path = match place {
                // Names that fold into one, with what lies below them.
                0 => format!("/v1/people/person-{}", (b'a' + name % 26) as char),
                1 => format!("/v1/people/p{}x/orders", (b'a' + name % 26) as char),
                2 => "/v1/items".to_owned(),
                _ => format!("/v1/items/{name}"),
            };
            b.call("GET", &host, &path, 200);
            if publish {
                b.catalog.settle(&mut b.changes);
            }
            if publish || name % 5 == 0 {
                b.catalog.view();
            }
        }
        let seen = b.catalog.view();
        let all = anew(&b);
        prop_assert_eq!(lines(&seen), lines(&all));
        prop_assert_eq!(hosts(&seen), hosts(&all));
    }
}
