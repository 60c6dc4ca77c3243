mod targets;

use std::net::Ipv4Addr;
use std::sync::Arc;

use proptest::prelude::*;

use super::distinct::{hash_text, mix};
use super::*;
use crate::catalog::{NodeId, Object, Oddities};

mod principals;

const DAY: i64 = 86_400;
/// A Monday.
const START: i64 = 1_767_571_200;

/// Numbers from a fixed seed: the small world is the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % sides
    }
}

/// One call of a small API: an object, a list, a login, or a path that is not there.
#[derive(Clone)]
enum Call {
    Object(u64),
    List(u64),
    Login(u16),
    Path(u64),
}

fn exchange(secs: f64, who: &str, client: u32, call: &Call) -> (Access, Exchange) {
    let mut x = Exchange::at(Timestamp::from_secs_f64(START as f64 + secs));
    x.client = Ipv4Addr::from(client).into();
    x.method = Some("GET".into());
    x.host = Some("api.example".into());
    x.identity = (!who.is_empty()).then(|| Arc::from(format!("bearer:{who}")));
    (x.status, x.response_bytes) = (Some(200), Some(900));
    let mut access = Access {
        endpoint: None,
        node: None,
        object: None,
        confirmed: true,
        login: false,
        complete: true,
        oddities: Oddities::default(),
    };
    let place = match call {
        Call::Object(n) => {
            x.path = Some(format!("/v1/orders/{n}").into());
            access.object = Some(Object {
                hash: hash_text(&n.to_string()),
                number: Some(*n),
            });
            0
        }
        Call::List(page) => {
            x.path = Some("/v1/orders".into());
            x.query = Some(format!("page={page}&secret=hunter2").into());
            1
        }
        Call::Login(status) => {
            x.path = Some("/v1/login".into());
            x.status = Some(*status);
            access.login = true;
            2
        }
        Call::Path(n) => {
            x.path = Some(format!("/{n}/backup").into());
            x.status = Some(404);
            access.confirmed = false;
            return (access, x);
        }
    };
    (access.endpoint, access.node) = (Some(EndpointId(place)), Some(NodeId(place)));
    (access, x)
}

/// Days of ordinary use by sixty callers, and a batch job each night that walks ids in order.
fn world(days: i64, seed: u64) -> Vec<(Access, Exchange)> {
    let mut dice = Dice(seed);
    let mut calls = Vec::new();
    for caller in 0..60_u32 {
        let own: Vec<u64> = (0..8).map(|_| dice.roll(50_000)).collect();
        for _ in 0..days * 6 {
            let mut at = dice.roll((days * DAY) as u64) as f64;
            for _ in 0..1 + dice.roll(12) {
                let call = match dice.roll(20) {
                    0 => Call::Login(if dice.roll(4) == 0 { 401 } else { 200 }),
                    1..5 => Call::List(dice.roll(4)),
                    _ => Call::Object(own[dice.roll(8) as usize]),
                };
                let who = if matches!(call, Call::Login(_)) {
                    String::new()
                } else {
                    format!("user{caller}")
                };
                calls.push(exchange(at, &who, 1_000 + caller, &call));
                at += 1.0 + dice.roll(20) as f64;
            }
        }
    }
    for night in 0..days {
        for i in 0..200 {
            let at = (night * DAY + 7_200) as f64 + i as f64 * 0.5;
            calls.push(exchange(
                at,
                "batch",
                77,
                &Call::Object((night * 200 + i) as u64),
            ));
        }
    }
    calls
}

fn attack(
    at: f64,
    every: f64,
    n: u64,
    who: &str,
    client: u32,
    call: impl Fn(u64) -> Call,
) -> Vec<(Access, Exchange)> {
    (0..n)
        .map(|i| exchange(at + i as f64 * every, who, client, &call(i)))
        .collect()
}

fn sorted(mut calls: Vec<(Access, Exchange)>) -> Vec<(Access, Exchange)> {
    calls.sort_by_key(|(_, x)| x.ts);
    calls
}

fn run(detect: &mut Detect, calls: &[(Access, Exchange)]) -> Vec<Verdict> {
    let mut out = Vec::new();
    for (access, x) in calls {
        detect.apply(access, x, &mut out);
    }
    out
}

fn told(attack: Vec<(Access, Exchange)>) -> Vec<Verdict> {
    let (from, until) = (attack[0].1.ts, attack[attack.len() - 1].1.ts);
    let calls = sorted([world(8, 1), attack].concat());
    let verdicts = run(&mut Detect::new(Settings::default()), &calls);
    verdicts
        .into_iter()
        .filter(|v| from <= v.at && v.at <= until)
        .collect()
}

/// What every verdict owes its reader.
fn honest(v: &Verdict) {
    // Information is what is rare; the rest is what the budget bears.
    let bar = if v.kind == VerdictKind::Source {
        -2.0
    } else {
        -3.0
    };
    assert!(v.log10_p.is_finite() && v.log10_p <= bar, "{v:?}");
    assert!(
        (v.observed > v.expected) == (v.detector != "traffic-drop")
            && v.since <= v.until
            && v.until <= v.at,
        "{v:?}"
    );
    assert!(
        (50.0..=100.0).contains(&v.score) && v.why.len() >= 3 && !v.summary.is_empty(),
        "{v:?}"
    );
    assert!(v.parts.iter().any(|p| p.name == "bar_log10_p"), "{v:?}");
    assert!(
        (1..=5).contains(&v.samples.len()) && v.series.len() <= 60,
        "{v:?}"
    );
    assert!(
        v.samples
            .iter()
            .all(|s| s.contains('→') && !s.contains("hunter2")),
        "{v:?}"
    );
}

fn rings(verdicts: &[Verdict], kind: VerdictKind, who: Option<&str>) {
    verdicts.iter().for_each(honest);
    let found = verdicts.iter().any(|v| {
        let named = v
            .principal
            .as_ref()
            .and_then(|p| p.identity.as_deref().or(p.client.as_deref()));
        v.kind == kind && named == who
    });
    assert!(found, "{kind:?} by {who:?} is missing in {verdicts:#?}");
}

#[test]
fn ordinary_days_and_nightly_jobs_keep_to_the_budget() {
    // One a week is the default: three in four worlds of eight days is what chance may do.
    let rung: Vec<_> = (1..=4)
        .flat_map(|seed| {
            run(
                &mut Detect::new(Settings::default()),
                &sorted(world(8, seed)),
            )
        })
        .collect();
    assert!(rung.len() <= 6, "{rung:#?}");
    assert!(
        rung.iter().all(|v| v
            .principal
            .as_ref()
            .is_none_or(|p| p.identity.as_deref() != Some("bearer:batch"))),
        "{rung:#?}"
    );
}

#[test]
fn a_walk_over_ids_rings() {
    let walk = attack(6.5 * DAY as f64, 1.0, 300, "user7", 1_007, |i| {
        Call::Object(20_000 + i)
    });
    let verdicts = told(walk);
    rings(&verdicts, VerdictKind::Enumeration, Some("bearer:user7"));
    assert!(
        verdicts.len() < 40,
        "{} verdicts flood the alerts",
        verdicts.len()
    );
}

#[test]
fn a_walk_spread_over_callers_rings_for_the_endpoint() {
    let walk: Vec<_> = (0..300_u64)
        .map(|i| {
            exchange(
                6.5 * DAY as f64 + i as f64 * 4.0,
                &format!("user{}", i % 60),
                1_000 + (i % 60) as u32,
                &Call::Object(20_000 + i),
            )
        })
        .collect();
    rings(&told(walk), VerdictKind::Enumeration, None);
}

#[test]
fn a_path_scan_rings() {
    let scan = attack(6.5 * DAY as f64, 0.5, 200, "", 0x0505_0505, Call::Path);
    rings(&told(scan), VerdictKind::Scan, Some("5.5.5.5"));
}

/// What was dismissed of one scanner makes it ring later, until that expires; it costs no other.
#[test]
fn what_was_dismissed_rings_later_until_it_expires() {
    let at = 6.5 * DAY as f64;
    let scan = |client| attack(at, 0.5, 200, "", client, Call::Path);
    let calls = sorted([world(8, 1), scan(0x0505_0505), scan(0x0606_0606)].concat());
    let first = |until: f64, who: &str| {
        let mut detect = Detect::new(Settings::default());
        detect.feedback(&[Feedback {
            subject: Subject::Client("5.5.5.5".into()),
            detector: scan::WATCH.detector.into(),
            factor: 1.0 / 256.0,
            until: Timestamp::from_secs_f64(START as f64 + until),
        }]);
        let found = run(&mut detect, &calls).into_iter();
        let mut found = found.filter(|v| v.detector == scan::WATCH.detector);
        let client = |v: &Verdict| v.principal.as_ref().and_then(|p| p.client.clone());
        found
            .find(|v| client(v).as_deref() == Some(who))
            .map(|v| v.at)
    };
    let (expired, dismissed) = (first(at, "5.5.5.5"), first(at + 1e6, "5.5.5.5"));
    assert!(
        expired.is_some() && expired < dismissed,
        "{expired:?} {dismissed:?}"
    );
    assert!(first(at + 1e6, "6.6.6.6") < dismissed);
}

#[test]
fn failed_logins_ring_from_one_address_and_from_many() {
    let one = attack(6.5 * DAY as f64, 1.0, 400, "", 0x0505_0505, |_| {
        Call::Login(401)
    });
    rings(&told(one), VerdictKind::Credential, Some("5.5.5.5"));
    let many = (0..800)
        .map(|i| {
            exchange(
                6.5 * DAY as f64 + f64::from(i),
                "",
                0x0600_0000 + i,
                &Call::Login(401),
            )
        })
        .collect();
    rings(&told(many), VerdictKind::Credential, None);
}

#[test]
fn a_volume_spike_rings_with_its_series() {
    let many = (0..3_000)
        .map(|i| {
            exchange(
                6.5 * DAY as f64 + f64::from(i) * 0.1,
                "",
                0x0600_0000 + i % 900,
                &Call::List(0),
            )
        })
        .collect();
    let verdicts = told(many);
    rings(&verdicts, VerdictKind::Volume, None);
    let spike = verdicts
        .iter()
        .find(|v| v.detector == "endpoint-volume")
        .unwrap();
    assert!(spike.series.len() > 5 && spike.series.last().unwrap().observed == spike.observed);
    assert!(spike.series.windows(2).all(|w| w[0].at < w[1].at));
}

#[test]
fn nothing_rings_while_learning_or_in_an_empty_world() {
    let walk = sorted(
        [
            world(1, 1),
            attack(40_000.0, 0.5, 500, "user7", 1_007, |i| {
                Call::Object(20_000 + i)
            }),
        ]
        .concat(),
    );
    assert!(
        run(
            &mut Detect::new(Settings::default()),
            &walk[..walk.len() - 1]
        )
        .is_empty()
    );
}

#[test]
fn a_restart_in_the_middle_and_ticks_anywhere_change_nothing() {
    let calls = sorted(
        [
            world(7, 3),
            attack(5.5 * DAY as f64, 2.0, 400, "user9", 1_009, |i| {
                Call::Object(30_000 + i)
            }),
        ]
        .concat(),
    );
    let whole = run(&mut Detect::new(Settings::default()), &calls);
    assert!(!whole.is_empty());
    let mut detect = Detect::new(Settings::default());
    let mut parts = Vec::new();
    for chunk in calls.chunks(calls.len() / 7 + 1) {
        parts.extend(run(&mut detect, chunk));
        let mut out = Vec::new();
        detect.tick(chunk[chunk.len() - 1].1.end, &mut out);
        parts.extend(out);
        let saved = detect.save();
        assert_eq!(saved, detect.save());
        detect = Detect::restore(Settings::default(), &saved).unwrap();
        assert_eq!(
            saved,
            detect.save(),
            "what was restored is not what was saved"
        );
    }
    assert_eq!(whole, parts);
}

#[test]
fn a_flood_of_addresses_is_bounded_and_hides_no_one() {
    let settings = Settings {
        max_principals: 500,
        ..Settings::default()
    };
    let mut calls = world(7, 4);
    let start = 6.0 * DAY as f64;
    calls.extend((0..60_000_u32).map(|i| {
        exchange(
            start + f64::from(i) * 0.05,
            "",
            0x0800_0000 + i,
            &Call::List(1),
        )
    }));
    calls.extend(attack(start, 5.0, 500, "user5", 1_005, |i| {
        Call::Object(40_000 + i)
    }));
    let mut detect = Detect::new(settings);
    let verdicts = run(&mut detect, &sorted(calls));
    assert_eq!(detect.principals().0, 500);
    assert!(
        detect.save().len() < 2_000_000,
        "{} bytes",
        detect.save().len()
    );
    assert!(verdicts.iter().any(|v| {
        v.kind == VerdictKind::Enumeration
            && v.principal
                .as_ref()
                .is_some_and(|p| p.identity.as_deref() == Some("bearer:user5"))
    }));
}

#[test]
fn state_follows_merges() {
    let mut detect = Detect::new(Settings::default());
    run(&mut detect, &sorted(world(3, 5)));
    detect.change(&[
        Change::Merged {
            from: EndpointId(1),
            into: EndpointId(0),
        },
        Change::NodeMerged {
            from: NodeId(1),
            into: NodeId(0),
        },
        Change::Evicted(EndpointId(2)),
    ]);
    let walk = attack(4.0 * DAY as f64, 1.0, 300, "user7", 1_007, |i| {
        Call::Object(20_000 + i)
    });
    rings(
        &run(&mut detect, &walk),
        VerdictKind::Enumeration,
        Some("bearer:user7"),
    );
}

prop_compose! {
    fn any_access()(
        endpoint in proptest::option::of(0_u32..4),
        node in proptest::option::of(0_u32..4),
        object in proptest::option::of((any::<u64>(), proptest::option::of(any::<u64>()))),
        confirmed in any::<bool>(),
        login in any::<bool>(),
    ) -> Access {
        Access {
            endpoint: endpoint.map(EndpointId),
            node: node.map(NodeId),
            object: object.map(|(hash, number)| Object { hash, number }),
            confirmed,
            login,
            complete: true,
            oddities: Oddities::default(),
        }
    }
}

prop_compose! {
    fn any_exchange()(
        times in (any::<i64>(), any::<i64>()),
        client in any::<std::net::IpAddr>(),
        texts in proptest::collection::vec(proptest::option::of(".{0,12}"), 5),
        status in proptest::option::of(any::<u16>()),
        bytes in proptest::option::of(any::<u64>()),
    ) -> Exchange {
        let mut x = Exchange::at(Timestamp(times.0));
        x.end = Timestamp(times.1);
        x.client = client;
        x.method = texts[0].as_deref().map(Into::into);
        x.path = texts[1].as_deref().map(Into::into);
        x.query = texts[2].as_deref().map(Into::into);
        x.identity = texts[3].as_deref().map(Into::into);
        x.login = texts[4].as_deref().map(Into::into);
        (x.status, x.response_bytes) = (status, bytes);
        x
    }
}

proptest! {
    #[test]
    fn no_exchange_brings_it_down(calls in proptest::collection::vec((any_access(), any_exchange()), 1..60), budget in any::<f64>()) {
        let settings = Settings { false_alarms_per_week: budget, learning: Duration::ZERO, max_principals: 3 };
        let mut detect = Detect::new(settings.clone());
        for v in run(&mut detect, &calls) {
            prop_assert!(v.log10_p.is_finite() && v.score.is_finite() && v.expected.is_finite() && v.observed.is_finite());
        }
        prop_assert!(Detect::restore(settings, &detect.save()).is_ok());
    }

    #[test]
    fn a_broken_save_is_refused_or_read(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let calls = sorted(world(2, 6));
        let mut detect = Detect::new(Settings::default());
        run(&mut detect, &calls[..400]);
        let mut saved = detect.save();
        let i = at.index(saved.len());
        saved[i] = byte;
        if let Ok(mut detect) = Detect::restore(Settings::default(), &saved) {
            run(&mut detect, &calls[400..420]);
        }
        saved.truncate(cut.index(saved.len()));
        prop_assert!(Detect::restore(Settings::default(), &saved).is_err());
    }
}
