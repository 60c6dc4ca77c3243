//! Precision and recall of the classes of sensitive data, on values and look-alikes that are made
//! anew each time, from a seed that is printed; `APITAP_SEED` gives one again.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use apitap::exchange::Classes;
use apitap::observe::sensitive::classify;

#[path = "support/lookalikes.rs"]
mod lookalikes;
#[path = "support/people.rs"]
mod people;

use people::{CLASSES, Pair, Rng};

const POSITIVES: usize = 1_000;
const LOOK_ALIKES: usize = 10_000;

fn seed() -> u64 {
    let given = std::env::var("APITAP_SEED").ok();
    given.map_or_else(
        || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_nanos() as u64
        },
        |s| s.parse().unwrap(),
    )
}

/// A secret may be of several classes: a JWT under `access_token` is a token, too.
fn may_be_both(a: &str, b: &str) -> bool {
    a == b || (a.starts_with("secret:") && b.starts_with("secret:"))
}

/// Half of them nearly of the class, the others anything, people's other data among it.
fn look_alike(class: &str, r: &mut Rng) -> Pair {
    match r.below(4) {
        0 | 1 => lookalikes::near(class, r),
        2 => lookalikes::general(r),
        _ => loop {
            let other = r.one_of(&CLASSES);
            if !may_be_both(class, other) {
                break people::of(other, r);
            }
        },
    }
}

#[test]
fn each_class_is_precise_and_found() {
    let seed = seed();
    println!("seed {seed}");
    let mut r = Rng(seed);
    let mut failed = Vec::new();
    println!(
        "{:<20} {:>9} {:>9} {:>7} {:>7}",
        "class", "precision", "recall", "missed", "false"
    );
    for class in CLASSES {
        let bit = Classes::named(class).unwrap();
        let is = |(name, value): &Pair| classify(name, value).has(bit);
        let (mut missed, mut wrong) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..POSITIVES {
            let pair = people::of(class, &mut r);
            if !is(&pair) {
                missed.entry(pair.0).or_insert_with(Vec::new).push(pair.1);
            }
        }
        for _ in 0..LOOK_ALIKES {
            let pair = look_alike(class, &mut r);
            if is(&pair) {
                wrong.entry(pair.0).or_insert_with(Vec::new).push(pair.1);
            }
        }
        let count = |m: &BTreeMap<String, Vec<String>>| m.values().map(Vec::len).sum::<usize>();
        let (misses, false_ones) = (count(&missed), count(&wrong));
        let hits = POSITIVES - misses;
        let precision = hits as f64 / (hits + false_ones).max(1) as f64;
        let recall = hits as f64 / POSITIVES as f64;
        println!("{class:<20} {precision:>9.4} {recall:>9.4} {misses:>7} {false_ones:>7}");
        for (what, pairs) in [("missed", missed), ("false", wrong)] {
            for (name, values) in pairs {
                println!(
                    "    {what}: {name} = {:?}, {} of them",
                    values[0],
                    values.len()
                );
            }
        }
        if precision < 0.99 || recall < 0.95 {
            failed.push(class);
        }
    }
    assert_eq!(failed, Vec::<&str>::new(), "seed {seed}");
}
