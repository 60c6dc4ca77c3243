use super::*;
use crate::catalog::{Access, EndpointId, NodeId, Object};
use crate::exchange::Exchange;

const HOUR: i64 = 3_600;

struct World {
    detect: Detect,
    out: Vec<Verdict>,
    now: i64,
    random: u64,
}

impl World {
    fn new() -> Self {
        let settings = Settings {
            learning: Duration::from_secs(86_400),
            ..Settings::default()
        };
        Self {
            detect: Detect::new(settings),
            out: Vec::new(),
            now: 1_760_000_000,
            random: 7,
        }
    }

    fn chance(&mut self, n: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % n
    }

    fn get(&mut self, who: u64, id: u64, status: u16) {
        let mut x = Exchange::at(Timestamp::from_secs(self.now));
        x.method = Some("GET".into());
        x.path = Some(format!("/orders/{id}").into());
        x.status = Some(status);
        x.client = std::net::IpAddr::from([10, 0, (who >> 8) as u8, who as u8]);
        x.identity = Some(format!("bearer:{who:x}").into());
        let known = status < 400 || id < 1_000_000;
        let access = Access {
            endpoint: known.then_some(EndpointId(1)),
            node: known.then_some(NodeId(1)),
            object: known.then_some(Object {
                hash: id,
                number: Some(id),
            }),
            confirmed: known,
            login: false,
        };
        self.detect.apply(&access, &x, &mut self.out);
    }

    /// Some hundred callers with a few objects each.
    fn usual(&mut self, hours: i64) {
        let end = self.now + hours * HOUR;
        while self.now < end {
            let who = 1 + self.chance(200);
            let id = who * 1_000 + self.chance(6) * 37;
            self.get(who, id, 200);
            self.now += 5 + self.chance(20) as i64;
            if self.now % 600 < 10 {
                self.detect.tick(Timestamp::from_secs(self.now), &mut []);
            }
        }
    }

    fn kinds(&mut self) -> Vec<(VerdictKind, String)> {
        self.out.drain(..).map(|v| (v.kind, v.detector)).collect()
    }
}

#[test]
fn usual_traffic_is_quiet() {
    let mut w = World::new();
    w.usual(72);
    assert_eq!(w.kinds(), []);
}

#[test]
fn a_walk_rings_and_learning_is_silent() {
    let mut w = World::new();
    w.usual(4);
    for id in 0..400 {
        w.get(3, 50_000 + id, 200);
        w.now += 1;
    }
    assert_eq!(w.kinds(), [], "still learning");
    w.usual(44);
    for id in 0..400 {
        w.get(9, 80_000 + id, if id % 3 == 0 { 404 } else { 200 });
        w.now += 1;
    }
    let told = w.kinds();
    assert!(
        told.iter().any(|(k, _)| *k == VerdictKind::Enumeration),
        "{told:?}"
    );
    assert!(told.len() < 12, "a flood of its own: {}", told.len());
}

#[test]
fn a_scan_rings() {
    let mut w = World::new();
    w.usual(30);
    for n in 0..200 {
        w.get(77, 1_000_000 + n, 404);
        w.now += 2;
    }
    assert!(w.kinds().iter().any(|(k, _)| *k == VerdictKind::Scan));
}

#[test]
fn a_flood_of_many_callers_is_volume() {
    let mut w = World::new();
    w.usual(30);
    for n in 0..4_000 {
        w.get(1 + n % 200, (1 + n % 200) * 1_000, 200);
        w.now += i64::from(n % 20 == 0);
    }
    let told = w
        .out
        .iter()
        .find(|v| v.detector == "volume-endpoint")
        .expect("rings");
    assert!(told.principal.is_none() && told.observed > told.expected && told.log10_p < -5.0);
    assert!(!told.series.is_empty() && told.series.len() <= 60);
}

#[test]
fn a_restart_changes_nothing() {
    let run = |cut: bool| {
        let mut w = World::new();
        w.usual(30);
        if cut {
            let saved = w.detect.save();
            w.detect = Detect::restore(Settings::default(), &saved).unwrap();
        }
        for id in 0..300 {
            w.get(9, 80_000 + id, 200);
            w.now += 1;
        }
        w.out
    };
    let (whole, cut) = (run(false), run(true));
    assert!(!whole.is_empty());
    assert_eq!(whole, cut);
    assert!(Detect::restore(Settings::default(), b"\x09").is_err());
    assert!(Detect::restore(Settings::default(), b"").is_err());
}

#[test]
fn an_address_flood_costs_the_budget_and_no_more() {
    let settings = Settings {
        max_principals: 500,
        ..Settings::default()
    };
    let mut w = World {
        detect: Detect::new(settings),
        ..World::new()
    };
    for who in 0..20_000 {
        w.get(who, who, 200);
        w.now += 1;
        if who % 50 == 0 {
            w.detect.tick(Timestamp::from_secs(w.now), &mut []);
        }
    }
    assert!(w.detect.principals() <= 600, "{}", w.detect.principals());
}

proptest::proptest! {
    #[test]
    fn any_exchange_is_survived(events in proptest::collection::vec((0_u64..5, 0_u64..2_000_000, 0_u16..600, -10_000_i64..10_000), 0..200)) {
        let mut w = World::new();
        for (who, id, status, step) in events {
            w.get(who, id, status);
            w.now += step;
        }
        for v in &w.out {
            proptest::prop_assert!(v.log10_p.is_finite() && v.score.is_finite() && v.since <= v.until);
        }
    }
}
