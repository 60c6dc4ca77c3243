//! What is told of one principal: each detector with its attack, and with the benign twin.

use super::*;

const AT: f64 = 6.5 * DAY as f64;

/// What is told while the attack goes on, of a world in which the twin lives as well.
fn told_in(world: Vec<(Access, Exchange)>, attack: Vec<(Access, Exchange)>) -> Vec<Verdict> {
    let (from, until) = (attack[0].1.ts, attack[attack.len() - 1].1.ts);
    let calls = sorted([world, attack].concat());
    let verdicts = run(&mut Detect::new(Settings::default()), &calls);
    verdicts
        .into_iter()
        .filter(|v| from <= v.at && v.at <= until)
        .collect()
}

fn of<'a>(verdicts: &'a [Verdict], who: &str) -> Vec<&'a Verdict> {
    let named = |v: &&Verdict| {
        let p = v.principal.as_ref();
        p.is_some_and(|p| p.identity.as_deref().or(p.client.as_deref()) == Some(who))
    };
    verdicts.iter().filter(named).collect()
}

/// Nothing of this kind is told of it but for information.
fn none(verdicts: &[Verdict], who: &str, kind: VerdictKind) {
    let told = of(verdicts, who);
    assert!(
        told.iter()
            .all(|v| v.kind != kind || v.severity == Severity::Info),
        "{told:#?}"
    );
}

/// A call to a place that is no endpoint, or lets no one in.
fn door(
    at: f64,
    who: &str,
    client: u32,
    method: &str,
    path: &str,
    status: u16,
) -> (Access, Exchange) {
    let (access, mut x) = exchange(at, who, client, &Call::Path(0));
    x.method = Some(method.into());
    x.path = Some(path.into());
    x.status = Some(status);
    (access, x)
}

#[test]
fn doors_that_let_it_in_nowhere_are_function_probing() {
    let doors = [
        "users", "roles", "keys", "jobs", "tenants", "audit", "export",
    ];
    let attack = doors
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let path = format!("/v1/admin/{name}");
            door(AT + i as f64 * 9.0, "user7", 1_007, "GET", &path, 403)
        })
        .collect();
    let verdicts = told(attack);
    rings(&verdicts, VerdictKind::Authorization, Some("bearer:user7"));
    assert!(
        verdicts.iter().all(|v| v.kind != VerdictKind::Scan),
        "{verdicts:#?}"
    );
}

#[test]
fn refusals_where_it_may_go_and_one_closed_door_are_none() {
    // Records of others among its own, a token that ran out, one menu entry that it may not use.
    let twin = (0..60_u32)
        .map(|i| match i % 3 {
            0 => {
                let (access, mut x) = exchange(
                    AT + f64::from(i) * 9.0,
                    "user7",
                    1_007,
                    &Call::Object(u64::from(i % 2)),
                );
                x.status = Some(403);
                (access, x)
            }
            1 => {
                let (access, mut x) =
                    exchange(AT + f64::from(i) * 9.0, "user7", 1_007, &Call::List(1));
                x.status = Some(401);
                (access, x)
            }
            _ => door(
                AT + f64::from(i) * 9.0,
                "user7",
                1_007,
                "GET",
                "/v1/admin/users",
                403,
            ),
        })
        .collect();
    none(&told(twin), "bearer:user7", VerdictKind::Authorization);
}

#[test]
fn a_slow_path_scan_rings_and_stale_links_do_not() {
    let scan: Vec<_> = (0..25)
        .map(|i| {
            let path = format!("/{i}/backup.zip");
            door(
                AT + f64::from(i) * 150.0,
                "",
                0x0505_0505,
                "GET",
                &path,
                404,
            )
        })
        .collect();
    let verdicts = told(scan);
    assert!(
        of(&verdicts, "5.5.5.5")
            .iter()
            .any(|v| v.detector == "path-probing"),
        "{verdicts:#?}"
    );
    let links: Vec<_> = (0..100)
        .map(|i| {
            let path = format!("/legacy/{}", i % 3);
            door(AT + f64::from(i) * 30.0, "user7", 1_007, "GET", &path, 404)
        })
        .collect();
    none(&told(links), "bearer:user7", VerdictKind::Scan);
}

/// Objects of others in no order and far apart, all answered.
fn strange(who: &str, client: u32) -> Vec<(Access, Exchange)> {
    attack(AT, 60.0, 60, who, client, |i| {
        Call::Object(20_000 + mix(i) % 30_000)
    })
}

#[test]
fn strange_objects_that_are_always_answered_ring() {
    let verdicts = told(strange("user7", 1_007));
    rings(&verdicts, VerdictKind::Enumeration, Some("bearer:user7"));
    assert!(
        verdicts.iter().any(|v| v.detector == "strange-objects"),
        "{verdicts:#?}"
    );
    assert!(
        verdicts.iter().all(|v| v.detector != "id-walk"),
        "{verdicts:#?}"
    );
}

#[test]
fn support_asks_for_strange_objects_all_days() {
    let support: Vec<_> = (0..12 * 8_u32)
        .flat_map(|turn| {
            attack(f64::from(turn) * 7_200.0, 60.0, 40, "support", 2_000, |i| {
                Call::Object(mix(u64::from(turn) * 100 + i) % 50_000)
            })
        })
        .collect();
    let verdicts = told_in([world(8, 1), support].concat(), strange("support", 2_000));
    none(&verdicts, "bearer:support", VerdictKind::Enumeration);
}

#[test]
fn objects_it_created_itself_are_no_walk() {
    let (mut calls, mut at) = (Vec::new(), AT);
    for i in 0..40_u64 {
        let (access, mut x) = exchange(at, "user7", 1_007, &Call::List(0));
        (x.method, x.status, x.query) = (Some("POST".into()), Some(201), None);
        calls.push((access, x));
        calls.push(exchange(
            at + 5.0,
            "user7",
            1_007,
            &Call::Object(60_000 + i),
        ));
        at += 20.0;
    }
    none(&told(calls), "bearer:user7", VerdictKind::Enumeration);
    // The same without having created anything is one.
    let verdicts = told(attack(AT, 20.0, 40, "user7", 1_007, |i| {
        Call::Object(60_000 + i)
    }));
    rings(&verdicts, VerdictKind::Enumeration, Some("bearer:user7"));
}

/// The world, in Germany and by half in France.
fn abroad() -> Vec<(Access, Exchange)> {
    let mut calls = world(8, 1);
    for (_, x) in &mut calls {
        let odd = x
            .identity
            .as_deref()
            .is_some_and(|id| id.ends_with(['1', '3', '5', '9']));
        x.country = Some(if odd { "FR" } else { "DE" }.into());
        x.user_agent = Some("okhttp/4.9".into());
    }
    calls
}

fn from(
    country: &str,
    client: u32,
    agent: &str,
    mut calls: Vec<(Access, Exchange)>,
) -> Vec<(Access, Exchange)> {
    for (_, x) in &mut calls {
        x.country = Some(country.into());
        x.client = Ipv4Addr::from(client).into();
        x.user_agent = Some(agent.into());
    }
    calls
}

#[test]
fn a_country_no_one_calls_from_is_information() {
    let journey = attack(AT, 60.0, 5, "user8", 1_008, |_| Call::List(1));
    let journey = from("KP", 0xaf01_0101, "okhttp/5.0", journey);
    let verdicts = told_in(abroad(), journey);
    rings(&verdicts, VerdictKind::Source, Some("bearer:user8"));
    let told = of(&verdicts, "bearer:user8");
    assert!(
        told.len() == 1 && told[0].severity == Severity::Info,
        "{told:#?}"
    );
    assert!(told[0].summary.contains("KP") && !told[0].summary.contains("program"));
}

#[test]
fn a_country_that_many_call_from_is_nothing() {
    let journey = attack(AT, 60.0, 5, "user8", 1_008, |_| Call::List(1));
    let journey = from("FR", 1_008, "okhttp/5.0", journey);
    let verdicts = told_in(abroad(), journey);
    assert!(of(&verdicts, "bearer:user8").is_empty(), "{verdicts:#?}");
}

#[test]
fn two_places_too_far_apart_are_told() {
    let home = from(
        "DE",
        1_008,
        "okhttp/4.9",
        attack(AT, 1.0, 1, "user8", 1_008, |_| Call::List(1)),
    );
    let away = attack(AT + 600.0, 60.0, 2, "user8", 1_008, |_| Call::List(1));
    let away = from("JP", 0xaf01_0101, "curl/8.5", away);
    let verdicts = told_in(abroad(), [home, away].concat());
    let told = of(&verdicts, "bearer:user8");
    assert!(
        told.len() == 1 && told[0].detector == "impossible-travel",
        "{verdicts:#?}"
    );
    assert!(
        told[0].why.iter().any(|w| w.contains("client program")),
        "{told:#?}"
    );
}

#[test]
fn a_sign_joined_with_another_verdict_is_more_than_information() {
    let walk = attack(AT, 2.0, 200, "user8", 1_008, |i| Call::Object(20_000 + i));
    let walk = from("KP", 0xaf01_0101, "okhttp/4.9", walk);
    let verdicts = told_in(abroad(), walk);
    let signs: Vec<_> = verdicts
        .iter()
        .filter(|v| v.kind == VerdictKind::Source)
        .map(|v| v.severity)
        .collect();
    assert_eq!(signs, [Severity::Info, Severity::Medium], "{verdicts:#?}");
}

#[test]
fn nightly_jobs_are_listed_with_their_hour_and_told_when_they_leave_it() {
    let mut detect = Detect::new(Settings::default());
    run(&mut detect, &sorted(world(8, 1)));
    let list = detect.automation();
    assert_eq!(list.len(), 1, "{list:#?}");
    let job = &list[0];
    assert_eq!(job.who.identity.as_deref(), Some("bearer:batch"));
    assert_eq!((job.hours.as_slice(), job.reach), ([2].as_slice(), 200.0));
    assert!(
        job.days == 7 && job.learnt_unreviewed && job.kinds.contains(&VerdictKind::Enumeration)
    );
    let again = attack(8.0 * DAY as f64 + 50_000.0, 0.5, 100, "batch", 77, |i| {
        Call::Object(i * 3)
    });
    let verdicts = run(&mut detect, &again);
    let change: Vec<_> = verdicts
        .iter()
        .filter(|v| v.detector == "automation-change")
        .collect();
    assert!(
        change.len() == 1
            && change[0].severity == Severity::Info
            && change[0].summary.contains("13:00"),
        "{verdicts:#?}"
    );
    assert_eq!(detect.automation()[0].days, 8);
}

#[test]
fn a_crawler_that_changes_its_address_is_known_by_its_place() {
    let crawl: Vec<_> = (0..8_u32)
        .flat_map(|day| {
            let at = f64::from(day) * DAY as f64 + f64::from(day * 7 % 20) * 3_600.0;
            attack(at, 3.0, 250, "", 0x4200_0000 + day * 977, Call::List)
        })
        .collect();
    let mut detect = Detect::new(Settings::default());
    let verdicts = run(&mut detect, &sorted([world(8, 1), crawl].concat()));
    let crawled = |v: &&Verdict| {
        let client = v.principal.as_ref().and_then(|p| p.client.as_deref());
        client.is_some_and(|c| c.starts_with("66."))
    };
    assert_eq!(verdicts.iter().filter(crawled).count(), 0, "{verdicts:#?}");
    let list = detect.automation();
    let crawler = list.iter().find(|a| a.endpoint == Some(EndpointId(1)));
    assert!(
        crawler.is_some_and(|a| a.days >= 6 && a.reach >= 250.0),
        "{list:#?}"
    );
}

#[test]
fn a_restart_in_the_middle_of_any_of_them_changes_nothing() {
    let attacks = [
        strange("user9", 1_009),
        from(
            "KP",
            0xaf01_0101,
            "curl/8",
            attack(AT + 30.0, 50.0, 40, "user8", 1_008, |i| {
                Call::Object(9_000 + i)
            }),
        ),
        (0..30)
            .map(|i| {
                let path = format!("/v1/admin/{i}x");
                door(
                    AT + 10.0 + f64::from(i) * 70.0,
                    "user6",
                    1_006,
                    "POST",
                    &path,
                    403,
                )
            })
            .collect(),
    ];
    let calls = sorted([abroad(), attacks.concat()].concat());
    let middle =
        calls.partition_point(|(_, x)| x.ts < Timestamp::from_secs_f64(START as f64 + AT + 300.0));
    let whole = run(&mut Detect::new(Settings::default()), &calls);
    let mut detect = Detect::new(Settings::default());
    let mut parts = run(&mut detect, &calls[..middle]);
    let mut detect = Detect::restore(Settings::default(), &detect.save()).unwrap();
    parts.extend(run(&mut detect, &calls[middle..]));
    assert_eq!(whole, parts);
    let told: std::collections::BTreeSet<&str> =
        whole.iter().map(|v| v.detector.as_str()).collect();
    for detector in ["strange-objects", "new-country"] {
        assert!(told.contains(detector), "{told:?}");
    }
}
