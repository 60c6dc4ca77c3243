//! Merges, splits and their undoing, with traffic between: whatever people decide, and in whatever
//! order, each endpoint is there once, no call is lost, and what is taken back leaves no trace.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Two operations of one path, ids, and a host where most paths are unknown to the spec.
const PATHS: [&str; 12] = [
    "/api/orders/7",
    "/api/orders/search",
    "/api/old",
    "/api/export",
    "/api/orders/spring-sale",
    "/v1/orders",
    "/v1/products",
    "/v1/users/7",
    "/v1/users/8",
    "/v1/users/me",
    "/v1/users/me/posts",
    "/v2/users/me",
];
const WORDS: [&str; 4] = ["7", "me", "search", "nobody"];

#[derive(Clone, Debug)]
enum Op {
    Call(&'static str, &'static str),
    /// Of the nth endpoint: which part, and the word where that is a parameter.
    Pin(usize, usize, Action, &'static str),
    Undo(usize),
    Settle,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let method = prop::sample::select(vec!["GET", "POST"]);
    let action = prop::sample::select(vec![Action::PinParameter, Action::PinStatic]);
    let (path, word) = (
        prop::sample::select(PATHS.to_vec()),
        prop::sample::select(WORDS.to_vec()),
    );
    prop_oneof![
        8 => (method, path).prop_map(|(method, path)| Op::Call(method, path)),
        3 => (0..20_usize, 0..4_usize, action, word).prop_map(|(n, part, a, w)| Op::Pin(n, part, a, w)),
        2 => (0..8_usize).prop_map(Op::Undo),
        1 => Just(Op::Settle),
        1 => Just(Op::Restart),
    ]
}

/// What is there: calls by what an endpoint is called.
fn there(b: &mut Bench) -> BTreeMap<String, u64> {
    let view = b.catalog.view();
    let all = view.endpoints.iter().filter(|e| e.life != Life::Dormant);
    let mut out = BTreeMap::new();
    let mut keys = BTreeMap::new();
    for e in all {
        let twin = keys.insert(e.key.clone(), e.label());
        assert_eq!(twin, None, "{} has the same key", e.label());
        let twin = out.insert(e.label(), e.requests);
        assert_eq!(twin, None, "{} is there twice", e.label());
    }
    assert_eq!(out.len(), b.catalog.endpoints().0);
    out
}

/// A bench that pins, beside one where nobody decides anything.
struct Pair {
    pinned: Bench,
    plain: Bench,
    calls: u64,
    next: u64,
    standing: Vec<Decision>,
    all: Vec<Decision>,
}

impl Pair {
    fn new() -> Self {
        let bench = || {
            let mut b = Bench::new();
            b.specs(&[SPEC]);
            b
        };
        Self {
            pinned: bench(),
            plain: bench(),
            calls: 0,
            next: 1,
            standing: Vec::new(),
            all: Vec::new(),
        }
    }

    fn call(&mut self, method: &str, path: &str) {
        self.calls += 1;
        for b in [&mut self.pinned, &mut self.plain] {
            b.call(method, "shop.example", path, 200);
        }
    }

    fn take(&mut self, action: Action, places: Vec<Place>) -> Decision {
        let d = Decision {
            id: self.next,
            at: Timestamp::from_secs(1_770_000_000),
            seen: self.pinned.catalog.now(),
            by: "ann".into(),
            action,
            places,
            value: None,
            note: None,
            undoes: None,
        };
        self.next += 1;
        self.pinned.catalog.decide(&d, &mut self.pinned.changes);
        self.all.push(d.clone());
        d
    }

    fn pin(&mut self, n: usize, part: usize, action: Action, word: &str) {
        let view = self.pinned.catalog.view();
        let Some(e) = view.endpoints.get(n % view.endpoints.len().max(1)) else {
            return;
        };
        let place = |word| self.pinned.catalog.pin_place(&e.key, part, word);
        if let Ok(place) = place(None).or_else(|_| place(Some(word))) {
            let d = self.take(action, vec![place]);
            self.standing.push(d);
        }
    }

    fn undo(&mut self, n: usize) {
        if self.standing.is_empty() {
            return;
        }
        let d = self.standing.remove(n % self.standing.len());
        let places = self.pinned.catalog.held(&d);
        if !places.is_empty() {
            self.take(Action::Unpin, places);
        }
    }

    fn restart(&mut self) {
        let saved = self.pinned.catalog.save();
        self.pinned.catalog = Catalog::restore(Settings::default(), &saved).unwrap();
        self.pinned.catalog.replay(&self.all);
        self.pinned.specs(&[SPEC]);
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Call(method, path) => self.call(method, path),
            Op::Pin(n, part, action, word) => self.pin(*n, *part, *action, word),
            Op::Undo(n) => self.undo(*n),
            Op::Settle => self.pinned.catalog.settle(&mut self.pinned.changes),
            Op::Restart => self.restart(),
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_taken_back_leaves_no_trace(ops in prop::collection::vec(op(), 1..60)) {
        let mut pair = Pair::new();
        for op in &ops {
            pair.apply(op);
            let there = there(&mut pair.pinned);
            prop_assert_eq!(there.values().sum::<u64>(), pair.calls, "{:?}: {:?}", op, there);
        }
        while !pair.standing.is_empty() {
            pair.undo(0);
        }
        for b in [&mut pair.pinned, &mut pair.plain] {
            b.catalog.settle(&mut b.changes);
        }
        prop_assert_eq!(there(&mut pair.pinned), there(&mut pair.plain));
    }
}

#[test]
fn an_operation_that_a_person_merged_takes_its_calls_there_and_comes_back() {
    let mut pair = Pair::new();
    let call = |pair: &mut Pair| {
        for path in ["/api/old", "/api/orders/7", "/api/export"] {
            pair.call("GET", path);
        }
    };
    call(&mut pair);
    call(&mut pair);
    let before: Vec<String> = there(&mut pair.pinned).into_keys().collect();
    let key = pair.pinned.endpoint("/api/old").key;
    let place = pair.pinned.catalog.pin_place(&key, 1, None).unwrap();
    let pin = pair.take(Action::PinParameter, vec![place]);
    call(&mut pair);
    let merged = there(&mut pair.pinned);
    // Where there is a parameter, the export, which no spec has, is a value of it, too.
    assert_eq!(merged["GET shop.example /api/{api_name}"], 6, "{merged:?}");
    pair.take(Action::Unpin, pin.places);
    call(&mut pair);
    let after = there(&mut pair.pinned);
    assert_eq!(after.keys().cloned().collect::<Vec<_>>(), before);
    assert!(after.values().all(|calls| *calls == 4), "{after:?}");
}
