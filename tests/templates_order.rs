//! Neither the order of exchanges nor their division between two inventories changes what comes
//! out: templates, keys, counts, callers and schemas.
//!
//! Where an earlier judgement was undone, what cannot be told apart any more (callers, times, schema)
//! may differ; templates, keys, counts and reasons may not.
//!
//! Composed are small APIs with names, ids and fixed routes beside them, called more or less often.
//! All calls are answered: a refusal counts for a path only once something has answered there.
#![allow(clippy::unwrap_used)]

use apitap::catalog::{Catalog, Settings};
use apitap::exchange::{Exchange, Field, Shape, Shapes, Types};
use apitap::time::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Small numbers more often.
    fn few(&mut self, n: usize) -> usize {
        self.below(n).min(self.below(n)).min(self.below(n))
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}

const ROUTES: [&str; 12] = [
    "members", "settings", "orders", "items", "status", "search", "events", "keys", "hooks",
    "labels", "files", "stats",
];
const COLLECTIONS: [&str; 6] = ["teams", "projects", "users", "shops", "Queues", "boards"];

/// Calls of one composed API.
fn calls(seed: u64, n: usize) -> Vec<Exchange> {
    let mut r = Rng(seed);
    let mut templates = Vec::new();
    for _ in 0..4 + r.below(8) {
        let collection = COLLECTIONS[r.below(COLLECTIONS.len())];
        let value = ["{name}", "{int}", "{hex}", "me"][r.below(4)];
        let below = ROUTES[r.below(ROUTES.len())];
        let tail = ["", "/{name}", "/{int}", ":close"][r.below(4)];
        templates.push(match r.below(4) {
            0 => format!("/v1/{collection}"),
            1 => format!("/v1/{collection}/{value}"),
            _ => format!("/v1/{collection}/{value}/{below}{tail}"),
        });
    }
    let values = 3 + r.below(60);
    (0..n)
        .map(|i| {
            let template = r.few(templates.len());
            let mut path = templates[template].clone();
            while let Some((kind, at)) = ["{name}", "{int}", "{hex}"]
                .iter()
                .find_map(|kind| Some((*kind, path.find(kind)?)))
            {
                let value = r.few(values) as u64;
                let text = match kind {
                    "{name}" => format!("{}-{}", name(value), name(value * 7 + 3)),
                    "{int}" => format!("{}", value * 31 + 4),
                    _ => format!("{:016x}a1", Rng(value).next()),
                };
                path.replace_range(at..at + kind.len(), &text);
            }
            let mut x = Exchange::at(Timestamp::from_secs(1_760_000_000 + i as i64));
            x.client = format!("192.0.2.{}", r.below(40)).parse().unwrap();
            x.method = Some(["GET", "GET", "PUT"][r.below(3)].into());
            x.host = Some("api.example".into());
            x.path = Some(path.into());
            x.status = Some(200);
            x.latency_ms = Some(r.below(90) as f64);
            x.shapes = Some(Box::new(shapes(&mut r, template)));
            x
        })
        .collect()
}

fn name(n: u64) -> String {
    let syllables = ["ba", "ke", "lo", "mi", "nu", "ra", "si", "te"];
    let pick = |n: u64| syllables[(n % 8) as usize];
    [pick(n), pick(n / 8 + 1), pick(n / 64 + n)].concat()
}

fn shapes(r: &mut Rng, template: usize) -> Shapes {
    let field = |pointer: String, types| Field {
        pointer: pointer.into(),
        types,
        ..Field::default()
    };
    let mut fields = vec![field(String::new(), Types::OBJECT)];
    for n in 0..4 {
        if n < 2 || r.below(3) == 0 {
            let types = [Types::STRING, Types::INTEGER][r.below(2)];
            fields.push(field(format!("/f{}", template * 3 + n), types));
        }
    }
    Shapes {
        query: Some(Shape::default()),
        response: Some(Shape(fields)),
        ..Shapes::default()
    }
}

fn apply(catalog: &mut Catalog, calls: &[Exchange]) {
    let mut changes = Vec::new();
    for (n, x) in calls.iter().enumerate() {
        catalog.apply(x, &mut changes);
        if n % 40 == 39 {
            catalog.tick(x.end, &mut changes);
        }
    }
}

fn inventory(catalog: &mut Catalog) -> Vec<String> {
    let view = catalog.view();
    let line = |e: &apitap::catalog::EndpointView| {
        let schema = serde_json::to_string(&e.schema.as_deref()).unwrap();
        let known = (e.label(), &e.key, e.by_class, e.callers, e.confirmed);
        let times = (e.first_seen, e.last_seen, &e.latency, &e.hourly);
        format!("{known:?} {times:?} {:?} {schema}", e.evidence)
    };
    view.endpoints.iter().map(|e| line(e)).collect()
}

/// What no undone judgement changes.
fn outline(catalog: &mut Catalog) -> Vec<String> {
    let line = |e: &apitap::catalog::EndpointView| {
        format!("{} {} {:?} {:?}", e.label(), e.key, e.by_class, e.evidence)
    };
    catalog.view().endpoints.iter().map(|e| line(e)).collect()
}

fn of(calls: &[Exchange], ticks: bool) -> Catalog {
    let mut catalog = Catalog::new(Settings::default());
    match ticks {
        true => apply(&mut catalog, calls),
        false => catalog = unjudged(calls),
    }
    catalog.settle(&mut Vec::new());
    catalog
}

fn unjudged(calls: &[Exchange]) -> Catalog {
    let mut catalog = Catalog::new(Settings::default());
    for x in calls {
        catalog.apply(x, &mut Vec::new());
    }
    catalog
}

fn same(found: &[String], expected: &[String]) -> Result<(), TestCaseError> {
    for (found, expected) in found.iter().zip(expected) {
        prop_assert_eq!(found, expected);
    }
    prop_assert_eq!(found.len(), expected.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn order_changes_nothing(seed: u64, shuffle: u64) {
        let mut calls = calls(seed, 400);
        let whole = inventory(&mut of(&calls, false));
        prop_assert!(!whole.is_empty());
        Rng(shuffle).shuffle(&mut calls);
        same(&inventory(&mut of(&calls, false)), &whole)?;
        // Judging amid the stream changes nothing either.
        let outlined = outline(&mut of(&calls, false));
        same(&outline(&mut of(&calls, true)), &outlined)?;
    }

    #[test]
    fn two_halves_are_the_whole(seed: u64, at in 0usize..400, shuffle: u64) {
        let mut calls = calls(seed, 400);
        let whole = inventory(&mut of(&calls, false));
        Rng(shuffle).shuffle(&mut calls);
        let (one, two) = calls.split_at(at);
        let mut merged = unjudged(one);
        merged.merge(unjudged(two), &mut Vec::new());
        same(&inventory(&mut merged), &whole)?;
        // Each judged by itself, and amid the stream.
        let outlined = outline(&mut merged);
        let mut judged = of(two, false);
        judged.merge(of(one, true), &mut Vec::new());
        same(&outline(&mut judged), &outlined)?;
    }
}

#[test]
fn refusals_change_no_template() {
    let mut all = calls(7, 400);
    let plain: Vec<String> = labels(&mut of(&all, false));
    for i in (0..400).step_by(5) {
        let mut refused = all[i].clone();
        refused.status = Some([401, 404, 500][i % 3]);
        all.push(refused);
    }
    Rng(3).shuffle(&mut all);
    assert_eq!(labels(&mut of(&all, true)), plain);
}

fn labels(catalog: &mut Catalog) -> Vec<String> {
    catalog.view().endpoints.iter().map(|e| e.label()).collect()
}
