//! The history against a naive one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::catalog::{Catalog, Settings};
use crate::exchange::parse_line;

const START: i64 = 1_760_000_000;

fn exchange(second: i64, status: u16, micros: Option<u32>) -> Exchange {
    let latency = micros.map_or_else(String::new, |n| {
        format!(r#","latency_ms":{}"#, f64::from(n) / 1e3)
    });
    let line = format!(
        r#"{{"v":1,"ts":{},"method":"GET","host":"h","path":"/a","status":{status},"request_bytes":{}{latency}}}"#,
        START + second,
        second % 300
    );
    parse_line(line.as_bytes()).unwrap()
}

/// Every slot by its number, without any bound.
#[derive(Default)]
struct Naive(BTreeMap<i64, Slot>);

impl Naive {
    fn take(&mut self, step: Step, x: &Exchange) {
        let at = step.slot(x.ts);
        let slot = self.0.entry(at).or_default();
        slot.at = at as i32;
        slot.request_bytes += x.request_bytes.unwrap_or(0);
        slot.requests += 1;
        slot.client_errors += u32::from(x.status.is_some_and(|s| s / 100 == 4));
        slot.server_errors += u32::from(x.status.is_some_and(|s| s / 100 == 5));
        if let Some(ms) = x.latency_ms {
            let micros = (ms * 1e3).round() as u32;
            slot.timed += 1;
            slot.slowest = slot.slowest.max(micros);
            slot.latency_sum += u64::from(micros);
        }
    }

    fn window(&self, end: i64) -> Vec<Slot> {
        let window = self.0.range(end - SLOTS + 1..=end);
        window.map(|(_, slot)| *slot).collect()
    }
}

fn check(history: &History, exchanges: &[Exchange]) -> Result<(), TestCaseError> {
    let last = exchanges.iter().map(|x| x.ts).max().unwrap();
    for step in [Step::Minute, Step::Hour] {
        let mut naive = Naive::default();
        exchanges.iter().for_each(|x| naive.take(step, x));
        let (run, end) = (history.run(step, last), step.slot(last));
        prop_assert_eq!(run.slots(), naive.window(end));
        // Every latency is in a bucket of its slot, and the bars have all of them.
        for bar in run.bars(end - SLOTS + 1, 7, SLOTS as usize / 7 + 1) {
            let from = i64::from(bar.slot.at);
            let theirs = exchanges
                .iter()
                .filter(|x| (from..from + 7).contains(&step.slot(x.ts)));
            let mut ms: Vec<f64> = theirs.clone().filter_map(|x| x.latency_ms).collect();
            ms.sort_by(f64::total_cmp);
            prop_assert_eq!(bar.slot.requests as usize, theirs.count());
            let middle = ms.get(ms.len().div_ceil(2).saturating_sub(1));
            let near = match (middle, bar.quantile(0.5)) {
                (Some(exact), Some(found)) => (exact - found).abs() <= exact / 4.0 + 1e-3,
                (exact, found) => exact.is_none() && found.is_none(),
            };
            prop_assert!(near, "{:?} {:?}", middle, bar.quantile(0.5));
        }
    }
    Ok(())
}

/// Mostly close together, now and then days away.
fn traffic() -> impl Strategy<Value = Vec<Exchange>> {
    let at = prop_oneof![
        6 => 0_i64..6_000,
        2 => 0_i64..200_000,
        1 => 0_i64..8_000_000,
    ];
    let status = prop_oneof![Just(200_u16), Just(404), Just(503), Just(301)];
    let one = (at, status, proptest::option::of(0_u32..90_000_000));
    let one = one.prop_map(|(at, status, micros)| exchange(at, status, micros));
    proptest::collection::vec(one, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_gives_what_the_naive_one_has(exchanges in traffic()) {
        let mut history = History::default();
        exchanges.iter().for_each(|x| history.take(x));
        check(&history, &exchanges)?;
        let saved = postcard::to_stdvec(&history).unwrap();
        let restored: History = postcard::from_bytes(&saved).unwrap();
        check(&restored, &exchanges)?;
    }

    #[test]
    fn halves_add_up(exchanges in traffic(), at in any::<prop::sample::Index>(), sorted: bool) {
        let mut exchanges = exchanges;
        if sorted {
            exchanges.sort_by_key(|x| x.ts);
        }
        let (one, other) = exchanges.split_at(at.index(exchanges.len()));
        let [mut a, mut b] = [one, other].map(|half| {
            let mut history = History::default();
            half.iter().for_each(|x| history.take(x));
            history
        });
        let mut reverse = b.clone();
        reverse.merge(&a);
        check(&reverse, &exchanges)?;
        a.merge(&b);
        // And both go on after a merge.
        b.merge(&a.clone());
        let again = exchange(5_000, 200, Some(1));
        a.take(&again);
        exchanges.push(again);
        check(&a, &exchanges)?;
    }

    #[test]
    fn damaged_bytes_are_read_as_far_as_they_go(bytes: Vec<u8>) {
        let run = Run::unpack(&bytes);
        prop_assert!(run.slots.len() + run.cells.len() <= bytes.len());
    }
}

#[test]
fn the_day_by_the_hour() {
    let mut history = History::default();
    for hour in [0, 0, 1, 23, 30] {
        history.take(&exchange(hour * 3_600, 200, None));
    }
    let now = Timestamp::from_secs(START + 30 * 3_600);
    let mut day = vec![0; 24];
    (day[23], day[16]) = (1, 1);
    assert_eq!(history.day(now), day);
    assert_eq!(history.run(Step::Hour, now).slots().len(), 4);
}

/// The figures that the module's text states.
#[test]
fn a_quiet_endpoint_is_small_and_a_busy_one_is_bounded() {
    let mut quiet = History::default();
    quiet.take(&exchange(0, 200, Some(1_000)));
    assert_eq!(quiet.bytes(), 120);
    // A thousand a minute for 61 days, one in ten failed, spread over a decade of latencies.
    let mut busy = History::default();
    let mut largest = 0;
    for minute in 0..61 * 1_440_u32 {
        let mut slot = Slot::of(&exchange(0, 200, Some(20_000)));
        slot.request_bytes = 200_000;
        slot.response_bytes = 3_000_000;
        let ts = Timestamp::from_secs(START + i64::from(minute) * 60);
        for n in 0..16 {
            let many = Slot {
                requests: 60 + minute % 7,
                client_errors: 6 + minute % 3,
                slowest: slot.slowest * 10 / (10 - n % 10),
                ..slot
            };
            busy.minutes.add(Step::Minute.slot(ts), &many);
            busy.hours.add(Step::Hour.slot(ts), &many);
        }
        largest = largest.max(busy.bytes());
    }
    assert!((98_304..131_072).contains(&largest), "{largest}");
    let end = Timestamp::from_secs(START + (61 * 1_440 - 1) * 60);
    for step in [Step::Minute, Step::Hour] {
        assert_eq!(busy.run(step, end).slots().len(), SLOTS as usize);
    }
}

fn call(catalog: &mut Catalog, host: &str, second: i64) {
    let line = format!(
        r#"{{"v":1,"ts":{},"method":"GET","host":"{host}","path":"/a","status":200,"latency_ms":5}}"#,
        START + second
    );
    catalog.apply(&parse_line(line.as_bytes()).unwrap(), &mut Vec::new());
}

#[test]
fn past_the_budget_the_minutes_of_the_least_used_go_first() {
    let budget = 8 << 10;
    let settings = Settings {
        max_history: budget,
        ..Settings::default()
    };
    let mut catalog = Catalog::new(settings.clone());
    for round in 0..40 {
        for n in 0..30 {
            // The first is called every minute, the last now and then.
            if round % (n + 1) == 0 {
                call(&mut catalog, &format!("h{n}"), round * 60);
            }
        }
        let used: usize = catalog
            .view()
            .endpoints
            .iter()
            .map(|e| e.history.bytes())
            .sum();
        assert!(used <= budget, "{used}");
    }
    let view = catalog.view();
    assert!(view.histories_cut > 0);
    let most = view.endpoints.iter().max_by_key(|e| e.requests).unwrap();
    assert!(!most.history.is_cut(Step::Minute));
    assert_eq!(most.history.run(Step::Minute, view.at).slots().len(), 40);
    let cut = view
        .endpoints
        .iter()
        .filter(|e| e.history.is_cut(Step::Minute));
    assert!(cut.count() > 0);
    assert!(view.endpoints.iter().all(|e| !e.history.is_cut(Step::Hour)));
    // It is still so after a restart, and histories are still bounded.
    let mut restored = Catalog::restore(settings, &catalog.save()).unwrap();
    let again = restored.view();
    for (a, b) in view.endpoints.iter().zip(&again.endpoints) {
        assert_eq!(
            a.history.run(Step::Minute, view.at),
            b.history.run(Step::Minute, view.at)
        );
        assert_eq!(
            a.history.is_cut(Step::Minute),
            b.history.is_cut(Step::Minute)
        );
    }
}
