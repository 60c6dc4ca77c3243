//! The side of the target: each detector rings, and keeps quiet for its benign twin.

use super::*;

const NOON: f64 = 6.5 * DAY as f64;

/// Days of a small service: two hundred callers by an office's hours, a list, objects, logins by
/// name, and a health check that never sleeps.
fn service(days: i64, seed: u64) -> Vec<(Access, Exchange)> {
    let mut dice = Dice(seed);
    let mut calls = Vec::new();
    for hour in 0..days * 24 {
        let of_day = (hour % 24) as f64;
        let busy = if (8.0..18.0).contains(&of_day) { 40 } else { 4 };
        for _ in 0..busy + dice.roll(8) {
            let caller = dice.roll(200) as u32;
            let mut at = (hour * 3_600) as f64 + dice.roll(3_600) as f64;
            if dice.roll(3) == 0 {
                calls.push(login(at, caller, &format!("name{caller}"), 200));
            }
            for _ in 0..1 + dice.roll(6) {
                let call = match dice.roll(3) {
                    0 => Call::List(dice.roll(9)),
                    _ => Call::Object(u64::from(caller) * 173 + dice.roll(4)),
                };
                calls.push(known(at, caller, &call));
                at += 2.0 + dice.roll(20) as f64;
            }
        }
        for beat in 0..60 {
            let at = (hour * 3_600 + beat * 60) as f64;
            let (mut access, x) = exchange(at, "", 9, &Call::List(0));
            (access.endpoint, access.node) = (Some(EndpointId(7)), Some(NodeId(7)));
            calls.push((access, x));
        }
    }
    calls
}

fn known(at: f64, caller: u32, call: &Call) -> (Access, Exchange) {
    let (access, mut x) = exchange(at, &format!("user{caller}"), 1_000 + caller, call);
    x.latency_ms = Some(20.0 + f64::from(caller % 7));
    (access, x)
}

fn login(at: f64, caller: u32, name: &str, status: u16) -> (Access, Exchange) {
    let (access, mut x) = exchange(at, "", 1_000 + caller, &Call::Login(status));
    x.login = Some(name.into());
    (access, x)
}

/// What rings while it goes on and an hour after, in the service's eighth day.
fn heard(extra: Vec<(Access, Exchange)>) -> Vec<Verdict> {
    let from = extra[0].1.ts;
    let until = extra[extra.len() - 1].1.ts + Duration::from_secs(3_600);
    let calls = sorted([service(8, 11), extra].concat());
    let verdicts = run(&mut Detect::new(Settings::default()), &calls);
    let heard: Vec<_> = verdicts
        .into_iter()
        .filter(|v| from <= v.at && v.at <= until)
        .collect();
    heard.iter().for_each(honest);
    heard
}

fn by<'a>(verdicts: &'a [Verdict], detector: &str) -> Vec<&'a Verdict> {
    verdicts.iter().filter(|v| v.detector == detector).collect()
}

#[test]
fn a_quiet_week_keeps_quiet() {
    let verdicts = run(
        &mut Detect::new(Settings::default()),
        &sorted(service(14, 12)),
    );
    let told: Vec<_> = verdicts
        .iter()
        .filter(|v| v.principal.is_none() && v.severity > Severity::Info)
        .collect();
    assert!(told.len() <= 2, "{told:#?}");
}

#[test]
fn a_ramp_rings_long_before_its_peak() {
    // Over ten hours from 20 to 200 an hour, by sixty addresses with stolen tokens.
    let ramp = (0..1_000_u32)
        .map(|i| {
            let at = 6.3 * DAY as f64 + 36_000.0 * (f64::from(i) / 1_000.0).sqrt();
            let who = format!("user{}", i % 97);
            exchange(
                at,
                &who,
                0x2d00_0000 + i % 60,
                &Call::List(u64::from(i % 9)),
            )
        })
        .collect();
    let verdicts = heard(ramp);
    let told = by(&verdicts, "ramp");
    let first = told.first().unwrap_or_else(|| panic!("{verdicts:#?}"));
    assert_eq!(first.endpoint, Some(EndpointId(1)));
    assert!(first.principal.is_none() && first.severity >= Severity::Medium);
    assert!(first.series.len() > 20 && !first.samples.is_empty());
}

#[test]
fn a_crowd_of_known_callers_is_no_flood() {
    let crowd = |client: u32| -> Vec<_> {
        (0..1_500_u32)
            .map(|i| {
                let who = format!("user{}", i % 200);
                exchange(NOON + f64::from(i), &who, client + i % 200, &Call::List(3))
            })
            .collect()
    };
    let benign = heard(crowd(1_000));
    let told = by(&benign, "endpoint-volume");
    assert!(
        !told.is_empty() && told.iter().all(|v| v.severity == Severity::Info),
        "{told:#?}"
    );
    assert!(told[0].summary.contains("crowd"), "{}", told[0].summary);
    let strangers = heard(crowd(0x2d00_0000));
    let told = by(&strangers, "endpoint-volume");
    assert!(
        told.iter().any(|v| v.severity >= Severity::Medium),
        "{told:#?}"
    );
}

#[test]
fn a_server_that_fails_everybody_is_one_matter() {
    let storm = (0..3_000_u32)
        .map(|i| {
            let call = if i % 2 == 0 {
                Call::List(1)
            } else {
                Call::Object(u64::from(i % 9))
            };
            let (access, mut x) = known(NOON + f64::from(i) * 0.1, i % 200, &call);
            x.status = Some(503);
            (access, x)
        })
        .collect();
    let verdicts = heard(storm);
    let errors = by(&verdicts, "server-errors");
    assert_eq!(errors.len(), 1, "{verdicts:#?}");
    assert_eq!(errors[0].kind, VerdictKind::Availability);
    assert_eq!(errors[0].host.as_deref(), Some("api.example"));
    let floods = verdicts
        .iter()
        .filter(|v| v.kind == VerdictKind::Volume && v.principal.is_none());
    assert_eq!(floods.count(), 0, "{verdicts:#?}");
}

/// Answers of one endpoint to so many callers, made other.
fn answers(callers: u32, change: impl Fn(&mut Exchange)) -> Vec<(Access, Exchange)> {
    (0..120_u32)
        .map(|i| {
            let (access, mut x) = known(NOON + f64::from(i) * 5.0, i % callers, &Call::List(2));
            change(&mut x);
            (access, x)
        })
        .collect()
}

#[test]
fn slow_answers_ring_where_they_are_to_many() {
    let slow = |x: &mut Exchange| x.latency_ms = Some(90.0);
    let verdicts = heard(answers(100, slow));
    let told = by(&verdicts, "latency");
    assert!(
        !told.is_empty() && told[0].endpoint == Some(EndpointId(1)),
        "{verdicts:#?}"
    );
    assert_eq!(told[0].kind, VerdictKind::Availability);
    assert!(by(&heard(answers(1, slow)), "latency").is_empty());
}

#[test]
fn large_responses_ring_where_they_go_to_many() {
    let large = |x: &mut Exchange| x.response_bytes = Some(3_000_000);
    let verdicts = heard(answers(100, large));
    let told = by(&verdicts, "endpoint-bytes");
    assert!(
        !told.is_empty() && told[0].kind == VerdictKind::Exfiltration,
        "{verdicts:#?}"
    );
    assert!(by(&heard(answers(1, large)), "endpoint-bytes").is_empty());
}

#[test]
fn names_that_never_came_in_ring_however_spread() {
    let stuffing = (0..60_u32)
        .map(|i| {
            login(
                NOON + f64::from(i) * 40.0,
                50_000 + i * 7,
                &format!("leaked{i}"),
                401,
            )
        })
        .collect();
    let verdicts = heard(stuffing);
    let told = by(&verdicts, "unknown-names");
    assert!(!told.is_empty(), "{verdicts:#?}");
    assert_eq!(
        (told[0].principal.clone(), told[0].endpoint),
        (None, Some(EndpointId(2)))
    );
    let spray = (0..60_u32)
        .map(|i| {
            login(
                NOON + f64::from(i) * 40.0,
                50_000,
                &format!("guess{i}"),
                401,
            )
        })
        .collect();
    let verdicts = heard(spray);
    let told = by(&verdicts, "unknown-names");
    let named = told.first().and_then(|v| v.principal.clone());
    assert_eq!(
        named.and_then(|p| p.client).as_deref(),
        Some("0.0.199.56"),
        "{verdicts:#?}"
    );
}

#[test]
fn people_who_mistype_their_own_names_passwords_keep_quiet() {
    // All passwords were changed: a hundred known names fail from their own addresses.
    let forgotten = (0..100_u32)
        .map(|i| login(NOON + f64::from(i) * 40.0, i, &format!("name{i}"), 401))
        .collect();
    let verdicts = heard(forgotten);
    assert!(by(&verdicts, "unknown-names").is_empty(), "{verdicts:#?}");
}

#[test]
fn a_spread_walk_shows_among_others_and_with_wide_steps() {
    for (step, wide) in [(1, 1_u64), (7, 1_000)] {
        let mut walk = Vec::new();
        for i in 0..200_u64 {
            let at = NOON + i as f64 * 9.0;
            let number = 900_000 + i * step * wide;
            let who = format!("user{}", i * 13 % 40);
            walk.push(exchange(
                at,
                &who,
                0x2d00_0000 + (i * 13 % 40) as u32,
                &Call::Object(number),
            ));
            // Three others in between, each at something of its own.
            for other in 1..4_u64 {
                let own = (i * 7 + other * 61) % 200;
                walk.push(known(
                    at + other as f64,
                    own as u32,
                    &Call::Object(own * 173 + other),
                ));
            }
        }
        let verdicts = heard(walk);
        let told = by(&verdicts, "spread-walk");
        assert!(!told.is_empty(), "step {step} x {wide}: {verdicts:#?}");
        assert_eq!(
            (told[0].principal.clone(), told[0].endpoint),
            (None, Some(EndpointId(0)))
        );
    }
    let busy = (0..600_u64)
        .map(|i| {
            let own = i * 31 % 200;
            known(
                NOON + i as f64 * 3.0,
                own as u32,
                &Call::Object(own * 173 + i % 4),
            )
        })
        .collect();
    assert!(by(&heard(busy), "spread-walk").is_empty());
}

/// The service until noon of the seventh day, then nothing: ticks go on.
fn silence(complete: bool) -> Vec<Verdict> {
    let mut calls = service(7, 13);
    calls.retain(|(_, x)| x.ts < Timestamp::from_secs(START + NOON as i64));
    calls
        .iter_mut()
        .for_each(|(access, _)| access.complete = complete);
    let mut detect = Detect::new(Settings::default());
    run(&mut detect, &sorted(calls));
    let mut out = Vec::new();
    for tick in 0..6 * 360 {
        detect.tick(
            Timestamp::from_secs(START + NOON as i64 + tick * 10),
            &mut out,
        );
    }
    out
}

#[test]
fn silence_is_heard_where_the_capture_is_whole() {
    let verdicts = silence(true);
    verdicts.iter().for_each(honest);
    let told = by(&verdicts, "traffic-drop");
    let host: Vec<_> = told.iter().filter(|v| v.host.is_some()).collect();
    assert!(!host.is_empty(), "{verdicts:#?}");
    assert_eq!(host[0].kind, VerdictKind::Availability);
    assert!(host[0].at <= Timestamp::from_secs(START + NOON as i64 + 2 * 3_600));
    assert!(by(&silence(false), "traffic-drop").is_empty());
}

#[test]
fn a_host_flood_costs_its_room_alone() {
    let mut detect = Detect::new(Settings::default());
    let mut out = Vec::new();
    for i in 0..5_000_u32 {
        let (access, mut x) = exchange(f64::from(i), "", 5, &Call::List(0));
        x.host = Some(format!("h{i}.example").into());
        detect.apply(&access, &x, &mut out);
    }
    assert!(detect.save().len() < 6_000_000, "{}", detect.save().len());
}

#[test]
fn logins_and_rows_follow_merges_and_restarts() {
    let calls = sorted(service(7, 14));
    let mut detect = Detect::new(Settings::default());
    run(&mut detect, &calls);
    detect.change(&[
        Change::Merged {
            from: EndpointId(2),
            into: EndpointId(12),
        },
        Change::NodeMerged {
            from: NodeId(0),
            into: NodeId(10),
        },
    ]);
    let mut detect = Detect::restore(Settings::default(), &detect.save()).unwrap();
    let mut attack: Vec<_> = (0..60_u32)
        .map(|i| {
            let at = 7.2 * DAY as f64 + f64::from(i) * 20.0;
            let mut call = login(at, 50_000 + i, &format!("leaked{i}"), 401);
            (call.0.endpoint, call.0.node) = (Some(EndpointId(12)), Some(NodeId(12)));
            call
        })
        .collect();
    attack.extend((0..60_u64).map(|i| {
        let who = format!("user{}", i % 30);
        let at = 7.3 * DAY as f64 + i as f64 * 9.0;
        let mut call = exchange(
            at,
            &who,
            1_000 + (i % 30) as u32,
            &Call::Object(700_000 + i),
        );
        (call.0.endpoint, call.0.node) = (Some(EndpointId(10)), Some(NodeId(10)));
        call
    }));
    let verdicts = run(&mut detect, &attack);
    let names = by(&verdicts, "unknown-names");
    assert_eq!(
        names.first().and_then(|v| v.endpoint),
        Some(EndpointId(12)),
        "{verdicts:#?}"
    );
    let rows = by(&verdicts, "spread-walk");
    assert_eq!(
        rows.first().and_then(|v| v.endpoint),
        Some(EndpointId(10)),
        "{verdicts:#?}"
    );
}
