//! Precision and recall of what answers give away, on errors of many languages and databases and on
//! look-alikes, all composed here from a seed that is printed; `APITAP_SEED` gives one again.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use apitap::exchange::Leaks;
use apitap::observe::leaks::{Answer, in_body};

#[path = "support/leaks.rs"]
mod composed;

use composed::{Body, LOOK_ALIKES, POSITIVES, Rng};

/// Of each kind of positive, and of each kind of look-alike.
const EACH: usize = 25;

fn seed() -> u64 {
    let given = std::env::var("APITAP_SEED").ok();
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.unwrap().as_nanos() as u64
    };
    given.map_or_else(now, |s| s.parse().unwrap())
}

fn seen(body: &Body) -> Leaks {
    let answer = Answer {
        status: body.status,
        media_type: body.media_type,
        host: "api.shop.example",
        path: "/v1/orders/42",
    };
    in_body(answer, body.text.as_bytes())
}

#[derive(Default)]
struct Score {
    hits: usize,
    misses: usize,
    wrong: usize,
}

#[test]
fn each_kind_is_precise_and_found() {
    let seed = seed();
    println!("seed {seed}");
    let mut r = Rng(seed);
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    let (mut positives, mut negatives) = (0, 0);
    for (kind, what, make) in POSITIVES {
        let wanted = Leaks::named(std::iter::once(*kind));
        for _ in 0..EACH {
            let body = make(&mut r);
            positives += 1;
            let score = scores.entry(kind).or_default();
            if seen(&body).has(wanted) {
                score.hits += 1;
            } else {
                score.misses += 1;
                println!("    missed: {kind}, {what}: {} {}", body.status, body.text);
            }
        }
    }
    for (what, make) in LOOK_ALIKES {
        for _ in 0..EACH {
            let body = make(&mut r);
            negatives += 1;
            for kind in seen(&body).names() {
                scores.entry(kind).or_default().wrong += 1;
                println!("    wrong: {kind}, {what}: {} {}", body.status, body.text);
            }
        }
    }
    println!("{positives} positives, {negatives} look-alikes");
    println!("{:<18} {:>9} {:>9}", "kind", "precision", "recall");
    assert!(positives >= 200 && negatives >= 400);
    for (kind, s) in scores {
        let precision = s.hits as f64 / (s.hits + s.wrong).max(1) as f64;
        let recall = s.hits as f64 / (s.hits + s.misses).max(1) as f64;
        println!("{kind:<18} {precision:>9.4} {recall:>9.4}");
        assert!(precision >= 0.99 && recall >= 0.95, "{kind}, seed {seed}");
    }
}
