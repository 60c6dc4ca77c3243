use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;
use crate::alert::{Settings, Status};
use crate::detect::{Place, Principal, Severity, Verdict, VerdictKind};
use crate::time::Timestamp;

const START: i64 = 1_760_000_000;

fn verdict(n: i64) -> Verdict {
    let kinds = [
        VerdictKind::Scan,
        VerdictKind::Enumeration,
        VerdictKind::Volume,
    ];
    let who = n % 97;
    Verdict {
        at: Timestamp::from_secs(START + n * 40),
        kind: kinds[n as usize % 3],
        severity: Severity::ALL[n as usize % 5],
        score: (n % 100) as f64,
        detector: format!("detector-{}", n % 7),
        principal: Some(Principal {
            identity: Some(format!("bearer:Caller{who}")),
            client: Some(format!("10.0.0.{who}")),
        }),
        endpoint: None,
        host: Some(format!("host{}.example", n % 20)),
        since: Timestamp::from_secs(START + n * 40 - 30),
        until: Timestamp::from_secs(START + n * 40),
        expected: 1.0,
        observed: 9.0,
        log10_p: -9.0,
        summary: format!("{n} requests of caller {who} where about 1 is usual"),
        why: vec!["more than ever".into()],
        samples: vec!["GET /v1/users/{id} → 200".into()],
        series: Vec::new(),
        owasp: ["API1:2023", "API4:2023"][n as usize % 2].into(),
        parts: Vec::new(),
        place: Place::default(),
    }
}

/// So many alerts, each of an endpoint of its own; a fifth of them is acknowledged, a fifth muted.
fn view(alerts: i64) -> Arc<AlertsView> {
    let mut m = crate::alert::Manager::new(Settings::default());
    for n in 0..alerts {
        let v = verdict(n);
        let host = v.host.clone().unwrap_or_default();
        m.raise(&v, Some(format!("GET {host} /v1/things/{n}/{{id}}")));
    }
    let mut view = m.view().as_ref().clone();
    for (n, a) in view.alerts.iter_mut().enumerate() {
        let status = [Status::Acknowledged, Status::Muted, Status::Open][((n / 60 + n) % 5).min(2)];
        Arc::make_mut(a).status = status;
    }
    Arc::new(view)
}

fn ask(filter: Filter) -> Question {
    filter.ask(Timestamp::from_secs(START + 40 * 400)).unwrap()
}

fn with(parts: &[(&str, &str)]) -> Filter {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parts);
    let uri = format!("/alerts?{}", query.finish()).parse().unwrap();
    axum::extract::Query::try_from_uri(&uri).unwrap().0
}

#[test]
fn each_facet_is_counted_without_its_own_filter_and_with_all_others() {
    let view = view(400);
    let lists = Lists::new(&view);
    let found = lists.alerts().find(&ask(with(&[
        ("kind", "scan"),
        ("host", "HOST5.example"),
        ("view", "waiting"),
    ])));
    let waiting = |a: &&Arc<Alert>| a.status == Status::Open;
    let (scan, host) = (|a: &&Arc<Alert>| a.kind == "scan", "host5.example");
    let is_there = |a: &&Arc<Alert>| a.host.as_deref() == Some(host);
    let all = || view.alerts.iter();
    assert_eq!(
        found.total(),
        all().filter(waiting).filter(scan).filter(is_there).count()
    );
    // Kinds: of all that wait at the host, of whatever kind.
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    all()
        .filter(waiting)
        .filter(is_there)
        .for_each(|a| *kinds.entry(&a.kind).or_default() += 1);
    let (counted, more) = found.counted("kind", "scan");
    assert_eq!(
        (counted.into_iter().collect::<BTreeMap<_, _>>(), more),
        (kinds, 0)
    );
    // Severities: with all filters.
    let sum: u32 = found.counted("severity", "").0.iter().map(|(_, n)| n).sum();
    assert_eq!(sum as usize, found.total());
    // Stages: of all scans there.
    let there: Vec<_> = all().filter(scan).filter(is_there).collect();
    let taken = there.iter().filter(|a| a.status == Status::Acknowledged);
    assert_eq!(found.stages, [found.total(), taken.count(), there.len()]);
}

#[test]
fn a_search_looks_everywhere_and_all_words_must_be_there() {
    let view = view(200);
    let lists = Lists::new(&view);
    let total = |q: &str| lists.alerts().find(&ask(with(&[("q", q)]))).total();
    let of = view.alerts.iter();
    let of = of.filter(|a| a.who().is_some_and(|who| who.contains("Caller7")));
    assert_eq!(
        total("BEARER:caller7 scan"),
        of.filter(|a| a.kind == "scan").count()
    );
    assert_eq!(total(&view.alerts[3].id), 1);
    assert_eq!(total("things/17/"), 1);
    assert_eq!(total("10.0.0.5 nothing-like-it"), 0);
    assert_eq!(total(""), 200);
    let incidents = lists
        .incidents()
        .find(&ask(with(&[("q", "caller7")])))
        .total();
    assert_eq!(
        incidents,
        view.incidents
            .iter()
            .filter(|i| i.callers.iter().any(|c| c.contains("Caller7")))
            .count()
    );
}

#[test]
fn pages_follow_each_other_in_every_order_without_gap_or_repetition() {
    let view = view(230);
    let lists = Lists::new(&view);
    for sort in SORTS {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let filter = Filter {
                cursor,
                limit: Some(50),
                ..with(&[("sort", sort)])
            };
            let found = lists.alerts().find(&ask(filter.clone()));
            let page = found.page(&filter);
            ids.extend(page.items.iter().map(|a| a.id.clone()));
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        let mut once = ids.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!((ids.len(), once.len()), (230, 230), "{sort}");
        let first = lists.alerts().get(&ids[0]).unwrap();
        match sort {
            "severity" => assert_eq!(first.severity, Severity::Critical),
            "score" => assert_eq!(first.score, 99.0),
            _ => assert_eq!(*ids, *[vec![ids[0].clone()], ids[1..].to_vec()].concat()),
        }
    }
}

#[test]
fn a_stamp_tells_which_items_match_and_not_their_order() {
    let stamp = |view: &AlertsView, parts: &[(&str, &str)]| {
        let lists = Lists::new(view);
        lists.alerts().find(&ask(with(parts))).stamp()
    };
    let all = view(90);
    let scans = stamp(&all, &[("kind", "scan")]);
    assert!(scans.starts_with("30-"), "{scans}");
    let sorted = [("kind", "scan"), ("sort", "score")];
    assert_eq!(stamp(&all, &sorted), scans);
    // One goes and another comes: as many, and not the same.
    let mut other = all.as_ref().clone();
    let scan = other.alerts.iter_mut().find(|a| a.kind == "scan").unwrap();
    Arc::make_mut(scan).kind = "volume".into();
    let volume = other
        .alerts
        .iter_mut()
        .rfind(|a| a.kind == "volume")
        .unwrap();
    Arc::make_mut(volume).kind = "scan".into();
    let now = stamp(&other, &[("kind", "scan")]);
    assert!(now.starts_with("30-") && now != scans, "{now}");
}

#[test]
fn incidents_have_a_facet_of_what_raised_their_alerts() {
    let view = view(200);
    let lists = Lists::new(&view);
    let found = lists
        .incidents()
        .find(&ask(with(&[("detector", "detector-3")])));
    let has = |i: &&Arc<Incident>| i.detectors.contains("detector-3");
    let there = view.incidents.iter().filter(has).count();
    assert!(there > 0 && there < view.incidents.len());
    assert_eq!(found.total(), there);
    let (counted, _) = found.counted("detector", "detector-3");
    assert_eq!(
        counted.len(),
        7,
        "of all incidents, whatever the filter of its own"
    );
    assert!(counted.contains(&("detector-3", there as u32)));
}

#[test]
fn time_is_a_filter_and_what_cannot_be_read_is_said() {
    let view = view(400);
    let lists = Lists::new(&view);
    // The clock of `ask` stands at the end.
    let found = lists.alerts().find(&ask(with(&[("since", "1h")])));
    let since = Timestamp::from_secs(START + 40 * 400 - 3_600);
    let late = view.alerts.iter().filter(|a| a.last_seen >= since);
    assert_eq!(found.total(), late.count());
    let wrong = with(&[("until", "soon")]).ask(Timestamp::from_secs(0));
    assert!(wrong.err().unwrap().contains("`soon`"));
}

/// 10,000 alerts: the index is made once, and a request looks at each alert once. The bounds are
/// those of an unoptimised build on a busy machine; figures with `--nocapture`.
#[test]
fn ten_thousand_alerts_are_asked_quickly() {
    let view = view(10_000);
    let lists = Lists::new(&view);
    let began = Instant::now();
    lists.alerts();
    let made = began.elapsed();
    let filters = [
        with(&[("view", "waiting"), ("sort", "severity")]),
        with(&[("q", "caller7 scan"), ("sort", "score")]),
        with(&[("host", "host3.example"), ("severity", "high")]),
    ];
    let mut times: Vec<Duration> = (0..100)
        .map(|n| {
            let filter = Filter {
                limit: Some(50),
                ..filters[n % 3].clone()
            };
            let began = Instant::now();
            let found = lists.alerts().find(&ask(filter.clone()));
            assert!(!found.page(&filter).items.is_empty());
            assert!(!found.counted("principal", "").0.is_empty());
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "index {made:?}, request p50 {:?}, p99 {:?}",
        times[50], times[98]
    );
    assert!(made < Duration::from_secs(5) && times[98] < Duration::from_secs(1));
}
